"""The training loops of exercises 2.5 and 3.4, right and with each known mistake, to be replayed."""
import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.checks.helpers import bce
from utils.checks.parts.joint import JOINT, WRONG_JOINT, joined
from utils.checks.parts.losses import entropy
from utils.checks.tools.variants import alike, find_mistake
from utils.interventions.build import build_intervenable, get_intervention
from utils.interventions.rotated_space import pv
from utils.interventions.rotation import orthonormalize

Batches = Sequence[tuple[torch.Tensor, ...]]


def _loop(loss_of: Callable, parameters: Sequence, batches: Batches, lr: float, clear: bool = True, step: bool = True,
          adam: type[torch.optim.Optimizer] = torch.optim.Adam) -> list[float]:
    losses, optimizer = [], adam(parameters, lr=lr)  # type: ignore[call-arg]
    for batch in batches:
        loss = loss_of(*batch)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        if step:
            optimizer.step()
        losses.append(loss.item())
    return losses


SWAPS: dict[str, Callable] = {  # from h_base, h_source and Q
    "right": lambda b, s, Q: b + (s - b) @ Q @ Q.T, "exchanged": lambda b, s, Q: s + (b - s) @ Q @ Q.T,
    "none": lambda b, s, Q: b + 0 * b @ Q @ Q.T, "all": lambda b, s, Q: s + 0 * b @ Q @ Q.T,
    "lost": lambda b, s, Q: (s - b) @ Q @ Q.T, "projected": lambda b, s, Q: s @ Q @ Q.T,
    "added": lambda b, s, Q: b + s @ Q @ Q.T, "sign": lambda b, s, Q: b - (s - b) @ Q @ Q.T,
    "neurons": lambda b, s, Q: torch.cat([s[:, :Q.shape[1]], b[:, Q.shape[1]:]], 1) + 0 * b @ Q @ Q.T,
    "relu": lambda b, s, Q: b + ((s - b) @ Q).relu() @ Q.T, "abs": lambda b, s, Q: b + ((s - b) @ Q).abs() @ Q.T,
    "tanh": lambda b, s, Q: b + ((s - b) @ Q).tanh() @ Q.T, "half": lambda b, s, Q: b + 0.5 * (s - b) @ Q @ Q.T,
    "twice": lambda b, s, Q: b + 2 * (s - b) @ Q @ Q.T, "one": lambda b, s, Q: b + (s - b) @ Q[:, :1] @ Q[:, :1].T,
    "rows": lambda b, s, Q: b + (s.flip(0) - b) @ Q @ Q.T, "mean": lambda b, s, Q: b + (s.mean(0) - b) @ Q @ Q.T,
    "first": lambda b, s, Q: b + (s[:1] - b) @ Q @ Q.T, "zeroed": lambda b, s, Q: b - b @ Q @ Q.T,
    "to source": lambda b, s, Q: s + (s - b) @ Q @ Q.T, "cut": lambda b, s, Q: (b + (s - b) @ Q @ Q.T).relu(),
}


