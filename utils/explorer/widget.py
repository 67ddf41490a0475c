"""A widget to look and touch: move the variables of base and sources, interchange, and watch the answer."""
import base64
import textwrap
from collections.abc import Mapping

import anywidget
import ipywidgets as widgets
import numpy as np
import torch
import traitlets

from utils.data_utils import VARIABLE_NAMES
from utils.explorer.picture import Picture, describe, to_png
from utils.explorer.view import Aligned, Plane, View, fix_rotation, look
from utils.interventions.checkpoints import SHIPPED, load_intervenable, shipped_path
from utils.interventions.build import get_coordinates
from utils.measure_utils import name_groups
from utils.validation import validate_images

MAX_SOURCES = 3
TITLES = {"single": "single-source IIT", "two": "two-source IIT", "three": "three-source IIT"}
START = np.array([[0.20, 0.30, 0.80], [0.90, 0.55, 0.40], [0.35, 0.95, 0.60], [0.60, 0.10, 0.05]])  # base and sources


def load_networks() -> dict[str, dict[str, Aligned]]:
    """The networks that ship, for the explorer: name -> layer -> network.

    Raises:
        FileNotFoundError, ValueError: a file is missing or damaged.
    """
    networks: dict[str, dict[str, Aligned]] = {}
    for name in SHIPPED:
        intervenable, groups, provenance = load_intervenable(shipped_path(name))
        title = TITLES.get(name, "base CNN, directions by DAS")
        networks.setdefault(title, {})[provenance["alignment"]["layer"]] = Aligned(intervenable, groups)
    return networks


class SliderNames(anywidget.AnyWidget):
    """Names the sliders beside it for those who hear the page, which ipywidgets leaves out."""

    _esm = """
    function name(model, el) {
      const sliders = el.closest(".explorer")?.querySelectorAll("[role=slider]") ?? [];
      sliders.forEach((slider, i) => slider.setAttribute("aria-label", model.get("names")[i]));
      return sliders.length === model.get("names").length;
    }
    function render({ model, el }) {
      const timer = setInterval(() => name(model, el) && clearInterval(timer), 100);  // until all are on the page
      const again = () => name(model, el);
      model.on("change:names", again);
      return () => { clearInterval(timer); model.off("change:names", again); };
    }
    export default { render };
    """
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)


class Explorer:
    """Sliders for base and sources, a choice of network, layer and variables, and what comes of it.

    As the last line of a cell it is a widget; where no kernel answers, in a stored page, it is a picture of its start.

    Args:
        networks: name -> layer -> network with subspaces aligned there.
        images: (n, 28, 28), the cloud behind the points in the plane.
        network: which to show first; None takes the first one.
    """

    def __init__(
        self, networks: Mapping[str, Mapping[str, Aligned]], images: np.ndarray, network: str | None = None
    ) -> None:
        if not networks or not all(networks.values()):
            raise ValueError("networks must name at least one network, each with at least one layer")
        if network is not None and network not in networks:
            raise ValueError(f"network must be one of {sorted(networks)}, got {network!r}")
        self.networks, self._background = networks, torch.from_numpy(validate_images(images))
        self._pictures: dict[tuple[str, str], tuple[Aligned, Picture]] = {}
        self.network = widgets.Dropdown(options=list(networks), value=network or next(iter(networks)),
                                        description="network", layout={"width": "24em"},
                                        style={"description_width": "4.5em"})
        self.layer = widgets.Dropdown(description="layer", layout={"width": "11em"},
                                      style={"description_width": "4.5em"})
        self.swaps = [widgets.Checkbox(value=True, indent=False, layout={"width": "auto", "margin": "2px 1em 2px 2px"})
                      for _ in range(MAX_SOURCES)]
        self.sliders = [
            [widgets.FloatSlider(value=START[i, v], min=0, max=1, step=0.01, description=name,
                                 layout={"width": "auto"}, style={"description_width": "5em"})
             for v, name in enumerate(VARIABLE_NAMES)]
            for i in range(1 + MAX_SOURCES)
        ]
        self._titles = [widgets.HTML() for _ in self.sliders]
        self._columns = [widgets.VBox([title, *sliders], layout={"flex": "1 1 17em", "max_width": "26em"})
                         for title, sliders in zip(self._titles, self.sliders)]
        self._slider_names = SliderNames(layout={"display": "none"})
        self.picture, self.words = widgets.HTML(layout={"flex": "3 1 22em", "min_width": "0"}), widgets.HTML()
        wrap = {"flex_flow": "row wrap"}
        controls = widgets.HBox(self._columns, layout={**wrap, "flex": "1 1 17em", "align_content": "flex-start"})
        self.widget = widgets.VBox([
            widgets.HBox([self.network, self.layer], layout=wrap),
            widgets.HBox([widgets.Label("take from a source:"), *self.swaps], layout=wrap),
            self.words, widgets.HBox([controls, self.picture], layout=wrap), self._slider_names,
        ])
        self.widget.add_class("explorer")
        self.network.observe(self._show_layers, "value")
        self.layer.observe(self._show_groups, "value")
        for control in (*self.swaps, *sum(self.sliders, [])):
            control.observe(self._update, "value")
        self._show_layers()

    def _current(self) -> tuple[Aligned, Picture]:
        key = self.network.value, self.layer.value
        if key not in self._pictures:
            aligned = fix_rotation(self.networks[key[0]][key[1]])
            coordinates = get_coordinates(aligned.intervenable, self._background).numpy()
            self._pictures[key] = aligned, Picture(Plane(coordinates, aligned), aligned.groups)
        return self._pictures[key]

    def _show_layers(self, change: dict | None = None) -> None:
        self.layer.options = list(self.networks[self.network.value])
        self.layer.index = 0
        self._show_groups()

    def _show_groups(self, change: dict | None = None) -> None:
        if self.layer.value is None:
            return  # between two networks
        groups, titles = self._current()[0].groups, []
        for i in range(1 + MAX_SOURCES):
            self._columns[i].layout.display = None if i <= len(groups) else "none"
            name = "base" if i == 0 else f"source of {name_groups([groups[i - 1]])}" if i <= len(groups) else ""
            self._titles[i].value = f"<b>{name}</b>"
            titles.append(name)
        for i, swap in enumerate(self.swaps):
            swap.layout.display = None if i < len(groups) else "none"
            swap.description = name_groups([groups[i]]) if i < len(groups) else ""
        self._slider_names.names = [f"{variable} of the {title}" for title in titles for variable in VARIABLE_NAMES]
        self._update()

    def view(self) -> View:
        """What the sliders say now."""
        aligned, k = self._current()[0], len(self._current()[0].groups)
        labels = np.array([[slider.value for slider in sliders] for sliders in self.sliders[:1 + k]])
        return look(aligned, labels, [swap.value for swap in self.swaps[:k]])

    def _update(self, change: dict | None = None) -> None:
        aligned, picture = self._current()
        view = self.view()
        self._description = describe(view, aligned.groups, [swap.value for swap in self.swaps[:len(aligned.groups)]])
        self._pixels = picture.draw(view)
        self.words.value = f'<div role="status">{self._description}</div>'
        self.picture.value = picture.to_html(self._pixels, view, self._description)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        still = {"image/png": base64.b64encode(to_png(self._pixels)).decode(),
                 "text/plain": textwrap.fill(self._description, 100)}
        return {**self.widget._repr_mimebundle_(), **still}, {"image/png": {"alt": self._description}}
