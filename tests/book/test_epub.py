"""The EPUB: whole, valid XHTML, each picture told and there, nothing from another host."""
import posixpath
import re
import subprocess
import sys
import zipfile
from urllib.parse import unquote, urldefrag
from xml.etree import ElementTree

import nbformat
import pytest
from conftest import OFFLINE, ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
XHTML = "{http://www.w3.org/1999/xhtml}"
OPF = "{http://www.idpf.org/2007/opf}"
LOADED = {"img": "src", "link": "href", "script": "src", "iframe": "src", "object": "data", "source": "src"}


@pytest.fixture(scope="module")
def epub(book, tmp_path_factory):
    """Built as ``make epub`` does, but without a network, and from what was read for the book."""
    flags, name = re.search(r"-m sphinx -b epub -E (.*) -d \S+ \. FOLDER\n.*/(\S+\.epub)",
                            (ROOT / "Makefile").read_text()).groups()
    into = tmp_path_factory.mktemp("epub")
    command = [sys.executable, "-c", OFFLINE, "-b", "epub", *flags.split(), "-d", book.parent / "cache", ".", into]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0 and not result.stderr, result.stderr
    return zipfile.ZipFile(into / name)


@pytest.fixture(scope="module")
def pages(epub):
    """Name in the zip -> the page, parsed as XML, which fails where it is not well-formed."""
    return {name: ElementTree.fromstring(epub.read(name)) for name in epub.namelist() if name.endswith(".xhtml")}


def place(page, address):
    """The name in the zip, and the anchor, of what a page refers to."""
    target, anchor = urldefrag(address)
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(target))) if target else page, anchor


def wrong_references(pages, names):
    """What a page loads or links to, and is not there or on another host; a link to a site waits for a click."""
    ids = {page: {tag.get("id") for tag in root.iter()} for page, root in pages.items()}
    wrong = []
    for page, root in pages.items():
        for tag in root.iter():
            kind = str(tag.tag).removeprefix(XHTML)
            address = tag.get(LOADED.get(kind, "href" if kind == "a" else ""))
            if address is None or kind == "a" and re.match(r"(https?|mailto):", address):
                continue
            target, anchor = place(page, address)
            if re.match(r"[a-z]+:|//", address) or target not in names or anchor and unquote(anchor) not in ids[target]:
                wrong.append((page, address))
    return wrong


def test_it_opens_as_an_epub(epub):
    first = epub.infolist()[0]
    assert epub.testzip() is None and first.filename == "mimetype" and first.compress_type == zipfile.ZIP_STORED
    assert epub.read("mimetype").strip() == b"application/epub+zip"
    package = ElementTree.fromstring(epub.read("content.opf"))
    listed = {item.get("href") for item in package.iter(f"{OPF}item")}
    assert listed <= set(epub.namelist())
    assert set(epub.namelist()) - listed == {"mimetype", "META-INF/container.xml", "content.opf"}
    name = {item.get("id"): item.get("href") for item in package.iter(f"{OPF}item")}
    spine = {name[item.get("idref")]: item.get("linear") != "no" for item in package.iter(f"{OPF}itemref")}
    notebooks = [page for page, read in spine.items() if read and re.match(r"notebooks/\d", page)]
    assert notebooks == [f"notebooks/{path.stem}.xhtml" for path in NOTEBOOKS if path.stem[0].isdigit()]
    assert all(spine.values()), "a page is not in the reading order"
    told = {tag.tag.split("}")[1]: tag.text for tag in package.iter() if "purl.org" in tag.tag}
    assert told["language"] == "en" and not [tag for tag, text in told.items() if not text or text == "unknown"]


def test_every_notebook_and_page_for_teachers_is_in_it_and_in_its_contents(pages):
    wanted = {f"notebooks/{path.stem}.xhtml" for path in NOTEBOOKS}
    wanted |= {f"workshop/{path.stem}.xhtml" for path in (ROOT / "workshop").glob("*.md")}
    entries = {place("nav.xhtml", link.get("href"))[0] for link in pages["nav.xhtml"].iter(f"{XHTML}a")}
    assert wanted <= set(pages) and wanted <= entries


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_are_there_and_told_as_in_the_notebook(epub, pages, path):
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    stored = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    page = f"notebooks/{path.stem}.xhtml"
    shown = [image for image in pages[page].iter(f"{XHTML}img") if image.get("alt") in stored]
    assert stored and [image.get("alt") for image in shown] == stored
    assert all(epub.read(place(page, image.get("src"))[0]).startswith(b"\x89PNG") for image in shown)


def test_no_picture_is_untold(pages):
    assert not [(page, image.get("src")) for page, root in pages.items() for image in root.iter(f"{XHTML}img")
                if not image.get("alt")]


def test_every_reference_resolves_inside(epub, pages):
    assert not wrong_references(pages, set(epub.namelist()))
    styles = [epub.read(name).decode() for name in epub.namelist() if name.endswith(".css")]
    assert styles and not [style for style in styles if re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", style)]


def test_a_reference_that_does_not_resolve_is_found():
    page = ElementTree.fromstring(f'<html xmlns="{XHTML[1:-1]}"><img src="b.png"/><img src="https://x.org/c.png"/>'
                                  '<a href="#d"/><a href="https://x.org"/><a id="e" href="#e"/></html>')
    assert [address for _, address in wrong_references({"f/a.xhtml": page}, {"f/a.xhtml"})] == [
        "b.png", "https://x.org/c.png", "#d"]


def test_nothing_waits_for_a_click_or_a_script(pages):
    folds = [fold for root in pages.values() for fold in root.iter(f"{XHTML}details")]
    assert len(folds) > 100 and all(fold.get("open") for fold in folds)
    solutions = [fold for fold in folds if "### BEGIN SOLUTION" in "".join(fold.itertext())]
    exercises = [cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells
                 if "exercise" in cell.metadata.get("tags", [])]
    assert len(solutions) == len(exercises) and {fold[0].text for fold in solutions} == {"Solution"}
    active = ("script", "style", "select", "input", "iframe", "object")
    found = {(page, tag) for page, root in pages.items() for tag in active for _ in root.iter(f"{XHTML}{tag}")}
    assert not found
