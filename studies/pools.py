"""Two controls of the study over seeds: pairs with wrong answers, and pairs without a block of combinations."""
from collections.abc import Sequence

import numpy as np
import torch

from utils.counterfactual_data_utils import PairBatch, PairPool, validate_dataset
from utils.das_utils import iit_predict
from utils.data_utils import intervene_on_labels
from utils.interventions.rotated_space import pv
from utils.measure_utils import draw_pairs
from utils.model_utils import to_answers

HOLDOUT = (0.4, 0.7)  # bounds, for circularity and area alike, of the combinations that one network never sees


def in_holdout(labels: np.ndarray) -> np.ndarray:
    """Which labels (n, 3) lie in the block that ``HoldoutPool`` leaves out: bools (n,)."""
    low, high = HOLDOUT
    inside = (labels[:, [0, 2]] >= low) & (labels[:, [0, 2]] <= high)
    return inside[:, 0] & inside[:, 1]


class ShuffledPool(PairPool):
    """A control: counterfactual answers dealt out to the wrong pairs, the answers to the bases left right."""

    def draw(self, batch_size: int, rng: np.random.Generator, reorderings: int = 1) -> PairBatch:
        """As for ``PairPool``."""
        pairs = super().draw(batch_size, rng, reorderings)
        dealt = torch.from_numpy(rng.permutation(len(pairs.y_counterfactual)))
        return pairs._replace(y_counterfactual=pairs.y_counterfactual[dealt])


class HoldoutPool(PairPool):
    """Never shows a combination of circularity and area from the block, neither as an image nor as a counterfactual.

    For three sources, one variable each. A tuple whose counterfactual would lie in the block is swapped with itself.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        keep = ~in_holdout(self.labels)
        self.images, self.labels = self.images[keep], self.labels[keep]

    def draw(self, batch_size: int, rng: np.random.Generator, reorderings: int = 1) -> PairBatch:
        """As for ``PairPool``."""
        pairs = super().draw(batch_size, rng, reorderings)
        z = self.labels[pairs.base]
        counterfactual = np.stack([z[pairs.sources[i], v] for i, (v,) in enumerate(self.variables)], axis=1)
        barred = torch.from_numpy(in_holdout(counterfactual))
        sources = torch.where(barred, torch.arange(batch_size).repeat(reorderings), pairs.sources)
        answers = torch.where(barred, pairs.y_base.repeat(reorderings), pairs.y_counterfactual)
        return pairs._replace(sources=sources, y_counterfactual=answers)


def map_iia(
    intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray,
    variables: Sequence[Sequence[int]] = ((0,), (1,), (2,)), n: int = 40_000, bins: int = 10, seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the plane of circularity and area of the counterfactual the intervened answers are right.

    Returns:
        two integer arrays (bins, bins), rows by circularity, columns by area: pairs answered rightly, and pairs.
    """
    images, labels = validate_dataset(images, labels)
    pairs = draw_pairs(labels, variables, n, seed=seed)
    counterfactual = intervene_on_labels(labels[pairs.base], labels[pairs.sources], variables)
    answers = to_answers(iit_predict(intervenable, *pairs.images(images))).numpy()
    cells = np.minimum((counterfactual[:, [0, 2]] * bins + 1e-9).astype(int), bins - 1)
    right, count = np.zeros((bins, bins), dtype=int), np.zeros((bins, bins), dtype=int)
    np.add.at(count, tuple(cells.T), 1)
    np.add.at(right, tuple(cells[answers == pairs.y_counterfactual].T), 1)
    return right, count


def measure_block(intervenable: pv.IntervenableModel, images: np.ndarray, labels: np.ndarray) -> dict:
    """IIA inside and outside the block of ``HOLDOUT``, and for each cell of the map."""
    right, count = map_iia(intervenable, images, labels)
    low, high = (round(bound * len(right)) for bound in HOLDOUT)
    inside = np.zeros(right.shape, dtype=bool)
    inside[low:high, low:high] = True
    share = np.divide(right, count, out=np.full(right.shape, np.nan), where=count > 0)
    figures = {f"map {i} {j}": share[i, j] for i, j in np.ndindex(right.shape)}
    return figures | {f"iia {name} block": right[where].sum() / count[where].sum()
                      for name, where in (("inside", inside), ("outside", ~inside))}
