"""The region in the history of an edited file."""

from dataclasses import fields, replace
from pathlib import Path

from burnish.editing.history import RegionRecord
from burnish.errors import UsageError
from burnish.regions.masks import MaskFile
from burnish.regions.objects import ObjectSource, recorded_detector
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region


def describe_region(region: Region) -> RegionRecord:
    """Return the record of a region."""
    options, source = region.options, region.object_source
    values = {f.name: getattr(options, f.name) for f in fields(RegionOptions)}
    if source is not None:
        # All values, so that the record does not depend on this version's defaults.
        values = {name: options.value(name) for name in values}
    values |= {"detector": None, "objects": None, "mask": None}
    if source is not None:
        values["objects" if source.sha256 is None else "detector"] = source.name
    if region.mask is not None:
        values["mask"] = region.mask.path.name if isinstance(region.mask, MaskFile) else "an array"
    return RegionRecord(**values, sha256=source.sha256 if source else None)


def restore_region(
    record: RegionRecord,
    *,
    object_source: ObjectSource | None = None,
    mask: str | Path | None = None,
) -> Region:
    """Return the region of a record.

    Parameters
    ----------
    object_source, mask : source of the objects and mask to use instead of the recorded ones

    Raises
    ------
    UsageError : the record has a mask or a file of objects, and none is given
    ModelError : the recorded detector is neither bundled nor downloaded
    """
    for option, file, replacement in (
        ("--mask", record.mask, mask),
        ("--objects", record.objects, object_source),
    ):
        if file is not None and replacement is None:
            raise UsageError(
                option,
                f"the edit used {file.name}, and a photo keeps no more than its name",
                "name the file with this option",
            )
    if record.detector is None and record.objects is None:
        object_source = None
    elif object_source is None:
        object_source = recorded_detector(str(record.detector), record.sha256)
    values = {f.name: getattr(record, f.name) for f in fields(RegionOptions)}
    options = replace(RegionOptions(**values), detector=None, objects=None, mask=None)
    mask_file = MaskFile(Path(mask)) if record.mask is not None and mask is not None else None
    return Region(options, object_source, mask_file)
