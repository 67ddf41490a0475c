"""Execute the notebooks, two at a time; where a cell fails, name it and go on with the other notebooks.

Run by ``make notebooks`` (into build/, as .ipynb and .html) and ``make refresh`` (in place).
"""
import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Event

import nbformat
import psutil
from jupyter_client.kernelspec import get_kernel_spec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from tqdm.auto import tqdm

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))  # without make, nothing else puts it there

from studies.results import MEASURED  # noqa: E402
from utils.running.whole import write_whole  # noqa: E402

PROBE = """try:
    import resource, sys
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
except ImportError:  # Windows
    import psutil
    peak = psutil.Process().memory_info().peak_wset / 2**20
print(peak)"""
PAGE = """{% extends "lab/index.html.j2" %}
{% block data_png scoped %}
{%- set alt = output | get_metadata("alt", "image/png") or "" -%}
{{ super() | replace("<img ", '<img alt="%s" ' | format(alt | escape_html), 1) }}
{% endblock %}"""  # the template alone drops the text that is stored with a picture
KERNEL = "python3"  # this Python, whatever the notebook names
QUIET = "--IPKernelApp.log_level=ERROR"  # a kernel warns at each start that local sockets are not encrypted


class Interrupted(Exception):
    """Whoever called wants an end."""


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
    spec = get_kernel_spec(KERNEL)
    notebook.metadata.kernelspec = {"display_name": spec.display_name, "language": spec.language, "name": KERNEL}
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
    write_whole(page, html)


def write_texts(into: Path) -> None:
    """Put the glossary and the other texts beside the executed notebooks, as they are and as pages."""
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        write_whole(into / path.name, text)
        cell = nbformat.v4.new_markdown_cell(text, id="text")
        write_page(nbformat.v4.new_notebook(cells=[cell]), into / path.with_suffix(".html").name)


class Progress:
    """One bar for all notebooks, ``jobs`` at a time: how far each that runs is, and how long all will still take."""

    def __init__(self, paths: Sequence[Path], jobs: int) -> None:
        known = {name: found["seconds"] for name, found in read_measured()["notebooks"].items()}
        mean = sum(known.values()) / len(known) if known else 0.0
        self.expected = {path.stem: known.get(path.stem, mean) for path in paths}
        self.jobs, self.stopped, self.pace = jobs, False, 1.0
        self.running: dict[str, tuple[float, int, int]] = {}  # since when, cells that ran, all cells
        self.bar = tqdm(total=len(paths), desc="Notebooks", unit="notebook")

    def begin(self, name: str, cells: int) -> None:
        self.running[name] = time.perf_counter(), 0, cells
        self.show()

    def step(self, name: str) -> None:
        """A cell has run; raises ``Interrupted`` where no other is to follow."""
        if self.stopped:
            raise Interrupted
        start, done, cells = self.running[name]
        self.running[name] = start, done + 1, cells
        self.show()

    def end(self, name: str, line: str) -> None:
        start, *_ = self.running.pop(name, (time.perf_counter(),))
        if expected := self.expected.pop(name):
            self.pace = (time.perf_counter() - start) / expected
        self.bar.update()
        self.bar.write(line)
        self.show()

    def show(self) -> None:
        now, running = time.perf_counter(), list(self.running.items())
        left = [self.pace * seconds for name, seconds in self.expected.items() if name not in self.running]
        rest = [max(self.pace * self.expected[name] - (now - start), 0.0) for name, (start, *_) in running]
        seconds = max([sum(left + rest) / self.jobs, *rest])
        cells = ", ".join(f"{name} {done}/{cells}" for name, (_, done, cells) in running)
        self.bar.set_postfix_str(f"{cells}, about {seconds / 60:.1f} min left" if cells else "")


def read_measured() -> dict:
    """What the last ``make refresh`` measured of each notebook: ``seconds`` and ``peak_mib``."""
    return json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {"notebooks": {}}


