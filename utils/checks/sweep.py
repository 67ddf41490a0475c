"""Checks of the exercises in notebook 6: each tries a learner's function and names the likely mistake."""
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from utils.checks.helpers import require
from utils.checks.known.choices import BEST, WRONG_BEST, best_of
from utils.checks.known.intervals import INTERVAL, WRONG_INTERVAL, interval_of
from utils.checks.tools.files import Watched, broken_off
from utils.checks.tools.fronts import FRONT, WRONG_FRONTS, say_points, unbeaten
from utils.checks.tools.running import Learner
from utils.checks.tools.variants import examine


def check_mean_interval(f: Callable) -> str:
    """Exercise 6.1: ``f(values (k,))`` gives the mean over k networks and the ends of its 95% interval."""
    rng = np.random.default_rng(0)
    cases = [(rng.exponential(spread, size=k) + center,) for k, center, spread in
             ((7, 0.5, 0.2), (20, 0.6, 0.3), (2, 0.9, 0.2), (50, -9.0, 2.0), (11, 40.0, 9.0))]
    sizes = [f"{len(values)} networks" for values, in cases]
    examine(f, "mean_interval(values)", cases, sizes, interval_of, INTERVAL, WRONG_INTERVAL,
            ignored=((0, rng.normal(size=7)),), also=lambda gots: _say_interval(gots, cases))
    return "Passed: the mean and its interval are right for 2 to 50 networks."


