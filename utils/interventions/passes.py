"""The two ways to interchange: in one pass of a batch, for training, and by pyvene's own call, for everything else."""
import contextlib
import warnings
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn.utils import parametrize

from utils.interventions.build import get_intervention, get_layer, own_subspaces, validate_intervenable
from utils.interventions.layers import find_layer, first_rows, name_input, rewire
from utils.interventions.rotated_space import pv, remove_pyvene_hooks
from utils.model_utils import read_logits, validate_batch
from utils.running.guard import evaluating, model_device


def swap_in_one_pass(
    intervenable: pv.IntervenableModel, X: torch.Tensor, sources: torch.Tensor, columns: Sequence[list[int]],
    keep_bases: bool,
) -> torch.Tensor:
    """Logits under the interchange, from a single pass of bases and sources through the network.

    On its way out of the aligned layer the batch is joined by, or gives way to, its bases with their subspaces
    swapped; the rest of the network answers for all that goes on. Only for networks that ``can_share_a_pass``.

    Args:
        intervenable: all of whose interventions are one, see ``build.own_columns``.
        X: inputs (m, ...), the b bases first: b is m, or p where sources follow that are no bases.
        sources: (k, p), at which rows of ``X`` the sources of each pair are; the base of pair j is row j modulo b.
        columns: for each source the directions along which it lends its coordinates.
        keep_bases: whether the bases go on as they are, too.

    Returns:
        logits of the pairs (p, ...); with ``keep_bases`` of the plain bases and then of the pairs (b + p, ...).
    """
    intervention, p = get_intervention(intervenable), sources.shape[1]
    b = min(len(X), p)

    def append_swapped(activations: torch.Tensor) -> torch.Tensor:
        swapped = intervention.swap(activations, sources, columns)
        return torch.cat([first_rows(activations, b), swapped]) if keep_bases else swapped

    with rewire(find_layer(intervenable.model, get_layer(intervenable)), append_swapped):
        return read_logits(intervenable.model(X), b + p if keep_bases else p)


def can_share_a_pass(intervenable: pv.IntervenableModel, X: torch.Tensor) -> bool:
    """Whether the answers to inputs (n, ...) follow from the aligned layer's output alone, row by row; not so where a
    skip connection or a mask leads around the layer, which would meet other rows behind it than its own."""
    model, order = intervenable.model, [1, 0, 1]
    X = X[[0, -1]].to(model_device(model))
    with evaluating(model):
        expected = read_logits(model(X), 2)[order]
        try:
            with rewire(find_layer(model, get_layer(intervenable)), lambda rows: rows[order]):
                found = read_logits(model(X), 3)
        except Exception:  # whatever a network raises where batches of two sizes meet
            return False
    return torch.allclose(found, expected, rtol=0.01, atol=1e-3)


@contextlib.contextmanager
def _prepared_for_pyvene(intervenable: pv.IntervenableModel) -> Iterator[None]:
    """Hooks that are not pyvene's outlive its call, also where it made ``intervenable`` itself; and what a layer gives
    out is a copy, as pyvene writes into it."""
    layer, model = get_layer(intervenable), intervenable.model
    intervenable._remove_forward_hooks = partial(remove_pyvene_hooks, model)
    try:
        with rewire(find_layer(model, layer), torch.clone) if layer else contextlib.nullcontext():
            yield
    finally:
        del intervenable._remove_forward_hooks


