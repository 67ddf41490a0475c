"""Trainings that are interrupted, that diverge, or that ask for too much; and machines and files that do not do."""
import errno
import json
import hashlib
import io
import itertools
import os
import re
import time
import zipfile

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout
from own_networks import Mlp, numbers, same
from torch.utils.flop_counter import FlopCounterMode

from utils import model_utils
from utils.checkpoint_utils import load_checkpoint, read_weights, save_checkpoint
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train, iit_predict, iit_train
from utils.data_utils import causal_model, create_dataset
from utils.interventions import rotated_space, rotation
from utils.interventions.build import build_intervenable
from utils.interventions.checkpoints import load_intervenable, save_intervenable
from utils.measure_utils import score_alignment
from utils.measures.alignment import cross_matrix
from utils.measures.response import dose_response
from utils.model_utils import PyTorchCNN, find_device, predict, train
from utils.running import files

pytestmark = pytest.mark.slow("each case trains")

IMAGES, LABELS = create_dataset(60, seed=0)
X, Y = torch.from_numpy(IMAGES)[:, None], torch.from_numpy(causal_model(LABELS))
POOL = PairPool(IMAGES, LABELS, [[0]])
OWN_X, OWN_Z = numbers(16)(40), np.random.default_rng(0).integers(0, 2, (40, 2))


def wrap(own=False):
    torch.manual_seed(0)
    model = Mlp() if own else PyTorchCNN()
    return build_intervenable(model, "l2" if own else "conv3", 2, example=OWN_X[:2] if own else None)


