"""Trainable orthonormal directions."""
import math
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from utils.running.guard import without_autocast

MAX_CONDITION = 30.0  # Cholesky squares it, and float32 has seven digits
MANY = 512  # directions, from which on they start without being made orthonormal by the matrix they come from
SLOW_TO_FACTORIZE = {"mps"}  # kinds of device whose factorizations take 25 to 250 times as long as the CPU's


def factorize(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A tall and a small matrix whose product has orthonormal columns with the span of ``raw``: the Q of its QR
    decomposition, R's diagonal positive.

    By Cholesky, raw^T raw = L L^T and Q = raw L^-T: quicker than Householder's QR, as only the small triangle is
    inverted. Where the columns are nearly dependent that would lose digits, and QR does it.

    Args:
        raw: (n, m), n >= m.

    Returns:
        (n, m) and (m, m), differentiable.
    """
    with without_autocast(raw.device):
        half = raw.detach().T @ raw
        gram = 2 * half - half.detach()  # raw^T raw, whose factors bring the same gradient: one product for both
        if slow := raw.device.type in SLOW_TO_FACTORIZE:
            gram = gram.cpu()
        triangle, failed = torch.linalg.cholesky_ex(gram)
        identity = torch.eye(raw.shape[1], dtype=raw.dtype, device=gram.device)
        inverse = torch.linalg.solve_triangular(triangle, identity, upper=False)
        condition = triangle.detach().norm() * inverse.detach().norm() / raw.shape[1]
        if not failed and condition < MAX_CONDITION:  # False for nan, too
            return raw, inverse.T.to(raw.device)
        q, r = torch.linalg.qr(raw.cpu() if slow else raw)
        return q.to(raw.device), r.diagonal().sign().diag().to(raw.device)


def orthonormalize(raw: torch.Tensor) -> torch.Tensor:
    """Orthonormal columns with the span of a tall matrix (n, m), n >= m, as in ``factorize``."""
    with without_autocast(raw.device):
        tall, small = factorize(raw)
        return tall @ small


def draw_directions(n: int, m: int) -> torch.Tensor:
    """Random orthonormal columns (n, m), from torch's global stream.

    Many of them are m random columns of Hartley's matrix cos + sin, which are orthonormal as they are, each row with a
    random sign: n * m steps instead of n * m^2.
    """
    if m <= MANY:
        return orthonormalize(torch.randn(n, m, device="cpu", dtype=torch.float32))
    columns, signs = torch.randperm(n, device="cpu")[:m], torch.randint(2, (n, 1), device="cpu") * 2 - 1
    angles = torch.outer(torch.arange(n, device="cpu"), columns).remainder(n).float() * (2 * math.pi / n)
    return signs * (angles + math.pi / 4).sin_() * math.sqrt(2 / n)


class _Orthonormal(nn.Module):
    """Parametrization of an (n, m) matrix with orthonormal columns by a plain matrix."""

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return orthonormalize(raw)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        return weight


class RotateLayer(nn.Module):
    """Orthonormal directions in the columns of ``weight`` (n, m), trainable; maps (b, n) to (b, m)."""

    parametrizations: nn.ModuleDict

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(draw_directions(n, m))
        parametrize.register_parametrization(self, "weight", _Orthonormal(), unsafe=True)  # which saves a pass

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """``weight`` as a product of (n, m) and (m, m), not multiplied out."""
        weight = cast(parametrize.ParametrizationList, self.parametrizations["weight"])
        return factorize(weight.original)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (b, m) of activations (b, n)."""
        return x @ self.weight
