"""The benchmarks compute what they say, and their README says what was measured. Nothing here looks at a clock."""
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT

from studies.benchmarks import changes, everyday, quality, report, rotation, steps, timing, ways
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import get_basis, iit_predict
from utils.data_utils import causal_model, create_dataset, intervene_on_labels
from utils.model_utils import PyTorchCNN

RESULTS = sorted(timing.RESULTS.glob("*.json"))


def copied(timings):
    return {name: (list(values), dict(facts)) for name, (values, facts) in timings.items()}


@pytest.mark.parametrize("case", [("conv1", 1, 1), ("conv1", 5, 2), ("conv1", 3, 3), ("conv3", 5, 2), ("fc1", 1, 3)])
def test_all_ways_take_the_same_steps(case):
    pool, ours, theirs = steps.make_pool(case[-1], 200), steps.make_ours(*case), steps.make_ours(*case)
    others = {"by hand": ways.by_hand(ours, pool, 16), "pyvene": ways.by_pyvene(theirs, pool, 16)}
    start = get_basis(ours).clone()
    timings, losses = steps.time_fit(ours, pool, 5, others, batch_size=16, warmups=1)
    assert [len(values) for values in timings.values()] == [5] * 3 and {len(v) for v in losses.values()} == {6}
    for name in others:
        assert losses["utils"][0] == pytest.approx(losses[name][0], abs=1e-5)
        assert losses["utils"] == pytest.approx(losses[name], rel=0.02)
    assert not torch.allclose(get_basis(ours), start, atol=1e-3)
    assert (get_basis(ours) - get_basis(theirs)).abs().mean() < 1e-4
    steps.validate_losses({**losses, "stock": [0.0]})
    with pytest.raises(RuntimeError, match="other losses"):
        steps.validate_losses({**losses, "by hand": [losses["utils"][0] + 0.01]})


def test_other_weights_have_other_losses():
    pool, ours = steps.make_pool(1, 200), steps.make_ours("conv1", 4, 1)
    hand = ways.by_hand(ours, pool, 16)
    with torch.no_grad():
        ours.model.conv1.weight += 0.3
    with pytest.raises(RuntimeError, match="other losses"):
        steps.validate_losses(steps.time_fit(ours, pool, 1, {"by hand": hand}, batch_size=16, warmups=0)[1])


def test_the_stock_rotation_takes_few_of_the_turns():
    pool, ours, called = steps.make_pool(1, 50), steps.make_ours("fc1", 1, 1), []
    others = {"by hand": lambda: 0.0, "stock": lambda: called.append(1) or 0.0}
    timings, _ = steps.time_fit(ours, pool, 4, others, batch_size=8, stock_steps=2)
    assert [len(timings[name]) for name in ("utils", "by hand", "stock")] == [4, 4, 2] and len(called) == 2


def test_what_got_slower_by_more_than_a_quarter_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(timing, "RESULTS", tmp_path)
    before = {"a step": [0.1, 0.2, 0.9], "an import": [1.0], "a notebook": [10.0], "gone": [1.0]}
    timing.save("some", before, {})
    assert capsys.readouterr().out == ""
    timing.save("some", {"a step": [0.26, 0.1, 0.3], "an import": [1.2], "a notebook": [20.0], "new": [5.0]}, {})
    assert capsys.readouterr().out.splitlines() == [
        "a notebook: 2.00 times the stored 10,000.0 ms", "a step: 1.30 times the stored 200.0 ms"]
    timing.save("some", {"an import": [1.1]}, {})
    assert capsys.readouterr().out == "some: nothing takes a quarter longer than it did.\n"
    stored = {"an import": ([0.1], {"cpu_model_name": "Other"})}
    assert timing.slower(stored, {"an import": [1.0]})[0] == "Stored by another processor, Other:"
    assert timing.slower(stored, {"an import": [0.1]}) == []


