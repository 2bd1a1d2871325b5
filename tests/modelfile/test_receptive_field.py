"""The receptive field against an impulse: one lit row of a black image, and where it shows."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.graph_rules import check_ops
from burnish.modelfile.receptive_field import receptive_field

# More than the largest radius of three layers, and a multiple of four.
SIDE = 64


class Chain:
    """A graph built node by node, with positive weights that cannot cancel."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []
        self.last, self.channels, self.size_multiple = "image", 3, 1

    def add(self, op: str, *weights: np.ndarray | str, **attributes: Any) -> None:
        names = []
        for weight in weights:
            names.append(weight if isinstance(weight, str) else f"w{len(self.weights)}")
            if not isinstance(weight, str):
                self.weights.append(numpy_helper.from_array(weight, names[-1]))
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.last, *names], [output], **attributes))
        self.last = output

    def conv(self, kernel: tuple[int, int], **attributes: Any) -> None:
        weight = np.full((self.channels, self.channels, *kernel), 1 / self.channels, np.float32)
        self.add("Conv", weight, **attributes)

    def model(self) -> onnx.ModelProto:
        self.add("Identity")
        self.nodes[-1].output[0] = "result"
        image, result = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 3, "h", "w"])
            for name in ("image", "result")
        )
        graph = helper.make_graph(self.nodes, "chain", [image], [result], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def same_size_pads(kernel: int, dilation: int, before: tuple[int, int]) -> list[int]:
    """Return pads that keep the size, with at most `before` at the top and the left."""
    total = dilation * (kernel - 1)
    top, left = (min(pad, total) for pad in before)
    return [top, left, total - top, total - left]


def add_dilated_conv(chain: Chain, kernel: int, dilation: int, before: tuple[int, int]) -> None:
    pads = same_size_pads(kernel, dilation, before)
    chain.conv((kernel, kernel), dilations=[dilation, dilation], pads=pads)


def add_pool(chain: Chain, op: str, kernel: int, before: tuple[int, int]) -> None:
    chain.add(op, kernel_shape=[kernel, kernel], pads=same_size_pads(kernel, 1, before))


def add_conv_on_blocks(chain: Chain, block: int, kernel: int, mode: str) -> None:
    chain.add("SpaceToDepth", blocksize=block)
    chain.channels *= block**2
    chain.conv((kernel, kernel), pads=same_size_pads(kernel, 1, (1, 0)))
    chain.add("DepthToSpace", blocksize=block, mode=mode)
    chain.channels //= block**2
    chain.size_multiple = max(chain.size_multiple, block)


def add_resize(chain: Chain, factor: int, mode: str, coordinates: str, rounding: str) -> None:
    chain.add("AveragePool", kernel_shape=[factor, factor], strides=[factor, factor])
    scales = np.array([1, 1, factor, factor], np.float32)
    attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    chain.add("Resize", "", scales, mode=mode, **attributes)
    chain.size_multiple = max(chain.size_multiple, factor)


def add_pad(chain: Chain, top: int, left: int, mode: str) -> None:
    chain.add("Pad", np.array([0, 0, top, left, 0, 0, 2 - top, 4 - left]), mode=mode)
    chain.conv((3, 5))


def add_image(chain: Chain) -> None:
    chain.add("Add", "image")


def layer_arguments() -> st.SearchStrategy[tuple[Any, ...]]:
    small, factor = st.integers(1, 3), st.sampled_from([2, 4])
    before = st.tuples(st.integers(0, 4), st.integers(0, 4))
    rounding = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
    return st.one_of(
        st.tuples(st.just(add_dilated_conv), st.integers(1, 4), small, before),
        st.tuples(st.just(add_pool), st.sampled_from(["MaxPool", "AveragePool"]), small, before),
        st.tuples(st.just(add_conv_on_blocks), factor, small, st.sampled_from(["DCR", "CRD"])),
        st.tuples(
            st.just(add_resize),
            factor,
            st.sampled_from(["nearest", "linear"]),
            st.sampled_from(["half_pixel", "asymmetric"]),
            st.sampled_from(rounding),
        ),
        st.tuples(
            st.just(add_pad),
            st.integers(0, 2),
            st.integers(0, 4),
            st.sampled_from(["constant", "edge", "reflect"]),
        ),
        st.tuples(st.just(add_image)),
    )


def measured_radius(model: onnx.ModelProto) -> int:
    """Light each row, then each column, and return the largest distance at which one shows."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    radius = 0
    rows = np.arange(SIDE)
    for axis in (2, 3):
        image = np.zeros((SIDE, 3, SIDE, SIDE), np.float32)
        np.moveaxis(image, axis, 1)[rows, rows] = 1
        (result,) = session.run(None, {"image": image})
        lit, changed = result.any(axis=tuple({1, 2, 3} - {axis})).nonzero()
        radius = max(radius, int(np.abs(lit - changed).max()))
    return radius


@settings(deadline=None, max_examples=60)
@given(layers=st.lists(layer_arguments(), min_size=1, max_size=3))
@example(layers=[(add_pad, 0, 3, "constant"), (add_pad, 0, 0, "reflect")])
def test_receptive_field_equals_the_measured_one(layers: list[tuple[Any, ...]]) -> None:
    chain = Chain()
    for add_layer, *arguments in layers:
        add_layer(chain, *arguments)
    model = chain.model()
    check_ops(model.graph, "chain.onnx")
    assert receptive_field(model, chain.size_multiple, 40, "chain.onnx") == measured_radius(model)


@pytest.mark.parametrize("halo", [0, 39, 40, 41, 500])
def test_receptive_field_does_not_depend_on_the_stated_halo(halo: int) -> None:
    chain = Chain()
    chain.conv((3, 1), dilations=[40, 1], pads=[40, 0, 40, 0])
    assert receptive_field(chain.model(), 1, halo, "chain.onnx") == 40


def test_dilation_far_beyond_the_halo_is_found() -> None:
    chain = Chain()
    chain.conv((3, 1), dilations=[9000, 1], pads=[9000, 0, 9000, 0])
    assert receptive_field(chain.model(), 1, 5, "chain.onnx") > 5


def test_adding_tensors_of_different_resolutions_is_rejected() -> None:
    """The pool leaves one pixel, which the addition would broadcast to the whole image."""
    chain = Chain()
    chain.add("AveragePool", kernel_shape=[1, 1], strides=[60000, 60000])
    add_image(chain)
    with pytest.raises(ModelError, match="Add takes tensors of different resolutions"):
        receptive_field(chain.model(), 1, 5, "chain.onnx")
