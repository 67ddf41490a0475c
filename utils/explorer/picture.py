"""The picture of the explorer: drawn quickly, in tiles that a narrow page shows one below the other, and in words."""
import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from utils.data_utils import COEFFICIENTS, THRESHOLD, VARIABLE_NAMES
from utils.explorer.view import Plane, View
from utils.measure_utils import name_groups
from utils.plot_utils import BLACK, GRAY, VARIABLE_COLORS, show_image

BASE, AFTER, SEVERAL = "#5C5C5C", "#CC79A7", "#56B4E9"  # SEVERAL: a source of more than one variable


def describe(view: View, groups: Sequence[Sequence[int]], chosen: Sequence[bool]) -> str:
    """The view in words, for those who hear the page."""
    names = [name_groups([group]) for group, on in zip(groups, chosen) if on]
    swap = f"with {' and '.join(names)} from {'its source' if len(names) == 1 else 'their sources'}"
    verb = "as" if (view.swapped > 0.5) == view.answers[-1] else "other than"
    return (f"The network gives the base alone a probability of {view.plain:.2f} of answer 1, and {view.swapped:.2f} "
            f"{swap if names else 'with nothing interchanged'}: it answers {verb} the causal model, whose answer is "
            f"{view.answers[-1]:.0f} ({view.answers[0]:.0f} before).")


