"""Networks that IIT trains for one of two causal models, and what DAS finds in each."""
import numpy as np
import torch

from studies.controls.subspaces import outputs_at, principal_components
from studies.recipes import Recipe, base_cnn, measure_behavior
from studies.rivals.causal import CANDIDATES, CHAINS
from utils.counterfactual_data_utils import PairPool
from utils.das_utils import das_train, iit_predict, iit_train
from utils.data_utils import causal_model
from utils.interventions.build import get_intervention
from utils.interventions.rotated_space import pv
from utils.measure_utils import Score, score_alignment
from utils.measures.response import dose_response, slope_and_correlation
from utils.model_utils import PyTorchCNN, predict, train

BEHAVIOR = "behavior alone"
IIT = {name: Recipe(tuple(map(tuple, CANDIDATES[name])), "fc1", 1, num_steps=1000) for name in CHAINS}
DAS = {"num_steps": 150, "lr": 0.05, "batch_size": 128}
RANDOM, PAIRS, CONTROL_PAIRS, DOSE_PAIRS = 5, 10_000, 2_000, 2_000
TELLING_PAIRS, SHOWN_PAIRS = 2_000, 3  # of which only one causal model changes its answer
Data = tuple[np.ndarray, np.ndarray]


def train_for(name: str, seed: int, data: Data) -> pv.IntervenableModel:
    """IIT of the seed's base network for one of the two causal models, at fc1 with one direction."""
    recipe = IIT[name]
    intervenable = recipe.build(base_cnn(seed), seed)
    iit_train(intervenable, pool=PairPool(*data, CANDIDATES[name]), seed=seed, **recipe.training())
    return intervenable


