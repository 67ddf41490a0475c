"""Checks of the exercises in notebook 6: each tries a learner's function and names the likely mistake."""
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.files import Watched, broken_off
from utils.checks.tools.running import Learner, refuse
from utils.checks.tools.variants import Wrong, examine


def check_mean_interval(f: Callable) -> str:
    """Exercise 6.1: ``f(values (k,))`` gives the mean over k networks and the ends of its 95% interval."""
    rng = np.random.default_rng(0)
    cases = [(rng.exponential(spread, size=k) + center,) for k, center, spread in
             ((7, 0.5, 0.2), (20, 0.6, 0.3), (2, 0.9, 0.2), (50, -1.0, 2.0), (11, 40.0, 9.0))]
    sizes = [f"{len(values)} networks" for values, in cases]

    def build(values: Callable, center: Callable, spread: Callable, divisor: Callable, z: Callable, order: Callable) -> Callable:
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
        Wrong("spread", "This is the variance: take its square root, the standard deviation, with ddof=1.", lambda x: x.var()),
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
            lambda m, h, x: (m - h, m + h), lambda m, h, x: (m, h), lambda m, h, x: m, lambda m, h, x: (m, m - h, m + h, h),
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
    ], ignored=((0, rng.normal(size=7)),), also=_say_interval)
    return "Passed: the mean and its interval are right for 2 to 50 networks."


def _say_interval(gots: list[np.ndarray]) -> None:
    """Which of the three numbers of 6.1 are off."""
    for got in gots:
        require(got.shape == (3,), f"Three numbers are wanted, mean, low and high: yours has shape {got.shape}.")
        require(got[1] <= got[0] + 1e-9 and got[0] <= got[2] + 1e-9, f"The mean lies between low and high: with yours, mean "
                f"{got[0]:.3f}, low {got[1]:.3f} and high {got[2]:.3f}, it does not.")
    uneven = [abs(got[0] - got[1] - (got[2] - got[0])) > 1e-3 * np.ptp(got) for got in gots]
    require(not any(uneven), "Low and high are not equally far from the mean: mean ± 1.96 standard errors is. Do "
            "percentiles or resampling stand in for it?")


