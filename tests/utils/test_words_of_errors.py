"""The first words of an error are the name of the argument, spelled as the caller spells it, and what it must be."""
import math

import numpy as np
import pytest
import torch
from own_networks import Mlp, equality

from utils import data_utils as D
from utils import model_utils as M
from utils.counterfactual_data_utils import (PairPool, create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)
from utils.das_utils import das_train, iit_evaluate, iit_predict, iit_train
from utils.interventions.build import build_intervenable, get_coordinates, own_subspaces, validate_intervenable
from utils.interventions.checkpoints import save_intervenable, shipped_path
from utils.measure_utils import draw_pairs, score_alignment, score_answers
from utils.measures import alignment as A
from utils.measures import response as R
from utils.measures.readout import correlate, probe_r2

IMAGES, LABELS = D.create_dataset(8, seed=0)
X, Y = torch.from_numpy(IMAGES)[:, None], torch.from_numpy(D.causal_model(LABELS))
S = X.flip(0)[None]
PAIRS = draw_pairs(LABELS, [[0]], 5)


def model():
    torch.manual_seed(0)
    return M.PyTorchCNN()


def aligned(directions=1, num_sources=1):
    return build_intervenable(model(), "fc1", directions, num_sources)


def pool():
    return PairPool(IMAGES, LABELS, [[0]])


def own():
    """A network with three answers, wrapped; inputs (8, 16) and values (8, 2)."""
    X, z = equality(8)
    torch.manual_seed(0)
    return build_intervenable(Mlp(answers=3), "l2", 1, example=X[:2]), X, z


def yes_or_no():
    return build_intervenable(Mlp(), "l2", 1, example=equality(2)[0])


