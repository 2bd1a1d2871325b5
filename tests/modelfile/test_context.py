"""The optional inputs of a graph, params, thumbnail and coords, and their permitted uses."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.card import Card, CardParam
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.graph_rules import context_tensor_names
from burnish.modelfile.reader import parse_model
from burnish.modelfile.receptive_field import receptive_field
from burnish.params import Param

ModelBytes = Callable[..., bytes]
Rejection = Callable[[bytes], str]
Graph = onnx.GraphProto
Node = onnx.NodeProto

SLIDER = {
    "name": "lambda",
    "effect": "softens more",
    "value": 0.1,
    "slider": True,
    "low": 0.01,
    "high": 1,
    "default": 0.1,
    "scale": "log",
}


def card_text(
    card: Card, sliders: int = 0, thumbnail_size: int = 0, *, coords: bool = False
) -> str:
    """Return the text of the card with this many sliders and this thumbnail."""
    params = [SLIDER | {"name": f"s{number}"} for number in range(sliders)]
    changes: dict[str, Any] = {"params": params, "thumbnail_size": thumbnail_size}
    changes |= {"coords": coords, "peak_activations_per_pixel": 12 if coords else 6}
    return json.dumps(json.loads(card.model_dump_json()) | changes)


def add_input(graph: Graph, name: str, *dims: int | str, dtype: int = TensorProto.FLOAT) -> None:
    graph.input.append(helper.make_tensor_value_info(name, dtype, dims))


def prepend(graph: Graph, *nodes: Node, **weights: np.ndarray) -> Graph:
    """Put nodes before the convolution; the output of the last one is its input."""
    convolution = graph.node[0]
    convolution.input[0] = nodes[-1].output[0]
    del graph.node[:]
    graph.node.extend([*nodes, convolution])
    graph.initializer.extend(numpy_helper.from_array(w, name) for name, w in weights.items())
    return graph


def copy_of(graph: Graph) -> Graph:
    return Graph.FromString(graph.SerializeToString())


def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Node:
    return helper.make_node(op, inputs, [output], **attributes)


SCALE = node("Mul", ["image", "params"], "scaled")
MEAN = node("GlobalAveragePool", ["thumbnail"], "mean")
SHIFT = node("Sub", ["image", "mean"], "shifted")


def test_params_and_thumbnail_are_accepted(
    graph: Graph, model_bytes: ModelBytes, card: Card
) -> None:
    add_input(graph, "params", 1, 3, 1, 1)
    add_input(graph, "thumbnail", 1, 3, 64, 64)
    prepend(graph, SCALE, MEAN, node("Sub", ["scaled", "mean"], "shifted"))
    file = parse_model(model_bytes(graph, card_text(card, 3, 64)), "soft.onnx")
    assert file.card.context_shapes == {"params": (3, 1, 1), "thumbnail": (3, 64, 64)}
    assert context_tensor_names(graph) == {"params", "thumbnail", "mean"}


@pytest.mark.parametrize(
    ("name", "dims", "words"),
    [
        ("params", (1, 0, 1, 1), "params has the shape [1, 0, 1, 1]"),
        ("params", (1, 17, 1, 1), "[1, 17, 1, 1]"),
        ("params", (2, 3, 1, 1), "[2, 3, 1, 1]"),
        ("params", ("batch", 3, 1, 1), "[None, 3, 1, 1]"),
        ("params", (1, 3, 2, 1), "[1, 3, 2, 1]"),
        ("params", (1, 3), "[1, 3]"),
        ("params", (), "[]"),
        ("thumbnail", (1, 3, 64, 32), "thumbnail has the shape [1, 3, 64, 32]"),
        ("thumbnail", (1, 3, 257, 257), "[1, 3, 257, 257]"),
        ("thumbnail", (1, 4, 64, 64), "[1, 4, 64, 64]"),
        ("thumbnail", (1, 3, "side", "side"), "[1, 3, None, None]"),
        ("thumbnail", ("batch", 3, 64, 64), "[None, 3, 64, 64]"),
        ("mask", (1, 3, 1, 1), "inputs are ['image', 'mask']"),
        ("coords", (1, "rows", "columns", 2), "inputs are ['image', 'coords']"),
    ],
)
def test_context_input_of_another_name_or_shape_is_rejected(
    graph: Graph,
    model_bytes: ModelBytes,
    rejection: Rejection,
    card: Card,
    name: str,
    dims: tuple[int | str, ...],
    words: str,
) -> None:
    add_input(graph, name, *dims)
    text = card_text(card, 3 if name == "params" else 0, 64 if name == "thumbnail" else 0)
    assert words in rejection(model_bytes(graph, text))


@pytest.mark.parametrize("dtype", [TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64])
def test_context_input_of_another_type_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, dtype: int
) -> None:
    add_input(graph, "params", 1, 3, 1, 1, dtype=dtype)
    assert "not float32" in rejection(model_bytes(graph, card_text(card, 3)))


@pytest.mark.parametrize(
    "names",
    [["thumbnail", "params"], ["params", "params"], ["params", "thumbnail", "mask"]],
    ids=" ".join,
)
def test_context_inputs_in_another_order_are_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, names: list[str]
) -> None:
    for name in names:
        add_input(graph, name, *((1, 3, 64, 64) if name == "thumbnail" else (1, 3, 1, 1)))
    text = card_text(card, 3, 64 if "thumbnail" in names else 0)
    message = rejection(model_bytes(graph, text))
    assert "inputs are ['image'" in message or "multiple times" in message


def test_image_that_is_not_the_first_input_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    add_input(graph, "params", 1, 3, 1, 1)
    swapped = [copy_of(graph).input[1], copy_of(graph).input[0]]
    del graph.input[:]
    graph.input.extend(swapped)
    assert "inputs are ['params', 'image']" in rejection(model_bytes(graph))


@pytest.mark.parametrize(
    ("sliders", "thumbnail_size"), [(0, 0), (2, 0), (4, 0), (3, 64), (0, 64)], ids=str
)
def test_card_with_other_inputs_than_the_graph_is_rejected(
    graph: Graph,
    model_bytes: ModelBytes,
    rejection: Rejection,
    card: Card,
    sliders: int,
    thumbnail_size: int,
) -> None:
    add_input(graph, "params", 1, 3, 1, 1)
    prepend(graph, SCALE)
    assert parse_model(model_bytes(graph, card_text(card, 3)), "soft.onnx").card.sliders
    message = rejection(model_bytes(graph, card_text(card, sliders, thumbnail_size)))
    assert "inputs are" in message or "params has the shape [1, 3, 1, 1]" in message


def test_card_with_another_thumbnail_size_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card
) -> None:
    add_input(graph, "thumbnail", 1, 3, 64, 64)
    prepend(graph, MEAN, SHIFT)
    file = parse_model(model_bytes(graph, card_text(card, 0, 64)), "soft.onnx")
    assert file.card.thumbnail_size == 64
    message = rejection(model_bytes(graph, card_text(card, 0, 32)))
    assert "[1, 3, 64, 64], not [1, 3, 32, 32]" in message


@pytest.mark.parametrize(
    "op", ["GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "Log"]
)
def test_global_operator_is_accepted_on_the_context_only(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, op: str
) -> None:
    add_input(graph, "thumbnail", 1, 3, 64, 64)
    text = card_text(card, 0, 64)
    pool = node("GlobalAveragePool", ["global"], "mean")
    on_context = prepend(copy_of(graph), node(op, ["thumbnail"], "global"), pool, SHIFT)
    assert parse_model(model_bytes(on_context, text), "soft.onnx").card.thumbnail_size == 64
    add = node("Add", ["image", "global"], "sum")
    on_image = prepend(graph, node(op, ["image"], "global"), add)
    assert f"{op} of the image" in rejection(model_bytes(on_image, text))


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Relu", ["image"], "a")],
        [node("Mul", ["params", "image"], "a")],
        [node("Relu", ["params"], "b"), node("Add", ["b", "image"], "a")],
    ],
    ids=["directly", "after_context", "after_computed_context"],
)
def test_tensor_computed_from_the_image_is_not_context(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, nodes: list[Node]
) -> None:
    add_input(graph, "params", 1, 3, 1, 1)
    pool = node("GlobalAveragePool", ["a"], "mean")
    prepend(graph, *nodes, pool, SHIFT)
    assert "GlobalAveragePool of the image" in rejection(model_bytes(graph, card_text(card, 3)))


@pytest.mark.parametrize("name", ["params", "thumbnail"])
def test_image_tensor_with_the_name_of_a_context_input_is_not_context(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, name: str
) -> None:
    text = card_text(card)
    named = prepend(copy_of(graph), node("Relu", ["image"], name))
    assert context_tensor_names(named) == set()
    model = onnx.load_model_from_string(model_bytes(named, text))
    assert receptive_field(model, 1, 1, "soft.onnx") == 1
    assert graph_costs(model, 1, "soft.onnx").peak_activations_per_pixel == 6
    prepend(graph, node("Relu", ["image"], name), node("GlobalMaxPool", [name], "mean"), SHIFT)
    assert "GlobalMaxPool of the image" in rejection(model_bytes(graph, text))


@pytest.mark.parametrize(
    "mixed",
    [
        node("Concat", ["image", "params"], "mixed", axis=1),
        node("PRelu", ["image", "params"], "mixed"),
        node("Clip", ["image", "params"], "mixed"),
        node("Conv", ["image", "weight", "params"], "mixed", pads=[1, 1, 1, 1]),
        node("Resize", ["image", "", "params"], "mixed"),
        node("Slice", ["image", "params", "params"], "mixed"),
        node("Gather", ["params", "image"], "mixed", axis=1),
    ],
    ids=lambda node: node.op_type,
)
def test_context_meets_the_image_in_arithmetic_only(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, mixed: Node
) -> None:
    add_input(graph, "params", 1, 3, 1, 1)
    assert mixed.op_type in rejection(model_bytes(prepend(graph, mixed), card_text(card, 3)))


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_pixels_of_the_thumbnail_do_not_meet_the_image(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, op: str
) -> None:
    """An image of exactly the thumbnail's size, where the shapes fit, is no exception."""
    side = 66
    add_input(graph, "thumbnail", 1, 3, side, side)
    prepend(graph, node(op, ["image", "thumbnail"], "mixed"))
    data = model_bytes(graph, card_text(card, 0, side))
    assert rejection(data)
    with pytest.raises(ModelError, match=r"shape \(1, 3, 66, 66\) meets the image"):
        receptive_field(onnx.load_model_from_string(data), 1, 1, "soft.onnx")


