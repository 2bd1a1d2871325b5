"""How far a graph sees, against lighting one row of a black picture and looking where it shows."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.allowed_ops import check_ops
from burnish.modelfile.receptive_field import receptive_field

SIDE = 128


class Chain:
    """A graph built node by node; each convolution's weights are positive and hide nothing."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []
        self.last, self.channels, self.multiple = "image", 3, 1

    def add(self, op: str, *weights: np.ndarray | str, **attributes: Any) -> None:
        names = []
        for weight in weights:
            names.append(weight if isinstance(weight, str) else f"w{len(self.weights)}")
            if not isinstance(weight, str):
                self.weights.append(numpy_helper.from_array(weight, names[-1]))
        made = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.last, *names], [made], **attributes))
        self.last = made

    def conv(self, kernel: tuple[int, int], **attributes: Any) -> None:
        weight = np.full((self.channels, self.channels, *kernel), 1 / self.channels, np.float32)
        self.add("Conv", weight, **attributes)

    def model(self) -> onnx.ModelProto:
        self.add("Identity")
        self.nodes[-1].output[0] = "result"
        ends = [
            helper.make_tensor_value_info(end, TensorProto.FLOAT, ["b", 3, "h", "w"])
            for end in ("image", "result")
        ]
        graph = helper.make_graph(self.nodes, "chain", ends[:1], ends[1:], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def same_size(kernel: int, dilation: int, before: tuple[int, int]) -> list[int]:
    """Pads that leave the size as it is, unequal by choice."""
    reach = dilation * (kernel - 1)
    top, left = (min(pad, reach) for pad in before)
    return [top, left, reach - top, reach - left]


def dilated(chain: Chain, kernel: int, dilation: int, before: tuple[int, int]) -> None:
    pads = same_size(kernel, dilation, before)
    chain.conv((kernel, kernel), dilations=[dilation, dilation], pads=pads)


def pooled(chain: Chain, op: str, kernel: int, before: tuple[int, int]) -> None:
    chain.add(op, kernel_shape=[kernel, kernel], pads=same_size(kernel, 1, before))


def in_blocks(chain: Chain, block: int, kernel: int, mode: str) -> None:
    chain.add("SpaceToDepth", blocksize=block)
    chain.channels *= block**2
    chain.conv((kernel, kernel), pads=same_size(kernel, 1, (1, 0)))
    chain.add("DepthToSpace", blocksize=block, mode=mode)
    chain.channels //= block**2
    chain.multiple = max(chain.multiple, block)


def down_and_up(chain: Chain, factor: int, mode: str, where: str, rounding: str) -> None:
    chain.add("AveragePool", kernel_shape=[factor, factor], strides=[factor, factor])
    by = np.array([1, 1, factor, factor], np.float32)
    how = {"coordinate_transformation_mode": where, "nearest_mode": rounding}
    chain.add("Resize", "", by, mode=mode, **how)
    chain.multiple = max(chain.multiple, factor)


def padded(chain: Chain, top: int, left: int, mode: str) -> None:
    chain.add("Pad", np.array([0, 0, top, left, 0, 0, 2 - top, 4 - left]), mode=mode)
    chain.conv((3, 5))


def added(chain: Chain) -> None:
    chain.add("Add", "image")


def steps() -> st.SearchStrategy[tuple[Any, ...]]:
    small, factor = st.integers(1, 3), st.sampled_from([2, 4])
    before = st.tuples(st.integers(0, 4), st.integers(0, 4))
    rounding = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
    return st.one_of(
        st.tuples(st.just(dilated), st.integers(1, 4), small, before),
        st.tuples(st.just(pooled), st.sampled_from(["MaxPool", "AveragePool"]), small, before),
        st.tuples(st.just(in_blocks), factor, small, st.sampled_from(["DCR", "CRD"])),
        st.tuples(
            st.just(down_and_up),
            factor,
            st.sampled_from(["nearest", "linear"]),
            st.sampled_from(["half_pixel", "asymmetric"]),
            st.sampled_from(rounding),
        ),
        st.tuples(
            st.just(padded),
            st.integers(0, 2),
            st.integers(0, 4),
            st.sampled_from(["constant", "edge", "reflect"]),
        ),
        st.tuples(st.just(added)),
    )


def seen(model: onnx.ModelProto) -> int:
    """Light one row, or column, after the other, also those at the borders."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    farthest = 0
    rows = np.arange(SIDE)
    for axis in (2, 3):
        image = np.zeros((SIDE, 3, SIDE, SIDE), np.float32)
        np.moveaxis(image, axis, 1)[rows, rows] = 1
        (result,) = session.run(None, {"image": image})
        lit, shows = result.any(axis=tuple({1, 2, 3} - {axis})).nonzero()
        farthest = max(farthest, int(np.abs(lit - shows).max()))
    return farthest


@settings(deadline=None, max_examples=60)
@given(chosen=st.lists(steps(), min_size=1, max_size=3))
@example(chosen=[(padded, 0, 3, "constant"), (padded, 0, 0, "reflect")])
def test_sight_is_where_a_lit_row_shows(chosen: list[tuple[Any, ...]]) -> None:
    chain = Chain()
    for step, *arguments in chosen:
        step(chain, *arguments)
    model = chain.model()
    check_ops(model, "chain.onnx")
    assert receptive_field(model, chain.multiple, 40, "chain.onnx") == seen(model)


@pytest.mark.parametrize("halo", [0, 39, 40, 41, 500])
def test_sight_is_told_whatever_is_claimed(halo: int) -> None:
    chain = Chain()
    chain.conv((3, 1), dilations=[40, 1], pads=[40, 0, 40, 0])
    assert receptive_field(chain.model(), 1, halo, "chain.onnx") == 40


def test_jump_beyond_any_picture_tried_is_seen() -> None:
    chain = Chain()
    chain.conv((3, 1), dilations=[9000, 1], pads=[9000, 0, 9000, 0])
    assert receptive_field(chain.model(), 1, 5, "chain.onnx") > 5


def test_one_pixel_of_a_picture_may_not_meet_all_of_it() -> None:
    """A corner, whatever the picture's size, added everywhere."""
    chain = Chain()
    chain.add("AveragePool", kernel_shape=[1, 1], strides=[60000, 60000])
    added(chain)
    with pytest.raises(ModelError, match="one resolution where they meet, got Add of several"):
        receptive_field(chain.model(), 1, 5, "chain.onnx")
