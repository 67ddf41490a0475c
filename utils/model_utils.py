"""The small CNN, and how any network that answers with logits is trained, asked and evaluated.

A network with one logit, (b,) or (b, 1), says yes or no: answer 1 where the logit is above 0. A network with one
column a class, (b, c), chooses among c answers: the column with the greatest logit.
"""
import math
import os
import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm, trange

from utils.running.guard import StepBack, evaluating, model_device, optimizing
from utils.validation import is_a, validate_answers, validate_count, validate_inputs, validate_number, validate_pixels

LAYER_SIZES = {"conv1": 28 * 28 * 16, "conv2": 14 * 14 * 32, "conv3": 7 * 7 * 64, "fc1": 3}  # outputs before the ReLU


class PyTorchCNN(nn.Module):
    """Three convolutions and two linear layers: images (b, 1, 28, 28) to the logit (b, 1) of answer 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(64 * 7 * 7, 3)
        self.fc2 = nn.Linear(3, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # halves the time of a step on a CPU

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (b, 1, 28, 28) to logits (b, 1)."""
        x = F.relu(F.max_pool2d(self.conv1(x), 2))  # pooled before the ReLU: the same as after it, and cheaper
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.conv3(x))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def validate_layer(layer: str) -> None:
    """Raise ValueError unless ``layer`` is one of the four of ``LAYER_SIZES``."""
    if layer not in LAYER_SIZES:
        raise ValueError(f"layer must be one of {list(LAYER_SIZES)}, got {layer!r}")


def find_device(name: str | None = None) -> torch.device:
    """The device to work on: ``name``, else what the environment variable IIT_DEVICE names, such as cpu, else the first
    of cuda, mps and cpu that works; a UserWarning tells of one that is there and does not.

    Raises:
        ValueError: what is named is no device, or does not work on this machine.
    """
    name, origin = (os.environ.get("IIT_DEVICE") or None, " of IIT_DEVICE") if name is None else (name, "")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    for choice in [name] if name is not None else [kind for kind in there if there[kind]]:
        try:
            device = torch.device(choice)
            (torch.ones(2, 2, device=device) @ torch.ones(2, 2, device=device)).sum().item()  # its first kernels
            return device
        except Exception as error:  # drivers raise errors of many kinds
            reason = str(error).partition("\n")[0]
            if name is not None:
                raise ValueError(f"device {name!r}{origin} does not work here ({reason}); 'cpu' always does") from error
            warnings.warn(f"{choice} is there but does not work ({reason}), so the CPU is used; the environment "
                          "variable IIT_DEVICE=cpu chooses it without this warning", stacklevel=2)
    return torch.device("cpu")


def validate_batch(X: torch.Tensor | np.ndarray, model: nn.Module, name: str = "X") -> torch.Tensor:
    """Return inputs (n, ...), n >= 1, as ``to_type_of`` the network, or raise TypeError or ValueError. Every value is
    looked at, so once a data set is enough. A ``PyTorchCNN`` takes images (n, 1, 28, 28), their values in [0, 1]."""
    of_cnn = is_a(model, PyTorchCNN)
    if not isinstance(X, (np.ndarray, torch.Tensor)):
        raise TypeError(f"{name} must be a tensor, got {type(X).__name__}")
    if 0 in (X.ndim, *X.shape[:1]) or of_cnn and tuple(X.shape[1:]) != (1, 28, 28):
        raise ValueError(f"{name} must have shape (n, {'1, 28, 28' if of_cnn else '...'}), n > 0, got {tuple(X.shape)}")
    if isinstance(X, np.ndarray):
        X = torch.from_numpy(validate_inputs(X, name))
    if X.is_floating_point() or X.is_complex() or of_cnn:
        try:  # nan, if there is one; ten times as quick as isfinite of all
            low, high = torch.stack(X.aminmax()).tolist()
        except RuntimeError as error:
            raise TypeError(f"{name} must be a dense tensor of real numbers, got {X.dtype}, {X.layout}") from error
        if not math.isfinite(low + high):
            raise ValueError(f"{name} must be finite, got nan or infinity")
        if of_cnn:
            validate_pixels(X, low, high, name)
    return to_type_of(model, X)


