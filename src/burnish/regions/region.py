"""Region: where an edit shows, worked out anew for every picture."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.errors import UsageError
from burnish.regions.edges import Edges
from burnish.regions.maskfile import MaskFile
from burnish.regions.refine import binary_mask, soften_edges
from burnish.regions.select import Box, Selection, check_classes, select_objects
from burnish.types import Mask, Pixels


class ObjectSource(Protocol):
    """Finds the objects of a picture: a detector, or a file that lists them."""

    @property
    def name(self) -> str:
        """How it is called."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it knows."""

    @property
    def sha256(self) -> str | None:
        """What its file is told by; None where it is a list of objects and no detector."""

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Find objects in a picture: (H, W, 3) float32; `source` is its file, where it has one."""


@dataclass(frozen=True, eq=False)
class Region:
    """Where an edit shows.

    Where objects are asked for, by a selection or a finder, they are the region; otherwise the
    mask is, otherwise the box, otherwise the whole picture. A mask beside objects narrows them.
    Last, it may be turned inside out, so that soft edges lie inside the objects either way.

    Parameters
    ----------
    selection : which objects
    edges : what becomes of their edges; None is the default for objects, and leaves masks and
        boxes exactly as they are
    object_source : finds the objects
    mask : (H, W) floats in [0, 1] or bool, or a file or folder of files
    invert : everywhere but there

    Raises
    ------
    UsageError : objects are asked for and there is no finder, or it does not know a class

    Examples
    --------
    >>> Region(selection=Selection(box=(1, 0, 3, 2))).of(np.zeros((2, 4, 3), np.float32))
    array([[0., 1., 1., 0.],
           [0., 1., 1., 0.]], dtype=float32)
    """

    selection: Selection = field(default_factory=Selection)
    edges: Edges | None = None
    object_source: ObjectSource | None = field(default=None, repr=False)
    mask: NDArray[np.floating] | NDArray[np.bool_] | MaskFile | None = None
    invert: bool = False

    def __post_init__(self) -> None:
        if self.object_source is not None:
            check_classes(self.selection.classes, self.object_source.classes)
        elif self.selection.selects_objects:
            raise UsageError(
                "region",
                expected="a detector or a file of objects, as objects are asked for",
                got="none",
                remedy="name one",
            )

    def compute_mask(self, pixels: Pixels, source: Path | None = None) -> Mask:
        """Return how much of an edit shows in each pixel.

        Shape: (H, W, 3) -> (H, W) float32 in [0, 1]; exactly 0 outside and exactly 1 in the core

        Parameters
        ----------
        source : the picture's file, by which masks and objects of several pictures are told apart

        Raises
        ------
        PhotoError : a click or a number that means nothing, or a mask that does not fit
        MissingLibraryError : masks are to be refined, and OpenCV is not installed
        """
        where = str(source or "picture")
        if self.object_source is None:
            return self._combine(self._base_mask(pixels, source), None)
        return self.mask_from_instances(
            self.object_source.find(pixels, source), pixels, source, source_name=where
        )

    def mask_from_instances(
        self,
        instances: Instances,
        pixels: Pixels,
        source: Path | None = None,
        *,
        source_name: str = "picture",
    ) -> Mask:
        """Return the same as `of`, of objects that were found already."""
        indices = select_objects(self.selection, instances, source_name)
        edges = self.edges or Edges()
        objects = soften_edges(binary_mask(instances, indices, pixels, edges), edges)
        drawn = self._base_mask(pixels, source) if self.mask is not None else None
        return self._combine(objects, drawn)

    def _combine(self, mask: Mask, drawn: Mask | None) -> Mask:
        if drawn is not None:
            mask = mask * drawn
        return 1 - mask if self.invert else mask

    def _base_mask(self, pixels: Pixels, source: Path | None) -> Mask:
        """Return the region that is no object: the mask, the box, or everything."""
        height, width = pixels.shape[:2]
        drawn = np.ones((height, width), np.float32)
        if isinstance(self.mask, MaskFile):
            drawn = self.mask.read((width, height), source)
        elif self.mask is not None:
            drawn = _validate_mask(self.mask, (width, height))
        if self.object_source is None and self.selection.box is not None:
            drawn = drawn * _box_mask(self.selection.box, (width, height))
        if self.object_source is None and self.edges is not None:
            drawn = soften_edges(drawn >= self.edges.threshold, self.edges)
        return drawn


def _box_mask(box: Box, size: tuple[int, int]) -> Mask:
    """Return 1 for pixels whose middles lie in a box, and 0 for the others."""
    columns, rows = (np.arange(length) + 0.5 for length in size)
    across = (columns > box[0]) & (columns < box[2])
    down = (rows > box[1]) & (rows < box[3])
    return np.outer(down, across).astype(np.float32)


def _validate_mask(mask: NDArray[np.floating] | NDArray[np.bool_], size: tuple[int, int]) -> Mask:
    """See that an array is a mask of its picture's size."""
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
        expected=f"bool or floats in [0, 1] of shape {size[::-1]}, as the picture",
        got=got,
        remedy="convert it first",
    )
