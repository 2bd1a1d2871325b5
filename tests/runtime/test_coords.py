import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample

from burnish.runtime.coords import normalised_coords
from burnish.types import Rectangle

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
