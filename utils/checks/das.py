"""Checks of the exercises in notebook 2: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks.helpers import noise_images, own_rng, require
from utils.checks.parts.bases import require_bases
from utils.checks.parts.models import NetworkLearner, Watched
from utils.checks.parts.swaps import COORDINATES, ROTATED, WRONG_ROTATED, rotated, say_put, swaps
from utils.checks.tools.running import refuse, tidy
from utils.checks.tools.variants import RESULTS, Wrong, alike, as_numbers, examine, find_mistake
from utils.interventions.rotated_space import CNNConfig, pv
from utils.model_utils import LAYER_SIZES, PyTorchCNN


_went_on: dict[str, torch.Tensor] = {}  # the layers' outputs in the last run, hooks included


class _ShortcutCNN(PyTorchCNN):
    """Image and layers also reach the answer past the later layers, so it tells which layer came from the source."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        past = 0.5 * x.flatten(1).mean(1, keepdim=True)
        for layer in LAYER_SIZES:
            x = getattr(self, layer)(x.flatten(1) if layer == "fc1" else x)
            _went_on[layer] = x.detach()
            past = past + torch.tanh(5 * x.flatten(1)[:, ::3].mean(1, keepdim=True))
            x = F.relu(F.max_pool2d(x, 2) if layer in ("conv1", "conv2") else x)
        return self.fc2(x) + past


_SWAP_HINTS = {
    "KeyError: <class": "Use forward hooks of plain PyTorch, register_forward_hook: pyvene comes in the next exercise.",
    "must match|Expected|expected|shapes|size mismatch|invalid for input|stack": "What is put in place has another "
            "shape than the layer's output: does the kept output come from the same "
            "layer, and is it the output, whole?",
    "no attribute 'layer'": "`layer` is a name, a string: getattr(model, layer) is the module.",
    "'str' object": "`layer` is a name, a string: getattr(model, layer) is the module.",
    "Tensor.*not callable|returned": "A hook takes (module, inputs, output), and returns None or the new output.",
    "positional argument": "A hook takes (module, inputs, output).",
}


@own_rng()
def check_swap_layer(f: Callable) -> str:
    """Exercise 2.1: ``f(model, layer, X_base, X_source)`` gives the base's logits with the source's layer."""
    learner = NetworkLearner(f, "swap_layer(model, layer, X_base, X_source)", _SWAP_HINTS)
    model, gots, cases, sizes, put = _ShortcutCNN(), [], [], [], []
    for layer, n in (("conv2", 3), ("conv1", 2), ("fc1", 3), ("conv3", 2), ("fc1", 4)):
        model = _ShortcutCNN() if layer == "conv3" else model
        X_base, X_source = noise_images(2 * n)[torch.randperm(2 * n)].view(2, n, 1, 28, 28)
        model.train(layer in ("conv1", "conv3"))
        watched = Watched(model)
        got = learner(model, layer, X_base, X_source)
        watched.require_untouched()
        put.append([_went_on[layer]])
        for X in (X_source, X_base):
            with torch.no_grad():
                model(X)
            put[-1].append(_went_on[layer])
        got = as_numbers(got)
        require(got.shape != (n,), f"Your result has shape ({n},): the logits are asked as model(X_base) gives them, "
                                   f"(n, 1) = ({n}, 1), in just this shape.")
        require(got.shape == (n, 1), f"Your result has shape {got.shape}, with {n} pairs: the logits have shape (n, 1) "
                                     f"= ({n}, 1).")
        require(layer != "conv2" or alike(got, as_numbers(learner(model, layer, X_base, X_source))), "Called twice "
                "with the same arguments, your function gives two results: does it keep something between calls, in a "
                "global or in a default that is a list?")
        gots.append(got)
        cases.append((swaps(model, layer, X_base, X_source),))
        sizes.append(f"{layer} and {n} pairs")
    rights = [case[""]() for case, in cases]
    if not all(map(alike, gots, rights)):
        known = [*(Wrong("which", name, name) for name in cases[0][0] if name),
                 Wrong("result", "These are probabilities: return the logits, as model(X) does.", lambda x: 1 / (1 +
                     np.exp(-x))),
                 Wrong("result", "A softmax over one logit is 1, whatever it is: return the logits as they come.",
                       np.ones_like),
                 Wrong("result", "The largest of one logit is number 0, whatever it is: return the logits themselves.",
                       np.zeros_like), *(Wrong("result", *result) for result in RESULTS)]
        message = find_mistake(gots, cases, lambda which, result: lambda case: result(case[which]()),
                               {"which": "", "result": lambda x: x}, known, 1)
        require(not message, message)
        off = [i for i, (got, right) in enumerate(zip(gots, rights)) if not alike(got, right)]
        for name in cases[0][0]:
            found = all(alike(gots[i], cases[i][0][name]()) for i in off)
            require(not found, f"With {sizes[off[0]]}: {name}")
        say_put(put[off[0]], sizes[off[0]])
    return "Passed: in test networks with shortcuts past every layer, the swap is right at all four layers."


_PYVENE_HINTS = {
    "'str' object is not callable": "intervention_types is the class itself, pv.VanillaIntervention, without quotes.",
    "hook_type": "The component ends with .output: f\"{layer}.output\".",
    "attribute 'mode'|CNNConfig|config": "Configuration first, then the model: pv.IntervenableModel(config, model).",
    "unexpected keyword": "pv.IntervenableConfig takes representations=[{\"component\": ...}] and "
                          "intervention_types=...",
    "KeyError|no attribute|component|split|not supported|NoneType": "The component is the layer's name with .output "
            "after it, f\"{layer}.output\", and intervention_types is the class pv.VanillaIntervention.",
    "": "config = pv.IntervenableConfig(representations=[{\"component\": f\"{layer}.output\"}], "
        "intervention_types=pv.VanillaIntervention).",
}


