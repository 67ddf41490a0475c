"""The checks of notebook 4 pass right answers in several styles and name each known mistake."""
import numpy as np
import pytest
import torch

from exercise_checks import checks_of, define_tests

from utils.checks import multi

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(multi)


def blocks_of(start, end=None, count=lambda d, k: k):
    end = end or (lambda i, d, k: start(i, d, k) + d)
    return lambda d, k: [list(range(start(i, d, k), end(i, d, k))) for i in range(count(d, k))]


def aligned(i, d, k):
    return i * d


right_partition = blocks_of(aligned)


def tuples(n, m, k, rng):
    return rng.integers(m, size=n), rng.integers(m, size=(k, n))


def draw(sources=lambda b, n, m, k, rng: rng.integers(m, size=(k, n)), base=lambda n, m, k,
         rng: rng.integers(m, size=n)):
    def f(n, m, k, rng):
        b = base(n, m, k, rng)
        return b, sources(b, n, m, k, rng)
    return f


def never_base(b, n, m, k, rng):
    s = rng.integers(m, size=(k, n))
    while (s == b).any():
        s = np.where(s == b, rng.integers(m, size=(k, n)), s)
    return s


def distinct_sources(b, n, m, k, rng):
    return np.stack([rng.permutation(m)[:k] if k <= m else rng.integers(m, size=k) for _ in range(n)], 1)


def swap(pick=lambda s, i: s[i], block=lambda bl, i: bl[i], change=lambda h, b: h - b, start=lambda b: b.clone(),
         proj=lambda c, q: c @ q @ q.T):
    def f(b, s, Q, bl):
        h = start(b)
        for i in range(len(bl)):
            h = h + proj(change(pick(s, i), b), Q[:, block(bl, i)])
        return h
    return f


def corr(x, z):
    k = x.shape[1]
    return np.corrcoef(x.T, z.T)[:k, k:]


def ranks(x):
    return np.argsort(np.argsort(x, axis=0), axis=0).astype(float)


def by_coordinates(b, s, Q, bl):
    c = b @ Q
    new = c.clone()
    for x, block in zip(s, bl):
        new[:, block] = (x @ Q)[:, block]
    return b + (new - c) @ Q.T


def one_by_one(b, s, Q, bl):
    h = b.clone()
    for x, block in zip(s, bl):
        for j in block:
            q = Q[:, j]
            h = h + torch.outer((x - h) @ q, q)
    return h


def swap_all_directions(b, s, Q, bl):
    return b + sum((h - b) @ Q @ Q.T for h in s)


def swap_in_place(b, s, Q, bl):
    for h, block in zip(s, bl):
        b += (h - b) @ Q[:, block] @ Q[:, block].T
    return b


def swap_sources_in_place(b, s, Q, bl):
    s -= b
    return b + sum(h @ Q[:, block] @ Q[:, block].T for h, block in zip(s, bl))


def swap_grad_off(b, s, Q, bl):
    torch.set_grad_enabled(False)
    return swap()(b, s, Q, bl)


def swap_equal_blocks(b, s, Q, bl):
    w = len(bl[0])
    return swap(block=lambda _, i: range(i * w, (i + 1) * w))(b, s, Q, bl)


def swap_neurons(b, s, Q, bl):
    h = b.clone()
    for x, block in zip(s, bl):
        h[:, block] = x[:, block]
    return h


def swap_only_in_basis(b, s, Q, bl):
    c = b @ Q
    for x, block in zip(s, bl):
        c[:, block] = (x @ Q)[:, block]
    return c @ Q.T


def swap_rows(b, s, Q, bl):
    h = b.clone()
    for x, block in zip(s, bl):
        q = Q[block].T
        h = h + (x - b) @ q @ q.T
    return h


def swap_leftover_last(b, s, Q, bl):
    used = sum(bl, [])
    rest = [i for i in range(Q.shape[1]) if i not in used]
    return swap()(b, s, Q, [*bl[:-1], bl[-1] + rest])


