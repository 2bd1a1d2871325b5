"""The table of formats."""

import pytest

from burnish.errors import PhotoError
from burnish.photo_formats import FORMATS, READABLE, WRITABLE, sniff, writable


@pytest.mark.parametrize("format", FORMATS.values(), ids=lambda format: format.name)
def test_every_name_and_extension_finds_its_format_unless_it_is_only_read(format):
    for name in (format.name, format.name.upper(), *format.extensions, format.extensions[0][1:]):
        if format.depths:
            assert writable(name, "x") is format
        else:
            with pytest.raises(PhotoError, match=f"x: .*{WRITABLE}"):
                writable(name, "x")


def test_words_name_every_format():
    assert READABLE == "jpeg, png, tiff, webp, avif, heic, gif"
    assert WRITABLE == "jpeg, png, tiff, webp, avif"


def test_no_extension_belongs_to_two_formats():
    extensions = [ext for format in FORMATS.values() for ext in format.extensions]
    assert len(extensions) == len(set(extensions))


@pytest.mark.parametrize("data", [b"", b"\xff", b"RIFF\0\0\0\0AVI ", b"\0\0\0\x18ftypmp42", b"BM"])
def test_strangers_are_none(data):
    assert sniff(data) is None


@pytest.mark.parametrize("name", ["", ".", "bmp", "jpeg2000", ".svg"])
def test_unknown_names(name):
    with pytest.raises(PhotoError, match="expected a format that burnish writes"):
        writable(name, "x")
