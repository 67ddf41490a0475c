"""The ellipses, their three labels, and the causal model that the network is asked to implement.

Labels come in the order circularity, color, area, each in [0, 1].
"""
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from utils.validation import (validate_answers, validate_coefficients, validate_count, validate_images,
                              validate_labels, validate_memory, validate_number, validate_values)

CausalModel = Callable[[np.ndarray], np.ndarray]

VARIABLE_NAMES = ("circularity", "color", "area")
COEFFICIENTS = (0.4, 0.4, 0.4)
THRESHOLD = 0.6
IMAGE_SIZE = 28
IMAGE_BYTES = 4 * IMAGE_SIZE**2 + 8 * 12  # with its labels and while they are drawn

MIN_CIRCULARITY, MAX_CIRCULARITY = 0.3, 1.0
MAX_COLOR = 0.9
MIN_AREA, MAX_AREA = 16 * np.pi, 64 * np.pi

CIRCULARITIES = np.round(np.arange(30, 101) / 100, 2)  # every value that rounding to 0.01 leaves
_LANE = 1000.0  # wider than any area in pixels, so that (circularity, area) pairs sort as one number
_CHUNK = 512


def random_state(seed: int | np.random.Generator | np.random.RandomState | None) -> Any:
    """A source of random numbers: for an int the stream that ``np.random.seed`` begins with it, for None numpy's global
    stream, a Generator or RandomState as it is. TypeError or ValueError for anything else."""
    if seed is None:
        return np.random.mtrand._rand
    if isinstance(seed, (np.random.Generator, np.random.RandomState)):
        return seed
    return np.random.RandomState(validate_count(seed, "seed", minimum=0, maximum=2**32 - 1))


@lru_cache(maxsize=1)
def mask_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every shape that the rasterizer can make.

    With a = sqrt(area / (pi c)) and b = a c, the pixel test (x/a)^2 + (y/b)^2 <= 1 reads
    pi (c x^2 + y^2 / c) <= area: for one circularity c the shapes are nested, and a pixel joins at an area of its own.

    Returns:
        keys: sorted (r,), 1000 * (index of the circularity) + the area at which a shape begins.
        ids: (r,), the shape that begins at each key.
        masks: bool (m, 28, 28), the distinct shapes, long axis horizontal.
    """
    squares = np.arange(-IMAGE_SIZE // 2, IMAGE_SIZE // 2, dtype=np.float64) ** 2
    keys, rows = [], []
    for index, c in enumerate(CIRCULARITIES):
        joins_at = np.pi * (c * squares[None, :] + squares[:, None] / c)
        inner = np.unique(joins_at[(joins_at > MIN_AREA - 0.01) & (joins_at < MAX_AREA + 0.01)])
        starts = np.concatenate([[0.0], inner])
        keys.append(_LANE * index + starts)
        rows.append(joins_at[None] <= np.maximum(starts, inner[0] - 1e-6)[:, None, None])
    masks, ids = np.unique(np.concatenate(rows).reshape(-1, IMAGE_SIZE**2), axis=0, return_inverse=True)
    table = np.concatenate(keys), ids.reshape(-1), masks.reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    for array in table:
        array.flags.writeable = False
    return table


def find_masks(circularity: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Which shape of ``mask_table`` each (circularity, area) makes; raw units rounded to 0.01, any equal shape."""
    keys, ids, _ = mask_table()
    lane = np.rint((np.asarray(circularity) - MIN_CIRCULARITY) * 100)
    return ids[np.searchsorted(keys, _LANE * lane + area, side="right") - 1]


