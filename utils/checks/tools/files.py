"""Watch a learner's function write a file: at each of its steps the file holds all of the old, or all of the new."""
import os
from collections.abc import Iterator
from pathlib import Path

from utils.checks.helpers import WrongAnswer, require
from utils.checks.tools.running import Learner, refuse

NEIGHBOR = "a result of someone else's"
IN_TWO = ("Write to another file in the same folder first, close it, and rename it with os.replace, which changes "
          "`path` in one step.")


def broken_off(error: BaseException) -> Iterator[str]:
    """Parts that break off with an error, after enough to fill the buffer of a file."""
    yield "new, but only ha"
    yield "-" * 100_000
    raise error


class Watched:
    """A folder with one file that a learner's function writes, and one that it leaves alone."""

    def __init__(self, learner: Learner, folder: Path) -> None:
        self.learner, self.folder, self.path = learner, folder / "runs", folder / "runs" / "row.json"
        self.folder.mkdir()
        (self.folder / "other.txt").write_text(NEIGHBOR)
        self.left: set[Path] = set()
        self.wrong, self.beside, self.traced = "", False, False

    def _content(self) -> str | None:
        try:
            return self.path.read_text()
        except OSError:
            return None

    def _files(self) -> set[Path]:
        return {path for path in self.folder.parent.rglob("*") if path.is_file()} - {self.path,
                                                                                     self.folder / "other.txt"}

    def _look(self, old: str | None, new: str | None) -> None:
        """Note what is wrong with the file at this moment, first things first."""
        self.beside = self.beside or len(os.listdir(self.folder)) > 1 + self.path.exists()
        now = None if self.wrong else self._content()
        if self.wrong or now == old or new is not None and now == new:
            return
        if now is None:
            self.wrong = "For a moment there is no file at all: the old one is removed before the new one is there."
        elif now == "":
            self.wrong = "For a moment the file is empty: it is opened for writing, or put in place unwritten."
        elif old and now.startswith(old):
            self.wrong = "What is new is written behind the old: it takes the place of it."
        else:
            self.wrong = "For a moment the file is there half-written."

    def _call(self, parts: Iterator[str], old: str | None, new: str | None) -> None:
        def given() -> Iterator[str]:
            for part in parts:
                self._look(old, new)
                yield part

        def look() -> None:
            self.traced = True
            self._look(old, new)

        self.wrong, self.beside, self.traced = "", False, False
        try:
            self.learner(self.path, given(), look=look, nothing=True)
        finally:
            self._look(old, new)

    def write(self, parts: list[str]) -> None:
        """Let it write ``parts``: at each moment whole, and nothing else is touched."""
        old, new = self._content(), "".join(parts)
        before = self.path.stat().st_ino if old is not None else None
        try:
            self._call(iter(parts), old, new)
        except WrongAnswer as told:
            require(not isinstance(told.__cause__, FileExistsError), "After an interruption your function cannot write "
                    "any more: what was left behind is in the way. Open the other file with \"w\", which empties it.")
            raise
        now = self._content()
        what = f"with the parts {[p[:9] for p in parts][:4]}" if parts else "with no parts at all"
        if now is None and old is None:
            refuse(f"No file was written to `path`{', where there were no parts' if not parts else ''}.")
        require(now is not None, "The file is gone in the end: rename the other file to `path`, not `path` to it.")
        if now != new:
            self._say_content(old, new, now or "", parts, what)
        require(not self.wrong, f"{self.wrong} {IN_TWO}")
        require(before is None or self.path.stat().st_ino != before or old == new, "The file is written in place: "
                f"killed at the wrong moment it is half-written. {IN_TWO}")
        neighbor = self.folder / "other.txt"
        require(neighbor.exists() and neighbor.read_text() == NEIGHBOR, "Another file of the folder was changed or "
                "removed: touch only `path` and your own temporary file.")
        rest = self._files() - self.left
        require(not rest, "A file is left behind beside the one that was asked "
                          f"for{' (' + min(rest).name + ')' if rest else ''}: rename it, or remove it.")
        require(self.beside or not self.traced or bool(self.left), "The temporary file lies in another folder, which "
                "may be on another disk: put it beside the file.")

    def _say_content(self, old: str | None, new: str, now: str, parts: list[str], what: str) -> None:
        for condition, message in (
            (self.left and now.endswith(new), "What an interrupted call left behind is in the file too: open the other "
                                              "file with \"w\", which empties it, not with \"a\"."),
            (now == old and new != old, "A file that is there already is not replaced."),
            (old is not None and now == old + new, "What is new is written behind the old: it takes the place of it."),
            (now == "", "The file is empty: can the parts be walked through only once, and was that done before?"),
            (now == "".join(parts[::-1]), "The parts are in reverse order."),
            (bool(parts) and now == parts[0], "Only the first part is written: write all, one after the other."),
            (bool(parts) and now == parts[-1], "Only the last part is written: open the file once, before the loop."),
            (now == "\n".join(parts) or now == "".join(p + "\n" for p in parts) or now == new + "\n",
             "Line breaks come between or behind the parts: write them as they are, one after the other."),
            (now == " ".join(parts) or now == ",".join(parts) or now == ", ".join(parts), "Something is put between "
                    "the parts: write them as they are, one after the other."),
            (now == "".join(dict.fromkeys(parts)), "Parts that are alike are written once: write all of them."),
            (now.replace(" ", "").replace("\n", "") == new.replace(" ", "").replace("\n", ""), "Spaces or line breaks "
                    "are lost or added: write the parts as they are."),
            (now.lower() == new.lower(), "Upper and lower case are changed: write the parts as they are."),
            (now.startswith(("[", "(")) and len(parts) > 0, "This is a list in print: write the parts themselves, one "
                                                            "after the other."),
            (bool(now) and new.startswith(now), "The last of the parts are missing: does the loop end at an empty "
                                                "part, or is something not written before the file is closed?"),
            (bool(now) and new.endswith(now), "The first of the parts are missing."),
            (sorted(now) == sorted(new), "The parts are in another order."),
        ):
            require(not condition, f"{message} It was called {what}.")
        refuse(f"The file holds {now[:40]!r}, and should hold {new[:40]!r}: the parts, one after the other.")

    def interrupt(self, parts: Iterator[str], error: BaseException) -> None:
        """Let it write parts that break off with ``error``: the file stays, and the error comes through."""
        old = self._content()
        try:
            self._call(parts, old, None)
        except WrongAnswer as told:
            cause = told.__cause__
            known = isinstance(cause, type(error)) or isinstance(getattr(cause, "__cause__", None), type(error))
            if not known:
                raise
        except type(error):
            pass
        else:
            refuse(f"The parts broke off with an error ({type(error).__name__}), and your function swallows it: let it "
                   "pass.")
        now = self._content()
        require(now is not None or old is None, "When the parts break off, the old file is gone: leave it alone until "
                                                "all is written.")
        require(now == old, "When the parts break off, the file is left half-written: write to another file first, and "
                            "rename it at the end, where no `finally` or `except` comes to it.")
        require(not self.wrong, f"{self.wrong} A power cut then leaves it so, whatever `except` or `finally` would "
                                f"mend. {IN_TWO}")
        self.left |= self._files()
