"""The checks of the training loops pass right loops in several styles and name each known mistake."""
import copy
import functools
import inspect
import re

import pytest
import torch
import torch.nn.functional as F

from exercise_checks import (assert_diagnosed, assert_random_numbers_are_left_alone, broken, cases, endless, refusal,
                             stub)

from utils.checks import steps
from utils.checks.tools import running

pytestmark = pytest.mark.slow("a check replays each of many training loops")

CHECKS = {name: check for name, check in vars(steps).items() if name.startswith("check_")}
bce = F.binary_cross_entropy_with_logits


def q_of(weight):
    return torch.linalg.qr(weight)[0]


def swapped(base, source, Q):
    return base + (source - base) @ Q @ Q.T


def take_step(optimizer, value, clear, backward, step):
    """The end of each round of a learner's loop, or what of it they have."""
    if clear:
        optimizer.zero_grad()
    if backward:
        value.backward()
    if step:
        optimizer.step()


def das(swap=swapped, directions=q_of, loss=bce, labels=None, what=lambda weight, rest: [weight], clear=True,
        backward=True, step=True, result=list, adam=torch.optim.Adam, anew=False, few=None, undo=False,
        trained=lambda weight: weight, keep=lambda loss: loss.item(), squeeze=True, once=False, after=lambda: None):
    """A learner's loop; every argument is a way to write it otherwise."""
    def train_directions(weight, rest, batches, lr):
        weight, first = trained(weight), weight.detach().clone()
        optimizer, losses, Q = adam(what(weight, rest), lr=lr), [], directions(weight)
        for base, source, y in batches[:few]:
            if anew:
                optimizer = adam(what(weight, rest), lr=lr)
            Q = Q if once else directions(weight)
            logits = rest(swap(base, source, Q))
            y = y if labels is None else labels(rest, base, source)
            value = loss(logits.squeeze(1) if squeeze else logits, y)
            take_step(optimizer, value, clear, backward, step)
            losses.append(keep(value))
        if undo:
            weight.data.copy_(first)
        after()
        return result(losses)

    return train_directions


def das_by_projector(weight, rest, batches, lr):
    """Without QR: the projector on what the columns span; the formula of the loss written out."""
    optimizer = torch.optim.Adam([weight], lr=lr)

    def one(base, source, y):
        optimizer.zero_grad()
        P = weight @ torch.linalg.inv(weight.T @ weight) @ weight.T
        z = rest(base - base @ P + source @ P)[:, 0]
        loss = (F.softplus(z) - y * z).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return tuple(one(*batch) for batch in batches)


def das_by_gradient(weight, rest, batches, lr):
    """Gradients asked for by hand, and put where Adam looks for them; the network frozen, to be sure."""
    rest.requires_grad_(False)
    optimizer, losses = torch.optim.AdamW([{"params": [weight]}], lr=lr, weight_decay=0), []
    for base, source, y in batches:
        U, _, V = torch.linalg.svd(weight, full_matrices=False)
        loss = F.binary_cross_entropy(torch.sigmoid(rest(swapped(base, source, U @ V)))[:, 0], y)
        weight.grad, = torch.autograd.grad(loss, [weight])
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)


def das_every_other(weight, rest, batches, lr):
    """Gradients are gathered over two batches before a step."""
    optimizer, losses = torch.optim.Adam([weight], lr=lr), []
    for i, (base, source, y) in enumerate(batches):
        loss = bce(rest(swapped(base, source, q_of(weight)))[:, 0], y)
        loss.backward()
        if i % 2:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def in_place(base, source, Q):
    base += (source - base) @ Q @ Q.T
    return base


def own_answers(rest, base, source):
    return (rest(base)[:, 0] > 0).float().detach()


def everything(intervenable):
    intervenable.enable_model_gradients()
    return [*intervenable.model.parameters(), *intervenable.interventions[next(iter(intervenable.interventions))]
            .parameters()]


def rotation(intervenable):
    return [p for i in intervenable.interventions.values() for p in i.parameters()]


def network_alone(intervenable):
    intervenable.enable_model_gradients()
    return list(intervenable.model.parameters())


