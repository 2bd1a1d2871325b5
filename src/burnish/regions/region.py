"""Regions: the part of an image or of a video that an edit applies to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.detection.tracker import TrackerState, update_tracks
from burnish.errors import UsageError
from burnish.photo.keywords import keyword_key
from burnish.regions.masks import MaskFile, binary_mask, soften_edges
from burnish.regions.objects import (
    Missed,
    ObjectSource,
    check_classes,
    find_missed,
    open_object_source,
    select_objects,
)
from burnish.regions.options import RegionOptions
from burnish.types import BoolMask, Mask, Pixels

# Number of rows that `blend` computes at a time, so that temporary arrays stay small.
_ROWS = 64
# A tracked object is kept while its score exceeds this fraction of min_score. The hysteresis
# prevents flicker.
_HYSTERESIS = 0.5


@dataclass(frozen=True, eq=False)
class Region:
    """The part of an image that an edit applies to.

    If there is an object source, the region is the union of the selected objects; otherwise the
    mask or the box; otherwise the whole image. A mask is intersected with objects and with a box.
    `invert` and `exclude` are applied last, after feathering.

    Parameters
    ----------
    options : selection of objects, and changes to edges. If no edge option is given, a mask or box
        is used exactly as it is
    object_source : source of the objects
    mask : (H, W) floats in [0, 1] or bool, or a file or folder of files

    Raises
    ------
    UsageError : the options select objects and there is no object source, or the source does not
        know a class

    Examples
    --------
    >>> region = Region(RegionOptions(box=(1, 0, 3, 2)))
    >>> region.compute_mask(np.zeros((2, 4, 3), np.float32))
    array([[0., 1., 1., 0.],
           [0., 1., 1., 0.]], dtype=float32)
    """

    options: RegionOptions = field(default_factory=RegionOptions)
    object_source: ObjectSource | None = field(default=None, repr=False)
    mask: NDArray[np.floating] | BoolMask | MaskFile | None = None

    def __post_init__(self) -> None:
        if self.object_source is not None:
            check_classes(self.options.classes, self.object_source.classes)
        elif self.options.selects_objects:
            raise UsageError(
                "region",
                "no detector for the selected objects",
                "name a detector or an objects file",
            )

    def compute_mask(self, pixels: Pixels, source: Path | None = None) -> Mask:
        """Return the weight of an edit at each pixel.

        Shape: (H, W, 3) -> (H, W) float32 in [0, 1]; exactly 0 outside and exactly 1 in the core

        Parameters
        ----------
        source : file of the image, which selects its mask or its objects among several

        Raises
        ------
        PhotoError : a click or a number selects nothing, or a mask does not fit the image
        MissingLibraryError : `refine` is True, and OpenCV is not installed
        """
        return self.mask_from_instances(self.find(pixels, source), pixels, source)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances | None:
        """Return the objects that the region selects from; None without an object source."""
        return self.object_source.find(pixels, source) if self.object_source else None

    def mask_from_instances(
        self, instances: Instances | None, pixels: Pixels, source: Path | None = None
    ) -> Mask:
        """Return the same as `compute_mask`, for these objects."""
        if instances is None:
            return self._apply_invert(self._base_mask(pixels, source))
        indices = select_objects(self.options, instances, str(source or "image"))
        binary = binary_mask(instances, indices, pixels, self.options)
        mask = soften_edges(binary, self.options)
        if self.mask is not None:
            mask = mask * self._base_mask(pixels, source)
        return self._apply_invert(mask)

    @property
    def is_inverted(self) -> bool:
        """True if the region is everything except the selection."""
        return self.options.invert or bool(self.options.exclude)

    def is_selection_empty(self, mask: Mask) -> bool:
        """Return whether nothing was selected, before the mask was inverted."""
        return bool((mask == 1).all()) if self.is_inverted else not mask.any()

    def _apply_invert(self, mask: Mask) -> Mask:
        return 1 - mask if self.is_inverted else mask

    def _base_mask(self, pixels: Pixels, source: Path | None) -> Mask:
        """Return the region apart from objects: the mask, the box, or the whole image."""
        height, width = pixels.shape[:2]
        mask = np.ones((height, width), np.float32)
        if isinstance(self.mask, MaskFile):
            mask = self.mask.read((width, height), source)
        elif self.mask is not None:
            mask = _float_mask(self.mask, (width, height))
        if self.object_source is None and self.options.box is not None:
            left, top, right, bottom = self.options.box
            x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
            mask = mask * np.outer((y > top) & (y < bottom), (x > left) & (x < right))
        if self.object_source is None and self.options.changes_edges:
            mask = soften_edges(mask >= self.options.value("threshold"), self.options)
        return mask


def _float_mask(mask: NDArray[np.floating] | BoolMask, size: tuple[int, int]) -> Mask:
    if mask.shape != size[::-1]:
        got = f"shape {mask.shape}"
    elif mask.dtype.kind not in "bf":
        got = f"dtype {mask.dtype}"
    elif not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        got = "values outside [0, 1]"
    else:
        return mask.astype(np.float32)
    expected = f"bool or floats in [0, 1] of shape {size[::-1]}"
    raise UsageError("mask", expected=expected, got=got, remedy="convert it first")


@dataclass
class VideoRegion:
    """A region of one video, whose objects are tracked from frame to frame.

    Clicks and numbers select objects of the first frame, which are then tracked.

    Attributes
    ----------
    is_empty : whether nothing was selected in any frame so far; None before the first frame
    missed : the objects with too low a score, of the frame in which the best of them has most
    """

    region: Region
    tracks: TrackerState = field(default_factory=TrackerState, init=False)
    is_empty: bool | None = field(default=None, init=False)
    missed: Missed = field(default=(), init=False)
    _track_ids: frozenset[int] | None = field(default=None, init=False)

    def compute_mask(self, pixels: Pixels, frame_index: int = 0) -> Mask:
        """Return the weight of an edit at each pixel of the next frame; see `Region.compute_mask`.

        Parameters
        ----------
        frame_index : index of the frame, used at the first call only

        Raises
        ------
        UsageError : clicks or numbers are given, and the first call is not for frame 0
        """
        if isinstance(self.region.mask, MaskFile):
            mask = self.region.mask.read((pixels.shape[1], pixels.shape[0]))
            self.region = replace(self.region, mask=mask)
        instances = self.region.find(pixels)
        if instances is None:
            mask = self.region.compute_mask(pixels)
        else:
            mask = self._track(instances, pixels, frame_index)
        is_empty = self.region.is_selection_empty(mask)
        self.is_empty = is_empty and self.is_empty is not False
        return mask

    def _track(self, instances: Instances, pixels: Pixels, frame_index: int) -> Mask:
        """Return the mask of a frame with these objects."""
        options = self.region.options
        missed = find_missed(options, instances)
        self.missed = max(self.missed, missed, key=lambda pairs: [score for _, score in pairs])
        min_score = options.value("min_score")
        if self._track_ids is None and (options.clicks or options.numbers):
            if frame_index:
                raise UsageError(
                    f"frame {frame_index}",
                    "cannot resume here: --click and --number refer to the first frame",
                    "delete the hidden folder next to the output to start again",
                )
            self.tracks = update_tracks(TrackerState(), instances, min_score)
            boxes = instances.boxes[select_objects(options, instances)]
            self._track_ids = frozenset(
                track.id
                for track in self.tracks.tracks
                if any(np.array_equal(track.box, box) for box in boxes)
            )
        else:
            keys = set(map(keyword_key, options.classes))
            candidates = [
                index
                for index in range(len(instances))
                if float(instances.scores[index]) >= _HYSTERESIS * min_score
                and (not keys or keyword_key(instances.labels[index]) in keys)
            ]
            self.tracks = update_tracks(self.tracks, instances.select(candidates), min_score)
        tracked = self.tracks.instances(instances.size)
        ids = self._track_ids
        if ids is not None:
            tracked = tracked.select([i for i, t in enumerate(self.tracks.tracks) if t.id in ids])
        # The score, clicks and numbers are applied already.
        remaining = replace(options, min_score=0, clicks=(), numbers=())
        return replace(self.region, options=remaining).mask_from_instances(tracked, pixels)


# The values that the Python API accepts as a region.
RegionLike = str | Sequence[str] | RegionOptions | Region | NDArray[np.floating] | BoolMask


def open_region(
    only: RegionLike | None = None,
    *,
    exclude: str | Sequence[str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Region:
    """Open the detector or the files of a region.

    Parameters
    ----------
    only : one or several class names, a mask, options, or a region, which is returned as it is
    exclude : one or several class names, instead of `only`
    defaults : defaults for the options of a region of objects, by name. If `only` is among them,
        it holds if no region is given
    device, threads : see `burnish.detection.detect.MaskRCNN.open`

    Raises
    ------
    UsageError : no region, contradictory options, a value outside its range or an unknown class;
        or a region of everything except the default objects, which is never meant
    ModelError, DeviceError : the detector or the device is not available
    """
    if exclude is not None and only is not None:
        raise UsageError("only, exclude", "these options exclude each other", "drop one of them")
    if isinstance(only, Region):
        return only
    if isinstance(only, np.ndarray):
        return Region(mask=only)
    if isinstance(only, RegionOptions):
        options = only
    else:
        options = RegionOptions(only=_class_names(only), exclude=_class_names(exclude))
    defaults = defaults or {}
    is_empty = not options.selects_objects and options.mask is None and options.box is None
    if is_empty and "only" not in defaults:
        raise UsageError(
            "region",
            "objects, a mask or a box are required",
            "add --only CLASS, --click X,Y, --mask FILE or --box L,T,R,B",
        )
    is_named = bool(options.only or options.numbers or options.clicks)
    inverts_default = options.invert and not is_named and (options.selects_objects or is_empty)
    if "only" in defaults and (options.exclude or inverts_default):
        classes = " or ".join(options.exclude or defaults["only"])
        raise UsageError(
            "--exclude" if options.exclude else "--invert",
            f"everything except {classes} would be covered",
            "name objects with --only, or use another edit, such as `burnish regions fill`",
        )
    source = None
    if options.selects_objects or is_empty:
        options = options.with_defaults(defaults)
        source = open_object_source(options, device=device, threads=threads)
    return Region(options, source, MaskFile(Path(options.mask)) if options.mask else None)


def _class_names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    classes = (names,) if isinstance(names, str) else tuple(names)
    if not classes or not all(isinstance(name, str) for name in classes):
        expected, got = "class names, a mask or a region", f"{names!r}"[:80]
        remedy = 'name a class, such as "person"'
        raise UsageError("only", expected=expected, got=got, remedy=remedy)
    return classes


def blend(before: Pixels, after: Pixels, mask: Mask) -> Pixels:
    """Return before + mask * (after - before), computed in the images' own encoding.

    The output is exactly `before` where the mask is 0 and exactly `after` where it is 1.

    Shape: (H, W, 3), (H, W, 3) and (H, W) -> (H, W, 3)

    Examples
    --------
    >>> before, after = np.zeros((1, 3, 3), np.float32), np.ones((1, 3, 3), np.float32)
    >>> blend(before, after, np.array([[0, 0.25, 1]], np.float32))[..., 0]
    array([[0.  , 0.25, 1.  ]], dtype=float32)
    """
    blended = np.empty_like(before)
    for start in range(0, len(before), _ROWS):
        rows = slice(start, start + _ROWS)
        weight = mask[rows, :, None]
        mixed = before[rows] + weight * (after[rows] - before[rows])
        blended[rows] = np.where(weight == 1, after[rows], mixed)
    return blended
