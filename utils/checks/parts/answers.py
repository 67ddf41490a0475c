"""What is made of labels in exercises 0.1, 1.1 and 1.3, and the ways in which it goes wrong."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.running import Learner, refuse
from utils.checks.tools.variants import Wrong, alike, as_numbers
from utils.data_utils import COEFFICIENTS, THRESHOLD, VARIABLE_NAMES

_COEFFICIENTS, _THRESHOLD = np.array(COEFFICIENTS), THRESHOLD


def answer(z: np.ndarray) -> np.ndarray:
    """The causal model's answers (n,) to labels (n, 3), as truth values."""
    return z @ _COEFFICIENTS > _THRESHOLD


ANSWERS = (  # what may be done with labels (n, 3) in place of answering
    Wrong("answer", "These are answers to nothing: always 1.", lambda z: np.ones(len(z))),
    Wrong("answer", "These are answers to nothing: always 0.", lambda z: np.zeros(len(z))),
    Wrong("answer", "The comparison is the wrong way round: the answer is 1 above the threshold.",
          lambda z: z @ _COEFFICIENTS < _THRESHOLD),
    Wrong("answer", "The comparison is the wrong way round: the answer is 1 above the threshold.", lambda z:
        ~answer(z)),
    Wrong("answer", "The coefficients are missing: each variable counts 0.4 times, and only then comes the threshold.",
          lambda z: z.sum(axis=1) > _THRESHOLD),
    Wrong("answer", "This is the sum itself: compare it with the threshold 0.6 to get answers 0 and 1.",
          lambda z: z @ _COEFFICIENTS),
    Wrong("answer", "This is the sum itself: compare it with the threshold 0.6 to get answers 0 and 1.",
          lambda z: z.sum(axis=1)),
    Wrong("answer", "This is the sum less the threshold: answers are 1 where it is above 0, else 0.",
          lambda z: z @ _COEFFICIENTS - _THRESHOLD),
    Wrong("answer", "These are the labels: ask the causal model for its answer to each row.", lambda z: z),
    Wrong("answer", "These are the labels times 0.4: add them up, and compare the sum.", lambda z: 0.4 * z),
    *(Wrong("answer", "Each variable is compared for itself: add up the three "
                      "products first, then compare the one sum.",
            lambda z, g=g, c=c: g(z > c))
      for c in (0.5, 0.6, 1.5) for g in (np.asarray, lambda x: x.any(1), lambda x: x.all(1), lambda x: x.sum(1) > 1,
                                         lambda x: x.sum(1))),
    *(Wrong("answer", f"The sum of column{'s' * (len(v) > 1)} {str(v)[1:-1]} alone is compared: all three variables "
                      "count.",
            lambda z, v=v: 0.4 * z[:, v].sum(axis=1) > _THRESHOLD) for v in ([0], [1], [2], [0, 1], [0, 2], [1, 2])),
    *(Wrong("answer", "The coefficients are wrong: each of the three variables counts 0.4 times.",
            lambda z, c=c: z @ np.array(c) > _THRESHOLD)
      for c in ((.5, .5, .5), (.6, .6, .6), (1 / 3, 1 / 3, 1 / 3), (.3, .3, .3), (.2, .2, .2), (.16, .16, .16), (.4,
              .4, .2),
                (.4, .2, .4), (.2, .4, .4), (.4, .3, .3), (.4, .4, -.4), (.4, -.4, .4), (-.4, .4, .4), (1, .4, .4))),
    *(Wrong("answer", f"The sum is rounded to one decimal first, or compared with {t}: the threshold is 0.6, and the "
            "sum counts in full.", lambda z, t=t: z @ _COEFFICIENTS > t) for t in (0.55, 0.65)),
    *(Wrong("answer", f"The sum is compared with {t}: the threshold is 0.6.",
            lambda z, t=t: z @ _COEFFICIENTS > t) for t in (0.5, 0.4, 0, 1, 0.8, 0.7, 1.5, 1.2)),
    Wrong("answer", "The variables are multiplied: add them up, 0.4 times each.", lambda z: z.prod(axis=1) >
        _THRESHOLD),
    Wrong("answer", "Only the largest variable counts here: add up all three.", lambda z: z.max(axis=1) > _THRESHOLD),
    Wrong("answer", "Only the least variable counts here: add up all three.", lambda z: z.min(axis=1) > _THRESHOLD),
    Wrong("answer", "The sum runs over the images: add up the three columns of each row, with axis=1.",
          lambda z: 0.4 * z.sum(axis=0) > _THRESHOLD),
    Wrong("answer", "All images are added up: add up the three columns of each row, with axis=1.",
          lambda z: 0.4 * z.sum() > _THRESHOLD),
    Wrong("answer", "Only the first row is answered: each of the n rows needs its answer.", lambda z: answer(z)[0]),
    Wrong("answer", "Only the last row is answered: each of the n rows needs its answer.", lambda z: answer(z)[-1]),
    Wrong("answer", "The sum is rounded: compare it with 0.6.", lambda z: np.round(z @ _COEFFICIENTS)),
    Wrong("answer", "The sum is squeezed by a sigmoid: the causal model has a hard threshold.",
          lambda z: 1 / (1 + np.exp(_THRESHOLD - z @ _COEFFICIENTS))),
    Wrong("answer", "Answers are 1 and 0, not 1 and -1.", lambda z: np.where(answer(z), 1, -1)),
    Wrong("answer", "Answers are 1 and 0, not 1 and 2.", lambda z: 1 + ~answer(z)),
    Wrong("answer", "This is the number of answers 1: return the n answers themselves.", lambda z: answer(z).sum()),
    Wrong("answer", "This is the share of answers 1: return the n answers themselves.", lambda z: answer(z).mean()),
    Wrong("answer", "Each answer stands in a row of its own, (n, 1): (n,) is wanted.", lambda z: answer(z)[:, None]),
    Wrong("answer", "The answers stand in one row, (1, n): (n,) is wanted.", lambda z: answer(z)[None]),
)


