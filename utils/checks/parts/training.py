"""Two steps of training, as exercise 0.3 asks for them, and the ways in which they go wrong."""
import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from utils.checks.helpers import bce, noise_images, own_rng, require
from utils.checks.parts.losses import LOSSES, entropy, name_loss
from utils.checks.parts.models import NetworkLearner, Watched, optimizers_noted
from utils.checks.tools.running import refuse
from utils.checks.tools.variants import alike, as_numbers, describe
from utils.model_utils import PyTorchCNN

_NO_GRADIENT = ("No gradient reaches the network: compute the loss from model(X), without detach, item or no_grad, and "
                "call loss.backward() after zero_grad and before step.")
_BROADCAST = next(sentence for sentence in LOSSES if sentence.startswith("Every logit"))
_HINTS = {
    "does not require grad": _NO_GRADIENT,
    "target size|Target size|size of tensor": _BROADCAST,
    "between 0 and 1": "F.binary_cross_entropy wants probabilities, and model(X) gives logits: use "
                       "F.binary_cross_entropy_with_logits.",
    "second time": "backward can run once for each loss: call it once.",
    "cannot be converted to Scalar|only one element": "The loss is one number: take the mean over the batch first.",
    "only be created for scalar": "backward starts from one number: take the mean over the batch.",
    "Long|dtype": "The answers y are floats as they come: leave their type.",
}
# what may be done to the images first
IMAGES: tuple[tuple[str, Callable[[torch.Tensor], torch.Tensor]], ...] = (
    ("are flipped left to right", lambda X: X.flip(3)), ("are flipped upside down", lambda X: X.flip(2)),
    ("are transposed", lambda X: X.transpose(2, 3)), ("are turned by a half", lambda X: X.flip(2, 3)),
    *(("are turned by a quarter", lambda X, k=k: X.rot90(k, (2, 3))) for k in (1, 3)),
    ("are in reverse order, so that image i does not belong to answer i", lambda X: X.flip(0)),
    ("are shifted, so that image i does not belong to answer i", lambda X: X.roll(1, 0)),
    ("are divided by 255", lambda X: X / 255), ("are multiplied by 255", lambda X: 255 * X),
    ("are made negative", lambda X: 1 - X), ("lose their mean", lambda X: X - X.mean()),
    ("lose 0.5", lambda X: X - 0.5),
    ("are standardized", lambda X: (X - X.mean()) / X.std()), ("are scaled to [-1, 1]", lambda X: 2 * X - 1),
    ("are standardized", lambda X: (X - 0.5) / 0.5), ("are divided by their largest value", lambda X: X / X.max()),
    ("are standardized, each for itself", lambda X: (X - X.mean((2, 3), keepdim=True)) / X.std((2, 3), keepdim=True)),
    ("are cut to [0, 1]", lambda X: X.clamp(0, 1)), ("become 0 and 1", lambda X: (X > 0.5).float()),
    ("are squared", lambda X: X**2), ("are replaced by zeros", lambda X: 0 * X),
)


def _weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def _two_steps(model: PyTorchCNN, X: Sequence[torch.Tensor], y: Sequence[torch.Tensor], settings: dict, clears: bool =
        True) -> list:
    """The weights of a copy after each of two steps, and the losses."""
    model = copy.deepcopy(model)
    optimizer, weights, losses = torch.optim.SGD(model.parameters(), **settings), [], []
    for images, answers in zip(X, y):
        if clears:
            optimizer.zero_grad()
        loss = bce(model(images).squeeze(1), answers)
        loss.backward()
        optimizer.step()
        weights.append(_weights(model))
        losses.append(loss.item())
    return [*weights, losses]


def _require_float(loss: Any) -> None:
    if isinstance(loss, torch.Tensor):
        require(not loss.requires_grad, "The loss that you return still holds the graph of its computation: return "
                                        "loss.item(), a float.")
        refuse(f"The loss that you return is a tensor{f' of shape {tuple(loss.shape)}' if loss.ndim else ''}: return "
               f"{'the mean over the batch, as ' if loss.ndim else ''}loss.item(), a float.")
    require(isinstance(loss, (float, int, np.number, np.ndarray)) and not isinstance(loss, bool), "Return the loss as "
            f"a float, loss.item(): this is a {type(loss).__name__}.")


