"""The cross-entropy of logits and answers, and the ways in which it goes wrong: for 0.3, 2.5, 3.1 and 3.4."""
from collections.abc import Callable, Sequence

import numpy as np

from utils.checks.tools.variants import RESULTS, Wrong, find_mistake


def softplus(z: np.ndarray) -> np.ndarray:
    """log(1 + exp(z)), without overflow."""
    return np.logaddexp(0, z)


def entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of logits z with answers y, for each pair."""
    return softplus(z) - z * y


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


def _of_probabilities(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -y * np.maximum(np.log(p), -100) - (1 - y) * np.maximum(np.log(1 - p), -100)


def _softmax_of_batch(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -(y * (z - np.log(np.exp(z).sum()))).sum()


def _huber(d: np.ndarray) -> np.ndarray:
    return np.where(np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5)


_SQUARED = "This is a squared error: the cross-entropy is asked, binary_cross_entropy_with_logits."
_ONLY = "Only pairs with answer {} count: the cross-entropy also has a part for answer {}."
LOSSES: dict[str, tuple[Callable, ...]] = {  # sentence -> what it makes of logits and answers; the mean is taken later
    "The sigmoid is taken twice: binary_cross_entropy_with_logits takes logits, and has a sigmoid of its own.":
        (lambda z, y: entropy(sigmoid(z), y), lambda z, y: _of_probabilities(sigmoid(sigmoid(z)), y)),
    "F.binary_cross_entropy wants probabilities, and these are logits: use F.binary_cross_entropy_with_logits.":
        (lambda z, y: _of_probabilities(np.clip(z, 0, 1), y), lambda z, y: _of_probabilities(np.abs(z), y)),
    "Logits and answers are exchanged: the logits come first, binary_cross_entropy_with_logits(logits, answers).":
        (lambda z, y: softplus(y) - z * y, lambda z, y: softplus(y) - y * sigmoid(z), lambda z, y: softplus(y) - y * (z
            > 0)),
    "The logits pass a ReLU first: take them as they are, negative ones too.": (lambda z, y: entropy(np.maximum(z, 0),
    y),),
    "The logits are changed by a softmax, a tanh, a rounding or an absolute value first: take them as they are.":
        (lambda z, y: entropy(np.tanh(z), y), lambda z, y: entropy(np.abs(z), y), lambda z, y: entropy(z.round(), y),
         lambda z, y: entropy(np.exp(z) / np.exp(z).sum(), y), lambda z, y: entropy(z - z.mean(), y),
         lambda z, y: entropy(1.0 * (z > 0), y), lambda z, y: entropy(1.0 * (z > 0.5), y), lambda z, y: entropy(z * z,
             y),
         lambda z, y: entropy((z - z.mean()) / z.std(), y)),
    "The logits are scaled first: take them as they are.": tuple(
        lambda z, y, c=c: entropy(c * z, y) for c in (0.5, 2, 0.1, 10, 0.4)),
    "The sign of the logits, or the answers, are reversed: this rewards wrong answers.":
        (lambda z, y: entropy(-z, y), lambda z, y: -entropy(-z, y), lambda z, y: entropy(sigmoid(-z), y)),
    "The sign of the loss is wrong: training would make it worse.": (lambda z, y: -entropy(z, y),),
    _SQUARED: (lambda z, y: (z - y) ** 2, lambda z, y: (sigmoid(z) - y) ** 2, lambda z, y: (z - (2 * y - 1)) ** 2,
               lambda z, y: (z - y) ** 2 / 2),
    "This is a Huber loss, squared near 0 and straight beyond: the cross-entropy is asked.":
        (lambda z, y: _huber(z - y), lambda z, y: _huber(sigmoid(z) - y)),
    "This loss wants answers -1 and 1, and gets 0 and 1: the cross-entropy is asked, binary_cross_entropy_with_logits.":
        (lambda z, y: softplus(-y * z), lambda z, y: np.exp(-y * z), lambda z, y: np.where(y == 1, z, np.maximum(z, 1)),
         lambda z, y: np.maximum(0, 1 - y * z), lambda z, y: np.maximum(0, -y * z)),
    "This is an exponential loss: the cross-entropy is asked, binary_cross_entropy_with_logits.":
        (lambda z, y: np.exp(-(2 * y - 1) * z), lambda z, y: np.exp(z) - y * z),
    "This is a focal loss, in which sure answers count less: the plain cross-entropy is asked.": tuple(
        lambda z, y, g=g: entropy(z, y) * (1 - np.exp(-entropy(z, y))) ** g for g in (1, 2, 3)),
    "The answers pass a sigmoid, or are those of the network itself: take y as it comes.":
        (lambda z, y: entropy(z, sigmoid(y)), lambda z, y: entropy(z, 1.0 * (z > 0)),
         lambda z, y: entropy(z, sigmoid(z))),
    "The answers become -1 and 1: the cross-entropy takes them as 0 and 1.": (lambda z, y: entropy(z, 2 * y - 1),),
    "This is a distance of probability and answer: the cross-entropy is asked, binary_cross_entropy_with_logits.":
        (lambda z, y: np.abs(sigmoid(z) - y), lambda z, y: np.abs(z - y), lambda z, y: sigmoid(z) - y, lambda z, y: z -
            y),
    "The cross-entropy is squared: leave it as it is.": (lambda z, y: entropy(z, y) ** 2, lambda z, y: entropy(z,
    y).mean() ** 2),
    "A square root is taken of the cross-entropy: leave it as it is.": (
        lambda z, y: entropy(z, y) ** 0.5, lambda z, y: entropy(z, y).mean() ** 0.5),
    "This is a hinge loss: the cross-entropy is asked.": (
        lambda z, y: np.maximum(0, 1 - (2 * y - 1) * z), lambda z, y: np.maximum(0, -(2 * y - 1) * z)),
    "The logarithm is to another base: the cross-entropy has the natural one.": (
        lambda z, y: entropy(z, y) / np.log(2), lambda z, y: entropy(z, y) / np.log(10)),
    "The logarithm is missing: this is the mean probability of the right (or the wrong) answer.":
        (lambda z, y: y * sigmoid(z) + (1 - y) * sigmoid(-z), lambda z, y: -y * sigmoid(z) - (1 - y) * sigmoid(-z)),
    _ONLY.format(1, 0): (lambda z, y: y * entropy(z, y), lambda z, y: entropy(z, y)[y == 1], lambda z, y: -y *
        entropy(z, y),
                         lambda z, y: -y * z, lambda z, y: entropy(z, 1 + 0 * y)),
    _ONLY.format(0, 1): (lambda z, y: (1 - y) * entropy(z, y), lambda z, y: entropy(z, y)[y == 0],
                         lambda z, y: entropy(z, 0 * y)),
    "The softmax runs over the batch, as if the pairs were classes (F.cross_entropy): yes or no wants "
    "binary_cross_entropy_with_logits.": (_softmax_of_batch, lambda z, y: _softmax_of_batch(z, y) / len(z), lambda z,
    y: 0 * z),
    "This is an accuracy, or an error rate: it has no gradient; the cross-entropy is asked.":
        (lambda z, y: (z > 0) != y, lambda z, y: (z > 0) == y, lambda z, y: (z > 0.5) == y, lambda z, y: (z > 0.5) !=
            y),
    "Every logit is then compared with every answer: logits (n, 1) met answers (n,). "
    "Make them agree, with .squeeze(1).":
        (lambda z, y: entropy(z[:, None], y), lambda z, y: -(y * np.log(sigmoid(z[:, None])) + (1 - y) * np.log(
            sigmoid(-z[:, None])))),
    "Only the first pair counts: take the mean over all.": (lambda z, y: entropy(z, y)[:1],),
    "Only the last pair counts: take the mean over all.": (lambda z, y: entropy(z, y)[-1:],),
    "The last pair is left out: take the mean over all.": (lambda z, y: entropy(z, y)[:-1],),
    "The pairs are mixed up: logit i belongs to answer i.": (
        lambda z, y: entropy(z, y[::-1]), lambda z, y: entropy(z, np.roll(y, 1)), lambda z, y: entropy(np.sort(z), y)),
    "Logits or answers are averaged first: take the loss of each pair, and then the mean.":
        (lambda z, y: entropy(z.mean(), y.mean()), lambda z, y: entropy(z.mean(), y),
         lambda z, y: entropy(z, y.mean())),
    "These are the logits themselves: compare them with the answers.": (lambda z, y: z, lambda z, y: sigmoid(z)),
}
REDUCTIONS: dict[str, tuple[Callable, ...]] = {
    "This is the sum over the batch: take the mean.": (np.sum,),
    "There is a loss for every pair: take the mean over the pairs.": (lambda x: x,),
    "This is the largest loss of the batch: take the mean.": (np.max,), "This is a median: take the mean.":
    (np.median,),
    "This is half the mean.": (lambda x: x.mean() / 2,), "This is twice the mean.": (lambda x: 2 * x.mean(),),
    "The mean is divided by the number of pairs once more.": (lambda x: x.mean() / len(x),),
    "The number below the line is off by one: take the mean.": (lambda x: x.sum() / (len(x) - 1), lambda x: x.sum() /
    (len(x) + 1)),
}
WRONG_LOSSES = (
    *(Wrong("loss", sentence, f) for sentence, found in LOSSES.items() for f in found),
    *(Wrong("reduce", sentence, f) for sentence, found in REDUCTIONS.items() for f in found),
)


def name_loss(gots: Sequence[np.ndarray], cases: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    """What was computed of logits and answers in place of the mean cross-entropy; "" where nothing known fits.

    Several cases are needed, or one mistake looks like another one by chance.
    """
    def build(loss: Callable, reduce: Callable, result: Callable) -> Callable:
        return lambda z, y: result(np.asarray(reduce(np.asarray(loss(z, y), dtype=float)), dtype=float))

    message = find_mistake(gots, cases, build, {"loss": entropy, "reduce": np.mean, "result": lambda x: x}, [
        *WRONG_LOSSES, *(Wrong("result", *change) for change in RESULTS)])
    if message or len(cases) < 4 or any(np.ndim(got) for got in gots):
        return message
    got, total = (np.array(x, dtype=float) for x in (gots, [entropy(z, y).mean() for z, y in cases]))
    halves = [[((y == answer) * entropy(z, y)).mean() for z, y in cases] for answer in (1, 0)]
    softer = [(z * (y - 0.5)).mean() for z, y in cases]
    for left, columns, words in (
        (got, [total], "This is {0:.3g} times the mean cross-entropy: leave it as it is."),
        (got - total, [total**0], "To the mean cross-entropy {0:.3g} is added: leave it as it is."),
        (got - total, [[(z**2).mean() for z, _ in cases]], "To the cross-entropy {0:.3g} times the mean squared logit "
                                                           "is added: the cross-entropy alone is asked."),
        (got - total, [softer], "The answers are made softer, by {0:.3g}: take them as they come, 0 and 1."),
        (got, halves, "Answers 1 count {0:.3g} times and answers 0 {1:.3g} times here: each counts once, without "
                      "weights."),
    ):
        weights = np.linalg.lstsq(np.transpose(columns), left, rcond=None)[0]
        if np.allclose(np.transpose(columns) @ weights, left, rtol=1e-3, atol=1e-5):
            return words.format(*weights)
    return ""
