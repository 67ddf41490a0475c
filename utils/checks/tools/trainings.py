"""The trainings of exercise 7.3, the parts of a solution, and the ways in which they go wrong."""
from collections.abc import Callable, Sequence
from typing import Any

from utils.checks.helpers import require
from utils.checks.tools.running import refuse
from utils.checks.tools.variants import Wrong

# of a failed run: its settings, the changes to try, the goal, and (IIA, behavior) of the run (None) and of each change
Run = tuple[dict[str, Any], dict[str, Any], float, dict[str | None, tuple[float, float]]]
RUNS: tuple[Run, ...] = (
    ({"layer": "h1", "directions": 2, "weight": 1.0}, {"directions": 16, "weight": 3.0, "layer": "h2"}, 0.98,
     {None: (0.62, 0.999), "directions": (0.998, 0.999), "weight": (0.71, 0.999), "layer": (0.999, 0.998)}),
    ({"layer": "h3", "directions": 1, "weight": 0.0}, {"layer": "h2", "directions": 8, "weight": 1.0}, 0.98,
     {None: (0.50, 0.53), "directions": (0.99, 0.62), "weight": (0.998, 0.999), "layer": (0.52, 0.999)}),
    ({"layer": "block 1", "directions": 8, "weight": 1.0}, {"weight": 3.0, "directions": 16, "layer": "block 2"}, 0.98,
     {None: (0.50, 0.998), "directions": (0.49, 0.997), "weight": (0.965, 1.0), "layer": (0.98, 0.98)}),
    ({"layer": "h2", "directions": 4, "weight": 0.1}, {"weight": 1.0, "directions": 8, "layer": "h1"}, 0.98,
     {None: (0.55, 0.7), "directions": (0.8, 0.9), "weight": (0.9, 0.95), "layer": (0.6, 0.75)}),
    ({"rate": 0.1, "steps": 50, "width": 8, "seed": 1, "depth": 2}, {"steps": 900, "seed": 2, "rate": 0.01,
                                                                     "width": 64}, 0.9,
     {None: (0.7, 0.8), "steps": (0.93, 0.91), "seed": (0.88, 0.97), "rate": (0.97, 0.88), "width": (0.9, 0.95)}),
    ({"p": 1, "q": 2, "r": 3, "s": 4}, {"s": 8, "q": 6, "p": 5, "r": 7}, 0.75,
     {None: (0.5, 0.6), "s": (0.9, 0.8), "q": (0.76, 0.99), "p": (0.75, 0.91), "r": (0.8, 0.75)}),
    ({"rate": 1.0, "weight": 1.0}, {"rate": 0.1}, 0.6, {None: (0.3, 0.5), "rate": (0.61, 0.7)}),
    ({"rate": 1.0, "weight": 1.0}, {"weight": 0.3, "rate": 0.5}, 0.995,
     {None: (0.9, 0.99), "rate": (0.996, 0.994), "weight": (0.999, 0.995)}),
    ({"layer": "a", "directions": 3, "steps": 9}, {"directions": 5, "layer": "b", "steps": 90}, 0.85,
     {None: (0.86, 0.4), "directions": (0.86, 0.85), "layer": (0.91, 0.91), "steps": (0.8, 0.95)}),
)


class Training:
    """Stands for trainings that take their time: the figures of a failed run with one setting changed."""

    def __init__(self, settings: dict[str, Any], changes: dict[str, Any], figures: dict[str | None, tuple[float, float]]
                 ) -> None:
        self.settings, self.changes, self.figures = settings, changes, figures
        self.names: list[str | None] = []
        self.complaint = ""

    def __deepcopy__(self, memo: dict) -> "Training":
        return self

    def __call__(self, *others: Any, **given: Any) -> tuple[float, float]:
        missing, unknown = set(self.settings) - set(given), sorted(set(given) - set(self.settings))
        changed = [name for name, value in self.settings.items() if name in given and given[name] != value]
        for condition, message in (
            (others, "train takes its settings by name: train(**{**settings, name: value})."),
            (unknown, f"train does not know the setting {', '.join(unknown)}: pass {{**settings, name: value}}."),
            (missing, "train needs all the settings, with one of them changed: {**settings, name: value}."),
            (len(changed) > 1, "Several settings are changed at once: start anew from `settings` for each change, or "
                               "you cannot tell which one mends it."),
            (changed and changed[0] not in self.changes, "A setting is changed of which `changes` says nothing."),
            (changed and given[changed[0]] != self.changes.get(changed[0]),
             f"train got {given.get((*changed, '')[0])!r:.40} for {changed[:1]}: pass the value that stands in "
             "`changes`, as it is."),
            (len(self.names) > 50, "train is called again and again: one training for each change."),
        ):
            self.complaint = self.complaint or (message if condition else "")
            require(not condition, message)
        self.names.append(changed[0] if changed else None)
        return self.figures[self.names[-1]]


