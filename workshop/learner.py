"""Write learner's copies of the notebooks: each solution out of its exercise, into a fold below the check or nowhere.

Run by ``make learner``. An open exercise says so in a copy, and does not keep the cells below from running. nbgrader
removes the solutions, as in a teacher's ``nbgrader generate_assignment``.
"""
import argparse
import ast
import copy
import hashlib
import json
import platform
import re
import shutil
import sys
import textwrap
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.nbgraderformat import MetadataValidator, SchemaTooNewError, SchemaTooOldError
from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, ClearSolutions

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # without make, nothing else puts it there

from workshop.reading import read_notebook  # noqa: E402
from workshop.writing import whole_files  # noqa: E402

SOURCES = Path(__file__).resolve().parent.parent / "notebooks"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = '# Your code here\nraise NotImplementedError("Exercise {} is open: replace this line by your code")'
FOLD = ("<details><summary>Solution of exercise {} (open it after your own try)</summary>\n\n"
        "```python\n{}\n```\n\n</details>")
WITH = "from utils.checks.helpers import unless_open\n\nwith unless_open():\n"
ROLES = {
    "exercise": {"grade": False, "locked": False, "solution": True},
    "check": {"grade": True, "locked": True, "solution": False},
}
BROKEN = {  # by the order of B(egin) and E(nd) in a cell; the first that fits is reported
    "BB": "BEGIN SOLUTION inside a solution that has not ended",
    "^E|EE": "END SOLUTION without BEGIN SOLUTION",
    "B$": "BEGIN SOLUTION without END SOLUTION",
    "^$": "an exercise cell without BEGIN SOLUTION and END SOLUTION",
    "EB": "two solutions in one cell",
}


def require(condition: object, message: str) -> None:
    """Raise ValueError unless ``condition``."""
    if not condition:
        raise ValueError(message)


def role(cell: NotebookNode) -> str:
    """What a cell is, "exercise", "check" or "": its tags and its nbgrader metadata must agree."""
    MetadataValidator().validate_cell(cell)
    tags = [tag for tag in ROLES if tag in cell.metadata.get("tags", [])]
    flags = {key: value for key, value in cell.metadata.get("nbgrader", {}).items() if key in ROLES["check"]}
    require([ROLES[tag] for tag in tags] == [flags] * bool(flags),
            f"tags {tags} do not go with nbgrader metadata {flags}; wanted: {ROLES}")
    require(not tags or cell.cell_type == "code", f"{tags[:1]} must be a code cell")
    return "".join(tags)


def solution(source: str) -> tuple[int, int]:
    """Numbers, from 0, of the BEGIN line and the END line in an exercise cell."""
    lines = source.split("\n")
    marked = [i for i, line in enumerate(lines) if re.search("(BEGIN|END) SOLUTION", line)]
    require(all(lines[i].strip() in (BEGIN, END) for i in marked), f"{BEGIN} and {END} must be alone on their lines")
    order = "".join("B" if BEGIN in lines[i] else "E" for i in marked)
    for broken, message in BROKEN.items():
        require(not re.search(broken, order), message)
    begin, end = marked
    require(re.search(r"^\s*[^\s#]", "\n".join(lines[begin + 1:end]), re.MULTILINE), "a solution without code")
    require(lines[end] == lines[begin].replace(BEGIN, END), "BEGIN SOLUTION and END SOLUTION are not indented alike")
    return begin, end


def check_source(notebook: NotebookNode, name: str) -> None:
    """Raise a ValueError that names notebook and cell, counted from 1, unless every exercise is well-formed."""
    series, position, due, title = name.split("_")[0], 1, "exercise", ""
    for n, cell in enumerate(notebook.cells, start=1):
        number = f"{series}.{position}"
        try:
            this, grade_id = role(cell), cell.metadata.get("nbgrader", {}).get("grade_id")
            wanted = f"{due}-{series}-{position}"
            require(not this or grade_id == wanted, f"grade_id {wanted} is due here, not {grade_id}: each exercise is "
                    "followed by its check, and their numbers have no gaps")
            require(title == (number if this == "exercise" else ""), "a markdown cell that starts with "
                    f"'### Exercise {number}: ' and a title must stand right above exercise {number}, and only there")
            if this == "exercise":
                solution(cell.source)
            require(this == "exercise" or not re.search("(BEGIN|END) SOLUTION", cell.source),
                    "a solution marker outside an exercise cell")
        except (ValueError, nbformat.ValidationError, SchemaTooNewError, SchemaTooOldError) as error:
            raise ValueError(f"{name}, cell {n}: {str(error).splitlines()[0]}") from error
        heading = re.match(r"### Exercise (\S+): \S", cell.source if cell.cell_type == "markdown" else "")
        title = heading[1] if heading else ""
        if this:
            position, due = position + (this == "check"), "check" if this == "exercise" else "exercise"
    require(due == "exercise" and not title, f"{name}, cell {len(notebook.cells)}: the notebook ends before the "
            f"{due} of exercise {series}.{position}")


