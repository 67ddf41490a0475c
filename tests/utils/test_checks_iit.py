"""The checks of notebook 3: right solutions pass, and each wrong one is told what is wrong with it."""
import itertools

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

import pytest
from exercise_checks import checks_of, define_tests

from utils.checks import iit

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(iit)
bce = F.binary_cross_entropy_with_logits

def joint(a=lambda s, y, b, y_base: bce(s, y), b=lambda s, y, b, y_base: bce(b, y_base), mix=lambda a, b, w: a + w * b):
    return lambda s, y, base, y_base, w: mix(a(s, y, base, y_base), b(s, y, base, y_base), w)


def both(loss, mix=lambda a, b, w: a + w * b):
    return lambda s, y, base, y_base, w: mix(loss(s, y), loss(base, y_base), w)


def by_softplus(s, y, b, y_base, w):
    return F.softplus((1 - 2 * y) * s).mean() + w * F.softplus((1 - 2 * y_base) * b).mean()


def by_hand(z, y):
    p = z.sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log())


def joint_in_place(s, y, b, y_base, w):
    y.sub_(y_base)
    return bce(s, y + y_base) + w * bce(b, y_base)


def joint_as_new_tensor(*args):
    return torch.tensor(joint()(*args).item(), requires_grad=True)


def joint_and_backward(*args):
    loss = joint()(*args)
    loss.backward()
    return loss


def joint_by_numpy(s, y, b, y_base, w):
    s, y, b, y_base = (t.detach().numpy() for t in (s, y, b, y_base))
    return (np.log1p(np.exp(-(2 * y - 1) * s)) + w * np.log1p(np.exp(-(2 * y_base - 1) * b))).mean()


def groups_of(intervenable):
    return {"rotation": [p for i in intervenable.interventions.values() for p in i.parameters()],
            "network": list(intervenable.model.parameters())}


def to_train(das=("rotation",), iit=("rotation", "network"), enable="iit", unique=True, number=None):
    def choose(intervenable, method):
        if enable in (method, "both"):
            intervenable.enable_model_gradients()
        groups = groups_of(intervenable)
        found = [p for name in (das if method == "das" else iit) for p in groups[name]]
        return list({id(p): p for p in found}.values() if unique else found)[:number]

    return choose


def copied_parameters(intervenable, method):
    return [torch.nn.Parameter(p.clone()) for p in to_train()(intervenable, method)]


def detached_parameters(intervenable, method):
    return [p.detach() for p in to_train()(intervenable, method)]


def partly_frozen(intervenable, method):
    found = to_train()(intervenable, method)
    next(iter(intervenable.interventions.values())).requires_grad_(False)
    return found


def rotation_frozen_in_iit(intervenable, method):
    found = to_train()(intervenable, method)
    if method == "iit":
        next(iter(intervenable.interventions.values())).requires_grad_(False)
    return found


def enabled_too_late(intervenable, method):
    found = [p for p in intervenable.model.parameters() if p.requires_grad] if method == "iit" else []
    intervenable.enable_model_gradients()
    return to_train(iit=("rotation",), enable="")(intervenable, method) + found


def last_layer(intervenable, method):
    found = to_train(iit=("rotation",))(intervenable, method)
    return found + (list(intervenable.model.fc2.parameters()) if method == "iit" else [])


def only_weights(intervenable, method):
    found = to_train(iit=("rotation",))(intervenable, method)
    return found + ([p for n, p in intervenable.model.named_parameters() if "weight" in n] if method == "iit" else [])


def optimizer_itself(intervenable, method):
    return torch.optim.Adam(to_train()(intervenable, method))


def grouped(intervenable, method):
    return [{"params": to_train()(intervenable, method), "lr": 0.01}]


def nested(intervenable, method):
    groups = groups_of(intervenable)
    intervenable.enable_model_gradients()
    return [groups["rotation"]] if method == "das" else [groups["rotation"], groups["network"]]


def changes_the_network(intervenable, method):
    found = to_train()(intervenable, method)
    with torch.no_grad():
        intervenable.model.fc2.weight.zero_()
    return found


def rotation_anew(intervenable, method):
    for i in intervenable.interventions.values():
        torch.nn.init.orthogonal_(i.rotate_layer.parametrizations.weight.original)
    return to_train()(intervenable, method)


def generator(intervenable, method):
    yield from to_train()(intervenable, method)


def by_filter(intervenable, method):
    if method == "iit":
        intervenable.enable_model_gradients()
    return [p for p in set(itertools.chain(*groups_of(intervenable).values())) if p.requires_grad]


