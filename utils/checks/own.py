"""Checks of the exercises in notebook 7: each tries a learner's function and names the likely mistake."""
import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.helpers import WrongAnswer, as_array, call, compare, require, require_value

NOWHERE = "nowhere"


def check_switch_answers(f: Callable) -> str:
    """Exercise 7.1: ``f(values (n, 3))`` gives the answers (n,) of the causal model with a switch."""
    values = np.array([[a, b, s] for a in (0, 1) for b in (0, 1) for s in (0, 1)], dtype=bool)
    values = np.concatenate([values, values[[6, 1, 3, 0, 5]]])
    first, second, switch = values.T
    equal, either, both, one = first == second, first | second, first & second, first ^ second
    try:
        got = call(f, values)
    except ValueError as error:
        require("ambiguous" not in str(error), "`and`, `or`, `not` and `if` take one truth value: for columns of them "
                "use &, |, ~ and np.where.")
        require("unpack" not in str(error), "One variable is one column of the n rows: values[:, 0], values[:, 1] and "
                "values[:, 2], or values.T to unpack them.")
        raise
    require_value(got)
    try:
        kind = np.asarray(got.detach() if hasattr(got, "detach") else got).dtype.kind
    except ValueError:
        kind = "O"  # of rows that differ in length
    require(kind not in "USO", "Answers are truth values or whole numbers, not text.")
    require(as_array(got).shape != (), "This is one answer in all: each row of values needs its own.")
    require(as_array(got).shape != (3,), "These are three answers: values[0] is the first row, and values[:, 0] the "
            "first variable.")
    right = np.where(switch, equal, either)
    compare(as_array(got), right, {
        "The switch is ignored: it decides which of two questions is asked.": (equal, either),
        "The switch is the wrong way round: where it is on, the question is whether the pairs agree.":
            np.where(switch, either, equal),
        "Where the switch is off, one equal pair is enough: use | in place of &.": np.where(switch, equal, both),
        "Where the switch is off, two equal pairs are fine as well: use | in place of ^ or !=.":
            np.where(switch, equal, one),
        "Where the switch is on and neither pair is equal, the pairs agree: the answer is 1.":
            np.where(switch, both, either),
        "Where the switch is on, the pairs must agree: both equal, or neither.": np.where(switch, one, either),
        "The columns are mixed up: 0 is a = b, 1 is c = d, 2 is the switch.":
            (np.where(first, second == switch, second | switch), np.where(second, first == switch, first | switch)),
        "The answers are the wrong way round.": ~right,
        "These are -1 and 1: answers are 0 and 1.": 2 * right - 1.0,
        "The answer is 0 wherever the switch is off: there one equal pair is enough.": switch & equal,
        "The answer is 0 wherever the switch is on: there the question is whether the pairs agree.": ~switch & either,
    }, values=values.astype(int))
    return "Passed: all eight combinations of the three variables get the right answer."


_CURVES: tuple[dict[str, dict[int, float]], ...] = (
    {"first": {16: 0.998, 1: 0.503, 8: 0.997, 4: 0.52}, "second": {16: 0.989, 1: 0.78, 4: 0.975, 8: 0.984},
     "third": {1: 0.811, 16: 0.703, 4: 0.702, 8: 0.703}},
    {"low": {2: 0.88, 4: 0.96, 8: 0.97}, "middle": {8: 0.975, 4: 0.97, 2: 0.85}, "high": {2: 0.7, 4: 0.965, 8: 0.999},
     "top": {4: 0.952, 8: 0.98}},
    {"a": {1: 0.5, 2: 0.6}, "b": {1: 0.7, 2: 0.9499}},
    {"b": {1: 0.95, 2: 0.951}, "a": {1: 0.7, 2: 0.99}, "c": {1: 0.9, 2: 1.0}},
)
_GOAL = 0.95


def _reached(curve: dict[int, float], strict: bool = False) -> list[int]:
    """The numbers of directions with which a layer reaches the goal, in the order in which they come."""
    return [d for d, iia in curve.items() if (iia > _GOAL if strict else iia >= _GOAL)]


def _choose(curves: dict[str, dict[int, float]], key: Callable, strict: bool = False) -> str:
    """Of the layers that reach the goal the one with the greatest key(curve, numbers of directions that reach it)."""
    able = {layer: reached for layer, curve in curves.items() if (reached := _reached(curve, strict))}
    return max(able, key=lambda layer: key(curves[layer], able[layer])) if able else NOWHERE


def _fewest(curve: dict[int, float], reached: list[int]) -> tuple:
    return -min(reached), curve[min(reached)]


