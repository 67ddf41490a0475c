"""Checks of the training loops that learners write in notebooks 2 and 3: each is replayed, with every known mistake."""
import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from utils.checks.helpers import noise_images, own_rng, require
from utils.checks.parts.joint import JOINT, WRONG_JOINT, joined
from utils.checks.parts.losses import entropy
from utils.checks.parts.models import NetworkLearner
from utils.checks.parts.replays import SWAPS, Batches, first_iit, replay_das, replay_iit
from utils.checks.parts.training import WRONG_LOSSES
from utils.checks.tools.running import refuse
from utils.checks.tools.variants import alike, as_numbers, find_mistake
from utils.interventions.build import build_intervenable, get_intervention
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


@contextlib.contextmanager
def _optimizers(seen: list[torch.optim.Optimizer]) -> Iterator[None]:
    """Notes in ``seen`` the optimizer of each step that is taken."""
    handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: seen.append(optimizer))
    try:
        yield
    finally:
        handle.remove()


def _call(f: Callable, example: str, first: tuple, batches: Batches, lr: float) -> tuple[np.ndarray, list]:
    """The losses that a learner's loop returns, one for each batch, and the optimizers that it stepped with."""
    seen: list[torch.optim.Optimizer] = []
    learner = NetworkLearner(f, example, ERRORS, "begin with what is passed, and take the batches in order.")
    with torch.enable_grad(), _optimizers(seen):
        got = learner(*first, list(batches), lr)
    every = [*got] if isinstance(got, (list, tuple)) else [got]
    require(not any(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in every),
            "The losses still hold the graphs of their computation: collect loss.item().")
    losses = as_numbers(got)
    require(losses.ndim > 0, "Return a list with the loss of every batch: this is one number.")
    require(losses.shape != (1,), "There is one loss only: is the return inside the loop, or the loop over one batch?")
    require(losses.shape == (len(batches),), f"There are {len(losses)} "
                                             f"losses{', each not one number' * (losses.ndim > 1)}: one for each of "
                                             f"the {len(batches)} batches, once, is wanted.")
    return losses, seen


def _require_optimizer(seen: list[torch.optim.Optimizer], lr: float, batches: int) -> None:
    """Raise WrongAnswer unless the steps are those of one Adam as it comes, with the learning rate that is passed."""
    own = {id(optimizer): optimizer for optimizer in seen}
    usual = {**torch.optim.Adam([torch.zeros(1)]).defaults, "lr": lr}
    for optimizer in own.values():
        kind = type(optimizer).__name__
        require(kind != "SGD", "This is plain gradient descent: the exercise asks for torch.optim.Adam.")
        require(kind in ("Adam", "AdamW"), f"This is {kind}: the exercise asks for torch.optim.Adam.")
        for group in optimizer.param_groups:
            require(group["lr"] == lr, f"The learning rate is {group['lr']:.4g}: take the one that is passed, lr = "
                                       f"{lr}.")
            other = [name for name in ("betas", "eps", "weight_decay", "amsgrad", "maximize")
                     if group[name] != usual[name]]
            require(not other, f"This is {kind} with {', '.join(other)} of its own: the exercise asks for "
                               "torch.optim.Adam with a learning rate alone.")
    held = [id(p) for optimizer in own.values() for group in optimizer.param_groups for p in group["params"]]
    require(len(set(held)) == len(held), NEW_OPTIMIZER)
    require(len(seen) <= batches * len(own), f"{len(seen)} steps are taken for {batches} batches: one for each.")


def _diagnose(losses: np.ndarray, right: list[float], replay: Callable, mistakes: dict[str, dict | tuple[dict, ...]],
              first_loss: Callable[[float], str]) -> None:
    """Raise WrongAnswer unless the losses are right.

    A mistake is what ``replay`` is called with; ``first_loss`` names what the loss of the first batch is.
    """
    if alike(losses, right, 1e-3):
        return
    require(bool(np.isfinite(losses).all()), "Some of the losses are NaN or infinite.")
    for message, settings in mistakes.items():
        for setting in settings if isinstance(settings, tuple) else (settings,):
            if alike(losses[:1], replay(1, **setting), 1e-3):  # the others need not be replayed to the end
                require(not alike(losses, replay(**setting), 1e-3), message)
    for message, changed in (
        ("The losses come in reverse order: the first batch comes first.", right[::-1]),
        ("These are running means: collect the loss of each batch.", np.cumsum(right) / np.arange(1, 1 + len(right))),
        ("These are running sums: collect the loss of each batch.", np.cumsum(right)),
        ("The losses are rounded: collect loss.item().", losses if alike(losses, right, 0.05) and alike(
            losses, losses.round(3), 1e-9) else np.nan),
    ):
        require(not alike(losses, changed, 1e-3), message)
    start = first_loss(float(losses[0]))
    require(not start, start)
    first = next(i for i, (got, wanted) in enumerate(zip(losses, right)) if not alike(got, wanted, 1e-3))
    refuse(f"Not right yet: the loss of batch {first} should be {right[first]:.3f}, "
           f"but yours is {losses[first]:.3f}. " + (
        "It is taken before any step: look at swap and loss." if first == 0 else
        "Those before are right: look at what the optimizer is given, and when it steps."))


