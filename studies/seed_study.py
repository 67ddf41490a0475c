"""The study over seeds behind notebooks 3 to 5: ``make study`` runs it and writes studies/seed_study.csv.

One row a figure: experiment, seed, measure, value. A seed stands for all that is random: the base network's training,
the directions at the start, the pairs and their order. What is already in the file is not run again.
"""
import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from studies.anatomy import STEPS, run_anatomy
from studies.first_recipe import FIRST_RECIPES, run_first_recipe
from studies.pools import HOLDOUT, HoldoutPool, ShuffledPool, measure_block
from utils.measures.alignment import cause_isolate, complement_iia, self_consistency, unaligned_effects
from studies.running import table as tables
from studies.sweep.rows import seconds_left
from utils.checkpoint_utils import BASE_CNN, BASE_RECIPE, load_checkpoint, versions
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train, iit_train
from utils.data_utils import COEFFICIENTS, VARIABLE_NAMES, causal_model, create_dataset
from utils.interventions.build import get_coordinates
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment
from utils.model_utils import PyTorchCNN, train
from utils.measures.readout import correlate
from studies.recipes import (RECIPES, TEST_IMAGES, TEST_SEED, TRAIN_IMAGES, TRAIN_SEED, base_cnn, measure_behavior,
                             measure_score, train_by_recipe)
from utils.measures.response import dose_response, slope_and_correlation
from utils.running.files import locked

STUDY = Path(__file__).resolve().parent / "seed_study.csv"
WRONG_COEFFICIENTS = (0.6, 0.4, 0.2)
DAS_STEPS, ANATOMY_SEEDS = 150, 3


def fit_das(model: torch.nn.Module, images: np.ndarray, labels: np.ndarray, seed: int) -> pv.IntervenableModel:
    """The best that DAS finds at fc1 in a network as it is: one direction for each of the three variables."""
    intervenable = RECIPES["three"].build(model, seed)
    pool = PairPool(images, labels, RECIPES["three"].variables)
    das_train(intervenable, pool=pool, num_steps=DAS_STEPS, lr=0.05, seed=seed)
    return intervenable


def measure_three(intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, n: int = 10_000) -> dict:
    """All figures of a model with three sources at fc1, by name."""
    groups = RECIPES["three"].variables
    figures = measure_score(intervenable, images, labels, groups, n)
    table = cause_isolate(intervenable, images, labels, [0, 1, 2], n)
    for name, row in table.iterrows():
        figures |= {f"{measure} {name}": row[measure] for measure in ("cause", "isolate", "disentangle")}
    figures["disentangle"] = table["disentangle"].mean()
    figures["self-consistency"] = self_consistency(intervenable, images, labels, groups, n)
    figures["complement"] = complement_iia(intervenable, images, labels, [0, 1, 2], n)["iia"]
    coordinates = get_coordinates(intervenable, torch.from_numpy(images)[:, None]).numpy()
    correlation = np.abs(correlate(coordinates, labels))
    figures["least own correlation"] = np.diag(correlation).min()
    figures["greatest other correlation"] = correlation[~np.eye(3, dtype=bool)].max()
    for variable, name in enumerate(VARIABLE_NAMES):
        causal, network, share = dose_response(intervenable, images, labels, variable, variable)
        slope, fit = slope_and_correlation(causal, network)
        figures |= {f"dose slope {name}": slope, f"dose correlation {name}": fit, f"dose share {name}": share}
    return figures


def run_three(seed: int, data: tuple) -> dict:
    """The headline experiment, with the controls that need no training of the network."""
    images, labels, test, test_labels = data
    groups = RECIPES["three"].variables
    intervenable, _ = train_by_recipe("three", images, labels, seed)
    figures = measure_three(intervenable, test, test_labels) | measure_block(intervenable, test, test_labels)
    controls = {
        "whole-layer swap": (intervenable, [[0, 1, 2]] * 3),  # every source overwrites all, so the last one wins
        "DAS refitted": (fit_das(intervenable.model, images, labels, seed), None),
        "random rotation": (RECIPES["three"].build(base_cnn(seed), seed), None),
        "DAS before IIT": (fit_das(base_cnn(seed), images, labels, seed), None),
    }
    for name, (model, subspaces) in controls.items():
        score = score_alignment(model, test, test_labels, groups, subspaces=subspaces)
        figures |= {f"{name} {key}": getattr(score, key) for key in ("iia", "flip_iia", "normalized_iia")}
    return figures


def run_behavior_only(seed: int, data: tuple) -> dict:
    """As many further steps on the task alone as IIT takes, then the best alignment that DAS can find."""
    images, labels, test, test_labels = data
    model, recipe = base_cnn(seed), RECIPES["three"]
    epochs = -(-recipe.num_steps * recipe.batch_size // len(images))
    train(model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels)), lr=recipe.lr,
          num_epochs=epochs, batch_size=recipe.batch_size, seed=seed)
    return measure_three(fit_das(model, images, labels, seed), test, test_labels)


def run_untrained(seed: int, data: tuple) -> dict:
    """DAS on a network of random weights."""
    images, labels, test, test_labels = data
    torch.manual_seed(seed)
    return measure_score(fit_das(PyTorchCNN(), images, labels, seed), test, test_labels, RECIPES["three"].variables)


