"""Hierarchical equality, the task of notebook 7: its objects, its causal models, and two networks that learn it.

The notebook defines the first half of this itself, word for word, since that is what a reader does for a task of their
own; a test holds both equal.
"""
import numpy as np
import torch
from torch import nn

from utils.das_utils import build_intervenable, iit_predict
from utils.measures.alignment import draw_isolating_pairs
from utils.model_utils import predict


def draw_objects(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four objects of four numbers each (n, 4, 4), and whether a = b and c = d: (n, 2)."""
    rng = np.random.default_rng(seed)
    objects = rng.uniform(-1, 1, size=(n, 4, 4)).astype(np.float32)
    equal = rng.random((n, 2)) < 0.5
    for pair in range(2):
        objects[equal[:, pair], 2 * pair + 1] = objects[equal[:, pair], 2 * pair]
    return objects, equal


def causal_model(equal: np.ndarray) -> np.ndarray:
    """Whether (a = b) equals (c = d): truth values (n, 2) to truth values (n,)."""
    return equal[:, 0] == equal[:, 1]


def rival_values(equal: np.ndarray) -> np.ndarray:
    """The rival's variables, "both pairs are equal" and "neither is": (n, 2) to (n, 2)."""
    return np.stack([equal.all(axis=1), ~equal.any(axis=1)], axis=1)


def rival_model(values: np.ndarray) -> np.ndarray:
    """Both or neither: truth values (n, 2) to truth values (n,)."""
    return values[:, 0] | values[:, 1]


def count_equal(equal: np.ndarray) -> np.ndarray:
    """How many pairs are equal: truth values (n, 2) to 0, 1 or 2."""
    return equal.sum(axis=1)


class MLP(nn.Module):
    """Four objects (b, 4, 4) to the logits (b, answers)."""

    def __init__(self, answers=1):
        super().__init__()
        self.hidden1, self.hidden2 = nn.Linear(16, 128), nn.Linear(128, 128)
        self.hidden3, self.answer = nn.Linear(128, 128), nn.Linear(128, answers)

    def forward(self, x):
        x = torch.relu(self.hidden1(x.flatten(1)))
        x = torch.relu(self.hidden2(x))
        return self.answer(torch.relu(self.hidden3(x)))


class Encoder(nn.Module):
    """Four objects (b, 4, 4) to a logit (b, 1), which is read at a class token, position 0."""

    def __init__(self, width=32, heads=4):
        super().__init__()
        self.embed, self.place = nn.Linear(4, width), nn.Parameter(torch.randn(5, width) / 2)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, dim_feedforward=64, dropout=0.0,
                                       batch_first=True, norm_first=True)
            for _ in range(2))
        self.answer = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        x = nn.functional.pad(self.embed(x), (0, 0, 1, 0)) + self.place  # the token comes first
        for block in self.blocks:
            x = block(x)
        return self.answer(x[:, 0])


def patch_positions(network: nn.Module, X: np.ndarray, equal: np.ndarray, n: int = 2_000) -> np.ndarray:
    """Share of answers that change when all of one position comes from a source that differs in one variable only.

    Returns:
        (variables, blocks, positions).
    """
    effects = np.zeros((2, 2, 5))
    for variable, block, position in np.ndindex(effects.shape):
        base, source = (torch.from_numpy(X[index]) for index in draw_isolating_pairs(equal, 1 - variable, n))
        whole = build_intervenable(network, f"blocks.{block}", 32, example=base[:2], position=position)
        changed = (iit_predict(whole, base, source[None]) > 0.5) != (predict(network, base) > 0.5)
        effects[variable, block, position] = changed.float().mean()
    return effects
