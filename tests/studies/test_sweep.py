"""The sweep: the same table wherever it runs, nothing lost or done twice when it is killed, failures recorded."""
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
import torch
from conftest import ROOT
from studies.sweep import cells as sweep_cells, rows as sweep_rows, run as sweep
from utils.das_utils import build_intervenable, das_train
from utils.counterfactual_data_utils import PairPool
from utils.checkpoint_utils import load_checkpoint
from utils.data_utils import causal_model, create_dataset
from utils.measure_utils import score_alignment
from utils.model_utils import evaluate
from studies.recipes import TEST_SEED, TRAIN_SEED
from studies.sweep.cells import Cell, Settings, base_network, cell_from_dict, grid, run_cell
from studies.sweep.tables import EACH_VARIABLE, LAYERS, OBJECTIVES, TABLES

TINY = Settings(train_images=400, test_images=300, pairs=200, network_epochs=1)
STEPS = dict.fromkeys(LAYERS, 2)
CELLS = [*grid("DAS", ["conv3", "fc1"], EACH_VARIABLE[:2], [1], STEPS, network=1),
         *grid("IIT", ["fc1"], [((0,), (1,)), ((0, 2),)], [1], STEPS, behavior_weight=1.0)]
VARYING = ["cpu_seconds", "peak_mib"]
SWEEP = """
import sys
from studies.sweep import run as sweep
from studies.sweep.cells import Settings, cell_from_dict
import json
cells = [cell_from_dict(values) for values in json.loads(sys.argv[2])]
if __name__ == "__main__":
    sweep.run_sweep(cells, sys.argv[1], jobs=int(sys.argv[3]), settings=Settings(400, 300, 200, 1))
"""


def fixed(found):
    return found.drop(columns=VARYING)


def fake_run(cell, settings, networks):
    """In place of a training: figures that tell which cell it was."""
    return {"iia": cell.directions / 100, "cpu_seconds": 0.0}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return sweep.run_sweep(CELLS, tmp_path_factory.mktemp("serial"), settings=TINY)


@pytest.fixture
def counted(monkeypatch):
    """Cells run, in their order, with the training left out."""
    run = []
    monkeypatch.setattr(sweep, "run_cell", lambda cell, *rest: run.append(cell) or fake_run(cell, *rest))
    return run


def many(n):
    return [Cell("DAS", "conv3", ((0,),), size, 2) for size in range(1, n + 1)]


def start_sweep(folder, cells, jobs=1, **options):
    values = json.dumps([vars(cell) for cell in cells])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    script = folder.parent / f"start_{folder.name}.py"
    script.write_text(SWEEP)
    return subprocess.Popen([sys.executable, str(script), str(folder), values, str(jobs)], env=environment,
                            start_new_session=True, stderr=subprocess.PIPE, text=True, **options)


# one cell


def test_a_cell_is_what_the_series_trains_and_measures(tmp_path):
    cell = Cell("DAS", "fc1", ((2,),), 1, num_steps=5, seed=3, network=1)
    figures = run_cell(cell, TINY, tmp_path)
    torch.set_num_threads(1)
    model, sha256, behavior = base_network(cell, TINY, tmp_path)
    torch.manual_seed(3)
    intervenable = build_intervenable(model, "fc1", 1)
    das_train(intervenable, pool=PairPool(*create_dataset(400, seed=TRAIN_SEED), [[2]]), num_steps=5, seed=3)
    test, labels = create_dataset(300, seed=TEST_SEED)
    score = score_alignment(intervenable, test, labels, [[2]], n=200, n_discriminating=0)
    assert (figures["iia"], figures["flip_iia"], figures["n"]) == (score.iia, score.flip_iia, 200)
    assert figures["base_sha256"] == sha256 and figures["behavior"] == behavior
    assert behavior == evaluate(model, torch.from_numpy(test)[:, None], torch.from_numpy(causal_model(labels)))


def test_iit_moves_the_network_and_leaves_the_stored_one_as_it_is(tmp_path):
    cell = Cell("IIT", "fc1", ((0,),), 1, num_steps=5, behavior_weight=1.0, network=2)
    before = base_network(cell, TINY, tmp_path)[1]
    figures = run_cell(cell, TINY, tmp_path)
    assert figures["behavior"] != figures["base_behavior"]
    assert base_network(cell, TINY, tmp_path)[1] == before == figures["base_sha256"]


def test_base_networks_differ_by_seed_and_objective_and_are_trained_once(tmp_path, monkeypatch):
    first = Cell("DAS", "fc1", ((0,),), 1, 2, network=1)
    others = [replace(first, network=2), replace(first, coefficients=OBJECTIVES[1])]
    hashes = {base_network(cell, TINY, tmp_path)[1] for cell in (first, *others)}
    assert len(hashes) == 3
    monkeypatch.setattr(sweep_cells, "train", lambda *a, **k: pytest.fail("trained again"))
    assert base_network(replace(first, layer="conv1", directions=2), TINY, tmp_path)[1] in hashes


