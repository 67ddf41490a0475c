"""The rotation and the pyvene models that DAS and IIT train."""
import contextlib
import io
from dataclasses import dataclass
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils import parametrize

from utils.model_utils import LAYER_SIZES, PyTorchCNN, validate_layer, model_device, predict
from utils.validation import validate_count

with contextlib.redirect_stdout(io.StringIO()):  # pyvene prints an advertisement for a backend we do not use
    import pyvene as pv
from pyvene.models.intervenable_modelcard import type_to_dimension_mapping  # noqa: E402


@dataclass
class CNNConfig:
    """What pyvene asks of ``model.config``: the size of the representation to align.

    Attributes:
        hidden_size: neurons of the component; None takes the size of the named layer.
    """

    hidden_size: int | None = None

    def to_dict(self) -> dict:
        """The fields as a dict, as pyvene expects of a config."""
        return {"hidden_size": self.hidden_size}


# pyvene looks a component's size up by the class of the model; the first proposal that is not None counts.
type_to_dimension_mapping[PyTorchCNN] = {
    f"{layer}.output": ("hidden_size", str(size)) for layer, size in LAYER_SIZES.items()
}


class _Orthonormal(nn.Module):
    """Parametrization of an (n, m) matrix with orthonormal columns by the Q of a plain matrix."""

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        q, r = torch.linalg.qr(raw)
        return q * r.diagonal().sign()  # a positive diagonal of R makes Q unique

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        return weight


class RotateLayer(nn.Module):
    """Orthonormal directions in the columns of ``weight`` (n, m), trainable; maps (b, n) to (b, m)."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(n, m))[0])
        parametrize.register_parametrization(self, "weight", _Orthonormal())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (b, m) of activations (b, n)."""
        return x @ self.weight


def flatten_neurons(activations: torch.Tensor) -> torch.Tensor:
    """(b, c, h, w) to (b, h * w * c): the order in which channels_last memory holds it, so nothing is copied."""
    return activations.permute(0, 2, 3, 1).flatten(1) if activations.ndim == 4 else activations.flatten(1)


class CustomLowRankRotatedSpaceIntervention(pv.TrainableIntervention, pv.DistributedRepresentationIntervention):
    """Distributed interchange: swap the coordinates along a few learned orthonormal directions (DAS, Geiger 2024).

    Works on a whole layer of any shape (b, ...): flattened to (b, n), the result is
    base + (source - base) Q Q^T, with only the columns of Q that ``subspaces`` names. For a convolution, the source
    may also come as its coordinates (b, directions) along Q, which are cheap to compute once and to reorder, or
    as (b, 2, directions) with those of the base after them.

    Args (by keyword, as pyvene passes them):
        embed_dim: neurons n of the layer.
        low_rank_dimension: number of directions, 1 to n.
        subspace_partition: optional list of [start, end) blocks of directions.

    Raises:
        ValueError: the layer is unknown to pyvene, it has fewer neurons than directions, or a block lies outside.
    """

    def __init__(self, **kwargs) -> None:
        if kwargs.get("embed_dim") is None:
            raise ValueError(f"component must be one of {[f'{name}.output' for name in LAYER_SIZES]}")
        kwargs["keep_last_dim"] = True  # keeps pyvene from folding (b, c, h, w) into rows; we flatten it ourselves
        super().__init__(**kwargs)
        size, directions = int(kwargs["embed_dim"]), validate_count(kwargs.get("low_rank_dimension"), "low_rank_dimension")
        if directions > size:
            raise ValueError(f"low_rank_dimension must be at most the layer's {size} neurons, got {directions}")
        if any(i < 0 or i >= directions for block in self.subspace_partition or () for i in block):
            raise ValueError(f"subspace_partition must lie within {directions} directions")
        self.rotate_layer = RotateLayer(size, directions)

    def forward(self, base: torch.Tensor, source: torch.Tensor, subspaces: Sequence | None = None) -> torch.Tensor:
        """Activations of base and source (b, ...) to intervened activations of the same shape."""
        weight, flat = self.rotate_layer.weight, flatten_neurons(base)
        is_coordinates = source.ndim < base.ndim
        if subspaces is not None and all(chosen == subspaces[0] for chosen in subspaces):
            columns, subspaces = self._columns(subspaces[0]), None
            if columns != slice(0, weight.shape[1]):  # to slice out everything would cost a copy of the gradient
                weight = weight[:, columns]
                source = source[..., columns] if is_coordinates else source
        if is_coordinates:
            change = source[:, 0] - source[:, 1] if source.ndim == 3 else source - flat @ weight
        else:
            change = (flatten_neurons(source) - flat) @ weight
        if subspaces is not None:
            mask = torch.zeros_like(change)
            for row, chosen in enumerate(subspaces):
                mask[row, self._columns(chosen)] = 1.0
            change = change * mask
        output = torch.addmm(flat, change, weight.T)
        if base.ndim < 4:
            return output.view(base.shape)
        return output.view(len(base), *base.shape[2:], base.shape[1]).permute(0, 3, 1, 2)

    def _columns(self, chosen: Sequence[int]) -> list[int] | slice:
        columns = list(chosen)
        if self.subspace_partition is not None:
            columns = [column for block in chosen for column in self.subspace_partition[block]]
        columns = list(dict.fromkeys(columns))  # a direction named twice is still swapped once
        if columns and columns == list(range(columns[0], columns[0] + len(columns))):
            return slice(columns[0], columns[0] + len(columns))  # a view, where a list would copy
        return columns

    def __str__(self) -> str:
        return "CustomLowRankRotatedSpaceIntervention()"


