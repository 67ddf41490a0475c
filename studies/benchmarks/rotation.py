"""The rotation alone, forward and backward: orthonormal columns by Cholesky, as in utils, and by Householder's QR."""
from collections.abc import Callable
from functools import partial

import torch

from studies.benchmarks.timing import median_ratio, save, take_turns
from utils.interventions.rotation import orthonormalize

SIZES = ((12_544, 16), (12_544, 64), (12_544, 128), (3_136, 64))  # neurons of conv1 and conv3, directions
ROUNDS = 30


def by_householder(raw: torch.Tensor) -> torch.Tensor:
    """What ``orthonormalize`` computes, by LAPACK's QR."""
    q, r = torch.linalg.qr(raw)
    return q * r.diagonal().sign()


def householder_factors(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same in the form of ``factorize``."""
    return by_householder(raw), torch.eye(raw.shape[1])


def differentiate(way: Callable[[torch.Tensor], torch.Tensor], raw: torch.Tensor, gradient: torch.Tensor) -> None:
    """Forward and backward."""
    torch.autograd.grad(way(raw), raw, gradient)


WAYS = {"Cholesky": orthonormalize, "Householder": by_householder}


def main() -> None:
    """Time both in turns and write results/rotation.json."""
    timings: dict[str, list[float]] = {}
    facts: dict[str, dict] = {}
    for neurons, directions in SIZES:
        torch.manual_seed(0)
        raw, gradient = torch.randn(neurons, directions, requires_grad=True), torch.randn(neurons, directions)
        torch.testing.assert_close(*(way(raw) for way in WAYS.values()), atol=1e-5, rtol=0)
        found = take_turns({name: partial(differentiate, way, raw, gradient) for name, way in WAYS.items()}, ROUNDS)
        for way, values in found.items():
            name = f"rotation, {way}, {neurons} x {directions}"
            timings[name] = values
            facts[name] = {"way": way, "neurons": neurons, "directions": directions}
        ratio = median_ratio(found["Householder"], found["Cholesky"])
        print(f"{neurons} x {directions}: Householder takes {ratio:.1f} times as long")
    save("rotation", timings, facts)


if __name__ == "__main__":
    main()
