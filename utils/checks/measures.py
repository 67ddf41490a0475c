"""Checks of the exercises in notebook 5: each tries a learner's function and names the likely mistake."""
import functools
from collections.abc import Callable

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.contents import say_pairs
from utils.checks.tools.probing import FITS, WRONG_FITS, fitted, say_probe
from utils.checks.tools.running import Learner
from utils.checks.tools.scores import SCALE, SCALES, scaled
from utils.checks.tools.variants import Wrong, alike, as_numbers, examine
from utils.data_utils import COEFFICIENTS, THRESHOLD


def check_normalized_iia(f: Callable) -> str:
    """Exercise 5.1: ``f(iia, baselines, ceiling)`` scales iia so that the best baseline is 0 and the ceiling 1."""
    cases = [(0.9, [0.61, 0.72, 0.5, 0.55], 0.97), (0.55, [0.5, 0.64, 0.81], 0.94), (0.985, [0.7, 0.3], 0.96),
             (0.4, [0.25], 0.9), (0.8, [0.58, 0.52, 0.6, 0.51, 0.66, 0.75], 1.0), (0.66, [0.66, 0.5, 0.66], 0.99),
             (0.2, [-0.1, -0.3, -0.2], 0.8)]
    sizes = ["four baselines and iia between", "iia below the best baseline", "iia above the ceiling", "one baseline",
             "six baselines", "iia at the best baseline", "baselines below 0"]
    examine(f, "normalized_iia(iia, baselines, ceiling)", cases, sizes, scaled, SCALE, SCALES,
            hints={"'float' and 'list'|'list' and 'float'": "`baselines` is a list: take its best, max(baselines).",
                   "unpack": "There may be more baselines, or fewer: max(baselines) takes the best of any number.",
                   "out of range": "There may be one baseline alone."},
            ignored=((0, 0.8), (1, [0.3, 0.5]), (2, 0.93)), also=lambda gots: _say_ends(f),
            allowed=lambda got, right: alike(got, right, 1e-5))
    return "Passed: the best of one to six baselines is 0 and the ceiling is 1, below and above them too."


def _say_ends(f: Callable) -> None:
    """Where a scale of 5.1 does not begin with 0 at the best baseline, and end with 1 at the ceiling."""
    scale = Learner(f, "normalized_iia(iia, baselines, ceiling)")
    for iia, name, wanted in ((0.7, "best baseline", 0), (0.95, "ceiling", 1), (0.825, "middle between both", 0.5)):
        got = as_numbers(scale(iia, [0.6, 0.7], 0.95))
        require(got.shape != () or alike(got, wanted), f"With iia at the {name} your result is {np.round(got, 3)}, and "
                                                       f"should be {wanted}: (iia - best baseline) / (ceiling - best "
                                                       "baseline).")


