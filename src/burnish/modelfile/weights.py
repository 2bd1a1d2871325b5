"""The weights of a model file: read by name, or stored in fewer bits."""

import numpy as np
from numpy.typing import DTypeLike, NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from burnish.modelfile.reader import ModelFile

# Smaller tensors do not save enough for a node of their own.
_MIN_NUMEL = 256
# Suffix of a stored tensor's name -> its type, the smallest type first.
DOWNCAST_DTYPES: dict[str, DTypeLike] = {".byte": np.int8, ".half": np.float16}


def named_weights(file: ModelFile) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a model by their names in the network that it was exported from.

    Examples
    --------
    >>> from burnish.modelfile.reader import read_model
    >>> from burnish.runtime.model_registry import find_model
    >>> named_weights(read_model(find_model("tv-l1")))["head.weight"].shape
    (32, 12, 3, 3)
    """
    weights = {}
    for tensor in ModelProto.FromString(file.graph).graph.initializer:
        array, name = numpy_helper.to_array(tensor), tensor.name
        suffix = name[name.rfind(".") :]
        if suffix in DOWNCAST_DTYPES:
            name = name.removesuffix(suffix)
        elif not np.issubdtype(array.dtype, np.floating):
            continue
        weights[name] = array.astype(np.float32)
    return weights


def downcast_weights(model: ModelProto) -> None:
    """Store large weights as int8 or float16 where that is exact, followed by a Cast. In place.

    Runtimes run these casts once, when they load the model.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _MIN_NUMEL:
            continue
        for suffix, dtype in DOWNCAST_DTYPES.items():
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
