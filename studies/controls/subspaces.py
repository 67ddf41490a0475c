"""Two questions to an aligned subspace: is it needed, and do its coordinates mean the same in another network?"""
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from utils.data_utils import causal_model, random_state
from utils.interventions.build import get_basis, get_coordinates, get_layer
from utils.interventions.layers import find_layer, flatten_neurons, record, restore_neurons
from utils.interventions.rotated_space import pv
from utils.interventions.rotation import draw_directions
from utils.measure_utils import draw_pairs
from utils.measures.response import answer_changes
from utils.model_utils import to_answers, to_probabilities
from utils.running.guard import evaluating

ROWS = 512  # pairs at a time


@torch.no_grad()
def outputs_at(model: nn.Module, layer: str | None, X: torch.Tensor) -> torch.Tensor:
    """Outputs (n, neurons) of a layer for inputs (n, ...)."""
    with evaluating(model):
        return flatten_neurons(record(model, find_layer(model, layer), X)[0])


def principal_components(outputs: torch.Tensor, count: int) -> torch.Tensor:
    """The first ``count`` principal components (neurons, count) of a layer's outputs (n, neurons)."""
    return torch.linalg.svd(outputs - outputs.mean(dim=0), full_matrices=False)[2][:count].T


def share_right(logits: torch.Tensor, y: np.ndarray) -> np.ndarray:
    """For each row of logits (count, n) the share of answers that are those of y (n,)."""
    return (to_answers(to_probabilities(logits.flatten())).view(logits.shape).numpy() == y).mean(axis=1)


def comparison_bases(intervenable: pv.IntervenableModel, X: torch.Tensor, draws: int = 20, seed: int = 0) -> dict:
    """Subspaces (neurons, m) of the aligned layer, as large as the aligned one: its own, that of the principal
    components of what the layer makes of inputs (n, ...), and random ones, as a list."""
    basis = get_basis(intervenable)
    outputs = outputs_at(intervenable.model, get_layer(intervenable), X)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drawn = [draw_directions(*basis.shape) for _ in range(draws)]
    return {"aligned": [basis], "principal": [principal_components(outputs, basis.shape[1])], "random": drawn}


def ablate(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, bases: Mapping[str, Sequence], n: int,
    seed: int = 0,
) -> dict[str, float]:
    """Behavior on n images (m, 28, 28) when subspaces of the aligned layer are ablated.

    Args:
        labels: (m, 3).
        bases: by name, subspaces (neurons, d) of the layer.

    Returns:
        accuracy ``none`` without ablation; ``mean NAME``: coordinates at their mean; ``resampled NAME``: from another
        image; each the mean over the subspaces of that name.
    """
    rng = random_state(seed)
    rows, others = rng.choice(len(labels), n, replace=False), rng.choice(len(labels), n)
    X, X_other = (torch.from_numpy(images[index])[:, None] for index in (rows, others))
    directions = [basis for group in bases.values() for basis in group]
    center = outputs_at(intervenable.model, get_layer(intervenable), X[:1000]).mean(dim=0)

    def change(here: torch.Tensor, there: torch.Tensor) -> list[torch.Tensor]:
        flat, other = flatten_neurons(here), flatten_neurons(there)
        return [here] + [restore_neurons(flat + (goal - flat) @ basis @ basis.T, here)
                         for goal in (center, other) for basis in directions]

    logits = answer_changes(intervenable, X, X_other, change, 1 + 2 * len(directions))
    right = share_right(logits, causal_model(labels[rows]))
    names = [f"{way} {name}" for way in ("mean", "resampled") for name, group in bases.items() for _ in group]
    return {"none": float(right[0])} | {
        name: float(np.mean([share for share, of in zip(right[1:], names) if of == name])) for name in names}


def causal_ablation(labels: np.ndarray, variables: Sequence[int], n: int, seed: int = 0) -> dict[str, float]:
    """What the causal model itself scores when its variables are set to their means, or come from another image."""
    z, other = labels[:n].copy(), labels[random_state(seed).choice(len(labels), n)]
    y, found = causal_model(z), {}
    for way, values in (("mean", labels.mean(axis=0)[None]), ("resampled", other)):
        z = labels[:n].copy()
        z[:, variables] = np.broadcast_to(values, z.shape)[:, variables]
        found[way] = float((causal_model(z) == y).mean())
    return found


def axes(intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept (d,) of each coordinate as a line over its variable, fitted to images with labels (n, d)."""
    coordinates = get_coordinates(intervenable, torch.from_numpy(images)[:, None]).numpy()
    slopes, intercepts = np.array([np.polyfit(z, c, 1) for z, c in zip(labels.T, coordinates.T)]).T
    return slopes, intercepts


def transplant(
    source: pv.IntervenableModel, target: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, n: int,
    calibration: int | None = 100, seed: int = 0,
) -> np.ndarray:
    """Put each of three coordinates of one network, one for each variable, into another network.

    Args:
        source, target: with one direction for each variable, at a layer of as many neurons.
        images, labels: (m, 28, 28) and (m, 3), held out.
        n: pairs.
        calibration: images whose labels tell each network's scale and offset; None puts coordinates in as they are.

    Returns:
        for each variable the share of n pairs that the target answers as the causal model.
    """
    rng, right = random_state(seed), []
    chosen = rng.choice(len(labels), calibration or 2, replace=False)
    (a, b), (c, d) = (axes(model, images[chosen], labels[chosen]) for model in (source, target))
    X, basis = torch.from_numpy(images)[:, None], get_basis(target)
    foreign = get_coordinates(source, X).numpy()
    moved = torch.from_numpy((foreign - b) / a * c + d if calibration else foreign).float()
    for variable in range(labels.shape[1]):
        pairs = draw_pairs(labels, [[variable]], n, seed=seed)
        inputs, direction = moved[pairs.sources[0], variable], basis[:, variable]
        place = iter(inputs.split(ROWS))

        def write(here: torch.Tensor, there: torch.Tensor) -> list[torch.Tensor]:
            return [here + (next(place) - here @ direction)[:, None] * direction]  # noqa: B023  # called at once

        logits = answer_changes(target, X[pairs.base], X[pairs.base], write, 1, ROWS)
        right.append(float(share_right(logits, pairs.y_counterfactual)[0]))
    return np.array(right)