def to_type_of(model: nn.Module, X: torch.Tensor) -> torch.Tensor:
    """Inputs in the type of the network's numbers; whole numbers as they are, but for a ``PyTorchCNN``."""
    if X.is_floating_point() or X.dtype == torch.bool or is_a(model, PyTorchCNN):
        numbers = (*model.parameters(), *model.buffers())
        return X.to(next((p.dtype for p in numbers if p.is_floating_point()), torch.float32))
    return X


def read_logits(output: torch.Tensor, n: int) -> torch.Tensor:
    """What a network returns for n inputs, in float32 at least: logits (n,) of a yes-or-no answer or (n, c) of c
    answers, c >= 2; TypeError or ValueError where it is no tensor or has another shape."""
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"model must return a tensor of logits, got {type(output).__name__}: wrap it in a module whose "
                        "forward picks the logits out")
    if n == 1 and output.ndim < 2:  # of a network that squeezes
        output = output.reshape(1, -1)
    if output.ndim not in (1, 2) or 0 in output.shape or len(output) != n:
        raise ValueError(f"model must return logits (b,), (b, 1) or (b, classes), got shape {tuple(output.shape)} "
                         f"for {n} inputs")
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    return output.squeeze(1) if output.ndim == 2 and output.shape[1] == 1 else output


@torch.no_grad()
def ask(model: nn.Module, X: torch.Tensor, name: str = "X") -> torch.Tensor:
    """Logits (n,) or (n, c) for inputs (n, ...), in eval mode; ValueError where the network cannot run them."""
    try:
        with evaluating(model):
            output = model(X.to(model_device(model)))
    except Exception as error:
        raise ValueError(f"{name} must hold inputs that the network takes, got inputs of shape {tuple(X.shape[1:])} "
                         f"and {X.dtype}: {str(error).partition(chr(10))[0]}") from error
    return read_logits(output, len(X))


def count_answers(model: nn.Module, X: torch.Tensor, name: str = "X") -> int:
    """How many answers a network chooses from, found by asking it twice about the first of the inputs (n, ...)."""
    return max(2, *ask(model, X[[0, 0]], name).shape)


def validate_targets(targets: Any, n: int, name: str = "y", num_answers: int = 2) -> torch.Tensor:
    """Return n labels, each a whole number below ``num_answers``, as a float tensor (n,), or raise."""
    if not isinstance(targets, (np.ndarray, torch.Tensor)):
        raise TypeError(f"{name} must be a tensor, got {type(targets).__name__}")
    if math.prod(targets.shape) != n or targets.ndim > 2:
        raise ValueError(f"{name} must hold one label for each of {n} inputs, got shape {tuple(targets.shape)}")
    answers = validate_answers(targets.reshape(-1), (n,), name)
    if answers.max() >= num_answers:
        raise ValueError(f"{name} must hold only whole numbers from 0 to {num_answers - 1}, got {answers.max():.0f}")
    return torch.from_numpy(answers)


