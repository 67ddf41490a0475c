"""Networks, switches and random streams of the reader's are as before; what a notebook has switched changes nothing."""
import copy
import importlib
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from own_networks import Mlp, numbers, same
from torch import nn
from torch.nn.utils import prune

from utils import counterfactual_data_utils, model_utils
from utils.checkpoint_utils import load_or_train_base_cnn
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train, iit_predict, iit_train
from utils.data_utils import causal_model, create_dataset
from utils.explorer.view import Aligned, fix_rotation, look
from utils.interventions import build, rotated_space, rotation
from utils.interventions.build import build_intervenable, get_basis, get_coordinates
from utils.interventions.checkpoints import load_intervenable, save_intervenable
from utils.measure_utils import score_alignment
from utils.measures.alignment import cause_isolate, complement_iia, cross_matrix, self_consistency, unaligned_effects
from utils.measures.response import dose_response
from utils.model_utils import PyTorchCNN, evaluate, predict, train

pytestmark = pytest.mark.slow("each public function is tried in each unusual surrounding")

IMAGES, LABELS = create_dataset(60, seed=0)
X, Y = torch.from_numpy(IMAGES)[:, None], torch.from_numpy(causal_model(LABELS))
POOL = PairPool(IMAGES, LABELS, [[0]])
OWN_X, OWN_Z = numbers(16)(40), np.random.default_rng(0).integers(0, 2, (40, 2))
OWN_POOL = PairPool(OWN_X, OWN_Z, [[0]], causal_model=same)


def wrap(layer="conv3", directions=2, seed=0):
    torch.manual_seed(seed)
    model = PyTorchCNN()
    return model, build_intervenable(model, layer, directions)


ASK = {
    "predict": lambda i: predict(i.model, X), "evaluate": lambda i: evaluate(i.model, X, Y),
    "iit_predict": lambda i: iit_predict(i, X, X.flip(0)[None]),
    "coordinates": lambda i: get_coordinates(i, X), "basis": get_basis,
    "score": lambda i: score_alignment(i, IMAGES, LABELS, [[0]], n=20, n_discriminating=5).iia,
    "cross": lambda i: cross_matrix(i, IMAGES, LABELS, n=20)[0],
    "cause": lambda i: cause_isolate(i, IMAGES, LABELS, [0], n=20).to_numpy(dtype=float, na_value=0)[:, :3],
    "consistency": lambda i: self_consistency(i, IMAGES, LABELS, [[0]], n=20),
    "complement": lambda i: complement_iia(i, IMAGES, LABELS, [0], n=20)["iia"],
    "unaligned": lambda i: unaligned_effects(i, IMAGES, LABELS, units=1, n=20),
    "dose": lambda i: dose_response(i, IMAGES, LABELS, 0, 0, n=9, doses=3)[2],
    "look": lambda i: look(Aligned(i, [[0]]), LABELS[:2], [True]).coordinates,
    "fixed": lambda i: get_basis(fix_rotation(Aligned(i, [[0]])).intervenable),
}
SEARCH = {"das": lambda i: das_train(i, pool=POOL, num_steps=2, batch_size=8)["interchange_loss"]}
TRAIN = {
    "iit": lambda i: iit_train(i, pool=POOL, num_steps=2, batch_size=8, behavior_weight=1.0)["interchange_loss"],
    "pairs": lambda i: iit_train(i, X[:8], X[8:16][None], Y[:8], batch_size=4)["interchange_loss"],
    "blocks": lambda i: iit_train(i, X[:4], X[4:8][None], Y[:4], subspaces=[[[0]] * 4])["interchange_loss"],
    "train": lambda i: train(i.model, X, Y, batch_size=20, num_epochs=1)["loss"],
}
EVERY = ASK | SEARCH | TRAIN


def watched(model):
    """Hooks of every kind, one of them on the aligned layer, and a pruned layer: all that is counted."""
    calls = {"forward": 0, "before": 0, "backward": 0}

    def count(kind):
        def hook(*args):
            calls[kind] += 1
        return hook

    model.conv3.register_forward_hook(count("forward"))
    model.conv3.register_forward_pre_hook(lambda module, args, kwargs: count("before")(), with_kwargs=True)
    model.conv3.register_full_backward_hook(count("backward"))
    model.conv1.register_forward_hook(count("forward"), always_call=True)
    prune.random_unstructured(model.fc1, "weight", 0.5)
    return calls


def hooks(model):
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
              "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called")
    return [list(getattr(module, table)) for module in model.modules() for table in tables]


def state(model):
    return ([module.training for module in model.modules()], [p.requires_grad for p in model.parameters()],
            [str(p.device) for p in model.parameters()], [p.dtype for p in model.parameters()])


