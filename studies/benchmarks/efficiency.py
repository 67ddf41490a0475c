"""The sweep on one process and on two, in turns: how much of the second process arrives."""
import argparse
import os
import tempfile
from pathlib import Path

from studies.benchmarks.timing import save, take_turns
from studies.sweep.run import run_sweep
from studies.sweep.cells import Cell, Settings

CELLS, STEPS, ROUNDS = 8, 60, 3
SETTINGS = Settings(train_images=10_000, test_images=10_000, pairs=10_000)


def main() -> None:
    """Time the same cells on the network that ships, and write results/efficiency.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", default="conv3")
    layer = parser.parse_args().layer
    os.environ["TQDM_DISABLE"] = "1"
    cells = [Cell("DAS", layer, ((0,),), 64, STEPS, seed=seed) for seed in range(CELLS)]
    with tempfile.TemporaryDirectory() as folder:
        ways = {f"{jobs} process{'es' * (jobs > 1)}": lambda jobs=jobs: run_sweep(
            cells, Path(tempfile.mkdtemp(dir=folder)), jobs=jobs, settings=SETTINGS) for jobs in (1, 2)}
        timings = take_turns(ways, ROUNDS, warmups=1)  # in the first turn the processes start and import
    save("efficiency", timings, {name: {"cells": CELLS, "layer": layer} for name in timings})


if __name__ == "__main__":
    main()
