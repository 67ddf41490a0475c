"""Measures that ask more of an alignment than accuracy: does a subspace do its own work, only that, and alone?

Blocks are those of a model from ``build_intervenable``; ``variables[i]`` is the variable that block i should hold.
"""
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from utils.data_utils import (COEFFICIENTS, VARIABLE_NAMES, causal_model, find_turn, intervene_on_labels, random_state,
                              render_images)
from utils.das_utils import iit_predict
from utils.interventions.build import build_intervenable, flatten_neurons, get_basis, one_source_subspaces, pv
from utils.measure_utils import draw_pairs
from utils.model_utils import LAYER_SIZES, model_device, predict
from utils.interventions.passes import run_plainly
from utils.validation import NUM_VARIABLES, validate_count, validate_images, validate_labels, validate_variables


def _answers(probabilities: torch.Tensor) -> np.ndarray:
    return (probabilities > 0.5).float().numpy()


def swap_blocks(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor, X_source: torch.Tensor, blocks: Sequence[int]
) -> torch.Tensor:
    """Probabilities (n,) when the named blocks of the shared basis all come from one source; images (n, 1, 28, 28)."""
    X_sources = X_source[None].expand(len(intervenable.interventions), *X_source.shape)
    subspaces = one_source_subspaces(intervenable, blocks, len(X_base))
    return iit_predict(intervenable, X_base, X_sources, subspaces=subspaces)


