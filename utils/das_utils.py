"""Distributed alignment search (DAS) and interchange intervention training (IIT) with pyvene.

DAS (Geiger et al. 2024, arXiv:2303.02536) learns a rotation of a frozen network's layer; IIT (Geiger et al. 2022,
arXiv:2112.00826) trains network and rotation together until the interchange does what the causal model does.
"""
import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from tqdm.auto import tqdm

from utils.counterfactual_data_utils import Batch, PairPool, fresh_batches, given_batches
from utils.interventions.build import build_intervenable, get_basis, get_coordinates, own_columns
from utils.interventions.passes import (can_share_a_pass, interchange, select_subspaces, swap_in_one_pass,
                                        swaps_own_blocks, try_out, validate_intervenable, validate_pairs)
from utils.interventions.rotated_space import CNNConfig, CustomLowRankRotatedSpaceIntervention, pv
from utils.model_utils import (accuracy, answer_loss, count_answers, one_cycle, to_probabilities, to_type_of,
                               validate_batch, validate_targets)
from utils.running.guard import StepBack, evaluating, model_device, optimizing, restoring
from utils.validation import is_a, validate_count, validate_number

__all__ = [
    "CNNConfig", "CustomLowRankRotatedSpaceIntervention", "build_intervenable", "get_basis", "get_coordinates",
    "das_train", "das_predict", "das_evaluate", "iit_train", "iit_predict", "iit_evaluate",
]
SCHEDULES = ("constant", "one_cycle")


def _prepare(intervenable: pv.IntervenableModel, train_model: bool) -> list[torch.nn.Parameter]:
    """Directions that learn, and a network that does or does not; returns the parameters that learn, each once."""
    intervenable.disable_model_gradients()
    if train_model:
        intervenable.enable_model_gradients()
        for module in intervenable.model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()  # it would mix swapped rows with plain ones
    parameters = list({id(p): p for p in intervenable.parameters() if p.requires_grad}.values())  # links repeat
    if not parameters:
        raise ValueError("intervenable has nothing to train: its interventions have no parameters")
    return parameters


def fit(
    intervenable: pv.IntervenableModel, batches: Iterator[Batch], num_steps: int, *, lr: float, schedule: str,
    behavior_weight: float = 0.0, subspaces: Sequence | None = None, train_model: bool, in_one_pass: bool = True,
) -> dict[str, list[float]]:
    """Minimize interchange loss + ``behavior_weight`` * behavior loss, a step a batch; returns the history."""
    history: dict[str, list[float]] = {"interchange_loss": [], "behavior_loss": [], "lr": []}
    with optimizing(intervenable.model, history, train_model), contextlib.ExitStack() as last:
        if not train_model:
            last.enter_context(restoring(intervenable.model))
        last.callback(intervenable.disable_model_gradients)
        parameters = _prepare(intervenable, train_model)
        optimizer, step_back = torch.optim.Adam(parameters, lr=lr), StepBack(intervenable.model, parameters)
        scheduler = one_cycle(optimizer, num_steps) if schedule == "one_cycle" else None
        columns = own_columns(intervenable) if in_one_pass and swaps_own_blocks(subspaces) else None
        device, keep_bases = model_device(intervenable.model), behavior_weight > 0
        bar = last.enter_context(tqdm(batches, total=num_steps, desc="IIT" if train_model else "DAS", leave=False))
        for batch in bar:
            X, p = to_type_of(intervenable.model, batch.X).to(device), len(batch.y_counterfactual)
            b = min(len(X), p)
            if columns:
                logits = swap_in_one_pass(intervenable, X, batch.sources.to(device), columns, keep_bases)
            else:
                chosen = select_subspaces(subspaces, range(p) if batch.rows is None else batch.rows)
                bases, sources = X[torch.arange(p, device=device) % b], [X[rows] for rows in batch.sources]
                logits = interchange(intervenable, bases, sources, chosen, keep_bases)
            loss = interchange_loss = answer_loss(logits[-p:], batch.y_counterfactual)
            if keep_bases:
                behavior_loss = answer_loss(logits[:b], batch.y_base)
                loss = interchange_loss + behavior_weight * behavior_loss
            optimizer.zero_grad()
            loss.backward()
            values = interchange_loss.item(), behavior_loss.item() if keep_bases else math.nan
            step_back.check(*values[:1 + keep_bases])
            optimizer.step()
            for key, value in zip(history, (*values, optimizer.param_groups[0]["lr"])):
                history[key].append(value)
            if scheduler:
                scheduler.step()
            if len(history["lr"]) % 10 == 1:
                bar.set_postfix({key: f"{history[key][-1]:.3f}" for key in ("interchange_loss", "behavior_loss")})
        step_back.check_last()
    return history


