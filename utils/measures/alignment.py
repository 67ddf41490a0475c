"""Measures that ask more of an alignment than accuracy: does a subspace do its own work, only that, and alone?

Blocks are those of a model from ``build_intervenable``; ``variables[i]`` is the variable that block i should hold.
"""
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from utils.counterfactual_data_utils import validate_dataset
from utils.das_utils import iit_predict
from utils.data_utils import (COEFFICIENTS, VARIABLE_NAMES, CausalModel, as_causal_model, find_turn,
                              intervene_on_labels, random_state, render_images)
from utils.interventions.build import get_basis, get_intervention, get_layer, validate_intervenable
from utils.interventions.layers import find_layer, flatten_neurons, record, restore_neurons
from utils.interventions.rotated_space import pv
from utils.measure_utils import draw_pairs
from utils.measures.response import answer_changes
from utils.model_utils import predict, to_answers, to_probabilities, validate_batch
from utils.running.guard import evaluating
from utils.validation import validate_count, validate_values, validate_variables


def swap_each(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor, X_source: torch.Tensor, choices: Sequence[Sequence[int]],
) -> list[np.ndarray]:
    """Answers (n,) when the blocks of each choice all come from one source; inputs (n, ...)."""
    validate_intervenable(intervenable)
    X_base, X_source = (validate_batch(X, intervenable.model, "images") for X in (X_base, X_source))
    intervention = get_intervention(intervenable)
    logits = answer_changes(intervenable, X_base, X_source, lambda here, there: [
        intervention(here, there, [list(blocks)] * len(here)) for blocks in choices], len(choices))
    return [to_answers(to_probabilities(found)).numpy() for found in logits]


