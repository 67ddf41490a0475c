"""``make check``: what it says of a machine that is ready, and of one on which something is broken."""
import ast
import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from utils import checkpoint_utils, model_utils

NAMES = ["python", "packages", "folder", "memory", "device", "network", "training", "kernel"]


@pytest.fixture
def check():
    spec = importlib.util.spec_from_file_location("workshop_check", ROOT / "workshop" / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(check, monkeypatch, capsys):
    """Run the check, with a training of 0.2 s; returns exit code, lines by name, and the verdict."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run():
        code = check.main(["--seconds", "0.2"])
        *lines, verdict = capsys.readouterr().out.strip().split("\n")
        return code, {line[6:].split(":")[0]: line for line in lines}, verdict

    return run


@pytest.fixture
def without(check, monkeypatch):
    """Replace some of the checks by ones that pass, so that a test need not wait for them."""

    def without(*names):
        for name in names:
            monkeypatch.setattr(check, f"check_{name}", lambda *args: (check.OK, "passes"))

    return without


def test_a_machine_that_is_ready(tmp_path):
    """As ``make check`` runs it, but from another folder."""
    command = [sys.executable, str(ROOT / "workshop" / "check.py")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0 and not result.stderr, result.stdout + result.stderr
    *lines, verdict = result.stdout.strip().split("\n")
    assert [line[6:].split(":")[0] for line in lines] == NAMES
    assert all(line.startswith(("OK    ", "NOTE  ")) for line in lines)
    assert verdict == ("Ready, with notes." if "NOTE  " in result.stdout else "This machine is ready.")
    assert re.search(r"hash is right, accuracy 0\.9\d\d on 5,000 held-out images", lines[NAMES.index("network")])
    assert re.search(r"\d+ steps a second, accuracy 0\.\d{3} on 5,000 .* about \d+ min", lines[NAMES.index("training")])
    assert "1 + 1 = 2" in lines[NAMES.index("kernel")]


def test_an_old_python(run, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 8, 10, "final", 0))
    monkeypatch.setattr("platform.python_version", lambda: "3.8.10")
    code, lines, verdict = run()
    assert code == 1 and lines["python"].startswith("FAIL  python: Python 3.8.10 is too old: install 3.11 or newer")
    assert "packages" not in lines and "was not tried" in "".join(lines) and verdict.startswith("Not ready: python.")


def test_an_old_python_can_read_it():
    """Its grammar, and nothing but the standard library before the version is looked at."""
    tree = ast.parse((ROOT / "workshop" / "check.py").read_text(), feature_version=(3, 8))
    imported = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in tree.body
                if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported and all(name in sys.stdlib_module_names for name in imported)


def test_a_python_without_packages():
    """The Python that made this environment, without what the environment holds."""
    bare = subprocess.run([sys.executable, "-I", "-S", str(ROOT / "workshop" / "check.py")],
                          capture_output=True, text=True)
    assert bare.returncode == 1 and not bare.stderr, bare.stderr
    assert "FAIL  packages: not installed: torch, pyvene," in bare.stdout and "make check" in bare.stdout
    assert bare.stdout.strip().split("\n")[-1].startswith("Not ready: packages.")


def test_a_missing_package(run, monkeypatch):
    version = metadata.version

    def without_pandas(name):
        if name == "pandas":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_pandas)
    code, lines, verdict = run()
    assert code == 1 and lines["packages"].startswith("FAIL  packages: not installed: pandas; run `make check`")
    assert "network" not in lines and verdict.startswith("Not ready: packages.")


def test_a_broken_package(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvene", None)
    code, lines, _ = run()
    assert code == 1 and "FAIL  packages: does not load: pyvene (" in lines["packages"]
    assert "remove .venv" in lines["packages"]


def test_other_versions_are_noted(run, without, monkeypatch):
    without("network", "training", "kernel")
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.3.1" if name == "numpy" else version(name))
    code, lines, verdict = run()
    assert code == 0 and verdict == "Ready, with notes."
    assert lines["packages"].startswith("NOTE  packages: other versions than those tested: numpy 2.3.1 in place of ")


@pytest.mark.parametrize("damage, words", [("change", "is damaged or foreign"), ("remove", "net.pth is missing")])
def test_a_damaged_network(run, without, monkeypatch, tmp_path, damage, words):
    without("training", "kernel")
    for suffix in (".pth", ".json"):
        shutil.copy(checkpoint_utils.BASE_CNN.with_suffix(suffix), tmp_path / f"net{suffix}")
    path = tmp_path / "net.pth"
    if damage == "change":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    monkeypatch.setattr(checkpoint_utils, "BASE_CNN", path)
    code, lines, verdict = run()
    assert code == 1 and lines["network"].startswith("FAIL  network: ") and words in lines["network"]
    assert "git checkout pytorch_models" in lines["network"] and verdict.startswith("Not ready: network.")


def test_a_network_that_answers_otherwise(run, without, monkeypatch):
    """A torch that computes wrongly; then the training does not pass either."""
    without("kernel")
    monkeypatch.setattr(model_utils, "evaluate", lambda *args: 0.5)
    code, lines, verdict = run()
    recorded = checkpoint_utils.load_checkpoint(checkpoint_utils.BASE_CNN)[1]["heldout_accuracy"]
    assert code == 1 and lines["network"].startswith("FAIL  network: accuracy 0.500")
    assert f"{recorded:.3f}" in lines["network"]


def test_a_network_that_does_not_learn(check, monkeypatch):
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    clock = itertools.count()  # 120 steps, however quick they are
    monkeypatch.setattr(check, "time", SimpleNamespace(perf_counter=lambda: 1 + next(clock)))
    level, text = check.check_training(120)
    assert level == check.FAIL and text.startswith("the network does not learn: ")


def test_a_slow_machine_is_noted(check, monkeypatch):
    monkeypatch.setattr(check, "STEPS_PER_SECOND", 1e6)
    level, text = check.check_training(0.2)
    assert level == check.NOTE and "that is slow" in text


@pytest.mark.parametrize("broken", ["none", "another"])
def test_no_kernel(run, without, monkeypatch, broken):
    """The kernel's Python is gone, or it is another Python."""
    without("packages", "network", "training")
    if broken == "none":
        monkeypatch.setattr(sys, "executable", str(ROOT / "none" / "python"))
    else:
        monkeypatch.setattr(sys, "prefix", str(ROOT / "none"))
    code, lines, verdict = run()
    assert code == 1 and verdict.startswith("Not ready: kernel.") and "--force-reinstall ipykernel" in lines["kernel"]
    assert ("no Jupyter kernel: FileNotFoundError" if broken == "none" else "it is not this Python") in lines["kernel"]


def test_a_read_only_folder_and_little_memory_are_noted(run, without, check, monkeypatch):
    without("packages", "network", "training", "kernel")

    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(check.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 10**9}))
    code, lines, verdict = run()
    assert code == 0 and verdict == "Ready, with notes."
    assert lines["folder"].startswith("NOTE  folder: the notebooks run, but you cannot save here")
    assert lines["memory"] == "NOTE  memory: 0.9 GB free: close other programs, and notebooks that you have left"


def test_what_nobody_thought_of_is_one_line(run, without, check, monkeypatch):
    without("packages", "network", "training", "kernel")
    monkeypatch.setattr(model_utils, "find_device", lambda: 1 / 0)
    code, lines, verdict = run()
    assert code == 1 and lines["device"].startswith("FAIL  device: ZeroDivisionError: division by zero; ")


def test_the_estimate_is_what_was_measured(check, monkeypatch, tmp_path):
    """On a machine of the same speed; a GPU would change that."""
    (tmp_path / "measured.json").write_text('{"seconds": 72000}')
    monkeypatch.setattr(check, "MEASURED", tmp_path / "measured.json")
    _, text = check.check_training(1.0)
    speed, minutes = (float(re.search(pattern, text)[1]) for pattern in (r"(\d+) steps a second", r"about (\d+) min"))
    assert minutes == pytest.approx(1200 * check.STEPS_PER_SECOND / speed, rel=0.05)
