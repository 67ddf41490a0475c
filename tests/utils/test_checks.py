"""Every check passes right answers and names each known mistake; the solutions of "learners" are written out here."""
import contextlib
import inspect
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from exercise_checks import assert_diagnosed, assert_random_numbers_are_left_alone, cases

from utils.checks import measures as checks_measures, sweep as checks_sweep
from utils.checks.helpers import WrongAnswer, compare

MODULES = (checks_measures, checks_sweep)
CHECKS = {name: check for module in MODULES for name, check in vars(module).items() if name.startswith("check_")}
COEFFICIENTS = np.array([0.4, 0.4, 0.4])
bce = F.binary_cross_entropy_with_logits
GENERATOR = np.random.default_rng(0)  # of a learner's own


def step(loss_of=None, zero="first", update=True, result=lambda loss: loss.item()):
    loss_of = loss_of or (lambda model, X, y: bce(model(X).squeeze(1), y))

    def train_step(model, optimizer, X, y):
        loss = loss_of(model, X, y)
        if zero == "first":
            optimizer.zero_grad()
        loss.backward()
        if zero == "before step":
            optimizer.zero_grad()
        if update:
            optimizer.step()
        if zero == "last":
            optimizer.zero_grad()
        return result(loss)

    return train_step


def swap(model, layer, X_base, X_source, take="output", keep_hook=False, mode=None, replace=True):
    kept = {}

    def keep(module, args, output):
        kept["source"] = output

    def put(module, args, output):
        if replace:
            return kept["source"]

    if mode is not None:
        model.train(mode)
    module = getattr(model, layer)
    handle = module.register_forward_hook(keep)
    model(X_source)
    handle.remove()
    handle = module.register_forward_hook(put)
    answer = model(X_base)
    if not keep_hook:
        handle.remove()
    return answer


def swap_blocks(pick=lambda sources, i: sources[i], block=lambda blocks, i: blocks[i], change=lambda h, base: h - base):
    def swap(h_base, h_sources, Q, blocks):
        h = h_base.clone()
        for i in range(len(blocks)):
            Q_i = Q[:, block(blocks, i)]
            h = h + change(pick(h_sources, i), h_base) @ Q_i @ Q_i.T
        return h

    return swap


def only_source(i):
    def swap(h_base, h_sources, Q, blocks):
        Q_i = Q[:, blocks[i]]
        return h_base + (h_sources[i] - h_base) @ Q_i @ Q_i.T

    return swap


TABLE = pd.DataFrame(
    {"iia": [0.95, 0.93], "flip_iia": [0.9, 0.85], "keep": [0.6, 0.6], "behavior": [0.97, 0.96], "n": [10_000, 1_000]},
    index=["baseline", "no behavior loss"],
)


def tuples(n, m, k, rng):
    return rng.integers(m, size=n), rng.integers(m, size=(k, n))


def correlate(x, labels):
    k = x.shape[1]
    return np.corrcoef(x.T, labels.T)[:k, k:]


def whole_table(x, labels):
    return np.corrcoef(x.T, labels.T)


def covary(x, labels):
    return np.cov(x.T, labels.T)[: x.shape[1], x.shape[1] :]


def normalize(best=max, floor=None, ceiling=None):
    def normalized(iia, baselines, top):
        b = best(baselines)
        return (iia - b) / ((ceiling or top) - (b if floor is None else floor))

    return normalized


def rest_of(z, v):
    return sum(0.4 * z[:, i] for i in range(3) if i != v)


def isolate(near=lambda d, t: abs(d) <= t, far=lambda d, t: abs(d) >= t, join=np.logical_and, others=True):
    def isolating(base, source, v, tolerance, distance):
        change, (i, j) = source - base, [i for i in range(3) if i != v]
        apart = join(far(change[:, i], distance), far(change[:, j], distance)) if others else True
        return near(change[:, v], tolerance) & apart

    return isolating


def probe(fit="first", test="second", intercept=True, score="r2", center="test"):
    def r2(x, y):
        half = len(x) // 2
        rows = {"first": slice(half), "second": slice(half, None), "all": slice(None)}
        design = np.column_stack([x, np.ones(len(x))]) if intercept else np.asarray(x)
        guess = design[rows[test]] @ np.linalg.lstsq(design[rows[fit]], y[rows[fit]], rcond=None)[0]
        true = np.asarray(y[rows[test]])
        mean = true.mean() if center == "test" else y[rows[fit]].mean()
        value = 1 - ((true - guess) ** 2).sum() / ((true - mean) ** 2).sum()
        correlation = np.corrcoef(guess, true)[0, 1]
        return {"r2": value, "r": correlation, "r squared": correlation**2, "cut": max(value, 0)}[score]

    return r2


