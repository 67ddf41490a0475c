"""Single changes to the recipes of IIT at conv1, to see what each of their ingredients buys."""
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle, islice
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F

from studies.benchmarks.rotation import householder_factors
from studies.recipes import RECIPES, base_cnn
from utils.counterfactual_data_utils import Batch, PairBatch, PairPool
from utils.das_utils import iit_train
from utils.data_utils import causal_model, intervene_on_labels
from utils.interventions.rotated_space import pv


class FlipBalancedPool(PairPool):
    """Half of the bases get a source in the batch that changes their answer, the others one that does not."""

    def draw(self, batch_size: int, rng: np.random.Generator, reorderings: int = 1) -> PairBatch:
        """Draw the bases as ``PairPool`` does; then for each pair one of the sources of the kind it is to have."""
        base = rng.choice(len(self), size=batch_size, replace=False, shuffle=False)
        z, rows = self.labels[base], np.arange(batch_size)
        y_base = causal_model(z, self.coefficients)
        every = intervene_on_labels(np.repeat(z, batch_size, 0), np.tile(z, (batch_size, 1))[None], self.variables)
        flips = causal_model(every, self.coefficients).reshape(batch_size, batch_size) != y_base[:, None]
        wanted = flips == (rows < batch_size // 2)[:, None]
        source = np.concatenate([np.where(wanted, rng.random(wanted.shape), -1.0).argmax(axis=1)
                                 for _ in range(reorderings)])
        rows = np.tile(rows, reorderings)
        y = np.where(flips[rows, source], 1 - y_base[rows], y_base[rows])
        return PairBatch(*map(torch.from_numpy, (base, source[None], y_base, y)))


def draw_once(pool: PairPool, batch_size: int, num_steps: int, seed: int, reorderings: int = 1) -> Iterator[Batch]:
    """In place of ``fresh_batches``: the same 10,000 pairs, or a few less, again and again."""
    images, rng = torch.from_numpy(pool.images), np.random.default_rng(seed)
    kept = [pool.draw(batch_size, rng, reorderings) for _ in range(10_000 // (reorderings * batch_size))]
    for pairs in islice(cycle(kept), num_steps):
        yield Batch(images[pairs.base], pairs.sources, pairs.y_base, pairs.y_counterfactual, None)


def _with_sigmoid(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy(torch.sigmoid(logits), y)


@dataclass(frozen=True)
class Change:
    """What is done differently.

    Attributes:
        recipe: other values of the recipe's fields.
        patches: name of a function that training uses -> what takes its place.
        pool: draws the pairs.
        memory_format: of the network.
    """

    recipe: dict = field(default_factory=dict)
    patches: dict[str, Callable] = field(default_factory=dict)
    pool: type[PairPool] = PairPool
    memory_format: torch.memory_format = torch.channels_last


STEPS = 200
CHANGES = {
    "as it is": Change(),
    "sigmoid and BCE in place of logits": Change(
        patches={"torch.nn.functional.binary_cross_entropy_with_logits": _with_sigmoid}),
    "torch's own memory format": Change(memory_format=torch.contiguous_format),
    "QR in place of Cholesky": Change(patches={"utils.interventions.rotation.factorize": householder_factors}),
    "pyvene's own call, which runs the sources": Change(patches={"utils.das_utils.swaps_own_blocks": lambda _: False}),
    "10,000 pairs drawn once": Change(patches={"utils.das_utils.fresh_batches": draw_once}),
    "half of the pairs flip": Change(pool=FlipBalancedPool),
    "no behavior loss": Change({"behavior_weight": 0.0}),
    "constant learning rate 1e-3": Change({"schedule": "constant", "lr": 1e-3}),
    "constant learning rate 1e-2": Change({"schedule": "constant"}),
    "peak learning rate 5e-3": Change({"lr": 5e-3}),
    "peak learning rate 2e-2": Change({"lr": 2e-2}),
    "256 bases in one pair each": Change({"batch_size": 256, "reorderings": 1}),
    "64 bases in four pairs each": Change({"batch_size": 64, "reorderings": 4}),
    "64 bases in two pairs each, twice the steps": Change({"batch_size": 64, "num_steps": 2 * STEPS}),
    "256 bases in two pairs each, half the steps": Change({"batch_size": 256, "num_steps": STEPS // 2}),
    "1 direction": Change({"intervention_size": 1}),
    "4 directions": Change({"intervention_size": 4}),
    "64 directions": Change({"intervention_size": 64}),
    "fused Adam": Change(patches={"torch.optim.Adam": partial(torch.optim.Adam, fused=True)}),
}


def train_changed(change: Change, images: np.ndarray, labels: np.ndarray, seed: int = 0,
                  num_steps: int = STEPS, name: str = "single") -> pv.IntervenableModel:
    """IIT at conv1 from the base CNN of ``seed``, by our recipe of that name but for its length and one change."""
    recipe = replace(RECIPES[name], **{"num_steps": num_steps, **change.recipe})
    model = base_cnn(seed)
    model.to(memory_format=change.memory_format)  # type: ignore[call-overload]  # torch's types leave it out
    intervenable = recipe.build(model, seed)
    pool = change.pool(images, labels, recipe.variables)
    with contextlib.ExitStack() as stack:
        for name, function in change.patches.items():
            stack.enter_context(patch(name, function))
        iit_train(intervenable, pool=pool, seed=seed, **recipe.training())
    return intervenable
