"""The model card: a model's description, as JSON text in the metadata of its file."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from burnish.modelfile.base_card import PRINTABLE, BaseCard, Slug, StrictModel, Text
from burnish.modelfile.quality import QUALITIES, STANDARD, Quality
from burnish.params import Param

# Names of the graph's inputs and of its outputs.
INPUT = "image"
GUIDE = "guide"
PARAMS = "params"
THUMBNAIL = "thumbnail"
COORDS = "coords"
OUTPUT = "result"
START = "start"

MAX_PARAMS = 16

Decibel = Annotated[float, Field(ge=0, le=200)]
Similarity = Annotated[float, Field(ge=-1, le=1)]
Difference = Annotated[float, Field(ge=0, le=1000)]
# Lowest and highest value, with zero between them.
Range = tuple[Annotated[float, Field(ge=-1e6, le=0)], Annotated[float, Field(ge=0, le=1e6)]]
# Tensor of the graph -> its range, or one for each of its channels.
Ranges = Annotated[
    dict[Text, Annotated[tuple[Range, ...], Field(min_length=1, max_length=1024)]],
    Field(max_length=256),
]
# The source of the first level's result of a guided network.
GuideSource = Literal["operator", "network"]
# The arithmetic of a network: float32, bfloat16 or 8-bit integers.
Precision = Literal["fp32", "bf16", "int8"]


class Paper(StrictModel):
    """The publication that describes the operator."""

    title: Text
    doi: (
        Annotated[str, StringConstraints(max_length=200, pattern=r"^10\.[0-9]{4,9}/[!-~]+$")] | None
    )


class CardParam(StrictModel):
    """A parameter of the operator, fixed at one value or adjustable over a range."""

    name: Slug
    effect: Text
    value: float = Field(
        description="the value that the network was trained for; a slider's default value"
    )
    slider: bool = Field(
        default=False,
        description="whether the network was trained for all values from low to high: the graph's"
        " input `params` has the sliders' values, in the order and the units of the card",
    )
    low: float
    high: float
    default: float
    scale: Literal["linear", "log"] = "linear"
    unit: Annotated[str, StringConstraints(max_length=20, pattern=PRINTABLE)] = ""
    integer: bool = False
    off: float | None = Field(
        default=None,
        description="the value at which the parameter does nothing: an image stays as it is if all"
        " parameters that have such a value are at it",
    )
    size_power: float | None = Field(
        default=None,
        ge=-4,
        le=4,
        description="at a level of the cascade that is k times as large as the image, the value is"
        " multiplied by k to this power, and stays within the range; null means 1 for a parameter"
        " in px and 0 for others",
    )

    @classmethod
    def from_param(cls, param: Param, value: float, slider: bool) -> Self:
        """Return an operator's parameter at a value, or as a slider over its range."""
        fields = {name: getattr(param, name) for name in cls.model_fields if hasattr(param, name)}
        return cls(**fields, value=value, slider=slider)

    def as_param(self) -> Param:
        """Return the parameter with the card's value as its default."""
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
    """A parameter of the operator that is no number: a colour or a file."""

    name: Slug
    effect: Text
    value: Text | None = Field(
        description="a colour as #rrggbb, or the file's name; null if it was not set"
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the file"
    )


class Measurement(StrictModel):
    """Similarity of the network's output to its operator's, on photos it was not trained on."""

    photos: Text = Field(description="a description of the photos")
    count: int = Field(ge=1)
    megapixels_mean: float = Field(gt=0)
    mse_mean: float = Field(ge=0, le=1)
    psnr_mean: Decibel
    psnr_worst: Decibel
    ssim_mean: Similarity
    ssim_worst: Similarity
    identity_psnr_mean: Decibel = Field(description="the score of the unchanged photo")
    cast_mean: Difference | None = Field(
        default=None,
        description="mean over the photos of the 99th percentile of the colour difference CIEDE2000"
        " from the operator's output, both blurred with a Gaussian of sigma 8 px",
    )
    cast_worst: Difference | None = None
    grain_mean: float | None = Field(
        default=None,
        ge=0,
        le=255,
        description="mean RMS, in 8-bit codes, of the texture where the operator's output is flat;"
        " null if it is flat nowhere",
    )
    guide: GuideSource | None = Field(
        default=None,
        description="the first level's result of a guided network: the operator's output, or that"
        " of the start network",
    )
    precision: Precision = Field(default="fp32", description="arithmetic of the network")
    params: dict[Slug, float] = Field(
        default={}, max_length=16, description="values of sliders that are not at their defaults"
    )


