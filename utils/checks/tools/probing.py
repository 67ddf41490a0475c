"""The parts of a solution of exercise 5.4, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.running import Learner
from utils.checks.tools.variants import Wrong, as_numbers


def _ones(x: np.ndarray, a: slice) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x))])


def _r2(y: np.ndarray, p: np.ndarray, of: dict[str, np.ndarray]) -> float:
    return 1 - ((y - p) ** 2).mean() / y.var()


def _least_squares(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(design, y, rcond=None)[0]


FITS: dict[str, Any] = {  # the right parts
    "inputs": lambda x, y, a: (x, y), "fit": lambda h, n: slice(0, h), "test": lambda h, n: slice(h, n),
                        "design": _ones,
    "solve": _least_squares, "score": _r2,
}


def fitted(fits: dict, inputs: Callable, fit: Callable, test: Callable, design: Callable, solve: Callable, score:
           Callable) -> Callable:
    """A solution of 5.4 made of its parts; ``fits`` keeps what was fitted for the next one with the same parts."""
    def probe(x: np.ndarray, y: np.ndarray) -> float:
        n, h = len(x), len(x) // 2
        a, b, key = fit(h, n), test(h, n), (n, inputs, fit, design, solve)
        if key not in fits:
            coordinates, values = inputs(x, y, a)
            columns = design(coordinates, a)
            fits[key] = values, columns @ solve(columns[a], values[a])
        values, predicted = fits[key]
        return score(values[b], predicted[b], {"fit": values[a], "all": values, "k": x.shape[1],
                                                 "error": ((values - predicted) ** 2).mean()})

    return probe


def _ridge(strength: float) -> Callable:
    return lambda d, y: np.linalg.solve(d.T @ d + strength * np.eye(d.shape[1]), d.T @ y)


_SEEN = "The fit has seen the second half: fit to the first half alone."
_WHERE = "This is measured on the half that it was fitted to, where even noise fits: use the second half."
_HALVES = "Another half is taken: fit to the rows before len(values) // 2, and measure on the others."
_OFF = "The halves are off by one row: they meet at len(values) // 2."
_CONSTANT = "The intercept is missing: add a column of ones to the coordinates."
_CORRELATION = ("This is a correlation: R^2 = 1 - squared error / squared distance from the mean, which also counts a "
                "wrong scale.")
_MEANS = "A sum and a mean are mixed: take the mean of the squared errors, and of the squared distances."
_BELOW = "Below the line stands the variance of other values: take those of the second half."
_ONE = "The 1 - is missing: R^2 is 1 minus squared error / variance."
_VARIANCE = "The error is not divided by the variance of the values."
_SQUARE = "The errors are not squared: R^2 takes the mean of their squares."


def _by_half(x: np.ndarray, scale: bool) -> np.ndarray:
    halves = x[:len(x) // 2], x[len(x) // 2:]
    return np.concatenate([(h - h.mean(axis=0)) / (h.std(axis=0) if scale else 1) for h in halves])


def _error(y: np.ndarray, p: np.ndarray) -> float:
    return ((y - p) ** 2).mean()


_BELOWS: tuple[tuple[str, Callable], ...] = (
    ("the sum over all rows", lambda y, p, of: ((of["all"] - of["all"].mean()) ** 2).sum()),
    ("the sum over all rows", lambda y, p, of: len(of["all"]) * y.var()),
    ("the sum of the first half", lambda y, p, of: ((of["fit"] - of["fit"].mean()) ** 2).sum()),
    ("the range of the values", lambda y, p, of: np.ptp(y)),
    ("the squared range of the values", lambda y, p, of: np.ptp(y) ** 2),
    ("the mean of the values", lambda y, p, of: y.mean()),
    ("the squared mean of the values", lambda y, p, of: y.mean() ** 2),
    ("the mean of the absolute values", lambda y, p, of: abs(y).mean()),
    ("the spread around the median", lambda y, p, of: ((y - np.median(y)) ** 2).mean()),
    ("the spread around the median", lambda y, p, of: ((y - np.median(y)) ** 2).sum()),
    ("the sum of both variances, of values and predictions,", lambda y, p, of: y.var() + p.var()),
    ("the spread of the first half around another mean", lambda y, p, of: ((of["fit"] - y.mean()) ** 2).mean()),
    ("the spread of the predictions around the values' mean", lambda y, p, of: ((p - y.mean()) ** 2).mean()),
    ("the spread of the predictions around the values' mean", lambda y, p, of: ((p - y.mean()) ** 2).sum()),
    ("the sum of squares, without the mean taken off,", lambda y, p, of: (y**2).sum()),
    ("the sum of the absolute distances", lambda y, p, of: abs(y - y.mean()).sum()),
    ("the mean of the absolute distances", lambda y, p, of: abs(y - y.mean()).mean()),
    ("the number of rows", lambda y, p, of: len(y)),
)
WRONG_FITS: tuple[Wrong, ...] = (
    Wrong("test", _WHERE, lambda h, n: slice(0, h)), Wrong("fit", _SEEN, lambda h, n: slice(0, n)),
    Wrong("fit", "The fit has seen the rows that it is measured on: fit to the first half.", lambda h, n: slice(h, n)),
    Wrong("test", "It is measured on all rows: measure on the second half alone.", lambda h, n: slice(0, n)),
    Wrong("design", _CONSTANT, lambda x, a: x),
    Wrong("inputs", "What is centered by the mean of all rows has seen the second half.",
          lambda x, y, a: (x - x.mean(axis=0), y - y.mean())),
    Wrong("inputs", "The mean of all rows is taken off the values: the fit has seen the second half.",
          lambda x, y, a: (x, y - y.mean())),
    Wrong("inputs", "Centering the coordinates does not replace the intercept: add a column of ones.",
          lambda x, y, a: (x - x.mean(axis=0), y)),
    Wrong("inputs", "Centering the coordinates does not replace the intercept: add a column of ones.",
          lambda x, y, a: (x - x[a].mean(axis=0), y)),
    *(Wrong("inputs", "Each half is centered, or scaled, by figures of its own: the second half is then another task "
                      "than the first. Take the rows as they are.", change) for change in (
                lambda x, y, a: (_by_half(x, False), y), lambda x, y, a: (_by_half(x, True), y),
                lambda x, y, a: (_by_half(x, False), _by_half(y, False)),
                lambda x, y, a: (_by_half(x, True), _by_half(y, True)))),
    Wrong("inputs", "Only the first coordinate is used: fit to all of them.", lambda x, y, a: (x[:, :1], y)),
    *(Wrong("inputs", "Only the first coordinates are used: fit to all of them.", lambda x, y, a, k=k: (x[:, :k], y))
      for k in (2, 3)),
    Wrong("inputs", "The last coordinate is left out: fit to all of them.", lambda x, y, a: (x[:, :-1], y)),
    Wrong("inputs", "The coordinates are added up first: each has a weight of its own.",
          lambda x, y, a: (x.sum(axis=1, keepdims=True), y)),
    Wrong("inputs", "The values are standardized: leave them as they are.", lambda x, y,
          a: (x, (y - y.mean()) / y.std())),
    Wrong("inputs", "The rows are reversed: the first half is for the fit.", lambda x, y, a: (x[::-1], y[::-1])),
    Wrong("inputs", "The rows of coordinates and values do not belong together.", lambda x, y, a: (x[::-1], y)),
    *(Wrong("inputs", "The rows are shuffled: the first half is that of the rows as they come.",
            lambda x, y, a, p=seed: (x[(order := np.random.default_rng(p).permutation(len(x)))], y[order]))
      for seed in (0, 1, 42)),
    Wrong("design", "The coordinates are not used: this is the mean alone.", lambda x, a: np.ones((len(x), 1))),
    Wrong("design", "The column of ones counts the rows: it is np.ones.",
          lambda x, a: np.column_stack([x, np.arange(len(x))])),
    Wrong("design", "The column of ones holds zeros: it is np.ones.", lambda x,
          a: np.column_stack([x, np.zeros(len(x))])),
    Wrong("design", "Squares of the coordinates are fitted too: the coordinates and ones are the design.",
          lambda x, a: np.column_stack([x, x**2, np.ones(len(x))])),
    *(Wrong("solve", "The weights are held small (a ridge): fit by plain least squares.", _ridge(strength))
      for strength in (0.001, 0.01, 0.1, 1.0, 10.0)),
    Wrong("solve", "This is no least squares: the columns are correlated, so ask np.linalg.lstsq.", lambda d,
          y: d.T @ y),
    Wrong("solve", "This is no least squares: the columns are correlated, so ask np.linalg.lstsq.",
          lambda d, y: d.T @ y / len(y)),
    Wrong("score", _CORRELATION, lambda y, p, of: np.corrcoef(y, p)[0, 1]),
    Wrong("score", _CORRELATION, lambda y, p, of: np.corrcoef(y, p)[0, 1] ** 2),
    Wrong("score", "Values below 0 are cut: let them show, they are worse than guessing the mean.",
          lambda y, p, of: max(_r2(y, p, of), 0.0)),
    Wrong("score", "This is the error itself: R^2 is 1 minus squared error / variance.", lambda y, p, of: _error(y, p)),
    Wrong("score", "This is the error itself: R^2 is 1 minus squared error / variance.", lambda y, p,
          of: _error(y, p) ** 0.5),
    Wrong("score", "This is the error itself: R^2 is 1 minus squared error / variance.",
          lambda y, p, of: ((y - p) ** 2).sum()),
    Wrong("score", "This is the error itself: R^2 is 1 minus squared error / variance.", lambda y, p,
          of: abs(y - p).mean()),
    Wrong("score", _ONE, lambda y, p, of: _error(y, p) / y.var()), Wrong("score", _MEANS, lambda y, p, of:
                                                                      1 - _error(y, p) * len(y) / y.var()),
    Wrong("score", _MEANS, lambda y, p, of: 1 - _error(y, p) / y.var() / len(y)),
    Wrong("score", "The variance is divided by n - 1, the error by n: leave ddof out.",
          lambda y, p, of: 1 - _error(y, p) / y.var(ddof=1)),
    Wrong("score", _BELOW, lambda y, p, of: 1 - _error(y, p) / of["fit"].var()),
    Wrong("score", _BELOW, lambda y, p, of: 1 - _error(y, p) / of["all"].var()),
    Wrong("score", _BELOW, lambda y, p, of: 1 - _error(y, p) / p.var()),
    Wrong("score", _BELOW, lambda y, p, of: 1 - _error(y, p) / ((y - of["all"].mean()) ** 2).mean()),
    Wrong("score", _BELOW, lambda y, p, of: 1 - _error(y, p) / ((y - p.mean()) ** 2).mean()),
    *(Wrong("score", f"Below the line stands {name}: it is the variance of the second half, around its own mean.",
            lambda y, p, of, error=error, below=below: 1 - error(y, p, of) / below(y, p, of))
      for error in (lambda y, p, of: _error(y, p), lambda y, p, of: ((y - p) ** 2).sum()) for name, below in _BELOWS),
    Wrong("score", "The errors of all rows stand above the line: take those of the second half.",
          lambda y, p, of: 1 - of["error"] / y.var()),
    Wrong("score", "The line is upside down: the variance of the values stands below it.",
          lambda y, p, of: 1 - y.var() / _error(y, p)),
    Wrong("score", "A square root is taken: R^2 is 1 minus squared error / variance.",
          lambda y, p, of: 1 - (y - p).std() / y.std()),
    *(Wrong("score", "R^2 is adjusted for the number of coordinates: on other rows than those of the fit it is not.",
            lambda y, p, of, i=top, k=k: 1 - _error(y, p) / y.var() * (len(y) - i) / (len(y) - (k or of["k"] + i)))
      for top in (0, 1) for k in (0, 2, 3, 4)),
    Wrong("score", "A median stands in place of the mean of the squared errors.",
          lambda y, p, of: 1 - np.median((y - p) ** 2) / y.var()),
    Wrong("score", "The largest error stands in place of the mean of the squares.",
          lambda y, p, of: 1 - ((y - p) ** 2).max() / y.var()),
    Wrong("score", "Below the line stands the standard deviation: it is the variance.",
          lambda y, p, of: 1 - _error(y, p) / y.std()),
    Wrong("score", "The mean is not taken off the values below the line: it is their variance.",
          lambda y, p, of: 1 - _error(y, p) / (y**2).mean()),
    Wrong("score", "This forgives a constant error: take the mean square of the errors, not their variance.",
          lambda y, p, of: 1 - (y - p).var() / y.var()),
    Wrong("score", "This is the variance of the predictions, which a wrong prediction has too: take the errors.",
          lambda y, p, of: p.var() / y.var()),
    Wrong("score", _VARIANCE, lambda y, p, of: 1 - _error(y, p)), Wrong("score", _VARIANCE,
                                                                     lambda y, p, of: 1 - ((y - p) ** 2).sum()),
    Wrong("score", _SQUARE, lambda y, p, of: 1 - (y - p).mean() ** 2 / y.var()),
    Wrong("score", _SQUARE, lambda y, p, of: 1 - abs(y - p).mean() / y.std()),
    Wrong("score", _SQUARE, lambda y, p, of: 1 - abs(y - p).mean() / y.var()),
    Wrong("score", _SQUARE, lambda y, p, of: 1 - (y - p).mean() / y.var()),
    Wrong("score", _SQUARE, lambda y, p, of: 1 - abs(y - p).sum() / abs(y - y.mean()).sum()),
    Wrong("score", "A square root is taken: R^2 is 1 minus squared error / variance.",
          lambda y, p, of: 1 - (_error(y, p) / y.var()) ** 0.5),
    Wrong("score", "Predictions and values are exchanged: the values' variance stands below the line.",
          lambda y, p, of: _r2(p, y, of)),
    Wrong("score", "These are the predictions: how far are they from the values?", lambda y, p, of: p),
    Wrong("score", "These are the errors: what share of the variance are their squares?", lambda y, p, of: y - p),
    Wrong("score",
          "Weights or values have one axis too many, so that each value meets each prediction: keep both (n,).",
          lambda y, p, of: 1 - ((y[:, None] - p) ** 2).mean() / y.var()),
    Wrong("score", "This is a share of answers: values are numbers, so take R^2.", lambda y, p,
          of: (abs(y - p) < 0.5).mean()),
    *(Wrong("fit", _OFF, lambda h, n, i=i: slice(0, h + i)) for i in (-1, 1)),
    *(Wrong("test", _OFF, lambda h, n, i=i: slice(h + i, n)) for i in (-1, 1)),
    Wrong("test", _OFF, lambda h, n: slice(h, n - 1)),
    *(Wrong("fit", "The half is written out: it is len(values) // 2.", lambda h, n, m=m: slice(0, m))
      for m in (50, 100, 40)),
    *(Wrong("test", "The half is written out: it is len(values) // 2.", lambda h, n, m=m: slice(m, n))
      for m in (50, 100, 40)),
    Wrong("fit", _HALVES, lambda h, n: slice(0, n, 2)), Wrong("test", _HALVES, lambda h, n: slice(1, n, 2)),
    Wrong("fit", _HALVES, lambda h, n: slice(1, n, 2)), Wrong("test", _HALVES, lambda h, n: slice(0, n, 2)),
    *(Wrong("fit", _HALVES, lambda h, n, s=s: slice(0, int(s * n))) for s in (0.8, 0.75, 0.9, 0.25, 0.2, 0.7)),
    *(Wrong("test", _HALVES, lambda h, n, s=s: slice(int(s * n), n)) for s in (0.8, 0.75, 0.9, 0.25, 0.2, 0.7)),
)


def say_probe(f: Callable, gots: list[np.ndarray]) -> None:
    """What a result of 5.4 changes with, of which R^2 on the second half knows nothing; and where it is not 1."""
    if any(got.shape for got in gots):
        return
    learner, rng = Learner(f, "probe_of_mine(coordinates, values)"), np.random.default_rng(3)
    x, noise, shuffled = rng.normal(size=(40, 3)), rng.normal(size=40), rng.permutation(20)
    exact, y = x @ [1.0, -2.0, 0.5], x @ [1.0, -2.0, 0.5] + 2 + noise

    def got(x: np.ndarray, y: np.ndarray) -> float:
        return float(as_numbers(learner(x, y)))

    own, first = got(x, y), np.r_[shuffled, 20:40]
    for message, value, wanted in (
        ("Values that are exactly a weighted sum of the coordinates have R^2 = 1", got(x, exact), 1.0),
        ("Values that are exactly a weighted sum plus a constant have R^2 = 1: is there an intercept, and no penalty",
         got(x, exact + 5), 1.0),
        ("R^2 stays when all values are multiplied by 10: the errors are divided by the variance", got(x, 10 * y), own),
        ("R^2 stays when 5 is added to all values: does the fit hold the intercept", got(x, y + 5), own),
        ("R^2 stays when the coordinates are multiplied by 10: fit by plain least squares", got(10 * x, y), own),
        ("R^2 stays when 3 is added to the coordinates: does the fit hold the intercept", got(x + 3, y), own),
        ("R^2 stays when the rows of the first half come in another order: all of them are fitted to",
         got(x[first], y[first]), own),
        ("R^2 stays when the rows of the second half come in another order: all of them are measured on",
         got(x[::-1][first][::-1], y[::-1][first][::-1]), own),
    ):
        require(bool(np.isclose(value, wanted, rtol=1e-3, atol=1e-4)), f"{message}. Yours "
                + (f"is {value:.3f}." if wanted == 1.0 else f"goes from {wanted:.3f} to {value:.3f}."))
    for size in (1.0, 4.0):
        off = np.where(np.arange(40) == 30, exact + size, exact)
        right = 1 - size**2 / 20 / off[20:].var()
        require(bool(np.isclose(got(x, off), right, atol=1e-3)), "Where all values are exact but one of the second "
                f"half, which is off by {size:g}, R^2 is {right:.3f}, and yours {got(x, off):.3f}: above the line "
                "stands the mean of the squared errors, below it that of the squared distances from the mean.")
    half = np.r_[noise[:20], np.zeros(20)]
    require(got(x, y + half) != own, "R^2 does not change with the values of the first half: fit to them.")
