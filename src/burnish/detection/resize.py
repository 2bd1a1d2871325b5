"""Resize photos to the size that a detector works at."""

import numpy as np
import pyvips

from burnish.types import Pixels


def fitted_size(size: tuple[int, int], min_size: int, max_size: int) -> tuple[int, int]:
    """Return the width and height, px, to resize a photo to.

    The shorter side becomes `min_size`, unless the longer side would then exceed `max_size`. Small
    photos are enlarged.

    Examples
    --------
    >>> fitted_size((640, 480), 320, 480), fitted_size((3000, 1000), 320, 480)
    ((427, 320), (480, 160))
    """
    scale = min(min_size / min(size), max_size / max(size))
    width, height = (max(1, round(length * scale)) for length in size)
    return width, height


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image to a width and height, px, with a linear filter that averages when shrinking.

    Shape: (H, W, C) -> (h, w, C), both float32 in [0, 1]

    Examples
    --------
    >>> resize(np.ones((8, 6, 3), np.float32), (3, 4)).shape
    (4, 3, 3)
    """
    height, width, bands = pixels.shape
    if (width, height) == size:
        return pixels
    contiguous = np.ascontiguousarray(pixels, np.float32)
    image = pyvips.Image.new_from_memory(contiguous.data, width, height, bands, "float")
    # `Operation.call` instead of methods: see `burnish.photo.header`.
    call = pyvips.Operation.call
    resized = call("resize", image, size[0] / width, vscale=size[1] / height, kernel="linear")
    # libvips rounds the size in its own way, so the last row or column may be missing.
    resized = call("crop", call("embed", resized, 0, 0, *size, extend="copy"), 0, 0, *size)
    output = np.frombuffer(resized.write_to_memory(), np.float32).reshape(size[1], size[0], bands)
    clipped: Pixels = output.clip(0, 1)
    return clipped
