"""Masks of regions: the union of objects, refined at edges, soft edges, and mask files.

The distance transform uses NumPy alone, because every soft edge needs distances and OpenCV is
optional. OpenCV's exact transform gives the same values.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances, mask_box, mask_crop
from burnish.errors import MissingLibraryError, PhotoError, UsageError, warn
from burnish.files import exists, is_folder, make_folder
from burnish.photo import Photo
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.photo.metadata import SourceMetadata
from burnish.regions.options import RegionOptions
from burnish.types import BoolMask, Mask, Pixels

# Side of the tiles of the distance transform, px. A tile fits into the processor's cache, and most
# tiles hold no edge.
_TILE = 256
# Parameters of the guided filter: the window's radius in pixels of the coarse mask, and the
# variance of the colours, in [0, 1], that counts as an edge. Larger windows and smaller variances
# also follow edges inside objects, and lower the overlap with true masks.
_WINDOW, _EPS = 0.5, 1e-2
_MIN_RADIUS = 2
# Part of a box's side by which a refined mask may grow beyond the box.
REACH = 0.25
# Largest difference between the channels of an image that counts as grey, as JPEG is not exact.
_GREY_TOLERANCE = 3 / 255


def binary_mask(
    instances: Instances, indices: Iterable[int], pixels: Pixels, options: RegionOptions
) -> BoolMask:
    """Return the union of objects; each is refined, cut at the threshold and grown by its margin.

    Shape: pixels (H, W, 3) -> (H, W)

    Raises
    ------
    MissingLibraryError : OpenCV is not installed, and `refine` is True
    """
    union = np.zeros(pixels.shape[:2], bool)
    for index in indices:
        radius = _refine_radius(instances, index, options.refine)
        left, top, right, bottom = instances.boxes[index]
        box_area = max(0.0, float((right - left) * (bottom - top)))
        growth = options.value("margin") / 100 * math.sqrt(box_area)
        reach = REACH * max(0.0, float(max(right - left, bottom - top))) if radius else 0
        margin = 2 * radius + math.ceil(growth + reach)
        mask, left, top = mask_crop(instances, index, margin=margin)
        if not mask.size:
            continue
        window = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        if radius:
            box = instances.boxes[index] - np.array([left, top, left, top], np.float32)
            mask = _extended(mask, pixels[window], box, instances.masks[index])
            mask = guided_refine(mask, pixels[window], radius)
        union[window] |= dilate(mask >= options.value("threshold"), growth)
    return union


def full_resolution(
    instances: Instances, indices: Iterable[int], pixels: Pixels, options: RegionOptions
) -> Instances:
    """Return objects with binary masks at the image's resolution, as edits use them.

    An object without pixels keeps its box.

    Raises
    ------
    MissingLibraryError : see `binary_mask`
    """
    selected = list(indices)
    unfeathered = replace(options, feather=0)
    boxes, masks = [], []
    for index in selected:
        mask = soften_edges(binary_mask(instances, [index], pixels, options), unfeathered)
        left, top, right, bottom = mask_box(mask > 0)
        if right == left:
            width, height = instances.size
            left, top, right, bottom = (
                int(edge) for edge in np.rint(instances.boxes[index]).clip(0, [width, height] * 2)
            )
        boxes.append((left, top, right, bottom))
        masks.append(mask[top:bottom, left:right].copy())
    return replace(
        instances.select(selected),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        masks=tuple(masks),
    )


def _refine_radius(instances: Instances, index: int, refine: bool | None) -> int:
    """Return the radius to refine an object with, px; 0 leaves it as it is."""
    height, width = instances.masks[index].shape
    left, top, right, bottom = instances.boxes[index]
    # Size of a mask pixel, in pixels of the image.
    scale = float(max((right - left) / width, (bottom - top) / height))
    if refine is False or (refine is None and scale <= 1):
        return 0
    if refine is None and _ximgproc() is None:
        warn(
            "the edges of objects are coarse, because OpenCV, which refines them, is not installed;"
            " install burnish with its extra 'retouch'"
        )
        return 0
    return max(_MIN_RADIUS, round(_WINDOW * scale))


def _extended(mask: Mask, pixels: Pixels, box: NDArray[np.floating], detected_mask: Mask) -> Mask:
    """Return a mask that also covers what its box cuts off; unchanged without OpenCV."""
    if _ximgproc() is None:
        return mask
    from burnish.regions.beyond_box import cut_sides, extend_mask

    return extend_mask(mask, pixels, box, cut_sides(detected_mask))


def guided_refine(mask: Mask, pixels: Pixels, radius: int) -> Mask:
    """Fit a mask to the edges of an image with the guided filter.

    Shape: mask (H, W) in [0, 1] with pixels (H, W, 3) -> (H, W) in [0, 1]

    Parameters
    ----------
    radius : radius of the filter's window, px

    Notes
    -----
    In every window the mask becomes an affine function of the colours.
    He, Sun, Tang: Guided Image Filtering, TPAMI 2013, doi:10.1109/TPAMI.2012.213.

    Raises
    ------
    MissingLibraryError : OpenCV with its contributed modules is not installed
    """
    ximgproc = _ximgproc()
    if ximgproc is None:
        raise MissingLibraryError(
            "refining a region",
            "OpenCV with its contributed modules is not installed",
            "install burnish with its extra 'retouch': pip install '.[retouch]' in the clone",
        )
    guide = np.ascontiguousarray(pixels, np.float32)
    refined: Any = ximgproc.guidedFilter(guide, mask, radius, _EPS)
    return np.asarray(refined, np.float32).clip(0, 1)


def _ximgproc() -> Any:
    """Return OpenCV's module with the guided filter, or None if it is not installed."""
    try:
        import cv2.ximgproc
    except ModuleNotFoundError:
        return None
    return cv2.ximgproc


