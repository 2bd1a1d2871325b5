"""`RawTiff` behaves like an array, and is a valid TIFF for libvips and tifffile."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.errors import OutputError
from burnish.files import temporary_file
from burnish.photo.stored_photo import RawTiff
from burnish.types import Rectangle

KINDS = [np.uint8, np.uint16, np.float32]


def noise(shape, dtype, seed=0):
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.random(shape, dtype)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@st.composite
def rectangles(draw, height, width):
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    bottom, right = draw(st.integers(top + 1, height)), draw(st.integers(left + 1, width))
    return Rectangle(top, bottom, left, right)


@given(st.data(), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.sampled_from(KINDS))
@settings(deadline=None, max_examples=60)
def test_rectangles_equal_those_of_array(tmp_path_factory, data, height, width, bands, dtype):
    expected = np.zeros((height, width, bands), dtype)
    with temporary_file(tmp_path_factory.getbasetemp()) as file:
        tiff = RawTiff(file, height, width, bands, np.dtype(dtype))
        tiff.write(Rectangle(0, height, 0, width), expected)
        for seed in range(4):
            rectangle = data.draw(rectangles(height, width))
            expected[rectangle.slices] = noise(expected[rectangle.slices].shape, dtype, seed)
            tiff.write(rectangle, expected[rectangle.slices])
            other = data.draw(rectangles(height, width))
            np.testing.assert_array_equal(tiff.read(other), expected[other.slices])


def test_two_threads_read_what_is_there(tmp_path):
    values = noise((400, 40, 3), np.uint8)
    with temporary_file(tmp_path) as file:
        tiff = RawTiff(file, 400, 40, 3, np.dtype(np.uint8))
        tiff.write(Rectangle(0, 400, 0, 40), values)
        left, right = Rectangle(0, 400, 0, 20), Rectangle(0, 400, 20, 40)
        rectangles = [left, right] * 10
        with ThreadPoolExecutor(2) as threads:
            for rectangle, part in zip(rectangles, threads.map(tiff.read, rectangles), strict=True):
                np.testing.assert_array_equal(part, values[rectangle.slices])


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", KINDS)
def test_image_is_tiff_for_libvips_and_tifffile(tmp_path, dtype, bands):
    values = noise((150, 31, bands), dtype)
    with temporary_file(tmp_path) as file:
        tiff = RawTiff(file, 150, 31, bands, np.dtype(dtype))
        tiff.write(Rectangle(0, 150, 0, 31), values)
        image = tiff.image()
        # No field of the temporary file may be written into the output.
        fields = pyvips.Image.new_from_array(values).get_fields()
        assert set(image.get_fields()) == {*fields, "vips-sequential"}
        np.testing.assert_array_equal(image.numpy().reshape(values.shape), values)
        np.testing.assert_array_equal(tifffile.imread(file.name).reshape(values.shape), values)
    assert list(tmp_path.iterdir()) == []


def test_read_truncated_file_raises(tmp_path):
    with temporary_file(tmp_path) as file:
        tiff = RawTiff(file, 4, 5, 3, np.dtype(np.uint8))
        tiff.write(Rectangle(0, 4, 0, 5), np.zeros((4, 5, 3), np.uint8))
        file.truncate(40)
        with pytest.raises(OutputError, match="cut short"):
            tiff.read(Rectangle(0, 4, 0, 5))