@pytest.mark.parametrize("name", EVERY)
def test_hooks_and_pruned_weights_are_kept(name):
    model, intervenable = wrap()
    calls, before = watched(model), hooks(model)
    mask = model.fc1.weight_mask.clone()
    EVERY[name](intervenable)
    assert hooks(model) == before and torch.equal(model.fc1.weight_mask, mask)
    assert name in ("basis", "fixed") or calls["forward"] and calls["before"]
    assert name not in TRAIN or calls["backward"]
    assert not model.fc1.weight[mask == 0].any()


@pytest.mark.parametrize("name", [*ASK, *SEARCH])
def test_modes_and_flags_are_as_before(name):
    model, intervenable = wrap()
    model.train()
    model.conv2.eval()
    model.fc1.requires_grad_(True)
    before = state(model)
    weights = copy.deepcopy(model.state_dict())
    EVERY[name](intervenable)
    assert state(model) == before
    assert all(torch.equal(weights[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", EVERY)
def test_random_streams_are_as_before(name):
    _, intervenable = wrap()
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    position = np.random.get_state()[2]
    EVERY[name](intervenable)
    assert torch.equal(before, torch.get_rng_state()) and np.random.get_state()[2] == position
    assert (np.random.get_state()[1] == numpys).all()


def test_loading_takes_nothing_from_the_random_stream(tmp_path):
    _, intervenable = wrap()
    save_intervenable(intervenable, tmp_path / "a.pth", [[0]], {})
    before = torch.get_rng_state()
    load_intervenable(tmp_path / "a.pth")
    load_or_train_base_cnn()
    assert torch.equal(before, torch.get_rng_state())


def test_pyvene_s_own_call_leaves_the_hooks_of_others():
    model, intervenable = wrap()
    before = watched(model) and hooks(model)
    for _ in range(2):
        intervenable({"x": X[:2]}, [{"x": X[2:4]}])
        assert hooks(model) == before

    def fail(*args):
        raise KeyboardInterrupt
    handle = model.fc2.register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        intervenable({"x": X[:2]}, [{"x": X[2:4]}])
    handle.remove()
    assert hooks(model) == before


def test_an_own_network_is_left_alone_too():
    model = Mlp()
    intervenable = build_intervenable(model, "l2", 2, example=OWN_X[:2])
    model.train().l1.requires_grad_(True)
    before = state(model), torch.get_rng_state()
    unaligned_effects(intervenable, OWN_X.numpy(), OWN_Z, units=1, n=9, causal_model=same)
    das_train(intervenable, pool=OWN_POOL, num_steps=2, batch_size=8)
    assert state(model) == before[0] and torch.equal(torch.get_rng_state(), before[1])


SWITCHES = {
    "no_grad": torch.no_grad, "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16), "numpy raises": lambda: np.errstate(all="raise"),
}


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("name", EVERY)
def test_a_switch_that_is_on_changes_no_figure(name, switch):
    found = []
    for context in (nullcontext, SWITCHES[switch]):
        _, intervenable = wrap()
        with context():
            found.append(np.asarray(EVERY[name](intervenable), dtype=float))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", ["predict", "iit_predict", "coordinates", "das", "iit", "pairs", "blocks", "train"])
def test_another_default_device_changes_no_figure(name):
    """The device "meta", which holds no numbers, stands for a GPU."""
    found = []
    for device in (None, "meta"):
        _, intervenable = wrap()
        torch.set_default_device(device)
        try:
            found.append(np.asarray(EVERY[name](intervenable)))
        finally:
            torch.set_default_device(None)
    np.testing.assert_array_equal(*found)


def test_what_is_built_in_inference_mode_can_be_searched_and_a_network_made_there_is_named():
    model, _ = wrap()
    with torch.inference_mode():
        intervenable, made = build_intervenable(model, "conv3", 2), PyTorchCNN()
    assert np.isfinite(das_train(intervenable, pool=POOL, num_steps=2, batch_size=8)["interchange_loss"]).all()
    with pytest.raises(ValueError, match="inference_mode"):
        das_train(build_intervenable(made, "conv3", 2), pool=POOL, num_steps=2, batch_size=8)


# number types


@pytest.mark.parametrize("name", EVERY)
def test_float64_as_default_type(name):
    _, expected = wrap()
    torch.set_default_dtype(torch.float64)
    try:
        model, intervenable = PyTorchCNN(), None
        model.load_state_dict(expected.model.state_dict())
        intervenable = build_intervenable(model, "conv3", 2)
        intervenable.load_state_dict(expected.state_dict())
        found = np.asarray(EVERY[name](intervenable), dtype=float)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(found, np.asarray(EVERY[name](expected), dtype=float), atol=0.12)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("change", ["double", "half", "bfloat16", "double model", "half model", "bfloat16 model"])
def test_a_network_of_another_type_works_or_is_named(name, change):
    way, _, only = change.partition(" ")
    model, intervenable = wrap()
    getattr(model if only else intervenable, way)()
    if way == "half" and name in TRAIN:
        with pytest.raises(ValueError, match=r"call model.float\(\)"):
            EVERY[name](intervenable)
    else:
        found = np.asarray(EVERY[name](intervenable), dtype=float)
        np.testing.assert_allclose(found, np.asarray(EVERY[name](wrap()[1]), dtype=float), atol=0.15)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", EVERY)
def test_a_half_type_as_default_type(name, kind):
    """Directions are drawn and kept in float32; a network that is made so is of this type, and works or is named."""
    expected = np.asarray(EVERY[name](wrap()[1]), dtype=float)
    _, intervenable = wrap()
    torch.set_default_dtype(kind)
    try:
        found = np.asarray(EVERY[name](intervenable), dtype=float)
        model = PyTorchCNN()
        model.load_state_dict(wrap()[0].state_dict())
        again = build_intervenable(model, "conv3", 2)
        assert get_basis(again).dtype == torch.float32
        assert (get_basis(again).T @ get_basis(again) - torch.eye(2, dtype=torch.float32)).abs().max() < 1e-5
        if kind == torch.float16 and name in TRAIN:
            with pytest.raises(ValueError, match=r"must not be float16 to be trained.*call model.float\(\)"):
                EVERY[name](again)
        else:
            assert np.isfinite(np.asarray(EVERY[name](again), dtype=float)).all()
        large = rotation.draw_directions(1000, 600)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert large.dtype == torch.float32 and (large.T @ large - torch.eye(600)).abs().max() < 1e-5


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_inputs_and_labels_of_another_type(kind):
    """As they come from another library; what bfloat16 rounds is one thing, that numpy does not know it another."""
    _, intervenable = wrap()
    images, labels = torch.from_numpy(IMAGES).to(kind), torch.from_numpy(LABELS).to(kind)
    np.testing.assert_allclose(predict(intervenable.model, X.to(kind)), predict(intervenable.model, X), atol=0.01)
    assert evaluate(intervenable.model, X, Y.to(kind)) == evaluate(intervenable.model, X, Y)
    pool = PairPool(images, labels, [[0]])
    assert pool.images.dtype == np.float32
    np.testing.assert_allclose(pool.images[:, 0], IMAGES, atol=0.01)
    np.testing.assert_allclose(pool.labels, LABELS, atol=0.01)
    assert np.isfinite(das_train(intervenable, pool=pool, num_steps=2, batch_size=8)["interchange_loss"]).all()


@pytest.mark.parametrize("change", [lambda a: a[::-1], np.asfortranarray, lambda a: a.astype(
    a.dtype.newbyteorder(">"))], ids=["backwards", "by columns", "other byte order"])
def test_arrays_that_torch_does_not_take_as_they_are(change):
    _, intervenable = wrap()
    images, whole = change(X.numpy()), OWN_X.numpy()
    np.testing.assert_array_equal(predict(intervenable.model, images), predict(intervenable.model, images.copy()))
    found = score_alignment(intervenable, images, change(LABELS), [[0]], n=20, n_discriminating=0)
    assert found == score_alignment(intervenable, images.copy(), change(LABELS).copy(), [[0]], n=20,
                                    n_discriminating=0)
    table = nn.Sequential(nn.EmbeddingBag(4, 3), nn.Linear(3, 1))
    tokens = change((whole > 0).astype(np.int64))
    np.testing.assert_array_equal(predict(table, tokens), predict(table, np.array(tokens, np.int64)))


@pytest.mark.parametrize("odd", [X.to_sparse(), X.to("meta"), X.to(torch.float8_e4m3fn), X * 1j],
                         ids=["sparse", "meta", "float8", "complex"])
def test_a_tensor_without_ordinary_numbers_is_named(odd):
    _, intervenable = wrap()
    for call in (lambda: predict(intervenable.model, odd), lambda: iit_predict(intervenable, odd, X[None]),
                 lambda: train(intervenable.model, odd, Y)):
        with pytest.raises(TypeError, match="X.* must be a dense tensor of real numbers"):
            call()
    if odd.dtype != torch.float8_e4m3fn:
        with pytest.raises(TypeError, match="images must (be an array or a dense tensor|hold real numbers)"):
            PairPool(odd, LABELS, [[0]])


class Buffers(nn.Module):
    """A network without parameters, which is float64."""

    def __init__(self):
        super().__init__()
        self.register_buffer("into", torch.randn(16, 6, dtype=torch.float64))
        self.register_buffer("out", torch.randn(6, 1, dtype=torch.float64))
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x @ self.into) @ self.out


def test_a_network_of_buffers_gets_inputs_of_their_type():
    model = Buffers()
    intervenable = build_intervenable(model, "act", 2, example=OWN_X[:2])
    expected = (torch.relu(OWN_X.double() @ model.into) @ model.out).sigmoid().squeeze(1)
    np.testing.assert_allclose(predict(model, OWN_X), expected, atol=1e-6)
    das_train(intervenable, pool=OWN_POOL, num_steps=2, batch_size=8)
    assert get_basis(intervenable).dtype == torch.float64


def test_parameters_that_the_reader_has_frozen_stay_as_they_are():
    model, y = Mlp(), torch.from_numpy(same(OWN_Z)).float()
    model.l1.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    train(model, OWN_X, y, num_epochs=1)
    assert [p.requires_grad for p in model.parameters()] == [False] * 2 + [True] * 6
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and not changed & {"l1.weight", "l1.bias"}
    build_intervenable(model, "l2", 2, example=OWN_X[:2])  # freezes all of it
    train(model, OWN_X, y, num_epochs=1)
    assert not torch.equal(model.l1.weight, before["l1.weight"])


# reload


@pytest.mark.parametrize("module", [model_utils, counterfactual_data_utils, rotated_space, build],
                         ids=lambda module: module.__name__)
def test_a_module_may_be_loaded_again(module):
    before = dict(vars(module))
    model, intervenable = wrap()
    expected = SEARCH["das"](wrap()[1])
    try:
        importlib.reload(module)
        assert SEARCH["das"](intervenable) == expected
        pool = counterfactual_data_utils.PairPool(IMAGES, LABELS, [[0]])
        torch.manual_seed(0)
        fresh = build.build_intervenable(model_utils.PyTorchCNN(), "conv3", 2)
        found = das_train(fresh, pool=pool, num_steps=2, batch_size=8)["interchange_loss"]
        assert found == expected and build.build_intervenable(model, "conv3", 2)
    finally:
        vars(module).update(before)


def test_a_class_of_another_module_is_not_taken_for_ours():
    class PyTorchCNN(nn.Module):
        pass
    from utils.validation import is_a
    assert is_a(model_utils.PyTorchCNN(), model_utils.PyTorchCNN) and not is_a(PyTorchCNN(), model_utils.PyTorchCNN)


# pyvene's save and ours


def test_pyvene_s_save_points_to_ours(tmp_path):
    _, intervenable = wrap()
    TRAIN["iit"](intervenable)
    with pytest.warns(UserWarning, match="save_intervenable"):
        intervenable.save(str(tmp_path / "theirs"))
    assert "save_intervenable" in build_intervenable.__doc__


@pytest.mark.parametrize("kind", ["float", "double", "bfloat16", "half"])
def test_ours_comes_back_to_the_bit_and_trains_on_alike(tmp_path, kind):
    model, intervenable = wrap()
    (TRAIN["iit"] if kind != "half" else SEARCH["das"])(intervenable)
    getattr(model, kind)()
    save_intervenable(intervenable, tmp_path / "a.pth", [[0]], {})
    again = load_intervenable(tmp_path / "a.pth", torch.device("cpu"))[0]
    assert state(again.model) == state(model)
    assert torch.equal(iit_predict(again, X, X.flip(0)[None]), iit_predict(intervenable, X, X.flip(0)[None]))
    for name in ["das", "iit", "pairs"] if kind != "half" else ["das"]:
        assert EVERY[name](again) == EVERY[name](intervenable)


def test_an_intervened_model_can_be_printed_and_copied():
    _, intervenable = wrap()
    assert "CustomLowRank" in str(intervenable) == repr(intervenable)
    again = copy.deepcopy(intervenable)
    assert SEARCH["das"](again) == SEARCH["das"](intervenable)


def test_a_file_that_does_not_fit_leaves_modes_and_flags(tmp_path):
    _, intervenable = wrap()
    save_intervenable(intervenable, tmp_path / "a.pth", [[0]], {})
    model = Mlp().train()
    before = state(model)
    with pytest.raises(ValueError):
        load_intervenable(tmp_path / "a.pth", model=model, example=OWN_X[:2])
    assert state(model) == before


def test_no_warning_where_nothing_is_amiss():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, intervenable = wrap()
        SEARCH["das"](intervenable)
