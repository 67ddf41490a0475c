"""Interventions, their training and their evaluation against arithmetic written out by hand."""
import copy
import math
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_networks import gram_schmidt

from utils import das_utils
from utils.interventions import passes
from utils.counterfactual_data_utils import (PairPool, create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)
from utils.das_utils import (CNNConfig, CustomLowRankRotatedSpaceIntervention, build_intervenable, das_evaluate,
                             das_predict, das_train, get_basis, get_coordinates, iit_evaluate, iit_predict, iit_train)
from utils.data_utils import create_dataset
from utils.interventions.build import get_intervention, own_columns as columns_of
from utils.interventions.rotated_space import pv
from utils.interventions.rotation import orthonormalize
from utils.model_utils import LAYER_SIZES, PyTorchCNN, evaluate, one_cycle, predict

LAYERS = list(LAYER_SIZES)
GROUPS = {1: [[0, 1]], 2: [[0], [1]], 3: [[0], [1], [2]]}
every_layer = pytest.mark.parametrize("layer", LAYERS)


def flat(activation):
    return activation.permute(0, 2, 3, 1).flatten(1) if activation.ndim == 4 else activation


def unflat(rows, like):
    if like.ndim == 2:
        return rows
    b, c, h, w = like.shape
    return rows.reshape(b, h, w, c).permute(0, 3, 1, 2)


def forward_by_hand(model, x, layer=None, swap=None):
    """Logits (n,) of the CNN, its activation at ``layer`` replaced by ``swap`` of it."""
    p = dict(model.named_parameters())
    for name in ("conv1", "conv2", "conv3"):
        x = F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)
        x = torch.relu(swap(x) if name == layer else x)
        x = F.max_pool2d(x, 2) if name != "conv3" else x
    x = x.reshape(len(x), -1) @ p["fc1.weight"].T + p["fc1.bias"]
    x = torch.relu(swap(x) if layer == "fc1" else x)
    return (x @ p["fc2.weight"].T + p["fc2.bias"]).squeeze(1)


def activation_by_hand(model, x, layer):
    kept = []
    forward_by_hand(model, x, layer, lambda a: kept.append(a) or a)
    return flat(kept[0])


def interchange_by_hand(model, layer, basis, X, sources, columns):
    """Logits where intervention i puts columns[i][row] of the basis from source i into a row, one after the other."""
    activations = [activation_by_hand(model, s, layer) for s in sources]

    def swap(base):
        rows = []
        for i, row in enumerate(flat(base)):
            for activation, chosen in zip(activations, columns):
                for q in basis.T[chosen[i]]:
                    row = row + q * (q @ (activation[i] - row))
            rows.append(row)
        return unflat(torch.stack(rows), base)

    return forward_by_hand(model, X, layer, swap)


def own_columns(num_sources, size, n):
    return [[list(range(i * size, (i + 1) * size))] * n for i in range(num_sources)]


def block_columns(subspaces, size):
    return [[[b * size + j for b in blocks for j in range(size)] for blocks in rows] for rows in subspaces]


def one_pass(intervenable, X, S, keep_bases):
    sources = torch.arange(len(X), len(X) * (1 + len(S))).view(len(S), len(X))
    X = torch.cat([X, *S])
    return passes.swap_in_one_pass(intervenable, X, sources, columns_of(intervenable), keep_bases)


def raw_rotation(intervenable):
    return next(iter(intervenable.interventions.values())).rotate_layer.parametrizations.weight.original


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def close(found, expected, tolerance=1e-5):
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


def logits_of(probabilities):
    return torch.logit(probabilities.double()).float()


def fresh(layer, size=1, num_sources=1, seed=0):
    torch.manual_seed(seed)
    return build_intervenable(PyTorchCNN(), layer, size, num_sources)


@pytest.fixture
def pairs(dataset):
    """Make n pairs of ellipses with k sources: X_base, X_sources, y_base, y_counterfactual."""

    def make(k, n, seed=0):
        X, S, y, _, y_counterfactual = create_multi_source_counterfactual_dataset(
            list(range(k)), *dataset, [0.4] * 3, n, seed=seed
        )
        return X, S, y, y_counterfactual

    return make


@pytest.fixture
def gradient_descent(monkeypatch):
    """Plain gradient descent instead of Adam, so that one step at learning rate 1 subtracts the gradient."""
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)


# what an intervention computes


@every_layer
@pytest.mark.parametrize("size, num_sources", [(1, 1), (3, 1), (1, 2), (1, 3), (4, 3)])
def test_outputs_are_the_arithmetic(pairs, layer, size, num_sources):
    if size * num_sources > LAYER_SIZES[layer]:
        size = 1
    X, S, _, _ = pairs(num_sources, 7)
    intervenable = fresh(layer, size, num_sources)
    expected = interchange_by_hand(
        intervenable.model, layer, get_basis(intervenable), X, S, own_columns(num_sources, size, 7)
    )
    found = iit_predict(intervenable, X, S)
    assert found.shape == (7,) and not found.requires_grad
    close(found, torch.sigmoid(expected))
    close(logits_of(found), expected, 2e-5)
    plain = forward_by_hand(intervenable.model, X)
    close(passes.interchange(intervenable, X, list(S)), expected)
    close(passes.interchange(intervenable, X, list(S), keep_bases=True), torch.cat([plain, expected]))
    close(one_pass(intervenable, X, S, keep_bases=False), expected)
    close(one_pass(intervenable, X, S, keep_bases=True), torch.cat([plain, expected]))
    basis = get_basis(intervenable)
    close(get_coordinates(intervenable, X), activation_by_hand(intervenable.model, X, layer) @ basis)


