"""The parts of a solution of exercises 4.4 and 5.1, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.tools.variants import Wrong


def _plain(x: np.ndarray) -> np.ndarray:
    return x


def _centered(x: np.ndarray) -> np.ndarray:
    return x - x.mean(axis=0)


def _whole(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.corrcoef(x.T, z.T)


def _corner(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return _whole(x, z)[:x.shape[1], x.shape[1]:]


def _ranks(x: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(x, axis=0), axis=0).astype(float)


def _cosine(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return x.T @ z / np.linalg.norm(x, axis=0)[:, None] / np.linalg.norm(z, axis=0)


def _over_all(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return ((x - x.mean()) / x.std()).T @ ((z - z.mean()) / z.std()) / len(x)


def _slopes(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), z, rcond=None)[0][:-1]


def _covariance(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.cov(x.T, z.T)[:x.shape[1], x.shape[1]:]


CORRELATION: dict[str, Any] = {"coordinates": _plain, "labels": _plain, "measure": _corner, "final": np.abs}


def correlating(coordinates: Callable, labels: Callable, measure: Callable, final: Callable) -> Callable:
    """A solution of 4.4 made of its parts."""
    return lambda x, z: final(measure(coordinates(x), labels(z)))


_DEGREES = "Covariance and standard deviations divide by different numbers, n and n - 1: use the same ddof."
_COVARIANCE = "These are covariances: divide by both standard deviations, as np.corrcoef does."
_LEFT = "This is the correlation of the directions with one another: take the block beside it, [:k, k:]."
_SOME = "Some of the rows are left out: the correlation is over all of them."
_MEAN = "The means are not taken off: a correlation is about the distances from them."

WRONG_CORRELATIONS: tuple[Wrong, ...] = (
    Wrong("final", "The table is transposed: a row for each direction, a column for each variable.",
          lambda r: np.abs(r.T)),
    Wrong("final", "The sign is still there: take the absolute value.", _plain),
    Wrong("final", "The sign is still there: the absolute value is not taken of every entry.",
          lambda r: np.column_stack([np.abs(r[:, :2]), r[:, 2:]])),
    Wrong("final", "Negative correlations are cut: take the absolute value.", lambda r: np.maximum(r, 0)),
    Wrong("final", "The correlations are squared: take the absolute value.", np.square),
    Wrong("final", "This is the sign alone.", np.sign),
    *(Wrong("labels", f"Column {i} of the labels is used for all three: there is a column for each.",
            lambda z, i=i: z[:, [i, i, i]]) for i in range(3)),
    Wrong("coordinates", "The first direction is used for all: there is a row for each.", lambda x: x[:, :1] + 0 * x),
    *(Wrong("final", "These are truth values: return the correlations themselves.", lambda r, t=t: np.abs(r) > t)
      for t in (0.1, 0.2, 0.3, 0.5)),
    *(Wrong("measure", "Some of the rows are left out: the correlation is over all of them.",
            lambda x, z, i=i: _corner(x[i::2], z[i::2])) for i in (0, 1)),
    Wrong("final", "The columns are in another order.", lambda r: np.abs(np.roll(r, 1, axis=1))),
    Wrong("measure", "This is the whole matrix of corrcoef: only the block of directions against variables is wanted.",
          _whole),
    Wrong("measure", _LEFT, lambda x, z: _whole(x, z)[:x.shape[1], :x.shape[1]]),
    Wrong("measure", _LEFT, lambda x, z: _whole(x, x)[:x.shape[1], x.shape[1]:]),
    Wrong("measure", "This is the correlation of the labels with one another: take the block [:k, k:].",
          lambda x, z: _whole(x, z)[x.shape[1]:, x.shape[1]:]),
    Wrong("measure", "The table is transposed: a row for each direction, a column for each variable.",
          lambda x, z: _whole(x, z)[x.shape[1]:, :x.shape[1]]),
    Wrong("measure", "The number of directions is written out: it is k = coordinates.shape[1].",
          lambda x, z: _whole(x, z)[:3, 3:]),
    Wrong("measure", "The number of directions is written out: it is k = coordinates.shape[1].",
          lambda x, z: _whole(x, z)[3:, :3]),
    Wrong("measure", "The number of directions is written out: it is k = coordinates.shape[1].",
          lambda x, z: _corner(x, z)[:3]),
    Wrong("measure", "np.corrcoef takes variables in rows: transpose both.", np.corrcoef), Wrong("measure", _COVARIANCE,
                                                                                             _covariance),
    Wrong("measure", _COVARIANCE, lambda x, z: _centered(x).T @ _centered(z) / len(x)),
    Wrong("measure", "These are sums of products: divide by n and by both standard deviations.",
          lambda x, z: _centered(x).T @ _centered(z)),
    Wrong("measure", "Only one of the two standard deviations is divided by: divide by both.",
          lambda x, z: _covariance(x, z) / x.std(axis=0, ddof=1)[:, None]),
    Wrong("measure", "Only one of the two standard deviations is divided by: divide by both.",
          lambda x, z: _covariance(x, z) / z.std(axis=0, ddof=1)),
    Wrong("measure", "Divide by the standard deviations, not by the variances.",
          lambda x, z: _covariance(x, z) / x.var(axis=0, ddof=1)[:, None] / z.var(axis=0, ddof=1)),
    Wrong("measure", _DEGREES, lambda x, z: _covariance(x, z) / x.std(axis=0)[:, None] / z.std(axis=0)),
    Wrong("measure", _DEGREES, lambda x, z: _corner(x, z) * (1 - 1 / len(x))), Wrong("measure", _MEAN, _cosine),
    Wrong("measure", _MEAN, lambda x, z: x.T @ z / len(x) / x.std(axis=0)[:, None] / z.std(axis=0)),
    Wrong("measure", _MEAN, lambda x, z: x.T @ z), Wrong("measure", _MEAN, lambda x, z: x.T @ z / len(x)),
    Wrong("measure", "Mean and standard deviation are those of the whole table: take them of each column (axis=0).",
          _over_all),
    Wrong("measure", "Mean and standard deviation are those of each row: take them of each column (axis=0).", lambda x,
          z: (
        (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)).T @ ((z - z.mean(1, keepdims=True)) / z.std(
            1, keepdims=True)) / len(x)),
    Wrong("measure", "These are weights of a regression: a correlation is of two columns at a time.", _slopes),
    Wrong("measure", "These are weights of a regression: a correlation is of two columns at a time.",
          lambda x, z: _slopes(z, x).T),
    Wrong("measure", "These are slopes: divide by both standard deviations.",
          lambda x, z: _covariance(x, z) / x.var(axis=0, ddof=1)[:, None]),
    Wrong("measure", "These are slopes: divide by both standard deviations.",
          lambda x, z: _covariance(x, z) / z.var(axis=0, ddof=1)),
    Wrong("measure", "These are distances, not correlations.",
          lambda x, z: np.abs(x[:, :, None] - z[:, None, :]).mean(axis=0)),
    *(Wrong(part, "Ranks are correlated: take the values themselves.", _ranks) for part in ("coordinates", "labels")),
    *(Wrong(part, "The absolute value is taken before the correlation: take it of the correlation.", np.abs)
      for part in ("coordinates", "labels")),
    Wrong("labels", "Labels are cut at 0.5 before: correlate the values themselves.", lambda z: z > 0.5),
    Wrong("labels", "The columns of the labels are in another order.", lambda z: z[:, ::-1]),
    Wrong("labels", "The columns of the labels are in another order.", lambda z: np.roll(z, 1, axis=1)),
    Wrong("labels", "Rows of coordinates and labels do not belong together: leave their order.", lambda z: z[::-1]),
    Wrong("labels", "Rows of coordinates and labels do not belong together: leave their order.",
          lambda z: np.roll(z, 1, axis=0)),
    Wrong("labels", "Columns are sorted before: leave the order of the rows.", lambda z: np.sort(z, axis=0)),
    Wrong("coordinates", "Columns are sorted before: leave the order of the rows.", lambda x: np.sort(x, axis=0)),
    Wrong("labels", "Only one label is used: there is a column for each.", lambda z: z[:, :1]),
    Wrong("coordinates", "The coordinates are added up first: there is a row for each direction.",
          lambda x: x.sum(axis=1, keepdims=True)),
    Wrong("measure", _SOME, lambda x, z: _corner(x[:-1], z[:-1])), Wrong("measure", _SOME,
                                                                       lambda x, z: _corner(x[1:], z[1:])),
    Wrong("measure", _SOME, lambda x, z: _corner(x[: len(x) // 2], z[: len(x) // 2])), Wrong(
        "measure", "Rows of coordinates and labels do not belong together: leave their order.",
        lambda x, z: _corner(x[:-1], z[1:])),
)


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
