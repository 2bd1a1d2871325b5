"""Read a detector's file, and trust none of it before it is judged."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.detection.card import CARD_KEY, INPUT, OUTPUTS, TRACE_OUTPUTS, DetectorCard, parse_card
from burnish.errors import ModelError
from burnish.runtime import model_registry as shelf

if TYPE_CHECKING:
    import onnx

# torchvision's largest, with some room.
MAX_FILE_BYTES = 400 * 2**20
MAX_NODES = 10_000
OPSETS = range(16, 22)

# Where the detectors that come with burnish lie: beside the operators' networks, not among them.
BUNDLED = shelf.BUNDLED / "regions"
DEFAULT = "light"

# What Mask R-CNN needs, as torch exports it. None reads a file, loops, or holds another graph.
_NAMES = """
    Add And Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose Div Equal Exp Expand
    Flatten Floor Gather Gemm Greater GreaterOrEqual Identity Log Max MaxPool Min Mod Mul Neg
    NonMaxSuppression NonZero Pad Range ReduceMean ReduceMin Relu Reshape Resize RoiAlign
    ScatterElements Shape Sigmoid Slice Softmax Split Sqrt Squeeze Sub Tile TopK Transpose
    Unsqueeze Where
"""
ALLOWED_OPS = frozenset(_NAMES.split())


@dataclass(frozen=True)
class DetectorFile:
    """A detector's file that has been judged: its card, its bytes, and what identifies them."""

    card: DetectorCard
    graph: bytes
    sha256: str


def find_detector(name_or_path: str | Path) -> Path:
    """Return the file of a detector: one that ships, by name, or any, by path.

    Raises
    ------
    ModelError : there is none
    """
    return shelf.find_model(name_or_path, BUNDLED)


def read(path: str | Path) -> DetectorFile:
    """Read and judge a detector's file. Nothing in it is run.

    Raises
    ------
    ModelError : no such file, too large, no ONNX, not self-contained, or no detector of burnish
    """
    source = str(path)
    try:
        file = Path(path)
        size = file.stat().st_size if file.is_file() else -1
        if not 0 <= size <= MAX_FILE_BYTES:
            got = "no such file, or a folder or device" if size < 0 else f"{size / 2**20:.0f} MiB"
            raise _invalid_file(source, f"a file of at most {MAX_FILE_BYTES // 2**20} MiB", got)
        return parse(file.read_bytes(), source)
    except (OSError, ValueError) as error:
        raise _invalid_file(source, "a readable file", str(error)) from error


def parse(data: bytes, source: str) -> DetectorFile:
    """Judge a detector's bytes; `source` names them in messages.

    Raises
    ------
    ModelError : see `read`
    """
    # onnx takes 130 ms to import: only who opens a detector pays.
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise _invalid_file(
            source, "an ONNX model", f"{len(data)} bytes of something else"
        ) from error
    # First what needs no trust, so that the checker never sees a path to somebody's files.
    _check_self_contained(model, source)
    cards = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if len(cards) != 1 or not isinstance(cards[0], str):
        got = "another kind of model" if not cards else "several cards, or one not in UTF-8"
        raise _invalid_file(source, "a detector, with one card in its metadata", got)
    card = parse_card(cards[0], source)
    _check_operators(model, source)
    _check_io(model, source)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:
        raise _invalid_file(source, "a valid ONNX model", str(error)[:200]) from error
    return DetectorFile(card, data, sha256(data).hexdigest())


def _check_self_contained(model: "onnx.ModelProto", source: str) -> None:
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        raise _invalid_file(
            source, "one plain graph", "functions, training steps or sparse weights"
        )
    if len(graph.node) > MAX_NODES:
        raise _invalid_file(source, f"at most {MAX_NODES} nodes", f"{len(graph.node)}")
    tensors = [*graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            tensors += [*attribute.tensors, *([attribute.t] if attribute.HasField("t") else [])]
    for tensor in tensors:
        if tensor.data_location or tensor.external_data:
            got = f"{tensor.name[:80]!r} in another file"
            raise _invalid_file(source, "weights inside the file", got)


def _check_operators(model: "onnx.ModelProto", source: str) -> None:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version = opsets.pop("ai.onnx", 0)
    if opsets or version not in OPSETS:
        got = ", ".join([f"ai.onnx {version}", *(domain[:80] for domain in opsets)])
        expected = f"standard ONNX operators, set {OPSETS[0]} to {OPSETS[-1]}"
        raise _invalid_file(source, expected, got)
    for node in model.graph.node:
        nested = any(a.graphs or a.HasField("g") for a in node.attribute)
        if node.domain not in ("", "ai.onnx") or node.op_type not in ALLOWED_OPS or nested:
            name = f"{node.domain}.{node.op_type}".lstrip(".")[:80]
            raise _invalid_file(source, "only operators that a detector needs", repr(name))


def _check_io(model: "onnx.ModelProto", source: str) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [end.name for end in model.graph.input if end.name not in weights]
    outputs = [end.name for end in model.graph.output]
    if inputs != [INPUT] or outputs != [*OUTPUTS, *TRACE_OUTPUTS]:
        got = f"{inputs} to {outputs}"[:200]
        raise _invalid_file(
            source, f"a graph from {INPUT} to {', '.join([*OUTPUTS, *TRACE_OUTPUTS])}", got
        )


def _invalid_file(source: str, expected: str, got: str) -> ModelError:
    remedy = "get the detector anew from its maker, or export it with `burnish regions export`"
    return ModelError(source, expected=expected, got=got, remedy=remedy)
