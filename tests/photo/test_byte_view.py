"""`FileBytes` behaves like the same bytes in memory."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.photo import byte_view
from burnish.photo.byte_view import FileBytes

INDICES = st.none() | st.integers(-30, 30)


@given(st.binary(max_size=20), INDICES, INDICES)
def test_slice_equals_slice_of_bytes(data, start, stop):
    file = FileBytes(io.BytesIO(data))
    assert len(file) == len(data)
    assert file[start:stop] == data[start:stop]


@given(st.binary(min_size=1, max_size=20), st.data())
def test_index_equals_index_of_bytes(data, draw):
    index = draw.draw(st.integers(-len(data), len(data) - 1))
    assert FileBytes(io.BytesIO(data))[index] == data[index]


@given(st.text("ab", max_size=40), st.text("ab", min_size=1, max_size=3), INDICES, INDICES)
def test_find_equals_find_of_bytes(text, pattern, start, end):
    file = FileBytes(io.BytesIO(text.encode()))
    expected = text.encode().find(pattern.encode(), start, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_view, "_CHUNK_SIZE", 4)  # so that most matches span two chunks
        assert file.find(pattern.encode(), start or 0, end) == expected
