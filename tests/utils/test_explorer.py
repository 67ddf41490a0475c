"""The explorer: what it shows is what the measures of the series compute, and its controls reach it."""
import base64
import io

import ipywidgets
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from utils.das_utils import build_intervenable, iit_predict
from utils.data_utils import causal_model, create_dataset, render_images
from utils.explorer.widget import START, Explorer, SliderNames
from utils.explorer.picture import describe
from utils.explorer.view import Aligned, Plane, fix_rotation, look
from utils.interventions.build import get_coordinates
from utils.model_utils import PyTorchCNN, predict

CASES = {"one": ("conv1", 8, [[0, 1]]), "two": ("conv2", 4, [[0], [1]]), "three": ("fc1", 1, [[0], [1], [2]])}


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    made = {name: {layer: Aligned(build_intervenable(PyTorchCNN(), layer, size, len(groups)), groups)}
            for name, (layer, size, groups) in CASES.items()}
    made["two"]["fc1"] = Aligned(build_intervenable(PyTorchCNN(), "fc1", 1, 2), [[2], [0]])
    return made


@pytest.fixture(scope="module")
def background():
    return create_dataset(60, seed=0)[0]


@pytest.fixture
def explorer(networks, background):
    return Explorer(networks, background)


def tensor(labels):
    return torch.from_numpy(render_images(labels))[:, None]


@pytest.mark.parametrize("name", CASES)
def test_a_view_is_what_iit_predict_computes(networks, name):
    layer, _, groups = CASES[name]
    aligned, k = networks[name][layer], len(groups)
    labels = np.random.default_rng(1).uniform(size=(1 + k, 3))
    view = look(aligned, labels, [True] * k)
    X = tensor(labels)
    wanted = iit_predict(aligned.intervenable, X[:1], X[1:][:, None])
    assert view.swapped == pytest.approx(wanted.item(), abs=1e-5)
    assert view.plain == pytest.approx(predict(aligned.intervenable.model, X[:1]).item(), abs=1e-5)
    target = labels[0].copy()
    for source, group in zip(labels[1:], groups):
        target[group] = source[group]
    np.testing.assert_allclose(view.labels, [*labels, target])
    np.testing.assert_array_equal(view.answers, causal_model(view.labels))
    np.testing.assert_array_equal(view.images, render_images(view.labels))
    np.testing.assert_allclose(view.coordinates[:-1], get_coordinates(aligned.intervenable, X), atol=1e-4)


def test_only_what_is_chosen_is_swapped(networks):
    aligned, labels = networks["three"]["fc1"], START
    nothing = look(aligned, labels, [False] * 3)
    assert nothing.swapped == pytest.approx(nothing.plain, abs=1e-6)
    np.testing.assert_allclose(nothing.labels[-1], labels[0])
    np.testing.assert_allclose(nothing.coordinates[-1], nothing.coordinates[0])
    color = look(aligned, labels, [False, True, False])
    np.testing.assert_allclose(color.labels[-1], [labels[0, 0], labels[2, 1], labels[0, 2]])
    np.testing.assert_allclose(color.coordinates[-1], [*color.coordinates[0, :1], color.coordinates[2, 1],
                                                       color.coordinates[0, 2]])


@pytest.mark.parametrize("labels, chosen, message", [
    (START[:2], [True] * 3, "shape"), (START, [True], "chosen"), (START + 1, [True] * 3, r"\[0, 1\]")])
def test_look_refuses_what_does_not_fit(networks, labels, chosen, message):
    with pytest.raises(ValueError, match=message):
        look(networks["three"]["fc1"], labels, chosen)


def test_a_fixed_rotation_gives_the_same_answers(networks):
    for layers in networks.values():
        for aligned in layers.values():
            k = len(aligned.groups)
            views = [look(a, START[:1 + k], [True] * k) for a in (aligned, fix_rotation(aligned))]
            assert views[0].swapped == pytest.approx(views[1].swapped, abs=1e-5)


def test_groups_must_fit_the_interventions(networks):
    with pytest.raises(ValueError, match="groups must name the variables of each of 3"):
        Aligned(networks["three"]["fc1"].intervenable, [[0], [1]])


