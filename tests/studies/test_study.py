"""The study over seeds: its pools do what they claim, and the committed table is whole."""
import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from studies import anatomy, pools, recipes, seed_study
from utils.checkpoint_utils import BASE_CNN, load_checkpoint
from utils.data_utils import causal_model, create_dataset
from utils.model_utils import PyTorchCNN
from utils.measures.response import slope_and_correlation

THREE = ((0,), (1,), (2,))


@pytest.fixture(scope="module")
def data():
    return create_dataset(2000, seed=3)


@pytest.fixture
def tiny(monkeypatch):
    """A fresh network in place of the shipped one, and two training steps."""
    monkeypatch.setattr(recipes, "RECIPES", {
        name: recipes.Recipe(r.variables, r.layer, r.intervention_size, num_steps=2, batch_size=32)
        for name, r in recipes.RECIPES.items()})
    for module in (seed_study, anatomy, recipes):
        monkeypatch.setattr(module, "load_or_train_base_cnn", lambda: (PyTorchCNN(), "fresh"))
    monkeypatch.setattr(seed_study, "RECIPES", recipes.RECIPES)
    monkeypatch.setattr(seed_study, "DAS_STEPS", 2)


def counterfactuals(pool, pairs):
    z = pool.labels[pairs.base]
    return np.stack([z[pairs.sources[i], v] for i, (v,) in enumerate(THREE)], axis=1)


def test_the_held_out_block_is_never_shown(data):
    pool = pools.HoldoutPool(*data, THREE)
    assert 0 < pools.in_holdout(data[1]).sum() and len(pool) == (~pools.in_holdout(data[1])).sum()
    rng = np.random.default_rng(0)
    barred = 0
    for _ in range(20):
        pairs = pool.draw(200, rng)
        shown = counterfactuals(pool, pairs)
        assert not pools.in_holdout(shown).any() and not pools.in_holdout(pool.labels[pairs.base]).any()
        np.testing.assert_array_equal(causal_model(shown), pairs.y_counterfactual)
        barred += (pairs.sources == torch.arange(200)).all(dim=0).sum().item()
    assert barred > 50  # the block does come up, and is swapped with itself


def test_shuffled_answers_are_those_of_other_pairs(data):
    pool = pools.ShuffledPool(*data, THREE)
    pairs = pool.draw(1000, np.random.default_rng(0))
    right = causal_model(counterfactuals(pool, pairs))
    assert sorted(right) == sorted(pairs.y_counterfactual.tolist())
    assert 0.4 < (right == pairs.y_counterfactual.numpy()).mean() < 0.6
    np.testing.assert_array_equal(pairs.y_base, causal_model(pool.labels[pairs.base]))


def shrunk(function, sizes, positional):
    """The same measure over fewer pairs; arguments behind the first ``positional`` ones are sizes."""
    return lambda *args, **kwargs: function(*args[:positional], **(kwargs | sizes))


@pytest.mark.parametrize("experiment", list(seed_study.EXPERIMENTS))
def test_every_experiment_runs(experiment, data, tiny, monkeypatch):
    small = create_dataset(400, seed=4)
    monkeypatch.setattr(seed_study, "create_dataset", lambda n, seed: data if seed == recipes.TRAIN_SEED else small)
    for name in ("score_alignment", "cause_isolate", "self_consistency", "complement_iia", "dose_response",
                 "map_iia"):
        sizes = {"n": 60, "n_discriminating": 20} if name == "score_alignment" else {"n": 60}
        positional = 5 if name == "dose_response" else 4
        monkeypatch.setattr(seed_study, name, shrunk(getattr(seed_study, name), sizes, positional))
    monkeypatch.setattr(anatomy, "iit_train", lambda *a, **k: None)
    rows = seed_study.run(experiment, 0, threads=torch.get_num_threads())
    assert {row["measure"] for row in rows} >= {"iia", "flip_iia", "behavior"}
    assert all(row["experiment"] == experiment and row["seed"] == 0 for row in rows)
    float_rows = [float(row["value"]) for row in rows]
    assert len(float_rows) == len({row["measure"] for row in rows})


@pytest.mark.parametrize("call", [
    lambda: seed_study.run("other", 0), lambda: anatomy.run_anatomy("other", 0, None),
    lambda: recipes.train_by_recipe("other", None, None)])
def test_unknown_names_are_refused(call):
    with pytest.raises(ValueError, match="other"):
        call()


def test_the_table_is_written_whole(tmp_path):
    rows = [{"experiment": e, "seed": s, "measure": "iia", "value": "0.5"} for e in ("two", "three") for s in (1, 0)]
    seed_study.write_rows(tmp_path / "study.csv", rows)
    table = pd.read_csv(tmp_path / "study.csv")
    assert table["experiment"].tolist() == ["three", "three", "two", "two"] and table["seed"].tolist() == [0, 1, 0, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["study.csv"]


def test_slope_and_correlation():
    x = np.linspace(0, 1, 20)
    assert slope_and_correlation(x, 2 * x + 1) == pytest.approx((2, 1))
    assert np.isnan(slope_and_correlation(x[:2], x[:2])).all()


def test_the_map_counts_every_pair(data):
    intervenable = recipes.RECIPES["three"].build(PyTorchCNN())
    right, count = pools.map_iia(intervenable, *data, n=500)
    assert count.sum() == 500 and (right <= count).all() and count.shape == (10, 10)


def test_the_committed_table_belongs_to_the_shipped_network_and_recipes():
    table = pd.read_csv(seed_study.STUDY)
    assert list(table.columns) == list(seed_study.FIELDS)
    assert not table.duplicated(["experiment", "seed", "measure"]).any() and table["value"].notna().all()
    assert set(table["experiment"]) == set(seed_study.EXPERIMENTS)
    seeds = table.groupby("experiment")["seed"].nunique()
    assert (seeds[~seeds.index.str.startswith("anatomy")] >= 5).all()
    provenance = json.loads(seed_study.STUDY.with_suffix(".json").read_text())
    assert provenance["base_cnn_sha256"] == load_checkpoint(BASE_CNN)[1]["sha256"]
    now = {name: asdict(recipe) for name, recipe in recipes.RECIPES.items()}
    assert provenance["recipes"] == json.loads(json.dumps(now)) and provenance["pairs"] == 10_000
    assert provenance["test_data_seed"] == recipes.TEST_SEED != provenance["train_data_seed"]
