"""Read, check and write the ONNX file of a model or a detector: its card, graph and weights.

A file may come from a stranger. The checks keep it from reading other files, from looping and from
running code of its own.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import DTypeLike, NDArray
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from burnish.errors import ModelError, read_error
from burnish.files import exists, is_file
from burnish.modelfile.base_card import BaseCard, reject
from burnish.modelfile.card import OUTPUT, START
from burnish.modelfile.quality import QUALITIES

MAX_NODE_EDGES = 128
# Smaller tensors do not save enough for a node of their own.
_MIN_DOWNCAST_NUMEL = 256
# Suffix of a stored tensor's name -> its type, the smallest type first.
_DOWNCAST_DTYPES: dict[str, DTypeLike] = {".byte": np.int8, ".half": np.float16}

# The names of the weights of further networks in a graph begin with that of their output.
_PREFIX = re.compile(rf"^((({'|'.join(QUALITIES)})_)?{START}|{'|'.join(QUALITIES)})\.")

AnyCard = TypeVar("AnyCard", bound=BaseCard)


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a file of a bounded size.

    Raises
    ------
    ModelError : the path is no file, or the file is too large or cannot be read
    """
    filename, remedy = str(path), "`burnish models list` names the models there are"
    try:
        if not is_file(path):  # a pipe would block for ever
            problem = "it is a folder or a device" if exists(path) else "no such file"
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


def graph_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs of a graph without its weights, which older graphs list among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def check_graph(
    model: ModelProto, filename: str, *, allowed_ops: Collection[str], opsets: range, max_nodes: int
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


def output_graph(
    model: ModelProto, output: str, inputs: Collection[str], filename: str
) -> ModelProto:
    """Return the part of a checked graph that computes one output, under the name `result`.

    Parameters
    ----------
    inputs : the inputs of the part; it keeps those that it does not read

    Raises
    ------
    ModelError : the output depends on another input, or on another output
    """
    graph = model.graph
    names, nodes = {output}, []
    for node in reversed(graph.node):
        if not names.isdisjoint(node.output):
            names.update(node.input, node.output)
            nodes.append(node)
    for value in (*graph_inputs(graph), *graph.output):
        if value.name in names - {output, *inputs}:
            reject(filename, f"its output {output} depends on {value.name}")
    part = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = graph.name
    part.graph.node.extend(reversed(nodes))
    part.graph.input.extend(value for value in graph_inputs(graph) if value.name in inputs)
    part.graph.initializer.extend(value for value in graph.initializer if value.name in names)
    part.graph.output.extend(value for value in graph.output if value.name == output)
    part.graph.output[0].name = OUTPUT
    for node in part.graph.node:
        node.output[:] = [OUTPUT if name == output else name for name in node.output]
    return part


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def named_weights(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a network's graph by their names in the network before its export.

    Examples
    --------
    >>> from burnish.modelfile.reader import read_model
    >>> from burnish.runtime.model_registry import find_model
    >>> named_weights(read_model(find_model("l0-smoothing")).start.graph)["head.weight"].shape
    (32, 12, 3, 3)
    """
    weights = {}
    for tensor in ModelProto.FromString(data).graph.initializer:
        array, name = numpy_helper.to_array(tensor), tensor.name
        suffix = name[name.rfind(".") :]
        if suffix in _DOWNCAST_DTYPES:
            name = name.removesuffix(suffix)
        elif not np.issubdtype(array.dtype, np.floating):
            continue
        weights[_PREFIX.sub("", name)] = array.astype(np.float32)
    return weights


def downcast_weights(model: ModelProto) -> None:
    """Store large weights as int8 or float16 where that is exact, followed by a Cast. In place.

    Runtimes run these casts once, when they load the model.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _MIN_DOWNCAST_NUMEL:
            continue
        for suffix, dtype in _DOWNCAST_DTYPES.items():
            with np.errstate(invalid="ignore", over="ignore"):  # array_equal finds overflows.
                downcast = values.astype(dtype)
            if np.array_equal(downcast.astype(np.float32), values):
                name = tensor.name + suffix
                casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
                tensor.CopyFrom(numpy_helper.from_array(downcast, name))
                break
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
