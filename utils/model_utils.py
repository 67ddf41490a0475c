"""The small CNN, its training on the task itself, and its evaluation."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm, trange

from utils.validation import validate_count, validate_number

# Neurons of each layer's output, before the ReLU.
LAYER_SIZES = {"conv1": 28 * 28 * 16, "conv2": 14 * 14 * 32, "conv3": 7 * 7 * 64, "fc1": 3}


class _Slot:
    """Stands for a layer's output while pyvene's hooks work on it: ``output[:] = ...`` replaces it, and copies nothing.

    Written into a tensor, each swap would copy the whole layer twice, there and on the way back of the gradient.
    """

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value

    def clone(self) -> torch.Tensor:
        return self.value.clone()

    def __setitem__(self, where: slice, value: torch.Tensor) -> None:
        self.value = value


class _Resumable:
    def forward(self, x: torch.Tensor, ready: bool = False) -> torch.Tensor | _Slot:
        """The layer's output; with ``ready``, x is that output, from an earlier pass, and only hooks are to see it."""
        return _Slot(x) if ready else super().forward(x)


class Conv2d(_Resumable, nn.Conv2d):
    """A convolution at which a pass may resume."""


class Linear(_Resumable, nn.Linear):
    """A linear layer at which a pass may resume."""


class PyTorchCNN(nn.Module):
    """Three convolutions and two linear layers: images (b, 1, 28, 28) to the probability (b, 1) of answer 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv2d(1, 16, kernel_size=3, padding=1)
        self.conv2 = Conv2d(16, 32, kernel_size=3, padding=1)
        self.conv3 = Conv2d(32, 64, kernel_size=3, padding=1)
        self.fc1 = Linear(64 * 7 * 7, 3)
        self.fc2 = nn.Linear(3, 1)
        self.to(memory_format=torch.channels_last)  # halves the time of a step on a CPU

    def forward(self, x: torch.Tensor, logits: bool = False, resume_at: str | None = None) -> torch.Tensor:
        """Return probabilities (b, 1), or with ``logits`` what goes into the sigmoid.

        With ``resume_at``, x is not an image but that layer's output in an earlier pass.
        """
        layers = list(LAYER_SIZES)
        for layer in layers[layers.index(resume_at or "conv1"):]:
            module = getattr(self, layer)
            x = module(x, ready=True).value if layer == resume_at else module(x)
            if layer in ("conv1", "conv2"):
                x = F.max_pool2d(x, 2)  # before the ReLU: the same as after it, and cheaper
            x = F.relu(x)
            if layer == "conv3":
                x = x.flatten(1)
        x = self.fc2(x)
        return x if logits else torch.sigmoid(x)


def validate_layer(layer: str) -> None:
    """Raise ValueError unless ``layer`` is conv1, conv2, conv3 or fc1."""
    if layer not in LAYER_SIZES:
        raise ValueError(f"layer must be one of {list(LAYER_SIZES)}, got {layer!r}")


def find_device(name: str | None = None) -> torch.device:
    """The device to work on: ``name`` if given, else the first of cuda, mps and cpu that is there.

    Raises:
        ValueError: ``name`` is no device, or it is not on this machine.
    """
    if name is None:
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {name!r} is not available here; 'cpu' always is") from error
    return device


def model_device(model: nn.Module) -> torch.device:
    """The device that the parameters of ``model`` are on; TypeError if it is no module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, got {type(model).__name__}")
    return next(model.parameters()).device


def validate_batch(images: torch.Tensor, name: str = "X") -> torch.Tensor:
    """Return a float tensor (n, 1, 28, 28) with n >= 1, or raise TypeError or ValueError."""
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(images)
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(images).__name__}")
    if images.ndim != 4 or tuple(images.shape[1:]) != (1, 28, 28) or len(images) == 0:
        raise ValueError(f"{name} must have shape (n, 1, 28, 28) with n >= 1, got {tuple(images.shape)}")
    return images.float()


