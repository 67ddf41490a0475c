"""What the checks of the exercises share: run a learner's function, compare, and name the likely mistake."""
import contextlib
import sys
import traceback
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

bce = F.binary_cross_entropy_with_logits


class WrongAnswer(AssertionError):
    """The learner's function does not do what the exercise asks; the message names the likely mistake."""


@contextlib.contextmanager
def unless_open() -> Iterator[None]:
    """Where an exercise is still open, say so on stderr, and let the cells below run; learner's copies check in it.

    Open is one whose stub is still there, or whose name nobody has defined. To a check that writes to stderr, nbgrader
    gives no points.
    """
    try:
        yield
    except NotImplementedError as error:
        if "replace this line by your code" not in str(error):  # torch raises this error, too
            raise
        sys.stderr.write(f"{error}\n")
    except NameError as error:
        if len(traceback.extract_tb(error.__traceback__)) > 2:  # not in the cell itself
            raise
        sys.stderr.write(f"{error.name} is not defined: the exercise above is open, or its cell has not run\n")


@contextlib.contextmanager
def own_rng() -> Iterator[None]:
    """Fixes torch's random numbers on the CPU and puts their state back; as a decorator or in a with statement."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)  # torch.manual_seed would reseed a GPU, which is not forked
        yield


def require(condition: bool, message: str) -> None:
    """Raise WrongAnswer unless ``condition``."""
    if not condition:
        raise WrongAnswer(message)


def power_of(got: np.ndarray, right: np.ndarray) -> float:
    """The one power to which the right results are taken, or 0 where there is none."""
    usual = (got > 0) & (right > 0) & (np.abs(right - 1) > 0.05)
    powers = np.log(got[usual]) / np.log(right[usual])
    found = np.isfinite(got).all() and usual.sum() > 2 and not got[right == 0].any()
    found = found and np.ptp(powers) < 1e-3 * np.abs(powers).max()
    return float(powers.mean()) if found else 0.0


def noise_images(n: int) -> torch.Tensor:
    """Images (n, 1, 28, 28) of noise, from dark to very bright, so that a fresh network tells them apart."""
    return torch.rand(n, 1, 28, 28) * torch.linspace(0.2, 12, n).view(-1, 1, 1, 1)
