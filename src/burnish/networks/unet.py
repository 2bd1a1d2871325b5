"""UNet: the U-shaped networks of the bundled models, at half resolution and below.

After Ronneberger et al. 2015 (https://doi.org/10.1007/978-3-319-24574-4_28), with additive skip
connections. The image is rearranged by space to depth (Shi et al. 2016,
https://doi.org/10.1109/CVPR.2016.207): each 2 x 2 block becomes channels, which loses nothing and
costs a quarter of the convolutions. The output is a gain and an offset for every pixel and colour,
so that detail need not pass through the layers. Untrained, the network is the identity.

A guided network also takes the operator's output at a lower resolution, enlarged. It computes a
second gain, for the guide. Its output is the guide, plus image and guide times their gains, plus
the offset. Untrained, it returns the guide; with gains of 1 and -1 it would return the image.

A photo is larger than the receptive field. For global context, a second, small U-Net processes a
thumbnail of the whole photo, and its features are sampled at the position of each deepest cell.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.modelfile.graph_costs import GRID_SAMPLE_MACS
from burnish.networks.conditioning import ParamConditioning, ThumbnailEncoder
from burnish.networks.layers import LayerKind, layers_by_level, make_conv, make_layers, reach
from burnish.networks.network import COLOURS, Network
from burnish.networks.separable import SeparableConv2d, weight_count
from burnish.params import Param
from burnish.runtime.thumbnail import THUMBNAIL_SIZE

# With plain ReLU, whole levels died in long trainings.
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "leaky": partial(F.leaky_relu, negative_slope=0.1),
    "relu": F.relu,
}

# Side of the cells of the thumbnail's U-Net, px.
_CONTEXT_CELL = 2

Activation = Literal["leaky", "relu"]

_Conv = Callable[[nn.Conv2d, Tensor], Tensor]


class UNetBackbone(Network):
    """The convolutions of a U-Net on cells, which are squares of pixels. Untrained, it gives zero.

    Subclasses define `forward`, which maps an image to cells, calls `forward_cells`, and maps the
    result back.

    Parameters
    ----------
    in_channels, out_channels : channels at level 0
    cell : side of the cells of level 0, px
    widths : channels of each level. Each level has half the resolution of the one before
    down : the number of 3x3 convolutions of each level in the encoder
    up : their number in the decoder, for each level but the deepest
    sliders : parameters whose values are inputs
    global_context : a thumbnail of the whole image is an input
    kinds : the kind of these convolutions at each level [default: all plain]. A separable one is a
        depthwise 3x3 convolution and a 1x1 convolution, each with an activation (Howard et al.
        2017, https://doi.org/10.48550/arXiv.1704.04861). A dilated one reads every other cell
    activation : follows each convolution but the last
    edge_kernel : side of the kernels of the first and the last convolution, which have the most
        positions, 1 or 3
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
        kinds: Sequence[LayerKind] = (),
        activation: Activation = "leaky",
        edge_kernel: int = 3,
    ) -> None:
        super().__init__()
        kinds = kinds or ["plain"] * len(widths)
        self.head = make_conv(in_channels, widths[0], edge_kernel)
        self.down = nn.ModuleList(
            make_layers(width, kind, count)
            for width, kind, count in zip(widths, kinds, down, strict=True)
        )
        self.downsample = nn.ModuleList(
            make_conv(fine, coarse, stride=2) for fine, coarse in pairwise(widths)
        )
        self.upsample = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(
            make_layers(width, kind, count)
            for width, kind, count in zip(widths[:-1], kinds[:-1], up, strict=True)
        )
        self.tail = make_conv(widths[0], out_channels, edge_kernel)
        self.reset_parameters()
        self.activate = _ACTIVATIONS[activation]
        self.cell = cell
        self.widths = tuple(widths)
        self.num_sliders = len(sliders)
        self.thumbnail_size = THUMBNAIL_SIZE if global_context else 0
        # Sliders modulate both lists of layers, the thumbnail only the first one.
        self.conv_layers = [
            conv
            for conv, _ in self.conv_levels()
            if conv.kernel_size == (3, 3) or conv in (self.head, self.tail)
        ]
        self.context_layers: list[nn.Conv2d] = []
        if global_context:
            # This U-Net is small, because its weights add to the size of the model file.
            self.global_context = UNetBackbone(
                in_channels=COLOURS * _CONTEXT_CELL**2,
                out_channels=widths[-1],
                cell=_CONTEXT_CELL,
                widths=(24, 32, 40),
                down=(0, 1, 1),
                up=(1, 1),
            )
            self.context_layers = self.global_context.conv_layers
            self.thumbnail_encoder = ThumbnailEncoder(self.conv_layers)
        if sliders:
            self.conditioning = ParamConditioning(sliders, self.conv_layers, self.context_layers)

    def reset_parameters(self) -> None:
        """Set the weights of an untrained network, those of its layers aside."""
        nn.init.zeros_(self.tail.weight)

    def forward_cells(self, x: Tensor, *context: Tensor) -> Tensor:
        """Run the modulated convolutions, (N, in_channels, h, w) -> (N, out_channels, h, w).

        Parameters
        ----------
        context : the inputs after the image and the guide, see `Network.context_inputs`
        """
        names = [name for name in self.context_inputs if name != "guide"]
        inputs = dict(zip(names, context, strict=True))
        by_params: dict[nn.Conv2d, tuple[Tensor, Tensor, Tensor | None]] = {}
        by_thumbnail: dict[nn.Conv2d, tuple[Tensor, Tensor]] = {}
        if self.num_sliders:
            layers = (*self.conv_layers, *self.context_layers)
            by_params = dict(zip(layers, self.conditioning(inputs["params"]), strict=True))
        if self.thumbnail_size:
            films = self.thumbnail_encoder(inputs["thumbnail"])
            by_thumbnail = dict(zip(self.conv_layers, films, strict=True))

        def conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
            y: Tensor = layer(x, by_params.get(layer), by_thumbnail.get(layer))
            return y

        def sample_context() -> Tensor:
            cells = F.pixel_unshuffle(inputs["thumbnail"], _CONTEXT_CELL)
            features = self.global_context.forward_features(cells, conv)
            coords = inputs["coords"]
            return F.grid_sample(features, coords, padding_mode="border", align_corners=False)

        return self.forward_features(x, conv, sample_context if self.thumbnail_size else None)

    def forward_features(
        self, x: Tensor, conv: _Conv, sample_context: Callable[[], Tensor] | None = None
    ) -> Tensor:
        """Run the convolutions, each by calling `conv`.

        Parameters
        ----------
        sample_context : returns global features that are added at the deepest level
        """
        x = conv(self.head, x)
        skips = []
        for level, layers in enumerate(layers_by_level(self.down)):
            if level:
                x = conv(cast(nn.Conv2d, self.downsample[level - 1]), x)
            if sample_context and level == len(self.widths) - 1:
                x = x + sample_context()
            x = self.activate(x)
            for layer in layers:
                x = self.activate(conv(layer, x))
            skips.append(x)
        skips.pop()
        for level, layers in reversed(list(enumerate(layers_by_level(self.up)))):
            x = F.interpolate(self.upsample[level](x), scale_factor=2.0, mode="nearest")
            x = self.activate(x + skips.pop())
            for layer in layers:
                x = self.activate(conv(layer, x))
        return conv(self.tail, x)

    def source_cells(self, pixel: int) -> tuple[int, int]:
        """Return the first and last cell of the result that an output pixel depends on."""
        return pixel // self.cell, pixel // self.cell

    @property
    def size_multiple(self) -> int:  # type: ignore[override]
        return self.cell << (len(self.widths) - 1)

    @property
    def halo(self) -> int:  # type: ignore[override]
        halo = 0
        for pixel in range(self.size_multiple):
            first, last = self._input_cells(*self.source_cells(pixel))
            halo = max(halo, pixel - self.cell * first, self.cell * (last + 1) - 1 - pixel)
        return halo

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        macs = [self.per_pixel(weight_count(conv), level) for conv, level in self.conv_levels()]
        if self.thumbnail_size:
            channels = self.global_context.tail.out_channels
            macs.append(GRID_SAMPLE_MACS * self.per_pixel(channels, len(self.widths) - 1))
        return ceil(sum(macs, Fraction(0)))

    def per_pixel(self, channels: int, level: int = 0) -> Fraction:
        """Return the number of values per pixel of so many channels at a level."""
        return Fraction(channels, (self.cell << level) ** 2)

    def peak_activations(self) -> Fraction:
        """Return the most values in memory per pixel: input and output of a layer, and skips."""
        x, peaks = self.per_pixel(self.head.in_channels), []
        skips: list[Fraction] = []

        def run(layer: nn.Conv2d, level: int) -> Fraction:
            source, y = x, self.per_pixel(layer.out_channels, level)
            if isinstance(layer, SeparableConv2d):
                source = self.per_pixel(layer.in_channels, level)
                peaks.append(sum(skips) + x + source)
            peaks.append(sum(skips) + source + y)
            return y

        x = run(self.head, 0)
        for level, layers in enumerate(layers_by_level(self.down)):
            if level:
                skips.append(x)
                x = Fraction(0)  # it is among the skips
                x = run(cast(nn.Conv2d, self.downsample[level - 1]), level)
            if self.thumbnail_size and level == len(self.widths) - 1:
                peaks.append(sum(skips) + 2 * x)
            for layer in layers:
                x = run(layer, level)
        for level, layers in reversed(list(enumerate(layers_by_level(self.up)))):
            x = run(cast(nn.Conv2d, self.upsample[level]), level + 1)
            enlarged = 4 * x
            peaks.append(sum(skips) + x + enlarged)
            skips.pop()
            x = enlarged
            for layer in layers:
                x = run(layer, level)
        run(self.tail, 0)
        return max(peaks)

    def _input_cells(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and last input cell that a range of output cells depends on."""
        first, last = first - reach([self.tail]), last + reach([self.tail])
        for layers in layers_by_level(self.up):
            first, last = (first - reach(layers)) // 2, (last + reach(layers)) // 2
        for level, layers in reversed(list(enumerate(layers_by_level(self.down)))):
            first, last = first - reach(layers), last + reach(layers)
            if level:  # downsample
                first, last = 2 * first - 1, 2 * last + 1
        return first - reach([self.head]), last + reach([self.head])

    def conv_levels(self) -> list[tuple[nn.Conv2d, int]]:
        """Return every convolution with its level, in the order in which they run."""
        conv_levels = [(self.head, 0)]
        for level, layers in enumerate(layers_by_level(self.down)):
            if level:
                conv_levels.append((cast(nn.Conv2d, self.downsample[level - 1]), level))
            conv_levels += [(layer, level) for layer in layers]
        for level, layers in reversed(list(enumerate(layers_by_level(self.up)))):
            conv_levels.append((cast(nn.Conv2d, self.upsample[level]), level + 1))
            conv_levels += [(layer, level) for layer in layers]
        return [*conv_levels, (self.tail, 0)]


class UNet(UNetBackbone):
    """A U-Net that computes a gain and an offset for each value of the image.

    Parameters
    ----------
    factor : side of the blocks that become channels, px
    widths, down, up, sliders, global_context : see `UNetBackbone`
    guided : see `Network`
    grey : each output pixel is grey, the mean of its three colours
    guide_gain : a guided network has a gain for the guide, too. The first ones had none
    gain : without it, the network computes an offset only
    kinds, activation, edge_kernel : see `UNetBackbone`

    Shape: see `Network`

    Examples
    --------
    >>> network = UNet(widths=(16, 32), down=(1, 2), up=(1,))
    >>> network.size_multiple, network.halo, network.macs_per_pixel
    (4, 21, 3920)
    """

    mean: Tensor

    def __init__(
        self,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        factor: int = 2,
        sliders: Sequence[Param] = (),
        global_context: bool = False,
        guided: bool = False,
        grey: bool = False,
        guide_gain: bool = True,
        gain: bool = True,
        kinds: Sequence[LayerKind] = (),
        activation: Activation = "leaky",
        edge_kernel: int = 3,
    ) -> None:
        block_channels = COLOURS * factor**2
        guide_gain = guided and guide_gain and gain
        super().__init__(
            block_channels * (1 + guided),
            block_channels * (1 + gain + guide_gain),
            factor,
            widths,
            down,
            up,
            sliders,
            global_context,
            kinds,
            activation,
            edge_kernel,
        )
        self.guided = guided
        self.gain = gain
        self.guide_gain = guide_gain
        self.grey = grey
        # The kernel that averages the colours of each pixel in a block. After depth to space it
        # would need fewer multiply-adds, but more time, because of the full resolution.
        mean = torch.full((COLOURS, COLOURS), 1 / COLOURS).kron(torch.eye(factor**2))
        self.register_buffer("mean", mean[:, :, None, None], persistent=False)

    def forward(self, image: Tensor, *context: Tensor) -> Tensor:
        x = output = blocks = F.pixel_unshuffle(image, self.cell)
        images = [blocks]
        if self.guided:
            output = F.pixel_unshuffle(context[0], self.cell)
            images, context = [blocks, output], context[1:]
            x = torch.cat(images, dim=1)
        offset = self.forward_cells(x, *context)
        if self.gain:
            gain, offset, *guide_gain = offset.chunk(2 + self.guide_gain, dim=1)
            for source, factor in zip(images, [gain, *guide_gain], strict=False):
                output = output + source * factor
        output = output + offset
        if self.grey:
            output = F.conv2d(output, self.mean)
        return F.pixel_shuffle(output, self.cell)

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        return super().macs_per_pixel + (COLOURS**2 * self.cell**2 if self.grey else 0)

    @property
    def peak_activations_per_pixel(self) -> int:  # type: ignore[override]
        # The blocks are kept during the convolutions, and for the split into gains and offset.
        blocks, outputs = COLOURS * (1 + self.guided), COLOURS * (2 + self.guide_gain)
        if not self.gain:  # only the image that the offset is added to is kept
            joined = 2 * blocks if self.guided else 0
            return ceil(max(Fraction(joined), COLOURS + self.peak_activations()))
        return ceil(blocks + max(self.peak_activations(), Fraction(2 * outputs)))
