"""The checks of notebook 7 pass right answers in several styles and name each known mistake."""
import copy

import numpy as np
import pytest
import torch

from exercise_checks import checks_of, define_tests

from utils.checks import own

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(own)


def parts(values):
    return values[:, 0], values[:, 1], values[:, 2]


def switched(on, off):
    """Answers by where the switch is on and where it is off."""
    def answers(values):
        a, b, s = parts(values)
        return np.where(s, on(a, b), off(a, b))

    return answers


def agree(a, b):
    return a == b


def either(a, b):
    return a | b


def row_by_row(values):
    return [int(a == b) if s else int(a or b) for a, b, s in values]


def by_table(values):
    return np.array([0, 1, 1, 1, 1, 0, 0, 1])[np.asarray(values, dtype=int) @ [1, 2, 4]]


def by_torch(values):
    a, b, s = values.bool().unbind(dim=1)
    return torch.where(s, a == b, a | b)


def by_words(values):
    a, b, s = parts(values)
    return (s and a == b) or (not s and (a or b))


def by_unpacking(values):
    a, b, s = values
    return np.where(s, a == b, a | b)


def by_rows(values):
    a, b, s = values[0], values[1], values[2]
    return np.where(s, a == b, a | b)


def in_place(values):
    values[:, 0] = np.where(values[:, 2], values[:, 0] == values[:, 1], values[:, 0] | values[:, 1])
    return values[:, 0]


def first_row_only(values):
    a, b, s = values[0]
    return a == b if s else a | b


def reaching(curve, goal):
    return [d for d in curve if curve[d] >= goal]


def choose(key, able=reaching, otherwise="nowhere", pick=max):
    """Of the layers that reach the goal the one with the greatest key."""
    def f(curves, goal):
        layers = [layer for layer in curves if able(curves[layer], goal)]
        return pick(layers, key=lambda layer: key(curves[layer], goal)) if layers else otherwise

    return f


def fewest(curve, goal):
    return -min(reaching(curve, goal)), curve[min(reaching(curve, goal))]


def choose_by_sorting(curves, goal):
    found = sorted((d, -iia, layer) for layer, curve in curves.items() for d, iia in curve.items() if iia >= goal)
    return found[0][2] if found else "nowhere"


def choose_by_loop(curves, goal):
    best, least, highest = "nowhere", float("inf"), 0.0
    for layer, curve in curves.items():
        for d in sorted(curve):
            if curve[d] >= goal:
                if (d, -curve[d]) < (least, -highest):
                    best, least, highest = layer, d, curve[d]
                break
    return best


def choose_by_numpy(curves, goal):
    table = [(d, -iia, i) for i, curve in enumerate(curves.values()) for d, iia in curve.items()]
    d, iia, i = np.array(table).T
    keep = -iia >= goal
    return list(curves)[int(i[keep][np.lexsort((iia[keep], d[keep]))[0]])] if keep.any() else "nowhere"


def choose_unguarded(curves, goal):
    return min((min(d for d in curve if curve[d] >= goal), layer) for layer, curve in curves.items()
               if max(curve.values()) >= goal)[1]


def choose_and_empty(curves, goal):
    answer = choose_by_sorting(curves, goal)
    curves.clear()
    return answer


def choose_by_position(curves, goal):
    return max(curves, key=lambda layer: curves[layer][0])


def choose_from_all(key):
    return lambda curves, goal: max(curves, key=lambda layer: key(curves[layer]))


def changed(settings, name, value):
    return {**settings, name: value}


def mends(keep=lambda iia, behavior, goal: iia >= goal and behavior >= goal, result=list, build=changed, **also):
    """Tries each change alone, and keeps the names of those whose figures pass."""
    def f(train, settings, changes, goal):
        return result([name for name, value in changes.items()
                       if keep(*train(**build(settings, name, value)), goal)])

    return f


def mends_by_loop(train, settings, changes, goal):
    found = []
    for name in reversed(changes):
        trial = copy.copy(settings)
        trial[name] = changes[name]
        iia, behavior = train(**trial)
        if not (iia < goal or behavior < goal):
            found.append(name)
    return found


def mends_by_array(train, settings, changes, goal):
    train(**settings)
    figures = np.array([train(**(settings | {name: changes[name]})) for name in changes])
    return set(np.array(list(changes))[(figures >= goal).all(axis=1)].tolist())


def mends_and_restores(train, settings, changes, goal):
    for name in list(changes):
        old, settings[name] = settings[name], changes[name]
        if min(train(**settings)) >= goal:
            yield name
        settings[name] = old


def accumulated(train, settings, changes, goal):
    found, trial = [], dict(settings)
    for name, value in changes.items():
        trial[name] = value
        if min(train(**trial)) >= goal:
            found.append(name)
    return found


def in_settings(train, settings, changes, goal):
    name = next(iter(changes))
    found = mends()(train, settings, changes, goal)
    settings[name] = changes[name]
    return found


