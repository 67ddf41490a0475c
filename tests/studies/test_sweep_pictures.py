"""What notebook 6 computes and draws from the table of the sweep, and the committed table itself."""
import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from studies import published as quoted
from studies.sweep import pictures as sweep_pictures
from utils.checkpoint_utils import BASE_CNN, load_checkpoint
from studies.sweep.run import SWEEP
from studies.sweep.cells import Settings
from studies.sweep.rows import network_seconds
from studies.sweep.tables import OBJECTIVES, TABLES, WEIGHTS

EQUAL = "0.4/0.4/0.4"


def das_rows(networks, coefficients=EQUAL, behavior=0.97, directions=64):
    return pd.DataFrame([
        {"method": "DAS", "network": str(network), "coefficients": coefficients, "behavior": behavior, "layer": layer,
         "directions": directions, "variables": variable, "iia": 0.9 + int(variable) / 100 + network / 1000,
         "cpu_seconds": 10.0 * int(layer[-1]), "peak_mib": 900 + network}
        for network in networks for layer in ("conv1", "conv2", "conv3") for variable in "012"])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_networks_that_learned_and_are_complete_are_taken_in_order():
    rows = pd.concat([das_rows([2, 0, 10]), das_rows([1], behavior=0.5), das_rows([3]).iloc[:8],
                      das_rows([4], "0.3/0.4/0.5"), das_rows([5]).assign(method="IIT"), das_rows([0, 6], directions=4)])
    assert set(sweep_pictures.das_networks(rows, OBJECTIVES[0]).network) == {"0", "2", "10"}
    assert set(sweep_pictures.das_networks(rows, OBJECTIVES[0], networks=2).network) == {"0", "2"}
    assert set(sweep_pictures.das_networks(rows, OBJECTIVES[1]).network) == {"4"}
    few = sweep_pictures.das_networks(rows, OBJECTIVES[0], directions=4)
    assert set(few.network) == {"0", "6"} and set(few.directions) == {4}


def test_means_are_by_layer_and_variable():
    means = sweep_pictures.das_means(das_rows([1, 3]))
    np.testing.assert_allclose(means, np.tile([0.902, 0.912, 0.922], (3, 1)))


def test_a_cell_is_above_or_below_only_beyond_two_standard_errors():
    rows = pd.concat([das_rows([network]).assign(iia=iia) for network, iia in enumerate((0.90, 0.92, 0.94, 0.96))])
    rows["directions"] = 64
    se = np.std([0.90, 0.92, 0.94, 0.96], ddof=1) / 2
    published = pd.DataFrame([
        {"coefficients": "0.4/0.4/0.4", "layer": "conv1", "variables": v, "directions": 64, "iia_mean": mean,
         "iia_sd": 0.01, "networks": 25} for v, mean in (("0", 0.93 - 2.01 * np.hypot(se, 0.002)),
                                                         ("1", 0.93 - 1.99 * np.hypot(se, 0.002)),
                                                         ("2", 0.93 + 2.01 * np.hypot(se, 0.002)))])
    table = sweep_pictures.compare_das(rows, published)
    assert table.verdict.tolist() == ["above", "equal", "below"] and (table.networks == 4).all()
    np.testing.assert_allclose(table.se, se)
    np.testing.assert_allclose(table["published se"], 0.002)
    np.testing.assert_allclose(table.difference, 0.93 - table["published mean"])


def test_the_published_table_is_whole_and_gives_the_means_that_are_quoted():
    table = quoted.read_das()
    assert len(table) == 180 and not table.duplicated(["coefficients", "layer", "variables", "directions"]).any()
    assert set(table.variables) == {"0", "1", "2", "02"} and set(table.coefficients) == {
        "/".join(map(str, objective)) for objective in OBJECTIVES}
    for layer, means in quoted.DAS_64_DIRECTIONS.items():
        cells = table[(table.coefficients == "0.4/0.4/0.4") & (table.layer == layer) & (table.directions == 64)]
        np.testing.assert_allclose(means, [cells[cells.variables == v].iia_mean.item() for v in "012"], atol=5e-4)


