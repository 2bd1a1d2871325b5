"""A detector's card: everything it says about itself, as JSON in the file's metadata.

It may come from a stranger, so every field is bounded, as in `burnish.modelfile.card`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from burnish.errors import ModelError
from burnish.modelfile.card import MAX_CARD_BYTES, Slug, Words, first_fault

CARD_KEY = "burnish.detector"
# What a detector's graph calls its ends. The last four tell how it came to what it found.
INPUT = "image"
OUTPUTS = ("boxes", "labels", "scores", "masks")
STEPS = ("chosen", "anchors", "proposals", "objectness")

Precision = Annotated[float, Field(ge=-1, le=1)]
Side = Annotated[int, Field(ge=32, le=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Calibration(_Strict):
    """Turns raw scores into how often detections of that score are right.

    The logit of a score is multiplied and shifted; 1 and 0 leave it as it is.
    """

    slope: float = Field(default=1.0, gt=0, le=100)
    offset: float = Field(default=0.0, ge=-100, le=100)
    photos: Words | None = Field(default=None, description="what it was measured on, in words")


class Measurement(_Strict):
    """The twelve numbers of COCO's evaluation, for boxes and for masks; -1 where undefined.

    In their order: AP, AP50, AP75, AP of small, medium and large objects; AR at 1, 10 and 100
    detections, AR of small, medium and large objects.
    """

    photos: Words = Field(description="which photos, in words; none of them was trained on")
    count: int = Field(ge=1, description="how many photos")
    objects: int = Field(ge=0, description="how many true objects")
    box: tuple[Precision, ...] = Field(min_length=12, max_length=12)
    mask: tuple[Precision, ...] = Field(min_length=12, max_length=12)
    mask_by_class: dict[Words, Precision] = Field(
        max_length=1000, description="AP of masks, class by class"
    )


class DetectorCard(_Strict):
    """What a detector says about itself.

    Examples
    --------
    >>> card = DetectorCard(
    ...     name="shapes", title="Discs and boxes", network="light", classes=("disc", "box"),
    ...     shorter=320, longer=480, parameters=1, measured=(), training={}, abilities="Shapes.",
    ...     licence="MIT", burnish_version="0.1.0",
    ... )
    >>> parse_card(card.model_dump_json(), "shapes.onnx") == card
    True
    """

    schema_version: Literal[1] = 1
    name: Slug
    title: Words
    network: Slug
    classes: tuple[Words, ...] = Field(min_length=1, max_length=1000)
    rest: Words | None = Field(
        default=None, description="the class that stands for all that have none of their own"
    )
    shorter: Side = Field(
        description="px: a photo is brought to this shorter side before it is looked at"
    )
    longer: Side = Field(description="px: unless its longer side would exceed this")
    calibration: Calibration = Calibration()
    parameters: int = Field(ge=0, le=10**9, description="how many numbers it has learnt")
    measured: tuple[Measurement, ...] = Field(max_length=16)
    training: dict[str, JsonValue] = Field(max_length=64, description="as the trainer noted it")
    abilities: Words = Field(description="what it can do and what it cannot, in words")
    licence: Words
    burnish_version: Words

    @model_validator(mode="after")
    def _consistent(self) -> "DetectorCard":
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class appears twice")
        if self.rest is not None and self.rest not in self.classes:
            raise ValueError("rest is none of the classes")
        if self.shorter > self.longer:
            raise ValueError("shorter exceeds longer")
        return self


def parse_card(text: str, where: str) -> DetectorCard:
    """Read a card's JSON text.

    Raises
    ------
    ModelError : too long, no JSON, or a field is missing, unknown or not as it must be
    """
    size = len(text.encode())
    if size > MAX_CARD_BYTES:
        raise _broken(where, f"a detector's card of at most {MAX_CARD_BYTES} bytes", f"{size}")
    try:
        return DetectorCard.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _broken(where, "a valid detector's card", first_fault(error)) from error


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
            got=first_fault(error),
            remedy="correct it",
        ) from error


def _broken(where: str, expected: str, got: str) -> ModelError:
    return ModelError(where, expected=expected, got=got, remedy="get or export the detector anew")
