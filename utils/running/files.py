"""Locks that say where they cannot be had, and weights as bytes, also those of unknown origin."""
import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from filelock import BaseFileLock

from utils.running.whole import naming

MOST_BYTES = {".pth": 4 * 2**30, ".json": 2**20}  # of a file that is read


@contextlib.contextmanager
def locked(lock: BaseFileLock) -> Iterator[None]:
    """Hold a lock; while another process holds it, wait for as long as its timeout says.

    Raises:
        Timeout: another process has held it all the time.
        OSError: it cannot be had at all, as on some network drives; nothing is waited for.
    """
    with naming(lock.lock_file, "this file cannot be locked ({}): take a folder that you may write to, on a disk that "
                "lets files be locked"):
        held = lock.acquire()
    with held:
        yield


def validate_file(path: Path) -> None:
    """Raise FileNotFoundError where there is no such file, ValueError where it is larger than ``MOST_BYTES``."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint file {path.name} is missing in {path.parent.name}")
    if (size := path.stat().st_size) > (most := MOST_BYTES[path.suffix]):
        raise ValueError(f"{path.name} must have at most {most:,} bytes, it has {size:,}")


def pack_weights(model: torch.nn.Module) -> bytes:
    """The content of a .pth file: the same for the same weights."""
    file = io.BytesIO()
    torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, file)
    return file.getvalue()


def unpack_weights(content: bytes) -> dict[str, torch.Tensor]:
    """The tensors of a .pth file, on the CPU. Nothing in it is executed, and it takes no more memory than it has bytes;
    what it holds instead of tensors may raise any error."""
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        if any(part.file_size > len(content) for part in parts.infolist()):
            raise ValueError("a part of the file is said to be larger than all of it")
    weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if any(tensor.numel() * tensor.element_size() > len(content) for tensor in weights.values()):
        raise ValueError("a tensor is said to be larger than the file")
    return weights


def load_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give a network weights to the bit, in their number types.

    Raises:
        ValueError: they are those of another network, or infinite, and nothing has changed.
    """
    if {name: own.shape for name, own in model.state_dict().items()} != {name: t.shape for name, t in weights.items()}:
        raise ValueError("its weights are those of another network")
    if infinite := [name for name, _ in model.named_parameters() if weights[name].isinf().any()]:  # a mask may be
        raise ValueError(f"its weights are infinite, in {', '.join(infinite)}")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        tensor.data = tensor.data.to(weights.get(name, tensor).dtype)
    model.load_state_dict(weights)