@every_layer
@pytest.mark.parametrize("num_sources", [1, 3])
def test_gradients_are_those_of_the_arithmetic(layer, num_sources):
    """Of every weight, of the raw rotation (against Gram-Schmidt), of base and source images; in float64."""
    size = 1 if layer == "fc1" else 2
    intervenable = fresh(layer, size, num_sources)
    model = intervenable.model.double()
    intervenable.interventions.double()
    intervenable.enable_model_gradients()
    X = torch.rand(4, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    S = torch.rand(num_sources, 4, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    raw = raw_rotation(intervenable)
    with torch.no_grad():
        raw += 0.02 * torch.randn_like(raw)  # as after some training: no longer orthonormal itself
    wanted = [*model.parameters(), raw, X, S]
    y = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)

    expected = interchange_by_hand(model, layer, gram_schmidt(raw), X, S, own_columns(num_sources, size, 4))
    right = torch.autograd.grad(F.binary_cross_entropy_with_logits(expected, y), wanted)
    for found in (one_pass(intervenable, X, S, keep_bases=False), passes.interchange(intervenable, X, list(S))):
        close(found, expected, 1e-9)
        found = torch.autograd.grad(F.binary_cross_entropy_with_logits(found, y), wanted)
        for ours, by_hand in zip(found, right):
            assert by_hand.abs().max() > 0
            close(ours, by_hand, 1e-9)


@every_layer
@pytest.mark.parametrize("num_sources", [1, 2])
def test_one_step_of_iit_follows_the_gradient(pairs, gradient_descent, layer, num_sources):
    X, S, y, y_counterfactual = pairs(num_sources, 6)
    intervenable = fresh(layer, 1, num_sources)
    by_hand, raw = copy.deepcopy(intervenable.model), raw_rotation(intervenable).detach().clone().requires_grad_()
    by_hand.requires_grad_(True)
    intervened = interchange_by_hand(by_hand, layer, gram_schmidt(raw), X, S, own_columns(num_sources, 1, 6))
    interchange = F.binary_cross_entropy_with_logits(intervened, y_counterfactual)
    behavior = F.binary_cross_entropy_with_logits(forward_by_hand(by_hand, X), y)
    (interchange + 0.7 * behavior).backward()

    history = iit_train(intervenable, X, S, y_counterfactual, lr=1.0, y_base=y, behavior_weight=0.7)
    assert history["interchange_loss"] == [pytest.approx(interchange.item(), abs=1e-5)]
    assert history["behavior_loss"] == [pytest.approx(behavior.item(), abs=1e-5)]
    for after, before in zip(intervenable.model.parameters(), by_hand.parameters()):
        close(after.detach(), (before - before.grad).detach())
    close(raw_rotation(intervenable).detach(), (raw - raw.grad).detach())


@every_layer
def test_subspaces_stay_with_their_pairs_in_training(pairs, gradient_descent, layer):
    """The pairs come in another order, of which the gradient over all of them shows nothing."""
    X, S, _, y = pairs(2, 6)
    subspaces = [None, [[0], [1], [], [0, 1], [0], [1]]]
    intervenable = fresh(layer, 1, 2)
    model, raw = intervenable.model, raw_rotation(intervenable).detach().clone().requires_grad_()
    columns = [[[0, 1]] * 6, subspaces[1]]
    intervened = interchange_by_hand(model, layer, gram_schmidt(raw), X, S, columns)
    loss = F.binary_cross_entropy_with_logits(intervened, y)
    loss.backward()
    history = das_train(intervenable, X, S, y, lr=1.0, schedule="constant", subspaces=subspaces)
    assert history["interchange_loss"] == [pytest.approx(loss.item(), abs=1e-5)]
    close(raw_rotation(intervenable).detach(), (raw - raw.grad).detach(), 1e-4)  # ties of the pooling fall either way


@every_layer
@pytest.mark.parametrize("num_sources", [1, 2, 3])
def test_one_step_from_a_pool_follows_the_gradient(dataset, gradient_descent, layer, num_sources):
    intervenable = fresh(layer, 1, num_sources)
    pool = PairPool(*dataset, GROUPS[num_sources])
    drawn = pool.draw(5, np.random.default_rng(3))
    X = torch.from_numpy(pool.images[drawn.base])
    S = X[drawn.sources]
    model, raw = intervenable.model, raw_rotation(intervenable).detach().clone().requires_grad_()
    before = state(model)
    loss = F.binary_cross_entropy_with_logits(
        interchange_by_hand(model, layer, gram_schmidt(raw), X, S, own_columns(num_sources, 1, 5)),
        drawn.y_counterfactual,
    )
    loss.backward()
    history = das_train(intervenable, pool=pool, num_steps=1, batch_size=5, lr=1.0, schedule="constant", seed=3)
    assert history["interchange_loss"] == [pytest.approx(loss.item(), abs=1e-5)]
    assert math.isnan(history["behavior_loss"][0])  # the network is frozen, so nobody asks for it
    assert same(before, model.state_dict())
    close(raw_rotation(intervenable).detach(), (raw - raw.grad).detach())


@every_layer
@pytest.mark.parametrize("num_sources", [1, 2])
def test_several_pairs_of_a_base_share_one_pass(dataset, gradient_descent, monkeypatch, layer, num_sources):
    """Both losses and the gradient are those of the pairs written out, whichever way is taken."""
    groups, pool = GROUPS[num_sources], PairPool(*dataset, GROUPS[num_sources])
    drawn = pool.draw(5, np.random.default_rng(3), reorderings=2)
    X = torch.from_numpy(pool.images[drawn.base])
    S = X[drawn.sources]
    model, raw = (made := fresh(layer, 1, num_sources)).model, raw_rotation(made).detach().clone().requires_grad_()
    swapped = interchange_by_hand(model, layer, gram_schmidt(raw), X.repeat(2, 1, 1, 1), S,
                                  own_columns(num_sources, 1, 10))
    interchange_loss = F.binary_cross_entropy_with_logits(swapped, drawn.y_counterfactual)
    behavior_loss = F.binary_cross_entropy_with_logits(forward_by_hand(model, X), drawn.y_base)
    interchange_loss.backward()
    for single in (True, False):
        intervenable = fresh(layer, 1, num_sources)
        with monkeypatch.context() as patch:
            if not single:
                patch.setattr(das_utils, "own_columns", lambda intervenable: None)
            history = iit_train(intervenable, pool=PairPool(*dataset, groups), num_steps=1, batch_size=5, reorderings=2,
                                lr=1.0, behavior_weight=0.5, seed=3)
        assert history["interchange_loss"] == [pytest.approx(interchange_loss.item(), abs=1e-5)]
        assert history["behavior_loss"] == [pytest.approx(behavior_loss.item(), abs=1e-5)]
        close(raw_rotation(intervenable).detach(), (raw - raw.grad).detach(), 1e-4)


def test_reorderings_go_with_a_pool(pairs):
    X, S, _, y = pairs(1, 6)
    with pytest.raises(ValueError, match="reorderings go with a pool"):
        das_train(fresh("fc1"), X, S, y, reorderings=2)
    with pytest.raises(ValueError, match="reorderings must be at least 1"):
        das_train(fresh("fc1"), X, S, y, reorderings=0)


@every_layer
@pytest.mark.parametrize("num_sources", [1, 2])
def test_the_base_as_its_own_source_changes_nothing(pairs, layer, num_sources):
    X = pairs(1, 9)[0]
    intervenable = fresh(layer, 1, num_sources)
    close(iit_predict(intervenable, X, torch.stack([X] * num_sources)), predict(intervenable.model, X))


@pytest.mark.parametrize("size, num_sources", [(3, 1), (1, 3)])
def test_the_full_space_gives_the_output_of_the_source(pairs, size, num_sources):
    X, S, _, _ = pairs(1, 9)
    intervenable = fresh("fc1", size, num_sources)
    found = iit_predict(intervenable, X, S.repeat(num_sources, 1, 1, 1, 1))
    close(found, predict(intervenable.model, S[0]))
    assert (found - predict(intervenable.model, X)).abs().max() > 1e-4


@every_layer
def test_the_order_of_sources_with_their_blocks_does_not_matter(pairs, layer):
    X, S, _, _ = pairs(3, 8)
    intervenable = fresh(layer, 1, 3)
    expected = iit_predict(intervenable, X, S)
    for order in ([1, 0, 2], [2, 0, 1]):
        close(iit_predict(intervenable, X, S[order], subspaces=[[[i]] * 8 for i in order]), expected)
    assert (iit_predict(intervenable, X, S[[1, 0, 2]]) - expected).abs().max() > 1e-6


@every_layer
def test_the_basis_is_orthonormal_and_stays_so(dataset, layer):
    intervenable = fresh(layer, 1, 3)
    before = get_basis(intervenable).clone()
    for _ in range(2):
        basis = get_basis(intervenable)
        assert basis.shape == (LAYER_SIZES[layer], 3) and not basis.requires_grad
        close(basis.T @ basis, torch.eye(3))
        iit_train(intervenable, pool=PairPool(*dataset, GROUPS[3]), num_steps=4, batch_size=16, lr=0.1)
    basis = get_basis(intervenable)
    close(basis.T @ basis, torch.eye(3))
    assert (basis - before).abs().max() > 1e-3
    close(basis, gram_schmidt(raw_rotation(intervenable).detach()))


@every_layer
@pytest.mark.parametrize(
    "subspaces",
    [
        [[[0], [1], [0], [0, 1], []], [[1], [0], [1], [], [0, 1]]],
        [[[0], [1], [], [0, 1], [1]], [[0], [1], [0, 1], [0], [0]]],  # both at one block: the later one wins
        [[[0, 1]] * 5, [[0]] * 5],
        [[[]] * 5, [[1]] * 5],
    ],
)
def test_each_pair_may_swap_other_blocks(pairs, layer, subspaces):
    X, S, _, _ = pairs(2, 5)
    size = 1 if layer == "fc1" else 2
    intervenable = fresh(layer, size, 2)
    expected = interchange_by_hand(
        intervenable.model, layer, get_basis(intervenable), X, S, block_columns(subspaces, size)
    )
    for batch_size in (5, 2):
        close(iit_predict(intervenable, X, S, batch_size, subspaces), torch.sigmoid(expected))


def test_an_intervention_with_none_swaps_all_its_directions(pairs):
    X, S, _, _ = pairs(2, 5)
    intervenable = fresh("conv3", 2, 2)
    columns = [[[0, 1, 2, 3]] * 5, [[2, 3]] * 5]
    expected = interchange_by_hand(intervenable.model, "conv3", get_basis(intervenable), X, S, columns)
    close(iit_predict(intervenable, X, S, 3, [None, [[1]] * 5]), torch.sigmoid(expected))


@pytest.mark.parametrize("mixed", [False, True])
def test_naming_a_block_twice_swaps_it_once(pairs, mixed):
    X, S, _, _ = pairs(2, 4)
    intervenable = fresh("conv2", 1, 2)
    twice = [[[0, 0]] * 3 + [[0] if mixed else [0, 0]], [[1]] * 4]
    close(iit_predict(intervenable, X, S, subspaces=twice), iit_predict(intervenable, X, S), 1e-6)


@every_layer
def test_without_subspaces_each_intervention_swaps_its_own_block(pairs, layer):
    X, S, _, y = pairs(2, 8)
    intervenable = fresh(layer, 1, 2)
    found = iit_predict(intervenable, X, S)
    assert torch.equal(found, iit_predict(intervenable, X, S, subspaces=[[[0]] * 8, [[1]] * 8]))
    assert (found - iit_predict(intervenable, X, S, subspaces=[[[0, 1]] * 8] * 2)).abs().max() > 1e-6
    trained = []
    for subspaces in (None, [[[0]] * 8, [[1]] * 8], [[[0, 1]] * 8] * 2):
        intervenable = fresh(layer, 1, 2)
        das_train(intervenable, X, S, y, num_epochs=2, batch_size=5, subspaces=subspaces)
        trained.append(get_basis(intervenable))
    assert torch.equal(trained[0], trained[1]) and not torch.equal(trained[0], trained[2])


@every_layer
def test_pyvene_itself_run_with_sources_gives_the_same(pairs, layer):
    X, S, _, _ = pairs(2, 8)
    intervenable = fresh(layer, 1, 2)
    for subspaces in ([[[0]] * 8, [[1]] * 8], [[[1], [0]] * 4, [[0], [0, 1]] * 4]):
        with torch.no_grad():
            _, output = intervenable({"x": X}, [{"x": S[0]}, {"x": S[1]}], subspaces=subspaces)
        assert output.shape == (8, 1)
        close(iit_predict(intervenable, X, S, subspaces=subspaces), torch.sigmoid(output[:, 0]))


@every_layer
def test_batch_size_changes_nothing(pairs, layer):
    X, S, _, _ = pairs(2, 11)
    intervenable = fresh(layer, 1, 2)
    expected = iit_predict(intervenable, X, S, batch_size=11)
    for batch_size in (1, 4, 512):
        close(iit_predict(intervenable, X, S, batch_size), expected)
    assert das_predict is iit_predict and das_evaluate is iit_evaluate


def test_predict_leaves_no_hooks_and_the_network_alone(pairs):
    X, S, _, _ = pairs(2, 5)
    intervenable = fresh("conv2", 1, 2)
    before, plain = state(intervenable.model), predict(intervenable.model, X)
    iit_predict(intervenable, X, S)
    with pytest.raises((IndexError, ValueError)):
        iit_predict(intervenable, X, S, subspaces=[[[7]] * 5] * 2)
    assert same(before, intervenable.model.state_dict())
    assert not any(module._forward_hooks for module in intervenable.model.modules())
    assert torch.equal(plain, predict(intervenable.model, X))


def test_iit_evaluate_is_the_accuracy_by_hand(pairs):
    X, S, _, y = pairs(2, 40)
    intervenable = fresh("fc1", 1, 2)
    with torch.no_grad():
        intervenable.model.fc2.bias -= iit_predict(intervenable, X, S).logit().median()  # answers of both kinds
    answers = [float(p > 0.5) for p in iit_predict(intervenable, X, S)]
    assert 0 < sum(answers) < 40
    expected = sum(a == t for a, t in zip(answers, y.tolist())) / 40
    assert iit_evaluate(intervenable, X, S, y, batch_size=7) == pytest.approx(expected, abs=1e-6)
    assert iit_evaluate(intervenable, X, S, y[:, None]) == pytest.approx(expected, abs=1e-6)
    assert iit_evaluate(intervenable, X.numpy(), S.numpy(), y.numpy()) == pytest.approx(expected, abs=1e-6)


# the seed notebook, with utils. imports, on the CPU, from a fresh network


def seed_checkpoint(tmp_path):
    path = tmp_path / "base_cnn.pth"
    torch.save(PyTorchCNN().state_dict(), path)
    return path


def vanilla_model(intervention_size=2, blocks=3, hidden_size=28):
    model = PyTorchCNN()
    model.config = CNNConfig(hidden_size=hidden_size)
    k = intervention_size
    first, second = [[0, k], [k, 2 * k], [2 * k, hidden_size]], [[k, 2 * k], [0, k], [2 * k, hidden_size]]
    representations = [
        {"component": "conv1.output", "subspace_partition": part[:blocks], "intervention_link_key": 0}
        for part in (first, second)
    ]
    config = pv.IntervenableConfig(representations=representations, intervention_types=pv.VanillaIntervention)
    return pv.IntervenableModel(config, model)


@pytest.mark.slow("trains")
def test_seed_notebook_single_source(tmp_path):
    n_train = n_test = 64
    variables, intervention_size, coefficients = [0, 1], 1, np.array([0.4, 0.4, 0.4])
    np.random.seed(0)
    images, labels = create_dataset(n_train)
    images = images.reshape((-1, 1, 28, 28))
    X_base, X_sources, y_base, y_sources, y_counterfactual = create_single_source_counterfactual_dataset(
        variables, images, labels, coefficients, size=n_train
    )
    model = PyTorchCNN()
    model.load_state_dict(torch.load(seed_checkpoint(tmp_path)))
    model.config = CNNConfig(hidden_size=28 * 28 * 16)
    representations = [{"component": "conv1.output", "low_rank_dimension": intervention_size}]
    pv_config = pv.IntervenableConfig(
        representations=representations, intervention_types=CustomLowRankRotatedSpaceIntervention
    )
    pv_model = pv.IntervenableModel(pv_config, model)
    pv_model.set_device("cpu")
    before, rotation = state(model), get_basis(pv_model).clone()
    iit_train(pv_model, X_base.to("cpu"), X_sources.to("cpu"), y_counterfactual.to("cpu"), lr=0.0005, num_epochs=1,
              batch_size=256, subspaces=None)
    assert not same(before, model.state_dict()) and not torch.equal(rotation, get_basis(pv_model))

    images, labels = create_dataset(n_test)
    images = images.reshape((-1, 1, 28, 28))
    X_base, X_sources, y_base, y_sources, y_counterfactual = create_single_source_counterfactual_dataset(
        variables, images, labels, coefficients, size=n_test
    )
    assert 0 <= iit_evaluate(pv_model, X_base, X_sources, y_counterfactual, subspaces=None) <= 1
    expected = interchange_by_hand(model, "conv1", get_basis(pv_model), X_base, X_sources, [[[0]] * n_test])
    close(iit_predict(pv_model, X_base, X_sources), torch.sigmoid(expected))
    X = torch.tensor(images.reshape((-1, 1, 28, 28))).float()
    y = torch.tensor(np.matmul(labels, coefficients) > 0.6).float()
    assert 0 <= evaluate(pv_model.model, X, y) <= 1


@pytest.mark.slow("trains")
def test_seed_notebook_multi_source(tmp_path):
    n_train = n_test = 64
    variables, coefficients = [0, 1], np.array([0.4, 0.4, 0.4])
    np.random.seed(0)
    images, labels = create_dataset(n_train)
    images = images.reshape((-1, 1, 28, 28))
    X_base, X_sources, _, _, y_counterfactual = create_multi_source_counterfactual_dataset(
        variables, images, labels, coefficients, size=n_train
    )
    pv_model = vanilla_model()
    pv_model.model.load_state_dict(torch.load(seed_checkpoint(tmp_path)))
    before = state(pv_model.model)
    history = iit_train(pv_model, X_base, X_sources, y_counterfactual, lr=0.0005, num_epochs=5, batch_size=256)
    assert len(history["lr"]) == 5 and history["interchange_loss"][-1] < history["interchange_loss"][0]
    assert not same(before, pv_model.model.state_dict())
    images, labels = create_dataset(n_test)
    X_base, X_sources, _, _, y_counterfactual = create_single_source_counterfactual_dataset(
        variables, images.reshape((-1, 1, 28, 28)), labels, coefficients, size=n_test
    )
    # the notebook evaluates this two-source model on one source; it runs, and says what it does
    with pytest.warns(UserWarning, match="one source for 2 interventions"):
        found = iit_evaluate(pv_model, X_base, X_sources, y_counterfactual)
    both = torch.cat([X_sources, X_sources])
    assert found == iit_evaluate(pv_model, X_base, both, y_counterfactual)
    with pytest.raises(ValueError, match="X_sources"):
        iit_train(pv_model, X_base, X_sources, y_counterfactual)


def vanilla_by_hand(model, X, sources, columns):
    kept = []
    for source in sources:
        forward_by_hand(model, source, "conv1", lambda a: kept.append(a) or a)

    def swap(base):
        parts = [base[..., [c]] for c in range(28)]
        for source, chosen in zip(kept, columns):
            for c in chosen:
                parts[c] = source[..., [c]]
        return torch.cat(parts, dim=-1)

    return forward_by_hand(model, X, "conv1", swap)


def test_vanilla_interventions_swap_their_own_pixel_columns(pairs):
    X, S, _, _ = pairs(2, 6)
    S[:, :, :, :, :6] = torch.rand(2, 6, 1, 28, 6)  # ellipses leave the first columns white
    intervenable = vanilla_model()
    found = iit_predict(intervenable, X, S, batch_size=4)
    close(found, torch.sigmoid(vanilla_by_hand(intervenable.model, X, S, [[0, 1], [2, 3]])))
    both = [[[0, 1]] * 6] * 2
    expected = vanilla_by_hand(intervenable.model, X, S, [[0, 1, 2, 3]] * 2)
    close(iit_predict(intervenable, X, S, subspaces=both), torch.sigmoid(expected))
    assert (found - torch.sigmoid(expected)).abs().max() > 1e-6
    close(iit_predict(intervenable, X, torch.stack([X, X])), predict(intervenable.model, X))


def test_one_step_of_vanilla_iit_follows_the_gradient(pairs, gradient_descent):
    X, S, _, y = pairs(2, 6)
    S[:, :, :, :, :6] = torch.rand(2, 6, 1, 28, 6)
    intervenable = vanilla_model()
    by_hand = copy.deepcopy(intervenable.model).requires_grad_(True)
    F.binary_cross_entropy_with_logits(vanilla_by_hand(by_hand, X, S, [[0, 1], [2, 3]]), y).backward()
    iit_train(intervenable, X, S, y, lr=1.0)
    for after, before in zip(intervenable.model.parameters(), by_hand.parameters()):
        close(after.detach(), (before - before.grad).detach())


# training


@every_layer
def test_das_leaves_the_network_bit_identical(dataset, pairs, layer):
    X, S, _, y = pairs(2, 12)
    intervenable = fresh(layer, 1, 2)
    before, rotation = state(intervenable.model), get_basis(intervenable).clone()
    das_train(intervenable, X, S, y, batch_size=6)
    das_train(intervenable, pool=PairPool(*dataset, GROUPS[2]), num_steps=2, batch_size=8)
    assert same(before, intervenable.model.state_dict())
    assert all(p.grad is None for p in intervenable.model.parameters())
    assert (get_basis(intervenable) - rotation).abs().max() > 1e-4


@every_layer
def test_iit_trains_every_weight_and_the_rotation(pairs, layer):
    X, S, _, y = pairs(2, 12)
    intervenable = fresh(layer, 1, 2)
    before, rotation = state(intervenable.model), get_basis(intervenable).clone()
    iit_train(intervenable, X, S, y)
    assert not any(torch.equal(before[name], tensor) for name, tensor in intervenable.model.state_dict().items())
    assert not torch.equal(rotation, get_basis(intervenable))


@pytest.mark.parametrize("train", [iit_train, das_train])
def test_history_has_an_entry_for_every_step(pairs, dataset, train):
    X, S, _, y = pairs(1, 10)
    fixed = train(fresh("fc1"), X, S, y, num_epochs=3, batch_size=4)
    assert set(fixed) == {"interchange_loss", "behavior_loss", "lr"}
    assert [len(values) for values in fixed.values()] == [9] * 3
    assert all(math.isnan(v) for v in fixed["behavior_loss"]) and np.isfinite(fixed["interchange_loss"]).all()
    pooled = train(fresh("fc1"), pool=PairPool(*dataset, GROUPS[1]), num_steps=4, batch_size=8)
    assert [len(values) for values in pooled.values()] == [4] * 3
    assert all(math.isnan(v) for v in pooled["behavior_loss"])  # not asked for
    assert all(type(v) is float for values in (*fixed.values(), *pooled.values()) for v in values)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("train", [iit_train, das_train])
def test_the_seed_decides(pairs, dataset, train, pooled):
    X, S, _, y = pairs(2, 24)

    def run(seed):
        intervenable = fresh("conv3", 1, 2)
        data = {"pool": PairPool(*dataset, GROUPS[2]), "num_steps": 3} if pooled else {
            "X_base": X, "X_sources": S, "y_counterfactual": y}
        history = train(intervenable, **data, batch_size=8, seed=seed)
        return history["interchange_loss"], get_basis(intervenable)

    (first, basis), (again, basis_again), (other, _) = run(5), run(5), run(6)
    assert first == again and torch.equal(basis, basis_again) and first != other


@pytest.mark.parametrize("train", [iit_train, das_train])
@pytest.mark.parametrize("num_sources", [1, 2, 3])
def test_after_training_the_network_is_frozen_and_in_eval_mode(dataset, train, num_sources):
    intervenable = fresh("conv2", 2, num_sources)
    pool = PairPool(*dataset, GROUPS[num_sources])
    train(intervenable, pool=pool, num_steps=2, batch_size=8)
    assert not intervenable.model.training
    assert not any(p.requires_grad for p in intervenable.model.parameters())
    assert not any(module._forward_hooks for module in intervenable.model.modules())


@pytest.mark.parametrize("train, weights", [(iit_train, 10), (das_train, 0)])
def test_the_optimizer_sees_linked_parameters_once(pairs, monkeypatch, train, weights):
    seen, adam = [], torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda params, **kwargs: adam(seen.extend(params) or seen, **kwargs))
    X, S, _, y = pairs(3, 4)
    intervenable = fresh("fc1", 1, 3)
    train(intervenable, X, S, y)
    assert len(seen) == len({id(p) for p in seen}) == weights + 1
    assert len({id(i.rotate_layer) for i in intervenable.interventions.values()}) == 1
    assert any(p is raw_rotation(intervenable) for p in seen)


