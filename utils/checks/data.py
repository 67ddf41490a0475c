"""Checks of the exercises in notebooks 0 and 1: each tries a learner's function and names the likely mistake."""
import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks.helpers import WrongAnswer, bce, call, compare, matches, noise_images, own_rng, require, require_draws
from utils.data_utils import causal_model, intervene_on_labels
from utils.model_utils import PyTorchCNN

# On the threshold in float32 and float64, in whatever order the products are added.
_BOUNDARY = np.array([[0.0, 0.7 - 2**-52, 0.8], [0.25, 0.45, 0.8 - 2**-52]])


def check_causal_answers(f: Callable) -> str:
    """Exercise 0.1: ``f(labels (n, 3))`` gives the causal model's answers (n,)."""
    labels = np.concatenate([np.random.default_rng(0).uniform(size=(300, 3)), _BOUNDARY])
    right, total = causal_model(labels), labels.sum(axis=1)
    at_least, each = np.maximum(right, np.arange(len(labels)) >= 300), labels > 0.6
    compare(call(f, labels), right, {
        "The coefficients are missing: each variable counts 0.4 times, and only then comes the threshold.":
            (total > 0.6, total >= 0.6),
        "On the threshold itself the answer is 0: use > in place of >=.": at_least,
        "Each variable is compared for itself: add up the three products first, then compare the one sum.":
            (each, 0.4 * labels > 0.6, each.any(axis=1), each.all(axis=1)),
        "This is the sum itself: compare it with the threshold 0.6 to get answers 0 and 1.": (0.4 * total, total),
        "The comparison is the wrong way round: the answer is 1 above the threshold.": (1 - right, 1 - at_least),
    }, labels=labels)
    return "Passed: 302 labels, two of them right on the threshold, get the causal model's answers."


def check_share_correct(f: Callable) -> str:
    """Exercise 0.2: ``f(probabilities (n,), answers (n,))`` gives the share of right answers, a float."""
    p, y = np.array([0.9, 0.2, 0.7, 0.4, 0.1, 0.8, 0.3, 0.6]), np.array([1.0, 0, 0, 1, 0, 1, 0, 1])
    right = ((p > 0.5) == y).mean()
    compare(call(f, p, y), right, {
        "Probabilities hardly ever equal 0 or 1: make them answers first, with probabilities > 0.5.": 0.0,
        "The probabilities are cut at 0, as logits would be: an answer is 1 above 0.5.": y.mean(),
        "This is 1 - the mean distance of probability and answer: cut at 0.5 first, then count the right ones.":
            1 - np.abs(p - y).mean(),
        "This is a percentage: a share lies between 0 and 1.": 100 * right,
        "This is the number of right answers: divide it by their number in all.": 8 * right,
        "This is the share of wrong answers.": 1 - right,
    }, probabilities=p, answers=y)
    return "Passed: the share is right for 8 probabilities."


