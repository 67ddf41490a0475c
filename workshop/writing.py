"""Write a folder so that whoever is interrupted, by a kill or a full disk, leaves no file half-written."""
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".writing-"


@contextmanager
def whole_files(into: Path) -> Iterator[Path]:
    """A new folder to write to; at the end its files replace those of ``into``, each at once, and all if none is there.

    Raises:
        OSError: a folder is read-only, or the disk is full; nothing has been replaced.
    """
    home = into if into.is_dir() else into.parent
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=PREFIX) as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        yield new
        if home != into:
            new.rename(into)
            return
        for path in sorted(path for path in new.rglob("*") if path.is_file()):
            target = into / path.relative_to(new)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
