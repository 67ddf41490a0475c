"""The study behind the second half of notebook 2: ``make early`` writes early.csv beside this file.

One row a figure: experiment, seed, measure, value. What is in the table is not run again.
"""
from collections.abc import Callable
from functools import partial
from pathlib import Path

from studies.early import course, readings
from studies.recipes import TEST_IMAGES, TEST_SEED, TRAIN_IMAGES, TRAIN_SEED
from studies.running.table import command_line
from utils.checkpoint_utils import BASE_CNN, BASE_RECIPE, load_checkpoint, versions

STUDY = Path(__file__).resolve().parent / "early.csv"
SEEDS = 3
EXPERIMENTS: dict[str, Callable[[int], dict[str, float]]] = {
    **{f"step {step}": partial(course.run_course, step) for step in course.STEPS},
    **{f"directions, {layer}": partial(readings.run_directions, layer) for layer in course.LAYERS},
    **{f"{network}, {layer}": partial(readings.run_probes, network, layer)
       for network in ("trained", "untrained") for layer in course.LAYERS},
}


def provenance() -> dict:
    """What the figures depend on; a table of other settings is not gone on with."""
    return {"command": "make early", "train_images": TRAIN_IMAGES, "test_images": TEST_IMAGES,
            "train_data_seed": TRAIN_SEED, "test_data_seed": TEST_SEED, "pairs": course.PAIRS,
            "loss_images": course.LOSS_IMAGES, "directions": course.DIRECTIONS, "das": course.DAS,
            "das_steps_beside_directions": readings.STEPS, "random_bases": readings.DRAWS,
            "probed_components": readings.COMPONENTS, "probed_images": readings.PROBED, "base_recipe": BASE_RECIPE,
            "base_cnn_sha256": load_checkpoint(BASE_CNN)[1]["sha256"], "versions": versions()}


def main() -> None:
    """Command line."""
    command_line(__doc__, STUDY, EXPERIMENTS, provenance(), SEEDS)


if __name__ == "__main__":
    main()
