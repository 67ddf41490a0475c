"""One cell of the sweep: what to align where in which network, how it is trained, and what is measured of it."""
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.checkpoint_utils import BASE_CNN, load_checkpoint
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import SCHEDULES, build_intervenable, das_train, iit_train
from utils.data_utils import COEFFICIENTS, causal_model, create_dataset
from utils.measure_utils import score_alignment
from utils.model_utils import LAYER_SIZES, PyTorchCNN, train, validate_layer
from studies.recipes import (TEST_IMAGES, TEST_SEED, TRAIN_IMAGES, TRAIN_SEED, digest, keep_network,
                             measure_behavior)
from utils.validation import validate_coefficients, validate_count, validate_groups, validate_number

METHODS = ("DAS", "IIT")


@dataclass(frozen=True)
class Settings:
    """What all cells of a sweep share: images to train and to test on, bases a step and pairs of each, pairs to
    measure, training of base networks."""

    train_images: int = TRAIN_IMAGES
    test_images: int = TEST_IMAGES
    pairs: int = 10_000
    network_epochs: int = 4
    network_batch: int = 128
    network_lr: float = 1e-3
    batch_size: int = 128
    reorderings: int = 2

    def __post_init__(self) -> None:
        for name in ("train_images", "test_images", "pairs", "batch_size", "reorderings", "network_epochs",
                     "network_batch"):
            validate_count(getattr(self, name), name)
        validate_number(self.network_lr, "network_lr", strict=True)


@dataclass(frozen=True)
class Cell:
    """One training and its measurement.

    Attributes:
        method: "DAS", which leaves the network as it is, or "IIT".
        layer: conv1, conv2, conv3 or fc1.
        variables: for each source the variables that it sets.
        directions: for each source.
        num_steps: of fresh pairs, as many as the ``Settings`` say.
        behavior_weight: of the behavior loss beside the interchange loss; nothing to DAS, so 0 there.
        seed: of the directions at the start and of the pairs.
        network: seed of the base network, which is trained for the sweep; None is the one that ships.
        coefficients: weights of the causal model; the network that ships knows the equal ones only.
        lr, schedule: as for ``iit_train``.

    Raises:
        ValueError, TypeError: an attribute is of the wrong type or out of range.
    """

    method: str
    layer: str
    variables: tuple[tuple[int, ...], ...]
    directions: int
    num_steps: int
    behavior_weight: float = 0.0
    seed: int = 0
    network: int | None = None
    coefficients: tuple[float, ...] = COEFFICIENTS
    lr: float = 1e-2
    schedule: str = "one_cycle"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {SCHEDULES}, got {self.schedule!r}")
        validate_layer(self.layer)
        groups = tuple(tuple(group) for group in validate_groups(self.variables))
        if validate_count(self.directions, "directions") * len(groups) > LAYER_SIZES[self.layer]:
            raise ValueError(f"directions must fit into the {LAYER_SIZES[self.layer]} neurons of {self.layer}, "
                             f"got {self.directions} for each of {len(groups)} sources")
        validate_count(self.num_steps, "num_steps")
        weight = validate_number(self.behavior_weight, "behavior_weight")
        if self.method == "DAS" and weight:
            raise ValueError(f"behavior_weight must be 0 for DAS, which trains no network, got {weight}")
        validate_count(self.seed, "seed", minimum=0)
        if self.network is not None:
            validate_count(self.network, "network", minimum=0)
        coefficients = tuple(validate_coefficients(self.coefficients).tolist())
        if self.network is None and coefficients != COEFFICIENTS:
            raise ValueError(f"coefficients must be {COEFFICIENTS} for the network that ships, got {coefficients}")
        validate_number(self.lr, "lr", strict=True)
        object.__setattr__(self, "variables", groups)
        object.__setattr__(self, "coefficients", coefficients)

    def key(self, settings: Settings) -> str:
        """A file name that no other cell under other settings has."""
        text = json.dumps([asdict(self), asdict(settings)], sort_keys=True)
        names = "+".join("".join(map(str, group)) for group in self.variables)
        network = "shipped" if self.network is None else f"net{self.network}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return f"{self.method}-{self.layer}-{names}-{self.directions}-{network}-{digest}"


