"""The small parts of an intervention: layers as rows and back, blocks, what pyvene is given, what it leaves behind."""
import warnings

import pytest
import torch
from own_networks import Encoder, Mlp, ids, numbers
from torch import nn

from utils.das_utils import iit_train
from utils.interventions import layers, passes, rotation
from utils.interventions.build import (build_intervenable, get_basis, get_coordinates, get_intervention, get_layer,
                                       own_columns, own_subspaces)
from utils.interventions.checkpoints import SHIPPED, load_intervenable, save_intervenable, shipped_path
from utils.interventions.rotated_space import (CNNConfig, CustomLowRankRotatedSpaceIntervention, announce_cost,
                                               as_slice, pv, remove_pyvene_hooks)
from utils.model_utils import LAYER_SIZES, PyTorchCNN


def aligned(size=1, num_sources=1, layer="fc1"):
    torch.manual_seed(0)
    return build_intervenable(PyTorchCNN(), layer, size, num_sources)


def test_neurons_of_maps_and_positions_as_rows_and_back():
    maps, rows = torch.randn(2, 3, 4, 5), torch.randn(2, 60)
    flat = layers.flatten_neurons(maps)
    assert flat.shape == (2, 60) and flat[1, (3 * 5 + 2) * 3 + 1] == maps[1, 1, 3, 2]
    assert torch.equal(layers.restore_neurons(flat, maps), maps)
    assert layers.restore_neurons(rows, maps)[0, 2, 3, 4] == rows[0, (3 * 5 + 4) * 3 + 2]
    words = torch.randn(2, 4, 3)
    assert torch.equal(layers.flatten_neurons(words), words.reshape(2, 12))
    assert torch.equal(layers.flatten_neurons(words, 2), words[:, 2])
    assert layers.flatten_neurons(words, 4).shape == (2, 0)
    six = torch.randn(6, 3, dtype=torch.float64)
    restored = layers.restore_neurons(six, words, 1)
    assert restored.shape == (6, 4, 3) and restored.dtype == words.dtype
    for i in range(6):
        assert torch.equal(restored[i, 1], six[i].float())
        assert torch.equal(restored[i, [0, 2, 3]], words[i % 2][[0, 2, 3]])
    assert layers.first_rows(rows, 2) is rows and torch.equal(layers.first_rows(rows, 1), rows[:1])


def test_layers_that_are_near_are_named():
    with pytest.raises(ValueError, match=r"such as \['conv1', .*\], got 'conv11'$"):
        layers.find_layer(PyTorchCNN(), "conv11")
    many = nn.Sequential(*[nn.ReLU() for _ in range(12)])
    with pytest.raises(ValueError, match=r"such as \['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'\], got 'zzzz'$"):
        layers.find_layer(many, "zzzz")
    twice = nn.ReLU()
    assert layers.find_layer(nn.Sequential(twice, twice), "1") is twice


def test_what_is_recorded_stays_as_it_was():
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True), nn.Linear(2, 1))
    x = torch.randn(50, 3)
    (seen,) = layers.record(network, network[0], x)
    torch.testing.assert_close(seen, network[0](x).detach())
    assert (seen < 0).any() and not network[0]._forward_hooks


@pytest.mark.parametrize("columns, found", [([], []), ([3], slice(3, 4)), ([1, 2, 3], slice(1, 4)), ([0, 2], [0, 2]),
                                            ([2, 1], [2, 1])])
def test_neighbors_are_a_slice(columns, found):
    assert as_slice(columns) == found


def test_blocks_of_an_intervention():
    three = aligned(1, 3)
    assert own_columns(three) == [[0], [1], [2]] and own_subspaces(three, 2) == [[[0], [0]], [[1], [1]], [[2], [2]]]
    assert get_layer(three) == "fc1"
    first = get_intervention(three)
    assert first.columns([2, 0, 2]) == [2, 0] and str(first) == "CustomLowRankRotatedSpaceIntervention()"
    first.subspace_partition = [[0], [1], [2], [2]]  # a block more than interventions
    assert own_columns(three) == [[0], [1], [2]]
    first.subspace_partition = [[0], [1], [1]]
    assert own_columns(three) is None  # they overlap
    first.subspace_partition = [[0], [1]]
    assert own_columns(three) is None
    one = aligned(2)
    get_intervention(one).subspace_partition = None
    assert own_columns(one) == [[0, 1]] and own_subspaces(one, 4) is None and get_intervention(one).columns([1]) == [1]


