"""Options for output files: their names, places and formats."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from burnish.errors import UsageError
from burnish.video.formats import SAME_AS_SOURCE, EncodingOptions

DEFAULT_NAME = "{stem}.{operator}{ext}"
FIELDS = ("stem", "operator", "ext")
_FIELD_LIST = ", ".join(f"{{{field}}}" for field in FIELDS)


@dataclass(frozen=True)
class WriteOptions:
    """The options for writing output files.

    Parameters
    ----------
    overwrite : replace existing files
    quality, depth : of photos; see `Photo.save`
    encoding : codec and quality of videos
    """

    overwrite: bool = False
    quality: int | None = None
    depth: int | None = None
    encoding: EncodingOptions = SAME_AS_SOURCE

    @property
    def for_photos(self) -> dict[str, Any]:
        """The arguments for `Photo.save`."""
        return {"overwrite": self.overwrite, "quality": self.quality, "depth": self.depth}


DEFAULT_WRITE = WriteOptions()


@dataclass(frozen=True)
class OutputOptions:
    """The options for naming, placing and writing output files.

    Parameters
    ----------
    output : a file for one input, or a folder. It means a folder if there are several inputs, if
        it exists as one, if it ends like one ("smooth/") or has no suffix. None puts each output
        next to its input
    name : a template for file names; see `check_template`
    format : the output format, unless `output` is a file [default: that of the input]
    recursive : include subfolders, and keep their structure under `output`
    skip_existing : skip inputs whose output exists
    write : how files are written
    reserved : other files that the run reads or writes, and that no output may replace
    """

    output: str | Path | None = None
    name: str = DEFAULT_NAME
    format: str | None = None
    recursive: bool = False
    skip_existing: bool = False
    write: WriteOptions = DEFAULT_WRITE
    reserved: Sequence[Path] = ()


DEFAULT_OUTPUT = OutputOptions()


def check_template(template: str) -> None:
    """Check that a template can name files.

    Raises
    ------
    UsageError : it has an unknown field, contains a path separator, or is empty

    Examples
    --------
    >>> check_template("{stem}-{operator}{ext}")
    >>> check_template("{name}.png")
    Traceback (most recent call last):
    burnish.errors.UsageError: --name {name}.png: {name} is not one of the fields {stem}, ...
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise _template_error(template, str(error)) from error
    for _, field, spec, conversion in parts:
        if field is not None and (field not in FIELDS or spec or conversion):
            raise _template_error(template, f"{{{field}}} is not one of the fields {_FIELD_LIST}")
    if "/" in template or "\\" in template or "\0" in template:
        raise _template_error(template, "a file name cannot contain a path separator")
    if not template.strip():
        raise _template_error(template, "the name is empty")


def format_name(template: str, source: Path, operator: str, extension: str | None = None) -> str:
    """Return the name of an output file.

    Parameters
    ----------
    template : a template that passes `check_template`
    extension : the output's extension, with the dot [default: that of `source`]

    Examples
    --------
    >>> format_name(DEFAULT_NAME, Path("trip/a.JPG"), "l0-smoothing")
    'a.l0-smoothing.JPG'
    >>> format_name("{stem}{ext}", Path("trip/a.JPG"), "l0-smoothing", ".png")
    'a.png'
    """
    suffix = source.suffix if extension is None else extension
    return template.format(stem=source.stem, operator=operator, ext=suffix)


def _template_error(template: str, problem: str) -> UsageError:
    return UsageError(f"--name {template}", problem, f"use a name such as '{DEFAULT_NAME}'")