def say_answers(answers: Sequence[np.ndarray], rights: Sequence[np.ndarray]) -> None:
    """How many answers are wrong, and of which kind, where nothing else can be said."""
    if not all(a.shape == b.shape and a.ndim == 1 for a, b in zip(answers, rights)):
        return
    a, b = np.concatenate(answers), np.concatenate(rights)
    others = a[~np.isin(a, (0, 1))]
    require(not len(others), f"Answers are 0 and 1, and {len(others)} of yours are not, such as {others[:1].round(4)}: "
                             "compare the weighted sum with 0.6, and return what comes of it.")
    high, low = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    sides = "too many 1s" if not low else "too many 0s" if not high else "1s and 0s exchanged in places"
    refuse(f"{high + low} of {len(a)} answers are wrong, with {sides}: {low} are 0 that should be 1, {high} are 1 that "
           "should be 0. Take a row, work out its labels by hand, and compare.")

MIX: dict[str, Any] = {  # the right parts of 1.1 and 1.3
    "owners": lambda s: s, "groups": lambda g, k: g, "value": lambda s, b: s, "start": lambda b, s: b,
    "put": lambda z, columns, new: z.__setitem__((slice(None), columns), new[:, columns]), "each": lambda steps: steps,
    "answer": answer,
}
_REST = "The rest of the labels is the base's: start from a copy of z_base."
_VALUE = "What is put in place is not the source's label: take the source's columns as they are."


def mixed(owners: Callable, groups: Callable, value: Callable, start: Callable, put: Callable, each: Callable,
          answer: Callable) -> Callable:
    """A solution of 1.3 made of its parts; of 1.1 with one source."""
    def f(base: np.ndarray, sources: np.ndarray, chosen: Sequence[Sequence[int]]) -> Any:
        given = owners(sources)
        z = start(base, sources).copy()
        for source, group in each(list(zip(given, groups(chosen, len(sources))))):
            put(z, list(group), value(source, base))
        return answer(z)

    return f


