import hashlib
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile import reader
from burnish.modelfile.card import Card
from burnish.modelfile.reader import parse_model, read_card, read_model

ModelBytes = Callable[..., bytes]
Rejection = Callable[[bytes], str]
Graph = onnx.GraphProto


def test_read_card_returns_the_card_of_a_file_without_its_graph(
    tmp_path: Path, graph: Graph, model_bytes: ModelBytes, card: Card
) -> None:
    data = model_bytes(graph)
    path = tmp_path / "a.onnx"
    path.write_bytes(data)
    assert read_card(path) == card
    for broken in (b"", b"hello", data[: len(data) // 2], data[:-1]):
        path.write_bytes(broken)
        with pytest.raises(ModelError):
            read_card(path)


def test_read_model_returns_card_bytes_and_hash(
    tmp_path: Path, graph: Graph, model_bytes: ModelBytes, card: Card
) -> None:
    data = model_bytes(graph)
    path = tmp_path / "söft.onnx"
    path.write_bytes(data)
    file = read_model(path)
    assert file.card == card
    assert file.graph == data
    assert file.sha256 == hashlib.sha256(data).hexdigest()


def test_import_of_reader_loads_no_torch_and_no_onnx() -> None:
    code = "import burnish.modelfile.reader, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "burnish.modelfile.reader" in loaded
    assert not {"torch", "onnx", "onnxruntime"} & set(loaded)


def test_read_model_rejects_missing_file_folder_and_large_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_model(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="folder"):
        read_model(tmp_path)
    (tmp_path / "large.onnx").write_bytes(bytes(2**21))
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(ModelError, match="2 MiB, more than 1 MiB"):
        read_model(tmp_path / "large.onnx")


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_rejected(rejection: Rejection, seed: int) -> None:
    assert rejection(np.random.default_rng(seed).bytes(500))


def test_empty_file_is_rejected(rejection: Rejection) -> None:
    assert rejection(b"")


def test_file_truncated_anywhere_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    data = model_bytes(graph)
    messages = [rejection(data[:end]) for end in range(0, len(data) - 1, 7)]
    assert len(messages) > 100


def test_pickle_and_torch_archive_are_rejected(tmp_path: Path, rejection: Rejection) -> None:
    assert "not an ONNX model" in rejection(pickle.dumps({"weights": [1.0, 2.0]}))
    archive = tmp_path / "model.pt"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps([1]))
    assert "not an ONNX model" in rejection(archive.read_bytes())


def test_file_needs_exactly_one_valid_card(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card
) -> None:
    assert "0 entries burnish.card" in rejection(model_bytes(graph, card_text=None))
    assert "card is not valid" in rejection(model_bytes(graph, card_text="{}"))
    model = onnx.load_model_from_string(model_bytes(graph))
    model.metadata_props.add(key=Card.metadata_key, value=card.model_dump_json())
    assert rejection(model.SerializeToString())


def test_external_weight_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    weight = graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../../etc/passwd")
    assert "in another file" in rejection(model_bytes(graph))


def test_external_constant_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 3, 3, 3])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    constant = helper.make_node("Constant", [], ["weight"])
    constant.attribute.append(helper.make_attribute("value", weight))
    nodes = [constant, *graph.node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    assert "in another file" in rejection(model_bytes(graph))


@pytest.mark.parametrize(
    ("op", "domain"),
    [("Conv", "com.evil"), ("FusedConv", "com.microsoft"), ("Loop", ""), ("If", ""), ("Scan", "")]
    + [(op, "") for op in ("ConstantOfShape", "Expand", "Tile", "Range", "Softmax")],
)
def test_other_operator_or_domain_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, op: str, domain: str
) -> None:
    graph.node[0].op_type, graph.node[0].domain = op, domain
    assert op in rejection(model_bytes(graph))


def test_other_operator_sets_and_local_functions_are_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    model = onnx.load_model_from_string(model_bytes(graph))
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    assert "com.evil" in rejection(model.SerializeToString())
    model = onnx.load_model_from_string(model_bytes(graph))
    model.functions.add(name="f", domain="local")
    assert "functions" in rejection(model.SerializeToString())
    assert "ai.onnx 9" in rejection(model_bytes(graph, opset=9))
    assert "ai.onnx 99" in rejection(model_bytes(graph, opset=99))


