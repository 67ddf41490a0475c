"""Each measure on networks whose score is known, and against a slow definition."""
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.measures import alignment as A
from utils.measures import response as R
from utils.measures.readout import correlate, probe_r2
from utils.das_utils import iit_predict
from utils.data_utils import THRESHOLD, causal_model, create_dataset, intervene_on_labels
from utils.interventions.build import build_intervenable
from utils.measure_utils import Pairs, draw_pairs, name_groups, score_alignment, score_answers, wilson_interval
from torch.nn import Linear
from utils.model_utils import PyTorchCNN

GROUPS = [[[0]], [[1]], [[0, 1]], [[0], [1]], [[0], [1], [2]], [[2], [0, 1]]]
groups_strategy = st.sampled_from(GROUPS)


def read_labels(images):
    """Color exactly, circularity and area roughly, as a function of the image alone."""
    ink = (images < 1).float()
    color = images.amin(dim=(2, 3)).reshape(-1) / 0.9
    area = ((ink.sum(dim=(1, 2, 3)) / math.pi - 16) / 48).clip(0, 1)
    squares = torch.arange(-14.0, 14.0) ** 2
    moments = torch.stack([(ink.sum(dim=d) * squares).sum(dim=(1, 2)) for d in (2, 3)])
    circularity = (((moments.amin(0) / moments.amax(0)).sqrt() - 0.3) / 0.7).clip(0, 1)
    return torch.stack([circularity, color, area], dim=1)


class CausalCNN(PyTorchCNN):
    """A network that IS the causal model: fc1 holds the three variables, rotated by ``mix``."""

    def __init__(self, mix=None):
        super().__init__()
        self.fc1, self.fc2 = Linear(3, 3, bias=False), Linear(3, 1)
        self.mix = torch.eye(3) if mix is None else mix
        with torch.no_grad():
            self.fc1.weight.copy_(self.mix)

    def forward(self, x):
        hidden = self.fc1(read_labels(x)) @ self.mix  # the inverse of an orthonormal mix
        return 1000 * (0.4 * hidden.sum(dim=1, keepdim=True) - THRESHOLD)


@pytest.fixture(scope="session")
def data():
    """Images, and as labels just what ``read_labels`` reads off them: then nothing is ambiguous."""
    images = create_dataset(3000, seed=0)[0]
    return images, read_labels(torch.from_numpy(images)[:, None]).double().numpy()


def aligned(num_sources=3, mix=None):
    """The causal network with block i on variable i."""
    intervenable = build_intervenable(CausalCNN(mix), "fc1", 1, num_sources)
    basis = (torch.eye(3) if mix is None else mix)[:, :num_sources]
    next(iter(intervenable.interventions.values())).rotate_layer.weight = basis.contiguous()
    return intervenable


@pytest.mark.parametrize("mix", [None, torch.linalg.qr(torch.tensor([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]]))[0]])
def test_the_causal_model_itself_scores_one_everywhere(data, mix):
    images, labels = data
    three = aligned(3, mix)
    score = score_alignment(three, images, labels, [[0], [1], [2]], n=1500, n_discriminating=300)
    assert (score.iia, score.flip_iia, score.stay_iia, score.balanced_iia, score.discriminating_iia) == (1,) * 5
    assert score.n_discriminating == 300 and score.n == 1500
    assert A.self_consistency(three, images, labels, [[0], [1], [2]], n=500) > 0.9  # rendering rounds the labels
    every, flips = A.cross_matrix(three, images, labels, n=1500)
    np.testing.assert_array_equal(np.diag(every), 1)
    np.testing.assert_array_equal(np.diag(flips), 1)
    assert (every[~np.eye(3, dtype=bool)] < 0.7).all() and (flips[~np.eye(3, dtype=bool)] < 0.4).all()
    table = A.cause_isolate(three, images, labels, [0, 1, 2], n=800)
    assert (table["cause"] == 1).all() and (table["isolate"] > 0.98).all()
    np.testing.assert_allclose(table["disentangle"], (table["cause"] + table["isolate"]) / 2)
    complement = A.complement_iia(three, images, labels, [0, 1, 2], n=500)
    assert complement["iia"] == 1 and math.isnan(complement["flip_iia"])
    assert A.complement_iia(aligned(2, mix), images, labels, [0, 1], n=500)["flip_iia"] == 1
    assert len(A.unaligned_effects(three, images, labels)) == 0
    for variable in range(3):
        causal, network, share = R.dose_response(three, images, labels, variable, variable, n=100)
        np.testing.assert_allclose(network, causal, atol=0.01)
        assert share == 1 and len(causal) == 100


