"""Networks that people have: vision and language models, and what real networks bring with them.

Intervened values are held against the same arithmetic done by hooks of the tests' own.
"""
import copy

import numpy as np
import pytest
import torch
from torch import nn

from utils import das_utils
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, das_train, get_basis, get_coordinates, iit_predict, iit_train
from utils.measure_utils import score_alignment
from utils.model_utils import evaluate, predict, train

VALUES = np.random.default_rng(0).integers(0, 2, (400, 2)).astype(float)  # two variables, each 0 or 1
INPUTS = (np.repeat(VALUES, 4, axis=1) + np.random.default_rng(1).normal(0, 0.2, (400, 8))).astype(np.float32)


def either(z):
    """The causal model: one of the two variables, but not both."""
    return z[:, 0] != z[:, 1]


class Network(nn.Module):
    """Inputs (b, 8) to logits (b, 1), with parts that real networks have; the layer to align is ``middle``."""

    def __init__(self, skip=False, dropout=0.0, normalized=False):
        super().__init__()
        self.skip = skip
        self.first, self.middle, self.last = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 1)
        self.relu = nn.ReLU(inplace=True)
        self.norm_before = nn.BatchNorm1d(32) if normalized else nn.Identity()
        self.norm_after = nn.BatchNorm1d(32) if normalized else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = self.relu(self.norm_before(self.first(x)))
        h = self.relu(self.norm_after(self.middle(x)))
        return self.last(self.dropout(x + h if self.skip else h))


def by_hooks(model, layer, basis, X, source, columns=slice(None), position=None):
    """Logits of inputs (n, ...) with the source's coordinates along ``basis`` at a layer, one plain run each."""
    module, seen = model.get_submodule(layer), []
    with torch.no_grad():
        handle = module.register_forward_hook(lambda module, args, output: seen.append(output.clone()))
        model(source)
        handle.remove()

        def swap(module, args, output):
            rows, other = (part if position is None else part[:, position] for part in (output, seen[0]))
            if output.ndim == 4:
                rows, other = rows.permute(0, 2, 3, 1), other.permute(0, 2, 3, 1)
            shape, Q = rows.shape, basis[:, columns]
            rows = rows.flatten(1) + (other - rows).flatten(1) @ Q @ Q.T
            if position is not None:
                return torch.cat([output[:, :position], rows[:, None], output[:, position + 1:]], dim=1)
            rows = rows.view(shape)
            return rows.permute(0, 3, 1, 2) if output.ndim == 4 else rows

        handle = module.register_forward_hook(swap)
        logits = model(X)
        handle.remove()
    return logits[:, 0]


def learned(**options):
    """A network that knows the task, and its inputs."""
    torch.manual_seed(0)
    model = Network(**options)
    train(model, torch.from_numpy(INPUTS), torch.from_numpy(either(VALUES)), lr=0.02, num_epochs=10, batch_size=100)
    return model


def first_step(train, model, directions=4, **options):
    """The history of one step, and by how much every parameter and direction moved."""
    torch.manual_seed(1)
    intervenable = build_intervenable(copy.deepcopy(model), "middle", directions, 1, example=torch.zeros(1, 8))
    before = [p.clone() for p in (*intervenable.model.parameters(), get_basis(intervenable))]
    history = train(intervenable, lr=1e-3, **options)
    after = [*intervenable.model.parameters(), get_basis(intervenable)]
    return history, [p.detach() - q for p, q in zip(after, before)], intervenable


GIVEN = {"X_base": torch.from_numpy(INPUTS[:50]), "X_sources": torch.from_numpy(INPUTS[None, 50:100]),
         "y_counterfactual": torch.from_numpy(either(np.stack([VALUES[50:100, 0], VALUES[:50, 1]], 1))).float()}
POOL = {"pool": PairPool(INPUTS, VALUES, [[0]], causal_model=either), "num_steps": 1, "batch_size": 50}


