"""Store weights in 8 or 16 bits where they lose nothing by it."""

import numpy as np
from numpy.typing import DTypeLike
from onnx import ModelProto, TensorProto, helper, numpy_helper

# Smaller ones are not worth a node.
_MIN_NUMEL = 256
# What they are stored as, the smallest first, by what their names then end in.
DOWNCAST_DTYPES: dict[str, DTypeLike] = {".byte": np.int8, ".half": np.float16}


def downcast_weights(model: ModelProto) -> None:
    """Store every large weight that 8 or 16 bits hold exactly as such, with a cast back.

    Runtimes cast once, when they load the model.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _MIN_NUMEL:
            continue
        for suffix, dtype in DOWNCAST_DTYPES.items():
            with np.errstate(invalid="ignore", over="ignore"):  # What does not fit is seen below.
                downcast = values.astype(dtype)
            if np.array_equal(downcast.astype(np.float32), values):
                name = tensor.name + suffix
                casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
                tensor.CopyFrom(numpy_helper.from_array(downcast, name))
                break
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
