"""Tables, goals and picture from the results: all figures of studies/benchmarks/README.md come from here."""
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from studies.benchmarks.timing import RESULTS, exponent, median_ratio, read
from utils.plot_utils import BLACK, BLUE, GRAY, GREEN, ORANGE, RED

README = Path(__file__).resolve().parent / "README.md"
COLORS, MARKERS = (BLUE, ORANGE, GREEN, RED, BLACK, GRAY), "osD^vP"
SERIES = ("first recipe on stock pyvene, one source", "first recipe, one source", "first recipe, two sources",
          "ours, one source", "ours, two sources")
GOALS = {"ours, one source": 15, "ours, two sources": 25}  # seconds to an IIA of .95
START, END = "<!-- tables: written by make bench -->", "<!-- end of tables -->"
PYVENE_FREE = ("data_utils", "counterfactual_data_utils", "model_utils", "ceiling_utils", "measure_utils", "plot_utils",
               "diagram_utils", "checkpoint_utils", "checks.helpers", "checks.data", "checks.measures",
               "measures.readout", "interventions.layers", "interventions.rotation", "validation")


def load(folder: Path = RESULTS) -> dict:
    """All results: of each file of timings name -> (seconds, facts), and ``quality`` as it is."""
    names = "steps", "steps_slow", "rotation", "growth", "everyday", "efficiency"
    quality = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    return {**{name: read(name, folder) for name in names}, "quality": quality}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ("---",) * len(header), *rows])


def step_ratios(timings: dict) -> dict[tuple[str, int, int], dict[str, tuple[float, float]]]:
    """(layer, sources, directions) -> way -> median seconds of a step, and how many times the bound's it is, the median
    round by round; for the stock rotation, of which there are few steps, the ratio of its median to the utils'."""
    found: dict = {}
    for values, facts in timings.values():
        found.setdefault((facts["layer"], facts["sources"], facts["directions"]), {})[facts["way"]] = values
    return {case: {way: (median(v), median(v) / median(ways["utils"]) if way == "stock" else
                         median_ratio(v, ways["by hand"])) for way, v in ways.items()} for case, ways in found.items()}


def in_words(case: tuple[str, int, int]) -> str:
    """A case of ``step_ratios``."""
    layer, sources, directions = case
    return f"{layer}, {sources} x {directions}"


def growth_series(results: dict) -> dict[str, tuple[list, list, list]]:
    """Series -> its values, seconds at each (the least: points cannot take turns) and the peak memory in MB."""
    series: dict[str, tuple[list, list, list]] = {}
    for values, facts in results["growth"].values():
        for column, value in zip(series.setdefault(facts["series"], ([], [], [])),
                                 (facts["x"], min(values), facts["peak_mb"])):
            column.append(value)
    return series


def quality_means(results: dict, series: str) -> dict[str, dict[str, float]]:
    """Name -> mean over the seeds of seconds, cpu_seconds and the measures, and the least iia."""
    rows: dict[str, list[dict]] = {}
    for row in results["quality"]["rows"]:
        if row["series"] == series:
            rows.setdefault(row["name"], []).append(row)
    keys = ("seconds", "cpu_seconds", "iia", "flip_iia", "behavior", "keep", "ceiling")
    return {name: {**{key: mean(row[key] for row in some) for key in keys}, "least": min(row["iia"] for row in some),
                   "n": len(some)} for name, some in rows.items()}


