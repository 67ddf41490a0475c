"""Checks of the exercises in notebook 3: each tries what a learner made and names the likely mistake."""
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from utils.checks.helpers import own_rng, require
from utils.checks.parts.joint import JOINT, WRONG_JOINT, WRONG_TWICE, joined
from utils.checks.parts.losses import entropy, name_loss
from utils.checks.parts.models import NetworkLearner, Watched
from utils.checks.parts.tables import require_table
from utils.checks.tools.running import Learner
from utils.checks.tools.variants import alike, as_numbers, examine, find_mistake
from utils.interventions.build import build_intervenable
from utils.model_utils import PyTorchCNN


@own_rng()
def check_joint_loss(f: Callable) -> str:
    """Exercise 3.1: ``f(swapped_logits, y_counterfactual, base_logits, y_base, weight)`` gives the loss, a scalar."""
    cases = []
    for n, w in ((7, 0.25), (5, 3.0), (9, 1.7), (4, 0.6)):
        answers = [torch.cat([torch.tensor([1.0, 0.0]), (torch.rand(n - 2) < share).float()]) for share in (0.7, 0.4)]
        logits = [(3 * torch.randn(n)).requires_grad_() for _ in range(2)]
        cases.append((logits[0], answers[0], logits[1], answers[1].flip(0), w))
    sizes = [f"{len(case[0])} pairs and weight {case[4]}" for case in cases]
    example, hints = "joint_loss(swapped_logits, y_counterfactual, base_logits, y_base, weight)", {
        "between 0 and 1": "F.binary_cross_entropy wants probabilities, and these are logits: use "
                           "F.binary_cross_entropy_with_logits.",
        "numpy\\(\\)|requires grad": "numpy ends the gradient: compute in torch.",
        "second time|does not require grad": "backward is called later, on what you return: only compute the loss.",
        "target size|Target size|size of tensor": "Logits and answers must have the same shape, (n,).",
        "Long|dtype|integer": "The answers are floats as they come: leave their type.",
    }
    plain: list[tuple[Any, ...]] = [tuple(
        x.detach().numpy().astype(float) if isinstance(x, torch.Tensor) else x for x in case) for case in cases]

    def also(gots: list) -> None:
        for wrong in WRONG_TWICE:
            message = find_mistake(gots, plain, joined, JOINT, wrong)
            require(not message, message)
        if any(got.shape for got in gots):
            return
        learner = Learner(f, example, hints)
        one, two = (float(joined(**{**JOINT, "mix": mix})(*plain[0])) for mix in (lambda a, b, w: a, lambda a, b, w: b))
        by_weight = np.array([[float(as_numbers(learner(*case[:4], w)).mean()) for case in cases]
                              for w in (0.0, 1.0, 2.5)])
        zero, unit, many = by_weight[:, 0].tolist()
        require(bool(by_weight[0].any()), "With weight 0 nothing is left: the weight belongs to the behavior part "
                                            "alone.")
        far, answers = torch.tensor([40.0, -40.0]), torch.tensor([0.0, 1.0])
        large = float(as_numbers(learner(far, answers, far, 1 - answers, 1.0)).mean())
        require(large > 39 or large < 1, f"For a logit of 40 against answer 0 the cross-entropy is 40, and yours is "
                f"{large:.3g}: are probabilities cut, or a small number added? F.binary_cross_entropy_with_logits "
                "takes logits of any size.")
        own = [np.mean(np.where(y == 1, w, 1) * entropy(z, y)) for _, _, z, y, w in plain]
        require(not alike([float(as_numbers(got).mean()) for got in gots],
                          [entropy(case[0], case[1]).mean() + each for case, each in zip(plain, own)], 1e-3),
                "The weight goes into the behavior part as pos_weight, which weighs its answers 1 alone: multiply the "
                "whole part by it.")
        names = example[example.index("(") + 1:].split(", ")[:4]
        for i, name in enumerate(names):
            changed = [x if j != i else 1 - x if j % 2 else x.detach() + 1 for j, x in enumerate(cases[0][:4])]
            other = [float(as_numbers(learner(*changed, w)).mean()) for w in (0.0, 1.0)]
            moves = abs(other[0] - zero) > 1e-4, abs(other[1] - other[0] - unit + zero) > 1e-4
            part = "interchange" if i < 2 else "behavior"
            require(moves[i // 2], f"The {part} part does not change with {name}: it compares {names[i // 2 * 2]} with "
                                   f"{names[i // 2 * 2 + 1]}.")
            require(not moves[1 - i // 2], f"The {'behavior' if i < 2 else 'interchange'} part changes with {name}, "
                                           f"which belongs to the {part} part alone.")
        if abs(many - zero - 2.5 * (unit - zero)) < 1e-3:
            for part, columns, losses in (("interchange", slice(0, 2), by_weight[0]),
                                          ("behavior", slice(2, 4), by_weight[1] - by_weight[0])):
                pairs: list[Any] = [case[columns] for case in plain]
                right = alike(losses, [entropy(*pair).mean() for pair in pairs], 1e-3)
                message = "" if right else name_loss(list(losses), pairs)
                require(not message, f"In the {part} part: {message}")
        require(abs(zero - one) < 1e-3, f"With weight 0 the interchange loss alone is left: {zero:.4g} comes in place "
                                        f"of {one:.4g}, the mean cross-entropy of swapped_logits and y_counterfactual.")
        require(abs(many - zero - 2.5 * (unit - zero)) < 1e-3, "The loss does not rise in proportion to the weight: "
                f"from weight 0 to 1 it rises by {unit - zero:.4g}, and to 2.5 by {many - zero:.4g}.")
        require(abs(unit - zero - two) < 1e-3, f"From weight 0 to 1 the loss should rise by {two:.4g}, the mean "
                                               "cross-entropy of base_logits and y_base, and it rises by "
                                               f"{unit - zero:.4g}: look at the behavior part.")

    examine(f, example, cases, sizes, lambda **parts: lambda *case: joined(**parts)(*(
        x.detach().numpy().astype(float) if isinstance(x, torch.Tensor) else x for x in case)), JOINT, WRONG_JOINT,
            hints=hints,
        also=also, most=1)
    for case in cases:
        _require_gradients(f, example, hints, case)
    return "Passed: the loss is right for four weights, and its gradient reaches both kinds of logits."


def _require_gradients(f: Callable, example: str, hints: dict[str, str], case: tuple) -> None:
    """What comes is a tensor from which the right gradients start."""
    swapped, y, base, y_base, w = case
    got = Learner(lambda: f(swapped, y.clone(), base, y_base.clone(), w), example, hints)()
    require(isinstance(got, torch.Tensor), f"Your function returned a {type(got).__name__}: return the tensor itself, "
                                           "without item or float, so that backward can start from it.")
    require(swapped.grad is None and base.grad is None, "Your function calls backward itself: return the loss, from "
                                                        "which it starts.")
    try:
        grads: Any = torch.autograd.grad(got, [swapped, base], allow_unused=True) if got.requires_grad else (None, None)
    except RuntimeError:
        grads = (None, None)
    right = torch.sigmoid(swapped) - y, w * (torch.sigmoid(base) - y_base)
    for part, grad, wanted in zip(("swapped_logits", "base_logits"), grads, right):
        require(grad is not None, f"The value is right, but no gradient reaches {part}: compute in torch, without "
                                  "detach, item or no_grad.")
        require(torch.allclose(grad, wanted / len(y), atol=1e-4), "The value is right, but the gradient that reaches "
                f"{part} is not that of the loss: is a part detached?")


@own_rng()
def check_parameters_to_train(f: Callable) -> str:
    """Exercise 3.2: ``f(intervenable, method)`` gives the optimizer's parameters for method "das" and "iit"."""
    for layer, sources, method in (("fc1", 2, "das"), ("fc1", 2, "iit"), ("fc1", 1, "iit"), ("fc1", 1, "das"), ("fc1",
            3, "das")):
        cnn = PyTorchCNN()
        if sources == 1:  # of the shape of another one
            cnn.register_parameter("offset", torch.nn.Parameter(torch.zeros(16)))
        intervenable = build_intervenable(cnn, layer, 1, num_sources=sources)
        network = {id(p): name for name, p in intervenable.model.named_parameters()}
        rotation = {id(p) for i in intervenable.interventions.values() for p in i.parameters()}
        watched, turned = Watched(intervenable.model), [p.detach().clone() for p in
            intervenable.get_trainable_parameters()]
        learner = NetworkLearner(f, "parameters_to_train(intervenable, method)", {
            "NoneType": "A method that works in place, as extend or update, gives None.", "KeyError":
            "intervenable.interventions is a "
            "dict: walk through its .values().", "concatenate list": "Turn .parameters() into a list first: list(...).",
            "truth value|Boolean value|size of tensor": "Tensors are compared by value with ==, in and set(list): keep "
                                                        "each once by id(p).",
            "no attribute": "intervenable.interventions is a dict of modules with .parameters(), intervenable.model "
                            "the network."})
        got = learner(intervenable, method)
        watched.require_untouched(frozen=False, modes=False)  # switching on gradients switches to train
        require(all(map(torch.equal, turned, intervenable.get_trainable_parameters())), "Your function changes the "
                "rotation: leave its values as they are.")
        _require_parameters(got, method, network, rotation)
        frozen = [name for name, p in intervenable.model.named_parameters() if not p.requires_grad]
        require(method == "iit" or len(frozen) == len(network), "'das' leaves the network as it is, but gradients are "
                "switched on for it: call enable_model_gradients() for 'iit' only.")
        require(method == "das" or not frozen, "No gradient reaches the network: pyvene froze it when it was wrapped. "
                                               "Call intervenable.enable_model_gradients() first.")
    return "Passed: 'das' trains the rotation alone, 'iit' rotation and network; the gradient reaches them all."


def _require_parameters(got: Any, method: str, network: dict[int, str], rotation: set[int]) -> None:
    """These are the parameters of rotation and network that the method trains, each once."""
    require(not isinstance(got, torch.Tensor), "Return a list of parameters, even if there is just one.")
    require(not isinstance(got, (dict, str, torch.optim.Optimizer)) and hasattr(got, "__iter__"), "This is a "
            f"{type(got).__name__}: return the list of parameters alone, without names; the optimizer is made of it "
            "later.")
    got = list(got)
    require(bool(got), f"There are no parameters for {method!r}: a generator that was used before is empty, so return "
                       "a list.")
    require(not any(isinstance(p, (list, dict, torch.nn.Module)) for p in got), "The list holds lists, dicts or "
            "modules: one plain list of parameters is wanted, so join them with + and take .parameters() of modules.")
    require(all(isinstance(p, torch.nn.Parameter) for p in got),
            "Not all are parameters (names, data, or results computed from parameters?): take them from .parameters().")
    ids = {id(p) for p in got}
    require(ids <= set(network) | rotation, "Some parameters are not those of this intervenable: were they copied?")
    missing = [name for key, name in network.items() if key not in ids]
    if method == "das":
        require(not ids & set(network) or bool(rotation & ids), "'das' trains the network here, and not the rotation: "
                "it is the other way round.")
        require(not ids & set(network), "'das' trains the network too: the network stays as it is, and only the "
                                        "rotation is trained.")
    require(rotation <= ids, f"The rotation is forgotten: {method!r} trains the interventions' parameters.")
    if method == "iit":
        require(len(missing) < len(network), "'iit' trains the network too: its parameters are missing.")
        require(not missing, f"'iit' trains all of the network, and some is missing: {', '.join(missing[:4])}. Are all "
                             "of intervenable.model.parameters() there, those of equal shape too?")
    require(len(ids) == len(got), "A parameter is in the list more than once: linked interventions share their "
                                  "rotation, so keep each parameter once.")
    require(all(p.requires_grad for p in got if id(p) in rotation), "No gradient reaches some of the parameters for "
            f"{method!r}: the rotation's requires_grad is False.")


def check_ablation(table: pd.DataFrame) -> str:
    """Exercise 3.3: a table of a row "baseline" and at least one more; columns iia, flip_iia, keep, behavior, n."""
    pairs = require_table(table)
    return f"Passed: {len(table)} settings, each measured on {pairs:,.0f} pairs or more."
