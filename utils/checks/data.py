"""Checks of the exercises in notebooks 0 and 1: each tries a learner's function and names the likely mistake."""
from collections.abc import Callable
from typing import Any

import numpy as np

from utils.checks.helpers import require
from utils.checks.parts.answers import (ANSWERS, HINTS, MIX, WRONG_GROUPS, WRONG_OWNERS, WRONG_VALUES, answer, mixed,
                                        say_answers, say_dependence)
from utils.checks.parts.shares import FLIPS, SHARE, WRONG_FLIPS, WRONG_SHARES, flips, say_share, share
from utils.checks.parts.training import require_steps
from utils.checks.tools.contents import say_rule
from utils.checks.tools.draws import require_uniform_draws
from utils.checks.tools.running import Learner
from utils.checks.tools.variants import Wrong, as_numbers, examine

# On the threshold in float32 and float64, in whatever order the products are added.
_BOUNDARY = np.array([[0.0, 0.7 - 2**-52, 0.8], [0.25, 0.45, 0.8 - 2**-52]])


def check_causal_answers(f: Callable) -> str:
    """Exercise 0.1: ``f(labels (n, 3))`` gives the causal model's answers (n,), floats."""
    rng = np.random.default_rng(0)
    cases = [(rng.uniform(size=(n, 3)),) for n in (200, 3, 1, 1500)]
    for z, in cases[:2]:
        z[[0, -1]] += 0.45 * (1 - z[[0, -1]])  # answer 1, so that a first or last row left at 0 shows
    sizes = [f"{len(z)} labels" for z, in cases]

    def build(answer: Callable) -> Callable:
        return answer

    wrong, example, hints = ANSWERS, "causal_answers(labels)", {
        "not aligned|matmul|mismatch": "labels @ np.array([0.4, 0.4, 0.4]) multiplies (n, 3) and (3,), in this order."}
    right = {"answer": answer}

    def also(gots: list[np.ndarray]) -> None:
        say_dependence(Learner(f, example), cases[0][0], np.empty((0, 200, 3)), [], lambda b, s, g: (b,))
        say_rule(Learner(f, example), lambda z: (z,))
        say_answers(gots, [answer(z).astype(float) for z, in cases])

    examine(f, example, cases, sizes, build, right, wrong, hints=hints,
            also=also)
    examine(f, example, [(_BOUNDARY,), (np.concatenate([cases[1][0], _BOUNDARY[:1]]),)], ["2 labels on the threshold",
            "4 labels, one on the threshold"], build, right, [
        Wrong("answer", "On the threshold itself the answer is 0: use > in place of >=.",
              lambda z: 0.4 * z.sum(axis=1) > 0.6 - 1e-12),
        Wrong("answer", "On the threshold itself the answer is 0, not 0.5.",
              lambda z: np.where(np.isclose(0.4 * z.sum(axis=1), 0.6, atol=1e-12), 0.5, answer(z))), *wrong],
            hints=hints)
    kind = np.asarray(Learner(f, example)(cases[0][0])).dtype.kind
    require(kind != "c", "These are complex numbers: floats 0.0 and 1.0 are asked, .astype(float).")
    require(kind != "b", "The answers are right, but they are truth values: floats 0.0 and 1.0 are asked, "
                         ".astype(float).")
    require(kind == "f", "The answers are right, but they are whole numbers: floats 0.0 and 1.0 are asked, "
                         ".astype(float).")
    return "Passed: 1,706 labels, two of them right on the threshold, get the causal model's answers."


def check_share_correct(f: Callable) -> str:
    """Exercise 0.2: ``f(probabilities (n,), answers (n,))`` gives the share of right answers, a float."""
    rng = np.random.default_rng(1)
    cases = []
    for n, ones in ((37, 0.4), (8, 0.3), (60, 0.8), (5, 0.5), (1, 1.0)):
        y = (rng.random(n) < ones).astype(float)
        cases.append((np.clip(0.3 * y + rng.uniform(0.02, 0.68, n), 0, 1).round(3), y))
    cases.append((1 - cases[2][0], cases[2][1]))  # mostly wrong
    cases[0][0][:9] = *[0.5] * 6, 0.498, 0.501, 0.492
    sizes = [f"{len(p)} probabilities" for p, _ in cases]

    examine(f, "share_correct(probabilities, answers)", cases, sizes, share, SHARE, WRONG_SHARES,
            also=lambda gots: say_share(Learner(f, "share_correct(probabilities, answers)"), gots))
    return "Passed: the share is right for six sets of probabilities, some of them exactly one half."


def check_train_step(f: Callable) -> str:
    """Exercise 0.3: ``f(model, optimizer, X (n, 1, 28, 28), y (n,))`` takes one step; returns the loss, a float."""
    require_steps(f)
    return "Passed: the steps change the weights as they should, and the loss comes back as a number."


