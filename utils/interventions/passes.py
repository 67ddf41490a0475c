"""The two passes of which an interchange consists, and the checks of what goes into them."""
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from utils.interventions.build import CustomLowRankRotatedSpaceIntervention, own_subspaces, pv
from utils.model_utils import validate_batch


def validate_subspaces(intervenable: pv.IntervenableModel, subspaces: Sequence | None, n: int) -> None:
    """Raise unless ``subspaces`` is None or names existing blocks for each intervention and each of n pairs."""
    if subspaces is None:
        return
    interventions = intervenable.interventions
    if not isinstance(subspaces, (list, tuple)):
        raise TypeError(f"subspaces must be a list, got {type(subspaces).__name__}")
    if len(subspaces) != len(interventions):
        raise ValueError(
            f"subspaces must have {len(interventions)} entries, one for each intervention, got {len(subspaces)}"
        )
    for chosen, intervention in zip(subspaces, interventions.values()):
        if chosen is None:
            continue
        if not isinstance(chosen, (list, tuple)) or len(chosen) != n:
            raise ValueError(f"subspaces must name the blocks of each of {n} pairs")
        blocks = intervention.subspace_partition
        if blocks is not None and any(block not in range(len(blocks)) for pair in chosen for block in pair):
            raise ValueError(f"subspaces must name blocks from 0 to {len(blocks) - 1}")


def validate_pairs(
    intervenable: pv.IntervenableModel,
    X_base: torch.Tensor,
    X_sources: torch.Tensor,
    subspaces: Sequence | None,
    broadcast: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return bases (n, 1, 28, 28) and sources (k, n, 1, 28, 28), one source for each intervention, or raise.

    With ``broadcast``, a single source may serve all interventions, as in pyvene; a UserWarning says so.
    """
    if not isinstance(intervenable, pv.IntervenableModel):
        raise TypeError(f"intervenable must be a pyvene IntervenableModel, got {type(intervenable).__name__}")
    X_base = validate_batch(X_base, "X_base")
    num = len(intervenable.interventions)
    if not isinstance(X_sources, (torch.Tensor, np.ndarray)):
        raise TypeError(f"X_sources must be a tensor, got {type(X_sources).__name__}")
    if broadcast and X_sources.ndim == 5 and len(X_sources) == 1 < num:
        warnings.warn(f"one source for {num} interventions: every intervention takes its part from it", stacklevel=3)
        X_sources = X_sources[[0] * num]
    if X_sources.ndim != 5 or len(X_sources) != num:
        raise ValueError(
            f"X_sources must have shape ({num}, n, 1, 28, 28), one source for each of the model's {num} "
            f"interventions, got {tuple(X_sources.shape)}"
        )
    X_sources = torch.stack([validate_batch(source, "X_sources") for source in X_sources])
    if X_sources.shape[1] != len(X_base):
        raise ValueError(f"X_base and X_sources must have the same length, got {len(X_base)} and {X_sources.shape[1]}")
    validate_subspaces(intervenable, subspaces, len(X_base))
    return X_base, X_sources


class _Reached(Exception):
    """Ends a pass at the layer whose activations are wanted."""


class PlainPass(NamedTuple):
    """What a pass without intervention leaves behind.

    Attributes:
        activations: outputs of the layer at each intervention, (n, ...) each.
        logits: of the network (n,), or None where the pass ended at that layer.
    """

    activations: list[torch.Tensor]
    logits: torch.Tensor | None


def run_plainly(intervenable: pv.IntervenableModel, X: torch.Tensor, wants_logits: bool = False) -> PlainPass:
    """Run images (n, 1, 28, 28) through the network without intervention, no further than needed."""
    kept: dict[str, torch.Tensor] = {}
    hooks = intervenable.intervention_hooks

    def keep(key):
        def hook(module, args, kwargs, output):
            kept[key] = output
            if not wants_logits and len(kept) == len(hooks):
                raise _Reached

        return hook

    handles = [hook(keep(key), with_kwargs=True) for key, hook in hooks.items()]
    output = None
    try:
        output = intervenable.model(X, logits=True).squeeze(1)
    except _Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return PlainPass([kept[key] for key in intervenable.sorted_keys], output)


def intervene(
    intervenable: pv.IntervenableModel,
    base: torch.Tensor,
    sources: list[torch.Tensor],
    subspaces: Sequence | None,
    resume_at: str | None = None,
) -> torch.Tensor:
    """Logits (n,) for the bases when each intervention takes its part from its source.

    Args:
        base: images (n, 1, 28, 28), or activations (n, ...) of the layer ``resume_at`` in an earlier pass.
        sources: for each intervention activations (n, ...) of its layer, or what ``take_sources`` made of them. So
            pyvene need not run every source through the network once for each intervention.
    """
    if subspaces is None:
        subspaces = own_subspaces(intervenable, len(base))
    inputs = {"x": base, "logits": True, "resume_at": resume_at}
    _, output = intervenable(inputs, source_representations=sources, subspaces=subspaces)
    return output.squeeze(1)


def common_layer(intervenable: pv.IntervenableModel) -> str | None:
    """The layer at which all interventions are, so that a pass may resume there; None where they differ."""
    components = {representation.component for representation in intervenable.representations.values()}
    return components.pop().removesuffix(".output") if len(components) == 1 else None


def join_linked(intervenable: pv.IntervenableModel, subspaces: Sequence | None = None) -> pv.IntervenableModel | None:
    """The same k linked interventions as a single one, with the same directions and network.

    pyvene's hooks come one after the other, and each copies the whole layer. But as the blocks are orthogonal, what
    one of them swaps is nothing to the next, so a single hook may swap them all.

    Args:
        intervenable: with k interventions.
        subspaces: as for ``iit_train``.

    Returns:
        a model with one intervention, or None for any but those convolutions that ``build_intervenable`` wraps with
        several sources, and where ``subspaces`` names others than each one's own block.
    """
    if subspaces is not None and any(chosen != [[i]] * len(chosen or ()) for i, chosen in enumerate(subspaces)):
        return None
    first, *others = intervenable.interventions.values()
    layer = common_layer(intervenable)
    if not isinstance(first, CustomLowRankRotatedSpaceIntervention) or not others or layer in (None, "fc1"):
        return None
    blocks, directions = first.subspace_partition or [], list(range(first.rotate_layer.weight.shape[1]))
    if any(other is not first for other in others) or len(blocks) != 1 + len(others) or sum(blocks, []) != directions:
        return None
    representation = {"component": f"{layer}.output", "intervention": first}
    return pv.IntervenableModel(pv.IntervenableConfig(representations=[representation]), intervenable.model)
