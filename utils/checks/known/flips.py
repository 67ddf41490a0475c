"""The parts of a solution of exercise 5.3, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.tools.variants import Wrong
from utils.data_utils import COEFFICIENTS, THRESHOLD

A = COEFFICIENTS[0]


def rest(z: np.ndarray, v: int) -> np.ndarray:
    """The weighted sum of labels (n, 3) without variable v."""
    return A * (z.sum(axis=1) - z[:, v])


def flipping(rest: Callable, threshold: float, divisor: float, whole: Callable) -> Callable:
    """A solution of 5.3 made of its parts."""
    return lambda z, v: whole(threshold, rest(z, v), divisor)


def solved(t: float, r: np.ndarray, c: float) -> np.ndarray:
    """The value that reaches the threshold t, beside the rest r."""
    return (t - r) / c


itself = ("The variable itself is counted in the rest: leave it out, and do not take it off the result either, which "
          "is the value, not the change from the base's.")
one = "Only one of the other variables is counted in the rest: both are."
bare = "The coefficients are missing in the rest: the other variables count 0.4 times each."
SHAPE = "The rest is the sum over the variables of one row: z_base.sum(axis=1), less its column `variable`."
order = "Parentheses are missing: the threshold minus the rest, and all of it divided by 0.4."


FLIPPING: dict[str, Any] = {  # the right parts
    "rest": rest, "threshold": THRESHOLD, "divisor": A, "whole": solved}
WRONG_FLIPPING: tuple[Wrong, ...] = (
    Wrong("rest", itself, lambda z, v: A * z.sum(axis=1)), Wrong("rest", bare, lambda z, v: rest(z, v) / A),
    Wrong("divisor", "This is the weighted product at the threshold: divide by the variable's coefficient.", 1),
    Wrong("whole", "The sign is wrong: it is the threshold minus the rest.", lambda t, r, c: (r - t) / c),
    Wrong("whole", order, lambda t, r, c: t - r / c), Wrong("whole", order, lambda t, r, c: t / c - r),
    Wrong("whole", order, lambda t, r, c: r / c - t), Wrong("whole", "The coefficient is multiplied: divide by it.",
                                                           lambda t, r, c: (t - r) * c),
    Wrong("whole", "The threshold is missing: it is 0.6 minus the rest.", lambda t, r, c: r / c),
    Wrong("whole", "The threshold is missing: it is 0.6 minus the rest.", lambda t, r, c: -r / c),
    Wrong("whole", "The threshold is divided by the rest: take the rest off, and divide by 0.4.",
          lambda t, r, c: t / r),
    Wrong("whole", "The rest is multiplied: take it off the threshold.", lambda t, r, c: t * r / c),
    Wrong("whole", "The rest is added: take it off the threshold.", lambda t, r, c: (t + r) / c),
    Wrong("whole", "The line is upside down: divide by the coefficient.", lambda t, r, c: c / (t - r)),
    Wrong("whole", "This is the rest: at which value does the sum reach 0.6?", lambda t, r, c: r),
    Wrong("whole", "This is an answer, not a value: solve for the variable.", lambda t, r, c: r > t),
    Wrong("whole", "The rest is not asked: it is 0.6 minus the rest.", lambda t, r, c: np.full(len(r), t / c)),
    *(Wrong("threshold", f"The threshold is {THRESHOLD}, not {t}.", t) for t in (0.5, 1.0, 0.4, 1.5, 0.0, 0.3)),
    *(Wrong("divisor", "Divide by the coefficient of the variable, 0.4.", c) for c in (0.6, 1.2, 3, 0.8, 0.2, 2,
                                                                                       0.5)),
    *(Wrong("rest", one, lambda z, v, i=i: A * z[:, (v + i) % 3]) for i in (1, 2)),
    *(Wrong("rest", one, lambda z, v, i=i: A * z[:, [j for j in range(3) if j != v][i]]) for i in (0, 1)),
    *(Wrong("rest", "The variable is written out: leave out the column `variable`.",
            lambda z, v, i=i: rest(z, i)) for i in range(3)),
    *(Wrong("rest", "Another variable than `variable` is left out of the rest.", lambda z, v,
            i=i: rest(z, (v + i) % 3))
      for i in (1, 2)),
    Wrong("rest", "This counts the variable alone: the rest is all but it.", lambda z, v: A * z[:, v]),
    Wrong("rest", "This is the mean of the other variables: take their weighted sum.", lambda z, v: rest(z, v) / 2),
    Wrong("rest", "This is the mean of the other variables: take their weighted sum.", lambda z,
          v: rest(z, v) / 2 / A),
    Wrong("rest", "This is the product of the other variables: take their weighted sum.",
          lambda z, v: np.delete(z, v, axis=1).prod(axis=1) * A),
    Wrong("rest", "This is the larger of the other variables: take their weighted sum.",
          lambda z, v: np.delete(z, v, axis=1).max(axis=1) * A),
    Wrong("rest", "The variable is taken off twice, or without its coefficient.", lambda z,
          v: A * z.sum(1) - z[:, v]),
    Wrong("rest", "The variable is taken off twice, or without its coefficient.",
          lambda z, v: A * (z.sum(1) - 2 * z[:, v])),
    Wrong("rest", SHAPE, lambda z, v: A * (z.sum() - z[:, v])), Wrong("rest", SHAPE, lambda z, v: rest(z[:1], v)),
    Wrong("rest", SHAPE, lambda z, v: A * (z.sum(axis=0) - z[:, v])),
    Wrong("rest", SHAPE, lambda z, v: A * (z.sum(axis=1) - z[v])), Wrong("rest", SHAPE, lambda z, v: rest(z.T, v)),
    Wrong("rest", SHAPE, lambda z, v: A * (z.sum(axis=1) - z[:, v].sum())),
)
