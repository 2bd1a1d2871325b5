"""Objects drawn over a photo."""

import numpy as np

from burnish.detection.instances import Instances
from burnish.editing.annotate import annotate
from burnish.editing.bitmap_font import render_text

PIXELS = np.full((60, 80, 3), 0.5, np.float32)


def squares(*corners, side=20):
    boxes = np.array([[x, y, x + side, y + side] for x, y in corners], np.float32)
    masks = (np.ones((side, side), np.float32),) * len(corners)
    return Instances(
        (80, 60), boxes, ("a",) * len(corners), np.ones(len(corners), np.float32), masks
    )


def places(drawn, number):
    """Where a number stands: its ink, black on white, is looked for everywhere."""
    sign = 1 - np.pad(render_text(str(number))[:, :-1], 2)
    height, width = sign.shape
    windows = np.lib.stride_tricks.sliding_window_view(drawn[..., 0], sign.shape)
    found = np.argwhere((windows == sign).all(axis=(2, 3)))
    return np.add(found, [height // 2, width // 2])


def test_each_object_has_its_number_and_the_rest_is_untouched():
    found = squares((5, 5), (50, 30))
    drawn = annotate(PIXELS, found, [7, 12])
    for index, number in enumerate((7, 12)):
        [middle] = places(drawn, number)
        left, top, right, bottom = found.boxes[index]
        assert abs(middle[0] - (top + bottom) / 2) <= 1
        assert abs(middle[1] - (left + right) / 2) <= 1
    outside = np.ones((60, 80), bool)
    outside[5:25, 5:25] = outside[30:50, 50:70] = False
    np.testing.assert_array_equal(drawn[outside], PIXELS[outside])
    assert (drawn[~outside] != PIXELS[~outside]).any(axis=1).all()
    assert (PIXELS == 0.5).all()


def test_numbers_in_one_place_stand_below_one_another():
    drawn = annotate(PIXELS, squares((30, 20), (30, 20), (30, 20)), [1, 2, 3])
    assert all(len(places(drawn, number)) == 1 for number in (1, 2, 3))


def test_at_the_border_and_in_a_tiny_picture():
    drawn = annotate(PIXELS, squares((70, 50)), [4])
    assert len(places(drawn, 4)) == 1
    tiny = Instances((3, 3), np.float32([[0, 0, 3, 3]]), ("a",), np.ones(1), (np.ones((3, 3)),))
    assert annotate(PIXELS[:3, :3], tiny, [1]).shape == (3, 3, 3)
