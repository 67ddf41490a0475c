"""The anatomy of a failed result: a multi-source recipe, mended one fault at a time.

The recipe as it was is that of ``first_recipe``, with two sources. Every step below keeps the mends of the steps before
it.
"""
import torch

from studies.first_recipe import BATCH, COLUMNS, EVERYTHING, LR, PAIRS, VARIABLES, build_pixel_columns
from studies.recipes import base_cnn, measure_behavior
from utils.counterfactual_data_utils import (create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)
from utils.das_utils import build_intervenable, iit_predict, iit_train
from utils.data_utils import COEFFICIENTS
from utils.model_utils import accuracy

EPOCHS = 5
FIRST, OWN = [[0], [0]], [[0], [1]]  # blocks that the two interventions swap

# mend -> (evaluated on two sources?, neurons in place of pixel columns?, blocks, behavior loss, directions each)
STEPS = {
    "as it was": (False, False, EVERYTHING, 0.0, COLUMNS),
    "evaluate on two sources": (True, False, EVERYTHING, 0.0, COLUMNS),
    "pass subspaces": (True, False, FIRST, 0.0, COLUMNS),
    "a block for each link": (True, False, OWN, 0.0, COLUMNS),
    "neurons, not pixel columns": (True, True, OWN, 0.0, COLUMNS),
    "behavior loss": (True, True, OWN, 1.0, COLUMNS),
    "16 directions each": (True, True, OWN, 1.0, 16),
}


def run_anatomy(step: str, seed: int, data: tuple) -> dict[str, float]:
    """Train the base network of the seed with all mends up to ``step`` and measure over 10,000 held-out pairs.

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
    model = base_cnn(seed)
    torch.manual_seed(seed)
    intervenable = build_intervenable(model, "conv1", directions, 2) if neurons else build_pixel_columns(model)
    X_base, X_sources, y_base, _, y = create_multi_source_counterfactual_dataset(
        VARIABLES, images, labels, COEFFICIENTS, size=PAIRS, seed=seed)
    chosen = [[block] * len(X_base) for block in blocks]
    iit_train(intervenable, X_base, X_sources, y, lr=LR, num_epochs=EPOCHS, batch_size=BATCH, subspaces=chosen,
              y_base=y_base if behavior_weight else None, behavior_weight=behavior_weight, seed=seed)
    create = create_multi_source_counterfactual_dataset if two_sources else create_single_source_counterfactual_dataset
    X_base, X_sources, y_base, _, y = create(VARIABLES, test, test_labels, COEFFICIENTS, size=PAIRS, seed=seed + 1)
    if not two_sources:
        X_sources = torch.cat([X_sources, X_sources])
    found = iit_predict(intervenable, X_base, X_sources, subspaces=chosen)
    flip = y != y_base
    return {"iia": accuracy(found, y), "flip_iia": accuracy(found[flip], y[flip]),
            "keep": 1 - flip.float().mean().item(), "behavior": measure_behavior(model, test, test_labels)}
