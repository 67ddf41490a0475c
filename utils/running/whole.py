"""Files that are never seen half-written."""
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout


@contextmanager
def naming(path: str | Path, what: str = "cannot be written ({}), and is as it was") -> Iterator[None]:
    """An OSError within names this file, in place of one that only its writer knows or of none; no Timeout does."""
    try:
        yield
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        number, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or error
        raise OSError(number or errno.ENOLCK, what.format(reason), str(path)) from error


def write_whole(path: Path, text: str) -> None:
    """Write a file through to the disk, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder read-only; what the file held is still there.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # two writers have each their own
    with naming(path):
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