def test_a_damaged_base_network_is_trained_again(tmp_path):
    cell = Cell("DAS", "fc1", ((0,),), 1, 2, network=1)
    sha256 = base_network(cell, TINY, tmp_path)[1]
    file = next(tmp_path.glob("*.pth"))
    file.write_bytes(file.read_bytes()[:-50])
    assert base_network(cell, TINY, tmp_path)[1] == sha256
    assert load_checkpoint(file)[1]["sha256"] == sha256


def test_threads_are_left_as_they_were(tmp_path):
    torch.set_num_threads(2)
    run_cell(Cell("DAS", "fc1", ((0,),), 1, 2), TINY, tmp_path)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("values, message", [
    ({"method": "SGD"}, "method must be one of"), ({"layer": "conv9"}, "layer must be one of"),
    ({"variables": ((0,), (0,))}, "must not repeat"), ({"variables": ()}, "at least one"),
    ({"directions": 4}, "directions must fit into the 3 neurons of fc1"), ({"num_steps": 0}, "num_steps"),
    ({"behavior_weight": 1.0}, "behavior_weight must be 0 for DAS"), ({"seed": -1}, "seed must be at least 0"),
    ({"schedule": "wild"}, "schedule must be one of"), ({"lr": 0.0}, r"lr must lie in \(0"),
    ({"network": None, "coefficients": (0.3, 0.4, 0.5)}, "for the network that ships"),
])
def test_a_cell_that_makes_no_sense_is_refused(values, message):
    good = {"method": "DAS", "layer": "fc1", "variables": ((0,),), "directions": 1, "num_steps": 2, "network": 1}
    Cell(**good)
    with pytest.raises((ValueError, TypeError), match=message):
        Cell(**(good | values))


def test_a_cell_survives_json_and_others_are_refused():
    cell = Cell("IIT", "conv1", ((0, 1), (2,)), 4, 2, behavior_weight=0.5, network=3, coefficients=OBJECTIVES[2])
    values = json.loads(json.dumps(vars(cell)))
    assert cell_from_dict(values) == cell and cell_from_dict(values).key(TINY) == cell.key(TINY)
    with pytest.raises(ValueError, match="a cell has the attributes"):
        cell_from_dict({**values, "color": "red"})


def test_keys_tell_cells_and_settings_apart():
    cells = [cell for make in TABLES.values() for cell in make()]
    keys = {cell.key(TINY) for cell in cells}
    assert len(keys) == len(set(cells)) and not keys & {cell.key(Settings()) for cell in cells}


def test_the_tables_ask_what_the_notebook_shows():
    das = TABLES["das0"]()
    assert len({cell.network for cell in das}) >= 20 and len(das) % 9 == 0
    assert {TABLES[f"das{i}"]()[0].coefficients for i in range(3)} == set(OBJECTIVES)
    assert {cell.layer for cell in TABLES["place"]()} == {"conv1", "conv2", "conv3", "fc1"}
    assert any(cell.schedule == "constant" and cell.directions == 1 for cell in TABLES["front"]())


# the same wherever it runs


def test_two_processes_give_the_same_table(serial, tmp_path):
    pd.testing.assert_frame_equal(fixed(sweep.run_sweep(CELLS, tmp_path, jobs=2, settings=TINY)), fixed(serial))


def test_a_dask_cluster_gives_the_same_table(serial, tmp_path):
    from dask.distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        found = sweep.run_sweep(CELLS, tmp_path, jobs=-1, backend="dask", settings=TINY)
    pd.testing.assert_frame_equal(fixed(found), fixed(serial))


def test_the_table_holds_what_belongs_beside_a_figure(serial):
    assert len(serial) == len(CELLS) and (serial["error"] == "").all() and (serial["n"] == 200).all()
    assert {"iia", "flip_iia", "normalized_iia", "keep", "copy", "majority", "ceiling", "behavior"} <= set(serial)
    assert set(serial["variables"]) == {"0", "1", "0|1", "02"} and set(serial["network"]) == {"1", "shipped"}


# going on


def test_what_is_done_is_not_done_again(tmp_path, counted):
    sweep.run_sweep(many(3), tmp_path, settings=TINY)
    found = sweep.run_sweep(many(5), tmp_path, settings=TINY)
    assert counted == many(5) and found["iia"].tolist() == [0.01, 0.02, 0.03, 0.04, 0.05]
    assert len(sweep_rows.table(many(9), tmp_path, TINY)) == 5
    sweep.run_sweep(many(1), tmp_path, settings=replace(TINY, pairs=100))
    assert len(counted) == 6, "a row measured under other settings is another row"


def test_a_killed_sweep_goes_on_and_loses_nothing(tmp_path, serial):
    folder = tmp_path / "sweep"
    process = start_sweep(folder, CELLS, jobs=2)
    while not (done := list((folder / "rows").glob("*.json"))):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {path: path.stat().st_mtime_ns for path in (folder / "rows").glob("*.json")}
    found = sweep.run_sweep(CELLS, folder, settings=TINY)
    pd.testing.assert_frame_equal(fixed(found), fixed(serial))
    assert all(path.stat().st_mtime_ns == when for path, when in done.items()), "what was done is left as it is"
    assert len(list((folder / "rows").iterdir())) == len(CELLS)


