"""Variables of any number and kind, causal models of one's own: pairs, scores and measures against hand counts."""
import math

import numpy as np
import pytest
import torch
from own_networks import Attention, count, same, state, unchanged
from torch import nn

from utils.counterfactual_data_utils import (PairPool, create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)
from utils.das_utils import build_intervenable, das_train, get_basis, iit_evaluate, iit_predict, iit_train
from utils.data_utils import intervene_on_labels
from utils.interventions.build import get_intervention
from utils.measure_utils import draw_pairs, score_alignment, score_answers
from utils.measures.alignment import (cause_isolate, complement_iia, cross_matrix, self_consistency, swap_each,
                                      unaligned_effects)
from utils.measures.readout import correlate
from utils.measures.response import dose_response, slope_and_correlation
from utils.model_utils import evaluate, predict, to_answers

WEIGHTS = np.array([1.0, 2.0, 0.5, 1.5])


def weigh(z):
    """Yes or no: a weighted sum of four numbers from 0 to 1."""
    return z @ WEIGHTS > 2.3


class Sums(nn.Module):
    """Networks that ARE a causal model: l holds the variables, turned by an orthonormal matrix, and out reads them.

    ``weigh`` of four numbers with one or two logits, ``count`` of two bits with three.
    """

    def __init__(self, variables=4, columns=1, around=False):
        super().__init__()
        torch.manual_seed(0)
        turn = torch.linalg.qr(torch.randn(variables, variables))[0]
        self.l, self.out = nn.Linear(variables, variables, bias=False), nn.Linear(variables, columns)
        self.around = around
        with torch.no_grad():
            self.l.weight.copy_(turn)
            if columns == 3:  # of -(sum - c)^2 the part that differs between the answers c
                self.out.weight.copy_(torch.arange(3.0)[:, None] * 200 @ torch.ones(1, variables) @ turn.T)
                self.out.bias.copy_(-100 * torch.arange(3.0) ** 2)
            else:
                read = 100 * torch.from_numpy(WEIGHTS).float() @ turn.T
                self.out.weight.copy_(torch.stack([-read, 3 * read]) / 4 if columns == 2 else read[None])
                self.out.bias.copy_(torch.tensor([50.0, -180.0]) if columns == 2 else torch.tensor([-230.0]))

    def forward(self, x):
        h = self.l(x)
        return self.out(h + 0 * x) if self.around else self.out(h)


