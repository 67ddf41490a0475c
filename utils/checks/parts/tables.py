"""The table that exercise 3.3 asks for, and what can be wrong with it."""
import re
from typing import Any

import numpy as np
import pandas as pd

from utils.checks.helpers import require

MIN_PAIRS = 1_000
SHARES = ("iia", "flip_iia", "keep", "behavior")


def require_table(table: Any) -> float:
    """The least number of pairs of a row; WrongAnswer unless it has a baseline, changes, and measured figures."""
    require(table is not None, "The table is None: is the last line of its cell an assignment?")
    require(not callable(table), "This is a function: pass the table, the DataFrame `ablation`.")
    require(isinstance(table, pd.DataFrame), f"A pandas DataFrame was expected, not a {type(table).__name__}" + (
        ": it has one column, keep them all." if isinstance(table, pd.Series) else ": pd.DataFrame(rows, index=names) "
                "makes one."))
    require(len(table) > 0, "The table has no rows.")
    missing = [name for name in (*SHARES, "n") if name not in table.columns]
    require(not missing or not set(SHARES) <= set(map(str, table.index)), "The table is transposed: a row for each "
            "setting, a column for each figure, as with .T.")
    lower = {str(c).strip().lower() for c in table.columns}
    require(not missing or not set(missing) <= lower, "The columns are spelled otherwise than measure_setting returns "
                                                      f"them: {', '.join(missing)} are wanted.")
    require(not missing, f"Columns are missing: {', '.join(missing)}.")
    twice = [name for name in (*SHARES, "n") if isinstance(table[name], pd.DataFrame)]
    require(not twice, f"There is more than one column {', '.join(twice)}: keep one of each.")
    _require_rows(table)
    return float(_figures(table)[:, 4].min())


def _require_rows(table: pd.DataFrame) -> None:
    names = [str(name).strip().lower() for name in table.index]
    like = [name for name in names if "baseline" in name]
    start = [name for name in names if name.startswith("baseline")]
    names = ["baseline" if len(start) == 1 and name == start[0] else name for name in names]
    require(not (like and "baseline" not in names), "The row of the unchanged setting is to be named 'baseline', in "
                                                    f"the table's index: yours is {like[0]!r}." if like else "")
    named = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c]) and "baseline" in
        {str(v).strip().lower() for v in table[c]}]
    require(not named or bool(like), f"The settings are named in the column {str(named[0]) if named else ''}: put the "
                                     "names into the index, with index=names or set_index.")
    require("keep" not in names, "A row is named 'keep': that is the trivial answer, not a setting. The baseline is "
                                 "measure_setting() with nothing changed.")
    require("baseline" in names, "The baseline is missing: without a row 'baseline', the unchanged setting, there is "
                                 "nothing to compare with.")
    require(names.count("baseline") == 1, "There is more than one row 'baseline': name each setting for what is "
                                          "changed in it.")
    require(len(table) > 1, "There is only the baseline: add at least one row with a change of your own.")
    require(len(set(names)) == len(names), "Two rows have the same name: name each setting for what is changed in it.")
    figures = _figures(table)
    shares = figures[:, :4]
    bad = [SHARES[i] for i in np.nonzero((shares > 1).any(axis=0) | (shares < 0).any(axis=0))[0]]
    require(not bad, f"Some shares lie outside [0, 1], in {', '.join(bad)}: are they percentages, or differences from "
                     "the baseline?")
    few = [names[i] for i in np.nonzero(figures[:, 4] < MIN_PAIRS)[0]]
    require(not few, f"Some rows come from fewer than {MIN_PAIRS:,} pairs ({', '.join(few[:3])}): the interval is then "
                     "wider than most differences.")
    require(bool((figures[:, 4] % 1 == 0).all()), "n is the number of pairs, a whole number.")
    seen: dict[tuple, str] = {}
    for name, row in zip(names, shares[:, [0, 1, 3]]):
        other = seen.setdefault(tuple(row.round(12)), name)
        require(other == name, f"The rows {other!r} and {name!r} are identical: did the change reach the training?")
    base = shares[names.index("baseline")]
    require(not (abs(base[0] - base[2]) < 2e-3 and base[1] < 0.05), "The baseline's iia equals keep, and hardly any "
            "pair that flips is right: this is the trivial answer that keeps the base's, not measure_setting() with "
            "nothing changed.")
    require(abs(base[0] - base[2]) > 1e-9, "The baseline's iia is its keep: the baseline is measure_setting() with "
                                           "nothing changed, not the trivial answer `keep`.")
    others = np.delete(shares, names.index("baseline"), axis=0)
    made = len(others) > 1 and any(np.allclose(base, f(others, axis=0), atol=1e-9) for f in (np.mean, np.median))
    require(not made, "The baseline is made of the other rows: measure it, measure_setting() with nothing changed.")
    for name, row in zip(names, shares):
        plainly = {3: re.search(r"(no|without|0|zero)\W.*behavior|behavior\w*\W+(0|none|off)", name),
                   0: re.search(r"\b(1|one|a single) dir|(directions|intervention_size)\W+1\b", name)}
        for column, found in plainly.items():
            require(not found or row[column] < base[column] + 0.02, f"The row {name!r} has a greater {SHARES[column]} "
                    f"than the baseline, {row[column]:.3f} and {base[column]:.3f}: do the rows bear each other's "
                    "names?")
    rounded = shares[:, [0, 1, 3]]
    require(not (np.isin(rounded, [0, 1]).all()), "All figures are 0 or 1: are they rounded, or truth values? Keep "
                                                  "what was measured.")


def _figures(table: pd.DataFrame) -> np.ndarray:
    """Columns iia, flip_iia, keep, behavior, n as floats, or WrongAnswer for what is no number."""
    for name in (*SHARES, "n"):
        for setting, value in table[name].items():
            where = f"(column {name}, row {str(setting)!r})"
            require(not isinstance(value, str), f"Some figures are text {where}: keep the numbers that measure_setting "
                                                "returns.")
            require(not isinstance(value, (bool, np.bool_)), f"Some figures are truth values {where}: keep the numbers "
                                                             "that measure_setting returns.")
            require(isinstance(value, (int, float, np.number)), f"A {type(value).__name__} stands where a number "
                    f"should {where}: one number a cell.")
            require(bool(np.isfinite(value)), f"Some figures are NaN or infinite {where}: was every setting measured?")
    return table[[*SHARES, "n"]].to_numpy(dtype=float)
