"""Checks of the training loops that learners write in notebooks 2 and 3: each is replayed, with every known mistake."""
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.checks.helpers import noise_images, own_rng, require
from utils.checks.parts.losses import entropy, name_loss
from utils.checks.parts.models import NetworkLearner, optimizers_noted
from utils.checks.parts.replays import FIRST_DAS, SWAPS, Batches, first_iit, name_first_iit, replay_das, replay_iit
from utils.checks.tools.running import refuse
from utils.checks.tools.variants import alike, as_numbers
from utils.interventions.build import build_intervenable, get_intervention
from utils.interventions.rotation import orthonormalize
from utils.model_utils import PyTorchCNN

NO_ZERO = "Every step still holds the gradients of those before: call optimizer.zero_grad() before loss.backward()."
PLAIN = "This is plain gradient descent: the exercise asks for torch.optim.Adam."
NEW_OPTIMIZER = "Adam starts anew at every batch: make the optimizer once, before the loop."
NO_GRADIENT = ("No gradient arrives: compute the loss in torch, without detach, item or no_grad, and call "
               "loss.backward() after zero_grad and before step.")
NO_STEP = "No step is taken: optimizer.step() comes after loss.backward()."
STALE = "Q stays as it was before the first step: compute it from the weight anew for every batch, in the loop."
SHAPES = "The shapes do not fit: h @ Q gives coordinates (n, k), and coordinates @ Q.T are back in the layer's (n, d)."
ERRORS = {
    "does not require grad": NO_GRADIENT,
    "[Tt]arget size": "Logits (n, 1) meet answers (n,): use .squeeze(1) on the logits.",
    "between 0 and 1": "F.binary_cross_entropy wants probabilities: use F.binary_cross_entropy_with_logits.",
    "optimizer got an empty": "The optimizer has nothing to train: a generator that was used before is empty.",
    "can't optimize a non-leaf": "The optimizer got a result of a computation: give it the parameters themselves.",
    "a second time": "The graph of the batch before is used again: compute Q, answers and loss anew for every batch.",
    "in-place|inplace": "What backward needs is changed in place: compute a new tensor, and leave the parameters to "
                        "optimizer.step().",
    "multiplied|size of tensor": SHAPES,
    "'NoneType' object": "pyvene gives the plain answers, too, with output_original_output=True.",
    "'tuple' object has no attribute": "What comes is a tuple, as pyvene's pair of plain and swapped answers, or qr's "
                                       "Q and R: take it apart.",
    "tuple indices|to unpack": "A batch is a tuple: for 2.5 h_base, h_source, y_counterfactual; for 3.4 X_base, "
                               "X_source, y_base, y_counterfactual.",
}


def _call(f: Callable, example: str, first: tuple, batches: Batches, lr: float) -> tuple[np.ndarray, list]:
    """The losses that a learner's loop returns, one for each batch, and its optimizers and settings at each step."""
    seen: list[tuple[torch.optim.Optimizer, dict[str, Any]]] = []
    learner = NetworkLearner(f, example, ERRORS, "begin with what is passed, and take the batches in order.")
    with torch.enable_grad(), optimizers_noted(seen):
        got = learner(*first, list(batches), lr)
    every = [*got] if isinstance(got, (list, tuple)) else [got]
    require(not any(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in every),
            "The losses still hold the graphs of their computation: collect loss.item().")
    losses = as_numbers(got)
    require(losses.ndim > 0, "Return a list with the loss of every batch: this is one number.")
    require(losses.shape != (1,) or len(batches) == 1, "There is one loss only: does a return or a break end the loop, "
            "or does it take one batch?")
    require(losses.shape == (len(batches),), f"There are {len(losses)} "
                                             f"losses{', each not one number' * (losses.ndim > 1)}: one for each of "
                                             f"the {len(batches)} batches, once, is wanted.")
    return losses, seen


def _require_optimizer(seen: list[tuple[torch.optim.Optimizer, dict[str, Any]]], lr: float, batches: int) -> None:
    """Raise WrongAnswer unless the steps are those of one Adam as it comes, with the learning rate that is passed."""
    own = {id(optimizer): optimizer for optimizer, _ in seen}
    usual = {**torch.optim.Adam([torch.zeros(1)]).defaults, "lr": lr}
    for optimizer, settings in seen:
        kind = type(optimizer).__name__
        require(kind != "SGD", PLAIN)
        require(kind in ("Adam", "AdamW"), f"This is {kind}: the exercise asks for torch.optim.Adam.")
        other = [name for name in ("betas", "eps", "weight_decay", "amsgrad", "maximize")
                 if settings[name] != usual[name]]
        require(not other, f"This is {kind} with {', '.join(other)} of its own: the exercise asks for "
                           "torch.optim.Adam with a learning rate alone.")
        several = {group["lr"] for group in optimizer.param_groups}
        require(len(several) < 2, f"The learning rate is not the same for all parameters: it is lr = {lr} for each.")
    rates = [settings["lr"] for _, settings in seen]
    require(len(set(rates)) < 2, "The learning rate changes on the way: it is lr at every step, without a schedule.")
    require(not seen or rates[0] == lr, f"The learning rate is {max(rates, default=0):.2g}: take the one that is "
                                        f"passed, lr = {lr}.")
    held = [id(p) for optimizer in own.values() for group in optimizer.param_groups for p in group["params"]]
    require(len(set(held)) == len(held) or len(own) > 1, "The optimizer is given a parameter twice: each once.")
    require(len(set(held)) == len(held), NEW_OPTIMIZER)
    require(len(seen) <= batches * len(own), f"{len(seen)} steps are taken for {batches} batches: one for each.")
    require(not seen or len(seen) >= batches, f"{len(seen)} steps are taken for {batches} batches: one for each, right "
            "after its backward.")


