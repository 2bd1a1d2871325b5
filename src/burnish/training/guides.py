"""Guides of crops: results for a smaller copy of the photo, enlarged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.params import Value
from burnish.runtime.resize import bilinear_region, source_range
from burnish.training.pairs import FULL_SCALE, Pair
from burnish.training.transform import Transform
from burnish.types import Pixels, Rectangle


@dataclass(frozen=True)
class Enlargement:
    """The enlargement of a part of a small image to a region of a large one.

    Parameters
    ----------
    region : of the large image
    size, small_size : height and width of the large and of the small image, px
    """

    region: Rectangle
    size: tuple[int, int]
    small_size: tuple[int, int]

    @property
    def source(self) -> Rectangle:
        """The part of the small image that the region depends on."""
        (top, bottom), (left, right) = (
            source_range(self.small_size[axis], self.size[axis], start, stop)
            for axis, (start, stop) in enumerate(
                ((self.region.top, self.region.bottom), (self.region.left, self.region.right))
            )
        )
        return Rectangle(top, bottom + 1, left, right + 1)

    def window(self, side: int) -> Rectangle:
        """Return a square of the small image with the source in its middle, if possible."""
        source = self.source
        top, left = (
            min(max((start + stop - side) // 2, 0), length - side)
            for start, stop, length in zip(
                (source.top, source.left),
                (source.bottom, source.right),
                self.small_size,
                strict=True,
            )
        )
        return Rectangle(top, top + side, left, left + side)

    def __call__(self, pixels: Pixels, rectangle: Rectangle) -> Pixels:
        """Return the region, given the pixels of a rectangle that contains its source."""
        small = np.zeros((*self.small_size, 3), np.float32)  # most of it takes no memory
        small[rectangle.slices] = pixels
        return bilinear_region(small, self.region, self.size)


@dataclass(frozen=True)
class SmallCrop:
    """A crop of a smaller copy. The output for it of the network in training becomes a guide.

    Attributes
    ----------
    index : of the crop in the batch that the guide is for
    before, guide : inputs of the network, (crop, crop, 3)
    values : the operator's parameters, for the size of the photo
    window : the position of this crop in the smaller copy
    enlargement, transform : from the smaller copy to the crop in the batch
    """

    index: int
    before: Pixels
    guide: Pixels
    values: Mapping[str, Value]
    window: Rectangle
    enlargement: Enlargement
    transform: Transform

    @property
    def k(self) -> float:
        """The size of the smaller copy, divided by that of the photo."""
        return self.enlargement.small_size[0] / self.enlargement.size[0]

    def to_guide(self, output: Pixels) -> Pixels:
        """Return the guide, given the network's output for `before` and `guide`."""
        return self.transform.of_image(self.enlargement(output.clip(0, 1), self.window))


def read_guide(pair: Pair, region: Rectangle, start_outputs: Path | None = None) -> Pixels:
    """Return the guide of a region of a photo, (rows, columns, 3).

    A tiny photo has no smaller copy. Its guide is the operator's output for the photo itself.

    Parameters
    ----------
    start_outputs : folder of the start network's outputs, see `start_file`
        [default: the guide is the operator's output]
    """
    small = pair.smaller
    if small is None:
        after: Pixels = pair.read(*region.slices)[1]
        return after
    enlargement = Enlargement(region, pair.size, small.size)
    source = enlargement.source
    if start_outputs is None:
        return enlargement(small.read(*source.slices)[1], source)
    codes = np.load(start_file(start_outputs, small), mmap_mode="r")[source.slices]
    return enlargement(codes.astype(np.float32) / FULL_SCALE, source)


def read_small_crop(
    pair: Pair,
    region: Rectangle,
    index: int,
    transform: Transform,
    start_outputs: Path | None = None,
) -> SmallCrop | None:
    """Return the crop of a smaller copy that yields the guide of a square region.

    It is as large as the region. There is none if the smaller copy is too small.

    Parameters
    ----------
    index, transform : see `SmallCrop`
    start_outputs : see `read_guide`
    """
    small, side = pair.smaller, region.size[0]
    if small is None or min(small.size) < side or small.smaller is None:
        return None
    enlargement = Enlargement(region, pair.size, small.size)
    window = enlargement.window(side)
    before, _ = small.read(*window.slices)
    guide = read_guide(small, window, start_outputs)
    return SmallCrop(index, before, guide, pair.values, window, enlargement, transform)


def start_file(folder: Path, small: Pair) -> Path:
    """Return the file with the start network's output for a smaller copy, (H, W, 3) uint16."""
    return folder / small.path.name
