"""Figures that others reported on this task, quoted for comparison. Nothing here was measured by this project."""
from pathlib import Path

import pandas as pd

# An earlier notebook on IIT for this task: circularity and color at conv1, over 1,000 pairs.
EARLIER_SINGLE_SOURCE = {"iia": 0.826, "behavior": 0.833, "directions": 1, "n": 1000}
EARLIER_MULTI_SOURCE = {"iia": 0.592, "n": 1000}

# A published table of DAS: mean and SD of IIA over networks of this architecture, for three objectives, three layers,
# four sets of variables and five numbers of directions.
DAS_TABLE = Path(__file__).resolve().parent / "published_das.csv"


def read_das() -> pd.DataFrame:
    """The published table of DAS, a row a cell: ``coefficients`` (as 0.4/0.4/0.4), ``layer``, ``variables`` (as 0, 1, 2
    or 02), ``directions``, ``iia_mean``, ``iia_sd`` and ``networks``."""
    table = pd.read_csv(DAS_TABLE).rename(columns={"coefficients_circularity_color_area": "coefficients"})
    numbers = {"circularity": "0", "color": "1", "area": "2", "circularity+area": "02"}
    return table.assign(coefficients=table.coefficients.str.replace(" ", "/"), variables=table.variables.map(numbers))


def _means(directions: int) -> dict[str, tuple[float, ...]]:
    cells = read_das().query("coefficients == '0.4/0.4/0.4' and directions == @directions and variables != '02'")
    rows = cells.pivot_table(index="layer", columns="variables", values="iia_mean")
    return {str(layer): tuple(row) for layer, row in zip(rows.index, rows.to_numpy().tolist())}


# Of equal coefficients: mean IIA for each layer in the order circularity, color, area.
DAS_64_DIRECTIONS = _means(64)