def probe_by_torch(x, y):
    half, design = len(x) // 2, torch.cat([x, x.new_ones(len(x), 1)], 1)
    weights = torch.linalg.lstsq(design[:half], y[:half, None]).solution
    error = y[half:] - (design[half:] @ weights)[:, 0]
    return 1 - (error**2).mean() / y[half:].var(correction=0)


def interval(half=lambda x: 1.96 * x.std(ddof=1) / len(x) ** 0.5, center=np.mean):
    return lambda x: (center(x), x.mean() - half(x), x.mean() + half(x))


def interval_by_torch(x):
    x = torch.as_tensor(x)
    half = 1.96 * x.std() / len(x) ** 0.5
    return torch.stack([x.mean(), x.mean() - half, x.mean() + half]).numpy()


def front(both=np.logical_and, strict=np.logical_or, invert=False):
    def unbeaten(a, b):
        beats = both(a >= a[:, None], b >= b[:, None])
        if strict:
            beats &= strict(a > a[:, None], b > b[:, None])
        return beats.any(axis=1) if invert else ~beats.any(axis=1)

    return unbeaten


def front_by_sorting(a, b):
    keep = np.zeros(len(a), dtype=bool)
    for x in np.unique(a):
        best = b[a == x].max()
        if best > max(b[a > x], default=-1):
            keep |= (a == x) & (b == best)
    return keep


def write_beside(path, parts, temporary=lambda path: path.with_suffix(".part"), move="replace"):
    other = temporary(path)
    with open(other, "w") as file:
        for part in parts:
            file.write(part)
    getattr(os, move)(other, path)


def write_by_pathlib(path, parts):
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.writelines(parts)
    Path(file.name).replace(path)


def write_in_place(path, parts):
    with open(path, "w") as file:
        file.writelines(parts)


def write_and_forgive(path, parts):
    with contextlib.suppress(InterruptedError):
        write_beside(path, parts)


def write_and_remove_first(path, parts):
    path.unlink(missing_ok=True)
    write_beside(path, parts)


RIGHT = {
    "check_partition": [
        lambda d, k: [list(range(i * d, i * d + d)) for i in range(k)],
        lambda d, k: np.arange(d * k).reshape(k, d), lambda d, k: torch.arange(d * k).split(d),
    ],
    "check_draw_tuples": [tuples],
    "check_multi_swap": [swap_blocks()],
    "check_correlations": [lambda x, z: np.abs(correlate(x, z)), lambda x, z: torch.tensor(correlate(x, z)).abs()],
    "check_normalized_iia": [normalize(), lambda iia, b, c: np.float32((iia - np.max(b)) / (c - np.max(b)))],
    "check_flip_point": [
        lambda z, v: (0.6 - rest_of(z, v)) / 0.4, lambda z, v: torch.as_tensor(1.5 - (z.sum(1) - z[:, v])),
    ],
    "check_isolating": [isolate(), lambda *args: torch.from_numpy(isolate()(*args)).float()],
    "check_probe_r2": [probe(), probe(center="train"), probe_by_torch],
    "check_mean_interval": [interval(), interval_by_torch],
    "check_pareto_front": [front(), front_by_sorting],
    "check_write_whole": [
        write_beside, write_by_pathlib, lambda path, parts: write_beside(path, parts, move="rename"),
    ],
}

