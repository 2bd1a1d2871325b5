"""Errors: the message is one printable line, and errors can be pickled."""

import pickle

import pytest

from burnish.errors import ModelError


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("two\nlines\tand   blanks", "two lines and blanks"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff.png", "\\udcff.png"),
        ("Grüße 写真 'quoted' back\\slash", "Grüße 写真 'quoted' back\\slash"),
    ],
)
def test_message_is_one_printable_line(text: str, printed: str) -> None:
    error = ModelError(text, f"the model is {text}", "choose another")
    assert str(error) == f"{printed}: the model is {printed}; choose another"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_message_of_expected_and_got() -> None:
    error = ModelError("--size", expected="1 to 9", got="12", remedy="choose a smaller one")
    assert str(error) == "--size: expected 1 to 9, got 12; choose a smaller one"
    assert (
        str(error.with_context("width")) == "width: expected 1 to 9, got 12; choose a smaller one"
    )
