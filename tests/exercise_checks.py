"""What the tests of the exercises' checks share."""
import inspect
import re

import numpy as np
import pytest
import torch

from utils.checks.helpers import WrongAnswer
from utils.checks.tools import running


def cases(table):
    """Parameters (name of a check, entry of its list), each with an id of its own."""
    return [pytest.param(name, case, id=f"{name.removeprefix('check_')}-{i}")
            for name, found in table.items() for i, case in enumerate(found)]


def assert_diagnosed(check, case):
    """A wrong solution, given with a phrase of the message that it is to get, gets it."""
    solution, phrase = case
    with pytest.raises(WrongAnswer, match=phrase) as caught:
        check(solution)
    assert len(str(caught.value)) < 400 and not re.search(r"\d\.\d{7,}", str(caught.value))


def assert_random_numbers_are_left_alone(check, right, wrong):
    """Neither a right nor a wrong solution moves torch's or numpy's stream."""
    torch.manual_seed(3)
    np.random.seed(3)
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    check(right)
    with pytest.raises(WrongAnswer):
        check(wrong)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(np.random.get_state()[1], numbers)


def checks_of(module):
    """Name -> check of every check that a module defines."""
    return {name: check for name, check in vars(module).items() if name.startswith("check_")}


def refusal(check, f):
    """The message with which a check refuses a function."""
    with pytest.raises(WrongAnswer) as caught:
        check(f)
    return str(caught.value)


def endless(*args):
    """A solution that does not come to an end."""
    while True:
        pass


def stub(*args):
    """A solution that is not begun."""
    raise NotImplementedError("your turn")


def broken(*args):
    """A solution with an error of its own."""
    return args[0] + 1 / 0


def define_tests(checks, notebooks, right, wrong, tables=()):
    """The tests of a module of checks, by name: right solutions pass, wrong ones are diagnosed, nothing is left.

    Args:
        checks: name -> check.
        notebooks: numbers of the notebooks whose exercises these are, such as "01".
        right, wrong: name -> solutions, of the wrong ones each with a phrase of its message.
        tables: names of checks that take a table in place of a function.
    """
    every = pytest.mark.parametrize("name", checks)
    functions = pytest.mark.parametrize("name", [name for name in checks if name not in tables])

    @pytest.mark.parametrize("name, solution", cases(right))
    def test_right_solutions_pass(name, solution):
        assert re.fullmatch(r"Passed: [^\n]{1,91}\.", checks[name](solution)), "no wider than a cell's output"
        assert torch.is_grad_enabled()

    @pytest.mark.parametrize("name, case", cases(wrong))
    def test_each_mistake_gets_its_message(name, case):
        assert_diagnosed(checks[name], case)
        assert torch.is_grad_enabled()

    @every
    def test_every_check_is_documented_and_tested_both_ways(name):
        assert re.match(rf"Exercise [{notebooks}]\.\d: ", checks[name].__doc__)
        assert checks[name].__annotations__["return"] is str
        assert len(inspect.signature(checks[name]).parameters) == 1
        assert len(right[name]) >= 3 and len(wrong[name]) >= 12

    @functions
    def test_unfinished_functions(name):
        check = checks[name]
        with pytest.raises(NotImplementedError, match="^your turn$"):
            check(stub)
        nothing = "No file was written" if name == "check_write_whole" else "forget the `return`"
        assert nothing in refusal(check, lambda *args: None)
        assert re.search(r"error at the line .*1 / 0.*ZeroDivisionError", refusal(check, lambda *args: 1 / 0))
        assert "`return args[0] + 1 / 0`: ZeroDivisionError" in refusal(check, broken)
        assert "cannot be called as" in refusal(check, lambda: None) and "not a function" in refusal(check, 3)

    @functions
    def test_endless_work_is_stopped(name, monkeypatch):
        monkeypatch.setattr(running, "SECONDS", 0.1)
        assert "does the loop end?" in refusal(checks[name], endless)

    @every
    def test_random_numbers_are_left_alone(name):
        assert_random_numbers_are_left_alone(checks[name], right[name][0], wrong[name][0][0])

    return {name: test for name, test in locals().items() if name.startswith("test_")}
