"""Any network can be aligned: what an interchange, a training step and a score are, against arithmetic by hand."""
import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
from own_networks import (NETWORKS, ONE_PASS, Attention, Centered, Encoder, Mlp, Normed, Residual, Resized, equality,
                          gram_schmidt, interchange_by_hand, loss_by_hand, make, numbers, own_columns, raw_rotation,
                          same, state, unchanged)
from pyvene.models.intervenable_modelcard import type_to_dimension_mapping, type_to_module_mapping
from torch import nn

from utils import das_utils
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import (build_intervenable, das_train, get_basis, get_coordinates, iit_evaluate, iit_predict,
                             iit_train)
from utils.interventions.build import get_intervention
from utils.interventions.checkpoints import load_intervenable, save_intervenable
from utils.interventions.passes import can_share_a_pass
from utils.measure_utils import score_alignment
from utils.model_utils import evaluate, predict, train

every_network = pytest.mark.parametrize("name", NETWORKS)
every_number = pytest.mark.parametrize("num_sources", [1, 2, 3])


def close(found, expected, tolerance=1e-5):
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, atol=tolerance * scale, rtol=0)


def probabilities(output):
    return torch.softmax(output, 1) if output.ndim == 2 and output.shape[1] > 1 else torch.sigmoid(output.flatten())


# learning


@pytest.mark.slow("trains")
def test_hierarchical_equality_is_learned():
    """Sixteen numbers to an answer, two variables of which the network is told nothing but what swapping them does."""
    (X, z), (X_test, z_test) = equality(100_000, seed=0), equality(10_000, seed=1)
    model = Mlp(width=64)
    intervenable = build_intervenable(model, "l2", 8, num_sources=2, example=X[:2])
    pool = PairPool(X, z, [[0], [1]], causal_model=same)
    iit_train(intervenable, pool=pool, num_steps=800, batch_size=512, lr=6e-3, behavior_weight=1.0,
              schedule="one_cycle")
    score = score_alignment(intervenable, X_test, z_test, [[0], [1]], n=5000, causal_model=same)
    assert score.iia > 0.995 and score.flip_iia > 0.995 and score.discriminating_iia > 0.995
    assert evaluate(model, X_test, same(z_test)) > 0.995
    assert 0.47 < score.keep < 0.53 and 0.47 < score.copy < 0.53  # what copying an answer would score
    assert np.isnan(score.ceiling) and np.isnan(score.normalized_iia)


# values


@every_network
@every_number
def test_outputs_are_the_arithmetic(name, num_sources):
    intervenable, X, S = make(name, num_sources)
    model, position = intervenable.model, NETWORKS[name][2]
    assert torch.equal(model(X), model.rest(model.first(X), X))
    basis = get_basis(intervenable)
    close(basis.T @ basis, torch.eye(2 * num_sources).double(), 1e-12)
    expected = interchange_by_hand(model, X, S, basis, own_columns(num_sources, 2), position)
    found = iit_predict(intervenable, X, S)
    close(found, probabilities(expected), 1e-12)
    for batch_size in (5, 4):  # the last batch has one pair, or two
        close(iit_predict(intervenable, X, S, batch_size), found, 1e-12)
    assert (found - predict(model, X)).abs().max() > 1e-4
    blocks = [[num_sources - 1 - i] for i in range(num_sources)]
    expected = interchange_by_hand(model, X, S, basis, own_columns(num_sources, 2)[::-1], position)
    found = iit_predict(intervenable, X, S, subspaces=[[block] * 6 for block in blocks])
    close(found, probabilities(expected), 1e-12)


@every_network
def test_the_base_as_its_own_source_changes_nothing(name):
    intervenable, X, _ = make(name, 2)
    close(iit_predict(intervenable, X, torch.stack([X, X])), predict(intervenable.model, X), 1e-12)


