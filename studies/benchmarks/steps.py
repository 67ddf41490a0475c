"""One step of IIT at conv1, 256 pairs: by hand, by this project's utils and by pyvene's stock rotation, in turns."""
import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter

import torch

from studies.benchmarks.timing import median_ratio, save
from studies.benchmarks.ways import GROUPS, LR, build_stock, by_hand, by_stock
from utils.counterfactual_data_utils import PairPool
from utils.data_utils import create_dataset
from utils.interventions.build import build_intervenable
from utils.interventions.rotated_space import pv
from utils.model_utils import PyTorchCNN
from utils.training_utils import Batch, fit, fresh_batches

BATCH, IMAGES = 256, 10_000
DIRECTIONS = (1, 16, 64, 256)
WARMUPS = 2


def make_pool(num_sources: int, images: int = IMAGES) -> PairPool:
    """Images to draw pairs from, the same ones every time."""
    return PairPool(*create_dataset(images, seed=0), GROUPS[num_sources])


def make_ours(directions: int, num_sources: int, layer: str = "conv1") -> pv.IntervenableModel:
    """An untrained network with the same weights and directions every time."""
    torch.manual_seed(0)
    return build_intervenable(PyTorchCNN(), layer, directions, num_sources)


def time_fit(
    intervenable: pv.IntervenableModel, pool: PairPool, rounds: int, others: Mapping[str, Callable[[], float]] = {},
    batch_size: int = BATCH, warmups: int = WARMUPS, seconds: float = math.inf,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Take steps with ``training_utils.fit``, as notebooks do, and after each of them one of every other way.

    The batches that ``fit`` pulls do it: when it asks for the next one, its step is over.

    Args:
        intervenable: trained in place.
        pool: pairs are drawn from it with seed 0, which is part of the step.
        rounds: steps of each way, fewer where ``seconds`` have passed; at least three.
        others: name -> a call that takes a step and returns its loss.
        batch_size: pairs a step.
        warmups: steps of each way before these, which do not count.
        seconds: stop after this much time.

    Returns:
        seconds and losses of each step, by the name of the way; ``fit`` is called "utils".
    """
    timings: dict[str, list[float]] = {name: [] for name in ("utils", *others)}
    losses: dict[str, list[float]] = {name: [] for name in ("utils", *others)}

    def batches() -> Iterator[Batch]:
        drawn, begun = fresh_batches(pool, batch_size, warmups + rounds, 0), perf_counter()
        for i in range(-warmups, rounds):
            if i >= 3 and perf_counter() - begun > seconds:
                return
            start = perf_counter()
            yield next(drawn)
            timings["utils"].append(perf_counter() - start)
            for name, step in others.items():
                if i < 0 and name == "stock":
                    continue  # a step may take minutes, and needs no warm-up
                start = perf_counter()
                losses[name].append(step())
                timings[name].append(perf_counter() - start)

    history = fit(intervenable, batches(), warmups + rounds, LR, "constant", 1.0, None, True, "Timing")
    losses["utils"] = [sum(both) for both in zip(history["interchange_loss"], history["behavior_loss"])]
    rounds = len(timings["utils"]) - warmups
    return {name: values[-rounds:] for name, values in timings.items()}, losses


def check_losses(losses: Mapping[str, list[float]], tolerance: float = 1e-4) -> None:
    """Raise RuntimeError unless utils and bound had the same loss at the first step, of the same weights and pairs."""
    first, bound = losses["utils"][0], losses["by hand"][0]
    if not abs(first - bound) < tolerance:
        raise RuntimeError(f"utils and bound compute other losses: {first} and {bound}")


def time_ways(directions: int, num_sources: int, stock: bool, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of each step by each way, with the same weights, directions and pairs in utils and by hand.

    Args:
        directions: of each source.
        num_sources: 1, 2 or 3.
        stock: with pyvene's stock rotation, which takes half a minute to build.
        rounds: steps of each way, fewer where ``seconds`` have passed.
        seconds: stop after this much time.
    """
    pool, ours = make_pool(num_sources), make_ours(directions, num_sources)
    others = {"by hand": by_hand(ours, pool, BATCH)}
    if stock:
        others["stock"] = by_stock(build_stock(PyTorchCNN(), "conv1", directions, num_sources), pool, BATCH)
    timings, losses = time_fit(ours, pool, rounds, others, seconds=seconds)
    check_losses(losses)
    return timings


def main() -> None:
    """Time all sizes into results/steps.json, or with --slow the stock rotation at 16 and 64 into steps_slow.json."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--slow", action="store_true", help="one stock step at 16 and at 64 directions, minutes each")
    slow = parser.parse_args().slow
    timings: dict[str, list[float]] = {}
    facts: dict[str, dict] = {}
    cases = [(16, 1), (64, 1)] if slow else [(d, k) for k in GROUPS for d in DIRECTIONS]
    for directions, num_sources in cases:
        stock = slow or (directions, num_sources) == (1, 1)
        found = time_ways(directions, num_sources, stock, rounds=1 if slow else 40, seconds=4)
        for way, values in found.items():
            name = f"step, {way}, {num_sources} x {directions}"
            timings[name] = values
            facts[name] = {"way": way, "directions": directions, "sources": num_sources, "batch_size": BATCH}
        ratios = {way: median_ratio(values, found["by hand"]) for way, values in found.items()}
        print(f"{num_sources} x {directions}:", ", ".join(f"{way} {ratio:.2f}" for way, ratio in ratios.items()))
    save("steps_slow" if slow else "steps", timings, facts)


if __name__ == "__main__":
    main()
