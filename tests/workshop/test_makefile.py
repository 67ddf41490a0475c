"""The Makefile in folders with awkward names, and with environments that were moved, upgraded or damaged."""
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="make's shell"),
              pytest.mark.skipif(not shutil.which("make"), reason="make is missing")]
AWKWARD = ["two words", "Ada's \"two\" words", "$HOME and `ls`", "100% & (x); déjà#vu",
           "/".join(["long" * 25] * 3)]
STUB = "import json, os, pathlib, sys\nprint(json.dumps([__file__, os.environ.get('JUPYTER_PATH'), *sys.argv[1:]]))\n"
PYTHON = """#!/bin/sh
# python3 -m venv --clear .venv, with packages that tell how they were called in place of real ones
echo made anew
{python} -m venv --without-pip --clear "$4"
cp -r "{packages}"/* "$4"/lib/python*/site-packages
"""


class Repository:
    """What make needs of the repository, in a folder of this name."""

    def __init__(self, tmp_path, name):
        packages = tmp_path / "packages"
        for package in ("pip", "jupyterlab", "voila"):
            (packages / package).mkdir(parents=True)
            (packages / package / "__init__.py").touch()
            (packages / package / "__main__.py").write_text(STUB)
        self.python, self.root = tmp_path / "python", tmp_path / name
        self.python.write_text(PYTHON.format(python=sys.executable, packages=packages))
        self.python.chmod(0o755)
        for path in ("Makefile", "requirements.txt", "constraints.txt", "workshop/requirements.txt"):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, self.root / path)

    def make(self, *arguments):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(["make", "-s", f"PYTHON={self.python}", *arguments], cwd=self.root, capture_output=True,
                              text=True, env=environment)

    def told(self, *arguments):
        """What each of the called packages tells: where it lies, the environment's JUPYTER_PATH, its arguments."""
        result = self.make(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]

    def path(self):
        """sys.path of the environment, as Python sees it from another folder."""
        code = "import json, sys; print(json.dumps(sys.path))"
        found = subprocess.run([self.root / ".venv/bin/python", "-I", "-c", code], capture_output=True, text=True)
        return json.loads(found.stdout)


@pytest.mark.parametrize("name", AWKWARD, ids=lambda name: name[:20])
def test_make_works_in_any_folder(tmp_path, name):
    repository = Repository(tmp_path, name)
    told = repository.told("explorer")
    assert [call[2:4] for call in told[:-1]] == [["install", "-r"]] * 2 and str(repository.root) in repository.path()
    where, jupyter_path, *arguments = told[-1]
    assert where == str(next(repository.root.glob(".venv/lib/*/site-packages/voila/__main__.py")))
    assert (repository.root / jupyter_path).samefile(repository.root / "workshop")
    assert arguments[0] == "notebooks/explorer.ipynb" and "--Voila.ip=127.0.0.1" in arguments
    [lab] = repository.told("lab", "FOLDER=the learner's copies")
    assert lab[2:] == ["--notebook-dir=the learner's copies"]


def test_an_environment_that_works_is_left_alone(tmp_path):
    repository = Repository(tmp_path, "here")
    assert "made anew" in repository.make("lab", "FOLDER=x").stdout
    assert len(repository.told("lab", "FOLDER=x")) == 1  # pip is not asked again
    (repository.root / "requirements.txt").touch()
    os.utime(repository.root / "requirements.txt", (2e9, 2e9))
    result = repository.make("lab", "FOLDER=x")
    assert "made anew" not in result.stdout and '"install"' in result.stdout


def move(repository):
    moved = repository.root.with_name("moved")
    repository.root.rename(moved)
    repository.root = moved


def upgrade(repository):
    """Another Python of the same name finds nothing of what the former one installed."""
    library = next((repository.root / ".venv/lib").iterdir())
    library.rename(library.with_name("python3.1"))


def lose_python(repository):
    for path in (repository.root / ".venv/bin").glob("python*"):
        path.unlink()
        path.symlink_to("/nowhere/python3")


def lose_pip(repository):
    shutil.rmtree(next(repository.root.glob(".venv/lib/*/site-packages/pip")))


@pytest.mark.parametrize("damage", [move, upgrade, lose_python, lose_pip])
def test_a_broken_environment_is_built_anew(tmp_path, damage):
    repository = Repository(tmp_path, "here")
    repository.told("explorer")
    damage(repository)
    result = repository.make("explorer")
    assert result.returncode == 0 and "made anew" in result.stdout and not result.stderr, result.stderr
    assert str(repository.root) in repository.path()
    assert [call[2:3] for call in repository.told("lab", "FOLDER=x")] != [["install"]]


def test_an_environment_elsewhere_is_left_as_it_is(tmp_path):
    """A link in the place of .venv leads to the environment of another copy."""
    other, repository = Repository(tmp_path / "other", "there"), Repository(tmp_path, "here")
    other.told("lab", "FOLDER=x")
    (repository.root / ".venv").symlink_to(other.root / ".venv")
    assert "made anew" in repository.make("lab", "FOLDER=x").stdout and str(repository.root) in repository.path()
    assert "made anew" not in other.make("lab", "FOLDER=x").stdout and str(other.root) in other.path()


def test_an_interrupted_installation_goes_on(tmp_path):
    """Nothing that pip has installed before is thrown away."""
    repository = Repository(tmp_path, "here")
    repository.told("lab", "FOLDER=x")
    (repository.root / ".venv/.installed").unlink()
    result = repository.make("lab", "FOLDER=x")
    assert "made anew" not in result.stdout and '"install"' in result.stdout


def test_a_python_without_venv_is_named(tmp_path):
    repository = Repository(tmp_path, "here")
    repository.python.write_text("#!/bin/sh\nexit 1\n")
    for _ in range(2):  # the second time, too
        result = repository.make("lab", "FOLDER=x")
        assert result.returncode and "On Debian and Ubuntu: apt install python3-venv" in result.stdout


def test_lab_opens_learners_copies_and_makes_them_once(tmp_path):
    repository = Repository(tmp_path, "here")
    (repository.root / "workshop/learner.py").write_text(STUB + "pathlib.Path('build/learner').mkdir(parents=True)\n")
    *_, made, lab = repository.told("lab")
    assert made[2:] == ["--into", "build/learner", "--solutions", "folded"]
    assert lab[2:] == ["--notebook-dir=build/learner"] == repository.told("lab")[-1][2:]
    assert len(repository.told("lab")) == 1  # what somebody has written into a copy stays
    (repository.root / "build/learner").rmdir()
    assert repository.told("learner", "SOLUTIONS=none")[-1][-1] == "none"
