"""Of what a learner's result of exercises 0.1 to 1.3, 4.1, 4.3 and 5.2 is made."""
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from utils.checks.helpers import require
from utils.checks.tools.running import Learner, refuse
from utils.checks.tools.variants import as_numbers
from utils.data_utils import COEFFICIENTS, THRESHOLD

Blocks = list[list[int]]


def as_blocks(got: Any, example: str) -> Blocks:
    """What a learner's function returned as a list of lists of whole numbers, or WrongAnswer."""
    require(not hasattr(got, "__next__"),
            f"This is a {type(got).__name__}, which can be read only once: return a list.")
    require(not isinstance(got, (dict, set, str)), f"This is a {type(got).__name__}: return a list of blocks.{example}")
    require(hasattr(got, "__iter__") and getattr(got, "ndim", 2) > 0, f"This is one {type(got).__name__}: a list of "
            f"blocks is wanted.{example}")
    blocks: Blocks = []
    for block in got:
        require(not isinstance(block, slice), "These are slices: list the indices themselves, list(range(start, end))."
                + example)
        require(not isinstance(block, (set, dict, str)) and not hasattr(block, "__next__"), "A block is a "
                f"{type(block).__name__} here: make it a list, which has an order and can be read twice.{example}")
        require(hasattr(block, "__iter__") and getattr(block, "ndim", 1) > 0, "A list of blocks is wanted, each a "
                f"list of indices: one list in all came.{example}")
        items: list[Any] = [item.item() if isinstance(item,
                                           (np.generic, torch.Tensor)) and item.ndim == 0 else item for item in block]
        require(all(type(item) is int for item in items), "Indices must be whole numbers (int), not text, floats or "
                                                          "lists."
                + example)
        blocks.append(items)
    return blocks