# skip connections


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("behavior_weight", [0.0, 1.0])
def test_a_step_is_right_also_where_a_skip_connection_leads_around_the_layer(monkeypatch, skip, behavior_weight):
    model, ways = learned(skip=skip), []
    given = {**GIVEN, "y_base": torch.from_numpy(either(VALUES[:50])).float(), "behavior_weight": behavior_weight}
    for name in ("swap_in_one_pass", "interchange"):
        way = getattr(das_utils, name)
        monkeypatch.setattr(das_utils, name, lambda *args, way=way, name=name: ways.append(name) or way(*args))
    history, _, _ = first_step(iit_train, model, batch_size=50, **given)
    assert ways == ["interchange" if skip else "swap_in_one_pass"]
    torch.manual_seed(1)
    basis = get_basis(build_intervenable(copy.deepcopy(model), "middle", 4, 1, example=torch.zeros(1, 8)))
    logits = by_hooks(model, "middle", basis, given["X_base"], given["X_sources"][0])
    loss = nn.functional.binary_cross_entropy_with_logits(logits, given["y_counterfactual"]).item()
    assert history["interchange_loss"] == pytest.approx([loss], abs=1e-5)
    plain = nn.functional.binary_cross_entropy(predict(model, given["X_base"]), given["y_base"]).item()
    assert not behavior_weight or history["behavior_loss"] == pytest.approx([plain], abs=1e-4)
    history, _, intervenable = first_step(iit_train, model, behavior_weight=behavior_weight, **POOL)
    assert len(history["lr"]) == 1 and np.isfinite(history["interchange_loss"]).all()


# batch normalization and dropout


def test_swapped_halves_do_not_shift_the_statistics_of_plain_ones():
    model = learned(normalized=True)
    y_base = torch.from_numpy(either(VALUES[:50])).float()
    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert len(statistics) == 6 and statistics["norm_after.running_mean"].abs().min() > 0
    plain = nn.functional.binary_cross_entropy(predict(model, GIVEN["X_base"]), y_base).item()
    torch.manual_seed(1)
    basis = get_basis(build_intervenable(copy.deepcopy(model), "middle", 4, 1, example=torch.zeros(1, 8)))
    swapped = by_hooks(model.eval(), "middle", basis, GIVEN["X_base"], GIVEN["X_sources"][0])
    history, moved, intervenable = first_step(
        iit_train, model, batch_size=50, y_base=y_base, behavior_weight=1.0, **GIVEN)
    loss = nn.functional.binary_cross_entropy_with_logits(swapped, GIVEN["y_counterfactual"]).item()
    assert history["behavior_loss"] == pytest.approx([plain], abs=1e-5)
    assert history["interchange_loss"] == pytest.approx([loss], abs=1e-5)
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in intervenable.model.named_buffers())
    names = [name for name, _ in model.named_parameters()]
    assert all(moved[names.index(f"norm_{side}.weight")].abs().sum() > 0 for side in ("before", "after"))


def test_iit_induces_a_variable_behind_batch_normalization():
    model = learned(normalized=True)
    intervenable = build_intervenable(model, "middle", 2, 1, example=torch.zeros(1, 8))
    pool = PairPool(INPUTS, VALUES, [[0]], causal_model=either)
    iit_train(intervenable, pool=pool, num_steps=150, batch_size=100, lr=0.01, behavior_weight=1.0)
    new = np.random.default_rng(2)
    values = new.integers(0, 2, (500, 2)).astype(float)
    inputs = (np.repeat(values, 4, axis=1) + new.normal(0, 0.2, (500, 8))).astype(np.float32)
    score = score_alignment(intervenable, inputs, values, [[0]], n=2000, causal_model=either)
    assert score.iia > 0.97 and score.flip_iia > 0.95 and max(score.keep, score.copy, score.majority) < 0.6
    assert evaluate(model, torch.from_numpy(inputs), torch.from_numpy(either(values))) > 0.97


def test_batch_normalization_without_running_statistics_is_refused():
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 1))
    with pytest.raises(ValueError, match="model must keep running statistics"):
        build_intervenable(model, "0", 1, example=torch.zeros(1, 8))
