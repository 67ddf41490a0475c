"""Two causal models of one behavior: they are what they are said to be, every experiment runs, the table is whole."""
import copy
import json
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from studies.controls.maps import FromConv3
from studies.rivals import adversary, networks, pictures, run
from studies.rivals.causal import CANDIDATES, CHAINS, OWN, RIVAL, share_that_differ
from studies.running.table import only_writer
from utils.data_utils import causal_model, create_dataset, intervene_on_labels
from utils.interventions.build import get_basis
from utils.model_utils import PyTorchCNN


@pytest.fixture(scope="module")
def data():
    return create_dataset(1_000, seed=1)


@pytest.fixture(scope="module")
def test_data():
    return create_dataset(2_000, seed=2)


@pytest.fixture
def tiny(monkeypatch):
    """Two steps, few pairs, base networks that are not trained."""
    monkeypatch.setattr(networks, "IIT", {name: replace(recipe, num_steps=2, batch_size=32)
                                          for name, recipe in networks.IIT.items()})
    monkeypatch.setattr(networks, "DAS", networks.DAS | {"num_steps": 2, "batch_size": 32})
    for name, number in (("RANDOM", 2), ("PAIRS", 60), ("CONTROL_PAIRS", 60), ("DOSE_PAIRS", 40), ("TELLING_PAIRS", 9)):
        monkeypatch.setattr(networks, name, number)
    monkeypatch.setattr(adversary, "DRIVE", adversary.DRIVE | {"num_steps": 2, "batch_size": 32})
    monkeypatch.setattr(adversary, "SEARCH", adversary.SEARCH | {"num_steps": 2, "batch_size": 32})
    monkeypatch.setattr(adversary, "PROBE", adversary.PROBE | {"num_epochs": 1})
    monkeypatch.setattr(adversary, "PROBE_IMAGES", 500)


def test_both_models_answer_every_image_alike_and_as_the_task_does():
    grid = np.stack(np.meshgrid(np.arange(71) / 70, np.arange(91) / 90, np.arange(101) / 100), axis=-1).reshape(-1, 3)
    own = OWN.answer(grid)
    np.testing.assert_array_equal(own, RIVAL.answer(grid))
    apart = np.abs(grid.sum(axis=1) - 1.5) > 1e-9
    np.testing.assert_array_equal(own[apart], causal_model(grid)[apart])


def test_an_interchange_is_that_of_the_variables_which_make_up_the_intermediate_one():
    base, source = np.random.default_rng(0).uniform(size=(2, 4_000, 3))
    for name, chain in CHAINS.items():
        painted = intervene_on_labels(base, source[None], CANDIDATES[name])
        np.testing.assert_array_equal(chain.counterfactual(base, source), painted)
        np.testing.assert_array_equal(chain.interchange(base, source), causal_model(painted))


def test_the_exact_share_is_that_of_many_pairs():
    labels = create_dataset(20_000, seed=3)[1]
    base, source = labels[np.random.default_rng(1).integers(len(labels), size=(2, 300_000))]
    sampled = (OWN.interchange(base, source) != RIVAL.interchange(base, source)).mean()
    assert abs(share_that_differ() - sampled) < 0.015
    assert abs(share_that_differ() - 187 / 480) < 1e-4, "of labels that are spread evenly, not in hundredths"


def test_telling_pairs_are_those_of_one_model_alone(test_data):
    labels = test_data[1]
    found = networks.telling_pairs(labels, 200)
    assert list(found) == list(CHAINS)
    for name, (base, source) in found.items():
        assert len(base) == 200
        for other, chain in CHAINS.items():
            changed = chain.interchange(labels[base], labels[source]) != causal_model(labels[base])
            assert changed.all() if other == name else not changed.any()


def test_principal_components_are_put_in_place_of_the_directions(data):
    torch.manual_seed(0)
    model = PyTorchCNN()
    basis = get_basis(networks.principal(model, data[0], "conv3", 3))
    with torch.no_grad():
        flat = adversary.run_to(model, torch.from_numpy(data[0])[:, None]).permute(0, 2, 3, 1).flatten(1)
    flat = flat - flat.mean(dim=0)
    wanted = torch.linalg.svd(flat, full_matrices=False)[2][:3].T
    torch.testing.assert_close(basis @ (basis.T @ wanted), wanted, atol=1e-3, rtol=0)


def test_the_two_halves_of_the_network_are_the_network(data):
    torch.manual_seed(0)
    model, X = PyTorchCNN(), torch.from_numpy(data[0][:20])[:, None]
    with torch.no_grad():
        torch.testing.assert_close(FromConv3(model)(adversary.run_to(model, X)).squeeze(1), model(X).squeeze(1))


