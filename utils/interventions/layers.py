"""A layer of any network: found by its name, its output as rows of neurons, its output replaced on the way."""
import difflib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from utils.model_utils import ask, validate_batch
from utils.validation import validate_count


def find_layer(model: nn.Module, layer: str | None) -> nn.Module:
    """The submodule of that name.

    Raises:
        ValueError: the network has none; the message names those that are near.
    """
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    if layer not in modules:
        near = difflib.get_close_matches(str(layer), modules, n=5, cutoff=0.4) or list(modules)[:10]
        raise ValueError(f"layer must name a submodule of the network, such as {near}, got {layer!r}")
    return modules[layer]


def flatten_neurons(activations: torch.Tensor, position: int | None = None) -> torch.Tensor:
    """Activations (b, ...) as rows (b, neurons): those of one ``position`` of (b, positions, n), else all.

    (b, c, h, w) becomes (b, h * w * c), the order in which channels_last memory holds it, so nothing is copied.
    """
    if position is not None:
        return activations[:, position:position + 1].flatten(1)  # no column where there is no such position
    return activations.permute(0, 2, 3, 1).flatten(1) if activations.ndim == 4 else activations.flatten(1)


def restore_neurons(rows: torch.Tensor, activations: torch.Tensor, position: int | None = None) -> torch.Tensor:
    """Rows (p, neurons) in the place that ``flatten_neurons`` took them from: a new tensor (p, ...), whose other
    positions are those of ``activations`` (b, ...), over and over where p is a multiple of b."""
    rows = rows.to(activations.dtype)
    if position is not None:
        restored = activations.repeat(len(rows) // len(activations), 1, 1)
        restored[:, position] = rows
        return restored
    if activations.ndim == 4:
        _, c, h, w = activations.shape
        return rows.view(-1, h, w, c).permute(0, 3, 1, 2)
    return rows.view(-1, *activations.shape[1:])


def first_rows(rows: torch.Tensor, b: int) -> torch.Tensor:
    """The first b rows; all of them as they are, where a slice would be copied in the backward pass."""
    return rows if len(rows) == b else rows[:b]


@contextmanager
def rewire(module: nn.Module, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """While open, ``change`` is made to whatever the module gives out, by an ordinary forward hook."""
    handle = module.register_forward_hook(lambda module, args, output: change(output))
    try:
        yield
    finally:
        handle.remove()


def name_input(model: nn.Module) -> str:
    """The name of the argument that ``model.forward`` takes its inputs by: pyvene passes them by name.

    Raises:
        ValueError: it has no name.
    """
    first = next(iter(inspect.signature(model.forward).parameters.values()), None)
    if first is None or first.kind not in (first.POSITIONAL_OR_KEYWORD, first.KEYWORD_ONLY):
        raise ValueError("model must have a forward whose first argument has a name, such as forward(self, x)")
    return first.name


def record(model: nn.Module, module: nn.Module, X: torch.Tensor, name: str = "X") -> list[torch.Tensor]:
    """What the module gives out at each of its calls while the network answers to inputs (n, ...)."""
    seen: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> torch.Tensor:
        seen.append(output.clone() if isinstance(output, torch.Tensor) else output)  # what follows may write into it
        return output

    with rewire(module, keep):
        ask(model, X, name)
    return seen


def measure_layer(model: nn.Module, layer: str, example: torch.Tensor | np.ndarray,
                  position: int | None = None) -> tuple[int, torch.dtype]:
    """How many neurons there are to align at a layer, and their number type, found by running the network.

    Args:
        model: answers with logits.
        layer: name of a submodule.
        example: a few inputs (n, ...).
        position: for an output (b, positions, n) which position, counted from 0; None for all of the output.

    Raises:
        ValueError, TypeError: there is no such layer or position, the network is compiled or cannot run ``example``,
            or the layer's output is no tensor of numbers, not batch first, or comes more or less than once a pass.
    """
    if any(hasattr(part, "_orig_mod") or part._compiled_call_impl or isinstance(part, torch.jit.ScriptModule)
           for part in model.modules()):
        raise ValueError("model must not be compiled, as a compiled network may not see what is done at a layer: give "
                         "the one that went into torch.compile, or a new one with its weights")
    name_input(model)
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None for part in model.modules()):
        raise ValueError("model must keep running statistics in batch normalization (track_running_stats=True), or one "
                         "input would change the answers to others")
    module, example = find_layer(model, layer), validate_batch(example, model, "example")
    for n in (2, 3):
        seen = record(model, module, example[[0] * n], "example")
        if len(seen) != 1:
            raise ValueError(f"layer {layer!r} must be called once in a pass, it is called {len(seen)} times")
        output = seen[0]
        if not isinstance(output, torch.Tensor):
            raise TypeError(f"layer {layer!r} must give out a tensor, it gives a {type(output).__name__}: choose a "
                            "submodule of it, or wrap it in a module that picks the tensor out")
        if output.ndim == 0 or len(output) != n:
            raise ValueError(f"layer {layer!r} must give out its batch first, for {n} inputs it gives shape "
                             f"{tuple(output.shape)}")
        if output.ndim not in (2, 3, 4) or not output.is_floating_point():
            raise ValueError(f"layer {layer!r} must give out numbers (b, n), (b, positions, n) or (b, c, h, w), it "
                             f"gives {output.dtype} {tuple(output.shape)}")
    if position is not None and output.ndim != 3:
        raise ValueError(f"position goes with an output (b, positions, n), layer {layer!r} gives {tuple(output.shape)}")
    if position is not None and validate_count(position, "position", minimum=0) >= output.shape[1]:
        raise ValueError(f"position must lie from 0 to {output.shape[1] - 1}, got {position}")
    return flatten_neurons(output, position).shape[1], output.dtype
