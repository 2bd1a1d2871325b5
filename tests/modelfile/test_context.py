"""What a graph may take beside the image, and what it may do with it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile import io_spec as ends
from burnish.modelfile.allowed_ops import context_tensor_names
from burnish.modelfile.card import Card
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.reader import parse_model
from burnish.modelfile.receptive_field import receptive_field

Pack = Callable[..., bytes]
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


def with_card(card: Card, sliders: int = 0, thumbnail: int = 0, *, places: bool = False) -> str:
    """The card's text, with so many sliders and a thumbnail of so many pixels."""
    params = [SLIDER | {"name": f"s{number}"} for number in range(sliders)]
    changes: dict[str, Any] = {"params": params, "thumbnail_size": thumbnail, "coords": places}
    changes["peak_activations_per_pixel"] = 12 if places else 6
    return json.dumps(json.loads(card.model_dump_json()) | changes)


def take(graph: Graph, name: str, *sizes: int | str, element: int = TensorProto.FLOAT) -> None:
    graph.input.append(helper.make_tensor_value_info(name, element, sizes))


def put(graph: Graph, *nodes: Node, **weights: np.ndarray) -> Graph:
    """Put nodes before the convolution; what the last of them makes is its input."""
    convolution = graph.node[0]
    convolution.input[0] = nodes[-1].output[0]
    del graph.node[:]
    graph.node.extend([*nodes, convolution])
    graph.initializer.extend(numpy_helper.from_array(w, name) for name, w in weights.items())
    return graph


def node(op: str, inputs: list[str], made: str, **attributes: Any) -> Node:
    return helper.make_node(op, inputs, [made], **attributes)


