"""The table of formats."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from burnish.errors import BurnishError, PhotoError, UsageError
from burnish.photo import Photo
from burnish.photo.formats import (
    FORMATS,
    READABLE,
    READABLE_EXTENSIONS,
    WRITABLE,
    check_writable,
    sniff,
    writable_format,
)


@pytest.mark.parametrize("format", FORMATS.values(), ids=lambda format: format.name)
def test_every_name_and_extension_finds_its_format_unless_it_is_only_read(format):
    for name in (format.name, format.name.upper(), *format.extensions, format.extensions[0][1:]):
        if format.depths:
            assert writable_format(name, "x") is format
        else:
            with pytest.raises(PhotoError, match=f"x: .*{WRITABLE}"):
                writable_format(name, "x")


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
        writable_format(name, "x")


def test_readable_extensions_are_those_that_are_read():
    wanted = ".jpg .jpeg .jpe .jfif .png .tif .tiff .webp .avif .heic .heif .gif"
    assert set(wanted.split()) == READABLE_EXTENSIONS


@pytest.mark.parametrize("depth", [None, 8, 7, 12, 16, 32])
@pytest.mark.parametrize(
    "name", ["A.JPEG", "a.png", "ü.tif", "a.b.webp", "a.avif", "a.heic", "a.gif", "a.bmp", "a"]
)
def test_what_is_refused_early_is_refused_late_in_the_same_words(tmp_path, name, depth):
    target = tmp_path / name

    def outcome(work: Callable[[], object]) -> str:
        try:
            work()
        except BurnishError as error:
            return repr(error)
        return "fine"

    early = outcome(lambda: check_writable(target, depth))
    late = outcome(lambda: Photo(np.full((4, 5, 3), 0.5)).save(target, depth=depth))
    assert early == late
    assert target.exists() == (early == "fine")


def test_an_impossible_depth_is_wrong_usage():
    with pytest.raises(UsageError, match="expected 8, 16 or 32 bits a channel, got 7"):
        check_writable(Path("a.png"), 7)
    with pytest.raises(PhotoError, match=r"a\.jpg: expected 8 bits .* got 32; .* output \.tif \("):
        check_writable(Path("a.jpg"), 32)


@pytest.mark.parametrize("name", ["a.gif", "a.heic", "a"])
def test_the_remedy_is_one_that_everybody_has(name):
    with pytest.raises(PhotoError, match=r"name the output \.jpg, .* \(in Python also format="):
        check_writable(Path(name))