def cross_matrix(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, n: int = 10_000,
    coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0, causal_model: CausalModel | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Swap block i alone and score the answers against the intervention on variable j.

    Inputs, labels and causal model are as for ``measure_utils.score_alignment``, here as below.

    Returns two arrays (blocks, variables): IIA over all pairs, and over those whose answer the intervention on j
    changes; nan where it changes none.
    """
    images, labels = validate_dataset(images, labels, causal_model)
    answer = as_causal_model(causal_model, coefficients)
    pairs = draw_pairs(labels, [[0]], n, coefficients, seed=seed, causal_model=causal_model)
    X_base, X_source = pairs.images(images)
    z_base, z_source = labels[pairs.base], labels[pairs.sources]
    targets = [answer(intervene_on_labels(z_base, z_source, [[j]])) for j in range(labels.shape[1])]
    every, flips = [], []
    for swapped in swap_each(intervenable, X_base, X_source[0], [[i] for i in range(len(intervenable.interventions))]):
        right = [swapped == y for y in targets]
        every.append([r.mean() for r in right])
        flips.append([r[y != pairs.y_base].mean() if (y != pairs.y_base).any() else np.nan
                      for r, y in zip(right, targets)])
    return np.array(every), np.array(flips)


def draw_isolating_pairs(labels: np.ndarray, variable: int, n: int, tolerance: float = 0.01, distance: float = 0.1,
                         seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n,), drawn with replacement, of bases and sources that agree on one variable and differ in all others.

    Args:
        labels: (m, v); values that are no numbers agree where they are equal.
        variable: which one agrees, to within ``tolerance``.
        distance: least difference of each other variable.
    """
    labels, rng = validate_values(labels), random_state(seed)
    if labels.dtype.kind not in "biuf":
        labels = np.stack([np.unique(column, return_inverse=True)[1] for column in labels.T], axis=1)
    labels = labels.astype(float)
    order = np.argsort(labels[:, variable], kind="stable")
    values = labels[order, variable]
    others = [v for v in range(labels.shape[1]) if v != variable]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    count = 0
    for _ in range(100):
        base = rng.choice(len(labels), size=2 * n)
        first = np.searchsorted(values, labels[base, variable] - tolerance, side="left")
        last = np.searchsorted(values, labels[base, variable] + tolerance, side="right")
        source = order[first + (rng.uniform(size=2 * n) * (last - first)).astype(int)]
        keep = (np.abs(labels[base] - labels[source])[:, others] >= distance).all(axis=1)
        found.append((base[keep], source[keep]))
        count += int(keep.sum())
        if count >= n:
            base, source = (np.concatenate(part)[:n] for part in zip(*found))
            return base, source
    raise ValueError(f"pairs that agree on variable {variable} alone are too rare: found {count} of n = {n}")


def cause_isolate(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, variables: Sequence[int],
    n: int = 10_000, coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
    causal_model: CausalModel | None = None, names: Sequence[str] = VARIABLE_NAMES,
) -> pd.DataFrame:
    """Cause, isolate and disentangle of each variable (RAVEL, Huang et al. 2024, arXiv:2402.17700).

    Cause: flip-IIA when its block alone is swapped. Isolate: share of answers that stay as they are when the block
    is swapped between inputs that agree on the variable. Disentangle: their mean. One row for each variable.
    """
    images, labels = validate_dataset(images, labels, causal_model)
    variables = validate_variables(variables, labels.shape[1])
    if len(variables) > (blocks := len(intervenable.interventions)):
        raise ValueError(f"variables must name one for each of {blocks} blocks at most, got {variables}")
    flips = cross_matrix(intervenable, images, labels, n, coefficients, seed, causal_model)[1]
    X, rows = torch.from_numpy(images), []
    for block, variable in enumerate(variables):
        base, source = draw_isolating_pairs(labels, variable, n, seed=seed)
        swapped, plain = swap_each(intervenable, X[base], X[source], [[block], []])
        cause, isolate = flips[block, variable], (swapped == plain).mean()
        name = names[variable] if variable < len(names) else f"variable {variable}"
        rows.append([name, cause, isolate, (cause + isolate) / 2, n])
    return pd.DataFrame(rows, columns=["variable", "cause", "isolate", "disentangle", "n"]).set_index("variable")


def self_consistency(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, variables: Sequence[Sequence[int]],
    n: int = 10_000, seed: int = 0, causal_model: CausalModel | None = None,
    render: Callable[[np.ndarray, torch.Tensor], np.ndarray] | None = None,
) -> float:
    """Share of intervened answers that equal the network's own answer to the rendered counterfactual input.

    It separates a bad alignment (low) from a bad classifier (high, but low IIA).

    Args:
        render: makes inputs (n, ...) from counterfactual labels (n, v) and the bases (n, ...); None paints ellipses,
            and is a ValueError with a ``causal_model`` of one's own.
    """
    if causal_model is not None and render is None:
        raise ValueError("render must make the inputs that a causal_model's labels describe, got None")
    images, labels = validate_dataset(images, labels, causal_model)
    pairs = draw_pairs(labels, variables, n, seed=seed, causal_model=causal_model)
    X_base, X_sources = pairs.images(images)
    counterfactual = intervene_on_labels(labels[pairs.base], labels[pairs.sources], variables)
    rendered = (render(counterfactual, X_base) if render is not None else
                render_images(counterfactual, find_turn(X_base.numpy()))[:, None])
    own = predict(intervenable.model, rendered)
    if len(own) != n:
        raise ValueError(f"render must make an input for each of {n} counterfactuals, got {len(own)}")
    return float((to_answers(iit_predict(intervenable, X_base, X_sources)) == to_answers(own)).float().mean())


def complement_iia(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, variables: Sequence[int],
    n: int = 10_000, coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
    causal_model: CausalModel | None = None,
) -> dict[str, float]:
    """Swap everything orthogonal to the aligned blocks; only the variables that are NOT aligned may change.

    Swapping the complement is swapping the aligned blocks the other way round, from base into source. Returns ``iia``
    against the target, ``flip_iia`` over pairs whose target differs from the base's answer (nan where all variables are
    aligned, so that nothing may change), and ``n``.
    """
    images, labels = validate_dataset(images, labels, causal_model)
    aligned = validate_variables(variables, labels.shape[1])
    pairs = draw_pairs(labels, [[0]], n, coefficients, seed=seed, causal_model=causal_model)
    X_base, X_source = pairs.images(images)
    swapped, = swap_each(intervenable, X_source[0], X_base, [range(len(intervenable.interventions))])
    z_base, z_source = labels[pairs.base], labels[pairs.sources[0]]
    target = as_causal_model(causal_model, coefficients)(intervene_on_labels(z_source, z_base[None], [aligned]))
    right, flip = swapped == target, target != pairs.y_base
    return {"iia": float(right.mean()), "flip_iia": float(right[flip].mean()) if flip.any() else float("nan"), "n": n}


def unaligned_effects(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, units: int = 16, n: int = 2_000,
    seed: int = 0, causal_model: CausalModel | None = None,
) -> np.ndarray:
    """Effect of each unit that is not aligned; strict IIT bounds it (InterpBench, Gupta et al. 2024, arXiv:2407.14494).

    The units are the principal directions of what the aligned subspace leaves of the layer, largest variance first.

    Returns:
        for each unit the share of pairs, out of those to whose base and source the causal model answers differently,
        for which swapping it makes the network's answer differ from the causal model's answer to the base; empty
        where nothing is left of the layer.
    """
    images, labels = validate_dataset(images, labels, causal_model)
    basis, position = get_basis(intervenable), get_intervention(intervenable).position
    units = min(validate_count(units, "units"), basis.shape[0] - basis.shape[1])
    if units <= 0:
        return np.empty(0)
    model, X = intervenable.model, validate_batch(images, intervenable.model, "images")
    with evaluating(model):
        flat = flatten_neurons(record(model, find_layer(model, get_layer(intervenable)), X[:1000])[0], position)
        flat = (flat - flat.mean(dim=0)).to(basis)
        directions = torch.linalg.svd(flat - flat @ basis @ basis.T, full_matrices=False)[2][:units]

    def swap_units(here: torch.Tensor, there: torch.Tensor) -> list[torch.Tensor]:
        base, source = (flatten_neurons(output, position).to(basis) for output in (here, there))
        change = (source - base) @ directions.T
        return [restore_neurons(base + change[:, [i]] * unit, here, position) for i, unit in enumerate(directions)]

    pairs = draw_pairs(labels, [[0]], 3 * n, seed=seed, causal_model=causal_model)
    differ = np.flatnonzero(pairs.y_sources[0] != pairs.y_base)[:n]
    if len(differ) == 0:
        raise ValueError("labels must hold inputs to which the causal model answers differently, found none")
    X_base, X_source = X[pairs.base[differ]], X[pairs.sources[0][differ]]
    found = map(to_probabilities, answer_changes(intervenable, X_base, X_source, swap_units, len(directions)))
    return np.array([(to_answers(p).numpy() != pairs.y_base[differ]).mean() for p in found])