def swap_coords(b, s, Q, bl):
    return swap_only_in_basis(b, s, Q, bl) @ Q


def std_all(x, z):
    a = (x - x.mean()) / x.std()
    b = (z - z.mean()) / z.std()
    return abs(a.T @ b / len(x))


def corr_in_place(x, z):
    x -= x.mean(0)
    return abs(corr(x, z))


def cov_ddof(x, z):
    k = x.shape[1]
    return abs(np.cov(x.T, z.T)[:k, k:] / x.std(0)[:, None] / z.std(0))


def cosine(x, z):
    return abs(x.T @ z) / np.linalg.norm(x, axis=0)[:, None] / np.linalg.norm(z, axis=0)


def slopes(x, z):
    return abs(np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), z, rcond=None)[0][:-1])


def corr_loop3(x, z):
    return np.array([[abs(np.corrcoef(x[:, i], z[:, j])[0, 1]) for j in range(3)] for i in range(3)])


def corr_missing_abs_last(x, z):
    r = corr(x, z)
    r[:, :2] = abs(r[:, :2])
    return r


def swap_by_complement(b, s, Q, bl):
    used = Q[:, sum(bl, [])]
    return b @ (torch.eye(len(Q)) - used @ used.T) + sum(x @ Q[:, block] @ Q[:, block].T for x, block in zip(s, bl))