def _train(
    intervenable, X_base, X_sources, y_counterfactual, *, y_base=None, behavior_weight=0.0, pool, num_steps,
    num_epochs, batch_size, reorderings, lr, schedule, subspaces, seed, train_model,
):
    validate_intervenable(intervenable)
    model = intervenable.model
    settings = {"lr": validate_number(lr, "lr", 0, 1e30, strict=True), "schedule": schedule, "train_model": train_model,
                "behavior_weight": validate_number(behavior_weight, "behavior_weight"), "subspaces": subspaces}
    batch_size, seed = validate_count(batch_size, "batch_size"), validate_count(seed, "seed", minimum=0)
    reorderings = validate_count(reorderings, "reorderings", maximum=1000)
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, got {schedule!r}")
    if pool is None:
        if num_steps is not None or reorderings > 1:
            raise ValueError("num_steps and reorderings go with a pool; given pairs are trained on for num_epochs")
        X_base, X_sources = validate_pairs(intervenable, X_base, X_sources, subspaces)
        n, answers = len(X_base), count_answers(model, X_base, "X_base")
        y_counterfactual = validate_targets(y_counterfactual, n, "y_counterfactual", answers)
        if y_base is None and behavior_weight:
            raise ValueError("behavior_weight above 0 needs y_base, the labels of the base images")
        y_base = None if y_base is None else validate_targets(y_base, n, "y_base", answers)
        num_epochs = validate_count(num_epochs, "num_epochs", maximum=2**30)
        try_out(intervenable, X_base, subspaces)
        settings["in_one_pass"] = can_share_a_pass(intervenable, X_base)
        batches = given_batches(X_base, X_sources, y_base, y_counterfactual, batch_size, num_epochs, seed)
        return fit(intervenable, batches, num_epochs * -(-n // batch_size), **settings)
    if any(given is not None for given in (X_base, X_sources, y_counterfactual, y_base)):
        raise ValueError("pool draws the pairs itself: give a pool or X_base, X_sources, y_counterfactual, y_base")
    if not is_a(pool, PairPool):
        raise TypeError(f"pool must be a PairPool, got {type(pool).__name__}")
    if subspaces is not None:
        raise ValueError("subspaces belong to given pairs; with a pool every intervention uses its own block")
    if len(pool.variables) != len(intervenable.interventions):
        raise ValueError(f"pool has {len(pool.variables)} sources, the model {len(intervenable.interventions)} "
                         "interventions")
    num_steps = validate_count(num_steps, "num_steps")
    if batch_size > len(pool):
        raise ValueError(f"batch_size must be at most the pool's {len(pool)} images, got {batch_size}")
    X = validate_batch(pool.images[:2], model, "pool's images")
    answers = count_answers(model, X, "pool's images")
    if pool.num_answers > answers:
        raise ValueError(f"pool's causal model gives {pool.num_answers} answers, of which the network has {answers}")
    try_out(intervenable, X, subspaces)
    settings["in_one_pass"] = can_share_a_pass(intervenable, X)
    return fit(intervenable, fresh_batches(pool, batch_size, num_steps, seed, reorderings), num_steps, **settings)


def iit_train(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor | None = None, X_sources: torch.Tensor | None = None,
    y_counterfactual: torch.Tensor | None = None, lr: float = 0.0005, num_epochs: int = 1, batch_size: int = 256,
    subspaces: Sequence | None = None, *, y_base: torch.Tensor | None = None, behavior_weight: float = 0.0,
    schedule: str = "constant", pool: PairPool | None = None, num_steps: int | None = None, reorderings: int = 1,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Interchange intervention training: fit all of the network and the rotation together, both in place.

    The loss is the cross-entropy of the intervened answer against the causal model's counterfactual answer, plus
    ``behavior_weight`` times that of the plain answer against the base label. Give either fixed pairs or a pool, from
    which every step draws new ones. Dropout is active. Batch normalization uses its running statistics and leaves them
    as they are, so that swapped inputs do not shift plain ones; train a network that has it on its task first.

    Args:
        intervenable: from ``build_intervenable`` or pyvene; frozen and in eval mode again afterwards.
        X_base: inputs (n, ...), for a ``PyTorchCNN`` (n, 1, 28, 28).
        X_sources: (k, n, ...), one source for each of the k interventions.
        y_counterfactual: (n,), each 0 or 1, or a class from 0.
        lr: learning rate of Adam, the peak where there is a schedule.
        num_epochs: passes over given pairs.
        batch_size: pairs a step; with a pool bases a step.
        subspaces: blocks to swap, [intervention][pair][block], as in pyvene; None: intervention i swaps block i.
        y_base: (n,), the labels of the bases; needed with given pairs if ``behavior_weight`` > 0.
        behavior_weight: 0 forgets the task while the alignment is trained; 1 weighs both alike.
        schedule: "constant" or "one_cycle".
        pool: inputs and labels to draw fresh pairs from.
        num_steps: steps to train with a pool.
        reorderings: pairs that each base of a pool's batch is in, with other sources each; the bases run once for all.
        seed: of the order of pairs, or of the draws from the pool.

    Returns:
        history of every step: ``interchange_loss``, ``behavior_loss`` (nan where it is not asked for) and ``lr``.
        An interrupt (Ctrl-C) carries it as ``history``, up to the last step that is done.

    Raises:
        ValueError, TypeError: arguments of the wrong shape, length, type or range.
        FloatingPointError: the loss is no number any more; the step that did it is taken back.
    """
    return _train(intervenable, X_base, X_sources, y_counterfactual, y_base=y_base, behavior_weight=behavior_weight,
                  pool=pool, num_steps=num_steps, num_epochs=num_epochs, batch_size=batch_size, lr=lr,
                  reorderings=reorderings, schedule=schedule, subspaces=subspaces, seed=seed, train_model=True)


def das_train(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor | None = None, X_sources: torch.Tensor | None = None,
    y_counterfactual: torch.Tensor | None = None, lr: float = 0.01, num_epochs: int = 1, batch_size: int = 256,
    subspaces: Sequence | None = None, *, schedule: str = "one_cycle", pool: PairPool | None = None,
    num_steps: int | None = None, reorderings: int = 1, seed: int = 0,
) -> dict[str, list[float]]:
    """Distributed alignment search: fit the rotation alone; the network is frozen, and afterwards as before.

    Arguments, history and errors as for ``iit_train``.
    """
    return _train(intervenable, X_base, X_sources, y_counterfactual, pool=pool, num_steps=num_steps,
                  num_epochs=num_epochs, batch_size=batch_size, reorderings=reorderings, lr=lr, schedule=schedule,
                  subspaces=subspaces, seed=seed, train_model=False)


@torch.no_grad()
def iit_predict(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor, X_sources: torch.Tensor, batch_size: int = 512,
    subspaces: Sequence | None = None,
) -> torch.Tensor:
    """Probabilities under the interchange intervention, of answer 1 or of each of c answers.

    Args:
        intervenable: with k interventions.
        X_base: inputs (n, ...).
        X_sources: (k, n, ...); a single source serves all interventions, with a UserWarning.
        batch_size: pairs at a time.
        subspaces: as for ``iit_train``.

    Returns:
        CPU tensor (n,) or (n, c).
    """
    X_base, X_sources = validate_pairs(intervenable, X_base, X_sources, subspaces, broadcast=True)
    model, outputs = intervenable.model, []
    batch_size, device = validate_count(batch_size, "batch_size"), model_device(model)
    count_answers(model, X_base, "X_base")
    with evaluating(model):
        starts = range(0, len(X_base), batch_size)
        for start in tqdm(starts, desc="Evaluating", leave=False) if len(starts) > 1 else starts:
            rows = range(len(X_base))[start:start + batch_size]
            base, *sources = (X[rows.start:rows.stop].to(device) for X in (X_base, *X_sources))
            logits = interchange(intervenable, base, sources, select_subspaces(subspaces, rows))
            outputs.append(to_probabilities(logits))
    return torch.cat(outputs)


def iit_evaluate(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor, X_sources: torch.Tensor, y_counterfactual: torch.Tensor,
    batch_size: int = 512, subspaces: Sequence | None = None,
) -> float:
    """Interchange intervention accuracy (Geiger et al. 2021): share of pairs with the causal model's answer.

    Arguments as for ``iit_predict``, and y_counterfactual (n,), each 0 or 1, or a class from 0.
    """
    probabilities = iit_predict(intervenable, X_base, X_sources, batch_size, subspaces)
    return accuracy(probabilities, y_counterfactual, "y_counterfactual")


das_predict, das_evaluate = iit_predict, iit_evaluate  # only training differs: DAS leaves the network as it is
