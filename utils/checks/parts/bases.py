"""Orthonormal directions made of a weight, as exercise 2.4 asks for them, and what can be wrong with them."""
import functools
from collections.abc import Callable

import numpy as np
import torch

from utils.checks.helpers import require
from utils.checks.parts.models import NetworkLearner
from utils.checks.tools.running import refuse, require_function, same
from utils.checks.tools.variants import as_numbers

_NO_GRADIENT = "No gradient reaches the weight: do it all in torch, without detach, data, numpy or no_grad."
_HINTS = {
    "numpy\\(\\)|requires grad": "numpy ends the gradient: do it all in torch, torch.linalg.qr.",
    "no attribute": "torch.linalg.qr(weight) gives Q and R.",
    "mode": "By default qr is reduced and gives both Q and R: torch.linalg.qr(weight).",
    "size|shape|dimension": "The weight is (d, k), with d >= k: its columns, of length d, are the directions.",
    "leaf|in-place|inplace": "The weight must not be changed in place: compute new columns from it.",
}


def _off_raw(weight: torch.Tensor) -> torch.Tensor:
    raw = weight.unbind(1)
    kept = [v - sum((v @ w) / (w @ w) * w for w in raw[:j]) for j, v in enumerate(raw)]
    return torch.stack([v / v.norm() for v in kept], dim=1)


_KNOWN: dict[str, Callable] = {  # what is no basis, by what is then wrong
    "Gram-Schmidt takes off the parts along the columns of the weight here, which are not orthogonal to one another: "
    "take off those along the new columns, finished before.": _off_raw,
    "The inverse of the Gram matrix is taken: orthonormal columns need its inverse square root.":
        lambda w: w @ torch.linalg.inv(w.T @ w),
    "The Gram matrix is taken without its inverse: orthonormal columns need its inverse square root.":
        lambda w: w @ (w.T @ w),
    "The Cholesky factor's inverse is not transposed: with W^T W = L L^T the columns are those of W (L^-1)^T.":
        lambda w: w @ torch.linalg.inv(torch.linalg.cholesky(w.T @ w)),
}


def _weights() -> list[torch.Tensor]:
    made = [torch.randn(d, k) for d, k in ((6, 3), (5, 1), (9, 5), (7, 2), (4, 4))]
    made[1], made[2], made[3] = 20 * made[1], made[2] * torch.tensor([5.0, 1, 0.1, 2, 1]), made[3] + 1
    return [weight.requires_grad_() for weight in made]


def require_bases(f: Callable) -> None:
    """Raise WrongAnswer unless ``f(weight (d, k))`` gives an orthonormal basis of the same space, differentiably."""
    require_function(f)
    for weight in _weights():
        d, k = weight.shape
        shape = f"with (d, k) = ({d}, {k})"
        before = weight.detach().clone()
        learner = NetworkLearner(functools.partial(f, weight), "orthonormal_directions(weight)", _HINTS, "the "
                "directions come from the weight, and from nothing else.")
        got = learner()
        require(same(before, weight.detach()) and weight.requires_grad and weight.grad is None, "Your function changes "
                "its argument `weight` in place (its values, its gradient or requires_grad): the optimizer trains it, "
                "so leave it as it is.")
        require(not isinstance(got, (tuple, list)), f"Your function returned a {type(got).__name__}: return one array, "
                                                    "Q alone; torch.linalg.qr gives Q and R.")
        array = as_numbers(got)
        require(array.shape != (d, d) or d == k, f"This is a full (d, d) matrix, {shape}: only k columns are wanted, "
                                                 "as from mode='reduced'.")
        turned = array.shape == (k, k) and k > 1 and np.allclose(array.T @ array, np.eye(k), atol=1e-3)
        require(not turned or d == k, f"The directions have length k = {k}, not d = {d}: was the weight transposed, or "
                                      "are these the other factor's?")
        require(array.shape != (k, k) or d == k, f"Your result has shape (k, k) = ({k}, {k}): of torch.linalg.qr's two "
                                                 "results, Q comes first, R second.")
        require(array.shape != (k, d) or d == k, f"Your result has shape {array.shape}, {shape}: the directions stand "
                                                 "in the columns, (d, k); is it transposed?")
        require(array.shape == (d, k), f"Your result has shape {array.shape}; (d, k) = ({d}, {k}) was expected" + (
            "." if (d, k) == (6, 3) else ", while (6, 3) was right: is a size written out?"))
        require(isinstance(got, torch.Tensor), _NO_GRADIENT)
        _require_orthonormal(torch.from_numpy(array).float(), before, shape)
        require(got.requires_grad, _NO_GRADIENT)
        _require_gradient(f, got, weight)
        require(torch.allclose(got.detach(), learner().detach(), atol=1e-4), "Called twice with the same weight, your "
                "function gives two results: is something random in it, or kept between calls?")