def _say_interval(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Which of the three numbers of 6.1 are off."""
    whole = [got for got in gots if got.shape == (3,) and got[1] <= got[0] <= got[2]]
    uneven = [1e-3 < abs(got[0] - got[1] - (got[2] - got[0])) / max(np.ptp(got), 1e-9) < 0.6 for got in whole]
    require(not any(uneven), "Low and high are not equally far from the mean: mean ± 1.96 standard errors is. Do "
            "percentiles or resampling stand in for it?")
    for got in gots:
        require(got.shape == (3,), f"Three numbers are wanted, mean, low and high: yours has shape {got.shape}.")
        require(got[1] <= got[0] + 1e-9 and got[0] <= got[2] + 1e-9, "The mean lies between low and high: with yours, "
                "mean "
                f"{got[0]:.3f}, low {got[1]:.3f} and high {got[2]:.3f}, it does not.")
        x = next(values for (values,), other in zip(cases, gots) if other is got)
        half, wanted = np.ptp(got[1:]) / 2, 1.96 * x.std(ddof=1) / np.sqrt(len(x))
        require(bool(np.isclose(got[0], x.mean())), f"The first number is not the mean of the values: with {len(x)} "
                f"networks it is {x.mean():.3f}, and yours {got[0]:.3f}.")
        require(bool(np.isclose(half, wanted, rtol=1e-4)), f"The mean is right, and low and high lie {half:.4f} from "
                "their "
                f"middle: with {len(x)} networks, 1.96 standard errors are {wanted:.4f}. Take the standard deviation "
                "with "
                "ddof=1, divided by the square root of k.")


def check_pareto_front(f: Callable) -> str:
    """Exercise 6.2: ``f(first (n,), second (n,))`` tells (n,) which points no other point beats."""
    rng = np.random.default_rng(1)
    grids = [(rng.integers(0, m, n) / m - shift, rng.integers(0, m, n) / m - shift) for n, m, shift in
             ((9, 4, 0), (16, 5, 0.5), (12, 6, 2), (25, 7, 0))]
    spread = rng.uniform(0.3, 0.9, size=30)
    fine = spread + rng.uniform(0, 0.01, 30), 1 / spread + rng.uniform(0, 0.01, 30)  # a hollow front
    ends = np.array([0.7, 0.2, 0.5, 0.1, 0.6]), np.array([0.4, 0.3, 0.2, 0.6, 0.7])  # first and last beat another
    cases = [*grids, fine, ends, tuple(x[::-1].copy() for x in ends), (np.array([0.3, 0.3]), np.array([0.5, 0.5])),
             (np.array([0.4]), np.array([-0.2])),
             (np.array([0.7, 0.695]), np.array([0.1, 0.9]))]
    sizes = ["9 points", "16 points, some scores below 0", "12 points, scores below 0", "25 points", "30 points of a "
             "hollow front", "5 points of which the last beats others", "5 points of which the first beats others",
             "two points that are "
             "alike", "one point", "two points, each better in one"]

    examine(f, "pareto_front(first, second)", cases, sizes, unbeaten, FRONT, WRONG_FRONTS,
            hints={"out of range|out of bounds": "There may be any number of points, one among them.",
              "no attribute": "first and second are numpy arrays."},
        ignored=((0, np.linspace(0, 1, 9)), (1, np.linspace(0, 1, 9))), also=lambda gots: say_points(gots, cases),
        most=2)
    for case in cases[:1]:
        got = np.asarray(Learner(f, "pareto_front(first, second)")(*case))
        require(got.dtype == bool, f"The points are the right ones, but of type {got.dtype}: return bools. As an "
                "index, 0 "
                "and 1 mean the first and the second point.")
    return "Passed: in ten sets of points, those that no other beats are found."


def check_write_whole(f: Callable) -> str:
    """Exercise 6.3: ``f(path, parts)`` writes the joined parts to path: whole, or not at all."""
    learner = Learner(f, "write_whole(path, parts)", {
        "FileExistsError": "What an interrupted call left behind is in the way: open the other file with \"w\".",
        "FileNotFoundError": "Is it written before it is renamed, and is each file named as before?",
        "bytes-like": "The parts are text: open the file with \"w\".", "PosixPath|WindowsPath|Path'": "path is a "
        "pathlib.Path: path.with_suffix(\".part\"), path.parent / name.", "closed file": "Write before the with block "
        "ends.",
        "no attribute": "`parts` is an iterator of strings: walk through it once, with a for loop.",
        "not subscriptable|len()": "`parts` is an iterator: walk through it once, with a for loop, or join it."})
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(learner, Path(folder).resolve())
        watched.write(["o", "l", "d"])
        watched.write(["new\n", "", "  line, ", "A", "A", " ", "b\n", "end "])
        watched.write(["{", "}"])
        watched.write([letter * 20_000 for letter in "xyz"])
        for error in (InterruptedError("the disk is gone"), ValueError("no such number"), KeyboardInterrupt()):
            watched.interrupt(broken_off(error), error)
            watched.write(["after ", type(error).__name__])
        watched.write(["short"])
        watched.write([])
        watched.write(["again"])
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(learner, Path(folder).resolve())
        watched.interrupt(broken_off(InterruptedError("killed")), InterruptedError("killed"))
        watched.write(["a first one"])
    return "Passed: what breaks off leaves the old file as it was; what ends replaces it at once."


def check_best_of_many(f: Callable) -> str:
    """Exercise 6.4: ``f(first (k,), rest (k,))`` gives the best network's score, on the first pairs and on the rest,
    and the mean of all networks on the rest."""
    rng = np.random.default_rng(2)
    cases = [(rng.permutation(np.linspace(low, low + 0.1, k)), low + rng.uniform(0.01, 0.2, k))
             for k, low in ((20, 0.8), (5, 0.4), (9, -0.5), (2, 3.0), (50, 0.9))]
    sizes = [f"{len(first)} networks" for first, _ in cases]
    examine(f, "best_of_many(first, rest)", cases, sizes, best_of, BEST, WRONG_BEST, ignored=
            ((0, np.linspace(0, 1, 20)), (1, np.linspace(0, 1, 20))), also=lambda gots: _say_numbers(gots, cases))
    return "Passed: of 2 to 50 networks, the best one's score on both sets, and the mean."


def _say_numbers(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Which of the three numbers of 6.4 are off."""
    require(all(got.shape == (3,) for got in gots), "Three numbers are wanted: the best score, the same network's on "
            f"the rest, the mean on the rest. Yours has shape {gots[0].shape}.")
    rights = np.array([best_of(**BEST)(*case) for case in cases])
    close = np.isclose(np.array(gots), rights, rtol=1e-4, atol=1e-5)
    names = "first.max()", "rest[first.argmax()]", "rest.mean()"
    for i, word in enumerate(("first", "second", "third")):
        j = int(np.argmin(close[:, i]))
        require(bool(close[j, i]), f"The {word} of the three numbers is not {names[i]}: with {len(cases[j][0])} "
                f"networks it is {rights[j, i]:.3f}, and yours {gots[j][i]:.3f}.")