def _require_one_swap(got: Any, layer: str) -> None:
    """Raise WrongAnswer unless this is a pyvene model with one interchange of the layer's output."""
    require(not isinstance(got, pv.IntervenableConfig), "This is the configuration: return "
                                                        "pv.IntervenableModel(config, model).")
    require(not isinstance(got, (list, tuple, dict)), "A pyvene IntervenableModel was expected, not a "
                                                      f"{type(got).__name__} that holds something: return the model "
                                                      "itself.")
    require(isinstance(got, pv.IntervenableModel), "A pyvene IntervenableModel was expected, not a "
                                                   f"{type(got).__name__}.")
    require(len(got.interventions) > 0, "There is no intervention: representations=[{\"component\": ...}] needs one.")
    require(len(got.interventions) == 1, f"There are {len(got.interventions)} representations: one is enough.")
    component = next(iter(got.representations.values())).component
    require(component != f"{layer}.input", "This is the layer's input: the component is its output, "
                                           "f\"{layer}.output\".")
    require(component == f"{layer}.output", f"The component is '{component}': '{layer}.output' was asked for, "
                                            f"f\"{{layer}}.output\".")
    kind = type(next(iter(got.interventions.values())))
    require(issubclass(kind, pv.VanillaIntervention), f"The intervention is {kind.__name__}: to swap the whole layer, "
                                                      "use pv.VanillaIntervention.")


@own_rng()
def check_make_intervenable(f: Callable) -> str:
    """Exercise 2.2: ``f(model, layer)`` gives a pyvene model with one VanillaIntervention on the layer's output."""
    learner = NetworkLearner(f, "make_intervenable(model, layer)", _PYVENE_HINTS, "to swap the whole layer, use "
            "pv.VanillaIntervention, which has nothing random; a rotation has.")
    for layer in ("fc1", "conv3", "conv2", "conv1"):  # the smallest first
        X_base, X_source = noise_images(8)[torch.randperm(8)].view(2, 4, 1, 28, 28)
        model = PyTorchCNN()
        model.config = CNNConfig()  # type: ignore[assignment]  # pyvene wants one
        watched = Watched(model)
        got = learner(model, layer)
        _require_one_swap(got, layer)
        watched.require_untouched(frozen=False, modes=False)  # pyvene freezes, and switches to eval
        try:
            answer = got({"x": X_base}, [{"x": X_source}])[1]
        except Exception as error:
            refuse(f"The model that you return cannot be run at {layer}: {type(error).__name__}: "
                   f"{tidy(str(error), 120)}. Is all of the layer's output swapped, without a position or a part?")
        plain = np.asarray(got.model(X_base).detach())
        require(alike(as_numbers(answer), as_numbers(model(X_source)), 1e-3), "The model that you return does not swap "
                "the whole "
                f"output of {layer}: its answer to X_base " + ("is what it was without an intervention." if alike(
                    as_numbers(answer), plain) else "is not what the source's layer gives. Is a part of the layer "
                                                    "chosen, or the network changed?"))
        watched.require_untouched(frozen=False, modes=False)  # pyvene freezes, and switches to eval
    return "Passed: at each of the four layers the pyvene model swaps the whole output."


@own_rng()
def check_rotated_swap(f: Callable) -> str:
    """Exercise 2.3: ``f(h_base (n, d), h_source (n, d), Q (d, k))`` swaps the coordinates along the columns of Q."""
    cases = [(torch.randn(n, d) + 0.5, torch.randn(n, d), torch.linalg.qr(torch.randn(d, k))[0])
             for n, d, k in ((5, 6, 2), (3, 7, 3), (4, 8, 1), (6, 6, 4), (3, 3, 3), (1, 5, 2))]
    sizes = [f"{b.shape[0]} pairs, d = {b.shape[1]} and k = {Q.shape[1]}" for b, _, Q in cases]

    def also(gots: list[np.ndarray]) -> None:
        for message, way in COORDINATES:
            require(not all(alike(got, way(*case)) for got, case in zip(gots, cases)), message)
        Q, got = cases[0][2].numpy().astype(float), gots[0]
        change = got - cases[0][0].numpy() if got.shape == (5, 6) else None
        require(change is None or not np.isfinite(change).all() or alike(change @ Q @ Q.T, change, 1e-3), "What is "
                "orthogonal to Q changes too: add to h_base a change along the columns of Q only, (...) @ Q @ Q.T.")
        require(change is None or alike(got @ Q, got @ Q * 0, 1e-3) or not alike(change @ Q @ Q.T, change, 1e-3) or
                alike(
            got @ Q, cases[0][1].numpy() @ Q, 1e-3), "What is orthogonal to Q stays, as it should, but the coordinates "
                                                     "along Q are not those of the source: (h_source - h_base) @ Q is "
                                                     "what must be added to them.")

    examine(f, "rotated_swap(h_base, h_source, Q)", cases, sizes, rotated, ROTATED, WRONG_ROTATED, also=also, hints={
        "size|shape|dimension|1D|align|broadcast": "The shapes do not fit: h @ Q gives the coordinates (n, k), and "
                                                   "only coordinates @ Q.T are back in the layer's (n, d)."})
    return "Passed: for six sizes, the coordinates along Q come from the source, the rest from the base."


@own_rng()
def check_orthonormal_directions(f: Callable) -> str:
    """Exercise 2.4: ``f(weight (d, k))`` gives orthonormal columns that span what the weight spans, differentiably."""
    require_bases(f)
    return "Passed: the columns are orthonormal, span the same space, and pass the gradient on to the weight."
