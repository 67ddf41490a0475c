"""Checks of the exercises in notebook 3: each tries what a learner made and names the likely mistake."""
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from utils.checks.helpers import bce, compare, own_rng, require, require_value
from utils.interventions.build import build_intervenable
from utils.model_utils import PyTorchCNN

MIN_PAIRS = 1_000


@own_rng()
def check_joint_loss(f: Callable) -> str:
    """Exercise 3.1: ``f(swapped_logits, y_counterfactual, base_logits, y_base, weight)`` gives the loss, a scalar."""
    y, y_base = torch.tensor([1.0, 0, 1, 1, 0, 1]), torch.tensor([0.0, 0, 1, 0, 1, 1])
    for w in (0.25, 3.0):
        swapped, base = (3 * torch.randn(2, 6)).unbind()
        inputs = [x.clone().requires_grad_() for x in (swapped, base)]
        got = f(inputs[0], y, inputs[1], y_base, w)
        a, b, a_base = bce(swapped, y), bce(base, y_base), bce(swapped, y_base)
        require_value(got)
        require(isinstance(got, torch.Tensor), f"Your function returned a {type(got).__name__}: return the tensor "
                "itself, without item or float, so that backward can start from it.")
        require(got.shape != (6,), "There is a loss for every pair: take the mean over the pairs.")
        twice, half = bce(torch.sigmoid(swapped), y), bce(torch.sigmoid(base), y_base)
        compare(got, a + w * b, {
            "The weight is not used: it multiplies the behavior part.": a + b,
            "The weight is on the interchange part: it belongs to the behavior part.": w * a + b,
            "The weight is on both parts: the interchange part counts once.": w * (a + b),
            "The behavior part is missing: add weight times the loss of base_logits against y_base.": a,
            "The interchange part is compared with y_base: its answers are in y_counterfactual.":
                (a_base + w * b, a_base + w * bce(base, y)),
            "The behavior part is compared with y_counterfactual: its answers are in y_base.": a + w * bce(base, y),
            "The sigmoid is taken twice: binary_cross_entropy_with_logits takes the logits as they are.":
                (twice + w * half, twice + w * b, a + w * half),
            "These are sums over the pairs: take the mean of each part.":
                (6 * (a + w * b), 6 * a + w * b, a + 6 * w * b),
            "This is a mixture, (1 - weight) and weight: the interchange part counts in full.": (1 - w) * a + w * b,
        }, weight=w, interchange=a, behavior=b)
        grads = torch.autograd.grad(got, inputs, allow_unused=True) if got.requires_grad else (None, None)
        for part, grad in zip(("swapped_logits", "base_logits"), grads):
            require(grad is not None, f"The value is right, but no gradient reaches {part}: compute in torch, without "
                    "detach, item or no_grad.")
    return "Passed: the loss is right for two weights, and its gradient reaches both kinds of logits."


@own_rng()
def check_parameters_to_train(f: Callable) -> str:
    """Exercise 3.2: ``f(intervenable, method)`` gives the optimizer's parameters for method "das" and "iit"."""
    for method in ("das", "iit"):
        intervenable = build_intervenable(PyTorchCNN(), "fc1", 1, num_sources=2)
        network = {id(p) for p in intervenable.model.parameters()}
        rotation = {id(p) for i in intervenable.interventions.values() for p in i.parameters()}
        got = f(intervenable, method)
        require_value(got)
        require(not isinstance(got, torch.Tensor), "Return a list of parameters, even if there is just one.")
        got = list(got)
        require(bool(got), f"There are no parameters for {method!r}: a generator that was used before is empty, so "
                "return a list.")
        require(all(isinstance(p, torch.nn.Parameter) for p in got),
                "Not all are parameters (names, or results computed from parameters?): take them from .parameters().")
        ids = {id(p) for p in got}
        require(ids <= network | rotation, "Some parameters are not those of this intervenable: were they copied?")
        require(method == "iit" or not ids & network,
                "'das' trains the network too: the network stays as it is, and only the rotation is trained.")
        require(rotation <= ids, f"The rotation is forgotten: {method!r} trains the interventions' parameters.")
        frozen = not all(p.requires_grad for p in intervenable.model.parameters())
        require(method == "das" or not frozen, "No gradient reaches the network: pyvene froze it when it was wrapped. "
                "Call intervenable.enable_model_gradients() first.")
        require(method == "das" or network <= ids, "'iit' trains the network too: its parameters are missing.")
        require(len(ids) == len(got), "A parameter is in the list more than once: linked interventions share their "
                "rotation, so keep each parameter once.")
        require(all(p.requires_grad for p in got), f"No gradient reaches some of the parameters for {method!r}: their "
                "requires_grad is False.")
    return "Passed: 'das' trains the rotation alone, 'iit' rotation and network; the gradient reaches them all."


def check_ablation(table: pd.DataFrame) -> str:
    """Exercise 3.3: a table of a row "baseline" and at least one more; columns iia, flip_iia, keep, behavior, n."""
    require(table is not None, "The table is None: is the last line of its cell an assignment?")
    require(isinstance(table, pd.DataFrame), f"A pandas DataFrame was expected, not a {type(table).__name__}.")
    shares = ["iia", "flip_iia", "keep", "behavior"]
    missing = [name for name in (*shares, "n") if name not in table.columns]
    require(not missing, f"Columns are missing: {', '.join(missing)}.")
    require(len(table) > 1 and any("baseline" in str(name).lower() for name in table.index), "The baseline is missing: "
            "without a row 'baseline', the unchanged setting, there is nothing to compare with.")
    figures = table[[*shares, "n"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    require(not np.isnan(figures).any(), "Some figures are NaN or text: was every setting measured?")
    require((figures[:, :4] >= 0).all() and (figures[:, :4] <= 1).all(),
            "Some shares lie outside [0, 1]: are they percentages?")
    require((figures[:, 4] >= MIN_PAIRS).all(), f"Some rows come from fewer than {MIN_PAIRS:,} pairs: the interval is "
            "then wider than most differences.")
    require(len(np.unique(figures[:, [0, 1, 3]], axis=0)) == len(table),
            "Two rows are identical: did the change reach the training?")
    return f"Passed: {len(table)} settings, each measured on {figures[:, 4].min():,.0f} pairs or more."
