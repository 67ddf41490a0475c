"""What a training is fed with, what it keeps of each step, and what its bars say."""
import math

import pytest
import torch

from utils import das_utils, model_utils
from utils.counterfactual_data_utils import PairPool, fresh_batches, given_batches
from utils.data_utils import causal_model
from utils.interventions.build import build_intervenable
from utils.interventions.rotation import draw_directions


class Bars:
    """Takes the place of tqdm, and keeps what bars are made with and what they show."""

    def __init__(self):
        self.made, self.shown = [], []

    def __call__(self, steps, **options):
        self.made.append((options.pop("total") if "total" in options else len(steps), options))
        self.steps = steps
        return self

    def __iter__(self):
        return iter(self.steps)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def set_postfix(self, *values, **more):
        self.shown.append(dict(*values, **more))


@pytest.fixture
def bars(monkeypatch):
    bars = Bars()
    monkeypatch.setattr(model_utils, "tqdm", bars)
    monkeypatch.setattr(model_utils, "trange", lambda n, **options: bars(range(n), **options))
    monkeypatch.setattr(das_utils, "tqdm", bars)
    return bars


@pytest.fixture
def data(dataset):
    return torch.from_numpy(dataset[0])[:, None], torch.from_numpy(causal_model(dataset[1]))


def aligned(num_sources=1):
    torch.manual_seed(0)
    return build_intervenable(model_utils.PyTorchCNN(), "fc1", 1, num_sources)


def test_bars_of_a_network(data, bars):
    history = model_utils.train(model_utils.PyTorchCNN(), *data, num_epochs=3, batch_size=60)
    assert bars.made == [(15, {"desc": "Training", "leave": False})]
    assert bars.shown == [{"loss": f"{history['loss'][i]:.3f}"} for i in (0, 10)]
    bars.made.clear()
    model_utils.predict(model_utils.PyTorchCNN(), data[0], 100)
    model_utils.predict(model_utils.PyTorchCNN(), data[0], 300)  # in one go
    assert bars.made == [(3, {"desc": "Evaluating", "leave": False})]


@pytest.mark.parametrize("train, name", [(das_utils.das_train, "DAS"), (das_utils.iit_train, "IIT")])
def test_bars_and_history_of_an_alignment(dataset, data, bars, train, name):
    history = train(aligned(), pool=PairPool(*dataset, [[0]]), num_steps=12, batch_size=8, lr=0.5)
    assert bars.made == [(12, {"desc": name, "leave": False})]
    assert list(history) == ["interchange_loss", "behavior_loss", "lr"] and {*map(len, history.values())} == {12}
    assert bars.shown == [{key: f"{history[key][i]:.3f}" for key in ("interchange_loss", "behavior_loss")}
                          for i in (0, 10)]
    assert all(map(math.isnan, history["behavior_loss"]))
    rises = [0.25, 0.5] if name == "DAS" else [0.5, 0.5]  # the schedules that the two have by themselves
    assert history["lr"][:2] == rises and (history["lr"][-1] < 0.02) == (name == "DAS")
    bars.made.clear()
    X, y = data[0][:10], data[1][:10]
    history = train(aligned(), X, X.flip(0)[None], y, batch_size=4, num_epochs=2)
    assert bars.made == [(6, {"desc": name, "leave": False})] and len(history["lr"]) == 6
    bars.made.clear()
    das_utils.iit_predict(aligned(), X, X.flip(0)[None], 4)
    das_utils.iit_predict(aligned(), X, X.flip(0)[None], 10)
    assert bars.made == [(3, {"desc": "Evaluating", "leave": False})]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_given_pairs_come_in_a_new_order_each_epoch(device):
    """Also where a notebook has made another device the default."""
    X, y = torch.arange(10.0)[:, None, None], torch.arange(10.0) + 50
    S = torch.stack([X + 100, X + 200])
    with torch.device(device):
        batches = list(given_batches(X, S, y, y + 50, 4, 2, seed=3))
        again = list(given_batches(X, S, None, y + 50, 4, 2, seed=3))
    assert [len(batch.rows) for batch in batches] == [4, 4, 2] * 2
    orders = [torch.cat([batch.rows for batch in batches[i:i + 3]]).tolist() for i in (0, 3)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10)) and orders[0] != orders[1]
    for batch, other in zip(batches, again):
        p, rows = len(batch.rows), batch.rows
        assert batch.X.shape == (3 * p, 1, 1) and torch.equal(batch.X[:p], X[rows])
        assert [torch.equal(batch.X[at], source[rows]) for at, source in zip(batch.sources, S)] == [True, True]
        assert torch.equal(batch.y_base, y[rows]) and torch.equal(batch.y_counterfactual, y[rows] + 50)
        assert other.y_base is None and torch.equal(other.rows, rows)
        assert {tensor.device.type for tensor in batch} == {"cpu"}


def test_a_pool_gives_the_batches_it_draws(dataset):
    pool = PairPool(*dataset, [[0], [2]])
    batches = list(fresh_batches(pool, 6, 3, seed=1, reorderings=2))
    assert len(batches) == 3 and not torch.equal(batches[0].X, batches[1].X)
    for batch in batches:
        assert batch.X.shape == (6, 1, 28, 28) and batch.sources.shape == (2, 12) and batch.rows is None
        assert batch.y_base.shape == (6,) and batch.y_counterfactual.shape == (12,)
    assert next(fresh_batches(pool, 6, 1, seed=1)).sources.shape == (2, 6)
    assert torch.equal(next(fresh_batches(pool, 6, 1, seed=1, reorderings=2)).X, batches[0].X)


@pytest.mark.parametrize("n, m", [(20, 3), (600, 600), (1000, 513)])
def test_directions_are_orthonormal_also_where_they_are_many(n, m):
    with torch.device("meta"):
        found = draw_directions(n, m)
    assert found.shape == (n, m) and found.device.type == "cpu"
    torch.testing.assert_close(found.T @ found, torch.eye(m), atol=2e-4, rtol=0)
    assert abs(float(found.sum(dim=1).mean())) < 0.2 and not torch.equal(found, draw_directions(n, m))
    if m > 512:
        assert found.abs().max() <= math.sqrt(2 / n) * 1.001 and 0.4 < (found > 0).float().mean() < 0.6
