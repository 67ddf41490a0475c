"""Small networks and causal models as a reader would bring them.

Each network's forward is ``rest(first(x), x)``, where ``first`` gives the output of the layer that is aligned: with
these two the arithmetic of an interchange can be written out without a hook.
"""
import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from utils.interventions.build import build_intervenable, get_intervention


def equality(n, seed=0):
    """Hierarchical equality: objects a, b, c, d of four numbers (n, 16), and whether a = b and c = d (n, 2)."""
    rng = np.random.default_rng(seed)
    z, first, second = rng.random((n, 2)) < 0.5, *rng.uniform(-1, 1, (2, n, 2, 4))
    return np.stack([first, np.where(z[..., None], first, second)], axis=2).reshape(n, 16).astype(np.float32), z


def same(z):
    return z[:, 0] == z[:, 1]


def count(z):
    return z[:, 0].astype(int) + z[:, 1]


class TwoPart(nn.Module):
    def forward(self, x):
        return self.rest(self.first(x), x)


class Mlp(TwoPart):
    """16 numbers to (b, answers); l2 gives (b, width)."""

    def __init__(self, width=6, answers=1, squeeze=False, activation=nn.ReLU):
        super().__init__()
        self.l1, self.l2, self.l3 = nn.Linear(16, width), nn.Linear(width, width), nn.Linear(width, width)
        self.act, self.out, self.squeeze = activation(), nn.Linear(width, answers), squeeze

    def first(self, x):
        return self.l2(torch.relu(self.l1(x)))

    def rest(self, h, x):
        h = self.out(torch.relu(self.l3(self.act(h))))
        return h.squeeze() if self.squeeze else h


class Activated(Mlp):
    """The same, aligned at the ReLU, whose output its own backward pass needs."""

    def first(self, x):
        return self.act(super().first(x))

    def rest(self, h, x):
        return self.out(torch.relu(self.l3(h)))


class Residual(Mlp):
    """The same, with a connection that leads past l2."""

    def rest(self, h, x):
        return super().rest(h + torch.relu(self.l1(x)), x)


class Resized(Mlp):
    """The same, which asks its inputs for the size of the batch, after l2."""

    def rest(self, h, x):
        return super().rest(h.view(x.shape[0], -1), x)


class Centered(Mlp):
    """The same, which centers each batch after l2, so that each answer follows from all of its rows."""

    def rest(self, h, x):
        return super().rest(h - h.mean(dim=0), x)


class Conv(TwoPart):
    """Images (b, 1, 4, 4); c1 gives (b, 3, 4, 4)."""

    def __init__(self, answers=1):
        super().__init__()
        self.c1, self.c2, self.out = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 2, 3), nn.Linear(8, answers)

    def first(self, x):
        return self.c1(x)

    def rest(self, h, x):
        return self.out(torch.relu(self.c2(torch.relu(h))).flatten(1))


class Normed(nn.Module):
    """Images (b, 1, 4, 4), with batch normalization and an in-place ReLU after c1."""

    def __init__(self):
        super().__init__()
        self.c1, self.bn, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.c2, self.out = nn.Conv2d(4, 4, 3), nn.Linear(16, 1)

    def forward(self, x):
        return self.out(self.act(self.c2(self.act(self.bn(self.c1(x))))).flatten(1))


class Encoder(TwoPart):
    """Token ids (b, 5) through torch's encoder; enc.layers.0 gives (b, 5, 8)."""

    def __init__(self, answers=1, **options):
        super().__init__()
        options = {"batch_first": True, "norm_first": True, **options}
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, **options)
        self.embed, self.out = nn.Embedding(10, 8), nn.Linear(8, answers)
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        for p in self.enc.parameters():
            nn.init.normal_(p, std=0.4)  # its two layers are copies of one

    def first(self, x):
        return self.enc.layers[0](self.embed(x))

    def rest(self, h, x):
        return self.out(self.enc.layers[1](h).mean(dim=1))

    def forward(self, x):
        return self.out(self.enc(self.embed(x)).mean(dim=1))


