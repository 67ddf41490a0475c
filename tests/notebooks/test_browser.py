"""JupyterLab and the explorer's own page in a real browser: notebooks open, cells run, sliders answer to keys."""
import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import nbformat
import psutil
import pytest
from browser_helpers import CHROMIUM, barriers, needed, open_tab
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHORT = "1_counterfactual_data.ipynb"
MINUTE = 60_000
QUIET = '{"fetchNews": "false", "checkForUpdates": false}'  # JupyterLab would ask, and then look for both elsewhere
STATE = """() => {
  const panel = jupyterapp.shell.currentWidget, cells = panel.content.widgets.filter(c => c.model.type === "code");
  const outputs = cells.flatMap(c => c.model.outputs.toJSON().map(o => ({...o, cell: c.model.id})));
  const error = outputs.find(o => o.output_type === "error");
  const done = cells.every(c => c.model.executionCount) && panel.sessionContext.session?.kernel?.status === "idle";
  return {done, error: error && `cell ${error.cell}: ${error.ename}: ${error.evalue}`};
}"""
OPENED = """async () => {
  const panel = jupyterapp.shell.currentWidget, kernel = panel.sessionContext.session.kernel, {model} = panel.context;
  await Promise.all([kernel.info, kernel.spec, panel.revealed]);
  await new Promise(resolve => setTimeout(resolve, 500));  // in which JupyterLab would write both to the notebook
  return {changed: model.dirty, cells: panel.content.widgets.length, metadata: model.metadata};
}"""
SHOW_EXPLORER = """async () => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const i = notebook.widgets.findIndex(c => /^Explorer\\(/m.test(c.model.sharedModel.source));
  if (i >= 0) { notebook.activeCellIndex = i; await notebook.scrollToItem(i, "start"); }
  return i >= 0;
}"""


@contextmanager
def serving(folder, *command, **variables):
    """A server of ours on a free port of this machine; its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    homes = {name: str(folder / "home" / name) for name in (
        "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")}
    environment = {**os.environ, **homes, "PYTHONPATH": str(ROOT), **variables}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([sys.executable, "-m", *command, "--no-browser", f"--port={port}"], cwd=ROOT,
                                   stdout=log, stderr=log, env=environment)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/static/favicon.ico", timeout=60)
            except urllib.error.HTTPError:
                break  # it answers
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            else:
                break
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab on copies of the notebooks; those in the folder ``bare`` are without outputs."""
    needed(CHROMIUM, "chromium")
    folder = tmp_path_factory.mktemp("lab")
    (folder / "copy" / "bare").mkdir(parents=True)
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.language_info.version = platform.python_version()  # that of the machine they were stored on
        nbformat.write(notebook, folder / "copy" / path.name)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / "copy" / "bare" / path.name)
    shutil.copy(ROOT / "notebooks" / "glossary.md", folder / "copy")
    settings = folder / "home" / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(QUIET)
    options = [f"--ServerApp.root_dir={folder / 'copy'}", "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=secret",
               "--LabApp.expose_app_in_browser=True", "--allow-root"]
    with serving(folder, "jupyterlab", *options) as (address, _):
        yield address


@pytest.fixture
def open_notebook(lab, browser):
    """Opens a notebook in JupyterLab without an error, to be closed with its kernel at the end of the test."""
    tab, wrong = open_tab(browser)

    def open_it(name):
        tab.goto(f"{lab}/lab/tree/{name}?token=secret&reset", timeout=MINUTE)
        session = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session"
        tab.wait_for_function(f"{session}?.kernel?.status === 'idle'", timeout=MINUTE)
        assert not wrong
        return tab

    yield open_it
    tab.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
    tab.close()
    assert not [error for error in wrong if error.startswith("http")], "another host was asked"


def choose(tab, menu, entry):
    tab.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    tab.locator(".lm-Menu-item", has_text=re.compile(f"^{entry}")).first.click()


def wait_until_run(tab, minutes=25):
    """Wait for all cells; fail at the first error, with the cell's id."""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        state = tab.evaluate(STATE)
        assert not state.get("error"), state["error"]
        if state["done"]:
            return
        tab.wait_for_timeout(500)
    pytest.fail(f"still running after {minutes} minutes")


