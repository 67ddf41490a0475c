"""Figures that a notebook leaves behind in its outputs, and the README's table that is written from them."""
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from studies import published
from utils.data_utils import VARIABLE_NAMES
from utils.running.whole import write_whole

MIME = "application/vnd.iit-results+json"
START, END = "<!-- results: written by make refresh -->", "<!-- end of results -->"
MEASURED = Path(__file__).resolve().parent / "benchmarks" / "results" / "notebooks.json"  # by make refresh


class Results:
    """Named figures of a notebook. As the last line of a cell it shows them and stores them in the notebook."""

    def __init__(self, figures: dict[str, float]) -> None:
        self.figures = dict(figures)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        lines = [f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value:.4f}"
                 for name, value in self.figures.items()]
        return {"text/plain": "\n".join(lines), MIME: self.figures}


def over_seeds(study: pd.DataFrame, experiments: Mapping[str, str], pairs: int) -> pd.DataFrame:
    """Experiments of the study over seeds, one a row: mean and least of three measures, beside baselines and ceiling.

    Args:
        study: the table of ``studies.seed_study``.
        experiments: name of a row -> name of the experiment.
        pairs: over which each was measured.
    """
    by_seed = study.pivot_table(index=["experiment", "measure"], columns="seed", values="value")
    rows = {}
    for name, experiment in experiments.items():
        found = by_seed.loc[experiment]
        rows[name] = {f"{short} {how}": getattr(found.loc[measure], how)()
                      for measure, short in (("iia", "IIA"), ("flip_iia", "flip-IIA"), ("behavior", "behavior"))
                      for how in ("mean", "min")}
        rows[name] |= {part: found.loc[part].mean() for part in ("keep", "copy", "ceiling")}
        rows[name] |= {"n": pairs, "networks": found.shape[1]}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n": int, "networks": int})


def read_results(folder: Path) -> dict[str, float]:
    """All figures stored in the notebooks of a folder, as one dict.

    Raises:
        ValueError: a file is no notebook, its figures are no numbers, or two store a figure of the same name.
    """
    found: dict[str, float] = {}
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        try:
            outputs = [output for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
                       for output in cell.get("outputs", [])]
            stored = [dict(output.get("data", {}).get(MIME, {})) for output in outputs]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path.name} is not a notebook of format 4: {error!r:.100}") from error
        for figures in stored:
            wrong = [name for name, value in figures.items() if type(value) not in (int, float)]
            if wrong:
                raise ValueError(f"{path.name} stores figures that are no numbers: {wrong}")
            if repeated := figures.keys() & found.keys():
                raise ValueError(f"{path.name} stores figures that another notebook stored: {sorted(repeated)}")
            found.update(figures)
    return found


