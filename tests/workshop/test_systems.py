"""What other systems do differently, by simulation: line ends, code pages, long paths, and the jobs that run there."""
import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from conftest import ROOT
from studies.results import END, START, read_results, write_readme
from workshop.learner import write_copies
from workshop.reading import read_notebook
from workshop.slides import presentation

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
WORKFLOW = yaml.load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
LINES = {job: [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step] for job in WORKFLOW["jobs"]}
SHELLS = [shell for shell in ("bash", "dash") if shutil.which(shell)]


def test_macos_and_windows_run_a_notebook_and_the_unit_tests():
    assert WORKFLOW["jobs"]["systems"]["strategy"]["matrix"]["os"] == ["macos-latest", "windows-latest"]
    text = "\n".join(LINES["systems"])
    assert re.search(r"nbconvert .*--execute .*\.ipynb$", text, re.M) and "pytest -o addopts= tests/utils\n" in text
    assert "test_sharing.py" in text and "test_systems.py" in text  # checkpoints, paths
    assert "if" not in WORKFLOW["jobs"]["systems"]


def test_a_weekly_job_takes_the_newest_versions():
    job = WORKFLOW["jobs"]["unpinned"]
    assert job["if"].split(" || ")[0] == "github.event_name == 'schedule'" and WORKFLOW["on"]["schedule"]
    assert LINES["unpinned"][1] == "python -m pip install -r unpinned.txt"


@pytest.mark.parametrize("job", ["systems", "unpinned"])
def test_each_job_ends_and_names_what_exists(job):
    assert 30 <= int(WORKFLOW["jobs"][job]["timeout-minutes"]) <= 120
    uses = [step["uses"] for step in WORKFLOW["jobs"][job]["steps"] if "uses" in step]
    assert uses and all(re.fullmatch(r"actions/[a-z-]+@v\d+", use) for use in uses)
    named = re.findall(r"(?<= )(?:tests|notebooks|workshop)/[\w./-]+|(?<= )requirements.txt", "\n".join(LINES[job]))
    assert named and all((ROOT / path).exists() for path in named)


def test_windows_lines_mean_the_same_in_powershell():
    """Words, paths and options; nothing that a shell expands, quotes or redirects."""
    assert not [line for line in LINES["systems"] if not re.fullmatch(r"[\w./= -]+", line)]


def test_what_readers_on_windows_type_means_the_same_in_powershell():
    """The README's lines without make, with its two replacements; a pattern of files is left to the program there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.search(r"\*\*Without make\.\*\*.*?```\n(.*?)```", readme, re.DOTALL)[1].splitlines()
    windows = [line.replace("python3", "python").replace(".venv/bin/", ".venv\\Scripts\\") for line in lines]
    assert len(windows) == 4 and all(re.fullmatch(r"[\w.\\/ *-]+", line) for line in windows)
    assert all(line.startswith(("python ", ".venv\\Scripts\\")) for line in windows)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("job", LINES)
def test_the_shells_read_every_line(job, shell):
    for line in LINES[job]:
        result = subprocess.run([shell, "-n", "-c", line], capture_output=True, text=True)
        assert result.returncode == 0 and not result.stderr, line


@pytest.mark.parametrize("shell", SHELLS)
def test_pins_are_taken_off(tmp_path, shell):
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/requirements.txt", tmp_path / "tests")
    subprocess.run([shell, "-c", LINES["unpinned"][0]], cwd=tmp_path, check=True)
    lines = [line for line in (tmp_path / "unpinned.txt").read_text().splitlines() if not line.startswith("#")]
    assert {"torch", "pyvene", "jupyterlab", "pytest", "nbval"} <= set(lines)
    assert all(re.fullmatch(r"[\w.-]+(\[\w+\])?", line) for line in lines)


@pytest.fixture
def crlf(tmp_path):
    """A notebook of the series as a checkout with Windows' line ends has it."""
    path = tmp_path / NOTEBOOKS[1].name
    path.write_bytes(NOTEBOOKS[1].read_bytes().replace(b"\n", b"\r\n"))
    return path


def test_line_ends_of_windows_change_nothing(crlf, tmp_path):
    assert read_notebook(crlf) == read_notebook(NOTEBOOKS[1])
    assert presentation(crlf, {}) == presentation(NOTEBOOKS[1], {})
    [copied] = write_copies(tmp_path, tmp_path / "copies")
    [wanted] = write_copies(tmp_path, tmp_path / "again")
    assert copied.read_bytes() == wanted.read_bytes() and b"\\r" not in copied.read_bytes()


def test_a_readme_with_line_ends_of_windows_is_written(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_bytes((ROOT / "README.md").read_bytes().replace(b"\n", b"\r\n"))
    write_readme(readme, ROOT / "notebooks")
    assert readme.read_text(encoding="utf-8") == (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.read_text().count(START) == readme.read_text().count(END) == 1 and read_results(ROOT / "notebooks")


@pytest.mark.parametrize("page", ["cp1252", "ascii", "cp932"])
def test_a_console_that_lacks_letters_is_written_to(tmp_path, page):
    """Into a folder that the code page cannot name, and with a notebook whose slide type it cannot name."""
    folder = tmp_path / "Übung ✓ 数"
    environment = {**os.environ, "PYTHONIOENCODING": page, "PYTHONUTF8": "0"}
    cell = nbformat.v4.new_markdown_cell("# Talk", metadata={"slideshow": {"slide_type": "数✓"}})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "talk.ipynb")
    for command, status in ((["learner.py", "--into", folder], 0),
                            (["slides.py", tmp_path / "talk.ipynb", "--into", tmp_path / "slides"], 1)):
        command = [sys.executable, ROOT / "workshop" / command[0], *command[1:]]
        result = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT)
        assert result.returncode == status and not result.stderr, result.stderr
        assert result.stdout.decode(page)
    assert json.loads((folder / NOTEBOOKS[0].name).read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("page", ["cp1252", "ascii"])
def test_a_cell_that_fails_is_told_on_a_console_that_lacks_its_letters(tmp_path, page):
    cells = [nbformat.v4.new_code_cell("raise ValueError('数✓')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "fails.ipynb")
    command = [sys.executable, ROOT / "notebooks/execute.py", tmp_path / "fails.ipynb", "--into", tmp_path]
    result = subprocess.run(command, capture_output=True, cwd=ROOT,
                            env={**os.environ, "PYTHONIOENCODING": page, "PYTHONUTF8": "0"})
    assert result.returncode == 1 and b"Traceback (most recent call last)" not in result.stderr, result.stderr
    assert "fails.ipynb FAILED after" in result.stdout.decode(page) and "\\u6570" in result.stdout.decode(page)


@pytest.mark.skipif(os.name != "posix", reason="Windows has them only where its settings allow them")
def test_long_paths(tmp_path):
    """Of more than 260 characters, the usual limit on Windows."""
    folder = tmp_path.joinpath(*["folder " + "x" * 90] * 3)
    assert len(str(folder)) > 260
    assert [path.exists() for path in write_copies(ROOT / "notebooks", folder)] == [True] * len(NOTEBOOKS)
