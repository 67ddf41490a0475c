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
    image = np.ones((28, 28))
    for row, y in enumerate(range(-14, 14)):
        for column, x in enumerate(range(-14, 14)):
            if (x / a) ** 2 + (y / b) ** 2 <= 1:
                image[row, column] = color
    return np.rot90(image) if turned else image


def drawn_one_by_one(n):
    """The data by the definition: a loop over images, four numbers of the global stream each."""
    images, labels = [], []
    for _ in range(n):
        color = np.round(0.9 * np.random.uniform(0, 1), 2)
        circularity = np.round(np.random.uniform(0.3, 1), 2)
        area = np.round(np.random.uniform(16 * np.pi, 64 * np.pi), 2)
        images.append(painted_pixel_by_pixel(circularity, color, area, np.random.uniform(0, 1) < 0.5))
        labels.append([(circularity - 0.3) / 0.7, color / 0.9, np.round((area - 16 * np.pi) / (48 * np.pi), 2)])
    return np.array(images), np.array(labels)


def paired_one_by_one(variables, images, labels, coefficients, size, multi):
    """The pairs by the definition, after the same stream: bases, then each source; and the three kinds of answers."""
    base = np.random.choice(np.arange(len(images)), size, replace=True)
    sources = [np.random.choice(np.arange(len(images)), size, replace=True) for _ in (variables if multi else [0])]
    kept, parts = coefficients.copy(), np.zeros((len(sources), 3))
    for i, v in enumerate(variables):
        kept[v], parts[i if multi else 0, v] = 0, coefficients[v]
    total = labels[base] @ kept + np.sum([labels[s] @ part for s, part in zip(sources, parts)], axis=0)
    answers = [labels[base] @ coefficients > 0.6, np.array([labels[s] @ coefficients > 0.6 for s in sources])]
    return images[base], images[np.array(sources)], *answers, total > 0.6


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_the_same_images_pairs_and_stream_as_a_loop_over_the_definition(seed):
    n, size, weights = 400, 20_000, np.array([0.4, 0.4, 0.4])
    for multi, variables in [(False, [0, 1]), (True, [0, 1]), (True, [2, 0, 1]), (False, [2])]:
        create = create_multi_source_counterfactual_dataset if multi else create_single_source_counterfactual_dataset
        np.random.seed(seed)
        slow_images, slow_labels = drawn_one_by_one(n)
        slow_pairs = paired_one_by_one(variables, slow_images.astype(np.float32), slow_labels, weights, size, multi)
        slow_next = np.random.uniform(size=3)
        np.random.seed(seed)
        images, labels = D.create_dataset(n)
        pairs = create(variables, images, labels, weights, size=size)
        np.testing.assert_array_equal(images, slow_images.astype(np.float32))
        assert labels.dtype == np.float64 and labels.tobytes() == slow_labels.tobytes()
        for found, expected in zip(pairs, slow_pairs, strict=True):
            np.testing.assert_array_equal(found.numpy().squeeze(-3) if found.ndim > 3 else found.numpy(), expected)
        np.testing.assert_array_equal(np.random.uniform(size=3), slow_next)
    np.testing.assert_array_equal(D.create_dataset(n, seed)[0], images)
    np.random.seed(seed)
    np.testing.assert_array_equal(create([2], images, labels, size=50, seed=seed)[0],
                                  create([2], images, labels, size=50)[0])


def test_on_the_threshold_itself_the_order_of_adding_decides():
    steps = np.arange(11) / 10
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    on = grid[np.abs(grid.sum(axis=1) - 1.5) < 1e-9]
    images, weights = np.ones((len(on), 28, 28)), np.array([0.4, 0.4, 0.4])
    for multi in (False, True):
        create = create_multi_source_counterfactual_dataset if multi else create_single_source_counterfactual_dataset
        np.random.seed(1)
        expected = paired_one_by_one([0, 2], images, on, weights, 5_000, multi)
        np.testing.assert_array_equal(create([0, 2], images, on, weights, 5_000, seed=1)[4].numpy(), expected[4])


@given(circularities, colors, areas, st.booleans())
@settings(max_examples=60, deadline=None)
def test_one_ellipse_is_its_definition(circularity, color, area, turned):
    expected = painted_pixel_by_pixel(circularity, color, area, turned)
    np.testing.assert_array_equal(D.generate_ellipse(circularity, color, area, turned), expected.astype(np.float32))