def test_a_left_out_variable_is_seen_as_an_unaligned_effect(data):
    images, labels = data
    effects = A.unaligned_effects(aligned(2), images, labels, n=500)
    assert effects.shape == (1,) and effects[0] > 0.2  # area is the one direction that is left


def test_blocks_in_the_wrong_order_do_the_wrong_work(data):
    images, labels = data
    every, flips = A.cross_matrix(aligned(3, torch.eye(3)[:, [1, 2, 0]]), images, labels, n=1000)
    assert np.argmax(flips, axis=1).tolist() == [0, 1, 2]  # the mix is undone by the network itself
    shuffled = aligned(3)
    next(iter(shuffled.interventions.values())).rotate_layer.weight = torch.eye(3)[:, [1, 2, 0]].contiguous()
    assert np.argmax(A.cross_matrix(shuffled, images, labels, n=1000)[1], axis=1).tolist() == [1, 2, 0]
    assert (A.cause_isolate(shuffled, images, labels, [0, 1, 2], n=500)["cause"] < 0.4).all()
    assert (A.cause_isolate(shuffled, images, labels, [1, 2, 0], n=500)["cause"] == 1).all()


@given(groups_strategy, st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_known_strategies_score_their_baselines(data, groups, seed):
    pairs = draw_pairs(data[1], groups, 2000, seed=seed)
    perfect = score_answers(pairs.y_counterfactual, pairs, groups)
    assert perfect.iia == perfect.flip_iia == perfect.stay_iia == 1 and perfect.normalized_iia > 1
    ignoring = score_answers(pairs.y_base, pairs, groups)
    assert ignoring.iia == pytest.approx(ignoring.keep) and ignoring.flip_iia == 0 and ignoring.stay_iia == 1
    assert ignoring.balanced_iia == 0.5 and ignoring.normalized_iia <= 1e-9
    copying = [score_answers(y, pairs, groups) for y in pairs.y_sources]
    assert max(c.iia for c in copying) == pytest.approx(copying[0].copy)
    opposite = score_answers(1 - pairs.y_counterfactual, pairs, groups)
    assert opposite.iia == 0


@given(groups_strategy, st.integers(1, 300), st.floats(0, 1), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_scores_against_a_slow_definition(data, groups, n, noise, seed):
    pairs = draw_pairs(data[1], groups, n, seed=seed)
    rng = np.random.default_rng(seed)
    answers = np.where(rng.uniform(size=n) < noise, rng.integers(0, 2, n), pairs.y_counterfactual)
    score = score_answers(answers, pairs, groups)
    right, flips = [], []
    for i in range(n):
        z = data[1][pairs.base[i]].copy()
        for source, group in zip(pairs.sources, groups):
            for v in group:
                z[v] = data[1][source[i]][v]
        target = float(causal_model(z))
        right.append(answers[i] == target)
        flips.append(target != float(causal_model(data[1][pairs.base[i]])))
    right, flips = np.array(right), np.array(flips)
    assert score.iia == pytest.approx(right.mean())
    assert score.n_flip == flips.sum() and score.keep == pytest.approx(1 - flips.mean())
    for share, chosen in [(score.flip_iia, flips), (score.stay_iia, ~flips)]:
        assert (share == pytest.approx(right[chosen].mean())) if chosen.any() else math.isnan(share)
    assert 0 <= score.low <= score.iia + 1e-9 and score.iia - 1e-9 <= score.high <= 1
    assert score.majority >= 0.5 and score.ceiling > 0.97
    best = max(score.keep, score.copy, score.majority)
    if score.ceiling > best:
        assert score.normalized_iia == pytest.approx((score.iia - best) / (score.ceiling - best))
    assert str(score.n) in str(score).replace(",", "") and name_groups(groups) in str(score)
    assert score.as_dict()["iia"] == score.iia


@pytest.mark.parametrize("groups", GROUPS)
def test_discriminating_pairs_differ_from_all(data, groups):
    pairs = draw_pairs(data[1], groups, 500, discriminating=True, seed=0)
    assert len(pairs.base) == 500 and pairs.sources.shape == (len(groups), 500)
    assert (pairs.y_counterfactual != pairs.y_base).all() and (pairs.y_counterfactual != pairs.y_sources).all()
    z = intervene_on_labels(data[1][pairs.base], data[1][pairs.sources], groups)
    np.testing.assert_array_equal(causal_model(z), pairs.y_counterfactual)


def test_pairs_that_do_not_exist_are_not_waited_for():
    with pytest.raises(ValueError, match="too rare"):
        draw_pairs(np.full((10, 3), 0.5), [[0]], 10, discriminating=True)
    with pytest.raises(ValueError, match="too rare"):
        A.draw_isolating_pairs(np.full((10, 3), 0.5), 0, 10)


@pytest.mark.parametrize("variable", [0, 1, 2])
def test_isolating_pairs_agree_on_one_variable_only(data, variable):
    base, source = A.draw_isolating_pairs(data[1], variable, 400)
    gap = np.abs(data[1][base] - data[1][source])
    others = [v for v in range(3) if v != variable]
    assert len(base) == len(source) == 400
    assert gap[:, variable].max() <= 0.01 + 1e-12 and gap[:, others].min() >= 0.1


def test_reordering_blocks_and_variables_together_changes_nothing(data):
    images, labels = data
    straight = score_alignment(aligned(3), images, labels, [[0], [1], [2]], n=500, n_discriminating=0)
    turned = aligned(3)
    next(iter(turned.interventions.values())).rotate_layer.weight = torch.eye(3)[:, [2, 0, 1]].contiguous()
    assert straight.iia == score_alignment(turned, images, labels, [[2], [0], [1]], n=500, n_discriminating=0).iia == 1


@pytest.mark.parametrize("share, n", [(0.0, 10), (1.0, 10), (0.83, 1000), (0.5, 1)])
def test_intervals(share, n):
    low, high = wilson_interval(share, n)
    assert -1e-9 <= low <= share <= high + 1e-9 <= 1 + 1e-8
    if n == 1000:
        assert high - low == pytest.approx(2 * 0.0233, abs=0.001)


def test_bad_input_of_the_measures(data):
    images, labels = data
    pairs = draw_pairs(labels, [[0]], 10)
    with pytest.raises(ValueError, match="answers"):
        score_answers(np.zeros(9), pairs, [[0]])
    with pytest.raises(ValueError, match="same length"):
        score_alignment(aligned(1), images[:5], labels, [[0]])
    with pytest.raises(ValueError, match="n must"):
        draw_pairs(labels, [[0]], 0)
    with pytest.raises(ValueError, match="repeat"):
        A.cause_isolate(aligned(3), images, labels, [0, 0, 1])


def test_an_interval_holds_its_share_also_at_the_ends():
    assert all(low <= share <= high for share in (0.0, 1.0) for n in range(1, 5_000)
               for low, high in [wilson_interval(share, n)])


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "fc1"])
@pytest.mark.parametrize("num_sources", [1, 3])
def test_an_image_swapped_with_itself_is_answered_alike_to_the_bit(data, layer, num_sources):
    torch.manual_seed(3)
    intervenable = build_intervenable(PyTorchCNN(), layer, 1, num_sources)
    score = score_alignment(intervenable, *data, [[0], [1], [2]][:num_sources], n=300, n_discriminating=0)
    assert score.self_change == 0 and score.n_certified == 256
    rotated = next(iter(intervenable.interventions.values()))
    activations = torch.randn(40, rotated.neurons)
    rows = torch.arange(40)[None].repeat(num_sources, 1)
    assert torch.equal(rotated(activations, activations, [[0]] * 40), activations)
    assert torch.equal(rotated.swap(activations, rows, [[i] for i in range(num_sources)]), activations)


