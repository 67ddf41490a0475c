"""The workshop guide: timetables that add up, exercises and files that exist, commands that the Makefile knows."""
import re

import nbformat
import pytest
from conftest import ROOT

GUIDE = (ROOT / "workshop" / "README.md").read_text()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("heading, minutes", [("90 minutes", 90), ("Half a day", 240), ("A day", 450)])
def test_timetables_add_up(heading, minutes):
    table = GUIDE.split(f"### {heading}\n")[1].split("\n#")[0]
    rows = [(int(h) * 60 + int(m), int(takes), what)
            for h, m, takes, what in re.findall(r"^\| (\d+):(\d\d) \| (\d+) \| (.+) \|$", table, re.M)]
    for (start, takes, _), (following, _, _) in zip(rows, rows[1:]):
        assert start + takes == following
    assert rows[0][0] == 0 and rows[-1][0] + rows[-1][1] == minutes
    pauses = [(start, start + takes) for start, takes, what in rows if what.startswith(("Break", "Lunch"))]
    stretches = zip([0, *(end for _, end in pauses)], [*(start for start, _ in pauses), minutes])
    assert all(end - start <= 110 for start, end in stretches)


def test_exercises_named_in_the_guide_exist():
    ids = {cell.metadata.nbgrader.grade_id for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells
           if "nbgrader" in cell.metadata}
    named = re.findall(r"\b([0-6]\.[1-9])\b", GUIDE.split("## Expected pictures")[0])
    assert named and not [n for n in named if f"exercise-{n.replace('.', '-')}" not in ids]


@pytest.mark.parametrize("page", ["README.md", "workshop/README.md", "CONTRIBUTING.md"])
def test_commands_and_links_of_the_pages_work(page):
    path = ROOT / page
    text = path.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    commands = set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)", text, re.M))
    assert commands and commands <= targets
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("https://") or (path.parent / target).exists(), target
