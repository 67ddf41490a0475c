"""Checks of the exercises in notebook 7: each tries a learner's function and names the likely mistake."""
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.running import Learner, refuse
from utils.checks.tools.variants import Wrong, examine, find_mistake

NOWHERE = "nowhere"
_COMBINATIONS = np.array(list(itertools.product((False, True), repeat=3)))


def check_switch_answers(f: Callable) -> str:
    """Exercise 7.1: ``f(values (n, 3))`` gives the answers (n,) of the causal model with a switch."""
    rng = np.random.default_rng(0)
    cases = [(_COMBINATIONS[order],) for order in ([*range(8), 6, 1, 3, 0, 5], rng.integers(8, size=30), [5, 2, 7], [4],
                                                   rng.permutation(8))]
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
        Wrong("order", ignored, lambda s, on, off: on), Wrong("order", ignored, lambda s, on, off: off),
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
        Wrong("on", "Where the switch is on and neither pair is equal, the pairs agree: the answer is 1.", lambda a, b: a & b),
        Wrong("on", "Where the switch is on, the pairs must agree: both equal, or neither.", lambda a, b: a ^ b),
        *(Wrong("on", f"Where the switch is on, {name} is asked: the question is whether the pairs agree.", g)
          for name, g in (("the first pair alone", lambda a, b: a), ("the second pair alone", lambda a, b: b), ("whether one "
                          "is equal", lambda a, b: a | b), ("whether none is equal", lambda a, b: ~(a | b)),
                          ("whether not both are equal", lambda a, b: ~(a & b)))),
        *(Wrong("off", f"Where the switch is off, {name} is asked: the question is whether one pair at least is equal.", g)
          for name, g in (("the first pair alone", lambda a, b: a), ("the second pair alone", lambda a, b: b), ("whether none "
                          "is equal", lambda a, b: ~(a | b)), ("whether the pairs agree", lambda a, b: a == b),
                          ("whether not both are equal", lambda a, b: ~(a & b)))),
        Wrong("off", "The answer is 0 wherever the switch is off: there one equal pair is enough.", lambda a, b: a & ~a),
        Wrong("on", "The answer is 0 wherever the switch is on: there the question is whether the pairs agree.",
              lambda a, b: a & ~a),
        Wrong("off", "The answer is 1 wherever the switch is off: there one equal pair at least is asked for.",
              lambda a, b: a | ~a),
        Wrong("on", "The answer is 1 wherever the switch is on: there the question is whether the pairs agree.",
              lambda a, b: a | ~a),
        *(Wrong("columns", mixed, lambda v, o=o: v.T[list(o)]) for o in itertools.permutations(range(3)) if o != (0, 1, 2)),
        Wrong("whole", "The answers are the wrong way round.", lambda x, a, b, s: ~x),
        Wrong("whole", "These are -1 and 1: answers are 0 and 1.", lambda x, a, b, s: 2.0 * x - 1),
        Wrong("whole", "These are 1 and 2: answers are 0 and 1.", lambda x, a, b, s: x + 1),
        Wrong("whole", "This is a single column: what do the other two say?", lambda x, a, b, s: a),
        Wrong("whole", "This is a single column: what do the other two say?", lambda x, a, b, s: b),
        Wrong("whole", "This is a single column: what do the other two say?", lambda x, a, b, s: s),
        Wrong("whole", precedence, lambda x, a, b, s: s & a == b | ~s & (a | b)),
        Wrong("whole", precedence, lambda x, a, b, s: a == b | s), Wrong("whole", precedence, lambda x, a, b, s: s & a == b),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.", lambda x, a, b, s: a & b & s),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.", lambda x, a, b, s: a | b | s),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.",
              lambda x, a, b, s: 1 * a + b + s > 1),
        Wrong("whole", "All three count alike here: the switch chooses between two questions.", lambda x, a, b, s: a ^ b ^ s),
        Wrong("whole", "The answer is the same for every row.", lambda x, a, b, s: np.ones(len(a))),
        Wrong("whole", "The answer is the same for every row.", lambda x, a, b, s: np.zeros(len(a))),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x[0]),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x.all()),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x.any()),
        Wrong("whole", "This is one answer in all: each row of values needs its own.", lambda x, a, b, s: x.sum()),
    ], hints={"ambiguous|truth value|Boolean value": values, "unpack|index 3|values to unpack": "One variable is one column of "
              "the n rows: values[:, 0], values[:, 1] and values[:, 2], or values.T to unpack them.",
              "boolean subtract": "Truth values have no minus: use ^ or !=, or .astype(int)."},
        also=lambda gots: _say_rows(gots, cases))
    return "Passed: all eight combinations of the three variables get the right answer."


