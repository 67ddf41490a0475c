import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads stall torch when the machine is shared
os.environ.setdefault("TQDM_DISABLE", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402
from nbval.plugin import IPyNbCell  # noqa: E402

from utils.data_utils import create_dataset  # noqa: E402


@pytest.fixture(scope="session")
def dataset():
    """300 images (n, 28, 28) and their labels (n, 3)."""
    return create_dataset(300, seed=0)


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def browser():
    """Chromium from the system. Of a module, not of the session: its event loop would disturb other tests' loops."""
    from browser_helpers import CHROMIUM, FLAGS, needed

    needed(CHROMIUM, "chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        needed(None, "the Python package playwright")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The script of axe-core, from npm."""
    from browser_helpers import needed
    from workshop.slides import install_package

    needed(shutil.which("npm"), "npm")
    package = install_package("axe-core", ROOT / "book" / "package.json", tmp_path_factory.mktemp("npm"))
    return (package / "axe.min.js").read_text()


OFFLINE = """
import socket, sys
def refuse(*arguments): raise OSError("the book must be built without a network")
socket.socket.connect = socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="session")
def build_book(tmp_path_factory):
    """Builds a folder's pages as ``make book`` does, but without a network: the site's folder, the finished process."""
    flags = re.search(r"-m sphinx (.*) -d (\S+) \. (\S+)", (ROOT / "Makefile").read_text()).group(1).split()

    def build(source, into=None):
        into = into or tmp_path_factory.mktemp("book")
        command = [sys.executable, "-c", OFFLINE, *flags, "-d", into / "cache", source, into / "site"]
        return into / "site", subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    return build


@pytest.fixture(scope="session")
def book(build_book, tmp_path_factory):
    """The folder of the book, which all workers share."""
    shared = tmp_path_factory.getbasetemp()
    shared = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "shared-book"
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            _, result = build_book(".", shared)
            assert result.returncode == 0 and not result.stderr, result.stderr
            (shared / "done").touch()
    return shared / "site"


def pytest_collection_modifyitems(items):
    """A kernel on a busy machine may take 10 s to flush its last output; nbval waits 5 s and has no option for it."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.output_timeout = 120
