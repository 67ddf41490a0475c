"""How time and peak memory of a step grow with directions, sources, batch, images and the size of the layer."""
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import psutil
import torch

from studies.benchmarks.steps import make_ours, make_pool, time_fit
from studies.benchmarks.timing import save, take_turns
from utils.data_utils import create_dataset
from utils.interventions.rotation import RotateLayer

ROUNDS, PASSES = 4, 2


def step(directions: int = 16, num_sources: int = 1, batch_size: int = 256, images: int = 5000) -> list[float]:
    """Seconds of steps through utils at conv1."""
    pool = make_pool(num_sources, images)
    return time_fit(make_ours("conv1", directions, num_sources), pool, ROUNDS, batch_size=batch_size)[0]["utils"]


def rotation(neurons: int, directions: int = 64) -> list[float]:
    """Seconds of one forward and backward of the rotation alone, of 256 rows; our layers have up to 12,544 neurons."""
    rotate, X = RotateLayer(neurons, directions), torch.randn(256, neurons)
    return take_turns({"": lambda: rotate(X).square().sum().backward()}, ROUNDS)[""]


def paint(images: int) -> list[float]:
    """Seconds of ``create_dataset``."""
    return take_turns({"": lambda: create_dataset(images, seed=0)}, 3)[""]


# series -> (what to do, its argument, values)
SERIES: dict[str, tuple[Callable[..., list[float]], str, tuple[int, ...]]] = {
    "directions": (step, "directions", (1, 4, 16, 64, 256)),
    "sources": (step, "num_sources", (1, 2, 3)),
    "pairs in a batch": (step, "batch_size", (64, 128, 256, 512, 1024)),
    "images to draw from": (step, "images", (5_000, 20_000, 80_000)),
    "neurons of the layer, the rotation alone": (rotation, "neurons", (3_136, 6_272, 12_544, 25_088, 50_176)),
    "images made by create_dataset": (paint, "images", (1_000, 4_000, 16_000, 64_000)),
}


def peak_bytes() -> int:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(call: partial) -> tuple[list[float], float]:
    """Seconds of each round, and by how many MB the process grew at most; for a process of its own."""
    before = psutil.Process().memory_info().rss
    seconds = call()
    return seconds, (peak_bytes() - before) / 1e6


def main() -> None:
    """Measure every point in a fresh process of its own and write results/growth.json."""
    context = get_context("forkserver")  # a process starts with the memory of the imports and no more
    context.set_forkserver_preload(["studies.benchmarks.steps"])
    timings: dict[str, list[float]] = {}
    facts: dict[str, dict] = {}
    for _ in range(PASSES):
        for series, (call, argument, values) in SERIES.items():
            for value in values:
                with ProcessPoolExecutor(1, context) as pool:
                    seconds, peak_mb = pool.submit(measure, partial(call, **{argument: value})).result()
                name = f"growth, {series}, {value}"
                timings.setdefault(name, []).extend(seconds)
                facts[name] = {"series": series, "x": value, "peak_mb": round(peak_mb, 1)}
    for name, seconds in timings.items():
        print(f"{name}: {min(seconds):.4f} s, {facts[name]['peak_mb']:.0f} MB")
    save("growth", timings, facts)


if __name__ == "__main__":
    main()
