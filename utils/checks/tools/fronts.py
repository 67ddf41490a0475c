"""The parts of a solution of exercise 6.2, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.running import refuse
from utils.checks.tools.variants import Wrong


def unbeaten(first: Callable, second: Callable, both: Callable, better: Callable, final: Callable,
          whole: Any) -> Callable:
    """A solution of 6.2 made of its parts."""
    def front(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if whole is not None:
            return whole(a, b)
        a, b = first(a), second(b)
        x, y = a[:, None], b[:, None]
        return final(both(a >= x, b >= y) & better(a > x, b > y))

    return front


FRONT: dict[str, Any] = {"first": lambda x: x, "second": lambda x: x, "both": np.logical_and,
                         "better": np.logical_or,
                         "final": lambda beats: ~beats.any(axis=1), "whole": None}


def _sums(weight: float) -> Callable:
    return lambda a, b: (s := weight * a + (1 - weight) * b) >= s.max() - 1e-12


def _hull(a: np.ndarray, b: np.ndarray, least: float = 0.0, weights: int = 201) -> np.ndarray:
    return np.any([_sums(w)(a, b) for w in np.linspace(least, 1 - least, weights)], axis=0)


def _first_alike(a: np.ndarray, b: np.ndarray, step: int = 1) -> np.ndarray:
    points = list(zip(a.tolist(), b.tolist()))[::step]
    kept = [p not in points[:i] for i, p in enumerate(points)][::step]
    return unbeaten(**FRONT)(a, b) & np.array(kept)


def _running(a: np.ndarray, b: np.ndarray, strict: bool = True) -> np.ndarray:
    keep, best = np.zeros(len(a), dtype=bool), -np.inf
    for i in np.argsort(-a, kind="stable"):
        keep[i], best = (b[i] > best if strict else b[i] >= best), max(best, b[i])
    return keep


def _beside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    order = np.lexsort((-b, -a))
    kept = np.ones(len(a), dtype=bool)
    kept[order[1:]] = b[order[1:]] > b[order[:-1]]
    return kept


_LOW = "Low values win here: more is better in both."
_ALONE = "Both scores count: a point is beaten by one that is at least as good in both."
_MOST = "Only the best in one sense are kept: those between them may be unbeaten too."
_ALIKE = "Of two points that are alike, neither beats the other: both stay."
_RUNS = "Each point is compared with its neighbors, or with some others: compare it with all."
WRONG_FRONTS: tuple[Wrong, ...] = (
    Wrong("whole", "All points are kept, or none: compare each with all others.", lambda a, b: np.ones(len(a))),
    Wrong("whole", "No point is left: to beat takes one strict inequality, and a point does not beat itself.",
          lambda a, b: np.zeros(len(a))),
    Wrong("final", "It is the other way round: these are the points that are beaten.", lambda x: x.any(axis=1)),
    Wrong("better", "A point as good in one and better in the other beats it too: ask for one strict inequality, not "
                    "for two.", np.logical_and),
    Wrong("better", "Each point is beaten by itself here, so that none is left: to beat takes one strict inequality.",
          lambda p, q: np.ones_like(p)),
    Wrong("better", "Only the first score decides who is better: one of the two is enough.", lambda p, q: p),
    Wrong("better", "Only the second score decides who is better: one of the two is enough.", lambda p, q: q),
    Wrong("better", "Better in both at once does not beat here: use | in place of ^.", np.logical_xor),
    Wrong("both", "At least as good in one is not enough to beat: it takes both.", np.logical_or),
    Wrong("both", _ALONE, lambda p, q: p), Wrong("both", _ALONE, lambda p, q: q),
    Wrong("final", "Rows and columns are exchanged, or less counts as better: these are the points that beat no "
          "other.",
          lambda x: ~x.any(axis=0)),
    Wrong("final", "These are the points that beat another.", lambda x: x.any(axis=0)),
    Wrong("final", "A point beaten by one other is out: use any in place of all.", lambda x: ~x.all(axis=1)),
    Wrong("final", "A point beaten by one other is out: yours bears one or two.", lambda x: x.sum(axis=1) < 2),
    Wrong("final", "A point beaten by one other is out: yours bears one or two.", lambda x: x.sum(axis=1) < 3),
    Wrong("final", "This is the table of all with all: ask for each row whether any is True.", lambda x: ~x),
    Wrong("final", "This is the table of all with all: ask for each row whether any is True.", lambda x: x),
    Wrong("final", "This is the number of points that beat it: True where there is none.", lambda x: x.sum(axis=1)),
    Wrong("final", "This counts the front: return True or False for each point.", lambda x: (~x.any(axis=1)).sum()),
    Wrong("final", _RUNS, lambda x: ~x[:, :-1].any(axis=1)), Wrong("final", _RUNS, lambda x: ~x[:, 1:].any(axis=1)),
    Wrong("final", _RUNS, lambda x: ~np.tril(x).any(axis=1)), Wrong("final", _RUNS,
                                                                   lambda x: ~np.triu(x).any(axis=1)),
    Wrong("final", _RUNS, lambda x: ~(np.diag(x, 1).tolist() + [False] | np.r_[False, np.diag(x, -1)])),
    Wrong("final", "Neither beaten nor beating is asked here: a point of the front may beat others.",
          lambda x: ~x.any(axis=1) & ~x.any(axis=0)),
    Wrong("first", f"{_LOW} It is the first that is turned round.", lambda x: -x),
    Wrong("second", f"{_LOW} It is the second that is turned round.", lambda x: -x),
    Wrong("whole", _LOW, lambda a, b: unbeaten(**FRONT)(-a, -b)),
    Wrong("first", "Scores are rounded first: compare them as they are.", lambda x: x.round(1)),
    Wrong("whole", "Scores are rounded first: compare them as they are.",
          lambda a, b: unbeaten(**FRONT)(a.round(1), b.round(1))),
    Wrong("whole", "Scores are rounded first: compare them as they are.",
          lambda a, b: unbeaten(**FRONT)(a.round(2), b.round(2))),
    Wrong("whole", _ALONE, lambda a, b: unbeaten(**FRONT)(a, a)), Wrong("whole", _ALONE, lambda a,
                                                                    b: unbeaten(**FRONT)(b, b)),
    Wrong("whole", _ALONE, lambda a, b: a == a.max()), Wrong("whole", _ALONE, lambda a, b: b == b.max()),
    Wrong("whole", _MOST, lambda a, b: (a == a.max()) | (b == b.max())),
    Wrong("whole", _MOST, lambda a, b: (a == a.max()) & (b == b.max())),
    *(Wrong("whole", _MOST, _sums(w)) for w in (0.5, 0.3, 0.7)), Wrong("whole", _MOST, lambda a,
                                                                     b: a * b == (a * b).max()),
    *(Wrong("whole", "Only the hull is kept, what wins for some weights of the two: a hollow front has more points.",
            hull) for hull in (_hull, lambda a, b: _hull(a, b, 0.001, 999))),
    Wrong("whole", "Points that are good enough in both are kept: compare each with all others.",
          lambda a, b: (a >= a.mean()) & (b >= b.mean())),
    Wrong("whole", "Points that are good enough in both are kept: compare each with all others.",
          lambda a, b: (a > a.mean()) & (b > b.mean())),
    Wrong("whole", "Points that are good enough in both are kept: compare each with all others.",
          lambda a, b: (a >= np.median(a)) & (b >= np.median(b))),
    Wrong("whole", "Points that are good enough in one are kept: compare each with all others.",
          lambda a, b: (a >= np.median(a)) | (b >= np.median(b))),
    Wrong("whole", _ALIKE, lambda a, b: ((a >= a[:, None]) & (b >= b[:, None])).sum(axis=1) == 1),
    Wrong("whole", _ALIKE, _first_alike), Wrong("whole", _ALIKE, lambda a, b: _first_alike(a, b, -1)),
    Wrong("whole", _ALIKE,
                                                                                                    _running),
    Wrong("whole", "Of points that are alike in the first score, those worse in the second are beaten.",
          lambda a, b: _running(a, b, strict=False)),
    Wrong("whole", "Each point is compared with the one before it in the order of the first score: compare it with "
          "all.", _beside),
    Wrong("whole", "The best second score for each value of the first is kept: a higher first score may beat it.",
          lambda a, b: np.array([y == b[a == x].max() for x, y in zip(a, b)])),
    Wrong("whole", _RUNS, lambda a, b: b >= np.maximum.accumulate(b)),
    Wrong("whole", _RUNS, lambda a, b: b >= np.maximum.accumulate(b[::-1])[::-1]),
    Wrong("whole", "The points are sorted first: the answers belong to their order as they come.",
          lambda a, b: unbeaten(**FRONT)(a[(o := np.argsort(a))], b[o])),
    Wrong("whole", "The points are sorted first: the answers belong to their order as they come.",
          lambda a, b: unbeaten(**FRONT)(a[(o := np.argsort(-a))], b[o])),
    Wrong("whole", "The points are sorted first: the answers belong to their order as they come.",
          lambda a, b: unbeaten(**FRONT)(np.sort(a), np.sort(b))),
    *(Wrong("whole", "The points are sorted first, by both scores: the answers belong to their order as they come.",
            lambda a, b, front=front: front(a, b)[np.lexsort((-b, -a))])
      for front in (unbeaten(**FRONT), _first_alike, _running)),
    Wrong("whole", "These are the points of the front: return True or False for each point.",
          lambda a, b: np.stack([a, b], axis=1)[unbeaten(**FRONT)(a, b)]),
)


def say_points(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """One point that 6.2 keeps or drops wrongly, and why."""
    for got, (a, b) in zip(gots, cases):
        if got.shape != a.shape:
            return
        require(set(np.unique(got)) <= {0, 1}, "These are other numbers than True and False: say for each point "
                                               "whether it is on the front.")
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
