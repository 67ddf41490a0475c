"""The intervention: some coordinates of a layer, along learned directions, come from a source."""
import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from utils.interventions.layers import first_rows, flatten_neurons, restore_neurons
from utils.interventions.rotation import RotateLayer
from utils.model_utils import LAYER_SIZES, PyTorchCNN
from utils.validation import validate_count, validate_memory

with contextlib.redirect_stdout(io.StringIO()):  # pyvene prints an advertisement for a backend we do not use
    import pyvene as pv
from pyvene.models.intervenable_modelcard import type_to_dimension_mapping  # noqa: E402

SLOW = 2.5e10  # multiplications for the directions of one step, from which on one is warned

# pyvene looks a component's size up by the class of the model; the first proposal that is not None counts.
type_to_dimension_mapping[PyTorchCNN] = {
    f"{layer}.output": ("hidden_size", str(size)) for layer, size in LAYER_SIZES.items()
}


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


def remove_pyvene_hooks(model: nn.Module) -> None:
    """Take off what pyvene's calls have hooked on, and no other hook: pyvene itself takes off all of them."""
    for module in model.modules():
        for tables in ((module._forward_hooks, module._forward_hooks_with_kwargs),
                       (module._forward_pre_hooks, module._forward_pre_hooks_with_kwargs)):
            for key in [key for key, hook in tables[0].items()
                        if str(getattr(hook, "__module__", "")).startswith("pyvene.")]:
                for table in tables:
                    table.pop(key, None)


class IntervenableModel(pv.IntervenableModel):
    """pyvene's, which leaves the hooks of others on the network, and says that its ``save`` leaves the network out."""

    __str__ = nn.Module.__repr__  # pyvene's raises AttributeError

    def _remove_forward_hooks(self) -> None:
        remove_pyvene_hooks(self.model)

    def save(self, *args, **kwargs) -> None:
        """pyvene's own: directions without the network."""
        warnings.warn("pyvene's save writes the directions but no frozen weight, so no network that IIT has trained: "
                      "utils.interventions.checkpoints.save_intervenable writes both", stacklevel=2)
        super().save(*args, **kwargs)