def replay_das(weight: torch.Tensor, rest: nn.Module, batches: Batches, lr: float, *, swap: str = "right",
                directions: Callable = orthonormalize, labels: str = "given", squash: bool = False, times: float = 1,
                **loop: Any) -> list[float]:
    """The losses of a loop, right or with a mistake, that trains ``weight``."""
    rest = copy.deepcopy(rest)

    def loss_of(base: torch.Tensor, source: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        Q = directions(weight)
        logits = rest(SWAPS[swap](base, source, Q)).squeeze(1)
        if labels != "given":
            y = (rest(base if labels == "base" else source).squeeze(1) > 0).float()
        return times * bce(torch.sigmoid(logits) if squash else logits, y)

    return _loop(loss_of, [weight], batches, lr, **loop)


NO_SWAP = "Nothing has been swapped: these are the losses of the answers to the bases as they are."
EXCHANGED = "Base and source are exchanged: the base runs, and the source lends it its coordinates."
SIGMOID = "The sigmoid is taken twice: binary_cross_entropy_with_logits takes the logits as they are."
SUM = "These are sums over the batch: take the mean."
FIRST_DAS: dict[str, tuple[dict[str, Any], ...]] = {  # what ``replay_das`` is called with, by what is then wrong
    NO_SWAP: ({"swap": "none"},), EXCHANGED: ({"swap": "exchanged"},), SIGMOID: ({"squash": True},),
    SUM: ({"times": 7},),
    "These are the source's activations whole: only the coordinates along Q come from it.": ({"swap": "all"},),
    "What is orthogonal to Q is lost: add the change to h_base.": ({"swap": "lost"}, {"swap": "projected"}),
    "The base's own coordinates are still there: add those of h_source - h_base.": ({"swap": "added"},),
    "The change has the wrong sign: it is h_source - h_base.": ({"swap": "sign"},),
    "The base's coordinates are set to 0: those of the source are wanted.": ({"swap": "zeroed"},),
    "The change is added to h_source: it belongs to h_base.": ({"swap": "to source"},),
    "Neurons are swapped, not directions: go through the coordinates, h @ Q.": ({"swap": "neurons"},),
    "A ReLU is taken before `rest`, which begins with one: give it the swapped activations as they are.": (
        {"swap": "cut"},),
    "The coordinates are changed on the way: swap them as they are.": ({"swap": "relu"}, {"swap": "abs"},
                                                                       {"swap": "tanh"}),
    "The change has the wrong length: the coordinates are the source's in full.": ({"swap": "half"}, {"swap": "twice"}),
    "Only the first direction is swapped: all columns of Q are.": ({"swap": "one"},),
    "The sources are mixed up: row i of the source belongs to row i of the base.": (
        {"swap": "rows"}, {"swap": "mean"}, {"swap": "first"}),
    "The directions are not made orthonormal: Q comes from the weight anew at every step.": tuple(
        {"directions": f} for f in (lambda w: w, lambda w: w / w.norm(dim=0), lambda w: w / w.norm(),
                                    lambda w: w / w.norm(dim=1, keepdim=True), lambda w: w.softmax(0))),
    "The loss compares with the answer to the base: the causal model's answer is in y_counterfactual.":
        ({"labels": "base"},),
    "The loss compares with the answer to the source: the causal model's answer is in y_counterfactual.":
        ({"labels": "source"},),
    "The step goes uphill: minimize the loss, not its negative.": ({"times": -1},),
}


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


def replay_iit(network: nn.Module, rotation: dict, batches: Batches, lr: float, *, swap: bool = True,
               exchanged: bool = False, plain_of: int = 0, detached: int | None = None,
               weights: tuple[float, float] = (1, 1), labels: tuple[int, int] = (1, 0), squash: bool = False,
               **loop: Any) -> list[float]:
    """The losses of a loop, right or with a mistake, that trains copies of network and rotation."""
    intervenable = build_intervenable(copy.deepcopy(network), "fc1", 2)
    get_intervention(intervenable).load_state_dict(rotation)
    intervenable.enable_model_gradients()

    def loss_of(X_base: torch.Tensor, X_source: torch.Tensor, *y: torch.Tensor) -> torch.Tensor:
        pair = (X_source, X_base) if exchanged else (X_base, X_source)
        swapped = _answer(intervenable, *pair, swap)
        plain = _answer(intervenable, (X_base, X_source)[plain_of], X_source, False)
        if squash:
            swapped, plain = swapped.sigmoid(), plain.sigmoid()
        losses = [weights[0] * bce(swapped, y[labels[0]]), weights[1] * bce(plain, y[labels[1]])]
        return sum(loss.detach() if i == detached else loss for i, loss in enumerate(losses))  # type: ignore[return-value]

    return _loop(loss_of, [*get_intervention(intervenable).parameters(), *intervenable.model.parameters()], batches, lr,
                 **loop)


def first_iit(network: nn.Module, rotation: dict, batch: tuple[torch.Tensor, ...]) -> tuple:
    """What the joint loss of the first batch is made of: see ``check_joint_loss``; the weight is 1."""
    intervenable = build_intervenable(copy.deepcopy(network), "fc1", 2)
    get_intervention(intervenable).load_state_dict(rotation)
    swapped, plain = (_answer(intervenable, batch[0], batch[1], swap).detach() for swap in (True, False))
    return *(x.numpy().astype(float) for x in (swapped, batch[3], plain, batch[2])), 1.0


FIRST_IIT: dict[str, dict[str, Any]] = {  # what ``replay_iit`` is called with, by what is then wrong
    "The behavior loss is missing: add that of the plain answers, to the bases, against y_base.": {"weights": (1, 0)},
    "The interchange loss is missing: add that of the swapped answers, against y_counterfactual.": {"weights": (0, 1)},
    NO_SWAP: {"swap": False}, EXCHANGED: {"exchanged": True}, SIGMOID: {"squash": True},
    f"{EXCHANGED} The plain answers are the base's, too.": {"exchanged": True, "plain_of": 1},
    "The plain answers are those to the sources: the behavior loss is about the bases.": {"plain_of": 1},
    SUM: {"weights": (6, 6)}, "The two losses are averaged: add them.": {"weights": (0.5, 0.5)},
    "The swapped answers are compared with y_base: theirs are in y_counterfactual.": {"labels": (0, 0)},
    "The plain answers are compared with y_counterfactual: theirs are in y_base.": {"labels": (1, 1)},
    "The labels are exchanged: y_counterfactual goes with the swapped answers, y_base with the plain ones.":
        {"labels": (0, 1)},
}


def name_first_iit(gots: list, cases: list[tuple], replay: Callable[..., list[float]]) -> str:
    """What the losses of one batch each are, before any step; "" where they are right."""
    rights = [joined(**JOINT)(*case) for case in cases]
    if alike(gots, rights, 1e-3):
        return ""
    for message, settings in FIRST_IIT.items():
        if alike(gots, replay(**settings), 1e-3):
            return message
    mixes = [wrong for wrong in WRONG_JOINT if wrong.part != "mix" or "weight" not in wrong.sentence]
    message = find_mistake(gots, cases, joined, JOINT, mixes)
    if message:
        return message
    parts = np.array([[entropy(*case[:2]).mean(), entropy(*case[2:4]).mean()] for case in cases])
    times = np.linalg.lstsq(parts, np.array(gots, dtype=float), rcond=None)[0]
    if np.allclose(parts @ times, np.array(gots, dtype=float), rtol=1e-3):
        return (f"The interchange loss counts {times[0]:.3g} times and the behavior loss {times[1]:.3g} times: add "
                "them, each once.")
    return (f"Before any step, the loss of one batch should be {rights[0]:.3f}, the interchange loss {parts[0, 0]:.3f} "
            f"plus the behavior loss {parts[0, 1]:.3f}, and yours is {gots[0]:.3f}: print the two parts.")
