"""Where: what a photo keeps of the region that an edit shows in, and the region again from it."""

from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from burnish.errors import UsageError
from burnish.files import digest
from burnish.regions.edges import Edges
from burnish.regions.maskfile import MaskFile, open_mask_file
from burnish.regions.region import ObjectSource, Region
from burnish.regions.select import Selection


class RegionRecord(BaseModel):
    """A region, as far as it can be told without the photo.

    Parameters
    ----------
    classes, min_score, min_area, max_area, numbers, clicks, box : see `Selection`
    refine, threshold, margin, grow, shrink, feather : see `Edges`; None where nothing was said
    invert : see `Region`
    detector : the name of what found the objects, or of the file that listed them
    listed : whether it was such a file
    sha256 : of the detector's file
    mask : the name of the mask's file, or "an array"
    """

    model_config = ConfigDict(frozen=True)

    classes: tuple[str, ...] = ()
    min_score: float = Selection.min_score
    min_area: float = 0
    max_area: float = 100
    numbers: tuple[int, ...] = ()
    clicks: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    refine: bool | None = None
    threshold: float | None = None
    margin: float | None = None
    grow: float | None = None
    shrink: float | None = None
    feather: float | None = None
    invert: bool = False
    detector: str | None = None
    listed: bool = False
    sha256: str | None = None
    mask: str | None = None


_SELECTION = ("classes", "min_score", "min_area", "max_area", "numbers", "clicks", "box")
_EDGES = ("refine", "threshold", "margin", "grow", "shrink", "feather")


def describe_region(region: Region) -> RegionRecord:
    """Describe a region."""
    mask = None
    if isinstance(region.mask, MaskFile):
        mask = region.mask.path.name
    elif region.mask is not None:
        mask = "an array"
    finder = region.object_source
    return RegionRecord(
        **{name: getattr(region.selection, name) for name in _SELECTION},
        **{name: getattr(region.edges, name) for name in _EDGES if region.edges is not None},
        invert=region.invert,
        detector=finder.name if finder else None,
        listed=finder is not None and finder.sha256 is None,
        sha256=finder.sha256 if finder else None,
        mask=mask,
    )


def region_fingerprint(region: Region) -> str:
    """Return a text that changes where the region could, beyond what `describe_region` tells."""
    if isinstance(region.mask, MaskFile):
        return digest(region.mask.path) if region.mask.path.is_file() else ""
    return "" if region.mask is None else sha256(region.mask.tobytes()).hexdigest()


def restore_region(
    record: RegionRecord,
    *,
    object_source: ObjectSource | None = None,
    mask: str | Path | None = None,
) -> Region:
    """Return the region that was described.

    Parameters
    ----------
    object_source, mask : what finds the objects, and the mask, in place of those that were used, if any

    Raises
    ------
    UsageError : the mask, or the file of objects, has to be named anew
    ModelError : the detector is none that ships
    """
    if record.mask is not None and mask is None:
        raise _missing_file("--mask", record.mask, "a photo keeps no more than its name")
    if record.listed and object_source is None:
        raise _missing_file(
            "--objects", str(record.detector), "a photo keeps no more than its name"
        )
    if record.detector is None:
        object_source = None
    elif object_source is None:
        from burnish.regions.object_sources import bundled_detector

        object_source = bundled_detector(record.detector, record.sha256)
    edges = {name: getattr(record, name) for name in _EDGES if getattr(record, name) is not None}
    return Region(
        selection=Selection(**{name: getattr(record, name) for name in _SELECTION}),
        edges=Edges(**edges) if edges else None,
        object_source=object_source,
        mask=open_mask_file(mask) if record.mask is not None and mask is not None else None,
        invert=record.invert,
    )


def _missing_file(option: str, name: str, why: str) -> UsageError:
    return UsageError(
        option, expected=f"{name}, which the edit was given", got="none", remedy=f"name it: {why}"
    )
