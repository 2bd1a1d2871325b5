"""JPEGs that break the standard: complete images are read with a warning, others are rejected.

The oracle is the clean file, whose pixels each complete image must have.
"""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from burnish.errors import PhotoError
from burnish.photo import Photo
from burnish.photo.jpeg_repair import has_end, repair_jpeg
from burnish.photo.stored_photo import decode_to_disk
from burnish.types import Rectangle

EOI = b"\xff\xd9"
DQT, SOS, RST3 = b"\xff\xdb", b"\xff\xda", b"\xff\xd3"


def encode(**options) -> bytes:
    rows, columns = np.mgrid[:48, :80]
    waves = 128 + 60 * np.sin(rows / 3) + 60 * np.cos(columns / 5)
    codes = np.stack([waves, waves.T.reshape(waves.shape), 255 - waves], axis=2).astype(np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(codes).save(file, "jpeg", quality=92, **options)
        return file.getvalue()


BASELINE = encode()
PROGRESSIVE = encode(progressive=True)
RESTARTS = encode(restart_marker_blocks=2)


def insert(data: bytes, before: bytes, extra: bytes) -> bytes:
    index = data.index(before)
    return data[:index] + extra + data[index:]


def spectral_end_0(jpeg: bytes) -> bytes:
    """As written by phones from Samsung and others."""
    selection = jpeg.index(SOS) + 5 + 2 * jpeg[jpeg.index(SOS) + 4]
    return jpeg[: selection + 1] + b"\0" + jpeg[selection + 2 :]


COMPLETE = {
    "spectral end 0": spectral_end_0(BASELINE),
    "padding before a table": insert(BASELINE, DQT, bytes(8)),
    "padding before the scan": insert(BASELINE, SOS, bytes(2)),
    "filling of 0xff": insert(BASELINE, SOS, b"\0\xff\xff"),
    "padding between scans": insert(PROGRESSIVE, PROGRESSIVE[PROGRESSIVE.rindex(SOS) :], b"\0\0"),
    "JFIF 2.01": BASELINE.replace(b"JFIF\0\1\1", b"JFIF\0\2\1"),
    "no end marker": BASELINE[:-2],
    "half of the end marker": BASELINE[:-1],
    "no end marker, progressive": PROGRESSIVE[:-2],
    "no end marker, filled with zeros": BASELINE[:-2] + bytes(512),
    "bytes before a restart marker": insert(RESTARTS, RST3, b"\1\2\3"),
    "several": insert(spectral_end_0(BASELINE), DQT, bytes(3))[:-2],
}
QUIET = {
    "clean": BASELINE,
    "bytes before the end": BASELINE[:-2] + bytes(7) + EOI,
    "trailing data": BASELINE + b"a video",
    "no end marker, then another file": BASELINE[:-2] + BASELINE,
    "another file behind it": BASELINE + PROGRESSIVE,
    "unknown Adobe transform": insert(BASELINE, DQT, b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\5"),
}
HALF = len(BASELINE) // 2
INCOMPLETE = {
    "half": BASELINE[:HALF],
    "half, ended": BASELINE[:HALF] + EOI,
    "half, filled with zeros": BASELINE[:HALF] + bytes(len(BASELINE) - HALF),
    "half, spectral end 0": spectral_end_0(BASELINE)[:HALF] + EOI,
    "last block": BASELINE[:-5],
    "last block, ended": BASELINE[:-5] + EOI,
    "half, progressive": PROGRESSIVE[: len(PROGRESSIVE) // 2],
    "header": BASELINE[:100],
    "last scan": PROGRESSIVE[: PROGRESSIVE.rindex(SOS)],
}


def pixels_of(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("name", COMPLETE)
def test_complete_image_is_read_with_one_warning(name):
    clean = RESTARTS if "restart" in name else PROGRESSIVE if "scans" in name else BASELINE
    clean = PROGRESSIVE if "progressive" in name else clean
    with pytest.warns(UserWarning, match="no part of the image is missing") as warned:
        photo = Photo.open(COMPLETE[name])
    assert len(warned) == 1
    assert np.array_equal(np.rint(photo.pixels * 255), pixels_of(clean))


@pytest.mark.filterwarnings("ignore:.* will be left out")
@pytest.mark.parametrize("name", QUIET)
def test_rules_that_libjpeg_does_not_check(name):
    assert np.array_equal(np.rint(Photo.open(QUIET[name]).pixels * 255), pixels_of(BASELINE))


@pytest.mark.parametrize("name", INCOMPLETE)
def test_incomplete_image_is_rejected(name):
    with pytest.raises(PhotoError, match="broken"):
        Photo.open(INCOMPLETE[name])


@pytest.mark.parametrize("jpeg", [BASELINE, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize("ending", [b"", EOI, bytes(64)], ids=["cut", "ended", "zeros"])
def test_image_cut_anywhere_is_rejected(jpeg, ending):
    for size in range(2, len(jpeg) - 3, 41):
        with pytest.raises(PhotoError):
            Photo.open(jpeg[:size] + ending)


def test_large_photo_is_repaired_on_disk(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(COMPLETE["several"])
    with (
        pytest.warns(UserWarning, match="no part of the image is missing"),
        decode_to_disk(path, tmp_path) as photo,
    ):
        codes = photo.codes.read(Rectangle(0, 48, 0, 80))
    assert np.array_equal(codes, pixels_of(BASELINE))
    path.write_bytes(INCOMPLETE["half"])
    with pytest.raises(PhotoError, match="end marker"), decode_to_disk(path, tmp_path):
        pass


def test_metadata_of_a_repaired_file_is_kept():
    exif = Image.Exif()
    exif[0x010F] = "Samsung"
    exif[0x0112] = 6
    broken = spectral_end_0(encode(exif=exif))
    with pytest.warns(UserWarning, match="Invalid SOS"):
        photo = Photo.open(broken)
    assert photo.size == (48, 80)
    assert b"Samsung" in photo.metadata.exif


def test_repair_keeps_a_clean_file():
    for jpeg in (BASELINE, PROGRESSIVE, RESTARTS):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.array_equal(pixels_of(repair_jpeg(jpeg + b"tail")), pixels_of(jpeg))
        assert has_end(jpeg)
        assert not has_end(jpeg[:-2])
