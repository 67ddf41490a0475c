"""Checks of the exercises in notebook 4: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable, Sequence

import numpy as np
import torch

from utils.checks.helpers import WrongAnswer, call, compare, own_rng, require, require_draws, require_value


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
