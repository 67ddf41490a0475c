"""Quality for time: IIA at conv1 against the seconds of training, for the first recipe, stock pyvene and ours."""
import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

from studies.benchmarks.changes import CHANGES, STEPS, train_changed
from studies.benchmarks.timing import RESULTS, machine
from studies.first_recipe import EVERYTHING, train_first_recipe
from studies.recipes import RECIPES, TRAIN_IMAGES, TRAIN_SEED, base_cnn, measure_behavior
from utils.data_utils import create_dataset
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment
from utils.running.whole import write_whole

TEST_IMAGES, TEST_SEED = 20_000, 31  # not those of the notebooks: a recipe that is chosen here is tested on others
PAIRS = 10_000
LENGTHS = (100, 200, 300, 400, 500, 600)  # of ours, in steps
EPOCHS = {"single": (1, 5), "two": (5,)}  # of the first recipe
SOURCES = {"single": "one source", "two": "two sources"}
CODE = "one pass of the network a step, rotation by Cholesky"  # as utils were when this was measured
ALLOCATOR = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")  # the Makefile's settings change the seconds


def measure(name: str, series: str, seed: int, train: Callable[[], pv.IntervenableModel], test: tuple,
            groups: Sequence[Sequence[int]], subspaces: list | None = None) -> dict:
    """Train and evaluate: one row of the results. Building counts as training, evaluation does not."""
    wall, cpu = perf_counter(), process_time()
    intervenable = train()
    wall, cpu = perf_counter() - wall, process_time() - cpu
    images, labels = test
    score = score_alignment(intervenable, images, labels, groups, n=PAIRS, n_discriminating=0, subspaces=subspaces)
    behavior = measure_behavior(intervenable.model, images, labels)
    row = {"series": series, "name": name, "seed": seed, "seconds": round(wall, 2), "cpu_seconds": round(cpu, 2),
           "iia": round(score.iia, 4), "flip_iia": round(score.flip_iia, 4), "behavior": round(behavior, 4),
           "keep": round(score.keep, 4), "ceiling": round(score.ceiling, 4)}
    print(", ".join(map(str, row.values())), flush=True)
    return row


def read_rows(path: Path, header: dict) -> list[dict]:
    """The rows that an earlier run left, if it was of the same code on the same kind of machine; else none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = found.pop("rows")
    except (OSError, ValueError, KeyError):
        return []
    return rows if found == header else []


def main() -> None:
    """Train by every recipe, then by ours with one change at a time; results/quality.json is written after each, and a
    run that broke off goes on there."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="of each curve; each has a base network of its own")
    parser.add_argument("--changes", type=int, default=2, help="seeds of each single change")
    arguments = parser.parse_args()
    train, test = create_dataset(TRAIN_IMAGES, TRAIN_SEED), create_dataset(TEST_IMAGES, TEST_SEED)
    path = RESULTS / "quality.json"
    header = {"machine": machine(), "allocator": {name: os.environ.get(name, "not set") for name in ALLOCATOR},
              "code": CODE, "pairs": PAIRS, "steps_of_changes": STEPS}
    rows = read_rows(path, header)
    done = {(row["series"], row["name"], row["seed"]) for row in rows}
    for seed in range(arguments.seeds):
        base_cnn(seed)  # trained now, if it must be, and not while a clock runs

    def add(recipe: str, name: str, series: str, seed: int, function: Callable, *options,
            subspaces: list | None = None) -> None:
        if (series, name, seed) not in done:
            groups = RECIPES[recipe].variables
            rows.append(measure(name, series, seed, lambda: function(*options), test, groups, subspaces))
            write_whole(path, json.dumps(header | {"rows": rows}, indent=1) + "\n")

    for seed in range(arguments.seeds):
        for recipe, sources in SOURCES.items():
            multi = recipe == "two"
            for epochs in EPOCHS[recipe]:
                add(recipe, f"{epochs} epoch{'s' * (epochs > 1)}", f"first recipe, {sources}", seed, train_first_recipe,
                    base_cnn(seed), *train, seed, multi, False, epochs, subspaces=EVERYTHING if multi else None)
            for steps in LENGTHS:
                add(recipe, f"{steps} steps", f"ours, {sources}", seed, train_changed, CHANGES["as it is"], *train,
                    seed, steps, recipe)
        add("single", "1 epoch", "first recipe on stock pyvene, one source", seed, train_first_recipe, base_cnn(seed),
            *train, seed, False, True)
    for seed in range(arguments.changes):
        for name, change in CHANGES.items():
            add("single", name, "one change", seed, train_changed, change, *train, seed)


if __name__ == "__main__":
    main()