def number_of(cell: NotebookNode) -> str:
    """The number, such as "1.2", in the grade_id of an exercise or a check."""
    return ".".join(cell.metadata.nbgrader.grade_id.split("-")[1:])


def stamp(notebook: NotebookNode) -> str:
    """Hash of all cells' types and sources; each copy holds its own, so that work in it can be told."""
    return hashlib.sha256(json.dumps([(c.cell_type, c.source) for c in notebook.cells]).encode()).hexdigest()


def wrap(source: str) -> str:
    """A cell's source with all that follows its imports inside of ``with unless_open()``, the last value shown."""
    lines, body = source.split("\n"), ast.parse(source).body
    first = next(node.lineno for node in body if not isinstance(node, (ast.Import, ast.ImportFrom)))
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    if isinstance(last := body[-1], ast.Expr) and not ast.unparse(last).startswith("print("):
        lines[last.lineno - 1:] = [f"display({ast.get_source_segment(source, last)})"]
    imports = "\n".join(lines[:first - 1]).rstrip()
    return imports + "\n" * bool(imports) + WITH + textwrap.indent("\n".join(lines[first - 1:]), "    ")


def learner_copy(notebook: NotebookNode, fold: bool = True) -> NotebookNode:
    """The learner's copy of a notebook that passes ``check_source``, with folded solutions or without any."""
    made, _ = ClearOutput().preprocess(copy.deepcopy(notebook), {})
    cells, made.cells = made.cells, []
    for cell in cells:
        made.cells.append(cell)
        if role(cell) == "exercise":
            begin, end = solution(cell.source)
            removed = cell.source.split("\n")[begin + 1:end]
            free = cell.source.split("\n")[begin] == BEGIN  # not in a function, so that the cell itself would stop
            clear = ClearSolutions(code_stub={"python": STUB.format(number_of(cell))})
            clear.preprocess_cell(cell, {"language": "python"}, 0)
            cell.source = wrap(cell.source) if free else cell.source
            cell.metadata.pop("jupyter", None)  # the stub is to be seen
        elif role(cell) == "check":
            cell.source = wrap(cell.source)
            if fold:
                added = nbformat.v4.new_markdown_cell(FOLD.format(number_of(cell), "\n".join(removed)))
                added.id = "solution-" + number_of(cell).replace(".", "-")  # a new cell's own id is a random one
                made.cells.append(added)
    CheckCellMetadata().preprocess(made, {})
    if "language_info" in made.metadata:  # another version than this, and JupyterLab marks the copy as changed
        made.metadata.language_info.version = platform.python_version()
    made.metadata.learner_copy = stamp(made)
    return made


def worked_in(path: Path) -> bool:
    """Whether a file is there that is no copy as it was written; executing a copy's cells does not count."""
    try:
        return path.exists() and (made := read_notebook(path)).metadata.get("learner_copy") != stamp(made)
    except ValueError:
        return True


def write_copies(folder: Path, into: Path, force: bool = False, fold: bool = True) -> list[Path]:
    """Write the copies of all notebooks in ``folder``; ValueError, and nothing written, where one cannot be made."""
    notebooks = {path.name: read_notebook(path) for path in sorted(folder.glob("[0-9]*.ipynb"))}
    require(notebooks, f"there is no notebook in {folder.name}")
    require(into.resolve() != folder.resolve(), "the copies must not replace the notebooks themselves")
    for name, notebook in notebooks.items():
        check_source(notebook, name)
    kept = [name for name in notebooks if worked_in(into / name)]
    require(force or not kept, f"Somebody may have worked in {', '.join(kept)}: its code or text is not as it was "
            f"written to {into}. Move it away, or write over it with --force.")
    with whole_files(into) as new:
        for name, notebook in notebooks.items():
            nbformat.write(learner_copy(notebook, fold), new / name)
        for path in (*folder.glob("*.md"), *folder.glob("template.ipynb")):
            if path.suffix == ".md" or not (into / path.name).exists():  # a template may have been filled in
                shutil.copy(path, new)
    return [into / name for name in notebooks]


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=Path("build/learner"), help="folder for the copies")
    parser.add_argument("--force", action="store_true", help="write over copies in which somebody has worked")
    parser.add_argument("--solutions", choices=("folded", "none"), default="folded", help="in folds, or nowhere")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # a Windows console may lack a letter
    try:
        written = write_copies(SOURCES, arguments.into, arguments.force, arguments.solutions == "folded")
    except (ValueError, OSError) as error:
        print(f"No copy was written. {error}", file=sys.stderr)
        return 1
    print(f"{len(written)} learner's copies in {arguments.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
