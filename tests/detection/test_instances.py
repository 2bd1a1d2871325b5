"""Masks pasted into an image, against torchvision, and properties of any pasted mask."""

import numpy as np
import pytest

from burnish.detection.instances import paste_mask

SIZE = (61, 47)
BOXES = {
    "inside": (10.3, 7.8, 40.2, 30.1),
    "small": (20.1, 20.2, 20.9, 21.4),
    "over every border": (-12.5, -3.2, 80.4, 60.7),
    "over the left border": (-5.0, 3.0, 9.5, 20.0),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_paste_mask_equals_torchvision(box):
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    import torch
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    mask = np.random.default_rng(0).random((28, 28), dtype=np.float32)
    expected = paste_masks_in_image(
        torch.from_numpy(mask)[None, None], torch.tensor([box], dtype=torch.float32), SIZE[::-1]
    )[0, 0].numpy()
    pasted = paste_mask(mask, np.array(box, np.float32), SIZE)
    np.testing.assert_allclose(pasted, expected, atol=1e-5)


@pytest.mark.parametrize(("left", "top"), [(3, 5), (-2, -1), (50, 40)])
def test_mask_at_full_resolution_is_copied(left, top):
    mask = np.random.default_rng(2).random((9, 14), dtype=np.float32)
    pasted = paste_mask(mask, np.array([left, top, left + 14, top + 9], np.float32), SIZE)
    expected = np.zeros((67, 81), np.float32)
    expected[top + 10 : top + 19, left + 10 : left + 24] = mask
    np.testing.assert_array_equal(pasted, expected[10:57, 10:71])


def test_box_outside_the_image_gives_an_empty_mask():
    mask = np.ones((28, 28), np.float32)
    assert not paste_mask(mask, np.array([70, 3, 90, 20], np.float32), SIZE).any()


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_pasted_values_stay_in_range(box):
    mask = np.random.default_rng(1).random((9, 14), dtype=np.float32)
    pasted = paste_mask(mask, np.array(box, np.float32), SIZE)
    assert pasted.shape == SIZE[::-1]
    assert pasted.min() >= 0
    assert pasted.max() <= 1
