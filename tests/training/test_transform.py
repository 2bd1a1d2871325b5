"""Transformations of crops against loops over pixels."""

from itertools import permutations

import numpy as np
import pytest

from burnish.training.transform import Transform


def brute_force(transform, pixels):
    """Transform an image pixel by pixel: colours, quarter turns anticlockwise, then reflection."""
    for _ in range(transform.quarter_turns):
        height, width = pixels.shape[:2]
        turned = np.empty((width, height, 3), np.float32)
        for row in range(height):
            for column in range(width):
                turned[width - 1 - column, row] = pixels[row, column]
        pixels = turned
    output = np.empty_like(pixels)
    height, width = pixels.shape[:2]
    for row in range(height):
        for column in range(width):
            source = pixels[row, width - 1 - column if transform.mirrored else column]
            for channel in range(3):
                value = source[transform.channels[channel]]
                output[row, column, channel] = 1 - value if transform.inverted else value
    return output


@pytest.mark.parametrize("quarter_turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("channels", "inverted"), [((0, 1, 2), False), ((2, 0, 1), True)])
def test_image_is_transformed_as_pixel_by_pixel(quarter_turns, mirrored, channels, inverted):
    pixels = np.random.default_rng(0).random((4, 5, 3), dtype=np.float32)
    transform = Transform(channels, inverted, quarter_turns, mirrored)
    np.testing.assert_array_equal(transform.of_image(pixels), brute_force(transform, pixels))


def draw(symmetries, count=300):
    random = np.random.default_rng(0)
    return [Transform.random(random, symmetries) for _ in range(count)]


def test_random_transforms_have_all_positions_and_no_other_colours_without_symmetries():
    transforms = set(draw(()))
    assert transforms == {Transform((0, 1, 2), False, t, m) for t in range(4) for m in (0, 1)}


@pytest.mark.parametrize(
    ("symmetry", "colours"),
    [
        ("channel permutation", {(order, False) for order in permutations(range(3))}),
        ("inversion", {((0, 1, 2), False), ((0, 1, 2), True)}),
    ],
)
def test_random_transforms_change_colours_as_the_symmetries_allow(symmetry, colours):
    assert {(t.channels, t.inverted) for t in draw((symmetry,))} == colours


def test_symmetries_change_no_position():
    plain, coloured = draw(()), draw(("channel permutation", "inversion"))
    positions = [[(t.quarter_turns, t.mirrored) for t in drawn] for drawn in (plain, coloured)]
    assert positions[0] == positions[1]
