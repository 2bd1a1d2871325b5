"""The bitmap font, and labels under compared images."""

import numpy as np
import pytest

from burnish.editing.bitmap_font import render_text
from burnish.evaluation.compare import side_by_side


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
