"""The network, its training and evaluation, and its checkpoints."""
import errno
import hashlib
import json
import math
import os
import pickle
import platform
import tempfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from utils import __version__
from utils import checkpoint_utils as C
from utils import model_utils as M
from utils.data_utils import causal_model, create_dataset
from utils.model_utils import LAYER_SIZES, PyTorchCNN, accuracy, evaluate, find_device, predict, train

SHAPES = {
    "conv1.weight": (16, 1, 3, 3), "conv1.bias": (16,),
    "conv2.weight": (32, 16, 3, 3), "conv2.bias": (32,),
    "conv3.weight": (64, 32, 3, 3), "conv3.bias": (64,),
    "fc1.weight": (3, 3136), "fc1.bias": (3,),
    "fc2.weight": (1, 3), "fc2.bias": (1,),
}
CPU = torch.device("cpu")


@pytest.fixture
def data(dataset):
    """300 images (n, 1, 28, 28) and their answers (n,)."""
    return torch.from_numpy(dataset[0])[:, None], torch.from_numpy(causal_model(dataset[1])).float()


def new_model(seed=0):
    torch.manual_seed(seed)
    return PyTorchCNN()


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def by_hand(model, x):
    p = model.state_dict()
    for name in ("conv1", "conv2"):
        x = F.max_pool2d(torch.relu(F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)), 2)
    x = torch.relu(F.conv2d(x, p["conv3.weight"], p["conv3.bias"], padding=1)).reshape(len(x), -1)
    x = torch.relu(x @ p["fc1.weight"].T + p["fc1.bias"])
    return (x @ p["fc2.weight"].T + p["fc2.bias"])[:, 0]


# the network


def test_layers_and_shapes_in_order():
    weights = PyTorchCNN().state_dict()
    assert [(name, tuple(tensor.shape)) for name, tensor in weights.items()] == list(SHAPES.items())
    assert all(tensor.dtype == torch.float32 for tensor in weights.values())


def test_state_dict_round_trip_is_bit_exact(tmp_path, data):
    model, other = new_model(0), new_model(1)
    assert not same(model, other)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    other.load_state_dict(torch.load(tmp_path / "weights.pth"))
    assert same(model, other) and torch.equal(predict(model, data[0]), predict(other, data[0]))


def test_layer_sizes_are_those_of_the_activations(data):
    model, found = PyTorchCNN(), {}
    for name in LAYER_SIZES:
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: found.update({name: output[0].numel()})
        )
    model(data[0][:2])
    assert found == LAYER_SIZES


def test_forward_is_the_arithmetic(data):
    model, X = new_model(), data[0][:20]
    with torch.no_grad():
        logits, probabilities = model(X), predict(model, X)[:, None]
    assert logits.shape == probabilities.shape == (20, 1)
    torch.testing.assert_close(logits[:, 0], by_hand(model, X), atol=1e-5, rtol=0)
    torch.testing.assert_close(probabilities[:, 0], 1 / (1 + torch.exp(-by_hand(model, X))), atol=1e-5, rtol=0)


# training and evaluation


def test_train_learns_a_tiny_set(data):
    X, y = data[0][:64], data[1][:64]
    model = new_model(2)
    history = train(model, X, y, lr=5e-3, num_epochs=60, batch_size=32)
    assert set(history) == {"loss", "lr"} and len(history["loss"]) == len(history["lr"]) == 120
    assert np.mean(history["loss"][-4:]) < 0.5 < 0.6 < history["loss"][0]
    assert evaluate(model, X, y) > 0.8 and not model.training
    assert max(history["lr"]) == pytest.approx(5e-3) and history["lr"][-1] < 1e-4


def test_train_follows_the_gradient(monkeypatch, data):
    X, y = data[0][:8], data[1][:8]
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)
    model, expected = new_model(), new_model()
    loss = F.binary_cross_entropy_with_logits(expected(X)[:, 0], y)
    loss.backward()
    history = train(model, X, y, lr=1.0, num_epochs=1)
    assert history["loss"] == [pytest.approx(loss.item(), abs=1e-5)] and history["lr"] == [1.0]
    for after, before in zip(model.parameters(), expected.parameters()):
        torch.testing.assert_close(after.detach(), (before - before.grad).detach(), atol=1e-5, rtol=1e-5)


