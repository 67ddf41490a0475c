"""One step of IIT on 256 pairs, in turns: by hand, by utils, by pyvene's call with our rotation and with its own."""
import argparse
import math
from collections.abc import Iterator, Mapping
from time import perf_counter

import torch

from studies.benchmarks.timing import median_ratio, save
from studies.benchmarks.ways import GROUPS, LR, Step, build_stock, by_hand, by_pyvene, by_stock
from utils.counterfactual_data_utils import Batch, PairPool, fresh_batches
from utils.das_utils import fit
from utils.data_utils import create_dataset
from utils.interventions.build import build_intervenable
from utils.interventions.rotated_space import pv
from utils.model_utils import PyTorchCNN

BATCH, IMAGES = 256, 10_000
CASES = (("conv1", 1, 1), ("conv1", 64, 1), ("conv1", 64, 2), ("conv1", 128, 2), ("conv3", 64, 2), ("fc1", 1, 3))
SLOW = (("conv1", 16, 1), ("conv1", 64, 1))  # layer, directions of each source, sources
ROUNDS, WARMUPS, SECONDS = 40, 2, 30.0


def make_pool(num_sources: int, images: int = IMAGES) -> PairPool:
    """Images to draw pairs from, the same ones every time."""
    return PairPool(*create_dataset(images, seed=0), GROUPS[num_sources])


def make_ours(layer: str, directions: int, num_sources: int) -> pv.IntervenableModel:
    """An untrained network with the same weights and directions every time."""
    torch.manual_seed(0)
    return build_intervenable(PyTorchCNN(), layer, directions, num_sources)


def time_fit(
    intervenable: pv.IntervenableModel, pool: PairPool, rounds: int, others: Mapping[str, Step] = {},
    batch_size: int = BATCH, warmups: int = WARMUPS, seconds: float = math.inf, stock_steps: int = 0,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Take steps with ``das_utils.fit``, as notebooks do, and after each of them one of every other way.

    The batches that ``fit`` pulls do it: when it asks for the next one, its step is over.

    Args:
        intervenable: trained in place.
        pool: pairs are drawn from it with seed 0, which is part of the step.
        rounds: steps of each way, fewer where ``seconds`` have passed; at least five.
        others: name -> a call that takes a step and returns its loss.
        batch_size: pairs a step.
        warmups: steps of each way before these, which do not count.
        seconds: stop after this much time.
        stock_steps: in how many rounds, from the first, the way called "stock" takes a step.

    Returns:
        seconds and losses of each step, by the name of the way; ``fit`` is called "utils".
    """
    timings: dict[str, list[float]] = {name: [] for name in ("utils", *others)}
    losses: dict[str, list[float]] = {name: [] for name in ("utils", *others)}

    def batches() -> Iterator[Batch]:
        drawn, begun = fresh_batches(pool, batch_size, warmups + rounds, 0), perf_counter()
        for i in range(-warmups, rounds):
            if i >= 5 and perf_counter() - begun > seconds:
                return
            start = perf_counter()
            yield next(drawn)
            timings["utils"].append(perf_counter() - start)
            for name, step in others.items():
                if name == "stock" and i not in range(stock_steps):
                    continue
                start = perf_counter()
                losses[name].append(step())
                timings[name].append(perf_counter() - start)

    history = fit(intervenable, batches(), warmups + rounds, lr=LR, schedule="constant", behavior_weight=1.0,
                  train_model=True)
    losses["utils"] = [sum(both) for both in zip(history["interchange_loss"], history["behavior_loss"])]
    rounds = len(timings["utils"]) - warmups
    return {name: values[-rounds:] for name, values in timings.items()}, losses


def validate_losses(losses: Mapping[str, list[float]], tolerance: float = 1e-4) -> None:
    """Raise RuntimeError unless all ways had the same loss at the first step, of the same weights and pairs; but for
    the stock rotation, which draws directions of its own."""
    first = {name: values[0] for name, values in losses.items() if name != "stock"}
    if not max(first.values()) - min(first.values()) < tolerance:
        raise RuntimeError(f"the ways compute other losses: {first}")


def time_ways(case: tuple[str, int, int], stock_steps: int = 0) -> dict[str, list[float]]:
    """Seconds of each step by each way, of the same weights, directions and pairs; only where ``stock_steps`` are asked
    for with the stock rotation, which takes half a minute to build."""
    num_sources = case[-1]
    pool, ours = make_pool(num_sources), make_ours(*case)
    others = {"by hand": by_hand(ours, pool, BATCH), "pyvene": by_pyvene(make_ours(*case), pool, BATCH)}
    if stock_steps:
        others["stock"] = by_stock(build_stock(PyTorchCNN(), *case), pool, BATCH)
    timings, losses = time_fit(ours, pool, ROUNDS, others, seconds=SECONDS, stock_steps=stock_steps)
    validate_losses(losses)
    return timings


def main() -> None:
    """Time all cases into results/steps.json, or with --slow the stock rotation at 16 and 64 into steps_slow.json."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--slow", action="store_true", help="one stock step at 16 and at 64 directions, minutes each")
    slow = parser.parse_args().slow
    timings: dict[str, list[float]] = {}
    facts: dict[str, dict] = {}
    for case in SLOW if slow else CASES:
        layer, directions, num_sources = case
        found = time_ways(case, stock_steps=1 if slow else 5 * (case == CASES[0]))
        for way, values in found.items():
            name = f"step, {way}, {layer}, {num_sources} x {directions}"
            timings[name] = values
            facts[name] = {"way": way, "layer": layer, "directions": directions, "sources": num_sources,
                           "batch_size": BATCH}
        ratios = {way: median_ratio(values, found["by hand"]) for way, values in found.items()}
        shown = ", ".join(f"{way} {ratio:.2f}" for way, ratio in ratios.items())
        print(f"{layer}, {num_sources} x {directions}: {shown}", flush=True)
    save("steps_slow" if slow else "steps", timings, facts)


if __name__ == "__main__":
    main()
