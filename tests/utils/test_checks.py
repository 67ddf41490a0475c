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

from utils.checks import das as checks_das, data as checks_data, iit as checks_iit
from utils.checks import measures as checks_measures, sweep as checks_sweep
from utils.checks.helpers import WrongAnswer, compare
from utils.data_utils import causal_model
from utils.interventions.rotated_space import CNNConfig, pv
from utils.model_utils import LAYER_SIZES

MODULES = (checks_data, checks_das, checks_iit, checks_measures, checks_sweep)
CHECKS = {name: check for module in MODULES for name, check in vars(module).items() if name.startswith("check_")}
COEFFICIENTS = np.array([0.4, 0.4, 0.4])
bce = F.binary_cross_entropy_with_logits
GENERATOR = np.random.default_rng(0)  # of a learner's own


def weighted(z):
    return z[:, 0] * 0.4 + z[:, 1] * 0.4 + z[:, 2] * 0.4


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


def broadcast_loss(model, X, y):
    p = model(X).sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def step_and_disturb(model, optimizer, X, y):
    loss = step()(model, optimizer, X, y)
    with torch.no_grad():
        model.fc2.bias.add_(0.1)
    return loss


def mixed(base, source, variables):
    z = np.array(base)
    z[:, variables] = np.array(source)[:, variables]
    return causal_model(z)


def mixed_by_torch(base, source, variables):
    z = base.clone()
    z[:, variables] = source[:, variables]
    return weighted(z) > 0.6


def mixed_in_place(base, source, variables):
    base[:, variables] = source[:, variables]
    return causal_model(base)


def same_image(n, m, rng):
    base = rng.integers(m, size=n)
    return base, base.copy()


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


@torch.no_grad()
def swap_flat(*args):
    return swap(*args).squeeze(1).numpy()


def previous(layer):
    names = list(LAYER_SIZES)
    return names[names.index(layer) - 1]


def wrap(component, kind=pv.VanillaIntervention, number=1, whole=True):
    def make(model, layer):
        model.config = CNNConfig()
        config = pv.IntervenableConfig([{"component": component(layer)} for _ in range(number)], kind)
        return pv.IntervenableModel(config, model) if whole else config

    return make


def output_of(layer):
    return f"{layer}.output"


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


def gram_schmidt(weight):
    columns = []
    for column in weight.unbind(1):
        for q in columns:
            column = column - (q @ column) * q
        columns.append(column / column.norm())
    return torch.stack(columns, 1)


def joint(a=lambda s, y, b, y_base: bce(s, y), b=lambda s, y, b, y_base: bce(b, y_base), mix=lambda a, b, w: a + w * b):
    return lambda s, y, base, y_base, w: mix(a(s, y, base, y_base), b(s, y, base, y_base), w)


def to_train(das=("rotation",), iit=("rotation", "network"), enable=True, unique=True):
    def choose(intervenable, method):
        if method == "iit" and enable:
            intervenable.enable_model_gradients()
        groups = {
            "rotation": [p for i in intervenable.interventions.values() for p in i.parameters()],
            "network": list(intervenable.model.parameters()),
        }
        found = [p for name in (das if method == "das" else iit) for p in groups[name]]
        return list({id(p): p for p in found}.values()) if unique else found

    return choose


def copied_parameters(intervenable, method):
    return [torch.nn.Parameter(p.clone()) for p in to_train()(intervenable, method)]


def partly_frozen(intervenable, method):
    found = to_train()(intervenable, method)
    next(iter(intervenable.interventions.values())).requires_grad_(False)
    return found


TABLE = pd.DataFrame(
    {"iia": [0.95, 0.93], "flip_iia": [0.9, 0.85], "keep": [0.6, 0.6], "behavior": [0.97, 0.96], "n": [10_000, 1_000]},
    index=["baseline", "no behavior loss"],
)


def many(z_base, z_sources, groups):
    z = np.array(z_base)
    for source, group in zip(z_sources, groups):
        z[:, group] = np.array(source)[:, group]
    return causal_model(z)


def many_by_torch(z_base, z_sources, groups):
    z = z_base.clone()
    for source, group in zip(z_sources, groups):
        z[:, group] = source[:, group]
    return weighted(z) > 0.6


