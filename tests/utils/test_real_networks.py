"""Networks that people have: vision and language models, and what real networks bring with them.

Intervened values are held against the same arithmetic done by hooks of the tests' own.
"""
import copy
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from utils import das_utils
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, das_train, get_basis, get_coordinates, iit_predict, iit_train
from utils.interventions.checkpoints import load_intervenable, save_intervenable
from utils.interventions.passes import validate_intervenable
from utils.measure_utils import draw_pairs, score_alignment
from utils.measures.alignment import unaligned_effects
from utils.measures.response import dose_response
from utils.model_utils import evaluate, predict, train

pytestmark = pytest.mark.slow("networks of other libraries are built")

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


def test_dropout_is_active_in_iit_alone():
    model = learned(dropout=0.5)
    still = first_step(das_train, model, batch_size=50, **GIVEN)
    again = first_step(das_train, model, batch_size=50, **GIVEN)
    assert all(torch.equal(one, other) for one, other in zip(still[1], again[1]))
    assert still[0]["interchange_loss"] == again[0]["interchange_loss"]
    losses = []
    for seed in (3, 4):  # fixes the dropped neurons: they differ, all else is the same
        torch.manual_seed(1)
        intervenable = build_intervenable(copy.deepcopy(model), "middle", 4, 1, example=torch.zeros(1, 8))
        torch.manual_seed(seed)
        losses += iit_train(intervenable, lr=1e-3, batch_size=50, **GIVEN)["interchange_loss"]
    assert abs(losses[0] - losses[1]) > 1e-3
    intervenable.model.train()
    first, second = (iit_predict(intervenable, GIVEN["X_base"], GIVEN["X_sources"]) for _ in range(2))
    swapped = by_hooks(intervenable.model.eval(), "middle", get_basis(intervenable), GIVEN["X_base"],
                       GIVEN["X_sources"][0])
    assert torch.equal(first, second) and torch.allclose(first, torch.sigmoid(swapped), atol=1e-6)


def test_prediction_leaves_the_mode_as_it_was():
    intervenable = build_intervenable(Network(dropout=0.5), "middle", 4, 1, example=torch.zeros(1, 8))
    intervenable.model.train()
    iit_predict(intervenable, GIVEN["X_base"], GIVEN["X_sources"])
    assert all(module.training for module in intervenable.model.modules())


# in-place ReLU, tied parameters, layers that are called twice