def goals(results: dict) -> list[tuple[str, str, bool]]:
    """What was aimed at, what was measured, and whether that is enough."""
    ratios = {in_words(case): ways["utils"][1] for case, ways in step_ratios(results["steps"]).items()}
    worst = max(ratios, key=ratios.__getitem__)
    stock = step_ratios(results["steps_slow"])["conv1", 1, 64]["stock"][1]
    threads = results["quality"]["machine"]["threads"]
    reached = []
    for series, goal in GOALS.items():
        means = quality_means(results, series)
        found = [min([(m["seconds"], name, m[which]) for name, m in means.items() if m[which] >= 0.95],
                     default=(float("inf"), "no length", 0.0)) for which in ("least", "iia")]
        (seconds, name, iia), on_the_mean = found
        first = quality_means(results, series.replace("ours", "first recipe"))["5 epochs"]
        figure = (f"{iia:.3f} in {seconds:.0f} s ({name}, threads: {threads}), the least of "
                  f"{max(m['n'] for m in means.values())}; mean: {on_the_mean[2]:.3f} in {on_the_mean[0]:.0f} s; five "
                  f"epochs of the first recipe: {first['iia']:.3f} in {first['seconds']:.0f} s")
        reached.append((f"{series}: IIA of .95 in {goal} s", figure, seconds <= goal))
    powers = {name: max(exponent(x, t), exponent(x, mb)) for name, (x, t, mb) in growth_series(results).items()}
    steepest = max(powers, key=powers.__getitem__)
    moves = {name: median(v) for name, (v, facts) in results["everyday"].items() if facts["series"] == "explorer"}
    slowest = max(moves, key=moves.__getitem__)
    needless = [facts["module"] for _, facts in results["everyday"].values()
                if facts.get("pyvene") and facts.get("module") in PYVENE_FREE]
    one, two = (results["efficiency"][name][0] for name in ("1 process", "2 processes"))
    efficiency = median_ratio(one, two) / 2
    return [
        ("a step takes at most 1.1 times the bound", f"at most {ratios[worst]:.2f} ({worst})", ratios[worst] <= 1.1),
        ("at 64 directions at least 300 times the speed of the stock rotation", f"{stock:,.0f} times", stock >= 300),
        ("no cost grows faster than a straight line", f"exponent at most {powers[steepest]:.2f}, of {steepest}",
         powers[steepest] <= 1.1),
        *reached,
        ("nothing that does not need pyvene imports it", ", ".join(needless) or "nothing does", not needless),
        ("a move of the explorer within 100 ms", f"at most {1e3 * moves[slowest]:.0f} ms ({slowest})",
         moves[slowest] <= 0.1),
        ("the sweep on two processes at 0.9 of twice one", f"{efficiency:.2f}, median of {len(one)} turns",
         efficiency >= 0.9),
    ]


def tables(results: dict) -> str:
    """Everything between the markers of the README."""
    facts = next(iter(results["steps"].values()))[1]
    machine = (f"{facts['cpu_model_name']}, {facts['cpu_count']} cores, {facts['memory_gb']} GB; {facts['system']}, "
               f"Python {facts['python_version']}, torch {facts['torch_version']}, pyvene {facts['pyvene_version']}; "
               f"{facts['threads']} threads, OMP_WAIT_POLICY {facts['omp_wait_policy']}.")
    models = {part: next(iter(values.values()))[1]["cpu_model_name"] for part, values in results.items()
              if part != "quality"} | {"quality": results["quality"]["machine"]["cpu_model_name"]}
    machine += "".join(f" On another machine, {model}: the part {part}." for part, model in models.items()
                       if model != facts["cpu_model_name"])
    steps = [(in_words(case), f"{1e3 * ways['by hand'][0]:.0f}", f"{1e3 * ways['utils'][0]:.0f}",
              f"{ways['utils'][1]:.2f}", f"{1e3 * ways['pyvene'][0]:.0f}", f"{ways['pyvene'][1]:.2f}")
             for case, ways in step_ratios(results["steps"]).items()]
    stock = [(in_words(case), f"{1e3 * ways['utils'][0]:.0f}", f"{1e3 * ways['stock'][0]:,.0f}",
              f"{ways['stock'][1]:,.0f}") for file in ("steps", "steps_slow")
             for case, ways in step_ratios(results[file]).items() if "stock" in ways]
    found: dict[tuple[int, int], dict[str, list[float]]] = {}
    for values, known in results["rotation"].values():
        found.setdefault((known["neurons"], known["directions"]), {})[known["way"]] = values
    rotation = [(f"{n:,} x {d}", f"{1e3 * median(ways['Cholesky']):.1f}", f"{1e3 * median(ways['Householder']):.1f}",
                 f"{median_ratio(ways['Householder'], ways['Cholesky']):.1f}") for (n, d), ways in found.items()]
    growth = [(name, " / ".join(f"{v:,}" for v in x), " / ".join(f"{1e3 * v:.0f}" for v in t), f"{exponent(x, t):.2f}",
               " / ".join(f"{v:.0f}" for v in mb), f"{exponent(x, mb):.2f}")
              for name, (x, t, mb) in growth_series(results).items()]
    money = [(series, name, f"{m['n']}", f"{m['seconds']:.1f}", f"{m['cpu_seconds']:.0f}", f"{m['iia']:.3f}",
              f"{m['flip_iia']:.3f}", f"{m['behavior']:.3f}")
             for series in (*SERIES, "one change")
             for name, m in quality_means(results, series).items()]
    everyday = [(name, f"{1e3 * median(v):,.0f}", {1: "yes", 0: "no"}.get(known.get("pyvene"), ""))
                for name, (v, known) in results["everyday"].items()]
    verdicts = [(goal, figure, "met" if met else "**missed**") for goal, figure, met in goals(results)]
    quality = results["quality"]
    parts = [
        machine, markdown(("goal", "measured", "verdict"), verdicts), "### One step",
        markdown(("layer, sources x directions", "by hand, ms", "utils, ms", "times the bound",
                  "pyvene runs the sources, ms", "times the bound"), steps),
        "### pyvene's stock rotation",
        markdown(("layer, sources x directions", "utils, ms", "stock, ms", "times utils"), stock),
        "### The rotation alone, forward and backward",
        markdown(("neurons x directions", "Cholesky, ms", "Householder, ms", "times"), rotation), "### Growth",
        markdown(("over", "values", "ms", "exponent", "peak MB", "exponent"), growth), "### Quality for money",
        f"IIA over {quality['pairs']:,} held-out pairs; the changes are made one at a time to ours with "
        f"{quality['steps_of_changes']} steps. Threads: {quality['machine']['threads']}. The code at that time: "
        f"{quality['code']}.",
        markdown(("what", "which", "seeds", "seconds", "CPU seconds", "IIA", "flip-IIA", "behavior"), money),
        "### Everyday", markdown(("what", "ms (imports: of CPU time)", "with pyvene"), everyday),
    ]
    return "\n\n".join(parts)


