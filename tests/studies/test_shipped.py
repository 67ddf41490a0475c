"""Intervened models on disk: the same to the bit after loading, foreign files refused; and the networks that ship."""
import hashlib
import json

import pytest
import torch

from utils.checkpoint_utils import BASE_CNN, load_checkpoint, save_checkpoint
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, iit_predict, iit_train
from utils.data_utils import create_dataset
from utils.explorer.widget import Explorer, load_networks
from utils.interventions.checkpoints import SHIPPED, load_intervenable, save_intervenable, shipped_path
from utils.interventions.build import get_basis
from utils.measure_utils import score_alignment
from utils.model_utils import PyTorchCNN
from studies.recipes import RECIPES, TEST_IMAGES, TEST_SEED
from studies.shipped import train_network

CASES = [("conv1", 4, [[0, 1]]), ("conv2", 3, [[0], [1]]), ("fc1", 1, [[2], [0], [1]])]


def trained(dataset, layer, size, groups):
    intervenable = build_intervenable(PyTorchCNN(), layer, size, len(groups))
    iit_train(intervenable, pool=PairPool(*dataset, groups), num_steps=2, batch_size=32, lr=0.01)
    return intervenable


@pytest.mark.parametrize("layer, size, groups", CASES)
def test_a_loaded_model_is_the_same_to_the_bit(tmp_path, dataset, layer, size, groups):
    intervenable = trained(dataset, layer, size, groups)
    written = save_intervenable(intervenable, tmp_path / "x.pth", groups, {"seed": 7})
    loaded, loaded_groups, provenance = load_intervenable(tmp_path / "x.pth")
    assert loaded_groups == groups and provenance == written and provenance["seed"] == 7
    assert provenance["alignment"]["layer"] == layer
    for old, new in zip(intervenable.model.parameters(), loaded.model.parameters()):
        assert torch.equal(old, new)
    assert torch.equal(get_basis(intervenable), get_basis(loaded))
    X = torch.from_numpy(dataset[0])[:, None]
    X_sources = torch.stack([X[i + 1:i + 65] for i in range(len(groups))])
    assert torch.equal(iit_predict(intervenable, X[:64], X_sources), iit_predict(loaded, X[:64], X_sources))
    again = save_intervenable(loaded, tmp_path / "y.pth", groups, {"seed": 7})
    assert again["sha256"] == written["sha256"]


def test_a_partition_of_ones_own_is_kept(tmp_path, dataset):
    intervenable = trained(dataset, "fc1", 1, [[0], [1], [2]])
    next(iter(intervenable.interventions.values())).subspace_partition = [[2], [0], [1]]
    save_intervenable(intervenable, tmp_path / "x.pth", [[0], [1], [2]], {})
    loaded = load_intervenable(tmp_path / "x.pth")[0]
    assert all(i.subspace_partition == [[2], [0], [1]] for i in loaded.interventions.values())


@pytest.mark.parametrize("arguments, error, message", [
    (lambda i, p: (i.model, p, [[0]], {}), TypeError, "intervenable must be"),
    (lambda i, p: (i, p, [[0], [1]], {}), ValueError, "groups must name"),
    (lambda i, p: (i, p, [[0]], []), TypeError, "provenance must be a dict"),
    (lambda i, p: (i, p.with_suffix(".zip"), [[0]], {}), ValueError, "end in .pth"),
])
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, arguments, error, message):
    intervenable = build_intervenable(PyTorchCNN(), "fc1", 1)
    with pytest.raises(error, match=message):
        save_intervenable(*arguments(intervenable, tmp_path / "x.pth"))
    assert not list(tmp_path.iterdir())


def rewrite(path, change):
    """Change the provenance, and keep its hash right."""
    provenance = json.loads(path.with_suffix(".json").read_text())
    change(provenance)
    provenance["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(provenance))


@pytest.mark.parametrize("change", [
    lambda p: p.pop("alignment"), lambda p: p["alignment"].update(layer="conv9"),
    lambda p: p["alignment"].update(layer="conv1"), lambda p: p["alignment"].update(directions=2),
    lambda p: p["alignment"].update(groups=[[0], [0], [1]]), lambda p: p["alignment"].update(partition=[[0], [0], [1]]),
    lambda p: p["alignment"].update(partition=[[0], [1], ["2"]]), lambda p: p.update(alignment=[1]),
])
def test_a_provenance_that_does_not_fit_is_refused(tmp_path, dataset, change):
    path = tmp_path / "x.pth"
    save_intervenable(trained(dataset, "fc1", 1, [[0], [1], [2]]), path, [[0], [1], [2]], {})
    rewrite(path, change)
    with pytest.raises(ValueError, match="x.pth does not hold an intervened model"):
        load_intervenable(path)


def test_foreign_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "x.pth"
    save_checkpoint(PyTorchCNN(), path, {})
    with pytest.raises(ValueError, match="does not hold an intervened model"):
        load_intervenable(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or foreign"):
        load_intervenable(path)
    rewrite(path, lambda provenance: None)
    with pytest.raises(ValueError, match="does not hold weights"):
        load_intervenable(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match="x.json is missing"):
        load_intervenable(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_scores_what_its_provenance_says(name):
    intervenable, groups, provenance = load_intervenable(shipped_path(name))
    images, labels = create_dataset(TEST_IMAGES, seed=TEST_SEED)
    score = score_alignment(intervenable, images, labels, groups, n_discriminating=0)
    assert score.n == provenance["figures"]["n"]
    assert score.iia == pytest.approx(provenance["figures"]["iia"], abs=0.002)  # processors add in another order
    assert provenance["base_cnn_sha256"] == load_checkpoint(BASE_CNN)[1]["sha256"]
    if name in RECIPES:
        assert provenance["recipe"]["num_steps"] == RECIPES[name].num_steps
        assert score.iia > score.keep + 0.25
    else:  # DAS leaves the network as it is
        base = load_checkpoint(BASE_CNN)[0]
        assert all(torch.equal(a, b) for a, b in zip(base.parameters(), intervenable.model.parameters()))


def test_unknown_names_are_refused(dataset):
    with pytest.raises(ValueError, match="name must be one of"):
        shipped_path("four")
    with pytest.raises(ValueError, match="name must be one of"):
        train_network("four", *dataset)


def test_the_explorer_shows_all_that_ships():
    networks = load_networks()
    assert sum(map(len, networks.values())) == len(SHIPPED)
    explorer = Explorer(networks, create_dataset(200, seed=0)[0], network="three-source IIT")
    view = explorer.view()
    assert view.answers[0] != view.answers[-1], "the start is an interesting case: the answer flips"
    assert (view.plain > 0.5) == view.answers[0] and (view.swapped > 0.5) == view.answers[-1]
