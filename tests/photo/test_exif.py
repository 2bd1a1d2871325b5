"""EXIF is carried byte for byte; maker's notes stay where their addresses are valid.

The structures are made by hand, and exiftool reads them.
"""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from burnish.photo import Photo, write
from burnish.photo.exif import exif_orientation, pack_exif, reset_exif_orientation
from burnish.photo.tiff_tags import BrokenTagsError, is_camera_raw, read_entries

ASCII, SHORT, LONG, UNDEFINED = 2, 3, 4, 7
MAKE, ORIENTATION, EXIF, NOTE = 0x010F, 0x0112, 0x8769, 0x927C
WIDTH, HEIGHT = 0xA002, 0xA003
MARK = {"<": b"II*\0", ">": b"MM\0*"}
FORMATS = ["jpeg", "png", "tiff", "webp", "avif"]
# Maker -> beginning of the note, what its offsets count from ("file" or a position in the note),
# and a tag of text that exiftool prints.
MAKERS = {
    "Canon": (b"", "file", 0x0006),
    "SONY": (b"SONY DSC \0\0\0", "file", 0xB020),
    "Panasonic": (b"Panasonic\0\0\0", "file", 0x0051),
    "OLYMPUS IMAGING CORP.": (b"OLYMP\0\1\0", "file", 0x0207),
    "NIKON CORPORATION": (b"Nikon\0\2\x10\0\0", 10, 0x0004),
    "FUJIFILM": (b"FUJIFILM\x0c\0\0\0", 0, 0x0010),
    "Apple": (b"Apple iOS\0\0\1MM", 0, 0x0015),
}
TEXT = b"a text of the maker"


def ifd(order: str, position: int, entries: list[tuple[int, int, bytes]], base: int = 0) -> bytes:
    """Return an IFD at a position, whose offsets count from `base`."""
    head = struct.pack(f"{order}H", len(entries))
    tail = b""
    tail_position = position + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        count = len(value) // {SHORT: 2, LONG: 4}.get(kind, 1)
        head += struct.pack(f"{order}HHI", tag, kind, count)
        if len(value) <= 4:
            head += value.ljust(4, b"\0")
        else:
            head += struct.pack(f"{order}I", tail_position + len(tail) - base)
            tail += value + b"\0" * (len(value) % 2)
    return head + bytes(4) + tail


def short(order: str, value: int) -> bytes:
    return struct.pack(f"{order}H", value)


def make_exif(maker: str = "SONY", order: str = "<", gap: int = 0, orientation: int = 1) -> bytes:
    """Return a block whose maker's note starts `gap` bytes behind the usual place."""
    start, base, tag = MAKERS[maker]
    make = maker.encode() + b"\0"
    first = [
        (MAKE, ASCII, make),
        (ORIENTATION, SHORT, short(order, orientation)),
        (0x013C, ASCII, b"a host computer\0"),
        (0xC6D2, UNDEFINED, b"a tag of nobody"),
    ]

    def pack(address: int, note: bytes) -> bytes:
        position = 8 + len(ifd(order, 8, [*first, (EXIF, LONG, bytes(4))]))
        pointer = (EXIF, LONG, struct.pack(f"{order}I", position))
        block = MARK[order] + struct.pack(f"{order}I", 8) + ifd(order, 8, [*first, pointer])
        # The note itself follows behind the gap.
        return block + struct.pack(f"{order}HHHII4x", 1, NOTE, UNDEFINED, len(note), address)

    note_order = "<" if maker == "FUJIFILM" else order
    if maker == "Apple":
        note_order = ">"
    address = len(pack(0, b"")) + gap
    header = start + (MARK[order] + struct.pack(f"{order}I", 8) if base == 10 else b"")
    body_base = 0 if base == "file" else address + base
    position = address + len(header)
    body = ifd(note_order, position, [(tag, ASCII, TEXT + b"\0")], body_base)
    note = header + body
    return pack(address, note).ljust(address, b"\0") + note


def encode_image(format: str, size: tuple[int, int] = (24, 16), **options: object) -> bytes:
    codes = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    with io.BytesIO() as out:
        Image.fromarray(codes).save(out, format, **options)
        return out.getvalue()


