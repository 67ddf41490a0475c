"""A network wrapped by pyvene so that subspaces of one of its layers can be interchanged, and what there is in them."""
import numpy as np
import torch
from torch import nn

from utils.interventions.layers import find_layer, measure_layer, record
from utils.interventions.rotated_space import (CNNConfig, CustomLowRankRotatedSpaceIntervention, IntervenableModel,
                                               announce_cost, pv)
from utils.model_utils import PyTorchCNN, validate_batch, validate_layer
from utils.running.guard import evaluating, model_device
from utils.validation import is_a, validate_count


@torch.inference_mode(False)
def build_intervenable(
    model: nn.Module, layer: str, intervention_size: int, num_sources: int = 1, *,
    example: torch.Tensor | np.ndarray | None = None, position: int | None = None,
) -> pv.IntervenableModel:
    """Wrap a network so that one or several subspaces of a layer can be interchanged.

    Args:
        model: a ``PyTorchCNN``, or any module that answers with logits; it is shared, not copied, and pyvene
            freezes it and puts it in eval mode.
        layer: name of a submodule; of a ``PyTorchCNN`` conv1, conv2, conv3 or fc1.
        intervention_size: directions for each source.
        num_sources: one intervention for each, all on one orthonormal basis; block i belongs to source i.
        example: a few inputs (n, ...), with which the layer's size is found; needed for all but a ``PyTorchCNN``.
        position: for a layer's output (b, positions, n) the one position to align; None for all of the output.

    Returns:
        pyvene's model. Its own ``save`` leaves the network out, also after IIT: take ``checkpoints.save_intervenable``.

    Raises:
        ValueError, TypeError: the layer is unknown, is none that can be aligned, or has fewer neurons than directions
            are asked for; these need more memory than there is; or ``example`` is missing or does not fit the network.
    """
    model_device(model)
    size, k = validate_count(intervention_size, "intervention_size"), validate_count(num_sources, "num_sources")
    if is_a(model, PyTorchCNN):
        validate_layer(layer)
        example = torch.zeros(1, 1, 28, 28) if example is None else example
    if example is None:
        raise ValueError("example must hold a few inputs of the network, to find the layer's size with, got None")
    neurons, dtype = measure_layer(model, layer, example, position)
    if size * k > neurons:
        raise ValueError(f"intervention_size * num_sources must be at most {neurons}, the neurons of {layer}, "
                         f"got {size * k}")
    announce_cost(neurons, size * k, layer)
    if is_a(model, PyTorchCNN) or not hasattr(model, "config"):
        model.config = CNNConfig()  # type: ignore[assignment]  # pyvene wants one
    blocks = [[i * size, (i + 1) * size] for i in range(k)]
    intervention = CustomLowRankRotatedSpaceIntervention(
        embed_dim=neurons, low_rank_dimension=size * k, subspace_partition=blocks,
        position=None if position is None else int(position))
    shared = {"component": f"{layer}.output", "low_rank_dimension": size * k, "subspace_partition": blocks,
              "intervention": intervention, "intervention_link_key": 0 if k > 1 else None}
    config = pv.IntervenableConfig(representations=[dict(shared) for _ in range(k)],
                                   intervention_types=CustomLowRankRotatedSpaceIntervention)
    intervenable = IntervenableModel(config, model)
    intervenable.set_device(model_device(model))
    intervention.to(torch.promote_types(dtype, torch.float32))  # of a network in half precision, too
    return intervenable


def get_intervention(intervenable: pv.IntervenableModel) -> CustomLowRankRotatedSpaceIntervention:
    """The first intervention, which is all of them where they are linked."""
    return next(iter(intervenable.interventions.values()))


def get_layer(intervenable: pv.IntervenableModel) -> str | None:
    """The name of the layer at whose output all interventions are; None where they differ or are elsewhere."""
    components = {representation.component for representation in intervenable.representations.values()}
    layer, _, side = components.pop().rpartition(".")
    return layer if side == "output" and not components else None


def get_basis(intervenable: pv.IntervenableModel) -> torch.Tensor:
    """The learned directions, detached: (neurons, directions) with orthonormal columns."""
    validate_intervenable(intervenable)
    return get_intervention(intervenable).rotate_layer.weight.detach()


def get_coordinates(intervenable: pv.IntervenableModel, X: torch.Tensor | np.ndarray,
                    batch_size: int = 1024) -> torch.Tensor:
    """Coordinates of inputs (n, ...) along the learned directions: a CPU tensor (n, directions)."""
    validate_intervenable(intervenable)
    model, intervention = intervenable.model, get_intervention(intervenable)
    module, parts = find_layer(model, get_layer(intervenable)), validate_batch(X, model).split(
        validate_count(batch_size, "batch_size"))
    with evaluating(model):
        weight = intervention.rotate_layer.weight
        return torch.cat([(intervention.flatten(record(model, module, part)[0]) @ weight).cpu() for part in parts])


def validate_intervenable(intervenable: pv.IntervenableModel) -> None:
    """Raise TypeError unless it is a pyvene model; its directions follow a network that has moved to another device,
    and are kept in float32 at least."""
    if not isinstance(intervenable, pv.IntervenableModel):
        raise TypeError(f"intervenable must be a pyvene IntervenableModel, got {type(intervenable).__name__}")
    intervenable.set_device(model_device(intervenable.model), set_model=False)
    for intervention in intervenable.interventions.values():
        if is_a(intervention, CustomLowRankRotatedSpaceIntervention):
            for raw in intervention.parameters():
                intervention.to(torch.promote_types(raw.dtype, torch.float32))


def own_columns(intervenable: pv.IntervenableModel) -> list[list[int]] | None:
    """The directions that each of several sources lends, if one swap of disjoint blocks of one basis is all there is
    to do; None where it is not: several layers or bases, blocks that overlap, or interventions of another kind."""
    first, *others = intervenable.interventions.values()
    if not is_a(first, CustomLowRankRotatedSpaceIntervention) or any(other is not first for other in others):
        return None
    partition = first.subspace_partition
    if partition is None:
        return None if others else [list(range(first.rotate_layer.weight.shape[1]))]
    columns = [list(block) for block in partition[:1 + len(others)]]
    fits = len(columns) == 1 + len(others) and len(set(sum(columns, []))) == len(sum(columns, []))
    return columns if fits and get_layer(intervenable) else None


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
