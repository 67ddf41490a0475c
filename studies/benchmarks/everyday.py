"""What a learner waits for: the data, the imports, a notebook, and a move of the explorer."""
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np

from studies.benchmarks.timing import save, take_turns
from utils.data_utils import MAX_COLOR, MAX_CIRCULARITY, MIN_AREA, MIN_CIRCULARITY, create_dataset, generate_ellipse
from utils.validation import validate_images

ROOT = Path(__file__).resolve().parent.parent.parent
IMAGES = 10_000
MOVES = 30
NOTEBOOK = "1_counterfactual_data"  # a short one; `make refresh` measures them all


def paint_one_by_one(n: int, seed: int = 0) -> np.ndarray:
    """What ``create_dataset`` would be with a loop over ``generate_ellipse``: the same draws, images (n, 28, 28)."""
    color, circularity, area, turned = np.random.RandomState(seed).random_sample((n, 4)).T
    color = np.round(MAX_COLOR * color, 2)
    circularity = np.round(MIN_CIRCULARITY + (MAX_CIRCULARITY - MIN_CIRCULARITY) * circularity, 2)
    area = np.round(MIN_AREA + 3 * MIN_AREA * area, 2)
    return np.stack([generate_ellipse(*row) for row in zip(circularity, color, area, turned < 0.5)])


def time_import(module: str) -> tuple[float, bool]:
    """CPU seconds of a fresh interpreter to import a module of utils, and whether pyvene comes with it."""
    code = (f"import sys, time; start = time.process_time(); import utils.{module}; "
            "print(time.process_time() - start, 'pyvene' in sys.modules)")
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    seconds, pyvene = output.split()[-2:]
    return float(seconds), pyvene == "True"


def time_notebook() -> float:
    """Seconds to execute ``NOTEBOOK``, as `make notebooks` does."""
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        subprocess.run([sys.executable, "notebooks/execute.py", f"notebooks/{NOTEBOOK}.ipynb", "--into", folder],
                       capture_output=True, check=True, cwd=ROOT)
        return perf_counter() - start


def time_moves() -> dict[str, tuple[list[float], dict]]:
    """Seconds of each move of a slider of the explorer, for each network and layer that ship."""
    from utils.explorer.widget import Explorer, load_networks

    networks, found = load_networks(), {}
    explorer = Explorer(networks, create_dataset(500, seed=0)[0])
    values = iter(np.tile([0.31, 0.62], MOVES * 20))
    for network, layers in networks.items():
        explorer.network.value = network
        for layer in layers:
            explorer.layer.value = layer

            def move() -> None:
                explorer.sliders[0][0].value = next(values)

            found[f"explorer, {network}, {layer}"] = (take_turns({"": move}, MOVES)[""], {"series": "explorer"})
    return found


def main() -> None:
    """Measure all four and write results/everyday.json."""
    assert np.array_equal(paint_one_by_one(500), create_dataset(500, seed=0)[0])
    images = create_dataset(IMAGES, seed=0)[0]
    painted = take_turns({"create_dataset": lambda: create_dataset(IMAGES, seed=0),
                          "a loop over generate_ellipse": lambda: paint_one_by_one(IMAGES),
                          "their values checked": lambda: validate_images(images)}, 5, warmups=1)
    timings = {f"{IMAGES:,} images, {name}": values for name, values in painted.items()}
    facts: dict[str, dict] = {name: {"series": "images"} for name in timings}
    modules = [".".join(path.relative_to(ROOT / "utils").with_suffix("").parts)
               for path in sorted((ROOT / "utils").rglob("[a-z]*.py"))]
    with ThreadPoolExecutor(2) as pool:  # one interpreter for each of two cores, as an import uses one thread
        for module, (seconds, pyvene) in zip(modules, pool.map(time_import, modules)):
            timings[name := f"import utils.{module}"] = [seconds]
            facts[name] = {"series": "import", "module": module, "pyvene": int(pyvene)}
    timings[name := f"notebook {NOTEBOOK}"], facts[name] = [time_notebook()], {"series": "notebook"}
    for name, (values, known) in time_moves().items():
        timings[name], facts[name] = values, known
    for name, values in timings.items():
        print(f"{name}: {np.median(values):.4f} s")
    save("everyday", timings, facts)


if __name__ == "__main__":
    main()
