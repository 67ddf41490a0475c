"""Train the intervened networks that ship: IIT by the recipes of notebooks 3 and 4, and DAS on the base network.

Run by ``make models``; the explorer and its page load them.
"""
import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from utils.checkpoint_utils import BASE_CNN, MODEL_FOLDER, load_checkpoint
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, das_train
from utils.data_utils import causal_model, create_dataset
from utils.interventions.checkpoints import SHIPPED, save_intervenable, shipped_path
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment
from utils.model_utils import evaluate
from studies.recipes import RECIPES, TEST_IMAGES, TEST_SEED, TRAIN_IMAGES, TRAIN_SEED, train_by_recipe
from utils.validation import validate_count

EVERY_VARIABLE = [[0], [1], [2]]
DAS_STEPS = {"conv1": 300, "conv2": 300, "conv3": 300, "fc1": 150}


def train_network(
    name: str, images: np.ndarray, labels: np.ndarray, seed: int = 0
) -> tuple[pv.IntervenableModel, list[list[int]], dict]:
    """One of ``SHIPPED``, from the images (n, 28, 28) and labels (n, 3).

    Returns:
        the intervened model, the variables of each intervention, and its recipe.

    Raises:
        ValueError: there is no such network.
    """
    shipped_path(name)
    if name in RECIPES:
        intervenable, _ = train_by_recipe(name, images, labels, seed)
        return intervenable, [list(group) for group in RECIPES[name].variables], asdict(RECIPES[name])
    layer = name.removeprefix("das_")
    torch.manual_seed(validate_count(seed, "seed", minimum=0))
    intervenable = build_intervenable(load_checkpoint(BASE_CNN)[0], layer, 1, len(EVERY_VARIABLE))
    options: dict[str, Any] = {"num_steps": DAS_STEPS[layer], "batch_size": 128, "reorderings": 2}
    das_train(intervenable, pool=PairPool(images, labels, EVERY_VARIABLE), seed=seed, **options)
    return intervenable, EVERY_VARIABLE, {"method": "DAS", "layer": layer, "directions for each variable": 1, **options}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(SHIPPED))
    parser.add_argument("--into", type=Path, default=MODEL_FOLDER)
    arguments = parser.parse_args()
    images, labels = create_dataset(TRAIN_IMAGES, seed=TRAIN_SEED)
    test, test_labels = create_dataset(TEST_IMAGES, seed=TEST_SEED)
    X_test, y_test = torch.from_numpy(test)[:, None], torch.from_numpy(causal_model(test_labels))
    for name in tqdm(arguments.names, desc="Networks"):
        intervenable, groups, recipe = train_network(name, images, labels)
        score = score_alignment(intervenable, test, test_labels, groups, n_discriminating=0)
        figures = {"iia": score.iia, "flip_iia": score.flip_iia, "keep": score.keep, "ceiling": score.ceiling,
                   "n": score.n, "behavior": evaluate(intervenable.model, X_test, y_test), "images": len(y_test)}
        data = {"train_images": TRAIN_IMAGES, "train_data_seed": TRAIN_SEED, "test_data_seed": TEST_SEED}
        figures = {key: round(value, 5) for key, value in figures.items()}
        provenance = {"seed": 0, "recipe": recipe, "data": data, "figures": figures,
                      "base_cnn_sha256": load_checkpoint(BASE_CNN)[1]["sha256"]}
        save_intervenable(intervenable, arguments.into / f"{name}.pth", groups, provenance)


if __name__ == "__main__":
    main()
