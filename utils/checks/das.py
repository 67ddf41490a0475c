"""Checks of the exercises in notebook 2: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks.helpers import as_array, call, compare, noise_images, own_rng, require, require_value
from utils.interventions.rotated_space import CNNConfig, pv
from utils.model_utils import LAYER_SIZES, PyTorchCNN


class _ShortcutCNN(PyTorchCNN):
    """Image and layers also reach the answer past the later layers, so it tells which layer came from the source."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        past = 0.5 * x.flatten(1).mean(1, keepdim=True)
        for layer in LAYER_SIZES:
            x = getattr(self, layer)(x.flatten(1) if layer == "fc1" else x)
            past = past + torch.tanh(5 * x.flatten(1)[:, ::3].mean(1, keepdim=True))
            x = F.relu(F.max_pool2d(x, 2) if layer in ("conv1", "conv2") else x)
        return self.fc2(x) + past


def _swap(model: PyTorchCNN, layer: str, X_base: torch.Tensor, X_source: torch.Tensor) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    for X, hook in ((X_source, lambda *args: kept.append(args[2])), (X_base, lambda *args: kept[0])):
        handle = getattr(model, layer).register_forward_hook(hook)
        output = model(X).detach()
        handle.remove()
    return output


@own_rng()
def check_swap_layer(f: Callable) -> str:
    """Exercise 2.1: ``f(model, layer, X_base, X_source)`` gives the base's logits with the source's layer."""
    model, (X_base, X_source) = _ShortcutCNN(), noise_images(8).view(2, 4, 1, 28, 28)
    for layer in LAYER_SIZES:
        training = layer in ("conv1", "conv3")
        got = f(model.train(training), layer, X_base.clone(), X_source.clone())
        require_value(got)
        require(not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules()),
                "A hook stays on the model after your function: call handle.remove() on every handle.")
        require(model.training == training, "Your function leaves the model in another mode (train or eval) than it "
                "was in: put the mode back.")
        expected = _swap(model, layer, X_base, X_source)
        got = as_array(got)
        compare(got[:, None] if got.ndim == 1 else got, expected, {
            "Nothing has changed, this is the answer to X_base: does the hook return the source's output?":
                model(X_base),
            "Base and source are swapped: run X_base, with the layer's output from X_source.":
                _swap(model, layer, X_source, X_base),
            "This is the answer to X_source alone: run X_base, and replace the one layer's output.": model(X_source),
            "These are probabilities: return the logits, as model(X) does.": torch.sigmoid(expected),
        } | {f"The hook sits on {other}, but {layer} was asked for.": _swap(model, other, X_base, X_source)
             for other in LAYER_SIZES}, pair=np.arange(4))
    return "Passed: in a test network with shortcuts past every layer, the swap is right at all four layers."


@own_rng()
def check_make_intervenable(f: Callable) -> str:
    """Exercise 2.2: ``f(model, layer)`` gives a pyvene model with one VanillaIntervention on the layer's output."""
    X_base, X_source = noise_images(8).view(2, 4, 1, 28, 28)
    for layer in LAYER_SIZES:
        model = PyTorchCNN()
        model.config = CNNConfig()  # type: ignore[assignment]  # pyvene wants one
        got = f(model, layer)
        require_value(got)
        require(not isinstance(got, pv.IntervenableConfig),
                "This is the configuration: return pv.IntervenableModel(config, model).")
        require(isinstance(got, pv.IntervenableModel),
                f"A pyvene IntervenableModel was expected, not a {type(got).__name__}.")
        require(len(got.interventions) == 1, f"There are {len(got.interventions)} representations: one is enough.")
        component = next(iter(got.representations.values())).component
        require(component != f"{layer}.input", f"This is the layer's input: the component is '{layer}.output'.")
        require(component == f"{layer}.output", f"The component is '{component}': '{layer}.output' was asked for.")
        kind = type(next(iter(got.interventions.values())))
        require(issubclass(kind, pv.VanillaIntervention), f"The intervention is {kind.__name__}: to swap the whole "
                "layer, use pv.VanillaIntervention.")
        compare(got({"x": X_base}, [{"x": X_source}])[1], model(X_source), {})
    return "Passed: at each of the four layers the pyvene model swaps the whole output."


@own_rng()
def check_rotated_swap(f: Callable) -> str:
    """Exercise 2.3: ``f(h_base (n, d), h_source (n, d), Q (d, k))`` swaps the coordinates along the columns of Q."""
    base, source = torch.randn(2, 5, 6)
    Q = torch.linalg.qr(torch.randn(6, 2))[0]
    P = Q @ Q.T
    try:
        got = call(f, base, source, Q)
    except RuntimeError as error:
        require("size of tensor" not in str(error) and "shapes" not in str(error), "The shapes do not fit: h @ Q gives "
                "the coordinates (n, k), and only coordinates @ Q.T are back in the layer's (n, d).")
        raise
    compare(got, base + (source - base) @ P, {
        "Base and source are swapped: the base keeps all but its coordinates along Q.": source + (base - source) @ P,
        "What is orthogonal to Q is lost: add the change, (h_source - h_base) @ Q @ Q.T, to h_base.":
            (source @ P, (source - base) @ P),
        "These are coordinates (n, k): rotate back into the layer with @ Q.T.": (source @ Q, (source - base) @ Q),
        "This is the whole h_source: only its coordinates along Q should be taken.": source,
        "This is h_base: nothing has been swapped.": base,
        "The base's own coordinates are still there: add those of h_source - h_base, not of h_source.":
            base + source @ P,
    }, h_base=base, h_source=source)
    return "Passed: the coordinates along 2 of 6 directions come from the source, the rest from the base."


@own_rng()
def check_orthonormal_directions(f: Callable) -> str:
    """Exercise 2.4: ``f(weight (d, k))`` gives orthonormal columns that span what the weight spans, differentiably."""
    weight = torch.randn(6, 3).requires_grad_()
    got = f(weight)
    Q = torch.from_numpy(as_array(got)).float()
    require(Q.shape != (6, 6), "This is a full (d, d) matrix: only k columns are wanted, as from mode='reduced'.")
    require(Q.shape == (6, 3), f"Your result has shape {tuple(Q.shape)}; (d, k) = (6, 3) was expected.")
    length_one = torch.allclose(Q.norm(dim=0), torch.ones(3), atol=1e-4)
    require(torch.allclose(Q.T @ Q, torch.eye(3), atol=1e-4), "The columns have length 1, but they are not orthogonal "
            "to one another." if length_one else "The columns are not orthonormal: Q.T @ Q should be the identity.")
    require(torch.allclose(Q @ (Q.T @ weight), weight, atol=1e-3),
            "The columns are orthonormal, but they span another space than those of the weight.")
    reaches = isinstance(got, torch.Tensor) and got.requires_grad
    if reaches:
        (got * torch.randn(6, 3)).sum().backward()
    require(reaches and weight.grad is not None and bool(weight.grad.any()),
            "No gradient reaches the weight: do it all in torch, without detach, data, numpy or no_grad.")
    return "Passed: the columns are orthonormal, span the same space, and pass the gradient on to the weight."
