"""Turn the stored notebooks into reveal.js presentations that need no network. No cell is executed.

Run by ``make slides``. A cell is shown where its metadata has a ``slideshow`` entry: its ``slide_type`` is ``slide``,
``-`` (continues the slide), ``fragment`` (the same, at the next key) or ``notes`` (for the speaker). A code cell shows
its stored outputs, and with the tag ``show-code`` its code too.
"""
import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbconvert import SlidesExporter
from traitlets.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # without make, nothing else puts it there

from workshop.reading import read_notebook  # noqa: E402
from workshop.writing import PREFIX, whole_files  # noqa: E402

FOLDER = Path(__file__).resolve().parent
FONTS = "dist/theme/fonts/source-sans-pro"
VENDOR = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "dist/theme/white.css", f"{FONTS}/*", "plugin/notes/notes.js")
# what a browser would fetch by itself; an ordinary link waits for a click
OUTSIDE = re.compile(r"""(?:\s(?:src|srcset|poster)=|<link[^>]*\shref=|url\(|@import)\s*["']?(?:https?:)?//[^"'\s)]*""")

INDEX = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides</title>
<style>body {{ max-width: 40em; margin: 2em auto; padding: 0 1em; font: 1.1em/2 sans-serif }}</style>
<h1>Slides</h1>
<ul style="list-style: none; padding: 0">
{talks}
</ul>
<p>Arrow keys turn the pages, <kbd>S</kbd> opens the speaker notes, <kbd>Esc</kbd> shows all slides.</p>
</html>
"""


class Refused(Exception):
    """A notebook that gives no slides, or a tool that is missing; the message is for the user."""


def for_slides(name: str, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with the cells of its slides only, and of their outputs those that an audience should see."""
    kept = []
    for n, cell in enumerate(notebook.cells, start=1):
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "skip")
        if kind == "skip":
            continue
        if kind not in ("slide", "-", "fragment", "notes"):
            raise Refused(f"{name}: cell {n} has the unknown slide type {kind!r}.")
        if not kept and kind != "slide":
            raise Refused(f"{name}: the first cell that is tagged, cell {n}, must start a slide, and is {kind!r}.")
        if cell.cell_type == "code":
            widget = "application/vnd.jupyter.widget-view+json"
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr" and widget not in o.get("data", {})]
            if not cell.outputs and "show-code" not in cell.metadata.get("tags", []):
                raise Refused(f"{name}: cell {n} is on a slide and has no stored output to show.")
        kept.append(cell)
    if not kept:
        raise Refused(f"{name}: no cell is tagged as a slide.")
    return nbformat.from_dict({**notebook, "cells": kept})


def presentation(path: Path, pages: dict[str, str]) -> tuple[str, str, int]:
    """Page, title and number of slides of one notebook; ``pages`` names the page of every notebook."""
    notebook = for_slides(path.name, read_notebook(path))
    template = (FOLDER / "slides.html.j2").read_text(encoding="utf-8")
    exporter = SlidesExporter(raw_template=template, exclude_anchor_links=True, exclude_input_prompt=True,
                              exclude_output_prompt=True,
                              config=Config({"CSSHTMLHeaderPreprocessor": {"style": "default"}}))
    soup = BeautifulSoup(exporter.from_notebook_node(notebook)[0], "html.parser")
    for link in soup.select("a[href]"):
        target = link["href"].partition("#")[0].rpartition("/")[2]
        if target in pages and "://" not in link["href"]:
            link["href"] = pages[target]
        elif not link["href"].startswith(("https://", "http://", "mailto:")):
            link.unwrap()
    for fold in soup.select("aside.notes details"):
        if fold.summary:
            fold.summary.name = "p"
        fold.unwrap()
    for quote in soup.select("section blockquote"):
        if quote.get_text().strip().startswith("Predict"):
            quote["class"] = "question"
    for picture in soup.select("section img"):
        if not picture["src"].startswith("data:"):
            raise Refused(f"{path.name}: the picture {picture['src']} is not stored in the notebook.")
        if not picture.get("alt"):
            heading = picture.find_previous(["h1", "h2", "h3"])
            picture["alt"] = heading.get_text() if heading else "picture"
    title = soup.select_one("section h1, section h2, section h3")
    soup.title.string = title.get_text() if title else path.stem
    if outside := OUTSIDE.search(str(soup)):
        raise Refused(f"{path.name}: a slide would fetch something from another host: {outside.group().strip()}")
    return str(soup), soup.title.string, len(soup.select(".slides > section"))


def install_package(name: str, manifest: Path, folder: Path) -> Path:
    """Folder of a package that ``manifest`` pins, installed by npm into ``folder`` unless it is there."""
    version = json.loads(manifest.read_text(encoding="utf-8"))["dependencies"][name]
    package = folder / "node_modules" / name
    stored = package / "package.json"
    if stored.exists() and json.loads(stored.read_text(encoding="utf-8"))["version"] == version:
        return package
    npm = shutil.which("npm")
    if npm is None:
        raise Refused(f"npm is missing; it is needed once, to get {name}. On Debian and Ubuntu: apt install npm")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(manifest, folder)
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        raise Refused(f"npm could not install {name} {version}:\n{result.stderr.strip()}")
    return package


def install_reveal(folder: Path) -> Path:
    """Folder of the pinned reveal.js."""
    return install_package("reveal.js", FOLDER / "package.json", folder)


def write_slides(paths: list[Path], into: Path) -> list[str]:
    """Write the presentations, their list and what they load; nothing is replaced before all is written."""
    there = [path.name for path in into.iterdir() if not path.name.startswith(PREFIX)] if into.exists() else []
    if there and "vendor" not in there:
        raise Refused(f"{into} holds something else than slides, and is left as it is.")
    pages = {path.name: f"{path.stem}.slides.html" for path in paths}
    made = {path: presentation(path, pages) for path in paths}
    into.parent.mkdir(parents=True, exist_ok=True)
    reveal = install_reveal(into.with_name(f"{into.name}-npm"))
    with whole_files(into) as new:
        for source in (file for pattern in VENDOR for file in reveal.glob(pattern)):
            target = new / "vendor" / source.relative_to(reveal)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        shutil.copy(FOLDER / "slides.css", new)
        for path, (page, _, _) in made.items():
            (new / pages[path.name]).write_text(page, encoding="utf-8")
        talks = [f'<li><a href="{pages[p.name]}">{title}</a>, {n} slides</li>' for p, (_, title, n) in made.items()]
        (new / "index.html").write_text(INDEX.format(talks="\n".join(talks)), encoding="utf-8")
    for former in set(into.glob("*.slides.html")) - {into / page for page in pages.values()}:
        former.unlink()
    return [f"{pages[path.name]:45s} {n:3d} slides" for path, (_, _, n) in made.items()]


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="which ones; all numbered ones if none is named")
    parser.add_argument("--into", type=Path, default=Path("build/slides"), help="folder for the presentations")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # a Windows console may lack a letter
    paths = arguments.notebooks or sorted((FOLDER.parent / "notebooks").glob("[0-9]*.ipynb"))
    try:
        print("\n".join(write_slides([path.resolve() for path in paths], arguments.into.resolve())))
    except (Refused, ValueError, OSError) as refusal:
        print(refusal)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