def soften_edges(mask: BoolMask, options: RegionOptions) -> Mask:
    """Grow, shrink and feather a mask.

    Shape: (H, W) -> (H, W) float32 in [0, 1]: 1 in the core, lower within `feather` px of an edge

    Examples
    --------
    >>> mask = np.array([[0, 0, 1, 1, 0, 0]], bool)
    >>> soften_edges(mask, RegionOptions(grow=1, feather=1)).tolist()
    [[0.0, 0.5, 1.0, 1.0, 0.5, 0.0]]
    """
    soft = np.zeros(mask.shape, np.float32)
    left, top, right, bottom = mask_box(mask)
    if right == left:
        return soft
    margin = math.ceil(options.value("grow")) + 1
    window = (
        slice(max(0, top - margin), bottom + margin),
        slice(max(0, left - margin), right + margin),
    )
    closed = erode(dilate(mask[window], options.value("grow")), options.value("shrink"))
    soft[window] = feather(closed, options.value("feather"))
    return soft


def distance_transform(mask: BoolMask, limit: float) -> Mask:
    """Return the distance of each pixel in a mask from the nearest pixel outside it; 0 outside.

    The distance is Euclidean, between centres of pixels, and exact up to `limit`; farther pixels
    get any number above it. The image's border is no edge: an object is not softened there.

    Shape: (H, W) -> (H, W), px

    Examples
    --------
    >>> distance_transform(np.array([[0, 1, 1, 1]], bool), 2).tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    reach = math.ceil(limit)
    side = max(_TILE, 2 * reach)
    distances = np.empty(mask.shape, np.float32)
    for top in range(0, mask.shape[0], side):
        for left in range(0, mask.shape[1], side):
            y, x = max(0, top - reach), max(0, left - reach)
            padded = mask[y : top + side + reach, x : left + side + reach]
            tile = distances[top : top + side, left : left + side]
            core = (
                slice(top - y, top - y + tile.shape[0]),
                slice(left - x, left - x + tile.shape[1]),
            )
            if padded.all():
                tile[:] = reach + 1
            elif padded[core].any():
                tile[:] = _tile_distances(padded, reach)[core]
            else:
                tile[:] = 0
    return distances


def _tile_distances(mask: BoolMask, reach: int) -> Mask:
    """Return the distances, exact up to `reach`.

    The squared distance is the minimum, over the rows of a column, of the squared distance along
    the row plus the squared offset of the row.
    """
    squares = _row_distances(mask, reach + 1) ** 2
    nearest = squares.copy()
    for step in range(1, min(reach, len(mask) - 1) + 1):
        np.minimum(nearest[step:], squares[:-step] + step * step, out=nearest[step:])
        np.minimum(nearest[:-step], squares[step:] + step * step, out=nearest[:-step])
    distances: Mask = np.sqrt(nearest, dtype=np.float32)
    return distances


def _row_distances(mask: BoolMask, limit: int) -> NDArray[np.int32]:
    """Return the distance to the nearest pixel of the same row outside the mask, up to `limit`."""
    width = mask.shape[1]
    x = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(mask, np.int32(-limit), x), axis=1)
    after = np.where(mask, np.int32(width - 1 + limit), x)
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    nearest: NDArray[np.int32] = np.minimum(x - before, after - x)
    return np.minimum(nearest, limit)


def dilate(mask: BoolMask, radius: float) -> BoolMask:
    """Add all pixels no farther than `radius`, px, from the mask.

    Examples
    --------
    >>> dilate(np.array([[0, 0, 1, 0, 0]], bool), 1).astype(int).tolist()
    [[0, 1, 1, 1, 0]]
    """
    return mask if radius <= 0 else distance_transform(~mask, radius) <= radius


def erode(mask: BoolMask, radius: float) -> BoolMask:
    """Remove all pixels no farther than `radius`, px, from a pixel outside the mask.

    Examples
    --------
    >>> erode(np.array([[0, 1, 1, 1, 0]], bool), 1).astype(int).tolist()
    [[0, 0, 1, 0, 0]]
    """
    return mask if radius <= 0 else distance_transform(mask, radius) > radius


def feather(mask: BoolMask, width: float) -> Mask:
    """Add a soft edge of `width` pixels inside a mask.

    Returns
    -------
    ndarray of shape (H, W), float32: 0 outside, rising with the distance from outside, and 1 from
    `width` + 1 pixels on

    Examples
    --------
    >>> feather(np.array([[0, 1, 1, 1, 1]], bool), 3).tolist()
    [[0.0, 0.25, 0.5, 0.75, 1.0]]
    """
    if width <= 0:
        return mask.astype(np.float32)
    ramp: Mask = np.minimum(distance_transform(mask, width + 1) / np.float32(width + 1), 1)
    return ramp


@dataclass(frozen=True)
class MaskFile:
    """A mask file, or a folder that holds one mask per photo, with the photo's name.

    Raises
    ------
    UsageError : the path does not exist

    Examples
    --------
    >>> MaskFile(Path("no/such.png"))
    Traceback (most recent call last):
    burnish.errors.UsageError: mask: no/such.png does not exist; check the path
    """

    path: Path

    def __post_init__(self) -> None:
        if not exists(self.path):
            raise UsageError("mask", f"{self.path} does not exist", "check the path")

    def read(self, size: tuple[int, int], source: Path | None = None) -> Mask:
        """Return the mask of a photo: (H, W) float32 in [0, 1].

        The mask is the alpha channel of a file with transparency, and the grey values of any other.

        Parameters
        ----------
        size : the photo's width and height, px
        source : the photo's file, whose name selects the mask in a folder

        Raises
        ------
        PhotoError : there is no mask, or it has another size, or it is in colour and opaque
        """
        file = self._path_for(source)
        photo = Photo.open(file)
        if photo.size != size:
            raise PhotoError(
                str(file),
                expected=f"a mask of the photo's size, {size[0]} x {size[1]}",
                got=f"{photo.size[0]} x {photo.size[1]}",
                remedy="make the mask from the photo, in its upright orientation",
            )
        if photo.alpha is not None and photo.alpha.min() < 1:
            return photo.alpha
        if float((photo.pixels.max(axis=2) - photo.pixels.min(axis=2)).max()) > _GREY_TOLERANCE:
            raise PhotoError(
                str(file),
                "a mask is grey or has transparency, but this image is in colour",
                "use white for inside and black for outside",
            )
        grey: Mask = photo.pixels[..., 1]
        return grey

    def _path_for(self, source: Path | None) -> Path:
        if not is_folder(self.path):
            return self.path
        stem = source.stem if source else ""
        files = sorted(
            file
            for file in self.path.iterdir()
            if file.stem == stem and file.suffix.lower() in READABLE_EXTENSIONS
        )
        if len(files) == 1:
            return files[0]
        raise PhotoError(
            str(source or "image"),
            expected=f"one mask of that name in {self.path}",
            got=" and ".join(file.name for file in files) or "none",
            remedy=f"name it like the photo, such as {stem or 'photo'}.png",
        )


def save_mask(mask: NDArray[np.floating] | BoolMask, path: Path, *, overwrite: bool) -> None:
    """Write a mask as an 8-bit grey image, white inside.

    Raises
    ------
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    PhotoError : burnish does not write the format of the extension
    """
    make_folder(path.parent)
    grey = np.repeat(mask.astype(np.float32)[..., None], 3, axis=2)
    Photo(grey, metadata=SourceMetadata(grey=True)).save(path, overwrite=overwrite)
