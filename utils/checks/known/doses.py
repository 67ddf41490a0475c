"""The parts of a solution of exercise 8.3, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.known.apart import LIMIT
from utils.checks.tools.variants import Wrong


def dosed(columns: Callable, start: Callable, end: Callable, rest: Callable, solve: Callable,
          sides: Callable, mask: Callable) -> Callable:
    """A solution of 8.3 made of its parts."""
    def doses(base: np.ndarray, source: np.ndarray) -> np.ndarray:
        b, s = columns(base.T, source.T)
        x, y, left = start(b), end(s), rest(b, s)
        with np.errstate(all="ignore"):
            return mask(solve(x, y, left), *sides(x, y, left))

    return doses


never = "Where the answer at dose 1 is that at dose 0, nothing flips: these doses are nan."
third = "The area stays the base's: only S slides."
other = "S is circularity + color: what slides here is another sum."


DOSES: dict[str, Any] = {  # the right parts
    "columns": lambda b, s: (b, s), "start": lambda b: b[0] + b[1], "end": lambda s: s[0] + s[1],
    "rest": lambda b, s: b[2],
    "solve": lambda x, y, left: (LIMIT - left - x) / (y - x),
    "sides": lambda x, y, left: (x + left > LIMIT, y + left > LIMIT),
    "mask": lambda dose, before, after: np.where(before != after, dose, np.nan)}
WRONG_DOSES: tuple[Wrong, ...] = (
    Wrong("mask", never, lambda dose, before, after: dose),
    Wrong("mask", "The doses are cut to [0, 1]: where nothing flips they are nan.",
          lambda dose, before, after: dose.clip(0, 1)),
    Wrong("mask", "Where nothing flips the dose is nan, not 0.",
          lambda dose, before, after: np.where(before != after, dose, 0)),
    Wrong("mask", "Where nothing flips the dose is nan, not 1.",
          lambda dose, before, after: np.where(before != after, dose, 1)),
    Wrong("mask", "Where nothing flips the dose is nan, not infinite.",
          lambda dose, before, after: np.where(before != after, dose, np.inf)),
    Wrong("mask", "Pairs that flip from 1 to 0 count as well.",
          lambda dose, before, after: np.where(after & ~before, dose, np.nan)),
    Wrong("mask", "Pairs that flip from 0 to 1 count as well.",
          lambda dose, before, after: np.where(before & ~after, dose, np.nan)),
    Wrong("mask", "It is the other way round: nan stands where the answer flips.",
          lambda dose, before, after: np.where(before == after, dose, np.nan)),
    Wrong("mask", "Pairs without a flip are left out: return a dose or nan for each pair.",
          lambda dose, before, after: dose[before != after]),
    Wrong("mask", "This tells whether the answer flips: return the dose at which it does.",
          lambda dose, before, after: before != after),
    Wrong("solve", "This is the value of S at the flip: the dose is how far it lies on the way from base to "
          "source.", lambda x, y, left: LIMIT - left),
    Wrong("solve", "Dose 0 is the base and 1 the source: yours run the other way.",
          lambda x, y, left: 1 - (LIMIT - left - x) / (y - x)),
    Wrong("solve", "This is a distance in S: divide it by the whole way from base to source.",
          lambda x, y, left: LIMIT - left - x),
    Wrong("solve", "This divides by the source's S: the way from base to source is their difference.",
          lambda x, y, left: (LIMIT - left - x) / y),
    Wrong("solve", "The base's S is where the way begins: take it off first.",
          lambda x, y, left: (LIMIT - left) / (y - x)),
    Wrong("solve", "This divides by the source's S, and leaves out where the way begins: (what is missing to 1.5) / "
          "(end - start).", lambda x, y, left: (LIMIT - left) / y),
    Wrong("solve", "The two values of S are added below the line: the way is end - start.",
          lambda x, y, left: (LIMIT - left - x) / (y + x)),
    Wrong("solve", "Parentheses are missing: (1.5 - area - start) / (end - start).",
          lambda x, y, left: LIMIT - left - x / (y - x)),
    Wrong("solve", "Parentheses are missing: (1.5 - area - start) / (end - start).",
          lambda x, y, left: (LIMIT - left - x) / y - x),
    Wrong("solve", "This is the same dose for every pair: solve for it.", lambda x, y, left: 0 * x + 0.5),
    Wrong("solve", "This is the way itself, from base to source: how much of it is needed?",
          lambda x, y, left: y - x),
    Wrong("solve", "The line is upside down: what is missing to 1.5 stands above it.",
          lambda x, y, left: (y - x) / (LIMIT - left - x)),
    *(Wrong("solve", "The dose is looked for step by step, and is then a step's: it can be solved for.",
            lambda x, y, left, f=f, n=n: f((LIMIT - left - x) / (y - x) * n) / n)
      for n in (10, 20, 50, 100, 1000) for f in (np.ceil, np.floor, np.round)),
    Wrong("solve", "The sign of the way is lost: S may fall from base to source.",
          lambda x, y, left: (LIMIT - left - x) / np.abs(y - x)),
    Wrong("solve", "The sum is compared with 0.6: 0.4 times the sum is, or the sum with 1.5.",
          lambda x, y, left: (0.6 - left - x) / (y - x)),
    Wrong("solve", "The flip is where S and the area make 1.5: the area is left out.",
          lambda x, y, left: (LIMIT - x) / (y - x)),
    Wrong("solve", "The dose is rounded to whole steps: it can be solved for.",
          lambda x, y, left: np.round((LIMIT - left - x) / (y - x), 1)),
    *(Wrong("mask", "Whether the answer flips is a question of both ends: is it another one at dose 1 than at dose "
            "0?", lambda dose, before, after, f=f: np.where(f(before, after), dose, np.nan))
      for f in (lambda p, q: p, lambda p, q: q, lambda p, q: ~p, lambda p, q: ~q, lambda p, q: p | q,
                lambda p, q: p & q)),
    Wrong("sides", "Whether the answer flips is asked of S alone: it is S and the area that are compared with 1.5.",
          lambda x, y, left: (x > LIMIT, y > LIMIT)),
    Wrong("rest", third, lambda b, s: s[2]),
    Wrong("columns", "The area slides, too: it stays the base's.", lambda b, s: (
        np.stack([b[0] + b[2], b[1], 0 * b[2]]), np.stack([s[0] + s[2], s[1], 0 * s[2]]))),
    *(Wrong("columns", other, lambda b, s, o=o: (b[o], s[o])) for o in ([1, 2, 0], [0, 2, 1])),
    Wrong("columns", "Base and source are exchanged.", lambda b, s: (s, b)),
    *(Wrong("start", other, lambda b, i=i: b[i]) for i in (0, 1)),
    *(Wrong("end", other, lambda s, i=i: s[i]) for i in (0, 1)),
    Wrong("start", other, lambda b: b[1] + b[2]), Wrong("end", other, lambda s: s[1] + s[2]),
)
