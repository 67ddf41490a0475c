"""Saving and loading networks with their provenance, and the recipe of the base CNN that ships.

Several people may share one folder: a save locks out other saves, and a load waits for a save to end."""
import contextlib
import errno
import glob
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from utils import __version__
from utils.data_utils import causal_model, create_dataset
from utils.model_utils import PyTorchCNN, evaluate, find_device, train
from utils.running.files import MOST_BYTES, load_weights, locked, pack_weights, unpack_weights, validate_file
from utils.running.whole import naming

MODEL_FOLDER = Path(__file__).resolve().parent.parent / "pytorch_models"
BASE_CNN = MODEL_FOLDER / "base_cnn.pth"
BASE_RECIPE: dict[str, Any] = {
    "seed": 0, "train_images": 50_000, "train_data_seed": 1, "test_images": 20_000, "test_data_seed": 2,
    "lr": 1e-3, "num_epochs": 8, "batch_size": 128, "optimizer": "Adam", "schedule": "one_cycle",
}


def versions() -> dict[str, str]:
    """What a figure was computed with: the versions of this project, torch, numpy and Python."""
    return {"project": __version__, "torch": torch.__version__, "numpy": np.__version__,
            "python": platform.python_version()}


def _patiently(attempt: Callable[[], Any], *errors: type[Exception]) -> Any:
    """Try for about 0.6 s, as long as it fails with ``errors``: another process may be about to finish its save."""
    for _ in range(30):  # counted, not timed: a busy machine may stop us for a while
        with contextlib.suppress(*errors):
            return attempt()
        time.sleep(0.02)
    return attempt()


def _provenance_file(path: Path, content: bytes) -> Path:
    """Where the provenance of these weights is: beside them, or where a save that was killed midway has left it."""
    beside, digest = path.with_suffix(".json"), hashlib.sha256(content).hexdigest().encode()
    there = [beside, *path.parent.glob(f".saving-*/new-{glob.escape(beside.name)}")]
    return next((told for told in there if told.is_file() and told.stat().st_size <= MOST_BYTES[".json"]
                 and digest in told.read_bytes()), beside)


def _replace_together(contents: dict[Path, bytes]) -> None:
    """Rename weights and provenance into place, both or none; a lock keeps other processes waiting, up to 30 s."""
    first = next(iter(contents))
    lock = first.parent / f".saving-{first.stem}.lock"
    with locked(FileLock(lock, timeout=30, mode=0o666)), naming(first), contextlib.ExitStack() as last:
        if os.name == "posix":  # on Windows filelock removes the file; who waits for a removed one takes the next
            last.callback(lock.unlink, missing_ok=True)
        staging = Path(last.enter_context(tempfile.TemporaryDirectory(dir=first.parent, prefix=".saving-")))
        undo = last.enter_context(contextlib.ExitStack())
        for path, content in contents.items():
            (staging / f"new-{path.name}").write_bytes(content)
            if path.exists():
                shutil.copyfile(path, staging / f"old-{path.name}")
        for path in contents:
            old = staging / f"old-{path.name}"
            undo.callback(*((os.replace, old, path) if old.exists() else (path.unlink, True)))
            _patiently(partial(os.replace, staging / f"new-{path.name}", path), PermissionError)  # Windows: it is read
        undo.pop_all()