@pytest.mark.slow("trains")
@pytest.mark.parametrize("train", [iit_train, das_train])
@pytest.mark.parametrize("steps", [1, 2, 5, 50])
def test_one_cycle_rises_to_the_peak_and_falls_to_nearly_nothing(pairs, train, steps):
    X, S, _, y = pairs(1, steps)
    lr = train(fresh("fc1"), X, S, y, lr=0.02, batch_size=1, schedule="one_cycle")["lr"]
    peak = int(np.argmax(lr))
    assert len(lr) == steps and lr[peak] == pytest.approx(0.02)
    assert (np.diff(lr[: peak + 1]) > 0).all() and (np.diff(lr[peak:]) < 0).all() and min(lr) > 0
    if steps == 50:
        assert peak == 9 and lr[0] == pytest.approx(0.002) and lr[-1] < 0.02 * 0.01
    else:
        assert peak == 0
    constant = train(fresh("fc1"), X, S, y, lr=0.02, batch_size=1, schedule="constant")["lr"]
    assert constant == [0.02] * steps


def test_one_cycle_stays_positive_after_its_last_step():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = one_cycle(optimizer, 3)
    for _ in range(3):
        assert schedule.get_last_lr()[0] > 0
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr()[0] == pytest.approx(0)


@pytest.mark.slow("trains")
def test_given_pairs_with_a_behavior_weight_learn_both(pairs):
    X, S, y, y_counterfactual = pairs(2, 40)
    weighed, forgetful = (
        iit_train(fresh("fc1", 1, 2), X, S, y_counterfactual, lr=2e-3, num_epochs=8, batch_size=16, y_base=y,
                  behavior_weight=weight)
        for weight in (3.0, 0.0)
    )
    assert np.isfinite(weighed["behavior_loss"]).all() and np.isnan(forgetful["behavior_loss"]).all()
    assert np.mean(weighed["behavior_loss"][-3:]) < weighed["behavior_loss"][0]
    assert weighed["interchange_loss"] != forgetful["interchange_loss"]


