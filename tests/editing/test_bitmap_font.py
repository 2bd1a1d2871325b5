import numpy as np
import pytest

from burnish.editing.bitmap_font import render_text
from burnish.evaluation.compare import side_by_side


def test_every_letter_is_its_own():
    characters = "abcdefghijklmnopqrstuvwxyzB0123456789.,:- "
    drawn = {render_text(character).tobytes() for character in characters}
    assert len(drawn) == len(characters)


def test_text_is_its_letters_in_a_row():
    np.testing.assert_array_equal(
        render_text("ab"), np.hstack([render_text("a"), render_text("b")])
    )


def test_a_letter_that_there_is_none_of():
    with pytest.raises(KeyError):
        render_text("ß")


@pytest.mark.parametrize("width", [30, 600, 1800])
def test_sheet_holds_the_pictures_and_ink_below_each(width):
    pictures = [np.full((20, width, 3), value, np.float32) for value in (0.2, 0.4, 0.6)]
    texts = ("before", "slow: 1.23 s", "fast: 0.40 s, 30.1 dB")
    sheet = side_by_side(list(zip(pictures, texts, strict=True))).pixels
    for index, picture in enumerate(pictures):
        columns = slice(index * (width + 8), index * (width + 8) + width)
        np.testing.assert_array_equal(sheet[:20, columns], picture)
        assert sheet[20:, columns].min() == 0
        assert sheet[20:, columns].max() == 1
