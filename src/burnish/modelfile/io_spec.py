"""A graph's ends: the image and what holds for the whole of it go in, the result comes out."""

from onnx import GraphProto, TensorProto, ValueInfoProto

from burnish.modelfile.card import COORDS, INPUT, OUTPUT, PARAMS, THUMBNAIL
from burnish.modelfile.refusal import reject

# As a card has it.
MAX_SLIDERS = 16
MAX_THUMBNAIL = 256


def context_shapes(graph: GraphProto) -> dict[str, tuple[int, int, int]]:
    """Return what holds for a whole picture, as a judged graph takes it; see `Card.context`."""
    shapes = {}
    for end in inputs(graph):
        if end.name not in (INPUT, COORDS):
            _, channels, height, width = end.type.tensor_type.shape.dim
            shapes[end.name] = (channels.dim_value, height.dim_value, width.dim_value)
    return shapes


def takes_coords(graph: GraphProto) -> bool:
    """Tell whether a graph takes where in the whole picture its blocks lie."""
    return any(end.name == COORDS for end in inputs(graph))


def inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return a graph's inputs; older graphs list their weights among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [end for end in graph.input if end.name not in weights]


def check_io(graph: GraphProto, filename: str) -> None:
    """Judge what goes in and what comes out.

    Raises
    ------
    ModelError : other inputs or outputs, or other sizes, than a picture's network has
    """
    ends = inputs(graph)
    names = [end.name for end in ends]
    wholes: list[list[str]] = [[], [THUMBNAIL], [THUMBNAIL, COORDS]]
    if names not in [[INPUT, *params, *whole] for params in ([], [PARAMS]) for whole in wholes]:
        expected = f"the input {INPUT}, and {PARAMS}, {THUMBNAIL} and with it {COORDS} at most"
        reject(filename, expected, f"{[name[:40] for name in names[:4]]}")
    outputs = list(graph.output)
    if [end.name for end in outputs] != [OUTPUT]:
        reject(filename, f"one output, {OUTPUT}", f"{[end.name[:40] for end in outputs[:4]]}")
    for end in (ends[0], *outputs):
        sizes = _dims(end, filename)
        if len(sizes) != 4 or sizes[0] not in (None, 1) or sizes[1:] != [3, None, None]:
            expected = f"{end.name}: batch x 3 x height x width, height and width free"
            reject(filename, expected, f"{sizes[:8]}")
    for end in ends[1:]:
        _check_context_input(end, filename)


def _check_context_input(end: ValueInfoProto, filename: str) -> None:
    sizes = _dims(end, filename)
    if end.name == PARAMS:
        expected = f"1 x sliders x 1 x 1, at most {MAX_SLIDERS} sliders"
        valid: list[list[int | None]] = [[1, n, 1, 1] for n in range(1, MAX_SLIDERS + 1)]
    elif end.name == THUMBNAIL:
        expected = f"1 x 3 x side x side, at most {MAX_THUMBNAIL} px"
        valid = [[1, 3, side, side] for side in range(1, MAX_THUMBNAIL + 1)]
    else:
        expected = "1 x rows x columns x 2, rows and columns free"
        valid = [[1, None, None, 2]]
    if sizes not in valid:
        reject(filename, f"{end.name}: {expected}", f"{sizes[:8]}")


def _dims(end: ValueInfoProto, filename: str) -> list[int | None]:
    """Return an input's or output's dimensions, those that are free as None."""
    kind = end.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        known = {number: name for name, number in TensorProto.DataType.items()}
        element = known.get(kind.elem_type, f"elements of unknown type {kind.elem_type}")
        reject(filename, f"{end.name}: float32", element)
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
