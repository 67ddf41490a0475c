"""Figures that others reported on this task, quoted for comparison. Nothing here was measured by this project."""

# An earlier notebook on IIT for this task: circularity and color at conv1, over 1,000 pairs.
EARLIER_SINGLE_SOURCE = {"iia": 0.826, "behavior": 0.833, "directions": 1, "n": 1000}
EARLIER_MULTI_SOURCE = {"iia": 0.592, "n": 1000}

# A published table of DAS with equal coefficients: mean IIA over networks of this architecture, for each layer
# in the order circularity, color, area.
DAS_64_DIRECTIONS = {  # 20 networks
    "conv1": (0.924, 0.955, 0.939), "conv2": (0.932, 0.957, 0.943), "conv3": (0.913, 0.946, 0.917),
}
