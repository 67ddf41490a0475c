"""Notebooks that other programs wrote or damaged, given to each tool that reads some: used, or named and refused."""
import copy
import json
import runpy
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from studies.results import MIME, read_results
from workshop import learner, reading, slides
from workshop.reading import read_notebook

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"


def talk(**changes):
    """Two cells with slides, an exercise with its check, a figure and a widget, as a plain dict of format 4.5."""
    meta = {"schema_version": 3, "task": False}
    shown = [new_output("display_data", {MIME: {"base behavior": 0.5}, "text/plain": "0.5"}),
             new_output("display_data", {VIEW: {"model_id": "x"}, "text/plain": "a bar"})]
    notebook = new_notebook(cells=[
        new_markdown_cell("# Talk", id="a", metadata={"slideshow": {"slide_type": "slide"}}),
        new_code_cell("x = 1", id="b", metadata={"slideshow": {"slide_type": "-"}}, outputs=shown),
        new_markdown_cell("### Exercise 0.1: One\n\nReturn 1.", id="c"),
        new_code_cell("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION", id="d",
                      metadata={"tags": ["exercise"], "nbgrader": {
                          **learner.ROLES["exercise"], **meta, "grade_id": "exercise-0-1"}}),
        new_code_cell("print(f())", id="e", metadata={"tags": ["check"], "nbgrader": {
            **learner.ROLES["check"], **meta, "grade_id": "check-0-1", "points": 1}})])
    return {**json.loads(nbformat.writes(notebook)), **changes}


def without_ids(notebook):
    for cell in notebook["cells"]:
        del cell["id"]


def of_colab(notebook):
    """Colab writes format 4.0, its own entries in the metadata, and widgets of which no state is stored."""
    without_ids(notebook)
    notebook["nbformat_minor"] = 0
    notebook["metadata"] |= {"colab": {"provenance": []}, "accelerator": "GPU", "widgets": {STATE: {
        "abc": {"model_module": "@jupyter-widgets/controls", "model_name": "HBoxModel", "state": {}}}}}
    for n, cell in enumerate(notebook["cells"]):
        cell["metadata"] |= {"id": f"colab{n}", "colab": {"base_uri": "https://localhost:8080/"}}


def same_ids(notebook):
    for cell in notebook["cells"]:
        cell["id"] = "cell-4"


def widgets(notebook):
    notebook["metadata"]["widgets"] = {STATE: {"version_major": 2}}


def windows_lines(notebook):
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace("\n", "\r\n")


@pytest.fixture(params=[without_ids, of_colab, same_ids, widgets, windows_lines], ids=lambda change: change.__name__)
def foreign(request, tmp_path):
    """Path of the talk, changed as another program would."""
    notebook = talk()
    request.param(notebook)
    path = tmp_path / "0_talk.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8-sig")
    return path


def test_a_foreign_notebook_becomes_a_valid_one(foreign):
    notebook = read_notebook(foreign)
    raw = json.loads(nbformat.writes(notebook))
    nbformat.validate(raw)
    assert len({cell["id"] for cell in raw["cells"]}) == 5 and (raw["nbformat"], raw["nbformat_minor"]) == (4, 5)
    assert [cell.source for cell in notebook.cells] == ["".join(cell["source"]) for cell in talk()["cells"]]
    assert read_notebook(foreign) == notebook, "the ids are not random"


def test_a_foreign_notebook_gives_a_valid_copy(foreign, tmp_path):
    [copied] = learner.write_copies(tmp_path, tmp_path / "copies")
    raw = json.loads(copied.read_text())
    nbformat.validate(raw)
    assert len({cell["id"] for cell in raw["cells"]}) == 6 and "widgets" not in raw["metadata"]
    first = copied.read_bytes()
    learner.write_copies(tmp_path, tmp_path / "copies")
    assert copied.read_bytes() == first


def test_a_foreign_notebook_gives_slides(foreign):
    page, title, count = slides.presentation(foreign, {})
    assert title == "Talk" and count == 1 and "0.5" in page and "a bar" not in page


def test_a_foreign_notebook_gives_its_figures_and_a_page(foreign, tmp_path):
    text = foreign.read_text(encoding="utf-8-sig")
    foreign.write_text(text)
    assert read_results(tmp_path) == {"base behavior": 0.5}
    settings, source = runpy.run_path(str(ROOT / "book" / "conf.py")), [text]
    app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda name: foreign))
    settings["prepare_notebook"](app, "notebooks/0_talk", source)
    made = json.loads(source[0])
    assert "widgets" not in made["metadata"] and VIEW not in json.dumps(made)


