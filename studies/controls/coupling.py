"""An alignment map that is too strong: directions with invertible coupling layers behind them (Sutter et al. 2025)."""
from collections.abc import Sequence

import torch
from torch import nn

from studies.controls.subspaces import outputs_at, principal_components
from utils.interventions.build import build_intervenable, get_intervention
from utils.interventions.layers import restore_neurons
from utils.interventions.rotated_space import CustomLowRankRotatedSpaceIntervention, as_slice, pv


class CouplingLayers(nn.Module):
    """An invertible map of coordinates (b, d) by affine coupling layers (Dinh et al. 2017, arXiv:1605.08803).

    Each layer scales and shifts half of the coordinates by what a small network makes of the other half, which it
    leaves as it is. At the start the map is the identity.

    Args:
        size: coordinates d, at least 2.
        layers: coupling layers; with 0 the map stays the identity.
        hidden: hidden units of each small network.
    """

    orders: torch.Tensor

    def __init__(self, size: int, layers: int = 6, hidden: int = 128) -> None:
        super().__init__()
        self.kept = size - size // 2
        drawn = [torch.randperm(size, device="cpu") for _ in range(-(-layers // 2))]
        orders = [order for one in drawn for order in (one, one.flip(0))][:layers]  # what one keeps the next one moves
        self.register_buffer("orders", torch.stack(orders) if orders else torch.empty(0, size, dtype=torch.long))
        self.nets = nn.ModuleList()
        for _ in range(layers):
            last = nn.Linear(hidden, 2 * (size // 2))
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.nets.append(nn.Sequential(nn.Linear(self.kept, hidden), nn.ReLU(), last))

    def _couple(self, x: torch.Tensor, i: int, back: bool) -> torch.Tensor:
        kept, moved = x[:, self.orders[i]].tensor_split([self.kept], dim=1)
        scale, shift = self.nets[i](kept).chunk(2, dim=1)
        scale = scale.tanh()  # bounded, so that neither way explodes
        moved = (moved - shift) * (-scale).exp() if back else moved * scale.exp() + shift
        return torch.cat([kept, moved], dim=1)[:, self.orders[i].argsort()]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (b, d), mapped."""
        for i in range(len(self.nets)):
            x = self._couple(x, i, back=False)
        return x

    def inverse(self, x: torch.Tensor) -> torch.Tensor:
        """Mapped coordinates (b, d), taken back."""
        for i in reversed(range(len(self.nets))):
            x = self._couple(x, i, back=True)
        return x


class CoupledIntervention(CustomLowRankRotatedSpaceIntervention):
    """Interchange of what coupling layers f make of the coordinates z along learned directions Q.

    The chosen blocks of f(z / scale) come from the source; mapped back that gives z', and base + (z' - z) Q^T goes on.
    Without coupling layers it is the interchange of the coordinates themselves.

    Args (by keyword): those of ``CustomLowRankRotatedSpaceIntervention``, and ``layers`` and ``hidden`` of
        ``CouplingLayers``.
    """

    scale: torch.Tensor

    def __init__(self, layers: int = 6, hidden: int = 128, **kwargs) -> None:
        super().__init__(**kwargs)
        self.coupling = CouplingLayers(int(kwargs["low_rank_dimension"]), layers, hidden)
        self.register_buffer("scale", torch.ones(()))

    def _map(self, activations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        flat = self.flatten(activations)
        z = self.rotate_layer(flat)
        return flat, z, self.coupling(z / self.scale)

    def _write(self, flat: torch.Tensor, z: torch.Tensor, mapped: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        change = self.coupling.inverse(mapped) * self.scale - z
        return restore_neurons(torch.addmm(flat, change, self.rotate_layer.weight.T), like, self.position)

    def forward(self, base: torch.Tensor, source: torch.Tensor, subspaces: Sequence | None = None) -> torch.Tensor:
        """As in ``CustomLowRankRotatedSpaceIntervention``."""
        (flat, z, mapped), taken = self._map(base), self._map(source)[2]
        chosen = torch.full_like(mapped, subspaces is None, dtype=torch.bool)
        for row, blocks in enumerate(subspaces or ()):
            chosen[row, self.columns(blocks)] = True
        return self._write(flat, z, torch.where(chosen, taken, mapped), base)

    def swap(self, activations: torch.Tensor, sources: torch.Tensor, columns: Sequence[list[int]]) -> torch.Tensor:
        """As in ``CustomLowRankRotatedSpaceIntervention``."""
        (flat, z, mapped), p = self._map(activations), sources.shape[1]
        bases = torch.arange(p, device=flat.device) % min(len(flat), p)
        swapped = mapped[bases]
        for rows, own in zip(sources, map(as_slice, columns)):
            swapped[:, own] = mapped[rows][:, own]
        return self._write(flat[bases], z[bases], swapped, activations[:min(len(flat), p)])


def build_coupled(
    model: nn.Module, layer: str, images: torch.Tensor, layers: int = 6, hidden: int = 128, directions: int = 64,
    intervention_size: int = 16, num_sources: int = 3,
) -> pv.IntervenableModel:
    """Wrap a network so that each source lends a block of mapped coordinates.

    Args:
        model: answers with logits.
        layer: name of a submodule.
        images: inputs (n, ...), n at least ``directions``; the directions start at the principal components of what
            the layer makes of them.
        layers, hidden: of ``CouplingLayers``; 0 layers for directions alone.
        directions: that are mapped; what is behind the blocks stays the base's.
        intervention_size: mapped coordinates for each source.
        num_sources: sources.
    """
    intervenable = build_intervenable(model, layer, intervention_size, num_sources, example=images[:2])
    plain = get_intervention(intervenable)
    intervention = CoupledIntervention(layers, hidden, embed_dim=plain.neurons, low_rank_dimension=directions,
                                       subspace_partition=plain.subspace_partition)
    outputs = outputs_at(model, layer, images)
    components = principal_components(outputs, directions)
    intervention.scale.copy_((outputs @ components).std(dim=0).max())
    intervention.rotate_layer.weight = components.contiguous()  # type: ignore[assignment]  # it is parametrized
    for key in intervenable.interventions:
        intervenable.interventions[key] = intervention  # one for all sources, as it was
    return intervenable
