"""Pairs of base and source inputs with the answer that the causal model gives after an interchange intervention."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from utils.data_utils import (COEFFICIENTS, THRESHOLD, CausalModel, as_causal_model, intervene_on_labels,
                              random_state)
from utils.validation import (validate_coefficients, validate_count, validate_groups, validate_images, validate_inputs,
                              validate_labels, validate_memory, validate_values, validate_variables)


def validate_dataset(images: np.ndarray, labels: np.ndarray,
                     causal_model: CausalModel | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (n, ...) and labels (n, v) of one length n >= 1: ellipses (n, 1, 28, 28) and (n, 3) where there is
    no ``causal_model`` of one's own."""
    if causal_model is None:
        images, labels = validate_images(images), validate_labels(labels)
    else:
        images, labels = validate_inputs(images, "images"), validate_values(labels)
    if labels.ndim != 2:
        raise ValueError(f"labels must have shape (n, {labels.shape[-1]}), got {labels.shape}")
    if len(images) != len(labels):
        raise ValueError(f"images and labels must have the same length, got {len(images)} and {len(labels)}")
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got 0")
    return images, labels


def _answer_by_parts(base: np.ndarray, sources: np.ndarray, groups: list[list[int]], weights: np.ndarray) -> np.ndarray:
    """The base's part of the sum plus those of the sources: where the sum is exactly the threshold, the order of adding
    decides the last digit, and so the answer."""
    own = [np.where(np.isin(range(base.shape[1]), group), weights, 0.0) for group in groups]
    parts = [source @ part for source, part in zip(sources, own)]
    return (base @ (weights - sum(own)) + sum(parts) > THRESHOLD).astype(np.float32)


def _create_dataset(variables, images, labels, coefficients, size, return_labels, seed, causal_model, one_source):
    images, labels = validate_dataset(images, labels, causal_model)
    variables = validate_variables(variables, labels.shape[1])
    groups = [variables] if one_source else [[v] for v in variables]
    weights, rng = validate_coefficients(coefficients), random_state(seed)
    answer = as_causal_model(causal_model, weights)
    size = len(images) if size is None else validate_count(size, "size")
    validate_memory(size, "size", (1 + len(groups)) * (images[0].nbytes + 8 * labels.shape[1]))
    drawn = rng.choice(len(images), size=(1 + len(groups), size))
    base, sources = labels[drawn[0]], labels[drawn[1:]]
    counterfactual = intervene_on_labels(base, sources, groups)
    y = _answer_by_parts(base, sources, groups, weights) if causal_model is None else answer(counterfactual)
    result = tuple(map(torch.from_numpy, (images[drawn[0]], images[drawn[1:]], answer(base), answer(sources), y)))
    return (*result, base, sources, counterfactual) if return_labels else result


def create_single_source_counterfactual_dataset(
    variables: Sequence[int], images: np.ndarray, labels: np.ndarray, coefficients: Sequence[float] = COEFFICIENTS,
    size: int | None = None, return_labels: bool = False, seed: int | np.random.Generator | None = None, *,
    causal_model: CausalModel | None = None,
) -> tuple:
    """Draw pairs in which one source sets all of ``variables`` at once.

    Base and source are drawn independently and with replacement from ``images``.

    Args:
        variables: distinct indices of variables; of the ellipses 0 (circularity), 1 (color), 2 (area).
        images: (n, 28, 28) or (n, 1, 28, 28); with a ``causal_model`` any inputs (n, ...).
        labels: (n, 3), each in [0, 1]; with a ``causal_model`` any values (n, v).
        coefficients: three weights of the ellipses' causal model.
        size: number of pairs to draw, at least 1; None for as many as there are images.
        return_labels: also return the labels of base, sources and counterfactual.
        seed: an int or a Generator; None follows ``np.random.seed``.
        causal_model: one of your own in place of ``coefficients``, see ``data_utils.as_causal_model``.

    Returns:
        X_base (size, 1, 28, 28), X_sources (1, size, 1, 28, 28), y_base (size), y_sources (1, size),
        y_counterfactual (size), all float32 tensors; with ``return_labels`` then also three arrays:
        base labels (size, 3), source labels (1, size, 3), counterfactual labels (size, 3).

    Raises:
        ValueError, TypeError: an argument is empty, out of range or of the wrong shape or type.
    """
    return _create_dataset(variables, images, labels, coefficients, size, return_labels, seed, causal_model, True)


def create_multi_source_counterfactual_dataset(
    variables: Sequence[int], images: np.ndarray, labels: np.ndarray, coefficients: Sequence[float] = COEFFICIENTS,
    size: int | None = None, return_labels: bool = False, seed: int | np.random.Generator | None = None, *,
    causal_model: CausalModel | None = None,
) -> tuple:
    """Draw tuples of one base and ``len(variables)`` sources; source i sets variable ``variables[i]`` alone.

    Arguments, errors and results as for ``create_single_source_counterfactual_dataset``, with
    k = len(variables) sources: X_sources (k, size, 1, 28, 28), y_sources (k, size), source labels (k, size, 3).
    """
    return _create_dataset(variables, images, labels, coefficients, size, return_labels, seed, causal_model, False)


