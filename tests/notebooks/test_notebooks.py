"""The stored notebooks: executed in order, clean, self-contained; and the gates that guard them can fail."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from jupyter_client.kernelspec import get_kernel_spec
from studies.results import (END, MEASURED, START, Results, read_results, results_table, write_minutes,
                             write_readme)

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
EVERY = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = sorted((ROOT / "notebooks").glob("*.md"))
SEE = "What you should see (open it after you have looked)"
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home|tmp|Users|usr|opt|var)/\w|[A-Z]:\\\\")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(params=EVERY, ids=lambda path: path.stem)
def any_notebook(request):
    """The numbered ones, the template and the explorer."""
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_series_is_numbered_without_gaps():
    assert [int(path.stem.split("_")[0]) for path in NOTEBOOKS] == list(range(len(NOTEBOOKS)))
    assert len(NOTEBOOKS) >= 5


def test_executed_in_order_and_without_error(any_notebook):
    cells = code_cells(any_notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    assert not [o for cell in cells for o in cell.outputs if o.get("name") == "stderr" and "it/s" not in o.text]


def test_nothing_of_a_machine_is_shown(any_notebook):
    shown = [cell.source for cell in any_notebook.cells]
    for cell in code_cells(any_notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            shown += [output.get("text", ""), *(str(v) for kind, v in data.items() if kind.startswith("text/"))]
    assert not [match.group() for text in shown for match in MACHINE_PATH.finditer(text)]
    assert "cuda" not in "".join(cell.source for cell in code_cells(any_notebook))


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def test_what_a_reader_is_promised(notebook):
    first, prose = notebook.cells[0].source, "\n".join(markdown(notebook))
    for promise in ("**What you will learn**", "**Time**", "**You need**"):
        assert promise in first
    for part in ("> **Predict.**", "## Check what was said", "## What was found", "## Quiz", "## Where next"):
        assert part in prose, part
    pictures = [cell for cell in code_cells(notebook) if any("image/png" in o.get("data", {}) for o in cell.outputs)]
    assert pictures and prose.count(f"<summary>{SEE}</summary>") >= len(pictures)
    assert any("assert " in cell.source for cell in code_cells(notebook)), "claims are tied to figures"
    assert prose.count("https://arxiv.org/abs/") >= 1


def test_every_picture_is_followed_by_what_to_see(any_notebook):
    cells = [cell for cell in any_notebook.cells if cell.id != "explorer"]  # its picture is what it is about
    for cell, after in zip(cells, cells[1:]):
        if cell.cell_type == "code" and any("image/png" in o.get("data", {}) for o in cell.outputs):
            assert SEE in after.source, cell.id


def test_the_quiz_has_three_questions_with_folded_answers(notebook):
    quiz = next(source for source in markdown(notebook) if source.startswith("## Quiz"))
    questions = re.findall(r"<details><summary>(\d)\. [^<]+\?</summary>\n\n(.+?)\n\n</details>", quiz, re.S)
    assert [number for number, _ in questions] == ["1", "2", "3"]


def test_exercises_are_announced(notebook):
    sources = markdown(notebook)
    headers = [source for source in sources if source.startswith("### Exercise")]
    stated = re.search(r"(\d+) for (\w+) exercises", notebook.cells[0].source)
    facts = [re.search(r"\*Difficulty ([●○]{3}) · (\d+) minutes\.\* \S+", header) for header in headers]
    assert all(facts) and stated.group(2) == ("three", "four", "five")[len(headers) - 3]
    assert sum(int(fact.group(2)) for fact in facts) == int(stated.group(1))
    difficulties = {fact.group(1) for fact in facts}
    assert "●○○" in difficulties and "●●●" in difficulties and any(int(fact.group(2)) <= 10 for fact in facts)


def test_folds_are_closed(any_notebook):
    for source in markdown(any_notebook):
        assert source.count("<details>") == source.count("<summary>") == source.count("</details>")


def anchors():
    """The terms of the glossary; in JupyterLab as on GitHub a heading in lower case is its own anchor."""
    terms = re.findall(r"^### (.+)$", (ROOT / "notebooks" / "glossary.md").read_text(), re.M)
    assert terms == sorted(terms) and all(re.fullmatch(r"[a-z -]+", term) for term in terms)
    return {term.replace(" ", "-"): term for term in terms}


@pytest.mark.parametrize("path", [*EVERY, *TEXTS], ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for source in [path.read_text()] if path.suffix == ".md" else markdown(nbformat.read(path, as_version=4)):
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", source):
            assert target.startswith("https://") or (ROOT / "notebooks" / target).exists(), target
            assert not anchor or anchor in anchors(), anchor


def test_each_term_is_linked_where_it_first_appears():
    prose = ["\n".join(markdown(nbformat.read(path, as_version=4))) for path in NOTEBOOKS]
    words = [re.sub(r"\[[^]]*\]\([^)]*\)", "", text).lower() for text in prose]  # but for links
    linked = [{anchor for anchor in re.findall(r"glossary\.md#([a-z-]+)", text)} for text in prose]
    for anchor, term in anchors().items():
        first = next((n for n, terms in enumerate(linked) if anchor in terms), None)
        assert first is not None, f"{term} is linked nowhere"
        if len(term) > 9:  # short terms are everyday words too
            assert not [n for n, text in enumerate(words[:first]) if term in text], f"{term} before notebook {first}"


def small_notebook(folder, *sources, name="0_small.ipynb"):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    path = folder / name
    nbformat.write(notebook, path)
    return path


def run(*command, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment, cwd=ROOT)


@pytest.mark.parametrize("broken", ["raise KeyError('x')", "assert 0.9 >= 0.95", "unknown", "import os; os._exit(1)"])
def test_a_broken_cell_is_named_and_the_other_notebooks_go_on(tmp_path, broken):
    path, other = small_notebook(tmp_path, "x = 1", broken, "x = 2"), small_notebook(tmp_path, "1", name="1_good.ipynb")
    (tmp_path / "2_none.ipynb").write_text("no notebook")
    result = run("notebooks/execute.py", str(path), str(other), str(tmp_path / "2_none.ipynb"), "--into",
                 str(tmp_path / "out"))
    assert result.returncode == 1
    assert re.search(r"^0_small.ipynb FAILED after \d+ s at cell 2$", result.stdout, re.M), result.stdout
    assert re.search(r"^2_none.ipynb FAILED: ", result.stdout, re.M) and len(result.stdout.splitlines()) < 40
    assert re.search(r"^1 notebooks in \d+ s, 2 failed: ", result.stdout, re.M)
    assert {found.name for found in (tmp_path / "out").glob("[0-9]*")} == {"1_good.ipynb", "1_good.html"}


def test_the_bar_names_what_runs_and_how_long_is_left(tmp_path):
    names = "0_small.ipynb", "1_small.ipynb", "2_small.ipynb"
    paths = [str(small_notebook(tmp_path, "1", "2", name=name)) for name in names]
    result = run("notebooks/execute.py", *paths, "--into", str(tmp_path / "out"), TQDM_DISABLE="")
    assert re.search(r"\d_small [12]/2, \d_small", result.stderr), "two at once, whichever began first"
    assert "min left" in result.stderr and "3/3" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("wait", [0.0, 3.0], ids=["at once", "later"])
def test_an_interrupted_execution_leaves_no_kernel_and_no_half_file(tmp_path, number, wait):
    paths = [str(small_notebook(tmp_path, "import time; time.sleep(300)", name=f"{i}_small.ipynb")) for i in range(3)]
    (tmp_path / "out").mkdir()
    command = [sys.executable, "notebooks/execute.py", *paths, "--into", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        main = psutil.Process(process.pid)
        while not (kernels := main.children(recursive=True)):
            time.sleep(0.05)
        time.sleep(wait)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "Interrupted" in said
    assert not [kernel for kernel in kernels if kernel.is_running()]
    assert not list((tmp_path / "out").glob("*small*")) and not list((tmp_path / "out").glob(".*"))


def test_execution_runs_on_this_python_and_keeps_the_pictures(tmp_path):
    """Whatever kernel the notebook names, and whatever backend the shell has."""
    path = small_notebook(tmp_path, "import sys; print(sys.executable)",
                          "from utils.plot_utils import plt\nplt.plot([1])\nplt.show()")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.kernelspec = {"name": "conda-env-other-py", "display_name": "Other", "language": "python"}
    nbformat.write(notebook, path)
    result = run("notebooks/execute.py", str(path), "--into", str(tmp_path / "out"), MPLBACKEND="Agg")
    assert result.returncode == 0, result.stdout
    notebook = nbformat.read(tmp_path / "out" / path.name, as_version=4)
    assert notebook.cells[0].outputs[0].text.strip() == sys.executable
    assert [output for output in notebook.cells[1].outputs if "image/png" in output.get("data", {})]
    assert notebook.metadata.kernelspec.name == "python3"


def test_execution_writes_notebook_and_page(tmp_path):
    show = "show('A line < a bar, \"told\"')"
    path = small_notebook(tmp_path, "print('seen')", "from utils.plot_utils import plt, show\nplt.plot([1])\n" + show)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("[next](other.ipynb), [base](glossary.md#base)"))
    nbformat.write(notebook, path)
    result = run("notebooks/execute.py", str(path), "--into", str(tmp_path / "out"))
    assert result.returncode == 0 and "0_small.ipynb" in result.stdout and " s, " in result.stdout
    page = (tmp_path / "out" / "0_small.html").read_text()
    pictures = BeautifulSoup(page, "html.parser").select("img")
    assert [picture["alt"] for picture in pictures] == ['A line < a bar, "told"']
    assert "seen" in page and 'src="https://' not in page
    assert 'href="other.html"' in page and 'href="glossary.html#base"' in page
    assert 'id="base"' in (tmp_path / "out" / "glossary.html").read_text()
    assert (tmp_path / "out" / "glossary.md").exists()
    notebook = nbformat.read(tmp_path / "out" / "0_small.ipynb", as_version=4)
    assert notebook.cells[0].execution_count == 1 and "execution" not in notebook.cells[0].metadata
    assert notebook.metadata.kernelspec.display_name == get_kernel_spec("python3").display_name


def stored(path, *outputs):
    """Make the notebook's first cell look executed, with these outputs."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].update(execution_count=1, outputs=list(outputs))
    nbformat.write(notebook, path)


