"""Checks at the door of the public functions: each returns its argument in canonical form or raises."""
import os
import warnings
from numbers import Integral, Real
from typing import Any
from collections.abc import Sequence

import numpy as np

NUM_VARIABLES = 3


def is_a(value: Any, kind: type) -> bool:
    """As ``isinstance``, but true also where ``importlib.reload`` has made the class anew since."""
    return any((c.__module__, c.__qualname__) == (kind.__module__, kind.__qualname__) for c in type(value).__mro__)


def validate_count(value: Any, name: str, minimum: int = 1, maximum: int = 2**63 - 1) -> int:
    """Return ``value`` as an int from ``minimum`` to ``maximum``; TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if int(value) > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")
    return int(value)


def validate_memory(n: int, name: str, each: int) -> int:
    """Return ``n`` unless ``n`` things of ``each`` bytes are more than this machine's memory: ValueError."""
    try:
        here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not tell
        here = 2**40
    if n * each > here:
        raise ValueError(f"{name} must be at most {here // each:,} here, got {n:,}, which needs "
                         f"{n * each / 1e9:,.0f} GB of memory; there are {here / 1e9:,.0f}")
    return n


def validate_number(value: Any, name: str, low: float = 0.0, high: float = np.inf, strict: bool = False) -> float:
    """Return ``value`` as a finite float in [low, high] (or (low, high] when ``strict``)."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__} {value!r}")
    number = float(value)
    inside = low < number <= high if strict else low <= number <= high
    if not np.isfinite(number) or not inside:
        raise ValueError(f"{name} must lie in {'(' if strict else '['}{low}, {high}], got {value}")
    return number


def validate_variables(variables: Sequence[int], num_variables: int = NUM_VARIABLES) -> list[int]:
    """Return a list of distinct variable indices below ``num_variables``."""
    if isinstance(variables, (str, bytes)) or not hasattr(variables, "__len__"):
        raise TypeError(f"variables must be a list of integers, got {type(variables).__name__} {variables!r}")
    if len(variables) == 0:
        raise ValueError(f"variables must name at least one of {_choices(num_variables)}, got an empty list")
    checked = [validate_count(v, "each of variables", minimum=-(2**31)) for v in variables]
    if any(v < 0 or v >= num_variables for v in checked):
        raise ValueError(f"variables must be among {_choices(num_variables)}, got {checked}")
    if len(set(checked)) != len(checked):
        raise ValueError(f"variables must not repeat, got {checked}")
    return checked


def _choices(num_variables: int) -> str:
    names = [str(v) for v in range(num_variables)]
    return ", ".join(names if num_variables <= 6 else [*names[:2], "...", names[-1]])


def validate_groups(variables: Sequence[Sequence[int]], num_variables: int = NUM_VARIABLES) -> list[list[int]]:
    """Return the variables of each source as lists; no variable may belong to two sources."""
    if isinstance(variables, (str, bytes)) or not hasattr(variables, "__len__"):
        raise TypeError(f"variables must be a list of lists, one for each source, got {variables!r}")
    if any(isinstance(group, Integral) for group in variables):
        raise TypeError(f"variables must hold a list for each source, such as [[0], [1]], got {variables!r}")
    groups = [validate_variables(group, num_variables) for group in variables]
    validate_variables([v for group in groups for v in group], num_variables)
    return groups


def validate_coefficients(coefficients: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return three finite coefficients as a float64 array of shape (3,)."""
    checked = _to_numpy(coefficients, "coefficients").astype(np.float64)
    if checked.shape != (NUM_VARIABLES,):
        raise ValueError(f"coefficients must have shape ({NUM_VARIABLES},), got {checked.shape}")
    return checked


