"""The learner's copies: no solution outside its fold, nothing lost, no work destroyed; broken sources are refused."""
import contextlib
import copy
import json
import platform
import re
import sys
import textwrap

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbgrader.utils import determine_grade
from workshop import learner
from workshop.learner import (
    BEGIN, END, FOLD, ROLES, STUB, WITH, check_source, learner_copy, number_of, role, solution, wrap, write_copies)

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
BODY = f"def double(x):\n    '''Twice x.'''\n    {BEGIN}\n    y = '\\\\n' and x\n\n    return 2 * y\n    {END}"


def code(source, tag=None, grade_id=None):
    cell = nbformat.v4.new_code_cell(source)
    if tag:
        points = {"points": 1} if tag == "check" else {}
        cell.metadata.update(tags=[tag], jupyter={"source_hidden": tag == "exercise"}, nbgrader={
            **ROLES[tag], **points, "grade_id": grade_id, "schema_version": 3, "task": False})
    return cell


def exercise(number):
    grade_id = number.replace(".", "-")
    return [nbformat.v4.new_markdown_cell(f"### Exercise {number}: Twice\n\nReturn twice x."),
            code(BODY, "exercise", f"exercise-{grade_id}"),
            code("print(double(2))", "check", f"check-{grade_id}")]


def small():
    """Eight cells: exercise 1.1 in cells 2 to 4, exercise 1.2 in cells 6 to 8."""
    return nbformat.v4.new_notebook(
        cells=[code("x = 1"), *exercise("1.1"), nbformat.v4.new_markdown_cell("More."), *exercise("1.2")])


def unwrap(source):
    """Undo ``wrap``."""
    imports, _, body = source.partition(WITH)
    body = re.sub(r"^display\((.*)\)$", r"\1", textwrap.dedent(body), flags=re.MULTILINE)
    return f"{imports}\n{body}" if imports else body


def restore(made):
    """Undo ``learner_copy`` with folds, but for the outputs."""
    notebook, solutions = copy.deepcopy(made), {}
    notebook.metadata.pop("learner_copy", None)
    for cell in made.cells:
        if fold := re.fullmatch(re.escape(FOLD).replace(r"\{\}", "(.*)"), cell.source, re.DOTALL):
            solutions[fold[1]] = fold[2]
            notebook.cells.remove(cell)
    for cell in notebook.cells:
        if role(cell) and WITH in cell.source:
            cell.source = unwrap(cell.source)
        if role(cell) == "exercise":
            stub = "^( *)" + r"\n\1".join(re.escape(line) for line in STUB.format(number_of(cell)).split("\n")) + "$"
            first, last = rf"\1{BEGIN}" + "\n", "\n" + rf"\1{END}"
            body = solutions[number_of(cell)].replace("\\", r"\\")
            cell.source = re.sub(stub, first + body + last, cell.source, flags=re.MULTILINE)
    return notebook


