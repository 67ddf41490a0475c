"""The form of the cells of every notebook, the explorer's included; and the rules that guard it can fail."""
import ast

import nbformat
import pytest
from conftest import ROOT
from jupyter_client.kernelspec import get_kernel_spec

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
START = ["import sys", 'sys.path.insert(0, "..")  # utils lies one folder up', ""]
IMPORTS = (ast.Import, ast.ImportFrom)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def imported(node):
    """The names that an import binds."""
    return [(alias.asname or alias.name).split(".")[0] for alias in node.names]


def faults_of_imports(notebook):
    """What is wrong with the imports of a notebook: each at the top of the first cell that uses its name, once.

    A learner may leave out an exercise and its check: nobody else may use what they import.
    """
    first, *others = code_cells(notebook)
    faults, known, used, optional = [], set(), set(), set()
    for cell in (first, *others):
        tree = ast.parse(cell.source)
        top = [node for node in tree.body if isinstance(node, IMPORTS)]
        here = {name for node in top for name in imported(node)}
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if cell is not first:
            below = tree.body[len(top):] if tree.body[:len(top)] == top else tree.body
            late = [node for part in below for node in ast.walk(part) if isinstance(node, IMPORTS)]
            faults += [f"{cell.id}: {ast.unparse(node)} is not at its top" for node in late]
            faults += [f"{cell.id}: {name} is imported and not used in it" for name in here - names]
        faults += [f"{cell.id}: {name} was imported before" for name in here & known]
        faults += [f"{cell.id}: {name} was used before its import" for name in here & used]
        faults += [f"{cell.id}: {name} comes from an exercise" for name in names & optional]
        known, used = known | here, used | names
        if {"exercise", "check"} & set(cell.metadata.get("tags", [])):
            optional |= here
    return faults


def faults_of_form(notebook):
    """Lines that are too long to be read whole, tables that only a browser can show, pictures that are not told."""
    lines = code_cells(notebook)[0].source.split("\n")
    faults = [f"{cell.id}: more than 100 characters: {line}" for cell in code_cells(notebook)
              for line in cell.source.split("\n") if len(line) > 100]
    faults += ["the first cell of code has more than 8 lines"] * (len(lines) > 8)
    faults += ["the first cell of code starts otherwise"] * (lines[:3] != START)
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            text = output.get("text", data.get("text/plain", ""))
            faults += [f"{cell.id}: more than 100 columns: {line}" for line in text.split("\n") if len(line) > 100]
            faults += [f"{cell.id}: no text beside the output: {text}"] * text.startswith(("<pandas", "<Figure"))
            alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            if "image/png" in data and (len(alt) < 40 or "<" in alt.replace(" < ", " ")):
                faults.append(f"{cell.id}: a picture without a text that tells what it shows: {alt!r}")
    return faults


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_imports_stand_where_they_are_first_used(path):
    assert not faults_of_imports(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_can_be_read_whole_and_pictures_are_told(path):
    assert not faults_of_form(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_kernel_has_the_name_that_jupyterlab_would_write(path):
    """Or it would mark the notebook as changed as soon as it is opened."""
    spec = get_kernel_spec("python3")
    named = {"display_name": spec.display_name, "language": spec.language, "name": "python3"}
    assert nbformat.read(path, as_version=4).metadata.kernelspec == named


def notebook(*sources, outputs=()):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    cells[-1].outputs = list(outputs)
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize("sources, fault", [
    (("import os", "os.sep"), None),
    (("x = 1", "import os\n\nos.sep", "os.sep"), None),
    (("x = 1", "os.sep", "import os\n\nos.sep"), "cell-2: os was used before its import"),
    (("x = 1", "def f():\n    return os.sep", "import os\n\nos.sep"), "cell-2: os was used before its import"),
    (("import os", "import os\n\nos.sep"), "cell-1: os was imported before"),
    (("x = 1", "import os", "os.sep"), "cell-1: os is imported and not used in it"),
    (("x = 1", "x = 2\nimport os\n\nos.sep"), "cell-1: import os is not at its top"),
    (("x = 1", "def f():\n    import os\n    os.sep"), "cell-1: import os is not at its top"),
])
def test_a_misplaced_import_is_found(sources, fault):
    assert faults_of_imports(notebook(*sources)) == [fault] * bool(fault)


def test_what_an_exercise_imports_is_for_itself():
    small = notebook("x = 1", "import os\n\nos.sep", "os.sep")
    assert not faults_of_imports(small)
    small.cells[1].metadata.tags = ["exercise"]
    assert faults_of_imports(small) == ["cell-2: os comes from an exercise"]


def picture(**metadata):
    return nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo="}, metadata=metadata)


@pytest.mark.parametrize("lines, outputs, fault", [
    (["use()"], [picture(**{"image/png": {"alt": "A line chart of IIA against directions, rising."}})], None),
    (["use()"] * 6, [], "more than 8 lines"),
    (["x = " + "1" * 97], [], "more than 100 characters"),
    (["use()"], [picture()], "a picture without a text"),
    (["use()"], [nbformat.v4.new_output("stream", name="stdout", text="short\n" + "x" * 101)], "more than 100 columns"),
    (["use()"], [nbformat.v4.new_output("display_data", {"text/plain": "<pandas.Styler at 0x1>"})], "no text beside"),
])
def test_a_fault_of_form_is_found(lines, outputs, fault):
    found = faults_of_form(notebook("\n".join([*START, *lines]), outputs=outputs))
    assert len(found) == bool(fault) and (not fault or fault in found[0])
    assert faults_of_form(notebook("import os")) == ["the first cell of code starts otherwise"]
