"""Tags of a TIFF: all that do not describe the storage of the pixels are carried."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from burnish.photo import Photo
from burnish.photo.tiff_tags import BrokenTagsError, read_entries

CODES = np.random.default_rng(0).integers(0, 256, (160, 120, 3), np.uint8)
GEO = [
    (33550, "d", 3, (0.5, 0.5, 0.0), False),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4.5e6, 0.0), False),
    (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), False),
    (42112, "s", 0, "<GDALMetadata><Item name='a'>b</Item></GDALMetadata>", False),
    (42113, "s", 0, "-9999", False),
]
OTHER = [
    (269, "s", 0, "a document", False),
    (285, "s", 0, "a page", False),
    (316, "s", 0, "a computer", False),
    (65000, "I", 3, (1, 2, 3), False),
    (65001, "B", 2, b"\1\2", False),
]
# Tags about the storage, which differ.
STORAGE = ("Strip", "Tile", "RowsPerStrip", "Compression", "Predictor", "SampleFormat", "Planar")
STORAGE += ("FillOrder", "BitsPerSample", "SamplesPerPixel", "PhotometricInterpretation")


def encode(codes: np.ndarray = CODES, **options: object) -> bytes:
    with io.BytesIO() as file:
        tifffile.imwrite(file, codes, photometric="rgb", metadata=None, **options)
        return file.getvalue()


def carried(changed: dict[str, tuple]) -> dict[str, tuple]:
    return {
        name: values
        for name, values in changed.items()
        if not name.removeprefix("IFD0:").startswith(STORAGE)
    }


SOURCES = {
    "plain": {"resolution": (300, 300)},
    "big-endian": {"byteorder": ">"},
    "16 bit": {"codes": CODES.astype(np.uint16) * 257, "resolution": (10, 20)},
    "16 bit, big-endian": {"codes": (CODES.astype(">u2") * 257).astype(">u2"), "byteorder": ">"},
    "float, big-endian": {"codes": (CODES / 255).astype(">f4"), "byteorder": ">"},
    "tiled": {"tile": (64, 64), "compression": "zlib"},
    "planar": {"codes": CODES.transpose(2, 0, 1), "planarconfig": "separate"},
}


@pytest.mark.parametrize("name", SOURCES)
def test_all_tags_about_the_photo_are_carried(difference, name):
    options = {"codes": CODES} | SOURCES[name]
    source = encode(extratags=GEO + OTHER, description="mine", **options)
    photo = Photo.open(source)
    written = photo.encode()
    assert carried(difference(source, written)) == {}
    assert written[:2] == source[:2]  # the byte order
    stored = tifffile.imread(io.BytesIO(written))
    expected = options["codes"]
    np.testing.assert_array_equal(stored, expected if stored.shape == expected.shape else CODES)


def test_tags_of_a_bigtiff_are_carried():
    source = encode(extratags=GEO + OTHER, description="mine", bigtiff=True)
    with tifffile.TiffFile(io.BytesIO(Photo.open(source).encode())) as written:
        tags = written.pages[0].tags
        for code, _, _, value, _ in GEO + OTHER:
            assert tags[code].value == value
        assert tags[270].value == "mine"


def test_several_descriptions_are_carried():
    source = bytearray(encode(description="theirs", software="mine"))
    software = source.index(struct.pack("<HH", 305, 2))
    source[software : software + 2] = struct.pack("<H", 270)  # two entries of one tag
    with tifffile.TiffFile(io.BytesIO(Photo.open(bytes(source)).encode())) as written:
        values = [tag.value for tag in written.pages[0].tags if tag.code == 270]
    assert values == ["theirs", "mine"]


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif"])
def test_tags_are_carried_into_exif(exiftool, target):
    source = encode(extratags=GEO + OTHER, description="mine")
    before, after = exiftool.tags(source), exiftool.tags(Photo.open(source).encode(target))
    groups = ("GeoTiff:", "IFD0:")
    encoding = ("IFD0:ImageWidth", "IFD0:ImageHeight", *(f"IFD0:{name}" for name in STORAGE))
    names = [name for name in before if name.startswith(groups) and not name.startswith(encoding)]
    assert {name: after.get(name) for name in names} == {name: before[name] for name in names}
    assert len(names) > 10


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff"])
def test_resolution_is_carried_and_none_added(exiftool, target):
    without = Photo.open(encode())
    resolutions = {"IFD0:XResolution", "JFIF:XResolution", "PNG-pHYs:PixelsPerUnitX"}
    found = exiftool.tags(without.encode(target))
    assert all(found[name] == ["1"] for name in resolutions & found.keys())
    dense = Photo.open(encode(resolution=(300, 300)))
    tags = exiftool.tags(dense.encode(target))
    assert "300" in str(tags) or "11811" in str(tags)
    assert ("ExifIFD" in str(tags)) is False


@pytest.mark.parametrize("exif_size", [0, 8, 30, 5000, 200_000])
@pytest.mark.parametrize("shape", [(1, 1), (300, 200)])
def test_pixels_at_the_place_of_exif_are_moved(exif_size, shape):
    codes = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    photo = Photo(codes.astype(np.float32) / 255)
    block = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 65000, 7, exif_size, 26) + bytes(4)
    object.__setattr__(photo.metadata, "exif", block + b"x" * exif_size)
    written = photo.encode("tiff")
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(written)), codes)
    with Image.open(io.BytesIO(written)) as image:
        np.testing.assert_array_equal(np.asarray(image), codes)
    values = {entry.tag: entry.value for entry in read_entries(written)}
    assert len(values[65000]) == exif_size


def test_iptc_and_photoshop_of_tiff_stay_apart(difference):
    records = b"\x1c\x02\x78\x00\x05hello"
    resources = b"8BIM\x04\x0b\0\0\0\0\0\x0ahttp://a.b"
    tags = [(33723, "B", 10, records, False), (34377, "B", 22, resources, False)]
    source = encode(extratags=tags)
    written = Photo.open(source).encode()
    values = {entry.tag: entry.value for entry in read_entries(written)}
    assert (values[33723], values[34377]) == (records, resources)
    assert carried(difference(source, written)) == {}


def test_iptc_with_swapped_bytes_is_read():
    records = b"\x1c\x02\x78\x00\x07goodbye"
    swapped = [int.from_bytes(records[at : at + 4], "big") for at in range(0, 12, 4)]
    photo = Photo.open(encode(extratags=[(33723, "I", 3, swapped, False)]))
    assert photo.metadata.iptc == records


def test_transfer_function_is_carried_if_it_fits_the_depth():
    function = (301, "H", 256, tuple(range(0, 65536, 257)), False)
    photo = Photo.open(encode(extratags=[function]))
    for depth, is_carried in ((8, True), (16, False)):
        tags = {entry.tag for entry in read_entries(photo.encode(depth=depth))}
        assert (301 in tags) == is_carried


@pytest.mark.parametrize("unit", [0, 4, 255])
def test_value_that_readers_of_tiff_reject_is_named(unit):
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x0128, 3, 1, unit) + bytes(4)
    photo = Photo.open(encode())
    object.__setattr__(photo.metadata, "exif", exif)
    with pytest.warns(UserWarning, match="the damaged tag 0x0128 cannot be kept in tiff"):
        assert Photo.open(photo.encode()).size == photo.size


def test_layers_and_sub_images_are_named():
    layers = (37724, "B", 30, b"Adobe Photoshop Document Data\0", False)
    with io.BytesIO() as file:
        with tifffile.TiffWriter(file) as writer:
            writer.write(CODES, photometric="rgb", subifds=1, extratags=[layers], metadata=None)
            writer.write(CODES[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
        source = file.getvalue()
    with pytest.warns(UserWarning, match="images in sub-IFDs and Photoshop's layers") as caught:
        photo = Photo.open(source)
    assert len(caught) == 1
    assert b"Adobe Photoshop Document" not in photo.encode()


def test_unreadable_tag_is_named_and_others_are_kept(exiftool):
    source = bytearray(encode(extratags=OTHER))
    position = source.index(struct.pack("<HH", 285, 2))
    source[position + 8 : position + 12] = struct.pack("<I", 2**31)
    with pytest.warns(UserWarning, match="the unreadable tag 0x011d"):
        photo = Photo.open(bytes(source))
    tags = exiftool.tags(photo.encode())
    assert tags["IFD0:HostComputer"] == ["a computer"]
    assert "IFD0:PageName" not in tags


@pytest.mark.parametrize("exif", [b"", b"Nonsense", b"II*\0\xff\xff\0\0", b"MM\0*\0\0\xff\xff"])
@pytest.mark.parametrize("depth", [8, 16])
def test_damaged_exif_is_named_and_pixels_are_right(exif, depth):
    photo = Photo.open(encode(description="mine"))
    object.__setattr__(photo.metadata, "exif", exif)
    with pytest.raises(BrokenTagsError):
        read_entries(exif)
    with pytest.warns(UserWarning, match="damaged EXIF cannot be kept in tiff"):
        written = photo.encode(depth=depth)
    stored = tifffile.imread(io.BytesIO(written))
    np.testing.assert_array_equal(stored, CODES * stored.dtype.type(257 if depth == 16 else 1))
