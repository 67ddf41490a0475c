"""The checks of notebook 8 pass right answers in several styles and name each known mistake."""
import numpy as np
import pytest

from exercise_checks import checks_of, define_tests

from utils.checks import rivals

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(rivals)


def differ(first=lambda b, s: s[:, 0] + s[:, 1] + b[:, 2], second=lambda b, s: s[:, 1] + s[:, 2] + b[:, 0],
           compare=lambda x, y: x != y, limit=1.5):
    return lambda base, source: compare(first(base, source) > limit, second(base, source) > limit)


def differ_row_by_row(base, source):
    found = []
    for (c, _, a), (c_source, k, a_source) in zip(base, source):
        found.append((0.4 * (c_source + k + a) > 0.6) is not (0.4 * (c + k + a_source) > 0.6))
    return [bool(f) for f in found]


def differ_by_sides(base, source):
    sums = np.stack([source[:, 0] + base[:, 2], base[:, 0] + source[:, 2]]) + source[:, 1] - 1.5
    return (sums.max(axis=0) > 0) & (sums.min(axis=0) <= 0)


def differ_by_xor(base, source):
    hybrid = base.copy(), base.copy()
    hybrid[0][:, :2], hybrid[1][:, 1:] = source[:, :2], source[:, 1:]
    return np.logical_xor(*(rows.sum(axis=1) > 1.5 for rows in hybrid)).astype(float)


def differ_in_place(base, source):
    base[:, :2] = source[:, :2]
    return base.sum(axis=1) > 1.5


def share(each=lambda p: 2 * p * (1 - p), mean=np.dot, chance=lambda above, c, a: c @ above @ a, limit=1.5):
    def exact(circularity, color, area):
        (c, pc), (k, pk), (a, pa) = circularity, color, area
        p = np.array([chance(c[:, None] + a + one > limit, pc, pa) for one in k])
        return mean(each(p), pk)

    return exact


def share_by_loops(circularity, color, area):
    total = 0.0
    for k, pk in zip(*color):
        p = sum(pc * pa for c, pc in zip(*circularity) for a, pa in zip(*area) if c + k + a > 1.5)
        total += 2 * pk * p * (1 - p)
    return total


def share_of_everything(circularity, color, area):
    (c, pc), (k, pk), (a, pa) = circularity, color, area
    shape = np.ix_(range(len(c)), range(len(k)), range(len(a)), range(len(c)), range(len(a)))
    cs, ks, ab, cb, s = shape
    first, second = c[cs] + k[ks] + a[ab] > 1.5, c[cb] + k[ks] + a[s] > 1.5
    return ((first != second) * pc[cs] * pk[ks] * pa[ab] * pc[cb] * pa[s]).sum()


def share_by_agreement(circularity, color, area):
    return 1 - share(lambda p: p**2 + (1 - p)**2)(circularity, color, area)


def share_of_mean(circularity, color, area):
    p = share(lambda p: p)(circularity, color, area)
    return 2 * p * (1 - p)


def doses(solve=lambda x, y, rest: (1.5 - rest - x) / (y - x), mask=lambda d, x, y: np.where(x != y, d, np.nan),
          sums=lambda b, s: (b[:, 0] + b[:, 1], s[:, 0] + s[:, 1], b[:, 2])):
    def flip(base, source):
        x, y, rest = sums(base, source)
        return mask(solve(x, y, rest), x + rest > 1.5, y + rest > 1.5)

    return flip


def doses_row_by_row(base, source):
    found = []
    for b, s in zip(base, source):
        dose = (1.5 - b.sum()) / (s[:2].sum() - b[:2].sum())
        found.append(dose if 0 <= dose <= 1 else float("nan"))
    return found


def doses_by_halving(base, source):
    low, high = np.zeros(len(base)), np.ones(len(base))

    def answer(dose):
        z = base.copy()
        z[:, :2] += dose[:, None] * (source - base)[:, :2]
        return z.sum(axis=1) > 1.5

    before, after = answer(low), answer(high)
    for _ in range(50):
        middle = (low + high) / 2
        flipped = answer(middle) != before
        low, high = np.where(flipped, low, middle), np.where(flipped, middle, high)
    return np.where(before != after, high, np.nan)


def doses_filled(base, source):
    found = np.full(len(base), np.nan)
    end = np.concatenate([source[:, :2], base[:, 2:]], axis=1)
    rows = np.flatnonzero((base.sum(axis=1) > 1.5) ^ (end.sum(axis=1) > 1.5))
    found[rows] = (1.5 - base[rows].sum(axis=1)) / (end[rows].sum(axis=1) - base[rows].sum(axis=1))
    return found


