"""Pixel formats against FFmpeg's, and conversions against ITU-T H.273 in double precision."""

import numpy as np
import pytest

from burnish.video.yuv import LUMA_COEFFICIENTS, YuvConversion, default_matrix, planar_format

av = pytest.importorskip("av", reason="PyAV is not installed")

PLANAR = [
    *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuvj420p", "yuvj422p", "yuvj444p"),
    *("yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv444p16le", "yuv420p9le"),
    *("gray", "gray10le", "gray12le", "gbrp", "gbrp10le", "gbrp12le", "gbrp16le"),
]


@pytest.mark.parametrize("name", PLANAR)
def test_planar_format_has_the_properties_of_ffmpeg(name):
    pixel_format = planar_format(name)
    expected = av.VideoFormat(name, 64, 32)
    assert pixel_format.bits == expected.components[0].bits
    assert len(expected.components) == (1 if pixel_format.kind == "gray" else 3)
    assert (pixel_format.kind == "gbr") == expected.is_rgb
    assert expected.is_rgb or all(c.plane == n for n, c in enumerate(expected.components))
    if pixel_format.kind == "yuv":
        assert 64 // pixel_format.chroma_subsampling_x == expected.chroma_width()
        assert 32 // pixel_format.chroma_subsampling_y == expected.chroma_height()


@pytest.mark.parametrize("name", ["nv12", "nv21", "p010le", "yuyv422", "rgb24", "bgr0", "rgb48le"])
def test_planar_format_of_packed_format_keeps_depth_and_chroma(name):
    pixel_format = planar_format(name)
    packed, planar = av.VideoFormat(name, 64, 32), av.VideoFormat(pixel_format.name, 64, 32)
    assert pixel_format.bits == packed.components[0].bits == planar.components[0].bits
    if not packed.is_rgb:
        assert packed.chroma_width() == planar.chroma_width()
        assert packed.chroma_height() == planar.chroma_height()


@pytest.mark.parametrize(
    "name", ["yuva420p", "gbrap", "rgba", "pal8", "yuv411p", "yuv410p", "gray10be"]
)
def test_planar_format_of_unsupported_format_is_none(name):
    assert planar_format(name) is None


def random_planes(pixel_format, height, width, seed=0):
    random = np.random.default_rng(seed)
    dtype = np.uint8 if pixel_format.bits == 8 else np.uint16
    chroma_shape = (
        -(-height // pixel_format.chroma_subsampling_y),
        -(-width // pixel_format.chroma_subsampling_x),
    )
    shapes = [(height, width)]
    shapes += [chroma_shape, chroma_shape] if pixel_format.kind == "yuv" else []
    max_code = pixel_format.max_code
    return [random.integers(0, max_code + 1, shape).astype(dtype) for shape in shapes]


def reference_rgb(y, u, v, matrix, full_range, bits):
    """RGB of one pixel by the equations of H.273, before clipping."""
    kr, kb = LUMA_COEFFICIENTS[matrix]
    step = 2 ** (bits - 8)
    if full_range:
        max_code = 2**bits - 1
        y, u, v = y / max_code, (u - 128 * step) / max_code, (v - 128 * step) / max_code
    else:
        y, u, v = (y / step - 16) / 219, (u / step - 128) / 224, (v / step - 128) / 224
    r = y + 2 * (1 - kr) * v
    b = y + 2 * (1 - kb) * u
    return np.array([r, (y - kr * r - kb * b) / (1 - kr - kb), b])


@pytest.mark.parametrize("matrix", LUMA_COEFFICIENTS)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("name", ["yuv444p", "yuv444p10le", "yuv444p12le"])
def test_to_pixels_follows_the_definition(matrix, full_range, name):
    pixel_format = planar_format(name)
    planes = random_planes(pixel_format, 5, 7)
    pixels = YuvConversion(pixel_format, matrix, full_range).to_pixels(planes)
    for row, column in np.ndindex(5, 7):
        y, u, v = (float(plane[row, column]) for plane in planes)
        expected = reference_rgb(y, u, v, matrix, full_range, pixel_format.bits).clip(0, 1)
        assert pixels[row, column] == pytest.approx(expected, abs=2e-6)


def reference_chroma(plane, row, column, subsampling_x, subsampling_y):
    """Chroma at a pixel, by linear interpolation between the positions of the samples."""
    x = np.clip(column / subsampling_x, 0, plane.shape[1] - 1)  # at the left pixel
    y = np.clip((row + 0.5) / subsampling_y - 0.5, 0, plane.shape[0] - 1)  # between two rows
    total = weight_sum = 0.0
    for j, i in np.ndindex(plane.shape):
        weight = max(0, 1 - abs(y - j)) * max(0, 1 - abs(x - i))
        total, weight_sum = total + weight * float(plane[j, i]), weight_sum + weight
    return total / weight_sum


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv440p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1), (2, 1)])
def test_to_pixels_interpolates_chroma_between_its_positions(name, size):
    pixel_format = planar_format(name)
    subsampling = pixel_format.chroma_subsampling_x, pixel_format.chroma_subsampling_y
    planes = random_planes(pixel_format, *size)
    pixels = YuvConversion(pixel_format, 1, full_range=True).to_pixels(planes)
    for row, column in np.ndindex(size):
        u, v = (reference_chroma(plane, row, column, *subsampling) for plane in planes[1:])
        y = float(planes[0][row, column])
        expected = reference_rgb(y, u, v, 1, True, pixel_format.bits).clip(0, 1)
        assert pixels[row, column] == pytest.approx(expected, abs=4e-6)