def nbval(path, *options):
    return run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", f"addopts=--nbval --nbval-current-env "
               f"--nbval-sanitize-with {ROOT}/tests/nbval_sanitize.cfg", "--rootdir", str(path.parent), *options,
               str(path))


@pytest.mark.parametrize("options, passes", [((), False), (("-p", "tests.conftest"), True)], ids=["nbval", "ours"])
def test_nbval_waits_for_a_slow_kernel(tmp_path, options, passes):
    slow = "import time; get_ipython().kernel.post_handler_hook = lambda: time.sleep(8)"  # between reply and idle
    path = small_notebook(tmp_path, slow)
    stored(path)
    result = nbval(path, *options)
    assert (result.returncode == 0) == passes, result.stdout + result.stderr


@pytest.mark.parametrize(
    "source, text, passes",
    [("print(1 + 1)", "2\n", True), ("print(1 + 1)", "3\n", False), ("assert False", "", False)],
    ids=["right", "stale output", "failing claim"],
)
def test_nbval_catches_a_broken_notebook(tmp_path, source, text, passes):
    path = small_notebook(tmp_path, source)
    stored(path, *([nbformat.v4.new_output("stream", name="stdout", text=text)] if text else []))
    result = nbval(path)
    assert (result.returncode == 0) == passes, result.stdout + result.stderr


