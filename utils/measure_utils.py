"""Interchange intervention accuracy beside its baselines and its ceiling."""
import math
from dataclasses import asdict, dataclass
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from utils.ceiling_utils import bayes_ceiling
from utils.counterfactual_data_utils import validate_groups
from utils.data_utils import COEFFICIENTS, VARIABLE_NAMES, causal_model, intervene_on_labels, random_state
from utils.validation import validate_count, validate_images, validate_labels

if TYPE_CHECKING:
    from utils.interventions.build import pv


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """95% confidence interval of a share observed over n independent examples (Wilson 1927); n = 0 gives nan."""
    if n == 0:
        return math.nan, math.nan
    z2 = 1.96**2
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = 1.96 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(center - half, 0.0), min(center + half, 1.0)


def name_groups(variables: Sequence[Sequence[int]]) -> str:
    """Readable name of the variables of each source: ``{circularity, color} | {area}``."""
    return " | ".join("{" + ", ".join(VARIABLE_NAMES[v] for v in group) + "}" for group in validate_groups(variables))


@dataclass(frozen=True)
class Pairs:
    """Bases and sources drawn from a set of images, as indices and as the causal model's answers.

    Attributes:
        base: (n,) indices; sources: (k, n) indices.
        y_base: (n,); y_sources: (k, n); y_counterfactual: (n,): answers 0.0 or 1.0 as float arrays.
    """

    base: np.ndarray
    sources: np.ndarray
    y_base: np.ndarray
    y_sources: np.ndarray
    y_counterfactual: np.ndarray

    def images(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of bases (n, 1, 28, 28) and sources (k, n, 1, 28, 28) out of (m, 28, 28)."""
        images = torch.from_numpy(validate_images(images))
        return images[self.base], images[self.sources]


def draw_pairs(
    labels: np.ndarray,
    variables: Sequence[Sequence[int]],
    n: int,
    coefficients: Sequence[float] = COEFFICIENTS,
    discriminating: bool = False,
    seed: int | np.random.Generator | None = 0,
) -> Pairs:
    """Draw n bases with their sources, uniformly and independently.

    Args:
        labels: (m, 3) of the images to draw from.
        variables: for each source the variables that it sets.
        n: number of pairs.
        coefficients: weights of the causal model that gives the answers.
        discriminating: keep only pairs whose counterfactual answer differs from the base's and from every
            source's, so that copying any of them scores 0; draws until there are n.
        seed: an int, a Generator, or None for numpy's global state.

    Raises:
        ValueError: there are (almost) no discriminating pairs to be found.
    """
    labels, groups, n, rng = validate_labels(labels), validate_groups(variables), validate_count(n, "n"), random_state(seed)
    found: list[tuple[np.ndarray, ...]] = []
    count, draws = 0, max(n, 20_000) if discriminating else n
    for _ in range(200):
        index = rng.choice(len(labels), size=(1 + len(groups), draws))
        z = labels[index]
        y_base, y_sources = causal_model(z[0], coefficients), causal_model(z[1:], coefficients)
        y = causal_model(intervene_on_labels(z[0], z[1:], groups), coefficients)
        keep = (y != y_base) & (y != y_sources).all(axis=0) if discriminating else np.ones(draws, dtype=bool)
        found.append((index[0][keep], index[1:][:, keep], y_base[keep], y_sources[:, keep], y[keep]))
        count += int(keep.sum())
        if count >= n:
            return Pairs(*(np.concatenate(part, axis=-1)[..., :n] for part in zip(*found)))
    raise ValueError(f"discriminating pairs are too rare: found {count} of n = {n}")


@dataclass(frozen=True)
class Score:
    """How well an intervention does what it does in the causal model. Shares in [0, 1].

    Attributes:
        variables: what each source sets.
        iia: interchange intervention accuracy (Geiger et al. 2021, arXiv:2106.02997).
        low, high: 95% interval of ``iia``.
        flip_iia, stay_iia: the same over pairs whose answer the intervention changes, and over the rest.
        balanced_iia: mean of these two; 0.5 for a network that ignores interventions.
        discriminating_iia: over pairs whose answer differs from that of the base and of every source; nan if not asked.
        normalized_iia: (iia - best baseline) / (ceiling - best baseline).
        keep, copy, majority: baselines: the base's answer, the best single source's, the more common one.
        ceiling: the best that any observer of the images could do, exact.
        n, n_flip, n_discriminating: numbers of pairs.
    """

    variables: str
    iia: float
    low: float
    high: float
    flip_iia: float
    stay_iia: float
    balanced_iia: float
    discriminating_iia: float
    normalized_iia: float
    keep: float
    copy: float
    majority: float
    ceiling: float
    n: int
    n_flip: int
    n_discriminating: int

    def as_dict(self) -> dict:
        """One row of a table."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.variables}: IIA {self.iia:.3f} [{self.low:.3f}, {self.high:.3f}], flip {self.flip_iia:.3f}, "
            f"stay {self.stay_iia:.3f}, discriminating {self.discriminating_iia:.3f}, normalized "
            f"{self.normalized_iia:.2f} | keep {self.keep:.3f}, copy {self.copy:.3f}, majority {self.majority:.3f}, "
            f"ceiling {self.ceiling:.3f}, n = {self.n:,}"
        )


