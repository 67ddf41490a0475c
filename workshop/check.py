"""Tell in under a minute whether this machine is ready for the notebooks. Run by ``make check``.

Written so that an old Python, without any package, can still run it and say what is missing.
"""
from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OK, NOTE, FAIL = "OK", "NOTE", "FAIL"
STEPS_PER_SECOND = 44  # of 128 images, measured on two CPU cores
MEASURED = ROOT / "studies" / "benchmarks" / "results" / "notebooks.json"  # what make refresh took
INSTALL = "run `make check`, which installs into .venv; without make: `python -m pip install -r requirements.txt`"
ANEW = "remove .venv and run `make check`, which installs anew"


def check_python() -> tuple[str, str]:
    """Whether Python is new enough."""
    version = platform.python_version()
    if tuple(sys.version_info[:2]) < (3, 11):
        return FAIL, f"Python {version} is too old: install 3.11 or newer, then `make check PYTHON=python3.11`"
    return OK, f"Python {version}" + ("" if sys.prefix == sys.base_prefix else f", in {Path(sys.prefix).name}")


def check_packages() -> tuple[str, str]:
    """Whether all packages of requirements.txt are there, import, and have the versions that were tested."""
    from importlib import metadata
    missing, broken, other = [], [], []
    for name, pin in re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M):
        try:
            found = metadata.version(name).split("+")[0]
            importlib.import_module(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
        except Exception as error:  # a broken installation can raise almost anything
            broken.append(f"{name} ({first_line(error)})")
        else:
            other += [f"{name} {found} in place of {pin}"] * (found != pin)
    if missing:
        return FAIL, f"not installed: {', '.join(missing)}; {INSTALL}"
    if broken:
        return FAIL, f"does not load: {'; '.join(broken)}; {ANEW}"
    if other:
        return NOTE, f"other versions than those tested: {', '.join(other)}; if a notebook fails, {INSTALL}"
    return OK, "all packages are there, in the versions that were tested"


def check_folder() -> tuple[str, str]:
    """Whether notebooks can be saved, and whether there is room."""
    try:
        with tempfile.TemporaryFile(dir=str(ROOT / "notebooks")):
            free = shutil.disk_usage(str(ROOT)).free / 2**30
    except OSError:
        return NOTE, "the notebooks run, but you cannot save here: copy the folder into your home folder and work there"
    return (OK, f"notebooks can be saved, {free:.0f} GB free") if free > 1 else (NOTE, "the disk is full: make room")


def check_memory() -> tuple[str, str]:
    """How much memory may be used, as far as the system tells."""
    import psutil
    free, limit = psutil.virtual_memory().available, Path("/sys/fs/cgroup/memory.max")  # a container may have less
    if limit.is_file() and limit.read_text().strip().isdigit():
        free = min(free, int(limit.read_text()))
    text = f"{free / 2**30:.1f} GB free"
    return (OK, text) if free > 2 * 2**30 else (NOTE, f"{text}: close other programs, and notebooks that you have left")


def check_device() -> tuple[str, str]:
    """What the networks are trained on."""
    import torch
    from utils.model_utils import find_device
    device = find_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return OK, f"{device.type} ({name})"


def images_and_answers(n: int, seed: int):
    """n images (n, 1, 28, 28) and the causal model's answers (n,), as tensors."""
    import torch
    from utils.data_utils import causal_model, create_dataset
    images, labels = create_dataset(n, seed=seed)
    return torch.from_numpy(images)[:, None], torch.from_numpy(causal_model(labels))


def check_network() -> tuple[str, str]:
    """Whether the network that ships is whole and answers as it should."""
    from utils import checkpoint_utils
    from utils.model_utils import evaluate
    try:
        model, provenance = checkpoint_utils.load_checkpoint(checkpoint_utils.BASE_CNN)
    except (OSError, ValueError) as error:
        return FAIL, f"{first_line(error)}; restore it: `git checkout pytorch_models`, or get the repository again"
    found, wanted = evaluate(model, *images_and_answers(5_000, seed=2)), provenance["heldout_accuracy"]
    text = f"accuracy {found:.3f} on 5,000 held-out images ({wanted:.3f} is recorded)"
    return (OK, f"its hash is right, {text}") if abs(found - wanted) < 0.02 else (FAIL, f"{text}; {ANEW}")


def check_training(seconds: float) -> tuple[str, str]:
    """Train the CNN for a while: how quick this machine is, and whether the network learns."""
    import torch
    from utils.model_utils import PyTorchCNN, evaluate, find_device
    (X, y), device = images_and_answers(20_000, seed=1), find_device()
    torch.manual_seed(0)
    model = PyTorchCNN().to(device)
    optimizer, steps, start, passed = torch.optim.Adam(model.parameters()), -1, None, 0.0
    while passed < seconds:
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - passed / seconds)
        batch = torch.randint(len(X), (128,))
        output = model(X[batch].to(device)).squeeze(1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(output, y[batch].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for a GPU
        start = start or time.perf_counter()  # from the end of the first step, which also sets things up
        steps, passed = steps + 1, time.perf_counter() - start
    accuracy, slower = evaluate(model, *images_and_answers(5_000, seed=2)), STEPS_PER_SECOND / (steps / passed)
    all_seconds = json.loads(MEASURED.read_text())["seconds"]
    minutes = max(2, all_seconds / 60 * slower)  # on a GPU, starting kernels and drawing remain
    text = (f"{steps / passed:.0f} steps a second, accuracy {accuracy:.3f} on 5,000 held-out images after "
            f"{passed:.0f} s; all notebooks: about {minutes:.0f} minutes")
    if steps > 100 and accuracy < 0.6:
        return FAIL, f"the network does not learn: {text}; {ANEW}"
    return (OK, text) if slower < 3 else (NOTE, f"{text}; that is slow: close other programs")


def check_kernel() -> tuple[str, str]:
    """Whether a Jupyter kernel starts, with this Python, and answers 1 + 1."""
    repair = "with the Python of .venv, `python -m pip install --force-reinstall ipykernel jupyter_client`"
    shown: list[str] = []
    try:
        from jupyter_client.manager import run_kernel
        with run_kernel(kernel_name="python3", startup_timeout=30, stderr=subprocess.DEVNULL) as client:
            client.execute_interactive("import sys; print(1 + 1, sys.prefix)", timeout=30,
                                       output_hook=lambda message: shown.append(message["content"].get("text", "")))
    except Exception as error:  # among them NoSuchKernel, TimeoutError and RuntimeError
        return FAIL, f"no Jupyter kernel: {first_line(error)}; {repair}"
    answer = "".join(shown).strip()
    if answer != f"2 {sys.prefix}":
        return FAIL, f"the Jupyter kernel python3 answered {answer[:60]!r}: it is not this Python; {repair}"
    return OK, "a Jupyter kernel starts and answers 1 + 1 = 2"


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    return f"{type(error).__name__}: {error}".strip().split("\n")[0][:160]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long to train")
    sys.stdout.reconfigure(errors="backslashreplace")  # a Windows console may lack a letter
    seconds = parser.parse_args(arguments).seconds
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.path.insert(0, str(ROOT))
    found: dict[str, str] = {}
    for name, check in {
        "python": check_python, "packages": check_packages, "folder": check_folder, "memory": check_memory,
        "device": check_device, "network": check_network, "training": lambda: check_training(seconds),
        "kernel": check_kernel,
    }.items():
        if FAIL in (found.get("python"), found.get("packages")):
            print("      The rest was not tried: it needs what failed.")
            break
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                found[name], text = check()
        except Exception as error:
            found[name], text = FAIL, f"{first_line(error)}; {INSTALL}"
        print(f"{found[name]:5} {name}: {text}", flush=True)
    failed = [name for name, level in found.items() if level == FAIL]
    if failed:
        print(f"Not ready: {', '.join(failed)}. What to do stands beside each FAIL.")
    else:
        print("Ready, with notes." if NOTE in found.values() else "This machine is ready.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