def test_the_adversary_moves_nothing_at_weight_0_and_something_above(data):
    torch.manual_seed(0)
    start = PyTorchCNN()
    settings = adversary.DRIVE | {"num_steps": 3, "batch_size": 32}

    def driven(weight, **changes):
        model = copy.deepcopy(start)
        history = adversary.drive_out(model, data, weight, seed=1, **settings | changes)
        assert {len(losses) for losses in history.values()} == {3} and not model.training
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    idle = driven(0.0)
    torch.testing.assert_close(idle, driven(0.0), atol=0, rtol=0)
    torch.testing.assert_close(idle, driven(0.0, inner_lr=0.5), atol=0, rtol=0)
    assert not torch.equal(idle, driven(1.0)) and not torch.equal(driven(1.0), driven(1.0, inner_lr=0.5))
    with pytest.raises(ValueError, match="weight"):
        driven(-1.0)


def test_a_probe_reads_what_is_there_and_nothing_of_noise(data, test_data):
    torch.manual_seed(0)
    model, settings = PyTorchCNN(), {"hidden": 64, "num_epochs": 20, "batch_size": 32, "lr": 1e-3}
    assert adversary.probe(model, 1, data, test_data, **settings) > 0.8
    noise = np.random.default_rng(0).permutation(data[1])
    assert adversary.probe(model, 1, (data[0], noise), test_data, **settings) < 0.1


@pytest.mark.parametrize("experiment", ["matrix", "weight 1"])
def test_every_experiment_runs_and_is_in_the_committed_table(experiment, tiny, monkeypatch, data, test_data):
    for module in (networks, adversary):
        monkeypatch.setattr(module, "base_cnn", lambda seed: PyTorchCNN())
    torch.manual_seed(0)
    figures = run.EXPERIMENTS[experiment](0, data, test_data)
    table = pd.read_csv(run.STUDY)
    table = table[table["experiment"] == experiment]
    for _, rows in table.groupby("seed"):
        assert set(rows["measure"]) == {*figures, "cpu seconds"}
    assert not table.duplicated(["seed", "measure"]).any()


def test_the_committed_table_belongs_to_these_recipes():
    provenance = json.loads(run.STUDY.with_suffix(".json").read_text())
    now = json.loads(json.dumps(run.provenance()))
    assert {**provenance, "versions": None} == {**now, "versions": None} and "torch" in provenance["versions"]
    assert provenance["all"]["train_data_seed"] != provenance["all"]["test_data_seed"]
    found = pd.read_csv(run.STUDY)
    assert {*zip(found["experiment"], found["seed"])} == {(e, s) for e in run.EXPERIMENTS for s in range(3)}


def test_what_is_in_the_table_is_not_run_again_and_what_other_recipes_made_is(tmp_path, monkeypatch):
    asked, out = [], tmp_path / "table.csv"

    def measure(seed, data, test):
        asked.append(seed)
        if len(asked) == 3:
            raise InterruptedError
        return {"iia": 0.5, "a, b": seed / 4, "unknown": float("nan")}

    monkeypatch.setattr(run, "EXPERIMENTS", {"matrix": measure, "weight 1": measure})
    monkeypatch.setattr(run, "create_dataset", lambda n, seed: None)
    monkeypatch.setattr(sys, "argv", ["run", "--out", str(out), "--seeds", "2"])
    with pytest.raises(InterruptedError):
        run.main()
    assert asked == [0, 0, 1] and len(pd.read_csv(out)) == 6
    run.main()
    table = pd.read_csv(out)
    assert asked == [0, 0, 1, 1, 1] and len(table) == 12
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["table.csv", "table.json"]
    run.main()
    with only_writer(out), pytest.raises(OSError, match="table.csv"):
        run.main()
    assert len(asked) == 5
    monkeypatch.setattr(adversary, "SEARCH", adversary.SEARCH | {"num_steps": 7})
    run.main()
    assert len(asked) == 7, "the weights, and not the matrix"
    monkeypatch.setattr(networks, "PAIRS", 7)
    run.main()
    assert len(asked) == 11, "both"


def test_pictures_are_drawn_from_the_table():
    front = pictures.front_of(pd.read_csv(run.STUDY))
    assert list(front.index.unique("weight")) == list(adversary.WEIGHTS)
    assert {*pictures.FRONT, *pictures.LEFT} <= set(front)
    assert len(pictures.draw_chains().axes) == 2
    figure = pictures.plot_front(front, 10_000, 20_000, 15_000, 0.98)
    assert [axis.get_xlabel() for axis in figure.axes] == ["weight of the adversary"] * 3
    plt.close("all")
