"""The parts of a solution of exercise 5.2, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.tools.variants import Wrong


def isolated(column: Callable, others: Callable, change: Callable, size: Callable, far_size: Callable, near: Callable,
             far: Callable, join: Callable, final: Callable) -> Callable:
    """A solution of 5.2 made of its parts."""
    def isolating(base: np.ndarray, source: np.ndarray, v: int, t: float, d: float) -> np.ndarray:
        v, difference = column(v), change(base, source)
        rest = np.delete(difference, others(v), axis=1)
        return final(near(size(difference[:, v]), t, d), join(far_size(rest), far, t, d))

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
TABLES = "The pairs in rows are wanted, (n,): use .all(axis=1) over the other variables."


ISOLATED: dict[str, Any] = {  # the right parts
    "column": lambda v: v, "others": lambda v: v, "change": lambda b, s: s - b, "size": np.abs, "far_size": np.abs,
    "near": lambda x, t, d: x <= t, "far": lambda x, t, d: x >= d, "join": all_far, "final": lambda a, b: a & b}
WRONG_ISOLATED: tuple[Wrong, ...] = (
    *(Wrong("others", "The columns of the others are written out: they are all but `variable`, as np.delete leaves "
            "them.", lambda v, i=i: i) for i in range(3)),
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
    Wrong("near", "np.isclose adds a tolerance of its own (rtol, or atol): compare the difference with `tolerance`.",
          lambda x, t, d: x <= t + 4e-6),
    Wrong("near", "The variable itself is asked to differ by `distance`, too: np.delete leaves it out of the others.",
          lambda x, t, d: (x <= t) & (x >= d)),
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
    *(Wrong("final", "This is True for each pair, or for none: .all() and .any() need axis=1 to ask each pair for "
            "itself.", g) for g in (lambda a, b: np.ones(len(a)), lambda a, b: np.zeros(len(a)))),
    Wrong("join", TABLES, lambda x, far, t, d: far(x, t, d).all()), Wrong("join", TABLES,
                                                                         lambda x, far, t, d: far(x, t, d).any()),
    Wrong("final", TABLES, lambda a, b: (a & b)[:, None]), Wrong("final", TABLES, lambda a, b: (a & b).any()),
    Wrong("final", TABLES, lambda a, b: (a & b).all()),
)