def test_the_share_of_changed_answers_is_the_models(data):
    images, labels = data
    pairs = draw_pairs(labels, [[0], [1]], 400, seed=0)
    score = score_alignment(aligned(2), images, labels, [[0], [1]], n=400, n_discriminating=0)
    assert score.changed == pytest.approx((pairs.y_counterfactual != pairs.y_base)[:256].mean()) and score.changed > 0.1


class Shift(torch.nn.Module):
    """An intervention that changes its base whatever comes from the source."""

    def forward(self, base, source, subspaces=None):
        return base - 0.2


class Replace(torch.nn.Module):
    """An intervention that knows no blocks and swaps all there is."""

    def forward(self, base, source, subspaces=None):
        return source.clone()


class Keep(torch.nn.Module):
    """An intervention that does nothing."""

    def forward(self, base, source, subspaces=None):
        return base.clone()


@pytest.mark.parametrize("kind, message", [(Keep, "leave it as it is"), (Replace, "replaces all of it"),
                                           (Shift, "swapped with itself, off by")])
def test_an_intervention_that_does_nothing_or_everything_is_refused(data, kind, message):
    intervenable = aligned(3)
    first = next(iter(intervenable.interventions.values()))
    broken = kind()
    for name in ("subspace_partition", "keep_last_dim", "is_source_constant"):
        setattr(broken, name, getattr(first, name, False))
    for key in intervenable.interventions:
        intervenable.interventions[key] = broken
    with pytest.raises(ValueError, match=message):
        score_alignment(intervenable, *data, [[0], [1], [2]], n=50, n_discriminating=0)
    assert not broken._forward_hooks