class CustomLowRankRotatedSpaceIntervention(pv.TrainableIntervention, pv.DistributedRepresentationIntervention):
    """Distributed interchange: swap the coordinates along a few learned orthonormal directions (DAS, Geiger 2024).

    Works on a layer's output of any shape (b, ...): flattened to (b, n), the result is
    base + (source - base) Q Q^T, with only the columns of Q that ``subspaces`` names.

    Args (by keyword, as pyvene passes them):
        embed_dim: neurons n of the layer.
        low_rank_dimension: number of directions, 1 to n.
        subspace_partition: optional list of [start, end) blocks of directions.
        position: for an output (b, positions, n) the one position to work on; None for all of it.

    Raises:
        ValueError: the layer is unknown to pyvene, it has fewer neurons than directions, or a block lies outside.
    """

    def __init__(self, **kwargs) -> None:
        if kwargs.get("embed_dim") is None:
            raise ValueError(f"component must be one of {[f'{name}.output' for name in LAYER_SIZES]}")
        kwargs["keep_last_dim"] = True  # keeps pyvene from folding (b, c, h, w) into rows; we flatten it ourselves
        super().__init__(**kwargs)
        size = int(kwargs["embed_dim"])
        directions = validate_count(kwargs.get("low_rank_dimension"), "low_rank_dimension")
        if directions > size:
            raise ValueError(f"low_rank_dimension must be at most the layer's {size} neurons, got {directions}")
        if any(i < 0 or i >= directions for block in self.subspace_partition or () for i in block):
            raise ValueError(f"subspace_partition must lie within {directions} directions")
        self.position: int | None = kwargs.get("position")
        self.neurons, self.rotate_layer = size, RotateLayer(size, directions)

    def forward(self, base: torch.Tensor, source: torch.Tensor, subspaces: Sequence | None = None) -> torch.Tensor:
        """pyvene's call: activations of base and source (b, ...) to intervened activations of the same shape."""
        weight: torch.Tensor = self.rotate_layer.weight
        flat = self.flatten(base)
        if subspaces is not None and all(chosen == subspaces[0] for chosen in subspaces):
            weight, subspaces = weight[:, as_slice(self.columns(subspaces[0]))], None
        change = (self.flatten(source) - flat) @ weight
        if subspaces is not None:
            mask = torch.zeros_like(change)
            for row, chosen in enumerate(subspaces):
                mask[row, self.columns(chosen)] = 1.0
            change = change * mask
        return restore_neurons(torch.addmm(flat, change, weight.T), base, self.position)

    def swap(self, activations: torch.Tensor, sources: torch.Tensor, columns: Sequence[list[int]]) -> torch.Tensor:
        """The same for bases and sources that are rows of one batch, all sources at once.

        Args:
            activations: (m, ...), the b bases first: b is m, or p where sources follow that are no bases.
            sources: (k, p), at which rows the sources of each pair are; the base of pair j is row j modulo b.
            columns: for each of the k sources the directions along which it lends its coordinates, none twice.

        Returns:
            the intervened activations (p, ...) of the bases.
        """
        tall, small = self.rotate_layer.factors()  # rows are multiplied by both in turn, their product would be large
        flat, p = self.flatten(activations), sources.shape[1]
        b = min(len(flat), p)
        times = p // b
        coordinates, kept = flat @ tall @ small, as_slice(sum(columns, []))
        taken = [coordinates.index_select(0, rows)[:, own] for rows, own in zip(sources, map(as_slice, columns))]
        change = (torch.cat(taken, dim=1) - coordinates[:b, kept].repeat(times, 1)) @ small[:, kept].T
        bases = first_rows(flat, b) if times == 1 else first_rows(flat, b).repeat(times, 1)
        return restore_neurons(torch.addmm(bases, change, tall.T), activations[:b], self.position)

    def flatten(self, activations: torch.Tensor) -> torch.Tensor:
        """Activations (b, ...) as rows (b, n); ValueError where there are more or fewer than the rotation is for."""
        rows = flatten_neurons(activations, self.position)
        if rows.shape[1] != self.neurons:
            raise ValueError(f"the aligned layer gives {tuple(activations.shape)}, but its rotation is for "
                             f"{self.neurons} neurons: all inputs must have the shape of the example")
        return rows.to(next(self.rotate_layer.parameters()).dtype)

    def columns(self, chosen: Sequence[int]) -> list[int]:
        """The directions of the chosen blocks, each once; of a partition, or each direction a block of its own."""
        if self.subspace_partition is not None:
            chosen = [column for block in chosen for column in self.subspace_partition[block]]
        return list(dict.fromkeys(chosen))

    def __str__(self) -> str:
        return "CustomLowRankRotatedSpaceIntervention()"


def announce_cost(neurons: int, directions: int, layer: str) -> None:
    """A UserWarning where it takes long to keep the directions orthonormal at each step; ValueError where they need
    more memory than there is: for themselves, their gradient, Adam, the step back and what comes between."""
    validate_memory(directions, "intervention_size * num_sources", 9 * 4 * neurons)
    count = 2 * neurons * directions**2  # of the size of the directions' Gram matrix, and back
    if count > SLOW:
        warnings.warn(f"{directions:,} directions of the {neurons:,} neurons of {layer} take {count / 1e9:,.0f} "
                      f"billion multiplications a training step to stay orthonormal, {(directions / 64)**2:,.0f} times "
                      f"as many as 64, and about {9 * 4e-9 * neurons * directions:,.1f} GB", stacklevel=3)


def as_slice(columns: list[int]) -> list[int] | slice:
    """Neighboring columns as a slice, which is a view where a list would copy."""
    if columns and columns == list(range(columns[0], columns[0] + len(columns))):
        return slice(columns[0], columns[0] + len(columns))
    return columns