def score_answers(
    answers: np.ndarray,
    pairs: Pairs,
    variables: Sequence[Sequence[int]],
    coefficients: Sequence[float] = COEFFICIENTS,
    discriminating: tuple[np.ndarray, Pairs] | None = None,
) -> Score:
    """Score a network's intervened answers (n,), each 0 or 1, to ``pairs``.

    Args:
        answers: (n,).
        pairs: what was asked.
        variables: for each source the variables that it sets.
        coefficients: of the causal model that gave the right answers.
        discriminating: answers to, and, discriminating pairs.
    """
    answers = np.asarray(answers, dtype=float).reshape(-1)
    if answers.shape != pairs.y_counterfactual.shape:
        raise ValueError(f"answers must have shape {pairs.y_counterfactual.shape}, got {answers.shape}")
    right, flip = answers == pairs.y_counterfactual, pairs.y_counterfactual != pairs.y_base
    n, iia = len(right), float(right.mean())
    flip_iia = float(right[flip].mean()) if flip.any() else math.nan
    stay_iia = float(right[~flip].mean()) if not flip.all() else math.nan
    keep = 1 - float(flip.mean())
    copy = float((pairs.y_sources == pairs.y_counterfactual).mean(axis=1).max())
    majority = max(float(pairs.y_counterfactual.mean()), 1 - float(pairs.y_counterfactual.mean()))
    best, ceiling = max(keep, copy, majority), bayes_ceiling(variables, coefficients)
    discriminating_iia, n_discriminating = math.nan, 0
    if discriminating is not None:
        discriminating_iia = float((np.asarray(discriminating[0]) == discriminating[1].y_counterfactual).mean())
        n_discriminating = len(discriminating[1].base)
    return Score(
        name_groups(variables), iia, *wilson_interval(iia, n), flip_iia, stay_iia, (flip_iia + stay_iia) / 2,
        discriminating_iia, (iia - best) / (ceiling - best) if ceiling > best else math.nan, keep, copy, majority,
        ceiling, n, int(flip.sum()), n_discriminating,
    )


def score_alignment(
    intervenable: "pv.IntervenableModel",
    images: np.ndarray,
    labels: np.ndarray,
    variables: Sequence[Sequence[int]],
    n: int = 10_000,
    n_discriminating: int = 2_000,
    coefficients: Sequence[float] = COEFFICIENTS,
    seed: int = 0,
    subspaces: list | None = None,
) -> Score:
    """Measure an intervened model on pairs drawn from held-out images.

    Args:
        intervenable: with one intervention for each source.
        images: (m, 28, 28) or (m, 1, 28, 28), not used in training.
        labels: (m, 3).
        variables: for each source the variables that it sets.
        n: pairs for everything but ``discriminating_iia``.
        n_discriminating: pairs for that; 0 leaves it out.
        coefficients: weights of the causal model.
        seed: of the pairs.
        subspaces: block that each intervention swaps, one list for each intervention; None swaps its own.
    """
    from utils.das_utils import iit_predict  # here: pyvene takes seconds to import, and all else does without it

    if len(images) != len(labels):
        raise ValueError(f"images and labels must have the same length, got {len(images)} and {len(labels)}")
    rng = random_state(seed)

    def ask(pairs: Pairs) -> np.ndarray:
        chosen = subspaces and [[blocks] * len(pairs.base) for blocks in subspaces]
        return (iit_predict(intervenable, *pairs.images(images), subspaces=chosen) > 0.5).float().numpy()

    pairs = draw_pairs(labels, variables, n, coefficients, seed=rng)
    rare = None
    if n_discriminating:
        chosen = draw_pairs(labels, variables, n_discriminating, coefficients, discriminating=True, seed=rng)
        rare = ask(chosen), chosen
    return score_answers(ask(pairs), pairs, variables, coefficients, rare)
