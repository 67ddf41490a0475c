"""Run a learner's function: on copies, for a limited time, with its errors and what it leaves behind told in words."""
import contextlib
import copy
import functools
import linecache
import os
import random
import re
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import torch

from utils.checks.helpers import WrongAnswer, require

SECONDS = 5.0  # of the processor that a call may take; the inputs are small
_FOLDERS = (*(Path(sysconfig.get_paths()[key]) for key in ("stdlib", "purelib", "platlib")),
            Path(np.__file__).parents[1], Path(__file__).parents[2])
_LIBRARIES = tuple(f"{path.resolve()}{os.sep}" for path in _FOLDERS)
_ARRAYS = (np.ndarray, torch.Tensor)


class OutOfTime(BaseException):
    """Raised inside a learner's function that runs on and on; no ``except Exception`` there catches it."""


def tidy(text: str, most: int = 380) -> str:
    """A text without long numbers and numpy's types, cut to ``most`` characters."""
    text = re.sub(r"np\.(?:float|int|uint|bool|str)\w*\(([^()]*)\)", r"\1", text)
    text = re.sub(r"-?\d+\.\d{5,}(e[+-]?\d+)?", lambda found: f"{float(found[0]):.4g}", text)
    return text if len(text) <= most else text[: most - 3] + "..."


def refuse(message: str) -> None:
    """Raise WrongAnswer with a tidy message."""
    raise WrongAnswer(tidy(message))


def same(a: Any, b: Any) -> bool:
    """Whether two arguments are alike, through lists, tuples and dicts with their order; NaN is like NaN."""
    if isinstance(a, _ARRAYS) and isinstance(b, _ARRAYS):
        a, b = (x.detach().numpy() if isinstance(x, torch.Tensor) else x for x in (a, b))
        return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict) and isinstance(b, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b)


def _numpy_random() -> tuple:
    name, keys, *rest = np.random.get_state(legacy=True)
    return name, np.asarray(keys).tobytes(), *rest