class NetworkFields(StrictModel):
    """The fields of a further network in the graph. They mean the same as those of `Card`."""

    network: Slug
    halo: int = Field(ge=0, le=4096)
    size_multiple: int = Field(ge=1, le=64)
    thumbnail_size: int = Field(default=0, ge=0, le=256)
    coords: bool = False
    macs_per_pixel: int = Field(ge=0, le=10**8)
    peak_activations_per_pixel: int = Field(ge=1, le=4096)
    parameter_count: int = Field(ge=0, le=10**9)
    ranges: Ranges = Field(default={})

    @model_validator(mode="after")
    def _coords_need_thumbnail(self) -> Self:
        _check_coords(self.coords, self.thumbnail_size)
        return self


class StartNetwork(NetworkFields):
    """The network that computes the first, small result of a cascade from the small photo.

    It is a part of the same graph, with the output `start`. It has the graph's inputs but `guide`.
    """

    full_size: bool = Field(
        default=False,
        description="whether this network, if there is no guide, computes the result at the photo's"
        " own size, without a cascade",
    )


class Guide(StrictModel):
    """The cascade of a guided network: its levels, and the network that it may begin with."""

    size: int = Field(
        ge=16,
        le=4096,
        description="px: the shorter side of the photo at the first level of the cascade",
    )
    max_ratio: float = Field(
        ge=1.25, le=16, description="the largest ratio of the sizes of two levels"
    )
    operator_size: int | None = Field(
        default=None, ge=16, le=8192, description="px: the largest `size` with the operator"
    )
    halved: bool = Field(
        default=False,
        description="whether levels differ by powers of two; the first one is then the smallest"
        " with a shorter side of at least `size`",
    )
    start: StartNetwork | None = Field(
        default=None,
        description="the network that can take the operator's place at the first level",
    )

    @model_validator(mode="after")
    def _halved_by_two_at_least(self) -> Self:
        if self.halved and self.max_ratio < 2:
            raise ValueError("with halved, max_ratio is at least 2")
        return self


class Capacity(NetworkFields):
    """A smaller or a larger network for the same operator.

    It is a part of the same graph, with its quality as the name of the output, and has the inputs
    of the output `result`. The start network begins its cascade on a smaller copy of the photo.
    """

    quality: Literal["preview", "best"]
    metrics: tuple[Measurement, ...] = Field(default=(), max_length=64)


