"""The explorer's page: what it computes is what PyTorch does, it shows what the widget shows, and all can use it."""
import base64
import re

import numpy as np
import pytest
import torch
from browser_helpers import barriers, open_tab
from bs4 import BeautifulSoup
from conftest import ROOT

from book.export import BACKGROUND, export_network, export_weights, write_networks
from studies.recipes import TEST_SEED
from utils.checkpoint_utils import BASE_CNN, load_checkpoint
from utils.data_utils import COEFFICIENTS, THRESHOLD, VARIABLE_NAMES, causal_model, create_dataset, render_images
from utils.explorer.picture import describe
from utils.explorer.view import Aligned, fix_rotation, look
from utils.explorer.widget import START, TITLES, Explorer, load_networks
from utils.interventions.build import build_intervenable, get_intervention
from utils.interventions.passes import interchange
from utils.model_utils import ask

N, NUMBER = 1000, re.compile(r"-?\d+\.\d+")
SHOWN = [(title, layer) for title in [*TITLES.values(), "base CNN, directions by DAS"]
         for layer in (["conv1", "conv2", "conv3", "fc1"] if title.startswith("base") else [None])]
SETUP = """() => { window.net = (title, layer) => explorerNetwork.load(
  explorerData, explorerData.networks.find(n => n.title === title && (!layer || n.layer === layer))); }"""
