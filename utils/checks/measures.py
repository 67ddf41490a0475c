"""Checks of the exercises in notebook 5: each tries a learner's function and names the likely mistake."""
import functools
from collections.abc import Callable

import numpy as np

from utils.checks.helpers import require
from utils.checks.known.flips import FLIPPING, SHAPE, WRONG_FLIPPING, flipping
from utils.checks.known.isolation import ISOLATED, TABLES, WRONG_ISOLATED, isolated
from utils.checks.tools.contents import say_pairs
from utils.checks.tools.probing import FITS, WRONG_FITS, fitted, say_probe
from utils.checks.tools.running import Learner
from utils.checks.tools.scores import SCALE, SCALES, scaled
from utils.checks.tools.variants import alike, as_numbers, examine
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
    """Where a scale of 5.1 is 0 and 1, if it is linear; or that it is not."""
    scale = Learner(f, "normalized_iia(iia, baselines, ceiling)")
    values = [as_numbers(scale(iia, [0.5, 0.6, 0.7], 0.95)) for iia in (0.75, 0.8, 0.9)]
    if any(got.shape for got in values):
        return
    low, middle, high = map(float, values)
    require(abs((high - middle) - 2 * (middle - low)) < 1e-4, "The scale is not linear: from iia 0.75 to 0.8 it rises "
            f"by {middle - low:.3f}, and from 0.8 to 0.9 by {high - middle:.3f}. Take scores as they are, and divide "
            "once.")
    slope = (high - low) / 0.15
    require(abs(slope) > 1e-6, "Your result does not change with iia.")
    zero, one = 0.75 - low / slope, 0.75 + (1 - low) / slope
    require(abs(zero - 0.7) < 1e-3, f"With the baselines 0.5, 0.6 and 0.7, your scale is 0 at iia = {zero:.3f}: it "
                                    "should be at the best of them, 0.7.")
    require(abs(one - 0.95) < 1e-3, f"With the ceiling 0.95, your scale is 1 at iia = {one:.3f}: it should be at the "
                                    "ceiling.")
    for iia in (0.3, 0.99):
        got, wanted = float(as_numbers(scale(iia, [0.5, 0.6, 0.7], 0.95))), (iia - 0.7) / 0.25
        require(abs(got - wanted) < 1e-3, f"Between baseline and ceiling the scale is right, but at iia {iia} it is "
                                          f"{got:.3f} in place of {wanted:.3f}: the line goes on beyond both ends.")


def check_flip_point(f: Callable) -> str:
    """Exercise 5.3: ``f(z_base (n, 3), variable)`` gives the variable's value (n,) at which the answer flips."""
    drawn = np.random.default_rng(0)
    cases = [(drawn.uniform(size=(n, 3)), variable) for n, variable in ((20, 0), (7, 1), (3, 2), (1, 0), (12, 2))]
    sizes = [f"{len(z)} rows and variable {v}" for z, v in cases]
    examine(f, "flip_point(z_base, variable)", cases, sizes, flipping, FLIPPING, WRONG_FLIPPING,
            hints={"broadcast|match the size": SHAPE}, ignored=((1, 1),), also=lambda gots: _say_slopes(gots, cases))
    return "Passed: for each of the three variables the causal model flips at these values."


def _say_slopes(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """What the results of 5.3 rise by with each variable, where they are a weighted sum of them."""
    z, variable = cases[0]
    if gots[0].shape != (len(z),) or not np.isfinite(gots[0]).all():
        return
    require(len(set(gots[0].round(9))) > 1, "The value is the same for every row: each row has its own rest, so take "
            "no mean over them.")
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
    steps = np.array([[0.1, 0.3, 0.3]]) + rng.choice([-0.004, 0.004, 3e-6], size=(90, 3))  # close to the bounds
    base = rng.uniform(0.45, 0.55, size=(90, 3))
    cases.append((base, base + steps * rng.choice([-1, 1], size=(90, 3)), 0, 0.1, 0.3))
    sizes = [f"variable {v}, tolerance {t:.4g} and distance {d:.4g}" for _, _, v, t, d in cases]
    examine(f, "isolating(z_base, z_source, variable, tolerance, distance)", cases, sizes, isolated, ISOLATED,
            WRONG_ISOLATED, hints={"broadcast|match the size": TABLES}, ignored=((2, 1), (3, 4 / 16), (4, 10 / 16)),
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
