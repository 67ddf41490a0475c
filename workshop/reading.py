"""Read a notebook, whichever program wrote it, as the format that the copies and slides have."""
import json
from pathlib import Path
from typing import Any

import nbformat

MOST_BYTES = 50 * 2**20  # with all pictures, the notebooks of the series have about 1 MB


def name_cells(notebook: dict[str, Any]) -> None:
    """Give each cell without an id, or with another one's, an id of its own; always the same one."""
    ids = [cell.get("id") for cell in notebook["cells"]]
    for n, cell in enumerate(notebook["cells"]):
        if not ids[n] or ids[n] in ids[:n]:
            name = f"cell-{n + 1}"
            while name in ids:
                name += "-"
            cell["id"] = ids[n] = name


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """The notebook in format 4.5, every cell with an id, lines ending as on Linux, without the state of widgets, which
    no stored page needs.

    Raises:
        ValueError: the file is missing, no notebook, or larger than ``MOST_BYTES``; the message names file and cell.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES // 2**20} MB; clear its outputs")
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
        if raw.get("nbformat") == 4:  # the ids came with 4.5
            name_cells(raw)
            raw["nbformat_minor"] = max(raw["nbformat_minor"], 5)
        nbformat.validate(raw)  # reads would only log what is wrong
        notebook = nbformat.reads(json.dumps(raw), as_version=4)
        nbformat.writes(notebook).encode()  # half a letter, which JSON can hold, cannot be written
    except (OSError, ValueError, AttributeError, KeyError, TypeError, ImportError, AssertionError, RecursionError,
            nbformat.ValidationError) as error:
        where = [*getattr(error, "absolute_path", [])]
        cell = f", cell {where[1] + 1}" if where[:1] == ["cells"] and len(where) > 1 else ""
        said = error.strerror if isinstance(error, OSError) else str(error)
        what = (said or "its version is no number").splitlines()[0][:200]
        raise ValueError(f"{path.name}{cell}: not a valid notebook: {what}") from error
    if raw["nbformat"] < 4:  # the conversion makes random ids
        for converted in notebook.cells:
            converted.pop("id", None)
        name_cells(notebook)
        notebook.nbformat_minor = 5
    for cell in notebook.cells:  # as some programs for Windows save them
        cell.source = cell.source.replace("\r\n", "\n")
    notebook.metadata.pop("widgets", None)
    return notebook
