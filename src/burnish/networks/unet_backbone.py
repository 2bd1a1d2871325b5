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

from burnish.networks.conditioning import ParamConditioning
from burnish.networks.network import Network
from burnish.networks.thumbnail_encoder import ThumbnailEncoder
from burnish.params import Param
from burnish.runtime.area_resize import THUMBNAIL_SIZE

# Of negative values: with none, whole levels fell silent for good in long trainings.
_NEGATIVE_SLOPE = 0.1

# The trunk of the thumbnail; small, as all its numbers lie in the model file.
_CONTEXT_WIDTHS, _CONTEXT_DOWN, _CONTEXT_UP = (24, 32, 40), (0, 1, 1), (1, 1)
_CONTEXT_CELL = 2
_CONTEXT_INPUTS = 3 * _CONTEXT_CELL**2
# What a value between four others costs.
_GRID_SAMPLE_MACS = 4

_Conv = Callable[[nn.Conv2d, Tensor], Tensor]


class UNetBackbone(Network):
    """A network whose convolutions form a U on cells.

    Whoever inherits it has a `forward`; the survey has none, and is run by another trunk.

    Untrained, what comes out is zero.

    Parameters
    ----------
    in_channels, out_channels : channels that go in and come out, at level 0
    cell : side of level 0's cells, px
    widths : channels at each level; each further one lies at half the resolution
    down : how many 3x3 convolutions each level has on the way down
    up : how many on the way up, for each level but the deepest
    num_sliders : parameters whose values it takes with each picture
    global_context : whether it takes a thumbnail of the whole picture
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        cell: int,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        sliders: Sequence[Param] = (),
        global_context: bool = False,
    ) -> None:
        super().__init__()
        self.head = _conv3x3(in_channels, widths[0])
        self.down = nn.ModuleList(
            nn.ModuleList(_conv3x3(width, width) for _ in range(count))
            for width, count in zip(widths, down, strict=True)
        )
        self.downsample = nn.ModuleList(
            _conv3x3(fine, coarse, stride=2) for fine, coarse in pairwise(widths)
        )
        self.upsample = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.ModuleList(_conv3x3(width, width) for _ in range(count))
            for width, count in zip(widths[:-1], up, strict=True)
        )
        self.tail = _conv3x3(widths[0], out_channels)
        nn.init.zeros_(self.tail.weight)
        self.cell = cell
        self.widths = tuple(widths)
        self.num_sliders = len(sliders)
        self.thumbnail_size = THUMBNAIL_SIZE if global_context else 0
        # The layers that have other gains and shifts with other values or another thumbnail.
        self.conv_layers, self.context_layers = self._conv3x3_layers(), list[nn.Conv2d]()
        if global_context:
            self.global_context = UNetBackbone(
                in_channels=_CONTEXT_INPUTS,
                out_channels=widths[-1],
                cell=_CONTEXT_CELL,
                widths=_CONTEXT_WIDTHS,
                down=_CONTEXT_DOWN,
                up=_CONTEXT_UP,
            )
            self.context_layers = self.global_context.conv_layers
            self.thumbnail_encoder = ThumbnailEncoder(self.conv_layers)
        if sliders:
            self.conditioning = ParamConditioning(sliders, self.conv_layers, self.context_layers)

    def forward_cells(self, x: Tensor, *context: Tensor) -> Tensor:
        """Run the convolutions: (N, inputs, h, w) -> (N, outputs, h, w), a value a cell.

        Parameters
        ----------
        context : what the network takes beside the image, see `Network.takes`
        """
        inputs = dict(zip(self.context_inputs, context, strict=True))
        layers = [*self.conv_layers, *self.context_layers]
        by_params = (
            self.conditioning(inputs["params"]) if self.num_sliders else [None] * len(layers)
        )
        by_thumbnail = (
            self.thumbnail_encoder(inputs["thumbnail"])
            if self.thumbnail_size
            else [None] * len(self.conv_layers)
        )
        param_changes = dict(zip(layers, by_params, strict=True))
        thumbnail_changes = dict(zip(self.conv_layers, by_thumbnail, strict=True))

        def conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
            return _modulated_conv(layer, x, param_changes[layer], thumbnail_changes.get(layer))

        def sample_context() -> Tensor:
            blocks = F.pixel_unshuffle(inputs["thumbnail"], _CONTEXT_CELL)
            features = self.global_context.forward_features(blocks, conv)
            return F.grid_sample(
                features, inputs["coords"], padding_mode="border", align_corners=False
            )

        return self.forward_features(x, conv, sample_context if self.thumbnail_size else None)

    def forward_features(
        self, x: Tensor, conv: _Conv, sample_context: Callable[[], Tensor] | None = None
    ) -> Tensor:
        """Run the convolutions, each as `conv` says.

        Parameters
        ----------
        sample_context : returns what the deepest cells are told beside what they see
        """
        x = conv(self.head, x)
        skips = []
        for level, layers in enumerate(_levels(self.down)):
            if level:
                x = conv(cast(nn.Conv2d, self.downsample[level - 1]), x)
            if sample_context and level == len(self.widths) - 1:
                x = x + sample_context()
            x = _leaky_relu(x)
            for layer in layers:
                x = _leaky_relu(conv(layer, x))
            skips.append(x)
        skips.pop()
        for level, layers in reversed(list(enumerate(_levels(self.up)))):
            x = F.interpolate(self.upsample[level](x), scale_factor=2.0, mode="nearest")
            x = _leaky_relu(x + skips.pop())
            for layer in layers:
                x = _leaky_relu(conv(layer, x))
        return conv(self.tail, x)

    def source_cells(self, pixel: int) -> tuple[int, int]:
        """Return the first and last cell whose outputs a pixel of the result depends on."""
        return pixel // self.cell, pixel // self.cell

    @property
    def size_multiple(self) -> int:  # type: ignore[override]
        """The side of a deepest level's cell, px."""
        return self._cell_size(len(self.widths) - 1)

    @property
    def halo(self) -> int:  # type: ignore[override]
        """How many pixels to each side a result can depend on.

        Followed from each of a block's pixels back to the first and last that it depends on.
        """
        reach = 0
        for pixel in range(self.size_multiple):
            first, last = self._input_cells(*self.source_cells(pixel))
            edges = self.cell * first, self.cell * last + self.cell - 1
            reach = max(reach, pixel - edges[0], edges[1] - pixel)
        return reach

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        """Multiply-adds a pixel, gains and shifts folded, rounded up."""
        sides = [(layer, self._cell_size(level)) for layer, level in self._layers_with_level()]
        macs = [Fraction(layer.weight.numel(), side**2) for layer, side in sides]
        if self.thumbnail_size:
            macs.append(_GRID_SAMPLE_MACS * self.per_pixel(self.widths[-1], len(self.widths) - 1))
        return ceil(sum(macs, Fraction(0)))

    def per_pixel(self, channels: int, level: int = 0) -> Fraction:
        """Return how many values a pixel so many channels of a level are."""
        return Fraction(channels, self._cell_size(level) ** 2)

    def peak_activations(self) -> Fraction:
        """Return the most values a pixel at once: a layer's ends, and the skips that wait."""
        sizes = [self.per_pixel(width, level) for level, width in enumerate(self.widths)]
        end_sizes = self.per_pixel(self.head.in_channels), self.per_pixel(self.tail.out_channels)
        peaks = [end_size + sizes[0] for end_size in end_sizes]
        skips = Fraction(0)
        for level, layers in enumerate(_levels(self.down)):
            if level:
                skips += sizes[level - 1]
                peaks.append(skips + sizes[level])
            samples_context = self.thumbnail_size and level == len(sizes) - 1
            if layers or samples_context:
                peaks.append(skips + 2 * sizes[level])
        for level in reversed(range(len(self.up))):
            upsampled = sizes[level] / 4
            peaks.append(skips + sizes[level + 1] + upsampled)
            peaks.append(skips + upsampled + sizes[level])
            skips -= sizes[level]
        return max(peaks)

    def _input_cells(self, first: int, last: int) -> tuple[int, int]:
        """Go back, from cells that come out, to those that go in: through the deepest level."""
        first, last = first - 1, last + 1  # the tail
        for layers in _levels(self.up):
            first, last = (first - len(layers)) // 2, (last + len(layers)) // 2
        for level, layers in reversed(list(enumerate(_levels(self.down)))):
            first, last = first - len(layers), last + len(layers)
            if level:  # the 3x3 of stride 2
                first, last = 2 * first - 1, 2 * last + 1
        return first - 1, last + 1  # the head

    def _conv3x3_layers(self) -> list[nn.Conv2d]:
        return [layer for layer, _ in self._layers_with_level() if layer.kernel_size == (3, 3)]

    def _cell_size(self, level: int) -> int:
        return self.cell << level

    def _layers_with_level(self) -> list[tuple[nn.Conv2d, int]]:
        """Every convolution and the level that it runs at, in the order in which they run."""
        layers_with_level = [(self.head, 0)]
        for level, layers in enumerate(_levels(self.down)):
            if level:
                layers_with_level.append((cast(nn.Conv2d, self.downsample[level - 1]), level))
            layers_with_level += [(layer, level) for layer in layers]
        for level, layers in reversed(list(enumerate(_levels(self.up)))):
            layers_with_level.append((cast(nn.Conv2d, self.upsample[level]), level + 1))
            layers_with_level += [(layer, level) for layer in layers]
        return [*layers_with_level, (self.tail, 0)]


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _NEGATIVE_SLOPE)


def _modulated_conv(
    layer: nn.Conv2d,
    x: Tensor,
    param_change: tuple[Tensor, Tensor, Tensor | None] | None,
    thumbnail_change: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Run a layer, changed by what holds for the whole picture."""
    changes = [change[:2] for change in (param_change, thumbnail_change) if change is not None]
    delta = param_change[2] if param_change is not None else None
    kernel = layer.weight if delta is None else layer.weight + delta
    y = F.conv2d(x, kernel, layer.bias, layer.stride, layer.padding)
    if not changes:
        return y
    gains, shifts = zip(*changes, strict=True)
    return y * (1 + sum(gains)) + sum(shifts)


def _levels(levels: nn.ModuleList) -> list[list[nn.Conv2d]]:
    return [list(cast(Iterable[nn.Conv2d], layers)) for layers in levels]


def _conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
