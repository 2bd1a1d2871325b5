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


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """The options for writing an output file.

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


@dataclass(frozen=True)
class OutputOptions(WriteOptions):
    """The options for naming, placing and writing output files.

    Parameters
    ----------
    output : a file for one input, or a folder. It is a folder if there are several inputs, if it
        exists as one, if it ends in / or has no suffix [default: next to each input]
    name : a template for file names; see `check_template`
    format : the output format, unless `output` is a file [default: that of the input]
    recursive : include subfolders, and keep their structure under `output`
    skip_existing : skip inputs whose output exists
    where : conditions that photos have to meet; see `burnish.editing.where`
    reserved : other files that the run reads or writes, and that no output may replace
    """

    output: str | Path | None = None
    name: str = DEFAULT_NAME
    format: str | None = None
    recursive: bool = False
    skip_existing: bool = False
    where: Sequence[str] = ()
    reserved: Sequence[Path] = ()


DEFAULT_OPTIONS = OutputOptions()


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
    problem = None
    try:
        for _, field, spec, conversion in Formatter().parse(template):
            if field is not None and (field not in FIELDS or spec or conversion):
                fields = ", ".join(f"{{{name}}}" for name in FIELDS)
                problem = f"{{{field}}} is not one of the fields {fields}"
    except ValueError as error:
        problem = str(error)
    if any(character in template for character in "/\\\0"):
        problem = problem or "a file name cannot contain a path separator"
    if problem or not template.strip():
        remedy = f"use a name such as '{DEFAULT_NAME}'"
        raise UsageError(f"--name {template}", problem or "the name is empty", remedy)