def answer_loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy (nats) of logits (b,) or (b, c) against answers (b,); ValueError where c are too few."""
    if y.max() >= max([2, *logits.shape[1:]]):
        raise ValueError(f"y must hold only answers that the network chooses from, got {y.max():.0f}")
    if logits.ndim == 1:
        return F.binary_cross_entropy_with_logits(logits, y.to(logits))
    return F.cross_entropy(logits, y.to(logits.device, torch.long))


def one_cycle(optimizer: torch.optim.Optimizer, num_steps: int, warmup: float = 0.2) -> LambdaLR:
    """One-cycle learning rate (Smith 2018): a line up to the optimizer's rate over the first ``warmup`` of the
    steps, then a half cosine down to nearly 0."""
    rise = max(1, round(warmup * num_steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise + 1) / (num_steps - rise + 1)))

    return LambdaLR(optimizer, factor)


def train(
    model: nn.Module, X: torch.Tensor, y: torch.Tensor, lr: float = 2e-3, num_epochs: int = 5, batch_size: int = 256,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Train a network on the task itself: Adam, cross-entropy, one-cycle learning rate.

    Args:
        model: answers with logits; trained in place, on the device it is on, but for parameters that you have frozen.
        X: inputs (n, ...), for a ``PyTorchCNN`` images (n, 1, 28, 28).
        y: labels (n,), each 0 or 1, or a class from 0.
        lr: peak learning rate.
        num_epochs: passes over the inputs.
        batch_size: inputs a step.
        seed: of the order of the inputs.

    Returns:
        history with ``loss`` and ``lr`` of every step. An interrupt (Ctrl-C) carries it as ``history``.

    Raises:
        FloatingPointError: the loss is no number any more; the network is as before the step that did it.
    """
    device, X = model_device(model), validate_batch(X, model)
    lr, batch_size = validate_number(lr, "lr", 0, 1e30, strict=True), validate_count(batch_size, "batch_size")
    generator = torch.Generator().manual_seed(validate_count(seed, "seed", minimum=0))
    y = validate_targets(y, len(X), num_answers=count_answers(model, X))
    steps, num_epochs = -(-len(X) // batch_size), validate_count(num_epochs, "num_epochs", maximum=2**30)
    history: dict[str, list[float]] = {"loss": [], "lr": []}
    with optimizing(model, history), trange(steps * num_epochs, desc="Training", leave=False) as bar:
        if not any(p.requires_grad for p in model.train().parameters()):
            model.requires_grad_(True)  # pyvene freezes all of it
        optimizer, step_back = torch.optim.Adam(model.parameters(), lr=lr), StepBack(model)
        schedule = one_cycle(optimizer, steps * num_epochs)
        for step in bar:
            if step % steps == 0:
                order = torch.randperm(len(X), generator=generator, device="cpu").split(batch_size)
            batch = order[step % steps]
            loss = answer_loss(read_logits(model(X[batch].to(device)), len(batch)), y[batch])
            optimizer.zero_grad()
            loss.backward()
            step_back.check(value := loss.item())
            optimizer.step()
            history["loss"].append(value)
            history["lr"].append(float(schedule.get_last_lr()[0]))
            schedule.step()
            if step % 10 == 0:
                bar.set_postfix(loss=f"{value:.3f}")
        step_back.check_last()
    return history


def to_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Logits to probabilities, on the CPU: of answer 1 from (b,), of each of c answers from (b, c); ValueError where
    they are no numbers."""
    found = (torch.sigmoid(logits) if logits.ndim == 1 else torch.softmax(logits, dim=1)).cpu()
    if found.isnan().any():
        raise ValueError("model must answer with numbers, got nan: its weights or what it computes are out of range")
    return found


def to_answers(probabilities: torch.Tensor) -> torch.Tensor:
    """The answers (n,) that a network gives, as floats, from its probabilities (n,) or (n, c)."""
    return (probabilities > 0.5).float() if probabilities.ndim == 1 else probabilities.argmax(dim=1).float()


def predict(model: nn.Module, X: torch.Tensor | np.ndarray, batch_size: int = 1024) -> torch.Tensor:
    """Probabilities for inputs (n, ...): a CPU tensor (n,) of those of answer 1, or (n, c) of c answers."""
    model_device(model)
    batches = validate_batch(X, model).split(validate_count(batch_size, "batch_size"))
    bar = tqdm(batches, desc="Evaluating", leave=False) if len(batches) > 1 else batches
    return torch.cat([to_probabilities(ask(model, part)) for part in bar])


def accuracy(probabilities: torch.Tensor, targets: torch.Tensor | np.ndarray, name: str = "y") -> float:
    """Share of n answers that are right, from probabilities (n,) of answer 1 or (n, c) of c answers."""
    targets = validate_targets(targets, len(probabilities), name, max([2, *probabilities.shape[1:]]))
    return (to_answers(probabilities) == targets.to(probabilities.device)).float().mean().item()


def evaluate(model: nn.Module, X: torch.Tensor, y: torch.Tensor, batch_size: int = 1024) -> float:
    """Accuracy of the network on inputs (n, ...) with labels (n,)."""
    return accuracy(predict(model, X, batch_size), y)
