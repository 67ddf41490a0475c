import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads stall torch when the machine is shared
os.environ.setdefault("TQDM_DISABLE", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
import torch  # noqa: E402
from nbval.plugin import IPyNbCell  # noqa: E402

from utils.data_utils import create_dataset  # noqa: E402


@pytest.fixture(scope="session")
def dataset():
    """300 images (n, 28, 28) and their labels (n, 3)."""
    return create_dataset(300, seed=0)


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def pytest_collection_modifyitems(items):
    """A kernel on a busy machine may take 10 s to flush its last output; nbval waits 5 s and has no option for it."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.output_timeout = 120
