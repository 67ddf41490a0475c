"""The study of controls behind notebook 5: ``make controls`` writes controls.csv beside this file.

One row a figure: experiment, seed, measure, value. What is in the table is not run again.
"""
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from studies.controls import maps
from studies.controls.subspaces import ablate, causal_ablation, comparison_bases, transplant
from studies.recipes import (RECIPES, TEST_IMAGES, TEST_SEED, TRAIN_IMAGES, TRAIN_SEED, base_cnn, train_by_recipe)
from studies.running.table import command_line
from studies.seed_study import DAS_STEPS, fit_das
from utils.checkpoint_utils import BASE_CNN, BASE_RECIPE, load_checkpoint, versions
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train
from utils.data_utils import VARIABLE_NAMES, create_dataset
from utils.interventions.checkpoints import load_intervenable, shipped_path
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment

STUDY = Path(__file__).resolve().parent / "controls.csv"
SEEDS = 3
ABLATED, DRAWS, CALIBRATION, PAIRS = 5_000, 10, 100, 10_000
DAS: dict[str, Any] = {"num_steps": 300, "batch_size": 128, "reorderings": 2}


@cache
def aligned_network(name: str, seed: int) -> pv.IntervenableModel:
    """IIT by a recipe of ``RECIPES``; that of seed 0 is the one that ships."""
    if seed == 0:
        return load_intervenable(shipped_path(name))[0]
    return train_by_recipe(name, *create_dataset(TRAIN_IMAGES, seed=TRAIN_SEED), seed)[0]


def run_ablation(method: str, seed: int) -> dict[str, float]:
    """Is the subspace of circularity and color at conv1 needed? By IIT, or by DAS on the base network."""
    recipe, (images, labels) = RECIPES["single"], create_dataset(TEST_IMAGES, seed=TEST_SEED)
    if method == "IIT":
        intervenable = aligned_network("single", seed)
    else:
        intervenable = recipe.build(base_cnn(seed), seed)
        pool = PairPool(*create_dataset(TRAIN_IMAGES, seed=TRAIN_SEED), recipe.variables)
        das_train(intervenable, pool=pool, seed=seed, **DAS)
    bases = comparison_bases(intervenable, torch.from_numpy(images[:1000])[:, None], DRAWS, seed)
    causal = causal_ablation(labels, recipe.variables[0], PAIRS)
    score = score_alignment(intervenable, images, labels, recipe.variables, PAIRS, 0)
    return (ablate(intervenable, images, labels, bases, ABLATED, seed)
            | {f"{way} causal model": share for way, share in causal.items()} | {"iia": score.iia, "keep": score.keep})


def run_transplant(seed: int) -> dict[str, float]:
    """Coordinates at fc1 into the network of a seed: its own, and those of networks of the other seeds."""
    target, (images, labels) = aligned_network("three", seed), create_dataset(TEST_IMAGES, seed=TEST_SEED)
    train = create_dataset(TRAIN_IMAGES, seed=TRAIN_SEED)
    sources = {"own": target} | {f"seed {other}": aligned_network("three", other)
                                 for other in range(SEEDS) if other != seed}
    sources["no alignment"] = fit_das(base_cnn(seed), *train, seed)
    return {f"{name}, {way} {variable}": float(share)
            for name, source in sources.items() for way, count in (("raw", None), ("calibrated", CALIBRATION))
            for variable, share in zip(VARIABLE_NAMES, transplant(source, target, images, labels, PAIRS, count, seed))}


EXPERIMENTS: dict[str, Callable[[int], dict[str, float]]] = {
    **{f"{network}, {name}": partial(maps.run_map, network, name) for network in maps.NETWORKS for name in maps.MAPS},
    "ablation, IIT": partial(run_ablation, "IIT"), "ablation, DAS": partial(run_ablation, "DAS"),
    "transplant": run_transplant,
}


def provenance() -> dict:
    """What the figures depend on; a table of other settings is not gone on with."""
    return {"command": "make controls", "train_images": TRAIN_IMAGES, "test_images": TEST_IMAGES,
            "train_data_seed": TRAIN_SEED, "test_data_seed": TEST_SEED, "pairs": PAIRS, "ablated_images": ABLATED,
            "random_subspaces": DRAWS, "calibration_images": CALIBRATION, "das": DAS, "das_at_fc1_steps": DAS_STEPS,
            "recipes": {name: asdict(RECIPES[name]) for name in ("single", "three")},
            "maps": {"layer": "conv3", "images": maps.IMAGES, "pairs": maps.PAIRS, "directions": maps.DIRECTIONS,
                     "coordinates_of_a_source": maps.SIZE, "maps": maps.MAPS, "training": maps.TRAINING,
                     "rates": maps.RATES},
            "base_recipe": BASE_RECIPE, "base_cnn_sha256": load_checkpoint(BASE_CNN)[1]["sha256"],
            "versions": versions()}


def main() -> None:
    """Command line."""
    command_line(__doc__, STUDY, EXPERIMENTS, provenance(), SEEDS)


if __name__ == "__main__":
    main()
