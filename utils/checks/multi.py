"""Checks of the exercises in notebook 4: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from utils.checks.helpers import own_rng, require
from utils.checks.known.correlations import CORRELATION, WRONG_CORRELATIONS, correlating
from utils.checks.tools.contents import Blocks, as_blocks, say_contents
from utils.checks.tools.draws import require_uniform_draws
from utils.checks.tools.running import Learner, refuse
from utils.checks.tools.variants import Wrong, alike, as_numbers, examine, find_mistake


def check_partition(f: Callable) -> str:
    """Exercise 4.1: ``f(directions, num_sources)`` gives each source its block of a shared basis: lists of indices."""
    cases = [(4, 2), (1, 3), (3, 1), (5, 4), (2, 5), (6, 3), (1, 1), (11, 13)]
    learner = Learner(f, "partition(directions, num_sources)")

    def blocks_of(d: int, k: int) -> tuple[Blocks, str]:
        got = learner(d, k)
        shown = f"{got}" if len(f"{got}") < 100 else f"{got}"[:97] + "..."
        example = f" For directions={d}, num_sources={k}, yours is {shown}."
        return as_blocks(got, example), example

    gots, examples = zip(*(blocks_of(*case) for case in cases))
    require(blocks_of(*cases[0])[0] == gots[0], "Called twice with the same arguments, your function gives two "
                                                "results: does it keep a list between calls, in a default or in a "
                                                "global?")

    def build(count: Callable, start: Callable, end: Callable, step: int, block: Callable, whole: Callable) -> Callable:
        return lambda d, k: whole([block(list(range(start(i, d, k), end(start(i, d, k), i, d, k), step)), d)
                                   for i in range(count(d, k))])

    share = "The directions are divided among the sources: each source has `directions` of its own."
    swapped = "`directions` and `num_sources` are exchanged: one block for each source, with `directions` indices."
    first = "Block i starts at i * directions."
    right: dict[str, Any] = {"count": lambda d, k: k, "start": lambda i, d, k: i * d, "end": lambda start, i, d,
                             k: start + d,
             "step": 1,
             "block": lambda b, d: b, "whole": lambda b: b}
    message = find_mistake(gots, cases, build, right, [
        Wrong("block", "These are the bounds [start, end) of the blocks: list the indices themselves.",
              lambda b, d: [b[0], b[0] + d]),
        Wrong("block", "These are the first and the last index of each block: list all of them.", lambda b,
              d: [b[0], b[-1]]),
        Wrong("block", "Each block holds its first index alone: list `directions` of them.", lambda b, d: b[:1]),
        Wrong("block", "Within a block, the directions are not in ascending order.", lambda b, d: b[::-1]),
        Wrong("block", "Each block repeats one index: list `directions` different ones.", lambda b, d: b[:1] * d),
        Wrong("block", "Each block repeats the number of its source: list the directions.", lambda b,
              d: [b[0] // d] * d),
        Wrong("whole", "The blocks are in reverse order: source 0 has the first block.", lambda b: b[::-1]),
        Wrong("whole", "All sources have the same block: the last one would overwrite the others.",
              lambda b: b[:1] * len(b)),
        Wrong("whole", "All sources have the same block: the last one would overwrite the others.",
              lambda b: b[-1:] * len(b)),
        Wrong("whole", "The last block is missing.", lambda b: b[:-1]), Wrong("whole", "The first block is missing.",
                                                                             lambda b: b[1:]),
        Wrong("whole", "An empty block stands at the end.", lambda b: [*b, []]),
        Wrong("whole", "The blocks are all in one: one block for each source.", lambda b: [sum(b, [])]),
        Wrong("whole", "Each index is a block of its own here.", lambda b: [[i] for i in sum(b, [])]),
        Wrong("count", swapped, lambda d, k: d), Wrong("start", swapped, lambda i, d, k: i * k),
        Wrong("end", swapped, lambda start, i, d, k: start + k),
        Wrong("end",
              "The end of range is not part of it: block i ends before (i + 1) * directions. Yours is one short.",
              lambda start, i, d, k: start + d - 1),
        Wrong("end", "Blocks overlap: block i ends before (i + 1) * directions. Yours is one too long.",
              lambda start, i, d, k: start + d + 1),
        Wrong("end", "Block i ends before (i + 1) * directions.", lambda start, i, d, k: d),
        Wrong("end", "Block i ends before (i + 1) * directions; yours reach to the end.", lambda start, i, d, k: d * k),
        Wrong("start", "Block i starts at i * directions; yours start at 0.", lambda i, d, k: 0),
        Wrong("start", "The blocks start at 1: indices begin with 0.", lambda i, d, k: i * d + 1),
        Wrong("start", f"{first} Yours start at i, so that they overlap.", lambda i, d, k: i),
        Wrong("start", f"{first} Yours is one block further.", lambda i, d, k: (i + 1) * d),
        Wrong("start", f"{first} Yours starts one before.", lambda i, d, k: i * d - 1),
        Wrong("start", f"{first} Yours leaves gaps.", lambda i, d, k: i * (d + 1)),
        Wrong("start", f"{first} Yours overlap.", lambda i, d, k: i * (d - 1)),
        Wrong("start", share, lambda i, d, k: i * (d // k)), Wrong("end", share, lambda start, i, d, k: start + d // k),
        Wrong("start", "The directions are dealt in turn, i, i + num_sources and so on: each block is a run.",
              lambda i, d, k: d * k if i >= k else i), Wrong("step", "Every second index is left out.", 2),
        *(Wrong("count", f"The number of sources is written out ({n}): there are num_sources blocks.", lambda d, k,
                n=n: n)
          for n in (2, 3)),
        *(Wrong("end", f"The size of a block is written out ({n}): it is `directions`.",
                lambda start, i, d, k, n=n: start + n) for n in (2, 3)),
        *(Wrong("start", f"The size of a block is written out ({n}): it is `directions`.", lambda i, d, k, n=n: i * n)
          for n in (2, 3)),
        Wrong("count", "There is one block too many.", lambda d, k: k + 1), Wrong("count", "One block is missing.",
                                                                                 lambda d, k: k - 1),
    ], fits=lambda a, b: a == b)
    for (d, k), blocks, example in zip(cases, gots, examples):
        expected, indices = build(**right)(d, k), [i for block in blocks for i in block]
        if blocks == expected:
            continue
        one, of_all = [b for b in blocks if len(b) != d], set(range(d * k))
        for condition, text in [
            (blocks == [[i * d, (i + 1) * d] for i in range(k)] and d > 2, "These are the bounds [start, end) of the "
                    "blocks."),
            (bool(message), message), (blocks == [list(range(i, d * k, k)) for i in range(k)] and d > 1,
                                       "The directions are dealt in turn, i, i + num_sources and so on: each block is "
                                       "a run."),
            (len({str(case) for case in gots}) == 1, "Your blocks are the same for all arguments: compute them."),
            (len(blocks) != k, f"The number of blocks is {len(blocks)}: each of the {k} sources needs one."),
            (k > 1 and all(b == blocks[0] for b in blocks), "All sources have the same block: the last one would "
                                                            "overwrite the others."),
            (len(set(indices)) < len(indices),
             "Blocks overlap: no direction may belong to two sources, or come twice."),
            (bool(one), f"A block has {len(one[0]) if one else 0} directions: each has {d}, `directions`."),
            (set(indices) != of_all, f"Directions {sorted(of_all - set(indices))[:5]} are in no block, and "
                                     f"{sorted(set(indices) - of_all)[:5]} should be in none."),
            ([sorted(b) for b in blocks] == expected, "The directions are the right ones, but within a block they are "
                                                      "not in ascending order."),
            ([sorted(b) for b in blocks[::-1]] == expected, "The blocks are in reverse order: source 0 has the first "
                                                            "block."),
        ]:
            if condition:
                refuse(text + example)
        refuse(f"Each block should be a run of directions, block i from i * directions on.{example}")
    return f"Passed: the blocks are disjoint, complete and in order for {len(cases)} sizes."


def check_draw_tuples(f: Callable) -> str:
    """Exercise 4.2: ``f(n, num_images, num_sources, rng)`` draws base (n,) and sources (num_sources, n), integers."""
    require_uniform_draws(f, "draw_tuples(n, num_images, num_sources, rng)")
    return "Passed: base and sources are uniform, independent of one another, and follow the generator."


def _swap_blocks(base: torch.Tensor, sources: torch.Tensor, Q: torch.Tensor, blocks: Sequence) -> torch.Tensor:
    return base + sum((h - base) @ Q[:, block] @ Q[:, block].T for h, block in zip(sources, blocks))


@own_rng()
def check_multi_swap(f: Callable) -> str:
    """Exercise 4.3: ``f(h_base (n, d), h_sources (k, n, d), Q (d, m), blocks)`` swaps block i from source i."""
    cases, sizes = [], []
    for n, d, m, blocks in ((9, 8, 6, [[4, 1, 5], [0, 3]]), (12, 10, 7, [[2], [6, 0, 3], [1, 5]]),
                            (7, 6, 6, [[3, 1], [0]]),
                            (8, 5, 3, [[2, 0, 1]]), (14, 11, 9, [[8], [0, 5], [7, 1, 2], [4]]),
                            (9, 6, 4, [[0, 1], [2, 3]])):
        Q = torch.linalg.qr(torch.randn(d, m))[0]
        base, *sources = torch.randn(1 + len(blocks), n, d)
        cases.append((base, torch.stack(sources), Q, blocks))
        sizes.append(f"{len(blocks)} sources and the blocks {blocks} of {m} directions")

    def build(way: Callable) -> Callable:
        return way

    def with_blocks(change: Callable) -> Callable:
        return lambda b, s, Q, blocks: _swap_blocks(b, s, Q, change(blocks, Q.shape[1]))

    def rows(b: torch.Tensor, s: torch.Tensor, Q: torch.Tensor, blocks: Sequence) -> torch.Tensor:
        out = b.clone()
        for h, block in zip(s, blocks):
            out[:, block] = h[:, block]
        return out

    def through(change: Callable, then: Callable = lambda out, b: out) -> Callable:
        return lambda b, s, Q, blocks: then(b + sum(change((h - b) @ Q[:, x]) @ Q[:, x].T for h, x in zip(s, blocks)),
                                            b)

    own = "Other columns of Q are taken for a block: take Q[:, blocks[i]], whatever their size, number and order. "
    nonlinear = "The coordinates are changed on the way: swap them as they are."
    examine(f, "multi_swap(h_base, h_sources, Q, blocks)", cases, sizes, build, {"way": _swap_blocks}, [
        Wrong("way", own + "Here the blocks are taken as runs.", with_blocks(
            lambda x, m: [list(range(sum(map(len, x[:i])), sum(map(len, x[:i + 1])))) for i in range(len(x))])),
        Wrong("way", own + "Here all are as large as the first.", with_blocks(
            lambda x, m: [list(range(min(m, i * len(x[0])), min(m, (i + 1) * len(x[0])))) for i in range(len(x))])),
        Wrong("way", own + "Here all are equally large.", with_blocks(
            lambda x, m: [list(range(i * (m // len(x)), (i + 1) * (m // len(x)))) for i in range(len(x))])),
        Wrong("way", own + "Here all from the least to the largest index.", with_blocks(
            lambda x, m: [list(range(min(b), max(b) + 1)) for b in x])),
        *(Wrong("way", own + "Here all from the first to the last of the list, as a slice.", with_blocks(
            lambda x, m, more=more: [list(range(b[0], b[-1] + more)) for b in x])) for more in (0, 1)),
        Wrong("way", own + "Here source i sets direction i.", with_blocks(lambda x, m: [[i] for i in range(len(x))])),
        Wrong("way", own + "Only the first of each block is taken.", with_blocks(lambda x, m: [b[:1] for b in x])),
        Wrong("way", own + "The last of each block is left out.", with_blocks(lambda x, m: [b[:-1] for b in x])),
        Wrong("way", own + "The first of each block is left out.", with_blocks(lambda x, m: [b[1:] for b in x])),
        Wrong("way", own + "Here they are one too low.", with_blocks(lambda x, m: [[i - 1 for i in b] for b in x])),
        Wrong("way", own + "Here they are one too high.", with_blocks(lambda x,
                                                                      m: [[(i + 1) % m for i in b] for b in x])),
        Wrong("way", own + "Here they are the directions that are in no block, or in another one.", with_blocks(
            lambda x, m: [[i for i in range(m) if i not in b] for b in x])),
        Wrong("way", "The neurons themselves are swapped: take coordinates along the directions Q[:, block].", rows),
        Wrong("way", "Rows of Q are taken: the directions are its columns, Q[:, block].",
              lambda b, s, Q, x: _swap_blocks(b, s, Q.T, x)),
        Wrong("way", "Q is multiplied from the wrong side: coordinates are h @ Q_i, and back it is @ Q_i.T.",
              lambda b, s, Q, x: b + sum((h - b) @ Q[:, i] @ Q[:, i] for h, i in zip(s, x))),
        Wrong("way", "These are coordinates: bring them back to neurons with @ Q.T.", lambda b, s, Q, x: torch.einsum(
            "nd,dm->nm", _swap_blocks(b, s, Q, x), Q)),
        *(Wrong("way", nonlinear, through(change)) for change in (
            torch.relu, torch.abs, torch.square, torch.tanh, torch.sigmoid, torch.round, torch.sign,
            lambda c: c - c.mean(0), lambda c: c - c.mean(1, keepdim=True), lambda c: c / c.norm(dim=1, keepdim=True),
            lambda c: c.mean(0, keepdim=True).expand_as(c), lambda c: c.flip(0), lambda c: c.flip(1), lambda c: c[:1])),
        Wrong("way", "A ReLU is taken of the result: leave it as it is.",
              through(lambda c: c, lambda out, b: out.relu())),
        Wrong("way", "h_sources[:, i] is image i of each source, which its mean cannot mend: source i is h_sources[i].",
              lambda b, s, Q, x: b + sum((s[:, i].mean(0) - b) @ Q[:, y] @ Q[:, y].T for i, y in enumerate(x))),
        Wrong("way", "Only the change is returned: add it to h_base.", through(lambda c: c, lambda out, b: out - b)),
        Wrong("way", "Each source starts anew from h_base here: return one result, with all blocks set.",
              lambda b, s, Q, x: torch.stack([_swap_blocks(b, s[i:i + 1], Q, x[i:i + 1]) for i in range(len(x))])),
    ], hints={"broadcast|match the size|cannot be multiplied|must match": "Print the shapes: a block's directions are "
            "Q_i = Q[:, block], coordinates (h - h_base) @ Q_i, and back it is @ Q_i.T.",
              "IndexError|out of bounds": "Source i goes with blocks[i], and a block lists columns of Q: Q[:, block].",
              "list indices|list index": "A block is a list of column numbers: Q[:, blocks[i]].",
              "inplace|in-place": "Work on h_base.clone().", "has no attribute": "These are torch tensors."}, most=1,
            also=lambda gots: say_contents(gots, cases))
    return "Passed: for six partitions each source sets its own block of the basis; the rest is the base's."


def check_correlations(f: Callable) -> str:
    """Exercise 4.4: ``f(coordinates (n, k), labels (n, 3))`` gives the absolute correlations (k, 3)."""
    rng = np.random.default_rng(0)
    cases, sizes = [], []
    for n, k in ((15, 2), (40, 3), (12, 5), (30, 1), (25, 4)):
        labels = rng.uniform(size=(n, 3))
        noise = rng.normal(1, 1, size=(n, k)) * rng.uniform(0.5, 3, size=k)
        x = (-1) ** n * (3 * labels @ rng.normal(size=(3, k)) + 2 + noise)
        cases.append((x, labels))
        sizes.append(f"{n} rows and {k} directions")
    examine(f, "correlations(coordinates, labels)", cases, sizes, correlating, CORRELATION, WRONG_CORRELATIONS,
            hints={"broadcast|match the size|aligned|multiplied|too deep|out of bounds|IndexError|dimension":
                   "np.corrcoef wants variables in rows, so .T of both; there are k = coordinates.shape[1] directions "
                   "and 3 labels."},
            also=lambda gots: _say_correlations(f, gots, cases))
    return "Passed: the absolute correlations are right for one to five directions."


def _say_correlations(f: Callable, gots: list[np.ndarray], cases: list[tuple]) -> None:
    """What a table changes with, of which a correlation knows nothing."""
    learner = Learner(f, "correlations(coordinates, labels)")
    (x, z), got = cases[0], gots[0]
    if got.shape == (x.shape[1], 3):
        other = np.column_stack([z[:, :2], z[::-1, 2]])
        require(alike(as_numbers(learner(x, other))[:, :2], got[:, :2], 1e-3), "What you find for one label changes "
                "when another label does: a correlation looks at one label alone, a regression on all labels does not.")
    for message, changed in (
        ("when a constant is added to the coordinates: take off their mean, and do nothing else with them", (x + 2, z)),
        ("when a constant is added to the labels: take off their mean, and do nothing else with them", (x, z + 2)),
        ("when the coordinates are multiplied by 3: divide by their standard deviation", (3 * x, z)),
        ("when the labels are multiplied by 3: divide by their standard deviation", (x, 3 * z)),
        ("when the rows come in another order", (x[::-1], z[::-1])),
        ("when all coordinates change their sign: take the absolute value", (-x, z)),
        ("when one direction is multiplied by 3: each direction counts for itself", (x * np.array([3, 1]), z)),
    ):
        require(alike(as_numbers(learner(*changed)), got, 1e-3), f"Your result changes {message}.")
