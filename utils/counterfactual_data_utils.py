"""Pairs of base and source images with the label that the causal model gives after an interchange intervention."""
from dataclasses import dataclass
from typing import NamedTuple
from collections.abc import Sequence

import numpy as np
import torch

from utils.data_utils import COEFFICIENTS, causal_model, intervene_on_labels, random_state
from utils.validation import validate_coefficients, validate_count, validate_images, validate_labels, validate_variables


def _validate_dataset(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images, labels = validate_images(images), validate_labels(labels)
    if labels.ndim != 2:
        raise ValueError(f"labels must have shape (n, 3), got {labels.shape}")
    if len(images) != len(labels):
        raise ValueError(f"images and labels must have the same length, got {len(images)} and {len(labels)}")
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got 0")
    return images, labels


def validate_groups(variables: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the variables of each source as lists; no variable may belong to two sources."""
    groups = [validate_variables(group) for group in variables]
    validate_variables([v for group in groups for v in group])
    return groups


def _create_dataset(groups, images, labels, coefficients, size, return_labels, seed):
    images, labels = _validate_dataset(images, labels)
    coefficients, size, rng = validate_coefficients(coefficients), validate_count(size, "size"), random_state(seed)
    drawn = rng.choice(len(images), size=(1 + len(groups), size))
    base, sources = labels[drawn[0]], labels[drawn[1:]]
    counterfactual = intervene_on_labels(base, sources, groups)
    answers = [torch.from_numpy(causal_model(z, coefficients)) for z in (base, sources, counterfactual)]
    result = (torch.from_numpy(images[drawn[0]]), torch.from_numpy(images[drawn[1:]]), *answers)
    return (*result, base, sources, counterfactual) if return_labels else result


def create_single_source_counterfactual_dataset(
    variables: Sequence[int],
    images: np.ndarray,
    labels: np.ndarray,
    coefficients: Sequence[float],
    size: int,
    return_labels: bool = False,
    seed: int | np.random.Generator | None = None,
) -> tuple:
    """Draw pairs in which one source sets all of ``variables`` at once.

    Base and source are drawn independently and with replacement from ``images``.

    Args:
        variables: distinct indices among 0 (circularity), 1 (color), 2 (area).
        images: (n, 28, 28) or (n, 1, 28, 28).
        labels: (n, 3), each in [0, 1].
        coefficients: three weights of the causal model.
        size: number of pairs to draw, at least 1.
        return_labels: also return the labels of base, sources and counterfactual.
        seed: an int or a Generator; None follows ``np.random.seed``.

    Returns:
        X_base (size, 1, 28, 28), X_sources (1, size, 1, 28, 28), y_base (size), y_sources (1, size),
        y_counterfactual (size), all float32 tensors; with ``return_labels`` then also three arrays:
        base labels (size, 3), source labels (1, size, 3), counterfactual labels (size, 3).

    Raises:
        ValueError, TypeError: an argument is empty, out of range or of the wrong shape or type.
    """
    groups = [validate_variables(variables)]
    return _create_dataset(groups, images, labels, coefficients, size, return_labels, seed)


def create_multi_source_counterfactual_dataset(
    variables: Sequence[int],
    images: np.ndarray,
    labels: np.ndarray,
    coefficients: Sequence[float],
    size: int,
    return_labels: bool = False,
    seed: int | np.random.Generator | None = None,
) -> tuple:
    """Draw tuples of one base and ``len(variables)`` sources; source i sets variable ``variables[i]`` alone.

    Arguments, errors and results as for ``create_single_source_counterfactual_dataset``, with
    k = len(variables) sources: X_sources (k, size, 1, 28, 28), y_sources (k, size), source labels (k, size, 3).
    """
    groups = [[v] for v in validate_variables(variables)]
    return _create_dataset(groups, images, labels, coefficients, size, return_labels, seed)


class PairBatch(NamedTuple):
    """Bases (b,) as indices into the pool, sources (k, b) as positions among these bases, and the causal model's
    float32 answers (b,)."""

    base: torch.Tensor
    sources: torch.Tensor
    y_base: torch.Tensor
    y_counterfactual: torch.Tensor


@dataclass
class PairPool:
    """Images to draw fresh pairs from at every training step.

    The sources of a batch are its own base images in another order. Any image is then as likely a source as
    any other, and one pass of the batch through the network yields the activations of bases and sources both.

    Attributes:
        images: (n, 28, 28) or (n, 1, 28, 28).
        labels: (n, 3).
        variables: for each source the list of variables that it sets; ``[[0, 1]]`` is one source for both,
            ``[[0], [1]]`` one source each.
        coefficients: three weights of the causal model.
    """

    images: np.ndarray
    labels: np.ndarray
    variables: Sequence[Sequence[int]]
    coefficients: Sequence[float] = COEFFICIENTS

    def __post_init__(self) -> None:
        self.images, self.labels = _validate_dataset(self.images, self.labels)
        self.variables = validate_groups(self.variables)
        self.coefficients = validate_coefficients(self.coefficients)

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, batch_size: int, rng: np.random.Generator) -> PairBatch:
        """Draw ``batch_size`` bases without replacement and permute them into sources."""
        base = rng.choice(len(self), size=batch_size, replace=False, shuffle=False)
        order = np.stack([rng.permutation(batch_size) for _ in self.variables])
        z = self.labels[base]
        y_base = causal_model(z, self.coefficients)
        y_counterfactual = causal_model(intervene_on_labels(z, z[order], self.variables), self.coefficients)
        return PairBatch(*map(torch.from_numpy, (base, order, y_base, y_counterfactual)))
