"""The checks of notebooks 0 and 1: right solutions of several styles pass, each wrong one is told what is wrong."""
import copy

import numpy as np
import torch
import torch.nn.functional as F

import pytest
from exercise_checks import checks_of, define_tests

from utils.checks import data
from utils.data_utils import causal_model

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(data)
C = np.array([0.4, 0.4, 0.4])
bce = F.binary_cross_entropy_with_logits
GENERATOR = np.random.default_rng(0)  # of a learner's own
KEPT = []


def weighted(z):
    return z[:, 0] * 0.4 + z[:, 1] * 0.4 + z[:, 2] * 0.4

def answers_in_place(z):
    z *= 0.4
    return (z.sum(1) > 0.6).astype(float)


def answers_with_return_inside(z):
    for row in z:
        return float(row @ C > 0.6)


def answers_kept(z, found=[]):  # noqa: B006
    found.extend(float(row @ C > 0.6) for row in z)
    return np.array(found)


def answers_with_seed(z):
    np.random.seed(0)
    return (z @ C > 0.6).astype(float)


def answers_without_gradients(z):
    torch.set_grad_enabled(False)
    return (z @ C > 0.6).astype(float)


def share_by_loop(p, y):
    return sum((a > 0.5) == (b == 1) for a, b in zip(p, y)) / len(p)


def share_in_place(p, y):
    p[p > 0.5] = 1
    p[p <= 0.5] = 0
    return (p == y).mean()


def both_means(p, y):
    return ((p > 0.5)[y == 1].mean() + (p <= 0.5)[y == 0].mean()) / 2


def step(loss_of=None, zero="first", update=1, result=lambda loss: loss.item(), back=lambda loss: loss.backward()):
    loss_of = loss_of or (lambda model, X, y: bce(model(X).squeeze(1), y))

    def train_step(model, optimizer, X, y):
        loss = loss_of(model, X, y)
        if zero == "first":
            optimizer.zero_grad()
        back(loss)
        if zero == "before step":
            optimizer.zero_grad()
        for _ in range(update):
            optimizer.step()
        if zero == "last":
            optimizer.zero_grad()
        return result(loss)

    return train_step


def broadcast_loss(model, X, y):
    p = model(X).sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def step_then(disturb):
    def train_step(model, optimizer, X, y):
        loss = step()(model, optimizer, X, y)
        disturb(model, optimizer, X, y)
        return loss

    return train_step


@torch.no_grad()
def move_bias(model, optimizer, X, y):
    model.fc2.bias.add_(0.1)


def own_optimizer(model, optimizer, X, y):
    return step()(model, torch.optim.SGD(model.parameters(), lr=0.01), X, y)


def on_a_copy(model, optimizer, X, y):
    return step()(copy.deepcopy(model), optimizer, X, y)


def loss_after(model, optimizer, X, y):
    step()(model, optimizer, X, y)
    return bce(model(X).squeeze(1), y).item()


def step_uphill(model, optimizer, X, y):
    return -step(lambda m, X, y: -bce(m(X).squeeze(1), y))(model, optimizer, X, y)


def manual_step(model, optimizer, X, y):
    loss = bce(model(X).squeeze(1), y)
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad
    return loss.item()


def one_by_one(model, optimizer, X, y):
    return float(np.mean([step()(model, optimizer, X[i:i + 1], y[i:i + 1]) for i in range(len(y))]))


def step_by_closure(model, optimizer, X, y):
    def closure():
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(X)[:, 0], y.to(torch.float32))
        loss.backward()
        return loss

    return float(optimizer.step(closure))


def step_by_grad(model, optimizer, X, y):
    loss = F.softplus((1 - 2 * y) * model(X).flatten()).mean()
    for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))):
        p.grad = g
    optimizer.step()
    return loss.tolist()


def only_last_layer(model, optimizer, X, y):
    loss = bce(model(X).squeeze(1), y)
    optimizer.zero_grad()
    loss.backward()
    for p in list(model.parameters())[:-2]:
        p.grad = None
    optimizer.step()
    return loss.item()


def mixed(base, source, variables):
    z = np.array(base)
    z[:, variables] = np.array(source)[:, variables]
    return causal_model(z)


def by_where(base, source, variables):
    return causal_model(np.where(np.isin(np.arange(3), variables), source, base))


def by_columns(base, source, variables):
    z = [source[:, v] if v in variables else base[:, v] for v in range(3)]
    return (0.4 * sum(z) > 0.6).astype(float)


def mixed_by_torch(base, source, variables):
    z = base.clone()
    z[:, variables] = source[:, variables]
    return weighted(z) > 0.6


def mixed_in_place(base, source, variables):
    base[:, variables] = source[:, variables]
    return causal_model(base)


def mixed_without_copy(base, source, variables):
    z = base
    z[:, variables] = source[:, variables]
    return causal_model(z)


def mixed_into_the_source(base, source, variables):
    rest = [v for v in range(3) if v not in variables]
    source[:, rest] = base[:, rest]
    return causal_model(source)


def mixed_and_emptied(base, source, variables):
    z = base.copy()
    while variables:
        v = variables.pop()
        z[:, v] = source[:, v]
    return causal_model(z)


def mixed_and_sorted(base, source, variables):
    variables.sort()
    return mixed(base, source, variables)


def rows(base, source, variables):
    z = base.copy()
    z[variables] = source[variables]
    return causal_model(z)


def mixed_by(value, start=np.copy):
    def f(base, source, variables):
        z = start(base)
        z[:, variables] = value(base, source)[:, variables]
        return causal_model(z)

    return f


def labels_only(base, source, variables):
    z = base.copy()
    z[:, variables] = source[:, variables]
    return z


def each_variable(base, source, variables):
    return np.stack([mixed(base, source, [v]) for v in variables], 1)