def to_png(pixels: np.ndarray) -> bytes:
    """Pixels (h, w, 3) as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return file.getvalue()


class Picture:
    """The figure that a view is drawn into; all but its moving parts is drawn once, which makes it quick."""

    def __init__(self, plane: Plane, groups: Sequence[Sequence[int]]) -> None:
        self.plane = plane
        given = ["base", *(f"source of {name_groups([group])}" for group in groups)]
        self.names, self.marked = [*given, "counterfactual"], [*given, "after the interchange"]
        figure = Figure(figsize=(10, 7.2), dpi=90, layout="none")  # type: ignore[arg-type]  # matplotlib's types lack it
        self.canvas = FigureCanvasAgg(figure)
        self.shown, self.sums = self._draw_images(figure), self._draw_sums(figure)
        self.bars, self.figures, self.wanted = self._draw_bars(figure.add_axes((0.115, 0.08, 0.365, 0.302)))
        self.points = self._draw_plane(figure.add_axes((0.61, 0.08, 0.36, 0.302)), groups)
        self.moving = [*sum(self.shown, ()), *self.sums, *self.bars, *self.figures, self.wanted, *self.points]
        for artist in self.moving:
            artist.set_animated(True)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)  # all that never changes

    def _draw_images(self, figure: Figure) -> list[tuple]:
        shown, width = [], 1 / len(self.names)
        for i, name in enumerate(self.names):
            axes = figure.add_axes((i * width, 0.725, width, 0.213))
            show_image(axes, np.ones((28, 28)), name)
            text = axes.text(14, 30, "", ha="center", va="top", fontsize=10)
            shown.append((axes.images[0], *axes.spines.values(), text))
        return shown

    def _draw_sums(self, figure: Figure) -> list:
        points, width = [], 1 / len(self.names)
        for i in range(len(self.names)):
            axes = figure.add_axes(((i + 0.15) * width, 0.602, 0.7 * width, 0.02))
            axes.axvline(THRESHOLD, color=GRAY)
            axes.set(xlim=(0, sum(COEFFICIENTS)), ylim=(-1, 1), xticks=[THRESHOLD], yticks=[])
            axes.set_xticklabels([f"threshold {THRESHOLD}"], fontsize=9)
            axes.grid(False)
            points += axes.plot([], [], marker="o", color=BASE, markersize=7, markeredgecolor=BLACK, clip_on=False)
        return points

    def _draw_bars(self, axes) -> tuple:
        bars = axes.barh([1, 0], [0, 0], color=[BASE, AFTER], height=0.5)
        figures = [axes.text(0, y, "", va="center", fontsize=11) for y in (1, 0)]
        wanted = axes.plot([0, 0], [1, 0], linestyle="none", marker="D", color=BLACK, clip_on=False,
                           label="causal model's answer")[0]
        axes.axvline(0.5, color=GRAY, linestyle="--", label="threshold")
        axes.set(xlim=(0, 1), ylim=(-0.6, 1.6), xlabel="probability of answer 1", yticks=[1, 0])
        axes.set_yticklabels(["base\nalone", "after the\ninterchange"])
        axes.grid(False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncol=2, fontsize=10, frameon=False)
        return bars, figures, wanted

    def _draw_plane(self, axes, groups: Sequence[Sequence[int]]) -> list:
        axes.scatter(*self.plane.background.T, s=5, color="#C8C8C8", label="other images")
        colors = [BASE, *(VARIABLE_COLORS[group[0]] if len(group) == 1 else SEVERAL for group in groups), AFTER]
        marks = zip(self.marked, colors, "o" + "s" * len(groups) + "*", [8] * (1 + len(groups)) + [14])
        points = [axes.plot([], [], linestyle="none", marker=marker, color=color, markersize=size, label=name,
                            markeredgecolor=BLACK, clip_on=False)[0] for name, color, marker, size in marks]
        axes.margins(0.1)
        axes.set(xlabel=self.plane.names[0], ylabel=self.plane.names[1].replace(", axis", ",\naxis"))
        axes.legend(loc="lower center", bbox_to_anchor=(0.42, 1), ncol=2, fontsize=10, handletextpad=0.1,
                    columnspacing=1, labelspacing=0.3, frameon=False)
        return points

    def draw(self, view: View) -> np.ndarray:
        """The view as pixels (h, w, 3)."""
        for (image, *_, text), point, pixels, z, answer in zip(self.shown, self.sums, view.images, view.labels,
                                                               view.answers):
            image.set_data(pixels)
            text.set_text("circ {:.2f}  color {:.2f}\narea {:.2f}   answer {:.0f}\nweighted sum {:.3f}".format(
                *z, answer, z @ COEFFICIENTS))
            point.set_data([z @ COEFFICIENTS], [0])
        for bar, text, value in zip(self.bars, self.figures, (view.plain, view.swapped)):
            bar.set_width(value)
            inside = value > 0.2
            text.set(text=f"{value:.2f}", x=value - 0.03 if inside else value + 0.03, ha="right" if inside else "left",
                     color="white" if inside and bar is self.bars[0] else BLACK)
        self.wanted.set_xdata([view.answers[0], view.answers[-1]])
        for artist, (x, y) in zip(self.points, self.plane.project(view.coordinates)):
            artist.set_data([x], [y])
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.axes.draw_artist(artist)
        return np.ascontiguousarray(np.asarray(self.canvas.buffer_rgba())[..., :3])

    def to_html(self, pixels: np.ndarray, view: View, words: str) -> str:
        """The drawn pixels as tiles, which stand as in the figure where there is room, each with a description."""
        height, width = pixels.shape[:2]
        middle, half, n = int(0.45 * height), int(0.5 * width), len(self.names)
        images: list[tuple[slice, slice]] = [np.s_[:middle, i * width // n:(i + 1) * width // n] for i in range(n)]
        values = [", ".join(f"{name} {value:.2f}" for name, value in zip(VARIABLE_NAMES, z))
                  + f", weighted sum {z @ COEFFICIENTS:.3f}" for z in view.labels]
        tiles = [(area, f"{name}: {text}, answer {answer:.0f}")
                 for area, name, text, answer in zip(images, self.names, values, view.answers)]
        points = zip(self.marked, self.plane.project(view.coordinates))
        where = "; ".join(f"{name} at {x:.1f}, {y:.1f}" for name, (x, y) in points)
        tiles += [(np.s_[middle:, :half], words),
                  (np.s_[middle:, half:], f"Where these images lie in the subspaces: {where}")]
        shown = []
        for area, text in tiles:
            tile = pixels[area]
            data, wide = base64.b64encode(to_png(tile)).decode(), tile.shape[1]
            shown.append(f'<img alt="{text}" src="data:image/png;base64,{data}" '
                         f'style="flex: 1 1 {0.7 * wide:.0f}px; width: 100%; max-width: {wide}px">')
        return f'<div style="display: flex; flex-wrap: wrap; max-width: {width}px; min-width: 0">{"".join(shown)}</div>'
