"""A variable driven out of a layer: training against what a search by DAS finds, and what is left of the variable.

The search is the adversary of adversarial representation learning (Ganin et al. 2016, arXiv:1505.07818), with
distributed alignment search in place of a classifier; whether what it no longer finds is gone is another question
(Elazar and Goldberg 2018, arXiv:1808.06640).
"""
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import trange

from studies.controls.maps import FromConv3
from studies.recipes import base_cnn, measure_behavior
from studies.rivals.causal import CANDIDATES
from studies.rivals.networks import CONTROL_PAIRS, Data, find, place, principal, score
from utils.counterfactual_data_utils import PairPool
from utils.interventions.build import get_intervention
from utils.model_utils import PyTorchCNN, answer_loss, one_cycle
from utils.running.guard import evaluating
from utils.validation import validate_number

LAYER, DIRECTIONS = "conv3", 16
DRIVE: dict[str, Any] = {"num_steps": 400, "inner_steps": 2, "batch_size": 128, "lr": 4e-3, "inner_lr": 0.02}
WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
SEARCH = {"num_steps": 200, "lr": 0.02, "batch_size": 128}
WIDE = 64
PROBE: dict[str, Any] = {"hidden": 64, "num_epochs": 5, "batch_size": 128, "lr": 1e-3}
PROBE_IMAGES = 15_000


def run_to(model: PyTorchCNN, X: torch.Tensor) -> torch.Tensor:
    """Images (b, 1, 28, 28) to the output (b, 64, 7, 7) of the layer conv3."""
    X = F.relu(F.max_pool2d(model.conv1(X), 2))
    return model.conv3(F.relu(F.max_pool2d(model.conv2(X), 2)))


def drive_out(model: PyTorchCNN, data: Data, weight: float, seed: int = 0, *, num_steps: int, inner_steps: int,
              batch_size: int, lr: float, inner_lr: float) -> dict[str, list[float]]:
    """Train a network in place so that DAS finds no circularity at conv3, while S and the answers stay.

    Each step lets a search for circularity take ``inner_steps`` on the layer's output as it is; then the network takes
    one on the sum of three losses: of its answers, of those under a swap of S, and ``weight`` times that of its answers
    under the swap that the search has found, against the answers of the bases, which that swap should leave alone.

    Args:
        model: with a layer conv3.
        data: images (n, 28, 28) and labels (n, 3).
        weight: of the third loss, at least 0.
        seed: of the directions at the start, of the images and their order.
        num_steps: of the network, each with ``batch_size`` images.
        inner_steps: of the search, for each of these.
        lr, inner_lr: peak learning rate of the network, learning rate of the search; both by Adam.

    Returns:
        history of the losses ``answers``, ``S`` and ``circularity``, the last one that of the search.

    Raises:
        ValueError: ``weight`` is below 0 or no number.
    """
    weight = validate_number(weight, "weight")
    kept, sought = (get_intervention(place(model, LAYER, DIRECTIONS, seed + i)) for i in (0, 50))
    pools, columns = [PairPool(*data, CANDIDATES[name]) for name in ("S", "circularity")], [list(range(DIRECTIONS))]
    images, parts, answer = torch.from_numpy(pools[0].images), 1 + inner_steps, FromConv3(model)
    model.requires_grad_(True).train()
    optimizer = torch.optim.Adam([*model.parameters(), *kept.parameters()], lr=lr)
    search, schedule = torch.optim.Adam(sought.parameters(), lr=inner_lr), one_cycle(optimizer, num_steps)
    history: dict[str, list[float]] = {"answers": [], "S": [], "circularity": []}
    for step in trange(num_steps, desc="Driving out", leave=False):
        of_S, of_circularity = (pool.draw(batch_size, np.random.default_rng([seed, step]), parts) for pool in pools)
        orders = of_S.sources.chunk(parts, dim=1)  # the draws are the same, only their counterfactual answers differ
        layer = run_to(model, images[of_S.base])
        for order, y in zip(orders[1:], of_circularity.y_counterfactual.chunk(parts)[1:]):
            found = answer_loss(answer(sought.swap(layer.detach(), order, columns)).squeeze(1), y)
            search.zero_grad()
            found.backward()
            search.step()
        losses = [answer_loss(answer(layer).squeeze(1), of_S.y_base),
                  answer_loss(answer(kept.swap(layer, orders[0], columns)).squeeze(1),
                              of_S.y_counterfactual.chunk(parts)[0])]
        left_alone = answer_loss(answer(sought.swap(layer, orders[0], columns)).squeeze(1), of_S.y_base)
        optimizer.zero_grad()
        (sum(losses) + weight * left_alone).backward()
        optimizer.step()
        schedule.step()
        for name, value in zip(history, (*losses, found)):
            history[name].append(value.item())
    model.eval()
    return history


