"""The networks of the explorer for its page, which computes in the browser: one script that assigns ``explorerData``.

Weights and directions are float32, little-endian, in base64. Networks that share their weights, as those whose
directions DAS found on the base CNN, share one copy.
"""
import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studies.recipes import TEST_SEED
from utils import data_utils
from utils.data_utils import create_dataset
from utils.explorer import picture, widget
from utils.explorer.view import Aligned, Plane, fix_rotation
from utils.interventions.build import get_basis, get_coordinates, get_intervention
from utils.measure_utils import name_groups
from utils.model_utils import PyTorchCNN
from utils.plot_utils import VARIABLE_COLORS

BACKGROUND, FIRST = 400, "three-source IIT"  # as in notebooks/explorer.ipynb
TASK = {
    "variables": data_utils.VARIABLE_NAMES,
    "ranges": [[data_utils.MIN_CIRCULARITY, data_utils.MAX_CIRCULARITY], [0.0, data_utils.MAX_COLOR],
               [data_utils.MIN_AREA, data_utils.MAX_AREA]],
    "coefficients": data_utils.COEFFICIENTS,
    "threshold": data_utils.THRESHOLD,
    "start": widget.START.tolist(),
    "colors": {"variables": VARIABLE_COLORS, "base": picture.BASE, "after": picture.AFTER, "several": picture.SEVERAL},
}


def encode(values: np.ndarray | torch.Tensor) -> dict[str, Any]:
    """Numbers of any shape as their shape and their bytes, row after row."""
    array = np.asarray(values, dtype="<f4")
    return {"shape": array.shape, "data": base64.b64encode(array.tobytes()).decode()}


def export_weights(model: PyTorchCNN) -> list[dict[str, Any]]:
    """Each layer's name, weight and bias, with the outputs last: (3, 3, inputs, outputs) or (inputs, outputs).

    Inputs of fc1 come in the order of the subspaces' neurons: the channels of one pixel side by side.
    """
    layers = []
    for name, layer in model.named_children():
        weight = layer.get_parameter("weight").detach()
        if weight.ndim == 4:
            channels, weight = len(weight), weight.permute(2, 3, 1, 0)
        elif name == "fc1":
            weight = weight.reshape(len(weight), channels, -1).permute(2, 1, 0).flatten(0, 1)
        else:
            weight = weight.T
        layers.append({"name": name, "weight": encode(weight), "bias": encode(layer.get_parameter("bias").detach())})
    return layers


def export_network(aligned: Aligned, images: np.ndarray) -> dict[str, Any]:
    """Directions, what they are aligned with, and the plane that is drawn, with these images (n, 28, 28) as points."""
    fixed = fix_rotation(aligned)
    plane = Plane(get_coordinates(fixed.intervenable, images[:, None]).numpy(), fixed)
    return {
        "sources": [name_groups([group]) for group in fixed.groups],
        "groups": fixed.groups,
        "partition": get_intervention(fixed.intervenable).subspace_partition,
        "rotation": encode(get_basis(fixed.intervenable)),
        "plane": {"names": plane.names, "mean": encode(plane.mean), "axes": encode(plane.axes),
                  "background": encode(plane.background)},
    }


def write_networks(path: Path) -> None:
    """Write all that the page needs of the networks that ship.

    Raises:
        FileNotFoundError, ValueError: a network is missing or damaged.
    """
    images = create_dataset(BACKGROUND, seed=TEST_SEED)[0]
    weights: list[str] = []
    networks = []
    for title, layers in widget.load_networks().items():
        for layer, aligned in layers.items():
            exported = json.dumps(export_weights(aligned.intervenable.model))
            if exported not in weights:
                weights.append(exported)
            networks.append({"title": title, "layer": layer, "weights": weights.index(exported),
                             **export_network(aligned, images)})
    data = {**TASK, "first": FIRST, "weights": list(map(json.loads, weights)), "networks": networks}
    path.write_text(f"const explorerData = {json.dumps(data)};\n", encoding="utf-8")