def align(model, X, variables, size=1):
    """The exact network, block i on the directions of ``variables[i]``."""
    intervenable = build_intervenable(model, "l", size, len(variables) // size, example=X[:2])
    get_intervention(intervenable).rotate_layer.weight = model.l.weight.detach()[:, variables].contiguous()
    return intervenable


@pytest.fixture(scope="module")
def weighed():
    """Four numbers, of which the network is given the numbers themselves."""
    z = np.random.default_rng(0).random((3000, 4))
    return z.astype(np.float32), z.astype(np.float32).astype(float)


@pytest.fixture(scope="module")
def counted():
    z = np.random.default_rng(0).integers(0, 2, (600, 2))
    return z.astype(np.float32), z


# pairs


WORDS = np.array(["cat", "dog", "owl"])
KINDS = {
    "bool": lambda z: z > 0, "int": lambda z: z, "float": lambda z: z / 2, "str": lambda z: WORDS[z],
    "object": lambda z: WORDS[z].astype(object), "tensor": torch.from_numpy, "list": lambda z: z.tolist(),
    "float tensor": lambda z: torch.from_numpy(z) / 2, "bool tensor": lambda z: torch.from_numpy(z) > 0,
}
ANSWERS = {
    "bool": lambda y: y > 0, "int": lambda y: y, "small int": lambda y: y.astype(np.uint8),
    "whole floats": lambda y: y.astype(float), "list": lambda y: y.tolist(), "tensor": torch.from_numpy,
    "bool tensor": lambda y: torch.from_numpy(y > 0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [[[0, 2]], [[1]], [[4], [0, 3]], [[3], [1], [2]]])
def test_pairs_swap_the_variables_of_their_sources(kind, groups):
    codes = np.random.default_rng(0).integers(0, 3, (40, 5))
    z, X = KINDS[kind](codes), codes.astype(np.float32)
    values = np.asarray(z)

    def causal_model(rows):
        assert rows.dtype == values.dtype and rows.shape[1] == 5
        return np.array([row[0] == row[1] and row[2] == row[4] for row in rows])

    single = len(groups) == 1
    create = create_single_source_counterfactual_dataset if single else create_multi_source_counterfactual_dataset
    variables = groups[0] if single else [group[0] for group in groups]
    wanted = groups if single else [[v] for v in variables]
    X_base, X_sources, y_base, y_sources, y, z_base, z_sources, z_new = create(
        variables, X, z, size=50, seed=1, causal_model=causal_model, return_labels=True)
    assert X_base.shape == (50, 5) and X_sources.shape == (len(wanted), 50, 5) and y.dtype == torch.float32
    for i in range(50):
        row = values[(codes == X_base[i].numpy()).all(axis=1)][0]
        assert list(z_base[i]) == list(row)
        new = list(row)
        for k, group in enumerate(wanted):
            source = values[(codes == X_sources[k, i].numpy()).all(axis=1)][0]
            for v in group:
                new[v] = source[v]
            assert y_sources[k, i] == float(source[0] == source[1] and source[2] == source[4])
        assert list(z_new[i]) == new and y[i] == float(new[0] == new[1] and new[2] == new[4])
        assert y_base[i] == float(row[0] == row[1] and row[2] == row[4])


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_of_any_kind(kind, counted):
    X, z = counted
    pool = PairPool(X, z, [[0], [1]], causal_model=lambda rows: ANSWERS[kind]((rows[:, 0] == rows[:, 1]).astype(int)))
    drawn = pool.draw(100, np.random.default_rng(0))
    new = z[drawn.base].copy()
    for v in range(2):
        new[:, v] = z[drawn.base[drawn.sources[v]], v]
    assert drawn.y_counterfactual.dtype == torch.float32 and sorted(drawn.sources[0].tolist()) == list(range(100))
    np.testing.assert_array_equal(drawn.y_counterfactual, new[:, 0] == new[:, 1])
    np.testing.assert_array_equal(drawn.y_base, z[drawn.base, 0] == z[drawn.base, 1])


def test_a_causal_model_may_write_into_what_it_is_given(counted):
    X, z = counted

    def causal_model(rows):
        rows[:, 0] += rows[:, 1]
        return rows[:, 0]

    before = z.copy()
    pool = PairPool(X, z, [[0], [1]], causal_model=causal_model)
    drawn = create_multi_source_counterfactual_dataset([0, 1], X, z, seed=0, causal_model=causal_model,
                                                       return_labels=True)
    np.testing.assert_array_equal(drawn[4], drawn[-1].sum(axis=1))
    assert np.array_equal(z, before) and np.array_equal(pool.labels, before) and pool.num_answers == 3


# scores


@pytest.mark.parametrize("causal_model, answers", [(same, 2), (count, 3)])
@pytest.mark.parametrize("groups", [[[0]], [[0, 1]], [[0], [1]]])
def test_baselines_are_hand_counts(counted, causal_model, answers, groups):
    X, z = counted
    z = np.where(np.random.default_rng(1).random(z.shape) < 0.3, 0, z)  # so that answers are not equally common
    model = Sums(2, 3)
    intervenable = align(model, X, sum(groups, []), len(groups[0]))
    pairs = draw_pairs(z, groups, 400, causal_model=causal_model, seed=0)
    kept, copied, right, common = 0, [0] * len(groups), 0, [0] * answers
    swapped = iit_predict(intervenable, *pairs.images(X)).argmax(dim=1).tolist()
    for i in range(400):
        new = z[pairs.base[i]].copy()
        for k, group in enumerate(groups):
            new[group] = z[pairs.sources[k][i]][group]
        target = int(causal_model(new[None])[0])
        kept += int(causal_model(z[pairs.base[[i]]])[0]) == target
        right += swapped[i] == target
        common[target] += 1
        for k in range(len(groups)):
            copied[k] += int(causal_model(z[pairs.sources[k][[i]]])[0]) == target
    score = score_alignment(intervenable, X, z, groups, n=400, causal_model=causal_model, seed=0)
    assert score.iia == right / 400 and score.keep == pytest.approx(kept / 400) and score.copy == max(copied) / 400
    assert score.majority == max(common) / 400 and score.n == 400 and score.n_flip == 400 - kept
    assert math.isnan(score.ceiling) and math.isnan(score.normalized_iia)
    names = " | ".join("{" + ", ".join(f"variable {v}" for v in group) + "}" for group in groups)
    assert score.variables == names and names in str(score)
    best = max(score.keep, score.copy, score.majority)
    given = score_alignment(intervenable, X, z, groups, n=400, causal_model=causal_model, ceiling=0.9,
                            names=["left", "right"])
    expected = (score.iia - best) / (0.9 - best) if best < 0.9 else math.nan  # a source of all variables knows it all
    assert given.ceiling == 0.9 and given.normalized_iia == pytest.approx(expected, nan_ok=True)
    assert given.variables == names.replace("variable 0", "left").replace("variable 1", "right")


def test_scores_of_classes_by_hand():
    z = np.array([[0, 0], [1, 1], [1, 0]])
    pairs = draw_pairs(z, [[0]], 200, causal_model=count)
    perfect = score_answers(pairs.y_counterfactual, pairs, [[0]], ceiling=1.0)
    assert perfect.iia == perfect.flip_iia == perfect.normalized_iia == 1
    third = score_answers((pairs.y_counterfactual + 1) % 3, pairs, [[0]], ceiling=1.0)
    assert third.iia == third.flip_iia == third.stay_iia == 0
    pairs = draw_pairs(z, [[0], [1]], 50, causal_model=count, discriminating=True)
    assert (pairs.y_counterfactual != pairs.y_base).all() and (pairs.y_counterfactual != pairs.y_sources).all()
    new = intervene_on_labels(z[pairs.base], z[pairs.sources], [[0], [1]])
    np.testing.assert_array_equal(new.sum(axis=1), pairs.y_counterfactual)


def test_an_exact_network_of_three_answers_scores_one(counted):
    X, z = counted
    model = Sums(2, 3)
    intervenable = align(model, X, [0, 1])
    score = score_alignment(intervenable, X, torch.from_numpy(z), [[0], [1]], n=500, causal_model=count)
    assert (score.iia, score.flip_iia, score.stay_iia) == (1, 1, 1)
    assert score.n_discriminating == 2000 and score.discriminating_iia == 1
    assert evaluate(model, X, count(z)) == 1
    X_base, X_sources, _, _, y = create_multi_source_counterfactual_dataset([0, 1], X, z, seed=0, causal_model=count)
    assert iit_evaluate(intervenable, X_base, X_sources, y) == 1
    assert iit_predict(intervenable, X_base, X_sources).shape == (600, 3)
    turned = score_alignment(intervenable, X, z, [[1], [0]], n=500, causal_model=lambda z: z[:, 0] + 2 * z[:, 1] % 3)
    assert turned.iia < 0.9  # blocks and variables crossed, and another causal model


def test_three_answers_are_learned_by_das_and_by_iit():
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, (4000, 2))
    X = np.concatenate([z + rng.normal(0, 0.1, z.shape), rng.normal(size=(4000, 2))], axis=1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    intervenable = build_intervenable(model, "0", 4, num_sources=2, example=X[:1])
    pool = PairPool(X, z, [[0], [1]], causal_model=count)
    before = state(model)
    das_train(intervenable, pool=pool, num_steps=3, batch_size=64)
    assert unchanged(before, model)
    history = iit_train(intervenable, pool=pool, num_steps=200, batch_size=256, lr=3e-2, behavior_weight=1.0,
                        schedule="one_cycle")
    assert history["interchange_loss"][0] > 0.8 and history["interchange_loss"][-1] < 0.2
    score = score_alignment(intervenable, X, z, [[0], [1]], n=1000, causal_model=count)
    assert score.iia > 0.97 > 0.7 > score.copy and evaluate(model, X, count(z)) > 0.97


# measures


@pytest.mark.parametrize("columns", [1, 2])
def test_measures_of_an_exact_network(weighed, columns):
    X, z = weighed
    kwargs = {"causal_model": weigh, "n": 400}
    four = align(Sums(4, columns), X, [0, 1, 2, 3])
    every, flips = cross_matrix(four, X, z, **kwargs)
    assert every.shape == flips.shape == (4, 4)
    np.testing.assert_array_equal(np.diag(every), 1)
    np.testing.assert_array_equal(np.diag(flips), 1)
    assert flips[~np.eye(4, dtype=bool)].max() < 0.6
    table = cause_isolate(four, X, z, [0, 1, 2, 3], **kwargs, names=["a", "b"])
    assert list(table.index) == ["a", "b", "variable 2", "variable 3"]
    assert (table["cause"] == 1).all() and (table["isolate"] > 0.97).all() and (table["n"] == 400).all()
    assert self_consistency(four, X, z, [[0], [1], [2], [3]], seed=1, **kwargs, render=lambda z, X: z) == 1
    assert self_consistency(four, X, z, [[1], [0], [2], [3]], **kwargs, render=lambda z, X: torch.from_numpy(z)) < 0.8
    two = align(Sums(4, columns), X, [1, 3])
    complement = complement_iia(two, X, z, [1, 3], **kwargs)
    assert complement["iia"] == complement["flip_iia"] == 1
    assert complement_iia(two, X, z, [0, 2], **kwargs)["flip_iia"] < 0.5
    effects = unaligned_effects(two, X, z, units=5, **kwargs)
    assert effects.shape == (2,) and 0 < effects.max() < 1
    assert unaligned_effects(four, X, z, **kwargs).shape == (0,)
    with pytest.raises(ValueError, match="variables must .* 2 blocks"):
        cause_isolate(two, X, z, [0, 1, 2], **kwargs)


def test_unaligned_effects_by_hand(weighed):
    """What is left of the layer has two principal directions; each is swapped by hand."""
    X, z = weighed
    intervenable = align(Sums(), X, [1, 3])
    model, basis = intervenable.model, get_basis(intervenable)
    h = model.l(torch.from_numpy(X)).detach()
    flat = h[:1000] - h[:1000].mean(dim=0)
    units = torch.linalg.svd(flat - flat @ basis @ basis.T)[2][:2]
    pairs = draw_pairs(z, [[0]], 3 * 300, causal_model=weigh)
    differ = np.flatnonzero(pairs.y_sources[0] != pairs.y_base)[:300]
    base, source = h[pairs.base[differ]], h[pairs.sources[0][differ]]
    by_hand = [((model.out(base + (source - base) @ u[:, None] * u)[:, 0] > 0).numpy() != pairs.y_base[differ]).mean()
               for u in units]
    np.testing.assert_allclose(unaligned_effects(intervenable, X, z, n=300, causal_model=weigh), by_hand)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("around", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("block, variable", [(0, 2), (1, 1)])
def test_doses_of_an_exact_network_flip_where_the_causal_model_does(weighed, columns, around, block, variable):
    X, z = weighed
    intervenable = align(Sums(4, columns, around), X, [2, 1])
    causal, network, share = dose_response(intervenable, X, z, block, variable, n=150, causal_model=weigh)
    assert share == 1
    np.testing.assert_allclose(network, causal, atol=1e-4)
    slope, correlation = slope_and_correlation(causal, network)
    assert slope == pytest.approx(1, abs=1e-3) and correlation > 0.999
    # at the crossing the sum is the threshold
    pairs = draw_pairs(z, [[variable]], 12 * 150, causal_model=weigh)
    flip = np.flatnonzero(pairs.y_counterfactual != pairs.y_base)[:150]
    rest = z[pairs.base[flip]] @ WEIGHTS - z[pairs.base[flip], variable] * WEIGHTS[variable]
    assert len(causal) == len(flip) > 100
    np.testing.assert_allclose(causal, (2.3 - rest) / WEIGHTS[variable], atol=1e-6)


def test_measures_of_a_network_with_a_residual_branch():
    X, z = torch.randn(200, 4, 4), np.random.default_rng(0).random((200, 3))
    intervenable = build_intervenable(Attention(), "value", 2, num_sources=2, example=X[:2], position=1)
    kwargs = {"causal_model": lambda z: z[:, 0] > z[:, 1], "n": 30}
    assert cross_matrix(intervenable, X, z, **kwargs)[0].shape == (2, 3)
    assert unaligned_effects(intervenable, X, z, units=9, **kwargs).shape == (2,)
    assert len(cause_isolate(intervenable, X, z, [0, 2], **kwargs)) == 2
    assert 0 <= self_consistency(intervenable, X, z, [[0], [1]], **kwargs, render=lambda z, X: X) <= 1
    assert 0 <= dose_response(intervenable, X, z, 0, 1, **kwargs)[2] <= 1
    swapped, plain = swap_each(intervenable, X[:9], X[9:18], [[0, 1], []])
    assert (plain == to_answers(predict(intervenable.model, X[:9])).numpy()).all() and swapped.shape == (9,)


def test_variables_that_are_words(counted):
    codes = np.random.default_rng(0).integers(0, 2, (500, 4))
    X, z = codes.astype(np.float32), WORDS[codes]
    kwargs = {"causal_model": lambda z: (z == "dog") @ WEIGHTS > 2.3, "n": 200}
    four = align(Sums(), X, [0, 1, 2, 3])
    assert score_alignment(four, X, z, [[0], [1], [2], [3]], **kwargs).iia == 1
    assert (cause_isolate(four, X, z, [0, 1, 2, 3], **kwargs)[["cause", "isolate"]] == 1).all(axis=None)
    assert complement_iia(align(Sums(), X, [2]), X, z, [2], **kwargs)["iia"] == 1
    render = {"render": lambda z, X: (z == "dog").astype(np.float32)}
    assert self_consistency(four, X, z, [[0], [1], [2], [3]], **kwargs, **render) == 1
    for call in (lambda: dose_response(four, X, z, 0, 0, **kwargs), lambda: correlate(codes, z)):
        with pytest.raises(TypeError, match="labels must hold real numbers"):
            call()


def test_correlations_of_numbers_and_bits(weighed):
    X, z = weighed
    coordinates = z[:, [2, 0]] * [-3, 5] + 1
    found = correlate(coordinates, torch.from_numpy(z))
    np.testing.assert_allclose(found[[0, 1], [2, 0]], [-1, 1])
    assert found.shape == (2, 4) and abs(found[0, 0]) < 0.1
    np.testing.assert_allclose(correlate(z > 0.5, z > 0.5), np.corrcoef((z > 0.5).T.astype(float)))
