"""The card of a detector: its description, as JSON in the file's metadata.

A card may come from a stranger, so every field is bounded, as in `burnish.modelfile.card`.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from burnish.modelfile.card import BaseCard, Slug, StrictModel, Text

# Input and outputs of a detector's graph. The trace shows how the network reached its detections.
INPUT = "image"
OUTPUTS = ("boxes", "labels", "scores", "masks")
TRACE_OUTPUTS = ("proposal_indices", "anchors", "proposals", "objectness")

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