def refusal(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        parse_model(data, "soft.onnx")
    assert "\n" not in str(caught.value)
    return str(caught.value)


SCALE = node("Mul", ["image", "params"], "scaled")
MEAN = node("GlobalAveragePool", ["thumbnail"], "mean")
SHIFT = node("Sub", ["image", "mean"], "shifted")


def test_sliders_and_a_thumbnail_are_taken(graph: Graph, pack: Pack, card: Card) -> None:
    take(graph, "params", 1, 3, 1, 1)
    take(graph, "thumbnail", 1, 3, 64, 64)
    put(graph, SCALE, MEAN, node("Sub", ["scaled", "mean"], "shifted"))
    file = parse_model(pack(graph, text=with_card(card, 3, 64)), "soft.onnx")
    assert file.card.context_shapes == {"params": (3, 1, 1), "thumbnail": (3, 64, 64)}
    assert ends.context_shapes(graph) == file.card.context_shapes
    assert context_tensor_names(graph) == {"params", "thumbnail", "mean"}


@pytest.mark.parametrize(
    ("name", "sizes", "said"),
    [
        ("params", (1, 0, 1, 1), "params: 1 x sliders x 1 x 1, at most 16 sliders"),
        ("params", (1, 17, 1, 1), "at most 16 sliders, got [1, 17, 1, 1]"),
        ("params", (2, 3, 1, 1), "got [2, 3, 1, 1]"),
        ("params", ("batch", 3, 1, 1), "got [None, 3, 1, 1]"),
        ("params", (1, 3, 2, 1), "got [1, 3, 2, 1]"),
        ("params", (1, 3), "got [1, 3]"),
        ("params", (), "at most 16 sliders, got []"),
        ("thumbnail", (1, 3, 64, 32), "thumbnail: 1 x 3 x side x side, at most 256 px"),
        ("thumbnail", (1, 3, 257, 257), "got [1, 3, 257, 257]"),
        ("thumbnail", (1, 4, 64, 64), "got [1, 4, 64, 64]"),
        ("thumbnail", (1, 3, "side", "side"), "got [1, 3, None, None]"),
        ("thumbnail", ("batch", 3, 64, 64), "got [None, 3, 64, 64]"),
        ("mask", (1, 3, 1, 1), "thumbnail and with it places at most, got ['image', 'mask']"),
        ("coords", (1, "rows", "columns", 2), "at most, got ['image', 'coords']"),
    ],
)
def test_input_of_another_name_or_size_is_refused(
    graph: Graph, pack: Pack, name: str, sizes: tuple[int | str, ...], said: str
) -> None:
    take(graph, name, *sizes)
    assert said in refusal(pack(graph))


@pytest.mark.parametrize("element", [TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64])
def test_context_is_float32(graph: Graph, pack: Pack, element: int) -> None:
    take(graph, "params", 1, 3, 1, 1, element=element)
    assert "params: float32" in refusal(pack(graph))


@pytest.mark.parametrize(
    "names",
    [["thumbnail", "params"], ["params", "params"], ["params", "thumbnail", "mask"]],
    ids=" ".join,
)
def test_inputs_have_their_order(graph: Graph, pack: Pack, names: list[str]) -> None:
    for name in names:
        take(graph, name, *((1, 3, 64, 64) if name == "thumbnail" else (1, 3, 1, 1)))
    assert "soft.onnx: expected" in refusal(pack(graph))


def test_image_comes_first(graph: Graph, pack: Pack) -> None:
    take(graph, "params", 1, 3, 1, 1)
    first, second = graph.input[1], graph.input[0]
    swapped = [onnx.ValueInfoProto.FromString(e.SerializeToString()) for e in (first, second)]
    del graph.input[:]
    graph.input.extend(swapped)
    assert "the input image, and params" in refusal(pack(graph))


@pytest.mark.parametrize(
    ("sliders", "thumbnail"), [(0, 0), (2, 0), (4, 0), (3, 64), (0, 64)], ids=str
)
def test_inputs_are_those_of_the_card(
    graph: Graph, pack: Pack, card: Card, sliders: int, thumbnail: int
) -> None:
    take(graph, "params", 1, 3, 1, 1)
    put(graph, SCALE)
    assert parse_model(pack(graph, text=with_card(card, 3)), "soft.onnx").card.sliders
    said = refusal(pack(graph, text=with_card(card, sliders, thumbnail)))
    assert "as its card says, got {'params': (3, 1, 1)}" in said


def test_thumbnail_is_as_large_as_the_card_says(graph: Graph, pack: Pack, card: Card) -> None:
    take(graph, "thumbnail", 1, 3, 64, 64)
    put(graph, MEAN, SHIFT)
    assert (
        parse_model(pack(graph, text=with_card(card, 0, 64)), "soft.onnx").card.thumbnail_size == 64
    )
    assert "'thumbnail': (3, 32, 32)" in refusal(pack(graph, text=with_card(card, 0, 32)))


@pytest.mark.parametrize(
    "op", ["GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "Log"]
)
def test_only_the_context_is_looked_at_as_a_whole(
    graph: Graph, pack: Pack, card: Card, op: str
) -> None:
    take(graph, "thumbnail", 1, 3, 64, 64)
    text = with_card(card, 0, 64)
    bare = graph.SerializeToString()
    last = node("GlobalAveragePool", ["seen"], "mean")
    good = put(graph, node(op, ["thumbnail"], "seen"), last, SHIFT)
    assert parse_model(pack(good, text=text), "soft.onnx").card.thumbnail_size == 64
    last = node("Add", ["image", "seen"], "both")
    said = refusal(pack(put(Graph.FromString(bare), node(op, ["image"], "seen"), last), text=text))
    assert f"operators that look near, got {op} of the picture" in said


def test_what_was_made_of_the_picture_is_no_context(graph: Graph, pack: Pack, card: Card) -> None:
    """Neither by a detour, nor after it met the context."""
    take(graph, "params", 1, 3, 1, 1)
    text = with_card(card, 3)
    for detour in (
        [node("Relu", ["image"], "a")],
        [node("Mul", ["params", "image"], "a")],
        [node("Relu", ["params"], "b"), node("Add", ["b", "image"], "a")],
    ):
        whole = Graph.FromString(graph.SerializeToString())
        pool = node("GlobalAveragePool", ["a"], "mean")
        put(whole, *detour, pool, SHIFT)
        assert "GlobalAveragePool of the picture" in refusal(pack(whole, text=text))


@pytest.mark.parametrize("name", ["params", "thumbnail"])
def test_the_name_alone_makes_no_context(graph: Graph, pack: Pack, card: Card, name: str) -> None:
    """A tensor of pixels called like it is one of pixels: it counts, and is not pooled."""
    text = with_card(card)
    named = put(Graph.FromString(graph.SerializeToString()), node("Relu", ["image"], name))
    assert context_tensor_names(named) == set()
    model = onnx.load_model_from_string(pack(named, text=text))
    assert receptive_field(model, 1, 1, "soft.onnx") == 1
    assert graph_costs(model, 1, "soft.onnx").peak_activations_per_pixel == 6
    pooled = [node("Relu", ["image"], name), node("GlobalMaxPool", [name], "mean"), SHIFT]
    assert "GlobalMaxPool of the picture" in refusal(pack(put(graph, *pooled), text=text))


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            [node("Concat", ["image", "params"], "both", axis=1)],
            "to scale or shift, got Concat by it",
        ),
        ([node("PRelu", ["image", "params"], "both")], "constant, got PRelu by computed ones"),
        ([node("Clip", ["image", "params"], "both")], "constant, got Clip by computed ones"),
        (
            [node("Conv", ["image", "weight", "params"], "both", pads=[1, 1, 1, 1])],
            "constant, got Conv by computed ones",
        ),
        ([node("Resize", ["image", "", "params"], "both")], "Resize by computed ones"),
        ([node("Slice", ["image", "params", "params"], "both")], "Slice by computed ones"),
        (
            [node("Gather", ["params", "image"], "both", axis=1)],
            "constant, got Gather by computed ones",
        ),
    ],
    ids=lambda case: case[0].op_type if isinstance(case, list) else "",
)
def test_context_only_scales_and_shifts_the_picture(
    graph: Graph, pack: Pack, card: Card, nodes: list[Node], said: str
) -> None:
    take(graph, "params", 1, 3, 1, 1)
    assert said in refusal(pack(put(graph, *nodes), text=with_card(card, 3)))


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_thumbnail_s_pixels_do_not_meet_the_picture_s(
    graph: Graph, pack: Pack, card: Card, op: str
) -> None:
    """Not even in a picture of just the thumbnail's size, where they would fit."""
    side = 66
    take(graph, "thumbnail", 1, 3, side, side)
    put(graph, node(op, ["image", "thumbnail"], "both"))
    data = pack(graph, text=with_card(card, 0, side))
    refusal(data)
    with pytest.raises(ModelError, match=r"one number a channel .* got \(1, 3, 66, 66\)"):
        receptive_field(onnx.load_model_from_string(data), 1, 1, "soft.onnx")