def cross_matrix(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, n: int = 10_000,
    coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Swap block i alone and score the answers against the intervention on variable j.

    Returns:
        two arrays (blocks, 3): IIA over all pairs, and over those whose answer the intervention on j changes.
    """
    pairs = draw_pairs(labels, [[0]], n, coefficients, seed=seed)
    X_base, X_source = pairs.images(images)
    z_base, z_source = labels[pairs.base], labels[pairs.sources]
    targets = [causal_model(intervene_on_labels(z_base, z_source, [[j]]), coefficients) for j in range(NUM_VARIABLES)]
    every, flips = [], []
    for block in range(len(intervenable.interventions)):
        answers = _answers(swap_blocks(intervenable, X_base, X_source[0], [block]))
        every.append([(answers == y).mean() for y in targets])
        flips.append([(answers == y)[y != pairs.y_base].mean() for y in targets])
    return np.array(every), np.array(flips)


def draw_isolating_pairs(
    labels: np.ndarray, variable: int, n: int, tolerance: float = 0.01, distance: float = 0.1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n,) of bases and sources that agree on one variable and differ in both others.

    Args:
        labels: (m, 3).
        variable: which one agrees, to within ``tolerance``.
        n: pairs; drawn with replacement.
        distance: least difference of each other variable.
    """
    labels, rng = validate_labels(labels), random_state(seed)
    order = np.argsort(labels[:, variable], kind="stable")
    values = labels[order, variable]
    others = [v for v in range(NUM_VARIABLES) if v != variable]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    count = 0
    for _ in range(100):
        base = rng.integers(len(labels), size=2 * n)
        first = np.searchsorted(values, labels[base, variable] - tolerance, side="left")
        last = np.searchsorted(values, labels[base, variable] + tolerance, side="right")
        source = order[rng.integers(first, last)]
        keep = (np.abs(labels[base] - labels[source])[:, others] >= distance).all(axis=1)
        found.append((base[keep], source[keep]))
        count += int(keep.sum())
        if count >= n:
            return tuple(np.concatenate(part)[:n] for part in zip(*found))
    raise ValueError(f"pairs that agree on {VARIABLE_NAMES[variable]} are too rare: found {count} of n = {n}")


def cause_isolate(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, variables: Sequence[int],
    n: int = 10_000, coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
) -> pd.DataFrame:
    """Cause, isolate and disentangle of each variable (RAVEL, Huang et al. 2024, arXiv:2402.17700).

    Cause: flip-IIA when its block alone is swapped. Isolate: share of answers that stay as they are when the block
    is swapped between images that agree on the variable. Disentangle: their mean.

    Returns:
        one row for each variable.
    """
    variables = validate_variables(variables)
    images = torch.from_numpy(validate_images(images))
    flips = cross_matrix(intervenable, images.numpy(), labels, n, coefficients, seed)[1]
    rows = []
    for block, variable in enumerate(variables):
        base, source = draw_isolating_pairs(labels, variable, n, seed=seed)
        swapped = swap_blocks(intervenable, images[base], images[source], [block])
        isolate = (_answers(swapped) == _answers(predict(intervenable.model, images[base]))).mean()
        cause = flips[block, variable]
        rows.append({"variable": VARIABLE_NAMES[variable], "cause": cause, "isolate": isolate,
                     "disentangle": (cause + isolate) / 2, "n": n})
    return pd.DataFrame(rows).set_index("variable")


def self_consistency(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, variables: Sequence[Sequence[int]],
    n: int = 10_000, seed: int = 0,
) -> float:
    """Share of intervened answers that equal the network's own answer to the rendered counterfactual image.

    It separates a bad alignment (low) from a bad classifier (high, but low IIA).
    """
    pairs = draw_pairs(labels, variables, n, seed=seed)
    X_base, X_sources = pairs.images(images)
    counterfactual = intervene_on_labels(labels[pairs.base], labels[pairs.sources], variables)
    rendered = torch.from_numpy(render_images(counterfactual, find_turn(X_base.numpy())))[:, None]
    own = _answers(predict(intervenable.model, rendered))
    return float((_answers(iit_predict(intervenable, X_base, X_sources)) == own).mean())


def complement_iia(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, variables: Sequence[int],
    n: int = 10_000, coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
) -> dict[str, float]:
    """Swap everything orthogonal to the aligned blocks; only the variables that are NOT aligned may change.

    Swapping the complement is swapping the aligned blocks the other way round, from base into source.

    Returns:
        ``iia`` against the target, ``flip_iia`` over pairs whose target differs from the base's answer (nan where
        all variables are aligned, so that nothing may change), and ``n``.
    """
    aligned = validate_variables(variables)
    pairs = draw_pairs(labels, [[0]], n, coefficients, seed=seed)
    X_base, X_source = pairs.images(images)
    swapped = swap_blocks(intervenable, X_source[0], X_base, range(len(intervenable.interventions)))
    z_base, z_source = labels[pairs.base], labels[pairs.sources[0]]
    target = causal_model(intervene_on_labels(z_source, z_base[None], [aligned]), coefficients)
    right, flip = _answers(swapped) == target, target != pairs.y_base
    return {"iia": float(right.mean()), "flip_iia": float(right[flip].mean()) if flip.any() else float("nan"), "n": n}


def unaligned_effects(
    intervenable: pv.IntervenableModel, layer: str, images: np.ndarray, labels: np.ndarray, units: int = 16,
    n: int = 2_000, seed: int = 0,
) -> np.ndarray:
    """Effect of each unit that is not aligned; strict IIT bounds it (InterpBench, Gupta et al. 2024, arXiv:2407.14494).

    The units are the principal directions of what the aligned subspace leaves of the layer, largest variance first.

    Returns:
        for each unit the share of pairs, out of those to whose base and source the causal model answers differently,
        for which swapping it makes the network's answer differ from the causal model's answer to the base; empty
        where nothing is left of the layer.
    """
    basis = get_basis(intervenable)
    units = min(validate_count(units, "units"), LAYER_SIZES[layer] - basis.shape[1])
    if units <= 0:
        return np.empty(0)
    model, images = intervenable.model, torch.from_numpy(validate_images(images))
    with torch.no_grad():
        activations = run_plainly(intervenable, images[:1000].to(model_device(model))).activations[0]
    flat = flatten_neurons(activations)
    flat = flat - flat.mean(dim=0)
    flat = flat - flat @ basis @ basis.T
    directions = torch.linalg.svd(flat, full_matrices=False)[2][:units].T
    single = build_intervenable(model, layer, units)
    intervention = next(iter(single.interventions.values()))
    intervention.rotate_layer.weight = directions.contiguous()
    intervention.subspace_partition = [[unit] for unit in range(units)]
    pairs = draw_pairs(labels, [[0]], 3 * n, seed=seed)
    differ = np.flatnonzero(pairs.y_sources[0] != pairs.y_base)[:n]
    X_base, X_source = images[pairs.base[differ]], images[pairs.sources[0][differ]]
    answers = [_answers(swap_blocks(single, X_base, X_source, [unit])) for unit in range(units)]
    return np.array([(answer != pairs.y_base[differ]).mean() for answer in answers])