WRONG_VALUES = (
    Wrong("put", "Rows come from the source, not columns: z[:, variables] selects columns.",
          lambda z, rows, new: z.__setitem__(rows, new[rows])),
    Wrong("start", "Base and source are swapped: the base keeps its labels, except those that come from the source.",
          lambda b, s: s[0]),
    Wrong("start", "Where nothing comes from a source, there are zeros here. " + _REST, lambda b, s: 0 * b),
    Wrong("start", "Where nothing comes from a source, there are ones here. " + _REST, lambda b, s: 0 * b + 1),
    Wrong("start", "The mean of base and source is what keeps its values. " + _REST, lambda b, s: (b + s.mean(0)) / 2),
    Wrong("start", "The bases come in reverse order. " + _REST, lambda b, s: b[::-1]),
    Wrong("value", "The mean of base and source is put in place. " + _VALUE, lambda s, b: (s + b) / 2),
    Wrong("value", "The sum of base and source is put in place. " + _VALUE, lambda s, b: s + b),
    Wrong("value", "The difference of base and source is put in place. " + _VALUE, lambda s, b: s - b),
    Wrong("value", "The difference of base and source is put in place. " + _VALUE, lambda s, b: b - s),
    Wrong("value", "The product of base and source is put in place. " + _VALUE, lambda s, b: b * s),
    Wrong("value", "The larger of base and source is put in place. " + _VALUE, np.maximum),
    Wrong("value", "The lesser of base and source is put in place. " + _VALUE, np.minimum),
    Wrong("value", "0 is put in place of the variables. " + _VALUE, lambda s, b: 0 * s),
    Wrong("value", "1 is put in place of the variables. " + _VALUE, lambda s, b: 0 * s + 1),
    Wrong("value", "1 minus the base's label is put in place. " + _VALUE, lambda s, b: 1 - b),
    Wrong("value", "1 minus the source's label is put in place. " + _VALUE, lambda s, b: 1 - s),
    Wrong("value", "The mean over all sources is put in place of each one's label: row i belongs to row i.",
          lambda s, b: s.mean(0, keepdims=True) + 0 * s),
    Wrong("value", "One row of the source is put into all rows: row i belongs to row i.", lambda s, b: s[:1] + 0 * s),
    *(Wrong("value", "Base and source belong together row by row: the source's rows are in another order here.",
            lambda s, b, g=g: g(s))
      for g in (lambda s: s[::-1], lambda s: np.roll(s, 1, 0), lambda s: np.roll(s, -1, 0), lambda s: np.sort(s, 0))),
    *(Wrong("value", "The columns of the source are moved: each variable keeps its column.", lambda s, b, g=g: g(s))
      for g in (lambda s: s[:, ::-1], lambda s: np.roll(s, 1, 1), lambda s: np.roll(s, -1, 1))),
)
_WHICH = "Other variables than those of the list come from the source: "
WRONG_GROUPS = (
    Wrong("groups", "This is the base's own answer: nothing has come from the source.", lambda g, k: [[]] * k),
    Wrong("groups", "This is the source's own answer: only `variables` come from the source, the rest is the base's.",
          lambda g, k: [[0, 1, 2]] * k),
    Wrong("groups", "Only one of the variables comes from the source: all in the list must.", lambda g, k: [x[:1] for x
        in g]),
    Wrong("groups", "Only one of the variables comes from the source: all in the list must.", lambda g, k: [x[-1:] for
        x in g]),
    Wrong("groups", "Base and source are swapped: the base keeps its labels, except those that come from the source.",
        lambda g, k: [[v for v in range(3) if v not in x] for x in g]),
    Wrong("groups", "Of three variables only the first two come from the source: all in the list must.",
          lambda g, k: [x[:2] for x in g]),
    Wrong("groups", "Of three variables only the last two come from the source: all in the list must.",
          lambda g, k: [x[-2:] for x in g]),
    *(Wrong("groups", _WHICH + f"always {v}, whatever is in the list.", lambda g, k, v=v: [v] * k)
      for v in ([0], [1], [2], [0, 1], [1, 2], [0, 2])),
    Wrong("groups", _WHICH + "as many, but the first ones.", lambda g, k: [range(len(x)) for x in g]),
    Wrong("groups", _WHICH + "as many, but the last ones.", lambda g, k: [range(3 - len(x), 3) for x in g]),
    Wrong("groups", _WHICH + "all between the least and the largest.", lambda g, k: [range(min(x), max(x) + 1) for x in
        g]),
    Wrong("groups", _WHICH + "a range with two ends; the list holds the variables themselves.",
          lambda g, k: [range(x[0], x[-1]) for x in g]),
    *(Wrong("groups", _WHICH + "they are off by one.", lambda g, k, i=i: [[(v + i) % 3 for v in x] for x in g]) for i
        in (1, 2)),
    Wrong("groups", _WHICH + "their order is reversed.", lambda g, k: [[2 - v for v in x] for x in g]),
)
WRONG_OWNERS = (
    Wrong("groups", "This is the base's own answer: nothing has come from the sources.", lambda g, k: [[]] * k),
    Wrong("owners", "All variables come from the first source: this is single-source data for a multi-source model. "
                    "Source i sets the variables in groups[i].", lambda s: s[[0] * len(s)]),
    Wrong("owners", "The last source wins: everything comes from it, but source i sets the variables in groups[i] "
                    "alone.",
          lambda s: s[[-1] * len(s)]),
    Wrong("groups", "The last source wins: it sets the variables of every group, but source i sets groups[i] alone.",
          lambda g, k: [sum(g, [])] * k),
    Wrong("groups", "The last source wins: it sets all three variables, but source i sets groups[i] alone.",
          lambda g, k: [[0, 1, 2]] * k),
    Wrong("owners", "The sources are in the wrong order: source i sets the variables in groups[i].", lambda s: s[::-1]),
    *(Wrong("owners", "The sources are shifted: source i sets the variables in groups[i].",
            lambda s, i=i: np.roll(s, i, axis=0)) for i in (1, -1)),
    Wrong("owners", "The mean of all sources is put in place: source i sets the variables in groups[i].",
          lambda s: s.mean(0, keepdims=True).repeat(len(s), 0)),
    Wrong("owners", "The sum of all sources is put in place: source i sets the variables in groups[i].",
          lambda s: s.sum(0, keepdims=True).repeat(len(s), 0)),
    Wrong("owners", "The last source is left out.", lambda s: s[:-1]),
    Wrong("each", "Only the last source leaves a trace: start from the base once, not anew for each source.",
          lambda steps: steps[-1:]),
    Wrong("each", "Only the first source leaves a trace: is there a return inside the loop?", lambda steps: steps[:1]),
    Wrong("each", "The first source is left out: does the loop start at 1?", lambda steps: steps[1:]),
    Wrong("each", "Only the first two sources are used: there may be one, two or three.", lambda steps: steps[:2]),
    Wrong("groups", "Source i sets variable i here: it should set the variables in groups[i].",
          lambda g, k: [[i] for i in range(k)]),
    Wrong("groups", "The groups are sorted: groups[i] belongs to source i.", lambda g, k: sorted(g)),
    Wrong("groups", "The groups are in reverse order: groups[i] belongs to source i.", lambda g, k: g[::-1]),
    *(Wrong("groups", "The groups are written out: take those that are passed.", lambda g, k, w=w: w) for w in (
        [[2], [0]], [[0], [1], [2]], [[0], [1]], [[0], [2]], [[1], [0]], [[0, 1], [2]], [[0], [1, 2]], [[1], [2, 0]],
            [[2], [1]])),
    *(Wrong("groups", "Every source sets the same group: groups[i] belongs to source i.",
            lambda g, k, i=i: [g[min(i, k - 1)]] * k) for i in (0, 1, -1)),
    *(Wrong("groups", "Only one variable of a group comes from its source: all of them must.",
            lambda g, k, c=c: [x[c] for x in g]) for c in (slice(1), slice(-1, None))),
    Wrong("start", "What no group names stays as it is in the base: here it comes from the last source.", lambda b, s:
        s[-1]),
    Wrong("start", "What no group names stays as it is in the base: here it is the mean of the sources.", lambda b, s:
        s.mean(0)),
    *(w for w in WRONG_GROUPS if w.sentence.startswith(_WHICH)),
)