def forgetful(z_base, z_sources, groups):
    for source, group in zip(z_sources, groups):
        z = np.array(z_base)
        z[:, group] = source[:, group]
    return causal_model(z)


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
    "check_causal_answers": [
        lambda z: (z @ COEFFICIENTS > 0.6).astype(float), causal_model, lambda z: 0.4 * z.sum(1) > 0.6,
        lambda z: weighted(z) > 0.6, lambda z: (weighted(z) > 0.6).float(), lambda z: z.sum(axis=1) > 1.5,
        lambda z: (torch.from_numpy(z).float() @ torch.tensor([0.4, 0.4, 0.4]) > 0.6),
    ],
    "check_share_correct": [
        lambda p, y: ((p > 0.5) == y).mean(), lambda p, y: ((p > 0.5) == y).float().mean().item(),
        lambda p, y: torch.tensor(1 - np.abs(np.round(p) - y).mean()),
    ],
    "check_train_step": [
        step(), step(zero="last"), step(result=lambda loss: loss.detach()),
        step(lambda model, X, y: F.binary_cross_entropy(model(X).sigmoid(), y[:, None])),
    ],
    "check_counterfactual_answers": [mixed, mixed_by_torch],
    "check_draw_pairs": [
        lambda n, m, rng: (rng.integers(m, size=n), rng.choice(m, n)),
        lambda n, m, rng: tuple(rng.integers(0, m, (2, n))),
        lambda n, m, rng: [np.arange(n), torch.from_numpy(rng.integers(m, size=n))],
    ],
    "check_flip_iia": [
        lambda a, b, y: (a == y)[y != b].mean(), lambda a, b, y: (a == y)[y != b].float().mean(),
    ],
    "check_swap_layer": [swap, swap_flat],
    "check_make_intervenable": [
        wrap(output_of),
        lambda model, layer: pv.IntervenableModel({"component": output_of(layer),
                                                   "intervention_type": pv.VanillaIntervention}, model),
    ],
    "check_rotated_swap": [
        lambda b, s, Q: b + (s - b) @ Q @ Q.T, lambda b, s, Q: b - (b @ Q) @ Q.t() + s @ Q @ Q.t(),
        lambda b, s, Q: (b + (s - b) @ Q @ Q.T).numpy(),
    ],
    "check_orthonormal_directions": [
        lambda w: torch.linalg.qr(w)[0], gram_schmidt, lambda w: torch.linalg.svd(w, full_matrices=False)[0],
    ],
    "check_joint_loss": [
        joint(), lambda s, y, b, y_base, w: F.binary_cross_entropy(torch.sigmoid(s), y) + bce(b, y_base) * w,
    ],
    "check_parameters_to_train": [to_train(), lambda i, m: iter(to_train()(i, m)), lambda i, m: set(to_train()(i, m))],
    "check_ablation": [TABLE, TABLE.assign(extra="x").iloc[::-1]],
    "check_partition": [
        lambda d, k: [list(range(i * d, i * d + d)) for i in range(k)],
        lambda d, k: np.arange(d * k).reshape(k, d), lambda d, k: torch.arange(d * k).split(d),
    ],
    "check_multi_source_answers": [many, many_by_torch],
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
    "check_causal_answers": [
        (lambda z: z.sum(1) > 0.6, "coefficients are missing"),
        (lambda z: z @ COEFFICIENTS >= 0.6, "On the threshold itself"),
        (lambda z: 0.4 * z.sum(1) >= 0.6, "On the threshold itself"),
        (lambda z: z > 0.6, "compared for itself"),
        (lambda z: (z > 0.6).all(1), "compared for itself"),
        (lambda z: 0.4 * z > 0.6, "compared for itself"),
        (lambda z: z @ COEFFICIENTS, "the sum itself"),
        (lambda z: z @ COEFFICIENTS < 0.6, "wrong way round"),
        (lambda z: z[:, 0] > 0.6, "Not right yet: with labels"),
        (lambda z: (z @ COEFFICIENTS > 0.6)[:, None], r"shape \(302, 1\)"),
        (lambda z: "yes", "returned a str"),
    ],
    "check_share_correct": [
        (lambda p, y: (p == y).mean(), "hardly ever equal"),
        (lambda p, y: ((p > 0) == y).mean(), "cut at 0"),
        (lambda p, y: 1 - abs(p - y).mean(), "mean distance"),
        (lambda p, y: 100 * ((p > 0.5) == y).mean(), "percentage"),
        (lambda p, y: ((p > 0.5) == y).sum(), "the number of right answers"),
        (lambda p, y: ((p > 0.5) != y).mean(), "share of wrong"),
        (lambda p, y: 0.123, "Not right yet: with probabilities = "),
    ],
    "check_train_step": [
        (step(lambda model, X, y: bce(model(X).squeeze(1).detach(), y)), "No gradient reaches"),
        (lambda model, optimizer, X, y: bce(model(X)[:, 0], y).item(), "No gradient reaches"),
        (step(zero="before step"), "No gradient reaches"),
        (step(update=False), "step.. is missing"),
        (step(zero=None), "gradient of the first"),
        (step(lambda model, X, y: bce(model(X).sigmoid().squeeze(1), y)), "sigmoid is taken twice"),
        (step(lambda model, X, y: bce(model(X), y)), "every logit is then compared"),
        (step(lambda model, X, y: F.binary_cross_entropy(model(X), y)), "every logit is then compared"),
        (step(broadcast_loss), "every logit is then compared"),
        (step(lambda model, X, y: F.binary_cross_entropy(model(X)[:, 0], y)), "model.X. gives logits"),
        (step(lambda model, X, y: bce(model(X)[:, 0], y, reduction="sum")), "sum over the batch"),
        (step(result=lambda loss: loss), "still holds the graph"),
        (step_and_disturb, "nothing else"),
        (step(result=lambda loss: None), "forget the `return`"),
    ],
    "check_counterfactual_answers": [
        (lambda b, s, v: mixed(s, b, v), "Base and source are swapped"),
        (lambda b, s, v: causal_model(b), "base's own answer"),
        (lambda b, s, v: causal_model(s), "source's own answer"),
        (lambda b, s, v: mixed(b, s, [0, 1, 2]), "source's own answer"),
        (lambda b, s, v: mixed(b, s, v[:1]), "Only one of the variables"),
        (lambda b, s, v: mixed(b, s, v[-1:]), "Only one of the variables"),
        (mixed_in_place, "in place"),
        (lambda b, s, v: 1 - mixed(b, s, v), "Not right yet: with z_base = "),
    ],
    "check_draw_pairs": [
        (same_image, "agree with the base"),
        (lambda n, m, rng: (np.arange(n), np.arange(n)), "agree with the base"),
        (lambda n, m, rng: tuple(rng.integers(0, m + 1, (2, n))), "out of range"),
        (lambda n, m, rng: tuple(rng.integers(1, m + 1, (2, n))), "out of range"),
        (lambda n, m, rng: tuple(np.random.randint(m, size=(2, n))), "The same seed gives other"),
        (lambda n, m, rng: (rng.integers(m, size=n), GENERATOR.integers(m, size=n)), "The same seed gives other"),
        (lambda n, m, rng: tuple(np.random.default_rng(0).integers(m, size=(2, n))), "Another seed gives the same"),
        (lambda n, m, rng: (rng.integers(m, size=n), np.arange(n)), "Another seed gives the same"),
        (lambda n, m, rng: (rng.integers(m, size=n), np.full(n, rng.integers(m))), "All pairs have the same source"),
        (lambda n, m, rng: tuple(rng.integers(m - 1, size=(2, n))), r"never drawn: \[29\]"),
        (lambda n, m, rng: tuple(rng.integers(n, size=(2, n))), "never drawn"),
        (lambda n, m, rng: tuple(rng.integers(m, size=(2, m))), "Shapes"),
        (lambda n, m, rng: tuple(rng.uniform(0, m, (2, n))), "must be integers"),
        (lambda n, m, rng: rng.integers(m, size=n), "Return two arrays"),
        (lambda n, m, rng: (rng.integers(m, size=n), None), "forget the `return`"),
    ],
    "check_flip_iia": [
        (lambda a, b, y: (a == y).mean(), "over all pairs"),
        (lambda a, b, y: (a == y)[y == b].mean(), "pairs that stay"),
        (lambda a, b, y: (a == b)[y != b].mean(), "compared with y_base"),
        (lambda a, b, y: (y != b).mean(), "share of pairs that flip"),
        (lambda a, b, y: ((a == y) & (y != b)).mean(), "divided by the number of all"),
        (lambda a, b, y: (a == y)[y != b], "a single number was expected"),
    ],
    "check_swap_layer": [
        (lambda m, layer, b, s: m(b), "Nothing has changed"),
        (lambda *args: swap(*args, replace=False), "Nothing has changed"),
        (lambda m, layer, b, s: swap(m, layer, s, b), "Base and source are swapped"),
        (lambda *args: swap(*args, keep_hook=True), "A hook stays"),
        (lambda m, layer, b, s: swap(m, "conv1", b, s), "sits on conv1, but conv2"),
        (lambda m, layer, b, s: swap(m, previous(layer), b, s), "sits on fc1, but conv1"),
        (lambda *args: swap(*args, mode=False), "another mode"),
        (lambda *args: swap(*args, mode=True), "another mode"),
        (lambda m, layer, b, s: m(s), "X_source alone"),
        (lambda *args: swap(*args).sigmoid(), "These are probabilities"),
        (lambda *args: 0.5 * swap(*args), "Not right yet: with pair = 0"),
    ],
    "check_make_intervenable": [
        (wrap(lambda layer: "conv1.output"), "'conv2.output' was asked for"),
        (wrap(lambda layer: f"{layer}.input"), "the layer's input"),
        (wrap(output_of, pv.AdditionIntervention), "use pv.VanillaIntervention"),
        (wrap(output_of, pv.ZeroIntervention), "use pv.VanillaIntervention"),
        (wrap(output_of, number=2), "2 representations"),
        (wrap(output_of, whole=False), "the configuration"),
        (lambda model, layer: model, "not a PyTorchCNN"),
    ],
    "check_rotated_swap": [
        (lambda b, s, Q: s + (b - s) @ Q @ Q.T, "Base and source are swapped"),
        (lambda b, s, Q: s @ Q @ Q.T, "orthogonal to Q is lost"),
        (lambda b, s, Q: (s - b) @ Q @ Q.T, "orthogonal to Q is lost"),
        (lambda b, s, Q: s @ Q, "rotate back"),
        (lambda b, s, Q: (s - b) @ Q, "rotate back"),
        (lambda b, s, Q: s, "the whole h_source"),
        (lambda b, s, Q: b, "nothing has been swapped"),
        (lambda b, s, Q: b + s @ Q @ Q.T, "own coordinates are still there"),
        (lambda b, s, Q: b + (s - b) @ Q, "shapes do not fit"),
        (lambda b, s, Q: b + (s - b) @ Q.T, "shapes do not fit"),
        (lambda b, s, Q: b.add_((s - b) @ Q @ Q.T), "in place"),
    ],
    "check_orthonormal_directions": [
        (lambda w: w, "columns are not orthonormal"),
        (lambda w: w / w.norm(), "columns are not orthonormal"),
        (lambda w: w / w.norm(dim=0), "length 1, but"),
        (lambda w: torch.eye(6)[:, :3] + 0 * w, "span another space"),
        (lambda w: torch.linalg.qr(w, mode="complete")[0], "full .d, d. matrix"),
        (lambda w: torch.linalg.qr(w.detach())[0], "No gradient"),
        (lambda w: np.linalg.qr(w.detach().numpy())[0], "No gradient"),
        (lambda w: torch.linalg.qr(w)[0].T, r"shape \(3, 6\)"),
        (lambda w: torch.linalg.qr(w), "returned a linalg_qr: return one array"),
    ],
    "check_joint_loss": [
        (lambda *args: joint()(*args).detach(), "no gradient reaches swapped_logits"),
        (joint(b=lambda s, y, b, y_base: bce(b.detach(), y_base)), "no gradient reaches base_logits"),
        (lambda *args: joint()(*args).item(), "return the tensor"),
        (joint(mix=lambda a, b, w: a + b), "weight is not used"),
        (joint(mix=lambda a, b, w: w * a + b), "weight is on the interchange part"),
        (joint(mix=lambda a, b, w: w * (a + b)), "weight is on both"),
        (joint(mix=lambda a, b, w: a), "behavior part is missing"),
        (joint(a=lambda s, y, b, y_base: bce(s, y_base)), "compared with y_base"),
        (joint(b=lambda s, y, b, y_base: bce(b, y)), "compared with y_counterfactual"),
        (joint(a=lambda s, y, b, y_base: bce(s.sigmoid(), y)), "sigmoid is taken twice"),
        (joint(lambda s, y, b, y_base: bce(s.sigmoid(), y), lambda s, y, b, y_base: bce(b.sigmoid(), y_base)),
         "sigmoid is taken twice"),
        (joint(lambda s, y, b, y_base: 6 * bce(s, y), lambda s, y, b, y_base: 6 * bce(b, y_base)), "are sums"),
        (joint(mix=lambda a, b, w: (1 - w) * a + w * b), "a mixture"),
        (joint(lambda s, y, b, y_base: bce(s, y, reduction="none")), "a loss for every pair"),
        (joint(mix=lambda a, b, w: a - w * b), "Not right yet: with weight = 0.25"),
    ],
    "check_parameters_to_train": [
        (to_train(enable=False), "enable_model_gradients"),
        (lambda i, m: list({id(p): p for p in i.parameters()}.values()), "enable_model_gradients"),
        (to_train(iit=("rotation",)), "its parameters are missing"),
        (to_train(iit=("network",)), "rotation is forgotten: 'iit'"),
        (to_train(das=("rotation", "network")), "'das' trains the network too"),
        (to_train(das=("network",)), "'das' trains the network too"),
        (to_train(das=()), "no parameters for 'das'"),
        (lambda i, m: (p for p in ()), "no parameters for 'das'"),
        (to_train(unique=False), "more than once"),
        (lambda i, m: i.get_trainable_parameters(), "more than once"),
        (lambda i, m: i.named_parameters(), "Not all are parameters"),
        (lambda i, m: [next(iter(i.interventions.values())).rotate_layer.weight], "Not all are parameters"),
        (lambda i, m: next(iter(i.parameters())), "Return a list"),
        (copied_parameters, "were they copied"),
        (partly_frozen, "No gradient reaches some of the parameters for 'das'"),
    ],
    "check_ablation": [
        (None, "The table is None"),
        (TABLE.style, "not a Styler"),
        (TABLE.drop(columns=["keep", "n"]), "missing: keep, n"),
        (TABLE.iloc[1:], "baseline is missing"),
        (TABLE.rename(index={"baseline": "other"}), "baseline is missing"),
        (TABLE.iloc[:1], "baseline is missing"),
        (TABLE.assign(n=999), "fewer than 1,000"),
        (TABLE.assign(iia=[95.0, 93.0]), "percentages"),
        (TABLE.assign(iia=[-0.1, 0.9]), "percentages"),
        (TABLE.assign(flip_iia=[np.nan, 0.9]), "NaN"),
        (TABLE.iloc[[0, 0]], "did the change reach"),
        (TABLE.assign(iia=["high", "low"]), "NaN or text"),
    ],
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
    "check_multi_source_answers": [
        (lambda z, s, g: many(z, [s[0]] * len(s), g), "first source"),
        (lambda z, s, g: many(z, [s[-1]] * len(s), g), "last source wins"),
        (lambda z, s, g: many(z, s, [sum(g, [])] * len(s)), "last source wins"),
        (lambda z, s, g: causal_model(s[-1]), "last source wins"),
        (lambda z, s, g: causal_model(z), "base's own answer"),
        (lambda z, s, g: many(z, s[::-1], g), "wrong order"),
        (forgetful, "not anew for each source"),
        (lambda z, s, g: many(z, s, [[i] for i in range(len(s))]), "sets variable i here"),
        (lambda z, s, g: many(z, s, [group[:1] for group in g]), "Only one variable of a group"),
        (lambda z, s, g: 1 - many(z, s, g), "Not right yet: with z_base = .*source_1 = .*groups = "),
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


def test_other_errors_pass_through_with_their_traceback():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        checks_data.check_train_step(lambda model, optimizer, X, y: model(X) @ X.new_ones(7, 7))
    with pytest.raises(TypeError, match="argument"):
        checks_data.check_causal_answers(lambda: None)
    with pytest.raises(AttributeError):
        checks_das.check_rotated_swap(lambda b, s, Q: b.nothing)


def test_a_wrong_answer_is_an_assertion_error():
    assert issubclass(WrongAnswer, AssertionError)


def test_numbers_that_only_differ_by_the_tolerance_of_float32_pass_and_nan_does_not():
    compare(np.float32(0.1), 0.1, {})
    with pytest.raises(WrongAnswer, match="should be 0.1, but yours is nan"):
        compare(np.nan, 0.1, {})
    with pytest.raises(WrongAnswer, match=r"with z = \[3, 4\], w = 2 the result should be 1.0, but yours is 0.0"):
        compare([0, 0, 1], [0, 1, 1], {}, z=[[1, 2], [3, 4], [5, 6]], w=2)