def test_swaps_that_name_no_block_are_refused_and_a_swap_of_everything_can_be_asked_for(data):
    with pytest.raises(ValueError, match="do they name a block"):
        score_alignment(aligned(2), *data, [[0], [1]], n=50, n_discriminating=0, subspaces=[[], []])
    everything = score_alignment(aligned(3), *data, [[0], [1], [2]], n=50, n_discriminating=0,
                                 subspaces=[[0, 1, 2]] * 3)
    assert everything.iia < 1 and everything.self_change == 0
    whole = build_intervenable(CausalCNN(), "fc1", 3)
    assert score_alignment(whole, *data, [[0, 1, 2]], n=50, n_discriminating=0).iia == 1
    same = [np.repeat(part[:1], 20, axis=0) for part in data]
    assert score_alignment(aligned(1), *same, [[0]], n=30, n_discriminating=0).changed == 0


def test_the_certificate_moves_no_stream_and_keeps_the_figures(data):
    """Answers are those to pairs drawn as ever."""
    images, labels = data
    torch.manual_seed(5)
    intervenable = build_intervenable(PyTorchCNN(), "conv3", 4, 2)
    torch.manual_seed(6)
    state = torch.get_rng_state()
    score = score_alignment(intervenable, images, labels, [[0], [1]], n=300, n_discriminating=0, seed=9)
    assert torch.equal(state, torch.get_rng_state())
    pairs = draw_pairs(labels, [[0], [1]], 300, seed=9)
    answers = (iit_predict(intervenable, *pairs.images(images[:, None])) > 0.5).numpy()
    assert score.iia == (answers == pairs.y_counterfactual).mean()


