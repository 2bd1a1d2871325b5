"""Regions: the part of an image that an edit applies to, computed anew for every image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.errors import UsageError
from burnish.regions.maskfile import MaskFile, open_mask_file
from burnish.regions.options import Box, RegionOptions
from burnish.regions.refine import binary_mask, soften_edges
from burnish.regions.select import check_classes, select_objects
from burnish.types import BoolMask, Mask, Pixels

# Number of rows that `blend` computes at a time. More would need further full-size arrays.
_ROWS = 64


class ObjectSource(Protocol):
    """The objects of an image: from a detector, or from a file that lists them."""

    @property
    def name(self) -> str:
        """The name of the detector or of the file."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names that the source knows."""

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the detector's file; None for a file of objects."""

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Return the objects of an image, (H, W, 3) float32; `source` is the image's file."""


@dataclass(frozen=True, eq=False)
class Region:
    """The part of an image that an edit applies to.

    If there is an object source, the region is the union of the selected objects; else the mask;
    else the box; else the whole image. A mask given with objects is intersected with them. `invert`
    and `exclude` are applied last, after feathering.

    Parameters
    ----------
    options : selection of objects, and changes to edges. If no edge option is given, a mask or box
        is used exactly as it is
    object_source : source of the objects
    mask : (H, W) floats in [0, 1] or bool, or a file or folder of files

    Raises
    ------
    UsageError : the options select objects and there is no object source, or it does not know a
        class

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
        MissingLibraryError : masks have to be refined, and OpenCV is not installed
        """
        if self.object_source is None:
            return self._inverted(self._base_mask(pixels, source))
        return self.mask_from_instances(self.object_source.find(pixels, source), pixels, source)

    def mask_from_instances(
        self, instances: Instances, pixels: Pixels, source: Path | None = None
    ) -> Mask:
        """Return the same as `compute_mask`, with the objects given."""
        indices = select_objects(self.options, instances, str(source or "image"))
        binary = binary_mask(instances, indices, pixels, self.options)
        mask = soften_edges(binary, self.options)
        return self._inverted(mask if self.mask is None else mask * self._base_mask(pixels, source))

    def _inverted(self, mask: Mask) -> Mask:
        return 1 - mask if self.options.invert or self.options.exclude else mask

    def _base_mask(self, pixels: Pixels, source: Path | None) -> Mask:
        """Return the region apart from objects: the mask, the box, or the whole image."""
        height, width = pixels.shape[:2]
        mask = np.ones((height, width), np.float32)
        if isinstance(self.mask, MaskFile):
            mask = self.mask.read((width, height), source)
        elif self.mask is not None:
            mask = _checked_mask(self.mask, (width, height))
        if self.object_source is None and self.options.box is not None:
            mask = mask * _box_mask(self.options.box, (width, height))
        if self.object_source is None and self.options.changes_edges:
            mask = soften_edges(mask >= self.options.value("threshold"), self.options)
        return mask


def _box_mask(box: Box, size: tuple[int, int]) -> Mask:
    """Return 1 for the pixels with their centre in a box, and 0 for the others."""
    x, y = (np.arange(length) + 0.5 for length in size)
    return np.outer((y > box[1]) & (y < box[3]), (x > box[0]) & (x < box[2])).astype(np.float32)


def _checked_mask(mask: NDArray[np.floating] | BoolMask, size: tuple[int, int]) -> Mask:
    if mask.shape != size[::-1]:
        got = f"shape {mask.shape}"
    elif mask.dtype.kind not in "bf":
        got = f"dtype {mask.dtype}"
    elif not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        got = "values outside [0, 1]"
    else:
        return mask.astype(np.float32)
    raise UsageError(
        "mask",
        expected=f"bool or floats in [0, 1] of shape {size[::-1]}",
        got=got,
        remedy="convert it first",
    )


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
    UsageError : no region, contradictory options, a value outside its range or an unknown class
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
    of_objects = options.selects_objects
    if not of_objects and options.mask is None and options.box is None:
        of_objects = "only" in defaults
        if not of_objects:
            raise UsageError(
                "region",
                "objects, a mask or a box are required",
                "add --only CLASS, --click X,Y, --mask FILE or --box L,T,R,B",
            )
    source = None
    if of_objects:
        from burnish.regions.object_sources import open_object_source

        options = options.with_defaults(defaults)
        source = open_object_source(options, device=device, threads=threads)
    return Region(options, source, open_mask_file(options.mask) if options.mask else None)


def _class_names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    classes = (names,) if isinstance(names, str) else tuple(names)
    if not classes or not all(isinstance(name, str) for name in classes):
        raise UsageError(
            "only",
            expected="class names, a mask or a region",
            got=f"{names!r}"[:80],
            remedy='such as "person"',
        )
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
