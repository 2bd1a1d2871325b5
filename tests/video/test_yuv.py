"""Samples to colours: the definition of ITU-T H.273 in double precision is the oracle."""

import numpy as np
import pytest

from burnish.video.pixel_format import planar_format
from burnish.video.yuv import LUMA_COEFFICIENTS, YuvConversion, default_matrix


def random_planes(layout, height, width, seed=0):
    random = np.random.default_rng(seed)
    kind = np.uint8 if layout.bits == 8 else np.uint16
    small = -(-height // layout.down), -(-width // layout.across)
    shapes = [(height, width)] + ([small, small] if layout.kind == "yuv" else [])
    return [random.integers(0, layout.top + 1, shape).astype(kind) for shape in shapes]


def defined(y, u, v, matrix, full, bits):
    """RGB of one pixel, from H.273's equations, before it is clipped."""
    red, blue = LUMA_COEFFICIENTS[matrix]
    step = 2 ** (bits - 8)
    if full:
        y, u, v = (
            y / (2**bits - 1),
            (u - 128 * step) / (2**bits - 1),
            (v - 128 * step) / (2**bits - 1),
        )
    else:
        y, u, v = (y / step - 16) / 219, (u / step - 128) / 224, (v / step - 128) / 224
    r = y + 2 * (1 - red) * v
    b = y + 2 * (1 - blue) * u
    return np.array([r, (y - red * r - blue * b) / (1 - red - blue), b])


@pytest.mark.parametrize("matrix", LUMA_COEFFICIENTS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("format", ["yuv444p", "yuv444p10le", "yuv444p12le"])
def test_pixels_are_what_the_definition_says(matrix, full, format):
    layout = planar_format(format)
    planes = random_planes(layout, 5, 7)
    pixels = YuvConversion(layout, matrix, full).to_pixels(planes)
    for row in range(5):
        for column in range(7):
            y, u, v = (float(plane[row, column]) for plane in planes)
            wanted = np.clip(defined(y, u, v, matrix, full, layout.bits), 0, 1)
            assert pixels[row, column] == pytest.approx(wanted, abs=2e-6)


def chroma_at(plane, row, column, across, down):
    """Chroma at a pixel, by linear interpolation between samples whose places are written out."""
    x = column / across  # at the left of two pixels
    y = (row + 0.5) / down - 0.5  # between two rows
    total = weight = 0.0
    for j in range(plane.shape[0]):
        for i in range(plane.shape[1]):
            near_y = np.clip(y, 0, plane.shape[0] - 1)
            near_x = np.clip(x, 0, plane.shape[1] - 1)
            share = max(0, 1 - abs(near_y - j)) * max(0, 1 - abs(near_x - i))
            total, weight = total + share * float(plane[j, i]), weight + share
    return total / weight


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv440p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1), (2, 1)])
def test_shared_chroma_is_interpolated_between_the_places_where_it_lies(format, size):
    layout = planar_format(format)
    planes = random_planes(layout, *size)
    pixels = YuvConversion(layout, 1, full_range=True).to_pixels(planes)
    for row in range(size[0]):
        for column in range(size[1]):
            u, v = (
                chroma_at(p, row, column, layout.chroma_subsampling_x, layout.chroma_subsampling_y)
                for p in planes[1:]
            )
            y = float(planes[0][row, column])
            wanted = np.clip(defined(y, u, v, 1, True, layout.bits), 0, 1)
            assert pixels[row, column] == pytest.approx(wanted, abs=4e-6)


def test_chroma_is_averaged_over_the_pixels_that_share_it():
    layout = planar_format("yuv420p")
    random = np.random.default_rng(0)
    pixels = random.uniform(0.3, 0.7, (6, 8, 3)).astype(np.float32)
    luma, blue, _ = YuvConversion(layout, 6, full_range=False).to_planes(pixels)
    exact = pixels.astype(float) @ [0.299, 0.587, 0.114]
    assert (luma == np.rint(16 + 219 * exact)).all()
    difference = (pixels[..., 2] - exact) / (2 * (1 - 0.114))
    # 1 2 1 across, on the left of two pixels; 1 1 down.
    for row in range(3):
        for column in range(4):
            rows = difference[2 * row : 2 * row + 2].mean(axis=0)
            at = 2 * column
            mean = (rows[max(at - 1, 0)] + 2 * rows[at] + rows[at + 1]) / 4
            assert blue[row, column] == np.rint(128 + 224 * mean)


@pytest.mark.parametrize(
    "format", ["yuv444p", "yuv444p10le", "gbrp", "gbrp10le", "gray", "gray10le"]
)
@pytest.mark.parametrize("full", [False, True])
def test_what_can_be_shown_comes_back_sample_for_sample(format, full):
    layout = planar_format(format)
    random = np.random.default_rng(1)
    kind = np.uint8 if layout.bits == 8 else np.uint16
    scale = 2 ** (layout.bits - 8)
    count = 1 if layout.kind == "gray" else 3
    planes = [random.integers(110, 146, (9, 11)).astype(kind) * kind(scale) for _ in range(count)]
    conversion = YuvConversion(layout, 1, full)
    back = conversion.to_planes(conversion.to_pixels(planes))
    assert all((a == b).all() for a, b in zip(planes, back, strict=True))


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv420p10le", "yuv440p"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_smooth_chroma_comes_back_nearly(format, full, size):
    layout = planar_format(format)
    step = 2 ** (layout.bits - 8)
    kind = np.uint8 if layout.bits == 8 else np.uint16
    y, x = np.mgrid[
        : -(-size[0] // layout.chroma_subsampling_y), : -(-size[1] // layout.chroma_subsampling_x)
    ]
    chroma = [np.rint(step * (128 + 20 * np.sin(x / 6 + c + y / 7))).astype(kind) for c in (0, 1)]
    random = np.random.default_rng(2)
    luma = random.integers(100 * step, 150 * step, size).astype(kind)
    conversion = YuvConversion(layout, 1, full)
    back = conversion.to_planes(conversion.to_pixels([luma, *chroma]))
    assert (back[0] == luma).all()
    for before, after in zip(chroma, back[1:], strict=True):
        assert np.abs(before.astype(int) - after).max() <= 1 * step


def test_equal_chroma_is_no_different_at_the_borders():
    layout = planar_format("yuv420p")
    planes = [np.full((5, 7), 120, np.uint8), *(np.full((3, 4), n, np.uint8) for n in (90, 140))]
    conversion = YuvConversion(layout, 1, full_range=False)
    pixels = conversion.to_pixels(planes)
    assert (pixels == pixels[0, 0]).all()
    assert all((a == b).all() for a, b in zip(planes, conversion.to_planes(pixels), strict=True))


def test_black_and_white_are_the_ends():
    layout = planar_format("yuv420p")
    for full, black, white in ((False, 16, 235), (True, 0, 255)):
        for luma, value in ((black, 0), (white, 1)):
            planes = [np.full((2, 2), luma, np.uint8), *(np.full((1, 1), 128, np.uint8),) * 2]
            assert YuvConversion(layout, 1, full).to_pixels(planes) == pytest.approx(
                value, abs=1e-6
            )


def test_a_film_that_says_nothing_is_taken_as_players_take_it():
    assert [
        default_matrix(w, h) for w, h in ((640, 480), (720, 576), (1280, 536), (1920, 1080))
    ] == [*(6, 6, 1, 1)]