def test_the_seed_decides_the_weights(data):
    trained = []
    for seed in (3, 3, 4):
        model = new_model()
        train(model, *data, num_epochs=1, batch_size=100, seed=seed)
        trained.append(model)
    assert same(trained[0], trained[1]) and not same(trained[0], trained[2])


def test_train_takes_arrays_and_columns(data):
    X, y = data
    trained = []
    for images, labels in ((X, y), (X.numpy(), y.numpy()), (X.double(), y[:, None].long()), (X, y.bool())):
        model = new_model()
        train(model, images, labels, num_epochs=1)
        trained.append(model)
    assert all(same(trained[0], model) for model in trained)


def test_predict_and_evaluate_by_hand(data):
    X, y = data
    model = new_model()
    with torch.no_grad():
        model.fc2.bias -= by_hand(model, X).median()  # answers of both kinds
    expected = torch.sigmoid(by_hand(model, X))
    for batch_size in (7, 300, 1024):
        found = predict(model, X, batch_size)
        assert found.shape == (300,) and found.device == CPU and not found.requires_grad
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        right = sum(float(p > 0.5) == t for p, t in zip(found.tolist(), y.tolist()))
        assert evaluate(model, X, y, batch_size) == pytest.approx(right / 300, abs=1e-6)


def test_accuracy_by_hand():
    p = torch.tensor([0.1, 0.5, 0.50001, 0.9, 0.2])
    assert accuracy(p, torch.tensor([0, 0, 1, 1, 0])) == 1.0
    assert accuracy(p, torch.tensor([1.0, 1, 1, 0, 0])) == pytest.approx(2 / 5)


@pytest.mark.parametrize("training", [True, False])
def test_predict_restores_the_mode(data, training):
    model = PyTorchCNN().train(training)
    predict(model, data[0][:3])
    evaluate(model, data[0][:3], data[1][:3])
    assert model.training is training


def test_find_device():
    assert find_device("cpu") == CPU
    torch.zeros(1, device=find_device())
    for name in ("cuda:99", "nonsense", ""):
        with pytest.raises(ValueError, match="cpu"):
            find_device(name)


X, Y = torch.rand(6, 1, 28, 28), torch.ones(6)


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"X": X[:, 0]}, ValueError, "X"),
        ({"X": X[..., :27]}, ValueError, "X"),
        ({"X": X[:0]}, ValueError, "X"),
        ({"X": X.expand(6, 3, 28, 28)}, ValueError, "X"),
        ({"X": "images"}, TypeError, "X"),
        ({"X": None}, TypeError, "X"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 1.5}, TypeError, "batch_size"),
        ({"batch_size": True}, TypeError, "batch_size"),
        ({"model": "model"}, TypeError, "model"),
    ],
)
@pytest.mark.parametrize("call", [train, predict, evaluate])
def test_bad_images_are_refused(call, change, error, words):
    good = {"model": PyTorchCNN(), "X": X} | ({} if call is predict else {"y": Y})
    with pytest.raises(error, match=words):
        call(**{**good, **change})


@pytest.mark.parametrize(
    "y, error", [(Y[:4], ValueError), (Y * 2, ValueError), (Y * 0.5, ValueError), (Y * math.nan, ValueError),
                 (torch.ones(1, 1, 6), ValueError), ([1.0] * 6, TypeError), (None, TypeError)]
)
@pytest.mark.parametrize("call", [train, evaluate])
def test_bad_labels_are_refused(call, y, error):
    with pytest.raises(error, match="y must"):
        call(PyTorchCNN(), X, y)


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"lr": 0}, ValueError, "lr"),
        ({"lr": math.nan}, ValueError, "lr"),
        ({"lr": math.inf}, ValueError, "lr"),
        ({"lr": "1"}, TypeError, "lr"),
        ({"num_epochs": 0}, ValueError, "num_epochs"),
        ({"num_epochs": 1.0}, TypeError, "num_epochs"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": None}, TypeError, "seed"),
    ],
)
def test_bad_training_settings_are_refused(change, error, words):
    model = new_model()
    with pytest.raises(error, match=words):
        train(model, X, Y, **change)
    assert same(model, new_model())