def test_a_zero_weight_trains_as_if_there_were_no_base_labels(pairs):
    X, S, y, y_counterfactual = pairs(1, 12)
    with_labels, without = (
        iit_train(fresh("fc1"), X, S, y_counterfactual, num_epochs=3, y_base=labels) for labels in (y, None)
    )
    assert with_labels["interchange_loss"] == pytest.approx(without["interchange_loss"], abs=1e-5)


@pytest.mark.slow("trains")
def test_iit_from_a_fresh_network_lowers_the_interchange_loss(dataset):
    intervenable = fresh("fc1", 1, 3, seed=1)
    pool = PairPool(*dataset, GROUPS[3])
    history = iit_train(intervenable, pool=pool, num_steps=60, batch_size=128, lr=1e-2, schedule="one_cycle",
                        behavior_weight=1.0)
    start, end = (np.mean(part) for part in (history["interchange_loss"][:3], history["interchange_loss"][-5:]))
    assert start > 0.65 and end < 0.56
    assert np.mean(history["behavior_loss"][-5:]) < 0.56


# bad input


def wrap(*representations, kind=CustomLowRankRotatedSpaceIntervention):
    model = PyTorchCNN()
    model.config = CNNConfig()
    config = pv.IntervenableConfig(representations=list(representations), intervention_types=kind)
    return pv.IntervenableModel(config, model)


