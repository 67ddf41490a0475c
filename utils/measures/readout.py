"""What can be read off activations, with no intervention: correlations and linear probes."""
import numpy as np

from utils.validation import validate_values


def _validate_coordinates(coordinates: np.ndarray, n: int) -> np.ndarray:
    coordinates = np.asarray(coordinates, dtype=np.float64)
    if coordinates.ndim != 2 or len(coordinates) != n:
        raise ValueError(f"coordinates must have shape ({n}, k), got {coordinates.shape}")
    return coordinates


def correlate(coordinates: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pearson correlations of coordinates (n, k) with labels (n, v): an array (k, v); nan where a column is constant.

    Raises:
        ValueError, TypeError: the shapes do not fit, or labels are no finite numbers.
    """
    labels = validate_values(labels, numbers=True)
    coordinates = _validate_coordinates(coordinates, len(labels))
    k = coordinates.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(coordinates.T, labels.T)[:k, k:]


def probe_r2(coordinates: np.ndarray, values: np.ndarray) -> float:
    """R^2 of a linear probe: fitted by least squares to the first half of the rows, measured on the second.

    Args:
        coordinates: (n, k), n at least 4.
        values: (n,), to be predicted; an intercept is fitted too.

    Returns:
        at most 1; 0 is guessing the mean, below that is worse.

    Raises:
        ValueError: the shapes do not fit, or there are too few rows.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 4:
        raise ValueError(f"values must have shape (n,) with n of at least 4, got {values.shape}")
    design = np.column_stack([_validate_coordinates(coordinates, len(values)), np.ones(len(values))])
    half = len(design) // 2
    weights = np.linalg.lstsq(design[:half], values[:half], rcond=None)[0]
    residual = values[half:] - design[half:] @ weights
    return float(1 - (residual**2).mean() / values[half:].var())