def all_at_once(train, settings, changes, goal):
    return list(changes) if min(train(**{**settings, **changes})) >= goal else []


def first_only(train, settings, changes, goal):
    for name, value in changes.items():
        if min(train(**{**settings, name: value})) >= goal:
            return [name]
    return []


def trained_twice(train, settings, changes, goal):
    return [name for name, value in changes.items() if train(**{**settings, name: value})[0] >= goal
            and train(**{**settings, name: value})[1] >= goal]


def better_than_before(compare):
    def f(train, settings, changes, goal):
        before = train(**settings)
        return [name for name, value in changes.items() if compare(train(**{**settings, name: value}), before)]

    return f


def best_of_all(train, settings, changes, goal):
    return [max(changes, key=lambda name: min(train(**{**settings, name: changes[name]})))]


def passed_whole(train, settings, changes, goal):
    return [name for name, value in changes.items() if min(train({**settings, name: value})) >= goal]


def compared_whole(train, settings, changes, goal):
    return [name for name, value in changes.items() if train(**{**settings, name: value}) >= goal]


def compared_as_array(train, settings, changes, goal):
    return [name for name, value in changes.items() if np.array(train(**{**settings, name: value})) >= goal]


def by_the_word_name(train, settings, changes, goal):
    return [name for name, value in changes.items() if min(train(**settings, name=value)) >= goal]


def choose_what_stays(curves, goal):
    reached = [(d, -iia, layer) for layer, curve in curves.items() for d, iia in curve.items()
               if all(other >= goal for e, other in curve.items() if e >= d)]
    return min(reached)[2] if reached else "nowhere"