def check_choose_layer(f: Callable) -> str:
    """Exercise 7.2: ``f(curves, goal)`` names the layer that reaches the goal with the fewest directions."""
    got: list[Any] = []
    right = [_choose(curves, _fewest) for curves in _CURVES]
    for curves, wanted in zip(_CURVES, right):
        given = copy.deepcopy(curves)
        try:
            answer = f(given, _GOAL)
        except (ValueError, IndexError, KeyError, TypeError, UnboundLocalError) as error:
            require(wanted != NOWHERE, f"Where no layer reaches the goal your function stops with an error ({error}): "
                    f"return '{NOWHERE}' there.")
            require(not isinstance(error, KeyError), f"There is no key {error}: curves[layer] is a dict from numbers "
                    "of directions to IIA.")
            raise
        require(given == curves, "Your function changes the curves that it is given: work on a copy.")
        require(answer is not None or wanted != NOWHERE, "None comes back where no layer reaches the goal: return "
                f"'{NOWHERE}'.")
        require_value(answer)
        require(not isinstance(answer, (tuple, list, dict, set)), f"This is a {type(answer).__name__}: return the "
                "layer's name alone.")
        require(isinstance(answer, str), "This is no name: return the layer's name, the key of `curves`.")
        got.append(answer)
    if got == right:
        return f"Passed: for {len(_CURVES)} sets of curves the right layer is chosen, or none."
    wrong: dict[str, list[str]] = {message: [_choose(curves, key) for curves in _CURVES] for message, key in {
        "This is the layer with the highest IIA, however many directions it takes: ask for the fewest that reach the "
        "goal.": lambda curve, reached: max(curve.values()),
        "This is the first layer that reaches the goal: a later one may need fewer directions.":
            lambda curve, reached: 0,
        "This layer needs the most directions to reach the goal: ask for the fewest.":
            lambda curve, reached: min(reached),
        "Of two layers that need equally many directions, the one with the higher IIA there is asked for.":
            lambda curve, reached: -min(reached),
        "Of two layers that need equally many directions, this is the one with the lower IIA there.":
            lambda curve, reached: (-min(reached), -curve[min(reached)]),
        "A tie is decided by the IIA at that number of directions, not by the highest of the curve.":
            lambda curve, reached: (-min(reached), max(curve.values())),
        "The numbers of directions are taken in the order in which they come: a curve need not be sorted.":
            lambda curve, reached: (-reached[0], curve[reached[0]]),
    }.items()} | {
        "This is the last layer that reaches the goal: an earlier one may need fewer directions.":
            [_choose(dict(reversed(curves.items())), lambda curve, reached: 0) for curves in _CURVES],
        "The goal is reached at the goal itself: use >= in place of >.":
            [_choose(curves, _fewest, strict=True) for curves in _CURVES],
        "This is the best layer at the fewest directions of all, whether it reaches the goal or not.":
            [max(curves, key={layer: curve[min(curve)] for layer, curve in curves.items()}.__getitem__)
             for curves in _CURVES],
    }
    for message, names in wrong.items():
        require(got != names, message)
    require(got[2] == NOWHERE, f"In {_CURVES[2]} no layer reaches {_GOAL}: return '{NOWHERE}', not {got[2]!r:.40}.")
    first = next(i for i in range(len(right)) if got[i] != right[i])
    raise WrongAnswer(f"Not right yet: for the goal {_GOAL} and the curves {_CURVES[first]} the answer is "
                      f"{right[first]!r}, but yours is {got[first]!r:.40}.")


# of a failed run: its settings, the changes to try, and (IIA, behavior) of the run itself (None) and of each change
_RUNS: tuple[tuple[dict[str, Any], dict[str, Any], dict[str | None, tuple[float, float]]], ...] = (
    ({"layer": "h1", "directions": 2, "weight": 1.0}, {"directions": 16, "weight": 3.0, "layer": "h2"},
     {None: (0.62, 0.999), "directions": (0.998, 0.999), "weight": (0.71, 0.999), "layer": (0.999, 0.998)}),
    ({"layer": "h3", "directions": 1, "weight": 0.0}, {"layer": "h2", "directions": 8, "weight": 1.0},
     {None: (0.50, 0.53), "directions": (0.99, 0.62), "weight": (0.998, 0.999), "layer": (0.52, 0.999)}),
    ({"layer": "block 1", "directions": 8, "weight": 1.0}, {"weight": 3.0, "directions": 16, "layer": "block 2"},
     {None: (0.50, 0.998), "directions": (0.49, 0.997), "weight": (0.965, 1.0), "layer": (0.98, 0.98)}),
    ({"layer": "h2", "directions": 4, "weight": 0.1}, {"weight": 1.0, "directions": 8, "layer": "h1"},
     {None: (0.55, 0.7), "directions": (0.8, 0.9), "weight": (0.9, 0.95), "layer": (0.6, 0.75)}),
)
_MEND = 0.98


class _Training:
    """Stands for trainings that take their time: the figures of a failed run with one setting changed."""

    def __init__(self, settings: dict[str, Any], figures: dict[str | None, tuple[float, float]]) -> None:
        self.settings, self.figures, self.calls = settings, figures, 0

    def __call__(self, **given: Any) -> tuple[float, float]:
        self.calls += 1
        missing, unknown = set(self.settings) - set(given), sorted(set(given) - set(self.settings))
        require(not unknown, f"train does not know the setting {', '.join(unknown)}: pass {{**settings, name: value}}.")
        require(not missing, "train needs all the settings, with one of them changed: {**settings, name: value}.")
        changed = [name for name, value in self.settings.items() if given[name] != value]
        require(len(changed) < 2, "Several settings are changed at once: start anew from `settings` for each change, "
                "or you cannot tell which one mends it.")
        return self.figures[changed[0] if changed else None]