CALLS = {
    "train lr": (lambda: M.train(model(), X, Y, lr=0), "lr must lie in (0"),
    "train num_epochs": (lambda: M.train(model(), X, Y, num_epochs=0), "num_epochs must be at least 1"),
    "train batch_size": (lambda: M.train(model(), X, Y, batch_size=0), "batch_size must be at least 1"),
    "train seed": (lambda: M.train(model(), X, Y, seed=-1), "seed must be at least 0"),
    "train X": (lambda: M.train(model(), X[:, 0], Y), "X must have shape (n, 1, 28, 28)"),
    "train y": (lambda: M.train(model(), X, Y[:4]), "y must hold one label for each of 8 inputs, got shape (4,)"),
    "train y 2": (lambda: M.train(model(), X, Y + 1), "y must hold only whole numbers from 0 to 1, got 2"),
    "predict batch_size": (lambda: M.predict(model(), X, 0), "batch_size must be at least 1"),
    "predict X": (lambda: M.predict(model(), [1]), "X must be a tensor, got list"),
    "targets": (lambda: M.validate_targets([1], 1), "y must be a tensor, got list"),
    "logits": (lambda: M.read_logits((1,), 1), "model must return a tensor of logits, got tuple: wrap it in a module "
                                               "whose forward picks the logits out"),
    "loss": (lambda: M.answer_loss(torch.zeros(2), torch.tensor([0, 2])), "y must hold only answers that the network"),
    "probabilities": (lambda: M.to_probabilities(torch.tensor([math.nan])), "model must answer with numbers, got nan"),
    "layer": (lambda: M.validate_layer("fc2"), "layer must be one of ['conv1', 'conv2', 'conv3', 'fc1'], got 'fc2'"),
    "device": (lambda: M.find_device("nonsense"), "device 'nonsense' does not work here ("),
    "no image": (lambda: PairPool(IMAGES[:0], LABELS[:0], [[0]]), "images must hold at least one image, got 0"),
    "lengths": (lambda: PairPool(IMAGES[:2], LABELS, [[0]]), "images and labels must have the same length, got 2 and"),
    "one label": (lambda: PairPool(IMAGES, LABELS[0], [[0]]), "labels must have shape (n, 3), got (3,)"),
    "draw": (lambda: pool().draw(0, np.random.default_rng(0)), "batch_size must be at least 1"),
    "too large a draw": (lambda: pool().draw(9, np.random.default_rng(0)), "batch_size must be at most 8, got 9"),
    "single size": (lambda: create_single_source_counterfactual_dataset([0], IMAGES, LABELS, size=0),
                    "size must be at least 1"),
    "multi size": (lambda: create_multi_source_counterfactual_dataset([0], IMAGES, LABELS, size=10**13),
                   "size must be at most"),
    "seed": (lambda: D.random_state(-1), "seed must be at least 0"),
    "greatest seed": (lambda: D.random_state(2**32), "seed must be at most 4294967295"),
    "n images": (lambda: D.create_dataset(0), "n must be at least 1"),
    "too many images": (lambda: D.create_dataset(10**13), "n must be at most"),
    "circularity": (lambda: D.generate_ellipse(1.1, 0.5, 100), "circularity must lie in [0.295, 1.005]"),
    "color": (lambda: D.generate_ellipse(0.5, -0.1, 100), "color must lie in [0.0, 0.905]"),
    "area": (lambda: D.generate_ellipse(0.5, 0.5, 300), "area must lie in [50.26"),
    "rendered": (lambda: D.render_images(LABELS[0]), "labels must have shape (n, 3), got (3,)"),
    "turned": (lambda: D.render_images(LABELS, [True]), "turned must be one bool or have shape (8,), got (1,)"),
    "base": (lambda: D.intervene_on_labels(LABELS[0], LABELS[None], [[0]]), "base must have shape (n, variables)"),
    "sources": (lambda: D.intervene_on_labels(LABELS, LABELS[0], [[0]]), "sources must have shape (n, variables)"),
    "sources of 3": (lambda: D.intervene_on_labels(LABELS, LABELS, [[0]]),
                     "sources must have shape (1, n, v) for base"),
    "coordinates": (lambda: correlate(LABELS[:4], LABELS), "coordinates must have shape (8, k), got (4, 3)"),
    "values": (lambda: probe_r2(LABELS[:3], LABELS[:3, 0]),
               "values must have shape (n,) with n of at least 4, got (3,)"),
    "n pairs": (lambda: draw_pairs(LABELS, [[0]], 0), "n must be at least 1"),
    "rare": (lambda: draw_pairs(LABELS[:1], [[0]], 2, discriminating=True),
             "discriminating pairs are too rare: found 0 of n = 2"),
    "answers": (lambda: score_answers(np.zeros(4), PAIRS, [[0]]), "answers must have shape (5,), got (4,)"),
    "size of the intervention": (lambda: aligned(0), "intervention_size must be at least 1"),
    "number of sources": (lambda: aligned(1, 0), "num_sources must be at least 1"),
    "too many directions": (lambda: aligned(2, 2), "intervention_size * num_sources must be at most 3, the neurons of"),
    "example": (lambda: build_intervenable(Mlp(), "l2", 1), "example must hold a few inputs of the network, to find"),
    "compiled": (lambda: build_intervenable(torch.compile(model()), "fc1", 1, example=X),
                 "model must not be compiled, as a compiled network may not see what is done at a layer: give the one"),
    "no pyvene model": (lambda: validate_intervenable(model()), "intervenable must be a pyvene IntervenableModel, got "
                                                                "PyTorchCNN"),
    "coordinates batch_size": (lambda: get_coordinates(aligned(), X, 0), "batch_size must be at least 1"),
    "saved": (lambda: save_intervenable(model(), "x.pth", [[0]], {}),
              "intervenable must be a pyvene IntervenableModel, got PyTorchCNN"),
    "saved provenance": (lambda: save_intervenable(aligned(), "x.pth", [[0]], []),
                         "provenance must be a dict, got list"),
    "saved groups": (lambda: save_intervenable(aligned(), "x.pth", [[0], [1]], {}),
                     "groups must name the variables of 1 interventions, got 2"),
    "shipped": (lambda: shipped_path("four"), "name must be one of ('single',"),
    "predict batch_size 0": (lambda: iit_predict(aligned(), X, S, 0), "batch_size must be at least 1"),
    "predict X_base": (lambda: iit_predict(aligned(), "X", S), "X_base must be a tensor, got str"),
    "predict X_sources": (lambda: iit_predict(aligned(), X, "S"), "X_sources must be a tensor, got str"),
    "sources that are no images": (lambda: iit_predict(aligned(), X, S * 2), "X_sources must lie in [0, 1]"),
    "shape of sources": (lambda: iit_predict(aligned(), X, S[0]),
                         "X_sources must have shape (1, 8, 1, 28, 28), the same length as X_base for each of the "),
    "subspaces": (lambda: iit_predict(aligned(), X, S, subspaces=[]),
                  "subspaces must be a list with an entry for each"),
    "subspaces of pairs": (lambda: iit_predict(aligned(), X, S, subspaces=[[[0]]]),
                           "subspaces must name the blocks of"),
    "evaluate y": (lambda: iit_evaluate(aligned(), X, S, Y[:4]), "y_counterfactual must hold one label for each of 8"),
    "iit y": (lambda: iit_train(aligned(), X, S, Y + 1), "y_counterfactual must hold only whole numbers from 0 to 1"),
    "iit y_base": (lambda: iit_train(aligned(), X, S, Y, y_base=Y[:4]), "y_base must hold one label for each of 8"),
    "no y_base": (lambda: iit_train(aligned(), X, S, Y, behavior_weight=1.0), "behavior_weight above 0 needs y_base"),
    "pairs and a pool": (lambda: iit_train(aligned(), X, pool=pool(), num_steps=1), "pool draws the pairs itself"),
    "no pool": (lambda: das_train(aligned(), pool=3, num_steps=1), "pool must be a PairPool, got int"),
    "sources of a pool": (lambda: das_train(aligned(1, 2), pool=pool(), num_steps=1),
                          "pool has 1 sources, the model 2 "),
    "answers of a pool": (lambda: das_train(yes_or_no(), pool=PairPool(*equality(8), [[0]], causal_model=lambda z:
                                                                       z.sum(axis=1)), num_steps=1, batch_size=2),
                          "pool's causal model gives 3 answers, of which the network has 2"),
    "images of a pool": (lambda: das_train(aligned(), pool=PairPool(*equality(8), [[0]], causal_model=lambda z:
                                                                    z[:, 0]), num_steps=1, batch_size=2),
                         "pool's images must have shape (n, 1, 28, 28)"),
    "inputs of a pool": (lambda: das_train(yes_or_no(), pool=PairPool(equality(8)[0][:, :9], equality(8)[1], [[0]],
                                                                      causal_model=lambda z: z[:, 0]), num_steps=1,
                                           batch_size=2), "pool's images must hold inputs that the network takes, got"),
    "steps of pairs": (lambda: das_train(aligned(), X, S, Y, num_steps=1), "num_steps and reorderings go with a pool"),
    "steps": (lambda: das_train(aligned(), pool=pool()), "num_steps must be an integer, got NoneType"),
    "large batches": (lambda: das_train(aligned(), pool=pool(), num_steps=1),
                      "batch_size must be at most the pool's 8"),
    "pool's subspaces": (lambda: das_train(aligned(), pool=pool(), num_steps=1, batch_size=4, subspaces=[[[0]] * 4]),
                         "subspaces belong to given pairs"),
    "das epochs": (lambda: das_train(aligned(), X, S, Y, num_epochs=0), "num_epochs must be at least 1"),
    "das batch_size": (lambda: das_train(aligned(), X, S, Y, batch_size=0), "batch_size must be at least 1"),
    "das seed": (lambda: das_train(aligned(), X, S, Y, seed=-1), "seed must be at least 0"),
    "das lr": (lambda: das_train(aligned(), X, S, Y, lr=0), "lr must lie in (0, 1e+30]"),
    "das schedule": (lambda: das_train(aligned(), X, S, Y, schedule="no"), "schedule must be one of ('constant', "),
    "das reorderings": (lambda: das_train(aligned(), pool=pool(), num_steps=1, reorderings=0),
                        "reorderings must be at"),
    "behavior": (lambda: iit_train(aligned(), X, S, Y, behavior_weight=-1), "behavior_weight must lie in [0.0, inf]"),
    "score": (lambda: score_alignment(aligned(), IMAGES[:2], LABELS, [[0]]), "images and labels must have the same"),
    "blocks": (lambda: A.cause_isolate(aligned(), IMAGES, LABELS, [0, 1]),
               "variables must name one for each of 1 blocks"),
    "units": (lambda: A.unaligned_effects(aligned(), IMAGES, LABELS, units=0), "units must be at least 1"),
    "render": (lambda: A.self_consistency(*own(), [[0]], causal_model=lambda z: z[:, 0]),
               "render must make the inputs that a causal_model's labels describe, got None"),
    "dose of three answers": (lambda: R.dose_response(*own(), 0, 0, causal_model=lambda z: z[:, 0]),
                              "intervenable must answer yes or no, its network chooses from 3 answers"),
    "no dose": (lambda: R.dose_response(aligned(), IMAGES[:1], LABELS[:1], 0, 0, n=4),
                "variable must be one that changes the causal model's answer, 0 never does"),
}


@pytest.mark.parametrize("call, words", CALLS.values(), ids=CALLS)
def test_an_error_begins_with_the_argument(call, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(words)


def test_blocks_that_are_missing_are_named():
    intervenable = aligned(1, 2)
    next(iter(intervenable.interventions.values())).subspace_partition = [[0]]
    with pytest.raises(ValueError, match="^intervention .* needs block 1, but its subspace_partition has 1$"):
        own_subspaces(intervenable, 4)
