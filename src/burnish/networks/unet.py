"""UNet: the students, U-shaped residual networks that run at half resolution and below.

A photo at half resolution, each 2 x 2 block in the channels, costs a quarter of the convolutions
and loses nothing. Coarser levels see far for little. What comes out is a gain and an offset for
every pixel and colour: detail need not pass through the layers to be kept, strengthened or taken
away. Both are changes to an identity path, so that a network which has learnt nothing does no harm.
After Ronneberger et al. 2015 (https://doi.org/10.1007/978-3-319-24574-4_28), with skips by
addition, and space to depth as in Shi et al. 2016 (https://doi.org/10.1109/CVPR.2016.207).
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from burnish.networks.context import Context
from burnish.networks.network import Network
from burnish.params import Param
from burnish.photo.shrink import THUMBNAIL

COLOURS = 3


class UNet(Network):
    """A U-shaped residual network on space-to-depth features.

    Parameters
    ----------
    widths : channels at each level; level 0 lies at 1/`factor` of the resolution, each further one
        at half of that
    down : how many 3x3 convolutions each level has on the way down
    up : how many on the way up, for each level but the deepest
    factor : the side of the blocks that go into channels, px
    sliders : parameters whose values it takes with each picture
    thumbnail : whether it takes a thumbnail of the whole picture

    Shape: see `Network`

    Examples
    --------
    >>> network = UNet(widths=(16, 32), down=(1, 2), up=(1,))
    >>> network.multiple, network.halo, network.macs_per_pixel
    (4, 21, 3488)
    """

    def __init__(
        self,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        factor: int = 2,
        sliders: Sequence[Param] = (),
        thumbnail: bool = False,
    ) -> None:
        super().__init__()
        block = COLOURS * factor**2
        self.head = _convolution(block, widths[0])
        self.down = nn.ModuleList(
            nn.ModuleList(_convolution(width, width) for _ in range(count))
            for width, count in zip(widths, down, strict=True)
        )
        self.descend = nn.ModuleList(
            _convolution(fine, coarse, stride=2) for fine, coarse in pairwise(widths)
        )
        self.ascend = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(
            nn.ModuleList(_convolution(width, width) for _ in range(count))
            for width, count in zip(widths[:-1], up, strict=True)
        )
        self.tail = _convolution(widths[0], 2 * block)
        nn.init.zeros_(self.tail.weight)
        self.widths = tuple(widths)
        self.factor = factor
        self.sliders = len(sliders)
        self.thumbnail = THUMBNAIL if thumbnail else 0
        if self.context:
            modulated = [layer for layer, _ in self._placed() if layer.kernel_size == (3, 3)]
            widths = [layer.out_channels for layer in modulated]
            self.modulation = Context(sliders, thumbnail, widths)

    def forward(self, image: Tensor, *context: Tensor) -> Tensor:
        modulation = iter(self.modulation(*context)) if context else None

        def convolve(layer: nn.Module, x: Tensor) -> Tensor:
            y: Tensor = layer(x)
            if modulation is not None:
                gain, shift = next(modulation)
                y = y * gain + shift
            return y

        blocks = F.pixel_unshuffle(image, self.factor)
        x = F.relu(convolve(self.head, blocks))
        skips = []
        for level, layers in enumerate(_levels(self.down)):
            if level:
                x = F.relu(convolve(self.descend[level - 1], x))
            for layer in layers:
                x = F.relu(convolve(layer, x))
            skips.append(x)
        skips.pop()
        for level, layers in reversed(list(enumerate(_levels(self.up)))):
            x = F.interpolate(self.ascend[level](x), scale_factor=2.0, mode="nearest")
            x = F.relu(x + skips.pop())
            for layer in layers:
                x = F.relu(convolve(layer, x))
        gain, offset = convolve(self.tail, x).chunk(2, dim=1)
        return F.pixel_shuffle(blocks + blocks * gain + offset, self.factor)

    @property
    def multiple(self) -> int:  # type: ignore[override]
        """The side of a deepest level's cell, px."""
        return self._side(len(self.widths) - 1)

    @property
    def halo(self) -> int:  # type: ignore[override]
        """How many pixels to each side a result can depend on.

        Followed from the result back to the photo, along the path through the deepest level: the
        first and last cell that each of a block's pixels depends on.
        """
        counts = [len(layers) for layers in _levels(self.up)]
        reach = 0
        for pixel in range(self.multiple):
            first = last = pixel // self.factor
            first, last = first - 1, last + 1  # the tail
            for count in counts:
                first, last = (first - count) // 2, (last + count) // 2
            for level, layers in reversed(list(enumerate(_levels(self.down)))):
                first, last = first - len(layers), last + len(layers)
                if level:  # the 3x3 of stride 2
                    first, last = 2 * first - 1, 2 * last + 1
            first, last = first - 1, last + 1  # the head
            edges = self.factor * first, self.factor * last + self.factor - 1
            reach = max(reach, pixel - edges[0], edges[1] - pixel)
        return reach

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        """Multiply-adds a pixel, gains and shifts folded, rounded up."""
        sides = [(layer, self._side(level)) for layer, level in self._placed()]
        work = [Fraction(layer.weight.numel(), side**2) for layer, side in sides]
        return ceil(sum(work, Fraction(0)))

    @property
    def activations_per_pixel(self) -> int:  # type: ignore[override]
        """Most values a pixel has at once, rounded up: a layer's ends, and the skips that wait."""
        size = [Fraction(width, self._side(level) ** 2) for level, width in enumerate(self.widths)]
        blocks = Fraction(COLOURS)
        most = [2 * blocks, 3 * blocks + size[0], 5 * blocks]  # put in order; tail; gain and offset
        waiting = blocks
        for level, layers in enumerate(_levels(self.down)):
            if level:
                waiting += size[level - 1]
                most.append(waiting + size[level])
            if layers:
                most.append(waiting + 2 * size[level])
        for level in reversed(range(len(self.up))):
            lifted = size[level] / 4
            most.append(waiting + size[level + 1] + lifted)
            most.append(waiting + lifted + size[level])
            waiting -= size[level]
        return ceil(max(most))

    def _side(self, level: int) -> int:
        return self.factor << level

    def _placed(self) -> list[tuple[nn.Conv2d, int]]:
        """Every convolution and the level that it runs at, in the order in which they run."""
        placed = [(self.head, 0)]
        for level, layers in enumerate(_levels(self.down)):
            if level:
                placed.append((cast(nn.Conv2d, self.descend[level - 1]), level))
            placed += [(layer, level) for layer in layers]
        for level, layers in reversed(list(enumerate(_levels(self.up)))):
            placed.append((cast(nn.Conv2d, self.ascend[level]), level + 1))
            placed += [(layer, level) for layer in layers]
        return [*placed, (self.tail, 0)]


def _levels(levels: nn.ModuleList) -> list[list[nn.Conv2d]]:
    return [list(cast(Iterable[nn.Conv2d], layers)) for layers in levels]


def _convolution(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 3, stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
