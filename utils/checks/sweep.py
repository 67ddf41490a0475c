"""Checks of the exercises in notebook 6: each tries a learner's function and names the likely mistake."""
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.files import Watched, broken_off
from utils.checks.tools.fronts import FRONT, WRONG_FRONTS, say_points, unbeaten
from utils.checks.tools.running import Learner
from utils.checks.tools.variants import Wrong, examine


def check_mean_interval(f: Callable) -> str:
    """Exercise 6.1: ``f(values (k,))`` gives the mean over k networks and the ends of its 95% interval."""
    rng = np.random.default_rng(0)
    cases = [(rng.exponential(spread, size=k) + center,) for k, center, spread in
             ((7, 0.5, 0.2), (20, 0.6, 0.3), (2, 0.9, 0.2), (50, -9.0, 2.0), (11, 40.0, 9.0))]
    sizes = [f"{len(values)} networks" for values, in cases]

    def build(values: Callable, center: Callable, spread: Callable, divisor: Callable, z: Callable,
              order: Callable) -> Callable:
        def interval(given: np.ndarray) -> Any:
            x = values(given)
            mean, half = center(x), z(len(x)) * spread(x) / divisor(len(x))
            return order(mean, half, x)

        return interval

    single = "This is where single networks lie; their mean is known better, by the square root of their number."
    sample = "The standard deviation of a sample divides by k - 1: ask numpy for ddof=1."
    three = "Three numbers are wanted, mean, low and high, in this order."
    all_values = "All values count: none is left out, and each as often as it comes."
    t_values = {2: 12.706205, 7: 2.446912, 20: 2.093024, 50: 2.009575, 11: 2.228139}
    examine(f, "mean_interval(values)", cases, sizes, build, {
        "values": lambda x: x, "center": np.mean, "spread": lambda x: x.std(ddof=1), "divisor": np.sqrt,
        "z": lambda k: 1.96, "order": lambda m, h, x: (m, m - h, m + h),
    }, [
        Wrong("divisor", single, lambda k: 1), Wrong("spread", sample, lambda x: x.std()),
        Wrong("divisor", "The spread is divided by k, not by its square root.", lambda k: k),
        Wrong("z", "The half width is one standard error: 95% takes 1.96 of them.", lambda k: 1),
        Wrong("z", "The half width is 1.96 standard errors, not 2.", lambda k: 2),
        Wrong("z", "1.645 standard errors make a 90% interval: 95% takes 1.96.", lambda k: 1.645),
        Wrong("z", "2.576 standard errors make a 99% interval: 95% takes 1.96.", lambda k: 2.576),
        Wrong("z", "3 standard errors make a 99.7% interval: 95% takes 1.96.", lambda k: 3),
        Wrong("z", "0.95 is the share inside: the interval takes 1.96 standard errors.", lambda k: 0.95),
        Wrong("z", "The half width is doubled: 1.96 standard errors to each side.", lambda k: 3.92),
        Wrong("z", "The half width is halved: 1.96 standard errors to each side.", lambda k: 0.98),
        Wrong("z", "This takes Student's t: the exercise asks for 1.96 standard errors.", lambda k: t_values[k]),
        Wrong("spread", "This is the variance: take its square root, the standard deviation.", lambda x: x.var(ddof=1)),
        Wrong("spread", "This is the variance: take its square root, the standard deviation, with ddof=1.",
              lambda x: x.var()),
        Wrong("spread", "A square root too many is taken of the standard deviation.", lambda x: np.sqrt(x.std(ddof=1))),
        Wrong("spread", "This divides by k - 2: ask numpy for ddof=1.", lambda x: x.std(ddof=2)),
        Wrong("spread", "This is the range: take the standard deviation.", np.ptp),
        Wrong("spread", "This is the mean distance from the mean: take the standard deviation.",
              lambda x: np.abs(x - x.mean()).mean()),
        Wrong("spread", "This is the distance between quartiles: take the standard deviation.",
              lambda x: np.subtract(*np.percentile(x, [75, 25]))),
        Wrong("spread", "This is the mean: take the standard deviation.", np.mean),
        Wrong("divisor", "Divided by the square root of k - 1: with ddof=1 it is the square root of k.",
              lambda k: np.sqrt(k - 1)),
        Wrong("divisor", "Divided by k - 1: it is the square root of k.", lambda k: k - 1),
        Wrong("divisor", "This multiplies by the square root of k: divide by it.", lambda k: 1 / np.sqrt(k)),
        *(Wrong("divisor", "The number of networks is written out: it is len(values).", lambda k, n=n: np.sqrt(n))
          for n in (20, 10, 5, 100)),
        Wrong("order", single, lambda m, h, x: (m, *np.percentile(x, [2.5, 97.5]))),
        Wrong("order", single, lambda m, h, x: (m, *np.percentile(x, [5, 95]))),
        Wrong("order", single, lambda m, h, x: (m, *np.percentile(x, [25, 75]))),
        Wrong("order", single, lambda m, h, x: (m, x.min(), x.max())),
        Wrong("center", "This is the median: take the mean.", np.median),
        Wrong("order", "This is the median: take the mean.", lambda m, h, x: (np.median(x), m - h, m + h)),
        Wrong("center", "This is one of the values, or their sum: take the mean.", lambda x: x[0]),
        Wrong("center", "This is one of the values, or their sum: take the mean.", np.sum),
        Wrong("center", "This is the middle of the range: take the mean.", lambda x: (x.min() + x.max()) / 2),
        *(Wrong("order", f"{three} Yours come in another order.", order) for order in (
            lambda m, h, x: (m - h, m, m + h), lambda m, h, x: (m, m + h, m - h), lambda m, h, x: (m + h, m, m - h),
            lambda m, h, x: (m - h, m + h, m))),
        *(Wrong("order", f"{three} Yours are less, or more.", order) for order in (
            lambda m, h, x: (m - h, m + h), lambda m, h, x: (m, h), lambda m, h, x: m, lambda m, h,
            x: (m, m - h, m + h, h),
            lambda m, h, x: (m, m - h), lambda m, h, x: (m, m + h), lambda m, h, x: (m, m - h, m + h, len(x)))),
        *(Wrong("order", f"{three} Here half widths stand in place of the ends.", order) for order in (
            lambda m, h, x: (m, h, h), lambda m, h, x: (m, -h, h), lambda m, h, x: (m, h, 2 * h))),
        Wrong("order", "The upper end is the mean: add the half width.", lambda m, h, x: (m, m - h, m)),
        Wrong("order", "The lower end is the mean: take the half width off.", lambda m, h, x: (m, m, m + h)),
        Wrong("order", "The ends are cut to [0, 1]: let them show.", lambda m, h, x: (m, max(m - h, 0), min(m + h, 1))),
        Wrong("order", "The upper end is cut at 1: let it show.", lambda m, h, x: (m, m - h, min(m + h, 1))),
        Wrong("order", "The lower end is cut at 0: let it show.", lambda m, h, x: (m, max(m - h, 0), m + h)),
        *(Wrong("order", "The width is a share of the mean: take it from the spread of the values.",
                lambda m, h, x, s=s: (m, m * (1 - s), m * (1 + s))) for s in (0.05, 0.025, 0.95)),
        *(Wrong("values", all_values, change) for change in (lambda x: x[:-1], lambda x: x[1:], np.unique,
                                                             lambda x: np.sort(x)[1:-1], lambda x: x[:5])),
        Wrong("values", "The values are rounded first: take them as they are.", lambda x: x.round(1)),
        Wrong("values", "The values are cut to [0, 1] first: take them as they are.", lambda x: x.clip(0, 1)),
        Wrong("values", "The absolute values are taken first: take the values as they are.", np.abs),
    ], ignored=((0, rng.normal(size=7)),), also=lambda gots: _say_interval(gots, cases))
    return "Passed: the mean and its interval are right for 2 to 50 networks."


