"""Checks of the training loops that learners write in notebooks 2 and 3: each is replayed, with every known mistake."""
import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from utils.checks.helpers import WrongAnswer, bce, matches, noise_images, own_rng, require, require_value
from utils.interventions.build import build_intervenable, get_intervention
from utils.interventions.rotated_space import pv
from utils.interventions.rotation import orthonormalize
from utils.model_utils import PyTorchCNN

NO_SWAP = "Nothing has been swapped: these are the losses of the answers to the bases as they are."
EXCHANGED = "Base and source are exchanged: the base runs, and the source lends it its coordinates."
SIGMOID = "The sigmoid is taken twice: binary_cross_entropy_with_logits takes the logits as they are."
SUM = "These are sums over the batch: take the mean."
NO_ZERO = "Every step still holds the gradients of those before: call optimizer.zero_grad() before loss.backward()."
NEW_OPTIMIZER = "Adam starts anew at every batch: make the optimizer once, before the loop."
NO_GRADIENT = ("No gradient arrives: compute the loss in torch, without detach, item or no_grad, and call "
               "loss.backward() after zero_grad and before step.")
SHAPES = "The shapes do not fit: h @ Q gives coordinates (n, k), and coordinates @ Q.T are back in the layer's (n, d)."
ERRORS = {
    "does not require grad": NO_GRADIENT,
    "target size": "Logits (n, 1) meet answers (n,): use .squeeze(1) on the logits.",
    "between 0 and 1": "F.binary_cross_entropy wants probabilities: use F.binary_cross_entropy_with_logits.",
    "optimizer got an empty": "The optimizer has nothing to train: a generator that was used before is empty.",
    "can't optimize a non-leaf": "The optimizer got a result of a computation: give it the parameters themselves.",
    "a second time": "The graph of the batch before is used again: compute Q, answers and loss anew for every batch.",
    "in-place": "A parameter is changed by hand: leave that to optimizer.step().",
    "inplace": "A tensor that backward needs is changed in place: compute a new one.",
    "multiplied": SHAPES, "size of tensor": SHAPES,
    "'nonetype' object has no attribute": "pyvene gives the plain answers, too, with output_original_output=True.",
    "'tuple' object has no attribute": "pyvene gives a pair, plain answers and swapped ones: take it apart.",
}
Batches = Sequence[tuple[torch.Tensor, ...]]


def _call(f: Callable, batches: Batches, *args: Any) -> list[float]:
    """The losses that a learner's loop returns, one for each batch, or WrongAnswer for what it leaves behind."""
    given = [tuple(part.clone() for part in batch) for batch in batches]
    with torch.enable_grad():
        try:
            got = f(*args[:-1], given, args[-1])
        except (RuntimeError, ValueError, AttributeError) as error:
            for words, message in ERRORS.items():
                require(words not in str(error).lower(), message)
            raise
        require(torch.is_grad_enabled(), "Your function leaves gradients switched off for all that comes after it: use "
                "no_grad only in a with statement.")
    require(all(map(torch.equal, sum(batches, ()), sum(given, ()))),
            "Your function changes the batches in place: compute a new tensor, without +=, add_ or item assignment.")
    require_value(got)
    try:
        graphs = any(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in got)
        losses = [] if graphs else [float(loss) for loss in got]
    except TypeError as error:
        raise WrongAnswer("Return a list with the loss of every batch, each a number.") from error
    require(not graphs, "The losses still hold the graphs of their computation: collect loss.item().")
    require(len(losses) != 1, "There is one loss only: is the return inside the loop, or the loop over one batch?")
    require(len(losses) == len(batches), f"There are {len(losses)} losses: one for each of the {len(batches)} batches, "
            "once, is wanted.")
    return losses


def _diagnose(losses: list[float], replay: Callable, mistakes: dict[str, dict | tuple[dict, ...]]) -> None:
    """Raise WrongAnswer unless the losses are those that ``replay()`` gives; a mistake is what it is replayed with."""
    right = replay()
    if matches(losses, right, 1e-3):
        return
    for message, settings in mistakes.items():
        for setting in settings if isinstance(settings, tuple) else (settings,):
            if matches(losses[:1], replay(1, **setting), 1e-3):  # the others need not be replayed to the end
                require(not matches(losses, replay(**setting), 1e-3), message)
    first = next(i for i, (got, wanted) in enumerate(zip(losses, right)) if not matches(got, wanted, 1e-3))
    raise WrongAnswer(f"Not right yet: the loss of batch {first} should be {right[first]:.3f}, but yours is "
                      f"{losses[first]:.3f}. " + ("It is taken before any step: look at swap and loss." if first == 0
                      else "Those before are right: look at what the optimizer is given, and when it steps."))


