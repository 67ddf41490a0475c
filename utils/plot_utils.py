"""The pictures that several notebooks share. Colors are those of Okabe and Ito (2008), safe for color-blind readers."""
import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.measure_utils import Score

BLUE, ORANGE, GREEN, RED, GRAY, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C", "#000000"
VARIABLE_COLORS = (BLUE, ORANGE, GREEN)  # circularity, color, area, in every picture


def use_style() -> None:
    """Set what the series' pictures need on page and projector, over any matplotlibrc; show whole tables as text."""
    plt.rcdefaults()
    pd.set_option("display.max_columns", None, "display.width", 100)
    plt.rcParams.update({
        "figure.dpi": 100, "savefig.dpi": 100, "font.size": 11, "axes.titlesize": 12, "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False,
        "figure.constrained_layout.use": True,
    })


def show(alt: str, figure: Figure | None = None) -> None:
    """Show a figure below the cell and close it; ``alt`` tells those who cannot see it what there is to see.

    It is drawn here, not by the notebook's backend, so it appears whatever backend is set.

    Args:
        alt: a sentence or two.
        figure: None for the current one.

    Raises:
        ValueError: ``alt`` is empty, or no figure is open.
    """
    if not alt.strip():
        raise ValueError("alt must say in a sentence what the picture shows, got an empty text")
    if figure is None and not plt.get_fignums():
        raise ValueError("figure is None, and no figure is open: draw in this cell, without plt.show()")
    figure = figure or plt.gcf()
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    plt.close(figure)
    alt = " ".join(alt.split())
    data = {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": textwrap.fill(alt, 100)}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def format_table(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """A table for reading: numbers as text, whole ones with commas, others with ``digits`` decimals, nan as a dash."""
    def write(value: Any) -> str:
        if not bool(np.isscalar(value)) or isinstance(value, (bool, np.bool_, str)):
            return str(value)
        if pd.isna(value):
            return "–"
        return f"{value:,}" if isinstance(value, (int, np.integer)) else f"{value:.{digits}f}"

    return table.astype(object).map(write)


def score_table(scores: Mapping[str, Score]) -> pd.DataFrame:
    """Scores by name, one a row, each beside its baselines, its ceiling and its n: text, to be looked at."""
    rows = {name: {
        "IIA": score.iia, "95%": f"{score.low:.3f}–{score.high:.3f}", "flip-IIA": score.flip_iia,
        "normalized": score.normalized_iia, "keep": score.keep, "copy": score.copy, "majority": score.majority,
        "ceiling": score.ceiling, "n": score.n,
    } for name, score in scores.items()}
    return format_table(pd.DataFrame.from_dict(rows, orient="index"))


def show_image(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """One image (28, 28) or (1, 28, 28), gray from 0 (black) to 1 (white)."""
    axes.imshow(np.asarray(image).reshape(28, 28), cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRAY, linewidth=0.8)
    axes.set_title(title, fontsize=10)


def show_gallery(images: np.ndarray, titles: Sequence[str], columns: int = 8) -> Figure:
    """Images (n, 28, 28) in a grid, each under its title."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.35 * columns, 1.75 * rows), squeeze=False)
    for axis in axes.flat[len(images):]:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles):
        show_image(axis, image, title)
    return figure


def describe_labels(labels: Sequence[float]) -> str:
    """Three labels on one line each, for the title of an image."""
    return "circ {:.2f}\ncolor {:.2f}\narea {:.2f}".format(*labels)


def show_interchanges(columns: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """Base, sources and counterfactual side by side, one example a row.

    Args:
        columns: heading -> images (n, 28, 28), labels (n, 3), answers (n,) of that column.
    """
    n = len(next(iter(columns.values()))[0])
    figure, axes = plt.subplots(n, len(columns), figsize=(2.4 * len(columns), 2.6 * n), squeeze=False)
    for column, (heading, (images, labels, answers)) in enumerate(columns.items()):
        for row in range(n):
            title = "circ {:.2f}  color {:.2f}\narea {:.2f}  answer {:.0f}".format(*labels[row], answers[row])
            show_image(axes[row, column], images[row], f"{heading}\n{title}" if row == 0 else title)
            axes[row, column].title.set_fontsize(11)
    return figure


def plot_history(history: Mapping[str, Sequence[float]], window: int = 20) -> Figure:
    """Training curves: both losses, smoothed over ``window`` steps, and the learning rate."""
    names = {"interchange_loss": ("interchange", BLUE), "behavior_loss": ("behavior", ORANGE), "loss": ("loss", BLUE)}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=[2, 1])
    for key, (name, color) in names.items():
        values = np.asarray(history.get(key, []), dtype=float)
        if len(values) and np.isfinite(values).all():
            width = min(window, len(values))
            smooth = np.convolve(values, np.ones(width) / width, mode="valid")
            left.plot(np.arange(len(smooth)) + width, smooth, color=color, label=name)
    left.set(xlabel="training step", ylabel="cross-entropy (nats)", yscale="log", title=f"Loss, mean of {window} steps")
    left.legend()
    right.plot(history["lr"], color=GRAY)
    right.set(xlabel="training step", ylabel="learning rate", title="Schedule")
    return figure


def plot_scores(scores: Mapping[str, Score], title: str = "") -> Figure:
    """IIA and flip-IIA of several models as bars with 95% intervals, between the best baseline and the ceiling."""
    figure, axes = plt.subplots(figsize=(max(6.0, 1.7 * len(scores) + 2), 3.8))
    for x, score in enumerate(scores.values()):
        axes.bar(x - 0.2, score.iia, 0.38, color=BLUE, label="IIA" if x == 0 else None)
        axes.errorbar(x - 0.2, score.iia, [[score.iia - score.low], [score.high - score.iia]], color=BLACK, capsize=3)
        axes.bar(x + 0.2, score.flip_iia, 0.38, color=ORANGE, label="flip-IIA" if x == 0 else None)
        best = max(score.keep, score.copy, score.majority)
        axes.hlines(score.ceiling, x - 0.45, x + 0.45, color=BLACK, label="ceiling of IIA" if x == 0 else "")
        axes.hlines(best, x - 0.45, x + 0.45, color=RED, linestyle="--", label="best baseline of IIA" if x == 0 else "")
        for at, value, ink in ((x - 0.2, score.iia, "white"), (x + 0.2, score.flip_iia, "black")):
            tall = value > 0.15  # then the figure fits into the bar, clear of the ceiling
            axes.text(at, value - 0.07 if tall else value + 0.02, f"{value:.3f}", ha="center", fontsize=9,
                      color=ink if tall else "black")
    axes.set_xticks(range(len(scores)), list(scores))
    axes.set(ylim=(0, 1.12), ylabel="share of pairs", title=title)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=4, fontsize=9)
    return figure


def plot_heatmap(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str,
                 bounds: tuple[float, float], label: str, axes: Axes | None = None) -> Axes:
    """A table of shares (r, c) as colors with the figures written in; ``bounds`` are the ends of the color scale."""
    axes = axes or plt.subplots(figsize=(1.6 * len(columns) + 2, 0.7 * len(rows) + 1.5))[1]
    image = axes.imshow(values, cmap="cividis", vmin=bounds[0], vmax=bounds[1], aspect="auto")
    axes.grid(False)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title(title)
    middle = sum(bounds) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "black" if value > middle else "white"
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", color=color)
    axes.figure.colorbar(image, ax=axes, label=label)
    return axes
