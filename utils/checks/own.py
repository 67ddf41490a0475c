"""Checks of the exercises in notebook 7: each tries a learner's function and names the likely mistake."""
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.curves import CHOICE, CURVES, NOWHERE, WRONG_CHOICES, chosen, say_layer
from utils.checks.tools.running import Learner, refuse
from utils.checks.tools.trainings import MEND, RUNS, WRONG_MENDS, Run, Training, mended, say_change
from utils.checks.tools.variants import Wrong, examine, find_mistake

_COMBINATIONS = np.array(list(itertools.product((False, True), repeat=3)))


def check_switch_answers(f: Callable) -> str:
    """Exercise 7.1: ``f(values (n, 3))`` gives the answers (n,) of the causal model with a switch."""
    rng = np.random.default_rng(0)
    cases = [(_COMBINATIONS[order],) for order in ([*range(8), 6, 1, 3, 0, 5], rng.integers(8, size=30), [5, 2, 7],
                                                   [5, 3, 7, 1], [4], rng.permutation(8))]
    sizes = [f"{len(values)} rows" for values, in cases]

    def build(columns: Callable, on: Callable, off: Callable, order: Callable, whole: Callable) -> Callable:
        def answers(values: np.ndarray) -> np.ndarray:
            a, b, s = columns(values)
            return whole(order(s, on(a, b), off(a, b)), a, b, s)

        return answers

    ignored = "The switch is ignored: it decides which of two questions is asked."
    mixed = "The columns are mixed up: 0 is a = b, 1 is c = d, 2 is the switch."
    precedence = "== comes after | and & in Python, so put each comparison into parentheses."
    values = "`and`, `or`, `not` and `if` take one truth value: for columns of them use &, |, ~ and np.where."
    examine(f, "switch_answers(values)", cases, sizes, build, {
        "columns": lambda v: v.T, "on": lambda a, b: a == b, "off": lambda a, b: a | b, "order": np.where,
        "whole": lambda x, a, b, s: x,
    }, [
        Wrong("whole", "The answer is the same for every row.", lambda x, a, b, s: np.ones(len(a))),
        Wrong("whole", "The answer is the same for every row.", lambda x, a, b, s: np.zeros(len(a))),
        Wrong("order", ignored, lambda s, on, off: on), Wrong("order", ignored, lambda s, on, off: off),
        *(Wrong("order", "The switch is asked once for all rows: each row has its own, so use np.where.",
                lambda s, on, off, g=g: on if g(s) else off) for g in (np.all, np.any, lambda s: s[0], lambda s: s[-1],
                                                                       lambda s: s.mean() > 0.5)),
        Wrong("order", "The switch is the wrong way round: where it is on, the question is whether the pairs agree.",
              lambda s, on, off: np.where(s, off, on)),
        Wrong("order", "The switch decides which question is asked, it is no condition beside it: use np.where.",
              lambda s, on, off: on | off & s),
        Wrong("order", "The switch decides which question is asked, it is no condition beside it: use np.where.",
              lambda s, on, off: on & off),
        Wrong("order", "The switch decides which question is asked, it is no condition beside it: use np.where.",
              lambda s, on, off: on | off),
        Wrong("off", "Where the switch is off, one equal pair is enough: use | in place of &.", lambda a, b: a & b),
        Wrong("off", "Where the switch is off, two equal pairs are fine as well: use | in place of ^ or !=.",
              lambda a, b: a ^ b),
        Wrong("on", "Where the switch is on and neither pair is equal, the pairs agree: the answer is 1.", lambda a,
              b: a & b),
        Wrong("on", "Where the switch is on, the pairs must agree: both equal, or neither.", lambda a, b: a ^ b),
        *(Wrong("on", f"Where the switch is on, {name} is asked: the question is whether the pairs agree.", g)
          for name, g in (("the first pair alone", lambda a, b: a), ("the second pair alone", lambda a, b: b),
                          ("whether one "
                          "is equal", lambda a, b: a | b), ("whether none is equal", lambda a, b: ~(a | b)),
                          ("whether not both are equal", lambda a, b: ~(a & b)))),
        *(Wrong("off", f"Where the switch is off, {name} is asked: the question is whether one pair at least is equal.",
                g)
          for name, g in (("the first pair alone", lambda a, b: a), ("the second pair alone", lambda a, b: b),
                          ("whether none "
                          "is equal", lambda a, b: ~(a | b)), ("whether the pairs agree", lambda a, b: a == b),
                          ("whether not both are equal", lambda a, b: ~(a & b)))),
        Wrong("off", "The answer is 0 wherever the switch is off: there one equal pair is enough.", lambda a,
              b: a & ~a),
        Wrong("on", "The answer is 0 wherever the switch is on: there the question is whether the pairs agree.",
              lambda a, b: a & ~a),
        Wrong("off", "The answer is 1 wherever the switch is off: there one equal pair at least is asked for.",
              lambda a, b: a | ~a),
        Wrong("on", "The answer is 1 wherever the switch is on: there the question is whether the pairs agree.",
              lambda a, b: a | ~a),
        *(Wrong("columns", mixed, lambda v, o=o: v.T[list(o)]) for o in itertools.permutations(range(3)) if o != (0, 1,
                                                                                                                  2)),
        Wrong("whole", "The answers are the wrong way round.", lambda x, a, b, s: ~x),
        Wrong("whole", "These are -1 and 1: answers are 0 and 1.", lambda x, a, b, s: 2.0 * x - 1),
        Wrong("whole", "These are 1 and 2: answers are 0 and 1.", lambda x, a, b, s: x + 1),
        Wrong("whole", "This is a single column: what do the other two say?", lambda x, a, b, s: a),
        Wrong("whole", "This is a single column: what do the other two say?", lambda x, a, b, s: b),
        Wrong("whole", "This is a single column: what do the other two say?", lambda x, a, b, s: s),
        Wrong("whole", precedence, lambda x, a, b, s: s & a == b | ~s & (a | b)),
        Wrong("whole", precedence, lambda x, a, b, s: a == b | s), Wrong("whole", precedence, lambda x, a, b,
                                                                         s: s & a == b),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.", lambda x, a, b,
              s: a & b & s),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.", lambda x, a, b,
              s: a | b | s),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.",
              lambda x, a, b, s: 1 * a + b + s > 1),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.", lambda x, a, b,
              s: a ^ b ^ s),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x[0]),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x.all()),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x.any()),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x.sum()),
    ], hints={"ambiguous|truth value|Boolean value": values, "unpack|index 3|out of bounds": "One variable is one "
            "column of the n rows: values[:, 0], values[:, 1] and values[:, 2], or values.T to unpack them.",
              "boolean subtract": "Truth values have no minus: use ^ or !=, or .astype(int)."},
        also=lambda gots: _say_rows(gots, cases))
    return "Passed: all eight combinations of the three variables get the right answer."