def sources(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Writes copies of the notebooks in ``source`` to ``into`` as the command does; returns exit code and message."""
    monkeypatch.setattr(learner, "SOURCES", tmp_path / "source")
    (tmp_path / "source").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[code("x = 1")]), tmp_path / "source" / "0_good.ipynb")
    nbformat.write(small(), tmp_path / "source" / "1_small.ipynb")

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["learner.py", "--into", str(tmp_path / "into"), *options])
        status = learner.main()
        return status, "".join(capsys.readouterr())
    return run


def edit(n, old, new):
    """Replaces text in cell n."""
    def broken(cells):
        assert old in cells[n - 1].source
        cells[n - 1].source = cells[n - 1].source.replace(old, new)
    return broken


def metadata(n, key, **values):
    """Changes entries of one of cell n's metadata."""
    return lambda cells: cells[n - 1].metadata[key].update(values)


def without(n, key):
    """Removes one of cell n's metadata."""
    return lambda cells: cells[n - 1].metadata.pop(key)


def order(*numbers):
    """Takes these cells in this order."""
    def broken(cells):
        cells[:] = [copy.deepcopy(cells[n - 1]) for n in numbers]
    return broken


@pytest.mark.parametrize("broken, cell, message", [
    pytest.param(edit(3, END, "#"), 3, "BEGIN SOLUTION without END", id="begin without end"),
    pytest.param(edit(3, BEGIN, "#"), 3, "END SOLUTION without BEGIN", id="end without begin"),
    pytest.param(edit(3, END, f"{END}\n    {END}"), 3, "END SOLUTION without BEGIN", id="two ends"),
    pytest.param(edit(3, BEGIN, f"{BEGIN}\n    {BEGIN}"), 3, "has not ended", id="nested"),
    pytest.param(edit(3, END, f"{END}\n    {BEGIN}\n    x\n    {END}"), 3, "two solutions", id="two solutions"),
    pytest.param(edit(3, BODY, "def double(x): pass"), 3, "without BEGIN SOLUTION and", id="no solution"),
    pytest.param(edit(3, BODY, f"def f():\n  {BEGIN}\n\n  # x\n  {END}"), 3, "without code", id="empty solution"),
    pytest.param(edit(3, f"    {END}", f"  {END}"), 3, "not indented alike", id="end indented otherwise"),
    pytest.param(edit(3, BEGIN, f"{BEGIN} here"), 3, "alone on their lines", id="marker with text"),
    pytest.param(edit(1, "x = 1", f"  {BEGIN}\n  x = 1\n  {END}"), 1, "outside an exercise", id="marker elsewhere"),
    pytest.param(edit(5, "More.", BEGIN), 5, "outside an exercise", id="marker in prose"),
    pytest.param(without(3, "tags"), 3, "tags []", id="exercise without tag"),
    pytest.param(without(3, "nbgrader"), 3, "metadata {}", id="exercise without metadata"),
    pytest.param(without(4, "tags"), 4, "tags []", id="check without tag"),
    pytest.param(metadata(4, "nbgrader", locked=False), 4, "'locked': False", id="check not locked"),
    pytest.param(metadata(3, "nbgrader", schema_version=2), 3, "Outdated schema version", id="old schema"),
    pytest.param(metadata(4, "nbgrader", points=-1), 4, "-1 is less than the minimum", id="negative points"),
    pytest.param(order(1, 2, 4, 3), 3, "exercise-1-1 is due", id="check before exercise"),
    pytest.param(order(1, 2, 3, 5, 6, 7, 8), 6, "check-1-1 is due", id="no check"),
    pytest.param(order(1, 2, 3), 3, "ends before the check of exercise 1.1", id="no check at the end"),
    pytest.param(order(1, 2), 2, "ends before the exercise of exercise 1.1", id="title only"),
    pytest.param(order(1, 2, 5), 3, "'### Exercise 1.1: '", id="title without exercise"),
    pytest.param(order(1, 3, 4), 2, "'### Exercise 1.1: '", id="no title"),
    pytest.param(edit(2, "1.1: Twice", "1.1"), 3, "'### Exercise 1.1: '", id="number without title"),
    pytest.param(edit(6, "1.2", "1.3"), 7, "'### Exercise 1.2: '", id="another number in the title"),
    pytest.param(edit(6, "1.2", "2.2"), 7, "'### Exercise 1.2: '", id="another notebook's number"),
    pytest.param(order(1, 6, 7, 8, 2, 3, 4), 3, "exercise-1-1 is due", id="out of order"),
    pytest.param(metadata(7, "nbgrader", grade_id="exercise-1-3"), 7, "exercise-1-2 is due", id="gap"),
    pytest.param(metadata(7, "nbgrader", grade_id="exercise-1-1"), 7, "exercise-1-2 is due", id="duplicate"),
])
def test_a_broken_source_is_refused(run, tmp_path, broken, cell, message):
    notebook = small()
    broken(notebook.cells)
    nbformat.write(notebook, tmp_path / "source" / "1_small.ipynb")
    status, said = run()
    assert status == 1 and said.count("\n") == 1
    assert f"1_small.ipynb, cell {cell}: " in said and message in said
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("text, message", [
    ("", "1_small.ipynb: not a valid notebook"),
    ("[]", "1_small.ipynb: not a valid notebook"),
    ("<<<<<<< HEAD\n{}", "1_small.ipynb: not a valid notebook"),
    (json.dumps({"nbformat": 9, "cells": []}), "1_small.ipynb: not a valid notebook"),
    (json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}]}),
     "1_small.ipynb, cell 1: not a valid notebook: 'source' is a required property"),
], ids=["empty", "no object", "not JSON", "unknown format", "no source"])
def test_a_file_that_is_no_notebook_is_refused(run, tmp_path, text, message):
    (tmp_path / "source" / "1_small.ipynb").write_text(text)
    status, said = run()
    assert status == 1 and message in said and said.count("\n") == 1
    assert not (tmp_path / "into").exists()


