"""File formats: names, extensions, detection, and checks of outputs."""

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
    result_format,
    sniff,
    writable_format,
)


@pytest.mark.parametrize("format", FORMATS.values(), ids=lambda format: format.name)
def test_writable_format_by_any_name_or_extension(format):
    for name in (format.name, format.name.upper(), *format.extensions, format.extensions[0][1:]):
        if format.depths:
            assert writable_format(name, "x") is format
        else:
            with pytest.raises(PhotoError, match=WRITABLE):
                writable_format(name, "x")


def test_readable_and_writable_list_all_formats():
    assert READABLE == ("jpeg", "png", "tiff", "webp", "avif", "heic", "gif")
    assert WRITABLE == "jpeg, png, tiff, webp, avif"


def test_results_of_formats_that_are_only_read_have_a_format_that_is_written():
    for format in FORMATS.values():
        assert result_format(format).depths


def test_extensions_are_unique():
    extensions = [ext for format in FORMATS.values() for ext in format.extensions]
    assert len(extensions) == len(set(extensions))


@pytest.mark.parametrize("data", [b"", b"\xff", b"RIFF\0\0\0\0AVI ", b"\0\0\0\x18ftypmp42", b"BM"])
def test_sniff_other_content_returns_none(data):
    assert sniff(data) is None


@pytest.mark.parametrize("name", ["", ".", "bmp", "jpeg2000", ".svg"])
def test_writable_format_unknown_name_raises(name):
    with pytest.raises(PhotoError, match=WRITABLE) as caught:
        writable_format(name, "x")
    assert caught.value.where == "x"


def test_readable_extensions_list_all_extensions():
    expected = ".jpg .jpeg .jpe .jfif .png .tif .tiff .webp .avif .heic .heif .gif"
    assert set(expected.split()) == READABLE_EXTENSIONS


@pytest.mark.parametrize("depth", [None, 8, 7, 12, 16, 32])
@pytest.mark.parametrize(
    "name", ["A.JPEG", "a.png", "ü.tif", "a.b.webp", "a.avif", "a.heic", "a.gif", "a.bmp", "a"]
)
def test_check_writable_raises_the_error_of_save(tmp_path, name, depth):
    target = tmp_path / name

    def outcome(function: Callable[[], object]) -> str:
        try:
            function()
        except BurnishError as error:
            return repr(error)
        return "fine"

    checked = outcome(lambda: check_writable(target, depth))
    saved = outcome(lambda: Photo(np.full((4, 5, 3), 0.5)).save(target, depth=depth))
    assert checked == saved
    assert target.exists() == (checked == "fine")


def test_check_writable_depth_of_no_format_raises_usage_error():
    with pytest.raises(UsageError, match=r"8, 16 or 32 .* 7"):
        check_writable(Path("a.png"), 7)
    with pytest.raises(PhotoError, match=r"8 bits .* 32; .* tiff"):
        check_writable(Path("a.jpg"), 32)


@pytest.mark.parametrize("name", ["a.gif", "a.heic", "a"])
def test_check_writable_remedy_names_formats(name):
    with pytest.raises(PhotoError, match=r"choose the format jpeg, .* or avif"):
        check_writable(Path(name))