@pytest.mark.parametrize("name, size, num_sources", [
    ("flat", 6, 1), ("flat, classes", 3, 2), ("image", 16, 3), ("tokens", 40, 1), ("tokens", 20, 2), ("ReLU", 2, 3),
])
def test_all_directions_give_the_output_of_the_source(name, size, num_sources):
    intervenable, X, S = make(name, num_sources, size)
    close(iit_predict(intervenable, X, S[[0] * num_sources]), predict(intervenable.model, S[0]), 1e-10)
    with pytest.raises(ValueError, match=f"at most {size * num_sources}, the neurons"):
        make(name, num_sources, size + 1)


@pytest.mark.parametrize("name", [name for name, row in NETWORKS.items() if row[2] is not None])
def test_only_that_position_changes(name):
    position, width = NETWORKS[name][2], 6 if name.startswith("attention") else 8
    intervenable, X, S = make(name, 1, width)
    here, there = intervenable.model.first(X), intervenable.model.first(S[0])
    swapped = get_intervention(intervenable)(here, there)
    others = [p for p in range(here.shape[1]) if p != position]
    assert torch.equal(swapped[:, others], here[:, others])
    close(swapped[:, position], there[:, position], 1e-12)


@every_network
def test_coordinates_are_inner_products(name):
    intervenable, X, _ = make(name, 2)
    h, basis, position = intervenable.model.first(X), get_basis(intervenable), NETWORKS[name][2]
    if position is not None:
        h = h[:, position]
    elif h.ndim == 4:
        h = h.permute(0, 2, 3, 1)
    close(get_coordinates(intervenable, X, batch_size=4), h.flatten(1) @ basis, 1e-12)