def run_pool(pool_type: type[PairPool], coefficients: tuple, seed: int, data: tuple) -> dict:
    """IIT as in the headline experiment, on other pairs or another causal model."""
    images, labels, test, test_labels = data
    recipe = RECIPES["three"]
    intervenable = recipe.build(base_cnn(seed), seed)
    pool = pool_type(images, labels, recipe.variables, coefficients)
    iit_train(intervenable, pool=pool, seed=seed, **recipe.training())
    figures = measure_score(intervenable, test, test_labels, recipe.variables)
    if pool_type is HoldoutPool:
        figures |= measure_block(intervenable, test, test_labels)
    if coefficients != COEFFICIENTS:
        own = score_alignment(intervenable, test, test_labels, recipe.variables, coefficients=coefficients)
        figures |= {"own iia": own.iia, "own normalized_iia": own.normalized_iia, "own ceiling": own.ceiling}
    return figures


def run_base(seed: int, data: tuple) -> dict:
    """The base network itself."""
    return {"behavior": measure_behavior(base_cnn(seed), *data[2:])}


def run_recipe(name: str, seed: int, data: tuple) -> dict:
    """One of the recipes at a convolution."""
    images, labels, test, test_labels = data
    intervenable, _ = train_by_recipe(name, images, labels, seed)
    groups = RECIPES[name].variables
    figures = measure_score(intervenable, test, test_labels, groups)
    figures["self-consistency"] = self_consistency(intervenable, test, test_labels, groups)
    complement = complement_iia(intervenable, test, test_labels, sum(groups, ()))
    figures |= {f"complement {key}": complement[key] for key in ("iia", "flip_iia")}
    effects = unaligned_effects(intervenable, test, test_labels)
    return figures | {f"unaligned effect {unit}": effect for unit, effect in enumerate(effects)}


EXPERIMENTS: dict[str, Callable[[int, tuple], dict]] = {
    "base": run_base,
    "three": run_three,
    "behavior only": run_behavior_only,
    "untrained": run_untrained,
    "holdout": partial(run_pool, HoldoutPool, COEFFICIENTS),
    "shuffled labels": partial(run_pool, ShuffledPool, COEFFICIENTS),
    "wrong causal model": partial(run_pool, PairPool, WRONG_COEFFICIENTS),
    **{name: partial(run_recipe, name) for name in RECIPES if name != "three"},
    **{f"first recipe: {name}": partial(run_first_recipe, name) for name in FIRST_RECIPES},
    **{f"anatomy: {step}": partial(run_anatomy, step) for step in STEPS},
}


def run(experiment: str, seed: int, threads: int = 1) -> list[dict]:
    """Run one experiment with one seed; returns its rows."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"experiment must be one of {sorted(EXPERIMENTS)}, got {experiment!r}")
    torch.set_num_threads(threads)
    start = time.process_time()
    data = (*create_dataset(TRAIN_IMAGES, seed=TRAIN_SEED), *create_dataset(TEST_IMAGES, seed=TEST_SEED))
    figures = EXPERIMENTS[experiment](seed, data)
    figures["cpu seconds"] = time.process_time() - start
    return [{"experiment": experiment, "seed": seed, "measure": name, "value": f"{value:.5f}"}
            for name, value in figures.items() if not np.isnan(value)]


def write_rows(path: Path, rows: list[dict]) -> None:
    """Replace the table at once, in the order of ``EXPERIMENTS``."""
    tables.write_table(path, rows, list(EXPERIMENTS))


def provenance() -> dict:
    """What the figures depend on; a table of other recipes is not gone on with."""
    return {"command": "make study", "recipes": {name: asdict(recipe) for name, recipe in RECIPES.items()},
            "base_recipe": BASE_RECIPE, "base_cnn_sha256": load_checkpoint(BASE_CNN)[1]["sha256"],
            "train_images": TRAIN_IMAGES, "train_data_seed": TRAIN_SEED, "test_images": TEST_IMAGES,
            "test_data_seed": TEST_SEED, "pairs": 10_000, "das_steps": DAS_STEPS,
            "wrong_coefficients": list(WRONG_COEFFICIENTS), "holdout": list(HOLDOUT), "versions": versions()}


def read_rows(path: Path) -> list[dict]:
    """What is in the table; nothing where it was made by other recipes, from other networks or data."""
    return tables.read_rows(path, provenance())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STUDY)
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with one thread")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--experiments", nargs="*", default=list(EXPERIMENTS))
    arguments = parser.parse_args()
    with locked(tables.only_writer(arguments.out)):
        fill(arguments.out, arguments.experiments, arguments.seeds, arguments.jobs)


def fill(path: Path, experiments: list[str], seeds: int, jobs: int) -> None:
    """Run what the table lacks, and write it after each experiment."""
    rows = read_rows(path)
    done = {(row["experiment"], int(row["seed"])) for row in rows}
    tasks = [(e, s) for s in range(seeds) for e in experiments
             if (e, s) not in done and not (e.startswith("anatomy") and s >= ANATOMY_SEEDS)]
    if tasks and not rows:  # first what the rows will depend on, so that none is left without it
        write_rows(path, [])
        tables.write_settings(path, provenance())
    with (ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool,
          tqdm(total=len(done) + len(tasks), initial=len(done), desc="Study") as bar):
        futures = {pool.submit(run, *task): task for task in tasks}
        for future in as_completed(futures):
            rows += future.result()
            tasks.remove(futures[future])
            write_rows(path, rows)
            known = [(row["experiment"], float(row["value"])) for row in rows if row["measure"] == "cpu seconds"]
            seconds = seconds_left([e for e, _ in tasks], known) / jobs
            bar.set_postfix_str(f"about {seconds / 60:.0f} min left")
            bar.update()


if __name__ == "__main__":
    main()