@pytest.mark.parametrize("axes", [[0, 1, 2], [1, 2, 3]])
def test_context_of_fewer_dimensions_does_not_meet_the_image(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card, axes: list[int]
) -> None:
    """A vector would broadcast along the columns."""
    add_input(graph, "thumbnail", 1, 3, 64, 64)
    mean = node("ReduceMean", ["thumbnail", "axes"], "vector", keepdims=0)
    add = node("Add", ["image", "vector"], "sum")
    prepend(graph, mean, add, axes=np.array(axes))
    message = rejection(model_bytes(graph, card_text(card, 0, 64)))
    assert axes == [0, 1, 2] or "shape (1,) meets the image" in message


def network_on_thumbnail(kernel: int, width: int) -> tuple[list[Node], dict[str, np.ndarray]]:
    """Return the nodes and weights of a convolution of this size and width, pooled."""
    weights = {
        "wide": np.zeros((width, 3, kernel, kernel), np.float32),
        "narrow": np.zeros((3, width, 1, 1), np.float32),
    }
    nodes = [
        node("Conv", ["thumbnail", "wide"], "features", pads=[kernel // 2] * 4),
        node("GlobalMaxPool", ["features"], "pooled"),
        node("Conv", ["pooled", "narrow"], "mean"),
        SHIFT,
    ]
    return nodes, weights


@pytest.mark.parametrize(("kernel", "width", "valid"), [(3, 64, True), (1, 200, False), (31, 8, 0)])
def test_work_on_the_thumbnail_is_bounded(
    graph: Graph,
    model_bytes: ModelBytes,
    rejection: Rejection,
    card: Card,
    kernel: int,
    width: int,
    valid: bool,
) -> None:
    """200 channels of 256 x 256 px are too many values, kernels of 31 x 31 too many products."""
    add_input(graph, "thumbnail", 1, 3, 256, 256)
    nodes, weights = network_on_thumbnail(kernel, width)
    data = model_bytes(prepend(graph, *nodes, **weights), card_text(card, 0, 256))
    if valid:
        assert parse_model(data, "soft.onnx").card.thumbnail_size == 256
    else:
        assert "its context takes" in rejection(data)


def test_receptive_field_and_costs_leave_the_context_out(
    graph: Graph, model_bytes: ModelBytes, card: Card
) -> None:
    plain = onnx.load_model_from_string(model_bytes(graph))
    add_input(graph, "thumbnail", 1, 3, 64, 64)
    nodes, weights = network_on_thumbnail(kernel=9, width=40)
    data = model_bytes(prepend(graph, *nodes, **weights), card_text(card, 0, 64))
    model = onnx.load_model_from_string(data)
    assert receptive_field(model, 1, 1, "soft.onnx") == receptive_field(plain, 1, 1, "soft.onnx")
    costs, plain_costs = graph_costs(model, 1, "soft.onnx"), graph_costs(plain, 1, "soft.onnx")
    assert costs.macs_per_pixel == plain_costs.macs_per_pixel == 81
    # SHIFT cannot overwrite the image, so its three output values come on top.
    expected = plain_costs.peak_activations_per_pixel + 3
    assert costs.peak_activations_per_pixel == expected


SAMPLE = node("GridSample", ["thumbnail", "coords"], "sampled", padding_mode="border")
ADD_SAMPLED = node("Add", ["image", "sampled"], "sum")


def with_coords(graph: Graph, *nodes: Node) -> Graph:
    """Give a graph the inputs thumbnail and coords, and prepend nodes."""
    add_input(graph, "thumbnail", 1, 3, 64, 64)
    add_input(graph, "coords", 1, "rows", "columns", 2)
    return prepend(graph, *nodes)


def test_thumbnail_sampled_at_coords_counts_in_costs_but_not_in_the_receptive_field(
    graph: Graph, model_bytes: ModelBytes, card: Card
) -> None:
    """Sampling takes four multiply-adds per value."""
    data = model_bytes(with_coords(graph, SAMPLE, ADD_SAMPLED), card_text(card, 0, 64, coords=True))
    assert parse_model(data, "soft.onnx").card.coords
    model = onnx.load_model_from_string(data)
    assert receptive_field(model, 1, 1, "soft.onnx") == 1
    costs = graph_costs(model, 1, "soft.onnx")
    assert (costs.macs_per_pixel, costs.peak_activations_per_pixel) == (81 + 4 * 3, 6)
    assert context_tensor_names(model.graph) == {"thumbnail"}


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (
            [node("GridSample", ["image", "coords"], "sampled", padding_mode="border")],
            "GridSample of ['image', 'coords']",
        ),
        (
            [node("GridSample", ["thumbnail", "image"], "sampled", padding_mode="border")],
            "GridSample of ['thumbnail', 'image']",
        ),
        (
            [node("GridSample", ["thumbnail", "thumbnail"], "sampled", padding_mode="border")],
            "GridSample of ['thumbnail', 'thumbnail']",
        ),
        ([node("GridSample", ["thumbnail", "coords"], "sampled")], "padding_mode left out"),
        (
            [node("GridSample", ["thumbnail", "coords"], "sampled", padding_mode="reflection")],
            "padding_mode b'reflection'",
        ),
        ([SAMPLE, node("Relu", ["coords"], "other")], "Relu of ['coords']"),
        ([SAMPLE, node("Mul", ["sampled", "coords"], "other")], "Mul of ['sampled', 'coords']"),
        ([SAMPLE, node("GlobalMaxPool", ["sampled"], "other")], "GlobalMaxPool of the image"),
    ],
)
def test_coords_serve_only_to_sample_the_context(
    graph: Graph,
    model_bytes: ModelBytes,
    rejection: Rejection,
    card: Card,
    nodes: list[Node],
    words: str,
) -> None:
    with_coords(graph, *nodes, ADD_SAMPLED)
    assert words in rejection(model_bytes(graph, card_text(card, 0, 64, coords=True)))