def draw(base=lambda n, m, rng: rng.integers(m, size=n), source=lambda b, n, m, rng: rng.integers(m, size=n)):
    def f(n, m, rng):
        b = base(n, m, rng)
        return b, source(b, n, m, rng)

    return f


def never_the_base(b, n, m, rng):
    return (b + rng.integers(1, max(m, 2), size=n)) % m


def redrawn(b, n, m, rng):
    s = rng.integers(m, size=n)
    while m > 1 and (s == b).any():
        s = np.where(s == b, rng.integers(m, size=n), s)
    return s


def without_replacement(n, m, rng):
    order = rng.permutation(np.resize(rng.permutation(m), max(n, m)))
    return order[:n]


def half_the_base(b, n, m, rng):
    return np.where(rng.random(n) < 0.3, b, rng.integers(m, size=n))


def seeded(n, m, rng):
    np.random.seed(0)
    return np.random.randint(m, size=n), np.random.randint(m, size=n)


def many(z_base, z_sources, groups):
    z = np.array(z_base)
    for source, group in zip(z_sources, groups):
        z[:, group] = np.array(source)[:, group]
    return causal_model(z)


def many_by_torch(z_base, z_sources, groups):
    z = z_base.clone()
    for source, group in zip(z_sources, groups):
        z[:, group] = source[:, group]
    return weighted(z) > 0.6


def many_by_sum(z_base, z_sources, groups):
    change = sum(((s - z_base) * np.isin(range(3), g) for s, g in zip(z_sources, groups)), np.zeros_like(z_base))
    return causal_model(np.clip(z_base + change, 0, 1))


def many_by_rows(z_base, z_sources, groups):
    owner = {v: i for i, group in enumerate(groups) for v in group}
    return [float(0.4 * sum(z_sources[owner[v]][r, v] if v in owner else z_base[r, v] for v in range(3)) > 0.6)
            for r in range(len(z_base))]


def forgetful(z_base, z_sources, groups):
    for source, group in zip(z_sources, groups):
        z = np.array(z_base)
        z[:, group] = source[:, group]
    return causal_model(z)


def hasty(z_base, z_sources, groups):
    z = z_base.copy()
    for source, group in zip(z_sources, groups):
        z[:, group] = source[:, group]
        return causal_model(z)


def many_in_place(z_base, z_sources, groups):
    for source, group in zip(z_sources, groups):
        z_base[:, group] = source[:, group]
    return causal_model(z_base)


def many_and_emptied(z_base, z_sources, groups):
    z = z_base.copy()
    i = 0
    while groups:
        z[:, groups[0]] = z_sources[i][:, groups.pop(0)]
        i += 1
    return causal_model(z)


def zeros_for_the_rest(z_base, z_sources, groups):
    return many(np.zeros_like(z_base), z_sources, groups)


def two_sources(z_base, z_sources, groups):
    z = z_base.copy()
    z[:, groups[0]] = z_sources[0][:, groups[0]]
    z[:, groups[1]] = z_sources[1][:, groups[1]]
    return causal_model(z)


def text_example(z_base, z_sources, groups):
    return many(z_base, z_sources, [[2], [0]])


def rows_of_sources(z_base, z_sources, groups):
    z = z_base.copy()
    for source, group in zip(z_sources, groups):
        z[group] = source[group]
    return causal_model(z)


def answers_of_each(z_base, z_sources, groups):
    return np.stack([mixed(z_base, s, g) for s, g in zip(z_sources, groups)])


def pairs_by_loop(answers, y_base, y):
    right = [a == c for a, b, c in zip(answers, y_base, y) if b != c]
    return sum(right) / len(right)


def flip_in_place(a, b, y):
    a -= y
    return (a == 0)[y != b].mean()


RIGHT = {
    "check_causal_answers": [
        lambda z: (z @ C > 0.6).astype(float), causal_model, lambda z: np.where(0.4 * z.sum(1) > 0.6, 1.0, 0.0),
        lambda z: (weighted(z) > 0.6).float(), lambda z: [float(0.4 * a + 0.4 * b + 0.4 * c > 0.6) for a, b, c in z],
        lambda z: np.heaviside(np.einsum("nv,v->n", z, C) - 0.6, 0), lambda z: 1.0 * (z.sum(axis=1) > 1.5),
    ],
    "check_share_correct": [
        lambda p, y: ((p > 0.5) == y).mean(), lambda p, y: ((p > 0.5) == y).float().mean().item(), share_by_loop,
        lambda p, y: torch.tensor(1 - np.abs(np.round(p) - y).mean()), lambda p, y: 1 - np.mean((p > 0.5) ^ (y > 0.5)),
        lambda p, y: np.count_nonzero((p > 0.5).astype(int) == y.astype(int)) / y.size,
    ],
    "check_train_step": [
        step(), step(zero="last"), step_by_closure, step_by_grad, step(result=float),
        step(lambda model, X, y: F.binary_cross_entropy(model(X).sigmoid(), y[:, None])),
        step(result=lambda loss: loss.detach().numpy().item()),
        step(lambda model, X, y: F.binary_cross_entropy_with_logits(model(X), y.view(-1, 1))),
    ],
    "check_counterfactual_answers": [mixed, mixed_by_torch, by_where, by_columns],
    "check_draw_pairs": [
        draw(), lambda n, m, rng: (rng.choice(m, n), rng.choice(m, n)), lambda n, m, rng: tuple(rng.integers(0, m, (2,
            n))),
        lambda n, m, rng: [torch.from_numpy(rng.integers(m, size=n)), rng.integers(m, size=n)],
        lambda n, m, rng: ((rng.random(n) * m).astype(int), np.floor(rng.uniform(0, m, n)).astype(np.int64)),
        lambda n, m, rng: tuple(rng.integers(m, size=(n, 2)).T), lambda n, m, rng: np.divmod(rng.integers(m * m,
            size=n), m),
        lambda n, m, rng: rng.integers(m, size=(2, n)), lambda n, m, rng: divmod(rng.integers(m * m, size=n), m),
    ],
    "check_multi_source_answers": [many, many_by_torch, many_by_sum, many_by_rows],
    "check_flip_iia": [
        lambda a, b, y: (a == y)[y != b].mean(), lambda a, b, y: (a == y)[y != b].float().mean(), pairs_by_loop,
        lambda a, b, y: 1 - abs(a - y)[y != b].mean(), lambda a, b, y: ((a != b) & (y != b)).sum() / (y != b).sum(),
    ],
}

