"""What an error says is one line that a terminal shows as it is."""

import pickle

import pytest

from burnish.errors import ModelError


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("two\nlines\tand   blanks", "two lines and blanks"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff.png", "\\udcff.png"),
        ("Grüße 写真 'quoted' back\\slash", "Grüße 写真 'quoted' back\\slash"),
    ],
)
def test_a_message_is_one_printable_line(given: str, shown: str) -> None:
    error = ModelError(given, expected="a model", got=given, remedy="try another")
    assert str(error) == f"{shown}: expected a model, got {shown}; try another"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
