"""Checks of the exercises in notebook 5: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable

import numpy as np

from utils.checks.helpers import call, compare, matches
from utils.data_utils import COEFFICIENTS, THRESHOLD


def check_normalized_iia(f: Callable) -> str:
    """Exercise 5.1: ``f(iia, baselines, ceiling)`` scales iia so that the best baseline is 0 and the ceiling 1."""
    iia, baselines, ceiling = 0.9, [0.6, 0.7, 0.5, 0.55], 0.98
    compare(f(iia, list(baselines), ceiling), (iia - 0.7) / (ceiling - 0.7), {
        "This takes the mean of the baselines: take the best one.":
            (iia - np.mean(baselines)) / (ceiling - np.mean(baselines)),
        "This takes the first baseline: take the best one.": (iia - 0.6) / (ceiling - 0.6),
        "This takes the least baseline: take the best one.": (iia - 0.5) / (ceiling - 0.5),
        "This is the distance from the best baseline: divide it by what there is to gain, ceiling - baseline.":
            iia - 0.7,
        "The ceiling is ignored: divide by ceiling - best baseline, not by 1 - best baseline.": (iia - 0.7) / 0.3,
        "The baseline is not taken off below the line: divide by ceiling - best baseline.": (iia - 0.7) / ceiling,
        "The baseline is ignored: take it off above and below the line.": iia / ceiling,
    }, iia=iia, baselines=baselines, ceiling=ceiling)
    return "Passed: the best of four baselines is 0 and the ceiling is 1."


def check_flip_point(f: Callable) -> str:
    """Exercise 5.3: ``f(z_base (n, 3), variable)`` gives the variable's value (n,) at which the answer flips."""
    z = np.random.default_rng(0).uniform(size=(50, 3))
    for variable, weight in enumerate(COEFFICIENTS):
        others = z.sum(axis=1) - z[:, variable]
        rest = z @ np.array(COEFFICIENTS) - weight * z[:, variable]
        expected = (THRESHOLD - rest) / weight
        compare(call(f, z, variable), expected, {
            "The variable itself is counted in the rest: leave it out.":
                (THRESHOLD - weight * z.sum(axis=1)) / weight,
            "This is the weighted product at the threshold: divide by the variable's coefficient.": THRESHOLD - rest,
            "The coefficients are missing in the rest: the other variables count 0.4 times each.":
                ((THRESHOLD - others) / weight, THRESHOLD - others),
            "The values are cut to [0, 1]: leave those outside as they are, they say that no value flips the answer.":
                expected.clip(0, 1),
            "The sign is wrong: it is the threshold minus the rest.": -expected,
        }, z_base=z, variable=variable)
    return "Passed: for each of the three variables the causal model flips at these values."


def check_isolating(f: Callable) -> str:
    """Exercise 5.2: ``f(z_base, z_source, variable, tolerance, distance)`` tells (n,) which pairs agree on it alone."""
    base, source = np.random.default_rng(0).uniform(size=(2, 3000, 3))
    for variable in range(3):
        change = source - base
        size, others = np.abs(change), [v for v in range(3) if v != variable]
        near, far = size[:, variable] <= 0.1, (size[:, others] >= 0.3).all(axis=1)
        any_far, signed_far = (size[:, others] >= 0.3).any(axis=1), (change[:, others] >= 0.3).all(axis=1)
        signed_near = change[:, variable] <= 0.1
        compare(call(f, base, source, variable, 0.1, 0.3), near & far, {
            "It is the other way round: the pairs agree on the variable and differ in the others.":
                ((size[:, others] <= 0.1).all(axis=1) & (size[:, variable] >= 0.3), ~(near & far)),
            "One other variable that differs is not enough: each of them must, so use all in place of any.":
                near & any_far,
            "The other variables are not asked: they must differ by `distance` or more.": near,
            "The agreement on the variable is not asked: it must be within `tolerance`.": far,
            "The absolute value is forgotten: a difference can be negative.":
                (signed_near & far, near & signed_far, signed_near & signed_far),
        }, z_base=base, z_source=source, variable=variable)
    return "Passed: of 3,000 pairs, those that isolate each of the three variables are found."


def _r2(x: np.ndarray, y: np.ndarray, fitted: slice, tested: slice, intercept: bool = True) -> tuple[float, float]:
    """R^2 of a least-squares fit to the rows ``fitted`` on the rows ``tested``, and the correlation there."""
    design = np.column_stack([x, np.ones(len(x))]) if intercept else x
    predicted = design[tested] @ np.linalg.lstsq(design[fitted], y[fitted], rcond=None)[0]
    r2 = 1 - ((y[tested] - predicted) ** 2).mean() / y[tested].var()
    return r2, np.corrcoef(predicted, y[tested])[0, 1]


def check_probe_r2(f: Callable) -> str:
    """Exercise 5.4: ``f(coordinates (n, k), values (n,))`` fits the first half; gives R^2 on the second, a float."""
    rng = np.random.default_rng(0)
    for n, k, signal in ((80, 30, 0.0), (200, 3, 1.0)):
        x, y = rng.normal(size=(n, k)), 2 + rng.normal(size=n)
        y = y + signal * x @ (np.arange(k) + 1) / 2
        first, second, every = slice(n // 2), slice(n // 2, n), slice(n)
        expected, correlation = _r2(x, y, first, second)
        got = call(f, x, y)
        if matches(got, 1 - (1 - expected) * y[second].var() / ((y[second] - y[first].mean()) ** 2).mean()):
            continue  # the other usual definition compares with guessing the mean of the first half
        compare(got, expected, {
            "This is measured on the half that it was fitted to, where even noise fits: use the second half.":
                tuple(_r2(x, y, first, first, one)[0] for one in (True, False)),
            "The fit has seen the second half: fit to the first half alone.":
                tuple(_r2(x, y, every, half, one)[0] for half in (second, every) for one in (True, False)),
            "The halves are swapped: fit to the first, measure on the second.": _r2(x, y, second, first)[0],
            "The intercept is missing: add a column of ones to the coordinates.": _r2(x, y, first, second, False)[0],
            "This is a correlation: R^2 = 1 - squared error / squared distance from the mean, which also counts a "
            "wrong scale.": (correlation, correlation**2),
            "Values below 0 are cut: let them show, they are worse than guessing the mean.": max(expected, 0.0),
        })
    return "Passed: R^2 is right where there is a signal, and not above 0 where there is only noise."
