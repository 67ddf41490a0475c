"""The training recipes of notebooks 3 and 4, so that notebooks and the study over seeds train alike."""
from dataclasses import dataclass

import numpy as np
import torch

from utils.checkpoint_utils import load_or_train_base_cnn
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, iit_train
from utils.interventions.rotated_space import pv
from utils.validation import validate_count

TRAIN_IMAGES, TRAIN_SEED = 50_000, 1
TEST_IMAGES, TEST_SEED = 20_000, 12  # other images than those on which the network was chosen


@dataclass(frozen=True)
class Recipe:
    """What to align where, and for how long to train.

    Attributes:
        variables: for each source the variables that it sets.
        layer: conv1, conv2, conv3 or fc1.
        intervention_size: directions for each source.
        num_steps: steps of ``batch_size`` fresh pairs.
        lr: peak learning rate.
        batch_size, behavior_weight, schedule: as for ``iit_train``.
    """

    variables: tuple[tuple[int, ...], ...]
    layer: str
    intervention_size: int
    num_steps: int
    lr: float = 1e-2
    batch_size: int = 256
    behavior_weight: float = 1.0
    schedule: str = "one_cycle"

    def training(self) -> dict:
        """The keyword arguments for ``iit_train`` that are not about data or seed."""
        names = ("num_steps", "lr", "batch_size", "behavior_weight", "schedule")
        return {name: getattr(self, name) for name in names}

    def build(self, model: torch.nn.Module, seed: int = 0) -> pv.IntervenableModel:
        """Wrap a network, with directions drawn from ``seed``."""
        torch.manual_seed(validate_count(seed, "seed", minimum=0))
        return build_intervenable(model, self.layer, self.intervention_size, len(self.variables))


RECIPES = {
    "single": Recipe(((0, 1),), "conv1", 64, num_steps=750),
    "two": Recipe(((0,), (1,)), "conv1", 64, num_steps=800),
    "three": Recipe(((0,), (1,), (2,)), "fc1", 1, num_steps=1600, lr=2e-2),
}


def train_by_recipe(
    name: str, images: np.ndarray, labels: np.ndarray, seed: int = 0, **pool_options
) -> tuple[pv.IntervenableModel, dict[str, list[float]]]:
    """IIT on a fresh copy of the base CNN by one of ``RECIPES``; ``pool_options`` go to ``PairPool``."""
    if name not in RECIPES:
        raise ValueError(f"name must be one of {sorted(RECIPES)}, got {name!r}")
    recipe = RECIPES[name]
    intervenable = recipe.build(load_or_train_base_cnn()[0], seed)
    pool = PairPool(images, labels, recipe.variables, **pool_options)
    return intervenable, iit_train(intervenable, pool=pool, seed=seed, **recipe.training())
