"""Name what is wrong with a learner's results: a solution is built of parts, and each part can go wrong in known ways.

``find_mistake`` tries every way in which one part is wrong, then two, on all test cases at once, so that a mistake
which looks like another one in a single case is told apart; ``describe`` says what is left to say where none fits.
"""
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from utils.checks.helpers import power_of, require
from utils.checks.tools.running import Learner, refuse


class Wrong(NamedTuple):
    """One way in which a part can be wrong."""

    part: str
    sentence: str
    value: Any


def _each(value: Any) -> Any:
    return value


RESULTS: tuple[tuple[str, Callable], ...] = (  # what can be done to a right result
    ("The sign is wrong.", lambda x: -x), ("The absolute value is taken of the result: leave its sign.", np.abs),
    ("The result is squared: leave it as it is.", np.square), ("A square root is taken of the result.", np.sqrt),
    ("This is 1 minus the right result.", lambda x: 1 - x), ("This is the right result plus 1.", lambda x: x + 1),
    ("This is the right result minus 1.", lambda x: x - 1),
    ("This is a percentage: leave out the 100.", lambda x: 100 * x),
    ("This is a hundredth of the right result.", lambda x: x / 100),
    ("This is twice the right result.", lambda x: 2 * x),
    ("This is half the right result.", lambda x: x / 2), ("This is one divided by the right result.", lambda x: 1 / x),
    ("Values below 0 are cut: let them show.", lambda x: np.maximum(x, 0)),
    ("Values above 1 are cut: let them show.", lambda x: np.minimum(x, 1)),
    ("Values are cut to [0, 1]: let those outside show.", lambda x: np.clip(x, 0, 1)),
    ("Values outside [0, 1] are missing: leave them as they are.", lambda x: np.where((x < 0) | (x > 1), np.nan, x)),
    ("Values above 1 are missing: leave them as they are.", lambda x: np.where(x > 1, np.nan, x)),
    ("Values below 0 are missing: leave them as they are.", lambda x: np.where(x < 0, np.nan, x)),
    ("Values outside [0, 1] are set to 0: leave them as they are.", lambda x: np.where((x < 0) | (x > 1), 0, x)),
    ("The result is squeezed by tanh: leave it as it is.", np.tanh), ("The exponential is taken.", np.exp),
    ("The logarithm is taken.", np.log), ("The inverse of tanh is taken.", np.arctanh),
    ("A sigmoid is taken of the result.", lambda x: 1 / (1 + np.exp(-x))),
    ("This is only the sign of the result.", np.sign), ("The remainder by 1 is taken.", lambda x: x % 1),
    *(("The result is rounded: return it in full.", lambda x, d=d: np.round(x, d)) for d in range(5)),
    ("The result is rounded: return it in full.", np.floor), ("The result is rounded: return it in full.", np.trunc),
    ("These are truth values: return the numbers themselves.", lambda x: x > 0),
    ("These are truth values: return the numbers themselves.", lambda x: x > 0.5),
    ("The table is transposed.", np.transpose), ("The order is reversed.", lambda x: x[::-1]),
    ("The columns are in reverse order.", lambda x: x[:, ::-1]), ("The result is sorted: leave its order.", np.sort),
    ("The results are sorted: leave the order of the rows.", lambda x: np.sort(x, axis=0)),
    *(("The result is shifted by one place.", lambda x, i=i: np.roll(x, i, 0)) for i in (1, -1)),
    *((f"Each row has its result: leave out the {f.__name__} over them.", f) for f in (np.mean, np.sum)),
    ("Each row has its result: this is the largest one.", np.max), ("Each row has its result: this is one.", np.min),
    *((f"Each has its result: this is {word} along one axis.", lambda x, f=f, i=i: f(x, i))
      for word, f in (("a mean", np.mean), ("a sum", np.sum), ("the largest", np.max)) for i in (0, 1)),
    ("The rows are divided by their sums: leave them as they are.", lambda x: x / x.sum(1, keepdims=True)),
    ("The columns are divided by their sums: leave them as they are.", lambda x: x / x.sum(0, keepdims=True)),
    ("The rows are divided by their largest: leave them as they are.", lambda x: x / x.max(1, keepdims=True)),
    ("The columns are divided by their largest: leave them as they are.", lambda x: x / x.max(0, keepdims=True)),
    ("The result is divided by its sum: leave it as it is.", lambda x: x / x.sum()),
    ("The result is divided by its largest value: leave it as it is.", lambda x: x / x.max()),
    ("This has one axis too many: a table of one column.", lambda x: x[:, None]),
    ("This has one axis too many: there is one row around the result.", lambda x: x[None]),
    ("This is the result in one row: keep its two axes.", lambda x: x.reshape(-1) if x.ndim > 1 else x),
    ("This is the first row of the result alone.", lambda x: x[0]), ("This is the last row alone.", lambda x: x[-1]),
    ("This is a running sum.", lambda x: np.cumsum(x, 0) if x.ndim else 1 / 0),
    ("These are ranks, or positions.", np.argsort),
    ("These are the positions of the right ones: return True or False for each.", lambda x: np.nonzero(x)[0]),
    ("These are the positions of the others: return True or False for each.", lambda x: np.nonzero(x == 0)[0]),
)


