"""The controls of notebook 5: the strong map is one, a few steps run, and what is committed belongs to its settings."""
import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from studies.controls import maps, run, subspaces
from studies.controls.coupling import CoupledIntervention, CouplingLayers, build_coupled
from studies.running.table import read_rows
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train, iit_predict
from utils.data_utils import causal_model, create_dataset
from utils.interventions.build import build_intervenable, get_basis, get_intervention
from utils.interventions.checkpoints import load_intervenable, shipped_path
from utils.interventions.rotated_space import pv
from utils.model_utils import PyTorchCNN, predict

IMAGES, LABELS = create_dataset(600, seed=5)
X = torch.from_numpy(IMAGES)[:, None]


def shaken(size, layers):
    """Coupling layers away from the identity."""
    torch.manual_seed(0)
    coupling = CouplingLayers(size, layers, hidden=16)
    for parameter in coupling.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return coupling


@pytest.mark.parametrize("size, layers", [(2, 1), (5, 3), (8, 6), (4, 0)])
def test_coupling_layers_are_invertible_and_start_as_the_identity(size, layers):
    x = torch.randn(50, size)
    torch.testing.assert_close(CouplingLayers(size, layers)(x), x)
    coupling = shaken(size, layers)
    mapped = coupling(x)
    torch.testing.assert_close(coupling.inverse(mapped), x, atol=1e-4, rtol=1e-4)
    if layers > 1:
        assert (mapped - x).abs().amax(dim=0).min() > 0.01, "every coordinate is moved"
        with torch.no_grad():
            middle = coupling((x[:25] + x[25:]) / 2) - (mapped[:25] + mapped[25:]) / 2
        assert middle.abs().max() > 0.01, "the map is not linear"


def coupled(layers, network=None):
    torch.manual_seed(1)
    return build_coupled(network or PyTorchCNN(), "conv3", X[:80], layers=layers, hidden=16, directions=12,
                         intervention_size=3, num_sources=3)


def test_without_coupling_layers_it_is_the_interchange_of_the_series():
    network = PyTorchCNN()
    ours, plain = coupled(0, network), build_intervenable(network, "conv3", 3, 3)
    get_intervention(plain).rotate_layer.weight = get_basis(ours)[:, :9].contiguous()
    sources = torch.stack([X[100:140], X[200:240], X[300:340]])
    torch.testing.assert_close(iit_predict(ours, X[:40], sources), iit_predict(plain, X[:40], sources))
    assert isinstance(get_intervention(ours), pv.TrainableIntervention)


def test_both_ways_to_swap_agree_and_a_swap_with_itself_changes_next_to_nothing():
    intervenable = coupled(4)
    intervention = get_intervention(intervenable)
    assert isinstance(intervention, CoupledIntervention) and len(set(intervenable.interventions.values())) == 1
    for parameter in intervention.coupling.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    activations = torch.randn(30, 64, 7, 7)
    rows = torch.stack([torch.randperm(30) for _ in range(3)])
    expected = activations
    for block, source in enumerate(rows):
        expected = intervention(expected, activations[source], [[block]] * 30)
    columns = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    found = intervention.swap(activations, rows, columns)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (found - activations).abs().max() > 0.1
    itself = intervention.swap(activations, torch.arange(30).repeat(3, 1), columns)
    torch.testing.assert_close(itself, activations, atol=1e-4, rtol=1e-4)
    change = (found - activations).permute(0, 2, 3, 1).flatten(1)
    basis = get_basis(intervenable)
    torch.testing.assert_close(change @ basis @ basis.T, change, atol=1e-4, rtol=1e-4)


def test_training_moves_map_and_directions_and_leaves_the_network():
    intervenable = coupled(2)
    before = {name: value.clone() for name, value in intervenable.model.state_dict().items()}
    directions, coupling = get_basis(intervenable).clone(), get_intervention(intervenable).coupling(torch.ones(1, 12))
    pool = PairPool(IMAGES, LABELS, maps.VARIABLES)
    history = das_train(intervenable, pool=pool, num_steps=4, batch_size=32, seed=0)
    assert np.isfinite(history["interchange_loss"]).all()
    assert all(torch.equal(value, before[name]) for name, value in intervenable.model.state_dict().items())
    assert (get_basis(intervenable) - directions).abs().max() > 1e-4
    assert (get_intervention(intervenable).coupling(torch.ones(1, 12)) - coupling).abs().max() > 1e-5


def test_the_rest_of_the_network_answers_as_the_network():
    model = PyTorchCNN()
    activations, labels = maps.draw_activations(model, 600, seed=5)
    np.testing.assert_array_equal(labels, LABELS)
    torch.testing.assert_close(predict(maps.FromConv3(model), torch.from_numpy(activations)), predict(model, X))


