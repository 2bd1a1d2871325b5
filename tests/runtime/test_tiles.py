import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.errors import UsageError
from burnish.runtime.pixel_layout import pack, unpack
from burnish.runtime.tiles import TileGrid, clip_to_image, core_offset, plan_tiles

frames = st.builds(
    TileGrid,
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    halo=st.integers(0, 20),
    size_multiple=st.sampled_from([1, 2, 4, 8]),
)


def brute_force(frame: TileGrid, pixels: np.ndarray) -> np.ndarray:
    """The largest value within the halo of each pixel's block, over the continued picture."""
    below, right = frame.padded_height - frame.height, frame.padded_width - frame.width
    full = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
    return local_maximum(full, frame)[: frame.height, : frame.width]


def local_maximum(full: np.ndarray, frame: TileGrid) -> np.ndarray:
    result = np.empty_like(full)
    step, halo = frame.size_multiple, frame.halo
    for top in range(0, full.shape[0], step):
        for left in range(0, full.shape[1], step):
            near = full[
                max(0, top - halo) : top + step + halo, max(0, left - halo) : left + step + halo
            ]
            result[top : top + step, left : left + step] = near.max(axis=(0, 1))
    return result


def run(
    frame: TileGrid, pixels: np.ndarray, limit: int, seen: TileGrid | None = None
) -> np.ndarray:
    """Run the local maximum in tiles; `seen` is the frame that it really looks at."""
    result = np.full_like(pixels, np.nan)
    for tile in plan_tiles(frame, limit):
        part = pixels[clip_to_image(frame, tile.padded).slices]
        image = pack(part, tile.padded.size)[0].transpose(1, 2, 0)
        made = local_maximum(image, seen or frame).transpose(2, 0, 1)[np.newaxis]
        inside = clip_to_image(frame, tile.core)
        unpack(made, 1, result[inside.slices], *core_offset(tile))
    return result


@settings(deadline=None, max_examples=60)
@given(frame=frames, extra=st.integers(0, 4000), seed=st.integers(0, 9))
def test_tiles_together_are_the_whole(frame: TileGrid, extra: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((frame.height, frame.width, 3), dtype=np.float32)
    result = run(frame, pixels, frame.min_pixels + extra)
    np.testing.assert_array_equal(result, brute_force(frame, pixels))


@settings(deadline=None, max_examples=200)
@given(frame=frames, extra=st.integers(0, 4000))
def test_plan_covers_each_pixel_once_within_the_limit(frame: TileGrid, extra: int) -> None:
    limit = frame.min_pixels + extra
    covered = np.zeros((frame.padded_height, frame.padded_width), int)
    for tile in plan_tiles(frame, limit):
        inside, source = tile.core, tile.padded
        covered[inside.top : inside.bottom, inside.left : inside.right] += 1
        assert source.area <= limit
        for edge in (source.top, source.bottom, source.left, source.right):
            assert edge % frame.size_multiple == 0
        for near, far, end in (
            (source.top, source.bottom, frame.padded_height),
            (source.left, source.right, frame.padded_width),
        ):
            assert 0 <= near < far <= end
    assert (covered == 1).all()


@settings(deadline=None, max_examples=100)
@given(frame=frames, extra=st.integers(0, 4000), data=st.data())
def test_plan_goes_on_below_finished_rows(frame: TileGrid, extra: int, data: st.DataObject) -> None:
    blocks = frame.padded_height // frame.size_multiple
    top = frame.size_multiple * data.draw(st.integers(0, blocks - 1))
    limit = frame.min_pixels + extra
    tiles = plan_tiles(frame, limit, top)
    assert min(tile.core.top for tile in tiles) == top
    assert sum(tile.core.area for tile in tiles) == frame.padded_width * (frame.padded_height - top)
    assert max(tile.padded.area for tile in tiles) <= limit


def test_one_pixel_less_of_halo_is_not_exact() -> None:
    pixels = np.random.default_rng(0).random((60, 70, 3), dtype=np.float32)
    right, short = TileGrid(60, 70, 5, 1), TileGrid(60, 70, 4, 1)
    whole = brute_force(right, pixels)
    np.testing.assert_array_equal(run(right, pixels, 900, seen=right), whole)
    assert (run(short, pixels, 900, seen=right) != whole).any()


def test_picture_within_the_limit_is_one_tile() -> None:
    (tile,) = plan_tiles(TileGrid(40, 50, 128, 1), 2000)
    assert tile.core == tile.padded
    assert tile.padded.area == 2000


def test_large_picture_wastes_little() -> None:
    frame = TileGrid(8000, 12000, 128, 1)
    tiles = plan_tiles(frame, 4_000_000)
    assert sum(tile.padded.area for tile in tiles) < 1.35 * 8000 * 12000
    sizes = [tile.core.area for tile in tiles]
    assert min(sizes) > 0.99 * max(sizes)


def test_limit_below_the_smallest_is_refused() -> None:
    frame = TileGrid(1000, 1000, 10, 1)
    assert frame.min_pixels == 900
    with pytest.raises(UsageError, match="at least 900 px, got 899 px; allow more memory"):
        plan_tiles(frame, 899)