def draw(ratios: Mapping, growth: Mapping, quality: Mapping, path: Path) -> None:
    """Ratio to the bound, growth of time and memory, and IIA against CPU seconds, as PNG.

    Args:
        ratios: (layer, sources, directions) -> way -> (seconds, times the bound).
        growth: series -> values, seconds, MB.
        quality: series -> name -> means over the seeds.
        path: of the PNG.
    """
    figure = Figure(figsize=(12, 8.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    (steps, money), (time, memory) = figure.subplots(2, 2)
    for axes in (steps, money, time, memory):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    places = range(len(ratios))
    for style, way, label in (("o", "utils", "utils"), ("s", "pyvene", "pyvene runs the sources")):
        steps.plot(places, [ways[way][1] for ways in ratios.values()], style, label=label,
                   color=BLUE if way == "utils" else ORANGE)
    steps.axhline(1, color=BLACK, label="by hand: the bound")
    steps.axhline(1.1, color=RED, linestyle="--", label="goal: 1.1")
    steps.set(xlabel="layer, sources x directions of each", ylabel="times the bound (paired, median)",
              title="One IIT step, 256 pairs", ylim=(0.9, None))
    steps.set_xticks(places, [in_words(case).replace(", ", "\n") for case in ratios])
    steps.legend(fontsize=9, frameon=False)
    for (color, marker), (series, named) in zip(zip((RED, ORANGE, BLACK, BLUE, GREEN), "^sDov"), quality.items()):
        points = sorted((m["seconds"], m["iia"]) for m in named.values())
        money.plot(*zip(*points), color=color, marker=marker, label=series)
    every = [m for named in quality.values() for m in named.values()]
    money.axhline(max(m["ceiling"] for m in every), color=BLACK, linestyle=":", label="exact ceiling")
    money.axhline(0.95, color=RED, linestyle="--", label="goal: 0.95")
    money.axhline(mean(m["keep"] for m in every), color=GRAY, linestyle=":", label="keeping the base's answer")
    money.set(xscale="log", xlabel="seconds of training", ylabel="IIA",
              title="IIT of circularity and color at conv1, n = 10,000")
    money.set_ylim(0.3, 1)  # room for the legend
    money.legend(fontsize=8, frameon=False, loc="lower right", ncols=2)
    for axes, column, what in ((time, 1, "time"), (memory, 2, "peak memory")):
        for (color, marker), (series, columns) in zip(zip(COLORS, MARKERS), growth.items()):
            x, y = columns[0], columns[column]
            axes.plot([v / x[0] for v in x], [v / y[0] for v in y], color=color, marker=marker,
                      label=f"{series}: {exponent(x, y):.2f}")
        axes.axline((1, 1), (10, 10), color=GRAY, linestyle=":", label="a straight line: 1")
        axes.set(xscale="log", yscale="log", xlabel="times the smallest value", ylabel=f"times the smallest {what}",
                 title=f"Growth of {what}, with the fitted exponent")
        axes.set_ylim(0.7, 400)  # room for the legend
        axes.legend(fontsize=8, frameon=False, loc="upper left")
    figure.savefig(path)


def main() -> None:
    """Rewrite README and picture, and say which goals are met."""
    results = load()
    head, rest = README.read_text(encoding="utf-8").split(START)
    tail = rest.split(END)[1]
    README.write_text(f"{head}{START}\n{tables(results)}\n{END}{tail}", encoding="utf-8")
    draw(step_ratios(results["steps"]), growth_series(results),
         {series: quality_means(results, series) for series in SERIES}, RESULTS / "benchmarks.png")
    for goal, figure, met in goals(results):
        print(f"{'met   ' if met else 'MISSED'}  {goal}: {figure}")


if __name__ == "__main__":
    main()
