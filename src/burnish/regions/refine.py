"""Refine: coarse masks brought to the edges of the photo, then grown, shrunk and feathered."""

import math
from collections.abc import Iterable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances, mask_crop
from burnish.errors import MissingLibraryError
from burnish.regions.distance import dilate, erode, feather
from burnish.regions.edges import Edges
from burnish.types import Mask, Pixels

Hard = NDArray[np.bool_]

# The guided filter: a window of so many of the coarse mask's pixels to either side, and how much
# the photo has to vary (its variance, of values in [0, 1]) for an edge to count. Larger windows and
# smaller variances follow edges inside objects as well, and lose more than they gain.
_WINDOW, _EPS = 0.5, 1e-2
_MIN_RADIUS = 2


def binary_mask(instances: Instances, indices: Iterable[int], pixels: Pixels, edges: Edges) -> Hard:
    """Join objects to one mask, each refined within its box and a margin.

    Shape: pixels (H, W, 3) -> (H, W)

    Raises
    ------
    MissingLibraryError : OpenCV, which refines, is not installed
    """
    whole = np.zeros(pixels.shape[:2], bool)
    for index in indices:
        radius = _refine_radius(instances, index, edges)
        more = edges.margin / 100 * _box_side(instances, index)
        part, left, top = mask_crop(instances, index, margin=2 * radius + math.ceil(more))
        if not part.size:
            continue
        place = slice(top, top + part.shape[0]), slice(left, left + part.shape[1])
        if radius:
            part = guided_refine(part, pixels[place], radius)
        whole[place] |= dilate(part >= edges.threshold, more)
    return whole


def _box_side(instances: Instances, index: int) -> float:
    """Return the side of the square that is as large as an object's box, px."""
    left, top, right, bottom = instances.boxes[index]
    return math.sqrt(max(0.0, float((right - left) * (bottom - top))))


def full_resolution(
    instances: Instances, indices: Iterable[int], pixels: Pixels, edges: Edges
) -> Instances:
    """Return objects with masks as edits use them: refined, cut at the threshold, a value a pixel.

    Objects of which nothing is left keep an empty mask of one pixel.

    Raises
    ------
    MissingLibraryError : see `binary_mask`
    """
    chosen = list(indices)
    boxes, masks = [], []
    for index in chosen:
        hard = soften_edges(
            binary_mask(instances, [index], pixels, edges), replace(edges, feather=0)
        )
        rows, columns = np.flatnonzero(hard.any(axis=1)), np.flatnonzero(hard.any(axis=0))
        if not rows.size:
            left, top = (int(edge) for edge in instances.boxes[index][:2].clip(0))
            boxes.append((left, top, left + 1, top + 1))
            masks.append(np.zeros((1, 1), np.float32))
            continue
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        masks.append(hard[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy())
    return replace(
        instances.select(chosen),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        masks=tuple(masks),
    )


def _refine_radius(instances: Instances, index: int, edges: Edges) -> int:
    """Return the radius, px, to refine an object with, or 0 where it is not to be."""
    height, width = instances.masks[index].shape
    left, top, right, bottom = instances.boxes[index]
    # How many pixels of the photo one of the mask's stands for.
    upscale = float(max((right - left) / width, (bottom - top) / height))
    if edges.refine is False or (edges.refine is None and upscale <= 1):
        return 0
    return max(_MIN_RADIUS, round(_WINDOW * upscale))


def guided_refine(mask: Mask, pixels: Pixels, radius: int) -> Mask:
    """Bring a mask to the edges of a picture.

    Shape: mask (H, W) in [0, 1] with pixels (H, W, 3) -> (H, W) in [0, 1]

    Parameters
    ----------
    radius : of the window within which an edge is looked for, px

    Notes
    -----
    The guided filter: within every window the mask becomes an affine function of the colours.
    He, Sun, Tang: Guided Image Filtering, TPAMI 2013, doi:10.1109/TPAMI.2012.213.

    Raises
    ------
    MissingLibraryError : OpenCV with its contributed modules is not installed
    """
    guide = np.ascontiguousarray(pixels, np.float32)
    result: Any = _opencv().ximgproc.guidedFilter(guide, mask, radius, _EPS)
    return np.asarray(result, np.float32).clip(0, 1)


def _opencv() -> ModuleType:
    try:
        import cv2
        import cv2.ximgproc
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            "refining a region",
            expected="OpenCV with its contributed modules",
            got="an installation without it",
            remedy="install burnish with its extra 'retouch': pip install '.[retouch]' in the "
            "clone, or leave masks coarse with --no-refine (refine=False)",
        ) from error
    module: ModuleType = cv2
    return module


def soften_edges(mask: Hard, edges: Edges) -> Mask:
    """Grow, shrink and feather a mask, where it is and as far around it as it grows.

    Shape: (H, W) -> (H, W) float32 in [0, 1]: 1 in the core, less only within `feather` of an edge

    Examples
    --------
    >>> soften_edges(np.array([[0, 0, 1, 1, 0, 0]], bool), Edges(grow=1, feather=1)).tolist()
    [[0.0, 0.5, 1.0, 1.0, 0.5, 0.0]]
    """
    soft = np.zeros(mask.shape, np.float32)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return soft
    margin = int(np.ceil(edges.grow)) + 1
    place = (
        slice(max(0, rows[0] - margin), rows[-1] + 1 + margin),
        slice(max(0, columns[0] - margin), columns[-1] + 1 + margin),
    )
    part = erode(dilate(mask[place], edges.grow), edges.shrink)
    soft[place] = feather(part, edges.feather)
    return soft