def test_the_readme_shows_what_the_notebooks_computed():
    text = (ROOT / "README.md").read_text()
    assert text.split(START)[1].split(END)[0].strip() == results_table(read_results(ROOT / "notebooks"))


def test_minutes_and_memory_are_those_that_were_measured():
    readme, measured = (ROOT / "README.md").read_text(), json.loads(MEASURED.read_text())
    assert set(measured["notebooks"]) == {path.stem for path in EVERY}
    assert write_minutes(readme, measured) == readme
    for path in NOTEBOOKS:
        seconds = measured["notebooks"][path.stem]["seconds"]
        stated = re.search(r"(about (\d+) minutes?|under 1 minute) of computing",
                           nbformat.read(path, as_version=4).cells[0].source)
        assert seconds < 60 if stated[2] is None else abs(int(stated[2]) - seconds / 60) < 0.75, (path.name, seconds)
    two = sorted((found["peak_mib"] for found in measured["notebooks"].values()), reverse=True)[:2]
    assert sum(two) < 4 * 1024, "two at once fit in 4 GB"
    slower = {"notebooks": {"0_train_base_cnn": {"seconds": 301.0, "peak_mib": 5000}}}
    row = next(line for line in write_minutes(readme, slower).split("\n") if "0_train_base_cnn" in line)
    assert row.endswith("| 5 | 4.9 GB |")


def test_the_readme_is_written_from_stored_figures(tmp_path):
    figures = read_results(ROOT / "notebooks")
    figures["single iia"] = 0.1234
    cell = nbformat.v4.new_code_cell("figures", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("display_data", data=Results(figures)._repr_mimebundle_())]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "0_x.ipynb")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write_readme(readme, tmp_path)
    assert "0.123" in readme.read_text() and "old" not in readme.read_text()
    assert readme.read_text().startswith("before\n") and readme.read_text().endswith("\nafter\n")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "1_y.ipynb")
    with pytest.raises(ValueError, match="another notebook"):
        write_readme(readme, tmp_path)
    (tmp_path / "0_x.ipynb").unlink()
    (tmp_path / "1_y.ipynb").unlink()
    with pytest.raises(ValueError, match="no notebook stores"):
        write_readme(readme, tmp_path)
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="markers"):
        write_readme(readme, tmp_path)


def where_utils_are(python, folder, *options):
    """The folder from which the two first lines of a notebook take utils, or the error."""
    first = code_cells(nbformat.read(NOTEBOOKS[0], as_version=4))[0].source.split("\n")[:2]
    code = "\n".join([*first, "import os, utils", "print(os.path.realpath(os.path.dirname(utils.__file__)))"])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([python, *options, "-c", code], capture_output=True, text=True, cwd=folder, env=environment)
    return result.stdout.strip() or result.stderr


def test_without_make_imports_work_from_the_folder_of_the_notebooks(tmp_path):
    """With -S there is none of the packages, and nothing that make puts beside them."""
    assert where_utils_are(sys.executable, ROOT / "notebooks", "-S") == str(ROOT / "utils")
    assert "No module named 'utils'" in where_utils_are(sys.executable, tmp_path, "-S")