def cell_from_dict(values: dict) -> Cell:
    """The cell that ``dataclasses.asdict`` and a detour through JSON have made into ``values``.

    Raises:
        ValueError, TypeError: the values are not those of a cell.
    """
    if set(values) != {field.name for field in fields(Cell)}:
        raise ValueError(f"a cell has the attributes {[field.name for field in fields(Cell)]}, got {sorted(values)}")
    return Cell(**values)


@lru_cache(maxsize=2)
def _images(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return create_dataset(n, seed=seed)


def _behavior(model: PyTorchCNN, cell: Cell, settings: Settings) -> float:
    return measure_behavior(model, *_images(settings.test_images, TEST_SEED), cell.coefficients)


def base_network(cell: Cell, settings: Settings, folder: Path) -> tuple[PyTorchCNN, str, float]:
    """The network of a cell on the CPU, the SHA-256 of its weights, and its behavior on all test images.

    It is trained once, and then kept in ``folder``. Whoever comes second waits for the training to end.
    """
    cpu = torch.device("cpu")
    if cell.network is None:
        model, provenance = load_checkpoint(BASE_CNN, cpu)
        return model, provenance["sha256"], _behavior(model, cell, settings)
    recipe, seed = {"coefficients": cell.coefficients, **asdict(settings)}, cell.network

    def train_it() -> tuple[PyTorchCNN, dict]:
        images, labels = _images(settings.train_images, TRAIN_SEED)
        start = time.process_time()
        torch.manual_seed(seed)
        model = PyTorchCNN()
        train(model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels, cell.coefficients)),
              lr=settings.network_lr, num_epochs=settings.network_epochs, batch_size=settings.network_batch, seed=seed)
        found = {"cpu_seconds": round(time.process_time() - start, 2), "behavior": _behavior(model, cell, settings)}
        return model, {"seed": seed, "recipe": recipe, **found}

    model, provenance = keep_network(folder / f"net{seed}-{digest(recipe)}.pth", train_it, cpu)
    return model.eval(), provenance["sha256"], provenance["behavior"]


def run_cell(cell: Cell, settings: Settings, networks: Path) -> dict[str, float | int | str]:
    """Train and measure one cell on the CPU, with one thread, so that it comes out the same wherever it runs.

    Args:
        cell: what to do.
        settings: shared by all cells.
        networks: folder for base networks.

    Returns:
        iia, flip_iia, normalized_iia, the baselines keep, copy and majority, ceiling, n, n_flip; behavior of the
        network afterwards and ``base_behavior`` before, both on all test images; ``cpu_seconds`` of this cell, without
        the base network's training; ``base_sha256``.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model, sha256, before = base_network(cell, settings, networks)
        images, labels = _images(settings.train_images, TRAIN_SEED)
        test, test_labels = _images(settings.test_images, TEST_SEED)
        start = time.process_time()
        torch.manual_seed(cell.seed)
        intervenable = build_intervenable(model, cell.layer, cell.directions, len(cell.variables))
        pool = PairPool(images, labels, cell.variables, cell.coefficients)
        options: dict[str, Any] = {"pool": pool, "num_steps": cell.num_steps, "lr": cell.lr,
                                   "schedule": cell.schedule, "seed": cell.seed, "batch_size": settings.batch_size,
                                   "reorderings": settings.reorderings}
        if cell.method == "DAS":
            das_train(intervenable, **options)
        else:
            iit_train(intervenable, behavior_weight=cell.behavior_weight, **options)
        score = score_alignment(intervenable, test, test_labels, cell.variables, n=settings.pairs, n_discriminating=0,
                                coefficients=cell.coefficients)
        behavior = before if cell.method == "DAS" else _behavior(model, cell, settings)
        seconds = time.process_time() - start
    finally:
        torch.set_num_threads(threads)
    names = ("iia", "flip_iia", "normalized_iia", "keep", "copy", "majority", "ceiling", "n", "n_flip")
    return {**{name: getattr(score, name) for name in names}, "behavior": behavior, "base_behavior": before,
            "cpu_seconds": round(seconds, 2), "base_sha256": sha256}


def grid(method: str, layers: Sequence[str], variables: Sequence, directions: Sequence[int], num_steps: dict[str, int],
         **options) -> list[Cell]:
    """Every combination of layers, variable sets and directions that fits; ``options`` go to each ``Cell``.

    Args:
        num_steps: for each layer.
    """
    return [Cell(method, layer, groups, size, num_steps[layer], **options)
            for layer in layers for groups in variables for size in directions
            if size * len(groups) <= LAYER_SIZES[layer]]
