"""When does it appear: alignments by a short DAS on the base network as it was at some steps of its training."""
from functools import cache
from typing import Any

import numpy as np
import torch

from studies.recipes import TEST_IMAGES, TEST_SEED, TRAIN_IMAGES, TRAIN_SEED, measure_behavior
from utils.checkpoint_utils import BASE_RECIPE
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import build_intervenable, das_train
from utils.data_utils import VARIABLE_NAMES, causal_model, create_dataset
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment
from utils.model_utils import PyTorchCNN, find_device, predict, train

LAYERS = ("conv1", "conv2", "conv3")
STEPS = (0, 50, 100, 150, 200, 300, 450, 700, 1200, 2000, 3128)
DIRECTIONS, PAIRS, LOSS_IMAGES = 16, 2_000, 5_000
DAS: dict[str, Any] = {"num_steps": 100, "batch_size": 128, "reorderings": 2}


@cache
def data(train_images: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels to train on, or held-out ones."""
    return create_dataset(*((TRAIN_IMAGES, TRAIN_SEED) if train_images else (TEST_IMAGES, TEST_SEED)))


def untrained_cnn(seed: int) -> PyTorchCNN:
    """The network from which the base network of a seed starts."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return PyTorchCNN().to(find_device())


@cache
def snapshots(seed: int, recipe: tuple[tuple[str, Any], ...] = tuple(BASE_RECIPE.items())) -> dict[int, PyTorchCNN]:
    """Step -> the base network of a seed as it was before that step, for ``STEPS``; the last one is the trained one."""
    settings, model = dict(recipe), untrained_cnn(seed)
    kept: dict[int, dict] = {}
    calls = iter(range(10**9))

    def keep(module: torch.nn.Module, inputs: tuple) -> None:
        if module.training and (step := next(calls)) in STEPS:
            kept[step] = {name: value.clone() for name, value in module.state_dict().items()}

    handle = model.register_forward_pre_hook(keep)
    images, labels = create_dataset(settings["train_images"], seed=settings["train_data_seed"])
    train(model, torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels)), lr=settings["lr"],
          num_epochs=settings["num_epochs"], batch_size=settings["batch_size"], seed=seed)
    handle.remove()
    kept[STEPS[-1]] = model.state_dict()
    networks = {}
    for step in STEPS:
        networks[step] = untrained_cnn(seed).eval().requires_grad_(False)
        networks[step].load_state_dict(kept[step])
    return networks


def fit(model: PyTorchCNN, layer: str, variables: tuple[int, ...], seed: int, **training) -> pv.IntervenableModel:
    """One subspace of ``DIRECTIONS`` for some variables, fitted by DAS; the network stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        intervenable = build_intervenable(model, layer, DIRECTIONS)
    das_train(intervenable, pool=PairPool(*data(True), [variables]), seed=seed, **DAS | training)
    return intervenable


def run_course(step: int, seed: int) -> dict[str, float]:
    """Loss and behavior of the base network of a seed at a step, and what DAS finds in it."""
    model, (images, labels) = snapshots(seed)[step], data(False)
    some = images[:LOSS_IMAGES], torch.from_numpy(causal_model(labels[:LOSS_IMAGES])).float()
    loss = torch.nn.functional.binary_cross_entropy(predict(model, torch.from_numpy(some[0])[:, None]), some[1])
    figures = {"loss": loss.item(), "behavior": measure_behavior(model, images, labels)}
    for layer in LAYERS:
        for variable, name in enumerate(VARIABLE_NAMES):
            score = score_alignment(fit(model, layer, (variable,), seed), images, labels, [[variable]], PAIRS, 0)
            figures |= {f"{layer}, {name} iia": score.iia, f"{layer}, {name} normalized": score.normalized_iia}
    return figures