def test_a_small_copy():
    notebook = small()
    notebook.cells[2].update(execution_count=3, outputs=[nbformat.v4.new_output("stream", text="seen")])
    notebook.metadata.language_info = {"name": "python", "version": "3.0.0"}
    made = learner_copy(notebook)
    nbformat.validate(made)
    assert made.metadata.language_info.version == platform.python_version()
    assert [cell.cell_type[0] for cell in made.cells] == list("cmccmmmccm")
    exercise, fold = made.cells[2], made.cells[4]
    assert exercise.source == ("def double(x):\n    '''Twice x.'''\n    # Your code here\n    raise "
                               'NotImplementedError("Exercise 1.1 is open: replace this line by your code")')
    assert made.cells[3].source == f"{WITH}    print(double(2))"
    assert exercise.execution_count is None and not exercise.outputs and "jupyter" not in exercise.metadata
    assert exercise.metadata.nbgrader == notebook.cells[2].metadata.nbgrader
    assert fold.id == "solution-1-1" and "Solution of exercise 1.1 (open it after" in fold.source
    assert "```python\n    y = '\\\\n' and x\n\n    return 2 * y\n```\n" in fold.source
    assert sources(restore(made)) == sources(notebook) and notebook == small() | notebook
    bare = learner_copy(notebook, fold=False)
    assert [cell.cell_type[0] for cell in bare.cells] == list("cmccmmcc") and "return 2" not in nbformat.writes(bare)
    assert [cell for cell in made.cells if not cell.id.startswith("solution")] == bare.cells


def test_copies_are_written_again_where_nobody_worked_in_them(run, tmp_path):
    source, target = (tmp_path / folder / "1_small.ipynb" for folder in ("source", "into"))
    for name in ("glossary.md", "text.md", "template.ipynb"):
        (tmp_path / "source" / name).write_text("words")
    assert run() == (0, f"2 learner's copies in {target.parent}\n")
    first = target.read_bytes()
    (target.parent / "own.ipynb").write_text("the learner's own")
    (target.parent / "template.ipynb").write_text("filled in")
    (target.parent / "text.md").write_text("of another version")
    made = nbformat.read(target, as_version=4)
    made.cells[0].update(execution_count=1, outputs=[nbformat.v4.new_output("stream", text="seen")])
    nbformat.write(made, target)
    assert run()[0] == 0 and target.read_bytes() == first, "executing a copy is no work"
    source.write_text(source.read_text().replace("More.", "Still more."))
    assert run()[0] == 0 and "Still more." in target.read_text()
    assert {path.name for path in target.parent.iterdir()} == {
        "0_good.ipynb", "1_small.ipynb", "glossary.md", "own.ipynb", "template.ipynb", "text.md"}
    assert [(target.parent / name).read_text() for name in ("template.ipynb", "text.md")] == ["filled in", "words"]