def test_card_without_the_coords_of_its_graph_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card
) -> None:
    data = model_bytes(with_coords(graph, SAMPLE, ADD_SAMPLED), card_text(card, 0, 64))
    assert "inputs are ['image', 'thumbnail', 'coords']" in rejection(data)


@pytest.mark.parametrize("dims", [(1, 4, 4, 2), (1, "rows", "columns", 3), ("n", "r", "c", 2)])
def test_coords_of_another_shape_are_rejected(
    graph: Graph,
    model_bytes: ModelBytes,
    rejection: Rejection,
    card: Card,
    dims: tuple[int | str, ...],
) -> None:
    add_input(graph, "thumbnail", 1, 3, 64, 64)
    add_input(graph, "coords", *dims)
    text = card_text(card, 0, 64, coords=True)
    assert "coords has the shape" in rejection(model_bytes(graph, text))


def test_card_gives_the_shapes_of_the_context(card: Card) -> None:
    plain = Card.parse(card_text(card), "soft.onnx")
    assert (plain.sliders, plain.context_shapes, plain.thumbnail_size) == ((), {}, 0)
    conditioned = Card.parse(card_text(card, 2, 32), "soft.onnx")
    assert [param.name for param in conditioned.sliders] == ["s0", "s1"]
    assert conditioned.context_shapes == {"params": (2, 1, 1), "thumbnail": (3, 32, 32)}
    assert list(conditioned.context_shapes) == ["params", "thumbnail"]