def iit(what=everything, total=lambda swap, plain: swap + plain, labels=lambda base, other: (other, base), loss=bce,
        exchange=False, swap=True, clear=True, backward=True, step=True, anew=False, few=None, keep=lambda v: v.item(),
        adam=torch.optim.Adam, result=list, squeeze=True, both=True, undo=False, whole=False, after=lambda: None,
        change=lambda X: X, wrap=lambda intervenable: intervenable):
    """A learner's loop by pyvene's own call; every argument is a way to write it otherwise."""
    def train_iit(intervenable, batches, lr):
        intervenable = wrap(intervenable)
        parameters, losses = what(intervenable), []
        first, optimizer = copy.deepcopy(intervenable.model.state_dict()), adam(parameters, lr=lr)
        for X_base, X_source, y_base, y_counterfactual in batches[:few]:
            optimizer = adam(parameters, lr=lr) if anew else optimizer
            X_base = change(X_base)
            pair = (X_source, X_base) if exchange else (X_base, X_source if swap else X_base)
            if whole:
                answers = intervenable({"x": pair[0]}, [{"x": pair[1]}], output_original_output=True)
                plain, new = answers.squeeze(1), None
            else:
                plain, new = intervenable({"x": pair[0]}, [{"x": pair[1]}], output_original_output=both)
            if exchange:
                plain = intervenable.model(X_base)
            if squeeze:
                plain, new = plain.squeeze(1), new.squeeze(1)
            y_new, y_plain = labels(y_base, y_counterfactual)
            value = total(loss(new, y_new), loss(plain, y_plain))
            take_step(optimizer, value, clear, backward, step)
            losses.append(keep(value))
        if undo:
            intervenable.model.load_state_dict(first)
        after()
        return result(losses)

    return train_iit


def iit_by_hooks(intervenable, batches, lr, leave=False):
    """Forward hooks of plain PyTorch in place of pyvene's call."""
    model, losses = intervenable.model, []
    optimizer = torch.optim.Adam(everything(intervenable), lr=lr)
    intervention = next(iter(intervenable.interventions.values()))
    kept = []
    for X_base, X_source, y_base, y_counterfactual in batches:
        kept.clear()
        handle = model.fc1.register_forward_hook(lambda module, inputs, output: kept.append(output))
        model(X_source)
        plain = model(X_base)
        handle.remove()
        handle = model.fc1.register_forward_hook(
            lambda module, inputs, output: swapped(output, kept[0], intervention.rotate_layer.weight))
        new = model(X_base)
        handle.remove()
        loss = bce(torch.cat([new, plain])[:, 0], torch.cat([y_counterfactual, y_base])) * 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().numpy())
    if leave:
        model.conv1.register_forward_hook(lambda module, inputs, output: None)
    return losses


def iit_by_two_backwards(intervenable, batches, lr):
    """Each loss goes back on its own, and the gradients add up; two optimizers, one for each part."""
    everything(intervenable)
    parts = [torch.optim.Adam(found, lr=lr) for found in (rotation(intervenable), intervenable.model.parameters())]
    losses = []
    for X_base, X_source, y_base, y_counterfactual in batches:
        for part in parts:
            part.zero_grad(set_to_none=False)
        behavior = bce(intervenable.model(X_base).flatten(), y_base)
        behavior.backward()
        interchange = bce(intervenable({"x": X_base}, [{"x": X_source}])[1].flatten(), y_counterfactual)
        interchange.backward()
        for part in parts:
            part.step()
        losses.append(behavior.item() + interchange.item())
    return losses


def iit_by_unique_parameters(intervenable, batches, lr):
    """The list of exercise 3.2; numpy's floats come back."""
    loop = iit(what=lambda i: list({id(p): p for p in everything(i) + rotation(i)}.values()),
               result=lambda losses: torch.tensor(losses).numpy())
    return loop(intervenable, batches, lr)


def no_gradients(f):
    def loop(*args):
        with torch.no_grad():
            return f(*args)

    return loop


def summed(logits, y):
    return bce(logits, y, reduction="sum")


def twice(logits, y):
    return bce(logits.sigmoid(), y)


def of_logits(logits, y):
    return F.binary_cross_entropy(logits, y)