def mended(keep: Callable, goal: Callable, names: Callable) -> Callable:
    """A solution of 7.3 made of its parts."""
    def find(settings: dict, changes: dict, given: float, figures: dict) -> list[str]:
        return sorted(names([n for n in changes if keep(*figures[n], goal(given), *figures[None])], changes, figures))

    return find


def both(iia: float, behavior: float, goal: float, *was: float) -> bool:
    return min(iia, behavior) >= goal

better = "Better than it was is not mended: both figures must reach the goal."
MEND: dict[str, Any] = {"keep": both, "goal": lambda g: g, "names": lambda names, changes, figures: names}
WRONG_MENDS: tuple[Wrong, ...] = (
    Wrong("keep", "These are all the changes: which of them bring both figures to the goal?", lambda *_: True),
    Wrong("keep", "No change is ever named: are the figures of the changed run compared with the goal?",
          lambda *_: False),
    Wrong("keep", "Behavior is not asked: a network that is aligned and has forgotten its task is not mended.",
          lambda i, b, g, *was: i >= g),
    Wrong("keep", "IIA is not asked: a network that knows its task need not be aligned.", lambda i, b, g, *was: b >= g),
    Wrong("keep", "One of the two figures is enough here: both must reach the goal.", lambda i, b, g,
          *was: max(i, b) >= g),
    *(Wrong("keep", f"This is the {name} of the two figures: each of them must reach the goal.", test) for name,
      test in (
        ("mean", lambda i, b, g, *was: (i + b) / 2 >= g), ("product", lambda i, b, g, *was: i * b >= g),
        ("sum", lambda i, b, g, *was: i + b >= g), ("sum", lambda i, b, g, *was: i + b >= 2 * g),
        ("difference", lambda i, b, g, *was: abs(i - b) >= g))),
    *(Wrong("keep", "The goal is reached at the goal itself: use >= in place of >, for both.", test) for test in (
        lambda i, b, g, *was: min(i, b) > g, lambda i, b, g, *was: i > g and b >= g, lambda i, b, g,
        *was: i >= g and b > g,
        lambda i, b, g, *was: i > g, lambda i, b, g, *was: b > g)),
    *(Wrong("keep", better, test) for test in (
        lambda i, b, g, w, v: i > w and b > v, lambda i, b, g, w, v: i > w, lambda i, b, g, w, v: i + b > w + v,
        lambda i, b, g, w, v: b > v, lambda i, b, g, w, v: (i, b) > (w, v), lambda i, b, g, w, v: i >= w and b >= v,
        lambda i, b, g, w, v: min(i, b) > min(w, v))),
    Wrong("keep", "These are the changes that do not mend it.", lambda i, b, g, *was: min(i, b) < g),
    Wrong("keep", "These are the changes that do not mend it.", lambda i, b, g, *was: max(i, b) < g),
    Wrong("keep", "The figures are compared with each other, not with the goal.", lambda i, b, g, *was: i >= b),
    Wrong("keep", "The figures are compared with each other, not with the goal.", lambda i, b, g, *was: i <= b),
    Wrong("keep", "A figure that equals the goal is asked for: it may lie above.", lambda i, b, g,
          *was: min(i, b) == g),
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
        lambda g: g - 0.05, lambda g: g - 0.01, lambda g: g + 0.01, lambda g: 100 * g, lambda g: g / 100,
        lambda g: 1 - g)),
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
)


def say_change(gots: Sequence[list[str]], wanted: Sequence[list[str]]) -> None:
    """One change that 7.3 names wrongly, or leaves out."""
    for got, names, (_, _, goal, figures) in zip(gots, wanted, RUNS):
        for name in sorted(set(got) ^ set(names)):
            iia, behavior = figures[name]
            refuse(f"A change that brings IIA to {iia} and behavior to {behavior} is "
                   f"{'named' if name in got else 'left out'}, "
                   f"with the goal {goal}: " + ("both reach it, so it mends the run." if name in names else
                                                f"{'IIA' if iia < goal else 'behavior'} does not reach it."))