_STATES: dict[str, tuple[Callable, Callable, Callable]] = {  # what to compare, what to keep, how to put it back
    "torch's gradient mode": (torch.is_grad_enabled, torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's default dtype": (torch.get_default_dtype, torch.get_default_dtype, torch.set_default_dtype),
    "numpy's error settings": (np.geterr, np.geterr, lambda kept: np.seterr(**kept)),
    "numpy's print options": (lambda: str(np.get_printoptions()), np.get_printoptions,
                              lambda kept: np.set_printoptions(**kept)),
    "the working directory": (os.getcwd, os.getcwd, os.chdir),
    "random numbers of np.random": (_numpy_random, np.random.get_state, np.random.set_state),
    "random numbers of torch": (lambda: torch.get_rng_state().numpy().tobytes(), torch.get_rng_state,
                                torch.set_rng_state),
    "random numbers of random": (random.getstate, random.getstate, random.setstate),
}


@contextlib.contextmanager
def state_watched(changed: list[str]) -> Iterator[None]:
    """Puts back what is global, and notes in ``changed`` the names of what was not as before."""
    before = {name: (compared(), keep()) for name, (compared, keep, _) in _STATES.items()}
    try:
        yield
    finally:
        for name, (compared, _, put_back) in _STATES.items():
            if compared() != before[name][0]:
                changed.append(name)
                put_back(before[name][1])


def is_learners(frame: FrameType) -> bool:
    """Whether a frame runs code of the learner's: not of Python, of an installed package or of the checks."""
    return _is_file_of_the_learner(frame.f_code.co_filename)


@functools.cache
def _is_file_of_the_learner(name: str) -> bool:
    library = name.startswith("<frozen") or name.endswith(".pyx") or str(Path(name).resolve()).startswith(_LIBRARIES)
    return not library


def learners_line(trace: TracebackType | None) -> str:
    """The last line of the learner's own in a traceback; empty where there is none."""
    line = ""
    while trace is not None:
        if is_learners(trace.tb_frame):
            code = trace.tb_frame.f_code
            line = linecache.getline(code.co_filename, trace.tb_lineno).strip() or f"line {trace.tb_lineno}"
        trace = trace.tb_next
    return line if len(line) <= 90 else line[:87] + "..."


HINTS: dict[str, str] = {  # by what stands in "type: message" of an error; the first that fits
    "truth value": "`and`, `or`, `not`, `if` and min or max take one truth value; for whole arrays use &, |, ~ and "
                   "np.where.",
    "NameError": "Is the name spelled right, defined before this line, and imported in this cell?",
    "UnboundLocalError": "On some way through the function the name gets no value.",
    "'list' object has no attribute": "This is a plain list: use len, max, min, sum or sorted.",
    "float division|ZeroDivisionError": "What stands below the line is 0 here.",
    "NoneType": "A value is None: a function without `return`, or a method that works in place (sort, append).",
    "not subscriptable": "What stands before the [ ] has no parts: is it a number or a function?",
    "not callable": "What stands before the ( ) is no function.",
    "not iterable|cannot unpack": "What is walked through here has no parts.",
    "not enough values to unpack|too many values to unpack": "What is taken apart here has another number of parts: "
                                                             "print its shape, or its length.",
    "broadcast|must match the size|matmul|cannot be multiplied|size mismatch|dimension mismatch|not aligned":
        "The shapes do not fit: print them, and see along which axis each step works.",
    "IndexError": "An index is beyond the end: do the sizes in the code hold for every input?",
    "KeyError": "There is no such key.",
    "RecursionError": "The function calls itself without an end.",
    "MemoryError|Unable to allocate": "This needs far more memory than the inputs: print the shapes.",
    "FileNotFoundError": "This file is not there at this moment.",
    "FileExistsError": "A file that an earlier call left behind is in the way.",
    "empty sequence|empty iterable|zero-size": "There is nothing left to take it from: what is to happen then?",
    "AssertionError": "This is an assert of your own.",
    "AttributeError": "Of what type is this here? .clone() is for tensors, .copy() for arrays.",
    "TypeError": "Of what types are the values here? Print them.",
    "": "Print the values that come into this line.",
}


def tell(error: BaseException, example: str, hints: dict[str, str]) -> str:
    """An error of the learner's in words, with their line and a hint."""
    line, text = learners_line(error.__traceback__), f"{type(error).__name__}: {error}"
    if isinstance(error, OutOfTime):
        return (f"Your function runs for more than {SECONDS:.0f} seconds on a small input, when stopped at the line "
                f"`{line}`: does the loop end?")
    if not line and isinstance(error, TypeError):
        return f"Your function cannot be called as {example} ({tidy(text, 120)}): keep the arguments of the exercise."
    hint = next(hint for pattern, hint in (*hints.items(), *HINTS.items()) if re.search(pattern, text))
    return f"Your function stops with an error at the line `{line}`: {tidy(' '.join(text.split()), 130)}. {hint}"


def watched_call(f: Callable, args: Sequence, look: Callable[[], None] | None = None) -> Any:
    """``f(*args)``, stopped by OutOfTime; ``look`` is called at each step of the learner's code.

    Under a debugger, which wants to see each line itself, neither happens.
    """
    deadline = time.thread_time() + SECONDS

    def trace(frame: FrameType, event: str, arg: Any) -> Callable | None:
        if look is not None:
            frame.f_trace_opcodes = is_learners(frame) if event == "call" else frame.f_trace_opcodes
            look()
        if time.thread_time() > deadline:
            raise OutOfTime
        return trace if look is not None or is_learners(frame) else None

    if sys.gettrace() is not None:
        return f(*args)
    sys.settrace(trace)
    try:
        return f(*args)
    finally:
        sys.settrace(None)


def require_function(f: Any) -> None:
    """Raise WrongAnswer for what cannot be called."""
    require(callable(f), f"This is a {type(f).__name__}, not a function: pass the name of your function.")


class Learner:
    """A learner's function that is called on copies; what goes wrong in it comes out as a WrongAnswer.

    Args:
        f: the function.
        example: how it is called, for messages: ``"f(z_base, variable)"``.
        hints: by a pattern of "type: message" of an error, what to say; they come before ``HINTS``.
        random: what to say where global random numbers were drawn or seeded.
        lists: whether what it yields is taken as a list.
    """

    def __init__(self, f: Callable, example: str, hints: dict[str, str] | None = None, random: str = "", lists:
                 bool = False) -> None:
        require_function(f)
        self.f, self.example, self.hints, self.lists = f, example, hints or {}, lists
        self.random = random or "nothing is random here, and a seed that is set is set for everyone."

    def __call__(self, *args: Any, look: Callable[[], None] | None = None, nothing: bool = False) -> Any:
        """What it returns; ``look`` is called at each of its steps, and None is fine where ``nothing`` is wanted."""
        given = [a if isinstance(a, np.random.Generator) or hasattr(a, "__next__") else copy.deepcopy(a) for a in args]
        changed: list[str] = []
        with state_watched(changed):
            try:
                got = watched_call(self.f, given, look)
                got = watched_call(list, [got]) if self.lists and hasattr(got, "__next__") else got
            except WrongAnswer:
                raise
            except (Exception, OutOfTime, SystemExit) as error:
                line = learners_line(error.__traceback__)
                if isinstance(error, NotImplementedError) and (not line or line.startswith(("raise", "line "))):
                    raise
                if isinstance(error, (AttributeError, TypeError)) and any(isinstance(a, np.ndarray) for a in args):
                    with contextlib.suppress(Exception, OutOfTime):
                        return watched_call(self.f, [torch.from_numpy(a).float() if isinstance(a, np.ndarray) else
                                                     copy.deepcopy(a) for a in args])
                raise WrongAnswer(tidy(tell(error, self.example, self.hints))) from error
        for name in changed:
            refuse(f"Your function draws or seeds {name}: {self.random}" if name.startswith("random") else
                   f"Your function changes {name}, and leaves it changed: put it back, or do without.")
        for name, a, b in zip(re.findall(r"\w+", self.example)[1:], args, given):
            require(not isinstance(a, (*_ARRAYS, list, dict)) or same(a, b), "Your function changes its argument "
                    f"`{name}` in place: work on a copy (.copy(), for a tensor .clone(), for a list sorted or list).")
        require(nothing or got is not None, "Your function returned None: did you forget the `return`?")
        return got
