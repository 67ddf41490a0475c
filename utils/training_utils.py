"""The training loop that DAS and IIT share, and the batches that feed it."""
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import parametrize
from tqdm.auto import tqdm

from utils.counterfactual_data_utils import PairPool
from utils.interventions.build import pv, take_sources
from utils.model_utils import model_device, one_cycle
from utils.interventions.passes import common_layer, intervene, join_linked, run_plainly


class Batch(NamedTuple):
    """What one training step needs.

    Attributes:
        base: images (b, 1, 28, 28).
        plain: images (m, 1, 28, 28) to run without intervention: first the bases if ``y_base``, then the sources.
        sources: for each intervention, where in ``plain`` its sources are: (k, b).
        y_base: answers to the bases (b,), or None where no behavior loss is asked for.
        y_counterfactual: answers under the intervention (b,).
        rows: which pairs these are, or None for fresh ones.
    """

    base: torch.Tensor
    plain: torch.Tensor
    sources: torch.Tensor
    y_base: torch.Tensor | None
    y_counterfactual: torch.Tensor
    rows: torch.Tensor | None


def fixed_batches(
    X_base: torch.Tensor,
    X_sources: torch.Tensor,
    y_base: torch.Tensor | None,
    y_counterfactual: torch.Tensor,
    batch_size: int,
    num_epochs: int,
    seed: int,
) -> Iterator[Batch]:
    """Epochs over given pairs, in a new order each."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(num_epochs):
        for rows in torch.randperm(len(X_base), generator=generator).split(batch_size):
            base, sources = X_base[rows], X_sources[:, rows].flatten(0, 1)
            where = torch.arange(len(sources)).view(len(X_sources), -1)
            if y_base is None:
                yield Batch(base, sources, where, None, y_counterfactual[rows], rows)
            else:
                plain = torch.cat([base, sources])
                yield Batch(base, plain, where + len(base), y_base[rows], y_counterfactual[rows], rows)


def fresh_batches(pool: PairPool, batch_size: int, num_steps: int, seed: int) -> Iterator[Batch]:
    """New pairs at every step; the bases are each other's sources, so one plain pass serves for both."""
    images, rng = torch.from_numpy(pool.images), np.random.default_rng(seed)
    for _ in range(num_steps):
        pairs = pool.draw(batch_size, rng)
        base = images[pairs.base]
        yield Batch(base, base, pairs.sources, pairs.y_base, pairs.y_counterfactual, None)


def fit(
    intervenable: pv.IntervenableModel,
    batches: Iterator[Batch],
    total: int,
    lr: float,
    schedule: str,
    behavior_weight: float,
    subspaces: Sequence | None,
    train_model: bool,
    description: str,
) -> dict[str, list[float]]:
    """Minimize interchange loss + ``behavior_weight`` * behavior loss over ``total`` batches; returns the history."""
    layer = common_layer(intervenable)
    joined = join_linked(intervenable, subspaces)  # freezes the network, as pyvene does
    intervenable.disable_model_gradients()
    if train_model:
        intervenable.enable_model_gradients()
    parameters = list({id(p): p for p in intervenable.parameters() if p.requires_grad}.values())  # links repeat
    if not parameters:
        raise ValueError("intervenable has nothing to train: its interventions have no parameters")
    optimizer = torch.optim.Adam(parameters, lr=lr)
    scheduler = one_cycle(optimizer, total) if schedule == "one_cycle" else None
    device = model_device(intervenable.model)
    history: dict[str, list[float]] = {"interchange_loss": [], "behavior_loss": [], "lr": []}
    with tqdm(batches, total=total, desc=description, leave=False) as bar:
        for batch in bar:
            base, plain = batch.base.to(device), batch.plain.to(device)
            part = subspaces and [s if s is None else [s[i] for i in batch.rows] for s in subspaces]
            with parametrize.cached():
                wants_behavior = train_model and batch.y_base is not None  # else stop at the layer in question
                with torch.set_grad_enabled(train_model):
                    seen = run_plainly(intervenable, plain, wants_behavior)
                start, resume_at = base, None
                if layer and batch.y_base is not None:  # the bases came by just now
                    start, resume_at = seen.activations[0][: len(base)], layer
                sources = take_sources(intervenable, seen.activations, batch.sources.to(device), resume_at is not None)
                if joined:
                    blocks = next(iter(joined.interventions.values())).subspace_partition
                    sources = [torch.cat([source[..., block] for source, block in zip(sources, blocks)], dim=-1)]
                    part = [[list(range(len(blocks)))] * len(base)]
                intervened = intervene(joined or intervenable, start, sources, part, resume_at)
            interchange = F.binary_cross_entropy_with_logits(intervened, batch.y_counterfactual.to(device))
            behavior = torch.tensor(math.nan)
            if wants_behavior:
                behavior = F.binary_cross_entropy_with_logits(seen.logits[: len(base)], batch.y_base.to(device))
            loss = interchange + behavior_weight * behavior if behavior_weight else interchange
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history["interchange_loss"].append(interchange.item())
            history["behavior_loss"].append(behavior.item())
            history["lr"].append(optimizer.param_groups[0]["lr"])
            if scheduler:
                scheduler.step()
            if len(history["lr"]) % 10 == 1:
                bar.set_postfix(interchange=f"{interchange.item():.3f}", behavior=f"{behavior.item():.3f}")
    intervenable.disable_model_gradients()
    return history
