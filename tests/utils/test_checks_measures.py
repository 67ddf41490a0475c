"""The checks of notebook 5 pass right answers in several styles and name each known mistake."""
import numpy as np
import pytest
import torch

from exercise_checks import checks_of, define_tests

from utils.checks import measures

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(measures)


def norm(best=max, floor=None, top=None, post=lambda x: x):
    return lambda iia, b, c: post((iia - best(b)) / ((top or c) - (best(b) if floor is None else floor)))


def iso(near=lambda d, t: abs(d) <= t, far=lambda d, t: abs(d) >= t, join=lambda a, b: a & b, final=lambda a, b: a & b):
    def f(zb, zs, v, t, D):
        c = zs - zb
        i, j = [i for i in range(3) if i != v]
        return final(near(c[:, v], t), join(far(c[:, i], D), far(c[:, j], D)))
    return f


def iso_of_color(zb, zs, v, t, D):
    d = abs(zs - zb)
    return (d[:, v] <= t) & (d[:, [0, 2]] >= D).all(axis=1)


def iso_tests(test):
    def f(zb, zs, v, t, D):
        d = abs(zs - zb)
        return test(d[:, v], np.delete(d, v, 1), t, D)
    return f


def rest(z, v):
    return 0.4 * (z.sum(1) - z[:, v])


def flip(r=rest, t=0.6, c=0.4, post=lambda x: x):
    return lambda z, v: post((t - r(z, v)) / c)


def r2(y, p):
    return 1 - ((y - p) ** 2).mean() / y.var()


def with_ones(x):
    return np.column_stack([x, np.ones(len(x))])


def probe(fit=lambda h, n: slice(0, h), test=lambda h, n: slice(h, n), design=with_ones,
          score=lambda y, p, yf: r2(y, p), ridge=0.0):
    def f(x, y):
        x, y = np.array(x), np.array(y)
        n, h = len(x), len(x) // 2
        A = design(x)
        a, b = fit(h, n), test(h, n)
        w = np.linalg.lstsq(A[a], y[a],
                            rcond=None)[0] if not ridge else np.linalg.solve(A[a].T @ A[a] + ridge * np.eye(A.shape[1]),
                                                                             A[a].T @ y[a])
        return score(y[b], A[b] @ w, y[a])
    return f


def probe_by_torch(x, y):
    half, design = len(x) // 2, torch.cat([x, x.new_ones(len(x), 1)], 1)
    weights = torch.linalg.lstsq(design[:half], y[:half, None]).solution
    error = y[half:] - (design[half:] @ weights)[:, 0]
    return 1 - (error**2).mean() / y[half:].var(correction=0)


def probe_centered(x, y):
    h = len(x) // 2
    a, b = x[:h].mean(0), y[:h].mean()
    p = (x[h:] - a) @ np.linalg.pinv(x[:h] - a) @ (y[:h] - b) + b
    return r2(y[h:], p)


def iso_in_place(zb, zs, v, t, D):
    zs -= zb
    o = np.delete(abs(zs), v, 1)
    return (abs(zs[:, v]) <= t) & (o >= D).all(1)


def flip_in_place(z, v):
    z[:, v] = 0
    return (0.6 - 0.4 * z.sum(1)) / 0.4


def probe_by_normal_equations(x, y):
    h, A = len(y) // 2, np.c_[np.ones(len(x)), x]
    w = np.linalg.solve(A[:h].T @ A[:h], A[:h].T @ y[:h])
    return 1 - np.mean((y[h:] - A[h:] @ w) ** 2) / np.var(y[h:])