def say_dependence(learner: Learner, base: np.ndarray, sources: np.ndarray, groups: Sequence[Sequence[int]],
                   args: Callable) -> None:
    """Raise WrongAnswer where the answers hang on a label that should not count, or do not on one that should.

    ``args(base, sources, groups)`` gives the learner's arguments.
    """
    rights = answer(base)
    rng, plain = np.random.default_rng(7), as_numbers(learner(*args(base, sources, groups)))
    require(plain.shape == rights.shape, f"Your result has shape {plain.shape}; with {len(base)} rows, {rights.shape} "
                                         "is wanted: one answer for each.")
    chosen = sum(map(list, groups), [])
    for v, name in enumerate(VARIABLE_NAMES):
        for i in range(-1, len(sources)):
            b, s = base.copy(), sources.copy()
            (b if i < 0 else s[i])[:, v] = rng.uniform(size=len(base))
            changes = not alike(as_numbers(learner(*args(b, s, groups))), plain)
            counts = v not in chosen if i < 0 else v in groups[i]
            whose = "the base" if i < 0 else f"source {i}" if len(sources) > 1 else "the source"
            asked = f" with {list(groups) if len(sources) > 1 else list(groups[0])}" if groups else ""
            whose = whose if groups else "a row"
            once = ("" if i >= 0 or len(groups) < 2 else ": set all groups in one copy of z_base, and ask the causal "
                    "model once")
            require(changes <= counts, f"Your answers depend on the {name} (column {v}) of {whose}, which should not "
                                       f"count{asked}{once}.")
            require(changes >= counts, f"Your answers do not depend on the {name} (column {v}) of {whose}, which "
                                       f"should count{asked}.")


HINTS = {
    "must lie in": "Labels are added or subtracted here: put the source's labels in place of the base's.",
    "out of bounds for axis 1": "There are three columns: 0, 1, 2.", "pop|deque": "The list is emptied on the way: "
            "leave it whole.",
}
