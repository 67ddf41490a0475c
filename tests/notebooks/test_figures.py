"""No figure in prose that nothing stored holds: decimals of texts are in an output, in code or in a stored table."""
import json
import re
from itertools import chain

import pandas as pd
import pytest
from conftest import ROOT

from studies import published
from studies.results import MIME

DECIMAL = re.compile(r"(?<![\w.])[-−]?(\d*\.\d{2,})(?!\d|\.\d)")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PUBLISHED = {float(figure) for quoted in (published.EARLIER_SINGLE_SOURCE, published.EARLIER_MULTI_SOURCE)
             for figure in quoted.values()}


def decimals(text):
    """The numbers with two decimals or more in a text, outside of code and links, and but for Python's version."""
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|<!--.*?-->|https?://\S+|Python \d\.\d+", " ", text, flags=re.DOTALL)
    return [found.lstrip("0") or "0" for found in DECIMAL.findall(text)]


def numbers(text):
    """All numbers that a text holds."""
    return {float(found) for found in re.findall(r"(?<![\w.])\d*\.?\d+(?:e-?\d+)?", text.replace(",", ""))}


def is_stored(figure, stored):
    """Whether one of the stored numbers is the figure, when rounded to its decimals."""
    digits = len(figure.split(".")[1])
    return any(abs(round(value, digits) - float(figure)) < 10 ** -(digits + 3) for value in stored)


def shown_in(path):
    """What a notebook's code and outputs hold as numbers."""
    texts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            texts.append("".join(cell["source"]))
            for output in cell["outputs"]:
                data = output.get("data", {})
                texts += ["".join(output.get("text", "")), "".join(data.get("text/plain", "")),
                          json.dumps(data.get(MIME, {}))]
    return set().union(*map(numbers, texts))


def prose_of(path):
    """The markdown cells of a notebook as one text."""
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
                       if cell["cell_type"] == "markdown")


def named_in(path, text):
    """The notebook itself, and those that a text names by number or link."""
    found = set(re.findall(r"notebooks? (\d)", text)) | set(re.findall(r"\((?:\w+/)*(\d)_\w+\.ipynb", text))
    return {path, *(other for other in NOTEBOOKS if other.name[0] in found)}


def unknown(text, stored):
    """The decimals of a text that no stored number is behind."""
    return [figure for figure in decimals(text) if not is_stored(figure, stored)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_figure_in_a_notebooks_prose_is_in_an_output_or_in_code(path):
    prose = prose_of(path)
    stored = PUBLISHED.union(*map(shown_in, named_in(path, prose)))
    assert not unknown(prose, stored)


def test_each_figure_in_the_readme_is_in_a_notebook():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not unknown(text, PUBLISHED.union(*map(shown_in, NOTEBOOKS)))


@pytest.mark.parametrize("path", [ROOT / "workshop" / "README.md", *sorted((ROOT / "notebooks").glob("*.md"))],
                         ids=lambda path: path.stem)
def test_each_figure_in_the_other_texts_is_stored(path):
    tables = [ROOT / "studies" / "own_networks.csv", ROOT / "studies" / "seed_study.csv"]
    means = chain.from_iterable(pd.read_csv(table).groupby(["experiment", "measure"]).value.mean() for table in tables)
    assert not unknown(path.read_text(encoding="utf-8"), set().union(*map(shown_in, NOTEBOOKS)) | set(means))


def test_a_figure_that_nothing_holds_is_found():
    path = next(path for path in NOTEBOOKS if path.name.startswith("3"))
    stored = shown_in(path)
    some = next(f"{value:.3f}" for value in sorted(stored) if 0.9 < value < 0.98 and value != round(value, 2))
    free = next(f"{i / 1000:.3f}" for i in range(501, 999) if not is_stored(f"{i / 1000:.3f}", stored))
    assert unknown(f"IIA is {some}, flip-IIA {free}.", stored) == [free.lstrip("0")]
    assert unknown(f"`{free}` and [a link](https://arxiv.org/abs/2{free}1) are no figures of ours", stored) == []