@pytest.fixture
def tiny(monkeypatch):
    """Two steps, few images, few pairs."""
    monkeypatch.setattr(maps, "IMAGES", {"train": 1_000, "test": 400})
    monkeypatch.setattr(maps, "PAIRS", 60)
    monkeypatch.setattr(maps, "TRAINING", {"num_steps": 2, "batch_size": 16, "reorderings": 2})
    monkeypatch.setattr(maps, "fit_map", lambda *args: FIT(*args, num_steps=2))
    monkeypatch.setattr(maps, "measure_map", lambda *args: MEASURE(*args, n=60))
    for name, value in (("TEST_IMAGES", 1_000), ("TRAIN_IMAGES", 600), ("ABLATED", 100), ("DRAWS", 2), ("PAIRS", 60),
                        ("CALIBRATION", 20), ("DAS", run.DAS | {"num_steps": 2, "batch_size": 16})):
        monkeypatch.setattr(run, name, value)
    monkeypatch.setattr(run, "aligned_network", lambda name, seed: load_intervenable(shipped_path(name))[0])
    monkeypatch.setattr(run, "fit_das", lambda model, images, labels, seed: build_intervenable(model, "fc1", 1, 3))
    monkeypatch.setattr(run, "base_cnn", lambda seed: PyTorchCNN())


FIT, MEASURE = maps.fit_map, maps.measure_map


@pytest.mark.slow("each experiment runs once, with the principal components of a layer")
@pytest.mark.parametrize("experiment", list(run.EXPERIMENTS))
def test_every_experiment_runs_and_is_in_the_committed_table(experiment, tiny):
    figures = run.EXPERIMENTS[experiment](0)
    assert all(-3 <= value <= 1 for value in figures.values())
    table = pd.read_csv(run.STUDY)
    table = table[table["experiment"] == experiment]
    assert set(table[table.seed == 0]["measure"]) == set(figures) | {"cpu seconds"}
    assert not table.duplicated(["seed", "measure"]).any() and sorted(table["seed"].unique()) == list(range(run.SEEDS))


def test_the_committed_table_belongs_to_these_settings():
    rows = read_rows(run.STUDY, run.provenance())
    assert {(row["experiment"], row["seed"]) for row in rows} == {
        (name, seed) for name in run.EXPERIMENTS for seed in range(run.SEEDS)}


def test_a_table_of_other_settings_is_begun_anew(tmp_path, monkeypatch):
    asked, out = [], tmp_path / "controls.csv"

    def measure(seed):
        asked.append(seed)
        if len(asked) == 2:
            raise InterruptedError
        return {"iia": 0.5}

    monkeypatch.setattr(run, "EXPERIMENTS", {"one": measure})
    monkeypatch.setattr(sys, "argv", ["run", "--out", str(out), "--seeds", "2"])
    with pytest.raises(InterruptedError):
        run.main()
    run.main()
    run.main()
    assert asked == [0, 1, 1] and len(read_rows(out, run.provenance())) == 4
    told = json.loads(out.with_suffix(".json").read_text())
    out.with_suffix(".json").write_text(json.dumps(told | {"pairs": 5}))
    assert read_rows(out, run.provenance()) == [] and sorted(path.name for path in tmp_path.iterdir()) == [
        ".controls.csv.lock", "controls.csv", "controls.json"]


def test_ablation_of_everything_and_of_nothing():
    """Without the whole of fc1 one answer is left; random directions beside the aligned one are as many."""
    intervenable = load_intervenable(shipped_path("three"))[0]
    bases = subspaces.comparison_bases(intervenable, X[:100], draws=2)
    assert [len(group) for group in bases.values()] == [1, 1, 2]
    for basis in sum(bases.values(), []):
        torch.testing.assert_close(basis.T @ basis, torch.eye(3), atol=1e-4, rtol=1e-4)
    none = {"nothing": [torch.zeros(3, 1)]}
    figures = subspaces.ablate(intervenable, IMAGES, LABELS, {"all": bases["aligned"]} | none, 500)
    assert figures["none"] == figures["mean nothing"] == figures["resampled nothing"] > 0.95
    share = causal_model(LABELS).mean()
    assert min(abs(figures["mean all"] - share), abs(figures["mean all"] - (1 - share))) < 0.1
    assert 0.4 < figures["resampled all"] < 0.6


def test_the_causal_model_is_ablated_as_told():
    labels = np.array([[0.9, 0.9, 0.1], [0.1, 0.1, 0.9], [0.5, 0.5, 0.6]])
    assert subspaces.causal_ablation(labels, [], 3) == {"mean": 1.0, "resampled": 1.0}
    everything = subspaces.causal_ablation(labels, [0, 1, 2], 3)
    assert everything["mean"] == pytest.approx((causal_model(labels) == causal_model(labels.mean(axis=0)[None])).mean())


def test_coordinates_of_the_same_network_are_at_home_and_calibration_undoes_a_change_of_scale():
    three = load_intervenable(shipped_path("three"))[0]
    own = subspaces.transplant(three, three, IMAGES, LABELS, 300, None)
    np.testing.assert_array_equal(own, subspaces.transplant(three, three, IMAGES, LABELS, 300, 50))
    assert (own > 0.93).all()
    turned = load_intervenable(shipped_path("three"))[0]
    get_intervention(turned).rotate_layer.weight = -get_basis(turned)
    raw, calibrated = (subspaces.transplant(turned, three, IMAGES, LABELS, 300, count) for count in (None, 50))
    assert (raw < own - 0.1).all()
    np.testing.assert_allclose(calibrated, own, atol=0.01)
    many = subspaces.transplant(three, three, IMAGES, LABELS, 2 * subspaces.ROWS + 9, None)
    np.testing.assert_allclose(many, own, atol=0.03)