def _say_rows(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Which combinations 7.1 answers wrongly."""
    for got, (values,) in zip(gots, cases):
        require(got.shape != (), "This is one answer in all: each row of values needs its own.")
        require(got.shape != (3,) or len(values) == 3, "These are three answers: values[0] is the first row, and "
                                                       "values[:, 0] the first variable.")
        if got.shape != (len(values),):
            return
        others = np.setdiff1d(got, (0, 1))
        require(not len(others), f"Answers are 0 and 1, and yours hold {others[:1].round(3)}.")
        of_each = [set(got[(values == c).all(axis=1)]) for c in _COMBINATIONS]
        require(all(len(answers) < 2 for answers in of_each), "Two rows that are alike get different answers: does the "
                                                              "answer depend on the place of the row?")
        for (a, b, s), answers in zip(_COMBINATIONS, of_each):
            right = a == b if s else a | b
            if answers - {right}:
                refuse(f"Where the switch is {'on' if s else 'off'}, a = b is {a} and c = d is {b}, the answer is "
                       f"{int(right)}: "
                       + ("the pairs " + ("agree." if right else "do not agree.") if s else
                          ("one pair at least is equal." if right else "no pair is equal.")) + " Yours is the other.")


def check_choose_layer(f: Callable) -> str:
    """Exercise 7.2: ``f(curves, goal)`` names the layer that reaches the goal with the fewest directions."""
    learner = Learner(f, "choose_layer(curves, goal)", {
        "empty": f"Where no layer reaches the goal there is nothing to choose from: return '{NOWHERE}' there.",
        "KeyError": "curves[layer] is a dict from numbers of directions to IIA: not every number is in every one.",
        "UnboundLocalError|NoneType|IndexError": f"What is there where no layer reaches the goal? Return '{NOWHERE}'.",
        "TypeError": "`curves` holds for each layer's name a dict: curves.items() gives names and dicts.",
    })
    wanted = [chosen(**CHOICE)(*case) for case in CURVES]
    gots: list[Any] = []
    for case, answer in zip(CURVES, wanted):
        got = learner(*case, nothing=True)
        require(got is not None or answer != NOWHERE or not gots, "None comes back where no layer reaches the goal: "
                f"return '{NOWHERE}'.")
        require(got is not None, "Your function returned None: did you forget the `return`?")
        gots.append(got)
    require(learner(*CURVES[0]) == gots[0], "Called twice with the same arguments, your function gives two results: "
                                            "does it keep something between calls?")
    if gots == wanted and all(isinstance(got, str) for got in gots):
        return f"Passed: for {len(CURVES)} sets of curves the right layer is chosen, or none."
    kinds = {type(got).__name__ for got in gots if not isinstance(got, str)}
    require(kinds <= {"int", "int64", "float", "float64", "bool"}, f"This is a {min(kinds, default='')}: return the "
            f"layer's name alone, or '{NOWHERE}'.")
    require(not kinds, "This is a number: return the layer's name, the key of `curves`.")
    require(any(got != gots[0] for got in gots), f"Your answer is always {gots[0]!r:.40}: compute it from the curves.")
    message = find_mistake(gots, CURVES, chosen, CHOICE, WRONG_CHOICES, fits=lambda a, b: a == b)
    require(not message, message)
    for (curves, goal), answer, got in zip(CURVES, wanted, gots):
        require(answer != NOWHERE or got == NOWHERE, f"In {curves} no layer reaches {goal}: return '{NOWHERE}', not "
                                                     f"{got!r:.40}.")
    for (curves, goal), answer, got in zip(CURVES, wanted, gots):
        if got != answer:
            say_layer(curves, goal, answer, got)
    return ""


def _find(learner: Learner, run: Run) -> list[str]:
    """What the learner's function finds for one failed run."""
    settings, changes, goal, figures = run
    train = Training(settings, changes, figures)
    try:
        answer = learner(train, settings, changes, goal)
    finally:
        require(not train.complaint, train.complaint)
    require(not isinstance(answer, str), "This is a single name: return a list, even where it holds one.")
    require(not isinstance(answer, dict), "This is a dict: return the names of the changes that mend it, in a list.")
    require(hasattr(answer, "__iter__"), f"This is a {type(answer).__name__}: return a list of names.")
    names = list(answer)
    require(all(isinstance(name, str) and name in changes for name in names), "Return the names of the changes, the "
            "keys of `changes`, not truth values, values or figures.")
    left_out = [name for name in changes if name not in train.names]
    require(not left_out, f"Not every change was tried, {left_out[:1]} for one: more than one can mend a run, so train "
                          "once for each.")
    require(len(train.names) <= len(changes) + 1, f"Each training takes its time: {len(train.names)} were started for "
                                                  f"{len(changes)} changes.")
    require(len(set(names)) == len(names), "A name is in the list more than once.")
    return sorted(names)


def check_find_mends(f: Callable) -> str:
    """Exercise 7.3: ``f(train, settings, changes, goal)`` names the changes each of which alone mends a failed run."""
    learner = Learner(f, "find_mends(train, settings, changes, goal)", {
        "multiple values": "The setting is passed twice: {**settings, name: value} holds it once, with the new value.",
        "not supported between|ambiguous|truth value": "train returns two figures, (IIA, behavior): compare each of "
                                                       "them with the goal.",
        "values to unpack": "`changes` is a dict: changes.items() gives names and values.",
        "KeyError": "`changes` holds values for some of the settings only, and under other names in each run: walk "
                    "through changes.items().",
        "unhashable|must be a mapping": "train takes its settings by name: train(**{**settings, name: value}).",
    }, lists=True)
    gots = [_find(learner, run) for run in RUNS]
    require(_find(learner, RUNS[0]) == gots[0], "Called twice with the same arguments, your function gives two "
                                                "results: does it keep a list between calls?")

    wanted = [mended(**MEND)(*run) for run in RUNS]
    if gots == wanted:
        return f"Passed: in {len(RUNS)} failed runs, what mends them is found, one change at a time."
    message = find_mistake(gots, RUNS, mended, MEND, WRONG_MENDS, fits=lambda a, b: a == b)
    require(not message, message)
    say_change(gots, wanted)
    return ""
