"""Two causal models that give every image the same answer, by way of another intermediate variable each.

One adds circularity and color into S, and then area; the other adds color and area into S', and then circularity. Only
an intervention on the intermediate variable tells them apart.
"""
from dataclasses import dataclass

import numpy as np

from utils.ceiling_utils import shape_distribution
from utils.data_utils import MAX_COLOR, THRESHOLD, intervene_on_labels
from utils.validation import validate_labels

CANDIDATES: dict[str, list[list[int]]] = {
    "S": [[0, 1]], "S'": [[1, 2]], "circularity": [[0]], "color": [[1]], "area": [[2]]}
LIMIT = THRESHOLD / 0.4  # of the sum of the three variables


@dataclass(frozen=True)
class Chain:
    """A causal model that adds two variables into an intermediate one, and then the third.

    Attributes:
        name: of the intermediate variable.
        first: the two variables that are added first.
        last: the one that is added to their sum.
    """

    name: str
    first: tuple[int, int]
    last: int

    def intermediate(self, labels: np.ndarray) -> np.ndarray:
        """Labels (n, 3) to values (n,) of the intermediate variable, in [0, 2]."""
        return validate_labels(labels)[..., list(self.first)].sum(axis=-1)

    def answer(self, labels: np.ndarray, intermediate: np.ndarray | None = None) -> np.ndarray:
        """Answers (n,), 0.0 or 1.0, to labels (n, 3).

        Args:
            labels: (n, 3), each in [0, 1].
            intermediate: (n,), put in place of the intermediate variable's own values; None leaves it as it is.
        """
        value = self.intermediate(labels) if intermediate is None else np.asarray(intermediate, dtype=float)
        total = value + validate_labels(labels)[..., self.last]
        return (np.round(total, 9) > round(LIMIT, 9)).astype(np.float32)  # no matter which addition comes first

    def interchange(self, base: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Answers (n,) to bases (n, 3) whose intermediate variable comes from sources (n, 3)."""
        return self.answer(base, self.intermediate(source))

    def counterfactual(self, base: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Labels (n, 3) of an image that has the source's intermediate variable and the rest of the base."""
        return intervene_on_labels(base, source[None], [list(self.first)])


OWN, RIVAL = Chain("S", (0, 1), 2), Chain("S'", (1, 2), 0)
CHAINS = {chain.name: chain for chain in (OWN, RIVAL)}


def share_that_differ() -> float:
    """Share of interchanges of the intermediate variable to which the two causal models give different answers, exact.

    Base and source are drawn independently. Both models take the color from the source; one adds the source's
    circularity to the base's area, the other the base's circularity to the source's area. These two sums are
    independent and have one distribution, so that given the color they lie on two sides of the limit with probability
    2 p (1 - p). All values of the labels that the images can have are enumerated.
    """
    weights, circularity, _ = shape_distribution()
    shares = weights.sum(axis=0)
    by_circularity, by_area = shares.sum(axis=1), shares.sum(axis=0)
    sums = circularity[:, None] + np.arange(len(by_area)) / 100
    hundredths = np.arange(round(100 * MAX_COLOR) + 1)
    color_shares = np.where((hundredths == 0) | (hundredths == hundredths[-1]), 0.5, 1.0) / hundredths[-1]
    yes = [(np.round(sums + color, 9) > round(LIMIT, 9)) for color in hundredths / hundredths[-1]]
    p = np.array([by_circularity @ above @ by_area for above in yes])
    return float(color_shares @ (2 * p * (1 - p)))
