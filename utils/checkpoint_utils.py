"""Saving and loading networks with their provenance, and the recipe of the base CNN that ships."""
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.data_utils import causal_model, create_dataset
from utils.model_utils import PyTorchCNN, evaluate, find_device, train

MODEL_FOLDER = Path(__file__).resolve().parent.parent / "pytorch_models"
BASE_CNN = MODEL_FOLDER / "base_cnn.pth"
BASE_RECIPE = {
    "seed": 3, "train_images": 50_000, "train_data_seed": 1, "test_images": 20_000, "test_data_seed": 2,
    "lr": 1e-3, "num_epochs": 8, "batch_size": 128, "optimizer": "Adam", "schedule": "one_cycle",
}


def _replace_together(contents: dict[Path, bytes]) -> None:
    """Write several files of one folder, each by renaming; if one fails, all are as they were before."""
    with tempfile.TemporaryDirectory(dir=next(iter(contents)).parent, prefix=".saving-") as staging:
        new, old, done = Path(staging, "new"), Path(staging, "old"), []
        new.mkdir()
        old.mkdir()
        for path, content in contents.items():
            (new / path.name).write_bytes(content)
            if path.exists():
                shutil.copyfile(path, old / path.name)
        try:
            for path in contents:
                os.replace(new / path.name, path)
                done.append(path)
        except BaseException:
            for path in done:
                if (old / path.name).exists():
                    os.replace(old / path.name, path)
                else:
                    path.unlink()
            raise


def _check_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".pth":
        raise ValueError(f"path must end in .pth, got {path.name}")
    return path


def save_checkpoint(model: torch.nn.Module, path: str | Path, provenance: dict[str, Any]) -> dict[str, Any]:
    """Write the weights to ``path`` (.pth) and their provenance beside it (.json), each atomically.

    Args:
        model: any module; only its state dict is saved.
        path: ends in .pth; its folder exists.
        provenance: what can be written as JSON: seed, recipe, figures.

    Returns:
        the provenance as written, with SHA-256 of the weights and the versions of torch, numpy and Python added.

    Raises:
        ValueError: the path does not end in .pth, or the provenance is no JSON.
        TypeError: the provenance is no dict.
        FileNotFoundError: the folder is missing.
    """
    path = _check_path(path)
    if not isinstance(provenance, dict):
        raise TypeError(f"provenance must be a dict, got {type(provenance).__name__}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder of path does not exist: {path.parent.name}")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with tempfile.TemporaryFile() as file:
        torch.save(weights, file)
        file.seek(0)
        content = file.read()
    versions = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
    written = {**provenance, "sha256": hashlib.sha256(content).hexdigest(), "versions": versions}
    try:
        text = json.dumps(written, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"provenance must be JSON: {error}") from error
    _replace_together({path: content, path.with_suffix(".json"): text.encode()})
    return written


def load_checkpoint(path: str | Path, device: torch.device | None = None) -> tuple[PyTorchCNN, dict[str, Any]]:
    """Load a network written by ``save_checkpoint``.

    Args:
        path: the .pth file; its .json lies beside it.
        device: where to put the network; None finds one.

    Returns:
        the network in eval mode, and its provenance.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: the weights are not those of the provenance, are damaged, or belong to another network.
    """
    path = _check_path(path)
    for needed in (path, path.with_suffix(".json")):
        if not needed.is_file():
            raise FileNotFoundError(f"checkpoint file {needed.name} is missing in {needed.parent.name}")
    try:
        provenance = json.loads(path.with_suffix(".json").read_text())
        expected = provenance["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.with_suffix('.json').name} is no provenance file") from error
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise ValueError(f"{path.name} is damaged or foreign: SHA-256 is {found[:12]}..., not {str(expected)[:12]}...")
    model = PyTorchCNN()
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a foreign file can make the unpickler raise almost anything
        raise ValueError(f"{path.name} does not hold the weights of a PyTorchCNN") from error
    return model.to(device or find_device()).eval(), provenance


def train_base_cnn(
    seed: int = BASE_RECIPE["seed"], device: torch.device | None = None
) -> tuple[PyTorchCNN, dict, dict[str, Any]]:
    """Train the base CNN by ``BASE_RECIPE``.

    Returns:
        network, training history, and provenance with the accuracy on held-out images.
    """
    recipe, start = BASE_RECIPE, time.perf_counter()
    images, labels = create_dataset(recipe["train_images"], seed=recipe["train_data_seed"])
    torch.manual_seed(seed)
    model = PyTorchCNN().to(device or find_device())
    history = train(
        model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels)), lr=recipe["lr"],
        num_epochs=recipe["num_epochs"], batch_size=recipe["batch_size"], seed=seed,
    )
    seconds = time.perf_counter() - start
    images, labels = create_dataset(recipe["test_images"], seed=recipe["test_data_seed"])
    figure = evaluate(model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels)))
    provenance = {"seed": seed, "recipe": recipe, "heldout_accuracy": round(figure, 4), "seconds": round(seconds)}
    return model, history, provenance


def load_or_train_base_cnn(path: str | Path = BASE_CNN, device: torch.device | None = None) -> tuple[PyTorchCNN, str]:
    """The base CNN from its checkpoint, or trained again where the file is missing (and saved, if that is allowed).

    Returns:
        network in eval mode, and a sentence that says where it came from.
    """
    name = _check_path(path).name
    try:
        model, provenance = load_checkpoint(path, device)
        origin = f"Loaded {name}"
    except FileNotFoundError:
        model, _, provenance = train_base_cnn(device=device)
        origin = f"{name} was missing, so the base CNN was trained again in {provenance['seconds']} s"
        try:
            save_checkpoint(model, path, provenance)
        except OSError:
            origin += " (and not saved: the folder is missing or read-only)"
    try:
        n, seed, figure = provenance["recipe"]["test_images"], provenance["seed"], provenance["heldout_accuracy"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"the provenance of {name} lacks seed, recipe or accuracy") from error
    return model, f"{origin}: seed {seed}, accuracy {figure:.4f} on {n:,} held-out images."
