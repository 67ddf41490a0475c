"""Execute the notebooks one after another; stop at the first cell that fails, naming notebook and cell.

Run by ``make notebooks`` (into build/, as .ipynb and .html) and ``make refresh`` (in place).
"""
import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import get_kernel_spec
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

FOLDER = Path(__file__).resolve().parent
PAGE = """{% extends "lab/index.html.j2" %}
{% block data_png scoped %}
{%- set alt = output | get_metadata("alt", "image/png") or "" -%}
{{ super() | replace("<img ", '<img alt="%s" ' | format(alt | escape_html), 1) }}
{% endblock %}"""  # the template alone drops the text that is stored with a picture
QUIET = "--IPKernelApp.log_level=ERROR"  # a kernel warns at each start that local sockets are not encrypted


def failed_cell(notebook: nbformat.NotebookNode) -> int:
    """Number of the cell at which execution stopped, counted from 1 over all cells."""
    numbered = [(n, cell) for n, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code"]
    failed = [n for n, cell in numbered if any(output.output_type == "error" for output in cell.outputs)]
    # a kernel that died leaves no error behind, but a cell to which it never replied
    replied = "shell.execute_reply"
    failed += [n for n, cell in numbered if cell.source.strip() and replied not in cell.metadata.get("execution", {})]
    return failed[0]


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove what would change with every run or be dead in a stored copy: time stamps and closed progress bars.

    The kernel is named as JupyterLab names it, or it would mark the notebook as changed as soon as it is opened.
    """
    notebook.metadata.pop("widgets", None)
    kernel = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    spec = get_kernel_spec(kernel)
    notebook.metadata.kernelspec = {"display_name": spec.display_name, "language": spec.language, "name": kernel}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            for output in cell.outputs:  # a widget may have left a picture, a progress bar has not
                if output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None):
                    output.dead = "image/png" not in output.data
            cell.outputs = [output for output in cell.outputs if not output.pop("dead", False)]


def write_page(notebook: nbformat.NotebookNode, page: Path) -> None:
    """Write a notebook as a page that needs no network and links to other pages, not to notebooks."""
    html, _ = HTMLExporter(raw_template=PAGE).from_notebook_node(notebook, {"metadata": {"name": page.stem}})
    html = re.sub(r'<script[^>]*src="https://[^"]*"[^>]*>\s*</script>', "", html)
    html = re.sub(r'href="([\w./-]+)\.(?:ipynb|md)([#"])', r'href="\1.html\2', html)
    page.write_text(html, encoding="utf-8")


def write_texts(into: Path) -> None:
    """Put the glossary and the other texts beside the executed notebooks, as they are and as pages."""
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        (into / path.name).write_text(text, encoding="utf-8")
        cell = nbformat.v4.new_markdown_cell(text, id="text")
        write_page(nbformat.v4.new_notebook(cells=[cell]), into / path.with_suffix(".html").name)


def execute(path: Path, into: Path) -> bool:
    """Execute one notebook; True where every cell ran."""
    print(f"{path.name:40s}", end="", flush=True)
    start = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    try:
        # the kernel works in the notebook's own folder, as in JupyterLab
        executor = ExecutePreprocessor(timeout=1800, extra_arguments=[QUIET])
        executor.preprocess(notebook, {"metadata": {"path": str(path.parent)}})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f" FAILED after {time.perf_counter() - start:.0f} s at cell {failed_cell(notebook)}\n{error}", flush=True)
        return False
    tidy(notebook)
    nbformat.write(notebook, into / path.name)
    if into != path.parent:
        write_page(notebook, into / path.with_suffix(".html").name)
    print(f" {time.perf_counter() - start:5.0f} s", flush=True)
    return True


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="which ones; all if none is named")
    parser.add_argument("--into", type=Path, default=Path("build"), help="folder for the executed copies")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    paths = [p.resolve() for p in arguments.notebooks] or sorted(FOLDER.glob("*.ipynb"))
    if not paths:
        print("There is no notebook to execute.")
        return 1
    if arguments.into.resolve() != FOLDER:
        write_texts(arguments.into)
    start = time.perf_counter()
    for path in paths:
        if not execute(path, arguments.into.resolve()):
            return 1
    print(f"{len(paths)} notebooks in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
