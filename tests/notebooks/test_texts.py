"""The texts beside the notebooks: what they show runs, in the order in which it stands, and gives what they say."""
import functools
import inspect
import re

import pytest
import torch
from conftest import ROOT

from utils import measure_utils
from utils.das_utils import iit_predict

FEW = ("n_train, n_test, num_steps = 10_000, 10_000, 300", "n_train, n_test, num_steps = 300, 1_000, 2")


def read_blocks(name):
    text = (ROOT / "notebooks" / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def run(name, *changes, blocks=None):
    """The variables after the code of a text."""
    variables = {"__name__": name}
    for number, block in enumerate(read_blocks(name)[:blocks]):
        for old, new in changes:
            block = block.replace(old, new)
        exec(compile(block, f"{name}, block {number}", "exec"), variables)
    return variables


@pytest.mark.parametrize("name", ["real_networks.md", "from_an_earlier_notebook.md", "pyvene.md"])
def test_code_can_be_read_whole(name):
    lines = [line for block in read_blocks(name) for line in block.splitlines()]
    assert len(lines) > 20 and not [line for line in lines if len(line) > 115]


def test_our_calls_and_pyvenes_lines_give_the_same_numbers():
    """The text asserts it for each pair; here that its assertions are there and can fail."""
    blocks = "\n".join(read_blocks("pyvene.md"))
    assert blocks.count("assert ") == 8
    found = run("pyvene.md")
    assert (found["swapped_ours"] - found["swapped_theirs"]).abs().max() < 1e-6
    assert (found["plain_ours"] - found["swapped_ours"][:1]).abs().max() > 1e-4, "the swap does something"
    for old, new in (("[[[0]] * 100, [[1]] * 100]", "[[[1]] * 100, [[0]] * 100]"),
                     ('"intervention_link_key": 0}', '"intervention_link_key": None}'),
                     ('"sources->base": 2}', '"sources->base": 3}')):
        with pytest.raises(AssertionError):
            run("pyvene.md", (old, new))


def test_an_earlier_notebook_goes_on_as_the_text_says(monkeypatch):
    few = functools.partial(measure_utils.score_alignment, n=500, n_discriminating=100)
    monkeypatch.setattr(measure_utils, "score_alignment", few)
    found = run("from_an_earlier_notebook.md", FEW)
    assert 0 <= found["iia"] <= 1 and found["score"].n == found["two_score"].n == 500
    assert found["answers"].shape == (1_000,) and len(found["history"]["lr"]) == 2
    assert found["two_score"].variables == "{circularity} | {color}"


def test_wrapped_as_before_it_is_the_same_model():
    found = run("from_an_earlier_notebook.md", FEW, blocks=3)
    first, second = (next(iter(found[name].interventions.values())) for name in ("pv_model", "as_before"))
    second.rotate_layer.weight = first.rotate_layer.weight.detach()[:, :64]
    ours, theirs = (iit_predict(found[name], found["X_base"][:50], found["X_sources"][:, :50])
                    for name in ("pv_model", "as_before"))
    assert torch.allclose(ours, theirs, atol=1e-6) and first.rotate_layer.weight.shape == (28 * 28 * 16, 64)


def test_every_call_of_the_tables_is_in_the_code_or_in_the_series():
    """What stands in the second column is called somewhere in the code of the texts."""
    text = (ROOT / "notebooks" / "from_an_earlier_notebook.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if re.match(r"\| `|\| no |\| a two", line)]
    called = {name for row in rows for name in re.findall(r"(\w+)\(", row[1])}
    code = "\n".join(read_blocks("from_an_earlier_notebook.md"))
    assert len(rows) == 16 and called and not [name for name in called if f"{name}(" not in code]


def test_the_calls_of_the_map_exist():
    import pyvene

    text = (ROOT / "notebooks" / "pyvene.md").read_text(encoding="utf-8")
    theirs = {"disable_model_gradients", "enable_model_gradients", "save", "load"}
    assert all(f"`{name}" in text and hasattr(pyvene.IntervenableModel, name) for name in theirs)
    asked = inspect.signature(pyvene.IntervenableModel.forward).parameters
    assert {"subspaces", "unit_locations", "output_original_output"} <= set(asked)
