"""The study over seeds behind notebook 7: hierarchical equality in a multilayer perceptron and in an encoder.

``python -m studies.own_networks`` writes studies/own_networks.csv, one row a figure. What is in it is not run again.
"""
import argparse
import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from studies.equality import (MLP, Encoder, causal_model, count_equal, draw_objects, patch_positions, rival_model,
                              rival_values)
from studies.running.table import only_writer, write_settings, write_table
from utils.checkpoint_utils import versions
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, das_train, iit_train
from utils.interventions.rotated_space import pv
from utils.measure_utils import Score, score_alignment
from utils.model_utils import evaluate, train
from utils.running.files import locked

STUDY = Path(__file__).resolve().parent / "own_networks.csv"
LAYERS, DIRECTIONS = ("hidden1", "hidden2", "hidden3"), (1, 2, 4, 8, 16)
BOTH, PAIRS = [[0], [1]], 10_000
SIZES = {"train_quadruples": 50_000, "train_seed": 1, "test_quadruples": 10_000, "test_seed": 2}
MLP_RECIPE = {"lr": 4e-3, "num_epochs": 8, "batch_size": 512}
ENCODER_RECIPE = {"lr": 2e-3, "num_epochs": 12, "batch_size": 512}
DAS = {"num_steps": 300, "lr": 0.01, "batch_size": 512}
IIT = {"num_steps": 800, "lr": 0.01, "batch_size": 512, "schedule": "one_cycle", "behavior_weight": 1.0}
ENCODER_IIT = IIT | {"num_steps": 700, "lr": 2e-3}
HASTE = IIT | {"num_steps": 300, "lr": 0.15}
# failures: a network that failed and the same with one change: layer, position, directions, weight, steps and rate
CHANGES = ("as it was", "more directions", "more behavior loss", "another place")
FAILURES: dict[str, dict[str, tuple]] = {
    "MLP, hidden1, 1 direction": dict(zip(CHANGES, (
        ("hidden1", None, 1, 1.0, IIT), ("hidden1", None, 16, 1.0, IIT), ("hidden1", None, 1, 3.0, IIT),
        ("hidden2", None, 1, 1.0, IIT)))),
    "MLP, hidden3, no behavior loss": dict(zip(CHANGES, (
        ("hidden3", None, 1, 0.0, HASTE), ("hidden3", None, 16, 0.0, HASTE), ("hidden3", None, 1, 1.0, HASTE),
        ("hidden2", None, 1, 0.0, HASTE)))),
    "encoder, block 1, position of a": dict(zip(CHANGES, (
        ("blocks.0", 1, 8, 1.0, ENCODER_IIT), ("blocks.0", 1, 16, 1.0, ENCODER_IIT),
        ("blocks.0", 1, 8, 3.0, ENCODER_IIT), ("blocks.1", 0, 8, 1.0, ENCODER_IIT)))),
}


