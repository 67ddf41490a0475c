"""The parts of solutions of exercises 8.1 and 8.2, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.tools.variants import Wrong

LIMIT = 1.5


def apart(first: Callable, second: Callable, limit: float, compare: Callable, whole: Callable) -> Callable:
    """A solution of 8.1 made of its parts."""
    def differ(base: np.ndarray, source: np.ndarray) -> np.ndarray:
        b, s = base.T, source.T
        return whole(compare(first(b, s) > limit, second(b, s) > limit), first(b, s), second(b, s))

    return differ


plain = "In one of the two models nothing is interchanged: the intermediate variable of each comes from the source."
rest = "Only the intermediate variable comes from the source; the third variable stays the base's."
one = "Both variables that make up the sum come from the source, the color among them."
_LIMITS = (
    Wrong("limit", "The sum is compared with 0.6: 0.4 times the sum is, or the sum with 1.5.", 0.6),
    *(Wrong("limit", "The limit of the sum is 0.6 / 0.4 = 1.5.", limit) for limit in (1.0, 0.5, 0.75, 2.0)),
)
each_other = "The two sums are compared with each other: what counts is on which side of 1.5 each lies."
turned = "It is the other way round: the sum comes from the source, the third variable from the base."


APART: dict[str, Any] = {  # the right parts
    "first": lambda b, s: s[0] + s[1] + b[2], "second": lambda b, s: s[1] + s[2] + b[0], "limit": LIMIT,
    "compare": np.not_equal, "whole": lambda x, p, q: x}
WRONG_APART: tuple[Wrong, ...] = (
    Wrong("whole", "The sums themselves are compared: each model answers 1 or 0, so compare them with the limit "
          "first.", lambda x, p, q: p != q),
    Wrong("whole", "The sums are subtracted: each model answers 1 or 0, so compare them with the limit first.",
          lambda x, p, q: np.abs(p - q) > LIMIT),
    Wrong("whole", "The sums are added: each model answers for itself.", lambda x, p, q: p + q > LIMIT),
    Wrong("whole", "The sums are multiplied: each model answers for itself.", lambda x, p, q: p * q > LIMIT**2),
    Wrong("compare", "The answer is the same for every pair.", lambda x, y: np.zeros(len(x))),
    Wrong("compare", "The answer is the same for every pair.", lambda x, y: np.ones(len(x))),
    Wrong("compare", "It is the other way round: these are the pairs on which the models agree.", np.equal),
    Wrong("compare", "Two answers differ where exactly one is 1: use != in place of |.", np.logical_or),
    Wrong("compare", "Two answers differ where exactly one is 1: use != in place of &.", np.logical_and),
    Wrong("compare", "This is the first model's answer alone: compare it with the second's.", lambda x, y: x),
    Wrong("compare", "This is the second model's answer alone: compare it with the first's.", lambda x, y: y),
    Wrong("compare", "Either model may be the one that answers 1: your function counts one of them only.",
          lambda x, y: x & ~y),
    Wrong("compare", "Either model may be the one that answers 1: your function counts one of them only.",
          lambda x, y: y & ~x),
    *(Wrong("whole", each_other, lambda x, first, second, t=t: np.abs(first - second) > t)
      for t in (0, 1e-12, 1e-9, 1e-6, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 1.0)),
    *(Wrong("whole", each_other, g) for g in (
        lambda x, first, second: first > second, lambda x, first, second: second > first)),
    Wrong("compare", "This is a share: return True or False for each pair.", lambda x, y: (x != y).mean()),
    Wrong("compare", "This is a number of pairs: return True or False for each.", lambda x, y: (x != y).sum()),
    Wrong("compare", "This is a signed difference: return True where the answers differ.",
          lambda x, y: x.astype(int) - y),
    *(Wrong(part, plain, lambda b, s: b[0] + b[1] + b[2]) for part in ("first", "second")),
    *(Wrong(part, rest, lambda b, s: s[0] + s[1] + s[2]) for part in ("first", "second")),
    Wrong("first", one, lambda b, s: s[0] + b[1] + b[2]), Wrong("second", one, lambda b, s: s[2] + b[1] + b[0]),
    Wrong("first", one, lambda b, s: s[1] + b[0] + b[2]), Wrong("second", one, lambda b, s: s[1] + b[0] + b[2]),
    Wrong("first", turned, lambda b, s: b[0] + b[1] + s[2]),
    Wrong("second", turned, lambda b, s: b[1] + b[2] + s[0]),
    Wrong("second", "The second model's intermediate variable is color + area, not circularity + area.",
          lambda b, s: s[0] + s[2] + b[1]),
    Wrong("first", "The first model's intermediate variable is circularity + color, not circularity + area.",
          lambda b, s: s[0] + s[2] + b[1]),
    *_LIMITS,
    *(Wrong(part, "The third variable is left out: it is added to the sum, and stays the base's.",
            lambda b, s, i=i, j=j: s[i] + s[j]) for part, i, j in (("first", 0, 1), ("second", 1, 2))),
    *(Wrong(part, "The mean of two variables stands for their sum.", lambda b, s, i=i, j=j, k=k: (
        s[i] + s[j]) / 2 + b[k]) for part, i, j, k in (("first", 0, 1, 2), ("second", 1, 2, 0))),
    Wrong("first", "Here 0.4 is taken of one part only.", lambda b, s: 0.4 * (s[0] + s[1]) + b[2]),
    Wrong("second", "Here 0.4 is taken of one part only.", lambda b, s: 0.4 * (s[1] + s[2]) + b[0]),
    *(Wrong(part, "Here 0.4 is taken of one part only.", lambda b, s, i=i, j=j, k=k: s[i] + s[j] + 2.5 * b[k])
      for part, i, j, k in (("first", 0, 1, 2), ("second", 1, 2, 0))),
)


def share_apart(tables: Callable, sums: Callable, chance: Callable, share: Callable, mean: Callable,
                limit: float) -> Callable:
    """A solution of 8.2 made of its parts."""
    def exact(circularity: np.ndarray, color: np.ndarray, area: np.ndarray) -> Any:
        (c, pc), (k, pk), (a, pa) = tables(circularity, color, area)
        p = np.array([chance(sums(c, a) + each > limit, pc, pa) for each in k])
        return mean(share(p), pk)

    return exact


def _mean(table: np.ndarray) -> np.ndarray:
    return np.array([[table[0] @ table[1]], [1.0]])


two = "Either of the two sums may be the one above the limit: that makes 2 p (1 - p)."
equal = "Each value counts by its probability: they are not all alike."


SHARES: dict[str, Any] = {  # the right parts
    "tables": lambda c, k, a: (c, k, a), "sums": lambda c, a: c[:, None] + a,
    "chance": lambda above, pc, pa: pc @ above @ pa,
    "share": lambda p: 2 * p * (1 - p), "mean": lambda x, w: x @ w, "limit": LIMIT}
WRONG_SHARES: tuple[Wrong, ...] = (
    *(Wrong("tables", f"The {name} stands in two places: the sum is circularity + color + area, each of its own table.",
            choose) for name, choose in (
        ("circularity", lambda c, k, a: (c, k, c)), ("area", lambda c, k, a: (a, k, a)),
        ("color", lambda c, k, a: (k, k, a)), ("color", lambda c, k, a: (c, k, k)),
        ("circularity", lambda c, k, a: (c, c, a)), ("area", lambda c, k, a: (c, a, a)))),
    *(Wrong("tables", f"The mean {name} stands in place of its values: each value counts with its probability.", choose)
      for name, choose in (
          ("circularity", lambda c, k, a: (_mean(c), k, a)), ("color", lambda c, k, a: (c, _mean(k), a)),
          ("area", lambda c, k, a: (c, k, _mean(a))))),
    *(Wrong("tables", "The color is what both models take from the source: work out 2 p (1 - p) for each color, not "
            "for each value of another variable.", choose) for choose in (
        lambda c, k, a: (k, c, a), lambda c, k, a: (c, a, k))),
    Wrong("share", two, lambda p: p * (1 - p)),
    Wrong("share", "This is how often the two agree: take it from 1.", lambda p: p**2 + (1 - p)**2),
    Wrong("share", "This is how often a sum is above the limit, not how often two sums lie on two sides of it.",
          lambda p: p),
    Wrong("share", "This is how often a sum is below the limit, not how often two sums lie on two sides of it.",
          lambda p: 1 - p),
    Wrong("share", "This is how often both sums are above the limit: they differ where only one is.",
          lambda p: p**2),
    Wrong("share", "This is how often one sum at least is above the limit: they differ where only one is.",
          lambda p: 1 - (1 - p)**2),
    Wrong("share", "A square root is taken: two answers differ with probability 2 p (1 - p).",
          lambda p: np.sqrt(p * (1 - p))),
    Wrong("share", "This is the lesser of p and 1 - p: two answers differ with probability 2 p (1 - p).",
          lambda p: np.minimum(p, 1 - p)),
    Wrong("share", "p is compared with one half: two answers differ with probability 2 p (1 - p).",
          lambda p: p > 0.5),
    Wrong("share", "p counts once too often: two answers differ with probability 2 p (1 - p).",
          lambda p: 2 * p**2 * (1 - p)),
    Wrong("mean", equal, lambda x, w: x.mean()), Wrong("chance", equal, lambda above, pc, pa: above.mean()),
    Wrong("chance", equal, lambda above, pc, pa: (pc @ above).mean()),
    Wrong("chance", equal, lambda above, pc, pa: (above @ pa).mean()),
    Wrong("mean", "The shares are added without the probabilities of the colors.", lambda x, w: x.sum()),
    Wrong("mean", "This is a share for each color: take their mean by the colors' probabilities.",
          lambda x, w: x),
    Wrong("mean", "This is the share as a percentage: return it between 0 and 1.", lambda x, w: 100 * (x @ w)),
    *_LIMITS,
    Wrong("sums", "The circularity is left out: what is added is the circularity of one image and the area of "
          "another.", lambda c, a: 0 * c[:, None] + a),
    Wrong("sums", "The area is left out: what is added is the circularity of one image and the area of another.",
          lambda c, a: c[:, None] + 0 * a),
    Wrong("sums", "Here 0.4 is taken of one part only.", lambda c, a: 0.4 * (c[:, None] + a)),
)