class Tied(nn.Module):
    """An autoencoder's way of tying: the second layer's weight is the first one's, transposed and named again."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))))


def test_tied_parameters_take_one_step_and_stay_tied(monkeypatch):
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)
    torch.manual_seed(0)
    model = Tied()
    intervenable = build_intervenable(model, "second", 3, 1, example=torch.zeros(1, 8))
    reference, basis = copy.deepcopy(model).requires_grad_(True), get_basis(intervenable)
    hidden = [torch.relu(reference.first(X)) for X in (GIVEN["X_base"], GIVEN["X_sources"][0])]
    base, source = (reference.second(h) for h in hidden)
    logits = reference.last(torch.relu(base + (source - base) @ basis @ basis.T))[:, 0]
    nn.functional.binary_cross_entropy_with_logits(logits, GIVEN["y_counterfactual"]).backward()
    iit_train(intervenable, lr=0.5, batch_size=50, **GIVEN)
    assert model.second.weight is model.first.weight
    for ours, theirs in zip(model.parameters(), reference.parameters()):
        assert torch.allclose(ours, theirs - 0.5 * theirs.grad, atol=1e-6)


class Twice(Tied):
    """Calls one layer twice in a pass."""

    def forward(self, x):
        return self.last(self.second(torch.relu(self.second(self.first(x)))))


def test_a_layer_that_is_called_twice_is_refused_and_another_one_works():
    model = Twice()
    with pytest.raises(ValueError, match="'second' must be called once in a pass, it is called 2 times"):
        build_intervenable(model, "second", 3, example=torch.zeros(1, 8))
    intervenable = build_intervenable(model, "first", 3, example=torch.zeros(1, 8))
    swapped = by_hooks(model, "first", get_basis(intervenable), GIVEN["X_base"], GIVEN["X_sources"][0])
    found = iit_predict(intervenable, GIVEN["X_base"], GIVEN["X_sources"])
    assert torch.allclose(found, torch.sigmoid(swapped), atol=1e-6)


def test_an_in_place_relu_behind_the_layer_changes_nothing_that_is_read():
    """The same network with a ReLU of its own memory, measured alike."""
    model = learned()
    other = copy.deepcopy(model)
    other.relu = nn.ReLU()
    found = []
    for network in (model, other):
        torch.manual_seed(1)
        intervenable = build_intervenable(network, "middle", 4, 1, example=torch.zeros(1, 8))
        found.append((get_coordinates(intervenable, torch.from_numpy(INPUTS)),
                      iit_predict(intervenable, GIVEN["X_base"], GIVEN["X_sources"]),
                      torch.from_numpy(unaligned_effects(intervenable, INPUTS, VALUES, n=200, causal_model=either)),
                      torch.from_numpy(np.concatenate(dose_response(
                          intervenable, INPUTS, VALUES, 0, 0, n=50, causal_model=either)[:2]))))
        history = iit_train(intervenable, lr=1e-3, behavior_weight=1.0, **POOL)
        found[-1] += (torch.tensor(history["interchange_loss"]), get_basis(intervenable))
    assert all(torch.equal(one, two) for one, two in zip(*found))


# number types, devices, compiled networks


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.bfloat16, 0.02), (torch.float16, 2e-3)],
                         ids=str)
def test_other_number_types_are_swapped_as_by_hand(dtype, tolerance):
    model = learned().to(dtype)
    intervenable = build_intervenable(model, "middle", 4, 1, example=torch.zeros(1, 8))
    basis, wide = get_basis(intervenable), copy.deepcopy(model).double()
    assert basis.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    X, source = (X.double() for X in (GIVEN["X_base"], GIVEN["X_sources"][0]))
    probabilities = torch.sigmoid(by_hooks(wide, "middle", basis.double(), X, source))
    given = (X, source[None]) if dtype == torch.float64 else (GIVEN["X_base"], GIVEN["X_sources"])
    found = iit_predict(intervenable, *given)
    assert found.dtype == basis.dtype and (found - probabilities).abs().max() < tolerance
    with torch.no_grad():
        exact = wide.middle(torch.relu(wide.first(X))) @ basis.double()
    assert torch.allclose(get_coordinates(intervenable, X).double(), exact, atol=max(10 * tolerance, 1e-6))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_number_types_are_trained(dtype):
    model = learned().to(dtype)
    intervenable = build_intervenable(model, "middle", 2, 1, example=torch.zeros(1, 8))
    iit_train(intervenable, lr=0.01, behavior_weight=1.0, **{**POOL, "num_steps": 120})
    score = score_alignment(intervenable, INPUTS, VALUES, [[0]], n=2000, causal_model=either)
    assert score.iia > 0.97 and score.keep < 0.6 and next(model.parameters()).dtype == dtype


def test_float16_is_searched_but_not_trained():
    model = learned().half()
    intervenable = build_intervenable(model, "middle", 2, 1, example=torch.zeros(1, 8))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"model must not be float16 to be trained.*call model.float\(\)"):
        iit_train(intervenable, **POOL)
    history = das_train(intervenable, **{**POOL, "num_steps": 30})
    assert np.isfinite(history["interchange_loss"]).all()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("compiled", [torch.compile, lambda model: model.compile() or model], ids=["copy", "in place"])
def test_a_compiled_network_is_refused(compiled):
    with pytest.raises(ValueError, match="model must not be compiled.*give the one that went into torch.compile"):
        build_intervenable(compiled(Network()), "middle", 2, example=torch.zeros(1, 8))


def test_what_went_into_torch_compile_works():
    model = Network()
    compiled = torch.compile(model)
    assert build_intervenable(compiled._orig_mod, "middle", 2, example=torch.zeros(1, 8)).model is model


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no second device here")
def test_a_network_may_move_to_another_device():
    model = learned()
    intervenable = build_intervenable(model, "middle", 4, 1, example=torch.zeros(1, 8))
    expected = iit_predict(intervenable, GIVEN["X_base"], GIVEN["X_sources"])
    model.to("cuda")
    assert torch.allclose(iit_predict(intervenable, GIVEN["X_base"], GIVEN["X_sources"]), expected, atol=1e-4)
    iit_train(intervenable, behavior_weight=1.0, **POOL)
    assert get_basis(intervenable).is_cuda


def test_directions_follow_the_network_to_its_device():
    """The device without memory stands for another one."""
    intervenable = build_intervenable(Network(), "middle", 4, 2, example=torch.zeros(1, 8))
    intervenable.model.to("meta")
    validate_intervenable(intervenable)
    assert {p.device.type for i in intervenable.interventions.values() for p in i.parameters()} == {"meta"}


# what cannot be read


class Wrapped(nn.Module):
    """Another network's answer as a tuple, a dict, a list, or with the batch last."""

    def __init__(self, change, at="answer"):
        super().__init__()
        self.network, self.change, self.at, self.identity = Network(), change, at, Change(change)

    def forward(self, x):
        if self.at == "answer":
            return self.change(self.network(x))
        return self.network(self.identity(x)[0] if isinstance(self.change(x), tuple) else self.identity(x).T)


