"""The workshop guide: timetables that add up, exercises and files that exist, commands that the Makefile knows."""
import re

import nbformat
import pytest
from conftest import ROOT

GUIDE = (ROOT / "workshop" / "README.md").read_text()
MISTAKES = (ROOT / "workshop" / "mistakes.md").read_text()
PAGES = sorted((ROOT / "workshop").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def rows_of(heading):
    """The rows (start and length in minutes, what happens) of one of the guide's timetables."""
    table = GUIDE.split(f"### {heading}\n")[1].split("\n#")[0]
    return [(int(h) * 60 + int(m), int(takes), what)
            for h, m, takes, what in re.findall(r"^\| (\d+):(\d\d) \| (\d+) \| (.+) \|$", table, re.M)]


def exercises_in(text):
    """The numbers of the exercises that a text names, "0.1 to 0.3" being three of them."""
    named = re.findall(r"\b(\d)\.(\d)\b(?: to \d\.(\d)\b)?", text)
    return {f"{notebook}.{i}" for notebook, first, last in named for i in range(int(first), int(last or first) + 1)}


def stated(number):
    """What a notebook states: minutes of computing and reading together, and minutes of each exercise."""
    path = next(path for path in NOTEBOOKS if path.name.startswith(str(number)))
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    computing, reading, in_all = map(int, re.search(
        r"\*\*Time\*\*\D+(\d+) minutes? of computing.*?(\d+) minutes of\s+reading, (\d+) for", cells[0], re.S).groups())
    minutes = {exercise: int(takes) for cell in cells for exercise, takes in re.findall(
        r"^### Exercise (\d\.\d):.*?\*Difficulty \S+ · (\d+) minutes", cell, re.S)}
    assert sum(minutes.values()) == in_all
    return computing + reading, minutes


def too_short(rows):
    """The rows that begin with a notebook and give less time than it states for itself and the exercises named."""
    short = []
    for _, takes, what in rows:
        if found := re.match(r"Notebook (\d)", what):
            text, minutes = stated(found.group(1))
            needed = text + sum(minutes[exercise] for exercise in exercises_in(what))
            short += [f"{what}: {takes} of {needed} minutes"] if takes < needed else []
    return short


@pytest.mark.parametrize("heading, minutes", [("90 minutes", 90), ("Half a day", 240), ("A day", 450)])
def test_timetables_add_up(heading, minutes):
    rows = rows_of(heading)
    for (start, takes, _), (following, _, _) in zip(rows, rows[1:]):
        assert start + takes == following
    assert rows[0][0] == 0 and rows[-1][0] + rows[-1][1] == minutes
    pauses = [(start, start + takes) for start, takes, what in rows if what.startswith(("Break", "Lunch"))]
    stretches = zip([0, *(end for _, end in pauses)], [*(start for start, _ in pauses), minutes])
    assert all(end - start <= 110 for start, end in stretches)


@pytest.mark.parametrize("heading, notebooks", [("90 minutes", 3), ("Half a day", 5), ("A day", 6)])
def test_timetables_give_the_notebooks_their_minutes(heading, notebooks):
    rows = rows_of(heading)
    assert sum(what.startswith("Notebook") for *_, what in rows) == notebooks
    assert not too_short(rows)
    assert all(re.match(r"Notebook \d", what) for *_, what in rows if exercises_in(what)), "exercises in another row"


def test_a_session_of_90_minutes_holds_any_notebook():
    assert "A session of 90 minutes for each notebook" in GUIDE and len(NOTEBOOKS) == 9
    all_stated = {path.name: stated(path.name[0]) for path in NOTEBOOKS}
    homework = set(re.findall(r"\b\d\.\d\b", GUIDE.split("### Nine weeks")[1].split("\n## ")[0]))
    needed = {name: text + sum(takes for exercise, takes in minutes.items() if exercise not in homework)
              for name, (text, minutes) in all_stated.items()}
    assert all(minutes + 10 <= 90 for minutes in needed.values()), needed


def test_a_row_that_is_too_short_is_found():
    needed = sum((lambda text, minutes: (text, minutes["1.1"], minutes["1.2"]))(*stated(1)))
    assert exercises_in("1.1 to 1.3 and 1.4") == {"1.1", "1.2", "1.3", "1.4"}
    assert too_short([(0, needed - 1, "Notebook 1, exercises 1.1 to 1.2")])
    assert not too_short([(0, needed, "Notebook 1, exercises 1.1 and 1.2"), (0, 1, "The slides of notebook 1")])


def test_each_mistake_is_one_that_a_check_names():
    """The page of mistakes quotes messages: each is in a check."""
    rows = re.findall(r'^\| (\d\.\d) \| "([^"]+)" \| .+ \|$', MISTAKES, re.M)
    lines = [line for line in MISTAKES.split("## In the quizzes")[0].split("\n") if re.match(r"\| \d", line)]
    assert len(rows) == len(lines) >= 30
    texts = ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', path.read_text()))  # pieces of a message that goes on
             for path in (ROOT / "utils" / "checks").rglob("*.py")]
    assert not [(exercise, words) for exercise, words in rows if not any(words in text for text in texts)]
    assert re.findall(r"^\| (\d) \| ", MISTAKES, re.M) == [path.name[0] for path in NOTEBOOKS]


def test_exercises_named_in_the_guide_exist():
    ids = {cell.metadata.nbgrader.grade_id for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells
           if "nbgrader" in cell.metadata}
    texts = GUIDE.split("## Expected pictures")[0], *(page.read_text() for page in PAGES if page.name != "README.md")
    named = set().union(*map(exercises_in, texts))
    assert named and not [n for n in named if f"exercise-{n.replace('.', '-')}" not in ids]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"workshop/{page.name}" for page in PAGES)])
def test_commands_and_links_of_the_pages_work(page):
    path = ROOT / page
    text = path.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    commands = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.M))
    assert commands <= targets and (commands or page.startswith("workshop/"))
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("https://") or (path.parent / target).exists(), target
