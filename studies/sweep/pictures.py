"""What notebook 6 draws and plans from the table of the sweep."""
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.data_utils import VARIABLE_NAMES
from utils.plot_utils import BLACK, GRAY, RED, VARIABLE_COLORS, plot_heatmap

LEARNED = 0.9  # a network whose behavior is below this has not learned the task


def name_variables(variables: str) -> str:
    """``0|12`` of the table as ``{circ} | {color, area}``."""
    short = dict(zip("012", ("circ", "color", "area")))
    return " | ".join("{" + ", ".join(short[v] for v in group) + "}" for group in variables.split("|"))


def das_networks(
    sweep: pd.DataFrame, coefficients: Sequence[float], networks: int = 20, directions: int = 64
) -> pd.DataFrame:
    """The rows of DAS on the first networks of one objective that learned the task and have all nine cells.

    Args:
        sweep: the table of the sweep.
        coefficients: of the causal model.
        networks: how many at most.
        directions: for each variable.
    """
    rows = sweep[(sweep.method == "DAS") & (sweep.network != "shipped") & (sweep.behavior > LEARNED)
                 & (sweep.coefficients == "/".join(map(str, coefficients))) & (sweep.directions == directions)]
    complete = rows.network.astype(int).value_counts().loc[lambda count: count == 9].index.sort_values()[:networks]
    return rows[rows.network.astype(int).isin(complete)]


def das_means(rows: pd.DataFrame, measure: str = "iia") -> np.ndarray:
    """Mean over the networks of ``das_networks``: (3 layers, 3 variables)."""
    return rows.pivot_table(index="layer", columns="variables", values=measure).to_numpy()


