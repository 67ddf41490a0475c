"""How a network's answer responds to what is done to one layer: to several swaps, to a subspace that is slid."""
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn.utils import parametrize

from utils.counterfactual_data_utils import validate_dataset
from utils.data_utils import COEFFICIENTS, CausalModel, as_causal_model
from utils.interventions.build import get_intervention, get_layer, validate_intervenable
from utils.interventions.layers import find_layer, record, rewire
from utils.interventions.passes import can_share_a_pass
from utils.interventions.rotated_space import pv
from utils.measure_utils import draw_pairs
from utils.model_utils import count_answers, read_logits, to_probabilities, validate_batch
from utils.running.guard import evaluating, model_device
from utils.validation import validate_count, validate_values


@torch.no_grad()
def answer_changes(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor, X_source: torch.Tensor,
    change: Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]], count: int, rows: int = 2048,
) -> torch.Tensor:
    """Logits (count, n) or (count, n, c) of inputs (n, ...) after each of ``count`` changes of the aligned layer.

    The network runs once up to there; ``change`` makes the list of changed outputs from those for some bases and for
    their sources, for as many pairs at a time as give ``rows`` changed outputs.
    """
    model, logits, batch_size = intervenable.model, [], max(1, rows // count)
    module = find_layer(model, get_layer(intervenable))
    copies = 1 if can_share_a_pass(intervenable, X_base) else count  # of each base, for what leads around the layer
    for parts in zip(X_base.split(batch_size), X_source.split(batch_size)):
        bases, sources = (part.to(model_device(model)) for part in parts)
        with evaluating(model), parametrize.cached():
            there = record(model, module, sources)[0]
            with rewire(module, lambda here: torch.cat(change(here[:len(there)], there))):  # noqa: B023  # called here
                found = read_logits(model(torch.cat([bases] * copies)), count * len(bases))
        logits.append(found.view(count, len(bases), *found.shape[1:]).cpu())
    to_probabilities(torch.cat(logits, dim=1).flatten())  # refuses nan
    return torch.cat(logits, dim=1)


def _find_crossing(values: np.ndarray, dose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where logits (doses, n) first change sign: whether they do, and at which dose, on the line between neighbors."""
    changed = (values > 0) != (values[0] > 0)
    step = np.maximum(changed.argmax(axis=0), 1)
    before, after = (np.take_along_axis(values, at[None], axis=0)[0] for at in (step - 1, step))
    with np.errstate(invalid="ignore", divide="ignore"):
        return changed.any(axis=0), dose[step - 1] + (dose[1] - dose[0]) * before / (before - after)


def dose_response(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, block: int, variable: int,
    n: int = 10_000, doses: int = 41, coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
    batch_size: int = 100, causal_model: CausalModel | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Slide one subspace from base to source in small steps, and find where the answer flips.

    Only pairs are used whose answer the causal model flips on the way, n of them where 12 n random pairs hold so many.

    Args:
        intervenable: with yes-or-no answers, all interventions at one layer.
        images, labels, coefficients, causal_model: as for ``measure_utils.score_alignment``; labels are numbers.
        block, variable: which subspace holds which variable.

    Returns:
        causal: value of the variable at which the causal model flips.
        network: the same for the network; left out are pairs that never flip or are answered wrongly from the start.
        share: of the pairs that are left.
    """
    validate_intervenable(intervenable)
    images, labels = validate_dataset(images, labels, causal_model)
    block = validate_count(block, "block", 0, len(intervenable.interventions) - 1)
    doses, batch_size = validate_count(doses, "doses", minimum=2), validate_count(batch_size, "batch_size")
    X, labels = validate_batch(images, intervenable.model, "images"), validate_values(labels, numbers=True)
    if (answers := count_answers(intervenable.model, X, "images")) > 2:
        raise ValueError(f"intervenable must answer yes or no, its network chooses from {answers} answers")
    pairs = draw_pairs(labels, [[variable]], 12 * n, coefficients, seed=seed, causal_model=causal_model)
    flip = np.flatnonzero(pairs.y_counterfactual != pairs.y_base)[:n]
    if len(flip) == 0:
        raise ValueError(f"variable must be one that changes the causal model's answer, {variable} never does")
    base, source = pairs.base[flip], pairs.sources[0][flip]
    z_base, z_source, dose = labels[base], labels[source], np.linspace(0, 1, doses)
    start, way = z_base[:, variable], z_source[:, variable] - z_base[:, variable]

    low, high = np.zeros(len(base)), np.ones(len(base))  # of the dose at which the causal model flips, by halving
    answer = as_causal_model(causal_model, coefficients)
    for _ in range(40):
        middle, z = (low + high) / 2, z_base.copy()
        z[:, variable] = start + middle * way
        flipped = answer(z) != pairs.y_base[flip]
        low, high = np.where(flipped, low, middle), np.where(flipped, middle, high)

    intervention = get_intervention(intervenable)

    def slide(here: torch.Tensor, there: torch.Tensor) -> list[torch.Tensor]:
        return [intervention(here, torch.lerp(here, there, float(d)), [[block]] * len(here)) for d in dose]

    found = answer_changes(intervenable, X[base], X[source], slide, doses, batch_size * doses)
    values = (found if found.ndim == 2 else found[..., 1] - found[..., 0]).numpy()
    crosses, crossing = _find_crossing(values, dose)
    flips = crosses & ((values[0] > 0) == pairs.y_base[flip].astype(bool))
    return (start + high * way)[flips], (start + crossing * way)[flips], float(flips.mean())


def slope_and_correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the line that fits y to x by least squares, and their correlation; nan with under three points."""
    if len(x) < 3:
        return float("nan"), float("nan")
    return float(np.polyfit(x, y, 1)[0]), float(np.corrcoef(x, y)[0, 1])