def _name_first_das(loss: float, logits: torch.Tensor, y: torch.Tensor) -> str:
    """What the loss of the first batch is, where the swap is right and something else is not."""
    def build(loss: Callable, reduce: Callable) -> Callable:
        return lambda z, y: reduce(np.asarray(loss(z, y), dtype=float))

    return find_mistake([loss], [(logits.detach().numpy().astype(float), y.numpy().astype(float))], build,
                        {"loss": entropy, "reduce": np.mean}, WRONG_LOSSES)


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

    def replay(few: int | None = None, **settings: Any) -> list[float]:
        return replay_das(start.clone().requires_grad_(), rest, batches[:few], lr, **settings)

    weight, trained = (start.clone().requires_grad_() for _ in range(2))
    right = replay_das(trained, rest, batches, lr)
    losses, seen = _call(f, "train_directions(weight, rest, batches, lr)", (weight, rest), batches, lr)
    require(all(torch.equal(rest.state_dict()[name], value) for name, value in network.items()),
            "The rest of the network has changed: DAS trains the directions alone, so the optimizer gets [weight].")
    _require_optimizer(seen, lr, len(batches))
    held = {id(p) for optimizer in seen for group in optimizer.param_groups for p in group["params"]}
    require(not seen or held == {id(weight)}, "The optimizer is given other tensors than weight itself: train it, not "
                                              "a copy, and nothing else.")
    _diagnose(losses, right, replay, {
        NO_SWAP: {"swap": "none"}, EXCHANGED: {"swap": "exchanged"}, SIGMOID: {"squash": True},
        SUM: ({"times": 7}, {"times": 7, "step": False}),
        "These are the source's activations whole: only the coordinates along Q come from it.": {"swap": "all"},
        "What is orthogonal to Q is lost: add the change to h_base.": ({"swap": "lost"}, {"swap": "projected"}),
        "The base's own coordinates are still there: add those of h_source - h_base.": {"swap": "added"},
        "The change has the wrong sign: it is h_source - h_base.": {"swap": "sign"},
        "Neurons are swapped, not directions: go through the coordinates, h @ Q.": {"swap": "neurons"},
        "The coordinates are changed on the way: swap them as they are.": ({"swap": "relu"}, {"swap": "abs"},
                                                                           {"swap": "tanh"}),
        "The change has the wrong length: the coordinates are the source's in full.": ({"swap": "half"},
                                                                                       {"swap": "twice"}),
        "Only the first direction is swapped: all columns of Q are.": {"swap": "one"},
        "The sources are mixed up: row i of the source belongs to row i of the base.": (
            {"swap": "rows"}, {"swap": "mean"}, {"swap": "first"}),
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
    }, lambda loss: _name_first_das(loss, rest(SWAPS["right"](*batches[0][:2], orthonormalize(start))
                                               ).squeeze(1), batches[0][2]))
    require(not torch.equal(weight, start), "The losses are right, but weight is as it was: train it, not a copy, and "
                                            "do not put it back.")
    require(bool((weight - trained).abs().max() < 0.01), "The losses are right, but weight is not where Adam's steps "
                                                         "lead in the end: one step for each batch, the last one too, "
                                                         "and nothing after it.")
    return f"Passed: over {len(batches)} batches the directions learn as they should, and the network stays as it is."


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
    def replay(few: int | None = None, **settings: Any) -> list[float]:
        return replay_iit(network, start, batches[:few], lr, **settings)

    right = replay()
    losses, seen = _call(f, "train_by_hand(intervenable, batches, lr)", (intervenable,), batches, lr)
    require(not any(m._forward_hooks or m._forward_pre_hooks for m in intervenable.model.modules()),
            "A hook stays on the network after your function: call handle.remove() on every handle.")

    _require_optimizer(seen, lr, len(batches))
    _diagnose(losses, right, replay, {
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
    }, lambda loss: find_mistake([loss], [first_iit(network, start, batches[0])], joined, JOINT, [
        wrong for wrong in WRONG_JOINT if wrong.part != "mix"]))
    require(not torch.equal(intervenable.model.fc2.weight, network.fc2.weight), "The losses are right, but the network "
            "is as it was: train it, not a copy, and do not put it back.")
    return f"Passed: over {len(batches)} batches network and rotation learn as they should."
