"""The query of a request: the options of `burnish apply` that name no file, and the sliders."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError

from burnish.errors import UsageError, as_usage_error, did_you_mean
from burnish.modelfile.card import Card
from burnish.params import Param, Value
from burnish.photo.formats import check_depth, check_known_depth, writable_format
from burnish.regions.options import RegionOptions

# The part of a job that an option belongs to.
Group = Literal["params", "edit", "region", "output"]


@dataclass(frozen=True)
class Job:
    """An edit of one photo.

    Parameters
    ----------
    operator : name of a bundled network
    params : values of its sliders, by name
    edit : further options, such as the strength
    region : the region that is edited; None for the whole photo
    output : arguments for `Photo.encode`
    """

    operator: str
    params: dict[str, Value] = field(default_factory=dict)
    edit: dict[str, Any] = field(default_factory=dict)
    region: RegionOptions | None = None
    output: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QueryOption:
    """An option in the query of a request.

    Parameters
    ----------
    name : in the query
    key : name of the value in the group
    kind : type of the value; an option whose type is a list may be repeated
    description : help text
    group : the part of the job that it belongs to
    low, high : range of a number, both ends included; None for no bound
    default : value if it is not given; None if that depends on other things
    convert : function from the value to that in the job

    Examples
    --------
    >>> option = QueryOption("lambda", "lambda", float, "flattens", "params", 0.002, 0.2)
    >>> option.parse(["0.05"])
    0.05
    >>> option.parse(["5"])
    Traceback (most recent call last):
    burnish.errors.UsageError: lambda: expected 0.002 to 0.2, got '5'; correct the value
    """

    name: str
    key: str
    kind: Any
    description: str
    group: Group
    low: float | None = None
    high: float | None = None
    default: float | None = None
    convert: Callable[[Any], Any] = lambda value: value

    @classmethod
    def from_param(cls, param: Param, name: str) -> "QueryOption":
        """Return the option for a parameter of an operator."""
        kind = int if param.integer else float
        unit = f", {param.unit}" if param.unit else ""
        return cls(
            name,
            param.name,
            kind,
            f"{param.description[:1].upper()}{param.description[1:]}{unit}.",
            "params",
            param.low,
            param.high,
            param.default,
        )

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        if self.kind not in (int, float):
            return TypeAdapter(self.kind)
        bounds = Field(ge=self.low, le=self.high, allow_inf_nan=False)
        bounded: Any = Annotated[self.kind, bounds]
        return TypeAdapter(bounded)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the value."""
        default = {} if self.default is None else {"default": self.default}
        return self._adapter.json_schema() | default

    def parse(self, texts: Sequence[str]) -> Any:
        """Return the value for the texts that a query gives for this option.

        Raises
        ------
        UsageError : the option is repeated, or the text is not of its type or outside its range
        """
        is_list = get_origin(self.kind) is list
        if len(texts) > 1 and not is_list:
            raise UsageError(self.name, "it is given more than once", "give it once")
        try:
            value = self._adapter.validate_python(list(texts) if is_list else texts[0])
        except ValidationError as error:
            raise self._error(error.errors()[0]["input"]) from error
        return self.convert(value)

    def _error(self, text: str) -> UsageError:
        """Return the error for a text that is not a value of this option."""
        kind = (get_args(self.kind) or [self.kind])[0]
        expected = {float: "a number", int: "a whole number"}.get(kind, "true or false")
        if self.low is not None and self.high is not None:
            expected = f"{'a whole number, ' if kind is int else ''}{self.low:g} to {self.high:g}"
        return UsageError(self.name, expected=expected, got=repr(text), remedy="correct the value")


def slider_options(card: Card, shared: Iterable[QueryOption]) -> list[QueryOption]:
    """Return the options for a network's sliders.

    A slider that has the name of another option is preceded by that of the network, as on the
    command line.
    """
    taken = {option.name for option in shared}
    options = []
    for slider in card.sliders:
        name = f"{card.name}.{slider.name}" if slider.name in taken else slider.name
        options.append(QueryOption.from_param(slider.as_param(), name))
    return options


def read_query(card: Card, shared: Sequence[QueryOption], query: Iterable[tuple[str, str]]) -> Job:
    """Return the job that a query describes.

    Parameters
    ----------
    shared : options besides the sliders of the network
    query : names and texts

    Raises
    ------
    UsageError : an option is unknown or repeated, or its value is not accepted
    """
    options = {option.name: option for option in (*slider_options(card, shared), *shared)}
    texts: dict[str, list[str]] = {}
    for name, text in query:
        if name not in options:
            remedy = did_you_mean(name, options, "see /v1/operators and /openapi.json")
            raise UsageError(card.name, f"there is no parameter {name}", remedy)
        texts.setdefault(name, []).append(text)
    groups: dict[Group, dict[str, Any]] = {"params": {}, "edit": {}, "region": {}, "output": {}}
    for name, values in texts.items():
        option = options[name]
        groups[option.group][option.key] = option.parse(values)
    # One option names the quality of the file and that of the network.
    qualities = groups["output"].pop("qualities", (None, None))
    groups["output"]["quality"], groups["edit"]["quality"] = qualities
    region = RegionOptions(**groups["region"])
    _check_output(**groups["output"])
    return Job(
        card.name,
        groups["params"],
        groups["edit"],
        None if region == RegionOptions() else region,
        groups["output"],
    )


def _check_output(
    format: str | None = None, quality: int | None = None, depth: int | None = None
) -> None:
    """Check a format and a depth, before a photo is received."""
    with as_usage_error():
        check_known_depth(depth)
        if format is not None:
            check_depth(writable_format(format, "format"), depth, "format")