class Weighted(CausalCNN):
    """The causal model with other weights."""

    weights = (0.9, 0.3, 0.1)

    def forward(self, x):
        return 1000 * (self.fc1(read_labels(x)) @ torch.tensor(self.weights)[:, None] - THRESHOLD)


def test_other_weights_reach_every_measure(data):
    images, labels = data
    intervenable, one = (build_intervenable(Weighted(), "fc1", 1, k) for k in (3, 1))
    for network, k in ((intervenable, 3), (one, 1)):
        next(iter(network.interventions.values())).rotate_layer.weight = torch.eye(3)[:, :k].contiguous()
    for weights, right in ((Weighted.weights, True), ((0.4, 0.4, 0.4), False)):
        options = {"n": 600, "coefficients": weights}
        score = score_alignment(intervenable, images, labels, [[0], [1], [2]], n_discriminating=100, ceiling=1.0,
                                **options)
        found = [score.iia, score.flip_iia, score.discriminating_iia,
                 np.diag(A.cross_matrix(intervenable, images, labels, **options)[1]).min(),
                 A.cause_isolate(intervenable, images, labels, [0, 1], **options)["cause"].min(),
                 A.complement_iia(one, images, labels, [0], **options)["flip_iia"]]
        assert (np.array(found) == 1).all() == right and (right or max(found) < 0.97)
        causal, network, share = R.dose_response(intervenable, images, labels, 0, 0, n=100, coefficients=weights)
        assert (share == 1 and np.abs(network - causal).max() < 0.01) == right


@pytest.mark.parametrize("share, n", [(0.0, 7), (0.03, 33), (0.5, 1), (0.83, 1000), (1.0, 12)])
def test_an_interval_ends_where_the_share_is_1_96_deviations_away(share, n):
    for end in wilson_interval(share, n):
        assert (share - end)**2 == pytest.approx(1.96**2 * end * (1 - end) / n, abs=1e-12)
    low, high = wilson_interval(share, n)
    assert low < high and math.isnan(wilson_interval(0.5, 0)[0]) and math.isnan(wilson_interval(0.5, 0)[1])


def test_a_row_of_a_score_by_hand():
    pairs = Pairs(base=np.arange(8), sources=np.array([np.arange(8), np.arange(8)]),
                  y_base=np.array([0.0, 0, 0, 0, 1, 1, 1, 1]),
                  y_sources=np.array([[1.0, 1, 0, 0, 0, 0, 0, 1], [1.0] * 8]),
                  y_counterfactual=np.array([1.0, 1, 1, 0, 0, 0, 1, 1]))
    rare = np.array([1, 0, 1]), Pairs(np.arange(3), np.zeros((1, 3)), np.ones(3), np.ones((1, 3)), np.array([1, 1, 1]))
    score = score_answers([1, 0, 1, 0, 0, 1, 1, 0], pairs, [[0], [2]], discriminating=rare, ceiling=0.95)
    low, high = wilson_interval(5 / 8, 8)
    assert score.as_dict() == pytest.approx({
        "variables": "{circularity} | {area}", "iia": 5 / 8, "low": low, "high": high, "flip_iia": 3 / 5,
        "stay_iia": 2 / 3, "balanced_iia": (3 / 5 + 2 / 3) / 2, "discriminating_iia": 2 / 3,
        "normalized_iia": (5 / 8 - 6 / 8) / (0.95 - 6 / 8), "keep": 3 / 8, "copy": 6 / 8, "majority": 5 / 8,
        "ceiling": 0.95, "n": 8, "n_flip": 5, "n_discriminating": 3, "changed": math.nan, "self_change": math.nan,
        "n_certified": 0}, nan_ok=True)
    assert math.isnan(score_answers(np.zeros(8), pairs, [[0], [2]], ceiling=0.75).normalized_iia)
    assert math.isnan(score_answers(np.zeros(8), pairs, [[0], [2]], ceiling=1.0).discriminating_iia)
    named = score_answers(np.zeros(8), pairs, [[0], [1]], ceiling=1.0, names=["wide", "tall"])
    assert named.variables == "{wide} | {tall}"