def check_flip_point(f: Callable) -> str:
    """Exercise 5.3: ``f(z_base (n, 3), variable)`` gives the variable's value (n,) at which the answer flips."""
    a = COEFFICIENTS[0]
    drawn = np.random.default_rng(0)
    cases = [(drawn.uniform(size=(n, 3)), variable) for n, variable in ((20, 0), (7, 1), (3, 2), (1, 0), (12, 2))]
    sizes = [f"{len(z)} rows and variable {v}" for z, v in cases]

    def rest(z: np.ndarray, v: int) -> np.ndarray:
        return a * (z.sum(axis=1) - z[:, v])

    def build(rest: Callable, threshold: float, divisor: float, whole: Callable) -> Callable:
        return lambda z, v: whole(threshold, rest(z, v), divisor)

    def solved(t: float, r: np.ndarray, c: float) -> np.ndarray:
        return (t - r) / c

    itself = "The variable itself is counted in the rest: leave it out."
    one = "Only one of the other variables is counted in the rest: both are."
    bare = "The coefficients are missing in the rest: the other variables count 0.4 times each."
    shape = "The rest is the sum over the variables of one row: z_base.sum(axis=1), less its column `variable`."
    order = "Parentheses are missing: the threshold minus the rest, and all of it divided by 0.4."
    examine(f, "flip_point(z_base, variable)", cases, sizes, build,
            {"rest": rest, "threshold": THRESHOLD, "divisor": a, "whole": solved}, [
        Wrong("rest", itself, lambda z, v: a * z.sum(axis=1)), Wrong("rest", bare, lambda z, v: rest(z, v) / a),
        Wrong("divisor", "This is the weighted product at the threshold: divide by the variable's coefficient.", 1),
        Wrong("whole", "The sign is wrong: it is the threshold minus the rest.", lambda t, r, c: (r - t) / c),
        Wrong("whole", order, lambda t, r, c: t - r / c), Wrong("whole", order, lambda t, r, c: t / c - r),
        Wrong("whole", order, lambda t, r, c: r / c - t), Wrong("whole", "The coefficient is multiplied: divide by it.",
                                                               lambda t, r, c: (t - r) * c),
        Wrong("whole", "The threshold is missing: it is 0.6 minus the rest.", lambda t, r, c: r / c),
        Wrong("whole", "The threshold is missing: it is 0.6 minus the rest.", lambda t, r, c: -r / c),
        Wrong("whole", "The rest is added: take it off the threshold.", lambda t, r, c: (t + r) / c),
        Wrong("whole", "The line is upside down: divide by the coefficient.", lambda t, r, c: c / (t - r)),
        Wrong("whole", "This is the rest: at which value does the sum reach 0.6?", lambda t, r, c: r),
        Wrong("whole", "This is an answer, not a value: solve for the variable.", lambda t, r, c: r > t),
        Wrong("whole", "The rest is not asked: it is 0.6 minus the rest.", lambda t, r, c: np.full(len(r), t / c)),
        *(Wrong("threshold", f"The threshold is {THRESHOLD}, not {t}.", t) for t in (0.5, 1.0, 0.4, 1.5, 0.0, 0.3)),
        *(Wrong("divisor", "Divide by the coefficient of the variable, 0.4.", c) for c in (0.6, 1.2, 3, 0.8, 0.2, 2,
                                                                                           0.5)),
        *(Wrong("rest", one, lambda z, v, i=i: a * z[:, (v + i) % 3]) for i in (1, 2)),
        *(Wrong("rest", one, lambda z, v, i=i: a * z[:, [j for j in range(3) if j != v][i]]) for i in (0, 1)),
        *(Wrong("rest", "The variable is written out: leave out the column `variable`.",
                lambda z, v, i=i: rest(z, i)) for i in range(3)),
        *(Wrong("rest", "Another variable than `variable` is left out of the rest.", lambda z, v,
                i=i: rest(z, (v + i) % 3))
          for i in (1, 2)),
        Wrong("rest", "This counts the variable alone: the rest is all but it.", lambda z, v: a * z[:, v]),
        Wrong("rest", "This is the mean of the other variables: take their weighted sum.", lambda z, v: rest(z, v) / 2),
        Wrong("rest", "This is the mean of the other variables: take their weighted sum.", lambda z,
              v: rest(z, v) / 2 / a),
        Wrong("rest", "This is the product of the other variables: take their weighted sum.",
              lambda z, v: np.delete(z, v, axis=1).prod(axis=1) * a),
        Wrong("rest", "This is the larger of the other variables: take their weighted sum.",
              lambda z, v: np.delete(z, v, axis=1).max(axis=1) * a),
        Wrong("rest", "The variable is taken off twice, or without its coefficient.", lambda z,
              v: a * z.sum(1) - z[:, v]),
        Wrong("rest", "The variable is taken off twice, or without its coefficient.",
              lambda z, v: a * (z.sum(1) - 2 * z[:, v])),
        Wrong("rest", shape, lambda z, v: a * (z.sum() - z[:, v])), Wrong("rest", shape, lambda z, v: rest(z[:1], v)),
        Wrong("rest", shape, lambda z, v: a * (z.sum(axis=0) - z[:, v])),
        Wrong("rest", shape, lambda z, v: a * (z.sum(axis=1) - z[v])), Wrong("rest", shape, lambda z, v: rest(z.T, v)),
        Wrong("rest", shape, lambda z, v: a * (z.sum(axis=1) - z[:, v].sum())),
    ], hints={"broadcast|match the size": shape}, ignored=((1, 1),), also=lambda gots: _say_slopes(gots, cases))
    return "Passed: for each of the three variables the causal model flips at these values."


