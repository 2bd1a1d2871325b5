"""Store weights in 16 bits where they lose nothing by it."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

# Smaller ones are not worth a node.
_WORTH = 256
# What the name of a weight ends in that is stored so.
HALF = ".half"


def halve(model: ModelProto) -> None:
    """Store every large weight that half precision holds exactly as such, with a cast back.

    Runtimes cast once, when they load the model.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        halved = values.astype(np.float16)
        if values.size < _WORTH or not np.array_equal(halved.astype(np.float32), values):
            continue
        name = tensor.name + HALF
        casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(halved, name))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
