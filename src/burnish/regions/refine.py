"""Masks of detected objects, refined at the edges in the image, grown, shrunk and feathered."""

import math
from collections.abc import Iterable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from burnish.detection.instances import Instances, mask_box, mask_crop
from burnish.errors import MissingLibraryError
from burnish.regions.distance import dilate, erode, feather
from burnish.regions.options import RegionOptions
from burnish.types import BoolMask, Mask, Pixels

# Parameters of the guided filter: the window's radius in pixels of the coarse mask, and the
# variance of the colours, in [0, 1], that counts as an edge. Larger windows and smaller variances
# also follow edges inside objects, and lower the overlap with true masks.
_WINDOW, _EPS = 0.5, 1e-2
_MIN_RADIUS = 2


def binary_mask(
    instances: Instances, indices: Iterable[int], pixels: Pixels, options: RegionOptions
) -> BoolMask:
    """Return the union of objects; each is refined, cut at the threshold and grown by its margin.

    Shape: pixels (H, W, 3) -> (H, W)

    Raises
    ------
    MissingLibraryError : OpenCV is not installed, and a mask has to be refined
    """
    union = np.zeros(pixels.shape[:2], bool)
    for index in indices:
        radius = _refine_radius(instances, index, options.refine)
        growth = options.value("margin") / 100 * _box_side(instances, index)
        mask, left, top = mask_crop(instances, index, margin=2 * radius + math.ceil(growth))
        if not mask.size:
            continue
        window = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        if radius:
            mask = guided_refine(mask, pixels[window], radius)
        union[window] |= dilate(mask >= options.value("threshold"), growth)
    return union


def _box_side(instances: Instances, index: int) -> float:
    """Return the side of the square with the area of an object's box, px."""
    left, top, right, bottom = instances.boxes[index]
    return math.sqrt(max(0.0, float((right - left) * (bottom - top))))


def full_resolution(
    instances: Instances, indices: Iterable[int], pixels: Pixels, options: RegionOptions
) -> Instances:
    """Return objects with binary masks at the image's resolution, as edits use them.

    An object without pixels keeps an empty mask of one pixel.

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
            left, top = (int(edge) for edge in instances.boxes[index][:2].clip(0))
            right, bottom = left + 1, top + 1
            masks.append(np.zeros((1, 1), np.float32))
        else:
            masks.append(mask[top:bottom, left:right].copy())
        boxes.append((left, top, right, bottom))
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
    return max(_MIN_RADIUS, round(_WINDOW * scale))


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
    guide = np.ascontiguousarray(pixels, np.float32)
    refined: Any = _opencv().ximgproc.guidedFilter(guide, mask, radius, _EPS)
    return np.asarray(refined, np.float32).clip(0, 1)


def _opencv() -> ModuleType:
    try:
        import cv2
        import cv2.ximgproc
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            "refining a region",
            "OpenCV with its contributed modules is not installed",
            "install burnish with its extra 'retouch': pip install '.[retouch]' in the clone, or "
            "use --no-refine (refine=False)",
        ) from error
    module: ModuleType = cv2
    return module


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
