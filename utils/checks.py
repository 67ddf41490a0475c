"""Checks of the exercises in notebooks 0 to 2: each tries a learner's function and names the likely mistake."""
import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from utils.data_utils import causal_model, intervene_on_labels
from utils.intervention_utils import CNNConfig, pv
from utils.model_utils import LAYER_SIZES, PyTorchCNN

# On the threshold in float32 and float64, in whatever order the products are added.
_BOUNDARY = np.array([[0.0, 0.7 - 2**-52, 0.8], [0.25, 0.45, 0.8 - 2**-52]])
bce = F.binary_cross_entropy_with_logits


class WrongAnswer(AssertionError):
    """The learner's function does not do what the exercise asks; the message names the likely mistake."""


@contextlib.contextmanager
def own_rng() -> Iterator[None]:
    """Fixes torch's random numbers on the CPU and puts their state back; as a decorator or in a with statement."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)  # torch.manual_seed would reseed a GPU, which is not forked
        yield


def require(condition: bool, message: str) -> None:
    """Raise WrongAnswer unless ``condition``."""
    if not condition:
        raise WrongAnswer(message)


def require_value(got: Any) -> None:
    """Raise WrongAnswer for None."""
    require(got is not None, "Your function returned None: did you forget the `return`?")


def as_array(got: Any) -> np.ndarray:
    """What a function returned (array, tensor, list, number) as float64, or WrongAnswer."""
    require_value(got)
    try:
        return np.asarray(got.detach().cpu() if isinstance(got, torch.Tensor) else got, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WrongAnswer(f"Your function returned a {type(got).__name__}: return one array, or one number.") from error


def matches(got: Any, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Whether two arrays have the same shape and, nearly, the same values."""
    got, wanted = as_array(got), as_array(wanted)
    return got.shape == wanted.shape and np.allclose(got, wanted, rtol=tolerance, atol=tolerance)


def compare(got: Any, expected: Any, mistakes: dict[str, Any], **example: Any) -> None:
    """Raise WrongAnswer unless ``got`` is ``expected``.

    Args:
        got: what the learner's function returned.
        expected: the right answer.
        mistakes: message for each known wrong answer; a tuple holds several wrong answers.
        example: the inputs to show where none of these fits; of arrays as long as ``expected``, one row.
    """
    got, expected = as_array(got), as_array(expected)
    if matches(got, expected):
        return
    for message, wrong in mistakes.items():
        require(not any(matches(got, w) for w in (wrong if isinstance(wrong, tuple) else (wrong,))), message)
    wanted = expected.shape if expected.ndim else "a single number"
    require(got.shape == expected.shape, f"Your result has shape {got.shape}; {wanted} was expected.")
    row = tuple(np.argwhere(~np.isclose(got, expected, rtol=1e-4, atol=1e-4))[0][:1])
    inputs = []
    for name, value in example.items():
        value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        value = value[row] if expected.ndim and value.shape[:1] == expected.shape[:1] else value
        inputs.append(f"{name} = {value.round(3).tolist()}")
    where = f"with {', '.join(inputs)} " if inputs else ""
    raise WrongAnswer(f"Not right yet: {where}the result should be {expected[row].round(3).tolist()}, "
                      f"but yours is {got[row].round(3).tolist()}.")


def call(f: Callable, *args: Any) -> Any:
    """Call ``f`` with copies of the arguments, as tensors where it cannot take arrays; it must not change them."""
    given = copy.deepcopy(args)
    try:
        got = f(*given)
    except (AttributeError, TypeError):
        if not any(isinstance(a, np.ndarray) for a in args):
            raise
        return call(f, *(torch.from_numpy(a).float() if isinstance(a, np.ndarray) else a for a in args))
    require(all(np.array_equal(a, b) for a, b in zip(args, given) if isinstance(a, (np.ndarray, torch.Tensor))),
            "Your function changes one of its arguments in place: work on a copy (.copy(), for a tensor .clone()).")
    return got