def _say_rows(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Which combinations 7.1 answers wrongly."""
    for got, (values,) in zip(gots, cases):
        require(got.shape != (), "This is one answer in all: each row of values needs its own.")
        require(got.shape != (3,) or len(values) == 3, "These are three answers: values[0] is the first row, and values[:, 0] "
                "the first variable.")
        if got.shape != (len(values),):
            return
        require(np.isin(got, (0, 1)).all(), f"Answers are 0 and 1, and yours hold {np.setdiff1d(got, (0, 1))[0]:.3g}.")
        of_each = [set(got[(values == c).all(axis=1)]) for c in _COMBINATIONS]
        require(all(len(answers) < 2 for answers in of_each), "Two rows that are alike get different answers: does the answer "
                "depend on the place of the row?")
        for (a, b, s), answers in zip(_COMBINATIONS, of_each):
            right = a == b if s else a | b
            if answers - {right}:
                refuse(f"Where the switch is {'on' if s else 'off'}, a = b is {a} and c = d is {b}, the answer is {int(right)}: "
                       + ("the pairs " + ("agree." if right else "do not agree.") if s else
                          ("one pair at least is equal." if right else "no pair is equal.")) + " Yours is the other.")


Curves = dict[str, dict[int, float]]
_CURVES: tuple[tuple[Curves, float], ...] = (
    ({"first": {16: 0.998, 1: 0.503, 8: 0.997, 4: 0.52}, "second": {16: 0.989, 1: 0.78, 4: 0.975, 8: 0.984},
      "third": {1: 0.811, 16: 0.703, 4: 0.702, 8: 0.703}}, 0.95),
    ({"low": {2: 0.88, 4: 0.96, 8: 0.97}, "middle": {8: 0.975, 4: 0.97, 2: 0.85}, "high": {2: 0.7, 4: 0.965, 8: 0.999},
      "top": {4: 0.952, 8: 0.98}}, 0.95),
    ({"a": {1: 0.5, 2: 0.6}, "b": {1: 0.7, 2: 0.9499}}, 0.95),
    ({"b": {1: 0.95, 2: 0.951}, "a": {1: 0.7, 2: 0.99}, "c": {1: 0.9, 2: 1.0}}, 0.95),
    ({"d": {3: 0.7, 5: 0.86}, "e": {3: 0.9, 5: 0.85}, "c": {6: 0.99, 7: 0.6}}, 0.9),  # it falls again; at the goal itself
    ({"conv": {5: 0.97, 9: 0.985, 20: 0.4}, "fc": {5: 0.96, 9: 0.99, 20: 0.99}, "out": {9: 1.0}}, 0.98),
    ({"x": {1: 0.55, 2: 0.75}, "y": {2: 0.78, 1: 0.6}, "z": {1: 0.5, 2: 0.72, 3: 0.99}}, 0.7),
    ({"only": {12: 0.81}}, 0.8), ({"only": {12: 0.79, 3: 0.1}}, 0.8), ({"p": {2: 0.6}, "q": {1: 0.1, 3: 1.0}}, 0.6),
    ({"k": {7: 0.9, 2: 0.3}, "j": {7: 0.92, 2: 0.99, 1: 0.85}, "h": {1: 0.2, 2: 0.995}, "g": {2: 0.97}}, 0.93),
)


def _chosen(able: Callable, number: Callable, tie: Callable, otherwise: Any, goal: Callable, result: Callable) -> Callable:
    """A solution of 7.2 made of its parts."""
    def choose(curves: Curves, given: float) -> Any:
        aim = goal(given)
        reached = {layer: [d for d, iia in curve.items() if able(iia, aim)] for layer, curve in curves.items()}
        found = [layer for layer in curves if reached[layer]]
        if not found:
            return otherwise
        return result(max(found, key=lambda n: (-number(curves[n], reached[n]), tie(curves[n], reached[n]))), curves, reached)

    return choose


def check_choose_layer(f: Callable) -> str:
    """Exercise 7.2: ``f(curves, goal)`` names the layer that reaches the goal with the fewest directions."""
    right = {"able": lambda iia, goal: iia >= goal, "number": lambda c, r: min(r), "tie": lambda c, r: c[min(r)],
             "otherwise": NOWHERE, "goal": lambda g: g, "result": lambda layer, curves, reached: layer}
    learner = Learner(f, "choose_layer(curves, goal)", {
        "empty": f"Where no layer reaches the goal there is nothing to choose from: return '{NOWHERE}' there.",
        "KeyError": "curves[layer] is a dict from numbers of directions to IIA: not every number is in every one.",
        "UnboundLocalError|NoneType|IndexError": f"What is there where no layer reaches the goal? Return '{NOWHERE}'.",
        "TypeError": "`curves` holds for each layer's name a dict: curves.items() gives names and dicts.",
    })
    wanted = [_chosen(**right)(*case) for case in _CURVES]
    gots: list[Any] = []
    for case, answer in zip(_CURVES, wanted):
        got = learner(*case, nothing=True)
        require(got is not None or answer != NOWHERE or not gots, f"None comes back where no layer reaches the goal: return "
                f"'{NOWHERE}'.")
        require(got is not None, "Your function returned None: did you forget the `return`?")
        gots.append(got)
    require(learner(*_CURVES[0]) == gots[0], "Called twice with the same arguments, your function gives two results: does it "
            "keep something between calls?")
    if gots == wanted and all(isinstance(got, str) for got in gots):
        return f"Passed: for {len(_CURVES)} sets of curves the right layer is chosen, or none."
    kinds = {type(got).__name__ for got in gots if not isinstance(got, str)}
    require(not kinds or kinds & {"int", "float", "float64", "bool"}, f"This is a {min(kinds, default='')}: return the layer's "
            f"name alone, or '{NOWHERE}'.")
    require(not kinds, "This is a number: return the layer's name, the key of `curves`.")
    no_sort = "The numbers of directions are taken in the order in which they come: a curve need not be sorted."
    tie = "Of two layers that need equally many directions, the one with the higher IIA there is asked for."
    highest = ("This is the layer with the highest IIA, however many directions it takes: ask for the fewest that reach the "
               "goal.")
    message = find_mistake(gots, _CURVES, _chosen, right, [
        Wrong("able", "The goal is reached at the goal itself: use >= in place of >.", lambda iia, goal: iia > goal),
        Wrong("number", highest, lambda c, r: -max(c.values())), Wrong("tie", tie, lambda c, r: 0),
        Wrong("number", "The layers' first or last that reaches the goal is taken: another one may need fewer directions.",
              lambda c, r: 0),
        Wrong("number", "This layer needs the most directions to reach the goal: ask for the fewest.", lambda c, r: -min(r)),
        Wrong("number", "This looks at the most directions that reach the goal: ask for the fewest.", lambda c, r: max(r)),
        Wrong("number", no_sort, lambda c, r: r[0]), Wrong("number", no_sort, lambda c, r: r[-1]),
        Wrong("number", "The fewest directions of the curve count here, whether they reach the goal or not.",
              lambda c, r: min(c)),
        Wrong("number", "This counts how often the goal is reached: ask for the fewest directions.", lambda c, r: -len(r)),
        Wrong("number", "This counts the entries of the curve: ask for the fewest directions.", lambda c, r: len(c)),
        Wrong("number", "The IIA comes first here: the fewest directions come first, and the IIA decides between equals.",
              lambda c, r: -c[min(r)]),
        Wrong("number", "This is the mean of the curve: ask for the fewest directions.",
              lambda c, r: -sum(c.values()) / len(c)),
        Wrong("number", "IIA for each direction is compared: ask for the fewest directions.", lambda c, r: -c[min(r)] / min(r)),
        Wrong("number", "A position in the curve is compared: ask for the number of directions.", lambda c, r: sorted(
            c).index(min(r))),
        Wrong("number", "What counts are the directions from which on the goal is always reached: ask for the fewest that "
              "reach it.", lambda c, r: min([d for d in r if all(e in r for e in c if e > d)], default=10**6)),
        Wrong("tie", "Of two layers that need equally many directions, this is the one with the lower IIA there.",
              lambda c, r: -c[min(r)]),
        Wrong("tie", "A tie is decided by the IIA at that number of directions, not by the highest of the curve.",
              lambda c, r: max(c.values())),
        Wrong("tie", "A tie is decided by the IIA at that number of directions, not by the whole curve.",
              lambda c, r: sum(c.values())),
        Wrong("tie", "A tie is decided by the IIA at that number of directions, not at the most.", lambda c, r: c[max(c)]),
        Wrong("tie", "A tie is decided by the IIA at that number of directions, not at the first of the curve.",
              lambda c, r: c[next(iter(c))]),
        *(Wrong("goal", "The goal is written out: take the one that is passed.", lambda g, w=w: w)
          for w in (0.95, 0.9, 0.98, 0.99, 0.5)),
        *(Wrong("goal", "The goal is changed on the way: take it as it is.", change) for change in (
            lambda g: g / 100, lambda g: 100 * g, lambda g: 1 - g, lambda g: 0, lambda g: g - 0.05, lambda g: round(g, 1))),
        Wrong("otherwise", f"Where no layer reaches the goal, return '{NOWHERE}', spelled like this.", "none"),
        Wrong("otherwise", f"Where no layer reaches the goal, return '{NOWHERE}', spelled like this.", "Nowhere"),
        Wrong("otherwise", f"Where no layer reaches the goal, return '{NOWHERE}', not an empty name.", ""),
        Wrong("result", "The name is changed: return it as it is in `curves`.", lambda n, curves, reached: n.upper()),
        Wrong("result", "This is the first of the layers: ask which reaches the goal.", lambda n, curves, r: next(iter(curves))),
        Wrong("result", "This is the last of the layers: ask which reaches the goal.", lambda n, curves, r: list(curves)[-1]),
        Wrong("result", "This is the first layer that reaches the goal: a later one may need fewer directions.",
              lambda n, curves, r: next(n for n in curves if r[n])),
        Wrong("result", "This is the last layer that reaches the goal: an earlier one may need fewer directions.",
              lambda n, curves, r: [n for n in curves if r[n]][-1]),
        Wrong("result", "Names are compared in alphabetical order: compare numbers of directions.",
              lambda n, curves, r: min(n for n in curves if r[n])),
        Wrong("result", "Of two layers that need equally many directions, the name decides here: the IIA there should.",
              lambda n, curves, r: min((min(r[n]), n) for n in curves if r[n])[1]),
        Wrong("result", "Of two layers that need equally many directions, the name decides here: the IIA there should.",
              lambda n, curves, r: max((-min(r[n]), n) for n in curves if r[n])[1]),
        Wrong("result", "Of two layers that need equally many directions, the last comes here: the IIA there should decide.",
              lambda n, curves, r: min(reversed([n for n in curves if r[n]]), key=lambda n: min(r[n]))),
    ], fits=lambda a, b: a == b)
    require(not message, message)
    require(any(got != gots[0] for got in gots), f"Your answer is always {gots[0]!r:.40}: compute it from the curves.")
    for (curves, goal), answer, got in zip(_CURVES, wanted, gots):
        require(answer != NOWHERE or got == NOWHERE, f"In {curves} no layer reaches {goal}: return '{NOWHERE}', not "
                f"{got!r:.40}.")
    for (curves, goal), answer, got in zip(_CURVES, wanted, gots):
        if got != answer:
            _say_layer(curves, goal, answer, got)
    return ""


def _say_layer(curves: Curves, goal: float, answer: str, got: str) -> None:
    """Why ``answer`` is to be chosen and not ``got``."""
    best = min(d for d, iia in curves[answer].items() if iia >= goal)
    why = f"{answer!r} reaches {goal} with {best} directions (IIA {curves[answer][best]})"
    if got not in curves:
        refuse(f"For the goal {goal} and the curves {curves}, {why}, and yours is {got!r:.40}.")
    reached = [d for d, iia in curves[got].items() if iia >= goal]
    other = (f"with {min(reached)} (IIA {curves[got][min(reached)]})" if reached else "with none")
    refuse(f"For the goal {goal}, {why}, {got!r} {other}; yours is {got!r}. The curves: {curves}")


# of a failed run: its settings, the changes to try, the goal, and (IIA, behavior) of the run (None) and of each change
_Run = tuple[dict[str, Any], dict[str, Any], float, dict[str | None, tuple[float, float]]]
_RUNS: tuple[_Run, ...] = (
    ({"layer": "h1", "directions": 2, "weight": 1.0}, {"directions": 16, "weight": 3.0, "layer": "h2"}, 0.98,
     {None: (0.62, 0.999), "directions": (0.998, 0.999), "weight": (0.71, 0.999), "layer": (0.999, 0.998)}),
    ({"layer": "h3", "directions": 1, "weight": 0.0}, {"layer": "h2", "directions": 8, "weight": 1.0}, 0.98,
     {None: (0.50, 0.53), "directions": (0.99, 0.62), "weight": (0.998, 0.999), "layer": (0.52, 0.999)}),
    ({"layer": "block 1", "directions": 8, "weight": 1.0}, {"weight": 3.0, "directions": 16, "layer": "block 2"}, 0.98,
     {None: (0.50, 0.998), "directions": (0.49, 0.997), "weight": (0.965, 1.0), "layer": (0.98, 0.98)}),
    ({"layer": "h2", "directions": 4, "weight": 0.1}, {"weight": 1.0, "directions": 8, "layer": "h1"}, 0.98,
     {None: (0.55, 0.7), "directions": (0.8, 0.9), "weight": (0.9, 0.95), "layer": (0.6, 0.75)}),
    ({"rate": 0.1, "steps": 50, "width": 8, "seed": 1, "depth": 2}, {"steps": 900, "seed": 2, "rate": 0.01, "width": 64}, 0.9,
     {None: (0.7, 0.8), "steps": (0.93, 0.91), "seed": (0.88, 0.97), "rate": (0.97, 0.88), "width": (0.9, 0.95)}),
    ({"rate": 1.0, "weight": 1.0}, {"rate": 0.1}, 0.6, {None: (0.3, 0.5), "rate": (0.61, 0.7)}),
    ({"rate": 1.0, "weight": 1.0}, {"weight": 0.3, "rate": 0.5}, 0.995,
     {None: (0.9, 0.99), "rate": (0.996, 0.994), "weight": (0.999, 0.995)}),
    ({"layer": "a", "directions": 3, "steps": 9}, {"directions": 5, "layer": "b", "steps": 90}, 0.85,
     {None: (0.86, 0.4), "directions": (0.86, 0.85), "layer": (0.91, 0.91), "steps": (0.8, 0.95)}),
)


class _Training:
    """Stands for trainings that take their time: the figures of a failed run with one setting changed."""

    def __init__(self, settings: dict[str, Any], figures: dict[str | None, tuple[float, float]]) -> None:
        self.settings, self.figures = settings, figures
        self.names: list[str | None] = []
        self.complaint = ""

    def __deepcopy__(self, memo: dict) -> "_Training":
        return self

    def __call__(self, *others: Any, **given: Any) -> tuple[float, float]:
        missing, unknown = set(self.settings) - set(given), sorted(set(given) - set(self.settings))
        changed = [name for name, value in self.settings.items() if name in given and given[name] != value]
        for condition, message in (
            (others, "train takes its settings by name: train(**{**settings, name: value})."),
            (unknown, f"train does not know the setting {', '.join(unknown)}: pass {{**settings, name: value}}."),
            (missing, "train needs all the settings, with one of them changed: {**settings, name: value}."),
            (len(changed) > 1, "Several settings are changed at once: start anew from `settings` for each change, or you cannot "
             "tell which one mends it."),
            (len(self.names) > 50, "train is called again and again: one training for each change."),
        ):
            self.complaint = self.complaint or (message if condition else "")
            require(not condition, message)
        self.names.append(changed[0] if changed else None)
        return self.figures[self.names[-1]]


def _find(learner: Learner, run: _Run) -> list[str]:
    """What the learner's function finds for one failed run."""
    settings, changes, goal, figures = run
    train = _Training(settings, figures)
    try:
        answer = learner(train, settings, changes, goal)
    finally:
        require(not train.complaint, train.complaint)
    require(not isinstance(answer, str), "This is a single name: return a list, even where it holds one.")
    require(not isinstance(answer, dict), "This is a dict: return the names of the changes that mend it, in a list.")
    require(hasattr(answer, "__iter__"), f"This is a {type(answer).__name__}: return a list of names.")
    names = list(answer)
    require(all(isinstance(name, str) and name in changes for name in names), "Return the names of the changes, the keys of "
            "`changes`, not truth values, values or figures.")
    left_out = [name for name in changes if name not in train.names]
    require(not left_out, f"Not every change was tried, {left_out[:1]} for one: more than one can mend a run, so train once for "
            "each.")
    require(len(train.names) <= len(changes) + 1, f"Each training takes its time: {len(train.names)} were started for "
            f"{len(changes)} changes.")
    require(len(set(names)) == len(names), "A name is in the list more than once.")
    return sorted(names)


def check_find_mends(f: Callable) -> str:
    """Exercise 7.3: ``f(train, settings, changes, goal)`` names the changes each of which alone mends a failed run."""
    learner = Learner(f, "find_mends(train, settings, changes, goal)", {
        "multiple values": "The setting is passed twice: {**settings, name: value} holds it once, with the new value.",
        "not supported between|ambiguous|truth value": "train returns two figures, (IIA, behavior): compare each of them with "
                                                       "the goal.",
        "values to unpack": "`changes` is a dict: changes.items() gives names and values.",
        "KeyError": "`changes` holds values for some of the settings only, and under other names in each run: walk through "
                    "changes.items().",
        "unhashable|must be a mapping": "train takes its settings by name: train(**{**settings, name: value}).",
    }, lists=True)
    gots = [_find(learner, run) for run in _RUNS]
    require(_find(learner, _RUNS[0]) == gots[0], "Called twice with the same arguments, your function gives two results: does it "
            "keep a list between calls?")

    def build(keep: Callable, goal: Callable, names: Callable) -> Callable:
        def find(settings: dict, changes: dict, given: float, figures: dict) -> list[str]:
            return sorted(names([n for n in changes if keep(*figures[n], goal(given), *figures[None])], changes, figures))

        return find

    def both(iia: float, behavior: float, goal: float, *was: float) -> bool:
        return min(iia, behavior) >= goal

    better = "Better than it was is not mended: both figures must reach the goal."
    right = {"keep": both, "goal": lambda g: g, "names": lambda names, changes, figures: names}
    if gots == [build(**right)(*run) for run in _RUNS]:
        return f"Passed: in {len(_RUNS)} failed runs, what mends them is found, one change at a time."
    message = find_mistake(gots, _RUNS, build, right, [
        Wrong("keep", "Behavior is not asked: a network that is aligned and has forgotten its task is not mended.",
              lambda i, b, g, *was: i >= g),
        Wrong("keep", "IIA is not asked: a network that knows its task need not be aligned.", lambda i, b, g, *was: b >= g),
        Wrong("keep", "One of the two figures is enough here: both must reach the goal.", lambda i, b, g, *was: max(i, b) >= g),
        *(Wrong("keep", f"This is the {name} of the two figures: each of them must reach the goal.", test) for name, test in (
            ("mean", lambda i, b, g, *was: (i + b) / 2 >= g), ("product", lambda i, b, g, *was: i * b >= g),
            ("sum", lambda i, b, g, *was: i + b >= g), ("sum", lambda i, b, g, *was: i + b >= 2 * g),
            ("difference", lambda i, b, g, *was: abs(i - b) >= g))),
        *(Wrong("keep", "The goal is reached at the goal itself: use >= in place of >, for both.", test) for test in (
            lambda i, b, g, *was: min(i, b) > g, lambda i, b, g, *was: i > g and b >= g, lambda i, b, g, *was: i >= g and b > g,
            lambda i, b, g, *was: i > g, lambda i, b, g, *was: b > g)),
        *(Wrong("keep", better, test) for test in (
            lambda i, b, g, w, v: i > w and b > v, lambda i, b, g, w, v: i > w, lambda i, b, g, w, v: i + b > w + v,
            lambda i, b, g, w, v: b > v, lambda i, b, g, w, v: (i, b) > (w, v), lambda i, b, g, w, v: i >= w and b >= v,
            lambda i, b, g, w, v: min(i, b) > min(w, v))),
        Wrong("keep", "These are the changes that do not mend it.", lambda i, b, g, *was: min(i, b) < g),
        Wrong("keep", "These are the changes that do not mend it.", lambda i, b, g, *was: max(i, b) < g),
        Wrong("keep", "These are all the changes: which of them bring both figures to the goal?", lambda *_: True),
        Wrong("keep", "No change is ever named: are the figures of the changed run compared with the goal?", lambda *_: False),
        Wrong("keep", "The figures are compared with each other, not with the goal.", lambda i, b, g, *was: i >= b),
        Wrong("keep", "The figures are compared with each other, not with the goal.", lambda i, b, g, *was: i <= b),
        Wrong("keep", "A figure that equals the goal is asked for: it may lie above.", lambda i, b, g, *was: min(i, b) == g),
        Wrong("keep", "Only one figure may reach the goal here: both must.", lambda i, b, g, *was: (i >= g) != (b >= g)),
        *(Wrong("keep", "Figures are rounded first: compare them as they are.", lambda i, b, g, *was, d=d: min(
            round(i, d), round(b, d)) >= g) for d in (0, 1, 2)),
        *(Wrong("keep", f"Behavior is held to {w}, not to the goal.", lambda i, b, g, *was, w=w: i >= g and b >= w)
          for w in (0.9, 0.95, 0.8, 0.5, 0.99)),
        *(Wrong("keep", f"IIA is held to {w}, not to the goal.", lambda i, b, g, *was, w=w: b >= g and i >= w)
          for w in (0.9, 0.95, 0.8, 0.5, 0.99)),
        *(Wrong("goal", "The goal is written out: take the one that is passed.", lambda g, w=w: w)
          for w in (0.98, 0.95, 0.9, 0.99, 0.85, 0.5, 0.8)),
        *(Wrong("goal", "The goal is changed on the way: take it as it is.", change) for change in (
            lambda g: g - 0.05, lambda g: g - 0.01, lambda g: g + 0.01, lambda g: 100 * g, lambda g: g / 100, lambda g: 1 - g)),
        Wrong("names", "This is the best change of each run, whether it reaches the goal or not: name all that reach it.",
              lambda names, changes, figures: [max(changes, key=lambda n: min(figures[n]))]),
        Wrong("names", "This is the best change of each run, whether it reaches the goal or not: name all that reach it.",
              lambda names, changes, figures: [max(changes, key=lambda n: sum(figures[n]))]),
        Wrong("names", "This is the best change of each run, whether it reaches the goal or not: name all that reach it.",
              lambda names, changes, figures: [max(changes, key=lambda n: figures[n][0])]),
        Wrong("names", "More than one change can mend a run: name them all.", lambda names, changes, figures: names[:1]),
        Wrong("names", "More than one change can mend a run: name them all.", lambda names, changes, figures: names[-1:]),
        Wrong("names", "More than one change can mend a run: name them all.", lambda names, changes, figures: names and [
            max(names, key=lambda n: min(figures[n]))]),
        Wrong("names", "Names that do not come in the first places are lost.", lambda names, changes, figures: names[:2]),
        Wrong("names", "Only the first three changes are looked at.", lambda names, changes, figures: [
            n for n in names if n in list(changes)[:3]]),
    ], fits=lambda a, b: a == b)
    require(not message, message)
    _say_change(gots, [build(**right)(*run) for run in _RUNS])
    return ""


def _say_change(gots: Sequence[list[str]], wanted: Sequence[list[str]]) -> None:
    """One change that 7.3 names wrongly, or leaves out."""
    for got, names, (_, _, goal, figures) in zip(gots, wanted, _RUNS):
        for name in sorted(set(got) ^ set(names)):
            iia, behavior = figures[name]
            refuse(f"A change that brings IIA to {iia} and behavior to {behavior} is {'named' if name in got else 'left out'}, "
                   f"with the goal {goal}: " + ("both reach it, so it mends the run." if name in names else
                                                f"{'IIA' if iia < goal else 'behavior'} does not reach it."))
