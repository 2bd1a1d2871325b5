"""The options of a region, from which the command line and the history of files are derived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from burnish.errors import UsageError

# Left, top, right, bottom, px.
Box = tuple[float, float, float, float]
# X and y, px.
Point = tuple[float, float]


def photos_only(feature: str) -> UsageError:
    """Return the error for a video that is edited with an option or an edit for photos."""
    return UsageError(feature, "it applies to photos only, not to videos", "leave it out")


def parse_classes(texts: Sequence[str]) -> tuple[str, ...]:
    """Split comma-separated lists of class names.

    Raises
    ------
    UsageError : the lists hold no name

    Examples
    --------
    >>> parse_classes(["cat, dog", "person"])
    ('cat', 'dog', 'person')
    """
    names = tuple(name.strip() for text in texts for name in text.split(",") if name.strip())
    if not names:
        raise UsageError("--only, --exclude", expected="class names", got="none", remedy="name one")
    return names


def parse_clicks(texts: Sequence[str]) -> tuple[Point, ...]:
    """Parse points given as ``X,Y`` in pixels."""
    return tuple(_parse_numbers("--click", text, "X,Y") for text in texts)


def parse_box(text: str) -> Box:
    """Parse a rectangle given as ``L,T,R,B`` in pixels."""
    box: Box = _parse_numbers("--box", text, "L,T,R,B")
    return box


def _parse_numbers(option: str, text: str, form: str) -> Any:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != len(form.split(",")) or not all(abs(number) < 1e9 for number in numbers):
        raise UsageError(
            option,
            expected=f"{form} in pixels",
            got=text,
            remedy="give numbers with commas between them, counted from the upper left corner",
        )
    return numbers


def _option(
    help: str,
    unset: Any = None,
    *,
    default: float | None = None,
    low: float = 0,
    high: float | None = None,
    **metadata: Any,
) -> Any:
    """Return a field with the metadata that `burnish.cli.options.expand` reads.

    `unset`, the field's own default, marks an option that is not given; `default` is its value in
    that case. `low` and `high` belong to the range of a number.
    """
    if high is not None:
        help = f"{help.rstrip('.')}; {low:g} to {high:g}. [default: {default:g}]"
        metadata["range"] = (low, high)
    metadata |= {"help": help, "panel": "Regions", "default_value": default}
    return field(default=unset, metadata=metadata)


# Options that select objects, and options that change the edges of masks.
_object_option = partial(_option, kind="object")
_edge_option = partial(_option, kind="edge")


@dataclass(frozen=True)
class RegionOptions:
    """The part of an image that an edit applies to.

    Each field has its description, range and default in its metadata. An option that is not given
    is None, False or (). Every condition on objects narrows the selection; several classes, numbers
    or clicks are alternatives. Numbers count all objects of the photo from 1, by descending score.
    The size of an object, for `margin`, is the side of a square with the area of its box. With
    `objects`, `min_score` is 0 unless it is given, because all listed objects are meant.

    Raises
    ------
    UsageError : a value is outside its range, or two options exclude each other

    Examples
    --------
    >>> RegionOptions(only=("person",)).value("min_score")
    0.3
    >>> RegionOptions(min_score=2)
    Traceback (most recent call last):
    burnish.errors.UsageError: min_score: expected 0 to 1, got 2; choose a value in the range
    """

    only: tuple[str, ...] = _object_option(
        "Apply the edit only to objects of these classes, such as person.",
        (),
        metavar="CLASS[,CLASS]",
        parse=parse_classes,
    )
    exclude: tuple[str, ...] = _object_option(
        "Apply the edit everywhere except to objects of these classes.",
        (),
        metavar="CLASS[,CLASS]",
        parse=parse_classes,
    )
    detector: str | None = _object_option(
        "Detector that finds the objects. [default: full if `burnish regions get full` was run, "
        "else the bundled light]",
        metavar="NAME or FILE",
    )
    objects: Path | None = _object_option(  # noqa: RUF009
        "Read the objects from a COCO JSON file, by the photos' names.", metavar="FILE"
    )
    # Chosen by the number of objects found and of false ones, see docs/regions.md.
    min_score: float | None = _object_option(
        "Ignore objects with a lower score. Those of --objects all count.", default=0.3, high=1
    )
    min_area: float | None = _object_option(
        "Ignore objects smaller than this, in % of the image.", default=0, high=100
    )
    max_area: float | None = _object_option(
        "Ignore objects larger than this, in % of the image.", default=100, high=100
    )
    numbers: tuple[int, ...] = _object_option(
        "Select the object with this number in `burnish regions list`; may be repeated.",
        (),
        flags=("--number",),
    )
    clicks: tuple[Point, ...] = _object_option(
        "Select the smallest object at this pixel; may be repeated.",
        (),
        flags=("--click",),
        metavar="X,Y",
        type=list[str],
        parse=parse_clicks,
    )
    box: Box | None = _option(
        "Select objects with at least half their area in this rectangle, px. Without other "
        "conditions on objects, the rectangle itself is the region.",
        metavar="L,T,R,B",
        type=str | None,
        parse=parse_box,
    )
    mask: Path | None = _option(
        "Mask of the photo's size: a grey image, white inside, or an image with transparency. A "
        "folder holds one mask per photo, with the photo's name.",
        metavar="FILE or FOLDER",
    )
    invert: bool = _option("Apply the edit everywhere except in the region.", False)
    refine: bool | None = _edge_option(
        "Fit masks to the edges in the photo. [default: only masks that are coarser than it]",
        flags=("--refine/--no-refine",),
    )
    threshold: float | None = _edge_option(
        "Smallest mask value of a pixel in the region.", default=0.5, low=0.01, high=1
    )
    margin: float | None = _edge_option(
        "Grow each object by this much, in % of its own size.", default=0, high=100
    )
    grow: float | None = _edge_option("Grow the region, px.", default=0, high=1000)
    shrink: float | None = _edge_option(
        "Shrink the region, px, after --grow.", default=0, high=1000
    )
    feather: float | None = _edge_option(
        "Width of the soft edge inside the region, px.", default=1, high=1000
    )

    def __post_init__(self) -> None:
        for option in fields(RegionOptions):
            value = getattr(self, option.name)
            if value is not None and "range" in option.metadata:
                low, high = option.metadata["range"]
                if not low <= value <= high:
                    expected, remedy = f"{low:g} to {high:g}", "choose a value in the range"
                    raise UsageError(option.name, expected=expected, got=f"{value}", remedy=remedy)
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise UsageError(
                "box",
                f"{','.join(f'{edge:g}' for edge in self.box)} is not a rectangle",
                "give left, top, right, bottom, such as 10,20,200,300",
            )
        for a, b in (("only", "exclude"), ("exclude", "invert"), ("detector", "objects")):
            if getattr(self, a) and getattr(self, b):
                raise UsageError(
                    f"--{a}, --{b}", "these options exclude each other", "drop one of them"
                )
        if self.objects is not None and self.min_score is None:
            object.__setattr__(self, "min_score", 0.0)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of `only` or of `exclude`."""
        return self.only or self.exclude

    @property
    def selects_objects(self) -> bool:
        """True if an option is set that refers to objects. A box alone does not."""
        return "object" in self._kinds()

    @property
    def changes_edges(self) -> bool:
        """True if an option is set that changes the edges of masks."""
        return "edge" in self._kinds()

    def _kinds(self) -> set[str | None]:
        """Return the kinds of the options that are set."""
        options = [f for f in fields(RegionOptions) if getattr(self, f.name) != f.default]
        return {f.metadata.get("kind") for f in options}

    def value(self, name: str) -> Any:
        """Return the value of an option, or its default if it is not given."""
        value = getattr(self, name)
        return self.__dataclass_fields__[name].metadata["default_value"] if value is None else value

    def with_defaults(self, defaults: Mapping[str, Any]) -> "RegionOptions":
        """Return the options with other defaults for those that are not given.

        A default of `only` gives way to every option that names objects.

        Examples
        --------
        >>> RegionOptions(feather=0).with_defaults({"feather": 2, "grow": 4}).grow
        4
        """
        unset = {f.name for f in fields(RegionOptions) if getattr(self, f.name) == f.default}
        if self.classes or self.numbers or self.clicks:
            unset -= {"only"}
        return replace(self, **{name: defaults[name] for name in unset & defaults.keys()})
