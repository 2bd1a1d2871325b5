"""Places: where blocks lie in the whole, the same whatever part they are asked for in."""

import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample

from burnish.photo.rectangle import Rectangle
from burnish.runtime.coords import normalised_coords

SIZE = (41, 67)


def test_a_block_has_the_same_place_in_any_part():
    """To the last bit: tiles rest on it."""
    whole = normalised_coords(Rectangle(0, 48, 0, 80), SIZE, 8)
    assert whole.shape == (6, 10, 2)
    for top, bottom, left, right in ((0, 8, 0, 80), (16, 48, 24, 56), (40, 48, 72, 80)):
        part = normalised_coords(Rectangle(top, bottom, left, right), SIZE, 8)
        expected = whole[top // 8 : bottom // 8, left // 8 : right // 8]
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("block", [1, 4, 16])
def test_what_lies_there_is_what_is_looked_up(block):
    """A picture whose values are its own pixels' centres, looked up by torch."""
    down, across = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    picture = torch.tensor(np.stack([across, down])[None], dtype=torch.float64)
    part = Rectangle(16, 32, 32, 64)
    where = torch.tensor(normalised_coords(part, SIZE, block)[None], dtype=torch.float64)
    found = grid_sample(picture, where, padding_mode="border", align_corners=False)[0]
    centres = np.arange(block / 2, 32, block)
    np.testing.assert_allclose(found[0, 0], 32 + centres, atol=1e-4)
    np.testing.assert_allclose(found[1, :, 0], 16 + centres[: 16 // block], atol=1e-4)