def execute(path: Path, into: Path, progress: Progress) -> tuple[str, dict[str, float] | None]:
    """Execute one notebook, and write it if every cell ran.

    Returns:
        a line for the reader, and seconds and peak memory in MiB; None in their place where a cell failed.
    """
    start, name = time.perf_counter(), path.stem
    notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    for n, cell in enumerate(notebook.cells, start=1):
        cell.setdefault("id", f"cell-{n}")  # which another program may leave out
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    progress.begin(name, sum(cell.cell_type == "code" for cell in notebook.cells))
    probe = nbformat.v4.new_code_cell(PROBE)
    notebook.cells.append(probe)
    # the kernel works in the notebook's own folder, as in JupyterLab
    client = NotebookClient(notebook, timeout=1800, kernel_name=KERNEL, extra_arguments=[QUIET],
                            resources={"metadata": {"path": str(path.parent)}},
                            on_cell_executed=lambda **_: progress.step(name))
    inline = "module://matplotlib_inline.backend_inline"  # a backend that the shell names would leave out pictures
    try:
        client.execute(env={"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **os.environ, "MPLBACKEND": inline})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        if progress.stopped:
            raise Interrupted from error
        where = f"{path.name} FAILED after {time.perf_counter() - start:.0f} s at cell {failed_cell(notebook)}"
        return "\n".join([where, *str(error).splitlines()[-25:]]), None
    notebook.cells.remove(probe)
    peak_mib = float(probe.outputs[0].text)
    tidy(notebook)
    write_whole(into / path.name, nbformat.writes(notebook) + "\n")
    if into != path.parent:
        write_page(notebook, into / path.with_suffix(".html").name)
    seconds = time.perf_counter() - start
    return (f"{path.name:40s} {seconds:5.0f} s, {peak_mib:5.0f} MiB",
            {"seconds": round(seconds, 1), "peak_mib": round(peak_mib)})


def execute_all(paths: Sequence[Path], into: Path, jobs: int, stop: Event) -> dict[str, dict[str, float] | None]:
    """Execute notebooks, those first that take longest; what is measured of each, None for one that failed.

    Raises:
        Interrupted: ``stop`` was set, and no kernel runs any longer; what was written is whole.
    """
    progress = Progress(paths, jobs)
    paths = sorted(paths, key=lambda path: progress.expected[path.stem], reverse=True)
    found: dict[str, dict[str, float] | None] = {}
    with progress.bar, ThreadPoolExecutor(jobs) as pool:
        started = {pool.submit(execute, path, into, progress): path for path in paths}
        left = set(started)
        while left and not stop.is_set():
            done, left = wait(left, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                path = started[future]
                try:
                    line, found[path.stem] = future.result()
                except Exception as error:  # such as a file that is no notebook
                    line, found[path.stem] = f"{path.name} FAILED: {type(error).__name__}: {error}", None
                progress.end(path.stem, line)
        if left:
            progress.stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in left):  # a kernel may be about to start
                for kernel in psutil.Process().children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        kernel.kill()
                time.sleep(0.1)
            raise Interrupted
    return found


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="which ones; all if none is named")
    parser.add_argument("--into", type=Path, default=Path("build"), help="folder for the executed copies")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once, each with one thread")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # a Windows console may lack a letter
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {arguments.jobs}")
    into = arguments.into.resolve()
    paths = [p.resolve() for p in arguments.notebooks] or sorted(FOLDER.glob("*.ipynb"))
    if not paths:
        print("There is no notebook to execute.")
        return 1
    try:
        into.mkdir(parents=True, exist_ok=True)
        if into != FOLDER:
            write_texts(into)
    except OSError as error:
        print(error)
        return 1
    stop = Event()  # an exception that the signal raised could be lost where Python ignores those, as in a destructor
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it in the background ignores the first
        signal.signal(number, lambda *_: stop.set())
    start = time.perf_counter()
    try:
        found = execute_all(paths, into, arguments.jobs, stop)
    except Interrupted:
        print("Interrupted: what was written is whole, no kernel runs on.")
        return 130
    seconds, failed = time.perf_counter() - start, [name for name, measured in found.items() if measured is None]
    print(f"{len(found) - len(failed)} notebooks in {seconds:.0f} s"
          + (f", {len(failed)} failed: {', '.join(failed)}" if failed else ""))
    if into == FOLDER:
        known = read_measured()
        known["notebooks"] |= {name: measured for name, measured in found.items() if measured}
        if not arguments.notebooks:
            known |= {"jobs": arguments.jobs, "seconds": round(seconds, 1)}
        write_whole(MEASURED, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
