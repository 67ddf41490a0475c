"""The book: complete, every link resolves, nothing comes from another host, and a real browser finds no fault."""
import re
import runpy
from types import SimpleNamespace
from urllib.parse import unquote, urldefrag

import nbformat
import pytest
from browser_helpers import barriers, open_tab
from bs4 import BeautifulSoup
from conftest import ROOT
from docutils import nodes
from studies.results import read_results

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
TEXTS = ["real_networks", "from_an_earlier_notebook", "pyvene"]
KINDS = ["book/index", "book/explorer", "book/notebooks", "book/api", "book/api/utils.das_utils",
         "_modules/utils/das_utils", "README", "CONTRIBUTING", "workshop/README", "workshop/mistakes",
         "notebooks/glossary", "notebooks/explorer", "notebooks/template", *(f"notebooks/{name}" for name in TEXTS),
         *(f"notebooks/{path.stem}" for path in NOTEBOOKS)]


@pytest.fixture(scope="module")
def pages(book):
    """Address in the book -> the page, parsed."""
    return {path.relative_to(book).as_posix(): BeautifulSoup(path.read_text(), "html.parser")
            for path in sorted(book.rglob("*.html")) if "_static" not in path.parts}


def test_every_module_is_in_the_api_reference():
    listed = re.findall(r"^   (utils\.\w+)$", (ROOT / "book" / "api.md").read_text(), re.M)
    modules = {f"utils.{path.stem}" for path in (ROOT / "utils").glob("*.py")} - {"utils.__init__"}
    assert len(listed) == len(set(listed)), "a module is listed twice in book/api.md"
    assert not modules - set(listed), f"add to a list in book/api.md: {sorted(modules - set(listed))}"
    assert not set(listed) - modules, f"remove from book/api.md: {sorted(set(listed) - modules)}"


def test_the_landing_page_shows_the_result(book, pages):
    landing, figures = pages["book/index.html"], read_results(ROOT / "notebooks")
    assert [len(image["alt"]) > 40 for image in landing.select(".side-by-side img")] == [True, True]
    rows = [[cell.get_text() for cell in row.select("td")] for row in landing.select("article table tbody tr")]
    assert [row[1] for row in rows] == [f"{figures[f'{name} iia mean']:.3f}" for name in ("single", "two", "three")]
    assert 'url=book/index.html"' in (book / "index.html").read_text()


def test_the_explorer_is_found(pages):
    for page in ("book/index.html", "notebooks/explorer.html"):
        assert [link for link in pages[page].select("article a") if link["href"].endswith("explorer.html")]


def test_the_notebooks_are_in_order_with_all_that_a_reader_needs(pages):
    entries = [link["href"] for link in pages["notebooks/explorer.html"].select(".bd-sidebar-primary .bd-sidenav a")]
    assert entries == [*(f"{path.stem}.html" for path in NOTEBOOKS), "template.html", "#",
                       *(f"{name}.html" for name in TEXTS)]
    header = [link["href"] for link in pages["book/index.html"].select(".bd-header .navbar-nav a")]
    for page in ("notebooks.html", "../notebooks/glossary.html", "../workshop/README.html", "api.html"):
        assert page in header
    source = pages["book/api/utils.das_utils.html"].select_one("#utils\\.das_utils\\.iit_train .viewcode-link")
    assert source.parent["href"] == "../../_modules/utils/das_utils.html#iit_train"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_solutions_are_folded(pages, path):
    page, cells = pages[f"notebooks/{path.stem}.html"], nbformat.read(path, as_version=4).cells
    wanted = sum("exercise" in cell.metadata.get("tags", []) for cell in cells)
    folds = [fold for fold in page.select("details") if "### BEGIN SOLUTION" in fold.get_text()]
    assert len(folds) == wanted >= 3 and not any(fold.has_attr("open") for fold in folds)
    assert {fold.summary.get_text(strip=True) for fold in folds} == {"Show the solution" "Hide the solution"}
    assert page.get_text().count("### BEGIN SOLUTION") == wanted


def test_pictures_have_alternative_text(pages):
    images = [(page, image) for page, soup in pages.items() for image in soup.select("img")]
    assert len(images) > 30 and not [(page, image["src"]) for page, image in images if not image.get("alt")]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_pictures_are_told_as_in_the_notebook(pages, path):
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    stored = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    shown = pages[f"notebooks/{path.stem}.html"].select("div.cell_output img")
    assert stored and [image["alt"] for image in shown] == stored