@pytest.mark.parametrize("components, layer", [
    (["conv3.output"], "conv3"), (["conv3.input"], None), (["fc1.output", "conv3.output"], None),
    (["fc1.output"] * 2, "fc1")])
def test_the_layer_of_all_interventions(components, layer):
    shared = {"low_rank_dimension": 1, "subspace_partition": [[0, 1]]}
    sizes = {"embed_dim": 3136}
    config = pv.IntervenableConfig(representations=[
        {"component": component, **shared, "intervention": CustomLowRankRotatedSpaceIntervention(**shared, **sizes)}
        for component in components], intervention_types=CustomLowRankRotatedSpaceIntervention)
    model = PyTorchCNN()
    model.config = CNNConfig()
    assert get_layer(pv.IntervenableModel(config, model)) == layer


def test_subspaces_of_some_pairs():
    subspaces = [[[0], [1], [0, 1]], None]
    assert passes.select_subspaces(subspaces, [2, 0]) == [[[0, 1], [0]], None]
    assert passes.select_subspaces(None, [0]) is None
    assert passes.swaps_own_blocks(None) and passes.swaps_own_blocks([[[0], [0]], [[1], [1]]])
    assert not passes.swaps_own_blocks([[[0], [1]]]) and not passes.swaps_own_blocks([[[0]], [[0]]])


def test_blocks_that_no_direction_has_are_told_before_a_training_begins():
    one, X = aligned(2), torch.rand(4, 1, 28, 28)
    get_intervention(one).subspace_partition = None
    with pytest.raises(IndexError) as caught:
        iit_train(one, X, X.flip(0)[None], torch.ones(4), subspaces=[[[0, 5]] * 4])
    assert not hasattr(caught.value, "history")  # which whatever ends a training carries


def test_one_source_serves_all_only_in_an_evaluation():
    three, X = aligned(1, 3), torch.rand(4, 1, 28, 28)
    with pytest.warns(UserWarning, match="^one source for 3 interventions: every intervention takes its part from it$"):
        assert passes.validate_pairs(three, X, X[None], None, broadcast=True)[1].shape == (3, 4, 1, 28, 28)
    for sources, broadcast in ((X[None], False), (X[None, None], True), (X.expand(2, *X.shape), True)):
        with pytest.raises(ValueError, match="^X_sources must have shape"):
            passes.validate_pairs(three, X, sources, None, broadcast)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        passes.validate_pairs(aligned(1, 1), X, X[None], None, broadcast=True)
        passes.validate_pairs(three, X, X.expand(3, *X.shape), None, broadcast=True)


def test_hooks_of_pyvene_are_taken_off_and_no_others():
    def ours(*args):
        pass

    def theirs(*args):
        pass

    theirs.__module__ = "pyvene.models"
    network = nn.Sequential(nn.ReLU(), nn.Sigmoid())
    for hook in (ours, theirs):
        network[0].register_forward_hook(hook)
        network[1].register_forward_pre_hook(hook, with_kwargs=True)
        network[1].register_forward_hook(hook, with_kwargs=True)
    remove_pyvene_hooks(network)
    for table in (network[0]._forward_hooks, network[1]._forward_pre_hooks, network[1]._forward_hooks):
        assert list(table.values()) == [ours]
    for table in (network[1]._forward_pre_hooks_with_kwargs, network[1]._forward_hooks_with_kwargs):
        assert len(table) == 1


def test_a_costly_intervention_is_announced():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        announce_cost(12_544, 900, "conv1")
        announce_cost(1_250_000, 100, "conv1")  # just as many as are not yet told
    with pytest.warns(UserWarning) as told:
        announce_cost(12_544, 1_280, "conv1")
    assert str(told[0].message) == (
        "1,280 directions of the 12,544 neurons of conv1 take 41 billion multiplications a training step to stay "
        "orthonormal, 400 times as many as 64, and about 0.6 GB")
    with pytest.raises(ValueError, match=r"^intervention_size \* num_sources must be at most .* here, got 10,000,0"):
        announce_cost(12_544, 10**10, "conv1")


def test_what_pyvene_is_told_and_what_its_save_leaves_out(tmp_path):
    assert CNNConfig(3).to_dict() == {"hidden_size": 3} and CNNConfig().hidden_size is None
    with pytest.warns(UserWarning, match="^pyvene's save writes the directions but no .* writes both$") as told:
        aligned().save(str(tmp_path))
    assert len(told) == 1 and list(tmp_path.iterdir())