def test_context_of_fewer_dimensions_does_not_meet_the_picture(
    graph: Graph, pack: Pack, card: Card
) -> None:
    """Three numbers in a row would be one a column."""
    take(graph, "thumbnail", 1, 3, 64, 64)
    flat = node("ReduceMean", ["thumbnail", "axes"], "row", keepdims=0)
    axes = np.array([0, 1, 2])
    put(graph, flat, node("Add", ["image", "row"], "both"), axes=axes)
    data = pack(graph, text=with_card(card, 0, 64))
    assert "soft.onnx: expected" in refusal(data)
    one = Graph.FromString(graph.SerializeToString())
    one.initializer[-1].CopyFrom(numpy_helper.from_array(np.array([1, 2, 3]), "axes"))
    data = pack(one, text=with_card(card, 0, 64))
    assert "one number a channel for the whole picture, got (1,)" in refusal(data)


def look(kernel: int, width: int) -> tuple[list[Node], dict[str, np.ndarray]]:
    """A convolution over the thumbnail, as large and wide as is said."""
    weights = {
        "wide": np.zeros((width, 3, kernel, kernel), np.float32),
        "narrow": np.zeros((3, width, 1, 1), np.float32),
    }
    nodes = [
        node("Conv", ["thumbnail", "wide"], "many", pads=[kernel // 2] * 4),
        node("GlobalMaxPool", ["many"], "few"),
        node("Conv", ["few", "narrow"], "mean"),
        SHIFT,
    ]
    return nodes, weights


@pytest.mark.parametrize(("kernel", "width", "fits"), [(3, 64, True), (1, 200, False), (31, 8, 0)])
def test_work_on_a_thumbnail_is_bounded(
    graph: Graph, pack: Pack, card: Card, kernel: int, width: int, fits: bool
) -> None:
    """200 channels of 256 x 256 px are too many values, 8 of 31 x 31 taps too many products."""
    take(graph, "thumbnail", 1, 3, 256, 256)
    nodes, weights = look(kernel, width)
    data = pack(put(graph, *nodes, **weights), text=with_card(card, 0, 256))
    if fits:
        assert parse_model(data, "soft.onnx").card.thumbnail_size == 256
    else:
        assert "multiply-adds a thumbnail, got" in refusal(data)


def test_sight_and_costs_are_the_picture_s_alone(graph: Graph, pack: Pack, card: Card) -> None:
    plain = onnx.load_model_from_string(pack(graph))
    take(graph, "thumbnail", 1, 3, 64, 64)
    nodes, weights = look(kernel=9, width=40)
    data = pack(put(graph, *nodes, **weights), text=with_card(card, 0, 64))
    model = onnx.load_model_from_string(data)
    assert (
        receptive_field(model, 1, 1, "soft.onnx") == receptive_field(plain, 1, 1, "soft.onnx") == 1
    )
    found, without = graph_costs(model, 1, "soft.onnx"), graph_costs(plain, 1, "soft.onnx")
    assert found.macs_per_pixel == without.macs_per_pixel == 81
    # What is subtracted from is the image, which is kept: three more values while it is done.
    assert found.peak_activations_per_pixel == without.peak_activations_per_pixel + 3


LOOK = node("GridSample", ["thumbnail", "coords"], "found", padding_mode="border")


def surveyed(graph: Graph, *nodes: Node) -> Graph:
    """A graph that takes a thumbnail and places."""
    take(graph, "thumbnail", 1, 3, 64, 64)
    take(graph, "coords", 1, "rows", "columns", 2)
    return put(graph, *nodes)


BOTH = node("Add", ["image", "found"], "both")


def test_the_thumbnail_is_looked_up_at_places(graph: Graph, pack: Pack, card: Card) -> None:
    """Which is four multiply-adds a value, is held in memory, and needs no wider halo."""
    data = pack(surveyed(graph, LOOK, BOTH), text=with_card(card, 0, 64, places=True))
    assert parse_model(data, "soft.onnx").card.coords
    model = onnx.load_model_from_string(data)
    assert receptive_field(model, 1, 1, "soft.onnx") == 1
    found = graph_costs(model, 1, "soft.onnx")
    assert (found.macs_per_pixel, found.peak_activations_per_pixel) == (81 + 4 * 3, 6)
    assert context_tensor_names(model.graph) == {"thumbnail"}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            [node("GridSample", ["image", "coords"], "found", padding_mode="border")],
            "of what holds",
        ),
        ([node("GridSample", ["thumbnail", "image"], "found", padding_mode="border")], "at places"),
        (
            [node("GridSample", ["thumbnail", "thumbnail"], "found", padding_mode="border")],
            "coords",
        ),
        ([node("GridSample", ["thumbnail", "coords"], "found")], "padding_mode left out"),
        (
            [node("GridSample", ["thumbnail", "coords"], "found", padding_mode="reflection")],
            "padding_mode b'reflection'",
        ),
        ([LOOK, node("Relu", ["coords"], "other")], "got Relu of ['coords']"),
        ([LOOK, node("Mul", ["found", "coords"], "other")], "got Mul of ['found', 'coords']"),
        ([LOOK, node("GlobalMaxPool", ["found"], "other")], "GlobalMaxPool of the picture"),
    ],
)
def test_places_serve_to_look_up_in_the_thumbnail_alone(
    graph: Graph, pack: Pack, card: Card, nodes: list[Node], said: str
) -> None:
    data = pack(surveyed(graph, *nodes, BOTH), text=with_card(card, 0, 64, places=True))
    assert said in refusal(data)


