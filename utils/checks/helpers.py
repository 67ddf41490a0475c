"""What the checks of the exercises share: run a learner's function, compare, and name the likely mistake."""
import contextlib
import copy
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

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


def require_value(got: Any) -> None:
    """Raise WrongAnswer for None."""
    require(got is not None, "Your function returned None: did you forget the `return`?")


def as_array(got: Any) -> np.ndarray:
    """What a function returned (array, tensor, list, number) as float64, or WrongAnswer."""
    require_value(got)
    try:
        return np.asarray(got.detach().cpu() if isinstance(got, torch.Tensor) else got, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WrongAnswer(f"Your function returned a {type(got).__name__}: return one array, or one number.") from error


def matches(got: Any, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Whether two arrays have the same shape and, nearly, the same values."""
    got, wanted = as_array(got), as_array(wanted)
    return got.shape == wanted.shape and np.allclose(got, wanted, rtol=tolerance, atol=tolerance)


def compare(got: Any, expected: Any, mistakes: dict[str, Any], **example: Any) -> None:
    """Raise WrongAnswer unless ``got`` is ``expected``.

    Args:
        got: what the learner's function returned.
        expected: the right answer.
        mistakes: message for each known wrong answer; a tuple holds several wrong answers.
        example: the inputs to show where none of these fits; of arrays as long as ``expected``, one row.
    """
    got, expected = as_array(got), as_array(expected)
    if matches(got, expected):
        return
    for message, wrong in mistakes.items():
        require(not any(matches(got, w) for w in (wrong if isinstance(wrong, tuple) else (wrong,))), message)
    wanted = expected.shape if expected.ndim else "a single number"
    require(got.shape == expected.shape, f"Your result has shape {got.shape}; {wanted} was expected.")
    row = tuple(np.argwhere(~np.isclose(got, expected, rtol=1e-4, atol=1e-4))[0][:1])
    inputs = []
    for name, value in example.items():
        value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        value = value[row] if expected.ndim and value.shape[:1] == expected.shape[:1] else value
        inputs.append(f"{name} = {value.round(3).tolist()}")
    where = f"with {', '.join(inputs)} " if inputs else ""
    raise WrongAnswer(f"Not right yet: {where}the result should be {expected[row].round(3).tolist()}, "
                      f"but yours is {got[row].round(3).tolist()}.")


def call(f: Callable, *args: Any) -> Any:
    """Call ``f`` with copies of the arguments, as tensors where it cannot take arrays; it must not change them."""
    given = copy.deepcopy(args)
    try:
        got = f(*given)
    except (AttributeError, TypeError):
        if not any(isinstance(a, np.ndarray) for a in args):
            raise
        return call(f, *(torch.from_numpy(a).float() if isinstance(a, np.ndarray) else a for a in args))
    require(all(np.array_equal(a, b) for a, b in zip(args, given) if isinstance(a, (np.ndarray, torch.Tensor))),
            "Your function changes one of its arguments in place: work on a copy (.copy(), for a tensor .clone()).")
    return got


def noise_images(n: int) -> torch.Tensor:
    """Images (n, 1, 28, 28) of noise, from dark to very bright, so that a fresh network tells them apart."""
    return torch.rand(n, 1, 28, 28) * torch.linspace(0.2, 12, n).view(-1, 1, 1, 1)


def require_draws(f: Callable, *counts: int) -> None:
    """Raise WrongAnswer unless ``f(n, num_images[, num_sources], rng)`` draws base (n,) and sources ([k,] n)."""
    n, num_images, *k = counts

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        got = f(*counts, rng)
        require_value(got)
        require(isinstance(got, (tuple, list)) and len(got) == 2, "Return two arrays of indices: base and source.")
        base, sources = map(as_array, got)
        require(not k or sources.shape != (n, *k), f"The sources have shape {(n, *k)}, one column for each; one row "
                f"for each source is wanted, (num_sources, n) = {(*k, n)}.")
        require(base.shape == (n,) and sources.shape == (*k, n), f"Shapes {base.shape} and {sources.shape} came; "
                f"with n = {n}, {(n,)} and {(*k, n)} were expected.")
        require(all(np.asarray(part).dtype.kind in "iu" for part in got), "Indices must be integers.")
        return base, sources.reshape(-1, n)

    rng = np.random.default_rng(100)
    bases, drawn = (np.stack(part) for part in zip(*(draw(rng) for _ in range(40))))
    require(bases.min() >= 0 <= drawn.min() and max(bases.max(), drawn.max()) < num_images,
            "Some indices are out of range: they go from 0 to num_images - 1.")
    require(not (drawn == bases[:, None]).all(axis=(0, 2)).any(),
            "The source is the same image as the base: sources that always agree with the base teach nothing.")
    require(not k or not (drawn == drawn[:, :1]).all(), "All sources are the same image: this is single-source data "
            "for a multi-source model. Draw anew for each source.")
    require((drawn != drawn[:, :, :1]).any(axis=2).all(), "All pairs have the same source: draw one for each base.")
    first, again, other = (draw(np.random.default_rng(seed)) for seed in (101, 101, 102))
    require(all(map(np.array_equal, first, again)),
            "The same seed gives other pairs at each call: draw with the rng that is passed, not with np.random.")
    require(all((a != b).any() for a, b in zip(first[1], other[1])),
            "Another seed gives the same sources: draw with the rng that is passed, and make none of your own.")
    missing = sorted(set(range(num_images)) - set(drawn.ravel().astype(int)))
    require(not missing, f"Of {num_images} images, some are never drawn: {missing}. rng.integers(num_images) draws "
            "from 0 to num_images - 1.")