@own_rng()
def require_steps(f: Callable) -> None:
    """Raise WrongAnswer unless ``f(model, optimizer, X, y)`` takes a step of training and returns its loss, a float."""
    learner = NetworkLearner(f, "train_step(model, optimizer, X, y)", _HINTS)
    runs, lost, known, images, sizes = [], [], [], [], []
    cases: tuple[tuple[int, dict[str, Any]], ...] = (
        (6, {"lr": 0.1}), (4, {"lr": 0.03, "momentum": 0.9}), (5, {"lr": 0.1}))
    for n, settings in cases:
        model = PyTorchCNN()
        with torch.no_grad():
            model.fc2.weight.mul_(3)
        X, y = list(noise_images(2 * n).view(n, 2, 1, 28, 28).unbind(1)), [(torch.rand(n) < 0.6).float() for _ in
            range(2)]
        y[0][:2], y[1][:2] = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
        before, optimizer = copy.deepcopy(model), torch.optim.SGD(model.parameters(), **settings)
        watched, weights = Watched(model), []
        seen: list[tuple[torch.optim.Optimizer, dict[str, Any]]] = []
        for pictures, answers in zip(X, y):
            with torch.no_grad():
                logits, *others = (model(change(pictures)).squeeze(1).numpy().astype(float) for change in (
                    lambda X: X, *(change for _, change in IMAGES)))
            sizes.append(_weights(model).double())
            with optimizers_noted(seen):
                loss = learner(model, optimizer, pictures, answers)
            lost.append(loss)
            weights.append(_weights(model))
            with torch.no_grad():
                others.append(model(pictures).squeeze(1).numpy().astype(float))
            known.append((logits, answers.numpy().astype(float)))
            images.append(others)
        watched.require_untouched(weights=False)
        _require_optimizer(seen, optimizer, settings)
        graded = any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
        runs.append((before, X, y, settings, weights, graded))
    numbers = [as_numbers(loss.detach() if isinstance(loss, torch.Tensor) else loss) for loss in lost]
    _require_losses(numbers, known, images, sizes)
    _require_steps(runs)
    for loss in lost:
        _require_float(loss)
    model = PyTorchCNN()
    alone = NetworkLearner(f, "train_step(model, optimizer, X, y)", {**_HINTS, "target size|Target size|size of tensor":
                           "The last batch may hold a single image, whose logits are (1, 1): squeeze() drops both "
                           "axes, squeeze(1) the second alone."})
    _require_float(alone(model, torch.optim.SGD(model.parameters(), lr=0.1), noise_images(1), torch.ones(1)))


def _require_optimizer(seen: list[tuple[torch.optim.Optimizer, dict[str, Any]]], optimizer: torch.optim.Optimizer,
                       settings: dict[str, Any]) -> None:
    """Raise WrongAnswer unless it is the optimizer that is passed, as it was, that took the two steps."""
    own = [type(other).__name__ for other, _ in seen if other is not optimizer]
    require(not own, f"An optimizer of your own takes the step ({', '.join(own[:1])}): take the one that is passed, "
                     "optimizer.step().")
    wanted = {**torch.optim.SGD([torch.zeros(1)]).defaults, **settings}
    changed = [name for group in (optimizer.param_groups[0], *(group for _, group in seen)) for name, value in
               wanted.items() if group[name] != value]
    require(not changed, f"Your function changes the settings of the optimizer ({', '.join(changed[:1])}): leave them "
                         "as they are.")
    require(len(seen) <= 2, f"{len(seen) / 2:g} steps are taken for one batch: one loss over the whole batch, and one "
                            "step, with no loop over images or epochs.")


