"""Tiles put together equal the whole, and pixels in planes equal torch's rearrangement."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.runtime.tiles import TileGrid, pack, plan_tiles, unpack

grids = st.builds(
    TileGrid,
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    halo=st.integers(0, 20),
    size_multiple=st.sampled_from([1, 2, 4, 8]),
)


def whole_maximum(grid: TileGrid, pixels: np.ndarray) -> np.ndarray:
    """Return the maximum within the halo of each pixel's block, over the padded image."""
    below, right = grid.padded_height - grid.height, grid.padded_width - grid.width
    padded = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
    return local_maximum(padded, grid)[: grid.height, : grid.width]


def local_maximum(pixels: np.ndarray, grid: TileGrid) -> np.ndarray:
    output = np.empty_like(pixels)
    block, halo = grid.size_multiple, grid.halo
    for top in range(0, pixels.shape[0], block):
        for left in range(0, pixels.shape[1], block):
            neighbourhood = pixels[
                max(0, top - halo) : top + block + halo, max(0, left - halo) : left + block + halo
            ]
            output[top : top + block, left : left + block] = neighbourhood.max(axis=(0, 1))
    return output


def tiled_maximum(
    grid: TileGrid, pixels: np.ndarray, max_pixels: int, filter_grid: TileGrid | None = None
) -> np.ndarray:
    """Compute the local maximum in tiles; its halo is that of `filter_grid` [default: `grid`]."""
    output = np.full_like(pixels, np.nan)
    for tile in plan_tiles(grid, max_pixels):
        source = pixels[grid.clip(tile.padded).slices]
        image = pack(source, tile.padded.size)[0].transpose(1, 2, 0)
        maximum = local_maximum(image, filter_grid or grid).transpose(2, 0, 1)[np.newaxis]
        unpack(maximum, 1, output[grid.clip(tile.core).slices], *tile.core_offset)
    return output


@settings(deadline=None, max_examples=60)
@given(grid=grids, extra=st.integers(0, 4000), seed=st.integers(0, 9))
def test_tiled_output_equals_the_whole(grid: TileGrid, extra: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((grid.height, grid.width, 3), dtype=np.float32)
    output = tiled_maximum(grid, pixels, grid.min_pixels + extra)
    np.testing.assert_array_equal(output, whole_maximum(grid, pixels))


@settings(deadline=None, max_examples=200)
@given(grid=grids, extra=st.integers(0, 4000))
def test_plan_covers_each_pixel_once_within_the_limit(grid: TileGrid, extra: int) -> None:
    max_pixels = grid.min_pixels + extra
    coverage = np.zeros((grid.padded_height, grid.padded_width), int)
    for tile in plan_tiles(grid, max_pixels):
        padded = tile.padded
        coverage[tile.core.slices] += 1
        assert padded.area <= max_pixels
        for edge in (padded.top, padded.bottom, padded.left, padded.right):
            assert edge % grid.size_multiple == 0
        assert 0 <= padded.top < padded.bottom <= grid.padded_height
        assert 0 <= padded.left < padded.right <= grid.padded_width
    assert (coverage == 1).all()


@settings(deadline=None, max_examples=100)
@given(grid=grids, extra=st.integers(0, 4000), data=st.data())
def test_plan_from_a_row_covers_the_rows_below(
    grid: TileGrid, extra: int, data: st.DataObject
) -> None:
    blocks = grid.padded_height // grid.size_multiple
    top = grid.size_multiple * data.draw(st.integers(0, blocks - 1))
    max_pixels = grid.min_pixels + extra
    tiles = plan_tiles(grid, max_pixels, top)
    assert min(tile.core.top for tile in tiles) == top
    area = grid.padded_width * (grid.padded_height - top)
    assert sum(tile.core.area for tile in tiles) == area
    assert max(tile.padded.area for tile in tiles) <= max_pixels


def test_halo_of_one_pixel_less_is_not_exact() -> None:
    pixels = np.random.default_rng(0).random((60, 70, 3), dtype=np.float32)
    exact, too_small = TileGrid(60, 70, 5, 1), TileGrid(60, 70, 4, 1)
    whole = whole_maximum(exact, pixels)
    np.testing.assert_array_equal(tiled_maximum(exact, pixels, 900), whole)
    assert (tiled_maximum(too_small, pixels, 900, filter_grid=exact) != whole).any()


def test_image_within_the_limit_is_one_tile() -> None:
    (tile,) = plan_tiles(TileGrid(40, 50, 128, 1), 2000)
    assert tile.core == tile.padded
    assert tile.padded.area == 2000


def test_large_image_has_little_overhead_and_equal_tiles() -> None:
    tiles = plan_tiles(TileGrid(8000, 12000, 128, 1), 4_000_000)
    assert sum(tile.padded.area for tile in tiles) < 1.35 * 8000 * 12000
    areas = [tile.core.area for tile in tiles]
    assert min(areas) > 0.99 * max(areas)


def test_smallest_tile_has_a_core_as_wide_as_the_halo() -> None:
    grid = TileGrid(1000, 1000, 10, 1)
    assert grid.min_pixels == 900
    assert max(tile.padded.area for tile in plan_tiles(grid, 900)) == 900


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (5, 12), (8, 11), (1, 1)])
def test_pack_equals_edge_padding_and_pixel_unshuffle(size: tuple[int, int], block: int) -> None:
    pixels = np.random.default_rng(0).random((*size, 3), dtype=np.float32)
    planes = pack(pixels, (8, 12), block)
    assert planes.flags.c_contiguous
    padded = np.pad(pixels, ((0, 8 - size[0]), (0, 12 - size[1]), (0, 0)), mode="edge")
    image = torch.from_numpy(padded.transpose(2, 0, 1)[np.newaxis].copy())
    np.testing.assert_array_equal(planes, F.pixel_unshuffle(image, block).numpy())


@pytest.mark.parametrize("block", [1, 2, 4])
def test_unpack_returns_a_part_of_the_packed_pixels(block: int) -> None:
    pixels = np.random.default_rng(1).random((15, 22, 3), dtype=np.float32)
    part = np.full((11, 14, 3), np.nan, np.float32)
    unpack(pack(np.asfortranarray(pixels), (16, 24), block), block, part, top=4, left=8)
    np.testing.assert_array_equal(part, pixels[4:, 8:])
