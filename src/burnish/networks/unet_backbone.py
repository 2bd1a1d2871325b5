"""Trunk: the U-shaped stack of convolutions that students share, and what it costs.

It works on cells, squares of pixels. A student says what goes into a cell and what is made of what
comes out.
After Ronneberger et al. 2015 (https://doi.org/10.1007/978-3-319-24574-4_28), with skips by
addition.
A photo is too large for its convolutions to see all of it. Where a student takes a thumbnail, a
second, small trunk surveys that, and its deepest cells look up what the survey found where they
are: haze, light and detail of any size are known everywhere, and tiles stay as they are.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from burnish.networks.conditioning import Sliders
from burnish.networks.network import Network
from burnish.networks.thumbnail_encoder import Glance
from burnish.params import Param
from burnish.runtime.area_resize import THUMBNAIL

# Of negative values: with none, whole levels fell silent for good in long trainings.
_SLOPE = 0.1

# The trunk of the thumbnail; small, as all its numbers lie in the model file.
_SURVEY_WIDTHS, _SURVEY_DOWN, _SURVEY_UP = (24, 32, 40), (0, 1, 1), (1, 1)
_SURVEY_CELL = 2
_SURVEY_INPUTS = 3 * _SURVEY_CELL**2
# What a value between four others costs.
_LOOK_UP_MACS = 4

_Convolve = Callable[[nn.Conv2d, Tensor], Tensor]


class Trunk(Network):
    """A network whose convolutions form a U on cells.

    Whoever inherits it has a `forward`; the survey has none, and is run by another trunk.

    Untrained, what comes out is zero.

    Parameters
    ----------
    inputs, outputs : channels that go in and come out, at level 0
    cell : side of level 0's cells, px
    widths : channels at each level; each further one lies at half the resolution
    down : how many 3x3 convolutions each level has on the way down
    up : how many on the way up, for each level but the deepest
    sliders : parameters whose values it takes with each picture
    thumbnail : whether it takes a thumbnail of the whole picture
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        cell: int,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        sliders: Sequence[Param] = (),
        thumbnail: bool = False,
    ) -> None:
        super().__init__()
        self.head = _convolution(inputs, widths[0])
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
        self.tail = _convolution(widths[0], outputs)
        nn.init.zeros_(self.tail.weight)
        self.cell = cell
        self.widths = tuple(widths)
        self.sliders = len(sliders)
        self.thumbnail = THUMBNAIL if thumbnail else 0
        # The layers that have other gains and shifts with other values or another thumbnail.
        self.own, self.surveying = self._wide(), list[nn.Conv2d]()
        if thumbnail:
            self.survey = Trunk(
                inputs=_SURVEY_INPUTS,
                outputs=widths[-1],
                cell=_SURVEY_CELL,
                widths=_SURVEY_WIDTHS,
                down=_SURVEY_DOWN,
                up=_SURVEY_UP,
            )
            self.surveying = self.survey.own
            self.glance = Glance(self.own)
        if sliders:
            self.sliding = Sliders(sliders, self.own, self.surveying)

    def trunk(self, x: Tensor, *context: Tensor) -> Tensor:
        """Run the convolutions: (N, inputs, h, w) -> (N, outputs, h, w), a value a cell.

        Parameters
        ----------
        context : what the network takes beside the image, see `Network.takes`
        """
        given = dict(zip(self.takes, context, strict=True))
        layers = [*self.own, *self.surveying]
        slid = self.sliding(given["params"]) if self.sliders else [None] * len(layers)
        glanced = self.glance(given["thumbnail"]) if self.thumbnail else [None] * len(self.own)
        by_slider = dict(zip(layers, slid, strict=True))
        by_glance = dict(zip(self.own, glanced, strict=True))

        def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
            return _changed(layer, x, by_slider[layer], by_glance.get(layer))

        def look_up() -> Tensor:
            blocks = F.pixel_unshuffle(given["thumbnail"], _SURVEY_CELL)
            found = self.survey.run(blocks, convolve)
            return F.grid_sample(found, given["places"], padding_mode="border", align_corners=False)

        return self.run(x, convolve, look_up if self.thumbnail else None)

    def run(
        self, x: Tensor, convolve: _Convolve, look_up: Callable[[], Tensor] | None = None
    ) -> Tensor:
        """Run the convolutions, each as `convolve` says.

        Parameters
        ----------
        look_up : returns what the deepest cells are told beside what they see
        """
        x = convolve(self.head, x)
        skips = []
        for level, layers in enumerate(_levels(self.down)):
            if level:
                x = convolve(cast(nn.Conv2d, self.descend[level - 1]), x)
            if look_up and level == len(self.widths) - 1:
                x = x + look_up()
            x = _rectified(x)
            for layer in layers:
                x = _rectified(convolve(layer, x))
            skips.append(x)
        skips.pop()
        for level, layers in reversed(list(enumerate(_levels(self.up)))):
            x = F.interpolate(self.ascend[level](x), scale_factor=2.0, mode="nearest")
            x = _rectified(x + skips.pop())
            for layer in layers:
                x = _rectified(convolve(layer, x))
        return convolve(self.tail, x)

    def reads(self, pixel: int) -> tuple[int, int]:
        """Return the first and last cell whose outputs a pixel of the result depends on."""
        return pixel // self.cell, pixel // self.cell

    @property
    def multiple(self) -> int:  # type: ignore[override]
        """The side of a deepest level's cell, px."""
        return self._side(len(self.widths) - 1)

    @property
    def halo(self) -> int:  # type: ignore[override]
        """How many pixels to each side a result can depend on.

        Followed from each of a block's pixels back to the first and last that it depends on.
        """
        reach = 0
        for pixel in range(self.multiple):
            first, last = self._seen(*self.reads(pixel))
            edges = self.cell * first, self.cell * last + self.cell - 1
            reach = max(reach, pixel - edges[0], edges[1] - pixel)
        return reach

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        """Multiply-adds a pixel, gains and shifts folded, rounded up."""
        sides = [(layer, self._side(level)) for layer, level in self._placed()]
        work = [Fraction(layer.weight.numel(), side**2) for layer, side in sides]
        if self.thumbnail:
            work.append(_LOOK_UP_MACS * self.a_pixel(self.widths[-1], len(self.widths) - 1))
        return ceil(sum(work, Fraction(0)))

    def a_pixel(self, channels: int, level: int = 0) -> Fraction:
        """Return how many values a pixel so many channels of a level are."""
        return Fraction(channels, self._side(level) ** 2)

    def most_alive(self) -> Fraction:
        """Return the most values a pixel at once: a layer's ends, and the skips that wait."""
        size = [self.a_pixel(width, level) for level, width in enumerate(self.widths)]
        ends = self.a_pixel(self.head.in_channels), self.a_pixel(self.tail.out_channels)
        most = [end + size[0] for end in ends]
        waiting = Fraction(0)
        for level, layers in enumerate(_levels(self.down)):
            if level:
                waiting += size[level - 1]
                most.append(waiting + size[level])
            looks_up = self.thumbnail and level == len(size) - 1
            if layers or looks_up:
                most.append(waiting + 2 * size[level])
        for level in reversed(range(len(self.up))):
            lifted = size[level] / 4
            most.append(waiting + size[level + 1] + lifted)
            most.append(waiting + lifted + size[level])
            waiting -= size[level]
        return max(most)

    def _seen(self, first: int, last: int) -> tuple[int, int]:
        """Go back, from cells that come out, to those that go in: through the deepest level."""
        first, last = first - 1, last + 1  # the tail
        for layers in _levels(self.up):
            first, last = (first - len(layers)) // 2, (last + len(layers)) // 2
        for level, layers in reversed(list(enumerate(_levels(self.down)))):
            first, last = first - len(layers), last + len(layers)
            if level:  # the 3x3 of stride 2
                first, last = 2 * first - 1, 2 * last + 1
        return first - 1, last + 1  # the head

    def _wide(self) -> list[nn.Conv2d]:
        return [layer for layer, _ in self._placed() if layer.kernel_size == (3, 3)]

    def _side(self, level: int) -> int:
        return self.cell << level

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


def _rectified(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE)


def _changed(
    layer: nn.Conv2d,
    x: Tensor,
    slid: tuple[Tensor, Tensor, Tensor | None] | None,
    glanced: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Run a layer, changed by what holds for the whole picture."""
    changes = [change[:2] for change in (slid, glanced) if change is not None]
    bend = slid[2] if slid is not None else None
    kernel = layer.weight if bend is None else layer.weight + bend
    y = F.conv2d(x, kernel, layer.bias, layer.stride, layer.padding)
    if not changes:
        return y
    gains, shifts = zip(*changes, strict=True)
    return y * (1 + sum(gains)) + sum(shifts)


def _levels(levels: nn.ModuleList) -> list[list[nn.Conv2d]]:
    return [list(cast(Iterable[nn.Conv2d], layers)) for layers in levels]


def _convolution(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 3, stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
