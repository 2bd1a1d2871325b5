"""Transformations of a crop that an operator's input and output share."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from burnish.operators.operator import Symmetry
from burnish.types import Pixels


@dataclass(frozen=True)
class Transform:
    """A change of colours, then a rotation, then a reflection.

    Attributes
    ----------
    channels : the order of the colours
    inverted : x becomes 1 - x
    quarter_turns, mirrored : anticlockwise, then left and right exchanged
    """

    channels: tuple[int, ...] = (0, 1, 2)
    inverted: bool = False
    quarter_turns: int = 0
    mirrored: bool = False

    @classmethod
    def random(cls, random: np.random.Generator, symmetries: Collection[Symmetry]) -> Self:
        """Draw a transformation. Colours change only as the operator's symmetries allow."""
        quarter_turns, mirrored = int(random.integers(4)), bool(random.integers(2))
        channels, inverted = tuple(map(int, random.permutation(3))), bool(random.integers(2))
        return cls(
            channels if "channel permutation" in symmetries else (0, 1, 2),
            inverted and "inversion" in symmetries,
            quarter_turns,
            mirrored,
        )

    def of_image(self, pixels: Pixels) -> Pixels:
        """Transform an image."""
        pixels = pixels[..., self.channels]
        return self._of_positions(1 - pixels if self.inverted else pixels)

    def of_coords(self, coords: NDArray[np.float32]) -> NDArray[np.float32]:
        """Transform coordinates (x, y), which rotate and mirror as positions and as values."""
        for _ in range(self.quarter_turns):
            coords = np.stack([coords[..., 1], -coords[..., 0]], axis=2)
        if self.mirrored:
            coords = coords * np.array([-1, 1], np.float32)
        return self._of_positions(coords)

    def _of_positions(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rotate and mirror an array of shape (rows, columns, channels)."""
        rotated = np.rot90(array, self.quarter_turns)
        return rotated[:, ::-1] if self.mirrored else rotated
