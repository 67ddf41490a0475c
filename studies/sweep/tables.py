"""The tables of the sweep: which cells answer which question of notebook 6."""
from collections.abc import Callable
from functools import partial
from typing import Any

from studies.sweep.cells import Cell, grid

OBJECTIVES = ((0.4, 0.4, 0.4), (0.3, 0.4, 0.5), (0.5, 0.4, 0.3))
NETWORKS, FEWER = 22, 10  # of the 22, 20 learn the task
CONVOLUTIONS, LAYERS = ("conv1", "conv2", "conv3"), ("conv1", "conv2", "conv3", "fc1")
EACH_VARIABLE = (((0,),), ((1,),), ((2,),))
ONE_SOURCE = (*EACH_VARIABLE, ((0, 1),), ((0, 2),), ((1, 2),))
SEVERAL_SOURCES = (((0,), (1,)), ((0,), (2,)), ((1,), (2,)), ((0,), (1,), (2,)))
DAS_STEPS = {"conv1": 300, "conv2": 300, "conv3": 400, "fc1": 200}
IIT_STEPS = dict.fromkeys(LAYERS, 150)
WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
SEED_RECIPE = Cell("IIT", "conv1", ((0, 1),), 1, num_steps=40, lr=5e-4, schedule="constant")


def das_cells(coefficients: tuple[float, ...], networks: int = NETWORKS, directions: int = 64) -> list[Cell]:
    """DAS for each variable at each convolution of many base networks that were trained on one objective."""
    return [cell for network in range(networks)
            for cell in grid("DAS", CONVOLUTIONS, EACH_VARIABLE, [directions], DAS_STEPS, seed=network, network=network,
                             coefficients=coefficients)]


def direction_cells() -> list[Cell]:
    """How many directions a variable needs, found by DAS in the network that ships."""
    return (grid("DAS", CONVOLUTIONS, EACH_VARIABLE, [1, 2, 4, 16, 64], DAS_STEPS)
            + grid("DAS", ["fc1"], EACH_VARIABLE, [1, 2, 3], DAS_STEPS))


def place_cells() -> list[Cell]:
    """Where IIT can put which variables: every convolution in two sizes, and the hidden layer."""
    sets: list[tuple[tuple[int, ...], ...]] = [*ONE_SOURCE, *SEVERAL_SOURCES]
    options: dict[str, Any] = {"num_steps": IIT_STEPS, "behavior_weight": 1.0}
    return (grid("IIT", CONVOLUTIONS, sets, [1, 16], **options)
            + grid("IIT", ["fc1"], sets, [1, 2], **options))


def front_cells(seeds: int = 3) -> list[Cell]:
    """Behavior against interchange over the weight of the behavior loss; and the recipe that was there first."""
    return [Cell("IIT", "conv1", ((0, 1),), 16, IIT_STEPS["conv1"], behavior_weight=weight, seed=seed)
            for weight in WEIGHTS for seed in range(seeds)] + [
        Cell(**{**vars(SEED_RECIPE), "seed": seed}) for seed in range(seeds)]


def small_cells() -> list[Cell]:
    """A taste of everything, in a few minutes."""
    return (das_cells(OBJECTIVES[0], networks=2)
            + grid("DAS", LAYERS, EACH_VARIABLE, [1], DAS_STEPS)
            + grid("IIT", ["conv3", "fc1"], [((0, 1),), ((0,), (1,), (2,))], [1], IIT_STEPS, behavior_weight=1.0))


TABLES: dict[str, Callable[[], list[Cell]]] = {
    "small": small_cells, "directions": direction_cells, "place": place_cells, "front": front_cells,
    **{f"das{i}": partial(das_cells, objective) for i, objective in enumerate(OBJECTIVES)},
    **{f"das0-{size}": partial(das_cells, OBJECTIVES[0], FEWER, size) for size in (4, 16)},
}
