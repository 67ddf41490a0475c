"""The checks of notebook 6 pass right answers in several styles and name each known mistake."""
import contextlib
import tempfile
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from exercise_checks import checks_of, define_tests

from utils.checks import sweep

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(sweep)


def interval(center=np.mean, spread=lambda x: x.std(ddof=1), div=lambda k: k**0.5, z=1.96, order=lambda m, lo,
             h: (m, lo, h)):
    def f(x):
        m, w = center(x), z * spread(x) / div(len(x))
        return order(m, m - w, m + w)
    return f


def front(both=np.logical_and, strict=np.logical_or, post=lambda b: ~b.any(1)):
    def f(a, b):
        beats = both(a >= a[:, None], b >= b[:, None])
        if strict:
            beats = beats & strict(a > a[:, None], b > b[:, None])
        return post(beats)
    return f


def beside(path, parts, tmp=lambda p: p.with_suffix(".part"), move=os.replace, mode="w", each=lambda x: x):
    other = tmp(path)
    with open(other, mode) as f:
        for p in parts:
            f.write(each(p))
    move(other, path)


def front_loop(a, b):
    return [not any(x >= p and y >= q and (x > p or y > q) for x, y in zip(a, b)) for p, q in zip(a, b)]


def interval_by_statistics(x):
    import statistics
    m, w = statistics.mean(x), 1.96 * statistics.stdev(x) / len(x) ** 0.5
    return [m, m - w, m + w]


def front_by_sorting(a, b):
    keep = np.zeros(len(a), dtype=bool)
    for x in np.unique(a):
        best = b[a == x].max()
        if best > max(b[a > x], default=-np.inf):
            keep |= (a == x) & (b == best)
    return keep


def write_named(path, parts):
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as f:
        f.writelines(parts)
    Path(f.name).replace(path)


def write_folder_beside(path, parts):
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tmp = Path(folder) / "new"
        tmp.write_text("".join(parts))
        os.replace(tmp, path)


def write_careful(path, parts):
    tmp = path.parent / f".{path.name}.{os.getpid()}"
    try:
        with tmp.open("w") as f:
            for p in parts:
                f.write(p)
            f.flush()
            os.fsync(f.fileno())
        tmp.replace(path)
    except BaseException:
        tmp.unlink(missing_ok=True)
        raise


def write_chained(path, parts):
    try:
        text = "".join(parts)
    except Exception as error:
        raise RuntimeError("the parts broke off") from error
    beside(path, [text])


def write_forgive(path, parts):
    with contextlib.suppress(Exception):
        beside(path, parts)


def write_finally(path, parts):
    tmp = path.with_suffix(".part")
    try:
        with tmp.open("w") as f:
            for p in parts:
                f.write(p)
    finally:
        os.replace(tmp, path)


def write_unlink_then(path, parts):
    tmp = path.with_suffix(".part")
    with tmp.open("w") as f:
        for p in parts:
            f.write(p)
    path.unlink(missing_ok=True)
    tmp.rename(path)


def write_append_tmp(path, parts):
    beside(path, parts, mode="a")


def write_x_tmp(path, parts):
    beside(path, parts, mode="x")


def write_stop_at_empty(path, parts):
    text = ""
    while p := next(parts, ""):
        text += p
    beside(path, [text])


def write_twice(path, parts):
    assert sum(len(p) for p in parts)
    beside(path, parts)


def write_clean_folder(path, parts):
    beside(path, parts)
    for other in path.parent.iterdir():
        if other != path:
            other.unlink()


def write_chdir(path, parts):
    os.chdir(path.parent)
    beside(path, parts)


def write_other_error(path, parts):
    try:
        beside(path, parts)
    except Exception as error:
        raise ValueError(error.text) from error


def best_of_many(pick=lambda a, b: a.argmax(), report=lambda a, b, i: (a[i], b[i], b.mean())):
    return lambda a, b: report(a, b, pick(a, b))


def best_by_sorting(a, b):
    (best, again), *_ = sorted(zip(a.tolist(), b.tolist()), reverse=True)
    return [best, again, sum(b.tolist()) / len(b)]


def best_by_loop(a, b):
    best = 0
    for i in range(1, len(a)):
        if a[i] > a[best]:
            best = i
    return np.array([a[best], b[best], np.mean(b)])


def front_in_order(a, b):
    order = np.lexsort((-b, -a))
    s = b[order]
    return s > np.concatenate([[-np.inf], np.maximum.accumulate(s)[:-1]])


def front_beside(a, b):
    order, out = np.lexsort((-b, -a)), np.zeros(len(a), dtype=bool)
    for place, i in enumerate(order):
        out[i] = place == 0 or b[i] > b[order[place - 1]]
    return out


