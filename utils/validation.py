"""Checks at the door of the public functions: each returns its argument in canonical form or raises."""
from numbers import Integral, Real
from typing import Any
from collections.abc import Sequence

import numpy as np

NUM_VARIABLES = 3


def validate_count(value: Any, name: str, minimum: int = 1) -> int:
    """Return ``value`` as an int of at least ``minimum``; TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def validate_number(value: Any, name: str, low: float = 0.0, high: float = np.inf, strict: bool = False) -> float:
    """Return ``value`` as a finite float in [low, high] (or (low, high] when ``strict``)."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__} {value!r}")
    inside = low < value <= high if strict else low <= value <= high
    if not np.isfinite(value) or not inside:
        raise ValueError(f"{name} must lie in {'(' if strict else '['}{low}, {high}], got {value}")
    return float(value)


def validate_variables(variables: Sequence[int]) -> list[int]:
    """Return a list of distinct variable indices, each 0 (circularity), 1 (color) or 2 (area)."""
    if isinstance(variables, (str, bytes)) or not hasattr(variables, "__len__"):
        raise TypeError(f"variables must be a list of integers, got {type(variables).__name__} {variables!r}")
    if len(variables) == 0:
        raise ValueError("variables must name at least one of 0, 1, 2, got an empty list")
    checked = [validate_count(v, "each of variables", minimum=-(2**31)) for v in variables]
    if any(v < 0 or v >= NUM_VARIABLES for v in checked):
        raise ValueError(f"variables must be among 0, 1, 2, got {checked}")
    if len(set(checked)) != len(checked):
        raise ValueError(f"variables must not repeat, got {checked}")
    return checked


def validate_coefficients(coefficients: Sequence[float]) -> np.ndarray:
    """Return three finite coefficients as a float64 array of shape (3,)."""
    try:
        checked = np.asarray(coefficients, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"coefficients must be three numbers, got {coefficients!r}") from error
    if checked.shape != (NUM_VARIABLES,):
        raise ValueError(f"coefficients must have shape ({NUM_VARIABLES},), got {checked.shape}")
    if not np.isfinite(checked).all():
        raise ValueError(f"coefficients must be finite, got {checked.tolist()}")
    return checked


def validate_labels(labels: Any, name: str = "labels") -> np.ndarray:
    """Return labels as a float64 array of shape (..., 3), every value in [0, 1]."""
    try:
        checked = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers, got {type(labels).__name__}") from error
    if checked.ndim < 1 or checked.shape[-1] != NUM_VARIABLES:
        raise ValueError(f"{name} must have shape (..., {NUM_VARIABLES}), got {checked.shape}")
    if not ((checked >= -1e-9) & (checked <= 1 + 1e-9)).all():
        raise ValueError(f"{name} must lie in [0, 1]")
    return checked


def validate_images(images: Any, name: str = "images") -> np.ndarray:
    """Return images of shape (n, 28, 28) or (n, 1, 28, 28) as float32 (n, 1, 28, 28)."""
    shape = tuple(getattr(images, "shape", ()))
    if not shape:
        raise TypeError(f"{name} must be an array or tensor, got {type(images).__name__}")
    if len(shape) not in (3, 4) or shape[-2:] != (28, 28) or (len(shape) == 4 and shape[1] != 1):
        raise ValueError(f"{name} must have shape (n, 28, 28) or (n, 1, 28, 28), got {shape}")
    if hasattr(images, "detach"):
        images = images.detach().cpu().numpy()
    return np.asarray(images, dtype=np.float32).reshape(-1, 1, 28, 28)