def seen(tab):
    """Base's value of circularity, the pictures and the answer in words, as shown."""
    tiles, words = tab.locator(".explorer img"), tab.locator(".explorer [role=status]").inner_text()
    value = float(re.match(r"base: circularity (\S+),", tiles.first.get_attribute("alt"))[1])
    return value, [tile.get_attribute("src") for tile in tiles.all()], words


def move_a_slider(tab):
    """Move one by keyboard alone: the picture changes at each move, the answer at a large one."""
    slider = tab.locator(".explorer").get_by_role("slider", name="circularity of the base", exact=True)
    slider.wait_for(timeout=2 * MINUTE)
    tab.locator(".explorer select").first.focus()
    for _ in range(8):
        tab.keyboard.press("Tab")
        if slider.evaluate("e => e === document.activeElement"):
            break
    value, pictures, words = seen(tab)
    for key, target in (("ArrowRight", value + 0.01), ("End", 1), ("Home", 0)):
        tab.keyboard.press(key)
        tab.wait_for_selector(f".explorer img[alt^='base: circularity {target:.2f}']", timeout=MINUTE)
        (_, old, said), (_, pictures, words) = (value, pictures, words), seen(tab)
        assert len(pictures) == len(old) and pictures[0] != old[0] and pictures[-2:] != old[-2:]
        assert key == "ArrowRight" or words != said


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_that_is_opened_is_not_marked_as_changed(open_notebook, path):
    opened = open_notebook(path.name).evaluate(OPENED)
    stored = nbformat.read(path, as_version=4)
    assert opened["cells"] == len(stored.cells)
    assert not opened["changed"], f"JupyterLab writes {opened['metadata']}, stored is {stored.metadata}"


def test_every_cell_of_a_notebook_runs_in_lab(open_notebook):
    """Of a short one: that all run is for nbval to see, which executes them quicker."""
    tab = open_notebook(f"bare/{SHORT}")
    choose(tab, "Run", "Run All Cells")
    wait_until_run(tab)
    assert tab.evaluate("jupyterapp.shell.currentWidget.context.model.dirty"), "what was run is marked as changed"


def test_the_explorer_answers_in_lab_also_after_a_restart(open_notebook, axe):
    tab = open_notebook("bare/explorer.ipynb")
    choose(tab, "Run", "Run All Cells")
    wait_until_run(tab)
    assert tab.evaluate(SHOW_EXPLORER)
    move_a_slider(tab)
    found = barriers(tab, axe, ".explorer")
    tab.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    tab.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    assert not found + barriers(tab, axe, ".explorer")
    choose(tab, "Kernel", "Restart Kernel and Run All Cells")
    tab.locator(".jp-Dialog .jp-mod-accept").click()
    tab.wait_for_function("!jupyterapp.shell.currentWidget.content.widgets[1].model.executionCount", timeout=MINUTE)
    wait_until_run(tab)
    move_a_slider(tab)


@pytest.fixture(scope="module")
def voila(tmp_path_factory):
    """Address and process of the page that ``make explorer`` serves."""
    needed(CHROMIUM, "chromium")
    recipe = subprocess.run(["make", "-s", "-n", "explorer"], cwd=ROOT, capture_output=True, text=True).stdout
    words = shlex.split(recipe.strip().replace("\\\n", " ").splitlines()[-1])
    assert words[2:4] == ["-m", "voila"]
    name, _, value = words[0].partition("=")
    with serving(tmp_path_factory.mktemp("voila"), *words[3:], **{name: value}) as served:
        yield served


def test_the_page_of_the_explorer_answers(voila, browser, axe):
    address, process = voila
    listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections("inet") if c.status == "LISTEN"]
    assert listening and set(listening) == {"127.0.0.1"}
    for width, network, tiles in ((1400, "two-source IIT", 6), (400, "single-source IIT", 5)):
        tab, wrong = open_tab(browser, width)
        tab.goto(address, timeout=2 * MINUTE)
        move_a_slider(tab)
        menu = tab.locator(".explorer select").first
        names = [text.replace("\xa0", " ") for text in menu.locator("option").all_inner_texts()]
        menu.select_option(index=names.index(network))
        tab.wait_for_function("n => document.querySelectorAll('.explorer img').length === n", arg=tiles)
        move_a_slider(tab)
        assert "rror" not in tab.inner_text("body") and not tab.evaluate("document.body.scrollWidth > innerWidth")
        assert not wrong + barriers(tab, axe)
        tab.close()