def _say_slopes(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """What the results of 5.3 rise by with each variable, where they are a weighted sum of them."""
    z, variable = cases[0]
    difference = (THRESHOLD - COEFFICIENTS[0] * (z.sum(axis=1) - z[:, variable])) / COEFFICIENTS[0] - z[:, variable]
    require(not alike(gots[0], difference), "From the value the base's own is taken off: return the value itself.")
    if gots[0].shape != (len(z),) or not np.isfinite(gots[0]).all():
        return
    changed = z.copy()
    changed[:, variable] = gots[0]
    sums = COEFFICIENTS[0] * changed.sum(axis=1)
    row = int(np.abs(sums - THRESHOLD).argmax())
    design = np.column_stack([z, np.ones(len(z))])
    slopes = np.linalg.lstsq(design, gots[0], rcond=None)[0]
    require(not np.allclose(design @ slopes, gots[0], atol=1e-6), "Your result is a weighted sum of the variables, "
            "but not the right one: for variable 0 it is "
            f"{' + '.join(f'{round(s, 4):.3g} z{i}' for i, s in enumerate(slopes[:3]))} + {slopes[3]:.3g}. Solve 0.4 "
            "z0 + 0.4 z1 + 0.4 z2 = 0.6 for z0.")
    require(alike(sums[row], THRESHOLD), f"With your {gots[0][row]:.3f} in place of variable {variable}, the weighted "
                                         f"sum of the row {z[row].round(3).tolist()} is {sums[row]:.3f}, not "
                                         f"{THRESHOLD}.")


def check_isolating(f: Callable) -> str:
    """Exercise 5.2: ``f(z_base, z_source, variable, tolerance, distance)`` tells (n,) which pairs agree on it alone."""
    rng = np.random.default_rng(0)  # labels of sixteenths, so that differences reach the bounds exactly
    cases = [(*rng.integers(17, size=(2, n, 3)) / 16, variable, tolerance / 16, distance / 16)
             for n, variable, tolerance, distance in ((300, 0, 2, 5), (250, 1, 1, 8), (200, 2, 4, 3), (400, 1, 0, 6))]
    steps = np.array([[0.1, 0.3, 0.3]]) + rng.choice([-0.004, 0.004], size=(90, 3))  # close to the bounds
    base = rng.uniform(0.45, 0.55, size=(90, 3))
    cases.append((base, base + steps * rng.choice([-1, 1], size=(90, 3)), 0, 0.1, 0.3))
    sizes = [f"variable {v}, tolerance {t:.4g} and distance {d:.4g}" for _, _, v, t, d in cases]

    def build(column: Callable, change: Callable, size: Callable, far_size: Callable, near: Callable, far: Callable,
              join: Callable, final: Callable) -> Callable:
        def isolating(base: np.ndarray, source: np.ndarray, v: int, t: float, d: float) -> np.ndarray:
            v, difference = column(v), change(base, source)
            return final(near(size(difference[:, v]), t, d), join(far_size(np.delete(difference, v, axis=1)), far, t,
                                                                  d))

        return isolating

    def all_far(x: np.ndarray, far: Callable, t: float, d: float) -> np.ndarray:
        return far(x, t, d).all(axis=1)

    each = "One other variable that differs is not enough: each of them must, so use all in place of any."
    sign = "The absolute value is forgotten: a difference can be negative."
    one = "Only one of the other variables is asked: each must differ by `distance` or more."
    taken = "The other variables are taken together (a sum, a mean, a length): each must differ for itself."
    swapped = ("Tolerance and distance are exchanged: within `tolerance` in the variable, `distance` apart in the "
               "others.")
    column = "Another column than `variable` is taken for the variable."
    tables = "The pairs in rows are wanted, (n,): use .all(axis=1) over the other variables."
    examine(f, "isolating(z_base, z_source, variable, tolerance, distance)", cases, sizes, build, {
        "column": lambda v: v, "change": lambda b, s: s - b, "size": np.abs, "far_size": np.abs,
        "near": lambda x, t, d: x <= t, "far": lambda x, t, d: x >= d, "join": all_far, "final": lambda a, b: a & b,
    }, [
        Wrong("join", each, lambda x, far, t, d: far(x, t, d).any(axis=1)), Wrong("size", sign, lambda x: x),
        Wrong("far_size", sign, lambda x: x), Wrong("size", sign, lambda x: -x), Wrong("far_size", sign, lambda x: -x),
        Wrong("final", "The other variables are not asked: they must differ by `distance` or more.", lambda a, b: a),
        Wrong("final", "The agreement on the variable is not asked: it must be within `tolerance`.", lambda a, b: b),
        Wrong("final", "One of the two conditions is enough here: both must hold, so use & in place of |.",
              lambda a, b: a | b),
        Wrong("final", "It is the other way round: the pairs agree on the variable and differ in the others.",
              lambda a, b: ~(a & b)),
        Wrong("near", "At most `tolerance` takes in the tolerance itself: use <= in place of <.", lambda x, t,
              d: x < t),
        Wrong("far", "At least `distance` takes in the distance itself: use >= in place of >.", lambda x, t, d: x > d),
        Wrong("near", "It is the other way round in the variable: there the pairs agree.", lambda x, t, d: x >= t),
        Wrong("near", "It is the other way round in the variable: there the pairs agree.", lambda x, t, d: x > t),
        Wrong("far", "It is the other way round in the others: there the pairs differ.", lambda x, t, d: x <= d),
        Wrong("far", "It is the other way round in the others: there the pairs differ.", lambda x, t, d: x < d),
        Wrong("far", "The others are held to `tolerance`: they must differ by `distance` or more.", lambda x, t,
              d: x > t),
        Wrong("far", "The others are held to `tolerance`: they must differ by `distance` or more.", lambda x, t,
              d: x >= t),
        Wrong("near", swapped, lambda x, t, d: x <= d), Wrong("far", swapped, lambda x, t, d: x <= t),
        Wrong("near", swapped, lambda x, t, d: x >= d),
        Wrong("near", "Equal to the bit is too much to ask: the difference is within `tolerance`.", lambda x, t,
              d: x == 0),
        *(Wrong("near", "The tolerance is written out: take the one that is passed.", lambda x, t, d, w=w: x <= w)
          for w in (0.05, 0.1, 0.2, 0.01)),
        *(Wrong("far", "The distance is written out: take the one that is passed.", lambda x, t, d, w=w: x >= w)
          for w in (0.2, 0.25, 0.3, 0.4, 0.5)),
        *(Wrong("join", one, lambda x, far, t, d, i=i: far(x, t, d)[:, i]) for i in (0, 1)),
        Wrong("join", "Exactly one other variable must differ here: each of them must.",
              lambda x, far, t, d: far(x, t, d).sum(axis=1) == 1),
        Wrong("join", "Not both of the others may differ here: each of them must.",
              lambda x, far, t, d: ~far(x, t, d).all(axis=1)),
        Wrong("join", "None of the others may differ here: each of them must.",
              lambda x, far, t, d: ~far(x, t, d).any(axis=1)),
        *(Wrong("join", taken, lambda x, far, t, d, g=g: far(g(x), t, d)) for g in (
            lambda x: x.sum(axis=1), lambda x: x.mean(axis=1), lambda x: np.linalg.norm(x, axis=1),
            lambda x: x.prod(axis=1),
            lambda x: np.abs(x[:, 0] - x[:, 1]), lambda x: x[:, 0] - x[:, 1], lambda x: (x**2).sum(axis=1))),
        Wrong("size", "The difference is squared, the tolerance is not.", np.square),
        Wrong("far_size", "The difference is squared, the distance is not.", np.square),
        *(Wrong("column", column, lambda v, i=i: (v + i) % 3) for i in (1, 2)),
        *(Wrong("column", "The variable is written out: take the one that is passed.", lambda v,
                i=i: i) for i in range(3)),
        Wrong("change", "Labels of one image alone are asked: take the difference between source and base.",
              lambda b, s: s),
        Wrong("change", "Labels of one image alone are asked: take the difference between source and base.",
              lambda b, s: b),
        Wrong("change", "Base and source are added: take their difference.", lambda b, s: s + b),
        Wrong("final", "This is True for each pair, or for none.", lambda a, b: np.ones(len(a))),
        Wrong("final", "This is True for each pair, or for none.", lambda a, b: np.zeros(len(a))),
        Wrong("join", tables, lambda x, far, t, d: far(x, t, d).all()), Wrong("join", tables,
                                                                             lambda x, far, t, d: far(x, t, d).any()),
        Wrong("final", tables, lambda a, b: (a & b)[:, None]), Wrong("final", tables, lambda a, b: (a & b).any()),
        Wrong("final", tables, lambda a, b: (a & b).all()),
    ], hints={"broadcast|match the size": tables}, ignored=((2, 1), (3, 4 / 16), (4, 10 / 16)),
        also=lambda gots: say_pairs(gots, cases))
    return "Passed: in five sets of pairs, those that isolate the variable are found, at the bounds too."


def check_probe_r2(f: Callable) -> str:
    """Exercise 5.4: ``f(coordinates (n, k), values (n,))`` fits the first half; gives R^2 on the second, a float."""
    rng = np.random.default_rng(0)
    cases, sizes = [], []
    for n, k, signal in ((24, 1, 0.3), (80, 30, 0.0), (200, 3, 1.0), (130, 6, 2.0), (300, 4, 0.1)):
        x, y = rng.normal(0.5, 1, size=(n, k)) * rng.uniform(0.5, 2, size=k), 2 + rng.normal(size=n)
        cases.append((x, y + signal * x @ (np.arange(k) % 3 + 1) / 2))
        sizes.append(f"{n} rows and {k} coordinates")

    fits: dict = {}
    build = functools.partial(fitted, fits)
    rights = [build(**FITS)(*case) for case in cases]

    def allowed(got: np.ndarray, expected: np.ndarray) -> bool:
        i = rights.index(expected)
        y, half = cases[i][1], len(cases[i][1]) // 2
        spread = y[half:].var() / ((y[half:] - y[:half].mean()) ** 2).mean()
        return alike(got, expected) or alike(got, 1 - (1 - expected) * spread)  # against the mean of the first half

    noise = rng.normal(size=24)
    examine(f, "probe_of_mine(coordinates, values)", cases, sizes, build, FITS, WRONG_FITS, allowed=allowed,
            hints={"broadcast|match the size|matmul|multiplied": "Rows are images: print the shapes of design, weights "
                    "and values; the weights have one entry for each column of the design.",
                   "Singular|singular": "Fit by least squares: np.linalg.lstsq."},
            ignored=((0, noise[:, None]), (1, noise)), also=lambda gots: say_probe(f, gots))
    return "Passed: R^2 is right where there is a signal, and not above 0 where there is only noise."
