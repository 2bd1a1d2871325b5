"""The weights in a model file, by their names in the network that it was exported from."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from burnish.modelfile.reader import ModelFile
from burnish.modelfile.weight_dtypes import NARROW


def weights(file: ModelFile) -> dict[str, NDArray[np.float32]]:
    """Return every number of a model that has a name and floats, in float32.

    Examples
    --------
    >>> from burnish.modelfile.reader import read
    >>> from burnish.runtime.model_registry import find
    >>> weights(read(find("tv-l1")))["head.weight"].shape
    (32, 12, 3, 3)
    """
    stored = ModelProto.FromString(file.graph).graph.initializer
    found = {}
    for tensor in stored:
        array, name = numpy_helper.to_array(tensor), tensor.name
        ending = name[name.rfind(".") :]
        if ending in NARROW:
            name = name.removesuffix(ending)
        elif not np.issubdtype(array.dtype, np.floating):
            continue
        found[name] = array.astype(np.float32)
    return found