def test_places_are_said_on_the_card(graph: Graph, pack: Pack, card: Card) -> None:
    data = pack(surveyed(graph, LOOK, BOTH), text=with_card(card, 0, 64))
    assert "expected places False, as its card says, got True" in refusal(data)


@pytest.mark.parametrize("sizes", [(1, 4, 4, 2), (1, "rows", "columns", 3), ("n", "r", "c", 2)])
def test_places_are_of_any_tile(graph: Graph, pack: Pack, sizes: tuple[int | str, ...]) -> None:
    take(graph, "thumbnail", 1, 3, 64, 64)
    take(graph, "coords", *sizes)
    assert "places: 1 x rows x columns x 2, rows and columns free" in refusal(pack(graph))


def test_card_says_what_its_graph_takes(card: Card) -> None:
    plain = Card.parse(with_card(card), "soft.onnx")
    assert (plain.sliders, plain.context_shapes, plain.thumbnail_size) == ((), {}, 0)
    rich = Card.parse(with_card(card, 2, 32), "soft.onnx")
    assert [param.name for param in rich.sliders] == ["s0", "s1"]
    assert rich.context_shapes == {"params": (2, 1, 1), "thumbnail": (3, 32, 32)}
    assert list(rich.context_shapes) == ["params", "thumbnail"]