class Card(BaseCard):
    """The card of a model: a network that approximates an operator.

    Examples
    --------
    >>> card = Card(
    ...     name="soft", operator="l0-smoothing", title="L0 smoothing", paper=None, params=(),
    ...     network="can24", halo=128, size_multiple=1, macs_per_pixel=37008,
    ...     peak_activations_per_pixel=48, parameter_count=37219, metrics=(), training={},
    ...     licence="MIT", burnish_version="0.1.0",
    ... )
    >>> Card.parse(card.model_dump_json(), "soft.onnx") == card
    True
    """

    metadata_key: ClassVar[str] = "burnish.card"

    schema_version: Literal[1] = 1
    name: Slug
    operator: Text
    title: Text
    paper: Paper | None
    params: tuple[CardParam, ...] = Field(max_length=MAX_PARAMS)
    fixed_params: tuple[FixedParam, ...] = Field(default=(), max_length=16)
    network: Slug
    normalisation: Literal["frozen"] = "frozen"
    halo: int = Field(
        ge=0,
        le=4096,
        description="px: radius of the receptive field. An input pixel at this distance, by row or"
        " column, can change an output pixel; one farther away cannot",
    )
    size_multiple: int = Field(
        ge=1, le=64, description="px: height and width are multiples of this"
    )
    thumbnail_size: int = Field(
        default=0,
        ge=0,
        le=256,
        description="px: side of the graph's input `thumbnail`, the whole image averaged down"
        " to a square; 0 if the graph has no such input",
    )
    coords: bool = Field(
        default=False,
        description="whether the graph has the input `coords`: the centre of each block of"
        " `size_multiple` px, as x and y from -1 to 1 over the whole image",
    )
    guide: Guide | None = Field(
        default=None,
        description="for a guided network, which has the input `guide`: the operator's output for"
        " a smaller copy of the photo, enlarged to the image's size",
    )
    macs_per_pixel: int = Field(ge=0, le=10**8, description="multiply-adds per pixel")
    peak_activations_per_pixel: int = Field(
        ge=1,
        le=4096,
        description="largest number of float32 values per pixel in memory at once, without the"
        " image and its guide",
    )
    parameter_count: int = Field(
        ge=0, le=10**9, description="number of trained parameters of the network"
    )
    ranges: Ranges = Field(
        default={},
        description="for 8-bit integer arithmetic: the lowest and the highest value of the output"
        " of a convolution or a sum, by the tensor's name in the graph; one pair for the whole"
        " tensor, or one for each channel; without ranges, the network runs in float32 only",
    )
    capacities: tuple[Capacity, ...] = Field(
        default=(),
        max_length=2,
        description="networks of other qualities; the card's own fields describe the standard one",
    )
    metrics: tuple[Measurement, ...] = Field(max_length=64)
    training: dict[str, JsonValue] = Field(
        max_length=64, description="settings, photos, steps and seconds, as the trainer wrote them"
    )
    licence: Text
    burnish_version: Text

    @model_validator(mode="after")
    def _coords_need_thumbnail(self) -> Self:
        if self.guide and self.thumbnail_size:
            raise ValueError("only the start network of a guided network has a thumbnail")
        _check_coords(self.coords, self.thumbnail_size)
        return self

    @model_validator(mode="after")
    def _capacities_take_the_same_inputs(self) -> Self:
        qualities = [capacity.quality for capacity in self.capacities]
        if qualities != [quality for quality in QUALITIES if quality in qualities]:
            raise ValueError("capacities are given once each, the smallest first")
        for capacity in self.capacities:
            for field in ("thumbnail_size", "coords"):
                if getattr(capacity, field) != getattr(self, field):
                    raise ValueError(f"the {field} of {capacity.quality} is another one")
        return self

    @property
    def qualities(self) -> list[Quality]:
        """The qualities that the file has, the lowest first."""
        names = {STANDARD, *(capacity.quality for capacity in self.capacities)}
        return [quality for quality in QUALITIES if quality in names]

    def at_quality(self, quality: Quality) -> "Card":
        """Return the card of one of `qualities` as a model of its own."""
        if quality == STANDARD:
            return self.model_copy(update={"capacities": ()})
        (capacity,) = (one for one in self.capacities if one.quality == quality)
        changes = {name: getattr(capacity, name) for name in NetworkFields.model_fields}
        changes |= {"capacities": (), "metrics": capacity.metrics}
        if self.guide and self.guide.start:
            start = self.guide.start.model_copy(update={"full_size": False})
            changes["guide"] = self.guide.model_copy(update={"start": start})
        return self.model_copy(update=changes)

    @property
    def start_card(self) -> "Card | None":
        """The card of the start network as a model of its own; None if there is no such network."""
        if self.guide is None or self.guide.start is None:
            return None
        changes = {"name": f"{self.name}-start", "guide": None, "capacities": (), "metrics": ()}
        fields = self.guide.start.model_dump(exclude={"full_size"})
        return self.model_copy(update=changes | fields)

    @property
    def outputs(self) -> "dict[str, Card]":
        """The outputs of the graph, and for each the card of its network as a model of its own."""
        outputs = {OUTPUT: self.at_quality(STANDARD)}
        if self.start_card:
            outputs[START] = self.start_card
        for capacity in self.capacities:
            outputs[capacity.quality] = self.at_quality(capacity.quality)
        return outputs

    @property
    def sliders(self) -> tuple[CardParam, ...]:
        """The parameters whose values the graph takes, in order."""
        return tuple(param for param in self.params if param.slider)

    @property
    def context_shapes(self) -> dict[str, tuple[int, int, int]]:
        """Channels, height and width of each input that describes the whole image."""
        shapes = {}
        if self.sliders:
            shapes[PARAMS] = (len(self.sliders), 1, 1)
        if self.thumbnail_size:
            shapes[THUMBNAIL] = (3, self.thumbnail_size, self.thumbnail_size)
        return shapes


def quality_output(quality: str) -> str:
    """Return the name of the output of the network of a quality.

    Examples
    --------
    >>> quality_output("standard"), quality_output("preview")
    ('result', 'preview')
    """
    return OUTPUT if quality == STANDARD else quality


def _check_coords(coords: bool, thumbnail_size: int) -> None:
    if coords and not thumbnail_size:
        raise ValueError("coords need a thumbnail, and there is none")
