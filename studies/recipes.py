"""The training recipes of notebooks 3 and 4, so that notebooks and the study over seeds train alike."""
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from utils.checkpoint_utils import (BASE_CNN, BASE_RECIPE, load_checkpoint, load_or_train_base_cnn, save_checkpoint,
                                    train_base_cnn)
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, iit_train
from utils.data_utils import COEFFICIENTS, causal_model
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment
from utils.model_utils import PyTorchCNN, evaluate
from utils.running.files import locked
from utils.validation import validate_count

TRAIN_IMAGES, TRAIN_SEED = 50_000, 1
TEST_IMAGES, TEST_SEED = 20_000, 12  # other images than those on which recipes were tried
NETWORKS = Path(__file__).resolve().parent.parent / "build" / "networks"


@dataclass(frozen=True)
class Recipe:
    """What to align where, and for how long to train.

    Attributes:
        variables: for each source the variables that it sets.
        layer: conv1, conv2, conv3 or fc1.
        intervention_size: directions for each source.
        num_steps: steps of ``batch_size`` fresh bases, each in ``reorderings`` pairs.
        lr: peak learning rate.
        batch_size, reorderings, behavior_weight, schedule: as for ``iit_train``.
    """

    variables: tuple[tuple[int, ...], ...]
    layer: str
    intervention_size: int
    num_steps: int
    lr: float = 1e-2
    batch_size: int = 128
    reorderings: int = 2
    behavior_weight: float = 1.0
    schedule: str = "one_cycle"

    def training(self) -> dict:
        """The keyword arguments for ``iit_train`` that are not about data or seed."""
        names = ("num_steps", "lr", "batch_size", "reorderings", "behavior_weight", "schedule")
        return {name: getattr(self, name) for name in names}

    def build(self, model: torch.nn.Module, seed: int = 0) -> pv.IntervenableModel:
        """Wrap a network, with directions drawn from ``seed``."""
        torch.manual_seed(validate_count(seed, "seed", minimum=0))
        return build_intervenable(model, self.layer, self.intervention_size, len(self.variables))


RECIPES = {
    "single": Recipe(((0, 1),), "conv1", 16, num_steps=1200),
    "two": Recipe(((0,), (1,)), "conv1", 16, num_steps=1000),
    "three, short": Recipe(((0,), (1,), (2,)), "fc1", 1, num_steps=1500),
    "single, long": Recipe(((0, 1),), "conv1", 16, num_steps=2500),
    "two, long": Recipe(((0,), (1,)), "conv1", 16, num_steps=2500),
    "three": Recipe(((0,), (1,), (2,)), "fc1", 1, num_steps=4000),  # ships, and is what the controls are about
    "three, long": Recipe(((0,), (1,), (2,)), "fc1", 1, num_steps=8000),
    "three at conv3": Recipe(((0,), (1,), (2,)), "conv3", 16, num_steps=2000),
}


def digest(recipe: dict[str, Any]) -> str:
    """Eight digits that tell recipes apart, for the name of a file."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]


def keep_network(
    path: Path, train: Callable[[], tuple[PyTorchCNN, dict]], device: torch.device | None = None
) -> tuple[PyTorchCNN, dict]:
    """A network and its provenance from a file; where that is missing or damaged, ``train`` makes them, and they are
    kept there. Whoever comes second waits for the training to end, up to an hour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(FileLock(path.with_suffix(".lock"), timeout=3600)):
        try:
            return load_checkpoint(path, device)
        except (FileNotFoundError, ValueError):
            model, provenance = train()
            return model, save_checkpoint(model, path, provenance)


def base_cnn(seed: int = BASE_RECIPE["seed"]) -> PyTorchCNN:
    """The base network of a seed: the one that ships, or another that was trained by the same recipe and is kept in
    build/networks; trained where it is missing."""
    if validate_count(seed, "seed", minimum=0) == BASE_RECIPE["seed"]:
        return load_or_train_base_cnn(BASE_CNN)[0]
    return keep_network(NETWORKS / f"base_cnn-{seed}-{digest(BASE_RECIPE)}.pth", lambda: train_base_cnn(seed)[::2])[0]


def measure_behavior(
    model: torch.nn.Module, images: np.ndarray, labels: np.ndarray, coefficients: Sequence[float] = COEFFICIENTS
) -> float:
    """Share of images (n, 28, 28) to which a network gives the causal model's answer."""
    return evaluate(model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels, coefficients)))


def measure_score(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, groups: Sequence[Sequence[int]],
    n: int = 10_000, subspaces: list | None = None,
) -> dict[str, float]:
    """IIA with everything that belongs beside it, and behavior. Arguments as for ``score_alignment``."""
    score = score_alignment(intervenable, images, labels, groups, n=n, subspaces=subspaces)
    names = ("iia", "flip_iia", "stay_iia", "discriminating_iia", "normalized_iia", "keep", "copy", "ceiling")
    figures = {name: getattr(score, name) for name in names}
    return figures | {"behavior": measure_behavior(intervenable.model, images, labels)}


def train_by_recipe(
    name: str, images: np.ndarray, labels: np.ndarray, seed: int = 0, **pool_options
) -> tuple[pv.IntervenableModel, dict[str, list[float]]]:
    """IIT on the base network of ``seed`` by one of ``RECIPES``; ``pool_options`` go to ``PairPool``."""
    if name not in RECIPES:
        raise ValueError(f"name must be one of {sorted(RECIPES)}, got {name!r}")
    recipe = RECIPES[name]
    intervenable = recipe.build(base_cnn(seed), seed)
    pool = PairPool(images, labels, recipe.variables, **pool_options)
    return intervenable, iit_train(intervenable, pool=pool, seed=seed, **recipe.training())
