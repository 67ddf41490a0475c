"""The server of ``make explorer``: on this machine only, silent about the code, whatever the settings say."""
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import psutil
import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is missing")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Process and page of the recipe, on a notebook that fails, with settings that would show all to everybody."""
    folder = tmp_path_factory.mktemp("server")
    cells = [nbformat.v4.new_code_cell(source) for source in ("print('seen')", "raise RuntimeError('/home/secret')")]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), folder / "fails.ipynb")
    settings = {"VoilaConfiguration": {"show_tracebacks": True}, "Voila": {"ip": "0.0.0.0"}}
    (folder / "voila.json").write_text(json.dumps(settings))
    recipe = subprocess.run(["make", "-s", "-n", "explorer"], cwd=ROOT, capture_output=True, text=True).stdout
    words = shlex.split(recipe.strip().replace("\\\n", " ").splitlines()[-1])
    words[4] = str(folder / "fails.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_DATA_DIR": str(folder / "data"),
                 "JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "PYTHONPATH": str(ROOT),
                 **dict([words[0].split("=", 1)])}
    process = subprocess.Popen([sys.executable, *words[2:], "--no-browser", f"--port={port}"], cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **variables})
    try:
        for _ in range(600):
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=240).read().decode()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)
        yield process, page
    finally:
        process.terminate()
        process.wait(60)


def test_it_listens_on_this_machine_only(served):
    listening = [c.laddr.ip for c in psutil.Process(served[0].pid).net_connections("inet") if c.status == "LISTEN"]
    assert listening and set(listening) == {"127.0.0.1"}


def test_a_visitor_sees_no_error_trace(served):
    assert "seen" in served[1] and "error when executing cell [2]" in served[1]
    assert "secret" not in served[1] and "Traceback" not in served[1]


def test_the_page_asks_no_other_host(served):
    assert "cdn.jsdelivr.net/npm/@fortawesome" not in served[1]
