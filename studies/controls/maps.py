"""Two alignment maps on two networks at conv3: a rotation alone, and one with coupling layers behind it."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from studies.controls.coupling import build_coupled
from studies.recipes import TEST_IMAGES, TEST_SEED, TRAIN_SEED, base_cnn
from utils.ceiling_utils import bayes_ceiling
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train, iit_predict
from utils.data_utils import causal_model, create_dataset
from utils.interventions.layers import record
from utils.interventions.rotated_space import pv
from utils.measure_utils import score_alignment
from utils.model_utils import PyTorchCNN, predict, to_answers
from utils.running.guard import evaluating

VARIABLES = ((0,), (1,), (2,))
IMAGES, PAIRS = {"train": 20_000, "test": TEST_IMAGES}, 10_000
DIRECTIONS, SIZE = 64, 16
MAPS = {"rotation": {"layers": 0}, "coupling": {"layers": 6, "hidden": 128}}
TRAINING = {"num_steps": 2400, "batch_size": 128, "reorderings": 2}
RATES = {"rotation": 1e-2, "coupling": 3e-3}
NETWORKS = ("base", "untrained")


class FromConv3(nn.Module):
    """What a ``PyTorchCNN`` does from conv3's output (b, 64, 7, 7) on: the rest stays as it is, so it runs once."""

    def __init__(self, model: PyTorchCNN) -> None:
        super().__init__()
        self.conv3, self.fc1, self.fc2 = nn.Identity(), model.fc1, model.fc2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activations to logits (b, 1)."""
        return self.fc2(F.relu(self.fc1(F.relu(self.conv3(x)).flatten(1))))


def draw_activations(model: PyTorchCNN, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What conv3 makes of n images, float32 (n, 64, 7, 7), and their labels (n, 3)."""
    images, labels = create_dataset(n, seed=seed)
    with evaluating(model):
        found = [record(model, model.conv3, X)[0] for X in torch.from_numpy(images)[:, None].split(1000)]
    return torch.cat(found).contiguous().numpy(), labels


def fit_map(
    model: nn.Module, layer: str, images: np.ndarray, labels: np.ndarray, name: str, seed: int,
    num_steps: int = TRAINING["num_steps"],
) -> pv.IntervenableModel:
    """DAS for three sources with one of ``MAPS``; the network is frozen. Inputs (n, ...), labels (n, 3)."""
    torch.manual_seed(seed)
    intervenable = build_coupled(model, layer, torch.from_numpy(images[:1000]), directions=DIRECTIONS,
                                 intervention_size=SIZE, num_sources=len(VARIABLES), **MAPS[name])
    pool = PairPool(images, labels, VARIABLES, causal_model=causal_model)
    das_train(intervenable, pool=pool, num_steps=num_steps, batch_size=TRAINING["batch_size"],
              reorderings=TRAINING["reorderings"], lr=RATES[name], seed=seed)
    return intervenable


def measure_map(intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray, n: int = PAIRS) -> dict:
    """IIA beside behavior, and the swap of each of n inputs with itself: is it answered rightly, and what changes?"""
    score = score_alignment(intervenable, images, labels, VARIABLES, n, 0, causal_model=causal_model,
                            ceiling=bayes_ceiling(VARIABLES))
    figures = {name: getattr(score, name) for name in ("iia", "flip_iia", "normalized_iia", "keep", "copy", "ceiling")}
    X, y = torch.from_numpy(images[:n]), torch.from_numpy(causal_model(labels[:n]))
    plain, itself = (to_answers(p) for p in (predict(intervenable.model, X),
                                             iit_predict(intervenable, X, X.expand(len(VARIABLES), *X.shape))))
    return figures | {"behavior": (plain == y).float().mean().item(),
                      "swapped with itself": (itself == y).float().mean().item(),
                      "changed by that": (itself != plain).float().mean().item()}


def make_network(network: str, seed: int) -> PyTorchCNN:
    """One of ``NETWORKS``."""
    torch.manual_seed(seed)
    return base_cnn(seed) if network == "base" else PyTorchCNN()


def run_map(network: str, name: str, seed: int) -> dict[str, float]:
    """One of ``MAPS`` on one of ``NETWORKS``."""
    model = make_network(network, seed)
    train, test = (draw_activations(model, IMAGES[part], at) for part, at in (("train", TRAIN_SEED),
                                                                              ("test", TEST_SEED)))
    return measure_map(fit_map(FromConv3(model), "conv3", *train, name, seed), *test)
