"""The best accuracy that any classifier can reach, computed from the shapes that the rasterizer can make.

Ellipses that differ in circularity and area may make the same image, so even a perfect observer, who sees only
the image, must sometimes err. For each shape the labels behind it have a known distribution; the best answer is
the more probable one, and the ceiling is the mean of max(p, 1 - p). Turned shapes count with the others: none of
them equals another shape, turned or not, so behind a shape and its turned copy there are the same labels.
"""
from functools import cache, lru_cache
from collections.abc import Sequence

import numpy as np

from utils.data_utils import (CIRCULARITIES, COEFFICIENTS, MAX_AREA, MAX_CIRCULARITY, MAX_COLOR, MIN_AREA,
                              MIN_CIRCULARITY, THRESHOLD, find_masks, mask_table)
from utils.validation import validate_coefficients, validate_groups, validate_images


def _rounded_uniform(low: float, high: float, step: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Values and probabilities of a uniform number from [low, high] after rounding to ``step``."""
    values = np.round(np.arange(np.rint(low / step), np.rint(high / step) + 1) * step, 2)
    share = np.minimum(values + step / 2, high) - np.maximum(values - step / 2, low)
    return values, share / (high - low)


@lru_cache(maxsize=1)
def shape_distribution() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint distribution of shape, circularity and area label.

    Returns:
        weights: (m, 71, 101), probability of each shape that occurs, circularity (0.30 to 1.00), area label (0 to 1).
        circularity_labels: (71,).
        ids: (m,), the row of each shape in ``mask_table``.
    """
    circularity, circularity_share = _rounded_uniform(MIN_CIRCULARITY, MAX_CIRCULARITY)
    area, area_share = _rounded_uniform(MIN_AREA, MAX_AREA)
    area_index = np.rint(100 * (area - MIN_AREA) / (MAX_AREA - MIN_AREA)).astype(int)
    ids = find_masks(np.repeat(circularity, len(area)), np.tile(area, len(circularity))).reshape(len(circularity), -1)
    weights = np.zeros((ids.max() + 1, len(circularity), 101))
    for i in range(len(circularity)):
        np.add.at(weights[:, i], (ids[i], area_index), circularity_share[i] * area_share)
    present = np.flatnonzero(weights.sum(axis=(1, 2)) > 0)
    return weights[present], (CIRCULARITIES - MIN_CIRCULARITY) / (MAX_CIRCULARITY - MIN_CIRCULARITY), present


@cache
def _ceiling(same_image: bool, coefficients: tuple[float, float, float]) -> float:
    weights, circularity, _ = shape_distribution()
    color, color_share = _rounded_uniform(0.0, MAX_COLOR)
    area = np.arange(101) / 100
    thresholds = THRESHOLD - coefficients[1] * color / MAX_COLOR
    shape_share = weights.sum(axis=(1, 2))
    by_circularity = weights.sum(axis=2) / shape_share[:, None]
    by_area = weights.sum(axis=1) / shape_share[:, None]
    total = 0.0
    for threshold, share in zip(thresholds, color_share):
        yes = coefficients[0] * circularity[:, None] + coefficients[2] * area[None, :] > threshold
        p = np.tensordot(weights, yes, axes=2) / shape_share if same_image else by_circularity @ yes @ by_area.T
        best = share * shape_share @ np.maximum(p, 1 - p)
        total += best if same_image else best @ shape_share
    return float(total)


def ideal_answers(images: np.ndarray, coefficients: Sequence[float] = COEFFICIENTS) -> np.ndarray:
    """What the best possible observer answers: images (n, 28, 28) or (n, 1, 28, 28) to float answers (n,).

    Raises:
        ValueError: an image shows no ellipse that the rasterizer can make.
    """
    images, (c0, c1, c2) = validate_images(images)[:, 0], validate_coefficients(coefficients)
    weights, circularity, ids = shape_distribution()
    number = {}
    for i, mask in enumerate(mask_table()[2][ids]):
        number[np.packbits(mask).tobytes()] = number[np.packbits(np.rot90(mask)).tobytes()] = i
    try:
        shape = np.array([number[bits.tobytes()] for bits in np.packbits(images.reshape(-1, 784) < 1, axis=1)])
    except KeyError as error:
        raise ValueError("images must show ellipses as create_dataset paints them") from error
    color = images.min(axis=(1, 2)).astype(float) / MAX_COLOR
    threshold = THRESHOLD - c1 * color
    sums = c0 * circularity[:, None] + c2 * np.arange(101) / 100
    p = np.array([(weights[s] * (sums > t)).sum() / weights[s].sum() for s, t in zip(shape, threshold)])
    return (p > 0.5).astype(float)


def bayes_ceiling(variables: Sequence[Sequence[int]] = (),
                  coefficients: Sequence[float] = COEFFICIENTS) -> float:
    """Best accuracy that is possible on an interchange intervention, exact for the rasterizer's shapes.

    The color can be read off an image, so only circularity and area are uncertain, and what matters is whether
    the two come from one image (then its shape constrains both) or from two.

    Args:
        variables: for each source the variables that it sets; empty for behavior without intervention.
        coefficients: three weights of the causal model.

    Returns:
        accuracy in [0.5, 1].
    """
    groups = validate_groups(variables) if len(variables) else []
    origin = {v: i for i, group in enumerate(groups) for v in group}
    same_image = origin.get(0, "base") == origin.get(2, "base")
    return _ceiling(same_image, tuple(validate_coefficients(coefficients).tolist()))