def train_on(seed: int, data: Data) -> PyTorchCNN:
    """As many steps of the same base network on the answers alone, but for what is left of a whole epoch."""
    images, labels = data
    recipe, model = IIT["S"], base_cnn(seed)
    epochs = -(-recipe.num_steps * recipe.batch_size // len(images))
    n = recipe.num_steps // epochs * recipe.batch_size
    train(model, torch.from_numpy(images[:n])[:, None], torch.from_numpy(causal_model(labels[:n])), lr=recipe.lr,
          num_epochs=epochs, batch_size=recipe.batch_size, seed=seed)
    return model


def place(model: PyTorchCNN, layer: str = "fc1", directions: int = 1, seed: int = 0) -> pv.IntervenableModel:
    """A network with random directions at a layer, for one source."""
    return Recipe(((0,),), layer, directions, num_steps=1).build(model, seed)


def find(model: PyTorchCNN, name: str, data: Data, layer: str = "fc1", directions: int = 1, seed: int = 100,
         **settings) -> pv.IntervenableModel:
    """DAS for one of ``CANDIDATES`` in a network as it is; ``settings`` in place of those of ``DAS``."""
    intervenable = place(model, layer, directions, seed)
    das_train(intervenable, pool=PairPool(*data, CANDIDATES[name]), seed=seed, **(DAS | settings))
    return intervenable


def principal(model: PyTorchCNN, images: np.ndarray, layer: str = "fc1", directions: int = 1) -> pv.IntervenableModel:
    """The first principal components of a layer's output, over the first 2,000 images, in place of learned ones."""
    intervenable = place(model, layer, directions)
    outputs = outputs_at(model, layer, torch.from_numpy(images[:2000]).reshape(-1, 1, 28, 28))
    get_intervention(intervenable).rotate_layer.weight = principal_components(outputs, directions).contiguous()  # type: ignore[assignment]
    return intervenable


def score(intervenable: pv.IntervenableModel, name: str, test: Data, n: int | None = None) -> Score:
    """Held-out score for one of ``CANDIDATES``, on ``PAIRS`` pairs or on ``n``."""
    return score_alignment(intervenable, *test, CANDIDATES[name], n=PAIRS if n is None else n, n_discriminating=0)


def slide(intervenable: pv.IntervenableModel, name: str, test: Data) -> tuple[np.ndarray, np.ndarray, float]:
    """Dose-response along the intermediate variable of one of the two causal models: where it flips, where the network
    flips, both as values of the variable in [0, 2], and the share of pairs that are left, as in ``dose_response``."""
    chain, (images, labels) = CHAINS[name], test
    values = np.column_stack([chain.intermediate(labels), labels[:, chain.last]])
    return dose_response(intervenable, images.reshape(-1, 1, 28, 28), values, block=0, variable=0, n=DOSE_PAIRS,
                         causal_model=lambda z: causal_model(np.column_stack([z[:, 0] / 2, z[:, 0] / 2, z[:, 1]])))


def telling_pairs(labels: np.ndarray, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """For "S" and for "S'" indices (2, n) of bases and sources, drawn at random out of images with labels (m, 3), to
    which only that causal model changes its answer when its intermediate variable comes from the source."""
    rows = np.random.default_rng(seed).integers(len(labels), size=(2, 12 * n))
    base, source = labels[rows]
    changes = {name: chain.interchange(base, source) != chain.answer(base) for name, chain in CHAINS.items()}
    alone = {"S": changes["S"] & ~changes["S'"], "S'": changes["S'"] & ~changes["S"]}
    return {name: rows[:, here][:, :n] for name, here in alone.items()}


def ask_pairs(intervenable: pv.IntervenableModel, images: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Probabilities (2, n) of answer 1 to the bases as they are, and with the subspace from the sources, for images
    (m, 28, 28) and pairs (2, n) of indices."""
    bases, sources = torch.from_numpy(images).reshape(-1, 1, 28, 28)[pairs]
    swapped = iit_predict(intervenable, bases, sources[None])
    return np.stack([predict(intervenable.model, bases).numpy(), swapped.numpy()])


def measure(model: PyTorchCNN, data: Data, test: Data, seed: int) -> dict[str, float]:
    """What DAS and its controls reach in a network for each candidate, and the network's behavior."""
    figures = {"behavior": measure_behavior(model, *test)}
    first = principal(model, data[0])
    drawn = [place(model, seed=1000 + seed * RANDOM + i) for i in range(RANDOM)]
    for name in CANDIDATES:
        found = score(find(model, name, data, seed=100 + seed), name, test)
        figures |= {f"{name}: DAS": found.normalized_iia, f"{name}: DAS iia": found.iia,
                    f"{name}: principal component": score(first, name, test, CONTROL_PAIRS).normalized_iia}
        random = [score(one, name, test, CONTROL_PAIRS).normalized_iia for one in drawn]
        figures |= {f"{name}: random, mean": float(np.mean(random)), f"{name}: random, best": max(random)}
    return figures


def run_matrix(seed: int, data: Data, test: Data) -> dict[str, float]:
    """Three networks from one start: IIT for S, for S', and behavior alone."""
    figures: dict[str, float] = {}
    telling = telling_pairs(test[1], TELLING_PAIRS)
    for name in (*CHAINS, BEHAVIOR):
        trained = train_for(name, seed, data) if name in CHAINS else None
        model = trained.model if trained else train_on(seed, data)
        found = {f"{name} | {key}": value for key, value in measure(model, data, test, seed).items()}
        for other in CHAINS:
            aligned = find(model, other, data, seed=100 + seed) if name != other or trained is None else trained
            causal, network, share = slide(aligned, other, test)
            slope, fit = slope_and_correlation(causal, network)
            found |= {f"{name} | {other}: dose slope": slope, f"{name} | {other}: dose correlation": fit,
                      f"{name} | {other}: dose share": share}
            if trained and name != other:
                continue
            for only, pairs in telling.items():
                before, after = ask_pairs(aligned, test[0], pairs)
                key = f"{name} | {other}: only {only} changes"
                found |= {f"{key}, share": float(((before > 0.5) != (after > 0.5)).mean())}
                found |= {f"{key}, pair {i} {when}": float(p[i]) for when, p in (("before", before), ("after", after))
                          for i in range(SHOWN_PAIRS)}
        if trained:
            found[f"{name} | own direction"] = score(trained, name, test).normalized_iia
        figures |= found
    return figures