RIGHT = {
    "check_partition": [
        right_partition,
        lambda d, k: np.arange(d * k).reshape(k, d),
        lambda d, k: torch.arange(d * k).split(d),
        lambda d, k: [range(i * d, i * d + d) for i in range(k)],
        lambda d, k: tuple(tuple(b) for b in right_partition(d, k)),
        lambda d, k: np.array_split(range(d * k), k),
        lambda d, k: np.split(np.arange(d * k), k),
        lambda d, k: [[d * i + j for j in range(d)] for i in range(k)],
        lambda d, k: torch.arange(d * k).view(k, d).tolist(),
    ],
    "check_draw_tuples": [
        tuples,
        lambda n, m, k, rng: (lambda a: (a[0], a[1:]))(rng.integers(m, size=(k + 1, n))),
        lambda n, m, k, rng: [rng.choice(m, n), np.stack([rng.choice(m, n) for _ in range(k)])],
        lambda n, m, k, rng: ((rng.random(n) * m).astype(int), torch.from_numpy(rng.integers(m, size=(k, n)))),
        lambda n, m, k, rng: (rng.integers(m, size=n), rng.integers(m, size=(n, k)).T),
        lambda n, m, k, rng: (np.array([rng.integers(m) for _ in range(n)]),
                              np.array([[rng.integers(0, m) for _ in range(n)] for _ in range(k)])),
        lambda n, m, k, rng: tuples(n, m, k, np.random.default_rng(rng.integers(2**32))),
        lambda n, m, k, rng: (rng.choice(np.arange(m), n), rng.choice(np.arange(m), (k, n))),
        lambda n, m, k, rng: (lambda a: (a[:, 0], a[:, 1:].T))(rng.integers(0, m - 1, size=(n, k + 1), endpoint=True)),
        lambda n, m, k, rng: (np.floor(rng.uniform(0, m, n)).astype(np.int32),
                              [rng.integers(m, size=n) for _ in range(k)]),
        lambda n, m, k, rng: tuple(g.integers(m, size=s) for g, s in zip(rng.spawn(2), (n, (k, n)))),
    ],
    "check_multi_swap": [
        swap(),
        by_coordinates,
        one_by_one,
        lambda b, s, Q, bl: torch.no_grad()(swap())(b, s, Q, bl),
        lambda *a: swap()(*a).numpy(),
        lambda b, s, Q, bl: b + torch.einsum("knd,dm,em,km->ne", s - b, Q, Q,
                                             torch.stack([torch.zeros(Q.shape[1]).index_fill(0, torch.tensor(x),
                                                                                             1.0) for x in bl])),
        lambda b, s, Q, bl: b + torch.stack([(s[i] - b) @ Q[:, x] @ Q[:, x].T for i, x in enumerate(bl)]).sum(0),
        lambda b, s, Q, bl: torch.from_numpy(swap(start=lambda b: b.copy())(*(t.numpy() for t in (b, s, Q)), bl)),
        swap_by_complement,
    ],
    "check_correlations": [
        lambda x, z: abs(corr(x, z)),
        lambda x, z: torch.tensor(corr(x, z)).abs(),
        lambda x, z: [[abs(np.corrcoef(a, b)[0, 1]) for b in z.T] for a in x.T],
        lambda x, z: abs(((x - x.mean(0)) / x.std(0)).T @ ((z - z.mean(0)) / z.std(0))) / len(x),
        lambda x, z: np.sqrt(corr(x, z) ** 2),
        lambda x, z: abs(np.cov(x.T, z.T)[:x.shape[1], x.shape[1]:]) / x.std(0, ddof=1)[:, None] / z.std(0, ddof=1),
        lambda x, z: abs(np.corrcoef(np.hstack([x, z]), rowvar=False)[:-3, -3:]),
        lambda x, z: abs(np.corrcoef(np.hstack([z, x]).T)[3:, :3]),
    ],
}
WRONG = {
    "check_partition": [
        (blocks_of(lambda i, d, k: 2 * i, lambda i, d, k: 2 * i + 2),
         r"The size of a block is written out \(2\): it is"),
        (blocks_of(lambda i, d, k: i * d, count=lambda d, k: 3), r"The number of sources is written out \(3\): there"),
        (lambda d, k: [[0, 1], [2, 3], [4, 5]], "Your blocks are the same for all arguments:"),
        (blocks_of(lambda i, d, k: i * d + 1), r"The blocks start at 1: indices begin with 0\."),
        (blocks_of(lambda i, d, k: i), r"Block i starts at i \* directions\. Yours start"),
        (blocks_of(lambda i, d, k: i * k, lambda i, d, k: i * k + k, lambda d, k: d), "The number of blocks is 4: each "
         "of the 2"),
        (blocks_of(lambda i, d, k: i * k), "`directions` and `num_sources` are exchanged:"),
        (blocks_of(lambda i, d, k: 0, lambda i, d, k: (i + 1) * d), "Blocks overlap: no direction may belong to two"),
        (blocks_of(aligned, lambda i, d, k: (i + 1) * d + 1), r"Blocks overlap: block i ends before \(i \+ 1\) \*"),
        (blocks_of(aligned, lambda i, d, k: (i + 1) * d - 1), "The end of range is not part of it: block i"),
        (lambda d, k: [list(range(i, d * k, k)) for i in range(k)], r"The directions are dealt in turn, i, i \+"),
        (lambda d, k: right_partition(d, k)[::-1], "The blocks are in reverse order: source 0 has"),
        (lambda d, k: [b[::-1] for b in right_partition(d, k)], "Within a block, the directions are not in"),
        (lambda d, k: [list(range(d))] * k, "All sources have the same block: the last one"),
        (lambda d, k: [[i] * d for i in range(k)], "Each block repeats the number of its source:"),
        (lambda d, k: list(range(d * k)), "A list of blocks is wanted, each a list of"),
        (lambda d, k: [(i * d, (i + 1) * d - 1) for i in range(k)], "These are the first and the last index of each"),
    ],
    "check_draw_tuples": [
        (lambda n, m, k, rng: (rng.integers(m, size=n), np.stack([rng.integers(i * (m // k), (i + 1) * (m // k), size=n)
                                                                  for i in range(k)])), "uniform|A range is empty"),
        (draw(never_base), "Source 0 depends on base: they are never the"),
        (draw(distinct_sources), "Source 1 depends on source 0: they are never"),
        (draw(lambda b, n, m, k, rng: np.stack([rng.permutation(b) for _ in range(k)])), "Source 0 depends on base, "
         "the same image in 30%"),
        (draw(lambda b, n, m, k, rng: np.stack([np.roll(b, i + 1) for i in range(k)])), "Source 0 is made of base, in "
         "another order or"),
        (draw(base=lambda n, m, k, rng: np.arange(n) % m), r"Base never holds some images, as \[5, 6, 7\] of"),
        (draw(base=lambda n, m, k, rng: np.sort(rng.integers(m, size=n))), "Base is not drawn at each position: at "
         "position"),
        (draw(base=lambda n, m, k, rng: rng.permutation(m)[:n] if n <= m else rng.integers(m, size=n)),
         "Base never holds an image twice: that is"),
        (draw(lambda b, n, m, k, rng: np.stack([rng.choice(m, n, replace=n > m) for _ in range(k)])),
         "Source 0 never holds an image twice: that is"),
        (draw(lambda b, n, m, k, rng: np.round(rng.uniform(0, m - 1, size=(k, n))).astype(int)), "Source 0 is not "
         "uniform: of 8 images, 1 comes"),
        (draw(lambda b, n, m, k, rng: (m * rng.random((k, n)) ** 2).astype(int)), "Sources is not uniform with "
         "num_images = 1000:"),
        (draw(base=lambda n, m, k, rng: (m * rng.beta(2, 2, n)).astype(int)), "Base is not uniform with num_images = "
         "1000: the"),
        (draw(lambda b, n, m, k, rng: rng.integers(m - 1, size=(k, n))), r"Source 0 never holds some images, as \[7\] "
         r"of 8:"),
        (draw(lambda b, n, m, k, rng: rng.integers(1, m, size=(k, n))), r"Source 0 never holds some images, as \[0\] "
         r"of 8:"),
        (draw(lambda b, n, m, k, rng: rng.integers(m + 1, size=(k, n))), "Some indices are out of range, with n = 20,"),
        (draw(lambda b, n, m, k, rng: rng.integers(n, size=(k, n))), "Some indices are out of range, with n = 7,"),
        (draw(lambda b, n, m, k, rng: rng.integers(m, size=(3, n))), r"sources has shape \(3, 1\)"),
        (draw(lambda b, n, m, k, rng: rng.integers(30, size=(k, n))), "Some indices are out of range, with n = 1,"),
    ],
    "check_multi_swap": [
        (lambda b, s, Q, bl: b + sum((h - b) @ Q[:, x[0]:x[-1]] @ Q[:, x[0]:x[-1]].T for h, x in zip(s, bl)),
         "as a slice"),
        (swap(pick=lambda s, i: s[0]), r"With the blocks \[\[4, 1, 5\], \[0, 3\]\], block 1"),
        (swap(pick=lambda s, i: s[-1]), r"With the blocks \[\[4, 1, 5\], \[0, 3\]\], block 0"),
        (swap(start=torch.zeros_like), r"Only the change is returned: add it to h_base\."),
        (lambda b, s, Q, bl: b + sum((s[:, i].mean(0) - b) @ Q[:, x] @ Q[:, x].T for i, x in enumerate(bl)),
         "is image i of each source"),
        (swap_all_directions, "Each source sets all directions of Q here"),
        (swap_in_place, "Your function changes its argument `h_base` in"),
        (swap_sources_in_place, "Your function changes its argument `h_sources`"),
        (swap_grad_off, "Your function changes torch's gradient mode,"),
        (swap_equal_blocks, "Other columns of Q are taken for a block: take"),
        (swap_neurons, "The neurons themselves are swapped: take"),
        (swap_only_in_basis, r"With the blocks \[\[4, 1, 5\], \[0, 3\]\], what is"),
        (swap_rows, "RuntimeError"),
        (swap_leftover_last, r"With the blocks \[\[4, 1, 5\], \[0, 3\]\], what is in"),
        (swap_coords, "These are coordinates: bring them back to"),
        (lambda b, s, Q, bl: swap()(b, s, Q, bl)[0], r"This is the first row of the result alone\."),
        (lambda b, s, Q, bl: swap()(b, s, Q, bl).T, r"The table is transposed\."),
        (lambda b, s, Q, bl: [swap()(b, s[i:i + 1], Q, bl[i:i + 1]) for i in range(len(bl))], "Each source starts anew "
         "from h_base here:"),
        (lambda b, s, Q, bl: swap()(b, s, Q, bl[:2]), r"With the blocks \[\[2\], \[6, 0, 3\], \[1, 5\]\], block"),
        (lambda b, s, Q, bl: swap()(b, s, Q, bl).relu(), "A ReLU is taken of the result: leave it as it"),
    ],
    "check_correlations": [
        (lambda x, z: np.abs(np.linalg.lstsq((z - z.mean(0)) / z.std(0), (x - x.mean(0)) / x.std(0), rcond=None)[0].T),
         "when another label does"),
        *((lambda x, z, power=power: np.abs(np.corrcoef(x.T, z.T)[:x.shape[1], x.shape[1]:])**power, "to the power")
          for power in (3, 5, 1.5)),
        (lambda x, z: np.abs(np.corrcoef(x.T, z.T)[:x.shape[1], x.shape[1]:])[:, [0, 0, 0]], "Column 0 of the labels"),
        (corr, "The sign is still there: take the absolute"),
        (lambda x, z: abs(corr(x, z)).T, "The table is transposed: a row for each"),
        (lambda x, z: abs(np.corrcoef(x.T, z.T)[:3, 3:]), "The number of directions is written out: it is"),
        (lambda x, z: corr(x, z) ** 2, "The correlations are squared: take the absolute"),
        (lambda x, z: abs(np.corrcoef(x.T, z.T))[:x.shape[1], :x.shape[1]], "This is the correlation of the directions "
         "with"),
        (lambda x, z: abs(np.cov(x.T, z.T)[:x.shape[1], x.shape[1]:]),
         "These are covariances: divide by both standard"),
        (lambda x, z: abs(np.corrcoef(x, z)), "ValueError"),
        (lambda x, z: abs(corr(ranks(x), ranks(z))), "Ranks are correlated: take the values"),
        (std_all, "Mean and standard deviation are those of the"),
        (corr_in_place, "Your function changes its argument"),
        (cov_ddof, "Covariance and standard deviations divide by"),
        (cosine, "The means are not taken off: a correlation is"),
        (slopes, "These are weights of a regression: a"),
        (corr_loop3, "IndexError"),
        (corr_missing_abs_last, "The sign is still there: the absolute value is"),
        (lambda x, z: abs(corr(abs(x), z)), "The absolute value is taken before the"),
        (lambda x, z: -abs(corr(x, z)), r"The sign is wrong\."),
        *((lambda x, z, g=g: np.abs(np.corrcoef(g(x).T, z.T)[:x.shape[1], x.shape[1]:]),
         f"The coordinates {words} first")
          for words, g in (("pass a ReLU", lambda x: np.maximum(x, 0)), ("pass a tanh", np.tanh),
           ("are squared", np.square),
                           ("become truth values", lambda x: x > np.median(x, axis=0)), ("are rounded", np.round))),
        (lambda x, z: np.abs(np.corrcoef(np.diff(x.T), np.diff(z.T))[:x.shape[1], x.shape[1]:]),
        "Differences from row to row"),
        (lambda x, z: np.abs(np.corrcoef(x.T, z.T)[:x.shape[1], x.shape[1]:]) / len(x),
        "once too often by the number of rows"),
        (lambda x, z: np.sqrt(1 - np.corrcoef(x.T, z.T)[:x.shape[1], x.shape[1]:] ** 2), "square root of 1 - r.2"),
    ],
}

globals().update(define_tests(CHECKS, "4", RIGHT, WRONG))
