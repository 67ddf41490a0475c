"""Write a folder so that whoever is interrupted, by a kill or a full disk, leaves no file half-written.

Called with a folder and a command that makes one, as by ``make book``, it puts what the command made in its place.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # without make, nothing else puts it there

from utils.running.whole import naming  # noqa: E402

PREFIX, FOLDER = ".writing-", "FOLDER"
MOST_SECONDS = 600  # to wait for another who writes the same folder


@contextmanager
def whole_files(into: Path) -> Iterator[Path]:
    """A new folder to write to; at the end its files replace those of ``into``, each at once, and all if none is there.

    Raises:
        OSError: a folder is read-only, or the disk is full; nothing has been replaced.
    """
    with naming(into):
        home = into if into.is_dir() else into.parent
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=PREFIX) as temporary:
            new = Path(temporary, "new")
            new.mkdir()
            yield new
            if home != into and not into.is_dir():
                new.rename(into)
                return
            for path in sorted(path for path in new.rglob("*") if path.is_file()):
                target = into / path.relative_to(new)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)


def replace_folder(into: Path, command: Sequence[str]) -> int:
    """Let a command write a folder, which takes the place of ``into`` where it succeeds; whoever comes second waits, up
    to ten minutes.

    Args:
        command: its argument ``FOLDER`` stands for the folder that it writes.

    Returns:
        the command's exit status; where that is not 0, ``into`` is as it was.

    Raises:
        OSError: the folder around ``into`` is read-only, or another has held its lock all the time.
    """
    part, old = (into.with_name(f"{into.name}.{suffix}") for suffix in (f"part-{os.getpid()}", "old"))
    with naming(into):
        into.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(into.parent / ".writing.lock", timeout=MOST_SECONDS):
            if old.exists() and not into.exists():  # somebody was killed between the two renames
                old.rename(into)
            for left in (old, *into.parent.glob(f"{into.name}.part-*")):
                shutil.rmtree(left, ignore_errors=True)
            part.mkdir()
            status = subprocess.run([str(part) if word == FOLDER else word for word in command]).returncode
            if status == 0:
                if into.exists():
                    into.rename(old)
                part.rename(into)
            for left in (old, part):
                shutil.rmtree(left, ignore_errors=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(replace_folder(Path(sys.argv[1]), sys.argv[2:]))
    except OSError as error:
        sys.exit(str(error))
