"""Pictures appear, and look alike, whatever matplotlib was told elsewhere: in the shell, in the reader's settings."""
import json
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest
from conftest import ROOT
from utils.plot_utils import show, use_style

pytestmark = pytest.mark.slow("each case is a Python of its own")

DRAW = """
import hashlib, json
import matplotlib.pyplot as plt
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()
from utils.plot_utils import plot_heatmap, show, show_gallery, use_style
use_style()
import numpy as np
with capture_output() as shown:
    plt.plot([1, 2], label="a_b & 50% {x}")
    plt.legend()
    show("A line.")
    show_gallery(np.zeros((3, 28, 28)), ["one_two", "#", "$5"])
    show("Three black images.")
    figure = plt.figure()
    plot_heatmap(np.eye(2), ["a", "b"], ["c", "d"], "A title", (0, 1), "share", figure.subplots())
    show("A table.", figure)
pictures = [output.data["image/png"] for output in shown.outputs]
print(json.dumps([hashlib.sha256(picture.encode()).hexdigest() for picture in pictures]))
"""
SETTINGS = """text.usetex: True
figure.facecolor: black
axes.facecolor: black
lines.linewidth: 9
font.family: cursive
savefig.format: pdf
savefig.transparent: True
savefig.dpi: 20
image.cmap: hsv
backend: pdf
"""


def drawn(**environment):
    """Hashes of the pictures that a process with these environment variables shows."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "MATPLOTLIB"))}
    result = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, cwd=ROOT,
                            env={**clean, "PYTHONPATH": str(ROOT), **environment})
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def wanted():
    found = drawn(MPLBACKEND="module://matplotlib_inline.backend_inline")
    assert len(set(found)) == 3
    return found


@pytest.mark.parametrize("backend", ["Agg", "svg"])
def test_the_backend_of_the_shell_changes_no_picture(wanted, backend):
    assert drawn(MPLBACKEND=backend) == wanted


def test_a_matplotlibrc_changes_no_picture(tmp_path, wanted):
    (tmp_path / "matplotlibrc").write_text(SETTINGS)
    assert drawn(MATPLOTLIBRC=str(tmp_path)) == wanted


def test_a_picture_of_nothing_is_refused():
    plt.close("all")
    with pytest.raises(ValueError, match="no figure is open: draw in this cell"):
        show("A line that another cell has drawn.")
    assert not plt.get_fignums()


def test_the_style_leaves_the_backend_alone():
    before = plt.get_backend()
    use_style()
    assert plt.get_backend() == before
