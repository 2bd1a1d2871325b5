"""What every model file promises, held against networks of three kinds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from burnish.export.onnx_export import export
from burnish.modelfile.card import Card
from burnish.modelfile.reader import ModelFile, read_model
from burnish.runtime.model import Model
from burnish.runtime.session_cache import get_session

InTiles = Callable[[ModelFile, np.ndarray, int, int], tuple[np.ndarray, int]]


class Dilated(nn.Module):
    """Three dilated convolutions at full resolution."""

    halo, multiple, macs_per_pixel, activations_per_pixel = 7, 1, 27 * 8 + 72 * 8 + 72 * 3, 16

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=d, dilation=d)
            for i, o, d in ((3, 8, 1), (8, 8, 2), (8, 3, 4))
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = functional.leaky_relu(layer(x), 0.2)
        result: Tensor = self.layers[-1](x)
        return result


class Blocks(nn.Module):
    """Two convolutions on two-by-two blocks, added to the picture."""

    # A pixel sees two blocks to each side, and its own block's other column.
    halo, multiple, macs_per_pixel, activations_per_pixel = 5, 2, 108 * 16 // 4 + 144 * 12 // 4, 7

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(12, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        blocks = functional.pixel_unshuffle(x, 2)
        change = self.second(functional.relu(self.first(blocks)))
        return x + functional.pixel_shuffle(change, 2)


class Ushape(nn.Module):
    """Down by four with strides, one convolution there, up by the nearest and by shuffling."""

    # The last convolution's neighbour may lie in the next block, and that sees the block after.
    # Most is alive where 3 shuffled and 8 enlarged channels are put together.
    halo, multiple, macs_per_pixel, activations_per_pixel = 8, 4, 12 + 8 + 216 + 297, 22

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 2, stride=2)
        self.deeper = nn.Conv2d(4, 8, 2, stride=2)
        self.there = nn.Conv2d(8, 48, 3, padding=1)
        self.up = nn.Conv2d(11, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        deep = functional.relu(self.deeper(functional.relu(self.down(x))))
        fine = functional.pixel_shuffle(self.there(deep), 4)
        coarse = functional.interpolate(deep, scale_factor=4.0, mode="nearest")
        result: Tensor = self.up(torch.cat([fine, coarse], dim=1))
        return x + result


KINDS: list[type[nn.Module]] = [Dilated, Blocks, Ushape]


def card_of(network: nn.Module) -> Card:
    return Card(
        name=type(network).__name__.lower(),
        operator="python:none:none",
        title="Nothing in particular",
        paper=None,
        params=(),
        network=type(network).__name__.lower(),
        halo=network.halo,
        size_multiple=network.size_multiple,
        macs_per_pixel=network.macs_per_pixel,
        peak_activations_per_pixel=network.activations_per_pixel,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        metrics=(),
        training={},
        licence="MIT",
        burnish_version="0.1.0",
    )


@pytest.fixture(scope="module", params=KINDS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    made: nn.Module = request.param().eval()
    return made


@pytest.fixture(scope="module")
def file(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return read_model(
        export(network, card_of(network), tmp_path_factory.mktemp("models") / "m.onnx")
    )


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(width).random((height, width, 3), dtype=np.float32)


@pytest.mark.parametrize(("height", "width"), [(97, 131), (64, 200), (1, 150), (5, 3), (1, 1)])
@pytest.mark.parametrize("limit", [0, 2000, 5000])
def test_tiled_is_the_whole(
    file: ModelFile, in_tiles: InTiles, height: int, width: int, limit: int
) -> None:
    pixels = picture(height, width)
    whole, one = in_tiles(file, pixels, 10**9, file.card.halo)
    tiled, several = in_tiles(file, pixels, limit, file.card.halo)
    assert one == 1
    assert several > 1 or height * width <= max(limit, 3 * file.card.halo * height)
    np.testing.assert_array_equal(tiled, whole)


def test_model_gives_what_torch_gives(file: ModelFile, network: nn.Module) -> None:
    pixels = picture(53, 71)
    below, right = (-length % file.card.size_multiple for length in pixels.shape[:2])
    full = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge").transpose(2, 0, 1)
    with torch.no_grad():
        expected = network(torch.from_numpy(full.copy())[None])[0].numpy().transpose(1, 2, 0)
    model = Model(file, "cpu", threads=1)
    for memory in (2**30, 2**18):
        result = model(pixels, memory=memory)
        np.testing.assert_allclose(result, expected[:53, :71].clip(0, 1), atol=1e-5)


def test_less_halo_is_not_the_whole(
    file: ModelFile, in_tiles: InTiles, short: Callable[[Card], int]
) -> None:
    pixels = picture(97, 131)
    whole, _ = in_tiles(file, pixels, 10**9, file.card.halo)
    tiled, several = in_tiles(file, pixels, 2000, short(file.card))
    assert several > 1
    assert (tiled != whole).any()


def test_nothing_beyond_the_halo_matters_and_something_at_it_does(file: ModelFile) -> None:
    """By changing one pixel at a time, at each distance, for each place in a block."""
    halo, step = file.card.halo, file.card.size_multiple
    side = step * (2 * (halo // step + 3) + 1)
    pixels = picture(side, side)
    started = get_session(file, "cpu", 1)

    def run(pixels: np.ndarray) -> np.ndarray:
        out = np.empty((side, side, 3), np.float32)
        started.run(pixels, (side, side), out)
        return out

    before = run(pixels)
    seen = 0
    for row in range(side // 2 - step, side // 2 + step):
        changed = pixels.copy()
        changed[row, side // 2] += 5
        moved = np.argwhere((run(changed) != before).any(axis=2))
        seen = max(seen, int(np.abs(moved - [row, side // 2]).max()))
    assert seen == halo


def test_multiply_adds_are_what_torch_counts(file: ModelFile, network: nn.Module) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    assert file.card.macs_per_pixel == counter.get_total_flops() / 2 / 64**2