def noise_images(n: int) -> torch.Tensor:
    """Images (n, 1, 28, 28) of noise, from dark to very bright, so that a fresh network tells them apart."""
    return torch.rand(n, 1, 28, 28) * torch.linspace(0.2, 12, n).view(-1, 1, 1, 1)


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
        bce(model(X, logits=True).squeeze(1), y).backward()
        optimizer.step()
    return _weights(model)


@own_rng()
def check_train_step(f: Callable) -> str:
    """Exercise 0.3: ``f(model, optimizer, X (n, 1, 28, 28), y (n,))`` takes one step; returns the loss, a float."""
    model, X, y = PyTorchCNN(), noise_images(6), torch.tensor([0.0, 1, 1, 0, 1, 1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    logits = model(X, logits=True).detach()
    losses, weights = [], [_weights(model)]
    once, added = (_two_steps(model, X, y, 0.1, clears) for clears in (True, False))
    broadcast = ("Logits (n, 1) meet answers (n,): every logit is then compared with every answer. "
                 "Use model(X, logits=True).squeeze(1).")
    no_gradient = ("No gradient reaches the network: compute the loss from model(X, logits=True), without detach, "
                   "item or no_grad, and call loss.backward() after zero_grad and before step.")
    for _ in range(2):
        try:
            losses.append(f(model, optimizer, X.clone(), y.clone()))
        except (RuntimeError, ValueError) as error:
            require("does not require grad" not in str(error), no_gradient)
            require("target size" not in str(error).lower(), broadcast)
            raise
        weights.append(_weights(model))
    right = bce(logits[:, 0], y)
    compare(losses[0], right, {
        "The sigmoid is taken twice: BCE-with-logits takes logits, and model(X, logits=True) gives them.":
            bce(torch.sigmoid(logits[:, 0]), y),
        broadcast: bce(logits.expand(-1, 6), y.expand(6, 6)),
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


def require_draws(f: Callable, *counts: int) -> None:
    """Raise WrongAnswer unless ``f(n, num_images[, num_sources], rng)`` draws base (n,) and sources ([k,] n)."""
    n, num_images, *k = counts

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        got = f(*counts, rng)
        require_value(got)
        require(isinstance(got, (tuple, list)) and len(got) == 2, "Return two arrays of indices: base and source.")
        base, sources = map(as_array, got)
        require(not k or sources.shape != (n, *k), f"The sources have shape {(n, *k)}, one column for each; one row "
                f"for each source is wanted, (num_sources, n) = {(*k, n)}.")
        require(base.shape == (n,) and sources.shape == (*k, n), f"Shapes {base.shape} and {sources.shape} came; "
                f"with n = {n}, {(n,)} and {(*k, n)} were expected.")
        require(all(np.asarray(part).dtype.kind in "iu" for part in got), "Indices must be integers.")
        return base, sources.reshape(-1, n)

    rng = np.random.default_rng(100)
    bases, drawn = (np.stack(part) for part in zip(*(draw(rng) for _ in range(40))))
    require(bases.min() >= 0 <= drawn.min() and max(bases.max(), drawn.max()) < num_images,
            "Some indices are out of range: they go from 0 to num_images - 1.")
    require(not (drawn == bases[:, None]).all(axis=(0, 2)).any(),
            "The source is the same image as the base: sources that always agree with the base teach nothing.")
    require(not k or not (drawn == drawn[:, :1]).all(), "All sources are the same image: this is single-source data "
            "for a multi-source model. Draw anew for each source.")
    require((drawn != drawn[:, :, :1]).any(axis=2).all(), "All pairs have the same source: draw one for each base.")
    first, again, other = (draw(np.random.default_rng(seed)) for seed in (101, 101, 102))
    require(all(map(np.array_equal, first, again)),
            "The same seed gives other pairs at each call: draw with the rng that is passed, not with np.random.")
    require(all((a != b).any() for a, b in zip(first[1], other[1])),
            "Another seed gives the same sources: draw with the rng that is passed, and make none of your own.")
    missing = sorted(set(range(num_images)) - set(drawn.ravel().astype(int)))
    require(not missing, f"Of {num_images} images, some are never drawn: {missing}. rng.integers(num_images) draws "
            "from 0 to num_images - 1.")


def check_draw_pairs(f: Callable) -> str:
    """Exercise 1.2: ``f(n, num_images, rng)`` draws base and source, integer indices (n,) each."""
    require_draws(f, 20, 30)
    return "Passed: 40 draws of 20 pairs stay in range, reach every image and follow the generator that is passed."


def check_flip_iia(f: Callable) -> str:
    """Exercise 1.3: ``f(answers, y_base, y_counterfactual)``, (n,) each, gives the accuracy over pairs that flip."""
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


class _ShortcutCNN(PyTorchCNN):
    """Image and layers also reach the answer past the later layers, so it tells which layer came from the source."""

    def forward(self, x: torch.Tensor, logits: bool = False, resume_at: str = "conv1") -> torch.Tensor:
        past = 0.5 * x.flatten(1).mean(1, keepdim=True)
        for layer in LAYER_SIZES:
            x = getattr(self, layer)(x.flatten(1) if layer == "fc1" else x)
            past = past + torch.tanh(5 * x.flatten(1)[:, ::3].mean(1, keepdim=True))
            x = F.relu(F.max_pool2d(x, 2) if layer in ("conv1", "conv2") else x)
        return self.fc2(x) + past if logits else torch.sigmoid(self.fc2(x) + past)


def _swap(model: PyTorchCNN, layer: str, X_base: torch.Tensor, X_source: torch.Tensor) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    for X, hook in ((X_source, lambda *args: kept.append(args[2])), (X_base, lambda *args: kept[0])):
        handle = getattr(model, layer).register_forward_hook(hook)
        output = model(X).detach()
        handle.remove()
    return output


@own_rng()
def check_swap_layer(f: Callable) -> str:
    """Exercise 2.1: ``f(model, layer, X_base, X_source)`` gives the base's probabilities with the source's layer."""
    model, (X_base, X_source) = _ShortcutCNN(), noise_images(8).view(2, 4, 1, 28, 28)
    for layer in LAYER_SIZES:
        training = layer in ("conv1", "conv3")
        got = f(model.train(training), layer, X_base.clone(), X_source.clone())
        require_value(got)
        require(not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules()),
                "A hook stays on the model after your function: call handle.remove() on every handle.")
        require(model.training == training, "Your function leaves the model in another mode (train or eval) than it "
                "was in: put the mode back.")
        expected = _swap(model, layer, X_base, X_source)
        got = as_array(got)
        compare(got[:, None] if got.ndim == 1 else got, expected, {
            "Nothing has changed, this is the answer to X_base: does the hook return the source's output?":
                model(X_base),
            "Base and source are swapped: run X_base, with the layer's output from X_source.":
                _swap(model, layer, X_source, X_base),
            "This is the answer to X_source alone: run X_base, and replace the one layer's output.": model(X_source),
            "These are logits: return probabilities, as model(X) does.": torch.logit(expected),
        } | {f"The hook sits on {other}, but {layer} was asked for.": _swap(model, other, X_base, X_source)
             for other in LAYER_SIZES}, pair=np.arange(4))
    return "Passed: in a test network with shortcuts past every layer, the swap is right at all four layers."


@own_rng()
def check_make_intervenable(f: Callable) -> str:
    """Exercise 2.2: ``f(model, layer)`` gives a pyvene model with one VanillaIntervention on the layer's output."""
    X_base, X_source = noise_images(8).view(2, 4, 1, 28, 28)
    for layer in LAYER_SIZES:
        model = PyTorchCNN()
        model.config = CNNConfig()
        got = f(model, layer)
        require_value(got)
        require(not isinstance(got, pv.IntervenableConfig),
                "This is the configuration: return pv.IntervenableModel(config, model).")
        require(isinstance(got, pv.IntervenableModel),
                f"A pyvene IntervenableModel was expected, not a {type(got).__name__}.")
        require(len(got.interventions) == 1, f"There are {len(got.interventions)} representations: one is enough.")
        component = next(iter(got.representations.values())).component
        require(component != f"{layer}.input", f"This is the layer's input: the component is '{layer}.output'.")
        require(component == f"{layer}.output", f"The component is '{component}': '{layer}.output' was asked for.")
        kind = type(next(iter(got.interventions.values())))
        require(issubclass(kind, pv.VanillaIntervention), f"The intervention is {kind.__name__}: to swap the whole "
                "layer, use pv.VanillaIntervention.")
        compare(got({"x": X_base}, [{"x": X_source}])[1], model(X_source), {})
    return "Passed: at each of the four layers the pyvene model swaps the whole output."


@own_rng()
def check_rotated_swap(f: Callable) -> str:
    """Exercise 2.3: ``f(h_base (n, d), h_source (n, d), Q (d, k))`` swaps the coordinates along the columns of Q."""
    base, source = torch.randn(2, 5, 6)
    Q = torch.linalg.qr(torch.randn(6, 2))[0]
    P = Q @ Q.T
    try:
        got = call(f, base, source, Q)
    except RuntimeError as error:
        require("size of tensor" not in str(error) and "shapes" not in str(error), "The shapes do not fit: h @ Q gives "
                "the coordinates (n, k), and only coordinates @ Q.T are back in the layer's (n, d).")
        raise
    compare(got, base + (source - base) @ P, {
        "Base and source are swapped: the base keeps all but its coordinates along Q.": source + (base - source) @ P,
        "What is orthogonal to Q is lost: add the change, (h_source - h_base) @ Q @ Q.T, to h_base.":
            (source @ P, (source - base) @ P),
        "These are coordinates (n, k): rotate back into the layer with @ Q.T.": (source @ Q, (source - base) @ Q),
        "This is the whole h_source: only its coordinates along Q should be taken.": source,
        "This is h_base: nothing has been swapped.": base,
        "The base's own coordinates are still there: add those of h_source - h_base, not of h_source.":
            base + source @ P,
    }, h_base=base, h_source=source)
    return "Passed: the coordinates along 2 of 6 directions come from the source, the rest from the base."


@own_rng()
def check_orthonormal_directions(f: Callable) -> str:
    """Exercise 2.4: ``f(weight (d, k))`` gives orthonormal columns that span what the weight spans, differentiably."""
    weight = torch.randn(6, 3).requires_grad_()
    got = f(weight)
    Q = torch.from_numpy(as_array(got)).float()
    require(Q.shape != (6, 6), "This is a full (d, d) matrix: only k columns are wanted, as from mode='reduced'.")
    require(Q.shape == (6, 3), f"Your result has shape {tuple(Q.shape)}; (d, k) = (6, 3) was expected.")
    length_one = torch.allclose(Q.norm(dim=0), torch.ones(3), atol=1e-4)
    require(torch.allclose(Q.T @ Q, torch.eye(3), atol=1e-4), "The columns have length 1, but they are not orthogonal "
            "to one another." if length_one else "The columns are not orthonormal: Q.T @ Q should be the identity.")
    require(torch.allclose(Q @ (Q.T @ weight), weight, atol=1e-3),
            "The columns are orthonormal, but they span another space than those of the weight.")
    reaches = isinstance(got, torch.Tensor) and got.requires_grad
    if reaches:
        (got * torch.randn(6, 3)).sum().backward()
    require(reaches and weight.grad is not None and weight.grad.any().item(),
            "No gradient reaches the weight: do it all in torch, without detach, data, numpy or no_grad.")
    return "Passed: the columns are orthonormal, span the same space, and pass the gradient on to the weight."
