"""Export a network with its card as one ONNX file, after checking both."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import nn
from torch.export import Dim

from burnish.errors import ModelError, OutputError
from burnish.export.onnx_ops import TRANSLATIONS
from burnish.export.verify import random_inputs, verify_card, verify_output
from burnish.files import atomic_write, check_absent
from burnish.modelfile.card import COORDS, INPUT, OUTPUT, Card
from burnish.modelfile.onnx_file import downcast_weights, embed_card
from burnish.modelfile.reader import parse_model

# The oldest opset that the exporter writes without conversion. Runtimes have had it since 2023.
OPSET = 18


def export(network: nn.Module, card: Card, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a network and its card as a model file.

    The file is written only if ONNX Runtime's output equals torch's at several sizes, and the
    numbers on the card equal the measured ones.

    Parameters
    ----------
    network : (N, 3, H, W) -> (N, 3, H, W), float32, sRGB-encoded RGB in [0, 1], with frozen
        normalisation. Its further inputs are those on the card. It is not changed
    path : ends with ``.onnx``

    Raises
    ------
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    ModelError : the network cannot be exported, or a number on the card is wrong
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise OutputError(str(target), "its name does not end with .onnx", "rename it")
    check_absent(target, overwrite=overwrite)
    frozen = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    model = _to_onnx(frozen, card)
    data = embed_card(model, card)
    parse_model(data, target.name)
    verify_card(frozen, card, model, target.name)
    verify_output(data, frozen, card)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(data)
    return target


def _to_onnx(network: nn.Module, card: Card) -> ModelProto:
    # Named dimensions, because `Dim.AUTO` may be fixed to the example's size without a warning.
    rows, columns = Dim("rows"), Dim("columns")
    block = card.size_multiple
    dynamic_dims: dict[str, dict[int, Any]] = {
        INPUT: {0: Dim("batch"), 2: block * rows, 3: block * columns},
        COORDS: {1: rows, 2: columns},
    }
    inputs = random_inputs(card, (2, 8, 12), np.random.default_rng(0))
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
        if value.name in (INPUT, OUTPUT):
            batch, _, height, width = value.type.tensor_type.shape.dim
            batch.dim_param, height.dim_param, width.dim_param = "batch", "height", "width"


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Suppress the exporter's logs and warnings, because its result is verified afterwards."""
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
