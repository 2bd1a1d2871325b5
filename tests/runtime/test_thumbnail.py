"""Area resize against its definition by brute force and Pillow; coords against grid_sample."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import grid_sample

from burnish.runtime.resize import area_resize, area_resize_rows
from burnish.runtime.thumbnail import THUMBNAIL_SIZE, normalised_coords
from burnish.types import Rectangle

SIZES = [(1, 1), (1, 9), (3, 2), (7, 7), (8, 8), (16, 40), (17, 23), (64, 63), (5, 97)]


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 100 + width).random((height, width, 3), np.float32)


def area_means(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the mean over each square, where each pixel is weighted by its area in the square."""
    height, width = pixels.shape[:2]
    result = np.zeros((side, side, 3))
    for i in range(side):
        for j in range(side):
            top, bottom = i * height / side, (i + 1) * height / side
            left, right = j * width / side, (j + 1) * width / side
            total = 0.0
            for y in range(height):
                rows = min(bottom, y + 1) - max(top, y)
                for x in range(width):
                    columns = min(right, x + 1) - max(left, x)
                    if rows > 0 and columns > 0:
                        result[i, j] += rows * columns * pixels[y, x].astype(np.float64)
                        total += rows * columns
            result[i, j] /= total
    return result


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("side", [1, 3, 8])
def test_area_resize_equals_the_mean_over_areas(height, width, side):
    pixels = random_image(height, width)
    result = area_resize(pixels, (side, side))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, area_means(pixels, side), atol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 2), (3, 5), (7, 1)])
def test_integer_factor_equals_box_filter_of_pillow(rows, columns):
    pixels = random_image(16 * rows, 16 * columns)
    result = area_resize(pixels, (16, 16))
    for channel in range(3):
        plane = Image.fromarray(pixels[..., channel])
        expected = np.asarray(plane.resize((16, 16), Image.Resampling.BOX))
        np.testing.assert_allclose(result[..., channel], expected, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [*SIZES, (301, 457)])
def test_mean_is_preserved(height, width):
    pixels = random_image(height, width)
    result = area_resize(pixels, (THUMBNAIL_SIZE, THUMBNAIL_SIZE))
    means = pixels.mean(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(result.mean(axis=(0, 1), dtype=np.float64), means, atol=2e-6)
    assert pixels.min() - 1e-6 <= result.min()
    assert result.max() <= pixels.max() + 1e-6


@pytest.mark.parametrize(("height", "width"), [*SIZES, (301, 457), (1, 4001)])
def test_constant_image_stays_constant(height, width):
    pixels = np.empty((height, width, 3), np.float32)
    pixels[:] = 0, 0.3, 1
    result = area_resize(pixels, (THUMBNAIL_SIZE, THUMBNAIL_SIZE))
    np.testing.assert_allclose(result, np.broadcast_to(pixels[:1, :1], result.shape), atol=1e-6)


def test_image_of_the_target_size_is_unchanged():
    pixels = random_image(THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    np.testing.assert_array_equal(area_resize(pixels, (THUMBNAIL_SIZE, THUMBNAIL_SIZE)), pixels)


def test_smaller_image_is_repeated():
    pixels = random_image(2, 4)
    np.testing.assert_allclose(
        area_resize(pixels, (8, 8)), pixels.repeat(4, 0).repeat(2, 1), atol=1e-7
    )


def test_resize_commutes_with_rotation_and_mirroring():
    pixels = random_image(37, 52)
    thumbnail = area_resize(pixels, (8, 8))
    rotated = area_resize(np.ascontiguousarray(np.rot90(pixels)), (8, 8))
    np.testing.assert_allclose(rotated, np.rot90(thumbnail), atol=1e-6)
    np.testing.assert_allclose(area_resize(pixels[:, ::-1], (8, 8)), thumbnail[:, ::-1], atol=1e-6)


def test_input_is_not_modified():
    pixels = random_image(20, 30)
    before = pixels.copy()
    area_resize(pixels, (8, 8))
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(("height", "width"), [*SIZES, (301, 457)])
def test_area_resize_rows_equals_area_resize_bit_for_bit(height, width):
    pixels = random_image(height, width)
    ranges = []

    def read_rows(top, bottom):
        ranges.append((top, bottom))
        return pixels[top:bottom].copy()

    np.testing.assert_array_equal(
        area_resize_rows(read_rows, height, width, (64, 64)), area_resize(pixels, (64, 64))
    )
    assert max(bottom - top for top, bottom in ranges) <= 64
    assert [top for top, _ in ranges] == [0, *(bottom for _, bottom in ranges[:-1])]


SIZE = (41, 67)


def test_coords_of_a_block_do_not_depend_on_the_rectangle():
    """They are equal to the last bit, since exact tiles depend on it."""
    whole = normalised_coords(Rectangle(0, 48, 0, 80), SIZE, 8)
    assert whole.shape == (6, 10, 2)
    for top, bottom, left, right in ((0, 8, 0, 80), (16, 48, 24, 56), (40, 48, 72, 80)):
        coords = normalised_coords(Rectangle(top, bottom, left, right), SIZE, 8)
        expected = whole[top // 8 : bottom // 8, left // 8 : right // 8]
        np.testing.assert_array_equal(coords, expected)


@pytest.mark.parametrize("block", [1, 4, 16])
def test_grid_sample_at_coords_reads_the_centres_of_blocks(block):
    """The sampled image holds the x and y of its own pixels' centres."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    image = torch.tensor(np.stack([x, y])[None], dtype=torch.float64)
    rectangle = Rectangle(16, 32, 32, 64)
    coords = torch.tensor(normalised_coords(rectangle, SIZE, block)[None], dtype=torch.float64)
    sampled = grid_sample(image, coords, padding_mode="border", align_corners=False)[0]
    centres = np.arange(block / 2, 32, block)
    np.testing.assert_allclose(sampled[0, 0], 32 + centres, atol=1e-4)
    np.testing.assert_allclose(sampled[1, :, 0], 16 + centres[: 16 // block], atol=1e-4)
