"""EXIF, IPTC and XMP are kept in every format, with orientation reset and without the thumbnail.

The XMP of other programs keeps every byte, and burnish's property survives rewriting.
"""

import io
import re
import shutil
import struct
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from burnish.photo import Photo
from burnish.photo import tiff_tags as tags
from burnish.photo.metadata import (
    BrokenXmpError,
    get_xmp_property,
    read_tiff_exif,
    reset_exif_orientation,
    reset_xmp_orientation,
    set_xmp_property,
    unwrap_iptc,
    wrap_iptc,
    write_tiff_iptc,
)

MAKE, MODEL, ORIENTATION, ARTIST, COPYRIGHT = 0x010F, 0x0110, 0x0112, 0x013B, 0x8298
EXIF, GPS, EXPOSURE, DATE_TIME, USER_COMMENT, NOTE = 0x8769, 0x8825, 0x829A, 0x9003, 0x9286, 0x927C
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc:title="Sommer"/>"""
OTHER_XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="Sommer"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
# Text that XML 1.0 can contain.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]))


def make_exif() -> Image.Exif:
    block = Image.Exif()
    block[MAKE], block[MODEL], block[ORIENTATION] = "Acme", "Box 3", 6
    block[ARTIST], block[COPYRIGHT] = "Ansel", "all rights"
    inner = block.get_ifd(EXIF)
    inner[EXPOSURE], inner[DATE_TIME] = 0.004, "2024:05:06 07:08:09"
    inner[USER_COMMENT], inner[NOTE] = b"ASCII\0\0\0a comment", b"secret of the maker" * 3
    gps = block.get_ifd(GPS)
    gps[1], gps[2], gps[3], gps[4] = "N", (48.0, 8.0, 14.25), "E", (11.0, 34.0, 31.5)
    return block


def encode_image(format: str, **options: object) -> bytes:
    codes = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    with io.BytesIO() as out:
        Image.fromarray(codes).save(out, format, **options)
        return out.getvalue()


def check_exif(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        block = image.getexif()
        assert image.size == (16, 24)
    assert [block[tag] for tag in (MAKE, MODEL, ARTIST)] == ["Acme", "Box 3", "Ansel"]
    assert block.get(ORIENTATION, 1) == 1
    inner, gps = block.get_ifd(EXIF), block.get_ifd(GPS)
    assert float(inner[EXPOSURE]) == pytest.approx(0.004)
    assert inner[DATE_TIME] == "2024:05:06 07:08:09"
    assert inner[USER_COMMENT] == b"ASCII\0\0\0a comment"
    assert inner[NOTE] == b"secret of the maker" * 3
    assert (gps[1], tuple(map(float, gps[2]))) == ("N", (48.0, 8.0, 14.25))
    assert (gps[3], tuple(map(float, gps[4]))) == ("E", (11.0, 34.0, 31.5))


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("source", ["jpeg", "png", "tiff", "webp", "avif"])
def test_encode_exif_with_gps_is_kept_in_any_format(source, target):
    first = Photo.open(encode_image(source, exif=make_exif().tobytes()))
    written = first.encode(target)
    check_exif(written)
    check_exif(Photo.open(written).encode(target))


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_encode_without_exif_writes_none(target):
    photo = Photo.open(encode_image("jpeg"))
    assert photo.metadata.exif is None
    written = Photo.open(photo.encode(target))
    assert written.metadata.exif is None


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_encode_xmp_is_kept_with_orientation_reset(target):
    written = Photo.open(encode_image("jpeg", xmp=XMP)).encode(target)
    xmp = Photo.open(written).metadata.xmp
    assert b'dc:title="Sommer"' in xmp
    assert b'tiff:Orientation="1"' in xmp


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<tiff:Orientation>8</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b"tiff:Orientation = '3'", b"tiff:Orientation = '1'"),
        (b"tiff:Orientation='1'", b"tiff:Orientation='1'"),
        (b"no tiff:Orientation 6", b"no tiff:Orientation 6"),
    ],
)
def test_reset_xmp_orientation_replaces_only_the_value(before, after):
    assert reset_xmp_orientation(before) == after


@pytest.mark.parametrize("target", ["png", "webp", "avif"])
def test_encode_iptc_unsupported_by_format_warns(target):
    photo = Photo.open(encode_image("jpeg"))
    photo_with_iptc = replace(photo, metadata=replace(photo.metadata, iptc=wrap_iptc(b"records")))
    with pytest.warns(UserWarning, match=f"image: IPTC .*{target}") as caught:
        written = photo_with_iptc.encode(target)
    assert caught[0].filename == __file__
    assert Photo.open(written).metadata.iptc is None


@pytest.mark.parametrize("length", [60_000, 60_001])
def test_encode_jpeg_with_long_xmp_keeps_it_or_warns(length):
    xmp = b"<x:xmpmeta>".ljust(length - 12, b"y") + b"</x:xmpmeta>"
    photo = Photo.open(encode_image("jpeg"))
    photo = replace(photo, metadata=replace(photo.metadata, xmp=xmp))
    assert Photo.open(photo.encode("png")).metadata.xmp == xmp
    if length == 60_000:
        assert Photo.open(photo.encode("jpeg")).metadata.xmp == xmp
    else:
        with pytest.warns(UserWarning, match="XMP .*jpeg"):
            assert Photo.open(photo.encode("jpeg")).metadata.xmp is None


def test_encode_jpeg_with_40_kb_maker_note_keeps_it():
    block = make_exif()
    block.get_ifd(EXIF)[NOTE] = b"n" * 40_000
    written = Photo.open(encode_image("jpeg", exif=block.tobytes())).encode()
    with Image.open(io.BytesIO(written)) as image:
        assert image.getexif().get_ifd(EXIF)[NOTE] == b"n" * 40_000


@pytest.mark.parametrize("length", [64_000, 66_000])
def test_encode_jpeg_with_long_maker_note_keeps_it_or_warns(length):
    block = make_exif()
    block.get_ifd(EXIF)[NOTE] = b"n" * length
    photo = Photo.open(encode_image("tiff", exif=block.tobytes()))
    assert b"n" * length in Photo.open(photo.encode()).metadata.exif
    if length == 64_000:
        assert b"n" * length in Photo.open(photo.encode("jpeg")).metadata.exif
    else:
        with pytest.warns(UserWarning, match="EXIF.*jpeg"):
            photo.encode("jpeg")


def test_open_hdr_gain_map_warns():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r hdrgm:Version="1.0"/></x:xmpmeta>'
    with pytest.warns(UserWarning, match="image: .*gain map"):
        photo = Photo.open(encode_image("jpeg", xmp=xmp))
    assert photo.size == (24, 16)


@pytest.mark.parametrize("target", ["jpeg", "tiff"])
def test_encode_iptc_is_kept(target):
    caption = b"\x1c\x02\x78\x00\x05hello"
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(caption)) + caption
    segment = b"Photoshop 3.0\0" + block
    segment = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    jpeg = encode_image("jpeg")
    photo = Photo.open(jpeg[:2] + segment + jpeg[2:])
    assert b"hello" in photo.metadata.iptc
    assert b"hello" in Photo.open(photo.encode(target)).metadata.iptc


def test_encode_iptc_from_tiff_is_kept_in_jpeg():
    photo = Photo.open(Photo.open(encode_image("png")).encode("tiff"))
    records = b"\x1c\x02\x78\x00\x05hello"
    with io.BytesIO(photo.encode()) as out:
        write_tiff_iptc(out, wrap_iptc(records))
        tiff = out.getvalue()
    with Image.open(io.BytesIO(Photo.open(tiff).encode("jpeg"))) as image:
        assert image.info["photoshop"][0x0404] == records
    assert Photo.open(tiff).metadata.iptc == wrap_iptc(records)


def test_unwrap_iptc_skips_other_photoshop_resources():
    others = b"8BIM\x04\x0a\x03abc\0\0\0\x01\x01\0" + b"8BIM\x03\xed\0\0\0\0\0\x02ok"
    block = wrap_iptc(b"records")
    assert unwrap_iptc(block[:14] + others + block[14:]) == b"records"
    assert unwrap_iptc(block[:14] + others) is None
    assert all(unwrap_iptc(block[:size]) is None for size in range(len(block) - 1))


@pytest.mark.parametrize("order", ["<", ">"])
def test_reset_exif_orientation_unlinks_thumbnail_and_moves_nothing(order):
    # An IFD with an orientation, followed by the IFD of the thumbnail.
    mark = b"II*\0" if order == "<" else b"MM\0*"
    one = struct.pack(f"{order}HHHIHHI", 1, ORIENTATION, 3, 1, 6, 0, 26)
    two = struct.pack(f"{order}HHHIII", 1, 0x0201, 4, 1, 44, 0)
    block = b"Exif\0\0" + mark + struct.pack(f"{order}I", 8) + one + two + b"thumbnail"
    with_thumbnail = encode_image("jpeg", exif=block)
    assert reset_exif_orientation(block) == (
        b"Exif\0\0" + mark + struct.pack(f"{order}I", 8)
        + struct.pack(f"{order}HHHIHHI", 1, ORIENTATION, 3, 1, 1, 0, 0) + two + b"thumbnail"
    )  # fmt: skip
    written = Photo.open(with_thumbnail).encode()
    with Image.open(io.BytesIO(written)) as image:
        assert image.getexif().get_ifd(1) == {}


@pytest.mark.parametrize("target", ["jpeg", "tiff"])
def test_encode_big_endian_exif_is_kept(target):
    values = struct.pack(">HHHI4sHHIII", 2, MAKE, 2, 4, b"Abc\0", EXPOSURE, 5, 1, 38, 0)
    block = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + values + struct.pack(">II", 1, 250)
    written = Photo.open(encode_image("jpeg", exif=block)).encode(target)
    with Image.open(io.BytesIO(written)) as image:
        assert image.getexif()[MAKE] == "Abc"


def test_open_damaged_exif_warns_and_drops_it():
    data = encode_image("png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09")
    with pytest.warns(UserWarning, match="EXIF"):
        photo = Photo.open(data)
    assert photo.metadata.exif is None
    assert photo.size == (24, 16)


@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*"]))
@settings(deadline=None, max_examples=200)
def test_arbitrary_block_returns_or_raises_broken_tags(body, mark):
    for block in (mark + body, mark + b"\x08\0\0\0" + body, mark + b"\0\0\0\x08" + body):
        for function in (reset_exif_orientation, read_tiff_exif, tags.is_camera_raw):
            try:
                result = function(block)
            except tags.BrokenTagsError:
                continue
            assert result is None or isinstance(result, bytes | bool)


@given(TEXT)
def test_get_xmp_property_returns_any_text(text):
    assert get_xmp_property(set_xmp_property(None, "History", text), "History") == text
    assert get_xmp_property(set_xmp_property(OTHER_XMP, "History", text), "History") == text


def test_set_xmp_property_keeps_other_packet_byte_for_byte():
    first = set_xmp_property(OTHER_XMP, "History", "one")
    assert re.sub(rb"\s*<rdf:Description[^<]*burnish[^<]*/>", b"", first) == OTHER_XMP
    assert b'rdf:about="uuid:1" xmlns:rdf' in first
    second = set_xmp_property(first, "History", "two")
    assert get_xmp_property(second, "History") == "two"
    assert len(second) == len(first)


def test_get_xmp_property_reads_element():
    packet = OTHER_XMP.replace(
        b"</rdf:RDF>",
        b'<rdf:Description xmlns:b="urn:burnish:xmp#"><b:History>so</b:History></rdf:Description>'
        b"</rdf:RDF>",
    )
    assert get_xmp_property(packet, "History") == "so"


@pytest.mark.parametrize("packet", [b"", b"<x/>", b"<rdf:RDF>", b"\xff\xfe<\0", b"</rdf:RDF>"])
def test_broken_packet_raises_or_returns_none(packet):
    assert get_xmp_property(packet, "History") is None
    if packet:
        with pytest.raises(BrokenXmpError):
            set_xmp_property(packet, "History", "x")


def test_set_xmp_property_in_utf_16_raises():
    with pytest.raises(BrokenXmpError):
        set_xmp_property(OTHER_XMP.decode().encode("utf-16"), "History", "x")


def test_set_xmp_property_makes_well_formed_packet():
    root = ElementTree.fromstring(set_xmp_property(None, "History", "'<&>\""))
    assert root.tag == "{adobe:ns:meta/}xmpmeta"


def test_exiftool_reads_and_copies_property(tmp_path):
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    source, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    image = Image.fromarray(np.full((8, 8, 3), 90, np.uint8))
    image.save(source, xmp=set_xmp_property(None, "History", '["so"]'))
    image.save(other)
    read = subprocess.run(
        ["exiftool", "-s3", "-XMP:History", source], capture_output=True, text=True
    )
    assert read.stdout.strip() == '["so"]'
    copy = ["exiftool", "-q", "-tagsFromFile", source, "-XMP", other]
    subprocess.run(copy, check=True, capture_output=True)
    assert get_xmp_property(Photo.open(other).metadata.xmp, "History") == '["so"]'


@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_set_xmp_property_keeps_attributes_next_to_it(quote):
    compact = (
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
        b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about=''"
        b" xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:burnish='urn:burnish:xmp#'"
        b" xmp:Rating='5' burnish:History='one' xmp:Label='Red'/></rdf:RDF></x:xmpmeta>"
    ).replace(b"'", quote)
    changed = set_xmp_property(compact, "History", "two")
    assert get_xmp_property(changed, "History") == "two"
    assert changed.count(b"History") == 1
    without = compact.replace(b" burnish:History='one'".replace(b"'", quote), b"")
    assert re.sub(rb"\s*<rdf:Description[^<]*History[^<]*/>", b"", changed) == without


def test_set_xmp_property_replaces_element():
    packet = OTHER_XMP.replace(
        b"</rdf:RDF>",
        b"<rdf:Description xmlns:b='urn:burnish:xmp#'><b:History>so</b:History></rdf:Description>"
        b"</rdf:RDF>",
    )
    changed = set_xmp_property(packet, "History", "otherwise")
    assert get_xmp_property(changed, "History") == "otherwise"
    assert b"<b:History>" not in changed
    assert b'dc:title="Sommer"' in changed
