import numpy as np
import pytest
import torch
import torch.nn.functional as F

from burnish.runtime.pixel_layout import pack, unpack


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (5, 12), (8, 11), (1, 1)])
def test_pack_equals_edge_padding_and_pixel_unshuffle(size: tuple[int, int], block: int) -> None:
    pixels = np.random.default_rng(0).random((*size, 3), dtype=np.float32)
    planes = pack(pixels, (8, 12), block)
    assert planes.flags.c_contiguous
    padded = np.pad(pixels, ((0, 8 - size[0]), (0, 12 - size[1]), (0, 0)), mode="edge")
    image = torch.from_numpy(padded.transpose(2, 0, 1)[np.newaxis].copy())
    np.testing.assert_array_equal(planes, F.pixel_unshuffle(image, block).numpy())


@pytest.mark.parametrize("block", [1, 2, 4])
def test_unpack_returns_a_part_of_the_packed_pixels(block: int) -> None:
    pixels = np.random.default_rng(1).random((15, 22, 3), dtype=np.float32)
    part = np.full((11, 14, 3), np.nan, np.float32)
    unpack(pack(np.asfortranarray(pixels), (16, 24), block), block, part, top=4, left=8)
    np.testing.assert_array_equal(part, pixels[4:, 8:])