def validate_targets(targets: torch.Tensor, n: int, name: str = "y") -> torch.Tensor:
    """Return n labels, each 0 or 1, as a float tensor (n,), or raise TypeError or ValueError."""
    if isinstance(targets, np.ndarray):
        targets = torch.from_numpy(targets)
    if not isinstance(targets, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(targets).__name__}")
    if targets.numel() != n or targets.ndim > 2:
        raise ValueError(f"{name} must hold one label for each of {n} images, got shape {tuple(targets.shape)}")
    targets = targets.float().reshape(-1)
    if not ((targets == 0) | (targets == 1)).all():
        raise ValueError(f"{name} must hold only 0 and 1")
    return targets


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
    model: nn.Module,
    X: torch.Tensor,
    y: torch.Tensor,
    lr: float = 2e-3,
    num_epochs: int = 5,
    batch_size: int = 256,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Train the network on the task itself: Adam, binary cross-entropy, one-cycle learning rate.

    Args:
        model: a ``PyTorchCNN``; trained in place, on the device it is on.
        X: images (n, 1, 28, 28).
        y: labels (n,), each 0 or 1.
        lr: peak learning rate.
        num_epochs: passes over the images.
        batch_size: images a step.
        seed: of the order of the images.

    Returns:
        history with ``loss`` and ``lr`` of every step.
    """
    X = validate_batch(X)
    y = validate_targets(y, len(X))
    lr = validate_number(lr, "lr", strict=True)
    num_epochs, batch_size = validate_count(num_epochs, "num_epochs"), validate_count(batch_size, "batch_size")
    device = model_device(model)
    generator = torch.Generator().manual_seed(validate_count(seed, "seed", minimum=0))
    steps = -(-len(X) // batch_size)
    model.requires_grad_(True).train()  # pyvene may have frozen it
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = one_cycle(optimizer, steps * num_epochs)
    history: dict[str, list[float]] = {"loss": [], "lr": []}
    with trange(steps * num_epochs, desc="Training", leave=False) as bar:
        for step in bar:
            if step % steps == 0:
                order = torch.randperm(len(X), generator=generator)
            batch = order[(step % steps) * batch_size :][:batch_size]
            output = model(X[batch].to(device), logits=True).squeeze(1)
            loss = F.binary_cross_entropy_with_logits(output, y[batch].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history["loss"].append(loss.item())
            history["lr"].append(schedule.get_last_lr()[0])
            schedule.step()
            if step % 10 == 0:
                bar.set_postfix(loss=f"{history['loss'][-1]:.3f}")
    model.eval()
    return history


@torch.no_grad()
def predict(model: nn.Module, X: torch.Tensor, batch_size: int = 1024) -> torch.Tensor:
    """Probabilities of answer 1 for images (n, 1, 28, 28): a CPU tensor (n,)."""
    X = validate_batch(X)
    batch_size = validate_count(batch_size, "batch_size")
    device = model_device(model)
    was_training = model.training
    model.eval()
    starts = range(0, len(X), batch_size)
    starts = tqdm(starts, desc="Evaluating", leave=False) if len(starts) > 1 else starts
    output = torch.cat([model(X[i : i + batch_size].to(device)).squeeze(1).cpu() for i in starts])
    model.train(was_training)
    return output


def accuracy(probabilities: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of n probabilities that fall on the side of 0.5 where their target is."""
    targets = validate_targets(targets, len(probabilities)).to(probabilities.device)
    return ((probabilities > 0.5).float() == targets).float().mean().item()


def evaluate(model: nn.Module, X: torch.Tensor, y: torch.Tensor, batch_size: int = 1024) -> float:
    """Accuracy of the network on images (n, 1, 28, 28) with labels (n,)."""
    X = validate_batch(X)
    y = validate_targets(y, len(X))
    return accuracy(predict(model, X, batch_size), y)
