"""Pasting against torchvision's, and what holds for any mask."""

import numpy as np
import pytest

from burnish.detection.paste_mask import paste_mask

SIZE = (61, 47)
BOXES = {
    "inside": (10.3, 7.8, 40.2, 30.1),
    "small": (20.1, 20.2, 20.9, 21.4),
    "over every border": (-12.5, -3.2, 80.4, 60.7),
    "over the left": (-5.0, 3.0, 9.5, 20.0),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_pasted_as_torchvision_does(box):
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    import torch
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    mask = np.random.default_rng(0).random((28, 28), dtype=np.float32)
    theirs = paste_masks_in_image(
        torch.from_numpy(mask)[None, None], torch.tensor([box], dtype=torch.float32), SIZE[::-1]
    )[0, 0].numpy()
    ours = paste_mask(mask, np.array(box, np.float32), SIZE)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_box_outside_the_picture_leaves_nothing():
    mask = np.ones((28, 28), np.float32)
    assert not paste_mask(mask, np.array([70, 3, 90, 20], np.float32), SIZE).any()


def test_values_stay_between_the_mask_s():
    mask = np.random.default_rng(1).random((9, 14), dtype=np.float32)
    for box in BOXES.values():
        pasted = paste_mask(mask, np.array(box, np.float32), SIZE)
        assert pasted.shape == SIZE[::-1]
        assert pasted.min() >= 0
        assert pasted.max() <= 1
