"""Fit: a photo at the size that a detector looks at."""

import numpy as np
import pyvips

from burnish.types import Pixels


def fitted_size(size: tuple[int, int], min_size: int, max_size: int) -> tuple[int, int]:
    """Return the width and height at which a photo is looked at.

    Its shorter side becomes `min_size`, unless its longer side would exceed `max_size`. Small photos
    grow.

    Examples
    --------
    >>> fitted_size((640, 480), 320, 480), fitted_size((3000, 1000), 320, 480)
    ((427, 320), (480, 160))
    """
    scale = min(min_size / min(size), max_size / max(size))
    width, height = (max(1, round(length * scale)) for length in size)
    return width, height


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Bring a photo to a width and height, averaging over what each new pixel covers.

    Shape: (H, W, 3) -> (h, w, 3), both float32 in [0, 1]

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
    call = pyvips.Operation.call  # see `burnish.photo.header.broken`
    scaled = call("resize", image, size[0] / width, vscale=size[1] / height, kernel="linear")
    # libvips rounds sizes on its own.
    scaled = call("crop", call("embed", scaled, 0, 0, *size, extend="copy"), 0, 0, *size)
    result = np.frombuffer(scaled.write_to_memory(), np.float32).reshape(size[1], size[0], bands)
    clipped: Pixels = result.clip(0, 1)
    return clipped
