"""The parts of a solution of exercise 4.4, and the ways in which they go wrong."""
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


def _kendall(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    a, b = (np.sign(m[:, None] - m[None]) for m in (x, z))
    return np.einsum("ijk,ijl->kl", a, b) / (len(x) * (len(x) - 1))


_CHANGES: tuple[tuple[str, Callable], ...] = (
    ("pass a ReLU", lambda v: np.maximum(v, 0)), ("pass a tanh", np.tanh), ("are squared", np.square),
    ("pass a sigmoid", lambda v: 1 / (1 + np.exp(-v))), ("become truth values", lambda v: v > 0),
    ("become truth values", lambda v: v > np.median(v, axis=0)), ("become truth values", lambda v: v > v.mean(axis=0)),
    ("pass a logarithm", lambda v: np.log(np.abs(v) + 1)), ("pass a logarithm", np.log), ("are exponentials", np.exp),
    ("are rounded", np.round), ("are rounded", lambda v: v.round(1)), ("are rounded", np.floor),
    ("are added up over the rows", lambda v: np.cumsum(v, axis=0)),
    ("pass a square root", lambda v: np.sqrt(np.abs(v))),
    ("are divided by each row's length", lambda v: v / np.linalg.norm(v, axis=1, keepdims=True)),
    ("are divided by each row's sum", lambda v: v / v.sum(axis=1, keepdims=True)), ("are cubed", lambda v: v**3),
    ("lose each row's mean", lambda v: v - v.mean(axis=1, keepdims=True) if v.shape[1] > 1 else v),
)
_DEGREES = "Covariance and standard deviations divide by different numbers, n and n - 1: use the same ddof."
_COVARIANCE = "These are covariances: divide by both standard deviations, as np.corrcoef does."
_LEFT = "This is the correlation of the directions with one another: take the block beside it, [:k, k:]."
_SOME = "Some of the rows are left out: the correlation is over all of them."
_ROWS = "Rows of coordinates and labels do not belong together: leave their order."
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
    *(Wrong("measure", _SOME, lambda x, z, i=i: _corner(x[i::2], z[i::2])) for i in (0, 1)),
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
    *(Wrong("measure", "This is a correlation of ranks, or of signs: np.corrcoef takes the values themselves.", measure)
      for measure in (_kendall, lambda x, z: _corner(np.sign(x), z), lambda x, z: _corner(_centered(x) > 0, z))),
    *(Wrong(part, f"The {name} {words} first: correlate the values as they are.", change)
      for part, name in (("coordinates", "coordinates"), ("labels", "labels")) for words, change in _CHANGES),
    *(Wrong("measure", "Divided once too often by the number of rows, or multiplied by it: a correlation lies between "
            "-1 and 1, whatever their number.", lambda x, z, g=g: g(_corner(x, z), len(x)))
      for g in (lambda r, n: r / n, lambda r, n: r / (n - 1), lambda r, n: r * n, lambda r, n: r * (n - 1))),
    *(Wrong("final", f"The {which} of the table are divided by their sums: leave the correlations as they are.",
            lambda r, i=i: np.abs(r) / np.abs(r).sum(axis=i, keepdims=True))
      for i, which in ((0, "columns"), (1, "rows"))),
    Wrong("measure", "Differences from row to row are correlated: correlate the values themselves.",
          lambda x, z: _corner(np.diff(x, axis=0), np.diff(z, axis=0))),
    Wrong("final", "This is the square root of 1 - r^2: return the absolute correlation.", lambda r: np.sqrt(1 - r**2)),
    Wrong("final", "This is 1 - r^2: return the absolute correlation.", lambda r: 1 - r**2),
    *(Wrong("labels", "The columns of the labels are in another order.", lambda z, o=o: z[:, o])
      for o in ([1, 0, 2], [0, 2, 1], [1, 2, 0])),
    Wrong("coordinates", "The directions are in reverse order.", lambda x: x[:, ::-1]),
    Wrong("measure", "These are weights of a regression: a correlation is of two columns at a time.",
          lambda x, z: np.linalg.lstsq(x, z, rcond=None)[0]),
    *(Wrong(part, "Ranks are correlated: take the values themselves.", _ranks) for part in ("coordinates", "labels")),
    *(Wrong(part, "The absolute value is taken before the correlation: take it of the correlation.", np.abs)
      for part in ("coordinates", "labels")),
    Wrong("labels", "Labels are cut at 0.5 before: correlate the values themselves.", lambda z: z > 0.5),
    Wrong("labels", "The columns of the labels are in another order.", lambda z: z[:, ::-1]),
    Wrong("labels", "The columns of the labels are in another order.", lambda z: np.roll(z, 1, axis=1)),
    Wrong("labels", _ROWS, lambda z: z[::-1]),
    Wrong("labels", _ROWS,
          lambda z: np.roll(z, 1, axis=0)),
    Wrong("labels", "Columns are sorted before: leave the order of the rows.", lambda z: np.sort(z, axis=0)),
    Wrong("coordinates", "Columns are sorted before: leave the order of the rows.", lambda x: np.sort(x, axis=0)),
    Wrong("labels", "Only one label is used: there is a column for each.", lambda z: z[:, :1]),
    Wrong("coordinates", "The coordinates are added up first: there is a row for each direction.",
          lambda x: x.sum(axis=1, keepdims=True)),
    Wrong("measure", _SOME, lambda x, z: _corner(x[:-1], z[:-1])), Wrong("measure", _SOME,
                                                                       lambda x, z: _corner(x[1:], z[1:])),
    Wrong("measure", _SOME, lambda x, z: _corner(x[: len(x) // 2], z[: len(x) // 2])), Wrong(
        "measure", _ROWS,
        lambda x, z: _corner(x[:-1], z[1:])),
)
