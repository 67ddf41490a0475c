"""Checkpoints that several people share: saves at the same time, networks of one's own, and read-only folders."""
import ctypes
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from filelock import FileLock
from utils import checkpoint_utils as C
from utils.model_utils import PyTorchCNN

CPU = torch.device("cpu")
SAVE = """
import sys, torch
from utils import checkpoint_utils as C
from utils.model_utils import PyTorchCNN
torch.set_num_threads(1)
torch.manual_seed(int(sys.argv[2]))
model = PyTorchCNN()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(80):
    C.save_checkpoint(model, sys.argv[1], {"seed": int(sys.argv[2])})
"""


def new_model(seed):
    torch.manual_seed(seed)
    return PyTorchCNN()


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.pth"
    C.save_checkpoint(new_model(0), path, {"seed": 0})
    return path


# saves and loads at the same time


def test_two_processes_save_and_a_third_loads(saved):
    """Weights and provenance always belong together, and no file of the locking is left."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    writers = [
        subprocess.Popen([sys.executable, "-c", SAVE, str(saved), seed], env=environment, cwd=saved.parent, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for seed in "12"
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    models, seen = [new_model(seed) for seed in range(3)], []
    while any(writer.poll() is None for writer in writers):
        model, provenance = C.load_checkpoint(saved, CPU)
        assert same(model, models[provenance["seed"]])
        seen.append(provenance["seed"])
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    model, provenance = C.load_checkpoint(saved, CPU)
    assert provenance["seed"] in (1, 2) and same(model, models[provenance["seed"]])
    assert {1, 2} <= set(seen) and len(seen) > 20
    assert names(saved.parent) == ["net.json", "net.pth"]


def test_a_load_between_the_two_renames_waits(saved, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    C.save_checkpoint(new_model(1), other / "net.pth", {"seed": 1})
    os.replace(other / "net.pth", saved)
    later = threading.Timer(0.2, os.replace, (other / "net.json", saved.with_suffix(".json")))
    later.start()
    model, provenance = C.load_checkpoint(saved, CPU)
    later.join()
    assert provenance["seed"] == 1 and same(model, new_model(1))


def test_a_load_during_the_first_save_waits(saved):
    text = saved.with_suffix(".json").read_text()
    saved.with_suffix(".json").unlink()
    later = threading.Timer(0.2, saved.with_suffix(".json").write_text, (text,))
    later.start()
    assert C.load_checkpoint(saved, CPU)[1]["seed"] == 0
    later.join()


def test_a_damaged_file_is_still_reported_soon(saved):
    saved.write_bytes(saved.read_bytes()[:-1])
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"^net.pth is damaged or foreign: SHA-256 is \w{12}\.\.\., not \w{12}\.\.\.$"):
        C.load_checkpoint(saved, CPU)
    assert time.perf_counter() - start < 3  # 0.6 s where nothing else runs


@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("suffix", [".pth", ".json"])
@pytest.mark.parametrize("there", [True, False])
def test_a_save_that_is_killed_at_its_second_rename_is_whole(tmp_path, suffix, there):
    """The weights are new and the provenance beside them is old, or missing: the save has left the right one behind."""
    path = tmp_path / "net.pth"
    if there:
        C.save_checkpoint(new_model(0), path, {"seed": 0})
    pid = os.fork()
    if not pid:
        replace = os.replace
        C.os.replace = lambda old, new: os._exit(9) if Path(new).suffix == suffix else replace(old, new)
        C.save_checkpoint(new_model(1), path, {"seed": 1})
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 9 << 8
    if suffix == ".json" or there:
        seed = int(suffix == ".json")
        model, provenance = C.load_checkpoint(path, CPU)
        assert provenance["seed"] == seed and same(model, new_model(seed))
    C.save_checkpoint(new_model(2), path, {"seed": 2})
    assert C.load_checkpoint(path, CPU)[1]["seed"] == 2


def test_a_save_in_the_midst_of_another_waits(saved, monkeypatch):
    """Else weights of the second would get the provenance of the first."""
    replace, midst = os.replace, threading.Event()

    def slowly(old, new):
        if threading.current_thread() is first and Path(new).suffix == ".json":
            midst.set()
            time.sleep(0.3)
        replace(old, new)

    monkeypatch.setattr(C.os, "replace", slowly)
    first = threading.Thread(target=C.save_checkpoint, args=(new_model(1), saved, {"seed": 1}))
    first.start()
    assert midst.wait(60)
    C.save_checkpoint(new_model(2), saved, {"seed": 2})
    first.join()
    model, provenance = C.load_checkpoint(saved, CPU)
    assert provenance["seed"] == 2 and same(model, new_model(2))


def test_a_save_waits_for_another_and_says_when_it_waited_in_vain(saved, monkeypatch):
    lock = FileLock(saved.parent / ".saving-net.lock", thread_local=False)
    lock.acquire()
    monkeypatch.setattr(C, "FileLock", lambda path, timeout, mode: FileLock(path, timeout=0.1, mode=mode))
    with pytest.raises(TimeoutError):
        C.save_checkpoint(new_model(1), saved, {"seed": 1})
    assert C.load_checkpoint(saved, CPU)[1]["seed"] == 0
    monkeypatch.undo()
    later = threading.Timer(0.2, lock.release)
    later.start()
    C.save_checkpoint(new_model(1), saved, {"seed": 1})
    later.join()
    assert C.load_checkpoint(saved, CPU)[1]["seed"] == 1 and names(saved.parent) == ["net.json", "net.pth"]


def test_a_file_that_is_being_read_is_replaced_later(saved, monkeypatch):
    """As on Windows, where an open file cannot be replaced."""
    calls, replace = [], os.replace

    def refuse_twice(*args):
        calls.append(args)
        if len(calls) < 3:
            raise PermissionError(13, "Access is denied")
        replace(*args)

    monkeypatch.setattr(C.os, "replace", refuse_twice)
    C.save_checkpoint(new_model(1), saved, {"seed": 1})
    assert C.load_checkpoint(saved, CPU)[1]["seed"] == 1 and names(saved.parent) == ["net.json", "net.pth"]


# networks of one's own


def test_own_networks_have_names_of_their_own(tmp_path):
    for suffix in (".pth", ".json"):
        shutil.copy(C.BASE_CNN.with_suffix(suffix), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    paths = [C.save_own_checkpoint(new_model(seed), {"seed": seed}, folder=tmp_path) for seed in (1, 2)]
    for seed, path in enumerate(paths, start=1):
        model, provenance = C.load_checkpoint(path, CPU)
        assert same(model, new_model(seed)) and provenance["seed"] == seed and path.parent == tmp_path
        assert path.name == f"base_cnn-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
    assert len(names(tmp_path)) == 6 and {name: (tmp_path / name).read_bytes() for name in before} == before
    assert C.save_own_checkpoint(new_model(1), {"seed": 1}, folder=tmp_path) == paths[0]
    assert C.save_own_checkpoint(new_model(1), {}, folder=tmp_path, name="mine").name.startswith("mine-")


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_own_networks_go_home_where_the_folder_is_read_only(tmp_path, monkeypatch, error):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    make = tempfile.TemporaryDirectory

    def refuse(dir, **options):
        if Path(dir) == C.MODEL_FOLDER:
            raise OSError(error, os.strerror(error))
        return make(dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    before = names(C.MODEL_FOLDER)
    path = C.save_own_checkpoint(new_model(1), {"seed": 1})
    assert path.parent == tmp_path / "home" / "pytorch_models" and C.load_checkpoint(path, CPU)[1]["seed"] == 1
    assert names(C.MODEL_FOLDER) == before


def test_other_failures_of_own_networks_are_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError, match="folder"):
        C.save_own_checkpoint(new_model(1), {}, folder=tmp_path / "none")
    for name in ("", "a/b", "/base"):
        with pytest.raises(ValueError, match="name"):
            C.save_own_checkpoint(new_model(1), {}, folder=tmp_path, name=name)
    with pytest.raises(ValueError, match="provenance"):
        C.save_own_checkpoint(new_model(1), {"x": {1}}, folder=tmp_path)
    assert not names(tmp_path)


# a repository that cannot be written to

READ_ONLY = pytest.mark.skipif(os.name != "posix", reason="folders are made read-only by their mode")


def drop_override():
    """Take from root, in a child process, the right to write where the mode forbids it."""
    PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


class ReadOnlyCopy:
    """A copy of what a notebook needs, in which nobody may write, and a home folder for who works there."""

    def __init__(self, folder):
        self.root, self.home = folder / "repository", folder / "home"
        for name in ("utils", "studies", "pytorch_models", "notebooks"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.home.mkdir()

    def lock(self):
        for path in [self.root, *self.root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)

    def unlock(self):
        for path in [self.root, *self.root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)

    def python(self, code):
        environment = {**os.environ, "HOME": str(self.home), "PYTHONPATH": str(self.root), "TMPDIR": str(self.home)}
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment,
                              cwd=self.root / "notebooks", preexec_fn=drop_override if os.geteuid() == 0 else None)

    def files(self):
        return {path: path.stat().st_mtime_ns for path in self.root.rglob("*")}


@pytest.fixture
def copy(tmp_path):
    """Skipped where a folder cannot be made read-only for the one who runs the tests."""
    copy = ReadOnlyCopy(tmp_path)
    (tmp_path / "locked").mkdir(mode=0o555)
    tried = copy.python(f"open({str(tmp_path / 'locked' / 'x')!r}, 'w')")
    if "PermissionError" not in tried.stderr:
        pytest.skip(f"whoever runs the tests may write to a read-only folder: {tried.stderr[-200:]}")
    yield copy
    copy.unlock()


@pytest.fixture
def locked(copy):
    copy.lock()
    return copy


@READ_ONLY
def test_the_shipped_network_loads_from_a_read_only_repository(locked):
    before = locked.files()
    result = locked.python(
        "import utils.das_utils\n"
        "from utils import checkpoint_utils as C\n"
        "model, origin = C.load_or_train_base_cnn()\n"
        "print(C.MODEL_FOLDER.parent, origin)\n"
        "own = C.save_own_checkpoint(model, {'seed': 3})\n"
        "C.load_checkpoint(own)\n"
        "print(own)\n"
    )
    assert result.returncode == 0, result.stderr
    where, own = result.stdout.strip().split("\n")
    assert where.startswith(f"{locked.root} Loaded base_cnn.pth: seed 0")
    assert Path(own).parent == locked.home / "pytorch_models" and names(Path(own).parent) == [
        Path(own).with_suffix(".json").name, Path(own).name]
    assert locked.files() == before


@READ_ONLY
def test_a_missing_network_is_trained_in_a_read_only_repository(copy):
    for path in (copy.root / "pytorch_models").iterdir():
        path.unlink()
    copy.lock()
    before = copy.files()
    result = copy.python(
        "from utils import checkpoint_utils as C\n"
        "C.BASE_RECIPE.update(train_images=64, test_images=50, num_epochs=1)\n"
        "print(C.load_or_train_base_cnn()[1])\n"
    )
    assert result.returncode == 0, result.stderr
    assert "base_cnn.pth was missing" in result.stdout and "not saved" in result.stdout
    assert copy.files() == before


@READ_ONLY
def test_a_notebook_runs_in_a_read_only_repository(locked):
    before = locked.files()
    result = locked.python(
        "import nbformat\n"
        "from nbclient import NotebookClient\n"
        "notebook = nbformat.read('1_counterfactual_data.ipynb', as_version=4)\n"
        "NotebookClient(notebook, timeout=600, resources={'metadata': {'path': '.'}}).execute()\n"
        "print(sum(cell.cell_type == 'code' for cell in notebook.cells), 'cells ran')\n"
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "cells ran" in result.stdout and locked.files() == before


def test_the_provenance_of_an_own_network_is_complete(tmp_path):
    path = C.save_own_checkpoint(new_model(1), {"seed": 1}, folder=tmp_path)
    assert {"seed", "sha256", "versions"} == set(json.loads(path.with_suffix(".json").read_text()))
