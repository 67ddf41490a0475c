"""The slides: what they show of a notebook and what they refuse; complete without a network; every slide fits."""
import re
import shutil
import sys

import nbformat
import pytest
from browser_helpers import needed, open_tab
from bs4 import BeautifulSoup
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from workshop import slides

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
# what a browser loads by itself: in tags, in styles, in scripts
LOADED = re.compile(r"""(?:\bsrc(set)?\s*=|<link[^>]*href=|url\(|@import|\bimport\b|\bfetch\()\s*["'`(]*(https?:)?//""")
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="


def tagged(cell, kind, *tags):
    cell.metadata.update({"slideshow": {"slide_type": kind}, "tags": list(tags)})
    return cell


def text(source, kind):
    return tagged(new_markdown_cell(source), kind)


def code(source, kind, *tags, outputs=({"text": "seen on stdout\n"},)):
    cell = tagged(new_code_cell(source, execution_count=1), kind, *tags)
    cell.outputs = [o if "output_type" in o else new_output("stream", **o) for o in outputs]
    return cell


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """Runs the command on notebooks of the given cells, with empty files for reveal.js: code, printed text, folder."""
    package = tmp_path / "package"
    for name in slides.VENDOR:
        (package / name.replace("*", "font.woff")).parent.mkdir(parents=True, exist_ok=True)
        (package / name.replace("*", "font.woff")).touch()
    monkeypatch.setattr(slides, "install_reveal", lambda folder: package)

    def make(*notebooks, into=tmp_path / "slides"):
        paths = [tmp_path / f"{n}_talk.ipynb" for n in range(len(notebooks))]
        for path, cells in zip(paths, notebooks):
            nbformat.write(new_notebook(cells=list(cells)), path)
        monkeypatch.setattr(sys, "argv", ["slides.py", *map(str, paths), "--into", str(into)])
        return slides.main(), capsys.readouterr().out, into

    return make


def page(folder, n=0):
    return BeautifulSoup((folder / f"{n}_talk.slides.html").read_text(), "html.parser")


def test_only_what_is_tagged_is_shown(made):
    widget = new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "a bar"})
    outputs = [{"name": "stderr", "text": "50% 3.1it/s"}, widget, {"text": "seen on stdout\n"},
               new_output("display_data", {"image/png": PICTURE, "text/plain": "<Figure>"})]
    cells = [new_markdown_cell("untagged"), text("# The *first*", "slide"), code("hidden_input", "-", outputs=outputs),
             text("later", "fragment"), text("skipped", "skip"), new_code_cell("untagged"),
             text("## Second", "slide"), code("shown_input", "-", "show-code", outputs=()),
             text("> **Predict.** So?", "-"), text("> A quotation.", "-")]
    result, printed, folder = made(cells)
    soup = page(folder)
    assert result == 0 and "2 slides" in printed
    assert len(soup.select(".slides > section")) == len(soup.select(".slides > section > section")) == 2
    assert [f.get_text(strip=True) for f in soup.select(".fragment")] == ["later"]
    shown = soup.select_one(".slides").get_text()
    assert "seen on stdout" in shown and "shown_input" in shown
    assert not re.search(r"untagged|skipped|hidden_input|it/s|a bar|In\s*\[|Out\[|¶", shown)
    assert [img["alt"] for img in soup.select("img")] == ["The first"] and soup.title.string == "The first"
    assert [quote.get("class") for quote in soup.select("blockquote")] == [["question"], None]
    listed = BeautifulSoup((folder / "index.html").read_text(), "html.parser").li
    assert listed.a["href"] == "0_talk.slides.html" and listed.get_text() == "The first, 2 slides"


def test_pictures_are_told_as_in_the_notebook(made):
    told = 'Bars, the first < the second: "rising".'
    picture = new_output("display_data", {"image/png": PICTURE}, metadata={"image/png": {"alt": told}})
    _, _, folder = made([text("# Talk", "slide"), code("x", "-", outputs=[picture])])
    assert [img["alt"] for img in page(folder).select("img")] == [told]


def test_folds_are_open_in_the_notes_only(made):
    fold = "<details><summary>What you should see</summary>\n\nA *curve*.\n\n</details>"
    _, _, folder = made([text("# Talk", "slide"), text(fold, "-"), text(fold, "notes"), text("more", "notes")])
    soup = page(folder)
    notes = soup.select("section section > aside.notes")
    assert len(notes) == 2 and not notes[0].select("details, summary")
    assert re.sub(r"\s+", " ", notes[0].get_text()).strip() == "What you should see A curve."
    assert soup.details.em and len(soup.select("details")) == 1