def bad_build(component, **change):
    return wrap({"component": component, "low_rank_dimension": 1, **change})


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: build_intervenable(PyTorchCNN(), "fc1", 4), ValueError, "intervention_size"),
        (lambda: build_intervenable(PyTorchCNN(), "fc1", 2, 2), ValueError, "num_sources"),
        (lambda: build_intervenable(PyTorchCNN(), "fc2", 1), ValueError, "layer"),
        (lambda: build_intervenable(PyTorchCNN(), 1, 1), ValueError, "layer"),
        (lambda: build_intervenable(PyTorchCNN(), "fc1", 0), ValueError, "intervention_size"),
        (lambda: build_intervenable(PyTorchCNN(), "fc1", 1.0), TypeError, "intervention_size"),
        (lambda: build_intervenable(PyTorchCNN(), "fc1", 1, 0), ValueError, "num_sources"),
        (lambda: build_intervenable(PyTorchCNN(), "fc1", 1, True), TypeError, "num_sources"),
        (lambda: build_intervenable("model", "fc1", 1), TypeError, "model"),
        (lambda: bad_build("fc2.output"), ValueError, "component"),
        (lambda: bad_build("conv1.input"), ValueError, "component"),
        (lambda: bad_build("fc1.output", low_rank_dimension=4), ValueError, "low_rank_dimension"),
        (lambda: bad_build("fc1.output", low_rank_dimension=None), TypeError, "low_rank_dimension"),
        (lambda: bad_build("fc1.output", subspace_partition=[[0, 2]]), ValueError, "subspace_partition"),
        (lambda: bad_build("fc1.output", subspace_partition=[[-1, 1]]), ValueError, "subspace_partition"),
    ],
)
def test_bad_models_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