def _diagnose(losses: np.ndarray, right: list[float], replay: Callable, steps: dict[str, dict],
              name_first: Callable[[], str]) -> None:
    """Raise WrongAnswer unless the losses are right.

    A mistake in ``steps`` is what ``replay`` is called with; ``name_first`` names what the loss of one batch is, before
    any step, and gives "" where it is right.
    """
    if alike(losses, right, 1e-3):
        return
    require(bool(np.isfinite(losses).all()), "Some of the losses are NaN or infinite.")
    for message, changed in (
        ("The losses come in reverse order: the first batch comes first.", right[::-1]),
        ("These are running means: collect the loss of each batch.", np.cumsum(right) / np.arange(1, 1 + len(right))),
        ("These are running sums: collect the loss of each batch.", np.cumsum(right)),
        ("The losses are rounded: collect loss.item().", losses if alike(losses, right, 0.05) and alike(
            losses, losses.round(3), 1e-9) else np.nan),
    ):
        require(not alike(losses, changed, 1e-3), message)
    message = name_first()
    require(not message, message)
    for message, setting in steps.items():
        require(not alike(losses, replay(**setting), 1e-3), message)
    require(not alike(losses, replay(backwards=True), 1e-3), "The batches are taken in reverse order: the first comes "
                                                             "first.")
    first = next(i for i, (got, wanted) in enumerate(zip(losses, right)) if not alike(got, wanted, 1e-3))
    refuse(f"Not right yet: the loss of batch {first} should be {right[first]:.3f}, but yours is {losses[first]:.3f}. "
           + ("Alone, each batch gives the right loss: are they taken in order, and each once?" if first == 0 else
              "Those before are right: look at what the optimizer is given, and when it steps."))


def _first_losses(f: Callable, example: str, starts: list[Callable], batches: Batches, lr: float) -> list[np.ndarray]:
    """What a learner's loop returns for each batch alone, before any step, from another start each time."""
    return [_call(f, example, start(), [batch], lr)[0][0] for start, batch in zip(starts, batches)]


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

    def replay(backwards: bool = False, **settings: Any) -> list[float]:
        return replay_das(start.clone().requires_grad_(), rest, batches[::-1] if backwards else batches, lr, **settings)

    weight, trained = (start.clone().requires_grad_() for _ in range(2))
    right = replay_das(trained, rest, batches, lr)
    example = "train_directions(weight, rest, batches, lr)"
    losses, seen = _call(f, example, (weight, rest), batches, lr)
    require(all(torch.equal(rest.state_dict()[name], value) for name, value in network.items()),
            "The rest of the network has changed: DAS trains the directions alone, so the optimizer gets [weight].")
    _require_optimizer(seen, lr, len(batches))
    held = {id(p) for optimizer, _ in seen for group in optimizer.param_groups for p in group["params"]}
    require(not seen or held == {id(weight)}, "The optimizer is given other tensors than weight itself: train it, not "
                                              "a copy, and nothing else.")
    def name_first() -> str:
        starts = [2 * torch.randn(6, 2) + 0.5 for _ in batches]
        gots = _first_losses(f, example, [lambda w=w: (w.clone().requires_grad_(), rest) for w in starts], batches, lr)

        def follows(**settings: Any) -> bool:
            return all(alike(got, replay_das(w.clone().requires_grad_(), rest, [batch], lr, **settings)[0], 1e-3)
                       for got, w, batch in zip(gots, starts, batches))

        if follows():
            return ""
        for message, settings in FIRST_DAS.items():
            if any(follows(**setting) for setting in settings):
                return message
        with torch.no_grad():
            cases = [(rest(SWAPS["right"](*batch[:2], orthonormalize(w))).squeeze(1).numpy().astype(float),
                      batch[2].numpy().astype(float)) for w, batch in zip(starts, batches)]
        return name_loss(gots, cases) or (
            f"Before any step, the loss of one batch should be {entropy(*cases[0]).mean():.3f}, and yours is "
            f"{gots[0]:.3f}: look at Q, the swap and the loss, one after the other.")

    norms = torch.linalg.svdvals(weight.detach())
    require(alike(losses, right, 1e-3) or not torch.allclose(norms, torch.ones(2), atol=1e-3), "The weight itself is "
            "made orthonormal on the way: leave it to optimizer.step(), and make Q of it for each batch.")
    _diagnose(losses, right, replay, {
        NO_GRADIENT if weight.grad is None else NO_STEP if torch.equal(weight, start) else STALE:
            {"step": False}, NO_ZERO: {"clear": False}, PLAIN: {"adam": torch.optim.SGD},
    }, name_first)
    require(not torch.equal(weight, start), "The losses are right, but weight is as it was: train it, not a copy, and "
                                            "do not put it back.")
    require(bool((weight - trained).abs().max() < 0.01), "The losses are right, but weight is not where Adam's steps "
                                                         "lead in the end: one step for each batch, the last one too, "
                                                         "and nothing after it.")
    return f"Passed: over {len(batches)} batches the directions learn as they should, and the network stays as it is."


