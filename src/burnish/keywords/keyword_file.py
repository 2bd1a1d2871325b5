"""The file of a keyword model: its card, and the checks before it is run.

The file maps a photo, resized to a square, to a logit for each label. It may come from a stranger,
so every field of the card is bounded, as in `burnish.modelfile.card`.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from burnish.detection.detector_file import Calibration
from burnish.errors import ModelError
from burnish.files import is_file
from burnish.modelfile.base_card import BaseCard, Slug, StrictModel, Text, reject

INPUT, OUTPUT = "image", "logits"
MAX_LABELS = 1000
MAX_LABEL_LETTERS = 100
_MAX_FILE_BYTES = 200 * 2**20
_MAX_NODES = 5000
OPSETS = range(16, 22)
# The operators of EfficientNet-Lite0 and of the heads. None of them reads a file, loops or nests.
_OPS = """
    Add AveragePool Cast Clip Concat Constant ConstantOfShape Conv Div Equal Erf Expand Flatten
    Gather Gemm Identity LayerNormalization MatMul Mod Mul Pad
    Pow ReduceMax ReduceMean ReduceSum Relu Reshape Shape Slice Softmax Split Sqrt Squeeze Sub
    Transpose Unsqueeze Where
"""

Percent = Annotated[float, Field(ge=0, le=100)]
Label = Annotated[Text, Field(max_length=MAX_LABEL_LETTERS)]


class Measured(StrictModel):
    """The mean of a metric over random splits of the library, and its standard deviation."""

    mean: Percent
    deviation: Percent


class HeadMetrics(StrictModel):
    """The metrics of one head, in percent, on photos that it was neither trained nor chosen on.

    `validation_ap` is the mean average precision that the head was chosen by.
    """

    head: Slug
    steps: int = Field(ge=1, description="training steps, chosen by validation")
    validation_ap: Measured
    mean_ap: Measured
    cf1: Measured
    of1: Measured
    top3_cf1: Measured
    top3_of1: Measured
    calibration_error: Measured
    gain: float = Field(
        ge=-100, le=100, description="mean_ap minus that of the head without graph, on average"
    )
    gain_deviation: Percent


class KeywordCard(BaseCard):
    """The description of a keyword model."""

    metadata_key: ClassVar[str] = "burnish.keywords"

    schema_version: Literal[1] = 1
    name: Slug
    labels: tuple[Label, ...] = Field(min_length=1, max_length=MAX_LABELS)
    photo_counts: tuple[int, ...] = Field(
        max_length=MAX_LABELS, description="number of photos with each label"
    )
    image_size: int = Field(ge=16, le=1024, description="side of the square input, px")
    head: Slug
    calibration: Calibration = Calibration()
    metrics: tuple[HeadMetrics, ...] = Field(max_length=16)
    training: dict[str, JsonValue] = Field(max_length=64)
    licence: Text
    burnish_version: Text

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        if len(set(self.labels)) != len(self.labels) or len(self.labels) != len(self.photo_counts):
            raise ValueError("a label appears twice, or its number of photos is missing")
        return self


def read(path: Path) -> tuple[KeywordCard, bytes]:
    """Read and check a keyword model. Nothing in it is run.

    Returns
    -------
    The card, and the bytes of the file

    Raises
    ------
    ModelError : there is no such file, or it is too large or not valid
    """
    from burnish.modelfile.onnx_file import read_bytes

    if not is_file(path):
        raise ModelError(str(path), "no such file", "learn one: burnish keywords learn LIBRARY")
    data = read_bytes(path, _MAX_FILE_BYTES)
    return check(data, str(path)), data


def check(data: bytes, filename: str) -> KeywordCard:
    """Check the bytes of a keyword model, and return its card.

    Raises
    ------
    ModelError : the bytes are not a valid keyword model
    """
    from burnish.modelfile.onnx_file import check_graph, graph_inputs, load_onnx, read_card

    model = load_onnx(data, filename)
    card = read_card(model, KeywordCard, filename)
    allowed_ops = frozenset(_OPS.split())
    check_graph(model, filename, allowed_ops=allowed_ops, opsets=OPSETS, max_nodes=_MAX_NODES)
    inputs = [value.name for value in graph_inputs(model.graph)]
    outputs = [value.name for value in model.graph.output]
    if inputs != [INPUT] or outputs != [OUTPUT]:
        reject(filename, f"its graph does not map {INPUT} to {OUTPUT}")
    return card