def doses_in_place(base, source):
    source[:, 2] = base[:, 2]
    return doses_filled(base, source)


def doses_by_steps(base, source):
    steps, start, end = np.linspace(0, 1, 41), base[:, 0] + base[:, 1], source[:, 0] + source[:, 1]
    answers = start[:, None] + steps * (end - start)[:, None] + base[:, [2]] > 1.5
    changed = answers != answers[:, :1]
    return np.where(changed.any(axis=1), steps[changed.argmax(axis=1)], np.nan)


def doses_of_S_alone(base, source):
    start, end = base[:, 0] + base[:, 1], source[:, 0] + source[:, 1]
    with np.errstate(all="ignore"):
        return np.where((start > 1.5) != (end > 1.5), (1.5 - base[:, 2] - start) / (end - start), np.nan)


RIGHT = {
    "check_tell_apart": [differ(), differ_row_by_row, differ_by_sides, differ_by_xor],
    "check_share_apart": [share(), share_by_loops, share_of_everything, share_by_agreement],
    "check_flip_dose": [doses(), doses_row_by_row, doses_by_halving, doses_filled],
}
WRONG = {
    "check_tell_apart": [
        (lambda b, s: abs((s[:, 0] + s[:, 1] + b[:, 2]) - (s[:, 1] + s[:, 2] + b[:, 0])) > 0.5, "on which side of 1.5"),
        (lambda b, s: s[:, 0] + s[:, 1] + b[:, 2] > 1.5 != s[:, 1] + s[:, 2] + b[:, 0] > 1.5, "Python chains"),
        (differ(compare=lambda x, y: x == y), "pairs on which the models agree"),
        (differ(compare=lambda x, y: x | y), r"exactly one is 1: use != in place of \|"),
        (differ(compare=lambda x, y: x & y), "exactly one is 1: use != in place of &"),
        (differ(compare=lambda x, y: x), "first model's answer alone"),
        (differ(compare=lambda x, y: y), "second model's answer alone"),
        (differ(compare=lambda x, y: x & ~y), "counts one of them only"),
        (differ(compare=lambda x, y: (x != y).mean()), "return True or False for each pair"),
        (differ(compare=lambda x, y: (x != y).sum()), "a number of pairs"),
        (differ(lambda b, s: b.sum(axis=1)), "nothing is interchanged"),
        (differ(second=lambda b, s: s.sum(axis=1)), "stays the base's"),
        (differ(lambda b, s: s[:, 0] + b[:, 1] + b[:, 2]), "the color among them"),
        (differ(lambda b, s: b[:, 0] + b[:, 1] + s[:, 2]), "the other way round"),
        (differ(second=lambda b, s: s[:, 0] + s[:, 2] + b[:, 1]), "not circularity \\+ area"),
        (differ(limit=0.6), "compared with 0.6"), (differ(limit=1.0), r"0.6 / 0.4 = 1.5"),
        (lambda b, s: differ()(b, s)[:, None], "one axis too many"),
        (lambda b, s: (b.sum(axis=1) > 1.5) != (s[:, :2].sum(axis=1) + b[:, 2] > 1.5),
         "one of the two models nothing is interchanged"),
        (lambda b, s: ["yes"] * len(b), "This is text"), (differ_in_place, "changes its argument `base` in place"),
        (lambda b, s: np.zeros(len(b)), "the same for every pair"),
        (lambda b, s: b[0] + s[1], "shape"),
        (differ(lambda b, s: s[:, 0] + s[:, 1], lambda b, s: s[:, 1] + s[:, 2]), "The third variable is left out"),
        (lambda b, s: np.abs(s[:, 0] + b[:, 2] - s[:, 2] - b[:, 0]) > 1.5, "The sums are subtracted"),
        (lambda b, s: differ()(b, s) & (s.sum(1) > 1.5), "With base .* and source|depend"),
        (differ(lambda b, s: s[:, :2].mean(1) + b[:, 2], lambda b, s: s[:, 1:].mean(1) + b[:, 0]),
        "The mean of two variables"),
    ],
    "check_share_apart": [
        (lambda c, k, a: share()(c, k, np.array([[a[0] @ a[1]], [1.0]])), "The mean area stands in place"),
        (share(lambda p: p * (1 - p)), r"2 p \(1 - p\)"), (share(lambda p: p**2 + (1 - p)**2), "the two agree"),
        (share(lambda p: p), "how often a sum is above"), (share(lambda p: 1 - p), "how often a sum is below"),
        (lambda c, k, a: share()(c, k, c), "circularity stands in two places"),
        (lambda c, k, a: share()(a, k, a), "area stands in two places"),
        (lambda c, k, a: share()(k, c, a), "The color is what both models take"),
        (share(lambda p: p**2), "both sums are above"), (share(lambda p: 1 - (1 - p)**2), "one sum at least"),
        (share(mean=lambda x, w: x.mean()), "counts by its probability"),
        (share(chance=lambda above, c, a: above.mean()), "counts by its probability"),
        (share(mean=lambda x, w: x.sum()), "without the probabilities of the colors"),
        (share(mean=lambda x, w: x * 1.0), "a share for each color"),
        (share(mean=lambda x, w: 100 * (x @ w)), "percentage"), (share(limit=0.6), "compared with 0.6"),
        (share_of_mean, "work out 2 p"), (lambda c, k, a: 0.3896, "whatever the arguments"),
        (lambda c, k, a: (share()(c, k, a), 5), "This is a tuple|One number|shape"),
        (share(lambda p: np.sqrt(p * (1 - p))), "A square root is taken"),
        (share(lambda p: np.minimum(p, 1 - p)), "the lesser of p"),
        (share(limit=1.0), "The limit of the sum is 0.6 / 0.4"),
        (share(limit=1.2), "With the sums 0.4 and 1.4, both below 1.5"),
        (share(lambda p: -p * np.log(p + 1e-9)), "With the sums 0.6 and 1.6"),
        (share(lambda p: 2 * p * (1 - p) + 0.01), "Close to the share, and not it"),
    ],
    "check_flip_dose": [
        (doses_of_S_alone, "asked of S alone"),
        (doses_by_steps, "Close, and not exact"),
        (doses(mask=lambda d, x, y: d), "nothing flips"),
        (doses(mask=lambda d, x, y: d.clip(0, 1)), r"cut to \[0, 1\]"),
        (doses(mask=lambda d, x, y: np.where(x != y, d, 0)), "nan, not 0"),
        (doses(mask=lambda d, x, y: np.where(x != y, d, 1)), "nan, not 1"),
        (doses(mask=lambda d, x, y: np.where(y & ~x, d, np.nan)), "from 1 to 0 count"),
        (doses(mask=lambda d, x, y: d[x != y]), "left out"),
        (doses(mask=lambda d, x, y: x != y), "tells whether the answer flips"),
        (doses(lambda x, y, rest: 1.5 - rest), "value of S at the flip"),
        (doses(lambda x, y, rest: 1 - (1.5 - rest - x) / (y - x)), "run the other way"),
        (doses(lambda x, y, rest: 1.5 - rest - x), "distance in S"),
        (doses(lambda x, y, rest: (1.5 - rest - x) / y), "divides by the source's S"),
        (doses(lambda x, y, rest: (1.5 - rest) / (y - x)), "take it off first"),
        (doses(lambda x, y, rest: (1.5 - rest - x) / abs(y - x)), "sign of the way"),
        (doses(lambda x, y, rest: (1.5 - x) / (y - x)), "area is left out"),
        (doses(sums=lambda b, s: (b[:, 0] + b[:, 1], s[:, 0] + s[:, 1], s[:, 2])), "The area stays the base's"),
        (doses(sums=lambda b, s: (b[:, 0], s[:, 0], b[:, 2])), "another sum"),
        (doses_in_place, "changes its argument `source` in place"),
        (lambda b, s: doses()(b, s)[:, None], "one axis too many"),
        (doses(lambda x, y, rest: (1.5 - rest) / (x + y)), "Your dose is .1.5 - 1 area. / .end . start"),
        (doses(lambda x, y, rest: (1.5 - rest - x) / (x + y)), "The two values of S are added below the line"),
        (doses(lambda x, y, rest: np.ceil((1.5 - rest - x) / (y - x) * 100) / 100), "looked for step by step"),
        (doses(sums=lambda b, s: (b[:, 1] + b[:, 2], s[:, 1] + s[:, 2], b[:, 0])), "what slides here is another sum"),
        (doses(mask=lambda d, x, y: np.where(y, d, np.nan)), "Whether the answer flips is a question of both ends"),
        (doses(lambda x, y, rest: (1.5 - x) / (y - x) - rest), "At your dose .*, S slides from"),
    ],
}

globals().update(define_tests(CHECKS, "8", RIGHT, WRONG))