class Attention(TwoPart):
    """Rows of numbers (b, 4, 4) through attention written by hand; value, inside a residual branch, gives (b, 4, 6)."""

    def __init__(self, answers=1):
        super().__init__()
        self.embed, self.query, self.key = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.value, self.out = nn.Linear(6, 6), nn.Linear(6, answers)

    def first(self, x):
        return self.value(self.embed(x))

    def rest(self, h, x):
        stream = self.embed(x)
        weights = torch.softmax(self.query(stream) @ self.key(stream).transpose(1, 2), dim=-1)
        return self.out(torch.tanh(stream + weights @ h)[:, -1])


def numbers(*shape):
    return lambda n: torch.randn(n, *shape, generator=torch.Generator().manual_seed(n))


def ids(n):
    return torch.randint(10, (n, 5), generator=torch.Generator().manual_seed(n))


# name: network, layer, position, inputs of a number; networks of one pass first
ONE_PASS = {
    "flat": (Mlp, "l2", None, numbers(16)),
    "flat, classes": (lambda: Mlp(answers=3), "l2", None, numbers(16)),
    "flat, one number": (lambda: Mlp(squeeze=True), "l2", None, numbers(16)),
    "image": (Conv, "c1", None, numbers(1, 4, 4)),
    "image, classes": (lambda: Conv(3), "c1", None, numbers(1, 4, 4)),
    "ReLU": (Activated, "act", None, numbers(16)),
    "tokens": (Encoder, "enc.layers.0", None, ids),
    "tokens, position 3": (Encoder, "enc.layers.0", 3, ids),
    "tokens, classes, position 0": (lambda: Encoder(3, norm_first=False), "enc.layers.0", 0, ids),
}
BY_PYVENE = {
    "residual": (Residual, "l2", None, numbers(16)),
    "batch size": (Resized, "l2", None, numbers(16)),
    "attention": (Attention, "value", None, numbers(4, 4)),
    "attention, position 2": (lambda: Attention(3), "value", 2, numbers(4, 4)),
}
NETWORKS = {**ONE_PASS, **BY_PYVENE}


def make(name, num_sources=1, size=2, double=True, seed=0):
    """A network of the table, wrapped, with 6 bases and their sources."""
    network, layer, position, inputs = NETWORKS[name]
    torch.manual_seed(seed)
    model = network().double() if double else network()
    X = inputs(6 * (1 + num_sources)).unflatten(0, (1 + num_sources, 6))
    X = X.double() if double and X.is_floating_point() else X
    return build_intervenable(model, layer, size, num_sources, example=X[0, :2], position=position), X[0], X[1:]


def gram_schmidt(raw):
    columns = []
    for column in raw.T:
        for q in columns:
            column = column - q * (q @ column)
        columns.append(column / column.norm())
    return torch.stack(columns, dim=1)


def as_direction(q, activations, position):
    """A direction as a pattern over one input's activations: (c, h, w) is numbered row by row, channels last."""
    if position is not None:
        pattern = torch.zeros_like(activations[0])
        return pattern.index_put((torch.tensor(position),), q)
    if activations.ndim == 4:
        c, h, w = activations.shape[1:]
        return q.view(h, w, c).permute(2, 0, 1)
    return q.view(activations.shape[1:])


def swap_by_hand(h, sources, basis, columns, position=None):
    """Activations (b, ...) with the coordinates along columns[i] from source i."""
    rows = []
    for b, row in enumerate(h):
        for source, chosen in zip(sources, columns):
            for q in basis.T[chosen]:
                pattern = as_direction(q, h, position)
                row = row + pattern * (pattern * (source[b] - row)).sum()
        rows.append(row)
    return torch.stack(rows)


def interchange_by_hand(model, X, sources, basis, columns, position=None):
    """Outputs of the network for bases X under the interchange."""
    return model.rest(swap_by_hand(model.first(X), [model.first(S) for S in sources], basis, columns, position), X)


def loss_by_hand(output, y):
    if output.ndim == 2 and output.shape[1] > 1:
        return F.cross_entropy(output, y.long())
    return F.binary_cross_entropy_with_logits(output.reshape(len(y)), y.to(output))


def own_columns(num_sources, size):
    return [list(range(i * size, (i + 1) * size)) for i in range(num_sources)]


def state(model):
    return copy.deepcopy(model.state_dict())


def unchanged(before, model):
    return all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def raw_rotation(intervenable):
    return get_intervention(intervenable).rotate_layer.parametrizations.weight.original
