"""What the sweep has recorded: a file for each cell, written whole or not at all, and the table of them."""
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from utils.checkpoint_utils import versions
from utils.running.whole import write_whole
from studies.sweep.cells import Cell, Settings, cell_from_dict

SORTED_BY = ["method", "network", "coefficients", "layer", "variables", "directions", "behavior_weight", "seed"]


def row_path(folder: Path, cell: Cell, settings: Settings) -> Path:
    """Where the row of a cell lies in the folder of a sweep."""
    return folder / "rows" / f"{cell.key(settings)}.json"


def _digest(row: dict) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def read_row(path: Path) -> dict | None:
    """A row as ``write_row`` wrote it, or None if the file is missing or damaged."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        sha256 = row.pop("sha256")
        cell_from_dict(row["cell"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return row if sha256 == _digest(row) else None


def write_row(path: Path, row: dict) -> None:
    """Write a row whole or not at all; OSError if the disk is full."""
    row = json.loads(json.dumps(row))
    write_whole(path, json.dumps({**row, "sha256": _digest(row)}))


def table(cells: Sequence[Cell], folder: Path, settings: Settings) -> pd.DataFrame:
    """What is recorded of the cells: attributes, figures, ``error`` (empty where all went well) and ``peak_mib``.

    Cells without a row are left out, so that a sweep can be looked at while it runs.
    """
    rows = []
    for cell in cells:
        row = read_row(row_path(folder, cell, settings))
        if row is not None:
            names = {"variables": "|".join("".join(map(str, group)) for group in cell.variables),
                     "coefficients": "/".join(map(str, cell.coefficients)),
                     "network": "shipped" if cell.network is None else str(cell.network)}
            rows.append({**row["cell"], **names, **row.get("figures", {}), "error": row.get("error", ""),
                         "peak_mib": row["peak_mib"]})
    return pd.DataFrame(rows).sort_values(SORTED_BY, ignore_index=True) if rows else pd.DataFrame(columns=SORTED_BY)


def seconds_left(todo: Sequence[str], known: Sequence[tuple[str, float]]) -> float:
    """How long the kinds of work ``todo`` will take, from the seconds that kinds took so far: for each the mean of its
    own kind, or of all where its kind is new; nan where nothing is known."""
    seconds: dict[str, list[float]] = {}
    for kind, took in known:
        seconds.setdefault(kind, []).append(took)
    every = float(np.mean([took for _, took in known])) if known else float("nan")
    return sum(float(np.mean(seconds[kind])) if kind in seconds else every for kind in todo)


def network_seconds(folder: Path) -> float | None:
    """What training a base network of the sweep has taken on average, in seconds of one core; None if none tells."""
    found = [json.loads(path.read_text()).get("cpu_seconds") for path in (folder / "networks").glob("*.json")]
    found = [seconds for seconds in found if seconds is not None]
    return round(float(np.mean(found)), 1) if found else None


def write_table(found: pd.DataFrame, path: Path, settings: Settings, command: str, folder: Path) -> None:
    """Write the table (.csv) of the sweep in ``folder`` and its provenance (.json), each at once."""
    failed = int((found["error"] != "").sum()) if len(found) else 0
    provenance = {"command": command, "settings": asdict(settings), "versions": versions(), "cells": len(found),
                  "failed": failed, "network_cpu_seconds": network_seconds(folder)}
    contents = {path: found.to_csv(index=False, float_format="%.5f", lineterminator="\n"),
                path.with_suffix(".json"): json.dumps(provenance, indent=2) + "\n"}
    for target, content in contents.items():
        write_whole(target, content)
