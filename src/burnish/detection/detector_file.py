"""Read the file of a detector, after checking all of it."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.detection.card import INPUT, OUTPUTS, TRACE_OUTPUTS, DetectorCard
from burnish.modelfile.card import reject
from burnish.runtime import model_registry

if TYPE_CHECKING:
    from onnx import ModelProto

# torchvision's largest detector has 186 MB.
MAX_FILE_BYTES = 400 * 2**20
MAX_NODES = 10_000
OPSETS = range(16, 22)

# The folder of the detectors that come with burnish.
BUNDLED = model_registry.BUNDLED / "regions"
DEFAULT = "light"

# The operators of an exported Mask R-CNN. None of them reads a file, loops or nests a graph.
_OPS = """
    Add And Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose Div Equal Exp Expand
    Flatten Floor Gather Gemm Greater GreaterOrEqual Identity Log Max MaxPool Min Mod Mul Neg
    NonMaxSuppression NonZero Pad Range ReduceMean ReduceMin Relu Reshape Resize RoiAlign
    ScatterElements Shape Sigmoid Slice Softmax Split Sqrt Squeeze Sub Tile TopK Transpose
    Unsqueeze Where
"""
ALLOWED_OPS = frozenset(_OPS.split())


@dataclass(frozen=True)
class DetectorFile:
    """A checked detector: its card, the bytes of its file and their SHA-256 digest."""

    card: DetectorCard
    graph: bytes
    sha256: str


def find_detector(name_or_path: str | Path) -> Path:
    """Return the file of a bundled detector, by name, or of any detector, by path.

    Raises
    ------
    ModelError : there is no such detector
    """
    return model_registry.find_model(name_or_path, BUNDLED)


def read(path: str | Path) -> DetectorFile:
    """Read and check the file of a detector. Nothing in it is run.

    Raises
    ------
    ModelError : the file does not exist, is too large, or is not a valid detector
    """
    from burnish.modelfile.onnx_file import read_bytes

    return parse(read_bytes(Path(path), MAX_FILE_BYTES), str(path))


def parse(data: bytes, filename: str) -> DetectorFile:
    """Check the bytes of a detector.

    Parameters
    ----------
    filename : names the file in messages

    Raises
    ------
    ModelError : the bytes are not a valid detector
    """
    # The import of onnx takes 0.13 s.
    from burnish.modelfile.onnx_file import check_graph, load_onnx, read_card

    model = load_onnx(data, filename)
    card = read_card(model, DetectorCard, filename)
    check_graph(model, filename, allowed_ops=ALLOWED_OPS, opsets=OPSETS, max_nodes=MAX_NODES)
    _check_io(model, filename)
    return DetectorFile(card, data, sha256(data).hexdigest())


def _check_io(model: "ModelProto", filename: str) -> None:
    from burnish.modelfile.onnx_file import graph_inputs

    inputs = [value.name for value in graph_inputs(model.graph)]
    outputs = [value.name for value in model.graph.output]
    expected = [*OUTPUTS, *TRACE_OUTPUTS]
    if inputs != [INPUT] or outputs != expected:
        problem = f"its graph maps {inputs} to {outputs}"[:200]
        reject(filename, f"{problem}, not {INPUT} to {', '.join(expected)}")