def take_sources(
    intervenable: pv.IntervenableModel,
    activations: Sequence[torch.Tensor],
    rows: torch.Tensor,
    starts_with_bases: bool = False,
) -> list[torch.Tensor]:
    """What each intervention takes from its sources, for pyvene's ``source_representations``.

    Args:
        intervenable: with k interventions.
        activations: k tensors (m, ...), of the same m images.
        rows: (k, b), for each intervention which of these images are its sources.
        starts_with_bases: whether the first b of the images are the bases, so that their coordinates are at hand too.
    """
    taken, coordinates = [], {}
    for key, activation, chosen in zip(intervenable.sorted_keys, activations, rows):
        intervention = intervenable.interventions[key]
        if activation.ndim < 4 or not isinstance(intervention, CustomLowRankRotatedSpaceIntervention):
            taken.append(activation.index_select(0, chosen))
            continue
        if id(intervention) not in coordinates:  # linked interventions share the basis
            coordinates[id(intervention)] = intervention.rotate_layer(flatten_neurons(activation))
        along = coordinates[id(intervention)]
        source = along.index_select(0, chosen)
        taken.append(torch.stack([source, along[:len(chosen)]], dim=1) if starts_with_bases else source)
    return taken


def build_intervenable(
    model: PyTorchCNN, layer: str, intervention_size: int, num_sources: int = 1
) -> pv.IntervenableModel:
    """Wrap a network so that one or several subspaces of a layer can be interchanged.

    Args:
        model: the network; it is shared, not copied, and pyvene freezes it.
        layer: conv1, conv2, conv3 or fc1.
        intervention_size: directions for each source.
        num_sources: one intervention for each, all on one orthonormal basis; block i belongs to source i.

    Raises:
        ValueError: the layer is unknown or has fewer neurons than directions are asked for.
    """
    if not isinstance(model, PyTorchCNN):
        raise TypeError(f"model must be a PyTorchCNN, got {type(model).__name__}")
    validate_layer(layer)
    size, k = validate_count(intervention_size, "intervention_size"), validate_count(num_sources, "num_sources")
    if size * k > LAYER_SIZES[layer]:
        raise ValueError(
            f"intervention_size * num_sources must be at most {LAYER_SIZES[layer]}, the neurons of {layer}, "
            f"got {size * k}"
        )
    model.config = CNNConfig()
    shared = {
        "component": f"{layer}.output",
        "low_rank_dimension": size * k,
        "subspace_partition": [[i * size, (i + 1) * size] for i in range(k)],
    }
    if k > 1:
        shared["intervention_link_key"] = 0
    config = pv.IntervenableConfig(
        representations=[dict(shared) for _ in range(k)], intervention_types=CustomLowRankRotatedSpaceIntervention
    )
    intervenable = pv.IntervenableModel(config, model)
    intervenable.set_device(model_device(model))
    return intervenable


def get_basis(intervenable: pv.IntervenableModel) -> torch.Tensor:
    """The learned directions, detached: (neurons, directions) with orthonormal columns."""
    return next(iter(intervenable.interventions.values())).rotate_layer.weight.detach()


@torch.no_grad()
def get_coordinates(intervenable: pv.IntervenableModel, X: torch.Tensor, batch_size: int = 1024) -> torch.Tensor:
    """Coordinates of images (n, 1, 28, 28) along the learned directions: a CPU tensor (n, directions)."""
    key, intervention = next(iter(intervenable.interventions.items()))
    found: list[torch.Tensor] = []

    def read(module, args, kwargs, output):
        found.append(intervention.rotate_layer(flatten_neurons(output)).cpu())

    handle = intervenable.intervention_hooks[key](read, with_kwargs=True)
    try:
        predict(intervenable.model, X, batch_size)
    finally:
        handle.remove()
    return torch.cat(found)


def one_source_subspaces(intervenable: pv.IntervenableModel, blocks: Sequence[int], batch_size: int) -> list:
    """The ``subspaces`` argument by which the first intervention swaps the named blocks and the others nothing."""
    nothing = [[[]] * batch_size] * (len(intervenable.interventions) - 1)
    return [[list(blocks)] * batch_size, *nothing]


def own_subspaces(intervenable: pv.IntervenableModel, batch_size: int) -> list | None:
    """The ``subspaces`` argument by which intervention i swaps block i of its partition; None without partitions.

    Raises:
        ValueError: a partition has too few blocks.
    """
    chosen = []
    for i, (key, intervention) in enumerate(intervenable.interventions.items()):
        partition = intervention.subspace_partition
        if partition is not None and i >= len(partition):
            raise ValueError(f"intervention {key} needs block {i}, but its subspace_partition has {len(partition)}")
        chosen.append(None if partition is None else [[i]] * batch_size)
    return None if all(c is None for c in chosen) else chosen
