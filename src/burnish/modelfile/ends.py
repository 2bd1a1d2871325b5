"""A graph's ends: the image and what holds for the whole of it go in, the result comes out."""

from onnx import GraphProto, TensorProto, ValueInfoProto

from burnish.modelfile.card import INPUT, OUTPUT, PARAMS, THUMBNAIL
from burnish.modelfile.refusal import refuse

# As a card has it.
MAX_SLIDERS = 16
MAX_THUMBNAIL = 256


def context(graph: GraphProto) -> dict[str, tuple[int, int, int]]:
    """Return what a judged graph takes beside the image: name -> channels, height, width."""
    taken = {}
    for end in inputs(graph):
        if end.name != INPUT:
            _, channels, height, width = end.type.tensor_type.shape.dim
            taken[end.name] = (channels.dim_value, height.dim_value, width.dim_value)
    return taken


def inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return a graph's inputs; older graphs list their weights among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [end for end in graph.input if end.name not in weights]


def check(graph: GraphProto, where: str) -> None:
    """Judge what goes in and what comes out.

    Raises
    ------
    ModelError : other inputs or outputs, or other sizes, than a picture's network has
    """
    ends = inputs(graph)
    names = [end.name for end in ends]
    if names not in ([INPUT], [INPUT, PARAMS], [INPUT, THUMBNAIL], [INPUT, PARAMS, THUMBNAIL]):
        expected = f"the input {INPUT}, and {PARAMS} and {THUMBNAIL} at most"
        refuse(where, expected, f"{[name[:40] for name in names[:4]]}")
    outputs = list(graph.output)
    if [end.name for end in outputs] != [OUTPUT]:
        refuse(where, f"one output, {OUTPUT}", f"{[end.name[:40] for end in outputs[:4]]}")
    for end in (ends[0], *outputs):
        sizes = _sizes(end, where)
        if len(sizes) != 4 or sizes[0] not in (None, 1) or sizes[1:] != [3, None, None]:
            expected = f"{end.name}: batch x 3 x height x width, height and width free"
            refuse(where, expected, f"{sizes[:8]}")
    for end in ends[1:]:
        _check_context(end, where)


def _check_context(end: ValueInfoProto, where: str) -> None:
    sizes = _sizes(end, where)
    if end.name == PARAMS:
        expected = f"1 x sliders x 1 x 1, at most {MAX_SLIDERS} sliders"
        fits = [[1, sliders, 1, 1] for sliders in range(1, MAX_SLIDERS + 1)]
    else:
        expected = f"1 x 3 x side x side, at most {MAX_THUMBNAIL} px"
        fits = [[1, 3, side, side] for side in range(1, MAX_THUMBNAIL + 1)]
    if sizes not in fits:
        refuse(where, f"{end.name}: {expected}", f"{sizes[:8]}")


def _sizes(end: ValueInfoProto, where: str) -> list[int | None]:
    """Return an input's or output's dimensions, those that are free as None."""
    kind = end.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        known = {number: name for name, number in TensorProto.DataType.items()}
        element = known.get(kind.elem_type, f"elements of unknown type {kind.elem_type}")
        refuse(where, f"{end.name}: float32", element)
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