def check_counterfactual_answers(f: Callable) -> str:
    """Exercise 1.1: ``f(z_base (n, 3), z_source (n, 3), variables)`` gives the counterfactual answers (n,)."""
    rng = np.random.default_rng(0)
    cases = [(*rng.uniform(size=(2, n, 3)), v) for n, v in ((200, [1]), (150, [2, 0]), (90, [0, 1]), (3, [2]), (60, [0,
        1, 2]))]
    example = "counterfactual_answers(z_base, z_source, variables)"

    def build(**parts: Any) -> Callable:
        f = mixed(**parts)
        return lambda base, source, variables: f(base, source[None], [variables])

    def also(gots: list[np.ndarray]) -> None:
        learner = Learner(f, example)
        for base, source, variables in cases[:3]:
            say_dependence(learner, base, source[None], [variables], lambda b, s, g: (b, s[0], list(g[0])))
        say_rule(learner, lambda z: (z, z, [0, 2]))
        say_answers(gots, [build(**MIX)(*case).astype(float) for case in cases])

    examine(f, example, cases, [f"{len(b)} pairs and variables {v}" for b, _, v in cases], build, MIX, [
        *WRONG_GROUPS, *WRONG_VALUES, *(w for w in ANSWERS if "column" not in w.sentence)], hints=HINTS, also=also,
            most=1)
    return "Passed: five sets of pairs get the right counterfactual answers, for one to three variables."


def check_draw_pairs(f: Callable) -> str:
    """Exercise 1.2: ``f(n, num_images, rng)`` draws base and source, integer indices (n,) each."""
    require_uniform_draws(f, "draw_base_and_source(n, num_images, rng)", pairs=True)
    return "Passed: the draws of base and source are uniform, independent, and follow the generator."


def check_multi_source_answers(f: Callable) -> str:
    """Exercise 1.3: ``f(z_base (n, 3), z_sources (k, n, 3), groups)`` gives the counterfactual answers (n,)."""
    rng = np.random.default_rng(0)
    cases = [(rng.uniform(size=(n, 3)), rng.uniform(size=(len(g), n, 3)), g) for n, g in (
        (200, [[1], [2, 0]]), (150, [[0], [2], [1]]), (120, [[2, 1], [0]]), (90, [[1], [2]]), (40, [[0, 2]]), (3, [[1],
            [0]]))]
    example = "multi_source_answers(z_base, z_sources, groups)"

    def build(**parts: Any) -> Callable:
        return mixed(**parts)

    def also(gots: list[np.ndarray]) -> None:
        learner = Learner(f, example)
        for base, sources, groups in cases[:4]:
            say_dependence(learner, base, sources, groups, lambda b, s, g: (b, s, [list(x) for x in g]))
        say_rule(learner, lambda z: (z, np.stack([z, z]), [[1], [0]]))
        say_answers(gots, [build(**MIX)(*case).astype(float) for case in cases])

    examine(f, example, cases, [f"{len(b)} bases and groups {g}" for b, _, g in cases], build, MIX, [
        *WRONG_OWNERS, *WRONG_VALUES, *(w for w in ANSWERS if "column" not in w.sentence)], hints=HINTS, also=also,
            most=1)
    return "Passed: six sets of tuples get the right counterfactual answers, for one to three sources."


def check_flip_iia(f: Callable) -> str:
    """Exercise 1.4: ``f(answers, y_base, y_counterfactual)``, (n,) each, gives the accuracy over pairs that flip."""
    rng, cases = np.random.default_rng(0), []
    for n, flip, good, ones in ((41, 0.4, 0.7, 0.4), (16, 0.6, 0.3, 0.6), (90, 0.2, 0.8, 0.7), (23, 0.7, 0.55, 0.35)):
        y_base = (rng.random(n) < ones).astype(float)
        y = np.where(rng.random(n) < flip, 1 - y_base, y_base)
        hit = rng.random(n) < np.where(y != y_base, good, 1 - good / 3) - 0.15 * y
        cases.append((np.where(hit, y, 1 - y), y_base, y))
    def also(gots: list[np.ndarray]) -> None:
        if any(got.ndim for got in gots):
            return
        a, y_base, y = cases[0]
        learner, flip = Learner(f, "flip_iia(answers, y_base, y_counterfactual)"), y != y_base
        for which, right in ((~flip, 0.0), (flip & (a == y), -1 / flip.sum()), (flip & (a != y), 1 / flip.sum())):
            other = np.where(np.arange(len(a)) == np.nonzero(which)[0][-1], 1 - a, a)
            change = float(as_numbers(learner(other, y_base, y))) - float(gots[0])
            kind = "one that stays" if not right else "one that flips, from right to wrong" if right < 0 else (
                "one that flips, from wrong to right")
            require(abs(change - right) < 1e-6, f"When the answer to one pair changes ({kind}), the share should "
                                                f"change by {right:.3g}, and yours changes by {change:.3g}: right "
                                                "answers among flips / number of flips.")

    examine(f, "flip_iia(answers, y_base, y_counterfactual)", cases, [
        f"{len(y)} pairs, of which {int((y != b).sum())} flip" for _, b, y in cases], flips, FLIPS, WRONG_FLIPS,
        also=also, most=1, hints={
        "used as indices": "Select with truth values: right[y_counterfactual != y_base]."})
    return "Passed: flip-IIA is right for four sets of pairs, of which a fifth to two thirds flip."