def _say_interval(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Which of the three numbers of 6.1 are off."""
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
    uneven = [abs(got[0] - got[1] - (got[2] - got[0])) > 1e-3 * np.ptp(got) for got in gots]
    require(not any(uneven), "Low and high are not equally far from the mean: mean ± 1.96 standard errors is. Do "
            "percentiles or resampling stand in for it?")


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

    def build(pick: Callable, reported: Callable, again: Callable, mean: Callable, order: Callable) -> Callable:
        def best_of_many(first: np.ndarray, rest: np.ndarray) -> Any:
            i = pick(first, rest)
            return order(reported(first, rest, i), again(first, rest, i), mean(first, rest, i), i)

        return best_of_many

    three = "Three numbers are wanted: the best score, the same network's on the rest, the mean on the rest."
    chosen_again = "The network is chosen a second time, by the rest: held-out pairs must have no say in the choice."
    examine(f, "best_of_many(first, rest)", cases, sizes, build, {
        "pick": lambda a, b: a.argmax(), "reported": lambda a, b, i: a[i], "again": lambda a, b, i: b[i],
        "mean": lambda a, b, i: b.mean(), "order": lambda r, g, m, i: (r, g, m),
    }, [
        Wrong("again", chosen_again, lambda a, b, i: b.max()),
        Wrong("pick", "The network is chosen by the rest: it is the first pairs on which the best one is found.",
              lambda a, b: b.argmax()),
        Wrong("pick", "The network is chosen by both scores: the rest must have no say in the choice.",
              lambda a, b: (a + b).argmax()),
        Wrong("pick", "This is the worst network: more is better.", lambda a, b: a.argmin()),
        Wrong("pick", "This is the first network, not the best.", lambda a, b: 0),
        Wrong("pick", "This is the last network, not the best.", lambda a, b: -1),
        Wrong("pick", "This is the second best network.", lambda a, b: np.argsort(a)[-2]),
        Wrong("pick", "This is the network in the middle of the ranking, not the best.",
              lambda a, b: np.argsort(a)[len(a) // 2]),
        Wrong("pick", "argsort ranks from the worst on: the best network comes last.", lambda a, b: np.argsort(a)[0]),
        Wrong("again", "The second number is the best one's score on the first pairs again: take it from the rest.",
              lambda a, b, i: a[i]),
        Wrong("again", "The second number is the mean of the first pairs: take the chosen network's score on the rest.",
              lambda a, b, i: a.mean()),
        Wrong("again", "The second number is a mean over networks: take the chosen one's score.",
              lambda a, b, i: b.mean()),
        Wrong("again", "The second number is a mean over both sets of pairs: the rest alone is held out.",
              lambda a, b, i: (a[i] + b[i]) / 2),
        Wrong("reported", "The first number comes from the rest: whoever cherry-picks reports the first pairs.",
              lambda a, b, i: b[i]),
        Wrong("reported", "The first number is a mean: whoever cherry-picks reports the best.",
              lambda a, b, i: a.mean()),
        Wrong("mean", "The mean is taken over the first pairs: take it over the rest.", lambda a, b, i: a.mean()),
        Wrong("mean", "The mean leaves the chosen network out: all of them count.",
              lambda a, b, i: np.delete(b, i).mean()),
        Wrong("mean", "The mean is taken over both sets of pairs: take it over the rest.",
              lambda a, b, i: (a.mean() + b.mean()) / 2),
        Wrong("mean", "This is the median: take the mean.", lambda a, b, i: np.median(b)),
        Wrong("mean", "This is a sum: take the mean.", lambda a, b, i: b.sum()),
        Wrong("mean", "The third number is the greatest of the rest: take the mean.", lambda a, b, i: b.max()),
        Wrong("order", f"{three} Here a position stands among them.", lambda r, g, m, i: (i, g, m)),
        Wrong("order", f"{three} Here a position stands among them.", lambda r, g, m, i: (r, i, m)),
        *(Wrong("order", f"{three} Yours come in another order.", order) for order in (
            lambda r, g, m, i: (r, m, g), lambda r, g, m, i: (g, r, m), lambda r, g, m, i: (m, r, g),
            lambda r, g, m, i: (m, g, r), lambda r, g, m, i: (g, m, r))),
        *(Wrong("order", f"{three} Yours are less, or more.", order) for order in (
            lambda r, g, m, i: (r, g), lambda r, g, m, i: (r, m), lambda r, g, m, i: r, lambda r, g, m, i: (g, m),
            lambda r, g, m, i: (i, r, g, m), lambda r, g, m, i: (r, g, m, i))),
        Wrong("order", f"{three} Here differences stand in their place.", lambda r, g, m, i: (r, r - g, r - m)),
    ], ignored=((0, np.linspace(0, 1, 20)), (1, np.linspace(0, 1, 20))))
    return "Passed: of 2 to 50 networks, the best one's score on both sets, and the mean."
