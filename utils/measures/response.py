"""How a network's answer responds: to one subspace slid continuously, and over the plane of two variables."""
from collections.abc import Sequence

import numpy as np
import torch

from utils.das_utils import iit_predict
from utils.data_utils import COEFFICIENTS, THRESHOLD, intervene_on_labels
from utils.interventions.build import one_source_subspaces, pv
from utils.measure_utils import draw_pairs
from utils.model_utils import model_device
from utils.interventions.passes import common_layer, intervene, run_plainly
from utils.validation import validate_coefficients, validate_images


@torch.no_grad()
def dose_response(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, block: int, variable: int,
    n: int = 10_000, doses: int = 41, coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
    batch_size: int = 1000,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Slide one subspace from base to source in small steps, and find where the answer flips.

    Only pairs are used whose answer the causal model flips on the way, n of them where 12 n random pairs hold so many.

    Returns:
        causal: value of the variable at which the causal model flips, (0.6 - rest) / coefficient, in [0, 1].
        network: the same for the network; left out are pairs that never flip or are answered wrongly from the start.
        share: of the pairs that are left.
    """
    coefficients = validate_coefficients(coefficients)
    pairs = draw_pairs(labels, [[variable]], 12 * n, coefficients, seed=seed)
    flip = np.flatnonzero(pairs.y_counterfactual != pairs.y_base)[:n]
    base, source = pairs.base[flip], pairs.sources[0][flip]
    z_base, z_source = labels[base], labels[source]
    rest = z_base @ coefficients - z_base[:, variable] * coefficients[variable]
    causal = (THRESHOLD - rest) / coefficients[variable]

    images, device = torch.from_numpy(validate_images(images)), model_device(intervenable.model)
    layer = common_layer(intervenable)
    dose, logits = np.linspace(0, 1, doses), []
    for start in range(0, len(base), batch_size):
        X_base, X_source = (images[index[start:start + batch_size]].to(device) for index in (base, source))
        here, there = (run_plainly(intervenable, X) for X in (X_base, X_source))
        subspaces = one_source_subspaces(intervenable, [block], len(X_base))
        resumed = here.activations[0] if layer else X_base
        between = ([torch.lerp(*ends, float(d)) for ends in zip(here.activations, there.activations)] for d in dose)
        logits.append([intervene(intervenable, resumed, mixed, subspaces, layer).cpu().numpy() for mixed in between])
    logits = np.concatenate(logits, axis=1)
    changed = (logits > 0) != (logits[0] > 0)
    flips = changed.any(axis=0) & ((logits[0] > 0) == pairs.y_base[flip].astype(bool))
    step = np.maximum(changed.argmax(axis=0), 1)
    before, after = (np.take_along_axis(logits, at[None], axis=0)[0] for at in (step - 1, step))
    with np.errstate(invalid="ignore", divide="ignore"):
        crossing = dose[step - 1] + (dose[1] - dose[0]) * before / (before - after)
    network = z_base[:, variable] + crossing * (z_source - z_base)[:, variable]
    return causal[flips], network[flips], float(flips.mean())


def slope_and_correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the line that fits y to x by least squares, and their correlation; nan with under three points."""
    if len(x) < 3:
        return float("nan"), float("nan")
    return float(np.polyfit(x, y, 1)[0]), float(np.corrcoef(x, y)[0, 1])


def map_iia(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray,
    variables: Sequence[Sequence[int]] = ((0,), (1,), (2,)), n: int = 40_000, bins: int = 10, seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the plane of circularity and area of the counterfactual the intervened answers are right.

    Returns:
        two integer arrays (bins, bins), rows by circularity, columns by area: pairs answered rightly, and pairs.
    """
    pairs = draw_pairs(labels, variables, n, seed=seed)
    counterfactual = intervene_on_labels(labels[pairs.base], labels[pairs.sources], variables)
    answers = (iit_predict(intervenable, *pairs.images(images)) > 0.5).float().numpy()
    cells = np.minimum((counterfactual[:, [0, 2]] * bins + 1e-9).astype(int), bins - 1)
    right, count = np.zeros((bins, bins), dtype=int), np.zeros((bins, bins), dtype=int)
    np.add.at(count, tuple(cells.T), 1)
    np.add.at(right, tuple(cells[answers == pairs.y_counterfactual].T), 1)
    return right, count