def test_a_foreign_notebook_is_executed_and_its_copy_valid(foreign, tmp_path):
    raw = json.loads(foreign.read_text(encoding="utf-8-sig"))
    raw["cells"] = raw["cells"][:2]  # the exercise is open
    foreign.write_text(json.dumps(raw), encoding="utf-8-sig")
    command = [sys.executable, str(ROOT / "notebooks" / "execute.py"), str(foreign), "--into", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    made = json.loads((tmp_path / "out" / foreign.name).read_text())
    nbformat.validate(made)
    assert len({cell["id"] for cell in made["cells"]}) == 2 and made["cells"][1]["execution_count"] == 1


def test_a_notebook_whose_copy_would_be_invalid_is_named_and_not_executed(tmp_path):
    path = tmp_path / "0_talk.ipynb"
    path.write_text(json.dumps(talk(metadata={"authors": "me"})))
    command = [sys.executable, str(ROOT / "notebooks" / "execute.py"), str(path), "--into", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and "0_talk.ipynb FAILED: " in result.stdout and "'me'" in result.stdout
    assert not (tmp_path / "out" / path.name).exists() and "Traceback" not in result.stderr


@pytest.mark.parametrize("text, message", [
    ("", "Expecting value"), ("[]", "'list' object"), ("{}", ""), ('{"nbformat": 4}', "cells"),
    ('{"nbformat": 4, "cells": 3}', ""), ('{"nbformat": 4, "cells": [3], "nbformat_minor": 5}', ""),
    ('{"nbformat": "4", "cells": []}', ""), ("[" * 100_000, "maximum recursion depth"),
    ('{"nbformat": 9, "cells": []}', ""),
    (json.dumps(talk(nbformat_minor="5")), ""), (json.dumps(talk(metadata=[])), ""),
    (json.dumps(talk(cells=[*talk()["cells"], {"cell_type": "code"}])), "0_talk.ipynb, cell 6: "),
    (json.dumps(talk(cells=[{**talk()["cells"][0], "id": "no id!"}])), "0_talk.ipynb, cell 1: "),
    (json.dumps(talk(cells=[{**talk()["cells"][0], "id": 7}])), "0_talk.ipynb, cell 1: "),
    (json.dumps(talk()).replace("Return 1", "\\ud83d"), "surrogates not allowed"),
])
def test_what_is_no_notebook_is_named(tmp_path, text, message):
    path = tmp_path / "0_talk.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^0_talk.ipynb(, cell \d)?: not a valid notebook: \S") as error:
        read_notebook(path)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_missing_or_too_large_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="^none.ipynb: not a valid notebook: No such file"):
        read_notebook(tmp_path / "none.ipynb")
    (tmp_path / "0_talk.ipynb").write_text(json.dumps(talk()))
    monkeypatch.setattr(reading, "MOST_BYTES", 2**10)
    with pytest.raises(ValueError, match="more than 0 MB; clear its outputs"):
        read_notebook(tmp_path / "0_talk.ipynb")


def test_an_old_notebook_is_converted(tmp_path):
    path = tmp_path / "0_talk.ipynb"
    cell = {"cell_type": "code", "input": "x = 1", "language": "python", "outputs": [], "metadata": {},
            "collapsed": False, "prompt_number": 1}
    path.write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [
        {"cells": [cell, copy.deepcopy(cell)], "metadata": {}}]}))
    assert [cell.id for cell in read_notebook(path).cells] == ["cell-1", "cell-2"]
    nbformat.validate(read_notebook(path))


@pytest.mark.parametrize("text, message", [
    ("[]", "is not a notebook of format 4"), ("<<<", "is not a notebook of format 4"),
    ('{"worksheets": []}', "is not a notebook of format 4: KeyError"),
    (json.dumps({"cells": [{"outputs": [{"data": {MIME: [1]}}]}]}), "is not a notebook of format 4"),
    (json.dumps({"cells": [{"outputs": [{"data": {MIME: {"iia": "0.9 | 1"}}}]}]}), r"no numbers: \['iia'\]"),
])
def test_figures_that_are_none_are_named(tmp_path, text, message):
    (tmp_path / "0_talk.ipynb").write_text(text)
    with pytest.raises(ValueError, match=f"^0_talk.ipynb .*{message}"):
        read_results(tmp_path)


@pytest.mark.parametrize("tool", ["slides", "learner"])
def test_the_tools_run_without_make(tmp_path, tool):
    """With nothing of this repository on the path, from any folder."""
    command = [sys.executable, "-c", "import runpy, sys; sys.path = [p for p in sys.path if p]; "
               f"runpy.run_path({str(ROOT / 'workshop' / tool)!r} + '.py', run_name='tool')"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_command_names_what_it_cannot_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["slides.py", str(tmp_path / "0_gone.ipynb")])
    assert slides.main() == 1 and capsys.readouterr().out.startswith("0_gone.ipynb: not a valid notebook: No such file")