WRONG = {
    "check_causal_answers": [
        (lambda z: (np.round(0.4 * z.sum(1), 1) > 0.6).astype(float), "The sum is rounded to one decimal first"),
        (lambda z: (np.sqrt((z**2).sum(1)) > 0.9).astype(float), "Not the weighted sum alone"),
        (lambda z: np.append((z[:-1].sum(1) > 1.5).astype(float), 0.0), "The same row gets another answer"),
        (lambda z: 1 / (1 + np.exp(-50 * (0.4 * z.sum(1) - 0.6))), "Answers are 0 and 1, and"),
        (lambda z: (z.sum(1) > 0.6).astype(float), "The coefficients are missing. each variable"),
        (lambda z: (z @ C >= 0.6).astype(float), "On the threshold itself the answer is 0."),
        (lambda z: (0.4 * z.sum(1) >= 0.6).astype(float), "On the threshold itself the answer is 0."),
        (lambda z: (z > 0.6).astype(float), "Each variable is compared for itself. add"),
        (lambda z: (z > 0.6).all(1).astype(float), "Each variable is compared for itself. add"),
        (lambda z: (z > 0.6).any(1) * 1.0, "Each variable is compared for itself. add"),
        (lambda z: 0.4 * z > 0.6, "Each variable is compared for itself. add"),
        (lambda z: z @ C, "This is the sum itself. compare it with the"),
        (lambda z: (z @ C < 0.6).astype(float), "The comparison is the wrong way round. the"),
        (lambda z: (z @ C <= 0.6).astype(float), "The comparison is the wrong way round. the"),
        (lambda z: (z[:, 0] > 0.6).astype(float), "Your answers do not depend on the color"),
        (lambda z: (z @ C > 0.6)[:, None].astype(float), "Each answer stands in a row of its own, .n,"),
        (lambda z: "yes", "This is text. return numbers or truth"),
        (lambda z: z @ C > 0.6, "The answers are right, but they are truth"),
        (lambda z: np.where(z @ C > 0.6, "1", "0"), "This is text. return numbers or truth"),
        (lambda z: (z @ C > 0.5).astype(float), "The sum is compared with 0.5. the threshold"),
        (lambda z: (z @ C > 0.4).astype(float), "The coefficients are wrong. each of the"),
        (lambda z: (z.mean(1) > 0.6).astype(float), "The coefficients are wrong. each of the"),
        (lambda z: (z @ C - 0.6), "This is the sum less the threshold. answers"),
        (lambda z: (z @ C > 0.6).mean(), "This is the share of answers 1. return the"),
        (lambda z: (z.sum(0) * 0.4 > 0.6).astype(float), "The sum runs over the images. add up the"),
        (lambda z: (C @ z > 0.6).astype(float), "ValueError.*.n, 3. and .3,., in this order."),
        (lambda z: np.where(z @ C > 0.6, 1.0, -1.0), "Answers are 1 and 0, not 1 and"),
        (lambda z: (z[:, :2] @ C[:2] > 0.6).astype(float), "The sum of columns 0, 1 alone is compared."),
        (lambda z: (0.4 * z[0].sum() > 0.6).astype(float), "Only the first row is answered. each of the"),
        (lambda z: (z @ np.array([0.4, 0.4]) > 0.6).astype(float), "ValueError.*.n, 3. and .3,., in this order."),
        (lambda z: np.ones(len(z)), "These are answers to nothing. always"),
        (lambda z: np.round(z @ C), "The sum is compared with 0.5. the threshold"),
        (lambda z: 1 / (1 + np.exp(-(z @ C - 0.6))), "The sum is squeezed by a sigmoid. the"),
        (lambda z: 1 if z @ C > 0.6 else 0, "ValueError.*whole arrays use ., ., . and np.where."),
        (lambda z: (z @ [0.4, 0.4, 0.2] > 0.6).astype(float), "The coefficients are wrong. each of the"),
        (lambda z: (z.prod(1) > 0.6).astype(float), "The variables are multiplied. add them up,"),
        (lambda z: print((z @ C > 0.6).astype(float)), "Your function returned None. did you forget"),
        (answers_in_place, "Your function changes its argument .labels."),
        (answers_with_return_inside, "Only the first row is answered. each of the"),
        (answers_kept, "Called twice with the same arguments, your"),
        (answers_with_seed, "Your function draws or seeds random numbers"),
        (answers_without_gradients, "Your function changes torch's gradient"),
        (lambda z: np.heaviside(z @ np.full(3, 0.4) - 0.6, 0.5), "On the threshold itself the answer is 0, not 0.5"),
        (lambda z: (np.round(z, 1) @ np.full(3, 0.4) > 0.6).astype(float), "Not the weighted sum alone decides"),
        (lambda z: (np.linalg.norm(z, axis=1) > 0.6).astype(float), "Not the weighted sum alone decides"),
    ],
    "check_share_correct": [
        (lambda p, y: max(((p > 0.5) == y).mean(), ((p <= 0.5) == y).mean()), "that are all wrong, the share is 0"),
        (lambda p, y: (np.sort(p > 0.5) == np.sort(y)).mean(), "each of the n counts once"),
        (lambda p, y: 1 - np.sqrt(((p - y)**2).mean()), "only the side counts"),
        (lambda p, y: (p == y).mean(), "Probabilities hardly ever equal 0 or 1."),
        (lambda p, y: ((p > 0) == y).mean(), "The probabilities are cut at 0, as logits"),
        (lambda p, y: 1 - abs(p - y).mean(), "Probabilities hardly ever equal 0 or 1."),
        (lambda p, y: 100 * ((p > 0.5) == y).mean(), "This is a percentage. leave out the"),
        (lambda p, y: ((p > 0.5) == y).sum(), "This is the number of right answers. divide"),
        (lambda p, y: ((p > 0.5) != y).mean(), "This is the share of wrong"),
        (lambda p, y: 0.123, "Your result is 0.123 whatever the"),
        (lambda p, y: ((p >= 0.5) == y).mean(), "A probability of exactly 0.5 is answer 0."),
        (both_means, "This is the mean of two shares, one for"),
        (lambda p, y: (p > 0.5)[y == 1].mean(), "Only pairs whose answer is 1 count here."),
        (lambda p, y: (y == 1)[p > 0.5].mean(), "Only probabilities above 0.5 count here."),
        (lambda p, y: ((p > 0.5) & (y == 1)).mean(), "This counts only the 1s that are right."),
        (lambda p, y: (p > 0.5).mean(), "This is the share of probabilities above"),
        (lambda p, y: y.mean(), "The probabilities are cut at 0, as logits"),
        (lambda p, y: ((p > 0.5) == y).sum() / 8, "The number of answers is written out. take"),
        (lambda p, y: ((p < 0.5) == y).mean(), "A probability of exactly 0.5 is answer 0."),
        (lambda p, y: (p > 0.5) == y, "These are the single comparisons. take"),
        (lambda p, y: ((p > 0.5)[:, None] == y).mean(), "Each probability is compared with each"),
        (lambda p, y: ((p - y) ** 2).mean(), "Probabilities hardly ever equal 0 or 1."),
        (lambda p, y: (p * y).mean(), "Probabilities hardly ever equal 0 or 1."),
        (lambda p, y: (p * y + (1 - p) * (1 - y)).mean(), "Probabilities hardly ever equal 0 or 1."),
        (lambda p, y: np.array([((p > 0.5) == y).mean()]), "The share stands in an array. return the"),
        (lambda p, y: f"{((p > 0.5) == y).mean():.2f}", "This is text. return numbers or truth"),
        (lambda p, y: round(((p > 0.5) == y).mean(), 1), "The result is rounded. return it in"),
        (lambda p, y: (p > 0.5 == y).mean(), "ValueError.*whole arrays use ., ., . and np.where."),
        (lambda p, y: ((p > y.mean()) == y).mean(), "The cut is at a value that depends on the"),
        (lambda p, y: ((p > np.median(p)) == y).mean(), "The cut is at a value that depends on the"),
        (lambda p, y: bool(((p > 0.5) == y).all()), "This asks whether all answers are right."),
        (lambda p, y: (1 / (1 + np.exp(-p)) > 0.5).mean(), "This asks whether any answer is right. take"),
        (lambda p, y: np.corrcoef(p, y)[0, 1], "Probabilities hardly ever equal 0 or 1."),
        (lambda p, y: ((p > 0.5) == y)[:-1].mean(), "Only all but the last count here. compare"),
        (lambda p, y: ((p > 0.5) == y).sum() / (len(y) - 1), "The number below the line is off by one."),
        (lambda p, y: sum((p > 0.5) == y) / sum(y), "The right answers are divided by the number"),
        (lambda p, y: int(((p > 0.5) == y).mean()), "This asks whether all answers are right."),
        (lambda p, y: p.item() > 0.5, "ValueError.*the values that come into this line."),
        (share_in_place, "Your function changes its argument"),
    ],
    "check_train_step": [
        (step(lambda model, X, y: bce(model(X).squeeze(), y)), "The last batch may hold a single image"),
        (step(lambda model, X, y: bce(model(X).squeeze(1).detach(), y)),
         "RuntimeError.*after zero_grad and before s..."),
        (lambda model, optimizer, X, y: bce(model(X)[:, 0], y).item(), "The loss is right, but the weights do not"),
        (step(zero="before step"), "The loss is right, but the weights do not"),
        (step(update=0), "The gradient is there, but the weights do"),
        (step(zero=None), "The second step still holds the gradient of"),
        (step(lambda model, X, y: bce(model(X).sigmoid().squeeze(1), y)), "The sigmoid is taken twice."),
        (step(lambda model, X, y: bce(model(X), y)), "ValueError.*Make them agree, with .squeeze.1.."),
        (step(lambda model, X, y: F.binary_cross_entropy(model(X), y)),
         "ValueError.*Make them agree, with .squeeze.1.."),
        (step(broadcast_loss), "Every logit is then compared with every"),
        (step(lambda model, X, y: F.binary_cross_entropy(model(X)[:, 0], y)),
         "RuntimeError.*use F.binary_cross_entropy_with_logits."),
        (step(lambda model, X, y: bce(model(X)[:, 0], y, reduction="sum")), "This is the sum over the batch. take the"),
        (step(result=lambda loss: loss), "The loss that you return still holds the"),
        (step_then(move_bias), "The loss is right, but the weights are not"),
        (step(result=lambda loss: None), "Your function returned None. did you forget"),
        (step(result=lambda loss: loss.detach()), "The loss that you return is a tensor."),
        (step(result=lambda loss: str(loss.item())), "This is text. return numbers or truth"),
        (step(update=2), "2 steps are taken for one batch"),
        (step(lambda model, X, y: bce(y, model(X).squeeze(1))), "Logits and answers are exchanged. the"),
        (step(lambda model, X, y: -bce(model(X).squeeze(1), y)), "The sign of the loss is wrong. training"),
        (step(lambda model, X, y: bce(model(X).squeeze(1), 1 - y)), "The sign of the logits, or the answers, are"),
        (step(lambda model, X, y: F.mse_loss(model(X).squeeze(1), y)), "This is a squared error. the cross.entropy"),
        (step(lambda model, X, y: F.mse_loss(model(X).sigmoid().squeeze(1), y)),
         "This is a squared error. the cross.entropy"),
        (step(lambda model, X, y: F.cross_entropy(model(X), y[:, None])), "The softmax runs over the batch, as if the"),
        (step(lambda model, X, y: bce(model(X).squeeze(1), y, reduction="none"), back=lambda x: x.sum().backward()),
         "RuntimeError.*take the mean over the batch first."),
        (step(back=lambda loss: (2 * loss).backward()), "The loss is right, but the step is 2 times"),
        (step_uphill, "The step goes the wrong way. the weights"),
        (own_optimizer, "An optimizer of your own takes the step .SGD"),
        (on_a_copy, "The loss is right, but the weights do not"),
        (loss_after, "The loss that you return is that after the step"),
        (manual_step, "The loss is right, but the step is 3.33"),
        (one_by_one, "6 steps are taken for one batch"),
        (only_last_layer, "Some weights do not change. conv1.weight,"),
        (step_then(lambda m, o, X, y: m.eval()), "Your function leaves the model in another"),
        (step_then(lambda m, o, X, y: X.mul_(0)), "Your function changes its argument .X. in"),
        (step_then(lambda m, o, X, y: torch.set_grad_enabled(False)), "Your function changes torch's gradient"),
        (step_then(lambda m, o, X, y: o.param_groups[0].update(lr=0.01)), "Your function changes the settings of the"),
        (step(lambda model, X, y: bce(model.forward(X).relu().squeeze(1), y)),
         "The logits pass a ReLU first. take them as"),
        (step(lambda model, X, y: bce(model(X[:1]).squeeze(1), y[:1])), "Only the first pair counts. take the mean"),
        (step(back=lambda loss: [loss.backward(), loss.backward()]),
         "RuntimeError.*run once for each loss. call it once."),
        (torch.no_grad()(step()), "RuntimeError.*after zero_grad and before s..."),
        (step(result=lambda loss: round(loss.item(), 1)), "The result is rounded. return it in"),
        (step(lambda model, X, y: bce(model(X).squeeze(1), y.long())),
         "RuntimeError.*floats as they come. leave their type."),
        (step(lambda m, X, y: bce(m(X.flip(3)).squeeze(1), y)), "The images are flipped left to right"),
        (step(lambda m, X, y: bce(m(X.flip(2)).squeeze(1), y)), "The images are flipped upside down"),
        (step(lambda m, X, y: bce(m(X / 255).squeeze(1), y)), "The images are divided by 255"),
        (step(lambda m, X, y: bce(m((X - X.mean()) / X.std()).squeeze(1), y)), "The images are standardized"),
        (step(lambda m, X, y: bce(m(X).squeeze(1), 0.9 * y + 0.05)), "answers are made softer, by 0.1"),
        (step(lambda m, X, y: bce(m(X).squeeze(1), y, pos_weight=torch.tensor(2.0))), "Answers 1 count 2 times"),
        (step(lambda m, X, y: bce(m(X).squeeze(1), y) + 0.01 * sum((p**2).sum() for p in m.parameters())),
         "0.01 times the sum of the squares of the weights"),
        (step(lambda m, X, y: F.soft_margin_loss(m(X).squeeze(1), y)), "This loss wants answers -1 and 1"),
        (step(lambda m, X, y: F.huber_loss(m(X).squeeze(1), y)), "This is a Huber loss"),
        (lambda m, optimizer, X, y: step()(m, torch.optim.Adam(m.parameters()), X, y), "own takes the step .Adam"),
    ],
    "check_counterfactual_answers": [
        (lambda b, s, v: mixed(s, b, v), "Base and source are swapped. the base keeps"),
        (lambda b, s, v: causal_model(b), "This is the base's own answer. nothing has"),
        (lambda b, s, v: causal_model(s), "This is the source's own answer. only"),
        (lambda b, s, v: mixed(b, s, [0, 1, 2]), "This is the source's own answer. only"),
        (lambda b, s, v: mixed(b, s, v[:1]), "Only one of the variables comes from the"),
        (lambda b, s, v: mixed(b, s, v[-1:]), "Only one of the variables comes from the"),
        (mixed_in_place, "Your function changes its argument .z_base."),
        (mixed_without_copy, "Your function changes its argument .z_base."),
        (mixed_into_the_source, "Your function changes its argument"),
        (mixed_and_emptied, "Your function changes its argument"),
        (mixed_and_sorted, "Your function changes its argument"),
        (lambda b, s, v: 1 - mixed(b, s, v), "The comparison is the wrong way round. the"),
        (lambda b, s, v: mixed(b, s, [0]), "Other variables than those of the list come"),
        (lambda b, s, v: mixed(b, s, [1]), "Other variables than those of the list come"),
        (lambda b, s, v: mixed(b, s, [2]), "Other variables than those of the list come"),
        (lambda b, s, v: mixed(b, s, [i - 1 for i in v]), "Other variables than those of the list come"),
        (lambda b, s, v: mixed(b, s, list(range(len(v)))), "Other variables than those of the list come"),
        (rows, "Rows come from the source, not columns."),
        (mixed_by(lambda b, s: (b + s) / 2), "The mean of base and source is put in"),
        (mixed_by(lambda b, s: b + s), "ValueError.*source's labels in place of the base's."),
        (mixed_by(lambda b, s: s - b), "ValueError.*source's labels in place of the base's."),
        (mixed_by(lambda b, s: s[::-1]), "Base and source belong together row by row."),
        (mixed_by(lambda b, s: s, np.zeros_like), "Where nothing comes from a source, there"),
        (mixed_by(lambda b, s: np.zeros_like(s)), "0 is put in place of the variables. What is"),
        (mixed_by(lambda b, s: 1 - b), "1 minus the base's label is put in place."),
        (mixed_by(lambda b, s: s.mean(0, keepdims=True) + 0 * s), "The mean over all sources is put in place"),
        (labels_only, "These are the labels. ask the causal model"),
        (each_variable, "Your result has shape .200, 1.. with 200"),
        (lambda b, s, v: labels_only(b, s, v) @ C, "This is the sum itself. compare it with the"),
        (lambda b, s, v: mixed(b, s, v).mean(), "This is the share of answers 1. return the"),
        (lambda b, s, v: mixed(b, s, v)[:, None], "Each answer stands in a row of its own, .n,"),
        (lambda b, s, v: mixed(b, s, v) != causal_model(b), "Your answers depend on the color .column 1."),
        (lambda b, s, v: np.maximum(causal_model(b), causal_model(s)), "Your answers depend on the circularity"),
        (lambda b, s, v: mixed(b, s, v) * causal_model(b), "Your answers depend on the color .column 1."),
        (lambda b, s, v: mixed(b, s, range(min(v), max(v) + 1)), "Other variables than those of the list come"),
        (lambda b, s, v: mixed(b, s, [i for i in range(3) if i not in v][:1]), "Your answers do not depend on the"),
        (lambda b, s, v: [mixed(b, s, v), b], "Your function returned a list that holds"),
        (lambda b, s, v: b[:, [v]].copy(s), "TypeError.*types are the values here. Print them."),
        (lambda b, s: mixed(b, s, [1]), "Your function cannot be called as"),
        (lambda b, s, v: mixed(b, s, v[:2]), "Of three variables only the first two"),
        (lambda b, s, v: mixed(b, s, v[-2:]), "Of three variables only the last two"),
        (lambda b, s, v: mixed(b, s, v) != causal_model(b), "Your answers depend on the color .column 1. of the base"),
    ],
    "check_draw_pairs": [
        (lambda n, m, rng: tuple(rng.normal(m / 2, m / 4, size=(2, n)).clip(0, m - 1).astype(int)),
         "no other distribution"),
        (draw(source=lambda b, n, m, rng: b.copy()), "The source is the same image as the base."),
        (lambda n, m, rng: (np.arange(n), np.arange(n)), "The source is the same image as the base."),
        (lambda n, m, rng: tuple(rng.integers(0, m + 1, (2, n))), "Some indices are out of range, with n . 20"),
        (lambda n, m, rng: tuple(rng.integers(1, m + 1, (2, n))), "Some indices are out of range, with n . 20"),
        (lambda n, m, rng: tuple(np.random.randint(m, size=(2, n))), "Your function draws or seeds random numbers"),
        (lambda n, m, rng: (rng.integers(m, size=n), GENERATOR.integers(m, size=n)),
         "The same seed gives another source at each"),
        (lambda n, m, rng: tuple(np.random.default_rng(0).integers(m, size=(2, n))),
         "Another seed gives the same (base|source)"),
        (lambda n, m, rng: (rng.integers(m, size=n), np.arange(n)), "out of range, with n = 7"),
        (lambda n, m, rng: (rng.integers(m, size=n), np.full(n, rng.integers(m))),
         "All pairs have the same source. draw one"),
        (lambda n, m, rng: tuple(rng.integers(m - 1, size=(2, n))), "Base never holds some images, as .7. of 8."),
        (lambda n, m, rng: tuple(rng.integers(n, size=(2, n))), "Some indices are out of range, with n . 7"),
        (lambda n, m, rng: tuple(rng.integers(m, size=(2, m))), "With n . 20 and num_images . 30, base"),
        (lambda n, m, rng: tuple(rng.uniform(0, m, (2, n))), "Indices must be whole numbers, of an"),
        (lambda n, m, rng: rng.integers(m, size=n), "Return two arrays of indices, base and"),
        (lambda n, m, rng: (rng.integers(m, size=n), None), "What should be the source is None. did you"),
        (lambda n, m, rng: (np.arange(n) % m, rng.integers(m, size=n)), "Base never holds some images, as .5, 6, 7."),
        (draw(source=lambda b, n, m, rng: rng.permutation(b)), "Source depends on base, the same image in"),
        (draw(source=lambda b, n, m, rng: (b + 1) % m), "Source depends on base. they are never the"),
        (draw(source=lambda b, n, m, rng: m - 1 - b), "Source depends on base. they are never the"),
        (draw(source=never_the_base), "Source depends on base. they are never the"),
        (draw(source=redrawn), "Source depends on base. they are never the"),
        (draw(source=lambda b, n, m, rng: np.roll(b, 1)), "Source is made of base, in another order or"),
        (draw(source=lambda b, n, m, rng: (b + rng.integers(1, 4, size=n)) % m),
         "Source depends on base. they are never the"),
        (draw(source=half_the_base), "Source depends on base, the same image in"),
        (lambda n, m, rng: (rng.choice(m, n, replace=False), rng.choice(m, n, replace=False)),
         "ValueError.*twice, and n may exceed num_images."),
        (draw(base=without_replacement), "Base never holds an image twice. that is"),
        (draw(base=without_replacement, source=lambda b, n, m, rng: without_replacement(n, m, rng)),
         "Base never holds an image twice. that is"),
        (lambda n, m, rng: (rng.permutation(m)[:n], rng.permutation(m)[:n]),
         "With n . 7 and num_images . 4, base has"),
        (draw(base=lambda n, m, rng: np.sort(rng.integers(m, size=n))), "Base is not drawn at each position. at"),
        (draw(base=lambda n, m, rng: np.full(n, rng.integers(m))), "All bases are the same image. draw one for"),
        (draw(base=lambda n, m, rng: np.minimum(rng.integers(m, size=n), rng.integers(m, size=n))),
         "Base is not uniform with num_images . 1000."),
        (draw(base=lambda n, m, rng: (m * rng.random(n) ** 1.3).astype(int)),
         "Base is not uniform with num_images . 1000."),
        (draw(base=lambda n, m, rng: np.round(rng.uniform(0, m - 1, n)).astype(int)),
         "Base is not uniform. of 8 images, [0-9] comes"),
        (draw(source=lambda b, n, m, rng: rng.binomial(m - 1, 0.5, size=n)), "Source is not uniform with num_images ."),
        (draw(source=lambda b, n, m, rng: rng.normal(m / 2, m / 4, n).clip(0, m - 1).astype(int)),
         "Source is not uniform with num_images ."),
        (draw(base=lambda n, m, rng: rng.integers(m, size=n) // 2 * 2), "Base never holds some images, as .1, 3, 5,"),
        (draw(base=lambda n, m, rng: (rng.integers(m) + np.arange(n)) % m), "Base never holds an image twice. that is"),
        (draw(source=lambda b, n, m, rng: copy.deepcopy(rng).integers(m, size=n)),
         "The draws of a call depend on those of the"),
        (lambda n, m, rng: draw()(n, m, copy.deepcopy(rng)), "Two calls with one generator give the same"),
        (lambda n, m, rng: tuple(rng.integers(30, size=(2, n))), "Some indices are out of range, with n . 1"),
        (lambda n, m, rng: tuple(rng.integers(m, size=(2, 20))), "With n . 1 and num_images . 5, base has"),
        (lambda n, m, rng: tuple(rng.integers(m, size=(2, n)).astype(float)), "Indices must be whole numbers, of an"),
        (lambda n, m, rng: (rng.integers(m), rng.integers(m)), "With n . 20 and num_images . 30, base"),
        (lambda n, m, rng: tuple(rng.integers(m, size=(2, n, 1))), "With n . 20 and num_images . 30, base"),
        (lambda n, m, rng: {"base": rng.integers(m, size=n), "source": rng.integers(m, size=n)},
         "Return two arrays of indices, base and"),
        (lambda n, m, rng: tuple(rng.integers(m, size=(2, n)).astype(str)), "Indices must be whole numbers, of an"),
        (lambda n, m, rng: tuple(rng.randint(m, size=(2, n))), "AttributeError.*rng.integers, rng.choice, rng.random."),
        (seeded, "Your function draws or seeds random numbers"),
        (lambda n, m, rng: tuple((rng.beta(1.2, 1.2, (2, n)) * m).astype(int)), "Base is not uniform: of 8 images"),
        (lambda n, m, rng: tuple((rng.random((2, n)) * (m - 1)).round().astype(int)),
        "Base is not uniform: of 8 images"),
        (lambda n, m, rng: rng.integers(m, size=(n, 2)), "Return two arrays of indices, base and source"),
    ],
    "check_multi_source_answers": [
        (lambda z, s, g: many(z, [s[0]] * len(s), g), "All variables come from the first source."),
        (lambda z, s, g: (np.mean([many(z, [x], [y]) for x, y in zip(s, g)], 0) > 0.5).astype(float), "ask the causal"),
        (lambda z, s, g: many(z, [s[-1]] * len(s), g), "The last source wins. everything comes from"),
        (lambda z, s, g: many(z, s, [sum(g, [])] * len(s)), "The last source wins. everything comes from"),
        (lambda z, s, g: causal_model(s[-1]), "The last source wins. it sets all three"),
        (lambda z, s, g: causal_model(z), "This is the base's own answer. nothing has"),
        (lambda z, s, g: many(z, s[::-1], g), "The sources are in the wrong order. source"),
        (forgetful, "Only the last source leaves a trace. start"),
        (lambda z, s, g: many(z, s, [[i] for i in range(len(s))]), "Source i sets variable i here. it should"),
        (lambda z, s, g: many(z, s, [group[:1] for group in g]), "Only one variable of a group comes from its"),
        (lambda z, s, g: many(z, s, [group[-1:] for group in g]), "Only one variable of a group comes from its"),
        (lambda z, s, g: 1 - many(z, s, g), "The comparison is the wrong way round. the"),
        (hasty, "Only the first source leaves a trace. is"),
        (many_in_place, "Your function changes its argument .z_base."),
        (many_and_emptied, "IndexError.*sizes in the code hold for every input."),
        (zeros_for_the_rest, "Where nothing comes from a source, there"),
        (lambda z, s, g: many(s[0], s, g), "Base and source are swapped. the base keeps"),
        (lambda z, s, g: many(s.mean(0), s, g), "What no group names stays as it is in the"),
        (lambda z, s, g: many(z, [s.mean(0)] * len(s), g), "The mean of all sources is put in place."),
        (lambda z, s, g: many(z, [(a + z) / 2 for a in s], g), "The mean of base and source is put in"),
        (two_sources, "IndexError.*sizes in the code hold for every input."),
        (text_example, "The groups are written out. take those that"),
        (lambda z, s, g: many(z, s, [[1], [2, 0]]), "The groups are written out. take those that"),
        (rows_of_sources, "Rows come from the source, not columns."),
        (answers_of_each, "Your result has shape .2, 200.. with 200"),
        (lambda z, s, g: answers_of_each(z, s, g).mean(0), "Your answers depend on the circularity"),
        (lambda z, s, g: answers_of_each(z, s, g).max(0), "Your answers depend on the circularity"),
        (lambda z, s, g: many(z, s, sorted(g)), "The groups are sorted. groups.i. belongs to"),
        (lambda z, s, g: many(z, s, [[i + 1 for i in group] for group in g]),
         "IndexError.*3. There are three columns. 0, 1, 2."),
        (lambda z, s, g: many(z, s, [[(i + 1) % 3 for i in group] for group in g]),
         "Other variables than those of the list come"),
        (lambda z, s, g: many(z, [s[i] for i in range(len(s) - 1)], g), "The last source is left"),
        (lambda z, s, g: many(z, s[1:], g[1:]), "The first source is left out. does the loop"),
        (lambda z, s, g: many(z, np.roll(s, 1, 0), g), "The sources are shifted. source i sets the"),
        (lambda z, s, g: many(z, [np.roll(a, 1, 0) for a in s], g), "Base and source belong together row by row."),
        (lambda z, s, g: many(z, s, [[i for i in range(3) if i not in group] for group in g]),
         "Your answers depend on the circularity"),
        (lambda z, s, g: many(z, s, g)[:, None], "Each answer stands in a row of its own, .n,"),
        (lambda z, s, g: many(z, s, g).mean(), "This is the share of answers 1. return the"),
        (lambda z, s, g: [many(z, s, g), g], "Your function returned a list that holds"),
        (lambda z, s, g: many(z, s, g[0]), "Your answers depend on the circularity"),
        (lambda z, s, g: many(z, s.transpose(1, 0, 2), g), "ValueError.*see along which axis each step works."),
    ],
    "check_flip_iia": [
        (lambda a, b, y: (a == y).mean(), "This is IIA over all pairs. keep only those"),
        (lambda a, b, y: ((a == y)[y > b].mean() + (a == y)[y < b].mean()) / 2, "This is the mean of two shares, of"),
        (lambda a, b, y: (a == y)[y == b].mean(), "These are the pairs that stay. keep those"),
        (lambda a, b, y: (a == b)[y != b].mean(), "The answers are compared with y_base. the"),
        (lambda a, b, y: (y != b).mean(), "This is the share of pairs that flip. among"),
        (lambda a, b, y: ((a == y) & (y != b)).mean(), "The right answers are divided by the number"),
        (lambda a, b, y: (a == y)[y != b], "These are the single comparisons. take"),
        (lambda a, b, y: (a == y)[a != b].mean(), "The wrong pairs are kept. keep those with"),
        (lambda a, b, y: (a == y)[a != y].mean(), "This asks whether all answers are right."),
        (lambda a, b, y: (a != y)[y != b].mean(), "The answers are compared with y_base. the"),
        (lambda a, b, y: (a == b).mean(), "one that stays"),
        (lambda a, b, y: (a != b).mean(), "This counts the answers that are not y_base, over all"),
        (lambda a, b, y: 100 * (a == y)[y != b].mean(), "This is a percentage. leave out the"),
        (lambda a, b, y: (a == y)[y != b].sum(), "This is the number of right answers. divide"),
        (lambda a, b, y: a[y != b].mean(), "A mean is taken of the answers themselves."),
        (lambda a, b, y: y[y != b].mean(), "A mean is taken of y_counterfactual."),
        (lambda a, b, y: (a == y)[y == 1].mean(), "The wrong pairs are kept. keep those with"),
        (lambda a, b, y: (a == y)[b == 0].mean(), "The wrong pairs are kept. keep those with"),
        (lambda a, b, y: (a == y)[(b == 0) & (y == 1)].mean(), "The wrong pairs are kept. keep those with"),
        (lambda a, b, y: ((a == y)[y != b].mean() + (a == y)[y == b].mean()) / 2,
         "This is the share among pairs that flip and"),
        (lambda a, b, y: ((a == y) | (y != b)).mean(), "This counts where answer is right or the"),
        (lambda a, b, y: (a == y)[y != b].sum() / 7, "The number of flips is written out. take"),
        (lambda a, b, y: (a == y)[:7].mean(), "The first pairs alone are kept. keep those"),
        (lambda a, b, y: ((a == y) == (y != b)).mean(), "This counts the answers that are not y_base, over all"),
        (lambda a, b, y: (a == y)[y != b].mean() / (y != b).mean(), "This divides by the share of flips. the"),
        (lambda a, b, y: (a == y)[y != b].sum() / (a == y).sum(), "The right answers are divided by the number"),
        (lambda a, b, y: 0.5, "The first pairs alone are kept. keep those"),
        (lambda a, b, y: (a == y)[(y != b).astype(int)].mean(), "Truth values are used as positions, 0 and"),
        (lambda a, b, y: [(a == y)[y != b].mean()], "The share stands in an array. return the"),
        (lambda a, b, y: (a == y)[y > b].mean(), "The wrong pairs are kept. keep those with"),
        (lambda a, b, y: (a == y)[y - b].mean(), "IndexError.*right.y_counterfactual .. y_base.."),
        (lambda a, b, y: sum(1 for i in range(16) if a[i] == y[i] != b[i]) / sum(y != b),
         "one that flips, from right to wrong"),
        (lambda a, b, y: f"{(a == y)[y != b].mean()}", "This is text. return numbers or truth"),
        (lambda a, b, y: (a == y)[y is not b].mean(), "This is IIA over all pairs. keep only those"),
        (lambda a, b, y: ((a == y)[y != b].mean(), (y != b).sum()), "Your result has shape .2,.. a single number"),
        (flip_in_place, "Your function changes its argument"),
    ],
}

globals().update(define_tests(CHECKS, "01", RIGHT, WRONG))