def _require_losses(numbers: list[np.ndarray], known: list[tuple[np.ndarray, np.ndarray]],
                    images: list[list[np.ndarray]], weights: list[torch.Tensor]) -> None:
    """Raise WrongAnswer unless each loss is the mean cross-entropy of logits and answers before the step."""
    rights = [np.asarray(entropy(z, y).mean()) for z, y in known]
    if all(map(alike, numbers, rights)):
        return
    after = [np.asarray(entropy(others[-1], y).mean()) for others, (_, y) in zip(images, known)]
    require(not all(map(alike, numbers, after)), "The loss that you return is that after the step: compute it once, "
            "before the step, and return that.")
    for i, (words, _) in enumerate(IMAGES):
        changed = [np.asarray(entropy(others[i], y).mean()) for others, (_, y) in zip(images, known)]
        require(not all(map(alike, numbers, changed)), f"The images {words}: give X to the model as it comes.")
    message = name_loss(numbers, known)
    require(not message, message)
    added = [float(got - right) if got.ndim == 0 else np.nan for got, right in zip(numbers, rights)]
    for what, size in (("squares", lambda w: w**2), ("absolute values", torch.abs)):
        ratios = np.array(added) / [float(size(w).sum()) for w in weights]
        require(not np.isfinite(ratios).all() or ratios.min() < 1e-7 or np.ptp(ratios) > 0.01 * ratios.max(),
                f"The loss holds {ratios.mean():.2g} times the sum of the {what} of the weights: the cross-entropy "
                "alone is asked.")
    first = [alike(got, right_one) for got, right_one in zip(numbers[::2], rights[::2])]
    require(not all(first), "The loss is right at the first step, and wrong at the second, with other images: compute "
                            "it anew from the X and y that are passed.")
    require(any(got.ndim > 0 or not np.isfinite(got) for got in numbers), "The loss that you return is not that of "
            f"the whole batch before the step: {numbers[0]:.4g} in place of {rights[0]:.4g}. Compute it once, the mean "
            "over model(X) and y as they come, before optimizer.step().")
    describe(numbers, rights, known, ["logits", "y"], [f"a batch of {len(z)}" for z, _ in known])


def _require_steps(runs: list[tuple]) -> None:
    """Raise WrongAnswer unless the weights are where the optimizer puts them."""
    for before, X, y, settings, weights, graded in runs:
        start = _weights(before)
        one, two, _ = _two_steps(before, X, y, settings)
        close = [torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(weights, (one, two))]
        if all(close):
            continue
        moved, wanted = weights[0] - start, one - start
        if not moved.any():
            require(not graded, "The gradient is there, but the weights do not change: optimizer.step() is missing, or "
                                "comes before backward.")
            refuse(f"The loss is right, but the weights do not change. {_NO_GRADIENT}")
        added = _two_steps(before, X, y, settings, clears=False)[1]
        require(not close[0] or not torch.allclose(weights[1], added, rtol=1e-4, atol=1e-6), "The second step still "
                "holds the gradient of the first: call optimizer.zero_grad() before loss.backward().")
        factor = float((moved @ wanted) / (wanted @ wanted))
        if torch.allclose(moved, factor * wanted, rtol=1e-2, atol=1e-6) and not close[0]:
            require(factor > 0, "The step goes the wrong way: the weights move up the loss, not down.")
            refuse(f"The loss is right, but the step is {factor:.3g} times as long as it should be: zero_grad, "
                   "backward (from the mean loss) and optimizer.step() once each, and nothing else.")
        sizes = [p.numel() for p in before.parameters()]
        parts = zip(before.named_parameters(), weights[0].split(sizes), one.split(sizes), start.split(sizes))
        wrong = [(name, torch.equal(a, s)) for (name, _), a, b, s in parts if not torch.allclose(a, b, rtol=1e-4,
            atol=1e-6)]
        stuck = [name for name, is_stuck in wrong if is_stuck]
        require(not stuck, f"Some weights do not change: {', '.join(stuck[:4])}. All of the network is trained.")
        if settings.get("momentum"):
            refuse("The weights are right with plain SGD, but not with momentum: let the optimizer that is passed take "
                   "the step, with nothing of its settings written out.")
        where = f"{', '.join(name for name, _ in wrong[:4])}" if wrong else "the second step"
        refuse(f"The loss is right, but the weights are not what the optimizer makes of it (look at {where}): "
               "zero_grad, backward and step once each on the whole batch, and nothing else.")
