"""The parts of a solution of exercise 6.4, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.tools.variants import Wrong


def best_of(sets: Callable, pick: Callable, reported: Callable, again: Callable, mean: Callable,
            order: Callable) -> Callable:
    """A solution of 6.4 made of its parts."""
    def best_of_many(first: np.ndarray, rest: np.ndarray) -> Any:
        first, rest = sets(first, rest)
        i = pick(first, rest)
        return order(reported(first, rest, i), again(first, rest, i), mean(first, rest, i), i)

    return best_of_many


three = "Three numbers are wanted: the best score, the same network's on the rest, the mean on the rest."
chosen_again = "The network is chosen a second time, by the rest: held-out pairs must have no say in the choice."


BEST: dict[str, Any] = {  # the right parts
    "sets": lambda a, b: (a, b), "pick": lambda a, b: a.argmax(),
    "reported": lambda a, b, i: a[i], "again": lambda a, b, i: b[i],
    "mean": lambda a, b, i: b.mean(), "order": lambda r, g, m, i: (r, g, m)}
WRONG_BEST: tuple[Wrong, ...] = (
    Wrong("again", chosen_again, lambda a, b, i: b.max()),
    Wrong("pick", "The network is chosen by the rest: it is the first pairs on which the best one is found.",
          lambda a, b: b.argmax()),
    Wrong("pick", "The network is chosen by both scores: the rest must have no say in the choice.",
          lambda a, b: (a + b).argmax()),
    Wrong("pick", "This is the worst network: more is better.", lambda a, b: a.argmin()),
    Wrong("pick", "This is the first network, not the best.", lambda a, b: 0),
    Wrong("pick", "This is the last network, not the best.", lambda a, b: -1),
    Wrong("pick", "This is the second best network.", lambda a, b: np.argsort(a)[-2]),
    Wrong("pick", "This is the network in the middle of the ranking, not the best.",
          lambda a, b: np.argsort(a)[len(a) // 2]),
    Wrong("pick", "argsort ranks from the worst on: the best network comes last.", lambda a, b: np.argsort(a)[0]),
    Wrong("sets", "First and rest are exchanged: the best is chosen, and reported, on the first.", lambda a, b: (b, a)),
    *(Wrong("again", "The second number is another network's: take that of the one chosen on the first pairs.", g)
      for g in (lambda a, b, i: b[a.argmin()], lambda a, b, i: b[0], lambda a, b, i: b[-1], lambda a, b, i: b.min(),
                lambda a, b, i: b[(a + b).argmax()], lambda a, b, i: np.sort(b)[i],
                lambda a, b, i: b[(a - b).argmax()],
                lambda a, b, i: b[np.argsort(a)[len(a) // 2]], lambda a, b, i: b[(i + 1) % len(b)],
                lambda a, b, i: b[i - 1],
                lambda a, b, i: b[np.argsort(a)[-2]])),
    *(Wrong("again", "The second number is a difference from the first: take the score itself.", g)
      for g in (lambda a, b, i: b[i] - a[i], lambda a, b, i: a[i] - b[i])),
    Wrong("again", "The second number is a difference from the mean: take the score itself.",
          lambda a, b, i: b[i] - b.mean()),
    Wrong("again", "The second number is a median: take the chosen network's score.", lambda a, b, i: np.median(b)),
    Wrong("again", "The second number is the best one's score on the first pairs again: take it from the rest.",
          lambda a, b, i: a[i]),
    Wrong("again", "The second number is the mean of the first pairs: take the chosen network's score on the rest.",
          lambda a, b, i: a.mean()),
    Wrong("again", "The second number is a mean over networks: take the chosen one's score.",
          lambda a, b, i: b.mean()),
    Wrong("again", "The second number is a mean over both sets of pairs: the rest alone is held out.",
          lambda a, b, i: (a[i] + b[i]) / 2),
    Wrong("reported", "The first number comes from the rest: whoever cherry-picks reports the first pairs.",
          lambda a, b, i: b[i]),
    Wrong("reported", "The first number is a mean: whoever cherry-picks reports the best.",
          lambda a, b, i: a.mean()),
    *(Wrong("reported", "The first number is another network's, or from other pairs: it is the best of the first.", g)
      for g in (lambda a, b, i: np.maximum(a, b).max(), lambda a, b, i: max(a[0], b[0]), lambda a, b, i: a[0],
                lambda a, b, i: a[-1], lambda a, b, i: b.max(), lambda a, b, i: a.min(),
                lambda a, b, i: (a[i] + b[i]) / 2)),
    *(Wrong("mean", "The number of networks is written out: take the mean, or divide by len(rest).",
            lambda a, b, i, n=n: b.sum() / n) for n in (20, 10, 5, 100)),
    Wrong("mean", "The number of networks is off by one: take the mean.", lambda a, b, i: b.sum() / (len(b) - 1)),
    Wrong("mean", "The mean is cut to the better half: all networks count.",
          lambda a, b, i: np.sort(b)[len(b) // 2:].mean()),
    Wrong("mean", "This is the least of the rest: take the mean.", lambda a, b, i: b.min()),
    Wrong("mean", "This is a standard deviation: take the mean.", lambda a, b, i: b.std()),
    Wrong("mean", "The mean is taken over the first pairs: take it over the rest.", lambda a, b, i: a.mean()),
    Wrong("mean", "The mean leaves the chosen network out: all of them count.",
          lambda a, b, i: np.delete(b, i).mean()),
    Wrong("mean", "The mean is taken over both sets of pairs: take it over the rest.",
          lambda a, b, i: (a.mean() + b.mean()) / 2),
    Wrong("mean", "This is the median: take the mean.", lambda a, b, i: np.median(b)),
    Wrong("mean", "This is a sum: take the mean.", lambda a, b, i: b.sum()),
    Wrong("mean", "The third number is the greatest of the rest: take the mean.", lambda a, b, i: b.max()),
    Wrong("order", f"{three} Here a position stands among them.", lambda r, g, m, i: (i, g, m)),
    Wrong("order", f"{three} Here a position stands among them.", lambda r, g, m, i: (r, i, m)),
    *(Wrong("order", f"{three} Yours come in another order.", order) for order in (
        lambda r, g, m, i: (r, m, g), lambda r, g, m, i: (g, r, m), lambda r, g, m, i: (m, r, g),
        lambda r, g, m, i: (m, g, r), lambda r, g, m, i: (g, m, r))),
    *(Wrong("order", f"{three} Yours are less, or more.", order) for order in (
        lambda r, g, m, i: (r, g), lambda r, g, m, i: (r, m), lambda r, g, m, i: r, lambda r, g, m, i: (g, m),
        lambda r, g, m, i: (i, r, g, m), lambda r, g, m, i: (r, g, m, i))),
    Wrong("order", f"{three} Here differences stand in their place.", lambda r, g, m, i: (r, r - g, r - m)),
)
