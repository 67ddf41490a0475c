"""What all benchmarks share: taking turns, the machine, and results as JSON that pyperf reads."""
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import psutil
import pyperf
import torch

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> dict[str, str | int]:
    """Processor, versions and threads; nothing that names the machine or its user."""
    found = None
    if os.path.exists("/proc/cpuinfo"):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        found = re.search(r"model name\s*:\s*(.+)", text)
    return {
        "cpu_model_name": found.group(1) if found else platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": platform.system(),
        "python_version": platform.python_version(),
        **{f"{name}_version": version(name) for name in ("torch", "pyvene", "numpy", "pyperf")},
        "threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"),
    }


def take_turns(
    ways: Mapping[str, Callable[[], object]], rounds: int, warmups: int = 2, seconds: float = float("inf")
) -> dict[str, list[float]]:
    """Seconds of every call. The ways take turns, so whatever else the machine does meets all of them alike.

    Args:
        ways: name -> what to time.
        rounds: turns of each way.
        warmups: turns before these, not returned.
        seconds: stop when this much time has passed, after at least three rounds.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    begun = perf_counter()
    for i in range(-warmups, rounds):
        if i >= 3 and perf_counter() - begun > seconds:
            break
        for name, call in ways.items():
            start = perf_counter()
            call()
            if i >= 0:
                taken[name].append(perf_counter() - start)
    return taken


def median_ratio(values: list[float], bound: list[float]) -> float:
    """The median of the ratios round by round, in which slow spells of the machine cancel."""
    return median(value / least for value, least in zip(values, bound))


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The p of y = c x^p by least squares of the logarithms: 1 is a straight line through 0, 2 a parabola."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def slower(
    stored: Mapping[str, tuple[Sequence[float], Mapping]], timings: Mapping[str, Sequence[float]], limit: float = 1.25
) -> list[str]:
    """What takes more than ``limit`` times its stored median now, the worst first, in a line each; where another
    processor measured what is stored, a line that says so comes first."""
    ratios = {name: median(values) / median(stored[name][0]) for name, values in timings.items() if name in stored}
    lines = [f"{name}: {ratio:.2f} times the stored {1e3 * median(stored[name][0]):,.1f} ms"
             for name, ratio in sorted(ratios.items(), key=lambda item: -item[1]) if ratio > limit]
    others = {facts["cpu_model_name"] for _, facts in stored.values()} - {machine()["cpu_model_name"]}
    return [f"Stored by another processor, {', '.join(sorted(others))}:"] * bool(others and lines) + lines


def save(file: str, timings: Mapping[str, list[float]], facts: Mapping[str, Mapping[str, str | int | float]]) -> Path:
    """Write timings as ``results/<file>.json``, to be read by ``read`` or ``python -m pyperf stats``, and print which
    got ``slower`` than those that were stored there.

    Args:
        file: name without ending.
        timings: name -> seconds of each round.
        facts: name -> what else is known about it, numbers or words.
    """
    shared = machine()
    runs = [pyperf.Run(values, metadata={"name": name, "unit": "second", **shared, **facts.get(name, {})},
                       collect_metadata=False) for name, values in timings.items()]
    suite = pyperf.BenchmarkSuite([pyperf.Benchmark([run]) for run in runs])
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{file}.json"
    if path.exists():
        nothing = [f"{file}: nothing takes a quarter longer than it did."]
        print(*slower(read(file, RESULTS), timings) or nothing, sep="\n")
    suite.dump(str(path), compact=False, replace=True)
    return path


def read(file: str, folder: Path = RESULTS) -> dict[str, tuple[list[float], dict]]:
    """What ``save`` wrote: name -> seconds of each round, and the facts."""
    suite = pyperf.BenchmarkSuite.load(str(folder / f"{file}.json"))
    return {b.get_name(): (list(b.get_values()), b.get_metadata()) for b in suite.get_benchmarks()}