def probe(model: PyTorchCNN, variable: int, data: Data, test: Data, hidden: int, num_epochs: int, batch_size: int,
          lr: float, seed: int = 0) -> float:
    """R^2, on held-out images, of a small probe that reads a variable off the output of conv3.

    Args:
        model: with a layer conv3.
        variable: 0, 1 or 2.
        data, test: images (n, 28, 28) and labels (n, 3) to fit the probe on, and to measure it on.
        hidden: neurons of the probe's hidden layer; it is not linear.
        num_epochs, batch_size, lr: of Adam, on the squared error.
        seed: of the weights at the start, and of the order of the images.

    Returns:
        at most 1; 0 is guessing the mean, below that is worse.
    """
    with evaluating(model):
        rows, rows_test = (torch.cat([run_to(model, part).flatten(1) for part in
                                      torch.from_numpy(images)[:, None].split(1024)]) for images, _ in (data, test))
    mean, scale = rows.mean(dim=0), rows.std() + 1e-8
    rows, rows_test = (rows - mean) / scale, (rows_test - mean) / scale
    y, y_test = (torch.from_numpy(labels[:, variable]).float() for _, labels in (data, test))
    torch.manual_seed(seed)
    n = rows.shape[1]
    reader = nn.Sequential(nn.Linear(n, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    optimizer, steps = torch.optim.Adam(reader.parameters(), lr=lr), -(-len(rows) // batch_size)
    schedule = one_cycle(optimizer, num_epochs * steps)
    for _ in trange(num_epochs, desc="Probe", leave=False):
        for batch in torch.randperm(len(rows)).split(batch_size):
            loss = F.mse_loss(reader(rows[batch]).squeeze(1), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        residual = y_test - reader(rows_test).squeeze(1)
    return float(1 - residual.square().mean() / y_test.var())


def run_weight(weight: float, seed: int, data: Data, test: Data) -> dict[str, float]:
    """One point of the front: a network driven with that weight, what DAS finds in it and what a probe reads."""
    model = base_cnn(seed)
    drive_out(model, data, weight, seed, **DRIVE)
    figures = {"behavior": measure_behavior(model, *test)}
    few, other = [(images[:PROBE_IMAGES], labels[:PROBE_IMAGES]) for images, labels in (data, test)]
    for name in ("circularity", "S"):
        found = score(find(model, name, data, LAYER, DIRECTIONS, 100 + seed, **SEARCH), name, test)
        figures |= {f"{name}: DAS": found.normalized_iia, f"{name}: DAS iia": found.iia}
    figures["circularity: principal components"] = score(
        principal(model, data[0], LAYER, DIRECTIONS), "circularity", test, CONTROL_PAIRS).normalized_iia
    figures["circularity: random"] = score(
        place(model, LAYER, DIRECTIONS, 1000 + seed), "circularity", test, CONTROL_PAIRS).normalized_iia
    another = find(model, "circularity", data, LAYER, DIRECTIONS, 200 + seed, **SEARCH)
    wide = find(model, "circularity", data, LAYER, WIDE, 100 + seed, **SEARCH)
    figures |= {"circularity: another seed": score(another, "circularity", test).normalized_iia,
                "circularity: more directions": score(wide, "circularity", test).normalized_iia,
                "circularity: non-linear probe": probe(model, 0, few, other, **PROBE, seed=seed)}
    return figures