RIGHT = {
    "check_switch_answers": [switched(agree, either), row_by_row, by_table, by_torch,
                             lambda z: (z[:, :2].sum(axis=1) != 1) & z[:, 2] | (z[:, 2] < 1) & z[:, :2].any(axis=1)],
    "check_choose_layer": [choose(fewest), choose_by_sorting, choose_by_loop, choose_by_numpy],
    "check_find_mends": [mends(), mends_by_loop, mends_by_array, mends_and_restores,
                         mends(lambda *figures: min(figures) == figures[-1], tuple)],
}
WRONG = {
    "check_switch_answers": [
        (lambda v: agree(*v.T[:2]) if v[:, 2].all() else either(*v.T[:2]), "The switch is asked once for all rows"),
        (lambda v: agree(*v.T[:2]) if v[0, 2] else either(*v.T[:2]), "The switch is asked once for all rows"),
        (lambda z: z[:, 0] == z[:, 1], "switch is ignored"),
        (lambda z: z[:, 0] | z[:, 1], "switch is ignored"),
        (switched(either, agree), "switch is the wrong way round"),
        (switched(agree, lambda a, b: a & b), r"one equal pair is enough: use \| in place of &"),
        (switched(agree, lambda a, b: a ^ b), "two equal pairs are fine"),
        (switched(agree, lambda a, b: a != b), "two equal pairs are fine"),
        (switched(lambda a, b: a & b, either), "neither pair is equal, the pairs agree"),
        (switched(lambda a, b: a != b, either), "the pairs must agree"),
        (lambda z: switched(agree, either)(z[:, [2, 1, 0]]), "columns are mixed up"),
        (lambda z: switched(agree, either)(z[:, [0, 2, 1]]), "columns are mixed up"),
        (lambda z: ~switched(agree, either)(z), "wrong way round"),
        (lambda z: 2 * switched(agree, either)(z).astype(int) - 1, "answers are 0 and 1"),
        (lambda z: z[:, 2] & (z[:, 0] == z[:, 1]), "0 wherever the switch is off"),
        (lambda z: ~z[:, 2] & (z[:, 0] | z[:, 1]), "0 wherever the switch is on"),
        (by_words, "take one truth value"), (by_unpacking, "One variable is one column"),
        (by_rows, "One variable is one column"), (in_place, "changes its argument `values` in place"),
        (first_row_only, "one answer in all"), (lambda z: switched(agree, either)(z).all(), "one answer in all"),
        (lambda z: switched(agree, either)(z)[:, None], "one axis too many"),
        (lambda z: ["yes" if answer else "no" for answer in row_by_row(z)], "This is text"),
        (lambda z: [[1], [0, 1]], "differ in length"), (lambda z: z[:, 0], "single column"),
        (lambda z: np.ones(len(z)), "the same for every row"), (lambda z: {"answers": 1}, "This is a dict"),
    ],
    "check_choose_layer": [
        (choose_what_stays, "only if larger ones reach the goal too"),
        (lambda curves, goal: choose(fewest)(curves, goal) if all(max(c.values()) >= goal for c in curves.values()) else
         "nowhere", "One layer that misses the goal"),
        (choose(lambda curve, goal: max(curve.values())), "the highest IIA"),
        (choose(lambda curve, goal: 0), "first layer that reaches"),
        (lambda curves, goal: choose(lambda *_: 0)(dict(reversed(curves.items())), goal), "last layer that reaches"),
        (choose(lambda curve, goal: min(reaching(curve, goal))), "needs the most directions"),
        (choose(lambda curve, goal: max(reaching(curve, goal))), "with the most directions"),
        (choose(lambda curve, goal: -min(reaching(curve, goal))), "the one with the higher IIA there is asked for"),
        (choose(lambda curve, goal: (fewest(curve, goal)[0], -fewest(curve, goal)[1])), "with the lower IIA there"),
        (choose(lambda curve, goal: (fewest(curve, goal)[0], max(curve.values()))), "not by the highest of the curve"),
        (choose(lambda curve, goal: (-reaching(curve, goal)[0], curve[reaching(curve, goal)[0]])), "not be sorted"),
        (lambda curves, goal: choose(lambda curve, g: (-min(d for d in curve if curve[d] > goal), max(
            curve[d] for d in curve if d == min(d for d in curve if curve[d] > goal))),
            able=lambda curve, g: [d for d in curve if curve[d] > g])(curves, goal), "use >= in place of >"),
        (choose_from_all(lambda curve: curve[min(curve)]), "The goal is not asked"),
        (choose_from_all(lambda curve: max(curve.values())), "The goal is not asked"),
        (choose(fewest, otherwise="none"), "return 'nowhere', spelled like this"),
        (choose(fewest, otherwise=None), "None comes back where no layer"),
        (lambda curves, goal: max((c for c in curves if reaching(curves[c], goal)),
                                  key=lambda c: fewest(curves[c], goal)), "stops with an error"),
        (choose_unguarded, "stops with an error"),
        (lambda curves, goal: sorted((d, layer) for layer, curve in curves.items() for d, iia in curve.items()
                                     if iia >= goal)[0][1], "stops with an error"),
        (choose_by_position, "a dict from numbers of directions to IIA"),
        (choose_and_empty, "changes its argument `curves`"),
        (lambda curves, goal: (choose(fewest)(curves, goal), 4), "This is a tuple"),
        (lambda curves, goal: [choose(fewest)(curves, goal)], "This is a list"),
        (lambda curves, goal: list(curves).index(choose(fewest, otherwise=next(iter(curves)))(curves, goal)),
         "return the layer's name"),
        (lambda curves, goal: min(d for curve in curves.values() for d in reaching(curve, 0)), "the layer's name"),
        (lambda curves, goal: "second", "Your answer is always 'second'"),
        (lambda curves, goal: choose(fewest)(curves, 0.9), "goal is written out"),
        (lambda curves, goal: "nowhere", "Your answer is always 'nowhere'"),
    ],
    "check_find_mends": [
        (mends(lambda iia, behavior, goal: iia >= goal), "Behavior is not asked"),
        (mends(lambda iia, behavior, goal: behavior >= goal), "IIA is not asked"),
        (mends(lambda iia, behavior, goal: iia >= goal or behavior >= goal), "One of the two figures is enough"),
        (mends(lambda iia, behavior, goal: (iia + behavior) / 2 >= goal), "mean of the two"),
        (mends(lambda iia, behavior, goal: iia > goal and behavior > goal), "use >= in place of >"),
        (mends(lambda iia, behavior, goal: iia < goal or behavior < goal), "that do not mend it"),
        (mends(lambda *_: True), "all the changes"), (mends(lambda *_: False), "No change is ever named"),
        (better_than_before(lambda now, before: now[0] > before[0] and now[1] > before[1]), "is not mended"),
        (better_than_before(lambda now, before: now[0] > before[0]), "is not mended"),
        (better_than_before(lambda now, before: sum(now) > sum(before)), "is not mended"),
        (best_of_all, "best change of each run"), (first_only, "Not every change was tried"),
        (mends(result=lambda names: names[:1]), "name them all"),
        (accumulated, "Several settings are changed at once"), (all_at_once, "Several settings are changed at once"),
        (in_settings, "in place"), (trained_twice, "Each training takes its time"),
        (mends(build=lambda settings, name, value: {name: value}), "needs all the settings"),
        (mends(build=lambda settings, name, value: settings), "Not every change was tried"),
        (by_the_word_name, "does not know the setting name"), (passed_whole, "takes its settings by name"),
        (compared_whole, "returns two figures"), (compared_as_array, "returns two figures"),
        (mends(result=lambda names: names[0] if names else ""), "single name"),
        (mends(result=lambda names: dict.fromkeys(names, 1)), "This is a dict"), (mends(result=len), "This is a int"),
        (mends(result=lambda names: [True, False, True]), "the keys of `changes`"),
        (mends(result=lambda names: ["rate"]), "the keys of `changes`"),
        (mends(result=lambda names: names + names[:1]), "more than once"),
        (mends(lambda iia, behavior, goal: behavior >= 0.999), "A change that brings IIA to"),
    ],
}

globals().update(define_tests(CHECKS, "7", RIGHT, WRONG))
