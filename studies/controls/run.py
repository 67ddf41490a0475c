"""The study of an alignment map that is too strong, for notebook 5: ``make controls`` writes maps.csv beside this file.

One row a figure: experiment (network and map), seed, measure, value. What is in the table is not run again.
"""
import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from studies.controls.coupling import build_coupled
from studies.own_networks import write_table
from studies.recipes import TEST_IMAGES, TEST_SEED, TRAIN_SEED, base_cnn
from studies.sweep.rows import seconds_left
from utils.ceiling_utils import bayes_ceiling
from utils.checkpoint_utils import BASE_CNN, BASE_RECIPE, load_checkpoint, versions
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train, iit_predict
from utils.data_utils import causal_model, create_dataset
from utils.interventions.layers import record
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment
from utils.model_utils import PyTorchCNN, predict, to_answers
from utils.running.guard import evaluating
from utils.running.whole import write_whole

STUDY = Path(__file__).resolve().parent / "maps.csv"
VARIABLES = ((0,), (1,), (2,))
IMAGES, PAIRS = {"train": 20_000, "test": TEST_IMAGES}, 10_000
DIRECTIONS, SIZE = 64, 16
MAPS = {"rotation": {"layers": 0}, "coupling": {"layers": 6, "hidden": 128}}
TRAINING = {"num_steps": 2400, "batch_size": 128, "reorderings": 2}
RATES = {"rotation": 1e-2, "coupling": 3e-3}
NETWORKS = ("base", "untrained")


class FromConv3(nn.Module):
    """What a ``PyTorchCNN`` does from conv3's output (b, 64, 7, 7) on: the rest stays as it is, so it runs once."""

    def __init__(self, model: PyTorchCNN) -> None:
        super().__init__()
        self.conv3, self.fc1, self.fc2 = nn.Identity(), model.fc1, model.fc2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activations to logits (b, 1)."""
        return self.fc2(F.relu(self.fc1(F.relu(self.conv3(x)).flatten(1))))


def draw_activations(model: PyTorchCNN, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What conv3 makes of n images, float32 (n, 64, 7, 7), and their labels (n, 3)."""
    images, labels = create_dataset(n, seed=seed)
    with evaluating(model):
        found = [record(model, model.conv3, X)[0] for X in torch.from_numpy(images)[:, None].split(1000)]
    return torch.cat(found).contiguous().numpy(), labels


def fit_map(
    model: nn.Module, layer: str, images: np.ndarray, labels: np.ndarray, name: str, seed: int,
    num_steps: int = TRAINING["num_steps"],
) -> pv.IntervenableModel:
    """DAS for three sources with one of ``MAPS``; the network is frozen. Inputs (n, ...), labels (n, 3)."""
    torch.manual_seed(seed)
    intervenable = build_coupled(model, layer, torch.from_numpy(images[:1000]), directions=DIRECTIONS,
                                 intervention_size=SIZE, num_sources=len(VARIABLES), **MAPS[name])
    pool = PairPool(images, labels, VARIABLES, causal_model=causal_model)
    das_train(intervenable, pool=pool, num_steps=num_steps, batch_size=TRAINING["batch_size"],
              reorderings=TRAINING["reorderings"], lr=RATES[name], seed=seed)
    return intervenable


def measure_map(intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, n: int = PAIRS) -> dict:
    """IIA beside behavior, and the swap of each of n inputs with itself: is it answered rightly, and what changes?"""
    score = score_alignment(intervenable, images, labels, VARIABLES, n, 0, causal_model=causal_model,
                            ceiling=bayes_ceiling(VARIABLES))
    figures = {name: getattr(score, name) for name in ("iia", "flip_iia", "normalized_iia", "keep", "copy", "ceiling")}
    X, y = torch.from_numpy(images[:n]), torch.from_numpy(causal_model(labels[:n]))
    plain, itself = (to_answers(p) for p in (predict(intervenable.model, X),
                                             iit_predict(intervenable, X, X.expand(len(VARIABLES), *X.shape))))
    return figures | {"behavior": (plain == y).float().mean().item(),
                      "swapped with itself": (itself == y).float().mean().item(),
                      "changed by that": (itself != plain).float().mean().item()}


def run(network: str, name: str, seed: int) -> dict[str, float]:
    """One map on one network."""
    torch.manual_seed(seed)
    model = base_cnn(seed) if network == "base" else PyTorchCNN()
    train, test = (draw_activations(model, IMAGES[part], at) for part, at in (("train", TRAIN_SEED),
                                                                              ("test", TEST_SEED)))
    return measure_map(fit_map(FromConv3(model), "conv3", *train, name, seed), *test)


def provenance() -> dict:
    """What the figures depend on; a table of other settings is not gone on with."""
    return {"command": "make controls", "images": IMAGES, "train_data_seed": TRAIN_SEED, "test_data_seed": TEST_SEED,
            "pairs": PAIRS, "layer": "conv3", "directions": DIRECTIONS, "mapped coordinates of a source": SIZE,
            "maps": MAPS, "training": TRAINING, "rates": RATES, "base_recipe": BASE_RECIPE,
            "base_cnn_sha256": load_checkpoint(BASE_CNN)[1]["sha256"], "versions": versions()}


def read_rows(path: Path) -> list[dict]:
    """The rows of a table; none where it is missing or was made by other settings or from other networks."""
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        rows = pd.read_csv(path, dtype={"value": str}).to_dict("records")
    except (OSError, ValueError):
        return []
    return rows if found | {"versions": None} == json.loads(json.dumps(provenance() | {"versions": None})) else []


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STUDY)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows, told = read_rows(arguments.out), json.dumps(provenance(), indent=2) + "\n"
    done = {(row["experiment"], row["seed"]) for row in rows}
    tasks = [(network, name, seed) for seed in range(arguments.seeds) for network in NETWORKS for name in MAPS
             if (f"{network}, {name}", seed) not in done]
    bar = tqdm(tasks, desc="Study")
    for i, (network, name, seed) in enumerate(bar):
        start = time.process_time()
        figures = run(network, name, seed) | {"cpu seconds": time.process_time() - start}
        rows += [{"experiment": f"{network}, {name}", "seed": seed, "measure": measure, "value": f"{value:.5f}"}
                 for measure, value in figures.items()]
        write_table(arguments.out, rows)
        write_whole(arguments.out.with_suffix(".json"), told)
        took = [(row["experiment"], float(row["value"])) for row in rows if row["measure"] == "cpu seconds"]
        left = seconds_left([f"{network}, {name}" for network, name, _ in tasks[i + 1:]], took)
        bar.set_postfix_str(f"about {left / 60:.0f} min left")


if __name__ == "__main__":
    main()
