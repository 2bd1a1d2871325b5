"""The file of a detector: its card, and the checks before it is run.

The card is JSON in the file's metadata. The file may come from a stranger, so every field of the
card is bounded, as in `burnish.modelfile.card`.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from burnish.errors import ModelError
from burnish.files import cache_root
from burnish.modelfile.base_card import BaseCard, Slug, StrictModel, Text, reject
from burnish.runtime import model_registry

# The folder of the bundled detectors, and the name of the one that is used by default.
BUNDLED = model_registry.BUNDLED / "regions"
BUNDLED_DEFAULT = "light"
# The name of the detector that `burnish regions get` puts into the cache. Where it is there, it is
# the default, because it is far better.
DOWNLOADED = "full"

# Input and outputs of a detector's graph. The trace shows how the network reached its detections.
INPUT = "image"
OUTPUTS = ("boxes", "labels", "scores", "masks")
TRACE_OUTPUTS = ("proposal_indices", "anchors", "proposals", "objectness")

# Maximum size of a file. torchvision's largest detector has 186 MB.
MAX_FILE_BYTES = 400 * 2**20
MAX_NODES = 10_000
OPSETS = range(16, 22)

# The operators of an exported Mask R-CNN, and those that round it to 8-bit integers. None of them
# reads a file, loops or nests a graph.
_OPS = """
    Add And Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose DequantizeLinear Div Equal
    Exp Expand Flatten Floor Gather Gemm Greater GreaterOrEqual Identity Log Max MaxPool Min Mod Mul
    Neg NonMaxSuppression NonZero Pad QuantizeLinear Range ReduceMean ReduceMin Relu Reshape Resize
    RoiAlign ScatterElements Shape Sigmoid Slice Softmax Split Sqrt Squeeze Sub Tile TopK Transpose
    Unsqueeze Where
"""

Precision = Annotated[float, Field(ge=-1, le=1)]
SideLength = Annotated[int, Field(ge=32, le=4096)]


class Calibration(StrictModel):
    """Platt scaling of raw scores: sigmoid(slope · logit(score) + offset).

    Slope 1 and offset 0 change nothing.
    """

    slope: float = Field(default=1.0, gt=0, le=100)
    offset: float = Field(default=0.0, ge=-100, le=100)
    dataset: Text | None = Field(default=None, description="the photos it was fitted on")


class CocoMetrics(StrictModel):
    """COCO's twelve metrics, for boxes and for masks; -1 where undefined.

    In COCO's order: AP, AP50, AP75, AP of small, medium and large objects; AR with 1, 10 and 100
    detections, AR of small, medium and large objects.
    """

    dataset: Text = Field(description="the photos; none of them was trained on")
    photo_count: int = Field(ge=1, description="number of photos")
    object_count: int = Field(ge=0, description="number of annotated objects, without crowds")
    box: tuple[Precision, ...] = Field(min_length=12, max_length=12)
    mask: tuple[Precision, ...] = Field(min_length=12, max_length=12)
    mask_ap_by_class: dict[Text, Precision] = Field(
        max_length=1000, description="AP of masks for each class"
    )


class DetectorCard(BaseCard):
    """The description of a detector.

    Examples
    --------
    >>> card = DetectorCard(
    ...     name="shapes", title="Discs and boxes", network="light", classes=("disc", "box"),
    ...     min_size=320, max_size=480, parameter_count=1, metrics=(), training={},
    ...     description="Shapes.", licence="MIT", burnish_version="0.1.0",
    ... )
    >>> DetectorCard.parse(card.model_dump_json(), "shapes.onnx") == card
    True
    """

    metadata_key: ClassVar[str] = "burnish.detector"

    schema_version: Literal[1] = 1
    name: Slug
    title: Text
    network: Slug
    classes: tuple[Text, ...] = Field(min_length=1, max_length=1000)
    other_class: Text | None = Field(
        default=None, description="the class of all objects that belong to none of the others"
    )
    min_size: SideLength = Field(description="a photo is resized to this shorter side, px")
    max_size: SideLength = Field(description="maximum of the longer side after resizing, px")
    calibration: Calibration = Calibration()
    parameter_count: int = Field(ge=0, le=10**9, description="number of trained parameters")
    metrics: tuple[CocoMetrics, ...] = Field(max_length=16)
    training: dict[str, JsonValue] = Field(
        max_length=64, description="settings, steps and seconds, as the trainer wrote them"
    )
    description: Text = Field(description="abilities and limits of the detector")
    licence: Text
    burnish_version: Text

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class appears twice")
        if self.other_class is not None and self.other_class not in self.classes:
            raise ValueError("other_class is not one of the classes")
        if self.min_size > self.max_size:
            raise ValueError("min_size exceeds max_size")
        return self


def downloaded_folder() -> Path:
    """Return the folder of downloaded detectors, in burnish's cache."""
    return cache_root() / "detectors"


def default_name() -> str:
    """Return the name of the detector that is used if none is named."""
    is_downloaded = (downloaded_folder() / f"{DOWNLOADED}.onnx").is_file()
    return DOWNLOADED if is_downloaded else BUNDLED_DEFAULT


def named_files() -> list[Path]:
    """Return the files of all detectors that have a name: the bundled and the downloaded ones."""
    return [*sorted(BUNDLED.glob("*.onnx")), *sorted(downloaded_folder().glob("*.onnx"))]


def find(name_or_path: str | Path) -> Path:
    """Return the file of a detector; see `burnish.runtime.model_registry.find_model`.

    Raises
    ------
    ModelError : there is no such detector
    """
    folder = downloaded_folder()
    if name_or_path in model_registry.model_names(folder):
        return folder / f"{name_or_path}.onnx"
    if name_or_path == DOWNLOADED:
        remedy = f"get it with `burnish regions get {DOWNLOADED}`"
        raise ModelError(DOWNLOADED, "this detector is not downloaded yet", remedy)
    return model_registry.find_model(name_or_path, BUNDLED, "detector")


def read(name_or_path: str | Path) -> tuple[DetectorCard, bytes]:
    """Read and check a detector with a name, or any detector, by path. Nothing in it is run.

    Returns
    -------
    The card, and the bytes of the file

    Raises
    ------
    ModelError : there is no such detector, or its file is too large or not valid
    """
    from burnish.modelfile.onnx_file import read_bytes

    path = find(name_or_path)
    data = read_bytes(path, MAX_FILE_BYTES)
    return check(data, str(path)), data


def check(data: bytes, filename: str) -> DetectorCard:
    """Check the bytes of a detector, and return its card.

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
    allowed_ops = frozenset(_OPS.split())
    check_graph(model, filename, allowed_ops=allowed_ops, opsets=OPSETS, max_nodes=MAX_NODES)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    outputs = [value.name for value in model.graph.output]
    expected = [*OUTPUTS, *TRACE_OUTPUTS]
    if inputs != [INPUT] or outputs != expected:
        problem = f"its graph maps {inputs} to {outputs}"[:200]
        reject(filename, f"{problem}, not {INPUT} to {', '.join(expected)}")
    return card