def test_card_with_coords_but_no_thumbnail_is_rejected(card: Card) -> None:
    with pytest.raises(ModelError, match="coords need a thumbnail"):
        Card.parse(card_text(card, coords=True), "soft.onnx")


def test_params_that_are_not_sliders_are_not_inputs(card: Card) -> None:
    fields = json.loads(card.model_dump_json())
    fixed = SLIDER | {"name": "kappa", "slider": False}
    mixed = Card.parse(json.dumps(fields | {"params": [fixed, SLIDER]}), "soft.onnx")
    assert [param.name for param in mixed.sliders] == ["lambda"]
    assert mixed.context_shapes == {"params": (1, 1, 1)}


def test_as_param_has_the_card_s_value_as_default(card: Card) -> None:
    fields = json.loads(card.model_dump_json())
    text = json.dumps(fields | {"params": [SLIDER | {"value": 0.5}]})
    param = Card.parse(text, "soft.onnx").params[0].as_param()
    assert (param.default, param.low, param.high, param.scale) == (0.5, 0.01, 1, "log")


def test_params_of_a_card_are_the_operator_s() -> None:
    param = Param("omega", "removes more", 0.95, low=0, high=1, unit="x", off=0, size_power=2)
    slider = CardParam.from_param(param, value=0.5, slider=True)
    assert (slider.value, slider.default, slider.slider, slider.off) == (0.5, 0.95, True, 0)
    assert slider.as_param() == replace(param, default=0.5)


def test_card_of_an_earlier_version_states_no_off_value(card: Card) -> None:
    fields = json.loads(card.model_dump_json())
    text = json.dumps(fields | {"params": [SLIDER]})
    assert Card.parse(text, "soft.onnx").params[0].as_param().off is None


def test_log_scale_down_to_zero_is_rejected(card: Card) -> None:
    fields = json.loads(card.model_dump_json()) | {"params": [SLIDER | {"low": 0}]}
    with pytest.raises(ModelError, match="a log scale needs a range above 0"):
        Card.parse(json.dumps(fields), "soft.onnx")


@pytest.mark.parametrize("side", [-1, 257, 64.5, "64"])
def test_invalid_thumbnail_size_is_rejected(card: Card, side: object) -> None:
    fields = json.loads(card.model_dump_json()) | {"thumbnail_size": side}
    with pytest.raises(ModelError, match="thumbnail_size"):
        Card.parse(json.dumps(fields), "soft.onnx")
