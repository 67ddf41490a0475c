"""Checks of the exercises in notebooks 3 and 4: each tries what a learner made and names the likely mistake."""
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from utils.checks.helpers import WrongAnswer, bce, call, compare, own_rng, require, require_draws, require_value
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


def check_partition(f: Callable) -> str:
    """Exercise 4.1: ``f(directions, num_sources)`` gives each source its block of a shared basis: lists of indices."""
    for d, k in ((6, 3), (4, 2), (1, 3)):
        got = f(d, k)
        require_value(got)
        example = f" For directions={d}, num_sources={k}, yours is {got}."
        try:
            blocks = [[int(i) for i in block] for block in got]
        except TypeError as error:
            raise WrongAnswer(f"A list of blocks is wanted, each a list of indices.{example}") from error
        expected = [list(range(i * d, (i + 1) * d)) for i in range(k)]
        if blocks == expected:
            continue
        share = [list(range(i * (d // k), (i + 1) * (d // k))) for i in range(k)]
        indices = sum(blocks, [])
        for condition, message in [
            (blocks == [[i * d, (i + 1) * d] for i in range(k)],
             "These are the bounds [start, end) of the blocks: list the indices themselves."),
            (blocks == share, "The directions are divided among the sources: each source has `directions` of its own."),
            (len(blocks) != k, f"The number of blocks is {len(blocks)}: each of the {k} sources needs one."),
            (k > 1 and all(b == blocks[0] for b in blocks),
             "All sources have the same block: the last one would overwrite the others."),
            (len(set(indices)) < len(indices), "Blocks overlap: no direction may belong to two sources."),
            (blocks == expected[::-1], "The blocks are in reverse order: source 0 has the first block."),
            ([sorted(b) for b in blocks] == expected, "The directions are the right ones, but within "
             "a block they are not in ascending order."),
        ]:
            require(not condition, message + example)
        raise WrongAnswer(f"Not right yet: {expected} was expected.{example}")
    return "Passed: the blocks are disjoint, complete and in order for three sizes."


def check_draw_tuples(f: Callable) -> str:
    """Exercise 4.2: ``f(n, num_images, num_sources, rng)`` draws base (n,) and sources (num_sources, n), integers."""
    require_draws(f, 20, 30, 3)
    return "Passed: the draws of base and three sources stay in range, differ and follow the generator."


def _swap_blocks(base: torch.Tensor, sources: torch.Tensor, Q: torch.Tensor, blocks: Sequence) -> torch.Tensor:
    return base + sum((h - base) @ Q[:, block] @ Q[:, block].T for h, block in zip(sources, blocks))


@own_rng()
def check_multi_swap(f: Callable) -> str:
    """Exercise 4.3: ``f(h_base (n, d), h_sources (k, n, d), Q (d, m), blocks)`` swaps block i from source i."""
    Q = torch.linalg.qr(torch.randn(8, 6))[0]
    for blocks in ([[0, 1, 2], [3, 4, 5]], [[0], [1], [2]], [[4, 5], [0, 1]]):
        base, *drawn = torch.randn(1 + len(blocks), 5, 8)
        k, sources, all_six = len(blocks), torch.stack(drawn), list(range(6))
        right = _swap_blocks(base, sources, Q, blocks)
        projected = right - _swap_blocks(base, torch.zeros_like(sources), Q, blocks)
        mistakes = {
            "All blocks come from the first source: this is single-source data for a multi-source model.":
                [(sources[[0] * k], blocks), (sources[:1], [all_six])],
            "The last source wins: it sets every block. Source i sets blocks[i] alone.":
                [(sources[[-1] * k], blocks), (sources[-1:], [all_six])],
            "All sources write to the same block: source i sets blocks[i].": [(sources, [b] * k) for b in blocks],
            "The sources are in the wrong order: source i sets blocks[i].": [(sources.flip(0), blocks)],
            "Only the last source leaves a trace: start from h_base once, not anew for each source.":
                [(sources[-1:], blocks[-1:])],
            "Only the first source leaves a trace: is there a return inside the loop?": [(sources[:1], blocks[:1])],
        }
        compare(call(f, base, sources, Q, blocks), right, {
            message: tuple(_swap_blocks(base, s, Q, b) for s, b in wrong) for message, wrong in mistakes.items()
        } | {
            "The base's own coordinates are still there: add those of h_source - h_base, not of h_source.":
                base + projected,
            "What is orthogonal to the blocks is lost: add the changes to h_base.": (projected, right - base),
            "This is the mean over the sources: each source sets its block in full.": base + (right - base) / k,
            "This is h_base: nothing has been swapped.": base,
        }, h_base=base)
    return "Passed: for three partitions each source sets its own block of the basis; the rest is the base's."


def check_correlations(f: Callable) -> str:
    """Exercise 4.4: ``f(coordinates (n, k), labels (n, 3))`` gives the absolute correlations (k, 3)."""
    rng = np.random.default_rng(0)
    labels = rng.uniform(size=(200, 3))
    for k in (3, 2):
        x = 3 * labels @ rng.normal(size=(3, k)) + rng.normal(size=(200, k))
        whole, covariance = np.corrcoef(x.T, labels.T), np.cov(x.T, labels.T)[:k, k:]
        signed = whole[:k, k:]
        compare(call(f, x, labels), np.abs(signed), {
            "The table is transposed: a row for each direction, a column for each variable.":
                (np.abs(signed.T), signed.T),
            "The sign is still there: take the absolute value.": signed,
            "This is the whole matrix of corrcoef: only the block of directions against variables is wanted.":
                (whole, np.abs(whole)),
            "This is the correlation of the directions with one another: take the block beside it, [:k, k:].":
                (whole[:k, :k], np.abs(whole[:k, :k])),
            "These are covariances: divide by both standard deviations, as np.corrcoef does.":
                (covariance, np.abs(covariance)),
        })
    return "Passed: the absolute correlations are right for three directions and for two."