def results_table(figures: dict[str, float]) -> str:
    """The README's table in Markdown, from the figures of the notebooks and those that others published."""
    f = {name: f"{value:.3f}" for name, value in figures.items() if not isinstance(value, int)}
    n = f"{figures['pairs']:,}"
    single, multi = published.EARLIER_SINGLE_SOURCE, published.EARLIER_MULTI_SOURCE
    few = f"n = {single['n']:,}"
    seeds = {name.removesuffix(" mean"): f"{f[name]} ({f[name.removesuffix('mean') + 'least']})"
             for name in f if name.endswith(" mean")}
    images = f"{figures['images']:,} images"
    rows = [("Base CNN", "behavior", f["base behavior"], seeds["base behavior"], f["behavior ceiling"], "", images)]
    titles = {"single": ("single", "Single-source IIT, {circularity, color}, conv1, 16 directions"),
              "two": ("two", "Two-source IIT, {circularity}, {color}, conv1, 16 directions each"),
              "three": ("three, short", "Three-source IIT, fc1, one direction each")}  # in the study, and here
    in_study = {"single": {"single, long": "The same, longer recipe", "first recipe: single": "The first recipe",
                           "first recipe: single, stock pyvene": "The first recipe, stock pyvene"},
                "two": {"two, long": "The same, longer recipe", "first recipe: two": "The first recipe"},
                "three": {"three": "The same, longer recipe", "three, long": "The same, longest recipe",
                          "three at conv3": "Three-source IIT, conv3, 16 directions each"}}
    earlier = {"single iia": f"{single['iia']} (1 direction, {few})",
               "single behavior": f"{single['behavior']} ({few})",
               "two iia": f"{multi['iia']} ({few})"}
    for e, (recipe, title) in titles.items():
        for key, measure, ceiling, over in (
            ("iia", "IIA", f[f"{e} ceiling"], f"{n} pairs"),
            ("flip", "flip-IIA", "", f"{figures[f'{e} flips']:,} pairs"),
            ("behavior", "behavior", f["behavior ceiling"], images),
        ):
            name, repeated = f"{e} {key}", seeds[f"{recipe} {key}"]
            what = title if key == "iia" else ""
            rows.append((what, measure, f[name], repeated, ceiling, earlier.get(name, ""), over))
        for other, what in in_study[e].items():
            values = " / ".join(seeds[f"{other} {key}"] for key in ("iia", "flip", "behavior"))
            rows.append((what, "IIA / flip-IIA / behavior", "", values, "", "", f"{n} pairs"))
            if other == "three":  # the one that ships, which notebook 5 tests
                for key, measure, ceiling, over in (("normalized", "normalized IIA", "1", "pairs"),
                                                    ("disentangle", "disentangle", "", "pairs a half")):
                    name = f"three {key}"
                    rows.append(("", measure, f[name], seeds[name], ceiling, "", f"{n} {over}"))
    control = seeds["behavior only disentangle"]
    rows.append(("fc1, after behavior-only steps and DAS", "disentangle", "", control, "", "", f"{n} pairs a half"))
    for layer, means in published.DAS_64_DIRECTIONS.items():
        ours = " / ".join(f[f"das {layer} {name}"] for name in VARIABLE_NAMES)
        theirs = " / ".join(f"{mean:.3f}" for mean in means) + " (mean of 20 networks)"
        title = f"DAS, {layer}, 64 directions: circularity / color / area"
        many = " / ".join(f[f"networks {layer} {name}"] for name in VARIABLE_NAMES)
        many += f" (mean of {figures['networks']} networks)"
        rows.append((title, "IIA", ours, many, f["single-variable ceiling"], theirs, f"{n} pairs each"))
    header = ("what", "measure", "in the notebook", "five networks: mean (least)", "exact ceiling",
              "published elsewhere", "measured on")
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ("---",) * len(header), *rows])


def write_minutes(text: str, measured: dict) -> str:
    """The README's text with the minutes and the memory of each notebook in the last two columns of its row.

    Args:
        text: a page that links to the notebooks in the rows of a table.
        measured: what ``notebooks/execute.py`` measured of each.
    """
    for name, found in measured["notebooks"].items():
        minutes = f"{found['seconds'] / 60:.0f}" if found["seconds"] >= 60 else "under 1"
        text = re.sub(rf"(\]\(notebooks/{name}\.ipynb\) \|[^|\n]*\|)[^|\n]*\|[^|\n]*\|",
                      rf"\1 {minutes} | {found['peak_mib'] / 1024:.1f} GB |", text)
    return text


def write_readme(readme: Path, folder: Path) -> None:
    """Write the results table between its two markers in the README, and the minutes of the notebooks into their table;
    it is replaced at once or not at all.

    Raises:
        OSError: the disk is full, or the folder read-only.
        ValueError: the markers are missing, or a figure is.
    """
    text = readme.read_text(encoding="utf-8")
    if MEASURED.exists():
        text = write_minutes(text, json.loads(MEASURED.read_text(encoding="utf-8")))
    if START not in text or END not in text:
        raise ValueError(f"{readme.name} lacks the markers of the results table")
    try:
        table = results_table(read_results(folder))
    except KeyError as error:
        raise ValueError(f"no notebook stores the figure {error}") from error
    head, tail = text.split(START)[0], text.split(END)[1]
    write_whole(readme, f"{head}{START}\n{table}\n{END}{tail}")
