"""Distributed alignment search (DAS) and interchange intervention training (IIT) with pyvene.

DAS (Geiger et al. 2024, arXiv:2303.02536) learns a rotation of a frozen network's layer; IIT (Geiger et al. 2022,
arXiv:2112.00826) trains network and rotation together until the interchange does what the causal model does.
"""
from collections.abc import Sequence

import torch
from torch.nn.utils import parametrize
from tqdm.auto import tqdm

from utils.counterfactual_data_utils import PairPool
from utils.interventions.build import (CNNConfig, CustomLowRankRotatedSpaceIntervention, build_intervenable, get_basis,
                                      pv)
from utils.model_utils import accuracy, validate_batch, validate_targets, model_device
from utils.interventions.passes import validate_pairs, intervene, run_plainly
from utils.training_utils import fit, fixed_batches, fresh_batches
from utils.validation import validate_count, validate_number

__all__ = [
    "CNNConfig", "CustomLowRankRotatedSpaceIntervention", "build_intervenable", "get_basis", "das_train",
    "das_predict", "das_evaluate", "iit_train", "iit_predict", "iit_evaluate",
]
SCHEDULES = ("constant", "one_cycle")


def _train(intervenable, X_base, X_sources, y_counterfactual, lr, num_epochs, batch_size, subspaces, y_base,
           behavior_weight, schedule, pool, num_steps, seed, train_model):
    if not isinstance(intervenable, pv.IntervenableModel):
        raise TypeError(f"intervenable must be a pyvene IntervenableModel, got {type(intervenable).__name__}")
    lr = validate_number(lr, "lr", strict=True)
    behavior_weight = validate_number(behavior_weight, "behavior_weight")
    batch_size, seed = validate_count(batch_size, "batch_size"), validate_count(seed, "seed", minimum=0)
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, got {schedule!r}")
    if pool is not None:
        if X_base is not None or X_sources is not None or y_counterfactual is not None:
            raise ValueError("pool draws the pairs itself: give either a pool or X_base, X_sources, y_counterfactual")
        if y_base is not None:
            raise ValueError("y_base belongs to given pairs; a pool knows the answers to its bases")
        if not isinstance(pool, PairPool):
            raise TypeError(f"pool must be a PairPool, got {type(pool).__name__}")
        if subspaces is not None:
            raise ValueError("subspaces belong to given pairs; with a pool every intervention uses its own block")
        if len(pool.variables) != len(intervenable.interventions):
            raise ValueError(
                f"pool has {len(pool.variables)} sources, the model {len(intervenable.interventions)} interventions"
            )
        total = validate_count(num_steps, "num_steps")
        if batch_size > len(pool):
            raise ValueError(f"batch_size must be at most the pool's {len(pool)} images, got {batch_size}")
        batches = fresh_batches(pool, batch_size, total, seed)
    else:
        if num_steps is not None:
            raise ValueError("num_steps goes with a pool; given pairs are trained on for num_epochs")
        X_base, X_sources = validate_pairs(intervenable, X_base, X_sources, subspaces)
        y_counterfactual = validate_targets(y_counterfactual, len(X_base), "y_counterfactual")
        if y_base is None and behavior_weight:
            raise ValueError("behavior_weight above 0 needs y_base, the labels of the base images")
        if y_base is not None:
            y_base = validate_targets(y_base, len(X_base), "y_base")
        num_epochs = validate_count(num_epochs, "num_epochs")
        total = num_epochs * -(-len(X_base) // batch_size)
        batches = fixed_batches(X_base, X_sources, y_base, y_counterfactual, batch_size, num_epochs, seed)
    name = "IIT" if train_model else "DAS"
    return fit(intervenable, batches, total, lr, schedule, behavior_weight, subspaces, train_model, name)


def iit_train(
    intervenable: pv.IntervenableModel,
    X_base: torch.Tensor | None = None,
    X_sources: torch.Tensor | None = None,
    y_counterfactual: torch.Tensor | None = None,
    lr: float = 0.0005,
    num_epochs: int = 1,
    batch_size: int = 256,
    subspaces: Sequence | None = None,
    *,
    y_base: torch.Tensor | None = None,
    behavior_weight: float = 0.0,
    schedule: str = "constant",
    pool: PairPool | None = None,
    num_steps: int | None = None,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Interchange intervention training: fit network and rotation together, both in place.

    The loss is the binary cross-entropy of the intervened answer against the causal model's counterfactual answer,
    plus ``behavior_weight`` times that of the plain answer against the base label. Give either fixed pairs or a
    pool, from which every step draws new ones.

    Args:
        intervenable: from ``build_intervenable`` or pyvene; frozen and in eval mode again afterwards.
        X_base: (n, 1, 28, 28).
        X_sources: (k, n, 1, 28, 28), one source for each of the k interventions.
        y_counterfactual: (n,), each 0 or 1.
        lr: learning rate of Adam, the peak where there is a schedule.
        num_epochs: passes over given pairs.
        batch_size: pairs a step.
        subspaces: blocks to swap, [intervention][pair][block], as in pyvene; None: intervention i swaps block i.
        y_base: (n,), the labels of the bases; needed with given pairs if ``behavior_weight`` > 0.
        behavior_weight: 0 forgets the task while the alignment is trained; 1 weighs both alike.
        schedule: "constant" or "one_cycle".
        pool: images and labels to draw fresh pairs from.
        num_steps: steps to train with a pool.
        seed: of the order of pairs, or of the draws from the pool.

    Returns:
        history of every step: ``interchange_loss``, ``behavior_loss`` (nan where it is not asked for) and ``lr``.

    Raises:
        ValueError, TypeError: arguments of the wrong shape, length, type or range.
    """
    return _train(intervenable, X_base, X_sources, y_counterfactual, lr, num_epochs, batch_size, subspaces, y_base,
                  behavior_weight, schedule, pool, num_steps, seed, train_model=True)


def das_train(
    intervenable: pv.IntervenableModel,
    X_base: torch.Tensor | None = None,
    X_sources: torch.Tensor | None = None,
    y_counterfactual: torch.Tensor | None = None,
    lr: float = 0.01,
    num_epochs: int = 1,
    batch_size: int = 256,
    subspaces: Sequence | None = None,
    *,
    schedule: str = "one_cycle",
    pool: PairPool | None = None,
    num_steps: int | None = None,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Distributed alignment search: fit the rotation alone, the network frozen. Arguments as for ``iit_train``."""
    return _train(intervenable, X_base, X_sources, y_counterfactual, lr, num_epochs, batch_size, subspaces, None,
                  0.0, schedule, pool, num_steps, seed, train_model=False)


@torch.no_grad()
def iit_predict(
    intervenable: pv.IntervenableModel,
    X_base: torch.Tensor,
    X_sources: torch.Tensor,
    batch_size: int = 512,
    subspaces: Sequence | None = None,
) -> torch.Tensor:
    """Probabilities of answer 1 under the interchange intervention.

    Args:
        intervenable: with k interventions.
        X_base: (n, 1, 28, 28).
        X_sources: (k, n, 1, 28, 28); a single source serves all interventions, with a UserWarning.
        batch_size: pairs at a time.
        subspaces: as for ``iit_train``.

    Returns:
        CPU tensor (n,).
    """
    X_base, X_sources = validate_pairs(intervenable, X_base, X_sources, subspaces, broadcast=True)
    batch_size = validate_count(batch_size, "batch_size")
    device = model_device(intervenable.model)
    outputs = []
    with parametrize.cached():
        for start in tqdm(range(0, len(X_base), batch_size), desc="Evaluating", leave=False):
            rows = slice(start, start + batch_size)
            sources = X_sources[:, rows].to(device)
            activations = [run_plainly(intervenable, source).activations[i] for i, source in enumerate(sources)]
            part = subspaces and [chosen if chosen is None else chosen[rows] for chosen in subspaces]
            logits = intervene(intervenable, X_base[rows].to(device), activations, part)
            outputs.append(torch.sigmoid(logits).cpu())
    return torch.cat(outputs)


def iit_evaluate(
    intervenable: pv.IntervenableModel,
    X_base: torch.Tensor,
    X_sources: torch.Tensor,
    y_counterfactual: torch.Tensor,
    batch_size: int = 512,
    subspaces: Sequence | None = None,
) -> float:
    """Interchange intervention accuracy (Geiger et al. 2021): share of pairs with the causal model's answer.

    Arguments as for ``iit_predict``, and y_counterfactual (n,), each 0 or 1.
    """
    y_counterfactual = validate_targets(y_counterfactual, len(validate_batch(X_base, "X_base")), "y_counterfactual")
    return accuracy(iit_predict(intervenable, X_base, X_sources, batch_size, subspaces), y_counterfactual)


das_predict, das_evaluate = iit_predict, iit_evaluate  # only training differs: DAS leaves the network as it is