def test_subgraph_in_an_allowed_node_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    subgraph = Graph()
    subgraph.CopyFrom(graph)
    graph.node[0].attribute.append(helper.make_attribute("body", subgraph))
    assert "'Conv' is not allowed" in rejection(model_bytes(graph))


@pytest.mark.parametrize("direction", ["input", "output"])
@pytest.mark.parametrize(
    ("name", "dtype", "dims", "words"),
    [
        ("other", TensorProto.FLOAT, ["b", 3, "h", "w"], "['other']"),
        (None, TensorProto.UINT8, ["b", 3, "h", "w"], "UINT8, not float32"),
        (None, TensorProto.FLOAT, ["b", 4, "h", "w"], "[None, 4, None, None]"),
        (None, TensorProto.FLOAT, ["b", 3, 480, 640], "[None, 3, 480, 640]"),
        (None, TensorProto.FLOAT, [8, 3, "h", "w"], "[8, 3, None, None]"),
        (None, TensorProto.FLOAT, ["b", "h", "w"], "[None, None, None]"),
    ],
)
def test_other_input_or_output_is_rejected(
    graph: Graph,
    model_bytes: ModelBytes,
    rejection: Rejection,
    direction: str,
    name: str | None,
    dtype: int,
    dims: list[str | int],
    words: str,
) -> None:
    value = getattr(graph, direction)[0]
    original_name = value.name
    if name:
        getattr(graph.node[0], direction)[0] = name
    value.CopyFrom(helper.make_tensor_value_info(name or original_name, dtype, dims))
    message = rejection(model_bytes(graph))
    assert original_name in message
    assert words in message


def test_unknown_second_input_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    assert "its inputs are ['image', 'mask']" in rejection(model_bytes(graph))


def test_output_of_another_size_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    graph.node[0].attribute[0].CopyFrom(helper.make_attribute("pads", [0, 0, 0, 0]))
    assert "3 x 8191 x 8191 is 3 x 8189 x 8189" in rejection(model_bytes(graph))


def test_card_that_understates_memory_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    wide = numpy_helper.from_array(np.zeros((500, 3, 1, 1), np.float32), "wide")
    narrow = numpy_helper.from_array(np.zeros((3, 500, 1, 1), np.float32), "narrow")
    del graph.node[:], graph.initializer[:]
    graph.initializer.extend([wide, narrow])
    graph.node.append(helper.make_node("Conv", ["image", "wide"], ["many"]))
    graph.node.append(helper.make_node("Conv", ["many", "narrow"], ["result"]))
    message = rejection(model_bytes(graph))
    assert "peak_activations_per_pixel 3" in message
    assert "503" in message


def test_graph_with_contradicting_sizes_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    graph.initializer.append(numpy_helper.from_array(np.ones((1, 5, 1, 1), np.float32), "five"))
    graph.node[0].output[0] = "three"
    graph.node.append(helper.make_node("Add", ["three", "five"], ["result"]))
    assert "do not fit together" in rejection(model_bytes(graph))


def test_card_that_understates_the_halo_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, card: Card
) -> None:
    text = card.model_copy(update={"halo": 0}).model_dump_json()
    assert "halo 0, its graph needs 1" in rejection(model_bytes(graph, card_text=text))


def test_too_many_nodes_or_edges_are_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    graph.node.append(helper.make_node("Concat", ["image"] * 1000, ["many"], axis=1))
    assert "1001 inputs and outputs" in rejection(model_bytes(graph))
    del graph.node[1:]
    graph.node.extend(helper.make_node("Relu", ["image"], [f"r{i}"]) for i in range(1000))
    assert "1001 nodes" in rejection(model_bytes(graph))


def test_card_that_is_not_utf8_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    data = model_bytes(graph).replace(b"Softening", b"Softenin\xff")
    assert "not UTF-8" in rejection(data)


def test_a_damaged_byte_raises_model_error_or_is_harmless(
    graph: Graph, model_bytes: ModelBytes
) -> None:
    data = model_bytes(graph)
    random = np.random.default_rng(5)
    rejected = 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] = random.integers(256)
        try:
            parse_model(bytes(damaged), "soft.onnx")
        except ModelError as error:
            rejected += error.where == "soft.onnx"
    assert rejected > 100
