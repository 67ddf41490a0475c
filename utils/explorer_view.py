"""What the explorer shows: one base, its sources, an interchange, and the picture of it all."""
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch.nn.utils import parametrize

from utils.counterfactual_data_utils import check_groups
from utils.data_utils import VARIABLE_NAMES, causal_model, intervene_on_labels, render_images
from utils.intervention_utils import build_intervenable, flatten_neurons, get_basis, pv
from utils.measure_utils import name_groups
from utils.model_utils import model_device
from utils.pass_utils import common_layer, intervene, run_plainly
from utils.plot_utils import BLACK, GRAY, VARIABLE_COLORS, show_image
from utils.validation import check_labels

AFTER = "#CC79A7"


@dataclass(frozen=True)
class Aligned:
    """A network with aligned subspaces: intervention i swaps the subspace that holds the variables ``groups[i]``."""

    intervenable: pv.IntervenableModel
    groups: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        groups = check_groups(self.groups)
        if len(groups) != len(self.intervenable.interventions):
            raise ValueError(f"groups must name the variables of each of {len(self.intervenable.interventions)} "
                             f"interventions, got {len(groups)}")
        object.__setattr__(self, "groups", groups)


def fix_rotation(aligned: Aligned) -> Aligned:
    """The same network and subspaces with a rotation that is not orthonormalized anew at every pass: much quicker."""
    basis, k = get_basis(aligned.intervenable), len(aligned.groups)
    fixed = build_intervenable(aligned.intervenable.model, common_layer(aligned.intervenable), basis.shape[1] // k, k)
    old, new = (next(iter(model.interventions.values())) for model in (aligned.intervenable, fixed))
    parametrize.remove_parametrizations(new.rotate_layer, "weight")
    new.rotate_layer.weight = torch.nn.Parameter(basis.clone(), requires_grad=False)
    new.subspace_partition = old.subspace_partition
    return Aligned(fixed, aligned.groups)


@dataclass(frozen=True)
class View:
    """What one setting of the sliders comes to.

    Attributes:
        labels: (2 + k, 3), of the base, of the k sources and of the counterfactual.
        images: (2 + k, 28, 28), in the same order.
        answers: (2 + k,), the causal model's.
        plain: the network's probability of answer 1 for the base.
        swapped: the same under the interchange intervention.
        coordinates: (2 + k, directions), of base, sources, and the base after the swap.
    """

    labels: np.ndarray
    images: np.ndarray
    answers: np.ndarray
    plain: float
    swapped: float
    coordinates: np.ndarray


@torch.no_grad()
def look(aligned: Aligned, labels: np.ndarray, chosen: Sequence[bool]) -> View:
    """Interchange the chosen subspaces of one base.

    Args:
        aligned: with k interventions.
        labels: (1 + k, 3), each in [0, 1]: base, then sources.
        chosen: for each intervention whether it takes part.

    Raises:
        ValueError: the lengths do not fit, or a label is out of range.
    """
    intervenable, k = aligned.intervenable, len(aligned.groups)
    labels = check_labels(labels)
    if labels.shape != (1 + k, len(VARIABLE_NAMES)) or len(chosen) != k:
        raise ValueError(f"labels must have shape ({1 + k}, 3) and chosen {k} entries, got {labels.shape} and "
                         f"{len(chosen)}")
    on = [i for i in range(k) if chosen[i]]
    target = labels[0]
    if on:
        target = intervene_on_labels(labels[:1], labels[1:][on][:, None], [aligned.groups[i] for i in on])[0]
    labels = np.concatenate([labels, target[None]])
    images = render_images(labels)
    X = torch.from_numpy(images[:-1])[:, None].to(model_device(intervenable.model))
    seen = run_plainly(intervenable, X, wants_logits=True)
    sources = [activation[1 + i:2 + i] for i, activation in enumerate(seen.activations)]
    logit = intervene(intervenable, X[:1], sources, [[[i] if i in on else []] for i in range(k)])
    intervention = next(iter(intervenable.interventions.values()))
    coordinates = intervention.rotate_layer(flatten_neurons(seen.activations[0])).cpu().numpy()
    after = coordinates[0].copy()
    for i in on:
        block = intervention.subspace_partition[i]
        after[block] = coordinates[1 + i, block]
    plain, swapped = torch.sigmoid(torch.stack([seen.logits[0], logit[0]])).tolist()
    return View(labels, images, causal_model(labels), plain, swapped, np.concatenate([coordinates, after[None]]))


class Plane:
    """Two axes of the aligned subspaces, found from the coordinates (n, directions) of many images.

    With one group its two principal axes; with several the first principal axis of each of two groups.
    """

    def __init__(self, coordinates: np.ndarray, aligned: Aligned) -> None:
        partition = next(iter(aligned.intervenable.interventions.values())).subspace_partition
        self.mean = coordinates.mean(axis=0)
        self.axes, self.names = np.zeros((2, coordinates.shape[1])), ["", ""]
        for i, group in enumerate(aligned.groups[:2]):
            block = partition[i]
            found = np.linalg.svd((coordinates - self.mean)[:, block], full_matrices=False)[2][:2]
            rows = [i] if len(aligned.groups) > 1 else range(len(found))
            for row, axis in zip(rows, found):
                self.axes[row, block] = axis
                self.names[row] = f"subspace of {name_groups([group])}"
        if len(aligned.groups) == 1:
            self.names = [f"{name}, axis {i + 1}" for i, name in enumerate(self.names)]
        self.background = self.project(coordinates)

    def project(self, coordinates: np.ndarray) -> np.ndarray:
        """Coordinates (n, directions) as points (n, 2)."""
        return (coordinates - self.mean) @ self.axes.T


class Picture:
    """The figure that a view is drawn into; all but its moving parts is drawn once, which makes it quick."""

    def __init__(self, plane: Plane, groups: Sequence[Sequence[int]]) -> None:
        self.plane, k = plane, len(groups)
        figure = Figure(figsize=(10, 6.2), dpi=90, layout="none")
        self.canvas = FigureCanvasAgg(figure)
        sources = [f"source of\n{name_groups([group])}" for group in groups]
        names = ["base", *sources, "counterfactual\n(what it should be)"]
        grid = figure.add_gridspec(2, 1, height_ratios=[1, 1.35], hspace=0.5, left=0.11, right=0.98, top=0.91,
                                   bottom=0.1)
        top = grid[0].subgridspec(1, k + 2)
        self.shown = []
        for i, name in enumerate(names):
            axes = figure.add_subplot(top[i])
            show_image(axes, np.ones((28, 28)))
            axes.set_title(name, fontsize=10)
            words = axes.text(14, 30, "", ha="center", va="top", fontsize=9)
            self.shown.append((axes.images[0], *axes.spines.values(), words))
        low = grid[1].subgridspec(1, 2, wspace=0.3, width_ratios=[1.2, 1])
        bars = figure.add_subplot(low[0])
        self.bars = bars.barh([1, 0], [0, 0], color=["#5C5C5C", AFTER], height=0.5)
        self.figures = [bars.text(0, y, "", va="center", fontsize=11) for y in (1, 0)]
        self.wanted = bars.plot([0, 0], [1, 0], linestyle="none", marker="D", color=BLACK, clip_on=False,
                                label="causal model's answer")[0]
        bars.axvline(0.5, color=GRAY, linestyle="--")
        bars.set(xlim=(0, 1), ylim=(-0.6, 1.6), xlabel="probability of answer 1", yticks=[1, 0])
        bars.set_yticklabels(["base\nalone", "after the\ninterchange"], fontsize=10)
        bars.grid(False)
        bars.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=9, frameon=False)
        axes = figure.add_subplot(low[1])
        axes.scatter(*plane.background.T, s=5, color="#C8C8C8", label="other images")
        marks = [("base", BLACK, "o", 8), *((f"source of {name_groups([group])}", VARIABLE_COLORS[group[0]], "s", 8)
                                            for group in groups), ("after the interchange", AFTER, "*", 14)]
        self.points = [axes.plot([], [], linestyle="none", marker=marker, color=color, markersize=size, label=name,
                                 markeredgecolor=BLACK)[0] for name, color, marker, size in marks]
        axes.set(xlabel=plane.names[0], ylabel=plane.names[1])
        self.moving = [*sum(self.shown, ()), *self.bars, *self.figures, self.wanted, *self.points]
        for artist in self.moving:
            artist.set_animated(True)
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, 1.3), ncol=2, fontsize=9, handletextpad=0.1,
                    columnspacing=1, labelspacing=0.3, frameon=False)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)  # all that never changes

    def draw(self, view: View) -> bytes:
        """The view as PNG."""
        for (image, *_, text), pixels, z, answer in zip(self.shown, view.images, view.labels, view.answers):
            image.set_data(pixels)
            text.set_text("circ {:.2f}  color {:.2f}\narea {:.2f}   answer {:.0f}".format(*z, answer))
        for bar, text, value in zip(self.bars, self.figures, (view.plain, view.swapped)):
            bar.set_width(value)
            inside = value > 0.2
            text.set(text=f"{value:.2f}", x=value - 0.03 if inside else value + 0.03, ha="right" if inside else "left",
                     color="white" if inside and bar is self.bars[0] else BLACK)
        self.wanted.set_xdata([view.answers[0], view.answers[-1]])
        points = self.plane.project(view.coordinates)
        for artist, (x, y) in zip(self.points, points):
            artist.set_data([x], [y])
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.axes.draw_artist(artist)
        file = io.BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB").save(file, "png", compress_level=1)
        return file.getvalue()


def describe(view: View, groups: Sequence[Sequence[int]], chosen: Sequence[bool]) -> str:
    """The view in words, for those who hear the page."""
    names = [name_groups([group]) for group, on in zip(groups, chosen) if on]
    swap = f"with {' and '.join(names)} from {'its source' if len(names) == 1 else 'their sources'}"
    verb = "as" if (view.swapped > 0.5) == view.answers[-1] else "other than"
    return (f"The network gives the base alone a probability of {view.plain:.2f} of answer 1, and {view.swapped:.2f} "
            f"{swap if names else 'with nothing interchanged'}: it answers {verb} the causal model, whose answer is "
            f"{view.answers[-1]:.0f} ({view.answers[0]:.0f} before).")
