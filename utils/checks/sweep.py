"""Checks of the exercises in notebook 6: each tries a learner's function and names the likely mistake."""
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from utils.checks.helpers import as_array, call, compare, require, require_value


def check_mean_interval(f: Callable) -> str:
    """Exercise 6.1: ``f(values (k,))`` gives the mean over k networks and the ends of its 95% interval."""
    values = np.random.default_rng(0).normal(0.5, 0.2, size=20)
    mean, deviation, root = values.mean(), values.std(ddof=1), np.sqrt(len(values))

    def interval(half: float) -> np.ndarray:
        return np.array([mean, mean - half, mean + half])

    got = call(f, values)
    require_value(got)
    require(isinstance(got, (tuple, list, np.ndarray)) and len(got) == 3, "Return three numbers: mean, low, high.")
    compare(as_array(got), interval(1.96 * deviation / root), {
        "This is where single networks lie; their mean is known better, by the square root of their number.":
            (interval(1.96 * deviation), interval(1.96 * values.std()), interval(deviation),
             np.array([mean, *np.percentile(values, [2.5, 97.5])]), np.array([mean, values.min(), values.max()])),
        "The half width is one standard error: 95% takes 1.96 of them.": interval(deviation / root),
        "The spread is divided by k, not by its square root.": interval(1.96 * deviation / len(values)),
        "The standard deviation of a sample divides by k - 1: ask numpy for ddof=1.":
            (interval(1.96 * values.std() / root), interval(values.std() / root)),
        "This is the median: take the mean.": np.array([np.median(values), *interval(1.96 * deviation / root)[1:]]),
    })
    return "Passed: the mean of 20 networks and its interval are right."


def check_pareto_front(f: Callable) -> str:
    """Exercise 6.2: ``f(first (n,), second (n,))`` tells (n,) which points no other point beats."""
    first = np.array([0.10, 0.50, 0.50, 0.90, 0.40, 0.90, 0.20, 0.70, 0.70, 0.45, 0.30])
    second = np.array([0.95, 0.80, 0.60, 0.30, 0.70, 0.30, 0.95, 0.10, 0.55, 0.62, 0.50])

    def beaten(at_least: Callable, better: Callable) -> np.ndarray:
        return np.array([any(at_least(a >= x, b >= y) and better(a > x, b > y) for a, b in zip(first, second))
                         for x, y in zip(first, second)])

    front = ~beaten(lambda p, q: p and q, lambda p, q: p or q)
    lower = np.array([not any(a <= x and b <= y and (a < x or b < y) for a, b in zip(first, second))
                      for x, y in zip(first, second)])
    compare(call(f, first, second), front, {
        "It is the other way round: these are the points that are beaten.": ~front,
        "A point as good in one and better in the other beats it too: ask for one strict inequality, not for two.":
            ~beaten(lambda p, q: p and q, lambda p, q: p and q),
        "No point is left. None is beaten by itself, and to beat another it takes to be at least as good in both.":
            np.zeros(len(first), dtype=bool),
        "Of two points that are alike each counts as beaten by the other: at least one inequality must be strict.":
            np.array([((first >= x) & (second >= y)).sum() == 1 for x, y in zip(first, second)]),
        "Only the best in either are kept: those between them may be unbeaten too.":
            (first == first.max()) | (second == second.max()),
        "Low values win here: more is better in both.": lower,
    }, first=first, second=second)
    return "Passed: of eleven points, those that no other beats are found."


def check_write_whole(f: Callable) -> str:
    """Exercise 6.3: ``f(path, parts)`` writes the joined parts to path: whole, or not at all."""
    moves: list[tuple[Path, Path]] = []

    def recording(move: Callable) -> Callable:
        def moved(source, target, *args, **kwargs):
            moves.append((Path(source).resolve(), Path(target).resolve()))
            return move(source, target, *args, **kwargs)
        return moved

    def breaks_off() -> Iterator[str]:
        yield "new, but only ha"
        raise InterruptedError("killed")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "row.json"
        f(path, iter(["o", "ld"]))
        require(path.exists(), "No file was written.")
        require(path.read_text() == "old", "The file does not hold all parts, one after the other.")
        try:
            f(path, breaks_off())
        except InterruptedError:
            pass
        else:
            require(False, "The parts broke off with an error, and your function swallows it: let it pass.")
        require(path.exists(), "When the parts break off, the old file is gone: leave it alone until all is written.")
        require(path.read_text() == "old", "When the parts break off, the file is left half-written: write to another "
                "file first, and rename it at the end.")
        for rest in path.parent.iterdir():
            if rest != path:
                rest.unlink()
        before = path.stat().st_ino
        with mock.patch("os.replace", recording(os.replace)), mock.patch("os.rename", recording(os.rename)):
            f(path, iter(["{", "}"]))
        require(path.exists() and path.read_text() == "{}", "A file that is there already is not replaced.")
        require(path.stat().st_ino != before, "The file is written in place: killed at the wrong moment "
                "it is half-written. Write to another file first, and rename it with os.replace.")
        require(all(source.parent == path.parent for source, target in moves if target == path), "The temporary file "
                "lies in another folder, which may be on another disk: put it beside the file.")
        require(list(path.parent.iterdir()) == [path], "A file is left behind beside the one that was asked for.")
    return "Passed: what breaks off leaves the old file as it was; what ends replaces it at once."