class PairBatch(NamedTuple):
    """Bases (b,) as indices into the pool, sources (k, p) as positions among these bases, and the causal model's
    float32 answers: ``y_base`` (b,) and ``y_counterfactual`` (p,). The base of pair j is number j modulo b."""

    base: torch.Tensor
    sources: torch.Tensor
    y_base: torch.Tensor
    y_counterfactual: torch.Tensor


@dataclass
class PairPool:
    """Inputs to draw fresh pairs from at every training step.

    The sources of a batch are its own bases in another order. Any input is then as likely a source as any other,
    and one pass of the batch through the network yields the activations of bases and sources both.

    Attributes:
        images: (n, 28, 28) or (n, 1, 28, 28); with a ``causal_model`` any inputs (n, ...).
        labels: (n, 3); with a ``causal_model`` any values (n, v).
        variables: for each source the list of variables that it sets; ``[[0, 1]]`` is one source for both,
            ``[[0], [1]]`` one source each.
        coefficients: three weights of the ellipses' causal model.
        causal_model: one of your own in place of ``coefficients``, see ``data_utils.as_causal_model``.

    Raises:
        ValueError, TypeError: an attribute is empty, out of range or of the wrong shape or type.
    """

    images: np.ndarray
    labels: np.ndarray
    variables: Sequence[Sequence[int]]
    coefficients: Sequence[float] | np.ndarray = COEFFICIENTS
    causal_model: CausalModel | None = None

    def __post_init__(self) -> None:
        self.images, self.labels = validate_dataset(self.images, self.labels, self.causal_model)
        self.variables = validate_groups(self.variables, self.labels.shape[1])
        self.coefficients = validate_coefficients(self.coefficients)
        self.answer = as_causal_model(self.causal_model, self.coefficients)
        pairs = self.draw(len(self), np.random.default_rng(0))  # a causal model that does not fit is told at once
        self.num_answers = 1 + int(torch.cat([pairs.y_base, pairs.y_counterfactual]).max())

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, batch_size: int, rng: np.random.Generator, reorderings: int = 1) -> PairBatch:
        """Draw ``batch_size`` bases without replacement and permute them into sources, ``reorderings`` times."""
        batch_size = validate_count(batch_size, "batch_size", maximum=len(self))
        base = rng.choice(len(self), size=batch_size, replace=False, shuffle=False)
        orders = [[rng.permutation(batch_size) for _ in range(reorderings)] for _ in self.variables]
        order, z = np.stack([np.concatenate(several) for several in orders]), self.labels[base]
        y_counterfactual = self.answer(intervene_on_labels(np.tile(z, (reorderings, 1)), z[order], self.variables))
        return PairBatch(*map(torch.from_numpy, (base, order, self.answer(z), y_counterfactual)))


class Batch(NamedTuple):
    """What one training step needs, of p pairs with k sources each.

    Attributes:
        X: inputs (m, ...) to run, the b bases first: b is m, or p where sources follow that are no bases. The base of
            pair j is row j modulo b.
        sources: for each source, at which rows of ``X`` it is: (k, p).
        y_base: answers to the bases (b,), or None where they are not known.
        y_counterfactual: answers under the intervention (p,).
        rows: which of the given pairs these are (p,), or None for fresh ones.
    """

    X: torch.Tensor
    sources: torch.Tensor
    y_base: torch.Tensor | None
    y_counterfactual: torch.Tensor
    rows: torch.Tensor | None


def given_batches(
    X_base: torch.Tensor, X_sources: torch.Tensor, y_base: torch.Tensor | None, y_counterfactual: torch.Tensor,
    batch_size: int, num_epochs: int, seed: int,
) -> Iterator[Batch]:
    """Epochs over given pairs, in a new order each."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(num_epochs):
        for rows in torch.randperm(len(X_base), generator=generator, device="cpu").split(batch_size):
            X = torch.cat([X_base[rows], X_sources[:, rows].flatten(0, 1)])
            sources = torch.arange(len(rows), len(X), device="cpu").view(-1, len(rows))
            yield Batch(X, sources, None if y_base is None else y_base[rows], y_counterfactual[rows], rows)


def fresh_batches(pool: PairPool, batch_size: int, num_steps: int, seed: int, reorderings: int = 1) -> Iterator[Batch]:
    """New pairs at every step; the bases of a batch are each other's sources, so nothing else need be run."""
    images, rng = torch.from_numpy(pool.images), np.random.default_rng(seed)
    for _ in range(num_steps):
        pairs = pool.draw(batch_size, rng, reorderings)
        yield Batch(images[pairs.base], pairs.sources, pairs.y_base, pairs.y_counterfactual, None)
