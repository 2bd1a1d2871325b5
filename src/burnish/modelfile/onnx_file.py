"""Checks that every ONNX file has to pass, whether it holds a model or a detector.

A file may come from a stranger. These checks keep it from reading other files, from looping and
from running code of its own.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, TensorProto

from burnish.errors import ModelError, read_error
from burnish.modelfile.card import BaseCard

MAX_NODE_EDGES = 128

AnyCard = TypeVar("AnyCard", bound=BaseCard)


def reject(filename: str, problem: str, cause: Exception | None = None) -> NoReturn:
    """Raise the ModelError for a file that breaks a rule."""
    remedy = "get the file again from its maker, or export it again with burnish"
    raise ModelError(filename, problem, remedy) from cause


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a whole file of a bounded size.

    Raises
    ------
    ModelError : the path is no file, or the file is too large or cannot be read
    """
    filename, remedy = str(path), "`burnish models list` names the models there are"
    try:
        if not path.is_file():  # a pipe would block for ever
            problem = "it is a folder or a device" if path.exists() else "no such file"
            raise ModelError(filename, problem, remedy)
        size = path.stat().st_size
        if size > max_bytes:
            problem = f"it has {size / 2**20:.0f} MiB, more than {max_bytes // 2**20} MiB"
            raise ModelError(filename, problem, remedy)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise read_error(path, error, ModelError) from error


def load_onnx(data: bytes, filename: str) -> ModelProto:
    """Parse an ONNX file and check that it refers to no other file.

    Parameters
    ----------
    filename : names the file in messages

    Raises
    ------
    ModelError : the bytes are not ONNX, or weights lie outside of the file
    """
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        reject(filename, "it is not an ONNX model", error)
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        reject(filename, "it holds functions, training steps or sparse weights")
    for tensor in _tensors(model):
        if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
            reject(filename, f"its weight {tensor.name[:80]!r} lies in another file")
    return model


def read_card(model: ModelProto, card_type: type[AnyCard], filename: str) -> AnyCard:
    """Read the card from the metadata of a file.

    Raises
    ------
    ModelError : there is no card of this type, or several, or it is not valid
    """
    key = card_type.metadata_key
    # protobuf returns bytes for text that is not UTF-8.
    texts: list[str | bytes] = [entry.value for entry in model.metadata_props if entry.key == key]
    if len(texts) != 1:
        reject(filename, f"its metadata has {len(texts)} entries {key}, not one")
    if isinstance(texts[0], bytes):
        reject(filename, "its card is not UTF-8 text")
    return card_type.parse(texts[0], filename)


def embed_card(model: ModelProto, card: BaseCard) -> bytes:
    """Return the bytes of a file, with the card as its only metadata."""
    del model.metadata_props[:]
    model.metadata_props.add(key=card.metadata_key, value=card.model_dump_json())
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def check_graph(
    model: ModelProto,
    filename: str,
    *,
    allowed_ops: Collection[str],
    opsets: range,
    max_nodes: int,
) -> None:
    """Check a graph's size and operators, and that it is valid ONNX.

    Parameters
    ----------
    model : from `load_onnx`, so that the ONNX checker opens no other file
    opsets : the versions of the standard operator set

    Raises
    ------
    ModelError : the graph is too large, has other operators or nested graphs, or is not valid
    """
    nodes = model.graph.node
    if len(nodes) > max_nodes:
        reject(filename, f"its graph has {len(nodes)} nodes, more than {max_nodes}")
    versions = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version = versions.pop("ai.onnx", 0)
    if versions or version not in opsets:
        got = ", ".join([f"ai.onnx {version}", *(domain[:80] for domain in versions)])
        reject(filename, f"it uses {got}, not ONNX operator set {opsets[0]} to {opsets[-1]}")
    for node in nodes:
        edges = len(node.input) + len(node.output)
        if edges > MAX_NODE_EDGES:
            reject(filename, f"a node has {edges} inputs and outputs, more than {MAX_NODE_EDGES}")
        has_subgraph = any(
            attribute.graphs
            or attribute.HasField("g")
            or attribute.sparse_tensors
            or attribute.HasField("sparse_tensor")
            for attribute in node.attribute
        )
        if node.domain not in ("", "ai.onnx") or node.op_type not in allowed_ops or has_subgraph:
            name = f"{node.domain}.{node.op_type}".lstrip(".")[:80]
            reject(filename, f"the operator {name!r} is not allowed")
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:
        reject(filename, f"it is not valid ONNX: {str(error)[:200]}", error)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
