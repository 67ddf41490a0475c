"""Interchange intervention accuracy beside its baselines and its ceiling."""
import contextlib
import math
from dataclasses import asdict, dataclass, replace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from utils.ceiling_utils import bayes_ceiling
from utils.counterfactual_data_utils import validate_dataset
from utils.data_utils import (COEFFICIENTS, VARIABLE_NAMES, CausalModel, as_causal_model, intervene_on_labels,
                              random_state)
from utils.model_utils import predict, to_answers
from utils.validation import validate_count, validate_groups, validate_labels, validate_memory, validate_values

if TYPE_CHECKING:
    from utils.interventions.rotated_space import pv

CERTIFIED = 256  # pairs on which it is tried out what a swap does: a few percent of the work


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """95% confidence interval of a share observed over n independent examples (Wilson 1927); n = 0 gives nan."""
    if n == 0:
        return math.nan, math.nan
    z2 = 1.96**2
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = 1.96 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(min(center - half, share), 0.0), min(max(center + half, share), 1.0)  # rounding may leave the share out


def name_groups(variables: Sequence[Sequence[int]], names: Sequence[str] = VARIABLE_NAMES) -> str:
    """Readable name of the variables of each source: ``{circularity, color} | {area}``."""
    return " | ".join("{" + ", ".join(names[v] for v in g) + "}" for g in validate_groups(variables, len(names)))


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
        """The inputs of bases (n, ...) and sources (k, n, ...) out of (m, ...), checked by ``validate_dataset``."""
        validate_memory(len(self.base), "n", (1 + len(self.sources)) * images[0].nbytes)
        inputs = torch.from_numpy(images)
        return inputs[self.base], inputs[self.sources]


def draw_pairs(
    labels: np.ndarray, variables: Sequence[Sequence[int]], n: int, coefficients: Sequence[float] = COEFFICIENTS,
    discriminating: bool = False, seed: int | np.random.Generator | np.random.RandomState | None = 0,
    causal_model: CausalModel | None = None,
) -> Pairs:
    """Draw n bases with their sources, uniformly and independently; ``coefficients`` weigh the ellipses' variables.

    Args:
        labels: (m, 3) of the images to draw from; with a ``causal_model`` any values (m, v).
        variables: for each source the variables that it sets.
        discriminating: keep only pairs whose counterfactual answer differs from the base's and from every
            source's, so that copying any of them scores 0; ValueError where there are (almost) none.
        seed: an int, a Generator, or None for numpy's global state.
        causal_model: one of your own in place of ``coefficients``.
    """
    labels = validate_labels(labels) if causal_model is None else validate_values(labels)
    groups, n, rng = validate_groups(variables, labels.shape[-1]), validate_count(n, "n"), random_state(seed)
    answer = as_causal_model(causal_model, coefficients)
    validate_memory(n, "n", 8 * (1 + len(groups)) * (2 + labels.shape[-1]))
    found: list[tuple[np.ndarray, ...]] = []
    count, draws = 0, max(n, 20_000) if discriminating else n
    for _ in range(200):
        index = rng.choice(len(labels), size=(1 + len(groups), draws))
        z = labels[index]
        y_base, y_sources, y = answer(z[0]), answer(z[1:]), answer(intervene_on_labels(z[0], z[1:], groups))
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
        ceiling: the best that any observer of the images could do, exact; nan where it is not known.
        n, n_flip, n_discriminating: numbers of pairs.
        changed: share of ``n_certified`` pairs whose answer the swap changes, rightly or not; nan if not asked.
        self_change: of these bases swapped with themselves, the greatest change of a probability.
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
    changed: float = math.nan
    self_change: float = math.nan
    n_certified: int = 0

    def as_dict(self) -> dict:
        """One row of a table."""
        return asdict(self)


def score_answers(
    answers: np.ndarray, pairs: Pairs, variables: Sequence[Sequence[int]],
    coefficients: Sequence[float] = COEFFICIENTS, discriminating: tuple[np.ndarray, Pairs] | None = None,
    ceiling: float | None = None, names: Sequence[str] = VARIABLE_NAMES,
) -> Score:
    """Score a network's intervened answers (n,) to ``pairs``; ``discriminating`` are answers to, and, discriminating
    pairs. Other arguments as for ``score_alignment``, ``names`` and ``ceiling`` None those of the ellipses."""
    answers = np.asarray(answers, dtype=float).reshape(-1)
    if answers.shape != pairs.y_counterfactual.shape:
        raise ValueError(f"answers must have shape {pairs.y_counterfactual.shape}, got {answers.shape}")
    right, flip = answers == pairs.y_counterfactual, pairs.y_counterfactual != pairs.y_base
    n, iia = len(right), float(right.mean())
    flip_iia = float(right[flip].mean()) if flip.any() else math.nan
    stay_iia = float(right[~flip].mean()) if not flip.all() else math.nan
    keep = 1 - float(flip.mean())
    copy = float((pairs.y_sources == pairs.y_counterfactual).mean(axis=1).max())
    majority = float(np.unique(pairs.y_counterfactual, return_counts=True)[1].max() / n)
    best = max(keep, copy, majority)
    ceiling = bayes_ceiling(variables, coefficients) if ceiling is None else ceiling
    discriminating_iia, n_discriminating = math.nan, 0
    if discriminating is not None:
        discriminating_iia = float((np.asarray(discriminating[0]) == discriminating[1].y_counterfactual).mean())
        n_discriminating = len(discriminating[1].base)
    return Score(
        name_groups(variables, names), iia, *wilson_interval(iia, n), flip_iia, stay_iia, (flip_iia + stay_iia) / 2,
        discriminating_iia, (iia - best) / (ceiling - best) if ceiling > best else math.nan, keep, copy, majority,
        ceiling, n, int(flip.sum()), n_discriminating,
    )


