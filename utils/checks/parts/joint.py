"""The parts of a solution of exercise 3.1, and the ways in which they go wrong."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.parts.losses import LOSSES, REDUCTIONS, entropy
from utils.checks.tools.variants import Wrong

JOINT: dict[str, Any] = {  # the right parts
    "first": lambda s, y, b, y_base: (s, y), "second": lambda s, y, b, y_base: (b, y_base), "loss_a": entropy,
    "loss_b": entropy,
    "loss": None, "reduce_a": np.mean, "reduce_b": np.mean, "reduce": None, "mix": lambda a, b, w: a + w * b,
}


def joined(first: Callable, second: Callable, loss_a: Callable, loss_b: Callable, loss: Callable | None, reduce_a:
        Callable,
           reduce_b: Callable, reduce: Callable | None, mix: Callable) -> Callable:
    """A solution of 3.1 made of its parts; ``loss`` and ``reduce`` stand for both halves."""
    def f(s: np.ndarray, y: np.ndarray, b: np.ndarray, y_base: np.ndarray, w: float) -> Any:
        one, two = ((reduce or r)(np.asarray((loss or half)(*pair(s, y, b, y_base)), dtype=float)) for r, half, pair in
            (
            (reduce_a, loss_a, first), (reduce_b, loss_b, second)))
        return mix(one, two, w)

    return f


_PAIRS: dict[str, tuple[str, Callable]] = {
    "The interchange part is compared with y_base: its answers are in y_counterfactual.":
        ("first", lambda s, y, b, y_base: (s, y_base)),
    "The behavior part is compared with y_counterfactual: its answers are in y_base.": ("second", lambda s, y, b,
    y_base: (b, y)),
    "The interchange part takes base_logits: it takes swapped_logits, with y_counterfactual.":
        ("first", lambda s, y, b, y_base: (b, y)),
    "The behavior part takes swapped_logits: it takes base_logits, with y_base.": ("second", lambda s, y, b, y_base:
    (s, y_base)),
    "The interchange part is the behavior part once more: it takes swapped_logits and y_counterfactual.":
        ("first", lambda s, y, b, y_base: (b, y_base)),
    "The behavior part is the interchange part once more: it takes base_logits and y_base.":
        ("second", lambda s, y, b, y_base: (s, y)),
    "The interchange part compares the two kinds of logits: compare swapped_logits with y_counterfactual.":
        ("first", lambda s, y, b, y_base: (s, b)),
    "The behavior part compares the base's logits with the swapped ones: compare base_logits with y_base.":
        ("second", lambda s, y, b, y_base: (b, 1 / (1 + np.exp(-s)))),
    "In the interchange part only pairs that flip, or only those that stay, count: take the mean over all.":
        ("first", lambda s, y, b, y_base: (s[y != y_base], y[y != y_base])),
    "In the interchange part only pairs that flip, or only those that stay, count: take the mean over all. ":
        ("first", lambda s, y, b, y_base: (s[y == y_base], y[y == y_base])),
    "In the behavior part only pairs that flip, or only those that stay, count: take the mean over all.":
        ("second", lambda s, y, b, y_base: (b[y != y_base], y_base[y != y_base])),
    "In the behavior part only pairs that flip, or only those that stay, count: take the mean over all. ":
        ("second", lambda s, y, b, y_base: (b[y == y_base], y_base[y == y_base])),
    "The mean of both kinds of logits is compared with y_counterfactual: the two parts stay apart.":
        ("first", lambda s, y, b, y_base: ((s + b) / 2, y)),
}
_OWN = "1 - weight is no part of it: the interchange part counts in full, and the weight may be above 1."
_MIXES: dict[str, tuple[Callable, ...]] = {
    "The weight is not used: it multiplies the behavior part.": (lambda a, b, w: a + b,),
    "The weight is on the interchange part: it belongs to the behavior part.": (lambda a, b, w: w * a + b,),
    "The weight is on both parts: the interchange part counts once.": (lambda a, b, w: w * (a + b),),
    "The behavior part is missing: add weight times the loss of base_logits against y_base.": (lambda a, b, w: a,
    lambda a, b, w: w * a),
    "The interchange part is missing: add the loss of swapped_logits against y_counterfactual.": (
        lambda a, b, w: w * b, lambda a, b, w: b),
    "This is a mixture, (1 - weight) and weight: the interchange part counts in full.": (
        lambda a, b, w: (1 - w) * a + w * b, lambda a, b, w: w * a + (1 - w) * b), _OWN: (lambda a, b, w: a + (1 - w) *
            b,),
    "The behavior part is subtracted: add it.": (lambda a, b, w: a - w * b,),
    "The interchange part is subtracted: add both.": (lambda a, b, w: w * b - a, lambda a, b, w: -a - w * b),
    "This is half of the sum: the two parts are added.": (lambda a, b, w: (a + w * b) / 2, lambda a, b, w: (a + b) / 2),
    "The sum is divided by 1 + weight, or by the weight: the two parts are added as they are.": (
        lambda a, b, w: (a + w * b) / (1 + w), lambda a, b, w: (a + w * b) / w),
    "The behavior part is divided by the weight: multiply it.": (lambda a, b, w: a + b / w,),
    "The interchange part is divided by the weight: the weight multiplies the behavior part.": (lambda a, b, w: a / w +
    b,),
    "The weight is squared, or a root is taken of it: it counts as it is.": (
        lambda a, b, w: a + w * w * b, lambda a, b, w: a + w**0.5 * b, lambda a, b, w: a + np.exp(w) * b, lambda a, b,
            w: a + b**w),
    "The weight is added: multiply the behavior part by it.": (lambda a, b, w: a + w + b, lambda a, b, w: a + b - w),
    "The weight counts twice, or half: it counts as it is.": (lambda a, b, w: a + 2 * w * b, lambda a, b, w: a + w / 2
    * b),
    "The weight is cut to [0, 1]: it may be above 1.": (lambda a, b, w: a + min(w, 1) * b,),
    "The weight is rounded to a whole number: it counts as it is.": (
        lambda a, b, w: a + int(w) * b, lambda a, b, w: a + round(w) * b),
    "The weight is written out: take the one that is passed.": tuple(
        lambda a, b, w, c=c: a + c * b for c in (0.25, 0.5, 0.1, 2, 3, 0.3, 10, 0.75)),
    "The parts are multiplied: add them.": (lambda a, b, w: a * w * b, lambda a, b, w: a * b),
    "Only the larger part counts: add them.": (lambda a, b, w: np.maximum(a, w * b), lambda a, b, w: np.maximum(a, b)),
    "Only the lesser part counts: add them.": (lambda a, b, w: np.minimum(a, w * b), lambda a, b, w: np.minimum(a, b)),
    "These are both parts side by side: add them.": (lambda a, b, w: np.array([a, w * b]), lambda a, b, w: np.array([a,
    b])),
    "The loss stands in an array of one: return a scalar, without a dimension.": (lambda a, b, w: np.array([a + w *
    b]),),
    "The interchange part counts twice.": (lambda a, b, w: 2 * a + w * b,),
}
_WEIGHED = tuple(Wrong("mix", sentence, f) for sentence, found in _MIXES.items() for f in found)
_PAIRED = tuple(Wrong(part, sentence, pair) for sentence, (part, pair) in _PAIRS.items())
_HALVES = {"loss": "", "loss_a": "In the interchange part: ", "loss_b": "In the behavior part: "}
_LOSSES = tuple(Wrong(part, where + sentence, f) for part, where in _HALVES.items()
                for sentence, found in LOSSES.items() for f in found)
WRONG_JOINT = (
    *_WEIGHED, *_PAIRED, *_LOSSES,
    *(Wrong(part.replace("loss", "reduce"), where + sentence, f) for part, where in _HALVES.items()
      for sentence, found in REDUCTIONS.items() for f in found),
)
WRONG_TWICE = ((*_WEIGHED, *_PAIRED), (*_WEIGHED[:14:2], *_PAIRED[:4], *(w for w in _LOSSES if w.part == "loss")))
