"""What the explorer shows: one base, its sources, an interchange, and where it all lies in a plane."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch.nn.utils import parametrize

from utils.data_utils import VARIABLE_NAMES, causal_model, intervene_on_labels, render_images
from utils.das_utils import iit_predict
from utils.interventions.build import build_intervenable, get_basis, get_coordinates, get_intervention, get_layer
from utils.interventions.rotated_space import pv
from utils.measure_utils import name_groups
from utils.model_utils import predict
from utils.running.guard import restoring
from utils.validation import validate_groups, validate_labels


@dataclass(frozen=True)
class Aligned:
    """A network with aligned subspaces: intervention i swaps the subspace that holds the variables ``groups[i]``."""

    intervenable: pv.IntervenableModel
    groups: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        groups = validate_groups(self.groups)
        if len(groups) != len(self.intervenable.interventions):
            raise ValueError(f"groups must name the variables of each of {len(self.intervenable.interventions)} "
                             f"interventions, got {len(groups)}")
        object.__setattr__(self, "groups", groups)


def fix_rotation(aligned: Aligned) -> Aligned:
    """The same network and subspaces with a rotation that is not orthonormalized anew at every pass: much quicker."""
    basis, k = get_basis(aligned.intervenable), len(aligned.groups)
    layer = cast(str, get_layer(aligned.intervenable))  # build_intervenable refuses None
    with restoring(aligned.intervenable.model), torch.random.fork_rng(devices=[]):
        fixed = build_intervenable(aligned.intervenable.model, layer, basis.shape[1] // k, k)
    old, new = map(get_intervention, (aligned.intervenable, fixed))
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
    labels = validate_labels(labels)
    if labels.shape != (1 + k, len(VARIABLE_NAMES)) or len(chosen) != k:
        raise ValueError(f"labels must have shape ({1 + k}, 3) and chosen {k} entries, got {labels.shape} and "
                         f"{len(chosen)}")
    on = [i for i in range(k) if chosen[i]]
    target = labels[0]
    if on:
        target = intervene_on_labels(labels[:1], labels[1:][on][:, None], [aligned.groups[i] for i in on])[0]
    labels = np.concatenate([labels, target[None]])
    images = render_images(labels)
    X = torch.from_numpy(images[:-1])[:, None]
    subspaces = [[[i] if i in on else []] for i in range(k)]
    swapped = iit_predict(intervenable, X[:1], X[1:, None], subspaces=subspaces)
    coordinates = get_coordinates(intervenable, X).numpy()
    after = coordinates[0].copy()
    for i in on:
        block = get_intervention(intervenable).subspace_partition[i]
        after[block] = coordinates[1 + i, block]
    return View(labels, images, causal_model(labels), predict(intervenable.model, X[:1]).item(), swapped.item(),
                np.concatenate([coordinates, after[None]]))


class Plane:
    """Two axes of the aligned subspaces, found from the coordinates (n, directions) of many images.

    With one group its two principal axes; with several the first principal axis of each of two groups.
    """

    def __init__(self, coordinates: np.ndarray, aligned: Aligned) -> None:
        partition = get_intervention(aligned.intervenable).subspace_partition
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