def test_a_layer_is_seen_as_it_is_before_what_follows_writes_into_it():
    model = nn.Sequential(nn.Linear(16, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
    X = numbers(16)(9)
    intervenable = build_intervenable(model, "0", 4, example=X[:1])
    close(get_coordinates(intervenable, X), model[0](X) @ get_basis(intervenable))


# training


def train_three_ways(monkeypatch, name, num_sources, given):
    """What one step of plain gradient descent subtracts from every parameter: by training, by pyvene's own call, and
    by the arithmetic."""
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)
    _, X, S = make(name, num_sources)
    answers = 3 if NETWORKS[name][0]()(X[:2].float() if X.is_floating_point() else X[:2]).shape[1:] == (3,) else 2
    z = np.random.default_rng(1).integers(0, 2, (6, 3))
    causal_model = (lambda z: z.sum(axis=1) % 3) if answers == 3 else (lambda z: z.sum(axis=1) % 2)
    pool = PairPool(X, z, [[v] for v in range(num_sources)], causal_model=causal_model)
    drawn = pool.draw(6, np.random.default_rng(0))
    bases = torch.from_numpy(pool.images)[drawn.base]
    bases = bases.double() if bases.is_floating_point() else bases
    sources = bases[drawn.sources]
    if given:
        options = {"X_base": bases, "X_sources": sources, "y_base": drawn.y_base,
                   "y_counterfactual": drawn.y_counterfactual}
    else:
        options = {"pool": pool, "num_steps": 1}
    moved, ways = [], []
    for one_pass in (True, False):
        with monkeypatch.context() as patch:
            for way in ("swap_in_one_pass", "interchange"):
                call = getattr(das_utils, way)
                patch.setattr(das_utils, way, lambda *a, c=call, w=way: ways.append(w) or c(*a))
            if not one_pass:
                patch.setattr(das_utils, "own_columns", lambda intervenable: None)
            intervenable = make(name, num_sources)[0]
            parameters = [*intervenable.model.parameters(), raw_rotation(intervenable)]
            before = [p.detach().clone() for p in parameters]
            iit_train(intervenable, **options, batch_size=6, lr=1.0, behavior_weight=0.7)
            moved.append([b - p.detach() for b, p in zip(before, parameters)])
    intervenable = make(name, num_sources)[0]
    model, raw = intervenable.model.requires_grad_(True), raw_rotation(intervenable)
    swapped = interchange_by_hand(model, bases, sources, gram_schmidt(raw), own_columns(num_sources, 2),
                                  NETWORKS[name][2])
    loss = loss_by_hand(swapped, drawn.y_counterfactual) + 0.7 * loss_by_hand(model(bases), drawn.y_base)
    return [*moved, torch.autograd.grad(loss, [*model.parameters(), raw])], ways


@every_network
@every_number
@pytest.mark.parametrize("given", [False, True], ids=["pool", "pairs"])
def test_one_step_follows_the_gradient_of_every_parameter(monkeypatch, name, num_sources, given):
    (ours, pyvenes, by_hand), ways = train_three_ways(monkeypatch, name, num_sources, given)
    assert ways == ["swap_in_one_pass" if name in ONE_PASS else "interchange", "interchange"]
    for found, theirs, expected in zip(ours, pyvenes, by_hand):
        size = expected.abs().max().item()
        assert (found - theirs).abs().max() <= 1e-5 * size and (found - expected).abs().max() <= 1e-5 * size + 1e-9


@pytest.mark.parametrize("network, one_pass", [(Mlp, True), (Centered, False), (Residual, False), (Resized, False)])
def test_one_pass_is_for_networks_whose_rows_go_their_own_ways(network, one_pass):
    X = numbers(16)(9)
    intervenable = build_intervenable(network(), "l2", 2, example=X[:1])
    assert can_share_a_pass(intervenable, X) is can_share_a_pass(intervenable, X[[0, 4]]) is one_pass


@pytest.mark.parametrize("name", ["ReLU", "attention"])
def test_named_blocks_are_trained_too(name):
    """By pyvene's own call, which would write into what a ReLU needs for its gradient."""
    intervenable, X, S = make(name, 2)
    before = state(intervenable.model)
    iit_train(intervenable, X, S, torch.ones(6), subspaces=[[[1]] * 6, [[0], [0, 1], []] * 2])
    assert not unchanged(before, intervenable.model)


def test_batch_normalization_and_an_in_place_relu():
    X, z = numbers(1, 4, 4)(400), np.random.default_rng(0).integers(0, 2, (400, 2))
    X[:, 0, :, :2] += 2 * torch.from_numpy(z[:, 0] - 0.5).view(-1, 1, 1)
    X[:, 0, :, 2:] += 2 * torch.from_numpy(z[:, 1] - 0.5).view(-1, 1, 1)
    for layer in ("c1", "bn", "c2"):
        torch.manual_seed(0)
        model = Normed()
        train(model, X, same(z), lr=2e-2, num_epochs=10, batch_size=50)
        intervenable = build_intervenable(model, layer, 2, num_sources=2, example=X[:2])
        history = iit_train(intervenable, pool=PairPool(X, z, [[0], [1]], causal_model=same), num_steps=80,
                            batch_size=128, lr=1e-2, behavior_weight=1.0)
        assert np.mean(history["interchange_loss"][-5:]) < 0.4 < history["interchange_loss"][0]
        assert np.mean(history["behavior_loss"][-5:]) < 0.2
        assert not model.training and int(model.bn.num_batches_tracked) == 80  # of the training before
        before = state(model)
        das_train(intervenable, pool=PairPool(X, z, [[0], [1]], causal_model=same), num_steps=2, batch_size=32)
        found = iit_predict(intervenable, X, X.flip(0).expand(2, *X.shape))
        assert torch.isfinite(found).all() and unchanged(before, model)
        close(iit_predict(intervenable, X, X.expand(2, *X.shape)), predict(model, X), 1e-5)


def test_train_and_evaluate_take_classes():
    X, z = equality(2000)
    y = z.astype(int) @ [1, 2] % 3  # 0, 1, 2 or 0
    model = Mlp(width=32, answers=3)
    history = train(model, X, y, lr=1e-2, num_epochs=30)
    assert history["loss"][0] > 0.9 and history["loss"][-1] < 0.4
    found = predict(model, X)
    assert found.shape == (2000, 3) and found.sum(dim=1).allclose(torch.ones(2000))
    share = (found.argmax(dim=1).numpy() == y).mean()
    assert evaluate(model, X, torch.from_numpy(y)) == pytest.approx(share) and share > 0.8


# names, kinds of numbers, several networks


@pytest.mark.parametrize("layer", ["l2", "fc1", "0", "body.1", "output", "a.b.output", "config", "layer_0"])
def test_a_layer_may_have_any_name(layer):
    first, _, rest = layer.partition(".")
    inner = nn.Linear(16, 4)
    for part in reversed(rest.split(".") if rest else []):
        inner = nn.Sequential(OrderedDict([("0", nn.Identity()), (part, inner)]))
    model = nn.Sequential(OrderedDict([(first, inner), ("act", nn.ReLU()), ("out", nn.Linear(4, 1))]))
    X = numbers(16)(8)
    intervenable = build_intervenable(model, layer, 4, example=X[:1])
    close(iit_predict(intervenable, X, X.flip(0)[None]), predict(model, X.flip(0)))


@pytest.mark.parametrize("network, X", [
    (Mlp(), numbers(16)(8)), (Mlp(), numbers(16)(8).double()), (Mlp(), numbers(16)(8).numpy()),
    (Mlp(), numbers(16)(8).double().numpy()), (Mlp(), numbers(16)(8) > 0), (Mlp(), (numbers(16)(8) > 0).numpy()),
    (Mlp().double(), numbers(16)(8)), (Mlp().double(), numbers(16)(8).double()),
    (Mlp().double(), numbers(16)(8).numpy()),
    (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 1)), torch.randint(9, (8, 2))),
    (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 1)), np.ones((8, 2), dtype=np.int32)),
], ids=["float", "double", "array", "double array", "bool", "bool array", "double network, float",
        "double network, double", "double network, array", "token ids", "int32 array"])