def by_hand_enabled(intervenable, method):
    network = list(intervenable.model.parameters()) if method == "iit" else []
    for p in network:
        p.requires_grad_(True)
    return network + list(next(iter(intervenable.interventions.values())).parameters())


def by_name(intervenable, method):
    if method != "das":
        intervenable.enable_model_gradients()
        return list(set(intervenable.parameters()) | set(groups_of(intervenable)["rotation"]))
    return list(dict.fromkeys(groups_of(intervenable)["rotation"]))


def wrong_name(intervenable, method):
    return to_train()(intervenable, "iit" if method == "IIT" else "das")


def kept_by_value(intervenable, method):
    found = []
    for p in to_train()(intervenable, method):
        if p not in found:
            found.append(p)
    return found


def exchanged(intervenable, method):
    return to_train()(intervenable, {"das": "iit", "iit": "das"}[method])


def one_rotation_by_index(intervenable, method):
    intervenable.enable_model_gradients()
    return list(intervenable.interventions[0].parameters())


def freezes_for_das(intervenable, method):
    intervenable.disable_model_gradients()
    return to_train(enable="")(intervenable, method)


FIGURES = {"iia": [0.951, 0.932, 0.744], "flip_iia": [0.902, 0.855, 0.511], "keep": [0.627] * 3, "copy": [0.724] * 3,
           "ceiling": [0.981, 0.972, 0.966], "behavior": [0.973, 0.962, 0.958], "n": [5_000] * 3}
TABLE = pd.DataFrame(FIGURES, index=["baseline", "no behavior loss", "one direction"])


def set_row(name, **figures):
    table = TABLE.copy()
    for column, value in figures.items():
        table[column] = table[column].astype(object if isinstance(value, str) else float)
        table.loc[name, column] = value
    return table


RIGHT = {
    "check_joint_loss": [
        joint(), lambda s, y, b, y_base, w: F.binary_cross_entropy(torch.sigmoid(s), y) + bce(b, y_base) * w,
            by_softplus,
        both(lambda z, y: by_hand(z, y).mean()), lambda s, y, b, y_base, w: bce(
            torch.cat([s, b]), torch.cat([y, y_base]), weight=torch.cat([torch.ones_like(y), w * torch.ones_like(y)]))
                * 2,
    ],
    "check_parameters_to_train": [
        to_train(), generator, by_filter, by_hand_enabled, by_name, lambda i, m: set(to_train()(i, m)),
    ],
    "check_ablation": [
        TABLE, TABLE.assign(extra="x").iloc[::-1], TABLE.astype(object), TABLE.drop(columns=["copy",
            "ceiling"]).iloc[:2],
        TABLE.rename(index={"baseline": "Baseline"}), TABLE.astype({"n": float}), TABLE.sample(frac=1, random_state=1),
    ],
}

