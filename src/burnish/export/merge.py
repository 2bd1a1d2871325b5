"""Merge the graphs of several networks into that of one model file. They share the inputs."""

from collections.abc import Mapping
from pathlib import Path

from onnx import ModelProto

from burnish.errors import OutputError
from burnish.files import atomic_write, check_not_input
from burnish.modelfile.card import OUTPUT, START, Card, Ranges, quality_output
from burnish.modelfile.onnx_file import embed_card
from burnish.modelfile.reader import ModelFile, parse_model, read_model


def merge(models: Mapping[str, ModelProto]) -> ModelProto:
    """Return one graph that computes the outputs of several.

    Parameters
    ----------
    models : graphs with the output `result`, by the names of their outputs in the merged graph. The
        first one keeps its names; they are changed in place
    """
    for output, model in models.items():
        _rename(model, output)
    merged, *others = models.values()
    for model in others:
        _append(merged, model)
    return merged


def add_qualities(file: ModelFile, models: Mapping[str, ModelProto]) -> ModelProto:
    """Return the graph of a model file with further networks.

    Parameters
    ----------
    models : graphs with the output `result`, by quality; they are changed in place
    """
    return merge({**_graphs(file), **models})


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
    output = quality_output(quality)
    card = own.card.model_copy(
        update={"capacities": (), "ranges": _without_prefix(own.card.ranges, output)}
    )
    return embed_card(merge(_graphs(own, output)), card)


def _graphs(file: ModelFile, output: str = OUTPUT) -> dict[str, ModelProto]:
    """Return the graphs of a network and of its start network, as `merge` takes them.

    Parameters
    ----------
    output : of the network in the file that it comes from
    """
    models = {OUTPUT: _without_prefixes(file.graph, output)}
    if file.start is not None:
        models[START] = _without_prefixes(file.start.graph, START)
    return models


def _without_prefix(ranges: Ranges, output: str) -> Ranges:
    return {name.removeprefix(f"{output}."): value for name, value in ranges.items()}


def _without_prefixes(graph: bytes, output: str) -> ModelProto:
    """Return a graph whose names do not begin with that of an output."""
    model: ModelProto = ModelProto.FromString(graph)
    prefix = f"{output}."
    del model.metadata_props[:]
    for node in model.graph.node:
        if node.name:  # which may be unset
            node.name = node.name.removeprefix(prefix)
        node.input[:] = [name.removeprefix(prefix) for name in node.input]
        node.output[:] = [name.removeprefix(prefix) for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix(prefix)
    return model
