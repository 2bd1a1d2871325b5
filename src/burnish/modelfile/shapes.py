"""The size of every tensor in a graph, for one size of picture; nothing is run."""

from math import prod

import onnx
from onnx import ModelProto, helper

from burnish.modelfile.card import COORDS, INPUT, OUTPUT
from burnish.modelfile.io_spec import inputs
from burnish.modelfile.refusal import reject

Shapes = dict[str, tuple[int, ...]]

# Constants up to this many numbers may say how large something is; the others are only weights.
_MAX_SHAPE_NUMEL = 1024


def tensor_shapes(
    model: ModelProto, height: int, width: int, size_multiple: int, filename: str
) -> Shapes:
    """Infer the shape of every tensor for one picture.

    Parameters
    ----------
    height, width : of the picture, px
    size_multiple : side of the blocks whose places it takes, px

    Raises
    ------
    ModelError : sizes contradict, cannot be told, or the result is not as large as the picture
    """
    try:
        graph = onnx.shape_inference.infer_shapes(
            _without_weights(model, height, width, size_multiple),
            check_type=True,
            strict_mode=True,
            data_prop=True,
        ).graph
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        reject(filename, "a graph whose sizes fit together", str(error)[:200], error)
    shapes: Shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        shapes[info.name] = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
    for node in graph.node:
        # Zero is protobuf's way to say 'unknown'; a window that does not fit gives less.
        if any(name and min(shapes.get(name, (0,)), default=1) < 1 for name in node.output):
            reject(
                filename, "sizes that follow from the picture's", f"{node.op_type} of unknown size"
            )
    if shapes[OUTPUT] != (1, 3, height, width):
        got = " x ".join(map(str, shapes[OUTPUT][1:]))
        reject(filename, f"a result of 3 x {height} x {width}", got)
    return shapes


def _without_weights(model: ModelProto, height: int, width: int, size_multiple: int) -> ModelProto:
    """Return the graph without its weights' numbers and without the file's claims about sizes."""
    bare = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = bare.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    free_shapes = {
        INPUT: (1, 3, height, width),
        COORDS: (1, height // size_multiple, width // size_multiple, 2),
    }
    for end in inputs(model.graph):
        if end.name in free_shapes:
            sizes = free_shapes[end.name]
            end = helper.make_tensor_value_info(end.name, onnx.TensorProto.FLOAT, sizes)
        graph.input.append(end)
    graph.output.append(helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, None))
    for tensor in model.graph.initializer:
        if prod(tensor.dims) <= _MAX_SHAPE_NUMEL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return bare