def _weights(model: PyTorchCNN) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def _two_steps(model: PyTorchCNN, X: torch.Tensor, y: torch.Tensor, lr: float, clears: bool) -> torch.Tensor:
    """All weights of a copy of ``model`` after two steps of SGD, with or without clearing the gradient."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(2):
        if clears:
            optimizer.zero_grad()
        bce(model(X).squeeze(1), y).backward()
        optimizer.step()
    return _weights(model)


@own_rng()
def check_train_step(f: Callable) -> str:
    """Exercise 0.3: ``f(model, optimizer, X (n, 1, 28, 28), y (n,))`` takes one step; returns the loss, a float."""
    model, X, y = PyTorchCNN(), noise_images(6), torch.tensor([0.0, 1, 1, 0, 1, 1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    logits = model(X).detach()
    losses, weights = [], [_weights(model)]
    once, added = (_two_steps(model, X, y, 0.1, clears) for clears in (True, False))
    broadcast = ("Logits (n, 1) meet answers (n,): every logit is then compared with every answer. "
                 "Use model(X).squeeze(1).")
    no_gradient = ("No gradient reaches the network: compute the loss from model(X), without detach, item or no_grad, "
                   "and call loss.backward() after zero_grad and before step.")
    no_probabilities = ("F.binary_cross_entropy wants probabilities, and model(X) gives logits: use "
                        "F.binary_cross_entropy_with_logits.")
    for _ in range(2):
        try:
            losses.append(f(model, optimizer, X.clone(), y.clone()))
        except (RuntimeError, ValueError) as error:
            require("does not require grad" not in str(error), no_gradient)
            require("target size" not in str(error).lower(), broadcast)
            require("between 0 and 1" not in str(error), no_probabilities)
            raise
        weights.append(_weights(model))
    right = bce(logits[:, 0], y)
    compare(losses[0], right, {
        "The sigmoid is taken twice: BCE-with-logits takes logits, and model(X) gives them.":
            bce(torch.sigmoid(logits[:, 0]), y),
        broadcast: bce(logits.expand(-1, 6), y.expand(6, 6)),
        no_probabilities: F.binary_cross_entropy(logits[:, 0].clamp(0, 1), y),
        "This is the sum over the batch: take the mean.": 6 * right,
    }, y=y, logits=logits[:, 0])
    if torch.equal(weights[0], weights[1]):
        require(any(p.grad is not None and p.grad.any() for p in model.parameters()), no_gradient)
        raise WrongAnswer("The gradient is there, but the weights do not change: optimizer.step() is missing.")
    require(not matches(weights[2], added, 1e-5), "The second step still holds the gradient of the first: call "
            "optimizer.zero_grad() before loss.backward().")
    require(matches(weights[2], once, 1e-5), "The loss is right, but after two steps the weights are not what the "
            "optimizer makes of it: zero_grad, backward and step once each, and nothing else.")
    require(not isinstance(losses[0], torch.Tensor) or not losses[0].requires_grad,
            "The loss that you return still holds the graph of its computation: return loss.item(), a float.")
    return "Passed: two steps change the weights as they should, and the loss comes back as a number."


def check_counterfactual_answers(f: Callable) -> str:
    """Exercise 1.1: ``f(z_base (n, 3), z_source (n, 3), variables)`` gives the counterfactual answers (n,)."""
    base, source = np.random.default_rng(0).uniform(size=(2, 200, 3))

    def answer(base: np.ndarray, source: np.ndarray, variables: list[int]) -> np.ndarray:
        return causal_model(intervene_on_labels(base, source[None], [variables]))

    for variables in ([1], [2, 0], [0, 1]):
        compare(call(f, base, source, variables), answer(base, source, variables), {
            "Base and source are swapped: the base keeps its labels, except those that come from the source.":
                answer(source, base, variables),
            "This is the base's own answer: nothing has come from the source.": causal_model(base),
            "This is the source's own answer: only `variables` come from the source, the rest is the base's.":
                causal_model(source),
            "Only one of the variables comes from the source: with two in the list, both must.":
                tuple(answer(base, source, [v]) for v in variables),
        }, z_base=base, z_source=source, variables=variables)
    return "Passed: 200 pairs get the right counterfactual answers, for one variable and for two."


def check_draw_pairs(f: Callable) -> str:
    """Exercise 1.2: ``f(n, num_images, rng)`` draws base and source, integer indices (n,) each."""
    require_draws(f, 20, 30)
    return "Passed: 40 draws of 20 pairs stay in range, reach every image and follow the generator."


def check_multi_source_answers(f: Callable) -> str:
    """Exercise 1.3: ``f(z_base (n, 3), z_sources (k, n, 3), groups)`` gives the counterfactual answers (n,)."""
    base, *all_sources = np.random.default_rng(0).uniform(size=(4, 300, 3))

    def answer(sources: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
        return causal_model(intervene_on_labels(base, sources, groups))

    for groups in ([[2], [0]], [[0], [1], [2]], [[0, 1], [2]]):
        k = len(groups)
        sources = np.stack(all_sources[:k])
        compare(call(f, base, sources, groups), answer(sources, groups), {
            "All variables come from the first source: this is single-source data for a multi-source model. Source i "
            "sets the variables in groups[i].": (answer(sources[[0] * k], groups), causal_model(sources[0])),
            "The last source wins: everything comes from it, but source i sets the variables in groups[i] alone.":
                (answer(sources[[-1] * k], groups), causal_model(sources[-1])),
            "This is the base's own answer: nothing has come from the sources.": causal_model(base),
            "The sources are in the wrong order: source i sets the variables in groups[i].":
                answer(sources[::-1], groups),
            "Only the last source leaves a trace: start from the base once, not anew for each source.":
                answer(sources[-1:], groups[-1:]),
            "Source i sets variable i here: it should set the variables in groups[i].":
                answer(sources, [[i] for i in range(k)]),
            "Only one variable of a group comes from its source: all of them must.":
                tuple(answer(sources, [[group[i]] for group in groups]) for i in (0, -1)),
        }, z_base=base, source_0=sources[0], source_1=sources[1], groups=sum(groups, []))
    return "Passed: 300 tuples get the right counterfactual answers for three ways to share the variables."


def check_flip_iia(f: Callable) -> str:
    """Exercise 1.4: ``f(answers, y_base, y_counterfactual)``, (n,) each, gives the accuracy over pairs that flip."""
    y_base = np.array([0.0, 1] * 8)
    y = np.where(np.arange(16) < 7, 1 - y_base, y_base)
    answers = np.where(np.isin(np.arange(16), [2, 5, 8, 9, 13]), 1 - y, y)
    good, flip = answers == y, y != y_base
    compare(call(f, answers, y_base, y), good[flip].mean(), {
        "This is IIA over all pairs: keep only those with y_counterfactual != y_base.": good.mean(),
        "These are the pairs that stay: keep those with y_counterfactual != y_base.": good[~flip].mean(),
        "The answers are compared with y_base: the right ones are in y_counterfactual.": 1 - good[flip].mean(),
        "This is the share of pairs that flip: among them, how many answers are right?": flip.mean(),
        "The right answers are divided by the number of all pairs: divide by the number of flips.":
            (good & flip).mean(),
    }, answers=answers, y_base=y_base, y_counterfactual=y)
    return "Passed: flip-IIA is right for 16 pairs, of which 7 flip."