class Change(nn.Module):
    """A layer that gives out something unusual."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(x)


@pytest.mark.parametrize("change, error, words", [
    (lambda y: (y, None), TypeError, "model must return a tensor of logits, got tuple: wrap it in a module whose"),
    (lambda y: {"logits": y}, TypeError, "model must return a tensor of logits, got dict: wrap it in a module whose"),
    (lambda y: y[None], ValueError, r"model must return logits \(b,\), \(b, 1\) or \(b, classes\), got shape"),
])
def test_an_answer_that_is_no_tensor_of_logits_is_refused(change, error, words):
    model = Wrapped(change)
    with pytest.raises(error, match=words):
        build_intervenable(model, "network.middle", 2, example=torch.zeros(1, 8))
    with pytest.raises(error, match=words):
        predict(model, GIVEN["X_base"])
    intervenable = build_intervenable(model.network, "middle", 2, example=torch.zeros(1, 8))
    assert len(iit_predict(intervenable, GIVEN["X_base"], GIVEN["X_sources"])) == 50


@pytest.mark.parametrize("change, error, words", [
    (lambda y: (y, None), TypeError, "layer 'identity' must give out a tensor, it gives a tuple: choose a submodule"),
    (lambda y: y.T, ValueError, "layer 'identity' must give out its batch first, for 2 inputs it gives shape"),
])
def test_a_layer_that_gives_no_batch_of_numbers_is_refused(change, error, words):
    model = Wrapped(change, at="layer")
    with pytest.raises(error, match=words):
        build_intervenable(model, "identity", 2, example=torch.zeros(1, 8))


def test_doses_are_right_also_where_a_skip_connection_leads_around_the_layer():
    """Of two doses, none and all: the answers flip where a plain interchange flips them."""
    model = learned(skip=True)
    intervenable = build_intervenable(model, "middle", 32, 1, example=torch.zeros(1, 8))
    _, network, share = dose_response(intervenable, INPUTS, VALUES, 0, 0, n=50, doses=2, causal_model=either)
    pairs = draw_pairs(VALUES, [[0]], 600, causal_model=either)
    flip = np.flatnonzero(pairs.y_counterfactual != pairs.y_base)[:50]
    X, S = (torch.from_numpy(INPUTS[index[flip]]) for index in (pairs.base, pairs.sources[0]))
    before, after = predict(model, X) > 0.5, iit_predict(intervenable, X, S[None]) > 0.5
    expected = (before != after) & (before == torch.from_numpy(pairs.y_base[flip] > 0))
    assert share == pytest.approx(expected.float().mean().item()) and len(network) == expected.sum() > 0


# what the text shows: a vision network and a language model, each trained for a few seconds


@pytest.fixture(scope="module")
def shown():
    """The variables after the code of notebooks/real_networks.md."""
    text, variables = (ROOT / "notebooks" / "real_networks.md").read_text(encoding="utf-8"), {"__name__": "text"}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S):
        exec(compile(block, "real_networks.md", "exec"), variables)
    return variables


@pytest.mark.parametrize("name, least", [("vision", 0.88), ("language", 0.9)])
def test_a_library_s_network_is_aligned(shown, name, least):
    score = shown[f"{name}_score"]
    baseline = max(score.keep, score.copy, score.majority)
    assert score.iia > least > baseline + 0.2 and score.flip_iia > least - 0.08 and score.n == 4_000
    assert shown[f"{name}_behavior"] > 0.94


def test_the_vision_network_is_swapped_as_by_hand(shown):
    X, source, other = shown["X_test"][:20], shown["X_test"][20:40], shown["X_test"][40:60]
    intervenable, model = shown["vision"], shown["resnet"]
    basis = get_basis(intervenable)
    assert basis.shape == (16 * 7 * 7, 32)
    found = iit_predict(intervenable, X, torch.stack([source, X]))
    hand = by_hooks(model, "network.resnet.encoder.stages.0", basis, X, source, slice(16))
    assert torch.allclose(found, torch.sigmoid(hand), atol=1e-5)
    found = iit_predict(intervenable, X, torch.stack([X, other]))
    hand = by_hooks(model, "network.resnet.encoder.stages.0", basis, X, other, slice(16, 32))
    assert torch.allclose(found, torch.sigmoid(hand), atol=1e-5)
    assert torch.allclose(iit_predict(intervenable, X, torch.stack([X, X])), predict(model, X), atol=1e-5)


def test_the_language_model_is_swapped_as_by_hand(shown):
    words = torch.from_numpy(shown["test_words"])
    X, source, intervenable = words[:20], words[20:40], shown["language"]
    hand = by_hooks(shown["bert"], "network.bert.encoder.layer.0", get_basis(intervenable), X, source, position=1)
    found = iit_predict(intervenable, X, source[None])
    assert torch.allclose(found, torch.sigmoid(hand), atol=1e-5)
    assert (found - predict(shown["bert"], X)).abs().max() > 0.5


def test_without_the_wrapper_a_library_s_network_is_refused(shown):
    with pytest.raises(TypeError, match="model must return a tensor of logits, got .*Output.*: wrap it in a module"):
        predict(shown["bert"].network, torch.from_numpy(shown["test_words"]))


@pytest.mark.parametrize("name", ["vision", "language"])
def test_a_library_s_network_is_saved_and_loaded_to_the_bit(shown, tmp_path, name):
    model = shown["resnet" if name == "vision" else "bert"]
    X = shown["X_test"][:30] if name == "vision" else torch.from_numpy(shown["test_words"][:30])
    sources = torch.stack([X.flip(0)] * len(shown[name].interventions))
    save_intervenable(shown[name], tmp_path / "own.pth", [[0], [1]][:len(sources)], {"seed": 0})
    fresh = type(model)(type(model.network)(model.network.config))
    loaded, groups, _ = load_intervenable(tmp_path / "own.pth", model=fresh, example=X)
    assert torch.equal(iit_predict(loaded, X, sources), iit_predict(shown[name], X, sources))
    assert groups == [[0], [1]][:len(sources)] and all(
        torch.equal(value, fresh.state_dict()[key]) for key, value in model.state_dict().items())


def small_bert():
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=8, num_labels=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))


class Masked(nn.Module):
    """A wrapper that tells the network which tokens are padding."""

    def __init__(self):
        super().__init__()
        self.network = small_bert()

    def forward(self, x):
        return self.network(x, attention_mask=(x != 0).long()).logits


class Own(BertForSequenceClassification):
    """The other way to give out logits: a class of one's own, which keeps the library's config."""

    def forward(self, x):
        return super().forward(x).logits


@pytest.mark.parametrize("position", [None, 2])
def test_a_step_is_right_where_each_row_has_its_own_mask(position):
    model, words = Masked(), torch.randint(1, 20, (12, 6))
    words[::2, 4:] = 0  # every other sentence is shorter
    X, source, layer = words[:6], words[6:].flip(0), "network.bert.encoder.layer.0"
    intervenable = build_intervenable(model, layer, 4, example=words, position=position)
    logits = by_hooks(model.eval(), layer, get_basis(intervenable), X, source, position=position)
    y = torch.tensor([0.0, 1.0] * 3)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, y).item()
    plain = nn.functional.binary_cross_entropy(predict(model, X), 1 - y).item()
    history = iit_train(intervenable, X, source[None], y, y_base=1 - y, behavior_weight=1.0)
    assert history["interchange_loss"] == pytest.approx([expected], abs=1e-5)
    assert history["behavior_loss"] == pytest.approx([plain], abs=1e-5)


def test_a_class_of_ones_own_keeps_the_library_s_config():
    model = Own(small_bert().config)
    words, config = torch.randint(1, 20, (12, 6)), model.config
    intervenable = build_intervenable(model, "bert.encoder.layer.1", 4, example=words, position=0)
    assert model.config is config
    hand = by_hooks(model.eval(), "bert.encoder.layer.1", get_basis(intervenable), words[:6], words[6:], position=0)
    found = iit_predict(intervenable, words[:6], words[None, 6:])
    assert torch.allclose(found, torch.sigmoid(hand), atol=1e-6)
