"""Outlines and numbers of objects, the bitmap font, and labels under compared images."""

import numpy as np
import pytest

from burnish.detection.instances import Instances
from burnish.editing.annotate import annotate, render_text
from burnish.evaluation.compare import side_by_side

PIXELS = np.full((60, 80, 3), 0.5, np.float32)


def square_instances(*corners):
    """Return squares of 20 px by their upper left corners (x, y)."""
    boxes = np.array([[x, y, x + 20, y + 20] for x, y in corners], np.float32)
    masks = (np.ones((20, 20), np.float32),) * len(corners)
    labels, scores = ("a",) * len(corners), np.ones(len(corners), np.float32)
    return Instances((80, 60), boxes, labels, scores, masks)


def find_number(image, number):
    """Return the centres (row, column) of all places where a number is drawn."""
    label = 1 - np.pad(render_text(str(number))[:, :-1], 2)
    windows = np.lib.stride_tricks.sliding_window_view(image[..., 0], label.shape)
    corners = np.argwhere((windows == label).all(axis=(2, 3)))
    return np.add(corners, [label.shape[0] // 2, label.shape[1] // 2])


def test_annotate_draws_each_number_at_the_centre_and_changes_nothing_else():
    instances = square_instances((5, 5), (50, 30))
    annotated = annotate(PIXELS, instances, [7, 12])
    for index, number in enumerate((7, 12)):
        [centre] = find_number(annotated, number)
        left, top, right, bottom = instances.boxes[index]
        assert abs(centre[0] - (top + bottom) / 2) <= 1
        assert abs(centre[1] - (left + right) / 2) <= 1
    outside = np.ones((60, 80), bool)
    outside[5:25, 5:25] = outside[30:50, 50:70] = False
    np.testing.assert_array_equal(annotated[outside], PIXELS[outside])
    assert (annotated[~outside] != PIXELS[~outside]).any(axis=1).all()
    assert (PIXELS == 0.5).all()


def test_annotate_numbers_at_the_same_point_do_not_overlap():
    annotated = annotate(PIXELS, square_instances((30, 20), (30, 20), (30, 20)), [1, 2, 3])
    assert all(len(find_number(annotated, number)) == 1 for number in (1, 2, 3))


def test_annotate_moves_numbers_inside_the_border():
    annotated = annotate(PIXELS, square_instances((70, 50)), [4])
    assert len(find_number(annotated, 4)) == 1


def test_annotate_accepts_an_image_smaller_than_a_number():
    boxes = np.float32([[0, 0, 3, 3]])
    instances = Instances((3, 3), boxes, ("a",), np.ones(1), (np.ones((3, 3)),))
    assert annotate(PIXELS[:3, :3], instances, [1]).shape == (3, 3, 3)


def test_render_text_draws_every_character_differently():
    characters = "abcdefghijklmnopqrstuvwxyzB0123456789.,:- "
    glyphs = {render_text(character).tobytes() for character in characters}
    assert len(glyphs) == len(characters)


def test_render_text_joins_its_characters():
    expected = np.hstack([render_text("a"), render_text("b")])
    np.testing.assert_array_equal(render_text("ab"), expected)


def test_render_text_unknown_character_raises_key_error():
    with pytest.raises(KeyError):
        render_text("ß")


@pytest.mark.parametrize("width", [30, 600, 1800])
def test_side_by_side_shows_images_with_text_below_each(width):
    images = [np.full((20, width, 3), value, np.float32) for value in (0.2, 0.4, 0.6)]
    texts = ("before", "slow: 1.23 s", "fast: 0.40 s, 30.1 dB")
    sheet = side_by_side(list(zip(images, texts, strict=True))).pixels
    for index, image in enumerate(images):
        columns = slice(index * (width + 8), index * (width + 8) + width)
        np.testing.assert_array_equal(sheet[:20, columns], image)
        assert sheet[20:, columns].min() == 0
        assert sheet[20:, columns].max() == 1
