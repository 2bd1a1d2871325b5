from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.graph_costs import GraphCosts, graph_costs
from burnish.modelfile.reader import parse_model

Pack = Callable[..., bytes]
Graph = onnx.GraphProto


def put(graph: Graph, *nodes: onnx.NodeProto, **weights: Any) -> Graph:
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    for name, weight in weights.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(weight, np.float32), name))
    return graph


def of(data: bytes, multiple: int = 1) -> GraphCosts:
    return graph_costs(onnx.load_model_from_string(data), multiple, "soft.onnx")


def test_costs_of_a_known_graph(graph: Graph, pack: Pack) -> None:
    """Sixteen channels at half the resolution, kept while twelve more are made of them."""
    nodes = [
        helper.make_node("Conv", ["image", "down"], ["deep"], strides=[2, 2], kernel_shape=[2, 2]),
        helper.make_node("Relu", ["deep"], ["rectified"]),
        helper.make_node("Conv", ["rectified", "there"], ["blocks"]),
        helper.make_node("DepthToSpace", ["blocks"], ["result"], blocksize=2),
    ]
    data = pack(put(graph, *nodes, down=np.ones((16, 3, 2, 2)), there=np.ones((12, 16, 1, 1))))
    assert of(data, multiple=2) == GraphCosts(
        macs_per_pixel=(16 * 12 + 12 * 16) // 4, peak_activations_per_pixel=(16 + 12) // 4
    )


def test_padded_tensors_are_in_proportion(graph: Graph, pack: Pack) -> None:
    pads = numpy_helper.from_array(np.array([0, 0, 2, 2, 0, 0, 2, 2]), "by")
    nodes = [
        helper.make_node("Pad", ["image", "by"], ["padded"], mode="edge"),
        helper.make_node("Conv", ["padded", "weight"], ["result"]),
    ]
    put(graph, *nodes, weight=np.ones((3, 3, 5, 5))).initializer.append(pads)
    assert of(pack(graph)) == GraphCosts(macs_per_pixel=225, peak_activations_per_pixel=7)


def test_size_from_arithmetic_on_the_picture_s_size_is_refused(graph: Graph, pack: Pack) -> None:
    """Small at 64 and 192 px, enormous at every other size."""
    nodes = [
        helper.make_node("Shape", ["image"], ["sides"]),
        helper.make_node("Sub", ["sides", "tried"], ["apart"]),
        helper.make_node("Mul", ["apart", "apart"], ["large"]),
        helper.make_node("Resize", ["image", "", "", "large"], ["much"]),
        helper.make_node("Resize", ["much", "", "", "sides"], ["result"]),
    ]
    put(graph, *nodes).initializer.append(
        numpy_helper.from_array(np.array([1, 3, 64, 64]), "tried")
    )
    with pytest.raises(ModelError, match="that a picture's network needs, got 'Sha"):
        parse_model(pack(graph), "soft.onnx")


def test_memory_that_small_pictures_do_not_account_for_is_refused(graph: Graph, pack: Pack) -> None:
    """One pixel in 9000, enlarged: little beside a large picture, much beside any other."""
    nodes = [
        helper.make_node("MaxPool", ["image"], ["few"], kernel_shape=[1, 1], strides=[9000] * 2),
        helper.make_node("Resize", ["few", "", "by"], ["many"]),
        helper.make_node("Resize", ["many", "", "by"], ["more"]),
        helper.make_node("Relu", ["image"], ["result"]),
    ]
    data = pack(put(graph, *nodes, by=[1, 1, 64, 64]))
    with pytest.raises(ModelError, match="memory in proportion to the picture"):
        of(data)


@pytest.mark.parametrize("axis", [0, 1])
def test_memory_that_depends_on_the_form_is_refused(graph: Graph, pack: Pack, axis: int) -> None:
    """One row in 9000, enlarged, all columns: much for a picture that is wide and low."""
    strides, by = [1, 1], [1.0, 1, 1, 1]
    strides[axis], by[2 + axis] = 9000, 64
    nodes = [
        helper.make_node("MaxPool", ["image"], ["few"], kernel_shape=[1, 1], strides=strides),
        helper.make_node("Resize", ["few", "", "by"], ["many"]),
        helper.make_node("Resize", ["many", "", "by"], ["more"]),
        helper.make_node("Relu", ["image"], ["result"]),
    ]
    with pytest.raises(ModelError, match="memory in proportion to the picture"):
        of(pack(put(graph, *nodes, by=by)))


def test_result_that_is_as_large_only_at_even_sizes_is_refused(graph: Graph, pack: Pack) -> None:
    nodes = [
        helper.make_node("AveragePool", ["image"], ["s"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["s", "", "by"], ["result"]),
    ]
    data = pack(put(graph, *nodes, by=[1, 1, 2, 2]))
    assert of(data, multiple=2).peak_activations_per_pixel == 4
    with pytest.raises(ModelError, match="a result of 3 x"):
        of(data, multiple=1)
