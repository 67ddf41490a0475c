"""The data against its definition, and the pair samplers against a slow, obvious implementation."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import data_utils as D
from utils.counterfactual_data_utils import (PairPool, create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)

circularities = st.integers(30, 100).map(lambda i: i / 100)
colors = st.integers(0, 90).map(lambda i: i / 100)
areas = st.integers(5027, 20106).map(lambda i: i / 100)
variable_lists = st.permutations([0, 1, 2]).flatmap(lambda p: st.integers(1, 3).map(lambda k: list(p[:k])))
weights = st.lists(st.floats(-2, 2), min_size=3, max_size=3)


def painted_pixel_by_pixel(circularity, color, area, turned):
    a = np.sqrt(area / (np.pi * circularity))
    b = a * circularity
    image = np.ones((28, 28), dtype=np.float32)
    for row, y in enumerate(range(-14, 14)):
        for column, x in enumerate(range(-14, 14)):
            u, v = (y, x) if turned else (x, y)
            if (u / a) ** 2 + (v / b) ** 2 <= 1:
                image[row, column] = color
    return image


@given(circularities, colors, areas, st.booleans())
@settings(max_examples=60, deadline=None)
def test_one_ellipse_is_its_definition(circularity, color, area, turned):
    expected = painted_pixel_by_pixel(circularity, color, area, turned)
    np.testing.assert_array_equal(D.generate_ellipse(circularity, color, area, turned), expected)


@given(circularities, colors, areas, st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_fast_painter_agrees_with_the_definition(circularity, color, area, turned):
    fast = D._paint(*(np.array([v]) for v in (circularity, color, area)), np.array([turned]))[0]
    np.testing.assert_array_equal(fast, D.generate_ellipse(circularity, color, area, turned))


def test_shapes_types_and_ranges():
    images, labels = D.create_dataset(500, seed=3)
    assert images.shape == (500, 28, 28) and images.dtype == np.float32
    assert labels.shape == (500, 3) and (labels >= 0).all() and (labels <= 1).all()
    np.testing.assert_allclose(images[labels[:, 1] < 1].max(axis=(1, 2)), 1.0)
    np.testing.assert_allclose(labels[:, 2], labels[:, 2].round(2))


def test_labels_say_what_the_image_shows():
    images, labels = D.create_dataset(2000, seed=1)
    np.testing.assert_allclose(images.min(axis=(1, 2)), labels[:, 1] * 0.9, atol=1e-6)
    # the label of the area is rounded to 0.01, so the shape lies between those of the label's two bounds
    turned = D.find_turn(images)
    inside = images < 1
    low, high = (D.render_images(np.clip(labels + [[0, 0, d]], 0, 1), turned) < 1 for d in (-0.0051, 0.0051))
    round_ones = labels[:, 0] == 1
    assert (low <= inside)[~round_ones].all() and (inside <= high)[~round_ones].all()
    pixels = inside.sum(axis=(1, 2))
    assert np.abs(pixels - (16 + 48 * labels[:, 2]) * np.pi).max() < 25


def test_rendering_gives_the_labels_back():
    labels = D.create_dataset(400, seed=5)[1]
    labels[:, 2] = labels[:, 2].round(2)
    turned = np.arange(400) % 2 == 0
    images = D.render_images(labels, turned)
    for image, z, t in zip(images, labels, turned):
        c, color, area = 0.3 + 0.7 * z[0], 0.9 * z[1], round(16 * np.pi + 48 * np.pi * z[2], 2)
        np.testing.assert_array_equal(image, D.generate_ellipse(round(c, 2), round(color, 2), area, bool(t)))


def test_distribution():
    images, labels = D.create_dataset(40000, seed=2)
    np.testing.assert_allclose(labels.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(labels.std(axis=0), 12**-0.5, atol=0.01)
    assert np.abs(np.corrcoef(labels.T) - np.eye(3)).max() < 0.02
    assert abs(D.causal_model(labels).mean() - 0.5) < 0.01
    elongated = labels[:, 0] < 0.5
    assert abs(D.find_turn(images[elongated]).mean() - 0.5) < 0.015


def test_seeds():
    first, again, other = D.create_dataset(50, seed=7), D.create_dataset(50, seed=7), D.create_dataset(50, seed=8)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[1], other[1])
    np.random.seed(3)
    a = D.create_dataset(20)
    np.random.seed(3)
    b = D.create_dataset(20)
    np.testing.assert_array_equal(a[1], b[1])
    generator = np.random.default_rng(0)
    assert not np.array_equal(D.create_dataset(20, generator)[1], D.create_dataset(20, generator)[1])


def test_there_are_702_shapes():
    from utils.ceiling_utils import shape_distribution

    distribution = shape_distribution()[0]
    assert len(distribution) == 702
    assert distribution.sum() == pytest.approx(1)
    images, labels = D.create_dataset(30000, seed=0)
    images = np.where(D.find_turn(images)[:, None, None], images.transpose(0, 2, 1), images)
    seen = {m.tobytes() for m in np.packbits((images < 1).reshape(len(images), -1), axis=1)}
    known = {m.tobytes() for m in np.packbits(D.mask_table()[2].reshape(-1, 784), axis=1)}
    assert len(seen) > 600 and seen <= known


def test_ceiling_against_monte_carlo():
    """Answering for each (shape, color) what half of a large sample says scores the ceiling on the other half."""
    from utils.ceiling_utils import bayes_ceiling, shape_distribution

    n = 400_000
    rng = np.random.default_rng(0)
    weights, circularity, _ = shape_distribution()
    cell = rng.choice(weights.size, n, p=weights.ravel() / weights.sum())
    shape, c, a = np.unravel_index(cell, weights.shape)
    color = np.round(0.9 * rng.uniform(size=n), 2) / 0.9
    y = D.causal_model(np.stack([circularity[c], color, a / 100], axis=1)).astype(int)
    key = shape * 100 + np.rint(color * 90).astype(int)
    order = rng.permutation(n)
    learn, check = order[: n // 2], order[n // 2 :]
    votes = np.zeros((702 * 100, 2))
    np.add.at(votes, (key[learn], y[learn]), 1)
    seen = votes.sum(axis=1)[key[check]] > 0
    score = (votes[key[check]].argmax(axis=1) == y[check])[seen].mean()
    assert bayes_ceiling() - 0.012 < score < bayes_ceiling() + 0.002  # a finite sample can only lose
    assert bayes_ceiling() == pytest.approx(0.980, abs=5e-4)


def test_the_ideal_observer_reaches_the_ceiling_and_cannot_be_beaten_by_its_opposite():
    from utils.ceiling_utils import bayes_ceiling, ideal_answers

    images, labels = D.create_dataset(20_000, seed=4)
    answers = ideal_answers(images)
    assert (answers == D.causal_model(labels)).mean() == pytest.approx(bayes_ceiling(), abs=0.003)
    np.testing.assert_array_equal(answers, ideal_answers(images.transpose(0, 2, 1)))
    with pytest.raises(ValueError, match="images"):
        ideal_answers(np.eye(28)[None])


def test_the_turn_is_found():
    rng = np.random.default_rng(0)
    for c, a in zip(rng.uniform(0.3, 0.97, 200).round(2), rng.uniform(51, 201, 200)):
        flat, upright = (D.generate_ellipse(c, 0.2, a, turned) for turned in (False, True))
        assert not D.find_turn(flat[None])[0]
        assert D.find_turn(upright[None])[0] or np.array_equal(flat, upright)


@pytest.mark.parametrize("groups", [[[0]], [[1]], [[2]], [[0, 1]], [[0], [1]], [[0], [1], [2]], [[0, 1, 2]]])
def test_ceilings_of_interventions(groups):
    from utils.ceiling_utils import bayes_ceiling

    assert 0.978 <= bayes_ceiling(groups) <= 0.982
    assert bayes_ceiling(groups, (0.0, 1.0, 0.0)) == pytest.approx(1.0)


def slow_answers(variables, base, sources, coefficients, multi):
    answers = []
    for i in range(len(base)):
        z = list(base[i])
        for j, v in enumerate(variables):
            z[v] = sources[j if multi else 0][i][v]
        answers.append(float(np.matmul(np.array(z), np.array(coefficients)) > 0.6))
    return answers


@given(variable_lists, st.integers(1, 60), weights, st.booleans(), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_counterfactual_datasets_against_a_slow_one(dataset, variables, size, coefficients, multi, seed):
    images, labels = dataset
    create = create_multi_source_counterfactual_dataset if multi else create_single_source_counterfactual_dataset
    result = create(variables, images, labels, coefficients, size, return_labels=True, seed=seed)
    X_base, X_sources, y_base, y_sources, y_counterfactual, base, sources, counterfactual = result
    k = len(variables) if multi else 1
    assert X_base.shape == (size, 1, 28, 28) and X_sources.shape == (k, size, 1, 28, 28)
    assert y_base.shape == y_counterfactual.shape == (size,) and y_sources.shape == (k, size)
    assert all(t.dtype == torch.float32 for t in result[:5])
    assert y_counterfactual.tolist() == slow_answers(variables, base, sources, coefficients, multi)
    assert y_base.tolist() == slow_answers([], base, sources, coefficients, multi)
    for i in range(k):
        assert y_sources[i].tolist() == slow_answers([], sources[i], sources, coefficients, multi)
    # the images are those of the labels
    by_label = {tuple(z): images[i] for i, z in enumerate(labels)}
    for x, z in [(X_base, base), *zip(X_sources, sources)]:
        for image, label in zip(x, z):
            np.testing.assert_array_equal(image[0], by_label[tuple(label)])
    assert len(create(variables, images[:, None], labels, coefficients, size, seed=seed)) == 5


def test_sampling_follows_the_global_seed(dataset):
    drawn = []
    for _ in range(2):
        np.random.seed(11)
        drawn.append(create_single_source_counterfactual_dataset([0], *dataset, [0.4] * 3, 40)[4])
    assert torch.equal(*drawn)


@given(st.sampled_from([[[0]], [[0, 1]], [[0], [1]], [[2], [0], [1]]]), st.integers(2, 50), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_pool_draws_honest_pairs(dataset, groups, batch_size, seed):
    pool = PairPool(*dataset, groups)
    pairs = pool.draw(batch_size, np.random.default_rng(seed))
    z = pool.labels[pairs.base]
    assert len(set(pairs.base.tolist())) == batch_size
    for order in pairs.sources:
        assert sorted(order.tolist()) == list(range(batch_size))
    counterfactual = z.copy()
    for order, group in zip(pairs.sources, groups):
        counterfactual[:, group] = z[order][:, group]
    assert pairs.y_base.tolist() == D.causal_model(z).tolist()
    assert pairs.y_counterfactual.tolist() == D.causal_model(counterfactual).tolist()


IMAGES, LABELS = np.zeros((5, 28, 28)), np.full((5, 3), 0.5)


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"variables": []}, ValueError, "variables"),
        ({"variables": [0, 0]}, ValueError, "repeat"),
        ({"variables": [3]}, ValueError, "variables"),
        ({"variables": [-1]}, ValueError, "variables"),
        ({"variables": 1}, TypeError, "variables"),
        ({"variables": [0.5]}, TypeError, "variables"),
        ({"variables": "01"}, TypeError, "variables"),
        ({"coefficients": [0.4, 0.4]}, ValueError, "coefficients"),
        ({"coefficients": [0.4, 0.4, np.nan]}, ValueError, "finite"),
        ({"coefficients": [0.4, 0.4, np.inf]}, ValueError, "finite"),
        ({"coefficients": "abc"}, TypeError, "coefficients"),
        ({"labels": LABELS[:4]}, ValueError, "same length"),
        ({"labels": LABELS[:, :2]}, ValueError, "labels"),
        ({"labels": LABELS * 3}, ValueError, "labels"),
        ({"labels": LABELS * np.nan}, ValueError, "labels"),
        ({"images": IMAGES[:, :27]}, ValueError, "images"),
        ({"images": IMAGES[0]}, ValueError, "images"),
        ({"images": [1, 2]}, TypeError, "images"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, ValueError, "images"),
        ({"size": 0}, ValueError, "size"),
        ({"size": 2.0}, TypeError, "size"),
        ({"seed": "x"}, TypeError, "seed"),
        ({"seed": -1}, ValueError, "seed"),
    ],
)
@pytest.mark.parametrize(
    "create", [create_single_source_counterfactual_dataset, create_multi_source_counterfactual_dataset]
)
def test_bad_input_is_refused(create, change, error, words):
    good = {"variables": [0], "images": IMAGES, "labels": LABELS, "coefficients": [0.4] * 3, "size": 4}
    create(**good)
    with pytest.raises(error, match=words):
        create(**{**good, **change})


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: D.create_dataset(0), ValueError, "n must"),
        (lambda: D.create_dataset("5"), TypeError, "n must"),
        (lambda: D.create_dataset(True), TypeError, "n must"),
        (lambda: D.generate_ellipse(0.1, 0.5, 100), ValueError, "circularity"),
        (lambda: D.generate_ellipse(0.5, 1.0, 100), ValueError, "color"),
        (lambda: D.generate_ellipse(0.5, 0.5, np.nan), ValueError, "area"),
        (lambda: D.generate_ellipse("a", 0.5, 100), TypeError, "circularity"),
        (lambda: D.render_images(LABELS[0]), ValueError, "labels"),
        (lambda: D.render_images(LABELS, [True]), ValueError, "turned"),
        (lambda: D.causal_model(LABELS, [1]), ValueError, "coefficients"),
        (lambda: D.intervene_on_labels(LABELS, LABELS[None, :4], [[0]]), ValueError, "sources"),
        (lambda: PairPool(IMAGES, LABELS, [[0], [0]]), ValueError, "repeat"),
    ],
)
def test_bad_input_of_the_rest(call, error, words):
    with pytest.raises(error, match=words):
        call()
