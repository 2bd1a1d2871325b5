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
from burnish.modelfile.refusal import refuse

OPSETS = range(13, 22)
MAX_NODES = 1000
MAX_LINKS = 128


def parse(data: bytes, where: str) -> ModelProto:
    """Parse and judge a model's bytes.

    Raises
    ------
    ModelError : no ONNX, or an ONNX model that burnish does not run
    """
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        refuse(where, "an ONNX model", f"{len(data)} bytes of something else", error)
    # First what needs no trust, so that the checker never sees a path to somebody's files.
    _check_self_contained(model, where)
    _check_operators(model, where)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:
        refuse(where, "a valid ONNX model", str(error)[:200], error)
    ends.check(model.graph, where)
    local.check(model, where)
    return model


def card_text(model: ModelProto, where: str) -> str:
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
        refuse(where, f"one model card, in the metadata as {CARD_KEY}", f"{len(cards)}")
    if isinstance(cards[0], bytes):
        refuse(where, "a model card in UTF-8", "other bytes")
    return cards[0]


def _check_self_contained(model: ModelProto, where: str) -> None:
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        refuse(where, "one plain graph", "local functions, training steps or sparse weights")
    if len(graph.node) > MAX_NODES:
        refuse(where, f"at most {MAX_NODES} nodes", f"{len(graph.node)}")
    links = max((len(node.input) + len(node.output) for node in graph.node), default=0)
    if links > MAX_LINKS:
        refuse(where, f"at most {MAX_LINKS} inputs and outputs a node", f"{links}")
    for tensor in _tensors(graph):
        if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
            refuse(where, "weights inside the file", f"{tensor.name[:80]!r} in another file")


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def _check_operators(model: ModelProto, where: str) -> None:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version = opsets.pop("ai.onnx", 0)
    if opsets or version not in OPSETS:
        got = ", ".join([f"ai.onnx {version}", *(domain[:80] for domain in opsets)])
        refuse(where, f"standard ONNX operators, set {OPSETS[0]} to {OPSETS[-1]}", got)
    for node in model.graph.node:
        holds_graph = any(
            attribute.graphs
            or attribute.HasField("g")
            or attribute.sparse_tensors
            or attribute.HasField("sparse_tensor")
            for attribute in node.attribute
        )
        if node.domain not in ("", "ai.onnx") or node.op_type not in local.ALLOWED or holds_graph:
            name = f"{node.domain}.{node.op_type}".lstrip(".")[:80]
            refuse(where, "only operators that a picture's network needs", repr(name))
