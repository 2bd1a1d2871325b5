"""Sources become planes as torch gathers pixels, continued as numpy pads them, and pixels again."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from burnish.runtime.pixel_layout import pack, unpack


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("shape", [(8, 12), (7, 9), (5, 12), (8, 11), (1, 1)])
def test_source_is_contiguous_planes_that_go_on_where_the_picture_ends(
    shape: tuple[int, int], block: int
) -> None:
    pixels = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    planes = pack(pixels, (8, 12), block)
    assert planes.flags.c_contiguous
    full = np.pad(pixels, ((0, 8 - shape[0]), (0, 12 - shape[1]), (0, 0)), mode="edge")
    image = torch.from_numpy(full.transpose(2, 0, 1)[np.newaxis].copy())
    np.testing.assert_array_equal(planes, F.pixel_unshuffle(image, block).numpy())


@pytest.mark.parametrize("block", [1, 2, 4])
def test_laid_in_and_out_a_part_of_a_picture_is_what_it_was(block: int) -> None:
    pixels = np.random.default_rng(1).random((15, 22, 3), dtype=np.float32)
    part = np.full((11, 14, 3), np.nan, np.float32)
    unpack(pack(np.asfortranarray(pixels), (16, 24), block), block, part, top=4, left=8)
    np.testing.assert_array_equal(part, pixels[4:, 8:])
