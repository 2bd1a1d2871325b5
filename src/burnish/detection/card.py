"""A detector's card: everything it says about itself, as JSON in the file's metadata.

It may come from a stranger, so every field is bounded, as in `burnish.modelfile.card`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from burnish.errors import ModelError
from burnish.modelfile.card import MAX_CARD_BYTES, Slug, Text, first_error

CARD_KEY = "burnish.detector"
# What a detector's graph calls its ends. The last four tell how it came to what it found.
INPUT = "image"
OUTPUTS = ("boxes", "labels", "scores", "masks")
TRACE_OUTPUTS = ("proposal_indices", "anchors", "proposals", "objectness")

Precision = Annotated[float, Field(ge=-1, le=1)]
SideLength = Annotated[int, Field(ge=32, le=4096)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Calibration(_StrictModel):
    """Turns raw scores into how often detections of that score are right.

    The logit of a score is multiplied and shifted; 1 and 0 leave it as it is.
    """

    slope: float = Field(default=1.0, gt=0, le=100)
    offset: float = Field(default=0.0, ge=-100, le=100)
    dataset: Text | None = Field(default=None, description="what it was measured on, in words")


class CocoMetrics(_StrictModel):
    """The twelve numbers of COCO's evaluation, for boxes and for masks; -1 where undefined.

    In their order: AP, AP50, AP75, AP of small, medium and large objects; AR at 1, 10 and 100
    detections, AR of small, medium and large objects.
    """

    dataset: Text = Field(description="which photos, in words; none of them was trained on")
    photo_count: int = Field(ge=1, description="how many photos")
    object_count: int = Field(ge=0, description="how many true objects")
    box: tuple[Precision, ...] = Field(min_length=12, max_length=12)
    mask: tuple[Precision, ...] = Field(min_length=12, max_length=12)
    mask_ap_by_class: dict[Text, Precision] = Field(
        max_length=1000, description="AP of masks, class by class"
    )


class DetectorCard(_StrictModel):
    """What a detector says about itself.

    Examples
    --------
    >>> card = DetectorCard(
    ...     name="shapes", title="Discs and boxes", network="light", classes=("disc", "box"),
    ...     min_size=320, max_size=480, parameter_count=1, metrics=(), training={}, description="Shapes.",
    ...     licence="MIT", burnish_version="0.1.0",
    ... )
    >>> parse_card(card.model_dump_json(), "shapes.onnx") == card
    True
    """

    schema_version: Literal[1] = 1
    name: Slug
    title: Text
    network: Slug
    classes: tuple[Text, ...] = Field(min_length=1, max_length=1000)
    other_class: Text | None = Field(
        default=None, description="the class that stands for all that have none of their own"
    )
    min_size: SideLength = Field(
        description="px: a photo is brought to this shorter side before it is looked at"
    )
    max_size: SideLength = Field(description="px: unless its longer side would exceed this")
    calibration: Calibration = Calibration()
    parameter_count: int = Field(ge=0, le=10**9, description="how many numbers it has learnt")
    metrics: tuple[CocoMetrics, ...] = Field(max_length=16)
    training: dict[str, JsonValue] = Field(max_length=64, description="as the trainer noted it")
    description: Text = Field(description="what it can do and what it cannot, in words")
    licence: Text
    burnish_version: Text

    @model_validator(mode="after")
    def _check_consistent(self) -> "DetectorCard":
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class appears twice")
        if self.other_class is not None and self.other_class not in self.classes:
            raise ValueError("rest is none of the classes")
        if self.min_size > self.max_size:
            raise ValueError("shorter exceeds longer")
        return self


def parse_card(text: str, source: str) -> DetectorCard:
    """Read a card's JSON text.

    Raises
    ------
    ModelError : too long, no JSON, or a field is missing, unknown or not as it must be
    """
    size = len(text.encode())
    if size > MAX_CARD_BYTES:
        raise _invalid_card(
            source, f"a detector's card of at most {MAX_CARD_BYTES} bytes", f"{size}"
        )
    try:
        return DetectorCard.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _invalid_card(source, "a valid detector's card", first_error(error)) from error


def build_card(**fields: Any) -> DetectorCard:
    """Make a card from its fields, for whoever makes a detector.

    Raises
    ------
    ModelError : a field is missing, unknown or not as it must be; the first such field is named
    """
    try:
        return DetectorCard(**fields)
    except ValidationError as error:
        raise ModelError(
            "the detector's card",
            expected="fields as docs/regions.md has them",
            got=first_error(error),
            remedy="correct it",
        ) from error


def _invalid_card(source: str, expected: str, got: str) -> ModelError:
    return ModelError(source, expected=expected, got=got, remedy="get or export the detector anew")