def validate_labels(labels: Any, name: str = "labels") -> np.ndarray:
    """Return labels as a float64 array of shape (..., 3), every value in [0, 1]."""
    checked = _to_numpy(labels, name).astype(np.float64)
    if checked.shape[-1] != NUM_VARIABLES:
        raise ValueError(f"{name} must have shape (..., {NUM_VARIABLES}), got {checked.shape}")
    if not ((checked >= -1e-9) & (checked <= 1 + 1e-9)).all():
        raise ValueError(f"{name} must lie in [0, 1]")
    return checked


def validate_images(images: Any, name: str = "images") -> np.ndarray:
    """Return images of shape (n, 28, 28) or (n, 1, 28, 28), every value in [0, 1], as float32 (n, 1, 28, 28)."""
    shape = tuple(getattr(images, "shape", ()))
    if not shape:
        raise TypeError(f"{name} must be an array or tensor, got {type(images).__name__}")
    if len(shape) not in (3, 4) or shape[-2:] != (28, 28) or (len(shape) == 4 and shape[1] != 1):
        raise ValueError(f"{name} must have shape (n, 28, 28) or (n, 1, 28, 28), got {shape}")
    checked = _to_numpy(images, name).reshape(-1, 1, 28, 28)
    if len(checked):
        validate_pixels(checked, float(checked.min()), float(checked.max()), name)
    return checked.astype(np.float32, copy=False)


def validate_pixels(images: Any, low: float, high: float, name: str) -> None:
    """Raise ValueError unless ``low`` and ``high``, the least and the greatest value of images (n, 1, 28, 28), lie in
    [0, 1]; warn where most images look inverted, ellipses on a dark ground."""
    if low < 0 or high > 1:
        hint = ": divide them by 255" if low >= 0 and high >= 2 else ""
        raise ValueError(f"{name} must lie in [0, 1], got {images.dtype} from {low:.4g} to {high:.4g}{hint}")
    ground = np.array(images[:, 0, ::27, ::27].tolist()).max(axis=(1, 2))
    if (ground < 0.5).mean() > 0.5 and high > ground.max():
        warnings.warn(f"{name} look inverted: {(ground < 0.5).sum()} of {len(ground)} have a dark ground, but ellipses "
                      "are painted on white, which is 1; 1 - images would turn them round", stacklevel=4)


def _to_numpy(values: Any, name: str, numbers: bool = True) -> np.ndarray:
    try:
        if hasattr(values, "detach"):
            values = values.detach().cpu()
            values = (values.float() if values.dtype.is_floating_point and values.itemsize < 4 else values).numpy()
        array = np.asarray(values, order="C")  # torch takes no negative strides
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array or a dense tensor, got {type(values).__name__}: {error}") from error
    if array.ndim == 0:
        raise TypeError(f"{name} must be an array or tensor, got {type(values).__name__}")
    if array.dtype.kind not in "biuf" and (numbers or array.dtype.kind == "c"):
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got nan or infinity")
    return array


def validate_inputs(X: Any, name: str = "X") -> np.ndarray:
    """Return a network's inputs (n, ...): whole numbers (token ids) as they are, all else as float32."""
    array = _to_numpy(X, name)
    return array.astype(array.dtype.newbyteorder("=") if array.dtype.kind in "iu" else np.float32, copy=False)


def validate_values(z: Any, name: str = "labels", numbers: bool = False) -> np.ndarray:
    """Return the values of a causal model's variables (..., v) of any type, one column a variable; or ``numbers``."""
    array = _to_numpy(z, name, numbers)
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(f"{name} must have shape (n, variables) with at least one of each, got {array.shape}")
    return array.astype(float) if numbers else array


def validate_answers(answers: Any, shape: tuple[int, ...], name: str = "the causal model's answers") -> np.ndarray:
    """Return answers of the wanted shape, truth values or whole numbers from 0, as a float32 array."""
    array = _to_numpy(answers, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, one for each row, got {array.shape}")
    if (array < 0).any() or (array != np.floor(array)).any():
        odd = array[(array < 0) | (array != np.floor(array))].flat[0]
        raise ValueError(f"{name} must be truth values or whole numbers from 0, got {odd}")
    return array.astype(np.float32)
