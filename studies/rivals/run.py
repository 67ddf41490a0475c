"""The study over seeds behind notebook 8: ``make rivals`` runs it and writes studies/rivals/rivals.csv.

One row a figure: experiment, seed, measure, value. A seed stands for all that is random: the base network's training,
the directions at the start, the pairs and their order. What is already in the table is not run again.
"""
import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import torch

from studies.recipes import TEST_IMAGES, TEST_SEED, TRAIN_IMAGES, TRAIN_SEED
from studies.rivals import adversary, networks
from studies.running.table import go_on, read_table
from utils.checkpoint_utils import BASE_CNN, BASE_RECIPE, load_checkpoint, versions
from utils.data_utils import create_dataset

STUDY = Path(__file__).resolve().parent / "rivals.csv"
EXPERIMENTS: dict[str, Callable[..., dict[str, float]]] = {
    "matrix": networks.run_matrix,
    **{f"weight {weight:g}": partial(adversary.run_weight, weight) for weight in adversary.WEIGHTS},
}


def kind(experiment: str) -> str:
    """What its figures depend on: "matrix" or "weight"."""
    return experiment.split()[0]


def provenance() -> dict:
    """What the figures of each kind depend on, and what all do."""
    return {
        "command": "make rivals",
        "all": {"base_recipe": BASE_RECIPE, "base_cnn_sha256": load_checkpoint(BASE_CNN)[1]["sha256"],
                "train_images": TRAIN_IMAGES, "train_data_seed": TRAIN_SEED, "test_images": TEST_IMAGES,
                "test_data_seed": TEST_SEED, "pairs": networks.PAIRS},
        "matrix": {"IIT": {name: asdict(recipe) for name, recipe in networks.IIT.items()}, "DAS": networks.DAS,
                   "random": networks.RANDOM, "control_pairs": networks.CONTROL_PAIRS,
                   "dose_pairs": networks.DOSE_PAIRS, "telling_pairs": networks.TELLING_PAIRS},
        "weight": {"layer": adversary.LAYER, "directions": adversary.DIRECTIONS, "driving out": adversary.DRIVE,
                   "search": adversary.SEARCH, "more directions": adversary.WIDE,
                   "probe": adversary.PROBE | {"images": adversary.PROBE_IMAGES}},
        "versions": versions(),
    }


def read_rows(path: Path) -> list[dict]:
    """What is in the table, without what was made by other recipes, from other networks or data."""
    found, rows = read_table(path)
    now = json.loads(json.dumps(provenance()))
    return [row for row in rows if row["experiment"] in EXPERIMENTS
            and all(found.get(part) == now[part] for part in ("all", kind(row["experiment"])))]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STUDY)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--experiments", nargs="*", default=list(EXPERIMENTS), choices=list(EXPERIMENTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fill(arguments.out, arguments.experiments, arguments.seeds)


def fill(path: Path, experiments: Sequence[str], seeds: int) -> None:
    """Run what the table lacks, and write it after each experiment."""
    @cache
    def data() -> tuple:
        return create_dataset(TRAIN_IMAGES, seed=TRAIN_SEED), create_dataset(TEST_IMAGES, seed=TEST_SEED)

    chosen = {name: lambda seed, name=name: EXPERIMENTS[name](seed, *data()) for name in experiments}
    go_on(path, chosen, provenance(), seeds, read_rows, list(EXPERIMENTS), kind)


if __name__ == "__main__":
    main()