def test_every_link_and_anchor_resolves(book, pages):
    ids = {page: {tag.get("id") or tag.get("name") for tag in soup.select("[id], a[name]")}
           for page, soup in pages.items()}
    dead, seen = [], 0
    for page, soup in pages.items():
        for tag in soup.select("a[href], link[href], script[src], img[src]"):
            target, anchor = urldefrag(tag.get("href") or tag["src"])
            if re.match(r"[a-z]+:", target):
                assert tag.name == "a" or target.startswith("data:"), (page, target)  # a link waits for a click
                continue
            path = (book / page).parent / unquote(target.partition("?")[0]) if target else book / page
            address, seen = path.resolve().relative_to(book.resolve()).as_posix(), seen + 1
            if not path.is_file() or anchor and unquote(anchor) not in ids.get(address, ()):
                dead.append((page, tag.get("href") or tag["src"]))
    assert not dead and seen > 5000


def test_styles_load_nothing_from_another_host(book):
    styles = list(book.rglob("*.css"))
    assert len(styles) > 3
    assert not [path.name for path in styles if re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", path.read_text())]


def test_a_formula_needs_neither_script_nor_font():
    settings, translator = runpy.run_path(str(ROOT / "book" / "conf.py")), SimpleNamespace(body=[])
    with pytest.raises(nodes.SkipNode):
        settings["visit_math"](translator, nodes.math("", r"\frac{1}{2}"))
    assert "<math" in translator.body[0] and "<mfrac>" in translator.body[0]
    assert settings["html_math_renderer"] == "mathml" and "dollarmath" in settings["myst_enable_extensions"]


def test_a_warning_stops_the_build(build_book, tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.md").write_text("# Title\n\n$x^2$ [nowhere](gone.md)\n")
    site, result = build_book(tmp_path)
    assert result.returncode == 1 and "gone.md" in result.stderr
    assert "<msup>" in (site / "book" / "index.html").read_text()


def test_pages_load_without_error_or_another_host(book, browser, pages):
    tab, wrong = open_tab(browser)
    alike = [page for page in pages if page.startswith(("book/api/", "_modules/"))]  # of one template each
    for page in pages.keys() - {"index.html", *alike} | {*alike[::10]}:  # the first leads on to another
        tab.goto((book / page).as_uri())
    assert not wrong
    tab.close()


def test_the_search_finds(book, browser):
    tab, wrong = open_tab(browser)
    tab.goto((book / "book" / "index.html").as_uri())
    tab.keyboard.press("Control+k")
    tab.keyboard.type("interchange")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#search-results li a")
    tab.wait_for_function("document.querySelectorAll('#search-results li a').length >= 10")  # they come one by one
    tab.wait_for_timeout(500)
    found = [link.get_attribute("href") for link in tab.query_selector_all("#search-results li a")]
    assert any("notebooks/3_single_source_iit.html" in link for link in found)
    tab.query_selector("#search-results li a").click()
    assert "interchange" in tab.inner_text("article").lower() and not wrong
    tab.close()


@pytest.mark.parametrize("width, scheme", [(1400, "light"), (400, "dark")])
def test_pages_have_no_barriers(book, browser, axe, width, scheme):
    tab, wrong = open_tab(browser, width, scheme=scheme)
    for kind in [*KINDS, "search"]:
        tab.goto((book / f"{kind}.html").as_uri() + ("?q=interchange" if kind == "search" else ""))
        assert tab.evaluate("document.documentElement.dataset.theme") == scheme
        wrong += [f"{kind}: {barrier}" for barrier in barriers(tab, axe)]
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{kind}: the page is wider than the screen")
    assert not wrong, "\n".join(wrong)
    tab.close()


CUT = """() => [...document.querySelectorAll(".cell_output *")].filter(
  e => e.clientWidth > 0 && e.scrollWidth > e.clientWidth && !e.closest("table")).map(
  e => `${e.tagName}: ${e.scrollWidth} > ${e.clientWidth}: ${e.innerText.trim().slice(0, 60)}`)"""


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_output_is_cut_at_the_margin(book, browser, path):
    tab, _ = open_tab(browser, 1280, 800)
    tab.goto((book / "notebooks" / f"{path.stem}.html").as_uri())
    assert tab.locator(".cell_output").count() and not tab.evaluate(CUT)
    tab.locator(".cell_output").first.evaluate("e => e.innerHTML = `<pre>${'x'.repeat(130)}</pre>`")
    assert len(tab.evaluate(CUT)) >= 1, "a long line is found"
    tab.close()


def test_a_fold_opens_by_keyboard(book, browser):
    tab, _ = open_tab(browser)
    tab.goto((book / "notebooks" / f"{NOTEBOOKS[1].stem}.html").as_uri())
    fold = tab.locator("details", has_text="BEGIN SOLUTION").first
    fold.locator("summary").focus()
    tab.keyboard.press("Enter")
    assert fold.locator("pre").is_visible()
    tab.close()


def test_the_checker_finds_a_barrier(browser, axe):
    tab, _ = open_tab(browser)
    tab.set_content('<html lang="en"><title>t</title><main><h1>h</h1><p style="color: #aaa">faint</p>')
    found = barriers(tab, axe)
    assert len(found) == 1 and found[0].startswith("color-contrast") and "faint" in found[0]
    tab.close()
