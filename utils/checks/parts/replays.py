"""The training loops of exercises 2.5 and 3.4, right and with each known mistake, to be replayed."""
import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from utils.checks.helpers import bce
from utils.interventions.build import build_intervenable, get_intervention
from utils.interventions.rotated_space import pv
from utils.interventions.rotation import orthonormalize

Batches = Sequence[tuple[torch.Tensor, ...]]


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
    "first": lambda b, s, Q: b + (s[:1] - b) @ Q @ Q.T, "cut": lambda b, s, Q: (b + (s - b) @ Q @ Q.T).relu(),
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
                exchanged: bool = False, trained: str = "both", weights: tuple[float, float] = (1, 1),
                labels: tuple[int, int] = (1, 0), squash: bool = False, **loop: Any) -> list[float]:
    """The losses of a loop, right or with a mistake, that trains copies of network and rotation."""
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


def first_iit(network: nn.Module, rotation: dict, batch: tuple[torch.Tensor, ...]) -> tuple:
    """What the joint loss of the first batch is made of: see ``check_joint_loss``; the weight is 1."""
    intervenable = build_intervenable(copy.deepcopy(network), "fc1", 2)
    get_intervention(intervenable).load_state_dict(rotation)
    swapped, plain = (_answer(intervenable, batch[0], batch[1], swap).detach() for swap in (True, False))
    return *(x.numpy().astype(float) for x in (swapped, batch[3], plain, batch[2])), 1.0
