"""What holds for every check of an exercise, whatever it asks."""
import inspect
import re

import pytest

from exercise_checks import assert_random_numbers_are_left_alone

from utils.checks.helpers import WrongAnswer
from utils.checks.tools import running


def checks_of(module):
    """Name -> check of every check that a module defines."""
    return {name: check for name, check in vars(module).items() if name.startswith("check_")}


def refusal(check, f):
    """The message with which a check refuses a function."""
    with pytest.raises(WrongAnswer) as caught:
        check(f)
    return str(caught.value)


def endless(*args):
    while True:
        pass


def broken(*args):
    return args[0] + 1 / 0


def assert_sound(check, notebook, right, wrong, monkeypatch):
    """Documented and tested both ways; an unfinished function, its errors and an endless loop are told in words."""
    def stub(*args):
        raise NotImplementedError("your turn")

    assert re.match(rf"Exercise {notebook}\.\d: ", check.__doc__) and check.__annotations__["return"] is str
    assert len(inspect.signature(check).parameters) == 1 and len(right) >= 3 and len(wrong) >= 12
    assert re.fullmatch(r"Passed: [^\n]{1,91}\.", check(right[0])), "no wider than a cell's output"
    with pytest.raises(NotImplementedError, match="^your turn$"):
        check(stub)
    assert re.search("forget the `return`|No file was written", refusal(check, lambda *args: None))
    assert "`return args[0] + 1 / 0`: ZeroDivisionError" in refusal(check, broken)
    assert "cannot be called as" in refusal(check, lambda: None) and "not a function" in refusal(check, 3)
    monkeypatch.setattr(running, "SECONDS", 0.1)
    assert "does the loop end?" in refusal(check, endless)
    monkeypatch.undo()
    assert_random_numbers_are_left_alone(check, right[0], wrong[0][0])
