"""Checks of the exercises in notebook 8: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.running import refuse
from utils.checks.tools.variants import Wrong, examine

_LIMIT = 1.5
_COLUMNS = {"unpack|index 3|out of bounds": "One variable is one column of the n rows: labels[:, 0] is the "
            "circularity, labels[:, 1] the color, labels[:, 2] the area."}


def _pairs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    base, source = np.random.default_rng(seed).uniform(size=(2, n, 3))
    return base, source


def check_tell_apart(f: Callable) -> str:
    """Exercise 8.1: ``f(base (n, 3), source (n, 3))`` tells (n,) where, after an interchange, two models differ."""
    cases = [_pairs(n, seed) for seed, n in enumerate((60, 25, 3, 1, 200))]
    cases[3] = np.array([[0.9, 0.1, 0.9]]), np.array([[0.1, 0.2, 0.3]])

    def build(first: Callable, second: Callable, limit: float, compare: Callable) -> Callable:
        def differ(base: np.ndarray, source: np.ndarray) -> np.ndarray:
            b, s = base.T, source.T
            return compare(first(b, s) > limit, second(b, s) > limit)

        return differ

    plain = "In one of the two models nothing is interchanged: the intermediate variable of each comes from the source."
    rest = "Only the intermediate variable comes from the source; the third variable stays the base's."
    one = "Both variables that make up the sum come from the source, the color among them."
    turned = "It is the other way round: the sum comes from the source, the third variable from the base."
    examine(f, "tell_apart(base, source)", cases, [f"{len(base)} pairs" for base, _ in cases], build, {
        "first": lambda b, s: s[0] + s[1] + b[2], "second": lambda b, s: s[1] + s[2] + b[0], "limit": _LIMIT,
        "compare": np.not_equal,
    }, [
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
        Wrong("limit", "The sum is compared with 0.6: 0.4 times the sum is, or the sum with 1.5.", 0.6),
        Wrong("limit", "The limit of the sum is 0.6 / 0.4 = 1.5.", 1.0),
        Wrong("first", "Here 0.4 is taken of one part only.", lambda b, s: 0.4 * (s[0] + s[1]) + b[2]),
        Wrong("second", "Here 0.4 is taken of one part only.", lambda b, s: 0.4 * (s[1] + s[2]) + b[0]),
    ], hints=_COLUMNS, also=lambda gots: _say_pair(gots, cases))
    return "Passed: on 289 pairs the two models are told apart where they can be."


def _say_pair(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """One pair that 8.1 gets wrong."""
    for got, (base, source) in zip(gots, cases):
        if got.shape != (len(base),):
            return
        require(set(np.unique(got)) <= {0, 1}, "These are other numbers than True and False.")
        first = source[:, :2].sum(axis=1) + base[:, 2]
        second = source[:, 1:].sum(axis=1) + base[:, 0]
        wrong = np.flatnonzero(got != ((first > _LIMIT) != (second > _LIMIT)))
        if len(wrong):
            i = wrong[0]
            refuse(f"With base {base[i].round(2).tolist()} and source {source[i].round(2).tolist()}, S gives a sum of "
                   f"{first[i]:.2f} and S' one of {second[i]:.2f}: your function says {bool(got[i])}.")


def check_share_apart(f: Callable) -> str:
    """Exercise 8.2: ``f(circularity, color, area)``, each values and probabilities, gives the exact share of
    interchanges of the intermediate variable on which two causal models differ."""
    rng = np.random.default_rng(3)

    def table(k: int) -> np.ndarray:
        weights = rng.uniform(0.2, 1, size=k)
        return np.stack([np.sort(rng.uniform(size=k)), weights / weights.sum()])

    cases = [tuple(table(k) for k in sizes) for sizes in ((4, 5, 6), (6, 4, 3), (2, 7, 5), (5, 2, 2), (3, 3, 4))]
    sizes = [f"tables of {c.shape[1]}, {k.shape[1]} and {a.shape[1]} values" for c, k, a in cases]

    def build(sums: Callable, chance: Callable, share: Callable, mean: Callable, limit: float) -> Callable:
        def exact(circularity: np.ndarray, color: np.ndarray, area: np.ndarray) -> Any:
            (c, pc), (a, pa), (k, pk) = circularity, area, color
            p = np.array([chance(sums(c, a) + each > limit, pc, pa) for each in k])
            return mean(share(p), pk)

        return exact

    two = "Either of the two sums may be the one above the limit: that makes 2 p (1 - p)."
    equal = "Each value counts by its probability: they are not all alike."
    examine(f, "share_apart(circularity, color, area)", cases, sizes, build, {
        "sums": lambda c, a: c[:, None] + a, "chance": lambda above, pc, pa: pc @ above @ pa,
        "share": lambda p: 2 * p * (1 - p), "mean": lambda x, w: x @ w, "limit": _LIMIT,
    }, [
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
        Wrong("mean", equal, lambda x, w: x.mean()), Wrong("chance", equal, lambda above, pc, pa: above.mean()),
        Wrong("chance", equal, lambda above, pc, pa: (pc @ above).mean()),
        Wrong("chance", equal, lambda above, pc, pa: (above @ pa).mean()),
        Wrong("mean", "The shares are added without the probabilities of the colors.", lambda x, w: x.sum()),
        Wrong("mean", "This is a share for each color: take their mean by the colors' probabilities.",
              lambda x, w: x),
        Wrong("mean", "This is the share as a percentage: return it between 0 and 1.", lambda x, w: 100 * (x @ w)),
        Wrong("limit", "The sum is compared with 0.6: 0.4 times the sum is, or the sum with 1.5.", 0.6),
        Wrong("sums", "The area is left out: what is added is the circularity of one image and the area of another.",
              lambda c, a: c[:, None] + 0 * a),
        Wrong("sums", "Here 0.4 is taken of one part only.", lambda c, a: 0.4 * (c[:, None] + a)),
    ], hints={"broadcast": "values[:, None] + others makes all sums of two lists: a row for each value of the first."},
        also=lambda gots: _say_share(gots, cases))
    return "Passed: the share is exact for five sets of tables."


def _say_share(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """What 8.2 does where no single part is wrong."""
    def follows(answer: Callable) -> bool:
        return all(np.isclose(got, answer(*case)).all() for got, case in zip(gots, cases))

    def mixed(circularity: np.ndarray, color: np.ndarray, area: np.ndarray) -> float:
        (c, pc), (k, pk), (a, pa) = circularity, color, area
        p = np.einsum("i,j,k,ijk", pc, pk, pa, c[:, None, None] + k[:, None] + a > _LIMIT)
        return float(2 * p * (1 - p))

    require(all(got.shape == () for got in gots), "One number is wanted, the share over all interventions.")
    require(not follows(mixed), "Both models take the color from the source, the same color: work out 2 p (1 - p) for "
            "each color, and only then the mean over colors.")
    require(all(0 <= got <= 1 for got in gots), f"A share lies between 0 and 1, and yours is {gots[0]:.3f}.")


def check_flip_dose(f: Callable) -> str:
    """Exercise 8.3: ``f(base (n, 3), source (n, 3))`` gives the doses (n,) of S at which the answer flips, or nan."""
    cases = [_pairs(n, seed) for seed, n in ((10, 40), (11, 25), (12, 90), (13, 7))]
    cases.append((np.array([[0.9, 0.9, 0.5]]), np.array([[0.1, 0.2, 0.9]])))
    sizes = [f"{len(base)} pairs" for base, _ in cases]

    def build(start: Callable, end: Callable, rest: Callable, solve: Callable, mask: Callable) -> Callable:
        def doses(base: np.ndarray, source: np.ndarray) -> np.ndarray:
            b, s = base.T, source.T
            x, y, left = start(b), end(s), rest(b, s)
            with np.errstate(all="ignore"):
                return mask(solve(x, y, left), x + left > _LIMIT, y + left > _LIMIT)

        return doses

    never = "Where the answer at dose 1 is that at dose 0, nothing flips: these doses are nan."
    third = "The area stays the base's: only S slides."
    other = "S is circularity + color: what slides here is another sum."
    examine(f, "flip_dose(base, source)", cases, sizes, build, {
        "start": lambda b: b[0] + b[1], "end": lambda s: s[0] + s[1], "rest": lambda b, s: b[2],
        "solve": lambda x, y, left: (_LIMIT - left - x) / (y - x),
        "mask": lambda dose, before, after: np.where(before != after, dose, np.nan),
    }, [
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
              "source.", lambda x, y, left: _LIMIT - left),
        Wrong("solve", "Dose 0 is the base and 1 the source: yours run the other way.",
              lambda x, y, left: 1 - (_LIMIT - left - x) / (y - x)),
        Wrong("solve", "This is a distance in S: divide it by the whole way from base to source.",
              lambda x, y, left: _LIMIT - left - x),
        Wrong("solve", "This divides by the source's S: the way from base to source is their difference.",
              lambda x, y, left: (_LIMIT - left - x) / y),
        Wrong("solve", "The base's S is where the way begins: take it off first.",
              lambda x, y, left: (_LIMIT - left) / (y - x)),
        Wrong("solve", "The sign of the way is lost: S may fall from base to source.",
              lambda x, y, left: (_LIMIT - left - x) / np.abs(y - x)),
        Wrong("solve", "The sum is compared with 0.6: 0.4 times the sum is, or the sum with 1.5.",
              lambda x, y, left: (0.6 - left - x) / (y - x)),
        Wrong("solve", "The flip is where S and the area make 1.5: the area is left out.",
              lambda x, y, left: (_LIMIT - x) / (y - x)),
        Wrong("solve", "The dose is rounded to whole steps: it can be solved for.",
              lambda x, y, left: np.round((_LIMIT - left - x) / (y - x), 1)),
        Wrong("rest", third, lambda b, s: s[2]),
        *(Wrong("start", other, lambda b, i=i: b[i]) for i in (0, 1)),
        *(Wrong("end", other, lambda s, i=i: s[i]) for i in (0, 1)),
        Wrong("start", other, lambda b: b[1] + b[2]), Wrong("end", other, lambda s: s[1] + s[2]),
    ], hints=_COLUMNS)
    return "Passed: on 163 pairs the dose of the flip is right, and nan where there is none."