def _require_orthonormal(Q: torch.Tensor, weight: torch.Tensor, shape: str) -> None:
    lengths, k = Q.norm(dim=0), Q.shape[1]
    require(bool(torch.isfinite(Q).all()), f"The result holds NaN or infinite values, {shape}.")
    product = Q.T @ Q
    crossed = (product - torch.diag(product.diagonal())).abs().max().item() > 1e-3
    if not torch.allclose(product, torch.eye(k), atol=1e-3):
        for message, way in _KNOWN.items():
            require(k == 1 or not torch.allclose(Q, way(weight), atol=1e-3), message)
        require(not torch.allclose(Q, weight, atol=1e-5), "This is the weight itself: its columns are not orthonormal.")
        require(not torch.allclose(lengths, torch.ones(k), atol=1e-3), "The columns have length 1, but they are not "
                "orthogonal to one another.")
        require(crossed, "The columns are orthogonal, but their length is not 1: divide each by its own.")
        require(not torch.allclose(Q.norm(dim=1), torch.ones(len(Q)), atol=1e-3), "The rows have length 1, not the "
                "columns: the directions are the columns.")
        alike = torch.nn.functional.cosine_similarity(Q, weight, dim=0).abs() > 0.999
        require(not bool(alike.all()), "These are the columns of the weight, each or all made longer or shorter: they "
                                       "are not made orthogonal to one another.")
        require(not any(torch.allclose(m, 0 * m, atol=1e-4) for m in (Q.tril(-1), Q.triu(1))), "This is a triangular "
                "matrix, as the other factor of a decomposition: of torch.linalg.qr's results, Q comes first.")
        mixing = torch.linalg.lstsq(weight, Q).solution
        require(not torch.allclose(mixing.tril(-1), 0 * mixing, atol=1e-4) or not torch.allclose(
            weight @ mixing, Q, atol=1e-3), "Each column is made of those of the weight up to it, as by Gram-Schmidt, "
            "but the order is not right: take off its parts along the columns before, which must have length 1 by "
            "then, and only then divide it by its own length.")
        said = f"the first has length {lengths[0]:.3g}, and its product with another one is up to " + (
            f"{product[0, 1:].abs().max().item() if k > 1 else 0:.3g}. These should be 1 and 0.")
        require(not torch.allclose(weight @ mixing, Q, atol=1e-3), "The columns span the right space, but are not "
                f"orthonormal, {shape}: {said}")
        refuse(f"The columns are not orthonormal, {shape}: {said}")
    rest = weight - Q @ (Q.T @ weight)
    lost = rest.norm(dim=0) > 1e-3 * weight.norm(dim=0)
    first = f"The columns are orthonormal, but they span another space than those of the weight, {shape}"
    require(not lost.all() or (Q.T @ weight).abs().max().item() > 1e-3 * weight.abs().max().item(), f"{first}: they "
            "are orthogonal to it. Are these the wrong columns of the full decomposition?")
    require(not lost.any(), f"{first}: of its columns, {lost.nonzero().flatten().tolist()} are not in it. Take all of "
                            "the weight, signs and lengths included, as it is.")


def _require_gradient(f: Callable, got: torch.Tensor, weight: torch.Tensor) -> None:
    """The gradient that arrives is the derivative of what was computed."""
    mix, step = torch.randn_like(weight), torch.randn_like(weight)
    step = step / step.norm() * weight.detach().norm() * 1e-3
    try:
        grad = torch.autograd.grad((got * mix).sum(), weight, retain_graph=True, allow_unused=True)[0]
    except RuntimeError:
        grad = None
    require(grad is not None and bool(torch.isfinite(grad).all()) and bool(grad.any()), _NO_GRADIENT)
    assert grad is not None
    with torch.no_grad():
        high, low = ((f((weight + sign * step).clone()).double() * mix).sum() for sign in (1, -1))
    slope, wanted = (grad.double() * step).sum(), (high - low) / 2
    scale = max(abs(float(wanted)), 0.05 * float(grad.norm() * step.norm()))
    require(abs(float(slope - wanted)) < 0.1 * scale + 1e-5, "The values are right, but the gradient that reaches the "
                                                             "weight is not theirs: is a part detached, or passed on "
                                                             "straight through?")
