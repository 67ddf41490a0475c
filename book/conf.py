"""Sphinx settings of the site that ``make book`` builds from the stored outputs of the notebooks; no cell is executed.

The source folder is the repository's root, so that a link works in the site as it does in the repository.
"""
import base64
import hashlib
import io
import json
import posixpath
import re
import sys
from pathlib import Path

import numpy as np
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from PIL import Image
from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder
from sphinx.config import Config
from sphinx.errors import ExtensionError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from studies import published  # noqa: E402
from studies.results import MIME, read_results  # noqa: E402
from utils import __version__  # noqa: E402

EXPLORER_NOTE = "\n\nHere you see a picture. [The explorer's page](../book/explorer.md) answers without a kernel."
PAPER_NOTE = "<p><em>Here the sliders are left out: they need the site, which <code>make book</code> builds.</em></p>"
HEADLINE_NOTEBOOK, HEADLINE_CELL = "5_stress_test_the_alignment.ipynb", "06b5780e"
WIDGET = "application/vnd.jupyter.widget-view+json"
alts: dict[str, str] = {}  # what is told of a picture, by the name of the file that myst-nb makes of it

TITLE = "Inducing causal structure in a neural network"
project = html_title = "Inducing causal structure"
version = release = __version__
root_doc = "book/index"
exclude_patterns = [".venv", ".git", "build", "**/node_modules", "**/.ipynb_checkpoints"]
include_patterns = ["README.md", "CONTRIBUTING.md", "book/*.md", "book/api/*.rst", "notebooks/*.ipynb",
                    "notebooks/*.md", "workshop/*.md"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
templates_path = [str(HERE / "_templates")]  # autosummary would look for a relative one in the source folder
highlight_language = "none"
suppress_warnings = ["myst.header"]  # the glossary's entries are headings of the third level

nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_code_prompt_show = "Show the solution"
nb_code_prompt_hide = "Hide the solution"
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath", "substitution"]
figures = read_results(ROOT / "notebooks")
figures["earlier single iia"] = published.EARLIER_SINGLE_SOURCE["iia"]
figures["earlier two iia"] = published.EARLIER_MULTI_SOURCE["iia"]
myst_substitutions = {re.sub(r"\W", "_", name): f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
                      for name, value in figures.items()}

add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as written: a path's value would name the folder of this machine
napoleon_use_ivar = True
napoleon_custom_sections = [("Args (by keyword, as pyvene passes them)", "params_style")]

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
html_sidebars = dict.fromkeys(["README", "CONTRIBUTING", "notebooks/glossary", "book/explorer", "_modules/**"], [])
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_additional_pages = {"index": "redirect.html"}
html_copy_source = False
html_show_search_summary = False  # the script would fetch the pages found, which browsers refuse in a plain folder

epub_title, epub_basename = TITLE, "inducing-causal-structure"
epub_author = epub_publisher = epub_contributor = f'The authors of "{TITLE}"'
epub_copyright = "Text and pictures: CC BY 4.0; code: MIT License"
epub_description = "A hands-on series: distributed alignment search and interchange intervention training of a CNN."
epub_uid, epub_identifier = "series", f"inducing-causal-structure-{version}"
epub_tocscope, epub_tocdup = "includehidden", False
epub_exclude_files = ["index.xhtml", "_static/explorer.css"]  # the redirection, and what the explorer's page needs


class EpubBuilder(Epub3Builder):
    """Sphinx's own, for a root document in a folder: it would leave ``book/../notebooks`` out of the reading order."""

    def get_toc(self) -> None:
        """Collect the contents, each by the name of its file."""
        super().get_toc()
        for entry in self.refnodes:
            entry["refuri"] = posixpath.normpath(entry["refuri"])


def write_generated(app: Sphinx, config: Config) -> None:
    """Write the landing page's picture, the last one of a notebook's cell; remove pages of modules that are gone."""
    notebook = json.loads((ROOT / "notebooks" / HEADLINE_NOTEBOOK).read_text(encoding="utf-8"))
    pictures = [output["data"]["image/png"] for cell in notebook["cells"] if cell.get("id") == HEADLINE_CELL
                for output in cell["outputs"] if "image/png" in output.get("data", {})]
    if not pictures:
        raise ExtensionError(f"{HEADLINE_NOTEBOOK} stores no picture for the landing page in its cell {HEADLINE_CELL}")
    picture = Image.open(io.BytesIO(base64.b64decode("".join(pictures[-1])))).convert("RGB")
    middle = picture.width // 2  # in two, so that a phone can show one below the other
    if np.asarray(picture)[:, middle].min() < 255:
        raise ExtensionError(f"the picture of cell {HEADLINE_CELL} in {HEADLINE_NOTEBOOK} no longer has two halves")
    picture.crop((0, 0, middle, picture.height)).save(HERE / "headline-before.png")
    picture.crop((middle, 0, *picture.size)).save(HERE / "headline-after.png")
    for page in (HERE / "api").glob("*.rst"):
        if not (ROOT / page.stem.replace(".", "/")).with_suffix(".py").exists():
            page.unlink()


def prepare_notebook(app: Sphinx, docname: str, source: list[str]) -> None:
    """Note what is told of the pictures, fold solutions, drop what a page cannot show."""
    if docname == "README":  # the landing page has this title too
        source[0] = source[0].replace(f"# {TITLE}", "# Installation and results", 1)
    if docname == "workshop/README":  # which GitHub shows too
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"
    if not app.env.doc2path(docname).suffix == ".ipynb":
        return
    notebook = json.loads(source[0])
    notebook["metadata"].pop("widgets", None)  # nothing shows them, and Colab's have no state
    if docname == "notebooks/explorer":
        notebook["cells"][0]["source"] = "".join(notebook["cells"][0]["source"]) + EXPLORER_NOTE
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        if "exercise" in cell["metadata"].get("tags", []):
            cell["metadata"]["tags"].append("hide-input")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                alts[hashlib.sha256(base64.b64decode("".join(data["image/png"]))).hexdigest()] = alt
            data.pop(MIME, None)
            data.pop(WIDGET, None)
            if "text/html" in data:  # by this class the theme knows pandas' tables; styled ones lack it
                data["text/html"] = "".join(data["text/html"]).replace('<table id=', '<table class="dataframe" id=')
    source[0] = json.dumps(notebook)


def describe_pictures(app: Sphinx, doctree: nodes.document) -> None:
    """Give the pictures of a notebook their alternative text, which myst-nb takes from the cell only."""
    for image in doctree.findall(nodes.image):
        if alt := alts.get(Path(image["uri"]).stem):
            image["alt"] = alt


def name_folds(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Let the folds of solutions be called by what is written on them."""
    if "body" in context:
        context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")


def print_page(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Make of a page what XHTML allows and a reader without a browser can use: all folds open, no explorer."""
    if app.builder.name != "epub":
        return
    # myst-nb copies its style only when the file is closed
    context["css_files"] = [style for style in context["css_files"] if "mystnb" not in str(style.filename)]
    if "body" in context:
        body = re.sub(r"<style scoped>.*?</style>", "", context["body"], flags=re.DOTALL)
        body = re.sub(r'<link rel="stylesheet" href="../_static/explorer.css">.*</script>', PAPER_NOTE, body,
                      flags=re.DOTALL)
        body = re.sub(r"<summary>\s*<p[^>]*>Show the solution</p>.*?</summary>", "<summary>Solution</summary>", body,
                      flags=re.DOTALL)
        context["body"] = body.replace("<details", '<details open="open"')


def skip_aliases(app: Sphinx, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples, which the docstring of their class describes."""
    return True if str(member.__doc__).startswith("Alias for field number") else None


def visit_math(translator: nodes.NodeVisitor, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers show without a script or a font of its own."""
    translator.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def write_explorer(app: Sphinx, error: Exception | None) -> None:
    """Write the networks that the explorer's page asks."""
    if not error and app.builder.name == "html" and "book/explorer" in app.env.found_docs:
        from book.export import write_networks  # here: torch and pyvene take seconds to import

        write_networks(app.outdir / "_static" / "explorer-networks.js")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_builder(EpubBuilder, override=True)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("config-inited", write_generated)
    app.connect("source-read", prepare_notebook)
    app.connect("doctree-read", describe_pictures)
    app.connect("html-page-context", name_folds)
    app.connect("html-page-context", print_page)
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("build-finished", write_explorer)