def note_of(block: bytes) -> tuple[bytes, int]:
    """Return a maker's note and its offset."""
    (exif_entry,) = (entry for entry in read_entries(block) if entry.tag == EXIF)
    (note,) = (entry for entry in exif_entry.sub_ifd if entry.tag == NOTE)
    return note.value, note.address


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("maker", MAKERS)
def test_encode_jpeg_keeps_every_tag(exiftool, difference, maker, target):
    block = make_exif(maker, ">" if maker in ("NIKON CORPORATION", "Apple") else "<", gap=40)
    source = encode_image("jpeg", exif=b"Exif\0\0" + block)
    assert TEXT.decode() in str(exiftool.tags(source))
    photo = Photo.open(source)
    assert photo.metadata.exif == block
    written = photo.encode(target)
    changed = difference(source, written)
    encoding = ("JFIF:", "PNG:", "PNG-", "RIFF:", "Meta:", "QuickTime:")
    storage = {} if target != "tiff" else ENCODING_TAGS
    assert [name for name in changed if not name.startswith(encoding) and name not in storage] == []
    # Once more: the file is now a source.
    again = Photo.open(written).encode("jpeg")
    assert note_of(Photo.open(again).metadata.exif) == note_of(block)


ENCODING_TAGS = {
    f"IFD0:{name}"
    for name in (
        *("ImageWidth", "ImageHeight", "BitsPerSample", "Compression", "PhotometricInterpretation"),
        *("StripOffsets", "SamplesPerPixel", "RowsPerStrip", "StripByteCounts", "Predictor"),
        *("PlanarConfiguration", "SampleFormat", "XResolution", "YResolution", "ResolutionUnit"),
    )
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
def test_encode_tiff_has_byte_order_of_exif_and_equal_pixels(order, depth):
    block = make_exif("Canon", order)
    photo = Photo.open(encode_image("jpeg", exif=b"Exif\0\0" + block))
    written = photo.encode("tiff", depth=depth)
    assert written[:4] == MARK[order]
    reopened = Photo.open(written)
    np.testing.assert_array_equal(reopened.pixels, photo.pixels)
    assert note_of(reopened.metadata.exif) == note_of(block)
    with Image.open(io.BytesIO(photo.encode("tiff"))) as image:  # another reader
        np.testing.assert_array_equal(np.asarray(image), np.rint(photo.pixels * 255))


@pytest.mark.parametrize("target", FORMATS)
def test_encode_exif_of_64_kb_is_kept(target):
    block = make_exif(gap=65_347)
    assert len(block) == 65_527
    photo = Photo.open(encode_image("jpeg", exif=b"Exif\0\0" + block))
    assert note_of(Photo.open(photo.encode(target)).metadata.exif) == note_of(block)


def test_encode_jpeg_exif_that_is_too_long_drops_largest_value_with_warning():
    block = make_exif(gap=70_000)
    png = Photo.open(encode_image("png", exif=block))
    assert note_of(Photo.open(png.encode()).metadata.exif) == note_of(block)
    with pytest.warns(UserWarning, match="addresses inside the maker's notes .*jpeg"):
        written = Photo.open(png.encode("jpeg"))
    assert note_of(written.metadata.exif)[0] == note_of(block)[0]
    nikon = Photo.open(encode_image("png", exif=make_exif("NIKON CORPORATION", ">", 70_000)))
    assert TEXT in nikon.encode(
        "jpeg"
    )  # its addresses count from the note, so that nothing is lost


@pytest.mark.parametrize("order", ["<", ">"])
def test_reset_exif_orientation_changes_two_values_and_the_thumbnail(order):
    first = ifd(order, 8, [(ORIENTATION, SHORT, short(order, 6))])[:-4]
    jpeg = b"\xff\xd8thumbnail\xff\xd9"
    position = 8 + len(first) + 4
    long = f"{order}I"
    links = [
        (0x0201, LONG, struct.pack(long, position + 30)),
        (0x0202, LONG, struct.pack(long, 13)),
    ]
    second = ifd(order, position, links)
    assert len(second) == 30
    head = MARK[order] + struct.pack(long, 8)
    block = head + first + struct.pack(long, position) + second + jpeg + b"rest"
    expected = first.replace(short(order, 6) + b"\0\0", short(order, 1) + b"\0\0")
    expected = head + expected + bytes(4) + second + bytes(13) + b"rest"
    assert reset_exif_orientation(block) == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [SHORT, LONG])
