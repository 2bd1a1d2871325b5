"""Merge the graphs of several networks into that of one model file.

They share the inputs. Kernels of a smaller network that are the first channels of those of a larger
one are stored once, and cut out by a Slice, which a runtime computes when it loads the graph.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from burnish.errors import OutputError
from burnish.files import atomic_write, check_not_input
from burnish.modelfile.card import OUTPUT, START, Card, Ranges, quality_outputs
from burnish.modelfile.onnx_file import embed_card
from burnish.modelfile.reader import ModelFile, parse_model, read_model

# Names of the constants with the first rows and columns, and the axes, of all slices.
_STARTS, _AXES = "slice.starts", "slice.axes"


def merge(models: Mapping[str, ModelProto], groups: Sequence[Sequence[str]] = ()) -> ModelProto:
    """Return one graph that computes the outputs of several.

    Parameters
    ----------
    models : graphs with the output `result`, by the names of their outputs in the merged graph. The
        first one keeps its names; they are changed in place
    groups : the outputs of networks that share kernels, the largest network last
    """
    kernels = {output: _kernels(model) for output, model in models.items()}
    for output, model in models.items():
        _rename(model, output)
    merged, *others = models.values()
    for group in groups:
        for index, output in enumerate(group):
            for larger in reversed(group[index + 1 :]):
                _share(models[output], kernels[output], _prefix(larger), kernels[larger])
    for model in others:
        _append(merged, model)
    if any(node.input[1:2] == [_STARTS] for node in merged.graph.node):
        for name, values in {_STARTS: [0, 0], _AXES: [0, 1]}.items():
            merged.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    return merged


def _kernels(model: ModelProto) -> dict[str, np.ndarray]:
    """Return the kernels of a graph by their names in the network."""
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if len(tensor.dims) == 4
    }


def _prefix(output: str) -> str:
    return "" if output == OUTPUT else f"{output}."


def _rename(model: ModelProto, output: str) -> None:
    """Give all tensors but the inputs the prefix of an output, in place."""
    if output == OUTPUT:
        return
    kept = {value.name for value in model.graph.input} | {""}  # "" is an omitted input.

    def rename(name: str) -> str:
        return name if name in kept else output if name == OUTPUT else _prefix(output) + name

    for node in model.graph.node:
        node.name = rename(node.name)
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
    for value in (*model.graph.initializer, *model.graph.output):
        value.name = rename(value.name)


def _share(
    model: ModelProto,
    kernels: dict[str, np.ndarray],
    larger_prefix: str,
    larger: Mapping[str, np.ndarray],
) -> None:
    """Replace the kernels that are the first channels of larger ones by slices of these.

    Parameters
    ----------
    kernels : of the model, by their names in its network. Those that are replaced are removed
    """
    graph, prefix = model.graph, _prefix(graph_output(model))
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for name, kernel in list(kernels.items()):
        source = larger.get(name)
        rows, columns = kernel.shape[:2]
        if source is None or source.dtype != kernel.dtype:
            continue
        if source.shape[2:] != kernel.shape[2:] or not np.array_equal(
            source[:rows, :columns], kernel
        ):
            continue
        graph.initializer.remove(tensors[prefix + name])
        ends = f"slice.ends.{prefix}{name}"
        graph.initializer.append(numpy_helper.from_array(np.array([rows, columns]), ends))
        inputs = [larger_prefix + name, _STARTS, ends, _AXES]
        graph.node.insert(0, helper.make_node("Slice", inputs, [prefix + name]))
        del kernels[name]


def graph_output(model: ModelProto) -> str:
    """Return the name of the only output of a graph."""
    (output,) = model.graph.output
    return str(output.name)


def _append(model: ModelProto, other: ModelProto) -> None:
    """Add the nodes, weights, inputs and outputs of another graph, in place."""
    known = {value.name for value in model.graph.input}
    model.graph.input.extend(value for value in other.graph.input if value.name not in known)
    model.graph.output.extend(other.graph.output)
    model.graph.initializer.extend(other.graph.initializer)
    model.graph.node.extend(other.graph.node)


def write_quality(source: Path, target: Path, quality: str, *, overwrite: bool = False) -> Card:
    """Write the network of one quality as a model file, with its start network; return the card.

    Raises
    ------
    ModelError : the source cannot be read
    UsageError : it has no network of this quality
    OutputError : the target exists and `overwrite` is not set, or cannot be written
    """
    if target.suffix.lower() != ".onnx":
        raise OutputError(str(target), "its name does not end with .onnx", "rename it")
    check_not_input(target, [source])
    data = _single_quality(read_model(source), quality)
    card = parse_model(data, target.name).card
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(data)
    return card


def _single_quality(file: ModelFile, quality: str) -> bytes:
    own = file.at_quality(quality)
    output, start_output = quality_outputs(quality)
    card = own.card.model_copy(
        update={"capacities": (), "ranges": _without_prefix(own.card.ranges, output)}
    )
    models = {OUTPUT: _without_prefixes(own.graph, output)}
    if own.start is not None and card.guide and card.guide.start:
        # A start network that all qualities share has the names of the standard one.
        shared = any(name.startswith(f"{START}.") for name in _weight_names(own.start.graph))
        prefix = START if shared else start_output
        models[START] = _without_prefixes(own.start.graph, prefix)
        ranges = _without_prefix(own.start.card.ranges, prefix)
        named = {f"{START}.{name}": value for name, value in ranges.items()}
        start = card.guide.start.model_copy(update={"ranges": named})
        card = card.model_copy(update={"guide": card.guide.model_copy(update={"start": start})})
    return embed_card(merge(models), card)


def _weight_names(graph: bytes) -> list[str]:
    return [tensor.name for tensor in ModelProto.FromString(graph).graph.initializer]


def _without_prefix(ranges: Ranges, output: str) -> Ranges:
    return {name.removeprefix(f"{output}."): value for name, value in ranges.items()}


def _without_prefixes(graph: bytes, output: str) -> ModelProto:
    """Return a graph whose names do not begin with that of an output."""
    model: ModelProto = ModelProto.FromString(graph)
    prefix = f"{output}."
    del model.metadata_props[:]
    for node in model.graph.node:
        node.name = node.name.removeprefix(prefix)
        node.input[:] = [name.removeprefix(prefix) for name in node.input]
        node.output[:] = [name.removeprefix(prefix) for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix(prefix)
    return model