def _loop(loss_of: Callable, parameters: Sequence, batches: Batches, lr: float, clear: bool = True, step: bool = True,
          anew: bool = False, adam: type[torch.optim.Optimizer] = torch.optim.Adam) -> list[float]:
    losses, optimizer = [], adam(parameters, lr=lr)  # type: ignore[call-arg]
    for batch in batches:
        optimizer = adam(parameters, lr=lr) if anew else optimizer  # type: ignore[call-arg]
        loss = loss_of(*batch)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        if step:
            optimizer.step()
        losses.append(loss.item())
    return losses


def _replay_das(weight: torch.Tensor, rest: nn.Module, batches: Batches, lr: float, *, swap: str = "right",
                directions: Callable = orthonormalize, labels: str = "given", squash: bool = False, times: float = 1,
                **loop: Any) -> list[float]:
    weight, rest = weight.detach().clone().requires_grad_(), copy.deepcopy(rest)

    def loss_of(base: torch.Tensor, source: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        Q = directions(weight)
        P = Q @ Q.T
        h = {"right": base + (source - base) @ P, "exchanged": source + (base - source) @ P,
             "none": base + 0 * base @ P, "all": source + 0 * base @ P, "lost": (source - base) @ P,
             "projected": source @ P, "added": base + source @ P, "sign": base - (source - base) @ P}[swap]
        logits = rest(h).squeeze(1)
        if labels != "given":
            y = (rest(base if labels == "base" else source).squeeze(1) > 0).float()
        return times * bce(torch.sigmoid(logits) if squash else logits, y)

    return _loop(loss_of, [weight], batches, lr, **loop)


@own_rng()
def check_train_directions(f: Callable) -> str:
    """Exercise 2.5: ``f(weight (d, k), rest, batches, lr)`` fits the directions; returns the losses of the batches."""
    last = nn.Linear(6, 1)
    with torch.no_grad():
        last.weight.mul_(4)
    rest = nn.Sequential(nn.ReLU(), last)
    start, lr, network = 2 * torch.randn(6, 2) + 0.5, 0.05, copy.deepcopy(rest.state_dict())
    base, source = 2 * torch.randn(2, 42, 6)
    batches = list(zip(base.split(7), source.split(7), (torch.rand(42) > 0.4).float().split(7)))
    weight = start.clone().requires_grad_()
    losses = _call(lambda batches, lr: f(weight, rest, batches, lr), batches, lr)
    require(all(torch.equal(rest.state_dict()[name], value) for name, value in network.items()),
            "The rest of the network has changed: DAS trains the directions alone, so the optimizer gets [weight].")

    def replay(few: int | None = None, **settings: Any) -> list[float]:
        return _replay_das(start, rest, batches[:few], lr, **settings)

    _diagnose(losses, replay, {
        NO_SWAP: {"swap": "none"}, EXCHANGED: {"swap": "exchanged"}, SIGMOID: {"squash": True},
        SUM: ({"times": 7}, {"times": 7, "step": False}),
        "These are the source's activations whole: only the coordinates along Q come from it.": {"swap": "all"},
        "What is orthogonal to Q is lost: add the change to h_base.": ({"swap": "lost"}, {"swap": "projected"}),
        "The base's own coordinates are still there: add those of h_source - h_base.": {"swap": "added"},
        "The change has the wrong sign: it is h_source - h_base.": {"swap": "sign"},
        "The directions are not made orthonormal: Q comes from the weight anew at every step.":
            ({"directions": lambda w: w}, {"directions": lambda w: w / w.norm(dim=0)}),
        "The loss compares with the answer to the base: the causal model's answer is in y_counterfactual.":
            {"labels": "base"},
        "The loss compares with the answer to the source: the causal model's answer is in y_counterfactual.":
            {"labels": "source"},
        NO_GRADIENT if weight.grad is None else "No step is taken: optimizer.step() comes after loss.backward().":
            {"step": False},
        NO_ZERO: {"clear": False}, NEW_OPTIMIZER: {"anew": True},
        "This is plain gradient descent: the exercise asks for torch.optim.Adam.": {"adam": torch.optim.SGD},
        "The step goes uphill: minimize the loss, not its negative.": {"times": -1},
    })
    require(not torch.equal(weight, start), "The losses are right, but weight is as it was: train it, not a copy, and "
            "do not put it back.")
    return f"Passed: over {len(batches)} batches the directions learn as they should, and the network stays as it is."


def _answer(intervenable: pv.IntervenableModel, X_base: torch.Tensor, X_source: torch.Tensor, swap: bool,
            ) -> torch.Tensor:
    """Logits (n,) to the bases with the subspace of fc1 from the sources, with gradients, by hooks of plain torch."""
    kept: list[torch.Tensor] = []
    model, Q = intervenable.model, get_intervention(intervenable).rotate_layer.weight

    def put(module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        return output + (kept[0] - output) @ Q @ Q.T

    if not swap:
        return model(X_base).squeeze(1)
    handle = model.fc1.register_forward_hook(lambda module, inputs, output: kept.append(output))
    model(X_source)
    handle.remove()
    handle = model.fc1.register_forward_hook(put)
    logits = model(X_base).squeeze(1)
    handle.remove()
    return logits


def _replay_iit(network: nn.Module, rotation: dict, batches: Batches, lr: float, *, swap: bool = True,
                exchanged: bool = False, trained: str = "both", weights: tuple[float, float] = (1, 1),
                labels: tuple[int, int] = (1, 0), squash: bool = False, **loop: Any) -> list[float]:
    intervenable = build_intervenable(copy.deepcopy(network), "fc1", 2)
    get_intervention(intervenable).load_state_dict(rotation)
    intervenable.enable_model_gradients()
    parts = {"rotation": [*get_intervention(intervenable).parameters()], "network": [*intervenable.model.parameters()]}

    def loss_of(X_base: torch.Tensor, X_source: torch.Tensor, *y: torch.Tensor) -> torch.Tensor:
        pair = (X_source, X_base) if exchanged else (X_base, X_source)
        swapped, plain = _answer(intervenable, *pair, swap), _answer(intervenable, X_base, X_source, False)
        if squash:
            swapped, plain = swapped.sigmoid(), plain.sigmoid()
        return weights[0] * bce(swapped, y[labels[0]]) + weights[1] * bce(plain, y[labels[1]])

    return _loop(loss_of, parts["rotation"] + parts["network"] if trained == "both" else parts[trained], batches, lr,
                 **loop)


@own_rng()
def check_train_iit(f: Callable) -> str:
    """Exercise 3.4: ``f(intervenable, batches, lr)`` trains network and rotation; returns the losses of the batches."""
    network, n, lr = PyTorchCNN(), 6, 0.02
    with torch.no_grad():
        network.fc1.weight.mul_(5)
        network.fc1.bias.fill_(0.5)
        network.fc2.weight.mul_(2)
    intervenable = build_intervenable(copy.deepcopy(network), "fc1", 2)
    start = copy.deepcopy(get_intervention(intervenable).state_dict())
    batches = [(*noise_images(2 * n)[torch.randperm(2 * n)].view(2, n, 1, 28, 28), *(torch.rand(2, n) > 0.5).float())
               for _ in range(4)]
    losses = _call(lambda batches, lr: f(intervenable, batches, lr), batches, lr)
    require(not any(m._forward_hooks or m._forward_pre_hooks for m in intervenable.model.modules()),
            "A hook stays on the network after your function: call handle.remove() on every handle.")

    def replay(few: int | None = None, **settings: Any) -> list[float]:
        return _replay_iit(network, start, batches[:few], lr, **settings)

    _diagnose(losses, replay, {
        "The behavior loss is missing: add that of the plain answers, to the bases, against y_base.":
            {"weights": (1, 0)},
        "The interchange loss is missing: add that of the swapped answers, against y_counterfactual.":
            {"weights": (0, 1)},
        NO_SWAP: {"swap": False}, EXCHANGED: {"exchanged": True}, SIGMOID: {"squash": True},
        SUM: {"weights": (n, n)}, "The two losses are averaged: add them.": {"weights": (0.5, 0.5)},
        "The swapped answers are compared with y_base: theirs are in y_counterfactual.": {"labels": (0, 0)},
        "The plain answers are compared with y_counterfactual: theirs are in y_base.": {"labels": (1, 1)},
        "The labels are exchanged: y_counterfactual goes with the swapped answers, y_base with the plain ones.":
            {"labels": (0, 1)},
        "No step is taken: after zero_grad come loss.backward() and optimizer.step().": {"step": False},
        "The network is not trained: call intervenable.enable_model_gradients(), and give its parameters to the "
        "optimizer.": {"trained": "rotation"},
        "The rotation is not trained: give the parameters of the interventions to the optimizer, too.":
            {"trained": "network"},
        NO_ZERO: {"clear": False}, NEW_OPTIMIZER: {"anew": True},
        "This is plain gradient descent: the exercise asks for torch.optim.Adam.": {"adam": torch.optim.SGD},
    })
    require(not torch.equal(intervenable.model.fc2.weight, network.fc2.weight), "The losses are right, but the network "
            "is as it was: train it, not a copy, and do not put it back.")
    return f"Passed: over {len(batches)} batches network and rotation learn as they should."