@pytest.mark.parametrize("damage", [
    lambda text: text[:len(text) // 2], lambda text: "", lambda text: text.replace('"iia": 0.02', '"iia": 0.99'),
    lambda text: "[1]", lambda text: text.replace("conv3", "conv9"), lambda text: "\x00" * 200])
def test_a_damaged_row_is_run_again(tmp_path, counted, damage):
    sweep.run_sweep(many(3), tmp_path, settings=TINY)
    path = sweep_rows.row_path(tmp_path, many(3)[1], TINY)
    assert damage(path.read_text()) != path.read_text()
    path.write_text(damage(path.read_text()))
    assert len(sweep_rows.table(many(3), tmp_path, TINY)) == 2
    found = sweep.run_sweep(many(3), tmp_path, settings=TINY)
    assert counted == [*many(3), many(3)[1]] and found["iia"].tolist() == [0.01, 0.02, 0.03]


def test_a_failing_cell_is_recorded_and_the_rest_go_on(tmp_path, monkeypatch):
    broken = {2}

    def run(cell, settings, networks):
        if cell.directions in broken:
            raise RuntimeError("diverged")
        return fake_run(cell, settings, networks)

    monkeypatch.setattr(sweep, "run_cell", run)
    found = sweep.run_sweep(many(3), tmp_path, settings=TINY)
    assert found["iia"].tolist()[::2] == [0.01, 0.03] and found["iia"].isna().sum() == 1
    assert found["error"][1].startswith("RuntimeError: diverged (test_sweep.py:")
    broken.clear()
    assert sweep.run_sweep(many(3), tmp_path, settings=TINY)["error"][1] != "", "left as it is unless asked for"
    assert (sweep.run_sweep(many(3), tmp_path, settings=TINY, retry_failed=True)["error"] == "").all()


def test_two_sweeps_share_a_folder(tmp_path, serial):
    folder = tmp_path / "sweep"
    processes = [start_sweep(folder, cells) for cells in (CELLS, CELLS[::-1])]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    pd.testing.assert_frame_equal(fixed(sweep_rows.table(CELLS, folder, TINY)), fixed(serial))
    assert len(list((folder / "rows").iterdir())) == len(CELLS)


def test_a_cell_at_which_another_sweep_is_at_work_is_waited_for(tmp_path, counted):
    cell, (folder, lock) = many(1)[0], (tmp_path, sweep.FileLock)
    for part in ("rows", "locks"):
        (folder / part).mkdir()
    path = sweep_rows.row_path(folder, cell, TINY)
    with lock(folder / "locks" / f"{path.stem}.lock"):
        assert sweep.record_cell(cell, TINY, folder) is None and not counted
    assert sweep.record_cell(cell, TINY, folder, waits=True)["figures"]["iia"] == 0.01


def test_a_full_disk_ends_the_sweep_and_keeps_what_was_written(tmp_path, counted):
    """The kernel refuses files beyond a size, as it does where no room is left."""
    sweep.run_sweep(many(2), tmp_path, settings=TINY)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="too large|No space"):
            sweep.run_sweep(many(4), tmp_path, settings=TINY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(path.suffix for path in (tmp_path / "rows").iterdir()) == [".json"] * 2
    assert len(sweep.run_sweep(many(4), tmp_path, settings=TINY)) == 4
    assert counted == [*many(3), *many(4)[2:]]


@pytest.mark.parametrize("cells, jobs, message", [
    (many(2) + many(1), 1, "1 of 3 repeat"), (many(1), 0, "jobs must be at least 1"), (many(1), -2, "jobs must")])
def test_bad_arguments_are_refused(tmp_path, cells, jobs, message):
    with pytest.raises(ValueError, match=message):
        sweep.run_sweep(cells, tmp_path / "sweep", jobs=jobs, settings=TINY)
    assert not (tmp_path / "sweep").exists()


# the command


def test_the_command_writes_table_and_provenance(tmp_path, monkeypatch, capsys, counted):
    monkeypatch.setitem(TABLES, "small", lambda: many(3))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(sys, "argv", ["sweep", "--jobs", "1", "--folder", str(tmp_path)])
    assert sweep.main() == 0 and "3 cells in sweep.csv, 0 failed" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "sweep.csv")["iia"].tolist() == [0.01, 0.02, 0.03]
    provenance = json.loads((tmp_path / "sweep.json").read_text())
    assert (provenance["cells"], provenance["failed"]) == (3, 0)
    assert provenance["command"] == "python -m studies.sweep.run small" and provenance["network_cpu_seconds"] is None
    monkeypatch.setattr(sys, "argv", ["sweep", "large"])
    with pytest.raises(SystemExit):
        sweep.main()
    assert "no table large" in capsys.readouterr().err
