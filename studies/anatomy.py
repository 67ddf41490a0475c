"""The anatomy of a failed result: a multi-source recipe, mended one fault at a time.

The recipe as it was: two linked interventions on conv1, 10,000 pairs drawn once, five epochs, no behavior loss. Every
step below keeps the mends of the steps before it.
"""
import numpy as np
import torch

from utils.checkpoint_utils import load_or_train_base_cnn
from utils.counterfactual_data_utils import (create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)
from utils.das_utils import CNNConfig, build_intervenable, iit_predict, iit_train
from utils.data_utils import COEFFICIENTS, causal_model
from utils.interventions.rotated_space import pv
from utils.model_utils import accuracy, evaluate

VARIABLES = [0, 1]
COLUMNS = 2  # pixel columns for each variable
EVERYTHING, FIRST, OWN = [[0, 1, 2]] * 2, [[0], [0]], [[0], [1]]  # blocks that the two interventions swap

# mend -> (evaluated on two sources?, neurons in place of pixel columns?, blocks, behavior loss, directions each)
STEPS = {
    "as it was": (False, False, EVERYTHING, 0.0, COLUMNS),
    "evaluate on two sources": (True, False, EVERYTHING, 0.0, COLUMNS),
    "pass subspaces": (True, False, FIRST, 0.0, COLUMNS),
    "a block for each link": (True, False, OWN, 0.0, COLUMNS),
    "neurons, not pixel columns": (True, True, OWN, 0.0, COLUMNS),
    "behavior loss": (True, True, OWN, 1.0, COLUMNS),
    "64 directions each": (True, True, OWN, 1.0, 64),
}


def build_pixel_columns(model: torch.nn.Module) -> pv.IntervenableModel:
    """The original model: blocks of the last axis of conv1's output, which are pixel columns, not neurons.

    The two interventions are linked, so pyvene keeps only the first one's partition: block 0 is columns 0 and 1 for
    both, although the second was meant to have its blocks in another order.
    """
    model.config = CNNConfig(hidden_size=28)  # type: ignore[assignment]  # torch expects a module
    blocks = [[0, COLUMNS], [COLUMNS, 2 * COLUMNS], [2 * COLUMNS, 28]]
    order = [blocks, [blocks[1], blocks[0], blocks[2]]]
    config = pv.IntervenableConfig(
        representations=[{"component": "conv1.output", "subspace_partition": partition, "intervention_link_key": 0}
                         for partition in order],
        intervention_types=pv.VanillaIntervention,
    )
    return pv.IntervenableModel(config, model)


def run_anatomy(step: str, seed: int, data: tuple) -> dict[str, float]:
    """Train with all mends up to ``step`` and measure over 10,000 held-out pairs.

    Args:
        step: one of ``STEPS``.
        seed: of rotation, pairs and their order.
        data: images and labels for training, then for testing.

    Returns:
        iia, flip_iia, keep (the baseline) and behavior.
    """
    if step not in STEPS:
        raise ValueError(f"step must be one of {list(STEPS)}, got {step!r}")
    images, labels, test, test_labels = data
    two_sources, neurons, blocks, behavior_weight, directions = STEPS[step]
    model = load_or_train_base_cnn()[0]
    torch.manual_seed(seed)
    intervenable = build_intervenable(model, "conv1", directions, 2) if neurons else build_pixel_columns(model)
    X_base, X_sources, y_base, _, y = create_multi_source_counterfactual_dataset(
        VARIABLES, images, labels, COEFFICIENTS, size=10_000, seed=seed)
    chosen = [[block] * len(X_base) for block in blocks]
    iit_train(intervenable, X_base, X_sources, y, lr=0.0005, num_epochs=5, batch_size=256, subspaces=chosen,
              y_base=y_base if behavior_weight else None, behavior_weight=behavior_weight, seed=seed)
    create = create_multi_source_counterfactual_dataset if two_sources else create_single_source_counterfactual_dataset
    X_base, X_sources, y_base, _, y = create(VARIABLES, test, test_labels, COEFFICIENTS, size=10_000, seed=seed + 1)
    if not two_sources:
        X_sources = torch.cat([X_sources, X_sources])
    found = iit_predict(intervenable, X_base, X_sources, subspaces=chosen)
    flip = y != y_base
    X_test, y_test = torch.from_numpy(np.asarray(test))[:, None], torch.from_numpy(causal_model(test_labels))
    return {"iia": accuracy(found, y), "flip_iia": accuracy(found[flip], y[flip]),
            "keep": 1 - flip.float().mean().item(), "behavior": evaluate(model, X_test, y_test)}
