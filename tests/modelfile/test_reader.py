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
from burnish.modelfile import reader as reader
from burnish.modelfile.card import Card
from burnish.modelfile.reader import parse_model, read_model

Pack = Callable[..., bytes]
Graph = onnx.GraphProto


def refusal(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        parse_model(data, "soft.onnx")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_valid_file_is_read(tmp_path: Path, graph: Graph, pack: Pack, card: Card) -> None:
    data = pack(graph)
    path = tmp_path / "söft.onnx"
    path.write_bytes(data)
    file = read_model(path)
    assert file.card == card
    assert file.graph == data
    assert file.sha256 == hashlib.sha256(data).hexdigest()


def test_reading_needs_no_torch_and_importing_no_onnx() -> None:
    code = "import burnish.modelfile.reader, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "burnish.modelfile.reader" in loaded
    assert not {"torch", "onnx", "onnxruntime"} & set(loaded)


def test_missing_file_folder_and_large_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_model(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="a folder"):
        read_model(tmp_path)
    (tmp_path / "large.onnx").write_bytes(bytes(2000))
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 1000)
    with pytest.raises(ModelError, match="of at most"):
        read_model(tmp_path / "large.onnx")


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes(seed: int) -> None:
    assert "soft.onnx" in refusal(np.random.default_rng(seed).bytes(500))


def test_no_bytes() -> None:
    assert "expected" in refusal(b"")


def test_truncated_anywhere(graph: Graph, pack: Pack) -> None:
    data = pack(graph)
    messages = [refusal(data[:end]) for end in range(0, len(data) - 1, 7)]
    assert len(messages) > 100


def test_pickle_and_torch_archive(tmp_path: Path) -> None:
    assert "an ONNX model" in refusal(pickle.dumps({"weights": [1.0, 2.0]}))
    archive = tmp_path / "model.pt"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps([1]))
    assert "an ONNX model" in refusal(archive.read_bytes())


def test_no_card_two_cards_and_a_broken_card(graph: Graph, pack: Pack, card: Card) -> None:
    assert "one model card" in refusal(pack(graph, text=None))
    assert "a valid model card" in refusal(pack(graph, text="{}"))
    model = onnx.load_model_from_string(pack(graph))
    model.metadata_props.add(key=Card.metadata_key, value=card.model_dump_json())
    assert "soft.onnx" in refusal(model.SerializeToString())


def test_external_data_is_refused(graph: Graph, pack: Pack) -> None:
    weight = graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../../etc/passwd")
    assert "weights inside the file" in refusal(pack(graph))


