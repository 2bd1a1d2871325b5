"""Export a network with its card as one ONNX file, after checking that both tell the truth."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn
from torch.export import Dim

from burnish.errors import ModelError, OutputError
from burnish.export.onnx_ops import TRANSLATIONS
from burnish.export.verify import verify_card
from burnish.files import atomic_write, check_absent
from burnish.modelfile import reader as read
from burnish.modelfile.card import COORDS, INPUT, OUTPUT, PARAMS, Card
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.onnx_file import embed_card
from burnish.modelfile.receptive_field import receptive_field
from burnish.modelfile.weights import downcast_weights

# 18 is the oldest set that the exporter writes without converting; runtimes have it since 2023.
OPSET = 18

# Convolutions add in another order than torch's: some 1e-6. A wrong graph is off by far more.
TOLERANCE = 1e-4

# Batch, then height and width in multiples: one pixel or block, odd, and larger than most halos.
_TEST_SIZES = ((1, 1, 1), (2, 2, 3), (1, 17, 31), (1, 40, 9))


def export(network: nn.Module, card: Card, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write `network` and `card` as a model file, or write nothing.

    Before the file appears, ONNX Runtime's answer is compared with torch's at several sizes, and
    the card's numbers with measurements.

    Parameters
    ----------
    network : (N, 3, H, W) -> (N, 3, H, W), float32, RGB in [0, 1], sRGB-encoded, its
        normalisation frozen, taking after the image what its card says; is left as it is
    path : ends with ``.onnx``

    Raises
    ------
    OutputError : the file is there already and `overwrite` is not set, or cannot be written
    ModelError : the network cannot be exported, or a claim on the card is not true and tight
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise OutputError(
            str(target), expected="a name that ends with .onnx", got=target.name, remedy="rename it"
        )
    check_absent(target, overwrite=overwrite)
    frozen = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    model = _to_onnx(frozen, card)
    data = embed_card(model, card)
    read.parse_model(data, filename=target.name)
    verify_card(
        frozen,
        card,
        graph_costs(model, card.size_multiple, target.name),
        receptive_field(model, card.size_multiple, card.halo, target.name),
    )
    session = _session(data)
    _check_outputs(session, frozen, card)
    _check_halo(session, card)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(data)
    return target


def _to_onnx(network: nn.Module, card: Card) -> ModelProto:
    step = card.size_multiple
    # Named, as a bare `Dim.AUTO` may be settled to the example's size without a word.
    rows, columns = Dim("rows"), Dim("columns")
    dynamic_dims: dict[str, dict[int, Any]] = {
        INPUT: {0: Dim("batch"), 2: step * rows, 3: step * columns},
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
                custom_translation_table=TRANSLATIONS,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # The exporter promises no class of its own.
        raise ModelError(
            card.name,
            expected="a network that exports for any batch, height and width",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            remedy="keep sizes out of the network's arithmetic",
        ) from error
    if program is None:
        raise TypeError("torch.onnx.export returned no program")
    model = ModelProto()
    model.CopyFrom(program.model_proto)
    _strip_metadata(model)
    downcast_weights(model)
    return model


def _strip_metadata(model: ModelProto) -> None:
    """Drop the exporter's notes: stack traces with the maker's folders, and guesses at sizes."""
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    graph.name = "burnish"
    for value in (*graph.input, *graph.output):
        if value.name == COORDS:
            _, rows, columns, _ = value.type.tensor_type.shape.dim
            rows.dim_param, columns.dim_param = "rows", "columns"
        if value.name in (INPUT, OUTPUT):
            batch, _, height, width = value.type.tensor_type.shape.dim
            batch.dim_param, height.dim_param, width.dim_param = "batch", "height", "width"


def _session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _check_outputs(session: onnxruntime.InferenceSession, network: nn.Module, card: Card) -> None:
    generator = np.random.default_rng(0)
    for batch, rows, columns in _TEST_SIZES:
        inputs = _random_inputs(card, (batch, rows, columns), generator)
        (output,) = session.run([OUTPUT], inputs)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        difference = float(np.abs(output - expected).max())
        if not difference <= TOLERANCE:  # Also where it is no number.
            raise ModelError(
                card.name,
                expected=f"torch's result within {TOLERANCE:g}",
                got=f"{difference:g} apart at {output.shape[3]} x {output.shape[2]} px",
                remedy="report the network: its export is wrong",
            )


def _check_halo(session: onnxruntime.InferenceSession, card: Card) -> None:
    """Change everything beyond the halo of one block and see that the block stays."""
    step = card.size_multiple
    start = step * -(-(card.halo + 64) // step)
    blocks = 2 * (start // step) + 1
    generator = np.random.default_rng(1)
    inputs = _random_inputs(card, (1, blocks, blocks), generator)
    far_image = _random_inputs(card, (1, blocks, blocks), generator)[INPUT]
    within_halo = slice(start - card.halo, start + step + card.halo)
    far_image[..., within_halo, within_halo] = inputs[INPUT][..., within_halo, within_halo]
    block = slice(start, start + step)
    first, second = (
        session.run([OUTPUT], inputs | {INPUT: picture})[0][..., block, block]
        for picture in (inputs[INPUT], far_image)
    )
    if not np.array_equal(first, second):
        raise ModelError(
            f"card of {card.name}, halo",
            expected=f"results that depend on no pixel farther than {card.halo} px",
            got=f"a change of {np.abs(first - second).max():g} from farther away",
            remedy="state the network's whole reach, and freeze its normalisation",
        )


def _random_inputs(
    card: Card, size: tuple[int, int, int], generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Draw what a graph takes: an image, sliders within their ranges, any thumbnail and places.

    Parameters
    ----------
    size : batch, rows and columns of blocks
    """
    batch, rows, columns = size
    shape = (batch, 3, rows * card.size_multiple, columns * card.size_multiple)
    inputs = {INPUT: generator.random(shape, dtype=np.float32)}
    for name, sizes in card.context_shapes.items():
        inputs[name] = generator.random((1, *sizes), dtype=np.float32)
        if name == PARAMS:
            for index, param in enumerate(card.sliders):
                fraction = float(inputs[name][0, index, 0, 0])
                inputs[name][0, index] = param.as_param().at_fraction(fraction)
    if card.coords:
        inputs[COORDS] = 2 * generator.random((1, rows, columns, 2), dtype=np.float32) - 1
    return inputs


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's chatter away: what matters about the result is checked afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
