from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.graph_costs import GraphCosts, graph_costs

ModelBytes = Callable[..., bytes]
Graph = onnx.GraphProto


def with_nodes(graph: Graph, *nodes: onnx.NodeProto, **weights: Any) -> Graph:
    """Replace the nodes and the weights of a graph."""
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    for name, weight in weights.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(weight, np.float32), name))
    return graph


def costs_of(data: bytes, size_multiple: int = 1) -> GraphCosts:
    return graph_costs(onnx.load_model_from_string(data), size_multiple, "soft.onnx")


def test_costs_of_a_small_graph_are_exact(graph: Graph, model_bytes: ModelBytes) -> None:
    """Sixteen channels at half the resolution are alive while twelve more are computed."""
    nodes = [
        helper.make_node("Conv", ["image", "down"], ["deep"], strides=[2, 2], kernel_shape=[2, 2]),
        helper.make_node("Relu", ["deep"], ["relu"]),
        helper.make_node("Conv", ["relu", "pointwise"], ["blocks"]),
        helper.make_node("DepthToSpace", ["blocks"], ["result"], blocksize=2),
    ]
    with_nodes(graph, *nodes, down=np.ones((16, 3, 2, 2)), pointwise=np.ones((12, 16, 1, 1)))
    assert costs_of(model_bytes(graph), size_multiple=2) == GraphCosts(
        macs_per_pixel=(16 * 12 + 12 * 16) // 4, peak_activations_per_pixel=(16 + 12) // 4
    )


def test_padded_tensors_are_accepted(graph: Graph, model_bytes: ModelBytes) -> None:
    pads = numpy_helper.from_array(np.array([0, 0, 2, 2, 0, 0, 2, 2]), "by")
    nodes = [
        helper.make_node("Pad", ["image", "by"], ["padded"], mode="edge"),
        helper.make_node("Conv", ["padded", "weight"], ["result"]),
    ]
    with_nodes(graph, *nodes, weight=np.ones((3, 3, 5, 5))).initializer.append(pads)
    costs = costs_of(model_bytes(graph))
    assert costs == GraphCosts(macs_per_pixel=225, peak_activations_per_pixel=7)


def test_sizes_computed_from_the_image_size_are_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Callable[[bytes], str]
) -> None:
    """This graph is small for 64 px and enormous for every other size."""
    nodes = [
        helper.make_node("Shape", ["image"], ["sides"]),
        helper.make_node("Sub", ["sides", "known"], ["difference"]),
        helper.make_node("Mul", ["difference", "difference"], ["large"]),
        helper.make_node("Resize", ["image", "", "", "large"], ["enlarged"]),
        helper.make_node("Resize", ["enlarged", "", "", "sides"], ["result"]),
    ]
    known_size = numpy_helper.from_array(np.array([1, 3, 64, 64]), "known")
    with_nodes(graph, *nodes).initializer.append(known_size)
    assert "'Shape'" in rejection(model_bytes(graph))


@pytest.mark.parametrize("strides", [(9000, 9000), (9000, 1), (1, 9000)])
def test_memory_out_of_proportion_to_the_image_is_rejected(
    graph: Graph, model_bytes: ModelBytes, strides: tuple[int, int]
) -> None:
    """One pixel, row or column in 9000 is enlarged, which is much for a small or narrow image."""
    scales = [1, 1, *(64 if stride > 1 else 1 for stride in strides)]
    nodes = [
        helper.make_node("MaxPool", ["image"], ["few"], kernel_shape=[1, 1], strides=strides),
        helper.make_node("Resize", ["few", "", "scales"], ["many"]),
        helper.make_node("Resize", ["many", "", "scales"], ["more"]),
        helper.make_node("Relu", ["image"], ["result"]),
    ]
    with pytest.raises(ModelError, match="not in proportion"):
        costs_of(model_bytes(with_nodes(graph, *nodes, scales=scales)))


def test_output_that_fits_only_even_sizes_needs_a_size_multiple(
    graph: Graph, model_bytes: ModelBytes
) -> None:
    nodes = [
        helper.make_node("AveragePool", ["image"], ["s"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["s", "", "by"], ["result"]),
    ]
    data = model_bytes(with_nodes(graph, *nodes, by=[1, 1, 2, 2]))
    assert costs_of(data, size_multiple=2).peak_activations_per_pixel == 4
    with pytest.raises(ModelError, match="its output for 3 x"):
        costs_of(data, size_multiple=1)
