"""Whether what a learner draws is uniform and independent: of the base, of other sources, of other draws."""
import itertools
from collections.abc import Callable

import numpy as np

from utils.checks.helpers import require
from utils.checks.tools.running import Learner

SURE = 7.0  # standard deviations; by chance, one right solution in 10^8 comes that far in one of its tests
CALLS = 400


def _normal(chi_squared: np.ndarray, freedom: int) -> np.ndarray:
    """A chi-squared as a standard normal variable (Wilson and Hilferty)."""
    spread = 2 / (9 * freedom)
    return ((chi_squared / freedom) ** (1 / 3) - (1 - spread)) / np.sqrt(spread)


def deviation(counts: np.ndarray) -> float:
    """How far counts lie from being equal, in standard deviations."""
    mean = counts.sum() / counts.size
    return float(_normal(((counts - mean) ** 2).sum() / mean, counts.size - 1))


def _pairs(draws: np.ndarray, num_images: int) -> np.ndarray:
    """For draws (calls, slots), the deviation of each two slots from being independent: (slots, slots)."""
    calls, slots = draws.shape
    seen = (draws[..., None] == np.arange(num_images)).reshape(calls, -1).astype(float)
    counts = (seen.T @ seen).reshape(slots, num_images, slots, num_images).transpose(0, 2, 1, 3)
    mean, freedom = calls / num_images**2, num_images**2 - 1
    return _normal(((counts - mean) ** 2).sum((2, 3)) / mean, freedom)