@pytest.mark.parametrize("way", rotation.WAYS)
def test_both_rotations_are_the_same_function(way):
    torch.manual_seed(1)
    raw, gradient = torch.randn(40, 6, dtype=torch.float64, requires_grad=True), torch.randn(40, 6, dtype=torch.float64)
    expected = rotation.by_householder(raw)
    found = rotation.WAYS[way](raw)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, raw, gradient), torch.autograd.grad(expected, raw, gradient))
    torch.testing.assert_close(found.T @ found, torch.eye(6, dtype=torch.float64))


def test_householder_takes_the_place_of_cholesky():
    raw = torch.randn(40, 6)
    tall, small = rotation.householder_factors(raw)
    torch.testing.assert_close(tall @ small, rotation.by_householder(raw))


@pytest.mark.parametrize("num_sources", [1, 2])
def test_the_stock_rotation_computes_the_same_answers(dataset, num_sources):
    ours, size = steps.make_ours("conv3", 2, num_sources), 2 * num_sources
    stock = ways.build_stock(PyTorchCNN(), "conv3", 2, num_sources)
    stock.model.load_state_dict(ours.model.state_dict())
    with torch.no_grad():
        basis = next(iter(stock.interventions.values())).rotate_layer.weight
        ways.raw_rotation(ours).copy_(basis.view(64, 7, 7, size).permute(1, 2, 0, 3).reshape(-1, size))
    X = torch.from_numpy(dataset[0])[:20, None]
    S = torch.from_numpy(dataset[0])[20:20 + 20 * num_sources].view(num_sources, 20, 1, 28, 28)
    expected = iit_predict(ours, X, S)
    subspaces = None if num_sources == 1 else [[[i]] * 20 for i in range(num_sources)]
    with torch.no_grad():
        found = stock({"x": X}, [{"x": s} for s in S], subspaces=subspaces)[1][:, 0].sigmoid()
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)  # they orthonormalize in other ways, in float32


def test_the_ways_take_turns():
    called = []
    taken = timing.take_turns({name: lambda name=name: called.append(name) for name in "ab"}, 3, warmups=1)
    assert called == list("ab" * 4) and [len(values) for values in taken.values()] == [3, 3]