def _find(f: Callable, settings: dict[str, Any], changes: dict[str, Any], train: _Training) -> list[str]:
    """What the learner's function finds for one failed run."""
    given, offered = dict(settings), dict(changes)
    try:
        answer = f(train, given, offered, _MEND)
    except (TypeError, ValueError) as error:
        text = str(error)
        require("positional argument" not in text or "train" not in text and "__call__" not in text,
                "train takes its settings by name: train(**{**settings, name: value}).")
        require("not supported between" not in text and "ambiguous" not in text, "train returns two figures, (IIA, "
                "behavior): compare each of them with the goal.")
        raise
    require_value(answer)
    require(given == settings and offered == changes, "Your function changes `settings` or `changes` in place: make "
            "a new dict, {**settings, name: value}.")
    require(not isinstance(answer, str), "This is a single name: return a list, even where it holds one.")
    require(not isinstance(answer, dict), "This is a dict: return the names of the changes that mend it, in a list.")
    require(hasattr(answer, "__iter__"), f"This is a {type(answer).__name__}: return a list of names.")
    names = list(answer)
    require(all(isinstance(name, str) and name in changes for name in names), "Return the names of the changes, the "
            "keys of `changes`, not truth values, values or figures.")
    require(train.calls >= len(changes), "Not every change was tried: more than one can mend a run, so train once for "
            "each.")
    require(train.calls <= len(changes) + 1, f"Each training takes its time: {train.calls} were started for "
            f"{len(changes)} changes.")
    require(len(set(names)) == len(names), "A name is in the list more than once.")
    return sorted(names)


def check_find_mends(f: Callable) -> str:
    """Exercise 7.3: ``f(train, settings, changes, goal)`` names the changes each of which alone mends a failed run."""
    got = [_find(f, settings, changes, _Training(settings, figures)) for settings, changes, figures in _RUNS]

    def those(test: Callable) -> list[list[str]]:
        """For each run the changes whose figures, and those of the run itself, pass a test."""
        return [sorted(name for name in changes if test(*figures[name], *figures[None]))
                for _, changes, figures in _RUNS]

    right = those(lambda iia, behavior, *_: min(iia, behavior) >= _MEND)
    if got == right:
        return f"Passed: in {len(_RUNS)} failed runs, what mends them is found, one change at a time."
    best = [[max(changes, key={name: min(pair) for name, pair in figures.items()}.__getitem__)]
            for _, changes, figures in _RUNS]
    mistakes: dict[str, tuple] = {
        "Behavior is not asked: a network that is aligned and has forgotten its task is not mended.":
            (those(lambda iia, *_: iia >= _MEND), those(lambda iia, *_: iia > _MEND)),
        "IIA is not asked: a network that knows its task need not be aligned.":
            (those(lambda iia, b, *_: b >= _MEND), those(lambda iia, b, *_: b > _MEND)),
        "One of the two figures is enough here: both must reach the goal.":
            (those(lambda iia, b, *_: max(iia, b) >= _MEND),),
        "This is the mean of the two figures: each of them must reach the goal.":
            (those(lambda iia, b, *_: (iia + b) / 2 >= _MEND),),
        "The goal is reached at the goal itself: use >= in place of >.":
            (those(lambda iia, b, *_: min(iia, b) > _MEND),),
        "Better than it was is not mended: both figures must reach the goal.":
            (those(lambda iia, b, was, b_was: iia > was and b > b_was), those(lambda iia, b, was, b_was: iia > was),
             those(lambda iia, b, was, b_was: iia + b > was + b_was), those(lambda iia, b, was, b_was: b > b_was)),
        "These are the changes that do not mend it.": (those(lambda iia, b, *_: min(iia, b) < _MEND),),
        "These are all the changes: which of them bring both figures to the goal?": (those(lambda *_: True),),
        "No change is ever named: are the figures of the changed run compared with the goal?":
            (those(lambda *_: False),),
        "This is the best change of each run, whether it reaches the goal or not: name all that reach it.": (best,),
    }
    for message, wrong in mistakes.items():
        require(got not in wrong, message)
    require(not all(set(found) <= set(all_) and len(found) <= 1 for found, all_ in zip(got, right)),
            "More than one change can mend a run: name them all.")
    first = next(i for i in range(len(right)) if got[i] != right[i])
    figures = {name: _RUNS[first][2][name] for name in _RUNS[first][1]}
    raise WrongAnswer(f"Not right yet: where the changes give {figures}, (IIA, behavior) each, {right[first]} mend it, "
                      f"and yours are {got[first]}.")
