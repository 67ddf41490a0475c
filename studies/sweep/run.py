"""The sweep behind notebook 6: many trainings, each recorded as it ends, on as many processes or machines as there are.

``make sweep`` runs the small table. A sweep that was interrupted goes on when it is called again; several sweeps may
share one folder, and none does again what another has done.
"""
import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from studies.sweep.cells import Cell, Settings, run_cell
from studies.sweep.rows import read_row, row_path, seconds_left, table, write_row, write_table
from utils.checkpoint_utils import versions
from studies.sweep.tables import TABLES
from utils.running.files import locked
from utils.validation import validate_count

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER, SWEEP = ROOT / "build" / "sweep", Path(__file__).resolve().parent / "sweep.csv"


def _peak_mib() -> int | None:
    """The most memory that this process has held so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def record_cell(cell: Cell, settings: Settings, folder: Path, waits: bool = False) -> dict | None:
    """Run one cell unless its row is there already, and write the row; what fails is recorded as such.

    Returns:
        the row, or None where another process is at work on this cell and ``waits`` is false.
    """
    path = row_path(folder, cell, settings)
    try:
        with locked(FileLock(folder / "locks" / f"{path.stem}.lock", timeout=-1 if waits else 0)):
            row = read_row(path)
            if row is None:
                row = {"cell": asdict(cell), "settings": asdict(settings)}
                try:
                    row["figures"] = run_cell(cell, settings, folder / "networks")
                except Exception as error:
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    row["error"] = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
                write_row(path, {**row, "peak_mib": _peak_mib(), "versions": versions()})
    except Timeout:
        return None
    return row


def _took(row: dict) -> tuple[str, float]:
    """A recorded cell's kind and its seconds."""
    return f"{row['cell']['method']} {row['cell']['layer']}", row.get("figures", {}).get("cpu_seconds", 0.0)


def run_sweep(
    cells: Sequence[Cell],
    folder: str | Path = FOLDER,
    jobs: int = 1,
    backend: str | None = None,
    settings: Settings | None = None,
    retry_failed: bool = False,
) -> pd.DataFrame:
    """Run the cells that have no row yet, and return the table of all.

    Args:
        cells: none twice.
        folder: for rows, base networks and locks; made if it is missing.
        jobs: processes on this machine, or on a cluster tasks at a time; -1 for all it has.
        backend: of joblib. None runs processes here; "dask" takes the cluster of the current ``Client``, whose workers
            must see ``folder`` and be able to import ``utils``.
        settings: shared by all cells.
        retry_failed: run cells again whose row records a failure.

    Returns:
        one row a cell, see ``studies.sweep.rows.table``.

    Raises:
        ValueError: a cell stands twice, or ``jobs`` is neither -1 nor at least 1.
        OSError: a row could not be written, as on a full disk. All rows written before are kept.
    """
    folder, settings = Path(folder).resolve(), settings or Settings()
    if len(set(cells)) < len(cells):
        raise ValueError(f"cells must differ, but {len(cells) - len(set(cells))} of {len(cells)} repeat another")
    if jobs != -1:
        validate_count(jobs, "jobs")
    for part in ("rows", "locks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if retry_failed:
        for cell in cells:
            if "error" in (read_row(row_path(folder, cell, settings)) or {}):
                row_path(folder, cell, settings).unlink()
    rows = {cell: read_row(row_path(folder, cell, settings)) for cell in cells}
    todo, known = [cell for cell in cells if rows[cell] is None], [_took(row) for row in rows.values() if row]
    with tqdm(total=len(cells), initial=len(cells) - len(todo), desc="Sweep", unit="cell") as bar:
        for waits in (False, True):  # in the end wait for the cells that another sweep was at work on
            tasks = [delayed(record_cell)(cell, settings, folder, waits) for cell in todo]
            left = [f"{cell.method} {cell.layer}" for cell in todo]
            with parallel_config(backend) if backend else nullcontext():
                for row in Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks):
                    if row is not None:
                        known.append(_took(row))
                        left.remove(known[-1][0])
                        seconds = seconds_left(left, known) / (jobs if jobs > 0 else os.cpu_count() or 1)
                        bar.set_postfix_str(f"about {seconds / 60:.0f} min left")
                        bar.update()
            todo = [cell for cell in todo if read_row(row_path(folder, cell, settings)) is None]
    return table(cells, folder, settings)


def main() -> int:
    """Command line; returns the exit code, 1 if a cell failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=["small"], help=f"of {', '.join(TABLES)}")
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with one thread")
    parser.add_argument("--scheduler", help="address of a Dask scheduler, such as tcp://host:8786")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for what is recorded; a sweep goes on there")
    parser.add_argument("--out", type=Path, help="table to write; sweep.csv in the folder if not given")
    parser.add_argument("--retry-failed", action="store_true", help="run again what failed")
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(TABLES):
        parser.error(f"there is no table {', '.join(sorted(unknown))}; choose from {', '.join(TABLES)}")
    os.environ["TQDM_DISABLE"] = "1"  # for the processes; this one has read it already
    cells = list(dict.fromkeys(cell for name in arguments.tables for cell in TABLES[name]()))
    options = {"folder": arguments.folder, "jobs": arguments.jobs, "retry_failed": arguments.retry_failed}
    if arguments.scheduler:
        from dask.distributed import Client
        with Client(arguments.scheduler):
            found = run_sweep(cells, **options, backend="dask")
    else:
        found = run_sweep(cells, **options)
    out = arguments.out or arguments.folder / "sweep.csv"
    write_table(found, out, Settings(), f"python -m studies.sweep.run {' '.join(arguments.tables)}", arguments.folder)
    failed = found[found["error"] != ""]
    print(f"{len(found)} cells in {out.name}, {len(failed)} failed")
    for row in failed.itertuples():
        print(f"{row.method} {row.layer} {row.variables}, {row.directions} directions: {row.error}")
    return int(len(failed) > 0)


if __name__ == "__main__":
    sys.exit(main())