@contextlib.contextmanager
def _certified(intervenable: "pv.IntervenableModel", several: bool) -> Iterator[None]:
    """ValueError where all swaps leave the layer as it is, or all of ``several`` replace the whole of it."""
    seen: list[tuple[bool, bool, bool]] = []
    def look(module: torch.nn.Module, args: tuple, output: torch.Tensor) -> None:
        base, source, after = args[0], args[1], getattr(output, "output", output)
        if len(seen) < len(intervenable.interventions):  # the first pairs are enough
            seen.append((base.equal(source), base.equal(after), torch.allclose(after, source, 1e-4, 1e-5)))

    with contextlib.ExitStack() as hooks:
        for intervention in set(getattr(intervenable, "interventions", {}).values()):  # what has none is refused later
            hooks.callback(intervention.register_forward_hook(look).remove)
        yield
    alike, unchanged, replaced = (all(column) for column in zip(*seen))
    if unchanged and not alike:
        raise ValueError("intervenable must change the layer, but all swaps leave it as it is: do they name a block?")
    if replaced and several and not alike:
        raise ValueError("intervenable must keep a part of the base, but each source replaces all of it")


def score_alignment(
    intervenable: "pv.IntervenableModel", images: np.ndarray, labels: np.ndarray, variables: Sequence[Sequence[int]],
    n: int = 10_000, n_discriminating: int = 2_000, coefficients: Sequence[float] = COEFFICIENTS, seed: int = 0,
    subspaces: list | None = None, *, causal_model: CausalModel | None = None, ceiling: float | None = None,
    names: Sequence[str] | None = None,
) -> Score:
    """Measure an intervened model on pairs drawn from held-out images.

    Args:
        intervenable: with one intervention for each source.
        images: (m, 28, 28) or (m, 1, 28, 28), not used in training; with a ``causal_model`` any inputs (m, ...).
        labels: (m, 3); with a ``causal_model`` any values (m, v).
        variables: for each source the variables that it sets.
        n: pairs for everything but ``discriminating_iia``.
        n_discriminating: pairs for that; 0 leaves it out, as does a causal model for which there are none.
        coefficients: weights of the ellipses' causal model.
        subspaces: block that each intervention swaps, one list for each intervention; None swaps its own.
        causal_model: one of your own in place of ``coefficients``.
        ceiling: the best possible IIA; None for that of the ellipses, and with a ``causal_model`` for not known.
        names: of the variables; None for those of the ellipses, and with a ``causal_model`` for their numbers.

    Raises:
        ValueError: the swaps leave the layer as it is; or each of several replaces all of it, without ``subspaces``
            that ask for it; or an input that is swapped with itself gets another answer.
    """
    from utils.das_utils import iit_predict  # here: pyvene takes seconds to import, and all else does without it

    (images, labels), rng = validate_dataset(images, labels, causal_model), random_state(seed)
    if causal_model is not None:
        names = names or [f"variable {v}" for v in range(labels.shape[1])]
        ceiling = math.nan if ceiling is None else ceiling

    def ask(X_base: torch.Tensor, X_sources: torch.Tensor) -> torch.Tensor:
        chosen = subspaces and [[blocks] * len(X_base) for blocks in subspaces]
        return iit_predict(intervenable, X_base, X_sources, subspaces=chosen)

    pairs = draw_pairs(labels, variables, n, coefficients, seed=rng, causal_model=causal_model)
    X_base, X_sources = pairs.images(images)
    with _certified(intervenable, len(X_sources) > 1 and subspaces is None):
        answers = to_answers(ask(X_base, X_sources))
    few = X_base[:CERTIFIED]
    plain, itself = predict(intervenable.model, few), ask(few, few.expand(len(X_sources), *few.shape))
    if (self_change := float((itself - plain).abs().max())) > 1e-3:
        raise ValueError(f"intervenable must keep the answer to an input swapped with itself, off by {self_change:.2g}")
    rare = None
    if n_discriminating:
        with contextlib.suppress(ValueError):  # there may be none
            chosen = draw_pairs(labels, variables, n_discriminating, coefficients, True, rng, causal_model)
            rare = to_answers(ask(*chosen.images(images))).numpy(), chosen
    score = score_answers(answers.numpy(), pairs, variables, coefficients, rare, ceiling, names or VARIABLE_NAMES)
    changed = float((to_answers(plain) != answers[:CERTIFIED]).float().mean())
    return replace(score, changed=changed, self_change=self_change, n_certified=len(few))
