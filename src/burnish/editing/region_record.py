"""Where: what a photo keeps of the region that an edit shows in, and the region again from it."""

from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from burnish.errors import UsageError
from burnish.files import digest
from burnish.regions.edges import Edges
from burnish.regions.maskfile import MaskFile, mask_file
from burnish.regions.region import Finder, Region
from burnish.regions.select import Selection


class Where(BaseModel):
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


def where_of(region: Region) -> Where:
    """Describe a region."""
    mask = None
    if isinstance(region.mask, MaskFile):
        mask = region.mask.path.name
    elif region.mask is not None:
        mask = "an array"
    finder = region.finder
    return Where(
        **{name: getattr(region.selection, name) for name in _SELECTION},
        **{name: getattr(region.edges, name) for name in _EDGES if region.edges is not None},
        invert=region.invert,
        detector=finder.name if finder else None,
        listed=finder is not None and finder.sha256 is None,
        sha256=finder.sha256 if finder else None,
        mask=mask,
    )


def identity_of(region: Region) -> str:
    """Return a text that changes where the region could, beyond what `where_of` tells."""
    if isinstance(region.mask, MaskFile):
        return digest(region.mask.path) if region.mask.path.is_file() else ""
    return "" if region.mask is None else sha256(region.mask.tobytes()).hexdigest()


def region_of(
    where: Where, *, finder: Finder | None = None, mask: str | Path | None = None
) -> Region:
    """Return the region that was described.

    Parameters
    ----------
    finder, mask : what finds the objects, and the mask, in place of those that were used, if any

    Raises
    ------
    UsageError : the mask, or the file of objects, has to be named anew
    ModelError : the detector is none that ships
    """
    if where.mask is not None and mask is None:
        raise _again("--mask", where.mask, "a photo keeps no more than its name")
    if where.listed and finder is None:
        raise _again("--objects", str(where.detector), "a photo keeps no more than its name")
    if where.detector is None:
        finder = None
    elif finder is None:
        from burnish.regions.object_sources import shipped

        finder = shipped(where.detector, where.sha256)
    edges = {name: getattr(where, name) for name in _EDGES if getattr(where, name) is not None}
    return Region(
        selection=Selection(**{name: getattr(where, name) for name in _SELECTION}),
        edges=Edges(**edges) if edges else None,
        finder=finder,
        mask=mask_file(mask) if where.mask is not None and mask is not None else None,
        invert=where.invert,
    )


def _again(option: str, name: str, why: str) -> UsageError:
    return UsageError(
        option, expected=f"{name}, which the edit was given", got="none", remedy=f"name it: {why}"
    )
