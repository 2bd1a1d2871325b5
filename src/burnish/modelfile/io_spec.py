"""The inputs and the output that the graph of a model file may have.

The input `image` comes first. After it, `params`, `thumbnail` and `coords` are optional. They
describe the whole image and are called its context; `coords` relates a tile to it.
"""

from onnx import GraphProto, TensorProto, ValueInfoProto

from burnish.modelfile.card import COORDS, INPUT, OUTPUT, PARAMS, THUMBNAIL
from burnish.modelfile.onnx_file import reject

# The limits of a card.
MAX_SLIDERS = 16
MAX_THUMBNAIL = 256


def inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs of a graph without its weights, which older graphs list among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def context_shapes(graph: GraphProto) -> dict[str, tuple[int, int, int]]:
    """Return the shapes of `params` and `thumbnail` in a checked graph, as `Card.context_shapes`.

    Shape: (channels, height, width) for each
    """
    shapes = {}
    for value in inputs(graph):
        if value.name not in (INPUT, COORDS):
            _, channels, height, width = value.type.tensor_type.shape.dim
            shapes[value.name] = (channels.dim_value, height.dim_value, width.dim_value)
    return shapes


def takes_coords(graph: GraphProto) -> bool:
    """Return whether a graph has the input `coords`."""
    return any(value.name == COORDS for value in inputs(graph))


def check_io(graph: GraphProto, filename: str) -> None:
    """Check the names, order, types and shapes of the inputs and the output.

    Raises
    ------
    ModelError : one of them differs from docs/model-file.md
    """
    values = inputs(graph)
    names = [value.name for value in values]
    contexts: list[list[str]] = [[], [THUMBNAIL], [THUMBNAIL, COORDS]]
    if names not in [[INPUT, *params, *rest] for params in ([], [PARAMS]) for rest in contexts]:
        expected = f"{INPUT}, and optionally {PARAMS}, {THUMBNAIL} and {COORDS} in this order"
        reject(filename, f"its inputs are {[name[:40] for name in names[:4]]}, not {expected}")
    outputs = list(graph.output)
    if [value.name for value in outputs] != [OUTPUT]:
        names = [value.name[:40] for value in outputs[:4]]
        reject(filename, f"its outputs are {names}, not one called {OUTPUT}")
    for value in (values[0], *outputs):
        dims = _dims(value, filename)
        if len(dims) != 4 or dims[0] not in (None, 1) or dims[1:] != [3, None, None]:
            _reject_shape(filename, value.name, dims, "batch x 3 x height x width, all free but 3")
    for value in values[1:]:
        _check_context_input(value, filename)


def _check_context_input(value: ValueInfoProto, filename: str) -> None:
    dims = _dims(value, filename)
    if value.name == PARAMS:
        expected = f"1 x sliders x 1 x 1 with at most {MAX_SLIDERS} sliders"
        valid: list[list[int | None]] = [[1, n, 1, 1] for n in range(1, MAX_SLIDERS + 1)]
    elif value.name == THUMBNAIL:
        expected = f"1 x 3 x side x side with at most {MAX_THUMBNAIL} px"
        valid = [[1, 3, side, side] for side in range(1, MAX_THUMBNAIL + 1)]
    else:
        expected = "1 x rows x columns x 2 with free rows and columns"
        valid = [[1, None, None, 2]]
    if dims not in valid:
        _reject_shape(filename, value.name, dims, expected)


def _reject_shape(filename: str, name: str, dims: list[int | None], expected: str) -> None:
    reject(filename, f"{name} has the shape {dims[:8]}, not {expected}")


def _dims(value: ValueInfoProto, filename: str) -> list[int | None]:
    """Return the dimensions of a float32 input or output, with None for free ones."""
    tensor_type = value.type.tensor_type
    if tensor_type.elem_type != TensorProto.FLOAT:
        names = {number: name for name, number in TensorProto.DataType.items()}
        dtype = names.get(tensor_type.elem_type, f"unknown type {tensor_type.elem_type}")
        reject(filename, f"{value.name} is {dtype}, not float32")
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor_type.shape.dim]