@given(circularities, colors, areas, st.booleans())
@settings(max_examples=200, deadline=None)
def test_area_orientation_and_center(circularity, color, area, turned):
    ink = D.generate_ellipse(circularity, color, area, turned) < 1
    assert abs(ink.sum() - area) < 3 + 0.09 * area  # pixels whose centers lie inside; the longest lose their ends
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    height, width = len(rows), len(columns)
    assert (height >= width) if turned else (width >= height)
    if max(height, width) < 28:  # else the far end of the long axis is cut off
        assert (rows[0] + rows[-1]) / 2 == (13 if turned else 14) and (columns[0] + columns[-1]) / 2 == 14
    assert D.find_turn(ink[None] * -0.5 + 1)[0] == turned


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
    assert abs(D.find_turn(images).mean() - 0.5) < 0.01


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


def test_there_are_702_shapes_and_as_many_turned():
    from utils.ceiling_utils import shape_distribution

    distribution = shape_distribution()[0]
    assert len(distribution) == 702
    assert distribution.sum() == pytest.approx(1)
    images, labels = D.create_dataset(30000, seed=0)
    masks, turned = D.mask_table()[2], D.find_turn(images)
    every = np.concatenate([masks, np.rot90(masks, axes=(1, 2))]).reshape(-1, 784)
    assert len(np.unique(every, axis=0)) == 2 * len(masks)  # so that a turned one is taken for no other
    for some, known in ((images[~turned], every[: len(masks)]), (images[turned], every[len(masks):])):
        seen = {m.tobytes() for m in np.packbits((some < 1).reshape(len(some), -1), axis=1)}
        assert len(seen) > 500 and seen <= {m.tobytes() for m in np.packbits(known, axis=1)}


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
    again = D.render_images(labels, ~D.find_turn(images))
    same = (again < 1).sum(axis=(1, 2)) == (images < 1).sum(axis=(1, 2))  # but for the rounding of the area's label
    assert same.mean() > 0.8 and (answers == ideal_answers(again))[same].mean() > 0.999
    with pytest.raises(ValueError, match="images"):
        ideal_answers(np.eye(28)[None])


def test_the_turn_is_found():
    rng = np.random.default_rng(0)
    for c, a in zip(rng.uniform(0.3, 0.97, 200).round(2), rng.uniform(51, 201, 200)):
        flat, upright = (D.generate_ellipse(c, 0.2, a, turned) for turned in (False, True))
        assert not D.find_turn(flat[None])[0] and D.find_turn(upright[None])[0]
    images, labels = D.create_dataset(20_000, seed=3)
    turned = np.random.RandomState(3).random_sample((20_000, 4))[:, 3] < 0.5
    np.testing.assert_array_equal(D.find_turn(images), turned)
    assert not D.find_turn(np.ones((1, 28, 28)))[0]  # no ellipse at all


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


def test_several_reorderings_of_one_batch(dataset):
    pool = PairPool(*dataset, [[0], [2, 1]])
    pairs = pool.draw(20, np.random.default_rng(0), reorderings=3)
    assert pairs.base.shape == pairs.y_base.shape == (20,)
    assert pairs.sources.shape == (2, 60) and pairs.y_counterfactual.shape == (60,)
    z = pool.labels[pairs.base]
    for order in pairs.sources.view(2, 3, 20).flatten(0, 1):
        assert sorted(order.tolist()) == list(range(20))
    assert len({tuple(order) for order in pairs.sources.view(6, 20).tolist()}) == 6
    expected = np.stack([z[pairs.sources[0], 0], z[pairs.sources[1], 1], z[pairs.sources[1], 2]], axis=1)
    assert pairs.y_counterfactual.tolist() == D.causal_model(expected).tolist()


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
        (lambda: D.create_dataset(10**12), ValueError, "n must be at most .* GB"),
        (lambda: D.create_dataset(5, 2**32), ValueError, "seed must be at most 4294967295"),
        (lambda: PairPool(IMAGES, LABELS, [[0]]).draw(0, np.random.default_rng(0)), ValueError, "batch_size"),
        (lambda: PairPool(IMAGES, LABELS, [[0]]).draw(6, np.random.default_rng(0)), ValueError, "batch_size.*5"),
        (lambda: PairPool(IMAGES, LABELS, [[0]]).draw(2.5, np.random.default_rng(0)), TypeError, "batch_size"),
        (lambda: create_multi_source_counterfactual_dataset([0], IMAGES, LABELS, size=10**12), ValueError, "size.* GB"),
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