# checkpoints


@pytest.fixture
def saved(tmp_path):
    """A checkpoint in a folder of its own, and the network in it."""
    model = new_model(7)
    C.save_checkpoint(model, tmp_path / "net.pth", {"seed": 7})
    return tmp_path / "net.pth", model


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rehash(path):
    provenance = json.loads(path.with_suffix(".json").read_text())
    provenance["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(provenance))


def test_checkpoint_round_trip_is_bit_exact(tmp_path, data):
    model = new_model(7)
    provenance = {"seed": 7, "recipe": {"lr": 0.1, "steps": [1, 2]}, "note": "é"}
    written = C.save_checkpoint(model, str(tmp_path / "net.pth"), provenance)
    assert sorted(contents(tmp_path)) == ["net.json", "net.pth"]
    assert {**written, **provenance} == written and set(written["versions"]) == {"project", "torch", "numpy", "python"}
    assert written["sha256"] == hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest()
    torch.manual_seed(99)
    loaded, found = C.load_checkpoint(str(tmp_path / "net.pth"), CPU)
    assert found == written and same(loaded, model) and not loaded.training
    assert torch.equal(predict(loaded, data[0]), predict(model, data[0]))
    assert provenance == {"seed": 7, "recipe": {"lr": 0.1, "steps": [1, 2]}, "note": "é"}


def test_a_plain_state_dict_is_inside(saved):
    path, model = saved
    weights = torch.load(path, weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == SHAPES


def test_saving_again_replaces_the_old_checkpoint(saved):
    path, _ = saved
    C.save_checkpoint(new_model(8), path, {"seed": 8})
    loaded, provenance = C.load_checkpoint(path, CPU)
    assert same(loaded, new_model(8)) and provenance["seed"] == 8 and len(contents(path.parent)) == 2


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def write_json(text):
    return lambda path: path.with_suffix(".json").write_bytes(text)


class Code:
    def __reduce__(self):
        return os.mkdir, ("code_was_run",)


def put(content):
    """Weights replaced by something else, with the SHA-256 that fits."""

    def change(path):
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        rehash(path)

    return change


def truncate_and_rehash(path):
    truncate(path)
    rehash(path)


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(2, 2), nn.Linear(2, 1)


WEIGHTS = PyTorchCNN().state_dict()
DAMAGES = {
    "flipped byte": flip_a_byte,
    "truncated": truncate,
    "empty": lambda path: path.write_bytes(b""),
    "truncated, hash fits": truncate_and_rehash,
    "empty, hash fits": put(b""),
    "noise, hash fits": put(bytes(range(256)) * 9),
    "broken pickle, hash fits": put(b"\x80\x02."),
    "another network": put(TwoLayers().state_dict()),
    "a layer missing": put({name: tensor for name, tensor in WEIGHTS.items() if name != "fc2.bias"}),
    "a wrong shape": put({**WEIGHTS, "fc2.bias": torch.zeros(2)}),
    "a number in place of a tensor": put({**WEIGHTS, "fc2.bias": 1.0}),
    "a list": put([1, 2]),
    "a tensor": put(torch.zeros(3)),
    "code": put(Code()),
    "code without torch": put(pickle.dumps(Code())),
    "a whole module": put(TwoLayers()),
    "no JSON": write_json(b"{"),
    "empty JSON": write_json(b""),
    "binary JSON": write_json(b"\xff\xfe\x00"),
    "JSON list": write_json(b"[1]"),
    "JSON without hash": write_json(b'{"seed": 0}'),
    "JSON with another hash": write_json(b'{"sha256": null}'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_checkpoints_are_refused(saved, monkeypatch, damage):
    path, _ = saved
    monkeypatch.chdir(path.parent)
    damage(path)
    before = contents(path.parent)
    for load in (C.load_checkpoint, C.load_or_train_base_cnn):
        with pytest.raises(ValueError, match="net"):
            load(path, CPU)
    assert contents(path.parent) == before  # neither written to, nor code run


@pytest.mark.parametrize("missing", ["net.pth", "net.json"])
def test_a_missing_file_is_named(saved, missing):
    path, _ = saved
    (path.parent / missing).unlink()
    with pytest.raises(FileNotFoundError, match=missing):
        C.load_checkpoint(path, CPU)


@pytest.mark.parametrize(
    "name, provenance, error, words",
    [
        ("net.pt", {}, ValueError, "path"),
        ("net", {}, ValueError, "path"),
        ("none/net.pth", {}, FileNotFoundError, "path"),
        ("net.pth", {"x": {1, 2}}, ValueError, "provenance"),
        ("net.pth", {"x": math.nan}, ValueError, "provenance"),
        ("net.pth", {"x": torch.zeros(1)}, ValueError, "provenance"),
        ("net.pth", {(1, 2): 3}, ValueError, "provenance"),
        ("net.pth", [1, 2], (ValueError, TypeError), "provenance"),
        ("net.pth", None, (ValueError, TypeError), "provenance"),
    ],
)
def test_bad_saves_write_nothing(saved, name, provenance, error, words):
    path, model = saved
    before = contents(path.parent)
    with pytest.raises(error, match=words):
        C.save_checkpoint(new_model(1), path.parent / name, provenance)
    assert contents(path.parent) == before
    assert same(C.load_checkpoint(path, CPU)[0], model)


@pytest.mark.parametrize("failing_call", [1, 2])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failing_rename_leaves_the_old_checkpoint(saved, monkeypatch, failing_call, error):
    """Whether it is the first or the second file that cannot be put in place."""
    path, model = saved
    calls, replace = [], os.replace

    def fail(*args):
        calls.append(args)
        if len(calls) == failing_call:
            raise error("disk is full")
        return replace(*args)

    monkeypatch.setattr(C.os, "replace", fail)
    with pytest.raises(error):
        C.save_checkpoint(new_model(1), path, {"seed": 1})
    monkeypatch.undo()
    assert sorted(contents(path.parent)) == ["net.json", "net.pth"]
    loaded, provenance = C.load_checkpoint(path, CPU)
    assert same(loaded, model) and provenance["seed"] == 7


def test_a_failing_write_leaves_the_old_checkpoint(saved, monkeypatch):
    path, model = saved
    before = contents(path.parent)
    monkeypatch.setattr(C.Path, "write_bytes", lambda *args: (_ for _ in ()).throw(OSError("disk is full")))
    with pytest.raises(OSError):
        C.save_checkpoint(new_model(1), path, {})
    assert contents(path.parent) == before


@pytest.fixture
def tiny_recipe(monkeypatch):
    recipe = {**C.BASE_RECIPE, "train_images": 64, "test_images": 50, "num_epochs": 1, "batch_size": 32}
    monkeypatch.setattr(C, "BASE_RECIPE", recipe)
    return recipe


def test_a_missing_base_cnn_is_trained_again_and_saved(tmp_path, tiny_recipe):
    path = tmp_path / "base.pth"
    model, origin = C.load_or_train_base_cnn(path, CPU)
    assert "base.pth was missing" in origin and "trained again" in origin and "not saved" not in origin
    assert sorted(contents(tmp_path)) == ["base.json", "base.pth"] and not model.training
    again, origin = C.load_or_train_base_cnn(path, CPU)
    assert origin.startswith("Loaded base.pth") and "seed 0" in origin and same(again, model)
    provenance = C.load_checkpoint(path, CPU)[1]
    assert provenance["recipe"] == tiny_recipe
    assert f"{provenance['heldout_accuracy']:.4f} on 50 held-out images" in origin


def test_training_the_base_cnn_follows_recipe_and_seed(tiny_recipe):
    model, history, provenance = C.train_base_cnn(seed=3, device=CPU)
    assert len(history["loss"]) == 2 and provenance["seed"] == 3
    images, labels = create_dataset(50, seed=tiny_recipe["test_data_seed"])
    right = (predict(model, images[:, None]).numpy() > 0.5) == (causal_model(labels) > 0.5)
    assert provenance["heldout_accuracy"] == pytest.approx(right.mean(), abs=1e-4)
    assert same(model, C.train_base_cnn(seed=3, device=CPU)[0])
    assert not same(model, C.train_base_cnn(seed=4, device=CPU)[0])


def test_a_read_only_folder_still_gives_a_network(tmp_path, tiny_recipe, monkeypatch):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere

        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    model, origin = C.load_or_train_base_cnn(folder / "base.pth", CPU)
    assert "trained again" in origin and "not saved" in origin and not list(folder.iterdir())
    assert predict(model, X).shape == (6,)


def test_a_checkpoint_in_a_read_only_folder_loads(saved):
    path, model = saved
    path.parent.chmod(0o555)
    try:
        assert same(C.load_checkpoint(path, CPU)[0], model)
    finally:
        path.parent.chmod(0o755)


def test_a_missing_folder_still_gives_a_network(tmp_path, tiny_recipe):
    _, origin = C.load_or_train_base_cnn(tmp_path / "none" / "base.pth", CPU)
    assert "trained again" in origin and "not saved" in origin and not list(tmp_path.iterdir())


def test_a_wrong_suffix_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(C, "train_base_cnn", lambda **kwargs: pytest.fail("trained for nothing"))
    with pytest.raises(ValueError, match="pth"):
        C.load_or_train_base_cnn(tmp_path / "base.pt", CPU)


def test_a_checkpoint_that_is_no_base_cnn_is_refused_clearly(saved):
    """Its provenance has no recipe, so nothing can be said about its accuracy."""
    with pytest.raises(ValueError, match="net"):
        C.load_or_train_base_cnn(saved[0], CPU)


def test_the_shipped_base_cnn_reproduces_its_recorded_accuracy():
    assert C.BASE_CNN.is_file(), "pytorch_models/base_cnn.pth is missing"
    model, provenance = C.load_checkpoint(C.BASE_CNN, CPU)
    recipe = provenance["recipe"]
    assert recipe == C.BASE_RECIPE and recipe["test_images"] == 20_000
    images, labels = create_dataset(recipe["test_images"], seed=recipe["test_data_seed"])
    found = evaluate(model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels)))
    assert found == pytest.approx(provenance["heldout_accuracy"], abs=0.002)
    assert C.load_or_train_base_cnn(device=CPU)[1].startswith("Loaded base_cnn.pth")


def test_own_networks_have_names_of_their_own_and_go_home_from_a_read_only_folder(tmp_path, monkeypatch):
    model = new_model(3)
    path = C.save_own_checkpoint(model, {"seed": 3}, tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path == tmp_path / f"base_cnn-{digest[:8]}.pth" and same(C.load_checkpoint(path, CPU)[0], model)
    assert C.save_own_checkpoint(model, {}, tmp_path, "mine") == tmp_path / f"mine-{digest[:8]}.pth"
    for name in ("", "a/b"):
        with pytest.raises(ValueError, match="^name must be a file name without a folder, got"):
            C.save_own_checkpoint(model, {}, tmp_path, name)
    monkeypatch.setattr(C.Path, "home", lambda: tmp_path / "home")
    save, refusals = C.save_checkpoint, []

    def refuse(model, path, provenance):
        if path.parent == tmp_path:
            refusals.append(path)
            raise OSError(codes[0], "no")
        return save(model, path, provenance)

    monkeypatch.setattr(C, "save_checkpoint", refuse)
    codes = [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC]
    while codes[0] != errno.ENOSPC:
        found = C.save_own_checkpoint(model, {"seed": 3}, tmp_path)
        assert found == tmp_path / "home" / "pytorch_models" / path.name
        assert C.load_checkpoint(found, CPU)[1]["seed"] == 3
        del codes[0]
    with pytest.raises(OSError) as caught:
        C.save_own_checkpoint(model, {}, tmp_path)
    assert caught.value.errno == errno.ENOSPC and len(refusals) == 4


def test_versions_are_those_that_run():
    assert C.versions() == {"project": __version__, "torch": torch.__version__, "numpy": np.__version__,
                            "python": platform.python_version()}


def test_a_save_waits_for_another_and_a_load_for_a_save(saved, monkeypatch):
    tries, naps = [], []
    monkeypatch.setattr(C.time, "sleep", naps.append)

    def attempt():
        tries.append(1)
        if len(tries) < failures:
            raise PermissionError
        return "done"

    failures = 5
    assert C._patiently(attempt, PermissionError) == "done" and naps == [0.02] * 4
    failures = 100
    with pytest.raises(PermissionError):
        C._patiently(attempt, PermissionError)
    assert sum(naps[4:]) == pytest.approx(0.6)
    failures = len(tries) + 2
    with pytest.raises(PermissionError):  # of a kind that is not waited for
        C._patiently(attempt, KeyError)
    assert len(naps) == 34


def test_a_save_that_was_killed_midway_leaves_provenance_to_be_found(saved):
    path, model = saved
    folder = path.parent / ".saving-1"
    folder.mkdir()
    (folder / "new-net.json").write_bytes(path.with_suffix(".json").read_bytes())
    (path.parent / ".saving-0").mkdir()
    (path.parent / ".saving-0" / "new-net.json").mkdir()  # no file
    path.with_suffix(".json").write_text(json.dumps({"sha256": "of other weights"}))
    loaded, provenance = C.load_checkpoint(path, CPU)
    assert same(loaded, model) and provenance["seed"] == 7


def test_weights_that_are_no_numbers_are_named(tmp_path):
    model = new_model()
    with torch.no_grad():
        model.fc2.bias[0] = math.nan
        model.conv1.weight[0, 0, 0, 0] = math.inf
    C.save_checkpoint(model, tmp_path / "net.pth", {})
    with pytest.raises(ValueError, match="^net.pth holds weights that are nan, in fc2.bias$"):
        C.load_checkpoint(tmp_path / "net.pth", CPU)
    with torch.no_grad():
        model.fc2.bias[0] = 0.0
    C.save_checkpoint(model, tmp_path / "net.pth", {})
    with pytest.raises(ValueError, match="net.pth.* its weights are infinite, in conv1.weight$"):
        C.load_checkpoint(tmp_path / "net.pth", CPU)


@pytest.mark.parametrize("num_steps, warmup, rise", [(10, 0.2, 2), (10, 0.25, 2), (10, 0.26, 3), (3, 0.0, 1),
                                                     (1, 0.2, 1)])
def test_one_cycle_rises_on_a_line_and_falls_on_half_a_cosine(num_steps, warmup, rise):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = M.one_cycle(optimizer, num_steps, warmup)
    found = []
    for _ in range(num_steps):
        found.append(schedule.get_last_lr()[0] / 2)
        optimizer.step()
        schedule.step()
    fall = num_steps - rise
    expected = [(i + 1) / rise for i in range(rise)] + [
        (1 + math.cos(math.pi * (i + 1) / (fall + 1))) / 2 for i in range(fall)]
    assert found == pytest.approx(expected)
    default = M.one_cycle(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0), 10)
    assert default.get_last_lr() == [1.0]


def test_a_device_is_named_by_the_argument_the_environment_or_the_machine(monkeypatch):
    ones, asked = torch.ones, []

    def first_kernel(*size, device):
        asked.append(device.type)
        if device.type != "cpu":
            raise RuntimeError("no driver\nand more")
        return ones(*size, device=device)

    monkeypatch.setattr(torch, "ones", first_kernel)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setenv("IIT_DEVICE", "cpu")
    assert find_device() == CPU and set(asked) == {"cpu"}
    for wrong, reason in (("cuda", "no driver"), ("mps", "no driver"), ("nonsense", "Expected one of .*")):
        monkeypatch.setenv("IIT_DEVICE", wrong)
        words = rf"^device '{wrong}'{{}} does not work here \({reason}\); 'cpu' always does$"
        with pytest.raises(ValueError, match=words.format(" of IIT_DEVICE")):
            find_device()
        with pytest.raises(ValueError, match=words.format("")):
            find_device(wrong)
    monkeypatch.setenv("IIT_DEVICE", "")
    asked.clear()
    with pytest.warns(UserWarning) as told:
        assert find_device() == CPU
    assert asked == ["cuda", "mps"]
    assert [str(warning.message) for warning in told] == [
        f"{kind} is there but does not work (no driver), so the CPU is used; the environment variable IIT_DEVICE=cpu "
        "chooses it without this warning" for kind in ("cuda", "mps")]


def test_answers_by_hand():
    logits = torch.tensor([-1.0, 0.0, 2.0])
    torch.testing.assert_close(M.to_probabilities(logits), 1 / (1 + torch.exp(-logits)))
    torch.testing.assert_close(M.to_probabilities(logits[None]), torch.exp(logits[None]) / torch.exp(logits).sum())
    assert M.to_answers(torch.tensor([0.4, 0.5, 0.6])).tolist() == [0, 0, 1]
    found = M.to_answers(torch.tensor([[0.4, 0.6, 0.0], [0.1, 0.2, 0.7]]))
    assert found.tolist() == [1, 2] and found.dtype == torch.float32
    y = torch.tensor([2, 0])
    several = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, -1.0]])
    by_definition = -torch.log(torch.exp(several) / torch.exp(several).sum(dim=1, keepdim=True))[[0, 1], y].mean()
    torch.testing.assert_close(M.answer_loss(several, y), by_definition)
    p = torch.sigmoid(logits)
    torch.testing.assert_close(M.answer_loss(logits, torch.tensor([1, 0, 1])),
                               -(torch.log(p[0]) + torch.log(1 - p[1]) + torch.log(p[2])) / 3)