def start(name, intervenable, own=False, **options):
    pool = PairPool(OWN_X, OWN_Z, [[0]], causal_model=same) if own else POOL
    if name == "train":
        inputs, y = (OWN_X, torch.from_numpy(same(OWN_Z)).float()) if own else (X, Y)
        return train(intervenable.model, inputs, y, batch_size=len(inputs) // 9, num_epochs=1, **options)
    options = {"num_steps": 9, "batch_size": 8, "pool": pool} | options
    return (das_train if name == "das" else iit_train)(intervenable, **options)


def snapshot(intervenable):
    return [tensor.clone() for tensor in intervenable.state_dict().values()]


def equal(one, other):
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", ["das", "iit", "train"])
@pytest.mark.parametrize("at", [1, 4, 7])
def test_an_interrupt_leaves_a_network_that_can_be_trained_on(name, own, at):
    whole = start(name, wrap(own), own)
    intervenable = wrap(own)
    model, seen = intervenable.model, []

    def interrupt(*args):
        seen.append(torch.is_grad_enabled())
        if sum(seen) == at:
            raise KeyboardInterrupt

    handle = list(model.children())[-1].register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        start(name, intervenable, own)
    handle.remove()
    history = caught.value.history
    assert history["lr"] == whole["lr"][:at - 1] and {len(values) for values in history.values()} == {at - 1}
    first = next(iter(history))
    assert history[first] == whole[first][:at - 1]
    assert f"kept: {at - 1}." in caught.value.__notes__[0]
    assert not any(module.training for module in model.modules())
    assert name == "train" or not any(p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert np.isfinite(start(name, intervenable, own)[first]).all()


@pytest.mark.parametrize("name", ["iit", "train"])
@pytest.mark.parametrize("options", [{"lr": 1e8}, {"lr": 1e30}])
def test_divergence_is_taken_back(name, options):
    intervenable = wrap()
    before = snapshot(intervenable)
    with pytest.raises(FloatingPointError, match="step 1 made the loss .*taken back.*smaller lr") as caught:
        start(name, intervenable, **options)
    assert len(caught.value.history["lr"]) == 1 and np.isfinite(caught.value.history["lr"]).all()
    assert equal(before, snapshot(intervenable)) and not intervenable.model.training


@pytest.mark.parametrize("name", ["das", "iit", "train"])
def test_the_step_that_is_taken_back_is_the_last_one(name):
    """A gradient that is no number, at the third step: all is as after the second."""
    expected, intervenable, count = wrap(True), wrap(True), []
    calls = {"das": das_train, "iit": iit_train}

    def spoil(grad):
        count.append(1)
        return grad * (float("nan") if len(count) == 3 else 1)

    stopped = []
    step = torch.optim.Adam.step

    def keep(self, *args, **kwargs):
        if len(stopped) == 2:
            stopped.append(snapshot(expected))
            raise KeyboardInterrupt
        stopped.append(None)
        return step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", keep)
        with pytest.raises(KeyboardInterrupt):
            start(name, expected, True)
    raw = next(intervenable.interventions.parameters()) if name in calls else intervenable.model.out.weight
    intervenable.model.requires_grad_(True)
    raw.register_hook(spoil)
    with pytest.raises(FloatingPointError, match="step 3 made the (loss|weights' norm) nan"):
        start(name, intervenable, True)
    assert equal(stopped[2], snapshot(intervenable))


def test_the_last_step_is_looked_at_too():
    intervenable = wrap(True)
    before = snapshot(intervenable)
    raw = next(intervenable.interventions.parameters())
    raw.register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(FloatingPointError, match="step 1 made the weights' norm nan"):
        start("das", intervenable, True, num_steps=1)
    assert equal(before, snapshot(intervenable))


@pytest.mark.parametrize("lr", [1e5, 1e8, 1e30])
@pytest.mark.parametrize("name", ["das", "iit", "train"])
def test_the_only_step_may_be_the_one_that_is_too_far(name, lr):
    """Its loss is never seen: the network is not left with weights that give an accuracy like any other."""
    intervenable = wrap()
    before = snapshot(intervenable)
    options = {"lr": lr, "batch_size": 60} | ({} if name == "train" else {"num_steps": 1})
    words = "training diverged: step 1 made the weights' norm .*taken back.*smaller lr"
    with pytest.raises(FloatingPointError, match=words) as caught:
        if name == "train":
            train(intervenable.model, X, Y, num_epochs=1, **options)
        else:
            start(name, intervenable, **options)
    assert len(caught.value.history["lr"]) == 1 and equal(before, snapshot(intervenable))


@pytest.mark.parametrize("lr", [1e31, 1e38, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["das", "iit", "train"])
def test_a_rate_that_no_step_can_be_taken_with_is_refused(name, lr):
    with pytest.raises(ValueError, match="lr must lie in"):
        start(name, wrap(), lr=lr)


class Masked(torch.nn.Module):
    """Four positions of four numbers, of which each sees only those before it, by a mask of -inf."""

    def __init__(self):
        super().__init__()
        self.emb, self.query, self.key = torch.nn.Linear(4, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
        self.mix, self.out = torch.nn.Identity(), torch.nn.Linear(8, 1)
        self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))

    def forward(self, x):
        h = self.emb(x.view(-1, 4, 4))
        h = (self.query(h) @ self.key(h).transpose(1, 2) + self.mask).softmax(-1) @ h
        return self.out(self.mix(h)[:, -1])


def test_a_mask_of_infinities_is_no_divergence_and_comes_back(tmp_path):
    intervenable = build_intervenable(Masked(), "mix", 2, example=OWN_X[:2], position=3)
    for name in ("train", "das", "iit"):
        assert np.isfinite(next(iter(start(name, intervenable, True).values()))).all()
    save_intervenable(intervenable, tmp_path / "a.pth", [[0]], {})
    again = load_intervenable(tmp_path / "a.pth", model=Masked(), example=OWN_X[:2])[0]
    assert torch.equal(iit_predict(again, OWN_X, OWN_X.flip(0)[None]),
                       iit_predict(intervenable, OWN_X, OWN_X.flip(0)[None]))
    assert start("iit", again, True)["interchange_loss"] == start("iit", intervenable, True)["interchange_loss"]


class Closed(Mlp):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


class Dead(Mlp):
    def rest(self, h, x):
        return super().rest(h.detach() * 0 + self.l1(x), x)


@pytest.mark.parametrize("kind, name", [(Closed, "train"), (Closed, "das"), (Closed, "iit"), (Dead, "das")])
def test_a_network_that_lets_no_gradient_through_is_told(kind, name):
    intervenable = build_intervenable(kind(), "l2", 2, example=OWN_X[:2])
    before = snapshot(intervenable)
    with pytest.raises(ValueError, match=r"model must answer by what is trained.*no_grad\(\) or detach\(\)"):
        start(name, intervenable, True)
    assert equal(before, snapshot(intervenable)) and not any(part.training for part in intervenable.model.modules())


@pytest.mark.parametrize("make", [torch.jit.script, lambda network: torch.jit.trace(network, OWN_X[:2])],
                         ids=["script", "trace"])
def test_an_exported_network_answers_and_is_refused_where_a_layer_is_asked_for(make):
    network = torch.nn.Sequential(torch.nn.Linear(16, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1))
    exported = make(network)
    assert torch.equal(predict(exported, OWN_X), predict(network, OWN_X))
    with pytest.raises(ValueError, match="model must not be compiled"):
        build_intervenable(exported, "0", 2, example=OWN_X[:2])


def test_a_network_without_numbers_gives_no_figure():
    intervenable = wrap()
    intervenable.model.conv2.weight.data.fill_(float("nan"))
    for call in (lambda: predict(intervenable.model, X), lambda: iit_predict(intervenable, X, X[None]),
                 lambda: score_alignment(intervenable, IMAGES, LABELS, [[0]], n=20)):
        with pytest.raises(ValueError, match="answer with numbers, got nan"):
            call()
    with pytest.raises(FloatingPointError, match="nan before the first step"):
        start("das", intervenable)


# machines


def test_a_broken_accelerator_gives_way_to_the_cpu(monkeypatch):
    monkeypatch.delenv("IIT_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.warns(UserWarning, match="cuda is there but does not work.*IIT_DEVICE"):
        assert find_device() == torch.device("cpu")


def test_the_environment_names_the_device(monkeypatch, recwarn):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("IIT_DEVICE", "cpu")
    assert find_device() == torch.device("cpu") and not recwarn
    for wrong in ("cuda:99", "gpu"):
        monkeypatch.setenv("IIT_DEVICE", wrong)
        with pytest.raises(ValueError, match=f"{wrong}' of IIT_DEVICE does not work here"):
            find_device()
    assert find_device("cpu") == torch.device("cpu")
    assert "IIT_DEVICE" in model_utils.find_device.__doc__


@pytest.mark.parametrize("n, m", [(40, 3), (6, 6)])
def test_a_factorization_on_the_cpu_is_the_same_with_its_gradient(monkeypatch, n, m):
    raw, found = torch.randn(n, m).requires_grad_(True), []
    for slow in ({"mps"}, {"cpu"}):
        monkeypatch.setattr(rotation, "SLOW_TO_FACTORIZE", slow)
        q = rotation.orthonormalize(raw)
        found.append((q, *torch.autograd.grad(q[0].sum(), raw)))
    assert all(map(torch.equal, *found))
    assert "mps" in rotation.SLOW_TO_FACTORIZE or slow == {"cpu"}


# too much asked


@pytest.mark.parametrize("n, m", [(1000, 600), (601, 601), (2000, 513)])
def test_many_directions_start_orthonormal(n, m):
    torch.manual_seed(0)
    q = rotation.draw_directions(n, m)
    torch.manual_seed(0)
    assert torch.equal(q, rotation.draw_directions(n, m)) and q.shape == (n, m)
    assert (q.T @ q - torch.eye(m)).abs().max() < 1e-5
    assert not torch.equal(q, rotation.draw_directions(n, m))
    assert (q.abs() > 0.1 / n**0.5).float().mean() > 0.9  # no direction is a neuron of its own


def test_thousands_of_directions_say_what_they_cost_and_start_soon():
    begun = time.perf_counter()
    with pytest.warns(UserWarning, match="4,096 directions of the 12,544 neurons of conv1 take 421 billion .*4,096 "
                                         "times as many as 64, and about 1.8 GB"):
        build_intervenable(PyTorchCNN(), "conv1", 4096)
    assert time.perf_counter() - begun < 15


def test_the_multiplications_that_are_told_are_those_that_torch_counts(monkeypatch):
    monkeypatch.setattr(rotated_space, "SLOW", 0)
    counted = {}
    for steps, batch_size in itertools.product((1, 2), (1, 2)):
        with pytest.warns(UserWarning, match="billion multiplications a training step") as told:
            intervenable = build_intervenable(PyTorchCNN(), "conv1", 512)
        with FlopCounterMode(display=False) as counter:
            das_train(intervenable, pool=POOL, num_steps=steps, batch_size=batch_size)
        counted[steps, batch_size] = counter.get_total_flops() / 2  # a multiplication and an addition
    one, two = (counted[2, batch_size] - counted[1, batch_size] for batch_size in (1, 2))
    of_directions = 2 * one - two  # in a step, what does not grow with the batch
    assert re.search("take 7 billion .* 64 times as many as 64", str(told[0].message))
    assert of_directions == pytest.approx(7e9, rel=0.1)


def test_more_directions_than_memory_are_refused(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 2**11)
    with pytest.raises(ValueError, match="num_sources must be at most .*memory"):
        build_intervenable(PyTorchCNN(), "conv1", 64)


@pytest.mark.parametrize("call", [
    lambda i: score_alignment(i, IMAGES, LABELS, [[0]], n=10**8), lambda i: cross_matrix(i, IMAGES, LABELS, n=10**8),
    lambda i: score_alignment(i, IMAGES, LABELS, [[0]], n=10**12),
    lambda i: dose_response(i, IMAGES, LABELS, 0, 0, n=10**12),
], ids=["score", "cross", "score many", "dose"])
def test_more_pairs_than_memory_are_refused(call, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 2**12 if name == "SC_PAGE_SIZE" else 2**20)
    begun = time.perf_counter()
    with pytest.raises(ValueError, match="n must be at most [0-9,]+ here, .* GB of memory; there are"):
        call(wrap())
    assert time.perf_counter() - begun < 60


@pytest.mark.parametrize("call, words", [
    (lambda i: train(i.model, X, Y, num_epochs=10**30), "num_epochs must be at most"),
    (lambda i: das_train(i, X, X[None], Y, num_epochs=10**30), "num_epochs must be at most"),
    (lambda i: predict(i.model, X, batch_size=10**30), "batch_size must be at most"),
    (lambda i: start("das", i, reorderings=10**9), "reorderings must be at most"),
    (lambda i: dose_response(i, IMAGES, LABELS, 0, 0, n=9, doses=1), "doses must be at least 2"),
    (lambda i: dose_response(i, IMAGES, LABELS, 0, 0, n=9, batch_size=0), "batch_size must be at least 1"),
    (lambda i: dose_response(i, IMAGES, LABELS, -1, 0, n=9), "block must be at least 0"),
    (lambda i: dose_response(i, IMAGES, LABELS, 1, 0, n=9), "block must be at most 0"),
])
def test_counts_that_no_machine_could_do_are_refused_at_once(call, words):
    with pytest.raises(ValueError, match=words):
        call(wrap())


# files


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.EACCES])
def test_a_lock_that_cannot_be_had_is_told_at_once(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def refuse(fd, operation):
        if operation != fcntl.LOCK_UN:
            raise OSError(number, os.strerror(number))

    begun = time.perf_counter()
    if number == errno.EACCES:
        monkeypatch.setattr(os, "open", lambda *args, **kwargs: (_ for _ in ()).throw(PermissionError(number, "no")))
    else:
        monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="this file cannot be locked .*: take a folder") as caught:
        with files.locked(FileLock(tmp_path / "a.lock")):
            pass
    monkeypatch.undo()
    assert caught.value.errno == number and caught.value.filename == str(tmp_path / "a.lock")
    assert time.perf_counter() - begun < 5
    with files.locked(FileLock(tmp_path / "a.lock")):
        with pytest.raises(Timeout, match="a.lock"), files.locked(FileLock(tmp_path / "a.lock", timeout=0)):
            pass


def put(path, content, **provenance):
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest, **provenance}))


