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
    """Gradients on, inference mode and autocast off; afterwards a ``train_model`` is in eval mode. What ends a training
    before its time, such as an interrupt, carries the ``history`` so far.

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
        error.history = history  # type: ignore[attr-defined]  # Python's errors take attributes
        if "does not require grad" in str(error):
            raise ValueError("model must answer by what is trained, but no gradient leads back: is there no_grad() or "
                             "detach() in its forward, or is the layer's output not used?") from error
        if not isinstance(error, FloatingPointError):
            error.add_note(f"Steps of the training that are done and kept: {len(history['lr'])}. Their history is in "
                           "sys.last_value.history, and training can go on.")
        raise
    finally:
        if train_model:
            model.eval()
        torch.clear_autocast_cache()  # of weights as they were before


class StepBack:
    """Takes the step back after which the loss is no number, or 10,000 times what it was at first, or so the weights.

    Args:
        model: what of its parameters is trained is kept, and its buffers.
        others: more parameters.
    """

    def __init__(self, model: nn.Module, others: Sequence[torch.Tensor] = ()) -> None:
        trained = {id(p): p for p in [*model.parameters(), *others] if p.requires_grad}.values()
        self.tensors = [tensor.detach() for tensor in [*trained, *model.buffers()]]
        self.trained = self.tensors[:len(trained)]  # a buffer may hold infinity, as a mask does
        self.kept, self.steps, self.most = [tensor.clone() for tensor in self.tensors], 0, math.inf
        self.bound = 1e4 * max(1.0, self.measure())

    def check(self, *losses: float) -> None:
        """To be called with the losses before each step.

        Raises:
            FloatingPointError: the step before was one too far, and is taken back.
        """
        if all(math.isfinite(loss) and loss < self.most for loss in losses):
            self.most = 1e4 * max(1.0, *losses) if self.steps == 0 else self.most
            torch._foreach_copy_(self.kept, self.tensors)
            self.steps += 1
            return
        if self.steps == 0:
            raise FloatingPointError(f"the loss is {losses[0]:.4g} before the first step: nothing can be learned from "
                                     "answers that are no numbers")
        self.take_back(f"the loss {losses[0]:.4g}")

    def check_last(self) -> None:
        """The same after the last step, whose loss is not known: for weights 10,000 times as large as at first."""
        if not (length := self.measure()) < self.bound:  # or no numbers
            self.take_back(f"the weights' norm {length:.4g}")

    def measure(self) -> float:
        """The norm of all that is trained."""
        return float(torch.stack([tensor.norm().cpu().double() for tensor in self.trained]).norm())

    def take_back(self, what: str) -> None:
        """Raise FloatingPointError for what the step before has made, after all is as it was before it."""
        torch._foreach_copy_(self.tensors, self.kept)
        raise FloatingPointError(f"training diverged: step {self.steps} made {what}. That step was taken back: network "
                                 "and directions are as before it. Try a smaller lr")
