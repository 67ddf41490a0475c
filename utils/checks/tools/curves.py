"""The parts of a solution of exercise 7.2, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

from utils.checks.tools.running import refuse
from utils.checks.tools.variants import Wrong

NOWHERE = "nowhere"
Curves = dict[str, dict[int, float]]
CURVES: tuple[tuple[Curves, float], ...] = (
    ({"first": {16: 0.998, 1: 0.503, 8: 0.997, 4: 0.52}, "second": {16: 0.989, 1: 0.78, 4: 0.975, 8: 0.984},
      "third": {1: 0.811, 16: 0.703, 4: 0.702, 8: 0.703}}, 0.95),
    ({"low": {2: 0.88, 4: 0.96, 8: 0.97}, "middle": {8: 0.975, 4: 0.97, 2: 0.85}, "high": {2: 0.7, 4: 0.965, 8: 0.999},
      "top": {4: 0.952, 8: 0.98}}, 0.95),
    ({"a": {1: 0.5, 2: 0.6}, "b": {1: 0.7, 2: 0.9499}}, 0.95),
    ({"b": {1: 0.95, 2: 0.951}, "a": {1: 0.7, 2: 0.99}, "c": {1: 0.9, 2: 1.0}}, 0.95),
    ({"d": {3: 0.7, 5: 0.86}, "e": {3: 0.9, 5: 0.85}, "c": {6: 0.99, 7: 0.6}}, 0.9),
    # it falls again; at the goal itself
    ({"conv": {5: 0.97, 9: 0.985, 20: 0.4}, "fc": {5: 0.96, 9: 0.99, 20: 0.99}, "out": {9: 1.0}}, 0.98),
    ({"x": {1: 0.55, 2: 0.75}, "y": {2: 0.78, 1: 0.6}, "z": {1: 0.5, 2: 0.72, 3: 0.99}}, 0.7),
    ({"v": {4: 0.9}, "w": {4: 0.7, 6: 0.93}, "u": {3: 0.6, 5: 0.95}, "t": {9: 1.0}, "s": {2: 0.92, 4: 0.9}}, 0.9),
    ({"only": {12: 0.81}}, 0.8), ({"only": {12: 0.79, 3: 0.1}}, 0.8), ({"p": {2: 0.6}, "q": {1: 0.1, 3: 1.0}}, 0.6),
    ({"k": {7: 0.9, 2: 0.3}, "j": {7: 0.92, 2: 0.99, 1: 0.85}, "h": {1: 0.2, 2: 0.995}, "g": {2: 0.97}}, 0.93),
)


def chosen(able: Callable, stays: Callable, layers: Callable, number: Callable, tie: Callable, otherwise: Any,
           goal: Callable, result: Callable) -> Callable:
    """A solution of 7.2 made of its parts."""
    def choose(curves: Curves, given: float) -> Any:
        aim = goal(given)
        reached = {layer: [d for d, iia in curve.items() if able(iia, aim)] for layer, curve in curves.items()}
        reached = {layer: stays(found, curves[layer]) for layer, found in reached.items()}
        found = layers([layer for layer in curves if reached[layer]], curves)
        if not found:
            return otherwise
        return result(max(found, key=lambda n: (-number(curves[n], reached[n]), tie(curves[n], reached[n]))), curves,
                      reached)

    return choose


def lasting(reached: list[int], curve: dict[int, float]) -> list[int]:
    """Of the directions that reach the goal, those after which it is never missed."""
    return [d for d in reached if all(e in reached for e in curve if e > d)]


CHOICE: dict[str, Any] = {  # the right parts
    "able": lambda iia, goal: iia >= goal, "stays": lambda r, c: r, "layers": lambda found, curves: found,
    "number": lambda c, r: min(r), "tie": lambda c, r: c[min(r)],
    "otherwise": NOWHERE, "goal": lambda g: g, "result": lambda layer, curves, reached: layer}
no_sort = "The numbers of directions are taken in the order in which they come: a curve need not be sorted."
tie = "Of two layers that need equally many directions, the one with the higher IIA there is asked for."
highest = ("This is the layer with the highest IIA, however many directions it takes: ask for the fewest that reach "
           "the goal.")
WRONG_CHOICES: tuple[Wrong, ...] = (
    Wrong("able", "The goal is reached at the goal itself: use >= in place of >.", lambda iia, goal: iia > goal),
    *(Wrong("stays", "A number of directions counts here only if larger ones reach the goal too: the fewest that reach "
            "it are asked, whatever comes after.", g) for g in (
        lasting, lambda r, c: r if max(c) in r else [])),
    *(Wrong("layers", "One layer that misses the goal is enough for 'nowhere' here: leave it out, and choose among the "
            "others.", g) for g in (lambda found, curves: found if len(found) == len(curves) else [],
                                    lambda found, curves: found if [*curves][0] in found else [],
                                    lambda found, curves: found if [*curves][-1] in found else [])),
    Wrong("number", highest, lambda c, r: -max(c.values())), Wrong("tie", tie, lambda c, r: 0),
    Wrong("number", "The layers' first or last that reaches the goal is taken: another one may need fewer directions.",
          lambda c, r: 0),
    Wrong("number", "This layer needs the most directions to reach the goal: ask for the fewest.", lambda c,
          r: -min(r)),
    *(Wrong("number", "This layer reaches the goal with the most directions: ask for the fewest.", g)
      for g in (lambda c, r: -max(r), lambda c, r: -max(r) - c[max(r)])),
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
    Wrong("number", "IIA for each direction is compared: ask for the fewest directions.", lambda c,
          r: -c[min(r)] / min(r)),
    Wrong("number", "A position in the curve is compared: ask for the number of directions.", lambda c, r: sorted(
        c).index(min(r))),
    Wrong("number", "What counts are the directions from which on the goal is always reached: ask for the fewest that "
                    "reach it.", lambda c, r: min(lasting(r, c), default=10**6)),
    Wrong("tie", "Of two layers that need equally many directions, this is the one with the lower IIA there.",
          lambda c, r: -c[min(r)]),
    Wrong("tie", "A tie is decided by the IIA at that number of directions, not by the highest of the curve.",
          lambda c, r: max(c.values())),
    Wrong("tie", "A tie is decided by the IIA at that number of directions, not by the whole curve.",
          lambda c, r: sum(c.values())),
    Wrong("tie", "A tie is decided by the IIA at that number of directions, not at the most.", lambda c, r: c[max(c)]),
    Wrong("tie", "A tie is decided by the IIA at that number of directions, not at the first of the curve.",
          lambda c, r: c[next(iter(c))]),
    Wrong("goal", "The goal is not asked: a layer counts only where its IIA is at least the goal.", lambda g: 0),
    *(Wrong("goal", "The goal is written out: take the one that is passed.", lambda g, w=w: w)
      for w in (0.95, 0.9, 0.98, 0.99, 0.5)),
    *(Wrong("goal", "The goal is changed on the way: take it as it is.", change) for change in (
        lambda g: g / 100, lambda g: 100 * g, lambda g: 1 - g, lambda g: g - 0.05, lambda g: round(g, 1))),
    Wrong("otherwise", f"Where no layer reaches the goal, return '{NOWHERE}', spelled like this.", "none"),
    Wrong("otherwise", f"Where no layer reaches the goal, return '{NOWHERE}', spelled like this.", "Nowhere"),
    Wrong("otherwise", f"Where no layer reaches the goal, return '{NOWHERE}', not an empty name.", ""),
    Wrong("result", "The name is changed: return it as it is in `curves`.", lambda n, curves, reached: n.upper()),
    Wrong("result", "This is the first of the layers: ask which reaches the goal.", lambda n, curves,
          r: next(iter(curves))),
    Wrong("result", "This is the last of the layers: ask which reaches the goal.", lambda n, curves,
          r: list(curves)[-1]),
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
    Wrong("result",
          "Of two layers that need equally many directions, the last comes here: the IIA there should decide.",
          lambda n, curves, r: min(reversed([n for n in curves if r[n]]), key=lambda n: min(r[n]))),
)


def say_layer(curves: Curves, goal: float, answer: str, got: str) -> None:
    """Why ``answer`` is to be chosen and not ``got``."""
    best = min(d for d, iia in curves[answer].items() if iia >= goal)
    why = f"{answer!r} reaches {goal} with {best} directions (IIA {curves[answer][best]})"
    if got not in curves:
        refuse(f"For the goal {goal} and the curves {curves}, {why}, and yours is {got!r:.40}.")
    reached = [d for d, iia in curves[got].items() if iia >= goal]
    other = (f"with {min(reached)} (IIA {curves[got][min(reached)]})" if reached else "with none")
    means = ("It never reaches the goal" if not reached else "The fewest directions decide" if min(reached) > best else
             "Both need equally many, and the higher IIA there decides")
    refuse(f"For the goal {goal}, {why}, {got!r} {other}; yours is {got!r}. {means}. The curves: {curves}")
