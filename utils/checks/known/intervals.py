"""The parts of a solution of exercise 6.1, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.tools.variants import Wrong


def interval_of(values: Callable, center: Callable, spread: Callable, divisor: Callable, z: Callable,
          order: Callable) -> Callable:
    """A solution of 6.1 made of its parts."""
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


INTERVAL: dict[str, Any] = {  # the right parts
    "values": lambda x: x, "center": np.mean, "spread": lambda x: x.std(ddof=1), "divisor": np.sqrt,
    "z": lambda k: 1.96, "order": lambda m, h, x: (m, m - h, m + h)}
WRONG_INTERVAL: tuple[Wrong, ...] = (
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
        lambda m, h, x: (m - h, m + h), lambda m, h, x: (m, h), lambda m, h, x: (m, h, len(x)),
        lambda m, h, x: m, lambda m, h, x: (m, m - h, m + h, h),
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
)
