"""The contract of model files, on networks of three kinds."""

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
from burnish.runtime.session import get_session

RunTiled = Callable[[ModelFile, np.ndarray, int, int], tuple[np.ndarray, int]]


class Dilated(nn.Module):
    """Three dilated convolutions at full resolution."""

    halo, size_multiple, peak_activations_per_pixel = 7, 1, 16
    macs_per_pixel = 27 * 8 + 72 * 8 + 72 * 3

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
    """Two convolutions on blocks of 2 x 2 pixels, added to the image."""

    # The radius is two blocks and the other column of the pixel's own block.
    halo, size_multiple, peak_activations_per_pixel = 5, 2, 7
    macs_per_pixel = 108 * 16 // 4 + 144 * 12 // 4

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(12, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        blocks = functional.pixel_unshuffle(x, 2)
        change = self.second(functional.relu(self.first(blocks)))
        return x + functional.pixel_shuffle(change, 2)


class UShape(nn.Module):
    """Strides down to a quarter, one convolution, upsampling by nearest and by pixel shuffle."""

    # The last convolution may read the next block, which depends on the block after it. Memory
    # peaks at the concatenation of 3 shuffled and 8 upsampled channels.
    halo, size_multiple, peak_activations_per_pixel = 8, 4, 22
    macs_per_pixel = 12 + 8 + 216 + 297

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 2, stride=2)
        self.deeper = nn.Conv2d(4, 8, 2, stride=2)
        self.deep = nn.Conv2d(8, 48, 3, padding=1)
        self.up = nn.Conv2d(11, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        coarse = functional.relu(self.deeper(functional.relu(self.down(x))))
        shuffled = functional.pixel_shuffle(self.deep(coarse), 4)
        nearest = functional.interpolate(coarse, scale_factor=4.0, mode="nearest")
        result: Tensor = self.up(torch.cat([shuffled, nearest], dim=1))
        return x + result


NETWORKS: list[type[nn.Module]] = [Dilated, Blocks, UShape]


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
        peak_activations_per_pixel=network.peak_activations_per_pixel,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        metrics=(),
        training={},
        licence="MIT",
        burnish_version="0.1.0",
    )


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    network: nn.Module = request.param().eval()
    return network


@pytest.fixture(scope="module")
def file(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return read_model(
        export(network, card_of(network), tmp_path_factory.mktemp("models") / "m.onnx")
    )


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(width).random((height, width, 3), dtype=np.float32)


@pytest.mark.parametrize(("height", "width"), [(97, 131), (64, 200), (1, 150), (5, 3), (1, 1)])
@pytest.mark.parametrize("max_pixels", [0, 2000, 5000])
def test_tiled_output_equals_the_whole(
    file: ModelFile, run_tiled: RunTiled, height: int, width: int, max_pixels: int
) -> None:
    pixels = random_image(height, width)
    whole, count = run_tiled(file, pixels, 10**9, file.card.halo)
    tiled, tiled_count = run_tiled(file, pixels, max_pixels, file.card.halo)
    assert count == 1
    assert tiled_count > 1 or height * width <= max(max_pixels, 3 * file.card.halo * height)
    np.testing.assert_array_equal(tiled, whole)


def test_output_equals_torch_s(file: ModelFile, network: nn.Module) -> None:
    pixels = random_image(53, 71)
    below, right = (-length % file.card.size_multiple for length in pixels.shape[:2])
    padded = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge").transpose(2, 0, 1)
    with torch.no_grad():
        expected = network(torch.from_numpy(padded.copy())[None])[0].numpy().transpose(1, 2, 0)
    model = Model(file, "cpu", threads=1)
    for memory in (2**30, 2**18):
        output = model(pixels, memory=memory)
        np.testing.assert_allclose(output, expected[:53, :71].clip(0, 1), atol=1e-5)


def test_tiles_with_a_smaller_halo_differ_from_the_whole(
    file: ModelFile, run_tiled: RunTiled, insufficient_halo: Callable[[Card], int]
) -> None:
    pixels = random_image(97, 131)
    whole, _ = run_tiled(file, pixels, 10**9, file.card.halo)
    tiled, count = run_tiled(file, pixels, 2000, insufficient_halo(file.card))
    assert count > 1
    assert (tiled != whole).any()


def test_halo_is_the_largest_distance_at_which_a_pixel_has_an_effect(file: ModelFile) -> None:
    """One pixel is changed at a time, at each position in a block."""
    halo, block = file.card.halo, file.card.size_multiple
    side = block * (2 * (halo // block + 3) + 1)
    pixels = random_image(side, side)
    session = get_session(file, "cpu", 1)

    def run(pixels: np.ndarray) -> np.ndarray:
        out = np.empty((side, side, 3), np.float32)
        session.run({"image": session.pack(pixels, (side, side))}, (side, side), out)
        return out

    before = run(pixels)
    distance = 0
    for row in range(side // 2 - block, side // 2 + block):
        changed = pixels.copy()
        changed[row, side // 2] += 5
        affected = np.argwhere((run(changed) != before).any(axis=2))
        distance = max(distance, int(np.abs(affected - [row, side // 2]).max()))
    assert distance == halo


def test_macs_equal_those_counted_by_torch(file: ModelFile, network: nn.Module) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    assert file.card.macs_per_pixel == counter.get_total_flops() / 2 / 64**2
