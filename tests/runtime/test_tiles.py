import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.errors import UsageError
from burnish.runtime.pixel_layout import lay_in, lay_out
from burnish.runtime.tiles import Frame, corner, plan, within

frames = st.builds(
    Frame,
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    halo=st.integers(0, 20),
    multiple=st.sampled_from([1, 2, 4, 8]),
)


def brute_force(frame: Frame, pixels: np.ndarray) -> np.ndarray:
    """The largest value within the halo of each pixel's block, over the continued picture."""
    below, right = frame.full_height - frame.height, frame.full_width - frame.width
    full = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
    return local_maximum(full, frame)[: frame.height, : frame.width]


def local_maximum(full: np.ndarray, frame: Frame) -> np.ndarray:
    result = np.empty_like(full)
    step, halo = frame.multiple, frame.halo
    for top in range(0, full.shape[0], step):
        for left in range(0, full.shape[1], step):
            near = full[
                max(0, top - halo) : top + step + halo, max(0, left - halo) : left + step + halo
            ]
            result[top : top + step, left : left + step] = near.max(axis=(0, 1))
    return result


def run(frame: Frame, pixels: np.ndarray, limit: int, seen: Frame | None = None) -> np.ndarray:
    """Run the local maximum in tiles; `seen` is the frame that it really looks at."""
    result = np.full_like(pixels, np.nan)
    for tile in plan(frame, limit):
        part = pixels[within(frame, tile.source).inside]
        image = lay_in(part, tile.source.size)[0].transpose(1, 2, 0)
        made = local_maximum(image, seen or frame).transpose(2, 0, 1)[np.newaxis]
        inside = within(frame, tile.interior)
        lay_out(made, 1, result[inside.inside], *corner(tile))
    return result


@settings(deadline=None, max_examples=60)
@given(frame=frames, extra=st.integers(0, 4000), seed=st.integers(0, 9))
def test_tiles_together_are_the_whole(frame: Frame, extra: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((frame.height, frame.width, 3), dtype=np.float32)
    result = run(frame, pixels, frame.smallest + extra)
    np.testing.assert_array_equal(result, brute_force(frame, pixels))


@settings(deadline=None, max_examples=200)
@given(frame=frames, extra=st.integers(0, 4000))
def test_plan_covers_each_pixel_once_within_the_limit(frame: Frame, extra: int) -> None:
    limit = frame.smallest + extra
    covered = np.zeros((frame.full_height, frame.full_width), int)
    for tile in plan(frame, limit):
        inside, source = tile.interior, tile.source
        covered[inside.top : inside.bottom, inside.left : inside.right] += 1
        assert source.area <= limit
        for edge in (source.top, source.bottom, source.left, source.right):
            assert edge % frame.multiple == 0
        for near, far, end in (
            (source.top, source.bottom, frame.full_height),
            (source.left, source.right, frame.full_width),
        ):
            assert 0 <= near < far <= end
    assert (covered == 1).all()


@settings(deadline=None, max_examples=100)
@given(frame=frames, extra=st.integers(0, 4000), data=st.data())
def test_plan_goes_on_below_finished_rows(frame: Frame, extra: int, data: st.DataObject) -> None:
    blocks = frame.full_height // frame.multiple
    top = frame.multiple * data.draw(st.integers(0, blocks - 1))
    limit = frame.smallest + extra
    tiles = plan(frame, limit, top)
    assert min(tile.interior.top for tile in tiles) == top
    assert sum(tile.interior.area for tile in tiles) == frame.full_width * (frame.full_height - top)
    assert max(tile.source.area for tile in tiles) <= limit


def test_one_pixel_less_of_halo_is_not_exact() -> None:
    pixels = np.random.default_rng(0).random((60, 70, 3), dtype=np.float32)
    right, short = Frame(60, 70, 5, 1), Frame(60, 70, 4, 1)
    whole = brute_force(right, pixels)
    np.testing.assert_array_equal(run(right, pixels, 900, seen=right), whole)
    assert (run(short, pixels, 900, seen=right) != whole).any()


def test_picture_within_the_limit_is_one_tile() -> None:
    (tile,) = plan(Frame(40, 50, 128, 1), 2000)
    assert tile.interior == tile.source
    assert tile.source.area == 2000


def test_large_picture_wastes_little() -> None:
    frame = Frame(8000, 12000, 128, 1)
    tiles = plan(frame, 4_000_000)
    assert sum(tile.source.area for tile in tiles) < 1.35 * 8000 * 12000
    sizes = [tile.interior.area for tile in tiles]
    assert min(sizes) > 0.99 * max(sizes)


def test_limit_below_the_smallest_is_refused() -> None:
    frame = Frame(1000, 1000, 10, 1)
    assert frame.smallest == 900
    with pytest.raises(UsageError, match="at least 900 px, got 899 px; allow more memory"):
        plan(frame, 899)
