"""What the tests of the exercises' checks share."""
import numpy as np
import pytest
import torch

from utils.checks.helpers import WrongAnswer


def cases(table):
    """Parameters (name of a check, entry of its list), each with an id of its own."""
    return [pytest.param(name, case, id=f"{name.removeprefix('check_')}-{i}")
            for name, found in table.items() for i, case in enumerate(found)]


def assert_diagnosed(check, case):
    """A wrong solution, given with a phrase of the message that it is to get, gets it."""
    solution, phrase = case
    with pytest.raises(WrongAnswer, match=phrase) as caught:
        check(solution)
    assert len(str(caught.value)) < 400


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
