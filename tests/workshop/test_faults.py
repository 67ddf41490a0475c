"""Each writer of files: killed, without room, in a read-only folder, two at once, and where the clock goes backwards.

At 20 random moments each where that is a matter of moments: nothing is lost, and nothing is half-written.
"""
import ctypes
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from filelock import FileLock

from workshop import writing

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="forks, and limits of files"),
              pytest.mark.slow("each writer is interrupted many times")]
WRITERS = """
import hashlib, json, os, pathlib, random, resource, shutil, signal, sys, time
sys.path.insert(0, {root!r})
kind, folder = sys.argv[1], pathlib.Path(sys.argv[2])
into, LONG = folder / "into", 3000
into.mkdir()
if kind == "readme":
    from studies import results
    results.results_table = lambda figures: f"Version {{version}} " * LONG + "whole"
    shutil.copy(folder / "README.md", into)
    def write():
        results.write_readme(into / "README.md", folder / "none")
elif kind in ("copies", "slides"):
    from workshop import learner, slides
    slides.install_reveal = lambda into: folder / "reveal"
    def write():
        if kind == "copies":
            learner.write_copies(folder / version, into)
        else:
            slides.write_slides(sorted((folder / version).glob("*.ipynb")), into)
elif kind == "notebook":
    sys.path.insert(0, {root!r} + "/notebooks")
    import execute, nbformat
    class Client:
        def __init__(self, notebook, **options):
            self.notebook = notebook
        def execute(self, env):
            for cell in self.notebook.cells[-1:]:
                cell.outputs = [nbformat.v4.new_output("stream", text="1.0")]
            self.notebook.cells[0].source = f"Version {{version}} " * LONG
    class Progress:
        begin = step = lambda self, *args: None
    execute.NotebookClient = Client
    shutil.copy(folder / "A" / "0_talk.ipynb", into)
    def write():
        execute.execute(into / "0_talk.ipynb", into, Progress())
        execute.write_whole(into / "notebooks.json", json.dumps({{"Version " + version: [1] * LONG}}))
elif kind == "checkpoint":
    import torch
    from utils.checkpoint_utils import read_weights, save_checkpoint
    def write():
        model = torch.nn.Linear(200, 200)
        model.weight.data.fill_("AB".index(version))
        save_checkpoint(model, into / "net.pth", {{"seed": "Version " + version}})
elif kind == "tables":
    import pandas
    from studies import own_networks, seed_study
    from studies.sweep import cells, rows
    LONG = 500
    def write():
        for writer, experiment in ((seed_study.write_rows, "base"), (own_networks.write_table, "mlp")):
            writer(into / f"{{experiment}}.csv", [
                {{"experiment": experiment, "seed": n, "measure": "Version " + version, "value": "1"}}
                for n in range(LONG)])
        rows.write_row(into / "row.json", {{"cell": {{}}, "figures": ["Version " + version] * LONG}})
        found = pandas.DataFrame({{"measure": ["Version " + version] * LONG, "error": ""}})
        rows.write_table(found, into / "sweep.csv", cells.Settings(), "Version " + version, folder)
elif kind == "book":
    from workshop import writing
    build = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); text = sys.argv[2] * 3000 + '</html>'; " \\
        "[(p / f'{{n}}.html').write_text(text) for n in range(20)]"
    def write():
        command = [sys.executable, "-I", "-S", "-c", build, "FOLDER", "Version " + version]
        if writing.replace_folder(into / "book", command):
            raise OSError("the command has failed, and said why")
def seen():
    # name -> version of each file, which is whole
    found = {{}}
    for path in sorted(into.glob("book/*" if kind == "book" else "*")):
        if path.name[0] == "." or path.suffix not in (".ipynb", ".html", ".md", ".csv", ".json", ".pth"):
            continue
        text = path.read_bytes().decode(errors="replace")
        if path.suffix == ".pth":
            weights, provenance = read_weights(path)
            text = provenance["seed"]
            assert (weights["weight"] == "AB".index(text[-1])).all()
        elif kind == "checkpoint":
            continue
        elif path.suffix in (".ipynb", ".json"):
            told = json.loads(text)
            if path.stem == "row":
                sha256 = told.pop("sha256")
                assert sha256 == rows._digest(told)
        elif path.suffix == ".html":
            assert text.rstrip().endswith("</html>"), path
        elif path.suffix == ".md":
            assert text.endswith("[CITATION.cff](CITATION.cff).\\n") and "whole\\n<!-- end of results" in text, path
        else:
            assert text.count("\\n") == LONG + 1 and text.endswith("\\n"), path
        found[path.name] = "A" if "Version A" in text else "B"
        assert found[path.name] == "A" or "Version B" in text, path
    return found
def child(act):
    pid = os.fork()
    if pid:
        return pid
    try:
        act()
        write()
    except OSError as error:
        os.write(1, f"{{error}}\\n".encode())
        os._exit(7)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)
def hidden():
    return [path.name for path in into.rglob(".*") if path.name != ".writing.lock"]
version = "A"
write()  # the first time takes longer, for what is imported and read only once
start = time.perf_counter()
write()
seconds = time.perf_counter() - start
names, faults = set(seen()), {{"kill": 0, "full": 0, "two": 0}}
largest = max(path.stat().st_size for path in into.rglob("*") if path.is_file())
random.seed(0)
for fault in ("full", "kill"):
    for moment in range(20):
        version = "BA"[moment % 2]
        at = random.uniform(0.001, 1.2 * seconds)
        pid = child((lambda: signal.setitimer(signal.ITIMER_REAL, at)) if fault == "kill" else lambda: (
            resource.setrlimit(resource.RLIMIT_FSIZE, (random.randrange(largest),) * 2)))
        status = os.waitpid(pid, 0)[1]  # nobody catches the alarm, which so is a kill
        faults[fault] += status != 0
        assert status in (0, 7 << 8, signal.SIGALRM), status
        if kind == "book" and not (into / "book").exists():
            assert list(into.glob("book.old*")), "between two renames"
            continue
        assert set(seen()) == names, (names, seen())
        if fault == "full" and status:
            assert not hidden(), "what was begun is cleared away"
for path in into.rglob("*"):  # written at a later time than it is now
    os.utime(path, (time.time() + 10**6,) * 2)
past = iter(range(10**9, 0, -60))
now, time.time = time.time, lambda: float(next(past))
for version in "AB":
    write()
    assert set(seen().values()) == {{version}}, seen()
time.time = now
for moment in range(5 if kind == "slides" else 20):
    pids = []
    for version in "AB":
        pids.append(child(lambda: None))
    while pids:
        pids = [pid for pid in pids if not os.waitpid(pid, os.WNOHANG)[0] or faults.update(two=faults["two"] + 1)]
        if kind != "book" or (into / "book").exists():
            after = seen() if kind != "book" else {{}}
            assert kind == "book" or set(after) == names, (names, after)
assert set(seen()) == names
version = "A"
write()
before = seen()
assert set(before.values()) == {{"A"}}
for path in (into, *(path for path in into.rglob("*") if path.is_dir())):
    path.chmod(0o555)
version = "B"
told = 0
try:
    write()
except OSError as error:
    told = str(error)
for path in (into, *(path for path in into.rglob("*") if path.is_dir())):
    path.chmod(0o755)
assert seen() == before
print()
print(json.dumps([faults, sorted(names), told, str(into)]))
"""


