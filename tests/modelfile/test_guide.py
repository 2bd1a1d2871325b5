"""Files of guided networks: two outputs in one graph, each of which is a network of its own."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.card import Card, Guide
from burnish.modelfile.graph_costs import GraphCosts, graph_costs
from burnish.modelfile.reader import parse_model, read_card
from burnish.modelfile.receptive_field import receptive_field

ModelBytes = Callable[..., bytes]
Rejection = Callable[[bytes], str]
Graph = onnx.GraphProto
Change = Callable[[Graph], None]

SHAPES: dict[str, list[str | int]] = {
    "image": ["batch", 3, "height", "width"],
    "guide": ["batch", 3, "height", "width"],
    "params": [1, 3, 1, 1],
    "thumbnail": [1, 3, 64, 64],
    "coords": [1, "rows", "columns", 2],
}
START = {
    "network": "fast",
    "halo": 2,
    "size_multiple": 1,
    "thumbnail_size": 64,
    "coords": True,
    "macs_per_pixel": 237,
    "peak_activations_per_pixel": 6,
    "parameter_count": 225,
}
SLIDERS = [
    {"name": f"s{number}", "effect": "more", "value": 1, "default": 1, "low": 0, "high": 2}
    for number in range(3)
]


@pytest.fixture
def guided_card(card: Card) -> Card:
    """A card of a guided network with a halo of 1 px; its start network has one of 2 px."""
    changes: dict[str, Any] = {
        "params": [slider | {"slider": True} for slider in SLIDERS],
        "guide": {"size": 256, "max_ratio": 4.5, "start": START},
        "macs_per_pixel": 162,
        "peak_activations_per_pixel": 9,
        "parameter_count": 162,
    }
    return Card(**card.model_dump() | changes)


@pytest.fixture
def guided_graph() -> Graph:
    """A graph whose outputs share an input and a node, the factors of the sliders."""
    generator = np.random.default_rng(0)
    weights = {"fine": (3, 6, 3, 3), "coarse": (3, 3, 5, 5)}
    nodes = [
        helper.make_node("Relu", ["params"], ["factors"]),
        helper.make_node("Concat", ["image", "guide"], ["both"], axis=1),
        helper.make_node("Conv", ["image", "coarse"], ["sums"], pads=[2] * 4),
        helper.make_node("Conv", ["both", "fine"], ["detail"], pads=[1] * 4),
        helper.make_node("Mul", ["sums", "factors"], ["scaled"]),
        helper.make_node("GridSample", ["thumbnail", "coords"], ["far"], padding_mode="border"),
        helper.make_node("Add", ["scaled", "far"], ["start"]),
        helper.make_node("Mul", ["detail", "factors"], ["result"]),
    ]
    return helper.make_graph(
        nodes,
        "guided",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in SHAPES.items()
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPES["image"])
            for name in ("result", "start")
        ],
        [
            numpy_helper.from_array(generator.normal(0, 0.1, shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )


def input_names(graph: bytes) -> list[str]:
    return [value.name for value in onnx.load_model_from_string(graph).graph.input]


def test_file_is_split_into_two_networks(
    guided_graph: Graph, guided_card: Card, model_bytes: ModelBytes
) -> None:
    data = model_bytes(guided_graph, guided_card.model_dump_json())
    file = parse_model(data, "soft.onnx")
    assert file.card == guided_card
    assert file.start is not None
    assert input_names(file.graph) == ["image", "guide", "params"]
    assert input_names(file.start.graph) == ["image", "params", "thumbnail", "coords"]
    assert file.start.card == guided_card.start_card
    assert {name: getattr(file.start.card, name) for name in START} == START
    assert file.start.card.guide is None
    assert file.start.sha256 != file.sha256

    generator = np.random.default_rng(1)
    sides: dict[Any, Any] = {"height": 9, "width": 7, "rows": 9, "columns": 7, "batch": 1}
    inputs = {
        name: generator.random([sides.get(dim, dim) for dim in shape], dtype=np.float32)
        for name, shape in SHAPES.items()
    }
    whole = onnxruntime.InferenceSession(data).run(["result", "start"], inputs)
    for expected, graph in zip(whole, (file.graph, file.start.graph), strict=True):
        own_inputs = {name: inputs[name] for name in input_names(graph)}
        (output,) = onnxruntime.InferenceSession(graph).run(["result"], own_inputs)
        np.testing.assert_array_equal(output, expected)


def test_costs_and_halo_are_those_of_each_network(
    guided_graph: Graph, guided_card: Card, model_bytes: ModelBytes
) -> None:
    """Six concatenated channels give three; three channels and three samples are added."""
    file = parse_model(model_bytes(guided_graph, guided_card.model_dump_json()), "soft.onnx")
    assert file.start is not None
    for graph, costs, radius in (
        (file.graph, GraphCosts(6 * 3 * 9, 6 + 3), 1),
        (file.start.graph, GraphCosts(3 * 3 * 25 + 4 * 3, 3 + 3), 2),
    ):
        model = onnx.load_model_from_string(graph)
        assert graph_costs(model, 1, "soft.onnx") == costs
        assert receptive_field(model, 1, 3, "soft.onnx") == radius


def test_file_without_a_start_network_has_no_thumbnail(
    guided_graph: Graph, guided_card: Card, model_bytes: ModelBytes, tmp_path: Any
) -> None:
    del guided_graph.input[3:], guided_graph.output[1:]
    for node in list(guided_graph.node)[4:7]:
        guided_graph.node.remove(node)
    del guided_graph.node[2], guided_graph.initializer[1]
    card = guided_card.model_copy(update={"guide": Guide(size=256, max_ratio=4.5)})
    data = model_bytes(guided_graph, card.model_dump_json())
    file = parse_model(data, "soft.onnx")
    assert file.graph == data
    assert file.start is None
    assert file.card.start_card is None
    (tmp_path / "soft.onnx").write_bytes(data)
    assert read_card(tmp_path / "soft.onnx") == card


def rewire(output: str, *inputs: str) -> Change:
    """Change the inputs of the node that computes a tensor."""

    def change(graph: Graph) -> None:
        (node,) = (node for node in graph.node if output in node.output)
        node.input[:] = inputs

    return change


def replace(output: str, op: str, *inputs: str, **attributes: Any) -> Change:
    def change(graph: Graph) -> None:
        (node,) = (node for node in graph.node if output in node.output)
        node.CopyFrom(helper.make_node(op, inputs, [output], **attributes))

    return change


def reorder(field: str, *names: str) -> Change:
    """Keep the inputs or outputs of these names, in this order."""

    def change(graph: Graph) -> None:
        values = {value.name: value for value in getattr(graph, field)}
        del getattr(graph, field)[:]
        getattr(graph, field).extend(values[name] for name in names)

    return change


def begin_with_the_result(graph: Graph) -> None:
    """Compute the start from the result, which does not depend on the guide here."""
    rewire("both", "image", "image")(graph)
    graph.node.insert(6, graph.node.pop())
    rewire("start", "result", "far")(graph)


def split_into_both(graph: Graph) -> None:
    """Compute both outputs in one node."""
    rewire("both", "image", "image")(graph)
    del graph.node[-2:]
    outputs = ["start", "result"]
    graph.node.append(helper.make_node("Split", ["both"], outputs, axis=1, num_outputs=2))


def narrow_guide(graph: Graph) -> None:
    graph.input[1].type.tensor_type.shape.dim[1].dim_value = 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rewire("scaled", "both", "factors"), "its output start depends on guide"),
        (replace("start", "Add", "guide", "scaled"), "its output start depends on guide"),
        (begin_with_the_result, "its output start depends on result"),
        (split_into_both, "its output result depends on start"),
        (
            replace("result", "GridSample", "thumbnail", "coords", padding_mode="border"),
            "its output result depends on thumbnail",
        ),
        (replace("result", "Add", "detail", "far"), "its output result depends on thumbnail"),
        (reorder("input", "image", "params", "thumbnail", "coords"), "not valid ONNX"),
        (reorder("input", "guide", "image", "params", "thumbnail", "coords"), "inputs are"),
        (reorder("input", "image", "params", "guide", "thumbnail", "coords"), "inputs are"),
        (reorder("input", "image", "guide", "params", "coords", "thumbnail"), "inputs are"),
        (reorder("output", "result"), "outputs are ['result'], not ['result', 'start']"),
        (reorder("output", "start", "result"), "outputs are ['start', 'result']"),
        (narrow_guide, "guide has the shape [None, 1, None, None], not [None, 3, None, None]"),
        (replace("detail", "ReduceMean", "guide"), "ReduceMean of the image is not local"),
        (replace("sums", "GlobalAveragePool", "image"), "output start: GlobalAveragePool of the"),
        (replace("start", "Concat", "scaled", "far", axis=1), "output start: its output for 3 x"),
    ],
)
def test_other_graph_is_rejected(
    guided_graph: Graph,
    guided_card: Card,
    model_bytes: ModelBytes,
    change: Change,
    words: str,
) -> None:
    change(guided_graph)
    with pytest.raises(ModelError) as caught:
        parse_model(model_bytes(guided_graph, guided_card.model_dump_json()), "soft.onnx")
    assert caught.value.where.startswith("soft.onnx")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("of_start", "name", "value"),
    [
        (False, "halo", 0),
        (False, "peak_activations_per_pixel", 8),
        (True, "halo", 1),
        (True, "peak_activations_per_pixel", 5),
    ],
)
def test_card_that_understates_either_network_is_rejected(
    guided_graph: Graph,
    guided_card: Card,
    model_bytes: ModelBytes,
    of_start: bool,
    name: str,
    value: int,
) -> None:
    fields = json.loads(guided_card.model_dump_json())
    (fields["guide"]["start"] if of_start else fields)[name] = value
    problem = f"card states {name} {value}, its graph needs {value + 1}"
    with pytest.raises(ModelError, match=problem) as caught:
        parse_model(model_bytes(guided_graph, json.dumps(fields)), "soft.onnx")
    assert caught.value.where == ("soft.onnx, output start" if of_start else "soft.onnx")


@pytest.mark.parametrize(
    "changes",
    [
        {"thumbnail_size": 64},
        {"guide": {"size": 256, "max_ratio": 4.5, "start": START | {"thumbnail_size": 0}}},
        {"guide": {"size": 256, "max_ratio": 1}},
        {"guide": {"size": 0, "max_ratio": 4.5}},
    ],
)
def test_card_with_another_guide_is_rejected(guided_card: Card, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        Card.build(**guided_card.model_dump() | changes)
