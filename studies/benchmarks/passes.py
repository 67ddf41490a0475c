"""What it buys to hand pyvene the sources' activations, where it would run each source through the whole network."""
import torch
from torch.nn.utils import parametrize

from studies.benchmarks.steps import BATCH, make_ours, make_pool, time_fit
from studies.benchmarks.timing import save, take_turns
from studies.benchmarks.ways import by_hand, by_stock
from utils.das_utils import iit_predict
from utils.interventions.build import own_subspaces
from utils.interventions.rotated_space import pv

DIRECTIONS, SOURCES = 16, 3
ROUNDS = 15


@torch.no_grad()
def predict_by_pyvene(intervenable: pv.IntervenableModel, X: torch.Tensor, S: torch.Tensor) -> torch.Tensor:
    """Probabilities (n,) for bases (n, 1, 28, 28) and sources (k, n, 1, 28, 28), all passes made by pyvene."""
    with parametrize.cached():
        return intervenable({"x": X}, [{"x": s} for s in S], subspaces=own_subspaces(intervenable, len(X)))[1][:, 0]


def main() -> None:
    """Time a training step and an evaluation both ways, in turns, and write results/passes.json."""
    pool = make_pool(SOURCES)
    ours, theirs = make_ours(DIRECTIONS, SOURCES), make_ours(DIRECTIONS, SOURCES)
    step = by_stock(theirs, pool, BATCH)

    def cached_step() -> float:
        with parametrize.cached():  # one QR a step, as in utils: only the passes differ
            return step()

    others = {"by hand": by_hand(ours, pool, BATCH), "pyvene runs the sources": cached_step}
    steps, losses = time_fit(ours, pool, ROUNDS, others)
    if not max(abs(first - losses["utils"][0]) for first in (v[0] for v in losses.values())) < 1e-4:
        raise RuntimeError(f"the ways compute other losses: { {name: v[0] for name, v in losses.items()} }")
    images = torch.from_numpy(pool.images)
    X, S = images[:512], images[512:512 * (1 + SOURCES)].view(SOURCES, 512, 1, 28, 28)
    fixed = make_ours(DIRECTIONS, SOURCES)
    torch.testing.assert_close(iit_predict(fixed, X, S), predict_by_pyvene(fixed, X, S), atol=1e-5, rtol=1e-5)
    answers = take_turns({"utils": lambda: iit_predict(fixed, X, S),
                          "pyvene runs the sources": lambda: predict_by_pyvene(fixed, X, S)}, ROUNDS)
    timings = {f"training step, {name}": values for name, values in steps.items()}
    timings |= {f"512 answers, {name}": values for name, values in answers.items()}
    save("passes", timings, {})


if __name__ == "__main__":
    main()
