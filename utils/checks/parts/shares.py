"""The parts of a solution of exercises 0.2 and 1.4, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.running import Learner
from utils.checks.tools.variants import Wrong, alike, as_numbers

_NEITHER = "Probabilities hardly ever equal 0 or 1: make them answers first, with probabilities > 0.5."
_ONE = "Only {} count here: compare all n of them."
SHARE: dict[str, Any] = {  # the right parts of 0.2
    "cut": lambda p, y: p > 0.5, "true": lambda y: y, "right": lambda a, y: a == y, "share": lambda r, a, y: r.mean(),
}


def share(cut: Callable, true: Callable, right: Callable, share: Callable) -> Callable:
    """A solution of 0.2 made of its parts."""
    return lambda p, y: share(right(cut(p, y), true(y)), cut(p, y), y)


WRONG_SHARES = (
    Wrong("cut", "A probability of exactly 0.5 is answer 0: use > in place of >=.", lambda p, y: p >= 0.5),
    Wrong("cut", "A probability of exactly 0.5 counts as right for either answer here: it is answer 0.",
          lambda p, y: np.where(p == 0.5, y, p > 0.5)),
    Wrong("cut", "A probability of exactly 0.5 counts as wrong for either answer here: it is answer 0.",
          lambda p, y: np.where(p == 0.5, 1 - y, p > 0.5)),
    Wrong("cut", _NEITHER, lambda p, y: p),
    Wrong("cut", "The probabilities are cut at 0, as logits would be: an answer is 1 above 0.5.", lambda p, y: p > 0),
    *(Wrong("cut", f"The probabilities are cut at {c}: an answer is 1 above 0.5.", lambda p, y, c=c: p > c)
      for c in (0.49, 0.51, 0.495, 0.6, 0.4, 0.55, 0.45, 0.7, 0.3, 0.25, 0.75, 0.8, 0.9, 0.99)),
    Wrong("cut", "Probabilities are truncated, so that all below 1 become 0: cut at 0.5.", lambda p, y: p.astype(int)),
    Wrong("cut", "Probabilities are rounded up, so that all above 0 become 1: cut at 0.5.", lambda p, y: np.ceil(p)),
    Wrong("cut", "The cut is at a value that depends on the data: it is at 0.5.", lambda p, y: p > p.mean()),
    Wrong("cut", "The cut is at a value that depends on the data: it is at 0.5.", lambda p, y: p > np.median(p)),
    Wrong("cut", "The cut is at a value that depends on the data: it is at 0.5.", lambda p, y: p > y.mean()),
    Wrong("cut", "Probabilities are compared with the answers: they are cut at 0.5.", lambda p, y: p > y),
    Wrong("cut", "Only the largest probability becomes answer 1: cut each at 0.5.", lambda p, y: p == p.max()),
    Wrong("true", "Each probability is compared with each answer: keep both of shape (n,).", lambda y: y[:, None]),
    Wrong("true", "The answers come in reverse order.", lambda y: y[::-1]),
    Wrong("right", "This is the share of wrong answers.", lambda a, y: a != y),
    Wrong("right", "This counts only the 1s that are right: right 0s count as well, so compare with ==.",
          lambda a, y: a * y),
    Wrong("right", "This counts only the 0s that are right: right 1s count as well, so compare with ==.",
          lambda a, y: (1 - a) * (1 - y)),
    Wrong("right", "This counts where either is 1: compare with ==.", lambda a, y: np.maximum(a, y)),
    Wrong("right", "This is the share of probabilities above 0.5: compare them with the answers.", lambda a, y: 1.0 *
        a),
    Wrong("right", "This is the share of answers 1: compare them with the probabilities.", lambda a, y: y),
    Wrong("right", "This is a mean distance, not a share of right answers: cut at 0.5, then count the right ones.",
          lambda a, y: 1 - np.abs(a - y)),
    Wrong("right", "This is a mean distance, not a share of right answers: cut at 0.5, then count the right ones.",
          lambda a, y: np.abs(1.0 * a - y)),
    Wrong("right", "This is a squared error: cut at 0.5, then count the right ones.", lambda a, y: (1.0 * a - y) ** 2),
    Wrong("right", "This is 1 minus a squared error: cut at 0.5, then count the right ones.",
          lambda a, y: 1 - (1.0 * a - y) ** 2),
    Wrong("right", "This is the mean probability of the right answer: cut at 0.5, then count the right ones.",
          lambda a, y: a * y + (1 - a) * (1 - y)),
    Wrong("right", "This is a cross-entropy: cut at 0.5, then count the right ones.",
          lambda a, y: -np.log(np.where(y == 1, a, 1 - a))),
    Wrong("share", "This is the number of right answers: divide it by their number in all.", lambda r, a, y: r.sum()),
    Wrong("share", "This is the number of wrong answers: the share of right ones is asked.", lambda r, a, y:
        (~r).sum()),
    Wrong("share", "These are the single comparisons: take their mean.", lambda r, a, y: r),
    *(Wrong("share", "The number of answers is written out: take their mean, or divide by len(answers).",
            lambda r, a, y, m=m: r.sum() / m) for m in (8, 10, 100, 1000, 5, 7, 9, 16, 32)),
    Wrong("share", "The number below the line is off by one: divide by n.", lambda r, a, y: r.sum() / (len(r) - 1)),
    Wrong("share", "The number below the line is off by one: divide by n.", lambda r, a, y: r.sum() / (len(r) + 1)),
    Wrong("share", _ONE.format("pairs whose answer is 1"), lambda r, a, y: r[y == 1].mean()),
    Wrong("share", _ONE.format("pairs whose answer is 0"), lambda r, a, y: r[y == 0].mean()),
    Wrong("share", _ONE.format("probabilities above 0.5"), lambda r, a, y: r[a > 0].mean()),
    Wrong("share", _ONE.format("probabilities below 0.5"), lambda r, a, y: r[a == 0].mean()),
    Wrong("share", _ONE.format("all but the last"), lambda r, a, y: r[:-1].mean()),
    Wrong("share", _ONE.format("all but the first"), lambda r, a, y: r[1:].mean()),
    Wrong("share", _ONE.format("the first few"), lambda r, a, y: r[:8].mean()),
    Wrong("share", "This is the mean of two shares, one for each answer: take one share over all n.",
          lambda r, a, y: (r[y == 1].mean() + r[y == 0].mean()) / 2),
    Wrong("share", "The right answers are divided by the number of 1s: divide by n.", lambda r, a, y: r.sum() /
        y.sum()),
    Wrong("share", "The right answers are divided by the number of 1s: divide by n.", lambda r, a, y: r.sum() /
        a.sum()),
    Wrong("share", "This is the ratio of right to wrong answers: divide by n.", lambda r, a, y: r.sum() / (~r).sum()),
    Wrong("share", "This asks whether all answers are right: take the share.", lambda r, a, y: r.all()),
    Wrong("share", "This asks whether any answer is right: take the share.", lambda r, a, y: r.any()),
    Wrong("share", "The share stands in an array: return the one number.", lambda r, a, y: np.array([r.mean()])),
    Wrong("share", "This is a standard deviation: take the mean.", lambda r, a, y: r.std()),
    Wrong("share", "This is a median: take the mean.", lambda r, a, y: np.median(r)),
    Wrong("share", "This is an F1 score, not the share of right answers.",
          lambda r, a, y: 2 * (r & (y == 1)).sum() / (a.sum() + y.sum())),
    Wrong("share", "This is a correlation: take the share of right answers.", lambda r, a, y: np.corrcoef(a, y)[0, 1]),
)

def say_share(learner: Learner, gots: list[np.ndarray]) -> None:
    """Raise WrongAnswer where a result of 0.2 changes with what should not count, or not with what should."""
    if any(got.ndim for got in gots) or len({float(got) for got in gots}) == 1:
        return
    y = np.array([1.0, 0, 1, 1, 0, 0, 1, 0, 0, 0])
    p = np.array([0.9, 0.2, 0.3, 0.7, 0.8, 0.1, 0.6, 0.4, 0.35, 0.45])

    def got(p: np.ndarray, y: np.ndarray) -> float:
        return float(as_numbers(learner(p, y)))

    plain = got(p, y)
    for name, some in {"some of them right": p, "all of them right": 0.2 + 0.6 * y, "all of "
            "them wrong": 0.8 - 0.6 * y}.items():
        for farther in (0.01, 0.45):
            moved = np.where(some > 0.5, 0.5 + farther, 0.5 - farther)
            require(alike(got(moved, y), got(some, y)), f"With 10 probabilities, {name}, your result changes from "
                                                        f"{got(some, y):.3g} to {got(moved, y):.3g} when all of them "
                                                        f"move to {farther} from one half, on the side where they are: "
                                                        "only the side counts, so cut at 0.5 first.")
    for i in range(len(p)):
        right, other = (p[i] > 0.5) == (y[i] == 1), np.where(np.arange(len(p)) == i, 1 - p, p)
        change = got(other, y) - plain
        require(alike(change, -0.1 if right else 0.1), "When one probability of 10 goes from the "
                                                       f"{'right' if right else 'wrong'} side of one half to the "
                                                       f"{'wrong' if right else 'right'} one (number {i}, answer "
                                                       f"{y[i]:.0f}), the share should {'fall' if right else 'rise'} "
                                                       f"by 0.1, and yours changes by {change:.3g}: each of the n "
                                                       "counts once.")
    for name, wanted, some in (("all right", 1.0, y), ("all wrong", 0.0, 1 - y)):
        require(alike(got(0.2 + 0.6 * some, y), wanted), f"With 10 probabilities that are {name}, the share is "
                                                         f"{wanted:.0f}, and yours is {got(0.2 + 0.6 * some, y):.3g}.")


FLIPS: dict[str, Any] = {  # the right parts of 1.4
    "right": lambda a, b, y: a == y, "among": lambda a, b, y: y != b, "share": lambda r, m, a: r[m].mean(),
    "whole": None,
}


def flips(right: Callable, among: Callable, share: Callable, whole: Callable | None) -> Callable:
    """A solution of 1.4 made of its parts."""
    return whole or (lambda a, b, y: share(right(a, b, y), among(a, b, y), a))


_AMONG = "The wrong pairs are kept: keep those with y_counterfactual != y_base."
WRONG_FLIPS = (
    Wrong("share", "This is IIA over all pairs: keep only those with y_counterfactual != y_base.", lambda r, m, a:
        r.mean()),
    Wrong("among", "These are the pairs that stay: keep those with y_counterfactual != y_base.", lambda a, b, y: y ==
        b),
    Wrong("right", "The answers are compared with y_base: the right ones are in y_counterfactual.", lambda a, b, y: a
        == b),
    Wrong("share", "This is the share of pairs that flip: among them, how many answers are right?", lambda r, m, a:
        m.mean()),
    Wrong("share", "The right answers are divided by the number of all pairs: divide by the number of flips.",
          lambda r, m, a: (r & m).mean()),
    Wrong("share", "This is the number of right answers: divide it by the number of flips.", lambda r, m, a:
        r[m].sum()),
    Wrong("share", "This is the number of flips: among them, what share of the answers is right?", lambda r, m, a:
        m.sum()),
    Wrong("share", "The right answers are divided by the number of all right ones: divide by the number of flips.",
          lambda r, m, a: (r & m).sum() / r.sum()),
    Wrong("share", "This divides by the share of flips: the mean over the flips is all.", lambda r, m, a: r[m].mean() /
        m.mean()),
    Wrong("share", "This divides by the share of flips: the mean over the flips is all.", lambda r, m, a: r.mean() /
        m.mean()),
    Wrong("share", "This multiplies by the share of flips: the mean over the flips is all.", lambda r, m, a: r.mean() *
        m.mean()),
    Wrong("share", "The number of flips is counted as all pairs less one.", lambda r, m, a: (r & m).sum() / (m.sum() -
        1)),
    Wrong("share", "The number of flips is one too large.", lambda r, m, a: (r & m).sum() / (m.sum() + 1)),
    *(Wrong("share", "The number of flips is written out: take the mean over those that flip.",
            lambda r, m, a, w=w: (r & m).sum() / w) for w in (5, 6, 7, 8, 9, 10, 16, 100)),
    Wrong("share", "This is the share among pairs that flip and those that stay, averaged: only flips count.",
          lambda r, m, a: (r[m].mean() + r[~m].mean()) / 2),
    Wrong("whole", "This is the mean of two shares, of the flips from 0 to 1 and of those from 1 to 0: take one share "
          "over all that flip.", lambda a, b, y: ((a == y)[y > b].mean() + (a == y)[y < b].mean()) / 2),
    Wrong("share", "This is the difference between flips and other pairs: only flips count.",
          lambda r, m, a: r[m].mean() - r[~m].mean()),
    Wrong("share", "This counts where answer is right or the pair flips: keep the flips, then count.", lambda r, m, a:
        (r | m).mean()),
    Wrong("share", "This counts the answers that are not y_base, over all pairs: keep the flips, then count the right "
                   "ones.", lambda r, m, a: (r
        == m).mean()),
    Wrong("share", "Truth values are used as positions, 0 and 1, so only the first two pairs count: index with "
                   "booleans.",
          lambda r, m, a: r[m.astype(int)].mean()),
    Wrong("share", "These are the single comparisons: take their mean.", lambda r, m, a: r[m]),
    Wrong("share", "These are the single comparisons of all pairs: take the mean over the flips.", lambda r, m, a: r &
        m),
    Wrong("share", "This asks whether all answers are right: take the share.", lambda r, m, a: r[m].all()),
    Wrong("share", "This asks whether any answer is right: take the share.", lambda r, m, a: r[m].any()),
    Wrong("share", "The share stands in an array: return the one number.", lambda r, m, a: np.array([r[m].mean()])),
    Wrong("share", "A mean is taken of the answers themselves: compare them with y_counterfactual.", lambda r, m, a:
        a[m].mean()),
    *(Wrong("share", "The first pairs alone are kept: keep those with y_counterfactual != y_base.",
            lambda r, m, a, w=w: r[:w].mean()) for w in (5, 7, 8, 10)),
    Wrong("right", "This is the share of wrong answers.", lambda a, b, y: a != y),
    Wrong("right", "A mean is taken of y_counterfactual: compare the answers with it.", lambda a, b, y: y),
    Wrong("right", "A mean is taken of y_base: compare the answers with y_counterfactual.", lambda a, b, y: b),
    Wrong("right", "This counts only the 1s that are right: right 0s count as well.", lambda a, b, y: a * y == 1),
    Wrong("right", "This counts only the 0s that are right: right 1s count as well.", lambda a, b, y: a + y == 0),
    Wrong("right", "It is asked whether base and counterfactual agree: compare the answers.", lambda a, b, y: b == y),
    *(Wrong("among", _AMONG + " Here: " + words, which) for words, which in {
        "those whose answer is not y_base.": lambda a, b, y: a != b, "those whose answer is y_base.": lambda a, b, y: a
        == b,
        "those whose answer is wrong.": lambda a, b, y: a != y, "those whose answer is right.": lambda a, b, y: a == y,
        "those with y_counterfactual 1.": lambda a, b, y: y == 1, "those with y_counterfactual 0.": lambda a, b, y: y
        == 0,
        "those with y_base 1.": lambda a, b, y: b == 1, "those with y_base 0.": lambda a, b, y: b == 0,
        "those that flip from 0 to 1 alone.": lambda a, b, y: y > b, "those that flip from 1 to 0 alone.": lambda a, b,
        y: y < b,
        "those with answer 1.": lambda a, b, y: a == 1, "those with answer 0.": lambda a, b, y: a == 0,
        "those that are 1 in either.": lambda a, b, y: (y + b) > 0, "those that are 1 in both.": lambda a, b, y: (y +
        b) > 1,
        "all but the last.": lambda a, b, y: (y != b) & (np.arange(len(y)) < len(y) - 1),
        "all but the first.": lambda a, b, y: (y != b) & (np.arange(len(y)) > 0),
        "those that flip from one pair to the next.": lambda a, b, y: y != np.roll(y, 1),
    }.items()),
)