def _require_trained(seen: list[tuple[torch.optim.Optimizer, dict[str, Any]]], intervenable: Any) -> None:
    """Raise WrongAnswer unless the optimizers of 3.4 hold all of network and rotation, and gradients reach both."""
    held = {id(p) for optimizer, _ in seen for group in optimizer.param_groups for p in group["params"]}
    network = dict(intervenable.model.named_parameters())
    left_out = [name for name, p in network.items() if id(p) not in held]
    rotation = {id(p) for p in get_intervention(intervenable).parameters()}
    require(not seen or len(left_out) < len(network) or bool(held & rotation), "The optimizer holds none of the "
            "intervenable's own parameters: train it, not a copy.")
    untouched = [p for p in network.values() if p.grad is None and not p.requires_grad]
    require(not seen or len(left_out) < len(network) and not untouched, "The network is not trained: call "
            "intervenable.enable_model_gradients(), and give its parameters to the optimizer.")
    require(not seen or not left_out, f"Some of the network is not trained: the optimizer lacks "
                                      f"{', '.join(left_out[:3])}. intervenable.model.parameters() holds all.")
    require(not seen or rotation <= held, "The rotation is not trained: give the parameters of the interventions to "
                                          "the optimizer, too.")


@own_rng()
def check_train_iit(f: Callable) -> str:
    """Exercise 3.4: ``f(intervenable, batches, lr)`` trains network and rotation; returns the losses of the batches."""
    network, n, lr = PyTorchCNN(), 6, 0.02
    with torch.no_grad():
        network.fc1.weight.mul_(5)
        network.fc1.bias.fill_(0.5)
        network.fc2.weight.mul_(2)
    batches = [(*noise_images(2 * n)[torch.randperm(2 * n)].view(2, n, 1, 28, 28), *(torch.rand(2, n) > 0.5).float())
               for _ in range(4)]
    with torch.no_grad():  # answers of both kinds
        network.fc2.bias.sub_(network(torch.cat([batch[0] for batch in batches])).mean())
    intervenable = build_intervenable(copy.deepcopy(network), "fc1", 2)
    start = copy.deepcopy(get_intervention(intervenable).state_dict())

    def replay(backwards: bool = False, **settings: Any) -> list[float]:
        return replay_iit(network, start, batches[::-1] if backwards else batches, lr, **settings)

    right, example = replay(), "train_by_hand(intervenable, batches, lr)"
    losses, seen = _call(f, example, (intervenable,), batches, lr)
    require(not any(m._forward_hooks or m._forward_pre_hooks for m in intervenable.model.modules()),
            "A hook stays on the network after your function: call handle.remove() on every handle.")

    _require_optimizer(seen, lr, len(batches))
    _require_trained(seen, intervenable)

    def name_first() -> str:
        with torch.no_grad():
            others = [build_intervenable(copy.deepcopy(network), "fc1", 2) for _ in batches]
        rotations = [copy.deepcopy(get_intervention(other).state_dict()) for other in others]
        gots = _first_losses(f, example, [lambda other=other: (other,) for other in others], batches, lr)
        cases = [first_iit(network, rotation, batch) for rotation, batch in zip(rotations, batches)]
        return name_first_iit(gots, cases, lambda **settings: [
            replay_iit(network, rotation, [batch], lr, **settings)[0] for rotation, batch in zip(rotations, batches)])

    _diagnose(losses, right, replay, {
        "No step is taken: after zero_grad come loss.backward() and optimizer.step().": {"step": False},
        NO_ZERO: {"clear": False}, PLAIN: {"adam": torch.optim.SGD},
        "The behavior loss has no part in the gradient: leave out detach, item and no_grad.": {"detached": 1},
        "The interchange loss has no part in the gradient: leave out detach, item and no_grad.": {"detached": 0},
    }, name_first)
    require(not torch.equal(intervenable.model.fc2.weight, network.fc2.weight), "The losses are right, but the network "
            "is as it was: train it, not a copy, and do not put it back.")
    return f"Passed: over {len(batches)} batches network and rotation learn as they should."