def as_numbers(got: Any) -> np.ndarray:
    """A learner's result as float64, or WrongAnswer: no text, no generator, nothing ragged."""
    require(not hasattr(got, "__next__"), f"This is a {type(got).__name__}, which can be read only once: return the "
                                          "values.")
    require(not isinstance(got, (dict, set)), f"This is a {type(got).__name__}: return the values alone, without names "
                                              "and in their order.")
    try:
        array = np.asarray(got.detach().cpu() if isinstance(got, torch.Tensor) else got)
        require(array.dtype.kind not in "USM", "This is text: return numbers or truth values.")
        return array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError):
        refuse(f"Your function returned a {type(got).__name__} that holds more than numbers, None perhaps, or rows "
               "that differ in length: return one array, or one number.")
        raise


def alike(got: Any, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Whether both have the same shape and nearly the same values; NaN is like NaN."""
    a, b = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance / 10, equal_nan=True)


def wrong_ways(right: dict[str, Any], wrong: Sequence[Wrong], most: int = 2) -> Iterator[tuple[str, dict[str, Any]]]:
    """Message and parts of every way to have one part wrong, then two, up to ``most``."""
    for number in range(1, most + 1):
        for chosen in itertools.combinations(wrong, number):
            parts = {w.part: w.value for w in chosen}
            if len(parts) == number:
                yield " ".join(dict.fromkeys(w.sentence.strip() for w in chosen)), {**right, **parts}


def find_mistake(gots: Sequence[Any], cases: Sequence[tuple], build: Callable[..., Callable], right: dict[str, Any],
                 wrong: Sequence[Wrong], most: int = 2, fits: Callable = alike) -> str:
    """The message of the first wrong way whose results are the learner's in every case; "" where there is none.

    Args:
        gots: the learner's result for each case, as numbers.
        cases: the arguments of each case.
        build: from the parts to a function of a case's arguments.
        right: the right value of each part.
        wrong: how parts can be wrong, likely ones first.
        most: how many parts may be wrong at once.
        fits: ``fits(got, candidate)``, whether two results are alike.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for message, parts in wrong_ways(right, wrong, most):
            f = build(**parts)
            try:
                if all(fits(got, f(*case)) for got, case in zip(gots, cases)):
                    return message
            except Exception:  # a wrong way that fails on a case is none of the learner's
                continue
    return ""


def _factors(gots: Sequence[np.ndarray], rights: Sequence[np.ndarray], combine: Callable) -> list[float] | None:
    """For each case the one number that leads from the right result to the learner's, or None."""
    found = []
    for got, right in zip(gots, rights):
        values = combine(got, right)[np.abs(right) > 1e-9]
        if not len(values) or not np.isfinite(values).all() or np.ptp(values) > 1e-3 * np.abs(values).max():
            return None
        found.append(float(values.mean()))
    return found


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in list(values)[:4])


