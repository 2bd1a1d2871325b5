"""The options of a run over photos and films, alike for every command that makes one."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.options import JsonOutput, Overwrite, Recursive, copy_signature
from burnish.editing.naming import DEFAULT_NAME
from burnish.video.formats import EncodingOptions

if TYPE_CHECKING:
    from burnish.editing.plan import OutputOptions


@dataclass(frozen=True)
class BatchOptions:
    """What was typed: where results go and how they are written, and how the run tells of itself.

    A field is an option; what it is for stands in its help.
    """

    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="A file for one photo or film, a folder for several (or FOLDER/), - for standard "
            "output; by default PHOTO.OPERATOR.EXT beside each.",
        ),
    ] = None
    name: Annotated[
        str, typer.Option("--name", help="Template for the names of results in a folder.")
    ] = DEFAULT_NAME
    format: Annotated[
        str | None,
        typer.Option(
            help="Of the results, such as png for photos or mkv for films; by default each "
            "one's own."
        ),
    ] = None
    recursive: Recursive = False
    overwrite: Overwrite = False
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Pass over photos and films whose result exists."),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do none.")
    ] = False
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="Of JPEG, WebP and AVIF; by default 95.")
    ] = None
    depth: Annotated[
        int | None,
        typer.Option(help="Bits a channel of photos: 8, 16 or 32; by default the photo's."),
    ] = None
    codec: Annotated[
        str | None,
        typer.Option(
            "--codec",
            help="Of films: h264, hevc, av1, vp9, ffv1 or prores; by default each film's.",
        ),
    ] = None
    crf: Annotated[
        int | None,
        typer.Option(
            help="Quality of films, lower being better; by default 18 (h264), 20 (hevc), "
            "24 (av1, vp9).",
        ),
    ] = None
    json_output: JsonOutput = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False

    def output_options(self, reserved: Sequence[Path]) -> "OutputOptions":
        """Return what the plan of the run is to follow.

        Parameters
        ----------
        reserved : other files of the command, read or written: no result replaces one
        """
        from burnish.editing.plan import OutputOptions

        return OutputOptions(
            output=self.output,
            name=self.name,
            format=self.format,
            recursive=self.recursive,
            overwrite=self.overwrite,
            skip_existing=self.skip_existing,
            quality=self.quality,
            depth=self.depth,
            encoding_options=EncodingOptions(self.codec, self.crf),
            reserved=reserved,
        )


def with_batch_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options of a run; it takes them as its argument `batch`."""
    names = [field.name for field in fields(BatchOptions)]

    def wrapped(**given: Any) -> None:
        said = {name: given.pop(name) for name in names}
        command(batch=BatchOptions(**said), **given)

    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.type,
        )
        for field in fields(BatchOptions)
    ]
    copy_signature(wrapped, command, "batch", added)
    return wrapped