def check_pareto_front(f: Callable) -> str:
    """Exercise 6.2: ``f(first (n,), second (n,))`` tells (n,) which points no other point beats."""
    rng = np.random.default_rng(1)
    grids = [(rng.integers(0, m, n) / m, rng.integers(0, m, n) / m - shift) for n, m, shift in
             ((9, 4, 0), (16, 5, 0.5), (12, 6, 2), (25, 7, 0))]
    spread = rng.uniform(0.3, 0.9, size=30)
    fine = spread + rng.uniform(0, 0.01, 30), 1 / spread + rng.uniform(0, 0.01, 30)  # a hollow front
    ends = np.array([0.7, 0.2, 0.5, 0.1, 0.6]), np.array([0.4, 0.3, 0.2, 0.6, 0.7])  # first and last beat another
    cases = [*grids, fine, ends, tuple(x[::-1].copy() for x in ends), (np.array([0.3, 0.3]), np.array([0.5, 0.5])), (np.array([0.4]), np.array([-0.2]))]
    sizes = ["9 points", "16 points, some scores below 0", "12 points, scores below 0", "25 points", "30 points of a "
             "hollow front", "5 points of which the last beats others", "5 points of which the first beats others", "two points that are "
             "alike", "one point"]

    def build(first: Callable, second: Callable, both: Callable, better: Callable, final: Callable, whole: Any) -> Callable:
        def front(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            if whole is not None:
                return whole(a, b)
            a, b = first(a), second(b)
            x, y = a[:, None], b[:, None]
            return final(both(a >= x, b >= y) & better(a > x, b > y))

        return front

    low = "Low values win here: more is better in both."
    alone = "Both scores count: a point is beaten by one that is at least as good in both."
    most = "Only the best in one sense are kept: those between them may be unbeaten too."
    alike_ = "Of two points that are alike, neither beats the other: both stay."
    runs = "Each point is compared with its neighbors, or with some others: compare it with all."

    def sums(weight: float) -> Callable:
        return lambda a, b: (s := weight * a + (1 - weight) * b) >= s.max() - 1e-12

    def hull(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.any([sums(w)(a, b) for w in np.linspace(0, 1, 201)], axis=0)

    def first_alike(a: np.ndarray, b: np.ndarray, step: int = 1) -> np.ndarray:
        points = list(zip(a.tolist(), b.tolist()))[::step]
        kept = [p not in points[:i] for i, p in enumerate(points)][::step]
        return build(**right)(a, b) & np.array(kept)

    def running(a: np.ndarray, b: np.ndarray, strict: bool = True) -> np.ndarray:
        keep, best = np.zeros(len(a), dtype=bool), -np.inf
        for i in np.argsort(-a, kind="stable"):
            keep[i], best = (b[i] > best if strict else b[i] >= best), max(best, b[i])
        return keep

    right: dict[str, Any] = {"first": lambda x: x, "second": lambda x: x, "both": np.logical_and, "better": np.logical_or,
                             "final": lambda beats: ~beats.any(axis=1), "whole": None}
    examine(f, "pareto_front(first, second)", cases, sizes, build, right, [
        Wrong("whole", "All points are kept, or none: compare each with all others.", lambda a, b: np.ones(len(a))),
        Wrong("whole", "No point is left: to beat takes one strict inequality, and a point does not beat itself.", lambda a, b: np.zeros(len(a))),
        Wrong("final", "It is the other way round: these are the points that are beaten.", lambda x: x.any(axis=1)),
        Wrong("better", "A point as good in one and better in the other beats it too: ask for one strict inequality, not for "
              "two.", np.logical_and),
        Wrong("better", "Each point is beaten by itself here, so that none is left: to beat takes one strict inequality.",
              lambda p, q: np.ones_like(p)),
        Wrong("better", "Only the first score decides who is better: one of the two is enough.", lambda p, q: p),
        Wrong("better", "Only the second score decides who is better: one of the two is enough.", lambda p, q: q),
        Wrong("better", "Better in both at once does not beat here: use | in place of ^.", np.logical_xor),
        Wrong("both", "At least as good in one is not enough to beat: it takes both.", np.logical_or),
        Wrong("both", alone, lambda p, q: p), Wrong("both", alone, lambda p, q: q),
        Wrong("final", "Rows and columns are exchanged: these are the points that beat no other.", lambda x: ~x.any(axis=0)),
        Wrong("final", "These are the points that beat another.", lambda x: x.any(axis=0)),
        Wrong("final", "A point beaten by one other is out: use any in place of all.", lambda x: ~x.all(axis=1)),
        Wrong("final", "A point beaten by one other is out: yours bears one or two.", lambda x: x.sum(axis=1) < 2),
        Wrong("final", "A point beaten by one other is out: yours bears one or two.", lambda x: x.sum(axis=1) < 3),
        Wrong("final", "This is the table of all with all: ask for each row whether any is True.", lambda x: ~x),
        Wrong("final", "This is the table of all with all: ask for each row whether any is True.", lambda x: x),
        Wrong("final", "This is the number of points that beat it: True where there is none.", lambda x: x.sum(axis=1)),
        Wrong("final", "This counts the front: return True or False for each point.", lambda x: (~x.any(axis=1)).sum()),
        Wrong("final", runs, lambda x: ~x[:, :-1].any(axis=1)), Wrong("final", runs, lambda x: ~x[:, 1:].any(axis=1)),
        Wrong("final", runs, lambda x: ~np.tril(x).any(axis=1)), Wrong("final", runs, lambda x: ~np.triu(x).any(axis=1)),
        Wrong("final", runs, lambda x: ~(np.diag(x, 1).tolist() + [False] | np.r_[False, np.diag(x, -1)])),
        Wrong("final", "Neither beaten nor beating is asked here: a point of the front may beat others.",
              lambda x: ~x.any(axis=1) & ~x.any(axis=0)),
        Wrong("first", f"{low} It is the first that is turned round.", lambda x: -x),
        Wrong("second", f"{low} It is the second that is turned round.", lambda x: -x),
        Wrong("whole", low, lambda a, b: build(**right)(-a, -b)),
        Wrong("first", "Scores are rounded first: compare them as they are.", lambda x: x.round(1)),
        Wrong("whole", "Scores are rounded first: compare them as they are.",
              lambda a, b: build(**right)(a.round(1), b.round(1))),
        Wrong("whole", "Scores are rounded first: compare them as they are.",
              lambda a, b: build(**right)(a.round(2), b.round(2))),
        Wrong("whole", alone, lambda a, b: build(**right)(a, a)), Wrong("whole", alone, lambda a, b: build(**right)(b, b)),
        Wrong("whole", alone, lambda a, b: a == a.max()), Wrong("whole", alone, lambda a, b: b == b.max()),
        Wrong("whole", most, lambda a, b: (a == a.max()) | (b == b.max())),
        Wrong("whole", most, lambda a, b: (a == a.max()) & (b == b.max())),
        *(Wrong("whole", most, sums(w)) for w in (0.5, 0.3, 0.7)), Wrong("whole", most, lambda a, b: a * b == (a * b).max()),
        Wrong("whole", "Only the hull is kept, what wins for some weights of the two: a hollow front has more points.", hull),
        Wrong("whole", "Points that are good enough in both are kept: compare each with all others.",
              lambda a, b: (a >= a.mean()) & (b >= b.mean())),
        Wrong("whole", "Points that are good enough in both are kept: compare each with all others.",
              lambda a, b: (a > a.mean()) & (b > b.mean())),
        Wrong("whole", "Points that are good enough in both are kept: compare each with all others.",
              lambda a, b: (a >= np.median(a)) & (b >= np.median(b))),
        Wrong("whole", "Points that are good enough in one are kept: compare each with all others.",
              lambda a, b: (a >= np.median(a)) | (b >= np.median(b))),
        Wrong("whole", alike_, lambda a, b: ((a >= a[:, None]) & (b >= b[:, None])).sum(axis=1) == 1),
        Wrong("whole", alike_, first_alike), Wrong("whole", alike_, lambda a, b: first_alike(a, b, -1)), Wrong("whole", alike_,
                                                                                                        running),
        Wrong("whole", "Of points that are alike in the first score, those worse in the second are beaten.",
              lambda a, b: running(a, b, strict=False)),
        Wrong("whole", runs, lambda a, b: b >= np.maximum.accumulate(b)),
        Wrong("whole", runs, lambda a, b: b >= np.maximum.accumulate(b[::-1])[::-1]),
        Wrong("whole", "The points are sorted first: the answers belong to their order as they come.",
              lambda a, b: build(**right)(a[(o := np.argsort(a))], b[o])),
        Wrong("whole", "The points are sorted first: the answers belong to their order as they come.",
              lambda a, b: build(**right)(a[(o := np.argsort(-a))], b[o])),
        Wrong("whole", "The points are sorted first: the answers belong to their order as they come.",
              lambda a, b: build(**right)(np.sort(a), np.sort(b))),
        Wrong("whole", "These are the points of the front: return True or False for each point.",
              lambda a, b: np.stack([a, b], axis=1)[build(**right)(a, b)]),
    ], hints={"out of range|out of bounds": "There may be any number of points, one among them.",
              "no attribute": "first and second are numpy arrays."},
        ignored=((0, np.linspace(0, 1, 9)), (1, np.linspace(0, 1, 9))), also=lambda gots: _say_points(gots, cases),
        most=2)
    for case in cases[:1]:
        got = np.asarray(Learner(f, "pareto_front(first, second)")(*case))
        require(got.dtype == bool, f"The points are the right ones, but of type {got.dtype}: return bools. As an index, 0 "
                "and 1 mean the first and the second point.")
    return "Passed: in nine sets of points, those that no other beats are found."


def _say_points(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """One point that 6.2 keeps or drops wrongly, and why."""
    for got, (a, b) in zip(gots, cases):
        if got.shape != a.shape:
            return
        require(set(np.unique(got)) <= {0, 1}, "These are other numbers than True and False: say for each point whether it is "
                "on the front.")
        for i, (x, y) in enumerate(zip(a, b)):
            beats = [j for j in range(len(a)) if a[j] >= x and b[j] >= y and (a[j] > x or b[j] > y)]
            point = f"({x:.3g}, {y:.3g})"
            if beats and got[i]:
                p, q = a[beats[0]], b[beats[0]]
                how = "better in both" if p > x and q > y else "as good in one and better in the other"
                refuse(f"{point} is kept, but ({p:.3g}, {q:.3g}), another of {len(a)} points, is {how}.")
            if not beats and not got[i]:
                twin = ((a == x) & (b == y)).sum() > 1
                refuse(f"{point} is dropped, but no other of the {len(a)} points beats it"
                       + (": its double is as good, and none is better." if twin else
                          ": none is at least as good in both and better in one."))


def check_write_whole(f: Callable) -> str:
    """Exercise 6.3: ``f(path, parts)`` writes the joined parts to path: whole, or not at all."""
    learner = Learner(f, "write_whole(path, parts)", {
        "FileExistsError": "What an interrupted call left behind is in the way: open the other file with \"w\".",
        "FileNotFoundError": "Is it written before it is renamed, and is each file named as before?",
        "bytes-like": "The parts are text: open the file with \"w\".", "PosixPath|WindowsPath|Path'": "path is a "
        "pathlib.Path: path.with_suffix(\".part\"), path.parent / name.", "closed file": "Write before the with block ends.",
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
