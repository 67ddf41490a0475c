"""Hosted notebooks: the small requirements leave a service's Jupyter alone, and the first cell works in each."""
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

PAGE = (ROOT / "workshop" / "hosted.md").read_text()
CELL = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
THEIRS = {"jupyterlab": "3.6.8", "ipykernel": "6.17.1", "nbconvert": "7.16.6", "nbformat": "5.10.4",
          "ipython": "7.34.0", "jupyter_client": "7.4.9",
          "jupyter_server": "2.14.0", "tornado": "6.5.1", "traitlets": "5.7.1"}


def read_requirements(name):
    """Package -> requirement of one of the files, without those that it includes."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return {Requirement(line).name: Requirement(line) for line in lines if line and not line.startswith("-")}


def test_both_files_name_the_same_packages():
    whole, hosted = read_requirements("requirements.txt"), read_requirements("requirements-hosted.txt")
    assert whole.keys() - hosted.keys() == {"jupyterlab", "nbconvert", "ipykernel", "ipywidgets"}
    assert hosted.keys() <= whole.keys() and not [n for n in hosted if not hosted[n].specifier.contains(
        str(whole[n].specifier).removeprefix("=="))]
    assert set(json.loads(re.search(r"parts = (\[.*\])", CELL)[1])) == hosted.keys()


@pytest.fixture
def service(tmp_path):
    """Installs requirements, in pretense and without an index, where Jupyter has other versions: what pip would do."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "service"], check=True)
    [library] = (tmp_path / "service").glob("[Ll]ib/**/site-packages")
    for package in Path(sysconfig.get_path("purelib")).glob("*.dist-info"):
        (library / package.name).mkdir()
        text = (package / "METADATA").read_text(encoding="utf-8")
        name = re.search(r"^Name: (.+)$", text, re.M)[1]
        if name in THEIRS:
            text = re.sub(r"^Version: .+$", f"Version: {THEIRS[name]}", text, count=1, flags=re.M)
            text = re.sub(r"^Requires-Dist: .+\n", "", text, flags=re.M)  # of another version
        (library / package.name / "METADATA").write_text(text, encoding="utf-8")
    [python] = [*(tmp_path / "service").glob("bin/python"), *(tmp_path / "service").glob("Scripts/python.exe")]

    def install(name):
        command = [sys.executable, "-m", "pip", "--python", python, "install", "--dry-run", "--no-index", "-r", name]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return install


def test_a_service_keeps_its_own_jupyter(service):
    small, whole = service("requirements-hosted.txt"), service("requirements.txt")
    assert small.returncode == 0 and "Would install" not in small.stdout, small.stderr
    assert whole.returncode == 1 and "Cannot install jupyterlab==" in whole.stderr  # it asks for another one


@pytest.fixture
def run(tmp_path):
    """Runs the cell in a folder, with git and pip that note how they were called: the process, its notes."""
    notes = tmp_path / "notes"
    notes.touch()

    def run(here, repository="", missing=(), mapped=()):
        cell = CELL.replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}")
        for place, folder in mapped:
            assert f'"{place}' in cell
            cell = cell.replace(f'"{place}', f'"{folder}')
        stubs = (
            "import importlib.util, pathlib, shutil, subprocess\n"
            "find = importlib.util.find_spec\n"
            f"importlib.util.find_spec = lambda name: None if name in {missing!r} else find(name)\n"
            "def note(command, check):\n"
            f"    open({str(notes)!r}, 'a').write(repr(command) + '\\n')\n"
            f"    'clone' in command and shutil.copytree({str(tmp_path / 'origin')!r}, command[-1])\n"
            "subprocess.run = note\n")
        after = "import os, utils; print(os.getcwd(), os.path.dirname(os.path.dirname(utils.__file__)), sep='\\n')"
        here.mkdir(parents=True, exist_ok=True)
        result = subprocess.run([sys.executable, "-I", "-c", "\n".join([stubs, cell, after])], cwd=here,
                                capture_output=True, text=True)
        return result, [eval(line) for line in notes.read_text().splitlines()]

    copy_series(tmp_path / "origin")
    return run


def copy_series(folder):
    for name in ("utils/__init__.py", "utils/das_utils.py", "requirements-hosted.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "notebooks").mkdir()
    return folder


def works_in(result, root):
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-3:] == [f"ready: {root}", str(root / "notebooks"), str(root)]


def test_colab_has_no_folder_and_lacks_packages(run, tmp_path):
    result, notes = run(tmp_path / "content", "https://a.org/x.git", missing=("pyvene", "anywidget"))
    root = tmp_path / "content" / "causal-structure"
    assert works_in(result, root) and notes == [
        ["git", "clone", "--depth=1", "https://a.org/x.git", str(root)],
        [sys.executable, "-m", "pip", "install", "-q", "-r", str(root / "requirements-hosted.txt")]]
    result, again = run(tmp_path / "content")  # once more, after a restart
    assert works_in(result, root) and again == notes
    result, again = run(root / "notebooks")  # or without one
    assert works_in(result, root) and again == notes


def test_colab_finds_the_folder_in_drive(run, tmp_path):
    drive = tmp_path / "content" / "drive" / "MyDrive"
    root = copy_series(drive / "my copy")
    result, notes = run(tmp_path / "content", mapped=[("/content/drive/MyDrive", drive)])
    assert works_in(result, root) and not notes


@pytest.mark.parametrize("where", ["series", "series/series-main"])
def test_kaggle_finds_the_data_set_which_is_read_only(run, tmp_path, where):
    root = copy_series(tmp_path / "kaggle" / "input" / where)
    result, notes = run(tmp_path / "kaggle" / "working", mapped=[("/kaggle/input", tmp_path / "kaggle/input")],
                        missing=("pyvene",))
    assert works_in(result, root) and [note[3] for note in notes] == ["install"]


@pytest.mark.parametrize("start", [".", "notebooks", "build/learner"])
def test_binder_and_hubs_need_nothing(run, tmp_path, start):
    root = copy_series(tmp_path / "home" / "jovyan")
    result, notes = run(root / start)
    assert works_in(result, root) and not notes


def test_without_folder_and_address_the_cell_says_what_to_do(run, tmp_path):
    result, notes = run(tmp_path / "content")
    assert result.returncode == 1 and not notes
    assert "AssertionError: no folder of the series is here: write the repository's address" in result.stderr


def test_the_packages_here_satisfy_the_small_file():
    for name, requirement in read_requirements("requirements-hosted.txt").items():
        assert requirement.specifier.contains(metadata.version(name).split("+")[0]), name
