"""The study of notebook 2: snapshots are those of the training that ships, bases are swapped as pyvene swaps them."""
import numpy as np
import pytest
import torch

from studies.early import course, readings, run
from studies.recipes import base_cnn
from studies.running.table import read_rows
from utils.checkpoint_utils import BASE_RECIPE
from utils.das_utils import build_intervenable
from utils.data_utils import create_dataset
from utils.interventions.build import get_basis
from utils.measure_utils import score_alignment
from utils.model_utils import PyTorchCNN, train

SMALL = BASE_RECIPE | {"train_images": 1_000, "num_epochs": 3, "batch_size": 64}  # 48 steps


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(course, "STEPS", (0, 10, 48))
    return course.snapshots.__wrapped__(3, tuple(SMALL.items()))


def test_snapshots_are_the_network_before_a_step_and_leave_the_training_as_it_is(few_steps):
    start, end = course.untrained_cnn(3), course.untrained_cnn(3)
    images, labels = create_dataset(SMALL["train_images"], seed=SMALL["train_data_seed"])
    train(end, torch.from_numpy(images)[:, None], torch.from_numpy(course.causal_model(labels)), lr=SMALL["lr"],
          num_epochs=SMALL["num_epochs"], batch_size=SMALL["batch_size"], seed=3)
    for network, same in ((few_steps[0], start), (few_steps[48], end)):
        for ours, theirs in zip(network.state_dict().values(), same.state_dict().values()):
            assert torch.equal(ours, theirs)
    assert not torch.equal(few_steps[10].fc2.weight, start.fc2.weight)
    assert not torch.equal(few_steps[10].fc2.weight, end.fc2.weight)


def test_a_basis_is_swapped_as_pyvene_swaps_it():
    images, labels = create_dataset(800, seed=2)
    torch.manual_seed(0)
    intervenable = build_intervenable(base_cnn(), "conv3", 16)
    basis, n = get_basis(intervenable), 400
    score = score_alignment(intervenable, images, labels, [[1]], n, 0, seed=0)
    bases = [basis, torch.zeros_like(basis), torch.eye(len(basis))]
    ours, nothing, everything = readings.swap_each_basis(intervenable, images, labels, 1, bases, n)
    assert ours == pytest.approx(score.iia)
    assert abs(nothing - score.keep) < 0.04 and abs(everything - score.copy) < 0.04 < score.keep - score.copy


def test_sets_and_components():
    assert [readings.name_set(s) for s in readings.SETS[2:5]] == ["area", "circularity + color", "circularity + area"]
    assert len(readings.SETS) == 7
    images, _ = create_dataset(1_200, seed=2)
    seen = readings.components(PyTorchCNN(), "conv3", images)
    assert seen.shape == (1_200, readings.COMPONENTS)
    spread = seen[:1_000].var(axis=0)
    assert (np.diff(spread) <= 1e-6).all() and np.abs(np.corrcoef(seen[:1_000, :5].T) - np.eye(5)).max() < 1e-2


def test_the_committed_table_belongs_to_these_settings():
    rows = read_rows(run.STUDY, run.provenance())
    assert {(row["experiment"], row["seed"]) for row in rows} == {
        (name, seed) for name in run.EXPERIMENTS for seed in range(run.SEEDS)}


@pytest.mark.parametrize("experiment", ["directions, conv3", "trained, conv3", "step 0"])
def test_every_figure_is_measured_for_every_seed(experiment):
    rows = [row for row in read_rows(run.STUDY, run.provenance()) if row["experiment"] == experiment]
    measures = [{row["measure"] for row in rows if row["seed"] == seed} for seed in range(run.SEEDS)]
    assert measures[0] and all(found == measures[0] for found in measures)
