"""The description of a region in the history of an edited file."""

from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path

from burnish.editing.history import RegionRecord
from burnish.errors import UsageError
from burnish.files import digest
from burnish.regions.maskfile import MaskFile, open_mask_file
from burnish.regions.options import RegionOptions
from burnish.regions.region import ObjectSource, Region


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


def region_fingerprint(region: Region) -> str:
    """Return a text that identifies the content of a region's mask, which its record lacks."""
    if isinstance(region.mask, MaskFile):
        return digest(region.mask.path) if region.mask.path.is_file() else ""
    return "" if region.mask is None else sha256(region.mask.tobytes()).hexdigest()


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
    ModelError : the recorded detector is not a bundled one
    """
    if record.mask is not None and mask is None:
        raise _missing_file("--mask", record.mask.name)
    if record.objects is not None and object_source is None:
        raise _missing_file("--objects", record.objects.name)
    if record.detector is None and record.objects is None:
        object_source = None
    elif object_source is None:
        from burnish.regions.object_sources import bundled_detector

        object_source = bundled_detector(str(record.detector), record.sha256)
    values = {f.name: getattr(record, f.name) for f in fields(RegionOptions)}
    options = replace(RegionOptions(**values), detector=None, objects=None, mask=None)
    mask_file = open_mask_file(mask) if record.mask is not None and mask is not None else None
    return Region(options, object_source, mask_file)


def _missing_file(option: str, name: str) -> UsageError:
    return UsageError(
        option,
        f"the edit used {name}, and a photo keeps no more than its name",
        "name the file with this option",
    )