def test_links_lead_to_slides_or_nowhere(made):
    links = "[next](1_talk.ipynb#x) [base](glossary.md#base) [`here`](#top) [five](5_gone.ipynb) [out](https://a.org/x)"
    _, _, folder = made([text(f"# Talk\n\n{links}", "slide")], [text("# Next", "slide")])
    soup = page(folder)
    assert [a["href"] for a in soup.select("a")] == ["1_talk.slides.html", "https://a.org/x"]
    assert soup.p.get_text() == "next base here five out"


@pytest.mark.parametrize(
    "cells, message",
    [([new_markdown_cell("# Talk")], "no cell is tagged"),
     ([new_markdown_cell("x"), text("# Talk", "-")], "the first cell that is tagged, cell 2, must start a slide"),
     ([text("# Talk", "slides")], "cell 1 has the unknown slide type 'slides'"),
     ([text("# Talk", "slide"), code("x", "-", outputs=())], "cell 2 is on a slide and has no stored output"),
     ([text("# Talk", "slide"), code("x", "-", outputs=[{"name": "stderr", "text": "x"}])], "cell 2 is on a slide"),
     ([text("![a](https://a.org/b.png)", "slide")], "the picture https://a.org/b.png is not stored"),
     ([text("<iframe src='//a.org/b'></iframe>", "slide")], "from another host: src=\"//a.org/b")],
    ids=["none", "first", "type", "output", "stderr", "picture", "host"],
)
def test_a_refused_notebook_is_named_and_nothing_is_written(made, cells, message):
    made([text("# Old", "slide")])
    result, printed, folder = made([text("# New", "slide")], cells)
    assert result == 1 and printed.startswith("1_talk.ipynb: ") and message in printed
    assert page(folder).title.string == "Old"
    assert sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) == ["package", "slides"]


def test_no_other_folder_is_replaced(made, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    result, printed, folder = made([text("# Talk", "slide")], into=tmp_path / "mine")
    assert result == 1 and "left as it is" in printed and (folder / "thesis.txt").exists()


def test_npm_missing_or_failing_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(slides.Refused, match="npm is missing"):
        slides.install_reveal(tmp_path / "npm")
    (tmp_path / "npm").write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    with pytest.raises(slides.Refused, match="could not install reveal.js(.|\n)*no network"):
        slides.install_reveal(tmp_path / "packages")


@pytest.fixture(scope="session")
def decks(tmp_path_factory):
    """The slides of the real notebooks, with the real reveal.js."""
    needed(shutil.which("npm"), "npm")
    folder = tmp_path_factory.mktemp("build") / "slides"
    slides.write_slides(NOTEBOOKS, folder)
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_slides(decks, path):
    soup = BeautifulSoup((decks / f"{path.stem}.slides.html").read_text(), "html.parser")
    assert len(soup.select(".slides > section")) >= 6
    for tag in soup.select("head link, script[src]"):
        assert (decks / (tag.get("href") or tag["src"])).stat().st_size > 500
    targets = [link["href"] for link in soup.select("a")]
    assert not [target for target in targets if not (target.startswith("http") or (decks / target).exists())]


def test_nothing_is_loaded_from_another_host(decks):
    written = [path for path in decks.rglob("*") if path.suffix in (".html", ".css", ".js")]
    assert len(written) >= len(NOTEBOOKS) + 6
    assert not [(path.name, match.group()) for path in written for match in LOADED.finditer(path.read_text())]


STICKS_OUT = """async () => {
  await document.fonts.ready;
  const slide = Reveal.getCurrentSlide(), area = slide.getBoundingClientRect();
  const shown = [...slide.querySelectorAll("*")].filter(e => e.checkVisibility() && !e.closest("aside"));
  const slack = 4;  // italics and code spans are a little taller than their line
  const out = shown.filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && (box.left < area.left - slack || box.right > area.right + slack ||
                         box.top < area.top - slack || box.bottom > area.bottom + slack);
  }).map(e => `slide ${Reveal.getSlidePastCount() + 1}: ${e.tagName} ${e.textContent.trim().slice(0, 40)}`);
  const page = document.documentElement;
  if (page.scrollHeight > innerHeight || page.scrollWidth > innerWidth) out.push("the page scrolls");
  return out;
}"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_slide_fits(decks, browser, path):
    tab, wrong = open_tab(browser, 1280, 720)
    tab.goto((decks / f"{path.stem}.slides.html").as_uri())
    tab.wait_for_function("Reveal.isReady()")
    assert tab.evaluate("getComputedStyle(document.querySelector('.jp-Cell')).display") == "contents", "no styles"
    steps = 1
    wrong += tab.evaluate(STICKS_OUT)
    while not tab.evaluate("Reveal.isLastSlide() && !Reveal.availableFragments().next"):
        tab.keyboard.press("ArrowRight")
        wrong += tab.evaluate(STICKS_OUT)
        steps += 1
    assert not wrong and tab.evaluate("Reveal.getTotalSlides()") <= steps < 200
    tab.close()
