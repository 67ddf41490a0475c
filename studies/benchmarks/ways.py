"""Four ways to take the same step of IIT: by hand, by pyvene's own call with our rotation or its own, and (in steps)
by utils."""
import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F

from utils.counterfactual_data_utils import PairPool
from utils.interventions.build import get_layer
from utils.interventions.layers import find_layer, flatten_neurons, restore_neurons
from utils.interventions.passes import interchange
from utils.interventions.rotated_space import CNNConfig, pv
from utils.model_utils import PyTorchCNN

GROUPS = {1: [[0, 1]], 2: [[0], [1]], 3: [[0], [1], [2]]}  # number of sources -> the variables that each sets
LR = 1e-2
Step = Callable[[], float]


def raw_rotation(intervenable: pv.IntervenableModel) -> torch.Tensor:
    """The trainable matrix (n, directions) whose Q holds the directions."""
    return next(iter(intervenable.interventions.values())).rotate_layer.parametrizations.weight.original


def _make_step(parameters: Iterable[torch.Tensor], answer: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
               pool: PairPool, batch_size: int) -> Step:
    """A call that draws pairs, takes a step of Adam on both losses and returns their sum.

    ``answer`` takes images (b, 1, 28, 28) and the rows of their sources (k, b) and returns the logits (2b,) of the
    plain and then of the intervened bases.
    """
    optimizer = torch.optim.Adam(parameters, lr=LR, fused=True)
    images, rng = torch.from_numpy(pool.images), np.random.default_rng(0)

    def step() -> float:
        pairs = pool.draw(batch_size, rng)
        logits = answer(images[pairs.base], pairs.sources)
        loss = (F.binary_cross_entropy_with_logits(logits[batch_size:], pairs.y_counterfactual)
                + F.binary_cross_entropy_with_logits(logits[:batch_size], pairs.y_base))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def by_hand(intervenable: pv.IntervenableModel, pool: PairPool, batch_size: int) -> Step:
    """IIT in plain torch, on a copy of the weights: the lower bound. Nothing is checked, recorded or general.

    One run of the network: on the way out of the layer, a hook appends the bases with their coordinates swapped.
    """
    model = copy.deepcopy(intervenable.model).requires_grad_(True)
    raw = raw_rotation(intervenable).detach().clone().requires_grad_(True)
    identity, size = torch.eye(raw.shape[1]), raw.shape[1] // len(pool.variables)
    sources: list[torch.Tensor] = []

    def append_swapped(module: torch.nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        half = raw.detach().T @ raw
        gram = 2 * half - half.detach()  # raw^T raw, with one product in the backward pass in place of two
        inverse = torch.linalg.solve_triangular(torch.linalg.cholesky(gram), identity, upper=False)
        flat = flatten_neurons(output)
        coordinates = flat @ raw @ inverse.T  # Q = raw @ inverse.T is large, and never multiplied out
        taken = [coordinates[rows, i * size:(i + 1) * size] for i, rows in enumerate(sources)]
        change = (torch.cat(taken, dim=1) - coordinates) @ inverse
        return torch.cat([output, restore_neurons(torch.addmm(flat, change, raw.T), output)])

    def answer(X: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        sources[:] = rows
        return model(X)[:, 0]

    find_layer(model, get_layer(intervenable)).register_forward_hook(append_swapped)
    return _make_step([*model.parameters(), raw], answer, pool, batch_size)


def _trainable(intervenable: pv.IntervenableModel) -> list[torch.Tensor]:
    intervenable.enable_model_gradients()
    return list({id(p): p for p in intervenable.parameters() if p.requires_grad}.values())


def by_pyvene(intervenable: pv.IntervenableModel, pool: PairPool, batch_size: int) -> Step:
    """Our rotation by pyvene's own call, which runs each source through the network, then the bases, plain and
    intervened. It trains what it is given."""
    def answer(X: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        return interchange(intervenable, X, [X[rows] for rows in sources], keep_bases=True)

    return _make_step(_trainable(intervenable), answer, pool, batch_size)


class StockRotation(pv.LowRankRotatedSpaceIntervention):
    """pyvene's own low-rank rotation, its arithmetic untouched: it only gets a convolution's output flattened."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**{**kwargs, "keep_last_dim": True})

    def forward(self, base: torch.Tensor, source: torch.Tensor, subspaces: list | None = None, **kwargs):
        """Activations of base and source (b, ...) to intervened activations of the same shape."""
        return super().forward(base.flatten(1), source.flatten(1), subspaces, **kwargs).view(base.shape)


def build_stock(model: PyTorchCNN, layer: str, size: int, num_sources: int = 1) -> pv.IntervenableModel:
    """A network with ``size`` stock directions for each source, in the memory format that torch gives it."""
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's types leave it out
    model.config = CNNConfig()  # type: ignore[assignment]  # pyvene wants one
    shared = {"component": f"{layer}.output", "low_rank_dimension": size * num_sources}
    if num_sources > 1:
        blocks = [list(range(i * size, (i + 1) * size)) for i in range(num_sources)]
        shared |= {"subspace_partition": blocks, "intervention_link_key": 0}
    config = pv.IntervenableConfig(representations=[dict(shared) for _ in range(num_sources)],
                                   intervention_types=StockRotation)
    return pv.IntervenableModel(config, model)


def by_stock(intervenable: pv.IntervenableModel, pool: PairPool, batch_size: int) -> Step:
    """pyvene's own call with its own rotation, as in its tutorials."""
    num = len(pool.variables)
    subspaces = None if num == 1 else [[[i]] * batch_size for i in range(num)]

    def answer(X: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        both = intervenable({"x": X}, [{"x": X[rows]} for rows in sources], subspaces=subspaces,
                            output_original_output=True)
        return torch.cat(both)[:, 0]

    return _make_step(_trainable(intervenable), answer, pool, batch_size)