WRONG = {
    "check_partition": [
        (lambda d, k: [list(range(i * d, (i + 1) * d + 1)) for i in range(k)], "Blocks overlap"),
        (lambda d, k: [[i * d, (i + 1) * d] for i in range(k)], "bounds"),
        (lambda d, k: [list(range(i * (d // k), (i + 1) * (d // k))) for i in range(k)], "divided among the sources"),
        (lambda d, k: [list(range(d))] * k, "All sources have the same block"),
        (lambda d, k: [list(range(i * d, (i + 1) * d)) for i in reversed(range(k))], "reverse order"),
        (lambda d, k: [list(range(i * d, (i + 1) * d))[:: -1 if i == 1 else 1] for i in range(k)], "ascending order"),
        (lambda d, k: [list(range(d))], "number of blocks is 1"),
        (lambda d, k: list(range(d * k)), "each a list of indices"),
        (lambda d, k: [[i + 1 for i in range(j * d, (j + 1) * d)] for j in range(k)], "Not right yet"),
    ],
    "check_multi_swap": [
        (swap_blocks(pick=lambda sources, i: sources[0]), "single-source data"),
        (swap_blocks(pick=lambda sources, i: sources[-1]), "The last source wins"),
        (lambda b, s, Q, blocks: b + (s[-1] - b) @ Q @ Q.T, "The last source wins"),
        (swap_blocks(block=lambda blocks, i: blocks[0]), "write to the same block"),
        (swap_blocks(pick=lambda sources, i: sources[-1 - i]), "wrong order"),
        (only_source(-1), "not anew for each source"),
        (only_source(0), "return inside the loop"),
        (swap_blocks(change=lambda h, base: h), "own coordinates are still there"),
        (lambda *args: swap_blocks()(*args) - args[0], "orthogonal to the blocks is lost"),
        (lambda b, s, Q, blocks: b + (swap_blocks()(b, s, Q, blocks) - b) / len(s), "mean over the sources"),
        (lambda b, s, Q, blocks: b, "nothing has been swapped"),
        (lambda b, s, Q, blocks: -swap_blocks()(b, s, Q, blocks), "Not right yet"),
    ],
    "check_draw_tuples": [
        (lambda n, m, k, rng: (rng.integers(m, size=n), np.stack([rng.integers(m, size=n)] * k)),
         "All sources are the same image"),
        (lambda n, m, k, rng: (lambda b: (b, np.stack([b] * k)))(rng.integers(m, size=n)), "agree with the base"),
        (lambda n, m, k, rng: (rng.integers(m, size=n), rng.integers(m, size=(n, k))), "one column for each"),
        (lambda n, m, k, rng: (rng.integers(m, size=n), rng.integers(m + 1, size=(k, n))), "out of range"),
        (lambda n, m, k, rng: (rng.integers(m, size=n), np.random.randint(m, size=(k, n))), "The same seed"),
        (lambda n, m, k, rng: tuples(n, m, k, np.random.default_rng(3)), "Another seed"),
        (lambda n, m, k, rng: (rng.integers(m, size=n), rng.integers(m, size=n)), "Shapes"),
        (lambda n, m, k, rng: (rng.integers(m, size=n), np.repeat(rng.integers(m, size=(k, 1)), n, 1)),
         "All pairs have the same source"),
    ],
    "check_correlations": [
        (lambda x, z: abs(correlate(x, z)).T, "transposed"),
        (correlate, "sign is still there"),
        (whole_table, "whole matrix"),
        (lambda x, z: abs(whole_table(x, z)), "whole matrix"),
        (lambda x, z: whole_table(x, z)[:3, :3], "with one another"),
        (lambda x, z: abs(covary(x, z)), "covariances"),
        (covary, "covariances"),
        (lambda x, z: correlate(x, z) ** 2, "Not right yet: the result"),
    ],
    "check_normalized_iia": [
        (normalize(np.mean), "mean of the baselines"),
        (normalize(lambda b: b[0]), "first baseline"),
        (normalize(min), "least baseline"),
        (lambda iia, b, c: iia - max(b), "divide it by what there is to gain"),
        (normalize(ceiling=1), "ceiling is ignored"),
        (normalize(floor=0), "below the line"),
        (lambda iia, b, c: iia / c, "baseline is ignored"),
        (lambda iia, b, c: 1.5, "Not right yet: with iia = 0.9, baselines = "),
    ],
    "check_flip_point": [
        (lambda z, v: (0.6 - 0.4 * z.sum(1)) / 0.4, "leave it out"),
        (lambda z, v: 0.6 - rest_of(z, v), "divide by the variable's coefficient"),
        (lambda z, v: (0.6 - rest_of(z, v) / 0.4) / 0.4, "coefficients are missing"),
        (lambda z, v: ((0.6 - rest_of(z, v)) / 0.4).clip(0, 1), "cut to"),
        (lambda z, v: (rest_of(z, v) - 0.6) / 0.4, "sign is wrong"),
        (lambda z, v: z[:, v], "Not right yet: with z_base"),
    ],
    "check_isolating": [
        (lambda b, s, v, t, d: (lambda c: (np.delete(c, v, 1) <= t).all(1) & (c[:, v] >= d))(abs(s - b)),
         "other way round"),
        (lambda *args: ~isolate()(*args), "other way round"),
        (isolate(join=np.logical_or), "use all in place of any"),
        (isolate(others=False), "other variables are not asked"),
        (isolate(near=lambda d, t: d == d), "agreement on the variable"),
        (isolate(near=lambda d, t: d <= t), "absolute value"),
        (isolate(far=lambda d, t: d >= t), "absolute value"),
        (isolate(near=lambda d, t: d <= t, far=lambda d, t: d >= t), "absolute value"),
    ],
    "check_probe_r2": [
        (probe(test="first"), "the half that it was fitted to"),
        (probe(test="first", intercept=False), "the half that it was fitted to"),
        (probe(fit="all"), "has seen the second half"),
        (probe(fit="all", test="all"), "has seen the second half"),
        (probe(fit="second", test="first"), "halves are swapped"),
        (probe(intercept=False), "intercept is missing"),
        (probe(score="r"), "a correlation"),
        (probe(score="r squared"), "a correlation"),
        (probe(score="cut"), "Values below 0 are cut"),
        (lambda x, y: np.zeros(3), "shape"),
    ],
    "check_mean_interval": [
        (interval(lambda x: 1.96 * x.std(ddof=1)), "where single networks lie"),
        (lambda x: (x.mean(), *np.percentile(x, [2.5, 97.5])), "where single networks lie"),
        (lambda x: (x.mean(), x.min(), x.max()), "where single networks lie"),
        (interval(lambda x: x.std(ddof=1) / len(x) ** 0.5), "one standard error"),
        (interval(lambda x: 1.96 * x.std(ddof=1) / len(x)), "not by its square root"),
        (interval(lambda x: 1.96 * x.std() / len(x) ** 0.5), "ddof=1"),
        (interval(center=np.median), "median"),
        (lambda x: x.mean(), "three numbers"),
    ],
    "check_pareto_front": [
        (front(invert=True), "other way round"),
        (front(strict=np.logical_and), "one strict inequality"),
        (front(strict=None), "No point is left"),
        (lambda a, b: ((a >= a[:, None]) & (b >= b[:, None])).sum(axis=1) == 1, "Of two points that are alike"),
        (front(both=np.logical_or), "No point is left"),
        (lambda a, b: (a == a.max()) | (b == b.max()), "Only the best in either"),
        (lambda a, b: front()(-a, -b), "Low values win"),
        (lambda a, b: np.arange(3), "shape"),
    ],
    "check_write_whole": [
        (write_in_place, "left half-written"),
        (lambda path, parts: path.write_text("".join(parts)) and None, "written in place"),
        (write_and_forgive, "swallows"),
        (write_and_remove_first, "old file is gone"),
        (lambda path, parts: path.exists() and list(parts) or write_in_place(path, parts), "is not replaced"),
        (lambda path, parts: write_beside(path, parts, lambda path: path.parent.with_suffix(".part")),
         "in another folder"),
        (lambda path, parts: write_beside(path, list(parts)[:1]), "does not hold all parts"),
        (lambda path, parts: (write_beside(path, list(parts)), path.with_suffix(".bak").touch()), "left behind"),
    ],
}
every_check = pytest.mark.parametrize("name", CHECKS)


@pytest.mark.parametrize("name, solution", cases(RIGHT))
def test_right_solutions_pass(name, solution):
    message = CHECKS[name](solution)
    assert re.fullmatch(r"Passed: [^\n]{1,91}\.", message), "no wider than a cell's output"


@pytest.mark.parametrize("name, case", cases(WRONG))
def test_each_mistake_gets_its_message(name, case):
    assert_diagnosed(CHECKS[name], case)


@every_check
def test_every_check_is_documented_and_tested_both_ways(name):
    check = CHECKS[name]
    assert re.match(r"Exercise \d\.\d: ", check.__doc__)
    assert check.__annotations__["return"] is str
    assert len(inspect.signature(check).parameters) == 1
    assert RIGHT[name] and len(WRONG[name]) >= 4


@every_check
def test_unfinished_functions(name):
    def stub(*args):
        raise NotImplementedError("your turn")

    if name != "check_ablation":
        with pytest.raises(NotImplementedError, match="^your turn$"):
            CHECKS[name](stub)
        message = "No file was written" if name == "check_write_whole" else "forget the `return`"
        with pytest.raises(WrongAnswer, match=message):
            CHECKS[name](lambda *args: None)
        with pytest.raises(ZeroDivisionError):
            CHECKS[name](lambda *args: 1 / 0)


@every_check
def test_random_numbers_are_left_alone(name):
    assert_random_numbers_are_left_alone(CHECKS[name], RIGHT[name][0], WRONG[name][0][0])


def test_a_wrong_answer_is_an_assertion_error():
    assert issubclass(WrongAnswer, AssertionError)


def test_numbers_that_only_differ_by_the_tolerance_of_float32_pass_and_nan_does_not():
    compare(np.float32(0.1), 0.1, {})
    with pytest.raises(WrongAnswer, match="should be 0.1, but yours is nan"):
        compare(np.nan, 0.1, {})
    with pytest.raises(WrongAnswer, match=r"with z = \[3, 4\], w = 2 the result should be 1.0, but yours is 0.0"):
        compare([0, 0, 1], [0, 1, 1], {}, z=[[1, 2], [3, 4], [5, 6]], w=2)