def _to_raw(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Circularity, color and area in raw units, rounded to 0.01, from their places (n, 3) from least to greatest."""
    return (np.round(MIN_CIRCULARITY + (MAX_CIRCULARITY - MIN_CIRCULARITY) * z[:, 0], 2),
            np.round(MAX_COLOR * z[:, 1], 2), np.round(MIN_AREA + (MAX_AREA - MIN_AREA) * z[:, 2], 2))


def _paint(circularity: np.ndarray, color: np.ndarray, area: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Paint n ellipses (four arrays of shape (n,), raw units rounded to 0.01) as float32 images (n, 28, 28)."""
    masks = mask_table()[2]
    ground = 1.0 - np.concatenate([masks, np.rot90(masks, axes=(1, 2))]).astype(np.float32)
    chosen = find_masks(circularity, area) + len(masks) * turned
    color = color.astype(np.float32)[:, None, None]
    images = np.empty((len(chosen), IMAGE_SIZE, IMAGE_SIZE), dtype=np.float32)
    for start in range(0, len(chosen), _CHUNK):  # in chunks, so that a pass finds its images still in the cache
        part = slice(start, start + _CHUNK)
        np.maximum(ground[chosen[part]], color[part], out=images[part])
    return images


def generate_ellipse(circularity: float, color: float, area: float, turned: bool = False) -> np.ndarray:
    """Paint one ellipse on a white background, straight from the definition.

    Args:
        circularity: minor axis / major axis, in [0.3, 1].
        color: gray value of the ellipse, in [0, 0.9]; 0 is black, the background is 1.
        area: in pixels, in [16 pi, 64 pi].
        turned: whether the finished image is turned by ``np.rot90``: the long axis is then vertical.

    Returns:
        float32 image of shape (28, 28), before the turn rows from y = -14 to 13 and columns from x = -14 to 13. The
        ellipse's center is at row 14, column 14; after the turn at row 13, column 14.

    Raises:
        ValueError, TypeError: a value is outside its range, or is no number.
    """
    rounding = 0.005
    circularity = validate_number(circularity, "circularity", MIN_CIRCULARITY - rounding, MAX_CIRCULARITY + rounding)
    color = validate_number(color, "color", 0.0, MAX_COLOR + rounding)
    area = validate_number(area, "area", MIN_AREA - rounding, MAX_AREA + rounding)
    a = np.sqrt(area / (np.pi * circularity))
    b = a * circularity
    y, x = np.mgrid[-IMAGE_SIZE // 2 : IMAGE_SIZE // 2, -IMAGE_SIZE // 2 : IMAGE_SIZE // 2]
    image = np.where((x / a) ** 2 + (y / b) ** 2 <= 1, color, 1.0).astype(np.float32)
    return np.rot90(image).copy() if turned else image


def create_dataset(n: int, seed: int | np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``n`` ellipses, half of them turned by 90 degrees on average.

    An image takes four numbers of the stream: for color, circularity, area and turn.

    Args:
        n: number of images, at least 1.
        seed: an int, which means what it means to ``np.random.seed``, or a Generator; None follows ``np.random.seed``.

    Returns:
        images: float32 (n, 28, 28), 1 is white.
        labels: float64 (n, 3), circularity, color and area, each in [0, 1].

    Raises:
        ValueError, TypeError: ``n`` or ``seed`` is none, or ``n`` images need more memory than there is.
    """
    n = validate_memory(validate_count(n, "n"), "n", IMAGE_BYTES)
    draws = random_state(seed).uniform(size=(n, 4))
    circularity, color, area = _to_raw(draws[:, [1, 0, 2]])
    roundness = (circularity - MIN_CIRCULARITY) / (MAX_CIRCULARITY - MIN_CIRCULARITY)
    labels = np.stack([roundness, color / MAX_COLOR, np.round((area - MIN_AREA) / (MAX_AREA - MIN_AREA), 2)], axis=1)
    return _paint(circularity, color, area, draws[:, 3] < 0.5), labels


def render_images(labels: np.ndarray, turned: np.ndarray | bool = False) -> np.ndarray:
    """Paint the images that have the given labels: what an intervention on the causal model would have shown.

    Args:
        labels: (n, 3), each in [0, 1].
        turned: one bool, or (n,) bools.

    Returns:
        float32 images (n, 28, 28).
    """
    labels = validate_labels(labels)
    if labels.ndim != 2:
        raise ValueError(f"labels must have shape (n, 3), got {labels.shape}")
    turned = np.asarray(turned, dtype=bool)
    if turned.shape not in ((), (len(labels),)):
        raise ValueError(f"turned must be one bool or have shape ({len(labels)},), got {turned.shape}")
    return _paint(*_to_raw(labels), np.broadcast_to(turned, len(labels)))


def find_turn(images: np.ndarray) -> np.ndarray:
    """Which ellipses were turned, even round ones: images (n, 28, 28) or (n, 1, 28, 28) to bools (n,).

    The turn moves the center from row 14 to row 13.
    """
    rows = validate_images(images)[:, 0].min(axis=2) < 1.0
    first, last = rows.argmax(axis=1), IMAGE_SIZE - 1 - rows[:, ::-1].argmax(axis=1)
    return rows.any(axis=1) & (first + last < IMAGE_SIZE)


def causal_model(labels: np.ndarray, coefficients: Sequence[float] | np.ndarray = COEFFICIENTS) -> np.ndarray:
    """The causal model: 1 where coefficients . labels > 0.6. Labels (..., 3) to float32 answers (...)."""
    return (np.matmul(validate_labels(labels), validate_coefficients(coefficients)) > THRESHOLD).astype(np.float32)


def as_causal_model(own: CausalModel | None = None,
                    coefficients: Sequence[float] | np.ndarray = COEFFICIENTS) -> CausalModel:
    """The causal model as a function from labels (..., v) to float32 answers (...), checked at each call.

    Args:
        own: a function from labels (n, v), one column a variable, to answers (n,): truth values, or whole numbers
            from 0 where there are more than two answers. None: that of the ellipses, with ``coefficients``.
    """
    if own is None:
        return lambda labels: causal_model(labels, coefficients)
    if not callable(own):
        raise TypeError(f"causal_model must be a function of labels (n, v), got {type(own).__name__}")

    def answer(labels: np.ndarray) -> np.ndarray:
        labels = validate_values(labels)
        rows = labels.reshape(-1, labels.shape[-1])
        try:
            answers = own(rows.copy())
        except Exception as error:
            error.add_note(f"This came from causal_model, called with labels {rows.shape} of {rows.dtype}.")
            raise
        return validate_answers(answers, (len(rows),)).reshape(labels.shape[:-1])

    return answer


def intervene_on_labels(base: np.ndarray, sources: np.ndarray, variables: Sequence[Sequence[int]]) -> np.ndarray:
    """Interchange intervention on the causal model's variables.

    Args:
        base: values (n, v), one column a variable.
        sources: values (k, n, v).
        variables: k lists; the variables that each source sets, later sources last.

    Returns:
        values (n, v) of the counterfactual.
    """
    base, sources = validate_values(base, "base"), validate_values(sources, "sources")
    if sources.ndim != 3 or base.ndim != 2 or sources.shape[1:] != base.shape or len(sources) != len(variables):
        raise ValueError(f"sources must have shape ({len(variables)}, n, v) for base (n, v), "
                         f"got {sources.shape} and {base.shape}")
    counterfactual = base.copy()
    for source, chosen in zip(sources, variables):
        counterfactual[:, list(chosen)] = source[:, list(chosen)]
    return counterfactual