N = 6
X, S, Y = torch.rand(N, 1, 28, 28), torch.rand(2, N, 1, 28, 28), torch.ones(N)
BAD_PAIRS = [
    ({"X_sources": S[[0, 1, 0]]}, ValueError, "X_sources"),
    ({"X_sources": S[:, :4]}, ValueError, "same length"),
    ({"X_base": X[:4]}, ValueError, "same length|y_counterfactual"),
    ({"X_sources": S[0]}, ValueError, "X_sources"),
    ({"X_sources": [S[0], S[1]]}, TypeError, "X_sources"),
    ({"X_sources": S[..., :27]}, ValueError, "X_sources"),
    ({"X_base": X[:, 0]}, ValueError, "X_base"),
    ({"X_base": X[..., :27]}, ValueError, "X_base"),
    ({"X_base": X[:0], "X_sources": S[:, :0]}, ValueError, "X_base"),
    ({"X_base": "images"}, TypeError, "X_base"),
    ({"X_base": None}, TypeError, "X_base"),
    ({"batch_size": 0}, ValueError, "batch_size"),
    ({"batch_size": 2.5}, TypeError, "batch_size"),
    ({"subspaces": [[[0]] * N]}, ValueError, "subspaces"),
    ({"subspaces": [[[0]] * N] * 3}, ValueError, "subspaces"),
    ({"intervenable": PyTorchCNN()}, TypeError, "intervenable"),
]
BAD_TARGETS = [
    ({"y_counterfactual": Y * 0.5}, ValueError, "y_counterfactual"),
    ({"y_counterfactual": Y * 2}, ValueError, "y_counterfactual"),
    ({"y_counterfactual": Y * math.nan}, ValueError, "y_counterfactual"),
    ({"y_counterfactual": Y[:4]}, ValueError, "y_counterfactual"),
    ({"y_counterfactual": None}, TypeError, "y_counterfactual"),
    ({"y_counterfactual": [1.0] * N}, TypeError, "y_counterfactual"),
]