@pytest.mark.parametrize("work", [
    lambda text: text.replace("raise NotImplementedError", "return 2 * x #"),
    lambda text: text.replace("More.", "More, and a note."),
    lambda text: text[:-9],
    lambda text: nbformat.writes(small()),
], ids=["code", "note", "damaged", "no copy"])
def test_work_in_a_copy_is_not_destroyed(run, tmp_path, work):
    run()
    target = tmp_path / "into" / "1_small.ipynb"
    made, worked = target.read_text(), work(target.read_text())
    assert worked != made
    target.write_text(worked)
    (tmp_path / "into" / "0_good.ipynb").unlink()
    status, said = run()
    assert status == 1 and "1_small.ipynb" in said and "write over it with --force" in said
    assert "0_good.ipynb" not in said
    assert target.read_text() == worked and not (tmp_path / "into" / "0_good.ipynb").exists()
    assert run("--force")[0] == 0 and target.read_text() == made


def test_the_notebooks_themselves_are_never_written_over(tmp_path):
    nbformat.write(small(), tmp_path / "1_small.ipynb")
    with pytest.raises(ValueError, match="must not replace"):
        write_copies(tmp_path, tmp_path / "x" / "..", force=True)
    with pytest.raises(ValueError, match="no notebook"):
        write_copies(tmp_path / "x", tmp_path / "y")
    assert not (tmp_path / "y").exists()


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """Folder with the copies of the real notebooks."""
    folder = tmp_path_factory.mktemp("learner")
    write_copies(ROOT / "notebooks", folder)
    return folder


def exercises(notebook):
    """Title cell, exercise and check of each exercise."""
    cells = notebook.cells
    checks = iter(cell for cell in cells if role(cell) == "check")
    return [(cells[i - 1], cell, next(checks)) for i, cell in enumerate(cells) if role(cell) == "exercise"]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def source(request):
    """Each of the real notebooks; its name is in the metadata."""
    notebook = nbformat.read(request.param, as_version=4)
    check_source(notebook, request.param.name)
    notebook.metadata.name = request.param.name
    return notebook


def test_exercises_are_complete(source):
    assert len(exercises(source)) >= 3
    for title, cell, _ in exercises(source):
        assert re.findall("<summary>(Hint .)</summary>", title.source) == ["Hint 1", "Hint 2"]
        assert re.search(r"^\*Difficulty (●○○|●●○|●●●) · \d+ minutes\.\* ", title.source, re.MULTILINE)
        assert cell.metadata.jupyter.source_hidden, "the solution is folded in JupyterLab"
        start = f"((import|from) .+\n+)*(def \\w+\\(.*\\):\n    \"\"\"|{BEGIN})"
        assert re.match(start, cell.source), "a documented function, or free"


def test_no_solution_is_left_outside_its_fold(source, copies):
    made = nbformat.read(copies / source.metadata.name, as_version=4)
    code_cells = {cell.id: cell.source.split("\n") for cell in made.cells if cell.cell_type == "code"}
    shown = {line.strip() for lines in code_cells.values() for line in lines}
    assert exercises(source)
    for _, cell, _ in exercises(source):
        begin, end = solution(cell.source)
        removed = cell.source.split("\n")[begin + 1:end]
        assert sum("\n".join(removed) in other.source for other in made.cells) == 1
        assert not set(code_cells[cell.id]) & {line for line in removed if line.strip()}
        telling = {line.strip() for line in removed if re.search("=|return", line)}  # not: with torch.no_grad():
        assert not telling & shown
    assert not [cell for cell in made.cells if cell.get("outputs") or cell.get("execution_count")]
    assert sources(restore(made)) == sources(source)


def execute(cells, folder, allow_errors=False):
    """The outputs of the code cells, run as Run All does, until one fails; or all of them."""
    made = nbformat.v4.new_notebook(cells=copy.deepcopy(cells))
    client = NotebookClient(made, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}},
                            allow_errors=allow_errors)
    with contextlib.suppress(CellExecutionError):
        client.execute()
    return [["".join(o.get(part, "") for part in ("name", "ename", "text", "evalue")) for o in cell.outputs]
            for cell in made.cells if cell.cell_type == "code" and cell.execution_count]


