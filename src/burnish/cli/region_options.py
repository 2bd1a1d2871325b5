"""Options that say where: which objects, which mask, which edges. The same for every command."""

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from burnish.cli.batch import BatchOptions
from burnish.cli.options import copy_signature, param_help, param_option
from burnish.errors import UsageError, as_usage_error
from burnish.files import check_absent
from burnish.regions.edges import EDGE_PARAMS
from burnish.regions.options import RegionOptions

if TYPE_CHECKING:
    from burnish.editing.masked import MaskWriter

_PANEL = "Regions"


def _option(kind: Any, *names: str, help: str, metavar: str | None = None) -> Any:
    return Annotated[
        kind,
        typer.Option(
            *names, help=help, metavar=metavar, show_default=False, rich_help_panel=_PANEL
        ),
    ]


# Option -> how Typer takes it. Several classes, numbers or clicks join; all else narrows.
_TAKEN: dict[str, tuple[Any, Any]] = {
    "only": (
        _option(
            list[str] | None,
            "--only",
            metavar="CLASS[,CLASS]",
            help="Only on objects of these classes, such as person.",
        ),
        None,
    ),
    "excepted": (
        _option(
            list[str] | None,
            "--except",
            metavar="CLASS[,CLASS]",
            help="Everywhere but on objects of these classes.",
        ),
        None,
    ),
    "detector": (
        _option(
            str | None,
            "--detector",
            metavar="NAME or FILE",
            help="What finds the objects; by default the one that comes with burnish.",
        ),
        None,
    ),
    "objects": (
        _option(
            Path | None,
            "--objects",
            metavar="FILE",
            help="Take objects from a file of COCO's JSON, by the photos' names.",
        ),
        None,
    ),
    "min_score": (
        _option(
            float | None,
            "--min-score",
            help="Pass over objects that the detector is less certain of; 0 to 1, else 0.5.",
        ),
        None,
    ),
    "min_area": (
        _option(float | None, "--min-area", help="Pass over objects of less % of the picture."),
        None,
    ),
    "max_area": (
        _option(float | None, "--max-area", help="Pass over objects of more % of the picture."),
        None,
    ),
    "numbers": (
        _option(
            list[int] | None,
            "--number",
            help="Only the object of this number, see `burnish regions list`; may be repeated.",
        ),
        None,
    ),
    "clicks": (
        _option(
            list[str] | None,
            "--click",
            metavar="X,Y",
            help="Only the object at this pixel, the smallest if several; may be repeated.",
        ),
        None,
    ),
    "box": (
        _option(
            str | None,
            "--box",
            metavar="L,T,R,B",
            help="Only objects with half of them in this rectangle, px; alone, the rectangle.",
        ),
        None,
    ),
    "mask": (
        _option(
            Path | None,
            "--mask",
            metavar="FILE or FOLDER",
            help="A grey picture or transparency of the photo's size, white inside; a folder has "
            "one for each photo, called like it.",
        ),
        None,
    ),
    "invert": (_option(bool, "--invert", help="Everywhere but there."), False),
    "refine": (
        _option(
            bool | None,
            "--refine/--no-refine",
            help="Bring masks to the photo's own edges; by default those of detectors.",
        ),
        None,
    ),
}

SaveMask = _option(
    str | None,
    "--save-mask",
    metavar="FILE or FOLDER",
    help="Also write the region as a grey picture; in a folder as PHOTO.EXT.mask.png.",
)


def with_region_options(
    command: Callable[..., None], defaults: Mapping[str, Any] | None = None
) -> Callable[..., None]:
    """Give `command` the options that say where; it takes them as its argument `where`.

    Parameters
    ----------
    defaults : those of this command that are its own, by name
    """
    own = defaults or {}

    def wrapped(**given: Any) -> None:
        said = {name: given.pop(name) for name in (*_TAKEN, *(p.name for p in EDGE_PARAMS))}
        command(where=parse_region_options(said), **given)

    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=_with_default(annotation, own.get(name)),
        )
        for name, (annotation, default) in _TAKEN.items()
    ]
    for param in EDGE_PARAMS:
        turned = replace(param, default=own.get(param.name, param.default))
        added.append(param_option(turned, _capital(param_help(turned)), _PANEL))
    copy_signature(wrapped, command, "where", added)
    return wrapped


def _with_default(annotation: Any, default: Any) -> Any:
    """Say in an option's help that this command has a default of its own."""
    if default is None:
        return annotation
    kind, option = get_args(annotation)
    said = ",".join(default) if isinstance(default, tuple) else f"{default}"
    if isinstance(default, bool):
        said = "on" if default else "off"
    told = copy(option)
    told.help = f"{option.help} Here the default is {said}."
    return Annotated[kind, told]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def parse_region_options(said: dict[str, Any]) -> RegionOptions:
    """Read what was typed.

    Raises
    ------
    UsageError : a click or a box that is not of whole or fractional pixels
    """
    taken = dict(said)
    for name in ("only", "excepted"):
        words = ",".join(taken[name] or ()).split(",")
        taken[name] = tuple(word.strip() for word in words if word.strip())
        if taken[name] == () and said[name]:
            raise UsageError(
                "--only" if name == "only" else "--except",
                expected="names of classes",
                got="none",
                remedy="such as person",
            )
    taken["numbers"] = tuple(taken["numbers"] or ())
    taken["clicks"] = tuple(
        _parse_coordinates("--click", click, "X,Y") for click in taken["clicks"] or ()
    )
    if taken["box"] is not None:
        taken["box"] = _parse_coordinates("--box", taken["box"], "L,T,R,B")
    return RegionOptions(**taken)


def _parse_coordinates(option: str, text: str, form: str) -> tuple[float, ...]:
    parts = text.split(",")
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        numbers = ()
    if len(numbers) != form.count(",") + 1 or not all(abs(number) < 1e9 for number in numbers):
        raise UsageError(
            option,
            expected=f"{form} in pixels from the left upper corner",
            got=text,
            remedy="such as " + ",".join(["120", "80", "400", "300"][: form.count(",") + 1]),
        )
    return numbers


@dataclass(frozen=True)
class MaskOutput:
    """Where masks are to be written, as it was said."""

    save_mask: str | None
    photos: list[Path]
    batch: BatchOptions

    def mask_writer(self) -> "MaskWriter | None":
        """Return what keeps them.

        Raises
        ------
        UsageError : a file for several photos, or of no format that burnish writes
        OutputError : the file exists
        """
        if self.save_mask is None:
            return None
        from burnish.editing.masked import MaskWriter
        from burnish.photo.formats import check_writable

        path = Path(self.save_mask)
        folder = path.is_dir() or not path.suffix or self.save_mask.endswith("/")
        if not folder:
            if len(self.photos) > 1 or any(photo.is_dir() for photo in self.photos):
                raise UsageError(
                    f"--save-mask {path}",
                    expected="a folder for the masks of several photos",
                    got="the name of a file",
                    remedy="end it in / to mean a folder",
                )
            with as_usage_error():
                check_writable(path)
            if not self.batch.dry_run:
                check_absent(path, overwrite=self.batch.overwrite)
        return MaskWriter(path, folder=folder, overwrite=self.batch.overwrite)
