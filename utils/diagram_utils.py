"""Drawings of the two models side by side, in one form throughout the series: what is aligned has one color."""
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from utils.data_utils import VARIABLE_NAMES
from utils.model_utils import LAYER_SIZES, validate_layer
from utils.plot_utils import BLACK, RED, VARIABLE_COLORS
from utils.validation import validate_groups

BOXES = ("image", *LAYER_SIZES, "answer")
WIDTH, HEIGHT, GAP = 0.9, 1.5, 0.55


def _arrow(axes: Axes, start: tuple, end: tuple, color: str = BLACK, bend: float = 0) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=color, linewidth=1.3,
                                   connectionstyle=f"arc3,rad={bend}", shrinkA=1, shrinkB=1))


def _blank(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_aspect("equal")
    axes.axis("off")


def draw_causal_model(axes: Axes, groups: Sequence[Sequence[int]]) -> None:
    """The causal graph; variables that some source sets are filled in their color."""
    aligned = {v for group in groups for v in group}
    total, answer = (2.6, 1.6), (4.6, 1.6)
    for variable, name in enumerate(VARIABLE_NAMES):
        at = (0.6, 3.2 - 1.6 * variable)
        axes.add_patch(Circle(at, 0.42, facecolor=VARIABLE_COLORS[variable] if variable in aligned else "white",
                              edgecolor=BLACK))
        axes.text(at[0] - 0.6, at[1], name, ha="right", va="center", fontsize=10)
        _arrow(axes, (at[0] + 0.42, at[1]), (total[0] - 0.47, total[1] + 0.28 * (1 - variable)))
        axes.text(1.5, 2.45 - 0.85 * variable, "0.4", fontsize=9, ha="center", va="center",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    for (x, y), text in ((total, "sum"), (answer, "> 0.6")):
        axes.add_patch(Circle((x, y), 0.5, facecolor="white", edgecolor=BLACK))
        axes.text(x, y, text, ha="center", va="center", fontsize=9)
    _arrow(axes, (3.1, 1.6), (4.1, 1.6))
    axes.text(4.6, 0.75, "answer", ha="center", fontsize=10)
    axes.set(xlim=(-2.0, 5.4), ylim=(-0.8, 4.0))
    _blank(axes, "causal model")


def _left(box: str) -> float:
    return BOXES.index(box) * (WIDTH + GAP)


def _draw_row(axes: Axes, y: float, layer: str, groups: Sequence[Sequence[int]], name: str = "",
              upto: str = "answer") -> None:
    """The network as a row of boxes; in ``layer`` a band for each group, split where a group has several variables."""
    for i, box in enumerate(BOXES):
        x = _left(box)
        color = BLACK if i <= BOXES.index(upto) else "#D0D0D0"
        axes.add_patch(Rectangle((x, y), WIDTH, HEIGHT, facecolor="white", edgecolor=color, linewidth=1.3))
        axes.text(x + WIDTH / 2, y - 0.28, box, ha="center", va="center", fontsize=9, color=color)
        if i:
            _arrow(axes, (x - GAP, y + HEIGHT / 2), (x, y + HEIGHT / 2), color)
    x = _left(layer)
    band = HEIGHT / 3  # three directions fill fc1; elsewhere much is left
    for i, group in enumerate(groups):
        for j, variable in enumerate(group):
            part = WIDTH / len(group)
            bottom = y + HEIGHT - (i + 1) * band
            axes.add_patch(Rectangle((x + j * part, bottom), part, band, color=VARIABLE_COLORS[variable], linewidth=0))
    axes.add_patch(Rectangle((x, y), WIDTH, HEIGHT, facecolor="none", edgecolor=BLACK))
    axes.text(-0.25, y + HEIGHT / 2, name, ha="right", va="center", fontsize=10)


def draw_alignment(groups: Sequence[Sequence[int]], layer: str) -> Figure:
    """The causal graph and the network side by side; a variable and the part aligned with it share a color.

    Args:
        groups: for each source the variables that it sets: one band in the layer for each source.
        layer: conv1, conv2, conv3 or fc1.

    Raises:
        ValueError: no such layer, or groups that overlap.
    """
    validate_layer(layer)
    groups = validate_groups(groups)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 2.9), width_ratios=[1, 1.35])
    draw_causal_model(left, groups)
    _draw_row(right, 0, layer, groups)
    right.set(xlim=(-0.3, _left("answer") + 1.5 * WIDTH), ylim=(-1.0, 2.3))
    _blank(right, f"network, aligned at {layer}")
    return figure


def draw_interchange(layer: str = "conv3", group: Sequence[int] = (1,)) -> Figure:
    """How an interchange intervention runs, in three frames: read the source, write into the base, compare.

    Args:
        layer: where the subspace is.
        group: variables that it holds.
    """
    validate_layer(layer)
    groups, x = validate_groups([group]), _left(layer) + WIDTH / 2
    figure, axes = plt.subplots(1, 3, figsize=(14, 3.8), width_ratios=[1, 1, 0.85])
    for axis in axes[:2]:
        axis.set(xlim=(-1.6, _left("answer") + 1.5 * WIDTH), ylim=(-0.9, 5.0))
    _draw_row(axes[0], 3.0, layer, groups, "source", upto=layer)
    _draw_row(axes[0], 0.0, layer, [], "base", upto=layer)
    axes[0].text(x, 2.3, "read this part", ha="center", va="center", fontsize=9, color=RED)
    _blank(axes[0], "1. Run the source up to the layer")
    _draw_row(axes[1], 3.0, layer, groups, "source", upto=layer)
    _draw_row(axes[1], 0.0, layer, groups, "base")
    _arrow(axes[1], (x + 0.6, 3.0 + HEIGHT * 5 / 6), (x + 0.6, HEIGHT * 5 / 6), RED, bend=-0.5)
    axes[1].text(x + 1.7, 1.95, "put it in place", va="center", fontsize=9, color=RED)
    _blank(axes[1], "2. Run the base with it in place")
    draw_causal_model(axes[2], groups)
    names = " and ".join(VARIABLE_NAMES[v] for v in groups[0])
    axes[2].text(1.9, -0.7, f"{names} from the source,\nthe rest from the base", ha="center", va="top",
                 fontsize=9, color=RED)
    axes[2].set(ylim=(-1.8, 4.0))
    _blank(axes[2], "3. Same answer as the causal model's?")
    return figure
