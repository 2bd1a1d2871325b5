"""What holds for a whole picture, as a graph takes it; and a graph with it built in.

Parameter values and the thumbnail are the same for every tile. Built into the graph as constants
before a session starts, they cost nothing: engines work out what follows from them once, and gains
and shifts vanish into the convolutions.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from burnish.modelfile.card import PARAMS, THUMBNAIL, Card
from burnish.params import Value, resolve_params

if TYPE_CHECKING:
    from onnx import ModelProto

Context = dict[str, NDArray[np.float32]]


def context_tensors(
    card: Card, params: Mapping[str, Value], thumbnail: NDArray[np.float32] | None
) -> Context:
    """Return what a model's graph takes beside the image, by the name of its input.

    Parameters
    ----------
    params : values of sliders, by name or keyword; the card's serve for the rest
    thumbnail : (S, S, 3) of the whole picture, for a model that takes one

    Raises
    ------
    UsageError : an unknown slider, or a value outside its range
    """
    values = resolve_params([param.as_param() for param in card.sliders], params, owner=card.name)
    tensors: Context = {}
    if PARAMS in card.context_shapes:
        tensors[PARAMS] = np.array(list(values.values()), np.float32).reshape(1, -1, 1, 1)
    if thumbnail is not None and THUMBNAIL in card.context_shapes:
        tensors[THUMBNAIL] = np.ascontiguousarray(thumbnail.transpose(2, 0, 1))[np.newaxis]
    return tensors


def bind_constants(graph: bytes, tensors: Context) -> "ModelProto":
    """Return a graph with some of its inputs made constants."""
    # 130 ms to import: only who runs a model pays.
    from onnx import ModelProto, numpy_helper

    model = ModelProto()
    model.ParseFromString(graph)
    free_inputs = [end for end in model.graph.input if end.name not in tensors]
    del model.graph.input[:]
    model.graph.input.extend(free_inputs)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in tensors.items()
    )
    return model