def _validate_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".pth":
        raise ValueError(f"path must end in .pth, got {path.name}")
    return path


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Weights and provenance, which do not fit each other where either is damaged or foreign."""
    validate_file(path)
    content = path.read_bytes()
    validate_file(told := _provenance_file(path, content))
    try:
        provenance = json.loads(told.read_text(encoding="utf-8"))
        expected = provenance["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{told.name} is no provenance file") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(f"{path.name} is damaged or foreign: SHA-256 is {found[:12]}..., not {str(expected)[:12]}...")
    return content, provenance


def save_checkpoint(model: torch.nn.Module, path: str | Path, provenance: dict[str, Any]) -> dict[str, Any]:
    """Write the weights to ``path`` (.pth) and their provenance beside it (.json), each atomically.

    Args:
        model: any module; only its state dict is saved.
        path: ends in .pth; its folder exists.
        provenance: what can be written as JSON: seed, recipe, figures.

    Returns:
        the provenance as written, with SHA-256 of the weights and the ``versions`` added.

    Raises:
        ValueError: the path does not end in .pth, or the provenance is no JSON.
        TypeError, FileNotFoundError: the provenance is no dict; the folder is missing.
    """
    path = _validate_path(path)
    if not isinstance(provenance, dict):
        raise TypeError(f"provenance must be a dict, got {type(provenance).__name__}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder of path does not exist: {path.parent.name}")
    content = pack_weights(model)
    written = {**provenance, "sha256": hashlib.sha256(content).hexdigest(), "versions": versions()}
    try:
        text = json.dumps(written, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"provenance must be JSON: {error}") from error
    _replace_together({path: content, path.with_suffix(".json"): text.encode()})
    return written


def save_own_checkpoint(model: torch.nn.Module, provenance: dict[str, Any], folder: str | Path = MODEL_FOLDER,
                        name: str = "base_cnn") -> Path:
    """Save what you trained yourself under a name that no other network has, like ``base_cnn-1a2b3c4d.pth``.

    The digits begin the SHA-256 of the weights. The network that ships and those of other people stay as they are.
    Where ``folder`` is read-only, as on many a shared server, the file goes to ``pytorch_models`` in your home folder.

    Returns:
        where it is, for ``load_checkpoint``.

    Raises:
        ValueError: ``name`` contains a folder; and what ``save_checkpoint`` raises.
    """
    if not name or Path(name).name != name:
        raise ValueError(f"name must be a file name without a folder, got {name!r}")
    path = Path(folder) / f"{name}-{hashlib.sha256(pack_weights(model)).hexdigest()[:8]}.pth"
    try:
        save_checkpoint(model, path, provenance)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        path = Path.home() / MODEL_FOLDER.name / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(model, path, provenance)
    return path


def read_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """State dict on the CPU and provenance of a file written by ``save_checkpoint``.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: the weights are not those of the provenance, are damaged, or are no weights.
    """
    path = _validate_path(path)
    content, provenance = _patiently(partial(_read, path), ValueError, OSError)
    try:
        weights = unpack_weights(content)
        broken = [name for name, tensor in weights.items() if tensor.isnan().any()]
    except Exception as error:  # a foreign file can make the unpickler raise almost anything
        raise ValueError(f"{path.name} does not hold weights") from error
    if broken:
        raise ValueError(f"{path.name} holds weights that are nan, in {', '.join(broken)}")
    return weights, provenance


def load_checkpoint(path: str | Path, device: torch.device | None = None) -> tuple[PyTorchCNN, dict[str, Any]]:
    """Load a network written by ``save_checkpoint``.

    Args:
        path: the .pth file; its .json lies beside it.
        device: where to put the network; None finds one.

    Returns:
        the network in eval mode, and its provenance.

    Raises:
        FileNotFoundError, ValueError: as for ``read_weights``; or the weights belong to another network.
    """
    weights, provenance = read_weights(path)
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        model = PyTorchCNN()
        try:
            load_weights(model, weights)
        except Exception as error:
            raise ValueError(f"{Path(path).name} does not hold the weights of a PyTorchCNN: {error}") from error
    return model.to(device or find_device()).eval(), provenance


def train_base_cnn(seed: int = BASE_RECIPE["seed"],
                   device: torch.device | None = None) -> tuple[PyTorchCNN, dict, dict[str, Any]]:
    """Train the base CNN by ``BASE_RECIPE``: the network, its training history, and its provenance."""
    recipe, start = BASE_RECIPE, time.perf_counter()
    images, labels = create_dataset(recipe["train_images"], seed=recipe["train_data_seed"])
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)  # torch.manual_seed would reseed a GPU, which is not forked
        model = PyTorchCNN().to(device or find_device())
    history = train(
        model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels)), lr=recipe["lr"],
        num_epochs=recipe["num_epochs"], batch_size=recipe["batch_size"], seed=seed,
    )
    seconds = time.perf_counter() - start
    images, labels = create_dataset(recipe["test_images"], seed=recipe["test_data_seed"])
    figure = evaluate(model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels)))
    found = {"heldout_accuracy": round(figure, 4), "seconds": round(seconds)}
    return model, history, {"seed": seed, "recipe": recipe, **found}


def load_or_train_base_cnn(path: str | Path = BASE_CNN, device: torch.device | None = None) -> tuple[PyTorchCNN, str]:
    """The base CNN from its checkpoint, or trained again where the file is missing (and saved, if that is allowed).

    Returns:
        network in eval mode, and a sentence that says where it came from.
    """
    name = _validate_path(path).name
    try:
        (model, provenance), origin = load_checkpoint(path, device), f"Loaded {name}"
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