def test_a_factorization_on_the_cpu_is_the_same(monkeypatch):
    raw = torch.randn(9, 4, requires_grad=True)
    bad = (torch.randn(9, 1) + 1e-5 * torch.randn(9, 4)).requires_grad_()  # nearly dependent columns
    found = [rotation.orthonormalize(x) for x in (raw, bad)]
    monkeypatch.setattr(rotation, "SLOW_TO_FACTORIZE", {"cpu"})
    for x, before in zip((raw, bad), found):
        torch.testing.assert_close(rotation.orthonormalize(x), before)
        torch.testing.assert_close(before.T @ before, torch.eye(4), atol=1e-5, rtol=0)
        assert torch.linalg.matrix_norm(x - before @ (before.T @ x)) < 1e-4
    q, r = torch.linalg.qr(raw.detach())
    torch.testing.assert_close(found[0].detach(), q * r.diagonal().sign())
    rotate = rotation.RotateLayer(9, 4)
    tall, small = rotate.factors()
    torch.testing.assert_close(tall @ small, rotate.weight)
    torch.testing.assert_close(rotate(torch.eye(9)), rotate.weight)


def test_coordinates_by_hand_in_any_batches():
    intervenable, X = aligned(2, 1, "conv3"), torch.rand(7, 1, 28, 28)
    (seen,) = layers.record(intervenable.model, intervenable.model.conv3, X)
    expected = seen.permute(0, 2, 3, 1).reshape(7, -1) @ get_basis(intervenable)
    assert not expected.requires_grad and expected.shape == (7, 2) and LAYER_SIZES["conv3"] == 3136
    for batch_size in (1, 3, 7, 100):
        torch.testing.assert_close(get_coordinates(intervenable, X, batch_size), expected, atol=1e-5, rtol=1e-4)


def test_a_position_is_saved_and_loaded_with_all_else(tmp_path):
    torch.manual_seed(0)
    intervenable = build_intervenable(Encoder(), "enc.layers.0", 2, 2, example=ids(3), position=1)
    first = get_intervention(intervenable)
    first.subspace_partition = [[0, 3], [1, 2]]
    written = save_intervenable(intervenable, tmp_path / "net.pth", [[4], [0, 2]], {"seed": 5})
    assert written["alignment"] == {"layer": "enc.layers.0", "directions": 4, "groups": [[4], [0, 2]],
                                    "partition": [[0, 3], [1, 2]], "position": 1} and written["seed"] == 5
    loaded, groups, provenance = load_intervenable(tmp_path / "net.pth", torch.device("cpu"), Encoder(), ids(3))
    assert groups == [[4], [0, 2]] and provenance == written and get_intervention(loaded).position == 1
    assert get_intervention(loaded).subspace_partition == [[0, 3], [1, 2]] and len(loaded.interventions) == 2
    assert torch.equal(get_basis(loaded), get_basis(intervenable))
    assert not any(p.requires_grad for p in loaded.model.parameters())
    first.subspace_partition = [[0, 3], [1, 3]]
    with pytest.raises(ValueError, match=r"^subspace_partition must share out all 4 directions, got \[\[0, 3\], \["):
        save_intervenable(intervenable, tmp_path / "net.pth", [[4], [0, 2]], {})
    with pytest.raises(ValueError, match=r"^net.pth does not hold an intervened model that fits: "):
        load_intervenable(tmp_path / "net.pth", torch.device("cpu"), Mlp(), numbers(16)(3))


def test_two_rotations_cannot_be_saved_as_one(tmp_path):
    three = aligned(1, 3)
    key = list(three.interventions)[1]
    three.interventions[key] = get_intervention(aligned(3))
    with pytest.raises(ValueError, match="^intervenable must have one rotation for all its interventions, got 2$"):
        save_intervenable(three, tmp_path / "net.pth", [[0], [1], [2]], {})


def test_networks_that_ship_have_a_place():
    assert shipped_path("das_fc1").name == "das_fc1.pth" and all(shipped_path(name).is_file() for name in SHIPPED)
    intervenable, groups, _ = load_intervenable(shipped_path("three"), torch.device("cpu"))
    assert len(groups) == len(intervenable.interventions) == 3
