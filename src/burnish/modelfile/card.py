"""The model card: everything a model says about itself, as JSON in the file's metadata.

A card may come from a stranger, so every field is bounded, and text that a terminal may show holds
no control characters.
"""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from burnish.errors import ModelError
from burnish.params import Param

CARD_KEY = "burnish.card"
# What a model file's graph calls its ends.
INPUT = "image"
OUTPUT = "result"
# What else a graph may take, that holds for a whole picture.
PARAMS = "params"
THUMBNAIL = "thumbnail"
COORDS = "coords"
MAX_CARD_BYTES = 64 * 1024

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=_PRINTABLE)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Decibel = Annotated[float, Field(ge=0, le=200)]
Similarity = Annotated[float, Field(ge=-1, le=1)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Paper(StrictModel):
    """The publication that describes the operator."""

    title: Text
    doi: (
        Annotated[str, StringConstraints(max_length=200, pattern=r"^10\.[0-9]{4,9}/[!-~]+$")] | None
    )


class CardParam(StrictModel):
    """One of the operator's parameters: the value this network has learnt, or the range."""

    name: Slug
    effect: Text
    value: float = Field(
        description="what it has learnt; for a slider, what holds where nothing is said"
    )
    slider: bool = Field(
        default=False,
        description="whether it has learnt all from low to high: the graph's input `params` takes"
        " the sliders' values, in the order and the units of the card",
    )
    low: float
    high: float
    default: float
    scale: Literal["linear", "log"] = "linear"
    unit: Annotated[str, StringConstraints(max_length=20, pattern=_PRINTABLE)] = ""
    integer: bool = False

    def as_param(self) -> Param:
        """Return it as a person may turn it, its learnt value being what holds unsaid."""
        return Param(**self.model_dump(exclude={"value", "default", "slider"}), default=self.value)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        for name in ("value", "default"):
            if not self.low <= getattr(self, name) <= self.high:
                raise ValueError(f"{name} lies outside {self.low:g} to {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError("a log scale needs a range above 0")
        return self


class FixedParam(StrictModel):
    """What else the operator was given when this network learnt it: a colour or a file."""

    name: Slug
    effect: Text
    value: Text | None = Field(
        description="a colour as #rrggbb, or the file's name; null where none was given"
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="of the file"
    )


class Measurement(StrictModel):
    """How close the network comes to its operator on photos it was not trained on.

    ``untouched`` compares the photo before with the operator's result: what doing nothing scores.
    """

    photos: Text = Field(description="which photos, in words")
    count: int = Field(ge=1)
    megapixels_mean: float = Field(gt=0)
    mse_mean: float = Field(ge=0, le=1)
    psnr_mean: Decibel
    psnr_worst: Decibel
    ssim_mean: Similarity
    ssim_worst: Similarity
    identity_psnr_mean: Decibel


class Card(StrictModel):
    """What a model file says about itself.

    Examples
    --------
    >>> card = Card(
    ...     name="soft", operator="l0-smoothing", title="L0 smoothing", paper=None, params=(),
    ...     network="can24", halo=128, size_multiple=1, macs_per_pixel=37008,
    ...     peak_activations_per_pixel=48, parameter_count=37219, metrics=(), training={},
    ...     licence="MIT", burnish_version="0.1.0",
    ... )
    >>> parse_card(card_json(card), where="soft.onnx") == card
    True
    """

    schema_version: Literal[1] = 1
    name: Slug
    operator: Text
    title: Text
    paper: Paper | None
    params: tuple[CardParam, ...] = Field(max_length=16)
    fixed_params: tuple[FixedParam, ...] = Field(default=(), max_length=16)
    network: Slug
    normalisation: Literal["frozen"] = "frozen"
    halo: int = Field(
        ge=0,
        le=4096,
        description="px: an input pixel farther away than this, by row or column, cannot change a"
        " result pixel, and one at this distance can",
    )
    size_multiple: int = Field(
        ge=1, le=64, description="px: height and width are multiples of this"
    )
    thumbnail_size: int = Field(
        default=0,
        ge=0,
        le=256,
        description="px: side of the graph's input `thumbnail`, the whole picture averaged down"
        " to a square; 0 where it takes none",
    )
    coords: bool = Field(
        default=False,
        description="whether the graph's input `places` takes where the centre of each block of"
        " `multiple` px lies in the whole picture: across and down, from -1 to 1",
    )
    macs_per_pixel: int = Field(ge=0, le=10**8, description="multiply-adds a pixel")
    peak_activations_per_pixel: int = Field(
        ge=1, le=4096, description="most float32 values a pixel has at once, the input apart"
    )
    parameter_count: int = Field(
        ge=0, le=10**9, description="how many numbers the network has learnt"
    )
    metrics: tuple[Measurement, ...] = Field(max_length=32)
    training: dict[str, JsonValue] = Field(
        max_length=64, description="settings, photos, steps, seconds: as the trainer noted them"
    )
    licence: Text
    burnish_version: Text

    @model_validator(mode="after")
    def _coords_need_thumbnail(self) -> Self:
        if self.coords and not self.thumbnail_size:
            raise ValueError("places are looked up in a thumbnail, and it takes none")
        return self

    @property
    def sliders(self) -> tuple[CardParam, ...]:
        """The parameters whose values the graph takes, in order."""
        return tuple(param for param in self.params if param.slider)

    @property
    def context_shapes(self) -> dict[str, tuple[int, int, int]]:
        """What holds for a whole picture: the graph's input -> channels, height, width."""
        shapes = {}
        if self.sliders:
            shapes[PARAMS] = (len(self.sliders), 1, 1)
        if self.thumbnail_size:
            shapes[THUMBNAIL] = (3, self.thumbnail_size, self.thumbnail_size)
        return shapes


def card_json(card: Card) -> str:
    """Return the card as the JSON text that goes into a model file."""
    return card.model_dump_json()


def parse_card(text: str, filename: str) -> Card:
    """Read a card's JSON text; a number in quotes is not a number.

    Raises
    ------
    ModelError : too long, no JSON, or a field is missing, unknown or not as it must be
    """
    size = len(text.encode())
    if size > MAX_CARD_BYTES:
        raise _card_error(
            filename, f"a model card of at most {MAX_CARD_BYTES} bytes", f"{size} bytes"
        )
    try:
        return Card.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _card_error(filename, "a valid model card", first_error(error)) from error


def build_card(**fields: Any) -> Card:
    """Make a card from its fields, for whoever makes a model.

    Raises
    ------
    ModelError : a field is missing, unknown or not as it must be; the first such field is named

    Examples
    --------
    >>> build_card(name="My Model")
    Traceback (most recent call last):
    burnish.errors.ModelError: card of My Model: expected fields as docs/card.schema.json has \
them, got name = My Model (String should match pattern '^[a-z0-9][a-z0-9._-]{0,63}$'); correct it
    """
    try:
        return Card(**fields)
    except ValidationError as error:
        raise ModelError(
            f"card of {_abbreviated(fields.get('name', 'a model'))}",
            expected="fields as docs/card.schema.json has them",
            got=first_error(error),
            remedy="correct it",
        ) from error


def card_schema() -> str:
    """Return the card's JSON schema as text, the content of docs/card.schema.json."""
    return json.dumps(Card.model_json_schema(), indent=2) + "\n"


def first_error(error: ValidationError) -> str:
    """Say which field of a card is wrong first, and how."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"{field} = {_abbreviated(first['input'])} ({_abbreviated(first['msg'])})"


def _abbreviated(value: object) -> str:
    # A stranger's value: repr() disarms control characters, and 80 of it are enough to recognise.
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _card_error(filename: str, expected: str, got: str) -> ModelError:
    return ModelError(filename, expected=expected, got=got, remedy="get or export the model anew")
