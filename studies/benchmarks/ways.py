"""Three ways to take the same step of IIT at conv1: by hand, by this project's utils, by pyvene's stock rotation."""
import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from utils.counterfactual_data_utils import PairPool
from utils.interventions.layers import flatten_neurons
from utils.interventions.rotated_space import CNNConfig, pv
from utils.model_utils import PyTorchCNN

GROUPS = {1: [[0, 1]], 2: [[0], [1]], 3: [[0], [1], [2]]}  # number of sources -> the variables that each sets
LR = 1e-2


def raw_rotation(intervenable: pv.IntervenableModel) -> torch.Tensor:
    """The trainable matrix (n, directions) whose Q holds the directions."""
    return next(iter(intervenable.interventions.values())).rotate_layer.parametrizations.weight.original


def by_hand(
    intervenable: pv.IntervenableModel, pool: PairPool, batch_size: int, lr: float = LR, seed: int = 0
) -> Callable[[], float]:
    """IIT at conv1 in plain torch, on a copy of the weights: the lower bound. Each call is a step; it returns the loss.

    One plain pass of the bases, who are each other's sources, up to the logits; from it, by a hook, conv1's output and
    the coordinates of bases and sources; a second pass that begins with the swapped activations.
    """
    model = copy.deepcopy(intervenable.model).requires_grad_(True)
    raw = raw_rotation(intervenable).detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([*model.parameters(), raw], lr=lr)
    images, rng = torch.from_numpy(pool.images), np.random.default_rng(seed)
    size = raw.shape[1] // len(pool.variables)

    def step() -> float:
        kept: list[torch.Tensor] = []
        pairs = pool.draw(batch_size, rng)
        X = images[pairs.base]
        q, r = torch.linalg.qr(raw)
        basis = q * r.diagonal().sign()

        handle = model.conv1.register_forward_hook(lambda module, args, output: kept.append(output))
        plain = model(X, logits=True).squeeze(1)
        handle.remove()
        flat = flatten_neurons(kept.pop())
        coordinates = flat @ basis
        taken = [coordinates[rows, i * size:(i + 1) * size] for i, rows in enumerate(pairs.sources)]
        swapped = torch.addmm(flat, torch.cat(taken, dim=1) - coordinates, basis.T)

        swapped = swapped.view(-1, 28, 28, 16).permute(0, 3, 1, 2)
        intervened = model(swapped, logits=True, resume_at="conv1").squeeze(1)
        loss = (F.binary_cross_entropy_with_logits(intervened, pairs.y_counterfactual)
                + F.binary_cross_entropy_with_logits(plain, pairs.y_base))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


class StockRotation(pv.LowRankRotatedSpaceIntervention):
    """pyvene's own low-rank rotation, its arithmetic untouched: it only gets a convolution's output flattened."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**{**kwargs, "keep_last_dim": True})

    def forward(self, base: torch.Tensor, source: torch.Tensor, subspaces: list | None = None, **kwargs):
        """Activations of base and source (b, ...) to intervened activations of the same shape."""
        return super().forward(base.flatten(1), source.flatten(1), subspaces, **kwargs).view(base.shape)


def build_stock(model: PyTorchCNN, layer: str, size: int, num_sources: int = 1) -> pv.IntervenableModel:
    """A network with ``size`` stock directions for each source, in the memory format that torch gives it."""
    model.to(memory_format=torch.contiguous_format)
    model.config = CNNConfig()
    shared = {"component": f"{layer}.output", "low_rank_dimension": size * num_sources}
    if num_sources > 1:
        blocks = [list(range(i * size, (i + 1) * size)) for i in range(num_sources)]
        shared |= {"subspace_partition": blocks, "intervention_link_key": 0}
    config = pv.IntervenableConfig(representations=[dict(shared) for _ in range(num_sources)],
                                   intervention_types=StockRotation)
    return pv.IntervenableModel(config, model)


def by_stock(
    intervenable: pv.IntervenableModel, pool: PairPool, batch_size: int, lr: float = LR, seed: int = 0
) -> Callable[[], float]:
    """The same two losses as pyvene's tutorials train them: pyvene runs the sources itself. Each call is a step."""
    intervenable.enable_model_gradients()
    parameters = {id(p): p for p in intervenable.parameters() if p.requires_grad}
    optimizer = torch.optim.Adam(parameters.values(), lr=lr)
    images, rng = torch.from_numpy(pool.images), np.random.default_rng(seed)
    num = len(pool.variables)
    subspaces = None if num == 1 else [[[i]] * batch_size for i in range(num)]

    def step() -> float:
        pairs = pool.draw(batch_size, rng)
        X = images[pairs.base]
        sources = [{"x": X[rows]} for rows in pairs.sources]
        plain, intervened = intervenable({"x": X}, sources, subspaces=subspaces, output_original_output=True)
        loss = (F.binary_cross_entropy(intervened.squeeze(1), pairs.y_counterfactual)
                + F.binary_cross_entropy(plain.squeeze(1), pairs.y_base))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