def test_inputs_of_any_kind(network, X):
    network = copy.deepcopy(network)
    layer = "l2" if isinstance(network, Mlp) else "1"
    intervenable = build_intervenable(network, layer, 2, num_sources=2, example=X[:2])
    z = np.array([[0, 1], [1, 1]] * 4)
    sources = np.stack([X[::-1], X]) if isinstance(X, np.ndarray) else torch.stack([X.flip(0), X])
    plain = torch.as_tensor(X)
    plain = plain if plain.dtype in (torch.int32, torch.int64) else plain.to(next(network.parameters()).dtype)
    close(predict(network, X), torch.sigmoid(network(plain)[:, 0]))
    iit_train(intervenable, pool=PairPool(X, z, [[0], [1]], causal_model=same), num_steps=2, batch_size=4,
              behavior_weight=1.0)
    iit_train(intervenable, X, sources, np.ones(8), y_base=torch.zeros(8), behavior_weight=1.0)
    assert iit_predict(intervenable, X, sources).dtype == next(network.parameters()).dtype
    assert 0 <= iit_evaluate(intervenable, X, sources, np.ones(8)) <= 1
    assert get_coordinates(intervenable, X).shape == (8, 4)
    assert score_alignment(intervenable, X, z, [[0], [1]], n=20, causal_model=same).n == 20


def test_networks_of_one_class_do_not_disturb_each_other():
    tables = [dict(type_to_dimension_mapping), dict(type_to_module_mapping)]
    X, wrapped = numbers(16)(8), []
    for width, layer in ((4, "l2"), (10, "l1"), (7, "l3")):
        torch.manual_seed(width)
        wrapped.append(build_intervenable(Mlp(width), layer, width, example=X[:2]))
    models = [intervenable.model for intervenable in wrapped]
    iit_train(wrapped[1], X, X.flip(0)[None], torch.ones(8), num_epochs=3)
    for intervenable, model, width in zip(wrapped, models, (4, 10, 7)):
        assert get_basis(intervenable).shape == (width, width)
        close(iit_predict(intervenable, X, X.flip(0)[None]), predict(model, X.flip(0)))
    torch.manual_seed(4)
    assert unchanged(state(Mlp(4)), models[0])
    assert tables == [type_to_dimension_mapping, type_to_module_mapping]