def test_ratios_are_taken_round_by_round():
    assert timing.median_ratio([1.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == 2
    assert timing.exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)


def test_half_of_the_balanced_pairs_flip():
    images, labels = create_dataset(2000, seed=0)
    pairs = changes.FlipBalancedPool(images, labels, [[0, 1]]).draw(200, np.random.default_rng(0))
    z = labels[pairs.base.numpy()]
    expected = causal_model(intervene_on_labels(z, z[pairs.sources.numpy()], [[0, 1]]))
    assert np.array_equal(pairs.y_base.numpy(), causal_model(z))
    assert np.array_equal(pairs.y_counterfactual.numpy(), expected)
    assert (expected != causal_model(z)).sum() == 100
    assert len(pairs.sources.unique()) > 100


def test_pairs_drawn_once_have_the_causal_models_answers():
    """Read off the images: every image of this pool is there once."""
    images, labels = create_dataset(6_000, seed=0)
    images[:, 0, 0] = np.arange(6_000) / 8192  # exact in float32
    found = list(changes.draw_once(PairPool(images, labels, [[0, 1]]), 5_000, 3, seed=0))
    assert len(found) == 3 and torch.equal(found[0].X, found[2].X) and not torch.equal(found[0].X, found[1].X)
    for batch in found:
        base = (batch.X[:, 0, 0, 0].numpy() * 8192).astype(int)
        source = base[batch.sources[0].numpy()]
        assert np.array_equal(batch.y_base.numpy(), causal_model(labels[base]))
        swapped = intervene_on_labels(labels[base], labels[source][None], [[0, 1]])
        assert np.array_equal(batch.y_counterfactual.numpy(), causal_model(swapped))


@pytest.mark.parametrize("name", changes.CHANGES)
def test_each_change_trains_and_is_undone(name):
    change = changes.CHANGES[name]
    before = torch.nn.functional.binary_cross_entropy_with_logits, torch.optim.Adam
    recipe = {**change.recipe, "num_steps": 1, "batch_size": 32}
    changed = changes.Change(recipe, change.patches, change.pool, change.memory_format)
    images, labels = create_dataset(100, seed=0)
    size = recipe.get("intervention_size", 16)
    assert ways.raw_rotation(changes.train_changed(changed, images, labels)).shape == (12544, size)
    assert before == (torch.nn.functional.binary_cross_entropy_with_logits, torch.optim.Adam)


def test_the_loop_paints_the_same_images():
    assert np.array_equal(everyday.paint_one_by_one(300), create_dataset(300, seed=0)[0])


def test_nothing_that_does_not_need_pyvene_imports_it():
    code = "import sys; " + "; ".join(f"import utils.{name}" for name in report.PYVENE_FREE) + (
        "; assert 'pyvene' not in sys.modules; import utils.das_utils; assert 'pyvene' in sys.modules")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_readme_holds_the_tables_of_the_results():
    text = (ROOT / "studies/benchmarks/README.md").read_text(encoding="utf-8")
    written = text.split(report.START)[1].split(report.END)[0].strip()
    assert written == report.tables(report.load()).strip()
    assert (timing.RESULTS / "benchmarks.png").read_bytes()[:4] == b"\x89PNG"


def test_goals_that_are_missed_are_called_missed():
    good = report.load()
    bad = {**good, **{name: copied(good[name]) for name in ("steps", "steps_slow", "growth", "everyday", "efficiency")},
           "quality": json.loads(json.dumps(good["quality"]))}
    for values, facts in bad["steps"].values():
        if facts["way"] == "utils":
            values[:] = [10 * v for v in values]
    for values, facts in bad["steps_slow"].values():
        if facts["way"] == "stock":
            values[:] = [v / 100 for v in values]
    for values, facts in bad["growth"].values():
        values[:] = [v * facts["x"] for v in values]
    for values, facts in bad["everyday"].values():
        values[:] = [100 * v for v in values]
        facts["pyvene"] = 1
    bad["efficiency"]["2 processes"][0][:] = bad["efficiency"]["1 process"][0]
    for row in bad["quality"]["rows"]:
        row["iia"] = 0.6
    assert not any(met for _, _, met in report.goals(bad))


def test_quality_goes_on_with_rows_of_the_same_code_and_machine_only(tmp_path, monkeypatch):
    measured = []

    def measure(name, series, seed, *others):
        measured.append((series, name, seed))
        if len(measured) == 7:
            raise KeyboardInterrupt
        return {"series": series, "name": name, "seed": seed}

    monkeypatch.setattr(quality, "RESULTS", tmp_path)
    monkeypatch.setattr(quality, "measure", measure)
    monkeypatch.setattr(quality, "base_cnn", lambda seed: None)
    monkeypatch.setattr(quality, "create_dataset", lambda n, seed: (None, None))
    monkeypatch.setattr(sys, "argv", ["quality", "--seeds", "2", "--changes", "1"])
    with pytest.raises(KeyboardInterrupt):
        quality.main()
    measured = measured[:6] + ["interrupted"]
    quality.main()
    rows = json.loads((tmp_path / "quality.json").read_text(encoding="utf-8"))["rows"]
    found = [(row["series"], row["name"], row["seed"]) for row in rows]
    assert found[:6] == measured[:6] and found[6:] == measured[7:] and len(set(found)) == len(found)
    count = len(measured)
    quality.main()
    assert len(measured) == count
    monkeypatch.setattr(quality, "CODE", "another")
    quality.main()
    assert len(measured) == count + len(rows)
    (tmp_path / "quality.json").write_text("{", encoding="utf-8")
    assert quality.read_rows(tmp_path / "quality.json", {}) == []


def test_results_tell_machine_and_versions_but_no_names():
    assert {path.stem for path in RESULTS} >= {"steps", "steps_slow", "rotation", "growth", "everyday", "quality",
                                               "efficiency"}
    for path in (path for path in RESULTS if path.stem != "notebooks"):  # that one is of notebooks/execute.py
        text = path.read_text(encoding="utf-8")
        assert all(f'"{key}"' in text for key in timing.machine()), path.name
        assert not re.search(r"hostname|[\"' ]/|\\\\|[A-Z]:\\|@|https?:", text), path.name