def packed(thing):
    file = io.BytesIO()
    torch.save(thing, file)
    return file.getvalue()


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


def bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("archive/data.pkl", bytes(10**7))
    return file.getvalue()


@pytest.mark.parametrize("content", [
    packed(Trap()), packed({"a": Trap()}), packed({"a": torch.zeros(1).expand(10**6, 10**6)}), bomb(), b"", b"PK",
    packed([1, 2]), packed({"a": 1}),
], ids=["code", "code inside", "a huge view", "a bomb", "empty", "cut", "a list", "a number"])
def test_foreign_weights_are_refused_and_not_executed(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "a.pth", content)
    begun = time.perf_counter()
    with pytest.raises(ValueError, match="a.pth does not hold weights"):
        read_weights(tmp_path / "a.pth")
    assert not (tmp_path / "trapped").exists() and time.perf_counter() - begun < 5


@pytest.mark.parametrize("text", ["[" * 10**5, "{", "[]", '{"sha256"', "\ud83d"[:0] + "null"])
def test_foreign_provenance_is_refused(tmp_path, text):
    save_checkpoint(PyTorchCNN(), tmp_path / "a.pth", {})
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="a.json is no provenance file"):
        load_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("suffix", [".pth", ".json"])
def test_a_file_beyond_all_measure_is_not_read(tmp_path, suffix):
    save_checkpoint(PyTorchCNN(), tmp_path / "a.pth", {})
    with open(tmp_path / f"a{suffix}", "ab") as file:
        file.truncate(files.MOST_BYTES[suffix] + 1)  # a hole, which takes no room
    with pytest.raises(ValueError, match=f"a{suffix} must have at most"):
        load_checkpoint(tmp_path / "a.pth")


