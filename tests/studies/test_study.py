"""The study over seeds: its pools do what they claim, and the committed table is whole."""
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from studies import anatomy, first_recipe, pools, recipes, seed_study
from studies.running.table import FIELDS
from studies.sweep.rows import seconds_left
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
    for module in (seed_study, recipes, anatomy, first_recipe):
        monkeypatch.setattr(module, "base_cnn", lambda seed: PyTorchCNN())
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
    monkeypatch.setattr(pools, "map_iia", shrunk(pools.map_iia, {"n": 60}, 4))
    for name in ("score_alignment", "cause_isolate", "self_consistency", "complement_iia", "dose_response"):
        sizes = {"n": 60, "n_discriminating": 20} if name == "score_alignment" else {"n": 60}
        positional = 5 if name == "dose_response" else 4
        monkeypatch.setattr(seed_study, name, shrunk(getattr(seed_study, name), sizes, positional))
    build_stock = first_recipe.build_stock
    monkeypatch.setattr(first_recipe, "build_stock", lambda model, layer, m: build_stock(model, "conv3", m))  # 1/16
    for module in (anatomy, first_recipe):
        monkeypatch.setattr(module, "iit_train", lambda *a, **k: None)
        monkeypatch.setattr(module, "PAIRS", 60)
    monkeypatch.setattr(recipes, "score_alignment", shrunk(recipes.score_alignment,
                                                           {"n": 60, "n_discriminating": 20}, 4))
    rows = seed_study.run(experiment, 0, threads=torch.get_num_threads())
    wanted = {"behavior"} if experiment == "base" else {"iia", "flip_iia", "behavior"}
    assert {row["measure"] for row in rows} >= wanted | {"cpu seconds"}
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
    assert list(table.columns) == list(FIELDS)
    assert not table.duplicated(["experiment", "seed", "measure"]).any() and table["value"].notna().all()
    assert set(table["experiment"]) == set(seed_study.EXPERIMENTS)
    seeds = table.groupby("experiment")["seed"].nunique()
    of_anatomy = seeds.index.str.startswith("anatomy")
    assert (seeds[~of_anatomy] == 5).all() and (seeds[of_anatomy] == seed_study.ANATOMY_SEEDS).all()
    found, now = json.loads(seed_study.STUDY.with_suffix(".json").read_text()), seed_study.provenance()
    assert {**found, "versions": None} == {**json.loads(json.dumps(now)), "versions": None}
    assert found["pairs"] == 10_000 and found["test_data_seed"] != found["train_data_seed"]


def test_a_study_goes_on_where_it_stopped_but_not_with_other_recipes(tmp_path, monkeypatch):
    path, ran = tmp_path / "study.csv", []
    monkeypatch.setattr(seed_study, "ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(1))
    monkeypatch.setattr("sys.argv", ["study", "--out", str(path), "--seeds", "2", "--experiments", "base", "two"])

    def run(experiment, seed):
        ran.append((experiment, seed))
        if len(ran) == 3:
            raise KeyboardInterrupt
        return [{"experiment": experiment, "seed": seed, "measure": "cpu seconds", "value": "2.0"}]

    monkeypatch.setattr(seed_study, "run", run)
    with pytest.raises(KeyboardInterrupt):
        seed_study.main()
    assert len(pd.read_csv(path)) == 2
    seed_study.main()
    first, rest = ran[:2], ran[-2:]
    assert sorted(first + rest) == [("base", 0), ("base", 1), ("two", 0), ("two", 1)] and len(pd.read_csv(path)) == 4
    assert len(seed_study.read_rows(path)) == 4
    monkeypatch.setattr(seed_study, "DAS_STEPS", 1)
    assert seed_study.read_rows(path) == []


def test_what_is_left_is_told_from_what_was_done():
    assert seconds_left(["a", "a", "new"], [("a", 10.0), ("a", 20.0), ("b", 60.0)]) == pytest.approx(15 + 15 + 30)
    assert np.isnan(seconds_left(["a"], [])) and seconds_left([], []) == 0


def test_each_seed_has_a_base_network_of_its_own_that_is_trained_once(tmp_path, monkeypatch):
    trained = []

    def train(seed):
        torch.manual_seed(seed)
        trained.append(seed)
        return PyTorchCNN(), {}, {"seed": seed, "recipe": recipes.BASE_RECIPE}

    monkeypatch.setattr(recipes, "NETWORKS", tmp_path / "networks")
    monkeypatch.setattr(recipes, "train_base_cnn", train)
    first, again, other = recipes.base_cnn(7), recipes.base_cnn(7), recipes.base_cnn(8)
    assert trained == [7, 8]
    assert torch.equal(first.fc1.weight, again.fc1.weight) and not torch.equal(first.fc1.weight, other.fc1.weight)
    assert torch.equal(recipes.base_cnn(0).fc1.weight, load_checkpoint(BASE_CNN)[0].fc1.weight) and trained == [7, 8]
    monkeypatch.setattr(recipes, "BASE_RECIPE", {**recipes.BASE_RECIPE, "lr": 1.0})
    recipes.base_cnn(7)
    assert trained == [7, 8, 7]