def das_loop(weight, rest, batches, lr, put_back=False, once=False):
    optimizer, losses, Q = torch.optim.Adam([weight], lr=lr), [], q_of(weight)
    for base, source, y in batches:
        Q = Q if once else q_of(weight)
        loss = bce(rest(swapped(base, source, Q)).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward(retain_graph=once)
        optimizer.step()
        if put_back:
            with torch.no_grad():
                weight.copy_(torch.linalg.qr(weight)[0])
        losses.append(loss.item())
    return losses


das_once, das_put_back = functools.partial(das_loop, once=True), functools.partial(das_loop, put_back=True)


def iit_slower(intervenable, batches, lr):
    def adam(parameters, lr):
        parameters = list(parameters)
        return torch.optim.Adam([{"params": parameters[:1]}, {"params": parameters[1:], "lr": lr / 10}], lr=lr)
    return iit(adam=adam)(intervenable, batches, lr)


def iit_of_sources(intervenable, batches, lr, **changes):
    return iit(**changes)(intervenable, [(source, base, *answers) for base, source, *answers in batches], lr)


iit_with_plain_sources = functools.partial(iit_of_sources, exchange=True)  # exchanged twice, but for the plain answers


RIGHT = {
    "check_train_directions": [das(), das_by_projector, das_by_gradient, das(keep=lambda loss: loss.detach())],
    "check_train_iit": [iit(), iit_by_hooks, iit_by_two_backwards, iit_by_unique_parameters],
}
WRONG = {
    "check_train_directions": [
        (das_once, "Q stays as it was"), (das_put_back, "The weight itself is made orthonormal"),
        (das(clear=False), "holds the gradients of those before"), (das(step=False), "No step is taken"),
        (das(backward=False), "No gradient arrives"), (das(labels=own_answers), "the answer to the base"),
        (das(labels=lambda rest, base, source: own_answers(rest, source, base)), "the answer to the source"),
        (das(what=lambda weight, rest: [weight, *rest.parameters()]), "rest of the network has changed"),
        (das(what=lambda weight, rest: rest.parameters()), "rest of the network has changed"),
        (das(loss=twice), "sigmoid is taken twice"), (das(loss=of_logits), "wants probabilities"),
        (das(loss=summed), "sums over the batch"), (das(loss=lambda z, y: -bce(z, y)), "Not right yet|uphill"),
        (das(few=1), "one loss only: does a return or a break end the loop"), (das(few=3), "There are 3 losses"),
        (das(result=lambda v: v[0]), "a list with"),
        (das(result=lambda v: None), "forget the `return`"), (das(result=lambda v: v * 2), "There are 12 losses"),
        (das(swap=lambda b, s, Q: swapped(s, b, Q)), "Base and source are exchanged"),
        (das(swap=lambda b, s, Q: b + 0 * b @ Q @ Q.T), "Nothing has been swapped"),
        (das(swap=lambda b, s, Q: s + 0 * b @ Q @ Q.T), "activations whole"),
        (das(swap=lambda b, s, Q: s @ Q @ Q.T), "orthogonal to Q is lost"),
        (das(swap=lambda b, s, Q: b + s @ Q @ Q.T), "own coordinates are still there"),
        (das(swap=lambda b, s, Q: b - (s - b) @ Q @ Q.T), "wrong sign"), (das(swap=in_place), "in place"),
        (das(swap=lambda b, s, Q: b + (s - b) @ Q), "shapes do not fit"),
        (das(swap=lambda b, s, Q: b + (s - b) @ Q.T @ Q), "shapes do not fit"),
        (das(directions=lambda weight: weight), "not made orthonormal"),
        (das(directions=lambda weight: weight / weight.norm(dim=0)), "not made orthonormal"),
        (das(directions=lambda weight: q_of(weight).detach()), "No gradient arrives"),
        (no_gradients(das()), "No gradient arrives"), (das(once=True), "graph of the batch before"),
        (das(undo=True), "train it, not a copy"), (das(squeeze=False), "use .squeeze"),
        (das(trained=lambda weight: weight.detach().clone().requires_grad_()), "train it, not a copy"),
        (das(trained=lambda weight: weight + 0), "result of a computation"), (das(anew=True), "Adam starts anew"),
        (das(adam=torch.optim.SGD), "plain gradient descent"), (das(keep=lambda loss: loss), "hold the graphs"),
        (das(after=lambda: torch.set_grad_enabled(False)), "gradient mode"),
        (das(adam=lambda p, lr: torch.optim.Adam(p, lr=3 * lr)), "learning rate is 0.15"),
        (das(loss=F.soft_margin_loss), "This loss wants answers -1 and 1"),
        (das(loss=F.huber_loss), "This is a Huber loss"),
        (das(loss=lambda z, y: bce(z, 0.9 * y + 0.05)), "answers are made softer, by 0.1"),
        (das(loss=lambda z, y: bce(z, y, pos_weight=torch.tensor(2.0))),
        "Answers 1 count 2 times and answers 0 1 times"),
        (das(swap=lambda b, s, Q: (b + (s - b) @ Q @ Q.T).relu(), loss=lambda z, y: bce(2 * z, y)),
        "logits are scaled"),
        (das(directions=lambda w: w / w.norm()), "not made orthonormal"),
        (lambda w, rest, batches, lr: das()(w, rest, batches[::-1], lr), "The batches are taken in reverse order"),
        (das_every_other, "3 steps are taken for 6 batches"),
    ],
    "check_train_iit": [
        (iit_slower, "The learning rate is not the same"),
        (iit_with_plain_sources, "The plain answers are those to the sources"),
        (iit(adam=torch.optim.AdamW), "with weight_decay of its own"),
        (iit(adam=torch.optim.RMSprop), "This is RMSprop"),
        (iit(result=lambda losses: [str(loss) for loss in losses]), "This is text"),
        (iit(clear=False), "holds the gradients of those before"), (iit(step=False), "No step is taken"),
        (iit(backward=False), "No step is taken"), (iit(what=rotation), "network is not trained"),
        (iit(what=network_alone), "rotation is not trained"), (iit(loss=twice), "sigmoid is taken twice"),
        (iit(labels=lambda base, other: (base, base)), "swapped answers are compared with y_base"),
        (iit(labels=lambda base, other: (other, other)), "plain answers are compared with y_counterfactual"),
        (iit(labels=lambda base, other: (base, other)), "labels are exchanged"),
        (iit(total=lambda swap, plain: swap), "behavior loss is missing"),
        (iit(total=lambda swap, plain: plain), "interchange loss is missing"),
        (iit(total=lambda swap, plain: (swap + plain) / 2), "are averaged"), (iit(loss=summed), "sums over the batch"),
        (iit_of_sources, "Base and source are exchanged.*The plain answers"),
        (iit(exchange=True), "Base and source are exchanged"), (iit(swap=False), "Nothing has been swapped"),
        (iit(few=1), "one loss only"), (iit(few=2), "There are 2 losses"), (iit(loss=of_logits), "wants probabilities"),
        (iit(result=lambda v: None), "forget the `return`"), (iit(result=sum), "a list with"),
        (iit(undo=True), "train it, not a copy"), (iit(wrap=copy.deepcopy), "train it, not a copy"),
        (iit(squeeze=False), "use .squeeze"), (iit(anew=True), "Adam starts anew"),
        (iit(adam=torch.optim.SGD), "plain gradient descent"), (iit(keep=lambda value: value), "hold the graphs"),
        (no_gradients(iit()), "No gradient arrives"), (iit(change=lambda X: X.mul_(0.5)), "in place"),
        (iit(after=lambda: torch.set_grad_enabled(False)), "gradient mode"),
        (iit(both=False), "output_original_output=True"), (iit(whole=True), "take it apart"),
        (lambda *args: iit_by_hooks(*args, leave=True), "A hook stays"),
        (iit(adam=lambda p, lr: torch.optim.Adam(p, lr=3 * lr)), "learning rate is 0.06"),
        (iit(total=lambda swap, plain: swap * plain), "The parts are multiplied"),
        (iit(total=lambda swap, plain: torch.maximum(swap, plain)), "Only the larger part counts"),
        (iit(total=lambda swap, plain: swap - plain), "behavior part is subtracted"),
        (iit(total=lambda swap, plain: swap + 10 * plain), "the behavior loss 10 times: add them"),
        (iit(total=lambda swap, plain: swap + plain.detach()), "behavior loss has no part in the gradient"),
        (iit(total=lambda swap, plain: swap.detach() + plain), "interchange loss has no part in the gradient"),
        (iit(what=lambda i: everything(i)[-3:]), "Some of the network is not trained"),
        (iit(what=lambda i: everything(i) * 2), "given a parameter twice"),
        (lambda i, batches, lr: iit()(i, batches[::-1], lr), "The batches are taken in reverse order"),
    ],
}
every_check = pytest.mark.parametrize("name", CHECKS)


@pytest.fixture(autouse=True)
def gradients():
    yield
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name, solution", cases(RIGHT))
def test_right_loops_pass(name, solution):
    assert CHECKS[name](solution).startswith("Passed: ")


@pytest.mark.parametrize("name, case", cases(WRONG))
def test_each_mistake_gets_its_message(name, case):
    assert_diagnosed(CHECKS[name], case)


@every_check
def test_every_check_is_documented_and_tested_both_ways(name):
    assert inspect.getdoc(CHECKS[name]).startswith("Exercise ") and len(RIGHT[name]) >= 3 and len(WRONG[name]) >= 12


@every_check
def test_random_numbers_are_left_alone(name):
    assert_random_numbers_are_left_alone(CHECKS[name], RIGHT[name][0], WRONG[name][0][0])


@every_check
def test_errors_come_with_the_learners_line(name):
    assert re.search(r"error at the line .*1 / 0.*ZeroDivisionError", refusal(CHECKS[name], lambda *args: 1 / 0))
    assert "`return args[0] + 1 / 0`: ZeroDivisionError" in refusal(CHECKS[name], broken)
    assert "cannot be called as" in refusal(CHECKS[name], lambda: None)
    assert "not a function" in refusal(CHECKS[name], 3)
    with pytest.raises(NotImplementedError, match="^your turn$"):
        CHECKS[name](stub)


@every_check
def test_endless_work_is_stopped(name, monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.1)
    assert "does the loop end?" in refusal(CHECKS[name], endless)
