"""The context of a graph: parameter values and the thumbnail, bound to it as constants.

The context is the same for every tile. Bound before a session is created, it costs nothing per
tile: the engine evaluates its layers once, and folds scales and shifts into convolutions.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from burnish.modelfile.card import PARAMS, THUMBNAIL, Card
from burnish.params import Value, resolve_params
from burnish.types import Pixels

if TYPE_CHECKING:
    from onnx import ModelProto

# Context tensors by the names of the graph's inputs.
Context = dict[str, NDArray[np.float32]]


def context_tensors(card: Card, params: Mapping[str, Value], thumbnail: Pixels | None) -> Context:
    """Return the inputs of a model's graph beside `image` and `coords`.

    Parameters
    ----------
    params : values of sliders, by name or keyword [default: the card's]
    thumbnail : (S, S, 3) of the whole image; ignored if the model takes none

    Raises
    ------
    UsageError : a slider is unknown, or its value is outside its range
    """
    values = resolve_params([param.as_param() for param in card.sliders], params, card.name)
    tensors: Context = {}
    if PARAMS in card.context_shapes:
        tensors[PARAMS] = np.array(list(values.values()), np.float32).reshape(1, -1, 1, 1)
    if thumbnail is not None and THUMBNAIL in card.context_shapes:
        tensors[THUMBNAIL] = np.ascontiguousarray(thumbnail.transpose(2, 0, 1))[np.newaxis]
    return tensors


def bind_constants(graph: bytes, tensors: Context) -> "ModelProto":
    """Return a graph with some of its inputs turned into constants."""
    # Importing onnx takes 130 ms.
    from onnx import ModelProto, numpy_helper

    model = ModelProto()
    model.ParseFromString(graph)
    free_inputs = [value for value in model.graph.input if value.name not in tensors]
    del model.graph.input[:]
    model.graph.input.extend(free_inputs)
    model.graph.initializer.extend(
        numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()
    )
    return model
