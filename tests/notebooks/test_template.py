"""The template: says which places are still the toy's, takes another task, and tells a failure from a success."""
import re

import matplotlib
import nbformat
import pytest
from conftest import ROOT

TEMPLATE = ROOT / "notebooks" / "template.ipynb"
PLACES = ["causal model", "data", "variables", "network", "layer"]


def run(*changes):
    """The variables after running the template with pieces of its code replaced."""
    cells = [cell.source for cell in nbformat.read(TEMPLATE, as_version=4).cells if cell.cell_type == "code"]
    code = "\n".join(cells)
    for old, new in changes:
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    variables = {"__name__": "template"}
    exec(compile(code, "template", "exec"), variables)
    return variables


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("agg")


def left(printed):
    """For each cell that says so, the places that are still the toy's."""
    return [line.split(": ", 1)[1] for line in printed.splitlines() if line.startswith("Still the toy's")]


def test_stored_it_says_that_all_places_are_the_toys():
    cells = nbformat.read(TEMPLATE, as_version=4).cells
    printed = "".join(o.text for cell in cells for o in cell.get("outputs", []) if o.output_type == "stream")
    assert left(printed) == [", ".join(PLACES)] * 6
    titles = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert [t.split("\n")[0] for t in titles if t.startswith("## Place")] == [
        "## Place 1: the causal model", "## Place 2: the data", "## Place 3: the variables of each source",
        "## Place 4: the network", "## Place 5: the layer"]


def test_every_check_of_the_list_is_explained():
    cells = {cell.id: cell.source for cell in nbformat.read(TEMPLATE, as_version=4).cells}
    asked = re.findall(r"^- \[ \] \*\*(.+?)\.\*\*", cells["checklist-asked"], re.M)
    assert len(asked) == 11 and {"Baselines", "Ceiling", "Flips", "Behavior", "Self-swap", "Random rotation",
                                 "Untrained network", "Wrong causal model", "Held-out inputs", "n and interval",
                                 "Several seeds"} == set(asked)


OWN_CAUSAL_MODEL = '''
def sum_of_three(values):
    return (values[:, 0] + values[:, 1]) % 3


causal_model = sum_of_three
'''
OWN_DATA = '''
def draw_tokens(n, seed):
    values = np.random.default_rng(seed).integers(0, 3, (n, 3))
    return values.astype(np.float32) + np.random.default_rng(seed + 9).normal(0, 0.1, (n, 3)).astype(np.float32), values


draw_data = draw_tokens
'''
OWN_NETWORK = '''
def build_mine():
    return nn.Sequential(OrderedDict(body=nn.Sequential(nn.Linear(3, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU()),
                                     head=nn.Linear(48, 3)))


build_network = build_mine
'''


def test_with_all_places_filled_in_another_task_is_run_through(capsys):
    """Three answers, three variables, of which one source sets two."""
    found = run(
        ("causal_model = toy_causal_model\n", OWN_CAUSAL_MODEL), ("draw_data = toy_draw_data\n", OWN_DATA),
        ('names = ["first bit", "second bit"]', 'names = ["a", "b", "c"]'),
        ("\nvariables = [[0], [1]]\n", "\nvariables = [[0]]\n"),
        ("build_network = toy_build_network\n", OWN_NETWORK),
        ('layer, directions, position = "hidden", 2, None', 'layer, directions, position = "body.2", 8, None'),
        ("num_epochs, behavior_lr = 8, 0.01", "num_epochs, behavior_lr = 15, 0.01"),
        ("num_steps, lr = 150, 0.01", "num_steps, lr = 300, 0.01"))
    said = left(capsys.readouterr().out)
    assert said[0] == "data, variables, network, layer" and said[3] == "layer"
    assert said[4] == said[5] == "nothing. All five places are yours."
    assert found["behavior"] > 0.95 and found["after"].variables == "{a}"
    assert found["after"].iia > 0.9 > 0.6 > max(found["after"].keep, found["after"].majority)
    assert found["controls"]["wrong causal model"].variables == "{b, c}"


def test_a_training_that_has_failed_is_to_be_looked_at_again():
    found = run(("num_steps, lr = 150, 0.01", "num_steps, lr = 1, 0.01"),
                ("train_inputs, train_values = draw_data(4_000, seed=0)",
                 "train_inputs, train_values = draw_data(4_000, seed=1)"),
                ("if left == list(toy):", "if False:"))
    again = [name for name, (fine, _) in found["tries"].items() if not fine]
    assert {"above every baseline", "near the ceiling", "on pairs that flip", "held-out inputs"} <= set(again)
    assert found["tries"]["held-out inputs"][1] == "4,000 were trained on"


@pytest.mark.parametrize("change, words", [
    (('"hidden", 2, None', '"hid", 2, None'), r"layer must name a submodule of the network, such as \['hidden'"),
    (('"hidden", 2, None', '"hidden", 20, None'), r"intervention_size \* num_sources must be at most 32"),
    (("\ncausal_model = toy_causal_model", "\ncausal_model = lambda z: z[:, 0] / 2"), "whole numbers from 0, got 0.5"),
])
def test_a_place_that_does_not_fit_is_named(change, words):
    with pytest.raises((ValueError, TypeError), match=words):
        run(change)