RIGHT = {
    "check_mean_interval": [
        interval(),
        interval(order=lambda m, lo, h: np.array([m, lo, h])),
        interval_by_statistics,
        lambda x: torch.stack([torch.as_tensor(x).mean() + s * 1.96 * torch.as_tensor(x).std() / len(x) ** 0.5
                               for s in (0, -1, 1)]).numpy(),
        interval(z=1.959964),
        lambda x: tuple(np.mean(x) + np.array([0, -1, 1]) * 1.96 * np.std(x, ddof=1) / np.sqrt(x.size)),
        lambda x: torch.tensor(interval()(x)),
    ],
    "check_pareto_front": [
        front(),
        front_loop,
        front_by_sorting,
        lambda a, b: torch.from_numpy(front()(a, b)),
        lambda a, b: ~((a > a[:, None]) & (b >= b[:, None]) | (a >= a[:, None]) & (b > b[:, None])).any(1),
        lambda a, b: np.array(front_loop(a, b)),
        lambda a, b: [bool(x) for x in front()(a, b)],
        lambda a, b: np.array([b[i] == b[a == a[i]].max() and (not (a > a[i]).any() or b[i] > b[a > a[i]].max())
                               for i in range(len(a))]),
    ],
    "check_best_of_many": [
        best_of_many(),
        best_by_sorting,
        best_by_loop,
        lambda a, b: torch.tensor([a.max(), b[a == a.max()][0], b.mean()]),
        lambda a, b: (a.max(), pd.Series(b, index=a)[a.max()], float(np.average(b))),
    ],
    "check_write_whole": [
        beside,
        write_named,
        write_folder_beside,
        write_careful,
        write_chained,
        lambda path, parts: beside(path, parts, move=os.rename),
        lambda path, parts: beside(path, ["".join(parts)], move=shutil.move),
        lambda path,
        parts: (lambda t: (t.write_text("".join(parts)), t.replace(path)))(path.with_name(path.name + "~")),
        lambda path, parts: beside(path, parts, tmp=lambda p: p.parent / f".{p.stem}.tmp"),
        write_careful,
    ],
}
WRONG = {
    "check_mean_interval": [
        (lambda x: (x.mean(), 1.96 * x.std(ddof=1) / np.sqrt(len(x)), len(x)), "Yours are less, or more"),
        (lambda x: (x.mean(), *np.percentile(np.random.default_rng(0).choice(x, size=(500, len(x))).mean(1),
                                             [2.5, 97.5])),
         "not equally far from the mean"),
        (interval(center=np.median), r"This is the median: take the mean\."),
        (interval(spread=lambda x: x.std()), "The standard deviation of a sample divides by k"),
        (interval(spread=lambda x: x.var(ddof=1)), "This is the variance: take its square root, the"),
        (interval(div=lambda k: k), "The spread is divided by k, not by its square"),
        (interval(div=lambda k: 1), "This is where single networks lie; their mean"),
        (interval(div=lambda k: (k - 1) ** 0.5), "Divided by the square root of k - 1: with"),
        (interval(z=1), "The half width is one standard error: 95% takes"),
        (interval(z=2), r"The half width is 1\.96 standard errors, not 2\."),
        (interval(z=1.645), r"1\.645 standard errors make a 90% interval: 95%"),
        (interval(z=2.576), r"2\.576 standard errors make a 99% interval: 95%"),
        (interval(z=0.95), r"0\.95 is the share inside: the interval takes"),
        (interval(z=3.92), r"The half width is doubled: 1\.96 standard errors"),
        (interval(div=lambda k: 20**0.5), "The number of networks is written out: it is"),
        (interval(order=lambda m, lo, h: (lo, m, h)), "Three numbers are wanted, mean, low and high,"),
        (interval(order=lambda m, lo, h: {"mean": m, "low": lo, "high": h}),
         "This is a dict: return the values alone,"),
        (interval(order=lambda m, lo, h: (m, (lo, h))), "Your function returned a tuple that holds more"),
        (interval(order=lambda m, lo, h: (m, max(lo, 0), min(h, 1))), r"The ends are cut to \[0, 1\]: let them show\."),
    ],
    "check_pareto_front": [
        (lambda a, b: np.array([b[i] == b[a == a[i]].max() for i in range(len(a))]), "a higher first score may beat"),
        (front_beside, "the one before it in the order of the first score"),
        (lambda a, b: np.any([(s := w * a + (1 - w) * b) >= s.max() - 1e-12
                              for w in np.linspace(0.001, 0.999, 999)], 0),
         "Only the hull is kept"),
        (front(strict=np.logical_and), "A point as good in one and better in the other"),
        (front(strict=None), "No point is left: to beat takes one strict"),
        (front(both=np.logical_or), "At least as good in one is not enough to beat:"),
        (front(post=lambda b: b.any(1)), "It is the other way round: these are the points"),
        (front(post=lambda b: ~b.any(0)), "Rows and columns are exchanged, or less counts"),
        (lambda a, b: front()(a, b)[np.lexsort((-b, -a))], "The points are sorted first"),
        (front_in_order, "The points are sorted first"),
        (lambda a, b: front()(-np.asarray(a), -np.asarray(b)), "Low values win|less counts as better"),
        (front(post=lambda b: ~b.all(1)), "All points are kept, or none: compare each with"),
        (front(post=lambda b: b.sum(1) < 2), "A point beaten by one other is out: yours bears"),
        (front(post=lambda b: np.where(~b.any(1))[0]), "These are the positions of the right ones:"),
        (front(post=lambda b: (~b.any(1)).astype(int).tolist()), "The points are the right ones, but of type"),
        (front(post=lambda b: ~b), "This is the table of all with all: ask for each"),
        (front(post=lambda b: (~b.any(1))[:, None]), "This has one axis too many: a table of one"),
        (front(post=lambda b: (~b.any(1)).sum()), "This counts the front: return True or False for"),
        (lambda a, b: front()(a, -b), r"Low values win here: more is better in both\. It"),
        (lambda a, b: a + b >= (a + b).max(), r"\(0\.857, 0\.571\) is dropped, but no other of the"),
        (lambda a, b: (a == a.max()) | (b == b.max()), "Only the best in one sense are kept: those"),
        (lambda a, b: (a >= a.mean()) & (b >= b.mean()), "Points that are good enough in both are kept:"),
        (lambda a, b: np.array([(a[i], b[i]) for i in np.where(front()(a, b))[0]]), "These are the points of the "
         "front: return True"),
    ],
    "check_best_of_many": [
        (lambda a, b: (a.max(), b.max(), b.mean()), "The network is chosen a second time, by the rest"),
        (best_of_many(lambda a, b: b.argmax()), "The network is chosen by the rest: it is the first pairs"),
        (best_of_many(lambda a, b: (a + b).argmax()), "The network is chosen by both scores"),
        (best_of_many(lambda a, b: a.argmin()), r"This is the worst network: more is better\."),
        (best_of_many(lambda a, b: 0), "This is the first network, not the best"),
        (best_of_many(lambda a, b: np.argsort(a)[-2]), "This is the second best network"),
        (best_of_many(report=lambda a, b, i: (a[i], a[i], b.mean())), "score on the first pairs again"),
        (best_of_many(report=lambda a, b, i: (a[i], a.mean(), b.mean())), "The second number is the mean of the first"),
        (best_of_many(report=lambda a, b, i: (a[i], b[i], a.mean())), "The mean is taken over the first pairs"),
        (best_of_many(report=lambda a, b, i: (a[i], b[i], np.delete(b, i).mean())), "The mean leaves the chosen"),
        (best_of_many(report=lambda a, b, i: (a[i], b[i], np.median(b))), r"This is the median: take the mean\."),
        (best_of_many(report=lambda a, b, i: (b[i], b[i], b.mean())), "The first number comes from the rest"),
        (best_of_many(report=lambda a, b, i: (a[i], b.mean(), b[i])), "Yours come in another order"),
        (best_of_many(report=lambda a, b, i: (a[i], b[i])), "Yours are less, or more"),
        (best_of_many(report=lambda a, b, i: (i, b[i], b.mean())), "Here a position stands among them"),
        (lambda a, b: (a.max(), b[a.argmin()], b.mean()), "The second number is another network's"),
        (lambda a, b: (a.max(), b[(a + b).argmax()], b.mean()), "The second number is another network's"),
        (lambda a, b: (a.max(), b[a.argmax()] - a.max(), b.mean()), "The second number is a difference from the first"),
        (lambda a, b: (b.max(), a[b.argmax()], a.mean()), "First and rest are exchanged"),
        (lambda a, b: (np.maximum(a, b).max(), b[a.argmax()], b.mean()), "The first number is another network's"),
        (lambda a, b: (a.max(), b[a.argmax()], b.sum() / 20), "number of networks is written out"),
        (lambda a, b: (a.max(), b[b >= b.mean()].mean(), b.mean()),
        "The second of the three numbers is not rest.first"),
    ],
    "check_write_whole": [
        (lambda path, parts: path.write_text("".join(parts)), "For a moment the file is empty: it is opened"),
        (write_forgive, "The parts broke off with an error"),
        (write_finally, "When the parts break off, the file is left"),
        (write_unlink_then, "For a moment there is no file at all: the old"),
        (write_append_tmp, "What an interrupted call left behind is in the"),
        (write_x_tmp, "After an interruption your function cannot"),
        (write_stop_at_empty, "Only the first part is written: write all, one"),
        (write_twice, "The file is empty: can the parts be walked"),
        (write_clean_folder, "Another file of the folder was changed or"),
        (write_chdir, "Your function changes the working directory,"),
        (write_other_error, "AttributeError"),
        (lambda path, parts: beside(path, parts, each=lambda p: p + "\n"), "Line breaks come between or behind the "
         "parts:"),
        (lambda path, parts: beside(path, parts, each=str.strip), "Spaces or line breaks are lost or added: write"),
        (lambda path, parts: beside(path, [" ".join(parts)]), "Something is put between the parts: write them"),
        (lambda path, parts: beside(path, [str(list(parts))]), "This is a list in print: write the parts"),
        (lambda path, parts: beside(path, list(parts)[-1:]), "Only the last part is written: open the file"),
        (lambda path, parts: beside(path, list(parts)[::-1]), r"The parts are in reverse order\. It was called"),
    ],
}

globals().update(define_tests(CHECKS, "6", RIGHT, WRONG))