def test_the_plan_adds_up():
    plan = sweep_pictures.plan_sweep(das_rows([0, 1]), networks=100, network_seconds=30, hours=2)
    assert plan["cells"] == 900 and plan["MiB for each process"] == 901
    assert plan["core-hours"] == round(100 * (3 * (10 + 20 + 30) + 30) / 3600, 1)
    assert plan["cores to be done in 2 h"] == 3


def test_variables_are_named():
    assert sweep_pictures.name_variables("01|2") == "{circ, color} | {area}"


def test_pictures_show_every_cell():
    sweep = pd.read_csv(SWEEP, dtype={"network": str, "variables": str})
    shipped = sweep[(sweep.method == "DAS") & (sweep.network == "shipped")]
    figure = sweep_pictures.plot_directions(shipped)
    lines = [line for axis in figure.axes for line in axis.get_lines() if len(line.get_xdata()) > 2]
    assert sum(len(line.get_xdata()) for line in lines) == len(shipped)
    place = sweep[(sweep.method == "IIT") & (sweep.network == "shipped") & (sweep.behavior_weight == 1)
                  & (sweep.seed == 0)]
    assert len(sweep_pictures.plot_place(place).texts) == len(place)
    figure = sweep_pictures.plot_das({"a": np.full((3, 3), 0.9), "b": np.full((3, 3), 0.95)})
    assert [len(axis.texts) for axis in figure.axes][:2] == [9, 9]
    curve = pd.DataFrame({"behavior_weight": [0, 1, 3], "behavior": [0.9, 0.96, 0.97], "flip_iia": [0.9, 0.95, 0.94]})
    whole, near = sweep_pictures.plot_front(curve, curve[:1], [False, True, True], 0.98).axes
    assert [text.get_text() for text in near.texts] == ["0", "1", "3"]
    assert [len(points.get_offsets()) for points in whole.collections] == [1, 2, 1]


def test_the_committed_table_is_of_the_shipped_network_and_the_tables():
    sweep = pd.read_csv(SWEEP, dtype={"network": str, "variables": str})
    provenance = json.loads(SWEEP.with_suffix(".json").read_text())
    assert provenance["settings"] == vars(Settings()) and provenance["cells"] == len(sweep)
    assert provenance["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert (sweep.n == 10_000).all() and sweep.error.isna().all() and provenance["failed"] == 0
    assert set(sweep[sweep.network == "shipped"].base_sha256) == {load_checkpoint(BASE_CNN)[1]["sha256"]}
    asked = {(cell.method, cell.layer, "|".join("".join(map(str, g)) for g in cell.variables), cell.directions,
              cell.num_steps, cell.behavior_weight, cell.seed, str(cell.network).replace("None", "shipped"),
              "/".join(map(str, cell.coefficients))) for make in TABLES.values() for cell in make()}
    names = ["method", "layer", "variables", "directions", "num_steps", "behavior_weight", "seed", "network",
             "coefficients"]
    found = list(sweep[names].itertuples(index=False, name=None))
    assert len(set(found)) == len(found) and set(found) <= asked
    assert sweep_pictures.das_networks(sweep, OBJECTIVES[0]).network.nunique() >= 15
    front = sweep[(sweep.method == "IIT") & (sweep.layer == "conv1") & (sweep.variables == "01")]
    assert set(front.behavior_weight) == set(WEIGHTS)


def test_the_cost_of_networks_is_the_mean_of_what_is_told(tmp_path):
    assert network_seconds(tmp_path) is None
    (tmp_path / "networks").mkdir()
    for name, provenance in {"a": {"cpu_seconds": 10}, "b": {"cpu_seconds": 20}, "c": {"seed": 1}}.items():
        (tmp_path / "networks" / f"{name}.json").write_text(json.dumps(provenance))
    assert network_seconds(tmp_path) == 15