def test_external_data_in_a_constant_is_refused(graph: Graph, pack: Pack) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 3, 3, 3])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    constant = helper.make_node("Constant", [], ["weight"])
    constant.attribute.append(helper.make_attribute("value", weight))
    nodes = [constant, *graph.node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    assert "weights inside the file" in refusal(pack(graph))


@pytest.mark.parametrize(
    ("op", "domain"),
    [("Conv", "com.evil"), ("FusedConv", "com.microsoft"), ("Loop", ""), ("If", ""), ("Scan", "")]
    + [(op, "") for op in ("ConstantOfShape", "Expand", "Tile", "Range", "Softmax")],
)
def test_other_operators_are_refused(graph: Graph, pack: Pack, op: str, domain: str) -> None:
    graph.node[0].op_type, graph.node[0].domain = op, domain
    assert op in refusal(pack(graph))


def test_other_domain_functions_and_sets_are_refused(graph: Graph, pack: Pack) -> None:
    model = onnx.load_model_from_string(pack(graph))
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    assert "com.evil" in refusal(model.SerializeToString())
    model = onnx.load_model_from_string(pack(graph))
    model.functions.add(name="f", domain="local")
    assert "one plain graph" in refusal(model.SerializeToString())
    assert "ai.onnx 9" in refusal(pack(graph, opset=9))
    assert "ai.onnx 99" in refusal(pack(graph, opset=99))


def test_graph_hidden_in_an_allowed_node_is_refused(graph: Graph, pack: Pack) -> None:
    inner = Graph()
    inner.CopyFrom(graph)
    graph.node[0].attribute.append(helper.make_attribute("body", inner))
    assert "only operators" in refusal(pack(graph))


@pytest.mark.parametrize("end", ["input", "output"])
@pytest.mark.parametrize(
    ("name", "element", "dims"),
    [
        ("other", TensorProto.FLOAT, ["b", 3, "h", "w"]),
        (None, TensorProto.UINT8, ["b", 3, "h", "w"]),
        (None, TensorProto.FLOAT, ["b", 4, "h", "w"]),
        (None, TensorProto.FLOAT, ["b", 3, 480, 640]),
        (None, TensorProto.FLOAT, [8, 3, "h", "w"]),
        (None, TensorProto.FLOAT, ["b", "h", "w"]),
    ],
)
def test_other_ends_are_refused(
    graph: Graph, pack: Pack, end: str, name: str | None, element: int, dims: list[str | int]
) -> None:
    ends = getattr(graph, end)
    right = ends[0].name
    if name:
        port = getattr(graph.node[0], end)
        port[0] = name
    ends[0].CopyFrom(helper.make_tensor_value_info(name or right, element, dims))
    said = f"{right}: batch x 3 x height x width"
    if element != TensorProto.FLOAT:
        said = f"{right}: float32, got UINT8"
    elif name:
        said = {"input": "the input image", "output": "one output, result, got ['other']"}[end]
    assert said in refusal(pack(graph))


def test_two_inputs_are_refused(graph: Graph, pack: Pack) -> None:
    graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    assert "the input image, and params, thumbnail and with it places at most" in refusal(
        pack(graph)
    )


def test_result_of_another_size_is_refused(graph: Graph, pack: Pack) -> None:
    graph.node[0].attribute[0].CopyFrom(helper.make_attribute("pads", [0, 0, 0, 0]))
    assert "a result of 3 x 8191 x 8191, got 3 x 8189 x 8189" in refusal(pack(graph))


def test_graph_that_needs_more_memory_than_its_card_says_is_refused(
    graph: Graph, pack: Pack
) -> None:
    wide = numpy_helper.from_array(np.zeros((500, 3, 1, 1), np.float32), "wide")
    narrow = numpy_helper.from_array(np.zeros((3, 500, 1, 1), np.float32), "narrow")
    del graph.node[:], graph.initializer[:]
    graph.initializer.extend([wide, narrow])
    graph.node.append(helper.make_node("Conv", ["image", "wide"], ["many"]))
    graph.node.append(helper.make_node("Conv", ["many", "narrow"], ["result"]))
    assert "expected 3 values a pixel, as its card says, got a graph that needs 503" in refusal(
        pack(graph)
    )


def test_graph_whose_sizes_contradict_is_refused(graph: Graph, pack: Pack) -> None:
    graph.initializer.append(numpy_helper.from_array(np.ones((1, 5, 1, 1), np.float32), "five"))
    graph.node[0].output[0] = "three"
    graph.node.append(helper.make_node("Add", ["three", "five"], ["result"]))
    assert "sizes fit together" in refusal(pack(graph))


def test_halo_that_is_less_than_the_graph_sees_is_refused(
    graph: Graph, pack: Pack, card: Card
) -> None:
    text = card.model_copy(update={"halo": 0}).model_dump_json()
    assert "a halo of 0 px, as its card says, got a graph that needs 1" in refusal(
        pack(graph, text=text)
    )


def test_many_nodes_and_many_links_are_refused(graph: Graph, pack: Pack) -> None:
    graph.node.append(helper.make_node("Concat", ["image"] * 1000, ["many"], axis=1))
    assert "at most 128 inputs and outputs a node, got 1001" in refusal(pack(graph))
    del graph.node[1:]
    graph.node.extend(helper.make_node("Relu", ["image"], [f"r{i}"]) for i in range(1000))
    assert "at most 1000 nodes, got 1001" in refusal(pack(graph))


def test_card_that_is_no_text_is_refused(graph: Graph, pack: Pack) -> None:
    data = pack(graph).replace(b"Softening", b"Softenin\xff")
    assert "a model card in UTF-8" in refusal(data)


def test_damage_anywhere_is_told_in_words_or_harmless(graph: Graph, pack: Pack) -> None:
    data = pack(graph)
    random = np.random.default_rng(5)
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] = random.integers(256)
        try:
            parse_model(bytes(damaged), "soft.onnx")
        except ModelError as error:
            refused += "soft.onnx: expected" in str(error)
    assert refused > 100