PAINT = """({labels, turned}) => {
  const images = labels.map((z, j) => explorerNetwork.paint(z, explorerData.ranges, turned[j]));
  const bytes = new Uint8Array(Float32Array.from(images.flatMap(image => [...image])).buffer);
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""
ANSWER = """({title, layer, labels, turned, pairs, chosen}) => {
  const {paint, encode, answer, multiply, swap} = explorerNetwork, network = net(title, layer);
  const outputs = labels.map((z, j) => encode(network, paint(z, explorerData.ranges, turned[j])));
  const coordinates = outputs.map(output => multiply(output, network.rotation));
  const swapped = pairs.map(([base, ...sources], j) => answer(network, swap(
    network, outputs[base], sources.map(i => coordinates[i]), chosen[j])));
  return {plain: outputs.map(output => answer(network, output)), swapped};
}"""
LOOK = """({title, layer, labels, chosen, own, weights}) => {
  const network = own ? explorerNetwork.load({...explorerData, weights}, own) : net(title, layer);
  const view = explorerNetwork.look(network, labels, chosen);
  const points = view.coordinates.map(coordinates => explorerNetwork.project(network, coordinates));
  return {...view, coordinates: view.coordinates.map(c => [...c]), images: view.images.map(i => [...i]), points};
}"""
STICKING_OUT = """() => [...document.querySelectorAll(".explorer :is(text, canvas, input, select, li, figcaption, b)")]
  .filter(e => { const box = e.getBoundingClientRect(), all = (e.ownerSVGElement ?? document.body)
    .getBoundingClientRect(); return box.left < all.left - 2 || box.right > all.right + 2 || box.top < all.top - 2
    || box.bottom > all.bottom + 2; })
  .map(e => e.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def networks():
    """(title, layer or None for its only one) -> network, for all that ship."""
    shipped = {(title, layer): fix_rotation(aligned) for title, layers in load_networks().items()
               for layer, aligned in layers.items()}
    return {(title, layer): next(aligned for (name, at), aligned in shipped.items()
                                 if name == title and layer in (at, None)) for title, layer in SHOWN}


@pytest.fixture(scope="module")
def script(browser, tmp_path_factory):
    """A bare tab with the page's networks and arithmetic."""
    folder = tmp_path_factory.mktemp("networks")
    write_networks(folder / "networks.js")
    tab, wrong = open_tab(browser)
    tab.add_script_tag(path=folder / "networks.js")
    tab.add_script_tag(path=ROOT / "book" / "_static" / "explorer-network.js")
    tab.evaluate(SETUP)
    yield tab
    tab.close()
    assert not wrong


@pytest.fixture
def page(book, browser):
    """Opens the page from the disk in a browser that is offline."""
    tabs = []

    def open_it(width=1400, scheme="light"):
        tab, wrong = open_tab(browser, width, scheme=scheme)
        tab.context.set_offline(True)
        tab.on("request", lambda request: asked.append(request.url))
        asked = []
        tabs.append((tab, wrong, asked))
        tab.goto((book / "book" / "explorer.html").as_uri())
        tab.wait_for_selector(".explorer canvas")
        return tab

    yield open_it
    for tab, wrong, asked in tabs:
        assert not wrong and all(address.startswith((book.as_uri(), "data:")) for address in asked), asked
        tab.close()


def draw(seed, n=N):
    """Labels (n, 3), half of them such as the sliders have, and turns (n,)."""
    rng = np.random.default_rng(seed)
    labels = rng.uniform(size=(n, 3))
    labels[::2] = np.round(labels[::2], 2)
    return labels, rng.uniform(size=n) < 0.5


def test_the_painter_paints_to_the_pixel(script):
    labels, turned = draw(1, 4 * N)
    grid = np.stack(np.meshgrid(np.arange(101), [30], [0, 7, 50, 93, 100], indexing="ij"), -1).reshape(-1, 3) / 100
    labels, turned = np.concatenate([labels, grid]), np.append(turned, np.arange(len(grid)) % 2 == 0)
    painted = script.evaluate(PAINT, {"labels": labels.tolist(), "turned": turned.tolist()})
    painted = np.frombuffer(base64.b64decode(painted), dtype="<f4").reshape(-1, 28, 28)
    np.testing.assert_array_equal(painted, render_images(labels, turned))


def answer_by_pytorch(aligned, X, pairs, chosen, dtype):
    """Logits of images, and of pairs with the chosen subspaces interchanged, computed in float32 or float64."""
    model, k = aligned.intervenable.model.to(dtype), len(aligned.groups)
    get_intervention(aligned.intervenable).to(dtype)
    X, subspaces = X.to(dtype), [[[i] if on else [] for on in chosen[:, i]] for i in range(k)]
    with torch.no_grad():
        swapped = interchange(aligned.intervenable, X[pairs[:, 0]], [X[pairs[:, 1 + i]] for i in range(k)], subspaces)
    return {"plain": ask(model, X).double(), "swapped": swapped.double()}


@pytest.mark.parametrize("title, layer", SHOWN, ids=str)
def test_the_answers_are_those_of_pytorch(script, networks, title, layer):
    """Of 1,000 images, and of as many pairs under interchanges of every choice of subspaces. The page computes in
    float64; in float32 PyTorch's own logits are up to 1e-4 beside what they are in float64."""
    aligned, (labels, turned), rng = networks[title, layer], draw(2), np.random.default_rng(3)
    k = len(aligned.groups)
    pairs, chosen = rng.integers(0, N, (N, 1 + k)), rng.uniform(size=(N, k)) < 0.7
    found = script.evaluate(ANSWER, {"title": title, "layer": layer, "labels": labels.tolist(),
                                     "turned": turned.tolist(), "pairs": pairs.tolist(), "chosen": chosen.tolist()})
    X = torch.from_numpy(render_images(labels, turned))[:, None]
    exact, usual = (answer_by_pytorch(aligned, X, pairs, chosen, dtype) for dtype in (torch.float64, torch.float32))
    for name in ("plain", "swapped"):
        logits = torch.tensor(found[name], dtype=torch.float64)
        by_logit = (logits - exact[name]).abs().max().item()
        by_probability = (logits.sigmoid() - usual[name].sigmoid()).abs().max().item()
        print(f"{title}, {layer}, {name}: greatest difference {by_logit:.1e} in the logit, "
              f"{by_probability:.1e} in the probability")
        assert by_logit < 1e-6 and by_probability < 1e-4
        assert 0.1 < (logits > 0).double().mean() < 0.9, "the answers differ"


@pytest.mark.parametrize("title, layer", SHOWN, ids=str)
def test_a_view_is_that_of_the_widget(script, networks, title, layer):
    aligned, rng = networks[title, layer], np.random.default_rng(4)
    k = len(aligned.groups)
    for _ in range(10):
        labels, chosen = np.round(rng.uniform(size=(1 + k, 3)), 2), (rng.uniform(size=k) < 0.6).tolist()
        wanted = look(aligned, labels, chosen)
        found = script.evaluate(LOOK, {"title": title, "layer": layer, "labels": labels.tolist(), "chosen": chosen})
        np.testing.assert_allclose(found["labels"], wanted.labels)
        np.testing.assert_array_equal(np.float32(found["images"]).reshape(-1, 28, 28), wanted.images)
        clear = np.abs(wanted.labels @ COEFFICIENTS - THRESHOLD) > 1e-9  # on it, rounding decides numpy's answer
        np.testing.assert_array_equal(np.array(found["answers"])[clear], wanted.answers[clear])
        np.testing.assert_allclose(found["coordinates"], wanted.coordinates, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose([found["plain"], found["swapped"]], [wanted.plain, wanted.swapped], atol=1e-4)


def test_a_network_of_any_size_can_be_exported(script):
    """Nothing depends on the sizes of those that ship."""
    aligned = Aligned(build_intervenable(load_checkpoint(BASE_CNN)[0], "conv3", 300, 2), [[2], [0, 1]])
    get_intervention(aligned.intervenable).subspace_partition = [[*range(20, 600)], [*range(20)][::-1]]
    labels, chosen = np.array([[0.5, 0.5, 0.49], *START[:2]]), [True, False]
    view = look(aligned, labels, chosen)
    own = {**export_network(aligned, render_images(draw(5, 9)[0])), "title": "own", "layer": "conv3", "weights": 0}
    found = script.evaluate(LOOK, {"labels": labels.tolist(), "chosen": chosen, "own": own,
                                   "weights": [export_weights(aligned.intervenable.model)]})
    np.testing.assert_allclose([found["plain"], found["swapped"]], [view.plain, view.swapped], atol=1e-5)
    np.testing.assert_allclose(found["coordinates"], view.coordinates, rtol=1e-4, atol=1e-3)
    assert abs(view.plain - view.swapped) > 0.01


def test_the_causal_model_is_that_of_the_series(script):
    """On the threshold rounding decides, as in a sum in Python: 0.4 * 0.5 three times is 0.6000000000000001."""
    labels = np.stack(np.meshgrid(*[np.arange(0, 101, 2)] * 3), -1).reshape(-1, 3) / 100
    found = np.array(script.evaluate("labels => labels.map(z => explorerNetwork.judge(explorerData, z))",
                                     labels.tolist()))
    wanted = [sum(c * z for c, z in zip(COEFFICIENTS, row)) > THRESHOLD for row in labels.tolist()]
    np.testing.assert_array_equal(found, wanted)
    clear, middle = np.abs(labels @ COEFFICIENTS - THRESHOLD) > 1e-9, (labels == 0.5).all(axis=1)
    np.testing.assert_array_equal(found[clear], causal_model(labels)[clear])
    assert 0.9 < clear.mean() < 1 and 0 < found[~clear].mean() < 1
    assert found[middle] == causal_model(labels[middle]) == 1


def test_the_page_shows_what_the_widget_shows(page, networks):
    tab = page()
    assert tab.locator("select.network").input_value() == "three-source IIT"
    images = create_dataset(BACKGROUND, seed=TEST_SEED)[0]
    for title, layer in SHOWN:
        aligned = networks[title, layer]
        k, widget = len(aligned.groups), Explorer({title: {layer or "its only": aligned}}, images)
        tab.get_by_label("network", exact=True).select_option(title)
        if layer:
            tab.get_by_label("layer", exact=True).select_option(layer)
        view = look(aligned, START[:1 + k], [True] * k)
        assert tab.get_by_role("status").inner_text() == describe(view, aligned.groups, [True] * k)
        told = [tile["alt"] for tile in BeautifulSoup(widget.picture.value, "html.parser").select("img")]
        shown = tab.locator(".pictures [aria-label]").evaluate_all("all => all.map(e => e.ariaLabel)")
        assert [NUMBER.sub("#", text) for text in shown] == [NUMBER.sub("#", text) for text in told]
        found, wanted = (np.float64(NUMBER.findall(" ".join(texts))) for texts in (shown, told))
        np.testing.assert_allclose(found, wanted, atol=0.101)
        canvases = tab.locator(".explorer canvas")
        pixels = canvases.evaluate_all("all => all.map(e => [...e.getContext('2d').getImageData(0, 0, 28, 28).data])")
        shown = np.array(pixels).reshape(2 + k, 28, 28, 4)
        np.testing.assert_allclose(shown[..., :3], np.repeat(255 * view.images[..., None], 3, axis=3), atol=0.6)
        assert (shown[..., 3] == 255).all()
        assert canvases.first.get_attribute("aria-label") == (
            "base: circularity 0.20, color 0.30, area 0.80, weighted sum 0.520, answer 0")
        assert not tab.evaluate(STICKING_OUT)


def focus_is_seen(tab):
    return tab.evaluate("(({outlineStyle, outlineWidth}) => outlineStyle === 'solid' && outlineWidth === '3px')("
                        "getComputedStyle(document.activeElement))")


def test_every_control_is_reached_and_moved_by_keyboard(page, networks):
    tab, aligned = page(), networks["three-source IIT", None]
    labels, chosen = START.copy(), [True] * 3
    tab.get_by_label("network", exact=True).focus()
    tab.keyboard.press("Tab")
    assert focus_is_seen(tab)
    for i in range(3):
        tab.keyboard.press("Tab")
        assert focus_is_seen(tab)
        tab.keyboard.press("Space")
        chosen[i] = False
        assert tab.get_by_role("status").inner_text() == describe(look(aligned, labels, chosen), aligned.groups, chosen)
    tab.keyboard.press("Space")
    chosen[2] = True
    for i, group in enumerate(["base", "source of {circularity}", "source of {color}", "source of {area}"]):
        for v, variable in enumerate(VARIABLE_NAMES):
            tab.keyboard.press("Tab")
            slider = tab.get_by_role("group", name=group, exact=True).get_by_role("slider", name=variable, exact=True)
            assert slider.evaluate("e => e === document.activeElement") and focus_is_seen(tab)
            for key, value in (("ArrowRight", labels[i, v] + 0.01), ("End", 1.0), ("Home", 0.0),
                               ("ArrowRight", 0.01)):
                tab.keyboard.press(key)
                assert float(slider.input_value()) == pytest.approx(value)
            labels[i, v] = 0.01
            words = describe(look(aligned, labels, chosen), aligned.groups, chosen)
            assert tab.get_by_role("status").inner_text() == words
    tab.get_by_label("network", exact=True).focus()
    tab.keyboard.press("End")
    assert tab.get_by_label("layer", exact=True).input_value() == "conv1"
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")
    assert tab.get_by_label("layer", exact=True).input_value() == "conv2"
    assert tab.locator("output").first.inner_text() == "0.01", "sliders stay where they are"


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_barriers(page, axe, width, scheme):
    tab = page(width, scheme)
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    for title in dict(SHOWN):
        tab.get_by_label("network", exact=True).select_option(title)
        assert not barriers(tab, axe) + tab.evaluate(STICKING_OUT)
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    before = tab.get_by_role("status").inner_text()
    tab.get_by_role("group", name="base", exact=True).get_by_role("slider", name="area").focus()
    tab.keyboard.press("End")
    words = tab.get_by_role("status")
    assert words.inner_text() != before
    box = words.bounding_box()
    seen = tab.evaluate("([x, y]) => document.elementFromPoint(x, y).className", [box["x"] + 9, box["y"] + 12])
    assert seen == "words", "what a slider does can be read while it moves"


def test_without_javascript_the_page_says_so(book, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((book / "book" / "explorer.html").as_uri())
    assert tab.locator(".explorer-off").is_visible() and not tab.locator(".explorer").is_visible()
    assert "JavaScript" in tab.locator(".explorer-off").inner_text()
    context.close()