def test_a_linear_probe_by_hand():
    x = np.random.default_rng(0).normal(size=(60, 2))
    target = 3 * x[:, 0] - x[:, 1] + 7
    assert probe_r2(x, target) == pytest.approx(1)
    other = target.copy()
    other[30:] += np.linspace(-1, 1, 30)  # the first half is fitted, the second is measured
    assert probe_r2(x, other) == pytest.approx(1 - (np.linspace(-1, 1, 30)**2).mean() / other[30:].var())
    assert probe_r2(np.zeros((5, 1)), [1, 3, 2, 6, 4]) == pytest.approx(1 - (0 + 16 + 4) / (4 + 4 + 0))  # guesses 2
    assert probe_r2(np.zeros((4, 1)), np.array([1, 3, 1, 3])) == pytest.approx(0)
    half = np.float16(target * 100)
    assert probe_r2(np.float16(x), half) == probe_r2(np.float16(x).astype(float), half.astype(float))
    for wrong in (x[:3], x[:, 0], x[:, :, None]):
        with pytest.raises(ValueError):
            probe_r2(wrong, target)
    with pytest.raises(ValueError):
        probe_r2(x, target[:, None])


def test_correlations_by_hand():
    x, z = np.random.default_rng(0).normal(size=(2, 50, 3))
    found = correlate(x[:, :2], z)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            assert found[i, j] == pytest.approx(np.corrcoef(x[:, i], z[:, j])[0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = correlate(np.ones((50, 1)), z)
    assert np.isnan(constant).all()


def test_crossings_by_hand():
    dose = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    values = np.array([[-1.0, -3, 1, 2, -1, 1], [3, -1, 2, 1, -1, 0], [1, 1, 1, 1, -1, 2], [1, 1, -3, 1, -1, 2],
                       [1, 1, 4, 1, 2, 2]])
    crosses, at = R._find_crossing(values, dose)
    assert crosses.tolist() == [True, True, True, False, True, True]
    assert at[crosses] == pytest.approx([0.0625, 0.375, 0.5625, 0.75 + 0.25 / 3, 0.25])


def test_slopes_by_hand():
    x = np.array([0.0, 1, 2, 3])
    assert R.slope_and_correlation(x, 5 - 2 * x) == pytest.approx((-2, -1))
    slope, r = R.slope_and_correlation(x, np.array([0.0, 1, 0, 1]))
    assert slope == pytest.approx(0.2) and r == pytest.approx(np.corrcoef(x, [0, 1, 0, 1])[0, 1])
    assert R.slope_and_correlation(x[:3], x[:3]) == pytest.approx((1, 1))
    assert all(math.isnan(value) for value in R.slope_and_correlation(x[:2], x[:2]))


def test_pairs_take_one_draw_of_the_stream_and_no_more(data):
    found, expected = np.random.default_rng(3), np.random.default_rng(3)
    pairs = draw_pairs(data[1], [[0], [1]], 7, seed=found)
    index = expected.choice(len(data[1]), size=(3, 7))
    np.testing.assert_array_equal([pairs.base, *pairs.sources], index)
    assert found.random() == expected.random()


def test_unaligned_effects_need_pairs_that_differ_and_one_is_enough(data):
    images, labels = data
    assert A.unaligned_effects(aligned(2), images, labels, n=1, seed=1).shape == (1,)
    with pytest.raises(ValueError, match="^labels must hold inputs to which the causal model answers differently"):
        A.unaligned_effects(aligned(2), images[:1], labels[:1], n=5)


def test_the_seed_decides_the_isolating_pairs(data):
    first, again, other = (A.draw_isolating_pairs(data[1], 0, 50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