def interchange(
    intervenable: pv.IntervenableModel, base: torch.Tensor, sources: Sequence[torch.Tensor],
    subspaces: Sequence | None = None, keep_bases: bool = False,
) -> torch.Tensor:
    """Logits (n, ...) under the interchange, by pyvene's own call, which runs each source and then the bases.

    Args:
        base: inputs (n, ...).
        sources: for each intervention inputs (n, ...).
        subspaces: as for ``das_utils.iit_train``; None: intervention i swaps block i.
        keep_bases: also run the bases as they are; their logits come first, (2n, ...) in all.
    """
    if subspaces is None:
        subspaces = own_subspaces(intervenable, len(base))
    name = name_input(intervenable.model)
    with parametrize.cached(), _prepared_for_pyvene(intervenable):  # one orthonormalization serves all interventions
        plain, swapped = intervenable({name: base}, [{name: source} for source in sources], subspaces=subspaces,
                                      output_original_output=keep_bases)
    swapped = read_logits(swapped, len(base))
    return torch.cat([read_logits(plain, len(base)), swapped]) if keep_bases else swapped


def try_out(intervenable: pv.IntervenableModel, X: torch.Tensor, subspaces: Sequence | None) -> None:
    """Interchange one of the inputs with itself: what does not fit the rotation is told before anything has changed."""
    X = X[:1].to(model_device(intervenable.model))
    with evaluating(intervenable.model):
        interchange(intervenable, X, [X] * len(intervenable.interventions), select_subspaces(subspaces, [0]))


def select_subspaces(subspaces: Sequence | None, rows: Sequence[int]) -> list | None:
    """The ``subspaces`` of some of the pairs."""
    return None if subspaces is None else [chosen and [chosen[i] for i in rows] for chosen in subspaces]


def swaps_own_blocks(subspaces: Sequence | None) -> bool:
    """Whether each intervention swaps its own block and no other, for every pair."""
    return subspaces is None or all(chosen == [[i]] * len(chosen or ()) for i, chosen in enumerate(subspaces))


def validate_subspaces(intervenable: pv.IntervenableModel, subspaces: Sequence | None, n: int) -> None:
    """Raise unless ``subspaces`` is None or names existing blocks for each intervention and each of n pairs."""
    if subspaces is None:
        return
    interventions = intervenable.interventions
    if not isinstance(subspaces, (list, tuple)) or len(subspaces) != len(interventions):
        raise ValueError(f"subspaces must be a list with an entry for each of {len(interventions)} interventions")
    for chosen, intervention in zip(subspaces, interventions.values()):
        if chosen is None:
            continue
        if not isinstance(chosen, (list, tuple)) or len(chosen) != n:
            raise ValueError(f"subspaces must name the blocks of each of {n} pairs")
        blocks = intervention.subspace_partition
        if blocks is not None and any(block not in range(len(blocks)) for pair in chosen for block in pair):
            raise ValueError(f"subspaces must name blocks from 0 to {len(blocks) - 1}")


def validate_pairs(
    intervenable: pv.IntervenableModel, X_base: torch.Tensor, X_sources: torch.Tensor, subspaces: Sequence | None,
    broadcast: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return bases (n, ...) and sources (k, n, ...), one source for each intervention, or raise.

    With ``broadcast``, a single source may serve all interventions, as in pyvene; a UserWarning says so.
    """
    validate_intervenable(intervenable)
    X_base = validate_batch(X_base, intervenable.model, "X_base")
    num = len(intervenable.interventions)
    if not isinstance(X_sources, (torch.Tensor, np.ndarray)):
        raise TypeError(f"X_sources must be a tensor, got {type(X_sources).__name__}")
    if broadcast and X_sources.ndim == X_base.ndim + 1 and len(X_sources) == 1 < num:
        warnings.warn(f"one source for {num} interventions: every intervention takes its part from it", stacklevel=3)
        X_sources = X_sources[[0] * num]
    if tuple(X_sources.shape) != (num, *X_base.shape):
        raise ValueError(f"X_sources must have shape {(num, *X_base.shape)}, the same length as X_base for each of the "
                         f"model's {num} interventions, got {tuple(X_sources.shape)}")
    X_sources = torch.stack([validate_batch(source, intervenable.model, "X_sources") for source in X_sources])
    validate_subspaces(intervenable, subspaces, len(X_base))
    return X_base, X_sources
