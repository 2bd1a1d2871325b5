"""Types that several stages use: images and masks as arrays, rectangles, and callbacks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# An image: (H, W, 3) RGB in [0, 1], or (H, W) for a single plane.
Pixels = NDArray[np.float32]
# A soft mask, (H, W) in [0, 1].
Mask = NDArray[np.float32]
# A binary mask, (H, W).
BoolMask = NDArray[np.bool_]
# One channel of an image, (H, W), of any number type.
Plane = NDArray[Any]


@dataclass(frozen=True)
class Rectangle:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` in px, the ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        height, width = self.size
        return height * width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array.

        Examples
        --------
        >>> import numpy as np
        >>> np.arange(12).reshape(3, 4)[Rectangle(1, 3, 0, 2).slices].tolist()
        [[4, 5], [8, 9]]
        """
        return slice(self.top, self.bottom), slice(self.left, self.right)


# Receives the fraction done, from 0 to 1.
OnProgress = Callable[[float], None]
# Returns the pixels of a rectangle of an image, (rows, columns, 3), or memory for them.
ReadRegion = Callable[[Rectangle], Pixels]
# Receives the pixels of a rectangle of the output, (rows, columns, 3).
WriteRegion = Callable[[Rectangle, Pixels], None]
