"""Hierarchical equality: the notebook's definitions are the study's, every experiment runs, the table is whole."""
import ast
import json
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT

from studies import equality, own_networks
from utils.das_utils import build_intervenable

NOTEBOOK = ROOT / "notebooks" / "7_your_own_network.ipynb"


def definitions(source):
    """Name -> code of each function and class, without types."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef):
                    part.returns = None
                elif isinstance(part, ast.arg):
                    part.annotation = None
            found[node.name] = ast.unparse(node)
    return found


def test_the_notebook_defines_what_the_study_ran():
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    shown = {name: code for source in cells for name, code in definitions(source).items()}
    ours = definitions((ROOT / "studies" / "equality.py").read_text(encoding="utf-8"))
    assert ours.pop("patch_positions") and ours == {name: shown.get(name) for name in ours}


def test_objects_are_equal_where_they_should_be_and_nowhere_else():
    objects, equal = equality.draw_objects(2_000, seed=3)
    assert objects.shape == (2_000, 4, 4) and objects.dtype == np.float32 and np.abs(objects).max() <= 1
    for pair in range(2):
        same = (objects[:, 2 * pair] == objects[:, 2 * pair + 1]).all(axis=1)
        np.testing.assert_array_equal(same, equal[:, pair])
    shares = [(equal == pair).all(axis=1).mean() for pair in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert np.abs(np.array(shares) - 0.25).max() < 0.04
    other = equality.draw_objects(2_000, seed=4)[0].reshape(-1, 4)
    assert not set(map(bytes, other)) & set(map(bytes, objects.reshape(-1, 4)))


def test_the_rival_gives_the_same_answers_by_other_variables():
    equal = np.array([[True, True], [True, False], [False, True], [False, False]])
    values = equality.rival_values(equal)
    np.testing.assert_array_equal(values, [[True, False], [False, False], [False, False], [False, True]])
    np.testing.assert_array_equal(equality.rival_model(values), equality.causal_model(equal))
    np.testing.assert_array_equal(equality.causal_model(equal), [True, False, False, True])
    np.testing.assert_array_equal(equality.count_equal(equal), [2, 1, 1, 0])


def test_networks_answer_with_logits():
    X = torch.from_numpy(equality.draw_objects(5, seed=0)[0])
    assert equality.MLP()(X).shape == equality.Encoder()(X).shape == (5, 1) and equality.MLP(3)(X).shape == (5, 3)


class LooksAtA(torch.nn.Module):
    """Two blocks that pass five positions on; the answer is whether object a's first number is above 0."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList(torch.nn.Identity() for _ in range(2))
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        x = self.blocks[0](torch.nn.functional.pad(x, (0, 28, 1, 0)) * self.scale)
        x = self.blocks[1](torch.cat([x[:, 1:2], x[:, 1:]], dim=1))
        return x[:, 0, :1]


def test_a_position_that_carries_everything_is_found():
    objects, equal = equality.draw_objects(2_000, seed=5)
    effects = equality.patch_positions(LooksAtA(), objects, equal, n=400)
    assert effects.shape == (2, 2, 5)
    carries = np.zeros((2, 2, 5), dtype=bool)
    carries[:, 0, 1] = carries[:, 1, 0] = True
    assert (effects[carries] > 0.35).all() and (effects[~carries] == 0).all()  # random signs differ half of the time


@pytest.fixture
def tiny(monkeypatch):
    """Two steps, few objects, few pairs."""
    monkeypatch.setattr(own_networks, "SIZES", own_networks.SIZES | {"train_quadruples": 600, "test_quadruples": 400})
    monkeypatch.setattr(own_networks, "PAIRS", 60)
    monkeypatch.setattr(own_networks, "patch_positions", lambda *args: equality.patch_positions(*args, n=20))
    for name in ("MLP_RECIPE", "ENCODER_RECIPE"):
        monkeypatch.setattr(own_networks, name, getattr(own_networks, name) | {"num_epochs": 1})
    for name in ("DAS", "IIT", "ENCODER_IIT"):
        monkeypatch.setattr(own_networks, name, getattr(own_networks, name) | {"num_steps": 2, "batch_size": 32})
    monkeypatch.setattr(own_networks, "FAILURES", {
        run: {change: (*settings, recipe | {"num_steps": 2, "batch_size": 32})
              for change, (*settings, recipe) in changes.items()}
        for run, changes in own_networks.FAILURES.items()})


@pytest.mark.parametrize("experiment", list(own_networks.EXPERIMENTS))
def test_every_experiment_runs_and_is_in_the_committed_table(experiment, tiny):
    figures = own_networks.EXPERIMENTS[experiment](0)
    assert all(0 <= value <= 1 for value in figures.values())
    table = pd.read_csv(own_networks.STUDY)
    table = table[table["experiment"] == experiment]
    assert set(table["measure"]) == set(figures)
    assert not table.duplicated(["seed", "measure"]).any() and table["value"].between(0, 1).all()
    assert sorted(table["seed"].unique()) == list(range(3))
    assert len(table) == 3 * len(figures)


def test_the_committed_table_belongs_to_these_recipes():
    provenance = json.loads(own_networks.STUDY.with_suffix(".json").read_text())
    now = {"data": own_networks.SIZES, "pairs": own_networks.PAIRS, "mlp": own_networks.MLP_RECIPE,
           "encoder": own_networks.ENCODER_RECIPE, "DAS": own_networks.DAS, "IIT": own_networks.IIT,
           "encoder IIT": own_networks.ENCODER_IIT, "failures": own_networks.FAILURES}
    assert {key: provenance[key] for key in now} == json.loads(json.dumps(now))
    assert provenance["data"]["train_seed"] != provenance["data"]["test_seed"] and "torch" in provenance["versions"]


def test_what_is_in_the_table_is_not_run_again(tmp_path, monkeypatch):
    asked, out = [], tmp_path / "table.csv"

    def measure(seed):
        asked.append(seed)
        if len(asked) == 3:
            raise InterruptedError
        return {"iia": 0.5, "a, b": seed / 4}

    monkeypatch.setattr(own_networks, "EXPERIMENTS", {"one": measure, "two": measure})
    monkeypatch.setattr(sys, "argv", ["own_networks", "--out", str(out), "--seeds", "2"])
    with pytest.raises(InterruptedError):
        own_networks.main()
    assert len(pd.read_csv(out)) == 4
    own_networks.main()
    table = pd.read_csv(out)
    assert asked == [0, 0, 1, 1, 1]
    assert len(table) == 8 and not table.duplicated(["experiment", "seed", "measure"]).any()
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["table.csv", "table.json"]
    own_networks.main()
    assert len(asked) == 5


def test_an_alignment_of_one_position_is_that_positions():
    """What the study calls position 1 is object a: the class token comes first."""
    encoder, X = equality.Encoder().eval(), torch.from_numpy(equality.draw_objects(3, seed=0)[0])
    intervenable = build_intervenable(encoder, "blocks.0", 8, example=X, position=1)
    seen = []
    handle = encoder.blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    encoder(X)
    handle.remove()
    torch.testing.assert_close(seen[0][:, 1], encoder.embed(X[:, 0]) + encoder.place[1])
    assert next(iter(intervenable.interventions.values())).position == 1
