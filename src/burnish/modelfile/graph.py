"""What a model's graph may be: judged before it is run, without running it.

The rules keep a stranger's file from reading other files, from looping, and from looking at more
of a picture than a tile holds.
"""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, TensorProto

from burnish.modelfile import allowed_ops as local
from burnish.modelfile import io_spec as ends
from burnish.modelfile.card import CARD_KEY
from burnish.modelfile.refusal import reject

OPSETS = range(13, 22)
MAX_NODES = 1000
MAX_NODE_EDGES = 128


def parse_graph(data: bytes, filename: str) -> ModelProto:
    """Parse and judge a model's bytes.

    Raises
    ------
    ModelError : no ONNX, or an ONNX model that burnish does not run
    """
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        reject(filename, "an ONNX model", f"{len(data)} bytes of something else", error)
    # First what needs no trust, so that the checker never sees a path to somebody's files.
    _check_self_contained(model, filename)
    _check_operators(model, filename)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:
        reject(filename, "a valid ONNX model", str(error)[:200], error)
    ends.check_io(model.graph, filename)
    local.check_ops(model, filename)
    return model


def card_text(model: ModelProto, filename: str) -> str:
    """Return the JSON text of the model's card.

    Raises
    ------
    ModelError : the model carries no card, or several
    """
    # What is no UTF-8 comes as bytes.
    cards: list[str | bytes] = [
        entry.value for entry in model.metadata_props if entry.key == CARD_KEY
    ]
    if len(cards) != 1:
        reject(filename, f"one model card, in the metadata as {CARD_KEY}", f"{len(cards)}")
    if isinstance(cards[0], bytes):
        reject(filename, "a model card in UTF-8", "other bytes")
    return cards[0]


def _check_self_contained(model: ModelProto, filename: str) -> None:
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        reject(filename, "one plain graph", "local functions, training steps or sparse weights")
    if len(graph.node) > MAX_NODES:
        reject(filename, f"at most {MAX_NODES} nodes", f"{len(graph.node)}")
    edges = max((len(node.input) + len(node.output) for node in graph.node), default=0)
    if edges > MAX_NODE_EDGES:
        reject(filename, f"at most {MAX_NODE_EDGES} inputs and outputs a node", f"{edges}")
    for tensor in _tensors(graph):
        if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
            reject(filename, "weights inside the file", f"{tensor.name[:80]!r} in another file")


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def _check_operators(model: ModelProto, filename: str) -> None:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version = opsets.pop("ai.onnx", 0)
    if opsets or version not in OPSETS:
        got = ", ".join([f"ai.onnx {version}", *(domain[:80] for domain in opsets)])
        reject(filename, f"standard ONNX operators, set {OPSETS[0]} to {OPSETS[-1]}", got)
    for node in model.graph.node:
        has_subgraph = any(
            attribute.graphs
            or attribute.HasField("g")
            or attribute.sparse_tensors
            or attribute.HasField("sparse_tensor")
            for attribute in node.attribute
        )
        if (
            node.domain not in ("", "ai.onnx")
            or node.op_type not in local.ALLOWED_OPS
            or has_subgraph
        ):
            name = f"{node.domain}.{node.op_type}".lstrip(".")[:80]
            reject(filename, "only operators that a picture's network needs", repr(name))