def good_pairs():
    return {"intervenable": fresh("fc1", 1, 2), "X_base": X, "X_sources": S, "y_counterfactual": Y}


@pytest.mark.parametrize("change, error, words", BAD_PAIRS + BAD_TARGETS)
@pytest.mark.parametrize("call", [iit_train, das_train, iit_evaluate])
def test_bad_pairs_are_refused(call, change, error, words):
    with pytest.raises(error, match=words):
        call(**{**good_pairs(), **change})


@pytest.mark.parametrize("change, error, words", BAD_PAIRS)
def test_bad_pairs_are_refused_by_predict(change, error, words):
    good = {k: v for k, v in good_pairs().items() if k != "y_counterfactual"}
    with pytest.raises(error, match=words):
        iit_predict(**{**good, **change})


@pytest.mark.parametrize(
    "subspaces",
    [
        [[[0]] * 4, [[1]] * 4],
        [[[0], [1], [0], [1]], [[1]] * N],
        [[[0]] * (N + 2), [[1]] * (N + 2)],
        [[[0]] * N, [[2]] * N],
        [[[-1]] * N, [[1]] * N],
        0,
    ],
    ids=["too few pairs", "too few mixed pairs", "too many pairs", "no such block", "negative block", "no list"],
)
@pytest.mark.parametrize("call", [iit_predict, iit_train])
def test_subspaces_that_do_not_fit_the_pairs_are_refused(call, subspaces):
    good = good_pairs()
    if call is iit_predict:
        del good["y_counterfactual"]
    with pytest.raises((ValueError, TypeError), match="subspaces"):
        call(**good, subspaces=subspaces)


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"lr": 0}, ValueError, "lr"),
        ({"lr": -1e-3}, ValueError, "lr"),
        ({"lr": math.nan}, ValueError, "lr"),
        ({"lr": math.inf}, ValueError, "lr"),
        ({"lr": "fast"}, TypeError, "lr"),
        ({"num_epochs": 0}, ValueError, "num_epochs"),
        ({"schedule": "cosine"}, ValueError, "schedule"),
        ({"schedule": None}, ValueError, "schedule"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": None}, TypeError, "seed"),
        ({"num_steps": 3}, ValueError, "num_steps"),
    ],
)
@pytest.mark.parametrize("call", [iit_train, das_train])
def test_bad_training_settings_are_refused(call, change, error, words):
    with pytest.raises(error, match=words):
        call(**{**good_pairs(), **change})


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"behavior_weight": 1.0}, ValueError, "behavior_weight.*y_base"),
        ({"behavior_weight": -1.0, "y_base": Y}, ValueError, "behavior_weight"),
        ({"behavior_weight": math.nan, "y_base": Y}, ValueError, "behavior_weight"),
        ({"behavior_weight": 1.0, "y_base": Y[:4]}, ValueError, "y_base"),
        ({"behavior_weight": 1.0, "y_base": Y * 3}, ValueError, "y_base"),
    ],
)
def test_bad_behavior_settings_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        iit_train(**{**good_pairs(), **change})


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"X_base": X}, ValueError, "pool"),
        ({"X_base": X, "X_sources": S, "y_counterfactual": Y}, ValueError, "pool"),
        ({"subspaces": [[[0]] * 4] * 2}, ValueError, "subspaces"),
        ({"variables": [[0, 1]]}, ValueError, "pool"),
        ({"variables": [[0], [1], [2]]}, ValueError, "pool"),
        ({"num_steps": None}, TypeError, "num_steps"),
        ({"num_steps": 0}, ValueError, "num_steps"),
        ({"batch_size": 11}, ValueError, "batch_size"),
        ({"pool": "images"}, TypeError, "pool"),
    ],
)
@pytest.mark.parametrize("call", [iit_train, das_train])
def test_bad_pools_are_refused(call, dataset, change, error, words):
    change = dict(change)
    images, labels = dataset
    pool = PairPool(images[:10], labels[:10], change.pop("variables", GROUPS[2]))
    good = {"intervenable": fresh("fc1", 1, 2), "pool": pool, "num_steps": 1, "batch_size": 10}
    call(**{**good, "intervenable": fresh("fc1", 1, len(pool.variables))})
    with pytest.raises(error, match=words):
        call(**{**good, **change})


def test_vanilla_with_too_few_blocks_is_refused():
    with pytest.raises(ValueError, match="subspace_partition"):
        iit_predict(vanilla_model(blocks=1), X, S)


def test_das_on_interventions_without_parameters_is_refused():
    with pytest.raises(ValueError, match="intervenable"):
        das_train(vanilla_model(), X, S, Y)


def test_a_refused_training_changes_nothing():
    intervenable = fresh("fc1", 1, 2)
    before, rotation = state(intervenable.model), get_basis(intervenable).clone()
    for change in ({"y_counterfactual": Y * 2}, {"lr": 0}, {"X_sources": S[:1]}):
        with pytest.raises(ValueError):
            iit_train(**{**good_pairs(), "intervenable": intervenable, **change})
    assert same(before, intervenable.model.state_dict()) and torch.equal(rotation, get_basis(intervenable))
    assert not intervenable.model.training and not any(p.requires_grad for p in intervenable.model.parameters())


def test_the_public_names_are_there():
    assert all(hasattr(das_utils, name) for name in das_utils.__all__)


# training in one pass, and by pyvene's own call


def passes_of(monkeypatch):
    """Which of the two ways training takes, by name, in a list that fills as it goes on."""
    taken = []
    for name in ("swap_in_one_pass", "interchange"):
        way = getattr(das_utils, name)
        monkeypatch.setattr(das_utils, name, lambda *args, way=way, name=name: taken.append(name) or way(*args))
    return taken


def train_both_ways(monkeypatch, build, **options):
    """Losses, basis and weights after the same training in one pass and by pyvene's call."""
    found = []
    for single in (True, False):
        with monkeypatch.context() as patch:
            taken = passes_of(patch)
            if not single:
                patch.setattr(das_utils, "own_columns", lambda intervenable: None)
            intervenable = build()
            train = das_train if "behavior_weight" not in options else iit_train
            history = train(intervenable, **options)
        assert set(taken) == {"swap_in_one_pass" if single else "interchange"}
        found.append([torch.tensor(history["interchange_loss"]), torch.tensor(history["behavior_loss"]).nan_to_num(),
                      get_basis(intervenable), *(p.detach() for p in intervenable.model.parameters())])
    return found