def say_contents(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Of what each part of the result of 4.3 is made: so many times the base, so many times each source."""
    sentences: list[list[str]] = []
    for got, (base, sources, Q, blocks) in zip(gots, cases):
        if got.shape != tuple(base.shape) or not np.isfinite(got).all():
            return
        images, k = [base, *sources], len(blocks)
        free = [i for i in range(Q.shape[1]) if i not in sum(blocks, [])]
        parts = [(f"block {i} (directions {block})", Q[:, block], 1 + i) for i, block in enumerate(blocks)]
        parts += [("what is in no block", Q[:, free], 0)] if free else []
        outside = torch.linalg.qr(torch.cat([Q, torch.eye(Q.shape[0])], dim=1))[0][:, Q.shape[1]:Q.shape[0]]
        parts += [("what is orthogonal to Q", outside, 0)] if outside.shape[1] else []
        found = []
        for name, directions, owner in parts:
            columns = np.stack([(h @ directions).double().numpy().ravel() for h in images], axis=1)
            target = (torch.from_numpy(got) @ directions.double()).numpy().ravel()
            weights = np.linalg.lstsq(columns, target, rcond=None)[0]
            wanted = np.eye(1 + k)[owner]
            if len(target) <= 1 + k or np.allclose(columns @ weights, target, atol=1e-3):
                if not np.allclose(weights, wanted, atol=1e-3):
                    terms = [f"{round(w, 2):g} x {'base' if i == 0 else f'source {i - 1}'}"
                             for i, w in enumerate(weights.tolist()) if abs(w) > 1e-3]
                    right = "base" if owner == 0 else f"source {owner - 1}"
                    found.append(f"{name} holds {' + '.join(terms) or 'nothing'}, and should hold {right}")
            else:
                found.append(f"{name} holds no sum of coordinates of base and sources: is something cut, squared or "
                             "averaged on the way, or are other columns of Q taken")
        sentences.append(found)
    for (*_, blocks), found in zip(cases, sentences):
        if found:
            refuse(f"With the blocks {blocks}, {'; '.join(found[:2])}. {_meaning(found, len(blocks))}")


def _meaning(told: list[str], k: int) -> str:
    """The mistake behind what the parts hold."""
    text = "; ".join(told)
    if "no sum of" in text:
        return "Source i adds (h_sources[i] - h_base) @ Q_i @ Q_i.T."
    if all("orthogonal" in t or "no block" in t for t in told):
        return "What is in no block is the base's: add the changes to h_base."
    if "orthogonal to Q holds nothing" in text or "no block holds nothing" in text:
        return "What is orthogonal to the blocks is lost: add the changes to h_base."
    if all("holds 1 x base," in t for t in told):
        return ("This is h_base: nothing has been swapped." if len(told) == k else
                "A source leaves no trace: start from h_base once, go through all blocks, and return after the loop.")
    every = [f"1 x source {i}" for i in range(k)]
    if k > 1 and all(all(source in t.partition(", and should")[0] for source in every) for t in told):
        return "Each source sets all directions of Q here: source i sets those of blocks[i] alone, Q[:, blocks[i]]."
    if all("holds 1 x base + 1 x" in t for t in told):
        return "The base's own coordinates are still there: add those of h_source - h_base, not of h_source."
    if all("x base" not in t and "nothing" not in t for t in told):
        return "Source i sets blocks[i], and no other block."
    return "Source i sets its block in full: add (h_sources[i] - h_base) @ Q_i @ Q_i.T once, with a plus."


def say_pairs(gots: list[np.ndarray], cases: list[tuple]) -> None:
    """Of which kind the pairs are that 5.2 takes in wrongly, or leaves out."""
    for got, (base, source, v, t, d) in zip(gots, cases):
        require(got.shape != (), f"This is one number for all pairs: each of the {len(base)} needs its own.")
        require(got.shape != (len(base), 3) or set(np.unique(got)) <= {0, 1}, "These are labels: return True or False "
                "for each pair, not the pairs.")
        if got.shape != (len(base),):
            return
        change, others = source - base, [i for i in range(3) if i != v]
        near, far = np.abs(change[:, v]) <= t, np.abs(change[:, others]) >= d
        for message, which in (
            ("True comes for pairs that differ by more than `tolerance` in the variable", ~near & far.all(axis=1)),
            ("True comes for pairs in which one of the others differs by less than `distance`",
             near & (far.sum(axis=1) == 1)),
            ("True comes for pairs in which none of the others differs by `distance`", near & ~far.any(axis=1)),
            ("True comes for pairs that meet neither condition", ~near & ~far.all(axis=1)),
        ):
            require(not (got[which] != 0).any(), f"{message}, with tolerance {t:.4g} and distance {d:.4g}.")
        require(not (got[near & far.all(axis=1)] == 0).any(), "False comes for pairs that meet both conditions, with "
                                                              f"tolerance {t:.4g} and distance {d:.4g}.")


def say_rule(learner: Learner, args: Callable) -> None:
    """Raise WrongAnswer where answers to labels z (n, 3), asked for as ``learner(*args(z))``, do not follow the sum.

    Args:
        learner: the learner's function.
        args: from z to its arguments, of which each base and source is z, so that an intervention changes nothing.
    """
    rng = np.random.default_rng(8)
    z = rng.uniform(size=(60, 3))
    got = as_numbers(learner(*args(z)))
    if got.shape != (len(z),) or not set(np.unique(got)) <= {0.0, 1.0}:
        return
    back = as_numbers(learner(*args(z[::-1].copy())))
    for i in np.nonzero(back[::-1] != got)[0].tolist() if back.shape == got.shape else ():
        refuse(f"The same row gets another answer in another place (row {i} of {len(z)}, or row {len(z) - 1 - i}): "
               "each row counts for itself, from the first to the last.")
    sums, right = z @ np.array(COEFFICIENTS), z @ np.array(COEFFICIENTS) > THRESHOLD
    highest, lowest = (float(edge) for edge in (sums[got == 0].max(initial=-1), sums[got == 1].min(initial=2)))
    if lowest > highest and (got != right).any():
        refuse(f"Answers turn from 0 to 1 between the weighted sums {highest:.3f} and {lowest:.3f}: the threshold is "
               "0.6.")
    for i in np.nonzero(got != right)[0][:1].tolist():
        refuse(f"Not the weighted sum alone decides here. The row {z[i].round(2).tolist()} has the sum {sums[i]:.2f} "
               f"and so the answer {right[i]:.0f}, and gets {got[i]:.0f}: add up 0.4 times each label as it is, and "
               "compare.")
