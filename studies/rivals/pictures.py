"""What notebook 8 draws: the two causal models, and the front of the adversary's weights."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from studies.rivals.causal import CHAINS, Chain
from utils.data_utils import VARIABLE_NAMES
from utils.plot_utils import BLACK, BLUE, GRAY, ORANGE, RED, VARIABLE_COLORS

MARKED = "#CC79A7"  # of the intermediate variable, by which the two models differ
FRONT = {"circularity: DAS": ("circularity, DAS", BLUE, "o-"), "S: DAS": ("S, DAS", RED, "s-")}
LEFT = {
    "circularity: another seed": ("DAS, another seed", BLUE, "^--"),
    "circularity: more directions": ("DAS, more directions", ORANGE, "s--"),
    "circularity: non-linear probe": ("non-linear probe", BLACK, "o-"),
}


def _node(axes: Axes, at: tuple[float, float], text: str, color: str = "white") -> None:
    axes.add_patch(Circle(at, 0.5, facecolor=color, edgecolor=BLACK, zorder=2))
    axes.text(*at, text, ha="center", va="center", fontsize=10, zorder=3)


def _draw_chain(axes: Axes, chain: Chain) -> None:
    heights = dict(zip((*chain.first, chain.last), (3.4, 1.9, 0.0)))
    middle, answer = (2.6, 2.65), (5.0, 1.4)
    for variable, y in heights.items():
        target = answer if variable == chain.last else middle
        axes.add_patch(FancyArrowPatch((0.0, y), target, arrowstyle="-|>", mutation_scale=12, shrinkA=18, shrinkB=19))
        axes.add_patch(Circle((0.0, y), 0.42, facecolor=VARIABLE_COLORS[variable], edgecolor=BLACK, zorder=2))
        axes.text(-0.6, y, VARIABLE_NAMES[variable], ha="right", va="center", fontsize=10)
    axes.add_patch(FancyArrowPatch(middle, answer, arrowstyle="-|>", mutation_scale=12, shrinkA=19, shrinkB=19))
    _node(axes, middle, chain.name, MARKED)
    _node(axes, answer, "> 1.5")
    axes.text(answer[0], answer[1] - 0.85, "answer", ha="center", fontsize=10)
    names = [VARIABLE_NAMES[variable] for variable in chain.first]
    axes.set(xlim=(-2.6, 5.8), ylim=(-0.7, 4.2), aspect="equal")
    axes.set_title(f"{chain.name} = {names[0]} + {names[1]}; then {VARIABLE_NAMES[chain.last]}", fontsize=11)
    axes.axis("off")


def draw_chains() -> Figure:
    """The two causal models side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.2))
    for axis, chain in zip(axes, CHAINS.values()):
        _draw_chain(axis, chain)
    return figure


def front_of(table: pd.DataFrame) -> pd.DataFrame:
    """Figures of the adversary's weights out of the study's rows: index (weight, seed), a column for each measure."""
    rows = table[table["experiment"].str.startswith("weight ")]
    rows = rows.assign(weight=rows["experiment"].str.removeprefix("weight ").astype(float))
    return rows.pivot_table(index=["weight", "seed"], columns="measure", values="value")


def _plot(axes: Axes, front: pd.DataFrame, measure: str, label: str, color: str, style: str) -> None:
    of_weight = front[measure].groupby("weight")
    places = np.arange(of_weight.ngroups)
    axes.plot(places, of_weight.mean(), style, color=color, label=label)
    axes.vlines(places, of_weight.min(), of_weight.max(), color=color, linewidth=3, alpha=0.4)


def plot_front(front: pd.DataFrame, pairs: int, images: int, probed: int, ceiling: float) -> Figure:
    """What the weights do to circularity, to S and to behavior, and what other searches and probes still find.

    Args:
        front: as ``front_of`` gives it.
        pairs: of each score.
        images: on which behavior is measured.
        probed: images on which the probe is measured.
        ceiling: of behavior.
    """
    weights, networks = (front.index.unique(level) for level in ("weight", "seed"))
    figure, axes = plt.subplots(1, 3, figsize=(14, 4))
    for measure, (label, color, style) in FRONT.items():
        _plot(axes[0], front, measure, label, color, style)
    _plot(axes[0], front, "circularity: principal components", "circularity, principal components", GRAY, "d:")
    _plot(axes[1], front, "behavior", "behavior", BLACK, "o-")
    axes[1].axhline(ceiling, color=GRAY, linestyle="--", label="ceiling")
    for measure, (label, color, style) in LEFT.items():
        _plot(axes[2], front, measure, label, color, style)
    titles = (f"What is found: n = {pairs:,} pairs", f"What it costs: n = {images:,} images",
              f"Gone, or hidden? n = {pairs:,}; probe: n = {probed:,}")
    labels = ("normalized IIA", "share of right answers", "normalized IIA, or R² of the probe")
    for axis, title, label in zip(axes, titles, labels):
        axis.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
        axis.set(xlabel="weight of the adversary", ylabel=label, title=title)
        axis.title.set_fontsize(11)
        axis.legend(fontsize=9)
    figure.suptitle(f"{len(networks)} base network{'s' * (len(networks) > 1)}", fontsize=12)
    return figure