def test_the_plane_holds_most_of_what_varies(networks, background):
    X = torch.from_numpy(background)[:, None]
    aligned = networks["one"]["conv1"]
    coordinates = get_coordinates(aligned.intervenable, X).numpy()
    plane = Plane(coordinates, aligned)
    values = np.linalg.svd(coordinates - coordinates.mean(axis=0), compute_uv=False) ** 2
    assert plane.background.var(axis=0).sum() * len(background) == pytest.approx(values[:2].sum(), rel=1e-3)
    assert plane.names == ["subspace of {circularity, color}, axis 1", "subspace of {circularity, color}, axis 2"]


def test_every_control_changes_what_is_shown(explorer):
    for network, (layer, _, groups) in CASES.items():
        explorer.network.value = network
        assert explorer.layer.value == layer
        controls = [slider for sliders in explorer.sliders[:1 + len(groups)] for slider in sliders]
        for control in controls:
            before = explorer.picture.value
            control.value = 1 - control.value
            assert explorer.picture.value != before
        for swap in explorer.swaps[:len(groups)]:
            before = explorer.words.value
            swap.value = not swap.value
            assert explorer.words.value != before
    explorer.network.value = "two"
    explorer.layer.value = "fc1"
    assert [swap.description for swap in explorer.swaps[:2]] == ["{area}", "{circularity}"]
    assert explorer.swaps[2].layout.display == "none"


def test_the_words_say_what_the_bars_show(explorer):
    aligned, k = explorer._current()[0], 1
    view, words = explorer.view(), explorer.words.value
    assert describe(view, aligned.groups, [True] * k) in words and f"{view.swapped:.2f}" in words
    assert f'alt="{describe(view, aligned.groups, [True])}"' in explorer.picture.value
    explorer.swaps[0].value = False
    assert "nothing interchanged" in explorer.words.value


def test_the_tiles_make_up_the_picture_and_are_described(explorer):
    for network, (_, _, groups) in CASES.items():
        explorer.network.value = network
        k, tiles = len(groups), BeautifulSoup(explorer.picture.value, "html.parser").select("img")
        images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(tile["src"].partition(",")[2])))) for tile in tiles]
        whole = np.concatenate([np.concatenate(row, axis=1) for row in (images[:k + 2], images[k + 2:])])
        stored = Image.open(io.BytesIO(base64.b64decode(explorer._repr_mimebundle_()[0]["image/png"])))
        np.testing.assert_array_equal(whole, np.asarray(stored))
        assert tiles[0]["alt"] == "base: circularity 0.20, color 0.30, area 0.80, weighted sum 0.520, answer 0"
        assert len({tile["alt"] for tile in tiles}) == k + 4


def test_a_stored_page_shows_a_picture(explorer):
    bundle, metadata = explorer._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.width >= 800 and len(picture.getcolors(1 << 20)) > 20
    assert "application/vnd.jupyter.widget-view+json" in bundle
    text, words = bundle["text/plain"], BeautifulSoup(explorer.words.value, "html.parser").get_text()
    assert metadata == {"image/png": {"alt": words}}
    assert " ".join(text.split()) == words and max(map(len, text.splitlines())) <= 100


def test_bad_choices_are_refused(networks, background):
    with pytest.raises(ValueError, match="network must be one of"):
        Explorer(networks, background, network="none")
    with pytest.raises(ValueError, match="at least one"):
        Explorer({}, background)
    with pytest.raises(ValueError, match="images must have shape"):
        Explorer(networks, background[:, :14])


def test_all_controls_have_a_name(explorer):
    def walk(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from walk(child)

    controls = [w for w in walk(explorer.widget) if isinstance(w, (ipywidgets.FloatSlider, ipywidgets.Dropdown))]
    assert len(controls) == 2 + 12 and all(control.description for control in controls)
    names = next(widget.names for widget in walk(explorer.widget) if isinstance(widget, SliderNames))
    assert len(names) == 12 and names[:4] == ["circularity of the base", "color of the base", "area of the base",
                                              "circularity of the source of {circularity, color}"]
