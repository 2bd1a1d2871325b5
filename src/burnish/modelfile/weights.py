"""The weights in a model file, by their names in the network that it was exported from."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from burnish.modelfile.reader import ModelFile
from burnish.modelfile.weight_dtypes import DOWNCAST_DTYPES


def named_weights(file: ModelFile) -> dict[str, NDArray[np.float32]]:
    """Return every number of a model that has a name and floats, in float32.

    Examples
    --------
    >>> from burnish.modelfile.reader import read
    >>> from burnish.runtime.model_registry import find
    >>> named_weights(read(find("tv-l1")))["head.weight"].shape
    (32, 12, 3, 3)
    """
    initializers = ModelProto.FromString(file.graph).graph.initializer
    arrays = {}
    for tensor in initializers:
        array, name = numpy_helper.to_array(tensor), tensor.name
        suffix = name[name.rfind(".") :]
        if suffix in DOWNCAST_DTYPES:
            name = name.removesuffix(suffix)
        elif not np.issubdtype(array.dtype, np.floating):
            continue
        arrays[name] = array.astype(np.float32)
    return arrays