def test_logits_of_every_shape():
    column = torch.tensor([[1.0], [2.0]], dtype=torch.float16)
    assert M.read_logits(column, 2).tolist() == [1, 2] and M.read_logits(column, 2).dtype == torch.float32
    assert M.read_logits(torch.zeros(2, dtype=torch.float64), 2).dtype == torch.float64
    assert M.read_logits(torch.zeros(2, 3), 2).shape == (2, 3)
    assert M.read_logits(torch.tensor(3.0), 1).tolist() == [3] and M.read_logits(torch.zeros(3), 1).shape == (1, 3)
    for wrong, n in ((torch.zeros(3), 2), (torch.zeros(2, 0), 2), (torch.zeros(1, 2, 1), 1), (torch.tensor(3.0), 2)):
        with pytest.raises(ValueError, match=rf"^model must return logits .* for {n} inputs$"):
            M.read_logits(wrong, n)


def test_inputs_get_the_type_of_the_network():
    model, whole = new_model().double(), nn.Embedding(3, 2)
    assert M.to_type_of(model, torch.zeros(2)).dtype == torch.float64
    assert M.to_type_of(model, torch.zeros(2, dtype=torch.long)).dtype == torch.float64  # images of bytes
    assert M.to_type_of(whole, torch.zeros(2, dtype=torch.long)).dtype == torch.long
    assert M.to_type_of(whole, torch.zeros(2, dtype=torch.bool)).dtype == torch.float32
    assert M.to_type_of(nn.ReLU(), torch.zeros(2, dtype=torch.float64)).dtype == torch.float32
