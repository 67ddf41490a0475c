"""Copies, slides and README whose writer is killed, or runs out of room, at 20 random moments each: none is lost."""
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks, and limits of files")
WRITE = """
import json, os, pathlib, random, resource, shutil, signal, sys, time
sys.path.insert(0, {root!r})
END = "[CITATION.cff](CITATION.cff).\\n"
fault, kind, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
SOURCES = {{version: folder / version for version in "AB"}}
if kind == "readme":
    from studies import results
    results.results_table = lambda figures: f"Version {{version}} " * 3000 + "whole"
    def write():
        results.write_readme(folder / "into" / "README.md", folder / "none")
else:
    from workshop import learner, slides
    slides.install_reveal = lambda into: folder / "reveal"
    def write():
        if kind == "copies":
            learner.write_copies(SOURCES[version], folder / "into")
        else:
            slides.write_slides(sorted(SOURCES[version].glob("*.ipynb")), folder / "into")
def seen():
    found = {{}}
    for path in (folder / "into").glob("*"):
        if path.name[0] != "." and path.suffix in (".ipynb", ".html", ".md"):
            text = path.read_text()
            if path.suffix == ".ipynb":
                json.loads(text)
            if path.suffix == ".html":
                assert text.rstrip().endswith("</html>"), path
            if path.suffix == ".md":
                assert text.endswith(END) and "whole\\n<!-- end of results" in text, path
            found[path.name] = "A" if "Version A" in text else "B"
    return found
version = "A"
write()  # the first time takes longer, for what is imported and read only once
start = time.perf_counter()
write()
seconds = time.perf_counter() - start
names, faults = set(seen()), 0
largest = max(path.stat().st_size for path in (folder / "into").glob("*") if path.is_file())
random.seed(0)
for moment in range(20):
    version = "BA"[moment % 2]
    child = os.fork()
    if not child:
        if fault == "kill":
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 1.2 * seconds))  # nobody catches its signal
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (random.randrange(largest),) * 2)
        try:
            write()
        except OSError:
            os._exit(7)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    faults += status != 0
    assert status in (0, 7 << 8, signal.SIGALRM), status
    after = seen()
    assert set(after) == names, (names, after)
    if fault == "full" and status:
        assert not list((folder / "into").glob(".*")), "what was begun is cleared away"
write()
assert set(seen().values()) == {{version}}
print(json.dumps([faults, sorted(names)]))
"""


def notebook(version):
    shown = [{"output_type": "display_data", "data": {"text/plain": version * 20_000}, "metadata": {}}]
    cells = [{"cell_type": "markdown", "id": "a", "source": f"# Version {version}" + " words" * 5000,
              "metadata": {"slideshow": {"slide_type": "slide"}}},
             {"cell_type": "code", "id": "b", "source": "x = 1", "execution_count": None, "outputs": shown,
              "metadata": {"slideshow": {"slide_type": "-"}}}]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


@pytest.mark.parametrize("fault", ["kill", "full"])
@pytest.mark.parametrize("kind", ["copies", "slides", "readme"])
def test_an_interrupted_writer_leaves_whole_files(tmp_path, kind, fault):
    for version in "AB":
        (tmp_path / version).mkdir()
        for n in range(3):
            (tmp_path / version / f"{n}_talk.ipynb").write_text(notebook(version))
    (tmp_path / "reveal").mkdir()
    (tmp_path / "reveal" / "LICENSE").touch()
    if kind == "readme":
        (tmp_path / "into").mkdir()
        shutil.copy(ROOT / "README.md", tmp_path / "into")
    command = [sys.executable, "-c", WRITE.format(root=str(ROOT)), fault, kind, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    faults, names = json.loads(result.stdout.splitlines()[-1])
    assert faults >= 5 and len(names) == {"copies": 3, "slides": 4, "readme": 1}[kind]
