"""Networks that a learner's function is given: the same one, not a copy, and what was done to it."""
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from utils.checks.helpers import require
from utils.checks.tools.running import Learner


class _Itself:
    """Hands on a value that ``Learner`` would copy."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict) -> "_Itself":
        return self


class NetworkLearner(Learner):
    """A ``Learner`` that hands on networks, optimizers and tensors to be trained themselves; all else is copied."""

    def __init__(self, f: Callable, example: str, hints: dict[str, str] | None = None, random: str = "") -> None:
        super().__init__(f, example, hints, random)
        self.f = lambda *args: f(*(a.value if isinstance(a, _Itself) else a for a in args))

    def __call__(self, *args: Any, look: Callable[[], None] | None = None, nothing: bool = False) -> Any:
        """What the function returns; see ``Learner``."""
        return super().__call__(*(_Itself(a) if isinstance(a, (nn.Module, torch.optim.Optimizer)) or isinstance(
            a, torch.Tensor) and a.requires_grad else a for a in args), look=look, nothing=nothing)


@contextlib.contextmanager
def optimizers_noted(seen: list[tuple[torch.optim.Optimizer, dict[str, Any]]]) -> Iterator[None]:
    """Notes in ``seen`` the optimizer of each step that is taken, and its first group's settings at that moment."""
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, args, kwargs: seen.append((optimizer, dict(optimizer.param_groups[0]))))
    try:
        yield
    finally:
        handle.remove()


class Watched:
    """What a network is like now, to be compared later."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.modules = list(model.named_modules())
        self.training = [module.training for _, module in self.modules]
        self.names = [(set(vars(module)), dict(module._modules), type(module)) for _, module in self.modules]
        self.hooks = [self._hooks(module) for _, module in self.modules]
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.frozen = {name: not p.requires_grad for name, p in model.named_parameters()}

    @staticmethod
    def _hooks(module: nn.Module) -> int:
        return sum(len(getattr(module, kind)) for kind in (
            "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"))

    def require_untouched(self, weights: bool = True, frozen: bool = True, modes: bool = True) -> None:
        """Raise WrongAnswer where hooks, modules, attributes or (if asked) weights and modes are not as they were."""
        for i, (name, module) in enumerate(self.modules):
            name = name or "the model"
            require(self._hooks(module) <= self.hooks[i], "A hook stays on the model after your function: call "
                                                          f"handle.remove() on every handle (it is on {name}).")
            require(not modes or module.training == self.training[i], "Your function leaves the model in another mode "
                    "(train or eval) than it was in: put the mode back.")
            attributes, children, kind = self.names[i]
            require("forward" not in set(vars(module)) - attributes, f"The forward of {name} stays replaced after your "
                    "function: put it back, or use a hook and remove it.")
            require(type(module) is kind and dict(module._modules) == children, "Your function leaves other modules "
                    f"in {name} than there were: put them back, or use a hook.")
            new = {a for a in set(vars(module)) - attributes - {"config"} if not a.startswith("_")}
            require(not new, f"Your function leaves an attribute on {name}: {', '.join(sorted(new))}. Keep it in a "
                             "variable.")
        now = dict(self.model.named_parameters())
        changed = [name for name, p in self.weights.items() if name not in now or not torch.equal(p,
            now[name].detach())]
        require(not weights or not changed, "Your function changes the weights of the network "
                                            f"({', '.join(changed[:3])}): leave them as they are.")
        other = [name for name, was in self.frozen.items() if name in now and now[name].requires_grad == was]
        require(not frozen or not other, "Your function changes which weights get a gradient (requires_grad of "
                                         f"{', '.join(other[:3])}): leave them as they were.")
