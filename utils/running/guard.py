"""What holds while a network is asked or trained, whatever a notebook has switched on or off before, and what it is
like afterwards."""
import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn


def model_device(model: nn.Module) -> torch.device:
    """The device that the parameters of ``model`` are on; TypeError if it is no module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, got {type(model).__name__}")
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@contextlib.contextmanager
def restoring(model: nn.Module) -> Iterator[None]:
    """Afterwards each module is in the mode, and each parameter has the ``requires_grad``, that it had."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """Numbers keep their types, also where ``torch.autocast`` is on."""
    on = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if on else contextlib.nullcontext()


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Every module in eval mode, no gradients, no autocast; afterwards the network is as ``restoring`` leaves it."""
    with restoring(model), torch.no_grad(), without_autocast(model_device(model)):
        model.eval()
        yield


@contextlib.contextmanager
def optimizing(model: nn.Module, history: dict[str, list[float]], train_model: bool = True) -> Iterator[None]:
    """Gradients on, inference mode and autocast off; afterwards a ``train_model`` is in eval mode. What ends a training before its time, such
    as an interrupt, carries the ``history`` so far.

    Raises:
        ValueError: the network's numbers are none that can be trained.
    """
    parameters = list(model.parameters())
    if any(p.is_inference() for p in parameters):
        raise ValueError("model must not have been made in torch.inference_mode(), whose tensors take no part in "
                         "training: make or load it outside")
    if train_model and any(p.dtype == torch.float16 for p in parameters):
        raise ValueError("model must not be float16 to be trained, as Adam's steps need more range: call model.float()")
    try:
        with torch.inference_mode(False), torch.enable_grad(), without_autocast(model_device(model)):
            yield
    except BaseException as error:
        error.history = history  # type: ignore[attr-defined]  # what Python lets one do
        error.add_note(f"Training ended after {len(history['lr'])} steps, which the network keeps; it can be trained "
                       "on. Their history: import sys; sys.last_value.history")
        raise
    finally:
        if train_model:
            model.eval()
        torch.clear_autocast_cache()  # of weights as they were before


class StepBack:
    """Takes the step back that has made a loss no number.

    Args:
        model: whose buffers, and whose parameters that are trained, are kept; with it all that ``others`` names.
        others: more parameters.
    """

    def __init__(self, model: nn.Module, others: Sequence[torch.Tensor] = ()) -> None:
        trained = [p for p in {id(p): p for p in [*model.parameters(), *others]}.values() if p.requires_grad]
        self.tensors = [tensor.detach() for tensor in [*trained, *model.buffers()]]
        self.kept, self.steps = [tensor.clone() for tensor in self.tensors], 0

    @torch.no_grad()
    def check(self, *losses: float) -> None:
        """To be called before each step; FloatingPointError if a loss is nan or infinite."""
        if all(map(math.isfinite, losses)):
            torch._foreach_copy_(self.kept, self.tensors)
            self.steps += 1
            return
        torch._foreach_copy_(self.tensors, self.kept)
        if self.steps:
            raise FloatingPointError(
                f"training diverged: step {self.steps} made the loss {losses[0]}, so it was taken back, and network "
                f"and directions are as before it. Take a smaller lr, or look for inputs that are far from the others")
        raise FloatingPointError(f"the loss is {losses[0]} before the first step: the network's answers must be finite")

    def check_last(self) -> None:
        """To be called after the last step."""
        if not all(bool(tensor.isfinite().all()) for tensor in self.tensors):
            self.check(math.nan)
