"""What a search adds: DAS beside principal components and random directions, and beside linear probes."""
from itertools import combinations

import numpy as np
import torch

from studies.controls.subspaces import comparison_bases, outputs_at, principal_components, share_right
from studies.early.course import PAIRS, data, fit, untrained_cnn
from studies.recipes import base_cnn
from utils.data_utils import VARIABLE_NAMES
from utils.interventions.layers import flatten_neurons, restore_neurons
from utils.interventions.rotated_space import pv
from utils.measure_utils import draw_pairs, score_alignment
from utils.measures.readout import probe_r2
from utils.measures.response import answer_changes
from utils.model_utils import PyTorchCNN

DRAWS, COMPONENTS, PROBED, STEPS = 20, 128, 6_000, 200
SETS = tuple(variables for size in (1, 2, 3) for variables in combinations(range(3), size))


def name_set(variables: tuple[int, ...]) -> str:
    """As in "circularity + color"."""
    return " + ".join(VARIABLE_NAMES[variable] for variable in variables)


def swap_each_basis(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, variable: int,
    bases: list[torch.Tensor], n: int, seed: int = 0,
) -> np.ndarray:
    """IIA over n pairs when a variable is to be swapped, for each of some bases (neurons, d) of the aligned layer."""
    pairs, X = draw_pairs(labels, [[variable]], n, seed=seed), torch.from_numpy(images)[:, None]

    def change(here: torch.Tensor, there: torch.Tensor) -> list[torch.Tensor]:
        flat, other = flatten_neurons(here), flatten_neurons(there)
        return [restore_neurons(flat + (other - flat) @ basis @ basis.T, here) for basis in bases]

    logits = answer_changes(intervenable, X[pairs.base], X[pairs.sources[0]], change, len(bases))
    return share_right(logits, pairs.y_counterfactual)


def run_directions(layer: str, seed: int) -> dict[str, float]:
    """IIA at a layer of the base network of a seed: DAS, as many principal components, and random directions."""
    figures: dict[str, float] = {}
    images, labels = data(False)
    for variable, name in enumerate(VARIABLE_NAMES):
        intervenable = fit(base_cnn(seed), layer, (variable,), seed, num_steps=STEPS)
        score = score_alignment(intervenable, images, labels, [[variable]], PAIRS, 0)
        bases = comparison_bases(intervenable, torch.from_numpy(images[-1000:])[:, None], DRAWS, seed)
        flat = [basis for group in bases.values() for basis in group]
        aligned, principal, *drawn = swap_each_basis(intervenable, images, labels, variable, flat, PAIRS)
        found = {"DAS": aligned, "principal": principal, "random mean": np.mean(drawn), "random best": max(drawn),
                 "keep": score.keep, "copy": score.copy, "majority": score.majority, "ceiling": score.ceiling}
        figures |= {f"{name} {way}": float(value) for way, value in found.items()}
    return figures


def components(model: PyTorchCNN, layer: str, images: np.ndarray) -> np.ndarray:
    """A layer's output for images, along ``COMPONENTS`` principal components of the first thousand: (n, components)."""
    X = torch.from_numpy(images)[:, None]
    first = outputs_at(model, layer, X[:1000])
    center, directions = first.mean(dim=0), principal_components(first, COMPONENTS)
    return torch.cat([(outputs_at(model, layer, part) - center) @ directions for part in X.split(500)]).cpu().numpy()


def run_probes(network: str, layer: str, seed: int) -> dict[str, float]:
    """For each set of variables at a layer: R^2 of a linear probe of their sum, and DAS; trained or untrained."""
    model, (images, labels) = base_cnn(seed) if network == "trained" else untrained_cnn(seed), data(False)
    seen = components(model, layer, images[:PROBED])
    figures = {}
    for variables in SETS:
        figures[f"{name_set(variables)} probe"] = probe_r2(seen, labels[:PROBED, variables].sum(axis=1))
        score = score_alignment(fit(model, layer, variables, seed), images, labels, [variables], PAIRS, 0)
        figures |= {f"{name_set(variables)} {key}": getattr(score, key) for key in ("iia", "normalized_iia")}
    return figures