@pytest.fixture
def imports(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # which make puts on the path


def test_open_exercises_say_so_and_the_run_goes_on(copies, imports):
    """Exercises and checks of all copies in one run, without the cells between them."""
    cells = [cell for path in NOTEBOOKS for cell in nbformat.read(copies / path.name, as_version=4).cells if role(cell)]
    numbers = [number_of(cell) for cell in cells if role(cell) == "check"]
    shown = execute([code("import numpy as np, pandas as pd, torch"), *cells, code("print('end')")], copies)
    assert shown[-1] == ["stdoutend\n"] and len(numbers) == len(set(numbers)) > 25, shown[-1]
    for number, exercise, check in zip(numbers, shown[1::2], shown[2::2]):
        stub = f"stderrExercise {number} is open: replace this line by your code\n"
        missing = "stderrablation is not defined: the exercise above is open, or its cell has not run\n"
        assert (exercise, check) == (([stub], [missing]) if number == "3.3" else ([], [stub])), number


def test_a_copy_runs_to_its_first_check(copies, imports):
    """As it is, with the cells above."""
    made = nbformat.read(copies / NOTEBOOKS[1].name, as_version=4)
    last = next(n for n, cell in enumerate(made.cells) if role(cell) == "check")
    assert execute(made.cells[:last + 1], copies)[-1] == [
        "stderrExercise 1.1 is open: replace this line by your code\n"]


DEFINED = ("from utils.checks.helpers import WrongAnswer\n\ndef check(f):\n    if f() != 1:\n        "
           "raise WrongAnswer(\"not 1\")\n    return \"Right.\"")


ANSWERS = [  # of the learner, what is told of it, and whether the cells below run
    ("def f():\n    return 1", "stdoutRight.\n", True),
    ("def f():\n    return 2", "WrongAnswernot 1", False),
    ("def f():\n    return undefined", "NameErrorname 'undefined' is not defined", False),
    ("def f():\n    raise NotImplementedError('no kernel for this device')", "NotImplementedErrorno kernel", False),
    ("def f():\n    " + STUB.format("1.1").replace("\n", "\n    "),
     "stderrExercise 1.1 is open: replace this line by your code\n", True),
    ("del f", "stderrf is not defined: the exercise above is open, or its cell has not run\n", True),
]


def test_only_open_exercises_let_the_run_go_on(tmp_path, imports):
    cells = [code(text) for answer, _, _ in ANSWERS for text in (answer, wrap("print(check(f))"))]
    shown = execute([code(DEFINED), *cells], tmp_path, allow_errors=True)[2::2]
    assert len(shown) == len(ANSWERS)
    for (_, told, goes_on), [output] in zip(ANSWERS, shown):
        assert output.startswith(told) and output.startswith("std") == goes_on


def test_nbgrader_gives_no_points_to_an_open_exercise():
    cell = code("print(check(f))", "check", "check-1-1")
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="Exercise 1.1 is open")]
    assert determine_grade(cell) == (0, 1)
    cell.outputs[0].name = "stdout"
    assert determine_grade(cell) == (1, 1)


def test_free_exercises_are_wrapped_as_a_whole():
    assert wrap("import a\n\n# Your code\nx = 1\nf(x,\n  2)") == (
        f"import a\n{WITH}    # Your code\n    x = 1\n    display(f(x,\n      2))")


def test_copies_without_solutions_on_request(run, tmp_path):
    assert run("--solutions", "none")[0] == 0
    assert "<summary>Solution" not in (tmp_path / "into" / "1_small.ipynb").read_text()
    assert run()[0] == 0 and "<summary>Solution" in (tmp_path / "into" / "1_small.ipynb").read_text()