def test_reset_exif_orientation_swaps_sides_of_sideways_image(orientation, kind):
    letter = {SHORT: "H", LONG: "I"}[kind]
    sides = [
        (tag, kind, struct.pack(f"<{letter}", side)) for tag, side in ((WIDTH, 9), (HEIGHT, 5))
    ]
    first = [(ORIENTATION, SHORT, short("<", orientation)), (EXIF, LONG, struct.pack("<I", 38))]
    block = MARK["<"] + struct.pack("<I", 8) + ifd("<", 8, first) + ifd("<", 38, sides)
    assert exif_orientation(block) == orientation
    upright = (5, 9) if orientation >= 5 else (9, 5)
    changed = reset_exif_orientation(block, upright)
    assert exif_orientation(changed) == 1
    (entry,) = (entry for entry in read_entries(changed) if entry.tag == EXIF)
    assert [int.from_bytes(inner.value, "little") for inner in entry.sub_ifd] == list(upright)
    # A size that is not the image's is kept.
    assert reset_exif_orientation(block, (7, 7))[38:] == block[38:]


@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*"]))
@settings(deadline=None, max_examples=200)
def test_arbitrary_block_is_kept_or_raises_broken_tags(body, mark):
    for block in (body, mark + body, mark + b"\x08\0\0\0" + body, mark + b"\0\0\0\x08" + body):
        changed = reset_exif_orientation(block, (3, 2))
        assert len(changed) == len(block)
        assert reset_exif_orientation(changed, (3, 2)) == changed
        assert isinstance(is_camera_raw(block), bool)
        try:
            entries = read_entries(block, unreadable=[])
        except BrokenTagsError:
            continue
        assert pack_exif(entries, "<", 10**6)[1] in (True, False)


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("size", [0, 3, 8, 11, 40, 150])
def test_damaged_exif_is_kept_or_named(source, target, size, recwarn):
    block = make_exif(orientation=6)[:size] + b"\xff"
    if source == "jpeg":
        data = encode_image(source, exif=b"Exif\0\0" + block)
    else:
        data = encode_image(source, exif=block)
    written = Photo.open(data).encode(target)
    kept = Photo.open(written).metadata.exif
    expected = reset_exif_orientation(block)
    messages = [str(warning.message) for warning in recwarn]
    assert kept == expected or "EXIF" in messages[0] or "unreadable tag" in messages[0]
    assert kept == expected or target != source


def test_pack_exif_places_note_before_or_behind_other_entries():
    for gap in (0, 5000):
        block = make_exif(gap=gap)
        packed, intact = pack_exif(read_entries(block), "<", 10**5)
        assert intact
        assert note_of(packed) == note_of(block)
    note = note_of(block)[0]
    packed, intact = pack_exif(read_entries(block), "<", 1000)
    assert not intact
    assert note_of(packed)[0] == note


@pytest.mark.parametrize("target", ["tiff", "png", "jpeg"])
def test_encode_tiff_that_exiftool_wrote_keeps_notes(exiftool, difference, tmp_path, target):
    (tmp_path / "a.jpg").write_bytes(encode_image("jpeg", exif=b"Exif\0\0" + make_exif("SONY")))
    copied = ["-tagsFromFile", str(tmp_path / "a.jpg"), "-all:all"]
    source = exiftool.edit(encode_image("tiff"), *copied)
    assert exiftool.tags(source)["Sony:CreativeStyle"]
    changed = difference(source, Photo.open(source).encode(target))
    assert [name for name in changed if name.startswith(("ExifIFD:", "Sony:"))] == []


def with_exif(block: bytes) -> Photo:
    photo = Photo.open(encode_image("tiff"))
    return replace(photo, metadata=replace(photo.metadata, exif=block))


def test_open_tiff_with_note_far_behind_moves_it_with_warning():
    block = make_exif("SONY", gap=2**20)
    source = with_exif(block).encode()
    assert note_of(source) == note_of(block)
    with pytest.warns(UserWarning, match="addresses inside the maker's notes"):
        moved = Photo.open(source).metadata.exif
    assert note_of(moved)[0] == note_of(block)[0]


@pytest.mark.parametrize(("maker", "order"), [("Canon", "<"), ("NIKON CORPORATION", ">")])
def test_encode_bigtiff_keeps_exif(monkeypatch, recwarn, maker, order):
    monkeypatch.setattr(write, "_CLASSIC_TIFF_BYTES", 0)
    photo = with_exif(make_exif(maker, order))
    written = photo.encode()
    assert written[:4] == b"II+\0"
    assert note_of(written)[0] == note_of(photo.metadata.exif)[0]
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(written)), photo.pixels * 255)
    # Nikon's addresses count from the note itself.
    messages = [str(warning.message) for warning in recwarn]
    assert ["addresses inside" in message for message in messages] == [True] * (maker == "Canon")