def describe(gots: Sequence[np.ndarray], rights: Sequence[np.ndarray], cases: Sequence[tuple], names: Sequence[str],
             sizes: Sequence[str]) -> None:
    """Raise WrongAnswer with what can be said of results that no known mistake explains."""
    wrong = [i for i, (got, right) in enumerate(zip(gots, rights)) if not alike(got, right)]
    first = wrong[0]
    got, right, case = gots[first], rights[first], cases[first]
    for i, name in enumerate(names):
        inputs = [np.asarray(c[i], dtype=float) for c in cases if not isinstance(c[i], (list, dict))]
        require(len(inputs) < len(cases) or not all(map(alike, gots, inputs)), f"This is `{name}` itself.")
    if got.shape != right.shape:
        wanted = right.shape if right.ndim else "a single number"
        refuse(f"Your result has shape {got.shape}; {wanted} was expected, with {sizes[first]}.")
    if np.isnan(got).any() and not np.isnan(right).any():
        refuse(f"Your result holds NaN, with {sizes[first]}: is something divided by 0, or a mean taken of nothing?")
    if (np.isnan(got) != np.isnan(right)).any():
        refuse(f"Your result holds a number where NaN is asked, in {(~np.isnan(got) & np.isnan(right)).sum()} of "
               f"{got.size} places, and NaN where a number is, in {(np.isnan(got) & ~np.isnan(right)).sum()}, with "
               f"{sizes[first]}.")
    if np.isinf(got).any():
        refuse(f"Your result holds infinite values, with {sizes[first]}: is something divided by 0?")
    values = {float(v) for g in gots for v in g.ravel()[:50]}
    require(len(values) > 1, f"Your result is {_listed(values)} whatever the arguments: compute it from them.")
    if len(wrong) < len(gots):
        good = next(i for i in range(len(gots)) if i not in wrong)
        refuse(f"Your result is right with {sizes[good]}, and wrong with {sizes[first]}: what in your code holds only "
               "for the first? Look for sizes, positions and values that are written out.")
    same_shape = [(g, r) for g, r in zip(gots, rights) if g.shape == r.shape]
    with np.errstate(all="ignore"):
        for combine, words in ((np.divide, "times"), (np.subtract, "more than")):
            factors = _factors([g for g, _ in same_shape], [r for _, r in same_shape], combine)
            if factors and np.ptp(factors) < 1e-3 * max(map(abs, factors)):
                refuse(f"Your result is always {factors[0]:.4g} {words} the right one.")
            factors = factors if all(r.size > 1 for _, r in same_shape) else None
            require(not factors, f"Your result is {_listed(factors or [])} {words} the right one, with "
                                 f"{'; '.join(sizes[:4])}: is it divided by the wrong number?" if words == "times" else
                    f"Your result is {_listed(factors or [])} {words} the right one, in the first cases.")
    power = power_of(*(np.concatenate([x.ravel() for x in side]) for side in zip(*same_shape)))
    require(not power, f"Your result is the right one to the power {power:.3g}: leave it as it is.")
    if all(r.size > 2 and np.array_equal(np.argsort(g, None, "stable"), np.argsort(r, None, "stable"))
           for g, r in same_shape):
        refuse("Your results come in the right order, but are not the right numbers: is a power, a logarithm or "
               "another function taken of them, or of what goes in?")
    if right.ndim == 2:
        ok = np.isclose(got, right, rtol=1e-4, atol=1e-5, equal_nan=True)
        for axis, name in ((0, "columns"), (1, "rows")):
            good = ok.all(axis=axis)
            yes, no = (np.nonzero(which)[0].tolist()[:6] for which in (good, ~good))
            require(not yes or not no, f"With {sizes[first]}, the {name} {yes} are right, and {no} are wrong: how do "
                                       "they differ?")
    off = tuple(np.argwhere(~np.isclose(got, right, rtol=1e-4, atol=1e-5, equal_nan=True))[0][:1])
    shown_inputs = {name: np.asarray(value) for name, value in zip(names, case) if not isinstance(value, (list, dict))}
    rows = {name: v[off] if right.ndim and v.shape[:1] == right.shape[:1] else v for name, v in shown_inputs.items()}
    shown = ", ".join(f"{name} = {np.round(v, 3).tolist()}" for name, v in rows.items() if v.size <= 8)
    refuse(f"Not right yet: {f'with {shown} ' if shown else ''}the result should be "
           f"{np.round(right[off], 3).tolist()}, but yours is {np.round(got[off], 3).tolist()}.")


def examine(f: Callable, example: str, cases: Sequence[tuple], sizes: Sequence[str], build: Callable[..., Callable],
            right: dict[str, Any], wrong: Sequence[Wrong], *, hints: dict[str, str] | None = None, allowed: Callable =
            alike, also: Callable = lambda gots: None, ignored: Sequence[tuple[int, Any]] = (), most: int = 2) -> None:
    """Raise WrongAnswer unless ``f`` gives the numbers of ``build(**right)`` in every case.

    Args:
        f: the learner's function.
        example: how it is called, "f(first, second)"; its arguments are named by it.
        cases: the arguments of each case; sizes: what is special about each, for messages.
        build: from the parts to a solution, of which ``right`` is the right one.
        wrong: how the parts can be wrong; what can be done to a result (``RESULTS``) is tried as well.
        hints: for errors in the learner's code, see ``Learner``.
        allowed: ``allowed(got, expected)``, whether a result is right.
        also: called with all results where they are not right, to refuse them with a message of its own.
        ignored: (position, other value) of arguments, on which the result of the first case depends.
        most: how many parts may be wrong at once.
    """
    names = example[example.index("(") + 1:-1].split(", ")
    learner, solution = Learner(f, example, hints), build(**right)
    kept = [learner(*case) for case in cases]
    gots = [as_numbers(got).copy() for got in kept]
    require(alike(as_numbers(learner(*cases[0])), gots[0]), "Called twice with the same arguments, your function gives "
                                                            "two results: does it keep something between calls, in a "
                                                            "global or in a default that is a list?")
    require(all(alike(as_numbers(a), b) for a, b in zip(kept, gots)), "A result changes when your function is called "
            "again: return a new array each time.")
    rights = [np.asarray(solution(*case), dtype=float) for case in cases]
    if all(map(allowed, gots, rights)):
        return

    def finished(result: Callable, **parts: Any) -> Callable:
        way = build(**parts)
        return lambda *case: result(np.asarray(way(*case), dtype=float))

    known = [*wrong, *(Wrong("result", sentence, change) for sentence, change in RESULTS)]
    for number in range(1, most + 1):
        message = find_mistake(gots, cases, finished, {**right, "result": _each}, known, number)
        require(not message, message)
        for position, other in ignored if number == 1 else ():
            changed = tuple(other if i == position else value for i, value in enumerate(cases[0]))
            require(not alike(as_numbers(learner(*changed)), gots[0]) or alike(solution(*changed), rights[0]),
                    f"Your result does not depend on `{names[position]}`: use it.")
    also(gots)
    describe(gots, rights, cases, names, sizes)
