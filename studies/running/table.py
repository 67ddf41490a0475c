"""The table of a study, one row a figure, and its provenance beside it: what is in the table is not run again."""
import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock
from tqdm.auto import tqdm

from studies.sweep.rows import seconds_left
from utils.running.files import locked
from utils.running.whole import write_whole

FIELDS = ("experiment", "seed", "measure", "value")
Experiments = Mapping[str, Callable[[int], dict[str, float]]]


def read_table(path: Path) -> tuple[dict, list[dict]]:
    """Provenance and rows as they were written; nothing of both where one is missing or damaged."""
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return found, pd.read_csv(path, dtype={"value": str}, keep_default_na=False).to_dict("records")
    except (OSError, ValueError):
        return {}, []


def read_rows(path: Path, settings: dict) -> list[dict]:
    """The rows of a table; none where it was made by other settings or from other networks than ``settings`` say."""
    found, rows = read_table(path)
    return rows if {**found, "versions": None} == {**json.loads(json.dumps(settings)), "versions": None} else []


def write_table(path: Path, rows: Sequence[dict], order: Sequence[str] | None = None) -> None:
    """Replace the table at once, so that a reader never sees half of it: by experiment, as in ``order`` or by name,
    and by seed."""
    places = sorted({row["experiment"] for row in rows}) if order is None else list(order)
    rows = sorted(rows, key=lambda row: (places.index(row["experiment"]), int(row["seed"])))
    write_whole(path, pd.DataFrame(rows, columns=list(FIELDS)).to_csv(index=False, lineterminator="\n"))


def write_settings(path: Path, settings: dict) -> None:
    """Write the provenance of the table at ``path``."""
    write_whole(path.with_suffix(".json"), json.dumps(settings, indent=2) + "\n")


def only_writer(path: Path) -> FileLock:
    """For ``locked``: two would write over each other's rows, so that the second one is refused."""
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=0)


def go_on(path: Path, experiments: Experiments, settings: dict, seeds: int,
          read: Callable[[Path], list[dict]] | None = None, order: Sequence[str] | None = None,
          kind: Callable[[str], str] = str) -> None:
    """Run what is not in a table yet, all experiments for a seed before the next, and write it after each.

    Args:
        path: of the table.
        experiments: name -> from a seed to figures; nan is not written.
        settings: what the figures depend on.
        seeds: how many of each.
        read: the rows of a table that still hold; None: all, or none where the settings are others.
        order: of the experiments in the table; None: by name.
        kind: of an experiment; those of one kind take about as long.
    """
    with locked(only_writer(path)):
        rows = read(path) if read else read_rows(path, settings)
        done = {(row["experiment"], row["seed"]) for row in rows}
        tasks = [(name, seed) for seed in range(seeds) for name in experiments if (name, seed) not in done]
        bar = tqdm(tasks, desc="Study")
        for i, (name, seed) in enumerate(bar):
            start = time.process_time()
            figures = experiments[name](seed) | {"cpu seconds": time.process_time() - start}
            rows += [{"experiment": name, "seed": seed, "measure": measure, "value": f"{value:.5f}"}
                     for measure, value in figures.items() if not math.isnan(value)]
            write_table(path, rows, order)
            write_settings(path, settings)
            took = [(kind(row["experiment"]), float(row["value"])) for row in rows if row["measure"] == "cpu seconds"]
            left = seconds_left([kind(name) for name, _ in tasks[i + 1:]], took)
            bar.set_postfix_str(f"about {left / 60:.0f} min left")


def command_line(about: str | None, path: Path, experiments: Experiments, settings: dict, seeds: int) -> None:
    """``go_on`` with the table that ``--out`` names, in place of the one at ``path``, and as many ``--seeds``."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--out", type=Path, default=path)
    parser.add_argument("--seeds", type=int, default=seeds)
    arguments = parser.parse_args()
    go_on(arguments.out, experiments, settings, arguments.seeds)