def notebook(version):
    shown = [{"output_type": "display_data", "data": {"text/plain": version * 10_000}, "metadata": {}}]
    cells = [{"cell_type": "markdown", "id": "a", "source": f"# Version {version}" + " words" * 1000,
              "metadata": {"slideshow": {"slide_type": "slide"}}},
             {"cell_type": "code", "id": "b", "source": "x = 1", "execution_count": None, "outputs": shown,
              "metadata": {"slideshow": {"slide_type": "-"}}}]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def drop_override():
    """Take from root, in a child process, the right to write where the mode forbids it."""
    PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


FILES = {"copies": 3, "slides": 4, "readme": 1, "notebook": 2, "checkpoint": 1, "tables": 5, "book": 20}


@pytest.mark.parametrize("kind", FILES)
def test_a_writer_that_is_interrupted_leaves_whole_files(tmp_path, kind):
    for version in "AB":
        (tmp_path / version).mkdir()
        for n in range(3):
            (tmp_path / version / f"{n}_talk.ipynb").write_text(notebook(version))
    (tmp_path / "reveal").mkdir()
    (tmp_path / "reveal" / "LICENSE").touch()
    shutil.copy(ROOT / "README.md", tmp_path)
    command = [sys.executable, "-c", WRITERS.format(root=str(ROOT)), kind, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
                            preexec_fn=drop_override if os.geteuid() == 0 else None)
    assert result.returncode == 0, result.stderr
    faults, names, told, into = json.loads(result.stdout.splitlines()[-1])
    assert faults["kill"] >= 5 and faults["full"] >= 5 and faults["two"] >= 10 and len(names) == FILES[kind]
    assert into in told and any(reason in told for reason in ("Permission denied", "Read-only"))
    full = [line for line in result.stdout.splitlines() if "File too large" in line]
    assert kind == "book" or full and all(into in line for line in full)


def test_a_folder_that_another_keeps_writing_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_SECONDS", 0.2)
    with FileLock(tmp_path / ".writing.lock"), pytest.raises(OSError, match="writing.lock"):
        writing.replace_folder(tmp_path / "book", [sys.executable, "-c", "raise SystemExit(0)"])
    assert not (tmp_path / "book").exists()