class _Drawing:
    """A learner's function that draws base and sources, or with ``pairs`` base and one source."""

    def __init__(self, f: Callable, example: str, pairs: bool) -> None:
        self.pairs, self.second = pairs, "source" if pairs else "sources"
        self.learner = Learner(f, example, {
            "larger sample than population": "Draw with replacement: images may come twice, and n may exceed "
                                             "num_images.",
            "high <= 0|low >= high": "A range is empty: each draw is from all num_images, rng.integers(num_images, "
                                     "size=...), without a 1 more or less, however many sources there are.",
            "no attribute": "rng is a Generator: rng.integers, rng.choice, rng.random.",
        }, random="draw with the rng that is passed.")

    def __call__(self, sizes: tuple[int, int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Base (n,) and sources (num_sources, n), or WrongAnswer, for n, num_images and num_sources; of pairs, one."""
        n, num_images, k = sizes
        got = self.learner(n, num_images, *(() if self.pairs else (k,)), rng)
        rows = self.pairs and isinstance(got, np.ndarray) and got.shape == (2, n)  # unpacks like a tuple
        require(isinstance(got, (tuple, list)) and len(got) == 2 or rows, "Return two arrays of indices, base and "
                f"{self.second}: this is a {type(got).__name__}.")
        names, wanted = ("base", self.second), ((n,), (n,) if self.pairs else (k, n))
        for name, part in zip(names, got):
            require(part is not None, f"What should be the {name} is None: did you forget the `return`?")
        try:
            base, sources = map(np.asarray, got)
        except ValueError:
            require(False, "The rows of sources differ in length: they have shape (num_sources, n).")
        with_sizes = f"with n = {n} and num_images = {num_images}" if self.pairs else (
            f"with n = {n}, num_images = {num_images} and num_sources = {k}")
        if not self.pairs:
            require(not (base.shape == (k, n) and sources.shape == (n,) and k > 1), "Sources come first here: return "
                    "base, then sources.")
            require(sources.shape != (n, k) or n == k, f"The sources have shape {(n, k)}, one column for each; one row "
                                                       f"for each source is wanted, (num_sources, n) = {(k, n)}.")
        for name, part, shape in zip(names, (base, sources), wanted):
            letters = "(n,)" if len(shape) == 1 else "(num_sources, n)"
            require(part.shape == shape, f"W{with_sizes[1:]}, {name} has shape {part.shape}: {letters} = {shape} is "
                                         "wanted.")
            require(part.dtype.kind in "iu", f"Indices must be whole numbers, of an integer dtype: those of {name} are "
                                             f"{part.dtype}.")
        largest = max(base.max(), sources.max())
        require(min(base.min(), sources.min()) >= 0 and largest < num_images, "Some indices are out of range, "
                f"{with_sizes}: they go from 0 to num_images - 1, and {largest} is the largest here.")
        return base, sources.reshape(-1, n)


def _require_generator(draw: _Drawing) -> None:
    """The draws follow the generator that is passed, and move it on."""
    sizes = 12, 1000, 3
    first, again, other = (draw(sizes, np.random.default_rng(seed)) for seed in (101, 101, 102))
    for name, a, b, c in zip(("base", draw.second), first, again, other):
        require(np.array_equal(a, b), f"The same seed gives another {name} at each call: draw with the rng that is "
                                      "passed, not with np.random or a generator of your own.")
        require(not np.array_equal(a, c) or name == "base" and np.array_equal(a, np.arange(12)), "Another seed gives "
                f"the same {name}: draw with the rng that is passed, and make none of your own.")
    rng = np.random.default_rng(103)
    one, two = draw(sizes, rng), draw(sizes, rng)
    require(not all(map(np.array_equal, one, two)), "Two calls with one generator give the same draws: draw with the "
                                                    "rng itself, not with a copy of it.")


def _require_uniform(name: str, draws: np.ndarray, num_images: int) -> None:
    """Draws (calls, n) of one kind are uniform over all images, at each position."""
    counts = np.bincount(draws.ravel(), minlength=num_images)
    require(bool((counts > 0).all()), f"{name} never holds some images, as {np.nonzero(counts == 0)[0].tolist()[:5]} "
                                      f"of {num_images}: rng.integers(num_images) draws from 0 to num_images - 1.")
    share = counts / counts.sum()
    require(deviation(counts) < SURE, f"{name} is not uniform: of {num_images} images, {share.argmax()} comes in "
                                      f"{share.max():.0%} of the draws and {share.argmin()} in {share.min():.1%}. "
                                      "rng.integers draws uniformly.")
    places = [deviation(np.bincount(column, minlength=num_images)) for column in draws.T]
    require(max(places) < SURE, f"{name} is not drawn at each position: at position {int(np.argmax(places))} some "
                                "images come far more often. Is it sorted, or counted up?")


def require_uniform_draws(f: Callable, example: str, pairs: bool = False) -> None:
    """Raise WrongAnswer unless ``f(n, num_images, num_sources, rng)`` draws base and sources, each for itself.

    With ``pairs`` the function is ``f(n, num_images, rng)``, and draws one source, (n,) as the base.
    """
    draw = _Drawing(f, example, pairs)
    for sizes in ((20, 30, 3), (1, 5, 1), (7, 4, 5), (6, 2, 2), (2000, 1000, 2)):
        base, sources = draw(sizes, np.random.default_rng(100))
        if sizes[1] >= 30:  # else it happens by chance
            require(not (sources == base).all(axis=1).any(), "The source is the same image as the base: sources that "
                                                             "always agree with the base teach nothing.")
            require(pairs or not (sources == sources[:1]).all(), "All sources are the same image: this is "
                    "single-source data for a multi-source model. Draw anew for each source.")
            require((sources != sources[:, :1]).any(axis=1).all(), "All pairs have the same source: draw one for each "
                    "base.")
            require((base != base[0]).any(), "All bases are the same image: draw one for each pair.")
    for name, part in (("Base", base), (draw.second.capitalize(), sources)):  # the largest of the sizes
        tenths = np.bincount(part.ravel().astype(np.int64) * 10 // sizes[1], minlength=10)
        require(deviation(tenths) < SURE, f"{name} is not uniform with num_images = {sizes[1]}: the largest is "
                f"{part.max()}, and {tenths.max() / tenths.sum():.0%} lie in one tenth of the images. Draw each "
                "equally often, from all of them: no number written out, no integer type too small, no other "
                "distribution.")
    _require_generator(draw)
    for n, num_images, k in ((5, 8, 3), (9, 5, 2), (2, 7, 2)):
        rng = np.random.default_rng(104)
        calls = [draw((n, num_images, k), rng) for _ in range(CALLS)]
        drawn = np.stack([np.concatenate([base[None], sources]) for base, sources in calls])  # (calls, 1 + k, n)
        names = ["base", *(["source"] if pairs else (f"source {i}" for i in range(k)))]
        for i, name in enumerate(names):
            _require_uniform(name.capitalize(), drawn[:, i], num_images)
        _require_independent(drawn, names, num_images)
    for name, part in zip(("Base", "A source"), draw((10_000, 8, 2), np.random.default_rng(105))):
        _require_uniform(name, part.reshape(-1, 1), 8)


def _require_independent(drawn: np.ndarray, names: list[str], num_images: int) -> None:
    """Draws (calls, 1 + k, n) do not depend on one another, in a column, in a row and between calls."""
    calls, rows, n = drawn.shape
    columns = drawn.transpose(0, 2, 1).reshape(-1, rows)
    for i, j in itertools.combinations(range(rows), 2):
        equal, pair = (columns[:, i] == columns[:, j]).mean(), f"{names[j].capitalize()} depends on {names[i]}"
        require(equal > 0, f"{pair}: they are never the same image. Drawn independently they are now and then; exclude "
                           "nothing.")
        counts = np.bincount(columns[:, i] * num_images + columns[:, j], minlength=num_images**2)
        require(deviation(counts) < SURE, f"{pair}, the same image in {equal:.0%} of the draws where "
                                          f"{1 / num_images:.0%} is chance: draw it anew with rng.integers, not from "
                                          "the other.")
    pairs = _pairs(drawn.reshape(calls, -1), num_images).reshape(rows, n, rows, n)
    for i in range(rows):
        others = pairs[i, :, i][~np.eye(n, dtype=bool)]
        twice = np.mean([len(set(row)) < n for row in drawn[:, i].tolist()])
        require(n > num_images or twice > 0, f"{names[i].capitalize()} never holds an image twice: that is drawing "
                                             "without replacement. rng.integers, or replace=True, draws independently.")
        together = others.mean() * np.sqrt(len(others) / 2)  # each two positions are counted twice
        require(max(others.max(), together) < SURE, f"{names[i].capitalize()} is not drawn independently: what stands "
                                                    "at one position depends on another one. Is a part repeated, "
                                                    "shuffled, or drawn without replacement?")
    for i, j in itertools.combinations(range(rows), 2):
        require(pairs[i, :, j].max() < SURE, f"{names[j].capitalize()} is made of {names[i]}, in another order or "
                                             "shifted: draw it anew with rng.integers.")
    for chosen in itertools.combinations(range(rows), 3):
        index = np.ravel_multi_index(columns[:, chosen].T, (num_images,) * 3)
        require(deviation(np.bincount(index, minlength=num_images**3)) < SURE, "Each two of "
                f"{', '.join(names[i] for i in chosen)} are independent, but the three together are not: is one "
                "computed from the others? Draw each anew.")
    flat = drawn.reshape(calls, -1)
    for step in (1, 2):
        later = np.concatenate([flat[:-step], flat[step:]], axis=1)
        across = _pairs(later, num_images)[:flat.shape[1], flat.shape[1]:]
        require(across.max() < SURE, "The draws of a call depend on those of the call before: keep nothing between "
                                     "calls.")
