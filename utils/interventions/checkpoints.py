"""Saving and loading intervened models: network, rotation, partition and what is aligned where."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from utils.checkpoint_utils import MODEL_FOLDER, read_weights, save_checkpoint
from utils.interventions.build import build_intervenable, get_intervention, get_layer, validate_intervenable
from utils.interventions.rotated_space import pv
from utils.model_utils import PyTorchCNN, find_device
from utils.running.files import load_weights
from utils.running.guard import restoring
from utils.validation import validate_groups

SHIPPED = ("single", "two", "three", "das_conv1", "das_conv2", "das_conv3", "das_fc1")  # made by studies.shipped
ANY_NUMBER = 2**31  # of variables, which a file need not tell


def _parts(intervenable: pv.IntervenableModel) -> nn.ModuleDict:
    """What is saved: the network, and the rotation that all interventions share."""
    rotations = {id(i): i.rotate_layer for i in intervenable.interventions.values()}
    if len(rotations) != 1:
        raise ValueError(f"intervenable must have one rotation for all its interventions, got {len(rotations)}")
    return nn.ModuleDict({"network": intervenable.model, "rotation": next(iter(rotations.values()))})


def _validate_partition(blocks: Any, directions: int) -> None:
    if sorted(i for block in blocks for i in block) != list(range(directions)):
        raise ValueError(f"subspace_partition must share out all {directions} directions, got {blocks}")


def save_intervenable(intervenable: pv.IntervenableModel, path: str | Path, groups: Sequence[Sequence[int]],
                      provenance: dict[str, Any]) -> dict[str, Any]:
    """Write an intervened model as weights (.pth) and provenance (.json), both or none.

    Args:
        intervenable: from ``build_intervenable``.
        path: ends in .pth; its folder exists.
        groups: for each intervention the variables that its subspace holds.
        provenance: what can be written as JSON: seed, recipe, figures.

    Returns:
        the provenance as written, with hash, versions and the ``alignment`` added.

    Raises:
        ValueError: as many groups as interventions are wanted; and what ``save_checkpoint`` raises.
        TypeError: ``intervenable`` is no pyvene model of ours, or the provenance is no dict.
    """
    validate_intervenable(intervenable)
    if not hasattr(get_intervention(intervenable), "rotate_layer"):
        raise TypeError(f"intervenable must be one that build_intervenable made, got {type(intervenable).__name__}")
    if not isinstance(provenance, dict):
        raise TypeError(f"provenance must be a dict, got {type(provenance).__name__}")
    groups, interventions = validate_groups(groups, ANY_NUMBER), list(intervenable.interventions.values())
    if len(groups) != len(interventions):
        raise ValueError(f"groups must name the variables of {len(interventions)} interventions, got {len(groups)}")
    parts, blocks = _parts(intervenable), interventions[0].subspace_partition
    directions = get_intervention(intervenable).rotate_layer.weight.shape[1]
    _validate_partition(blocks, directions)
    alignment = {"layer": get_layer(intervenable), "directions": directions, "groups": groups, "partition": blocks}
    if interventions[0].position is not None:
        alignment["position"] = interventions[0].position
    return save_checkpoint(parts, path, {**provenance, "alignment": alignment})


def load_intervenable(
    path: str | Path, device: torch.device | None = None, model: nn.Module | None = None,
    example: torch.Tensor | None = None,
) -> tuple[pv.IntervenableModel, list[list[int]], dict[str, Any]]:
    """Load what ``save_intervenable`` wrote, to the bit.

    Args:
        path: the .pth file; its .json lies beside it.
        device: where to put the network; None finds one.
        model, example: a network of the class that was saved, which takes over the weights, and a few of its inputs;
            None for a ``PyTorchCNN``.

    Returns:
        the intervened model, the variables of each of its interventions, and the provenance.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: the files are damaged, foreign, or do not hold an intervened model.
    """
    weights, provenance = read_weights(path)
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        try:
            alignment, model = provenance["alignment"], PyTorchCNN() if model is None else model
            groups, k = validate_groups(alignment["groups"], ANY_NUMBER), len(alignment["groups"])
            with restoring(model):
                intervenable = build_intervenable(model, alignment["layer"], alignment["directions"] // k, k,
                                                  example=example, position=alignment.get("position"))
            _validate_partition(blocks := alignment["partition"], alignment["directions"])
            load_weights(_parts(intervenable), weights)
        except Exception as error:  # a foreign file can hold anything
            raise ValueError(f"{Path(path).name} does not hold an intervened model that fits: {error}") from error
    intervenable.disable_model_gradients()
    intervenable.set_device(device or find_device())
    get_intervention(intervenable).subspace_partition = blocks
    return intervenable, groups, provenance


def shipped_path(name: str) -> Path:
    """Where a network of ``SHIPPED`` lies.

    Raises:
        ValueError: there is no such network.
    """
    if name not in SHIPPED:
        raise ValueError(f"name must be one of {SHIPPED}, got {name!r}")
    return MODEL_FOLDER / f"{name}.pth"
