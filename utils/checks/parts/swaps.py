"""The parts of a solution of exercises 2.1 and 2.3, and the ways in which they go wrong."""
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from utils.checks.tools.running import refuse
from utils.checks.tools.variants import Wrong
from utils.model_utils import LAYER_SIZES

KEPT: dict[str, Any] = {  # what may be put in place of a layer's output, from the source's and the base's
    "": lambda s, b: s,
    "A ReLU is taken of the source's output before it is put in place: the network does that itself.": lambda s, b:
    s.relu(),
    "A sigmoid is taken of the source's output before it is put in place.": lambda s, b: s.sigmoid(),
    "The source's output is added to the base's: it takes its place.": lambda s, b: s + b,
    "The mean of both outputs is put in place: the source's alone is wanted.": lambda s, b: (s + b) / 2,
    "The difference of the outputs is put in place: the source's output itself is wanted.": lambda s, b: s - b,
    "The difference of the outputs is put in place: the source's output itself is wanted. ": lambda s, b: b - s,
    "Zeros are put in place: the source's output is wanted.": lambda s, b: 0 * s,
    "The source's output has its sign changed.": lambda s, b: -s,
    "The absolute value of the source's output is put in place.": lambda s, b: s.abs(),
    "The source's output is doubled.": lambda s, b: 2 * s,
    "The source's output is halved.": lambda s, b: s / 2,
    "The outputs are multiplied: the source's takes the base's place.": lambda s, b: s * b,
    "The output of the first source is put into all pairs: row i belongs to row i.": lambda s, b: s[:1].expand_as(s),
    "The output of the last source is put into all pairs: row i belongs to row i.": lambda s, b: s[-1:].expand_as(s),
    "The mean of all sources' outputs is put in place: row i belongs to row i.": lambda s, b: s.mean(0,
    keepdim=True).expand_as(s),
    "The sources are in reverse order: row i belongs to row i.": lambda s, b: s.flip(0),
    "The sources are shifted: row i belongs to row i.": lambda s, b: s.roll(1, 0),
    "The mean over the layer's neurons is put in place of each.": lambda s, b: s.mean(dim=tuple(range(1, s.ndim)),
    keepdim=True
                                                                                     ).expand_as(s),
    "Only a half of the layer's output comes from the source: the whole is wanted.": lambda s, b: torch.cat(
        [s[:, :s.shape[1] // 2], b[:, s.shape[1] // 2:]], 1),
    "Only the first channel of the layer's output comes from the source: the whole is wanted.": lambda s, b: torch.cat(
        [s[:, :1], b[:, 1:]], 1),
    "The larger of both outputs is put in place: the source's alone is wanted.": lambda s, b: torch.maximum(s, b),
    "The lesser of both outputs is put in place: the source's alone is wanted.": lambda s, b: torch.minimum(s, b),
    "The source's output is cut to [0, 1] before it is put in place.": lambda s, b: s.clamp(0, 1),
    "The source's channels are shifted: neuron i belongs to neuron i.": lambda s, b: s.roll(1, 1),
    "Noise is added to the source's output.": lambda s, b: s + 0.1,
    "The mean of the source's output is put in place of each of its neurons.": lambda s, b: s.mean().expand_as(s),
    "The source's output is divided by its length, or by its largest value: put it in place as it is.": lambda s, b:
    s / s.norm(),
    "The source's output is divided by its length, or by its largest value: put it in place as it is. ": lambda s, b:
    s / s.abs().max(),
    "The source's output is centered or standardized: put it in place as it is.": lambda s, b: s - s.mean(),
    "The source's output is centered or standardized: put it in place as it is. ": lambda s, b: (
        s - s.mean()) / s.std(),
    "Only where the source's output is above 0 is it put in place: the whole is wanted.": lambda s, b: torch.where(
        s > 0, s, b),
}

def swaps(model: torch.nn.Module, layer: str, X_base: torch.Tensor, X_source: torch.Tensor) -> dict[str, Callable]:
    """What swaps answer, as functions: wrong ones by the sentence that names them, the right one by ""."""
    def once(answer: Callable) -> Callable:
        return functools.cache(torch.no_grad()(lambda: answer().numpy().astype(float)))

    def swap(put: dict[str, Callable], base: torch.Tensor = X_base, source: torch.Tensor = X_source) -> Callable:
        return lambda: hooked(model, put, base, source)

    right = KEPT[""]
    ways = {
        "": swap({layer: right}),
        "Nothing has changed, this is the answer to X_base: does the hook return the source's output?": lambda:
        model(X_base),
        "Base and source are swapped: run X_base, with the layer's output from X_source.": swap({layer: right},
        X_source, X_base),
        "This is the answer to X_source alone: run X_base, and replace the one layer's output.": lambda:
        model(X_source),
        **{f"The hook sits on {name}, whatever is asked for: getattr(model, layer) is the layer.": swap({name: right})
           for name in LAYER_SIZES},
        "The hook sits on the layer before the one that is asked for.": swap({_next(layer, -1): right}),
        "The hook sits on the layer after the one that is asked for.": swap({_next(layer, 1): right}),
        **{sentence: swap({layer: put}) for sentence, put in KEPT.items() if sentence},
        "This is the answer to the sum of both images: run them apart.": lambda: model(X_base + X_source),
        "The base is changed before it is run: run X_base as it is.": swap({layer: right}, X_base + X_source),
        "The base is changed before it is run: run X_base as it is. ": swap({layer: right}, 0 * X_base),
        "The source is changed before it is run: run X_source as it is.": swap({layer: right}, X_base, X_base +
        X_source),
        "The source is changed before it is run: run X_source as it is. ": swap({layer: right}, X_base, 0 * X_source),
        "This is the mean of both answers: replace the one layer's output.": lambda: (model(X_base) + model(X_source))
        / 2,
        "This is the change of the answer: return the answer itself.": lambda: swap({layer: right})() - model(X_base),
    }
    return {sentence: once(way) for sentence, way in ways.items()}


def _next(layer: str, step: int) -> str:
    names = list(LAYER_SIZES)
    return names[(names.index(layer) + step) % len(names)]


def hooked(model: torch.nn.Module, put: dict[str, Callable], X_base: torch.Tensor, X_source:
        torch.Tensor) -> torch.Tensor:
    """Logits of the bases with ``put[layer](source's output, base's output)`` in place of each layer's output."""
    kept: dict[str, torch.Tensor] = {}
    handles = [getattr(model, layer).register_forward_hook(lambda m, a, out, layer=layer: kept.update({layer: out}))
        for layer in put]
    model(X_source)
    for handle in handles:
        handle.remove()
    handles = [getattr(model, layer).register_forward_hook(lambda m, a, out, layer=layer: put[layer](kept[layer],
        out).contiguous())
               for layer in put]
    answer = model(X_base)
    for handle in handles:
        handle.remove()
    return answer.detach()


def say_put(outputs: list[torch.Tensor], sizes: str) -> None:
    """Raise WrongAnswer with what the network of 2.1 went on with, given this and the source's and base's outputs."""
    got, source, base = (x.numpy().astype(float).ravel() for x in outputs)
    if got.shape == source.shape and np.allclose(got, source, atol=1e-4):
        refuse(f"With {sizes}, the network goes on with the source's output, as it should, but what you return is not "
               "its answer: return the logits of the run on X_base as they come, with nothing done to them.")
    if got.shape == source.shape:
        columns = np.stack([source, base, np.ones_like(source)], axis=1)
        weights = np.linalg.lstsq(columns, got, rcond=None)[0]
        if np.allclose(columns @ weights, got, atol=1e-3):
            refuse(f"With {sizes}, the network goes on with {weights[0]:.3g} x the source's output + {weights[1]:.3g} "
                   f"x the base's + {weights[2]:.3g}: put the source's in place as it is.")
        if np.allclose(np.sort(got), np.sort(source), atol=1e-5):
            refuse(f"With {sizes}, the network goes on with the source's numbers in other places: row i, channel and "
                   "pixel stay where they are.")
        if (np.diff(got[np.argsort(source)]) >= -1e-6).all():
            refuse(f"With {sizes}, the network goes on with a function of the source's output, like a tanh, a power or "
                   "a rounding: put it in place as it is.")
        share = np.isclose(got, source, atol=1e-5).mean()
        if (np.isclose(got, source, atol=1e-5) | np.isclose(got, base, atol=1e-5)).all():
            refuse(f"With {sizes}, {share:.0%} of what the network goes on with is the source's output, and the rest "
                   "still the base's: the whole output of the layer is to be put in place.")
        refuse(f"With {sizes}, {share:.0%} of what the network goes on with is the source's output: return from the "
               "second hook all that the first one kept of the same layer, unchanged.")
    refuse(f"With {sizes}, the network goes on with an output of another shape: return "
           "what the first hook kept, whole.")


ROTATED: dict[str, Any] = {  # the right parts of 2.3
    "inputs": lambda b, s, Q: (b, s), "basis": lambda Q: Q, "rest": lambda b, P: b, "change": lambda b, s: s - b,
    "back": lambda c, Q: c @ Q @ Q.T,
}

def rotated(inputs: Callable, basis: Callable, rest: Callable, change: Callable, back: Callable) -> Callable:
    """A solution of 2.3 made of its parts."""
    def f(b: Any, s: Any, Q: Any) -> np.ndarray:
        b, s, Q = (np.asarray(x, dtype=float) for x in (b, s, Q))
        b, s = inputs(b, s, Q)
        Q = basis(Q)
        return rest(b, Q) + back(change(b, s), Q)

    return f

_LOST = "What is orthogonal to Q is lost: add the change, (h_source - h_base) @ Q @ Q.T, to h_base."
_OWN = "The base's own coordinates are still there: add those of h_source - h_base, not of h_source."
_BACK = "These are coordinates (n, k): rotate back into the layer with @ Q.T."
WRONG_ROTATED = (
    Wrong("inputs", "Base and source are swapped: the base keeps all but its coordinates along Q.", lambda b, s, Q: (s,
        b)),
    Wrong("change", "This is h_base: nothing has been swapped.", lambda b, s: 0 * b),
    Wrong("back", "This is the whole h_source: only its coordinates along Q should be taken.", lambda c, Q: c),
    Wrong("back", "What is orthogonal to Q is taken from the source, what lies along Q from the base: it is the other "
                  "way round.",
          lambda c, Q: c - c @ Q @ Q.T),
    Wrong("rest", _LOST, lambda b, Q: 0 * b), Wrong("rest", _LOST, lambda b, Q: b @ Q @ Q.T),
    Wrong("change", _OWN, lambda b, s: s),
    Wrong("rest", "The base's coordinates are taken off twice: add the change to h_base as it is.", lambda b, Q: b - b
        @ Q @ Q.T),
    Wrong("change", "The sign is wrong: add h_source - h_base to h_base, not h_base - h_source.", lambda b, s: b - s),
    Wrong("change", "The sum of base and source is rotated: take the difference, h_source - h_base.", lambda b, s: b +
        s),
    Wrong("change", "The base's coordinates are set to 0: those of the source are wanted.", lambda b, s: -b),
    Wrong("change", "The base's coordinates are doubled: those of the source are wanted.", lambda b, s: b),
    Wrong("change", "The absolute value of the difference is taken: leave its sign.", lambda b, s: np.abs(s - b)),
    Wrong("change", "The difference is multiplied, squared or cut: take h_source - h_base as it is.", lambda b, s: (s -
        b) ** 2),
    Wrong("change", "The difference is multiplied, squared or cut: take h_source - h_base as it is.", lambda b, s: s *
        b),
    Wrong("change", "The difference is multiplied, squared or cut: take h_source - h_base as it is.", lambda b, s:
        np.maximum(s - b, 0)),
    *(Wrong("change", "The change has the wrong length: the coordinates are the source's in full.", lambda b, s, c=c: c
        * (s - b))
      for c in (2, 0.5, 0.1)),
    *(Wrong("change", "The sources are mixed up: row i of the source belongs to row i of the base.", lambda b, s, g=g:
        g(s) - b)
      for g in (lambda s: s.mean(0), lambda s: s[::-1], lambda s: s[:1], lambda s: np.roll(s, 1, 0))),
    *(Wrong("inputs", words, change) for words, change in {
        "A ReLU is taken of the activations: take them as they are.": lambda b, s, Q: (np.maximum(b, 0), np.maximum(s,
        0)),
        "A ReLU is taken of the source: take it as it is.": lambda b, s, Q: (b, np.maximum(s, 0)),
        "A ReLU is taken of the base: take it as it is.": lambda b, s, Q: (np.maximum(b, 0), s),
        "The activations are centered: take them as they are.": lambda b, s, Q: (b - b.mean(0), s - s.mean(0)),
        "The activations are normalized: take them as they are.": lambda b, s, Q: (
            b / np.linalg.norm(b, axis=1, keepdims=True), s / np.linalg.norm(s, axis=1, keepdims=True))}.items()),
    *(Wrong("basis", words, change) for words, change in {
        "Only the first direction is swapped: all columns of Q are.": lambda Q: Q[:, :1],
        "Only the last direction is swapped: all columns of Q are.": lambda Q: Q[:, -1:],
        "The last direction is left out: all columns of Q are swapped.": lambda Q: Q[:, :-1],
        "The first direction is left out: all columns of Q are swapped.": lambda Q: Q[:, 1:],
        "Neurons are swapped, not directions: go through the coordinates, h @ Q.": lambda Q: np.eye(len(Q))[:,
        :Q.shape[1]],
        "The last neurons are swapped, not directions: go through the coordinates, h @ Q.": lambda Q: np.eye(len(Q))[:,
        -Q.shape[1]:],
        "Rows of Q are taken for directions: its columns are the directions.": lambda Q: Q.T if Q.shape[0] ==
        Q.shape[1] else Q[:0],
        "The mean of the directions is swapped: each counts for itself.": lambda Q: Q.mean(1, keepdims=True),
        "The sum of the directions is swapped: each counts for itself.": lambda Q: Q.sum(1, keepdims=True),
        "Q is squared, or its sign is lost: take it as it is.": np.square,
        "Q is squared, or its sign is lost: take it as it is. ": np.abs,
        "The rows of Q are in reverse order.": lambda Q: Q[::-1]}.items()),
    *(Wrong("back", words, change) for words, change in {
        "The order is wrong: h @ Q gives coordinates, @ Q.T goes back.": lambda c, Q: c @ Q.T @ Q,
        "The change is divided by the number of directions: add it in full.": lambda c, Q: c @ Q @ Q.T / Q.shape[1],
        "The change is divided by the number of neurons: add it in full.": lambda c, Q: c @ Q @ Q.T / Q.shape[0],
        "The rotation back is missing, or goes the wrong way: coordinates @ Q.T are back in the layer.": lambda c, Q: c
        @ Q,
        "The rotation back is missing, or goes the wrong way: h @ Q first, then @ Q.T.": lambda c, Q: c @ Q.T,
        "Q is used twice the same way: h @ Q gives coordinates, @ Q.T goes back.": lambda c, Q: c @ Q @ Q,
        "The coordinates are added up to one number: each direction has its own.": lambda c, Q: (c @ Q).sum(1,
        keepdims=True),
        "The projection runs twice, with a factor: once is enough.": lambda c, Q: 2 * c @ Q @ Q.T @ Q @ Q.T,
        "A change is made to each neuron alone (the diagonal of Q @ Q.T): rotate with matrix products.":
            lambda c, Q: c * (Q * Q).sum(1),
        "The coordinates pass a ReLU: swap them as they are.": lambda c, Q: np.maximum(c @ Q, 0) @ Q.T}.items()),
)
COORDINATES = (
    (_BACK, lambda b, s, Q: s @ Q), (_BACK, lambda b, s, Q: (s - b) @ Q), (_BACK, lambda b, s, Q: b @ Q),
    (_BACK, lambda b, s, Q: b @ Q + (s - b) @ Q),
)