def test_to_planes_averages_chroma_with_the_interpolation_weights():
    random = np.random.default_rng(0)
    pixels = random.uniform(0.3, 0.7, (6, 8, 3)).astype(np.float32)
    conversion = YuvConversion(planar_format("yuv420p"), 6, full_range=False)
    luma, blue, _ = conversion.to_planes(pixels)
    exact = pixels.astype(float) @ [0.299, 0.587, 0.114]
    assert (luma == np.rint(16 + 219 * exact)).all()
    difference = (pixels[..., 2] - exact) / (2 * (1 - 0.114))
    # Horizontal weights 1 2 1 around the left pixel; vertical weights 1 1.
    for row, column in np.ndindex(3, 4):
        rows = difference[2 * row : 2 * row + 2].mean(axis=0)
        left = 2 * column
        mean = (rows[max(left - 1, 0)] + 2 * rows[left] + rows[left + 1]) / 4
        assert blue[row, column] == np.rint(128 + 224 * mean)


@pytest.mark.parametrize("name", ["yuv444p", "yuv444p10le", "gbrp", "gbrp10le", "gray", "gray10le"])
@pytest.mark.parametrize("full_range", [False, True])
def test_round_trip_without_subsampling_is_exact(name, full_range):
    pixel_format = planar_format(name)
    random = np.random.default_rng(1)
    dtype = np.uint8 if pixel_format.bits == 8 else np.uint16
    scale = dtype(2 ** (pixel_format.bits - 8))
    count = 1 if pixel_format.kind == "gray" else 3
    planes = [random.integers(110, 146, (9, 11)).astype(dtype) * scale for _ in range(count)]
    conversion = YuvConversion(pixel_format, 1, full_range)
    restored = conversion.to_planes(conversion.to_pixels(planes))
    assert all((a == b).all() for a, b in zip(planes, restored, strict=True))


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv420p10le", "yuv440p"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_round_trip_of_smooth_chroma_errs_by_one_step_at_most(name, full_range, size):
    pixel_format = planar_format(name)
    step = 2 ** (pixel_format.bits - 8)
    dtype = np.uint8 if pixel_format.bits == 8 else np.uint16
    height = -(-size[0] // pixel_format.chroma_subsampling_y)
    width = -(-size[1] // pixel_format.chroma_subsampling_x)
    y, x = np.mgrid[:height, :width]
    chroma = [np.rint(step * (128 + 20 * np.sin(x / 6 + c + y / 7))).astype(dtype) for c in (0, 1)]
    random = np.random.default_rng(2)
    luma = random.integers(100 * step, 150 * step, size).astype(dtype)
    conversion = YuvConversion(pixel_format, 1, full_range)
    restored = conversion.to_planes(conversion.to_pixels([luma, *chroma]))
    assert (restored[0] == luma).all()
    for before, after in zip(chroma, restored[1:], strict=True):
        assert np.abs(before.astype(int) - after).max() <= step


def test_round_trip_of_constant_chroma_is_exact_at_the_borders():
    planes = [np.full((5, 7), 120, np.uint8), *(np.full((3, 4), n, np.uint8) for n in (90, 140))]
    conversion = YuvConversion(planar_format("yuv420p"), 1, full_range=False)
    pixels = conversion.to_pixels(planes)
    assert (pixels == pixels[0, 0]).all()
    assert all((a == b).all() for a, b in zip(planes, conversion.to_planes(pixels), strict=True))


@pytest.mark.parametrize(
    ("full_range", "luma", "value"),
    [(False, 16, 0), (False, 235, 1), (True, 0, 0), (True, 255, 1)],
)
def test_to_pixels_of_black_and_white_is_zero_and_one(full_range, luma, value):
    planes = [np.full((2, 2), luma, np.uint8), *(np.full((1, 1), 128, np.uint8),) * 2]
    pixels = YuvConversion(planar_format("yuv420p"), 1, full_range).to_pixels(planes)
    assert pixels == pytest.approx(value, abs=1e-6)


def test_default_matrix_depends_on_the_size():
    sizes = [(640, 480), (720, 576), (1280, 536), (1920, 1080)]
    assert [default_matrix(width, height) for width, height in sizes] == [6, 6, 1, 1]
