"""The recipe that the series grew out of, as it stands: one source at conv1 along one direction, two sources in pixel
columns. It is measured beside ours on the same images and base networks.

10,000 pairs drawn once, batches of 256, a constant rate of 5e-4, no behavior loss; one epoch with one source, five with
two. ``stock`` trains by a loop around pyvene's own call, and with pyvene's own rotation where there is one.
"""
import numpy as np
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from studies.benchmarks.ways import build_stock
from studies.recipes import base_cnn, measure_score
from utils.counterfactual_data_utils import (create_multi_source_counterfactual_dataset,
                                             create_single_source_counterfactual_dataset)
from utils.das_utils import CNNConfig, build_intervenable, iit_predict, iit_train
from utils.interventions.rotated_space import pv
from utils.model_utils import PyTorchCNN, accuracy

VARIABLES = [0, 1]
PAIRS, BATCH, LR = 10_000, 256, 5e-4
FIRST_RECIPES = {  # what the study measures -> several sources?, by pyvene alone?, epochs
    "single": (False, False, 1), "single, stock pyvene": (False, True, 1), "single, five epochs": (False, False, 5),
    "two": (True, False, 5), "two, stock pyvene": (True, True, 5)}
COLUMNS = 2  # pixel columns for each variable
EVERYTHING = [[0, 1, 2]] * 2  # blocks that the two interventions swap where ``subspaces`` is not given: all


def build_pixel_columns(model: torch.nn.Module) -> pv.IntervenableModel:
    """The two-source model: blocks of the last axis of conv1's output, which are pixel columns, not neurons.

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


def _train_stock(intervenable: pv.IntervenableModel, X: torch.Tensor, S: torch.Tensor, y: torch.Tensor, epochs: int,
                 seed: int) -> None:
    """A plain loop around pyvene's call, which runs the sources too, as its tutorials have it."""
    intervenable.enable_model_gradients()
    parameters = {id(p): p for p in intervenable.parameters() if p.requires_grad}.values()
    optimizer, generator = torch.optim.Adam(parameters, lr=LR), torch.Generator().manual_seed(seed)
    for _ in tqdm(range(epochs), desc="Stock pyvene", leave=False):
        for rows in torch.randperm(len(X), generator=generator).split(BATCH):
            _, output = intervenable({"x": X[rows]}, [{"x": source[rows]} for source in S])
            loss = F.binary_cross_entropy_with_logits(output.squeeze(1), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    intervenable.disable_model_gradients()


def train_first_recipe(model: PyTorchCNN, images: np.ndarray, labels: np.ndarray, seed: int = 0,
                       multi: bool = False, stock: bool = False, epochs: int = 1) -> pv.IntervenableModel:
    """Train a base network by the recipe, in place.

    Args:
        model: the base network.
        images, labels: (n, 28, 28) and (n, 3), to draw the pairs from.
        seed: of rotation, pairs and their order.
        multi: two sources in pixel columns in place of one source along one direction.
        stock: by pyvene alone.
        epochs: passes over the pairs; the recipe has one with one source and five with two.
    """
    torch.manual_seed(seed)
    if multi:
        intervenable, create = build_pixel_columns(model), create_multi_source_counterfactual_dataset
    else:
        intervenable = build_stock(model, "conv1", 1) if stock else build_intervenable(model, "conv1", 1)
        create = create_single_source_counterfactual_dataset
    X, S, _, _, y = create(VARIABLES, images, labels, size=PAIRS, seed=seed)
    if stock:
        _train_stock(intervenable, X, S, y, epochs, seed)
    else:
        subspaces = [[blocks] * PAIRS for blocks in EVERYTHING] if multi else None
        iit_train(intervenable, X, S, y, lr=LR, num_epochs=epochs, batch_size=BATCH, subspaces=subspaces, seed=seed)
    return intervenable


def run_first_recipe(name: str, seed: int, data: tuple) -> dict[str, float]:
    """Train the base network of the seed by one of ``FIRST_RECIPES`` and measure on held-out pairs; of two sources also
    on pairs of one source, where the recipe measured."""
    images, labels, test, test_labels = data
    multi, stock, epochs = FIRST_RECIPES[name]
    intervenable = train_first_recipe(base_cnn(seed), images, labels, seed, multi, stock, epochs)
    groups = [[v] for v in VARIABLES] if multi else [VARIABLES]
    figures = measure_score(intervenable, test, test_labels, groups, subspaces=EVERYTHING if multi else None)
    if multi:
        X, S, _, _, y = create_single_source_counterfactual_dataset(VARIABLES, test, test_labels, size=PAIRS, seed=seed)
        found = iit_predict(intervenable, X, torch.cat([S, S]), subspaces=[[blocks] * PAIRS for blocks in EVERYTHING])
        figures["iia on one source"] = accuracy(found, y)
    return figures
