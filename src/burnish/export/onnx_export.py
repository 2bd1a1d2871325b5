"""Export a network with its card as one ONNX file, and check both before it is written."""

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from onnxscript import opset18 as op
from torch import nn
from torch.export import Dim

from burnish.errors import ModelError, OutputError
from burnish.export.merge import add_qualities, merge
from burnish.files import atomic_write, check_absent
from burnish.modelfile.card import (
    COORDS,
    GUIDE,
    INPUT,
    OUTPUT,
    PARAMS,
    START,
    Card,
)
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.onnx_file import downcast_weights, embed_card, load_onnx
from burnish.modelfile.quality import Quality
from burnish.modelfile.reader import ModelFile, parse_model
from burnish.modelfile.receptive_field import receptive_field

# The oldest opset that the exporter writes without conversion. Runtimes have had it since 2023.
OPSET = 18

# Convolutions of torch and ONNX Runtime differ by about 1e-6, because they sum in another order.
# For noise as an image, results are larger than 1, and so are the differences.
TOLERANCE = 1e-4

# Batch, rows and columns of blocks: one block, odd numbers, and more than most halos.
_TEST_SIZES = ((1, 1, 1), (2, 2, 3), (1, 17, 31), (1, 40, 9))


def export(
    network: nn.Module,
    card: Card,
    path: str | Path,
    *,
    start: nn.Module | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a network and its card as a model file.

    The file is written only if ONNX Runtime's output equals torch's at several sizes, and the
    numbers on the card equal the measured ones.

    Parameters
    ----------
    network : (N, 3, H, W) -> (N, 3, H, W), float32, sRGB-encoded RGB in [0, 1], with frozen
        normalisation. Its further inputs are those on the card. It is not changed
    path : ends with ``.onnx``
    start : the start network, if the card has one; not changed either

    Raises
    ------
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    ModelError : the network cannot be exported, or a number on the card is wrong
    """
    target = _checked_target(path, overwrite=overwrite)
    if (start is None) != (card.start_card is None):
        problem = "the start network is missing" if start is None else "it has no start network"
        raise ModelError(f"card of {card.name}", problem, "state the network that is exported")
    networks = {OUTPUT: _frozen(network)}
    if start is not None:
        networks[START] = _frozen(start)
    models = {name: _to_onnx(networks[name], part) for name, part in card.outputs.items()}
    return _write_checked(merge(models), card, networks, target, overwrite=overwrite)


def export_qualities(
    file: ModelFile,
    networks: Mapping[Quality, nn.Module],
    card: Card,
    path: str | Path,
    *,
    overwrite: bool = False,
) -> Path:
    """Write the networks of a model file, as they are, with further ones for other qualities.

    Parameters
    ----------
    networks : see `export`; the card has a capacity for each
    card : of the new file

    Raises
    ------
    OutputError, ModelError : see `export`
    """
    target = _checked_target(path, overwrite=overwrite)
    frozen = {str(quality): _frozen(network) for quality, network in networks.items()}
    models = {name: _to_onnx(network, card.outputs[name]) for name, network in frozen.items()}
    model = add_qualities(file, models)
    return _write_checked(model, card, frozen, target, overwrite=overwrite)


def _write_checked(
    model: ModelProto,
    card: Card,
    networks: Mapping[str, nn.Module],
    target: Path,
    *,
    overwrite: bool,
) -> Path:
    """Check the networks that are new in a model file, by output, and write it."""
    data = embed_card(model, card)
    file = parse_model(data, target.name)
    parts: dict[str, ModelFile | None] = {OUTPUT: file, START: file.start}
    parts |= {str(quality): other for quality, other in file.others.items()}
    for output, network in networks.items():
        part = parts[output]
        assert part is not None
        _check_network(network, part, target.name)
    with atomic_write(target, overwrite=overwrite) as stream:
        stream.write(data)
    return target


def _checked_target(path: str | Path, *, overwrite: bool) -> Path:
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise OutputError(str(target), "its name does not end with .onnx", "rename it")
    check_absent(target, overwrite=overwrite)
    return target


def _frozen(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).cpu().float().eval().requires_grad_(False)


def write_card(path: Path, card: Card) -> None:
    """Replace the card of a model file."""
    model = load_onnx(path.read_bytes(), str(path))
    with atomic_write(path, overwrite=True) as file:
        file.write(embed_card(model, card))


def _to_onnx(network: nn.Module, card: Card) -> ModelProto:
    # Named dimensions, because `Dim.AUTO` may be fixed to the example's size without a warning.
    rows, columns = Dim("rows"), Dim("columns")
    block = card.size_multiple
    image_dims = {0: Dim("batch"), 2: block * rows, 3: block * columns}
    dynamic_dims: dict[str, dict[int, Any]] = {
        INPUT: image_dims,
        GUIDE: image_dims,
        COORDS: {1: rows, 2: columns},
    }
    inputs = _random_inputs(card, (2, 8, 12), np.random.default_rng(0))
    first, *others = (dynamic_dims.get(name, {}) for name in inputs)
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                network,
                tuple(map(torch.from_numpy, inputs.values())),
                input_names=list(inputs),
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamic_shapes=(first, tuple(others)) if others else (first,),
                custom_translation_table={torch.ops.aten.pixel_unshuffle.default: _pixel_unshuffle},
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter documents no class of its own
        raise ModelError(
            card.name,
            "the network cannot be exported for any batch, height and width "
            f"({type(error).__name__}: {str(error)[:200]})",
            "keep sizes out of the network's arithmetic",
        ) from error
    if program is None:
        raise TypeError("torch.onnx.export returned no program")
    model = ModelProto()
    model.CopyFrom(program.model_proto)
    _strip_metadata(model)
    downcast_weights(model)
    return model


def _pixel_unshuffle(image: Any, downscale_factor: int) -> Any:
    """Translate to one SpaceToDepth for each channel, concatenated in torch's channel order.

    The exporter's own translation computes its sizes at run time, which is slower and hides the
    memory that it needs. One SpaceToDepth of all channels with a Gather that reorders them would be
    as fast, but OpenVINO (as of 2026.4) fuses that Gather into the next convolution wrongly.
    """
    planes = []
    for channel in range(image.shape[1]):
        index: Any = op.Constant(value_ints=[channel])
        planes.append(op.SpaceToDepth(op.Gather(image, index, axis=1), blocksize=downscale_factor))
    return op.Concat(*planes, axis=1)


def _strip_metadata(model: ModelProto) -> None:
    """Remove the exporter's metadata, such as stack traces with local paths, and inferred sizes."""
    graph = model.graph
    del graph.value_info[:]
    for message in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del message.metadata_props[:]
        message.ClearField("doc_string")
    graph.name = "burnish"
    for value in (*graph.input, *graph.output):
        if value.name == COORDS:
            _, rows, columns, _ = value.type.tensor_type.shape.dim
            rows.dim_param, columns.dim_param = "rows", "columns"
        if value.name in (INPUT, GUIDE, OUTPUT):
            batch, _, height, width = value.type.tensor_type.shape.dim
            batch.dim_param, height.dim_param, width.dim_param = "batch", "height", "width"


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Suppress logs and warnings. The exported graph is checked afterwards."""
    level = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(level)


def _random_inputs(
    card: Card, size: tuple[int, int, int], generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Return random inputs of a model, by name, with its sliders within their ranges.

    Parameters
    ----------
    size : batch, rows and columns of blocks
    """
    batch, rows, columns = size
    shape = (batch, 3, rows * card.size_multiple, columns * card.size_multiple)
    images = [INPUT, GUIDE] if card.guide else [INPUT]
    inputs = {name: generator.random(shape, dtype=np.float32) for name in images}
    for name, sizes in card.context_shapes.items():
        inputs[name] = generator.random((1, *sizes), dtype=np.float32)
    for index, slider in enumerate(card.sliders):
        fraction = float(inputs[PARAMS][0, index, 0, 0])
        inputs[PARAMS][0, index] = slider.as_param().at_fraction(fraction)
    if card.coords:
        inputs[COORDS] = 2 * generator.random((1, rows, columns, 2), dtype=np.float32) - 1
    return inputs


def _check_network(network: nn.Module, file: ModelFile, filename: str) -> None:
    """Check a network's card and its graph against the network itself."""
    _check_card(network, file, filename)
    session = _session(file)
    _check_outputs(session, network, file.card)
    _check_halo(session, file.card)


def check_outputs(network: nn.Module, file: ModelFile) -> None:
    """Check that a network computes the same as a model file.

    Raises
    ------
    ModelError : it does not
    """
    _check_outputs(_session(file), network, file.card)


def _session(file: ModelFile) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(file.graph, options, providers=["CPUExecutionProvider"])


def _check_card(network: nn.Module, file: ModelFile, filename: str) -> None:
    """Check the numbers on a card against the network and its graph."""
    card, model = file.card, ModelProto.FromString(file.graph)
    costs = graph_costs(model, card.size_multiple, filename)
    divisors = [n for n in range(1, card.size_multiple) if card.size_multiple % n == 0]
    smaller = next((n for n in divisors if _accepts(network, card, n)), None)
    measured = {
        "halo": receptive_field(model, card.size_multiple, card.halo, filename),
        "macs_per_pixel": costs.macs_per_pixel,
        "peak_activations_per_pixel": costs.peak_activations_per_pixel,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
        "size_multiple": smaller or card.size_multiple,
    }
    for field, value in measured.items():
        stated = getattr(card, field)
        if stated != value:
            raise ModelError(
                f"card of {card.name}, {field}",
                expected=str(value),
                got=str(stated),
                remedy="state the network's own number",
            )


def _accepts(network: nn.Module, card: Card, side: int) -> bool:
    """Return whether a network accepts a square image of this side."""
    image = torch.zeros(1, 3, side, side)
    inputs = [image, image] if card.guide else [image]
    inputs += [torch.ones(1, *shape) for shape in card.context_shapes.values()]
    if card.coords:
        inputs.append(torch.zeros(1, 1, 1, 2))
    try:
        with torch.no_grad():
            return bool(network(*inputs).shape == image.shape)
    except RuntimeError:
        return False


def _check_outputs(session: onnxruntime.InferenceSession, network: nn.Module, card: Card) -> None:
    """Check that a model file computes the same as its network."""
    generator = np.random.default_rng(0)
    for size in _TEST_SIZES:
        inputs = _random_inputs(card, size, generator)
        (output,) = session.run([OUTPUT], inputs)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        difference = float(np.abs(output - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):  # NaN fails too
            raise ModelError(
                card.name,
                f"the exported graph differs from the network by {difference:g} at "
                f"{output.shape[3]} x {output.shape[2]} px",
                "report the network: its export is wrong",
            )


def _check_halo(session: onnxruntime.InferenceSession, card: Card) -> None:
    """Check that a block stays the same when everything beyond its halo changes."""
    block = card.size_multiple
    start = block * -(-(card.halo + 64) // block)
    blocks = 2 * (start // block) + 1
    generator = np.random.default_rng(1)
    inputs = _random_inputs(card, (1, blocks, blocks), generator)
    random = _random_inputs(card, (1, blocks, blocks), generator)
    changed = {name: random[name] for name in (INPUT, GUIDE) if name in random}
    padded = slice(start - card.halo, start + block + card.halo)
    for name, image in changed.items():
        image[..., padded, padded] = inputs[name][..., padded, padded]
    core = slice(start, start + block)
    first, second = (
        session.run([OUTPUT], inputs | images)[0][..., core, core] for images in ({}, changed)
    )
    if not np.array_equal(first, second):
        raise ModelError(
            f"card of {card.name}, halo",
            f"the output depends on pixels farther away than {card.halo} px",
            "state the network's whole receptive field, and freeze its normalisation",
        )
