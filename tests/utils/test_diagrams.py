"""The drawings: what is aligned has one color on both sides."""
import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Circle, Rectangle

from utils.diagram_utils import draw_alignment, draw_interchange
from utils.plot_utils import VARIABLE_COLORS


def colors(axis, kind):
    variables = {to_rgba(color): v for v, color in enumerate(VARIABLE_COLORS)}
    patches = [patch for patch in axis.patches if isinstance(patch, kind)]
    return sorted(variables[patch.get_facecolor()] for patch in patches if patch.get_facecolor() in variables)


@pytest.mark.parametrize("groups", [[[1]], [[0, 1]], [[2], [0]], [[0], [1], [2]]])
@pytest.mark.parametrize("layer", ["conv1", "fc1"])
def test_both_sides_show_the_same_variables(groups, layer):
    figure = draw_alignment(groups, layer)
    graph, network = figure.axes
    assert colors(graph, Circle) == colors(network, Rectangle) == sorted(v for group in groups for v in group)
    plt.close(figure)


def test_the_frames_of_an_interchange():
    figure = draw_interchange("conv2", [2])
    read, write, model = figure.axes
    assert colors(read, Rectangle) == [2] and colors(write, Rectangle) == [2, 2] and colors(model, Circle) == [2]
    plt.close(figure)


@pytest.mark.parametrize("call", [lambda: draw_alignment([[0]], "conv9"), lambda: draw_interchange("conv9"),
                                  lambda: draw_alignment([[0], [0]], "fc1"), lambda: draw_interchange("fc1", [3])])
def test_unknown_layers_and_overlaps_are_refused(call):
    with pytest.raises(ValueError):
        call()