RIGHT = {
    "check_normalized_iia": [
        norm(),
        lambda i, b, c: np.float32((i - np.max(b)) / (c - np.max(b))),
        lambda i, b, c: float(np.interp(i, [max(b), c], [0, 1])) if max(b) <= i <= c else norm()(i, b, c),
        lambda i, b, c: min((i - x) / (c - x) for x in [sorted(b)[-1]]),
        lambda i, b, c: 1 - (c - i) / (c - max(b)),
        lambda i, b, c: torch.tensor(norm()(i, b, c)),
        lambda i, b, c: (i - sorted(b)[-1]) / (c - sorted(b)[-1]),
        lambda i, b, c: np.divide(i - np.amax(b), c - np.amax(b)),
        lambda i, b, c: -(max(b) - i) / (c - max(b)),
    ],
    "check_isolating": [
        iso(),
        lambda *a: torch.from_numpy(iso()(*a)).float(),
        lambda *a: list(iso()(*a)),
        lambda zb, zs, v, t, D: np.array([all(abs(s - b) <= t if i == v else abs(s - b) >= D for i,
                                              (b, s) in enumerate(zip(x, y))) for x, y in zip(zb, zs)]),
        iso_tests(lambda d, o, t, D: ~((d > t) | (o < D).any(1))),
        lambda zb, zs, v, t, D: [bool(a) for a in iso()(zb, zs, v, t, D)],
        lambda zb, zs, v, t, D: (lambda d: (d[:, v] <= t) & (np.delete(d, v, 1).min(1) >= D))(abs(zb - zs)),
        lambda zb, zs, v, t, D: ((abs(zb - zs) >= D) | (np.arange(3) == v)).all(1) & (abs(zb - zs)[:, v] <= t),
    ],
    "check_flip_point": [
        flip(),
        lambda z, v: torch.as_tensor(1.5 - (z.sum(1) - z[:, v])),
        lambda z, v: [1.5 - sum(a for i, a in enumerate(r) if i != v) for r in z],
        lambda z, v: (0.6 - np.delete(z, v, 1) @ [0.4, 0.4]) / 0.4,
        lambda z, v: (0.6 - sum(0.4 * z[:, i] for i in range(3) if i != v)) / 0.4,
        lambda z, v: z[:, v] + (0.6 - 0.4 * z.sum(1)) / 0.4,
        lambda z, v: np.array([1.5 - r.sum() + r[v] for r in z]),
    ],
    "check_probe_r2": [
        probe(),
        probe_by_torch,
        probe_centered,
        probe(score=lambda y, p, yf: 1 - ((y - p) ** 2).mean() / ((y - yf.mean()) ** 2).mean()),
        probe(score=lambda y, p, yf: float(1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())),
        probe_by_normal_equations,
        lambda x, y: np.array(probe()(x, y)),
        probe_by_torch,
    ],
}
WRONG = {
    "check_normalized_iia": [
        (norm(np.mean), "This takes the mean of the baselines: take the"),
        (norm(min), "This takes the least baseline: take the best"),
        (norm(lambda b: b[0]), "This takes the first baseline: take the best"),
        (norm(lambda b: b[-1]), r"This takes the last baseline: take the best one\."),
        (norm(np.median), "This takes the median of the baselines: take"),
        (norm(lambda b: b[1]), "IndexError"),
        (norm(sum), "This takes the sum of the baselines: take the"),
        (norm(floor=0), "The baseline is not taken off below the line:"),
        (norm(top=1), "The ceiling is ignored: divide by ceiling -"),
        (norm(max, 0, 1), "This is the distance from the best baseline:"),
        (lambda iia, b, c: iia / c, "The baseline is ignored: take it off above and"),
        (lambda iia, b, c: (iia - max(b)) * (c - max(b)), "This multiplies by what there is to gain:"),
        (lambda iia, b, c: iia - max(b) / c - max(b), r"Parentheses are missing: \(iia - baseline\) /"),
        (norm(post=lambda x: max(x, 0)), r"Values below 0 are cut: let them show\."),
        (norm(post=lambda x: min(x, 1)), r"Values above 1 are cut: let them show\."),
        (norm(post=lambda x: min(max(x, 0), 1)), r"Values are cut to \[0, 1\]: let those outside"),
        (norm(post=abs), "The absolute value is taken of the result:"),
        (lambda i, b, c: (i**2 - max(b) ** 2) / (c**2 - max(b) ** 2), "The scores are squared first"),
        (lambda i, b, c: (i - np.percentile(b, 75)) / (c - np.percentile(b, 75)), "your scale is 0 at iia = 0.650"),
        (lambda i, b, c: (i - np.std(b)) / (c - np.std(b)), "takes the spread of the baselines"),
    ],
    "check_isolating": [
        (iso_tests(lambda x, others, t, D: (x <= t) & (others >= D).all()), "need axis=1"),
        (iso(near=lambda d, t: d <= t), "The absolute value is forgotten: a difference"),
        (iso(near=lambda d, t: abs(d) < t), "At most `tolerance` takes in the tolerance"),
        (iso(far=lambda d, t: abs(d) > t), "At least `distance` takes in the distance"),
        (iso_of_color, "The columns of the others are written out"),
        (iso(join=lambda a, b: a | b), "One other variable that differs is not enough:"),
        (iso(join=lambda a, b: a ^ b), "Exactly one other variable must differ here:"),
        (iso(join=lambda a, b: a), "Only one of the other variables is asked: each"),
        (iso(final=lambda a, b: a), "The other variables are not asked: they must"),
        (iso(final=lambda a, b: b), "The agreement on the variable is not asked: it"),
        (iso(final=lambda a, b: a | b), "One of the two conditions is enough here: both"),
        (iso(final=lambda a, b: ~(a & b)), "It is the other way round: the pairs agree on"),
        (iso(near=lambda d, t: abs(d) <= 0.1), "The tolerance is written out: take the one that"),
        (iso(far=lambda d, t: abs(d) >= 0.3), "The distance is written out: take the one that"),
        (iso(near=lambda d, t: d**2 <= t), r"The difference is squared, the tolerance is not\."),
        (iso(near=lambda d, t: d == 0), "Equal to the bit is too much to ask: the"),
        (iso(near=lambda d, t: abs(d) >= t), "It is the other way round in the variable:"),
        (iso(far=lambda d, t: abs(d) <= t), "It is the other way round in the others: there"),
        (iso_in_place, "Your function changes its argument `z_source`"),
        (lambda b, s, v, t, d: np.isclose(b[:, v], s[:, v], atol=t) & (np.delete(np.abs(s - b), v, 1) >= d).all(1),
         "np.isclose adds a tolerance of its own"),
        (lambda b, s, v, t, d: (np.abs(s - b)[:, v] <= t) & (np.abs(s - b) >= d).all(1),
        "variable itself is asked to differ|use it"),
    ],
    "check_flip_point": [
        (lambda z, v: np.full(len(z), flip()(z, v).mean()), "The value is the same for every row"),
        (flip(lambda z, v: 0.4 * z.sum(1)), "The variable itself is counted in the rest:"),
        (lambda z, v: flip()(z, v) - z[:, v], "not the change from the base's"),
        (flip(c=1), "This is the weighted product at the threshold:"),
        (flip(lambda z, v: z.sum(1) - z[:, v]), "The coefficients are missing in the rest: the"),
        (flip(t=0.5), r"The threshold is 0\.6, not 0\.5\."),
        (flip(post=lambda x: -x), "The sign is wrong: it is the threshold minus"),
        (flip(post=lambda x: np.clip(x, 0, 1)), r"Values are cut to \[0, 1\]: let those outside"),
        (flip(post=lambda x: np.maximum(x, 0)), r"Values below 0 are cut: let them show\."),
        (flip(post=lambda x: np.where((x < 0) | (x > 1), np.nan, x)),
         r"Values outside \[0, 1\] are missing: leave them"),
        (flip(post=abs), "The absolute value is taken of the result:"),
        (flip(post=lambda x: x > 0.5), r"The result is rounded: return it in full\."),
        (flip(post=lambda x: x[:, None]), "This has one axis too many: a table of one"),
        (flip(post=lambda x: x.mean()), "Each row has its result: leave out the mean"),
        (flip_in_place, "Your function changes its argument `z_base` in"),
        (flip(lambda z, v: 0.4 * (z.sum(0) - z[:, v])), "ValueError"),
        (flip(lambda z, v: 0.4 * z[:, v]), "This counts the variable alone: the rest is all"),
        (flip(lambda z, v: 0.4 * (z.sum() - z[:, v])), "The rest is the sum over the variables of one"),
        (flip(lambda z, v: 0.4 * (z[:, 1] + z[:, 2])), "The variable is written out: leave out the"),
        (lambda z, v: 1.5 / np.delete(z, v, 1).sum(1), "The threshold is divided by the rest"),
    ],
    "check_probe_r2": [
        (probe(test=lambda h, n: slice(0, h)), "This is measured on the half that it was fitted"),
        (probe(fit=lambda h, n: slice(0, n)), "The fit has seen the second half: fit to the"),
        (probe(fit=lambda h, n: slice(h, n), test=lambda h, n: slice(0, h)), "The rows are reversed: the first half is "
         "for"),
        (probe(test=lambda h, n: slice(0, n)), "It is measured on all rows: measure on the"),
        (probe(fit=lambda h, n: slice(h, n)), "The fit has seen the rows that it is measured"),
        (probe(design=lambda x: x), "The intercept is missing: add a column of ones"),
        (probe(ridge=1.0), r"The weights are held small \(a ridge\): fit by"),
        (probe(design=lambda x: np.column_stack([x[:, :3], np.ones(len(x))])), "Only the first coordinates are used: "
         "fit to all"),
        (probe(design=lambda x: np.ones((len(x), 1))), "The coordinates are not used: this is the mean"),
        (probe(fit=lambda h, n: slice(0, n, 2), test=lambda h, n: slice(1, n, 2)), "Another half is taken: fit to the "
         "rows before"),
        (probe(fit=lambda h, n: slice(0, 100), test=lambda h, n: slice(100, n)), r"The half is written out: it is "
         r"len\(values\) // 2\."),
        (probe(fit=lambda h, n: slice(0, h - 1)), "The halves are off by one row: they meet at"),
        (probe(score=lambda y, p, yf: np.corrcoef(y, p)[0, 1]), r"This is a correlation: R\^2 = 1 - squared error"),
        (probe(score=lambda y, p, yf: max(r2(y, p), 0)), "Values below 0 are cut: let them show, they are"),
        (probe(score=lambda y, p, yf: ((y - p) ** 2).mean()), r"This is the error itself: R\^2 is 1 minus"),
        (probe(score=lambda y, p, yf: ((y - p) ** 2).mean() / y.var()), r"The 1 - is missing: R\^2 is 1 minus squared"),
        (probe(score=lambda y, p, yf: 1 - ((y - p) ** 2).sum() / y.var()), "A sum and a mean are mixed: take the mean "
         "of"),
        *((lambda x, y, below=below: 1 - (1 - probe()(x, y)) * y[len(y) // 2:].var() / below(y, len(y) // 2),
         "Below the line stands")
          for below in (lambda y, h: np.ptp(y[h:]) ** 2, lambda y, h: y[h:].mean() ** 2, lambda y, h: abs(y[h:]).mean(),
                        lambda y, h: ((y[h:] - np.median(y[h:])) ** 2).mean(), lambda y,
                         h: ((y[:h] - y[h:].mean()) ** 2).mean())),
        (lambda x, y: 1 - 1 / (1 - probe()(x, y)), "The line is upside down"),
    ],
}

globals().update(define_tests(CHECKS, "5", RIGHT, WRONG))
