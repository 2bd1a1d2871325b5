"""Wish: a region in the words of a command line, and the region from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import UsageError

if TYPE_CHECKING:
    from burnish.regions.region import ObjectSource, Region


@dataclass(frozen=True)
class RegionOptions:
    """What is said of a region; None, empty or False where nothing is.

    Parameters
    ----------
    only, excepted : classes that are the region, or are not
    detector : name or file of a detector, by default the one that ships
    objects : a file of instances in COCO's JSON, in place of a detector
    min_score, min_area, max_area, numbers, clicks, box : see `Selection`
    mask : a file or a folder of files
    invert : everywhere but there
    refine, threshold, margin, grow, shrink, feather : see `Edges`

    Examples
    --------
    >>> RegionOptions().is_empty, RegionOptions(only=("person",)).is_empty
    (True, False)
    >>> RegionOptions(only=("cat",), excepted=("dog",)).to_region()
    Traceback (most recent call last):
    burnish.errors.UsageError: --only, --except: expected one of the two, got both; drop one
    """

    only: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()
    detector: str | None = None
    objects: Path | None = None
    min_score: float | None = None
    min_area: float | None = None
    max_area: float | None = None
    numbers: tuple[int, ...] = ()
    clicks: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: Path | None = None
    invert: bool = False
    refine: bool | None = None
    threshold: float | None = None
    margin: float | None = None
    grow: float | None = None
    shrink: float | None = None
    feather: float | None = None

    @property
    def selects_objects(self) -> bool:
        """Whether objects are asked for."""
        told = (self.only, self.excepted, self.detector, self.objects, self.numbers, self.clicks)
        limits = (self.min_score, self.min_area, self.max_area)
        return any(told) or any(limit is not None for limit in limits)

    @property
    def is_empty(self) -> bool:
        """Whether no region is asked for."""
        return not self.selects_objects and self.mask is None and self.box is None

    def to_region(
        self,
        selection: Mapping[str, Any] | None = None,
        edges: Mapping[str, Any] | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> "Region":
        """Return the region.

        Parameters
        ----------
        selection, edges : defaults of `Selection` and `Edges` where objects are the region
        device, threads : of the detector

        Raises
        ------
        UsageError : no region, words that contradict one another, or a value outside its range
        ModelError, DeviceError : the detector cannot be had
        """
        from burnish.regions.edges import Edges
        from burnish.regions.maskfile import open_mask_file
        from burnish.regions.region import Region
        from burnish.regions.select import Selection

        self._check()
        if self.is_empty and "classes" not in (selection or {}):
            raise UsageError(
                "region",
                expected="objects, a mask or a box",
                got="none",
                remedy="such as --only person, --click X,Y, --mask FILE or --box L,T,R,B",
            )
        of_objects = self.selects_objects or (self.is_empty and "classes" in (selection or {}))
        asked = {**(selection or {}), **self._selection()} if of_objects else self._selection()
        turned = {**(edges or {}), **self._edges()} if of_objects else self._edges()
        return Region(
            Selection(**asked),
            Edges(**turned) if turned else None,
            self.open_object_source(device=device, threads=threads) if of_objects else None,
            open_mask_file(self.mask) if self.mask is not None else None,
            invert=self.invert or bool(self.excepted),
        )

    def open_object_source(
        self, *, device: str = "auto", threads: int | None = None
    ) -> "ObjectSource":
        """Open what finds the objects.

        Raises
        ------
        UsageError : the file of objects cannot be read
        ModelError, DeviceError : the detector cannot be had
        """
        if self.objects is not None:
            from burnish.detection.objects_file import ObjectsFile

            return ObjectsFile.open(self.objects)
        from burnish.regions.object_sources import open_detector

        if self.detector is None:
            return open_detector(device=device, threads=threads)
        return open_detector(self.detector, device=device, threads=threads)

    def _check(self) -> None:
        for options, both in (
            ("--only, --except", self.only and self.excepted),
            ("--except, --invert", self.excepted and self.invert),
            ("--detector, --objects", self.detector and self.objects),
        ):
            if both:
                raise UsageError(options, expected="one of the two", got="both", remedy="drop one")

    def _selection(self) -> dict[str, Any]:
        said = {
            "classes": self.only or self.excepted,
            "min_score": self.min_score,
            "min_area": self.min_area,
            "max_area": self.max_area,
            "numbers": self.numbers,
            "clicks": self.clicks,
            "box": self.box,
        }
        return {name: value for name, value in said.items() if value not in (None, ())}

    def _edges(self) -> dict[str, Any]:
        names = ("refine", "threshold", "margin", "grow", "shrink", "feather")
        return {name: value for name in names if (value := getattr(self, name)) is not None}