WRONG = {
    "check_joint_loss": [
        (lambda s, y, b, y_base, w: bce(s, y) + torch.nn.functional.binary_cross_entropy_with_logits(
            b, y_base, pos_weight=torch.tensor(w)), "goes into the behavior part as pos_weight"),
        (both(lambda z, y: torch.nn.functional.binary_cross_entropy(torch.sigmoid(z).clamp(0.05, 0.95), y)),
         "are probabilities cut, or a small number added"),
        (joint(a=lambda s, y, b, y_base: bce(s, y_base), b=lambda s, y, b, y_base: bce(b, y), mix=lambda a, b, w: w * (
            a + b)), "With weight 0 nothing is left"),
        (lambda *args: joint()(*args).detach(), "The value is right, but no gradient reaches"),
        (joint(b=lambda s, y, b, y_base: bce(b.detach(), y_base)), "The value is right, but no gradient reaches"),
        (joint(a=lambda s, y, b, y_base: bce(s.detach(), y)), "The value is right, but no gradient reaches"),
        (lambda *args: joint()(*args).item(), "Your function returned a float. return the"),
        (joint(mix=lambda a, b, w: a + b), "The weight is not used. it multiplies the"),
        (joint(mix=lambda a, b, w: w * a + b), "The weight is on the interchange part. it"),
        (joint(mix=lambda a, b, w: w * (a + b)), "The weight is on both parts. the"),
        (joint(mix=lambda a, b, w: a), "The behavior part is missing. add weight"),
        (joint(mix=lambda a, b, w: w * b), "The interchange part is missing. add the"),
        (joint(mix=lambda a, b, w: b), "The interchange part is missing. add the"),
        (joint(a=lambda s, y, b, y_base: bce(s, y_base)), "The interchange part is compared with"),
        (joint(b=lambda s, y, b, y_base: bce(b, y)), "The behavior part is compared with"),
        (joint(lambda s, y, b, y_base: bce(s, y_base), lambda s, y, b, y_base: bce(b, y)),
         "The interchange part is compared with"),
        (joint(lambda s, y, b, y_base: bce(b, y_base), lambda s, y, b, y_base: bce(s, y)),
         "The weight is on the interchange part. it"),
        (joint(a=lambda s, y, b, y_base: bce(b, y)), "The interchange part takes base_logits. it"),
        (joint(b=lambda s, y, b, y_base: bce(s, y_base)), "The behavior part takes swapped_logits. it"),
        (joint(a=lambda s, y, b, y_base: bce(s.sigmoid(), y)), "In the interchange part. The sigmoid is"),
        (joint(b=lambda s, y, b, y_base: bce(b.sigmoid(), y_base)), "In the behavior part. The sigmoid is taken"),
        (both(lambda z, y: bce(z.sigmoid(), y)), "The sigmoid is taken twice."),
        (both(lambda z, y: F.binary_cross_entropy(z, y)), "RuntimeError.*use F.binary_cross_entropy_with_logits."),
        (both(lambda z, y: bce(y, z)), "Logits and answers are exchanged. the"),
        (both(lambda z, y: F.mse_loss(z, y)), "This is a squared error. the cross.entropy"),
        (both(lambda z, y: F.mse_loss(z.sigmoid(), y)), "This is a squared error. the cross.entropy"),
        (both(lambda z, y: bce(z, y, reduction="sum")), "This is the sum over the batch. take the"),
        (both(lambda z, y: bce(z, y, reduction="none")), "There is a loss for every pair. take the"),
        (joint(a=lambda s, y, b, y_base: bce(s, y, reduction="sum")), "In the interchange part. This is the sum"),
        (both(lambda z, y: bce(-z, y)), "The sign of the logits, or the answers, are"),
        (both(lambda z, y: -bce(z, y)), "The interchange part is subtracted. add"),
        (both(lambda z, y: bce(z.relu(), y)), "The logits pass a ReLU first. take them as"),
        (both(lambda z, y: F.l1_loss(z.sigmoid(), y)), "This is a distance of probability and"),
        (both(lambda z, y: ((z > 0) != y).float().mean()), "This is an accuracy, or an error rate. it"),
        (both(lambda z, y: F.cross_entropy(z, y)), "The softmax runs over the batch, as if the"),
        (joint(mix=lambda a, b, w: (1 - w) * a + w * b), "This is a mixture, .1 . weight. and weight."),
        (joint(mix=lambda a, b, w: a - w * b), "The behavior part is subtracted. add"),
        (joint(mix=lambda a, b, w: (a + w * b) / 2), "This is half of the sum. the two parts are"),
        (joint(mix=lambda a, b, w: (a + w * b) / (1 + w)), "The sum is divided by 1 . weight, or by the"),
        (joint(mix=lambda a, b, w: a + b / w), "The behavior part is divided by the weight."),
        (joint(mix=lambda a, b, w: a + w * w * b), "The weight is squared, or a root is taken"),
        (joint(mix=lambda a, b, w: a + w + b), "The weight is added. multiply the behavior"),
        (joint(mix=lambda a, b, w: a + 0.25 * b), "The weight is written out. take the one"),
        (joint(mix=lambda a, b, w: a * w * b), "The parts are multiplied. add"),
        (joint(mix=lambda a, b, w: max(a, w * b)), "Only the larger part counts. add"),
        (joint(mix=lambda a, b, w: torch.stack([a, w * b])), "These are both parts side by side. add"),
        (joint(mix=lambda a, b, w: (a, w * b)), "Your function returned a tuple that holds"),
        (joint(mix=lambda a, b, w: (a + w * b).sqrt()), "A square root is taken of the"),
        (joint(mix=lambda a, b, w: (a + w * b)[None]), "The loss stands in an array of one. return"),
        (joint_in_place, "Your function changes its argument"),
        (joint_as_new_tensor, "The value is right, but no gradient reaches"),
        (joint_and_backward, "Your function calls backward itself. return"),
        (joint_by_numpy, "Your function returned a float32. return"),
        (lambda s, y, b, y_base, w: bce(s + w * b, y), "The behavior part changes with swapped_logits"),
        (lambda s, y, b, y_base, w: bce(s[:, None], y) + w * bce(b, y_base),
         "ValueError.*answers must have the same shape, .n,.."),
        (torch.no_grad()(joint()), "The value is right, but no gradient reaches"),
        (lambda *args: (torch.set_grad_enabled(False), joint()(*args))[1], "Your function changes torch's gradient"),
        (both(lambda z, y: bce(z, 0.9 * y + 0.05)), "In the interchange part: The answers are made softer, by 0.1"),
        (both(lambda z, y: bce(z, y, pos_weight=torch.tensor(2.0))),
        "In the interchange part: Answers 1 count 2 times"),
        (both(torch.nn.functional.soft_margin_loss), "This loss wants answers -1 and 1"),
        (both(torch.nn.functional.huber_loss), "This is a Huber loss"),
        (joint(b=lambda s, y, b, y_base: bce(b[y == y_base], y_base[y == y_base])),
        "behavior part only pairs that flip, or"),
        (joint(b=lambda s, y, b, y_base: (s - b).pow(2).mean()), "The behavior part changes with swapped_logits"),
    ],
    "check_parameters_to_train": [
        (lambda i, m: list({tuple(p.shape): p for p in to_train()(i, m)}.values()), "some is missing: "),
        (to_train(enable=""), "No gradient reaches the network. pyvene"),
        (lambda i, m: list({id(p): p for p in i.parameters()}.values()), "'iit' trains the network too. its"),
        (to_train(iit=("rotation",)), "'iit' trains the network too. its"),
        (to_train(iit=("rotation",), enable=""), "'iit' trains the network too. its"),
        (to_train(iit=("network",)), "The rotation is forgotten. 'iit' trains the"),
        (to_train(das=("rotation", "network")), "'das' trains the network too. the network"),
        (to_train(das=("network",)), "'das' trains the network here, and not the"),
        (to_train(das=()), "There are no parameters for 'das'. a"),
        (to_train(iit=()), "There are no parameters for 'iit'. a"),
        (lambda i, m: (p for p in ()), "There are no parameters for 'das'. a"),
        (to_train(unique=False), "A parameter is in the list more than once."),
        (lambda i, m: i.get_trainable_parameters(), "A parameter is in the list more than once."),
        (lambda i, m: i.named_parameters(), "Not all are parameters .names, data, or"),
        (lambda i, m: [next(iter(i.interventions.values())).rotate_layer.weight],
         "Not all are parameters .names, data, or"),
        (lambda i, m: next(iter(i.parameters())), "Return a list of parameters, even if there"),
        (copied_parameters, "Some parameters are not those of this"),
        (detached_parameters, "Not all are parameters .names, data, or"),
        (partly_frozen, "No gradient reaches some of the parameters"),
        (rotation_frozen_in_iit, "No gradient reaches some of the parameters"),
        (to_train(enable="both"), "'das' leaves the network as it is, but"),
        (enabled_too_late, "'das' leaves the network as it is, but"),
        (last_layer, "'iit' trains all of the network, and some"),
        (only_weights, "'iit' trains all of the network, and some"),
        (optimizer_itself, "This is a Adam. return the list of"),
        (grouped, "The list holds lists, dicts or modules. one"),
        (nested, "The list holds lists, dicts or modules. one"),
        (changes_the_network, "Your function changes the weights of the"),
        (rotation_anew, "Your function draws or seeds random numbers"),
        (wrong_name, "'iit' trains the network too. its"),
        (kept_by_value, "Tensors are compared by value"),
        (exchanged, "'das' trains the network too. the network"),
        (one_rotation_by_index, "KeyError.*is a dict. walk through its .values..."),
        (freezes_for_das, "No gradient reaches the network. pyvene"),
        (lambda i, m: i.model.parameters(), "'das' trains the network here, and not the"),
        (lambda i, m: i.parameters, "This is a method. return the list of"),
        (lambda i, m: [i.interventions], "The list holds lists, dicts or modules. one"),
        (lambda i, m: {n: p for n, p in i.model.named_parameters()}, "This is a dict. return the list of"),
        (lambda i, m: [p.data for p in to_train()(i, m)], "Not all are parameters .names, data, or"),
        (lambda i, m: i.interventions.parameters(), "'iit' trains the network too. its"),
        (lambda i, m: len(to_train()(i, m)), "This is a int. return the list of"),
        (lambda i, m: to_train()(i, m)[:-1], "There are no parameters for 'das'. a"),
        (lambda i, m: to_train()(i, m) + [torch.nn.Parameter(torch.zeros(1))], "Some parameters are not those of this"),
        (lambda i, m: "rotation" if m == "das" else "rotation and network", "This is a str. return the list of"),
        (lambda i, m: (torch.set_grad_enabled(False), to_train()(i, m))[1], "Your function changes torch's gradient"),
        (lambda i, m: None, "Your function returned None. did you forget"),
    ],
    "check_ablation": [
        (pd.concat([TABLE.iloc[1:], TABLE.iloc[1:].mean().to_frame("baseline").T]), "made of the other rows"),
        (None, "The table is None. is the last line of its"),
        (set_row("no behavior loss", behavior=0.67).rename(
            index={"baseline": "no behavior loss", "no behavior loss": "baseline"}), "each other's names"),
        (TABLE.rename(index={"baseline": "one direction", "one direction": "baseline"}), "each other's names"),
        (TABLE.style, "A pandas DataFrame was expected, not a"),
        (FIGURES, "A pandas DataFrame was expected, not a"),
        (TABLE.T, "The table is transposed. a row for each"),
        (TABLE.drop(columns=["keep", "n"]), "Columns are missing. keep,"),
        (TABLE.iloc[1:], "The baseline is missing. without a row"),
        (TABLE.rename(index={"baseline": "other"}), "The baseline is missing. without a row"),
        (TABLE.iloc[:1], "There is only the baseline. add at least"),
        (TABLE.assign(n=999), "Some rows come from fewer than 1,000 pairs"),
        (TABLE.assign(iia=[95.0, 93.0, 74.0]), "Some shares lie outside .0, 1., in iia. are"),
        (TABLE.assign(iia=[-0.1, 0.9, 0.7]), "Some shares lie outside .0, 1., in iia. are"),
        (TABLE.assign(flip_iia=[np.nan, 0.9, 0.5]), "Some figures are NaN or infinite .column"),
        (TABLE.iloc[[0, 0]], "There is more than one row 'baseline'. name"),
        (TABLE.iloc[[0, 1, 1]], "Two rows have the same name. name each"),
        (TABLE.assign(iia=["high", "low", "low"]), "Some figures are text .column iia, row"),
        (TABLE.assign(iia=["0.951", "0.932", "0.744"]), "Some figures are text .column iia, row"),
        (TABLE.astype(str), "Some figures are text .column iia, row"),
        (TABLE.map(lambda x: f"{x:.3f}"), "Some figures are text .column iia, row"),
        (set_row("baseline", iia=0.627, flip_iia=0.0), "The baseline's iia equals keep, and hardly"),
        (TABLE.rename(index={"baseline": "keep"}), "A row is named 'keep'. that is the trivial"),
        (TABLE.reset_index(drop=True), "The baseline is missing. without a row"),
        (TABLE.rename(index={"baseline": "no baseline"}), "The row of the unchanged setting is to be"),
        (TABLE.reset_index(), "The settings are named in the column index."),
        (TABLE.assign(n=0), "Some rows come from fewer than 1,000 pairs"),
        (TABLE.assign(n=[5_000, 500, 5_000]), "Some rows come from fewer than 1,000 pairs"),
        (pd.concat([TABLE, TABLE.rename(index={"one direction": "x"})]), "There is more than one row 'baseline'. name"),
        (set_row("no behavior loss", iia=0.951, flip_iia=0.902, behavior=0.973),
         "The rows 'baseline' and 'no behavior loss'"),
        (TABLE.assign(behavior=[1, 1, 1], iia=[1, 1, 1], flip_iia=[1, 1, 1]),
         "The rows 'baseline' and 'no behavior loss'"),
        (TABLE.assign(iia=True), "Some figures are truth values .column iia,"),
        (TABLE.assign(iia=[[0.9]] * 3), "A list stands where a number should .column"),
        (TABLE.assign(iia=np.inf), "Some figures are NaN or infinite .column"),
        (TABLE.iloc[:0], "The table has no"),
        (TABLE["iia"], "A pandas DataFrame was expected, not a"),
        (TABLE.to_numpy(), "A pandas DataFrame was expected, not a"),
        (TABLE.round(0), "The rows 'baseline' and 'no behavior loss'"),
        (pd.concat([TABLE.iloc[:1].rename(index={"baseline": "baseline"}), TABLE.iloc[1:].rename(lambda n: "x")]),
         "Two rows have the same name. name each"),
        (lambda: TABLE, "This is a function. pass the table, the"),
        ([TABLE], "A pandas DataFrame was expected, not a"),
        (TABLE.rename(columns=str.upper), "The columns are spelled otherwise than"),
        (pd.concat([TABLE, TABLE["iia"]], axis=1), "There is more than one column iia. keep one"),
        (set_row("baseline", iia=0.6268, flip_iia=0.0012), "The baseline's iia equals keep, and hardly"),
    ],
}

globals().update(define_tests(CHECKS, "3", RIGHT, WRONG, tables=("check_ablation",)))
