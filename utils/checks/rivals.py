"""Checks of the exercises in notebook 8: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable

import numpy as np

from utils.checks.helpers import require
from utils.checks.known.apart import APART, LIMIT, SHARES, WRONG_APART, WRONG_SHARES, apart, share_apart
from utils.checks.known.doses import DOSES, WRONG_DOSES, dosed
from utils.checks.tools.running import Learner, refuse
from utils.checks.tools.variants import as_numbers, examine
from utils.data_utils import VARIABLE_NAMES

_COLUMNS = {"unpack|index 3|out of bounds": "One variable is one column of the n rows: labels[:, 0] is the "
            "circularity, labels[:, 1] the color, labels[:, 2] the area."}


def _pairs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    base, source = np.random.default_rng(seed).uniform(size=(2, n, 3))
    return base, source


def check_tell_apart(f: Callable) -> str:
    """Exercise 8.1: ``f(base (n, 3), source (n, 3))`` tells (n,) where, after an interchange, two models differ."""
    cases = [_pairs(n, seed) for seed, n in enumerate((60, 25, 3, 1, 200))]
    cases[3] = np.array([[0.9, 0.1, 0.9]]), np.array([[0.1, 0.2, 0.3]])
    examine(f, "tell_apart(base, source)", cases, [f"{len(base)} pairs" for base, _ in cases], apart, APART,
            WRONG_APART, also=lambda gots: _say_pair(f, gots, cases), hints={
                **_COLUMNS, "ambiguous|truth value": "Python chains comparisons, and `and`, `or` and `if` take one "
                "truth value: put each sum's comparison in parentheses, and compare both with !=."})
    return "Passed: on 289 pairs the two models are told apart where they can be."


def _say_pair(f: Callable, gots: list[np.ndarray], cases: list[tuple]) -> None:
    """On which labels the answers of 8.1 hang that should not count, or do not; or one pair that it gets wrong."""
    require(all(got.ndim == 0 or set(np.unique(got)) <= {0, 1} for got in gots), "These are other numbers than True "
            "and False.")
    learner, (base, source) = Learner(f, "tell_apart(base, source)"), cases[-1]
    if gots[-1].shape == (len(base),):
        require(not as_numbers(learner(base, base)).any(), "Where base and source are one image, nothing is changed "
                "and the models agree: your function says True for some of these.")
        other = np.random.default_rng(9).uniform(size=base.shape)
        for whose, changed in (("base", base), ("source", source)):
            for v, name in enumerate(VARIABLE_NAMES):
                new = np.where(np.arange(3) == v, other, changed)
                got = as_numbers(learner(*((new, source) if whose == "base" else (base, new))))
                counts = (whose, v) != ("base", 1)
                require(counts or bool((got == gots[-1]).all()), "Your answers depend on the base's color (column 1): "
                        "both S and S' hold the color, so it comes from the source in either model.")
                require(not counts or bool((got != gots[-1]).any()), f"Your answers do not depend on the {whose}'s "
                        f"{name} (column {v}), which should count.")
    for got, (base, source) in zip(gots, cases):
        if got.shape != (len(base),):
            return
        first = source[:, :2].sum(axis=1) + base[:, 2]
        second = source[:, 1:].sum(axis=1) + base[:, 0]
        wrong = np.flatnonzero(got != ((first > LIMIT) != (second > LIMIT)))
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
    examine(f, "share_apart(circularity, color, area)", cases, sizes, share_apart, SHARES, WRONG_SHARES, hints={
        "broadcast": "values[:, None] + others makes all sums of two lists: a row for each value of the first."},
        also=lambda gots: _say_share(f, gots, cases))
    return "Passed: the share is exact for five sets of tables."


def _say_share(f: Callable, gots: list[np.ndarray], cases: list[tuple]) -> None:
    """What 8.2 does where no single part is wrong."""
    def follows(answer: Callable) -> bool:
        return all(np.isclose(got, answer(*case)).all() for got, case in zip(gots, cases))

    def mixed(circularity: np.ndarray, color: np.ndarray, area: np.ndarray) -> float:
        (c, pc), (k, pk), (a, pa) = circularity, color, area
        p = np.einsum("i,j,k,ijk", pc, pk, pa, c[:, None, None] + k[:, None] + a > LIMIT)
        return float(2 * p * (1 - p))

    require(all(got.shape == () for got in gots), "One number is wanted, the share over all interventions.")
    require(not follows(mixed), "Both models take the color from the source, the same color: work out 2 p (1 - p) for "
            "each color, and only then the mean over colors.")
    rights = [share_apart(**SHARES)(*case) for case in cases]
    require(not all(abs(got - right) < 0.02 for got, right in zip(gots, rights)), "Close to the share, and not it: is "
            "it estimated from random draws, or over a grid? The sum over all values, each with its probability, is "
            "exact.")
    if len({float(got) for got in gots}) == 1:
        return
    learner, one = Learner(f, "share_apart(circularity, color, area)"), np.array([[0.0], [1.0]])
    for color, text, wanted in (
        ([[0.4], [1.0]], "the sums 0.4 and 1.4, both below 1.5", 0.0),
        ([[1.6], [1.0]], "the sums 1.6 and 2.6, both above 1.5", 0.0),
        ([[0.6], [1.0]], "the sums 0.6 and 1.6, the second with probability 0.3", 0.42),
        ([[0.4, 0.6], [0.5, 0.5]], "colors 0.4 and 0.6 with shares of 0 and 0.42, each with probability 0.5", 0.21),
        ([[0.4, 0.6], [0.1, 0.9]], "colors 0.4 and 0.6 with shares of 0 and 0.42, of probability 0.1 and 0.9", 0.378),
    ):
        got = as_numbers(learner(np.array([[0.0, 1.0], [0.7, 0.3]]), np.array(color), one))
        require(bool(np.isclose(got, wanted, atol=1e-4).all()), f"With {text}, the share is {wanted}, and yours is "
                                                                f"{float(got):.3g}.")
    require(all(0 <= got <= 1 for got in gots), f"A share lies between 0 and 1, and yours is {gots[0]:.3f}.")


def _say_dose(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Of what the doses of 8.3 are made, where they are a ratio of sums; or where a dose leads."""
    base, source = cases[2]
    got, x, y, left = gots[2], base[:, 0] + base[:, 1], source[:, 0] + source[:, 1], base[:, 2]
    if got.shape != x.shape or not np.isfinite(got).any():
        return
    rows = np.isfinite(got)
    terms = np.column_stack([np.ones(len(x)), left, x, y])[rows]
    for name, below in (("end - start", y - x), ("end + start", y + x), ("end", y), ("start", x), ("1", x**0)):
        top = got[rows] * below[rows]
        parts = np.linalg.lstsq(terms, top, rcond=None)[0]
        if np.allclose(terms @ parts, top, atol=1e-6) and not np.isnan(got[rows]).any():
            made = " ".join(f"{'+' if c > 0 else '-'} {abs(round(c, 3)):g}{what}" for c, what in zip(
                parts, ("", " area", " start", " end")) if abs(c) > 1e-6)
            wanted = np.allclose(parts, [LIMIT, -1, -1, 0], atol=1e-6) and name == "end - start"
            require(wanted, f"Your dose is ({made.removeprefix('+ ')}) / ({name}), start and end being S of base and "
                            "source: it should be (1.5 - area - start) / (end - start).")
    i = int(np.argmax(np.where(rows, np.abs(x + got * (y - x) + left - LIMIT), -1)))
    reached = x[i] + got[i] * (y[i] - x[i]) + left[i]
    off = np.abs(x + got * (y - x) + left - LIMIT)[rows]
    require(off.max() < 1e-6 or off.max() > 0.1, f"Close, and not exact: at your doses the sums lie up to "
            f"{off.max():.3f} from 1.5. Was the dose found by steps? S slides in a line, so solve for it.")
    require(abs(reached - LIMIT) < 1e-6, f"At your dose {got[i]:.3f}, S slides from {x[i]:.2f} to {y[i]:.2f} as far as "
            f"{reached - left[i]:.2f}, and with the area {left[i]:.2f} the sum is {reached:.2f}, not 1.5.")


def check_flip_dose(f: Callable) -> str:
    """Exercise 8.3: ``f(base (n, 3), source (n, 3))`` gives the doses (n,) of S at which the answer flips, or nan."""
    cases = [_pairs(n, seed) for seed, n in ((10, 40), (11, 25), (12, 90), (13, 7))]
    cases.append((np.array([[0.9, 0.9, 0.5]]), np.array([[0.1, 0.2, 0.9]])))
    sizes = [f"{len(base)} pairs" for base, _ in cases]
    examine(f, "flip_dose(base, source)", cases, sizes, dosed, DOSES, WRONG_DOSES, hints=_COLUMNS,
            also=lambda gots: _say_dose(gots, cases))
    return "Passed: on 163 pairs the dose of the flip is right, and nan where there is none."
