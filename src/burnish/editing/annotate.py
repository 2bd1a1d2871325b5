"""Draw the outlines and numbers of objects over an image."""

from collections.abc import Sequence

import numpy as np

from burnish.detection.instances import MASK_THRESHOLD, Instances, mask_crop
from burnish.editing.bitmap_font import render_text
from burnish.regions.distance import erode
from burnish.types import BoolMask, Pixels

# Distinguishable colours; objects take them in turn.
_COLOURS = np.array(
    [
        (1.0, 0.35, 0.2),
        (0.2, 0.75, 1.0),
        (0.55, 0.9, 0.25),
        (1.0, 0.8, 0.1),
        (0.85, 0.45, 1.0),
        (0.15, 0.9, 0.75),
    ],
    np.float32,
)
# Opacity of the colour over an object.
_TINT = np.float32(0.35)


def annotate(pixels: Pixels, instances: Instances, numbers: Sequence[int]) -> Pixels:
    """Tint and outline objects, and write their numbers in their centres.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    numbers : the number of each object

    Examples
    --------
    >>> boxes = np.array([[0, 0, 40, 40]], np.float32)
    >>> cat = Instances((40, 40), boxes, ("cat",), np.ones(1), (np.ones((40, 40)),))
    >>> annotate(np.zeros((40, 40, 3), np.float32), cat, [1]).shape
    (40, 40, 3)
    """
    canvas = pixels.copy()
    scale = max(1, round(max(pixels.shape[:2]) / 400))
    for index in range(len(instances)):
        mask, left, top = mask_crop(instances, index)
        inside = mask >= MASK_THRESHOLD
        window = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
        colour = _COLOURS[(numbers[index] - 1) % len(_COLOURS)]
        window[inside] += _TINT * (colour - window[inside])
        window[inside & ~erode(inside, scale)] = colour
    # Numbers come last, so that no object covers them.
    occupied = np.zeros(pixels.shape[:2], bool)
    for index in range(len(instances)):
        left, top, right, bottom = instances.boxes[index]
        centre = (left + right) / 2, (top + bottom) / 2
        _draw_label(canvas, occupied, str(numbers[index]), centre, scale)
    return canvas


def _draw_label(
    canvas: Pixels, occupied: BoolMask, text: str, centre: tuple[float, float], scale: int
) -> None:
    """Write black on white, as close to a point as the border and other labels permit."""
    ink = np.pad(render_text(text)[:, :-1], 2).repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = ink.shape
    for line in (0, 1, -1, 2, -2, 3, -3):
        top = centre[1] - height / 2 + line * height
        top = int(np.clip(top, 0, max(0, canvas.shape[0] - height)))
        left = int(np.clip(centre[0] - width / 2, 0, max(0, canvas.shape[1] - width)))
        window = slice(top, top + height), slice(left, left + width)
        if not occupied[window].any():
            break
    occupied[window] = True
    rows, columns = canvas[window].shape[:2]
    canvas[window] = 1 - ink[:rows, :columns, None]