def compare_das(rows: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Our mean IIA beside the published one, cell by cell, and a verdict: "above" or "below" where they differ by more
    than two standard errors of the difference, "equal" else.

    Args:
        rows: of ``das_networks``, of one or several objectives and numbers of directions.
        published: of ``studies.published.read_das``.

    Returns:
        for each coefficients, layer, variables and directions in both: mean, se and networks of ours and theirs (with
        ``published`` before the name), difference and verdict.
    """
    keys = ["coefficients", "layer", "variables", "directions"]
    ours = rows.groupby(keys).iia.agg(mean="mean", se="sem", networks="count").reset_index()
    both = ours.merge(published, on=keys, suffixes=("", " theirs")).set_index(keys)
    table = both[["mean", "se", "networks"]].assign(**{
        "published mean": both.iia_mean, "published se": both.iia_sd / np.sqrt(both["networks theirs"]),
        "published networks": both["networks theirs"]})
    table["difference"] = table["mean"] - table["published mean"]
    error = np.hypot(table["se"], table["published se"])
    table["verdict"] = np.select([table.difference > 2 * error, table.difference < -2 * error], ["above", "below"],
                                 "equal")
    return table


def plot_das(
    means: dict[str, np.ndarray], bounds: tuple[float, float] = (0.85, 1.0), measure: str = "IIA"
) -> Figure:
    """Heat maps side by side: title -> (3 layers, 3 variables), of the ``measure`` that the color bar names."""
    figure, axes = plt.subplots(1, len(means), figsize=(4.7 * len(means), 3.3), squeeze=False)
    for axis, (title, values) in zip(axes.flat, means.items()):
        plot_heatmap(values, ("conv1", "conv2", "conv3"), VARIABLE_NAMES, title, bounds, measure, axis)
    return figure


def plot_directions(rows: pd.DataFrame) -> Figure:
    """IIA against directions, a panel for each layer, with best baseline and ceiling."""
    layers = sorted(rows.layer.unique())
    figure, axes = plt.subplots(1, len(layers), figsize=(3.5 * len(layers), 3.6), sharey=True)
    for axis, layer in zip(axes, layers):
        for variable, (name, color, marker) in enumerate(zip(VARIABLE_NAMES, VARIABLE_COLORS, "osD")):
            line = rows[(rows.layer == layer) & (rows.variables == str(variable))].sort_values("directions")
            axis.plot(line.directions, line.iia, color=color, marker=marker, label=name)
        axis.axhline(rows.ceiling.max(), color=BLACK, label="ceiling")
        axis.axhline(rows[rows.layer == layer].keep.mean(), color=RED, linestyle="--", label="keep the base's answer")
        ticks = sorted(rows[rows.layer == layer].directions.unique())
        axis.set_xscale("log", base=2)
        axis.set_xticks(ticks, ticks)
        axis.set(xlabel="directions", title=layer)
    axes[0].set(ylabel="IIA", ylim=(0.55, 1))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=5, fontsize=10)
    return figure


def plot_place(rows: pd.DataFrame) -> Axes:
    """Normalized IIA of IIT by layer and directions (rows) and variable set (columns)."""
    table = rows.pivot_table(index=["layer", "directions"], columns="variables", values="normalized_iia")
    columns = sorted(map(str, table.columns), key=lambda name: (name.count("|"), len(name), name))
    table = table[columns]
    axes = plt.subplots(figsize=(1.25 * len(table.columns) + 2, 0.45 * len(table) + 1.9))[1]
    image = axes.imshow(table, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.set_xticks(range(len(table.columns)), [name_variables(name).replace(" | ", "\n") for name in table.columns],
                    fontsize=9)
    axes.set_yticks(range(len(table)), [f"{layer}, {size} dir." for layer, size in table.index])
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        if np.isfinite(value):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=10,
                      color="black" if value > 0.5 else "white")
    axes.set_title("Normalized IIA after IIT: 0 is the best trivial answer, 1 the ceiling")
    axes.figure.colorbar(image, ax=axes, label="normalized IIA")
    return axes


def plot_front(rows: pd.DataFrame, first_recipe: pd.DataFrame, front: Sequence[bool], ceiling: float) -> Figure:
    """Behavior against flip-IIA over the weight of the behavior loss.

    Args:
        rows: one for each weight: behavior_weight, behavior, flip_iia, in the order of the weights.
        first_recipe: rows of the recipe that the series started from.
        front: which of ``rows`` no other beats in both.
        ceiling: of behavior.
    """
    figure, (whole, near) = plt.subplots(1, 2, figsize=(12, 4.6))
    best = np.asarray(front, dtype=bool)
    for axes in (whole, near):
        axes.plot(rows.behavior, rows.flip_iia, color=GRAY, linewidth=1, zorder=1)
        axes.scatter(rows.behavior[~best], rows.flip_iia[~best], color=GRAY, s=50, label="beaten in both by another")
        axes.scatter(rows.behavior[best], rows.flip_iia[best], color=VARIABLE_COLORS[0], s=70, marker="D",
                     label="on the front")
        axes.set(xlabel="behavior (accuracy on single images)", ylabel="flip-IIA")
    whole.scatter(first_recipe.behavior, first_recipe.flip_iia, color=RED, marker="X", s=70,
                  label="the recipe that the series started from, three seeds")
    whole.axvline(ceiling, color=BLACK, label="ceiling of behavior")
    whole.set_title("All")
    for row in rows.itertuples():
        near.annotate(f"{row.behavior_weight:g}", (row.behavior, row.flip_iia), textcoords="offset points",
                      xytext=(-9, 5), ha="right", fontsize=10)
    near.set_title("Enlarged, with the weight of the behavior loss beside each point")
    near.margins(0.12)
    figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncol=4, fontsize=10)
    return figure


def plan_sweep(sweep: pd.DataFrame, networks: int, network_seconds: float, hours: float = 1.0) -> pd.Series:
    """What a table of DAS on many networks would take, from the cost of the cells that were run.

    Args:
        sweep: rows of ``das_networks``.
        networks: to train and search, each at three layers for three variables.
        network_seconds: of one core, to train one network.
        hours: in which it is to be done.

    Returns:
        cells, core-hours, memory for each process in MiB, and the cores that do it in ``hours``.
    """
    layers = sweep.groupby("layer")["cpu_seconds"].mean()
    core_hours = networks * (3 * layers.sum() + network_seconds) / 3600
    return pd.Series({"networks": networks, "cells": 9 * networks, "core-hours": round(core_hours, 1),
                      "MiB for each process": int(sweep.peak_mib.max()),
                      f"cores to be done in {hours:g} h": int(np.ceil(core_hours / hours))})
