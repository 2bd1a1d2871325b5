"""Rectangle: a part of a picture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rectangle:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the ends left out, in px."""

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
        """Pixels inside."""
        height, width = self.size
        return height * width

    @property
    def slices(self) -> tuple[slice, slice]:
        """What picks it out of an array.

        Examples
        --------
        >>> import numpy as np
        >>> np.arange(12).reshape(3, 4)[Rectangle(1, 3, 0, 2).inside].tolist()
        [[4, 5], [8, 9]]
        """
        return slice(self.top, self.bottom), slice(self.left, self.right)
