"""Options for regions, shared by `burnish apply` and the commands of `burnish regions`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.batch import BatchOptions
from burnish.errors import UsageError, as_usage_error
from burnish.files import check_absent
from burnish.regions.options import RegionOptions

if TYPE_CHECKING:
    from burnish.editing.masked import MaskWriter

SaveMask = Annotated[
    str | None,
    typer.Option(
        metavar="FILE or FOLDER",
        help="Also write the region as a grey image; in a folder, as PHOTO.EXT.mask.png.",
        rich_help_panel="Regions",
    ),
]


def region_options_class(defaults: Mapping[str, Any]) -> type[RegionOptions]:
    """Return `RegionOptions` with a command's own defaults in the help texts.

    The fields' values do not change. The defaults hold for regions of objects only, and are applied
    by `burnish.regions.region.open_region`.
    """
    overrides: list[tuple[str, Any, Any]] = []
    for option in fields(RegionOptions):
        if option.name in defaults:
            value = defaults[option.name]
            text = ",".join(value) if isinstance(value, tuple) else f"{value}"
            if isinstance(value, bool):
                text = "on" if value else "off"
            help_text = f"{option.metadata['help'].partition(' [default:')[0]} [default: {text}]"
            metadata = {**option.metadata, "help": help_text}
            overrides.append(
                (option.name, option.type, field(default=option.default, metadata=metadata))
            )
    return make_dataclass("RegionOptions", overrides, bases=(RegionOptions,), frozen=True)


@dataclass(frozen=True)
class MaskOutput:
    """Where the masks of a run are written.

    Parameters
    ----------
    save_mask : the value of --save-mask
    photos : the inputs of the run
    batch : the options of the run
    """

    save_mask: str | None
    photos: list[Path]
    batch: BatchOptions

    def mask_writer(self) -> "MaskWriter | None":
        """Return the writer of the masks.

        Raises
        ------
        UsageError : a file is given for several photos, or in a format that burnish does not write
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
                    "the masks of several photos need a folder",
                    "add / at the end to name a folder",
                )
            with as_usage_error():
                check_writable(path)
            if not self.batch.dry_run:
                check_absent(path, overwrite=self.batch.overwrite)
        return MaskWriter(path, folder=folder, overwrite=self.batch.overwrite)
