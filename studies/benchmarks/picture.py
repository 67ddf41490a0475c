"""The one picture of the benchmarks."""
from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from studies.benchmarks.timing import exponent
from utils.plot_utils import BLACK, BLUE, GRAY, GREEN, ORANGE, RED

COLORS, MARKERS = (BLUE, ORANGE, GREEN, RED, BLACK, GRAY), "osD^vP"
CEILING, KEEP = 0.981, 0.611  # of IIA on {circularity, color}, one source: exact ceiling, and keeping the base's answer


def draw(ratios: Mapping, growth: Mapping, quality: Mapping, path: Path) -> None:
    """Ratio to the bound, growth of time and memory, and IIA against CPU seconds, as PNG.

    Args:
        ratios: (sources, directions) -> way -> (seconds, times the bound).
        growth: series -> values, seconds, MB.
        quality: series -> name -> means over the seeds.
        path: of the PNG.
    """
    figure = Figure(figsize=(12, 8.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    (steps, money), (time, memory) = figure.subplots(2, 2)
    for axes in (steps, money, time, memory):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for (color, marker), sources in zip(zip(COLORS, MARKERS), (1, 2, 3)):
        points = sorted((d, ways["utils"][1]) for (k, d), ways in ratios.items() if k == sources)
        steps.plot(*zip(*points), color=color, marker=marker, label=f"utils, {sources} source" + "s" * (sources > 1))
    steps.axhline(1, color=BLACK, label="by hand: the bound")
    steps.axhline(1.2, color=RED, linestyle="--", label="goal: 1.2")
    steps.set(xscale="log", xlabel="directions for each source", ylabel="times the bound (paired, median)",
              title="One IIT step at conv1, 256 pairs", ylim=(0.9, None))
    steps.set_xticks([1, 16, 64, 256], ["1", "16", "64", "256"])
    steps.legend(fontsize=9, frameon=False)
    for (color, marker), (series, named) in zip(zip((RED, ORANGE, BLUE), "^so"), quality.items()):
        points = sorted((m["cpu_seconds"], m["iia"]) for m in named.values())
        money.plot(*zip(*points), color=color, marker=marker, label=series)
    money.axhline(CEILING, color=BLACK, label="exact ceiling")
    money.axhline(0.95, color=GREEN, linestyle="--", label="goal: 0.95")
    money.axhline(KEEP, color=GRAY, linestyle=":", label="keeping the base's answer")
    money.set(xscale="log", xlabel="CPU seconds of training", ylabel="IIA",
              title="Single-source IIT, {circularity, color}, n = 10,000")
    money.legend(fontsize=9, frameon=False, loc="center right")
    for axes, column, what in ((time, 1, "time"), (memory, 2, "peak memory")):
        for (color, marker), (series, columns) in zip(zip(COLORS, MARKERS), growth.items()):
            x, y = columns[0], columns[column]
            axes.plot([v / x[0] for v in x], [v / y[0] for v in y], color=color, marker=marker,
                      label=f"{series}: {exponent(x, y):.2f}")
        axes.axline((1, 1), (10, 10), color=GRAY, linestyle=":", label="a straight line: 1")
        axes.set(xscale="log", yscale="log", xlabel="times the smallest value", ylabel=f"times the smallest {what}",
                 title=f"Growth of {what}, with the fitted exponent")
        axes.set_ylim(0.7, 400)  # room for the legend
        axes.legend(fontsize=8, frameon=False, loc="upper left")
    figure.savefig(path)
