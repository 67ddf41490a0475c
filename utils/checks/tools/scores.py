"""The parts of a solution of exercise 5.1, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.tools.variants import Wrong


def max_of(iia: float, baselines: list[float], ceiling: float) -> float:
    """The best baseline."""
    return max(baselines)


SCALE: dict[str, Any] = {  # the right parts
    "both": max_of, "best": max_of, "low": max_of, "top": lambda i, b, c: c, "score": lambda i, b, c: i,
    "whole": lambda over, under, *_: over / under, "each": None,
}
NOT_BEST = {
    "This takes the mean of the baselines: take the best one.": lambda i, b, c: np.mean(b),
    "This takes the least baseline: take the best one.": lambda i, b, c: min(b),
    "This takes the first baseline: take the best one.": lambda i, b, c: b[0],
    "This takes the last baseline: take the best one.": lambda i, b, c: b[-1],
    "This takes the second baseline of the list: take the best one.": lambda i, b, c: b[min(1, len(b) - 1)],
    "This takes the second best baseline: take the best one.": lambda i, b, c: sorted(b)[-2] if b[1:] else b[0],
    "This takes the median of the baselines: take the best one.": lambda i, b, c: np.median(b),
    "This takes the sum of the baselines: take the best one.": lambda i, b, c: sum(b),
    "This takes the baseline that is nearest to iia: take the best one.":
        lambda i, b, c: min(b, key=lambda x: abs(x - i)),
    "This takes the best baseline that is below iia: take the best of all.":
        lambda i, b, c: max([x for x in b if x < i] or b),
    "The search for the best starts at 0, so that baselines below 0 are lost: max(baselines).":
        lambda i, b, c: max([*b, 0]),
    "The search for the best starts at 1/2: max(baselines).": lambda i, b, c: max([*b, 0.5]),
    "The absolute values of the baselines are compared: take the best one, max(baselines).":
        lambda i, b, c: max(map(abs, b)),
    "Only the first two baselines are looked at: there may be any number.": lambda i, b, c: max(b[:2]),
    "Only the first three baselines are looked at: there may be any number.": lambda i, b, c: max(b[:3]),
    "Only the first four baselines are looked at: there may be any number.": lambda i, b, c: max(b[:4]),
    "The last baseline is left out: take the best of all.": lambda i, b, c: max(b[:-1] or b),
    "The first baseline is left out: take the best of all.": lambda i, b, c: max(b[1:] or b),
    "This takes the spread of the baselines: take the best one.": lambda i, b, c: np.std(b),
    "This takes the range of the baselines: take the best one.": lambda i, b, c: max(b) - min(b),
    "This takes the middle between the best and the least baseline: take the best one.":
        lambda i, b, c: (max(b) + min(b)) / 2,
    "The longest baseline in print is taken: compare numbers, not text.": lambda i, b, c: float(max(map(str, b))),
}
SCALES: tuple[Wrong, ...] = (
    *(Wrong("both", sentence, best) for sentence, best in NOT_BEST.items()),
    Wrong("both", "The baseline is ignored: take it off above and below the line.", lambda i, b, c: 0),
    Wrong("low", "The baseline is not taken off below the line: divide by ceiling - best baseline.",
          lambda i, b, c: 0),
    Wrong("top", "The ceiling is ignored: divide by ceiling - best baseline, not by 1 - best baseline.",
          lambda i, b, c: 1),
    Wrong("top", "The ceiling is written out: take the one that is passed.", lambda i, b, c: 0.98),
    Wrong("top", "iia stands below the line as well: there it is ceiling - best baseline.", lambda i, b, c: i),
    Wrong("top", "Below the line stands the range of the baselines: it is ceiling - best baseline.",
          lambda i, b, c: max(b) + max(b) - min(b)),
    *(Wrong("low", f"Above and below the line stand two baselines. Below it: {sentence[0].lower()}{sentence[1:]}", best)
      for sentence, best in NOT_BEST.items()),
    *(Wrong("best", f"Above and below the line stand two baselines. Above it: {sentence[0].lower()}{sentence[1:]}",
            best)
      for sentence, best in NOT_BEST.items()),
    Wrong("best", "The baseline is not taken off above the line: it is iia - best baseline.", lambda i, b, c: 0),
    Wrong("score", "Above the line stands the ceiling: it is iia - best baseline.", lambda i, b, c: c),
    Wrong("whole", "This is the distance from the best baseline: divide it by what there is to gain, ceiling - "
                   "baseline.",
          lambda over, under, i, low, c: over),
    Wrong("whole", "This multiplies by what there is to gain: divide by it.", lambda over, under, i, low,
          c: over * under),
    Wrong("whole", "This divides by the ceiling alone.", lambda over, under, i, low, c: over / c),
    Wrong("whole", "The line is upside down: what was gained stands above it.", lambda over, under, i, low,
          c: under / over),
    Wrong("whole", "Parentheses are missing: (iia - baseline) / (ceiling - baseline).",
          lambda over, under, i, low, c: i - low / c - low),
    Wrong("whole", "Parentheses are missing: (iia - baseline) / (ceiling - baseline).",
          lambda over, under, i, low, c: over / c - low),
    Wrong("whole", "Parentheses are missing: (iia - baseline) / (ceiling - baseline).",
          lambda over, under, i, low, c: i - low / under),
    Wrong("whole", "The scores are squared first: take them as they are.",
          lambda over, under, i, low, c: (i**2 - low**2) / (c**2 - low**2)),
    Wrong("whole", "Logarithms of the scores are taken: take the scores as they are.",
          lambda over, under, i, low, c: np.log(i / low) / np.log(c / low)),
    Wrong("whole", "This is the score in parts of the baseline: what was gained is iia - baseline.",
          lambda over, under, i, low, c: i / low),
    Wrong("whole", "This is the gain in parts of the baseline: divide by ceiling - baseline.",
          lambda over, under, i, low, c: over / low),
    Wrong("whole", "This is the score itself: put it on the scale.", lambda over, under, i, low, c: i),
    Wrong("each", "This is one number for each baseline: only the best one counts.", np.array),
    Wrong("each", "This is the least over the baselines: put the best baseline into the formula.", min),
    Wrong("each", "This is the largest over the baselines: put the best baseline into the formula.", max),
    Wrong("each", "This is the mean over the baselines: put the best baseline into the formula.", np.mean),
)


def scaled(both: Callable, best: Callable, low: Callable, top: Callable, score: Callable, whole: Callable,
            each: Callable | None) -> Callable:
    """A solution of 5.1: (score - best) / (top - low), where ``both`` replaces best and low."""
    def scale(iia: float, baselines: list[float], ceiling: float) -> float:
        def one(b: list[float]) -> float:
            above, below = (part if both is max_of else both for part in (best, low))
            over, under = (score(iia, b, ceiling) - above(iia, b, ceiling),
                           top(iia, b, ceiling) - below(iia, b, ceiling))
            return whole(over, under, iia, below(iia, b, ceiling), ceiling)

        return one(baselines) if each is None else each([one([b]) for b in baselines])

    return scale