@every_layer
@pytest.mark.parametrize("num_sources", [1, 2, 3])
@pytest.mark.parametrize("behavior_weight", [None, 0.0, 1.0], ids=["das", "interchange", "joint"])
@pytest.mark.parametrize("given", ["pool", "pairs", "pairs, blocks named"])
def test_one_pass_trains_as_pyvenes_own_call(
    pairs, dataset, gradient_descent, monkeypatch, layer, num_sources, behavior_weight, given
):
    """One step of gradient descent, so what the weights have moved by is the gradient of every parameter."""
    X, S, y, y_counterfactual = pairs(num_sources, 6)
    if given == "pool":
        options = {"pool": PairPool(*dataset, GROUPS[num_sources]), "num_steps": 1, "batch_size": 6}
    else:
        options = {"X_base": X, "X_sources": S, "y_counterfactual": y_counterfactual}
        if given != "pairs":
            options["subspaces"] = [[[i]] * 6 for i in range(num_sources)]
        if behavior_weight is not None:
            options["y_base"] = y
    if behavior_weight is not None:
        options["behavior_weight"] = behavior_weight
    build = partial(fresh, layer, 1 if layer == "fc1" else 2, num_sources)
    ours, theirs = train_both_ways(monkeypatch, build, lr=1.0, schedule="constant", **options)
    for single, pyvenes in zip(ours, theirs):
        close(single, pyvenes, 1e-5 * max(1.0, pyvenes.abs().max().item()))


@pytest.mark.parametrize("name", ["f", "fc1", "hidden.0", "fc_one"])
def test_a_flat_layer_of_any_name_is_trained_alike(dataset, gradient_descent, monkeypatch, name):
    """Two sources whose directions fill the layer."""
    def build():
        torch.manual_seed(1)
        layer = torch.nn.Linear(784, 4)
        layers = [("flat", torch.nn.Flatten()), (name.split(".")[0], layer), ("out", torch.nn.Linear(4, 1))]
        if "." in name:
            layers[1] = (name.split(".")[0], torch.nn.Sequential(layer))
        model = torch.nn.Sequential(OrderedDict(layers))
        return build_intervenable(model, name, 2, 2, example=torch.zeros(1, 1, 28, 28))

    options = {"pool": PairPool(*dataset, GROUPS[2]), "num_steps": 3, "batch_size": 32, "behavior_weight": 1.0}
    ours, theirs = train_both_ways(monkeypatch, build, lr=0.1, **options)
    for single, pyvenes in zip(ours, theirs):
        close(single, pyvenes, 1e-5)


@pytest.mark.parametrize("case", ["other blocks", "blocks of each pair", "two bases", "two layers", "foreign",
                                  "overlap"])
def test_what_one_pass_does_not_cover_goes_by_pyvenes_own_call(pairs, monkeypatch, case):
    X, S, _, y = pairs(2, 6)
    rank = {"low_rank_dimension": 2}
    build, subspaces = partial(fresh, "conv3", 2, 2), None
    if case == "other blocks":
        subspaces = [[[1]] * 6, [[0]] * 6]
    elif case == "blocks of each pair":
        subspaces = [[[0], [0, 1], []] * 2, [[1]] * 6]
    elif case == "two bases":
        build = partial(wrap, {"component": "conv3.output", **rank}, {"component": "conv3.output", **rank})
    elif case == "two layers":
        build = partial(wrap, {"component": "conv3.output", **rank}, {"component": "conv2.output", **rank})
    elif case == "foreign":
        representation = {"component": "conv3.output"}
        build = partial(wrap, representation, representation, kind=pv.VanillaIntervention)
    taken, intervenable = passes_of(monkeypatch), build()
    if case == "overlap":
        intervenable.interventions[intervenable.sorted_keys[0]].subspace_partition = [[0, 1], [1, 2]]
    before = copy.deepcopy(intervenable.model.state_dict())
    history = iit_train(intervenable, X, S, y, num_epochs=2, batch_size=4, subspaces=subspaces)
    assert set(taken) == {"interchange"} and np.isfinite(history["interchange_loss"]).all()
    assert any(not torch.equal(before[name], tensor) for name, tensor in intervenable.model.state_dict().items())


def test_a_partition_that_leaves_directions_over_is_swapped_in_one_pass(pairs, gradient_descent, monkeypatch):
    X, S, _, y = pairs(2, 6)

    def build():
        intervenable = fresh("conv3", 3, 2)
        get_intervention(intervenable).subspace_partition = [[5, 0], [2], [1, 3, 4]]
        return intervenable

    ours, theirs = train_both_ways(monkeypatch, build, X_base=X, X_sources=S, y_counterfactual=y, lr=1.0,
                                   schedule="constant")
    for single, pyvenes in zip(ours, theirs):
        close(single, pyvenes, 1e-5)


# the rotation


@pytest.mark.parametrize("n, m", [(3, 3), (50, 1), (50, 20), (3000, 64)])
def test_cholesky_gives_the_q_of_qr_and_its_gradient(n, m):
    raw = torch.randn(n, m, requires_grad=True)
    wanted, (q, r) = torch.randn(n, m), torch.linalg.qr(raw)
    expected = q * r.diagonal().sign()
    found = orthonormalize(raw)
    close(found, expected, 2e-6)
    ours, theirs = (torch.autograd.grad((Q * wanted).sum(), raw)[0] for Q in (found, expected))
    close(ours, theirs, 1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("size", [1e-1, 1e-2, 1e-4, 1e-6])
def test_a_nearly_rank_deficient_matrix_still_gets_orthonormal_directions(size):
    raw = torch.randn(200, 8)
    raw[:, 5] = raw[:, 2] + size * raw[:, 5]
    raw.requires_grad_(True)
    found = orthonormalize(raw)
    close(found.T @ found, torch.eye(8), 2e-5)
    assert torch.isfinite(torch.autograd.grad(found.sum(), raw)[0]).all()
    q, r = torch.linalg.qr(raw.double())
    close(found.double()[:, :5], (q * r.diagonal().sign())[:, :5], 1e-5)


def test_the_scale_of_a_direction_is_nothing_to_it():
    raw = torch.randn(100, 4)
    close(orthonormalize(raw * torch.tensor([1e-3, 1.0, 30.0, 1e4])), orthonormalize(raw), 1e-5)