class Task:
    """Objects for training and for testing, and how a network is trained, aligned and scored on them."""

    def __init__(self, values: Callable = np.asarray, model: Callable = causal_model) -> None:
        self.values, self.model = values, model
        X, equal = draw_objects(SIZES["train_quadruples"], SIZES["train_seed"])
        X_test, equal_test = draw_objects(SIZES["test_quadruples"], SIZES["test_seed"])
        self.train, self.test = (X, values(equal)), (X_test, values(equal_test))

    def tensors(self, data: tuple) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and answers of one of the two sets."""
        return torch.from_numpy(data[0]), torch.from_numpy(self.model(data[1]).astype(np.float32))

    def teach(self, network: nn.Module, recipe: dict, seed: int) -> nn.Module:
        """Train for behavior only."""
        train(network, *self.tensors(self.train), seed=seed, **recipe)
        return network

    def align(self, method: Callable | None, network: nn.Module, layer: str, directions: int, recipe: dict, seed: int,
              position: int | None = None, groups: Sequence = BOTH) -> pv.IntervenableModel:
        """DAS or IIT; the rotation starts from the seed."""
        torch.manual_seed(seed)
        intervenable = build_intervenable(network, layer, directions, len(groups), position=position,
                                          example=self.tensors(self.test)[0][:2])
        if method is not None:
            method(intervenable, pool=PairPool(*self.train, groups, causal_model=self.model), seed=seed, **recipe)
        return intervenable

    def score(self, intervenable: pv.IntervenableModel, groups: Sequence = BOTH) -> Score:
        """On objects never seen in training."""
        return score_alignment(intervenable, *self.test, groups, n=PAIRS, n_discriminating=0,
                               causal_model=self.model, ceiling=1.0)

    def behavior(self, network: nn.Module) -> float:
        """Accuracy on objects never seen in training."""
        return evaluate(network, *self.tensors(self.test))


def run_mlp(seed: int) -> dict[str, float]:
    """DAS for both causal models at every layer, IIT for each, and a network with three answers."""
    tasks = {"own": Task(), "rival": Task(rival_values, rival_model)}
    own = tasks["own"]
    torch.manual_seed(seed)
    plain = own.teach(MLP(), MLP_RECIPE, seed)
    figures = {"behavior": own.behavior(plain)}
    for name, task in tasks.items():
        for layer in LAYERS:
            for d in DIRECTIONS:
                found = task.align(das_train, plain, layer, d, DAS, seed)
                figures[f"DAS {name} {layer} {d}"] = task.score(found).iia
        figures[f"random {name}"] = task.score(task.align(None, plain, "hidden2", 1, {}, seed)).iia
        induced = task.align(iit_train, copy.deepcopy(plain), "hidden2", 1, IIT, seed)
        figures[f"IIT {name} behavior"] = task.behavior(induced.model)
        for judge, other in tasks.items():
            figures[f"IIT {name} as {judge}"] = other.score(induced).iia
            for d in (1, 16):
                refitted = other.align(das_train, induced.model, "hidden2", d, DAS, seed + 100)
                figures[f"IIT {name}, DAS {judge} {d}"] = other.score(refitted).iia
    three = Task(model=count_equal)
    torch.manual_seed(seed)
    counted = three.align(iit_train, MLP(answers=3), "hidden2", 1, IIT, seed)
    return figures | {"three answers iia": three.score(counted).iia,
                      "three answers behavior": three.behavior(counted.model)}


def run_encoder(seed: int) -> dict[str, float]:
    """What each position carries, and IIT at several places."""
    task, figures = Task(), {}
    torch.manual_seed(seed)
    plain = task.teach(Encoder(), ENCODER_RECIPE, seed)
    figures["behavior"] = task.behavior(plain)
    places = {"both, block 2, class token": ("blocks.1", 0, BOTH), "both, block 1, class token": ("blocks.0", 0, BOTH),
              "a = b, block 1, a": ("blocks.0", 1, [[0]]), "c = d, block 1, a": ("blocks.0", 1, [[1]]),
              "a = b, block 1, c": ("blocks.0", 3, [[0]]), "c = d, block 1, c": ("blocks.0", 3, [[1]])}
    networks = {"before": plain}
    for name, (layer, position, groups) in places.items():
        found = task.align(iit_train, copy.deepcopy(plain), layer, 8, ENCODER_IIT, seed, position, groups)
        networks[name] = found.model
        figures |= {f"{name} iia": task.score(found, groups).iia, f"{name} behavior": task.behavior(found.model)}
    for name in ("before", "both, block 2, class token"):
        for at, share in np.ndenumerate(patch_positions(networks[name], *task.test)):
            figures[f"{name} effect {' '.join(map(str, at))}"] = share
    return figures


def run_failures(seed: int) -> dict[str, float]:
    """Three networks whose alignment fails, and what each single change makes of them."""
    task = Task()
    figures: dict[str, float] = {}
    for name, trials in FAILURES.items():
        torch.manual_seed(seed)
        of_mlp = name.startswith("MLP")
        plain = task.teach(MLP() if of_mlp else Encoder(), MLP_RECIPE if of_mlp else ENCODER_RECIPE, seed)
        for change, (layer, position, d, weight, recipe) in trials.items():
            recipe = recipe | {"behavior_weight": weight}
            found = task.align(iit_train, copy.deepcopy(plain), layer, d, recipe, seed, position)
            figures |= {f"{name}: {change} iia": task.score(found).iia,
                        f"{name}: {change} behavior": task.behavior(found.model)}
    return figures


EXPERIMENTS = {"mlp": run_mlp, "encoder": run_encoder, "failures": run_failures}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STUDY)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    with locked(only_writer(arguments.out)):
        fill(arguments.out, arguments.seeds)


def fill(path: Path, seeds: int) -> None:
    """Run what the table lacks, and write it after each experiment."""
    rows = pd.read_csv(path, dtype={"value": str}).to_dict("records") if path.exists() else []
    done = {(row["experiment"], row["seed"]) for row in rows}
    provenance = {"command": "python -m studies.own_networks", "data": SIZES, "pairs": PAIRS, "mlp": MLP_RECIPE,
                  "encoder": ENCODER_RECIPE, "DAS": DAS, "IIT": IIT, "encoder IIT": ENCODER_IIT,
                  "failures": FAILURES, "versions": versions()}
    tasks = [(name, seed) for seed in range(seeds) for name in EXPERIMENTS if (name, seed) not in done]
    for name, seed in tqdm(tasks, desc="Study"):
        rows += [{"experiment": name, "seed": seed, "measure": measure, "value": f"{value:.5f}"}
                 for measure, value in EXPERIMENTS[name](seed).items()]
        write_table(path, rows)
        write_settings(path, provenance)


if __name__ == "__main__":
    main()
