"""A file's bytes looked up in place: as the same bytes in memory."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.photo import byte_view as block
from burnish.photo.byte_view import FileBytes

places = st.none() | st.integers(-30, 30)


@given(st.binary(max_size=20), places, places)
def test_slices_are_those_of_bytes(data, start, stop):
    file = FileBytes(io.BytesIO(data))
    assert len(file) == len(data)
    assert file[start:stop] == data[start:stop]


@given(st.binary(min_size=1, max_size=20), st.data())
def test_single_bytes(data, draw):
    at = draw.draw(st.integers(-len(data), len(data) - 1))
    assert FileBytes(io.BytesIO(data))[at] == data[at]


@given(st.text("ab", max_size=40), st.text("ab", min_size=1, max_size=3), places, places)
def test_finding_is_that_of_bytes(data, what, start, end):
    file = FileBytes(io.BytesIO(data.encode()))
    wanted = data.encode().find(what.encode(), start, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "_CHUNK_SIZE", 4)  # Most finds lie across two stretches.
        assert file.find(what.encode(), start or 0, end) == wanted
