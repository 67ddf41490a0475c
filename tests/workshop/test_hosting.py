"""The files for GitHub Actions, dev containers and Binder: they parse, and what they name exists."""
import json
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import ROOT

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
WORKFLOW = yaml.load((ROOT / ".github/workflows/ci.yml").read_text(), Loader=yaml.BaseLoader)  # "on" is no boolean
JOB = WORKFLOW["jobs"]["readme"]
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
BINDER = ROOT / ".binder"


def make_targets(text):
    return re.findall(r"\bmake ([a-z]+)", text)


def test_the_workflow_runs_both_commands_of_the_readme():
    start = (ROOT / "README.md").read_text().split("## Getting started")[1].split("```")[1]
    steps = [step.get("run", "") for step in JOB["steps"]]
    assert make_targets(start)[:2] == ["notebooks", "test"]
    assert steps[-3:-1] == ["make notebooks", "make test"]
    assert JOB["steps"][-1]["if"] == "failure()" and JOB["steps"][-1]["with"]["path"] == "build/"


def test_the_workflow_runs_on_every_push_and_once_a_week():
    assert {"push", "pull_request", "schedule"} <= set(WORKFLOW["on"])
    assert not WORKFLOW["on"]["push"] and not WORKFLOW["on"]["pull_request"]  # no branch or path is left out
    minute, hour, day, month, weekday = WORKFLOW["on"]["schedule"][0]["cron"].split()
    assert (day, month) == ("*", "*") and int(minute) < 60 and int(hour) < 24 and 0 <= int(weekday) <= 6


def test_the_workflow_may_do_little_and_ends():
    assert WORKFLOW["permissions"] == {"contents": "read"} and "group" in WORKFLOW["concurrency"]
    assert 30 <= int(JOB["timeout-minutes"]) <= 120
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in JOB["steps"] if "uses" in step)


def test_the_workflow_caches_what_the_pins_decide():
    setup = next(step for step in JOB["steps"] if "setup-python" in step.get("uses", ""))
    assert setup["with"]["cache"] == "pip"
    for pattern in setup["with"]["cache-dependency-path"].split():
        assert list(ROOT.glob(pattern)), pattern


@pytest.mark.parametrize("where", ["workflow", "container", "binder"])
def test_pytorch_comes_without_cuda(where):
    indexes = {
        "workflow": WORKFLOW["env"]["PIP_EXTRA_INDEX_URL"],
        "container": CONTAINER["containerEnv"]["PIP_EXTRA_INDEX_URL"],
        "binder": re.search(r"^--extra-index-url (\S+)$", (BINDER / "requirements.txt").read_text(), re.M)[1],
    }
    assert indexes[where] == CPU_INDEX and CPU_INDEX in (ROOT / "README.md").read_text()


def test_hosted_python_versions_are_tested_ones():
    tested = JOB["strategy"]["matrix"]["python-version"]
    hosted = [CONTAINER["image"].split(":")[1], (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")]
    assert len(tested) >= 2 and set(hosted) <= set(tested)
    assert all(tuple(map(int, version.split("."))) >= (3, 11) for version in tested)


def test_make_knows_what_is_asked_of_it():
    steps = "\n".join(step.get("run", "") for step in JOB["steps"])
    targets = make_targets(f"{steps}\n{CONTAINER['postCreateCommand']}")
    assert {"notebooks", "test"} < set(targets)
    if not shutil.which("make"):
        pytest.skip("make is missing")
    for target in targets:
        result = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


def test_the_container_finds_its_interpreter():
    settings = CONTAINER["customizations"]["vscode"]["settings"]
    assert "VENV := .venv\n" in (ROOT / "Makefile").read_text()
    assert settings["python.defaultInterpreterPath"].endswith("/.venv/bin/python")
    assert {"ms-python.python", "ms-toolsai.jupyter"} <= set(CONTAINER["customizations"]["vscode"]["extensions"])
    assert str(CONTAINER["forwardPorts"][0]) in CONTAINER["portsAttributes"]


def test_binder_reads_the_requirements_of_the_repository():
    """repo2docker looks nowhere else where there is a folder .binder; pip takes -r and -c from each file's folder."""
    included = re.findall(r"^-r (\S+)$", (BINDER / "requirements.txt").read_text(), re.M)
    assert [(BINDER / name).resolve() for name in included] == [ROOT / "requirements.txt"]
    for name in re.findall(r"^-c (\S+)$", (ROOT / "requirements.txt").read_text(), re.M):
        assert (ROOT / name).is_file()
    assert re.fullmatch(r"python-3\.\d+", (BINDER / "runtime.txt").read_text().strip())
    assert not (ROOT / "binder").exists()  # repo2docker refuses both