RIGHT = D.create_dataset(8, seed=0)[0]
WRONG_IMAGES = {
    "bytes": ((RIGHT * 255).astype(np.uint8), ValueError, r"\[0, 1\].*uint8.*divide them by 255"),
    "floats to 255": (RIGHT * 255, ValueError, r"\[0, 1\].*to 255: divide them by 255"),
    "centered": (RIGHT * 2 - 1, ValueError, r"\[0, 1\], got .*float32 from -0.9"),
    "one nan": (np.where(np.arange(28) == 3, np.nan, RIGHT), ValueError, "finite"),
    "infinite": (np.where(RIGHT == 1, np.inf, RIGHT), ValueError, "finite"),
    "complex": (RIGHT + 0j, TypeError, "real"),
    "words": (np.full(RIGHT.shape, "white"), TypeError, "real|tensor"),
    "28 by 27": (RIGHT[:, :, :27], ValueError, "shape"),
    "three channels": (np.repeat(RIGHT[:, None], 3, axis=1), ValueError, "shape"),
    "channels last": (RIGHT[..., None], ValueError, "shape"),
}


def doors():
    """Whatever takes images."""
    from utils.ceiling_utils import ideal_answers
    from utils.das_utils import build_intervenable, das_train, iit_predict
    from utils.explorer.view import Aligned
    from utils.explorer.widget import Explorer
    from utils.interventions.build import get_coordinates
    from utils.measure_utils import score_alignment
    from utils.model_utils import PyTorchCNN, evaluate, predict, train

    model, labels, y = PyTorchCNN(), np.full((8, 3), 0.5), torch.zeros(8)
    intervenable = build_intervenable(model, "fc1", 1)
    as_batch = lambda x: x[:, None] if np.ndim(x) == 3 else x  # noqa: E731
    return {
        "pairs": lambda x: create_single_source_counterfactual_dataset([0], x, labels),
        "several sources": lambda x: create_multi_source_counterfactual_dataset([0, 1], x, labels),
        "pool": lambda x: PairPool(x, labels, [[0]]),
        "turn": D.find_turn,
        "ideal": ideal_answers,
        "score": lambda x: score_alignment(intervenable, x, labels, [[0]], n=10, n_discriminating=0),
        "training": lambda x: train(model, as_batch(x), y, num_epochs=1),
        "prediction": lambda x: predict(model, as_batch(x)),
        "evaluation": lambda x: evaluate(model, as_batch(x), y),
        "coordinates": lambda x: get_coordinates(intervenable, as_batch(x)),
        "interchange, bases": lambda x: iit_predict(intervenable, as_batch(x), RIGHT[None, :, None]),
        "interchange, sources": lambda x: iit_predict(intervenable, RIGHT[:, None], as_batch(x)[None]),
        "DAS": lambda x: das_train(intervenable, as_batch(x), RIGHT[None, :, None], y),
        "example": lambda x: build_intervenable(model, "fc1", 1, example=as_batch(x)),
        "explorer": lambda x: Explorer({"a network": {"fc1": Aligned(build_intervenable(model, "fc1", 2), [[0]])}}, x),
    }


@pytest.mark.parametrize("wrong", WRONG_IMAGES)
def test_images_are_checked_wherever_they_enter(wrong):
    images, error, words = WRONG_IMAGES[wrong]
    for name, enter in doors().items():
        with pytest.raises(error, match=words):
            enter(images)
            pytest.fail(f"{name} took {wrong}")


def test_inverted_images_get_a_warning_and_right_ones_none(recwarn):
    for name, enter in doors().items():
        enter(RIGHT)
        assert not [w for w in recwarn if "inverted" in str(w.message)], name
        if name != "ideal":  # which sees that these are no ellipses
            with pytest.warns(UserWarning, match="look inverted: 8 of 8 have a dark ground"):
                enter(1 - RIGHT)
        recwarn.clear()