@pytest.mark.parametrize("config", [{"hidden_size": 3}, "mine", None])
def test_a_network_keeps_its_own_config(config):
    model, X = Mlp(), numbers(16)(8)
    model.config = config
    intervenable = build_intervenable(model, "l2", 2, example=X[:2])
    iit_train(intervenable, X, X.flip(0)[None], torch.ones(8))
    iit_predict(intervenable, X, X.flip(0)[None])
    assert model.config is config


def test_a_network_keeps_its_own_hooks():
    """pyvene takes off every hook at each of its calls, here only its own."""
    model, X = Mlp(), numbers(16)(8)
    model.out = torch.nn.utils.spectral_norm(model.out)
    intervenable = build_intervenable(model, "l2", 6, example=X[:2])
    seen = []
    model.l3.register_forward_hook(lambda module, args, output: seen.append(len(output)) or 2 * output)
    iit_train(intervenable, X, X.flip(0)[None], torch.ones(8), num_epochs=2, subspaces=[[[0]] * 8])
    seen.clear()
    close(iit_predict(intervenable, X, X.flip(0)[None]), predict(model, X.flip(0)))
    assert seen.count(8) == 3 and len(model.l3._forward_hooks) == 1 and len(model.out._forward_pre_hooks) == 1
    assert not model.l2._forward_hooks


@pytest.mark.parametrize("network", [Mlp, Residual, Encoder, Attention])
def test_dropout_is_off_whenever_a_network_is_asked(network):
    layer, X = {"Encoder": ("enc.layers.0.linear1", torch.randint(10, (8, 5))),
                "Attention": ("value", numbers(4, 4)(8))}.get(network.__name__, ("l2", numbers(16)(8)))
    model = network()
    model.out = nn.Sequential(nn.Dropout(0.5), model.out)
    intervenable = build_intervenable(model, layer, 2, example=X[:2])
    model.train()
    asked = [iit_predict(intervenable, X, X.flip(0)[None]) for _ in range(2)]
    assert torch.equal(*asked) and model.training
    assert torch.equal(predict(model, X), predict(model, X))
    assert torch.equal(get_coordinates(intervenable, X), get_coordinates(intervenable, X))


# files


@pytest.mark.parametrize("name", ["flat, classes", "image", "tokens, position 3", "attention"])
def test_an_own_network_comes_back_from_its_file(tmp_path, name):
    intervenable, X, S = make(name, 2)
    path = tmp_path / "own.pth"
    written = save_intervenable(intervenable, path, [[4], [0, 7]], {"seed": 0})
    assert written["alignment"].get("position") == NETWORKS[name][2]
    again, groups, provenance = load_intervenable(path, torch.device("cpu"), model=make(name, seed=1)[0].model,
                                                  example=X[:1])
    assert groups == [[4], [0, 7]] and provenance == written
    assert torch.equal(iit_predict(again, X, S), iit_predict(intervenable, X, S))
    assert torch.equal(get_coordinates(again, X), get_coordinates(intervenable, X))


@pytest.mark.parametrize("wrong, words", [
    ({"model": Mlp(7), "example": torch.zeros(1, 16)}, "weights are those of another network"),
    ({"model": nn.Sequential(nn.Linear(16, 1)), "example": torch.zeros(1, 16)}, "layer must name a submodule"),
    ({"model": Mlp()}, "example must"),
    ({}, "layer must be one of"),
])
def test_a_file_that_does_not_fit_leaves_the_network_alone(tmp_path, wrong, words):
    intervenable, X, _ = make("flat", double=False)
    save_intervenable(intervenable, tmp_path / "own.pth", [[0]], {})
    before = state(wrong.get("model", Mlp()))
    with pytest.raises(ValueError, match=f"own.pth does not hold .*{words}"):
        load_intervenable(tmp_path / "own.pth", torch.device("cpu"), **wrong)
    assert "model" not in wrong or unchanged(before, wrong["model"])
