"""Wrong networks, layers, inputs and causal models are refused with a message that says what is wrong, before
anything has changed."""
import copy
import warnings

import numpy as np
import pytest
import torch
from own_networks import Encoder, Mlp, count, ids, numbers, same, state, unchanged
from torch import nn
from transformers.modeling_outputs import ImageClassifierOutput

from utils.counterfactual_data_utils import (PairPool, create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)
from utils.das_utils import (build_intervenable, das_train, get_coordinates, iit_evaluate, iit_predict, iit_train)
from utils.interventions.build import get_intervention
from utils.measure_utils import draw_pairs, score_alignment
from utils.measures.alignment import cause_isolate, cross_matrix, self_consistency, unaligned_effects
from utils.measures.response import dose_response
from utils.model_utils import evaluate, predict, train

N = 12
X, Z = numbers(16)(N).numpy(), np.array([[0, 1], [1, 1], [0, 0]] * 4)
IDS = ids(N)


class Returns(nn.Module):
    """A network whose logits come in something."""

    def __init__(self, wrap):
        super().__init__()
        self.l2, self.wrap = nn.Linear(16, 3), wrap

    def forward(self, x):
        return self.wrap(self.l2(x))


class Parts(nn.Module):
    """A network with layers that cannot be aligned."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.attend = nn.Linear(16, 8), nn.LSTM(8, 8), nn.MultiheadAttention(8, 2)
        self.turn, self.never, self.twice, self.out = nn.Identity(), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)
        self.box, self.fold, self.which = nn.Unflatten(1, (1, 2, 2, 2)), nn.Identity(), nn.Identity()

    def forward(self, x):
        h = self.embed(x)
        h = h + self.box(h).flatten(1) + self.which(h.argmax(dim=1))[:, None]
        h = h + self.turn(torch.stack([h, h, h, h])).mean(dim=0) + self.fold(h.flatten()).view(h.shape)
        h = self.twice(self.twice(self.lstm(h)[0] + self.attend(h, h, h)[0]))
        return self.out(h)


class Stars(nn.Module):
    def __init__(self):
        super().__init__()
        self.l2 = nn.Linear(16, 1)

    def forward(self, *args):
        return self.l2(args[0])


class Two(Stars):
    def forward(self, x, mask):
        return self.l2(x) * mask


class Turned(Encoder):
    """A network whose layers have the positions first."""

    def __init__(self):
        super().__init__(batch_first=False)

    def forward(self, x):
        return self.out(self.enc(self.embed(x).transpose(0, 1)).mean(dim=0))


def build(network, layer="l2", example=X[:2], size=1, num_sources=1, **options):
    return build_intervenable(network, layer, size, num_sources, example=example, **options)


# networks and layers


@pytest.mark.parametrize("network, options, error, words", [
    (Mlp, {"layer": "l22"}, ValueError, "layer must name a submodule .*'l2'.* got 'l22'"),
    (Mlp, {"layer": "l2.weight"}, ValueError, "layer must name a submodule .*'l2'.* got 'l2.weight'"),
    (Mlp, {"layer": ""}, ValueError, "layer must .*'l1'.* got ''"),
    (Mlp, {"layer": None}, ValueError, "layer must .*'l1'.* got None"),
    (Mlp, {"layer": 2}, ValueError, "layer must .* got 2"),
    (Parts, {"layer": "lstm"}, TypeError, "'lstm' must give out a tensor, it gives a tuple"),
    (Parts, {"layer": "attend"}, TypeError, "'attend' must give out a tensor, it gives a tuple"),
    (Parts, {"layer": "turn"}, ValueError, r"'turn' must give out its batch first, .* \(4, 2, 8\)"),
    (Parts, {"layer": "fold"}, ValueError, r"'fold' must give out its batch first, .* \(16,\)"),
    (Parts, {"layer": "box"}, ValueError, r"'box' must give out .*\(b, c, h, w\), it gives .* \(2, 1, 2, 2, 2\)"),
    (Parts, {"layer": "which"}, ValueError, r"'which' must give out .*numbers.*, it gives torch.int64"),
    (Parts, {"layer": "never"}, ValueError, "'never' must be called once in a pass, it is called 0 times"),
    (Parts, {"layer": "twice"}, ValueError, "'twice' must be called once in a pass, it is called 2 times"),
    (Turned, {"layer": "enc.layers.0", "example": IDS}, ValueError, r"its batch first, for 2 .* shape \(5, 2, 8\)"),
    (Encoder, {"layer": "enc.layers.0.self_attn", "example": IDS}, TypeError, "must give out a tensor"),
    (Encoder, {"layer": "enc.layers.0", "example": IDS, "position": 5}, ValueError, "position must .* 0 to 4, got 5"),
    (Encoder, {"layer": "enc.layers.0", "example": IDS, "position": -1}, ValueError, "position must .* got -1"),
    (Encoder, {"layer": "enc.layers.0", "example": IDS, "position": 1.0}, TypeError, "position must be an integer"),
    (Encoder, {"layer": "enc.layers.0", "example": IDS, "position": True}, TypeError, "position must be an integer"),
    (Encoder, {"layer": "enc.layers.0", "example": IDS, "position": 1, "size": 9}, ValueError, "at most 8, the neur"),
    (Encoder, {"layer": "out", "example": IDS, "position": 0}, ValueError, r"position goes with .* gives \(3, 1\)"),
    (Mlp, {"size": 3, "num_sources": 3}, ValueError, "intervention_size .* at most 6, the neurons of l2, got 9"),
    (lambda: Returns(lambda y: (y, y)), {}, TypeError, "model must return a tensor of logits, got tuple"),
    (lambda: Returns(lambda y: {"logits": y}), {}, TypeError, "model must return a tensor of logits, got dict"),
    (lambda: Returns(ImageClassifierOutput), {}, TypeError, "model must .* got ImageClassifierOutput: wrap it"),
    (lambda: Returns(lambda y: y[None]), {}, ValueError, r"model must return logits \(b,\), .* \(1, 2, 3\)"),
    (lambda: Returns(lambda y: y.flatten()), {}, ValueError, r"model must .* got shape \(6,\) for 2 inputs"),
    (lambda: Returns(lambda y: y.sum()), {}, ValueError, r"model must return logits .* \(\)"),
    (lambda: Returns(lambda y: y[:, :0]), {}, ValueError, r"model must return logits .* \(2, 0\)"),
    (Stars, {}, ValueError, r"model must have a forward whose first argument has a name"),
    (Two, {}, ValueError, "example must hold inputs that the network takes, .*: .*mask"),
    (lambda: "network", {}, TypeError, "model must be a torch module, got str"),
    (Mlp, {"example": None}, ValueError, "example must hold a few inputs .* got None"),
    (Mlp, {"example": X[:2].tolist()}, TypeError, "example must be a tensor, got list"),
    (Mlp, {"example": X[:0]}, ValueError, r"example must have shape \(n, ...\), n > 0, got \(0, 16\)"),
    (Mlp, {"example": np.float32(3)}, TypeError, "example must be a tensor, got float32"),
    (Mlp, {"example": torch.tensor(3.0)}, ValueError, r"example must have shape .* got \(\)"),
    (Mlp, {"example": X[0]}, ValueError, r"example must hold inputs .* got inputs of shape \(\)"),
    (Mlp, {"example": X[:2, :15]}, ValueError, r"example must .* \(15,\) and torch.float32: .*15"),
    (Mlp, {"example": X[:2].astype(int)}, ValueError, "example must .* and torch.int64: "),
    (Mlp, {"example": X[:2].astype(str)}, TypeError, "example must hold real numbers, got <U"),
    (Mlp, {"example": X[:2] * np.nan}, ValueError, "example must be finite"),
    (Mlp, {"example": torch.from_numpy(X[:2]) * torch.inf}, ValueError, "example must be finite"),
    (Mlp, {"example": X[:2] * 1j}, TypeError, "example must hold real numbers, got complex"),
    (Mlp, {"example": torch.from_numpy(X[:2]) * 1j}, TypeError,
     "example must be a dense tensor of real numbers, got torch.complex64"),
    (Encoder, {"layer": "embed", "example": IDS + 5}, ValueError, "example must .*: index out of range"),
    (Encoder, {"layer": "embed", "example": IDS / 2}, ValueError, "example must .* and torch.float32: "),
])
def test_what_cannot_be_aligned_is_refused(network, options, error, words):
    network = network()
    before = copy.deepcopy(network)
    if isinstance(network, nn.Module):
        network.train()
    with pytest.raises(error, match=words):
        build(network, **options)
    if isinstance(network, nn.Module):
        assert unchanged(state(before), network) and network.training and not hasattr(network, "config")
        assert all(p.requires_grad for p in network.parameters())
        assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("example", [X[:1], torch.from_numpy(X[:1]), X], ids=["one", "one, tensor", "all"])
def test_any_number_of_examples_will_do(example):
    assert get_coordinates(build(Mlp(), example=example, size=6), X).shape == (N, 6)


# causal models


def broken(z):
    raise KeyError("which")


BAD_MODELS = [
    ("same", TypeError, "causal_model must be a function .* got str"),
    (lambda z: z, ValueError, r"causal model's answers must have shape \(\d+,\), .* got \(\d+, 2\)"),
    (lambda z: z[:3, 0], ValueError, r"answers must have shape \(\d+,\), .* got \(3,\)"),
    (lambda z: z[0] == z[1], ValueError, r"answers must have shape \(\d+,\), .* got \(2,\)"),
    (lambda z: True, TypeError, "answers must be an array or tensor, got bool"),
    (lambda z: None, TypeError, "answers must be an array or tensor, got NoneType"),
    (lambda z: z[:, 0] * np.nan, ValueError, "answers must be finite"),
    (lambda z: z[:, 0] - 1, ValueError, "answers must be truth values or whole numbers from 0, got -1"),
    (lambda z: z[:, 0] / 2, ValueError, "answers must be truth values or whole numbers from 0, got 0.5"),
    (lambda z: np.where(z[:, 0] > 0, "yes", "no"), TypeError, "answers must hold real numbers, got <U3"),
    (lambda z: z[:, 0] * 1j, TypeError, "answers must hold real numbers, got complex"),
]


def every_use(causal_model):
    intervenable, kwargs = build(Mlp()), {"causal_model": causal_model}
    return [lambda: PairPool(X, Z, [[0]], **kwargs),
            lambda: create_single_source_counterfactual_dataset([0], X, Z, **kwargs),
            lambda: create_multi_source_counterfactual_dataset([0, 1], X, Z, **kwargs),
            lambda: draw_pairs(Z, [[0]], 5, **kwargs),
            lambda: score_alignment(intervenable, X, Z, [[0]], 5, **kwargs),
            lambda: cross_matrix(intervenable, X, Z, 5, **kwargs),
            lambda: self_consistency(intervenable, X, Z, [[0]], 5, render=lambda z, X: X, **kwargs),
            lambda: unaligned_effects(intervenable, X, Z, 2, 5, **kwargs),
            lambda: dose_response(intervenable, X, Z, 0, 0, 5, **kwargs)]


@pytest.mark.parametrize("causal_model, error, words", BAD_MODELS)
def test_bad_causal_models_are_refused_everywhere(causal_model, error, words):
    for call in every_use(causal_model):
        with pytest.raises(error, match=words):
            call()


def test_the_error_of_a_causal_model_comes_through_with_a_note():
    for call in every_use(broken):
        with pytest.raises(KeyError, match="which") as caught:
            call()
        assert any("came from causal_model" in note and "labels (" in note for note in caught.value.__notes__)


def test_answers_that_only_an_intervention_brings_out_are_told_at_once():
    """The inputs have z = (0, 0) and (1, 1); a third answer belongs to (0, 1), which only swapping makes."""
    z = np.array([[0, 0], [1, 1]] * 6)
    pool = PairPool(X, z, [[0], [1]], causal_model=lambda z: np.where(z[:, 0] < z[:, 1], 2, z[:, 0]))
    intervenable = build(Mlp(), num_sources=2)
    before = state(intervenable.model)
    with pytest.raises(ValueError, match="pool's causal model gives 3 answers, of which the network has 2"):
        iit_train(intervenable, pool=pool, num_steps=1, batch_size=4)
    assert unchanged(before, intervenable.model)
    with pytest.raises(ValueError, match="answers must be .* got -1"):
        PairPool(X, z, [[0], [1]], causal_model=lambda z: z[:, 0] - (z[:, 0] < z[:, 1]))


# inputs and labels


@pytest.mark.parametrize("change, error, words", [
    ({"images": X[:5]}, ValueError, "same length, got 5 and 12"),
    ({"labels": Z[:5]}, ValueError, "same length, got 12 and 5"),
    ({"images": X[:0], "labels": Z[:0]}, ValueError, "images must hold at least one input|labels must"),
    ({"labels": Z[:, 0]}, ValueError, r"labels must have shape \(n, variables\) .* got \(12,\)"),
    ({"labels": Z[:, :0]}, ValueError, r"labels must have shape \(n, variables\) .* got \(12, 0\)"),
    ({"labels": Z[None]}, ValueError, r"labels must have shape \(n, 2\), got \(1, 12, 2\)"),
    ({"labels": Z * np.nan}, ValueError, "labels must be finite"),
    ({"labels": Z * 1j}, TypeError, "labels must hold real numbers, got complex"),
    ({"labels": None}, TypeError, "labels must be an array or tensor, got NoneType"),
    ({"images": X * np.nan}, ValueError, "images must be finite"),
    ({"images": torch.from_numpy(X) * torch.nan}, ValueError, "images must be finite"),
    ({"images": X * 1j}, TypeError, "images must hold real numbers, got complex"),
    ({"images": X.astype(str)}, TypeError, "images must hold real numbers, got <U"),
    ({"images": None}, TypeError, "images must be an array or tensor, got NoneType"),
    ({"variables": [[2]]}, ValueError, r"variables must be among 0, 1, got \[2\]"),
    ({"variables": [[-1]]}, ValueError, "variables must be among 0, 1"),
    ({"variables": [[0], [0]]}, ValueError, "variables must not repeat"),
    ({"variables": [0, 1]}, TypeError, r"variables must hold a list for each source, such as \[\[0\], \[1\]\]"),
    ({"variables": []}, ValueError, "variables must name at least one"),
    ({"variables": [[]]}, ValueError, "variables must name at least one"),
    ({"variables": ["0"]}, TypeError, "variables must be a list of integers"),
])
def test_bad_pools_are_refused(change, error, words):
    good = {"images": X, "labels": Z, "variables": [[0]], "causal_model": same}
    PairPool(**good)
    with pytest.raises(error, match=words):
        PairPool(**{**good, **change})
    if "images" not in change or change["images"] is not None:
        with pytest.raises(error, match=words):
            score_alignment(build(Mlp()), n=5, **{**good, **change})


PAIRS = {"X_base": torch.from_numpy(X), "X_sources": torch.from_numpy(X[None, ::-1].copy()),
         "y_counterfactual": torch.ones(N), "y_base": torch.zeros(N)}


@pytest.mark.parametrize("change, error, words", [
    ({"X_base": X[:, :15], "X_sources": X[None, :, :15]}, ValueError, r"X_base must .* of shape \(15,\)"),
    ({"X_base": X.astype(int), "X_sources": X[None].astype(int)}, ValueError, "X_base must .* and torch.int64"),
    ({"X_base": PAIRS["X_base"] * torch.nan}, ValueError, "X_base must be finite"),
    ({"X_sources": PAIRS["X_sources"] * torch.nan}, ValueError, "X_sources must be finite"),
    ({"X_sources": PAIRS["X_sources"] * 1j}, TypeError, "X_sources must be a dense tensor of real"),
    ({"X_sources": PAIRS["X_sources"][0]}, ValueError, r"X_sources must have shape \(1, 12, 16\), .* got \(12, 16\)"),
    ({"X_sources": PAIRS["X_sources"][:, :5]}, ValueError, r"X_sources must have shape \(1, 12, 16\), the same length"),
    ({"y_counterfactual": torch.ones(N) * 2}, ValueError, "y_counterfactual must .* from 0 to 1, got 2"),
    ({"y_counterfactual": torch.ones(N) / 2}, ValueError, "y_counterfactual must .* whole numbers from 0, got 0.5"),
    ({"y_counterfactual": -torch.ones(N)}, ValueError, "y_counterfactual must .* got -1"),
    ({"y_counterfactual": torch.ones(N) * torch.nan}, ValueError, "y_counterfactual must be finite"),
    ({"y_counterfactual": np.array(["1"] * N)}, TypeError, "y_counterfactual must hold real numbers, got <U1"),
    ({"y_counterfactual": torch.ones(5)}, ValueError, r"y_counterfactual must hold one label for each of 12 .* \(5,\)"),
    ({"y_counterfactual": [1] * N}, TypeError, "y_counterfactual must be a tensor, got list"),
    ({"y_base": torch.ones(N) * 2}, ValueError, "y_base must .* from 0 to 1, got 2"),
    ({"y_base": torch.ones(5)}, ValueError, "y_base must hold one label for each of 12"),
])
def test_bad_pairs_change_nothing(change, error, words):
    intervenable = build(Mlp(), size=2)
    model, rotation = intervenable.model.train().requires_grad_(True), copy.deepcopy(get_intervention(intervenable))
    before = state(model)
    for call in (iit_train, das_train, iit_evaluate):
        options = {**PAIRS, **change}
        if call is not iit_train:
            options.pop("y_base")
        else:
            options["behavior_weight"] = 1.0
        if call is not iit_train and "y_base" in change:
            continue
        with pytest.raises(error, match=words):
            call(intervenable, **options)
        assert unchanged(before, model) and unchanged(state(rotation), get_intervention(intervenable))
        assert model.training and all(p.requires_grad for p in model.parameters())
        assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("options, network, words", [
    ({"causal_model": count}, Mlp, "pool's causal model gives 3 answers, of which the network has 2"),
    ({"causal_model": lambda z: 3 * z[:, 0]}, lambda: Mlp(answers=3), "pool's causal model gives 4 .* network has 3"),
    ({"images": X[:, :15]}, Mlp, r"pool's images must hold inputs .* of shape \(15,\)"),
    ({"images": X.astype(int)}, Mlp, "pool's images must .* and torch.int64"),
])
def test_pools_that_do_not_fit_the_network_change_nothing(options, network, words):
    intervenable = build(network())
    model = intervenable.model.train().requires_grad_(True)
    before = state(model)
    pool = PairPool(**{"images": X, "labels": Z, "variables": [[0]], "causal_model": same, **options})
    for call in (iit_train, das_train):
        with pytest.raises(ValueError, match=words):
            call(intervenable, pool=pool, num_steps=2, batch_size=4)
        assert unchanged(before, model) and model.training and all(p.requires_grad for p in model.parameters())


def test_inputs_of_another_length_than_the_example_are_refused():
    """The network takes them, the rotation does not; at one position they may be longer, but not too short."""
    intervenable, longer = build(Encoder(), "enc.layers.0", IDS[:2], 2), torch.randint(10, (N, 7))
    intervenable.model.train()
    before = state(intervenable.model)
    pool = PairPool(longer, Z, [[0]], causal_model=same)
    for call in (lambda: iit_predict(intervenable, longer, longer[None]), lambda: get_coordinates(intervenable, longer),
                 lambda: iit_train(intervenable, longer, longer[None], torch.ones(N)),
                 lambda: iit_train(intervenable, pool=pool, num_steps=1, batch_size=4)):
        with pytest.raises(ValueError, match=r"layer gives \(\d, 7, 8\), but its rotation is for 40|\(12, 7, 8\)"):
            call()
        assert unchanged(before, intervenable.model) and intervenable.model.training
    one = build(Encoder(), "enc.layers.0", IDS[:2], 2, position=3)
    assert iit_predict(one, longer, longer[None]).shape == (N,)
    with pytest.raises(ValueError, match="rotation is for 8 neurons: all inputs must have the shape of the example"):
        iit_predict(one, IDS[:, :3], IDS[None, :, :3])


@pytest.mark.parametrize("bad, error, words", [
    (X * np.nan, ValueError, "X must be finite"), (torch.from_numpy(X) * torch.nan, ValueError, "X must be finite"),
    (X * 1j, TypeError, "X must hold real numbers"),
    (torch.from_numpy(X) * 1j, TypeError, "X must be a dense tensor of real"),
    (X[:, :9], ValueError, r"X must hold inputs that the network takes, .* \(9,\)"),
    (X[:0], ValueError, "X must have shape"), (X.tolist(), TypeError, "X must be a tensor, got list"),
    (X.astype(object), TypeError, "X must hold real numbers, got object"),
])
def test_bad_inputs_change_nothing(bad, error, words):
    model = Mlp()
    before = state(model)
    for call in (lambda: train(model, bad, torch.ones(N)), lambda: predict(model, bad),
                 lambda: evaluate(model, bad, torch.ones(N)), lambda: get_coordinates(build(model), bad)):
        with pytest.raises(error, match=words):
            call()
        assert unchanged(before, model)


@pytest.mark.parametrize("answers, y, words", [
    (1, torch.full((N,), 2), "y must .* from 0 to 1, got 2"), (3, torch.full((N,), 3), "y must .* from 0 to 2, got 3"),
    (2, torch.full((N,), 2), "y must .* from 0 to 1, got 2"), (3, np.full(N, 0.5), "y must .* got 0.5"),
    (1, -np.ones(N), "y must .* got -1"), (1, np.ones(5), "y must hold one label for each of 12 inputs"),
])
def test_answers_that_a_network_cannot_give_change_nothing(answers, y, words):
    model = Mlp(answers=answers)
    before = state(model)
    for call in (train, evaluate):
        with pytest.raises(ValueError, match=words):
            call(model, X, y)
        assert unchanged(before, model) and model.training


def test_measures_say_what_they_cannot_do():
    three, two = build(Mlp(answers=3)), build(Mlp())
    kwargs = {"causal_model": lambda z: z[:, 0] > 0.5, "n": 5}
    with pytest.raises(ValueError, match="intervenable must answer yes or no, its network chooses from 3 answers"):
        dose_response(three, X, Z, 0, 0, **kwargs)
    with pytest.raises(ValueError, match="variable must be one that changes .*, 1 never does"):
        dose_response(two, X, Z, 0, 1, **kwargs)
    with pytest.raises(ValueError, match="labels must hold inputs to which the causal model answers differently"):
        unaligned_effects(two, X, np.zeros((N, 2)), **kwargs)
    with pytest.raises(ValueError, match="render must make the inputs"):
        self_consistency(two, X, Z, [[0]], **kwargs)
    with pytest.raises(ValueError, match="render must make an input for each of 5 counterfactuals, got 4"):
        self_consistency(two, X, Z, [[0]], **kwargs, render=lambda z, X: X[:4])
    with pytest.raises(ValueError, match="variables must name one for each of 1 blocks at most"):
        cause_isolate(two, X, Z, [0, 1], **kwargs)
    with pytest.raises(ValueError, match="X_base must hold inputs that the network takes"):
        score_alignment(two, X[:, :9], Z, [[0]], **kwargs)
    with warnings.catch_warnings(), pytest.raises(TypeError, match="intervenable must be a pyvene"):
        score_alignment(Mlp(), X, Z, [[0]], **kwargs)