def test_places_need_a_thumbnail_to_look_in(card: Card) -> None:
    with pytest.raises(ModelError, match="looked up in a thumbnail, and it takes none"):
        Card.parse(with_card(card, places=True), "soft.onnx")


def test_only_sliders_count_as_what_the_graph_takes(card: Card) -> None:
    fields = json.loads(card.model_dump_json())
    fixed = SLIDER | {"name": "kappa", "slider": False}
    mixed = Card.parse(json.dumps(fields | {"params": [fixed, SLIDER]}), "soft.onnx")
    assert [param.name for param in mixed.sliders] == ["lambda"]
    assert mixed.context_shapes == {"params": (1, 1, 1)}


def test_a_card_s_value_is_what_holds_unsaid(card: Card) -> None:
    fields = json.loads(card.model_dump_json())
    text = json.dumps(fields | {"params": [SLIDER | {"value": 0.5}]})
    param = Card.parse(text, "soft.onnx").params[0].as_param()
    assert (param.default, param.low, param.high, param.scale) == (0.5, 0.01, 1, "log")


def test_a_log_scale_down_to_zero_is_refused(card: Card) -> None:
    fields = json.loads(card.model_dump_json()) | {"params": [SLIDER | {"low": 0}]}
    with pytest.raises(ModelError, match="a log scale needs a range above 0"):
        Card.parse(json.dumps(fields), "soft.onnx")


@pytest.mark.parametrize("side", [-1, 257, 64.5, "64"])
def test_a_thumbnail_of_no_such_size_is_refused(card: Card, side: object) -> None:
    fields = json.loads(card.model_dump_json()) | {"thumbnail_size": side}
    with pytest.raises(ModelError, match="got thumbnail"):
        Card.parse(json.dumps(fields), "soft.onnx")
