"""EXIF, IPTC and XMP are kept in every format, or a warning names them."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from burnish.photo import Photo
from burnish.photo.metadata import (
    THUMBNAIL_RESOURCES,
    Blocks,
    SourceMetadata,
    drop_resources,
    photoshop_with_iptc,
    unwrap_iptc,
    without_blocks,
    wrap_iptc,
)

MAKE, MODEL, ORIENTATION, ARTIST, COPYRIGHT = 0x010F, 0x0110, 0x0112, 0x013B, 0x8298
EXIF, GPS, EXPOSURE, DATE_TIME, USER_COMMENT, NOTE = 0x8769, 0x8825, 0x829A, 0x9003, 0x9286, 0x927C
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc:title="Sommer"/>"""
RECORDS = b"\x1c\x02\x78\x00\x05hello"


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
def test_encode_xmp_is_kept_with_orientation_reset(target):
    written = Photo.open(encode_image("jpeg", xmp=XMP)).encode(target)
    xmp = Photo.open(written).metadata.xmp
    assert b'dc:title="Sommer"' in xmp
    assert b'tiff:Orientation="1"' in xmp


def test_encode_jpeg_with_40_kb_maker_note_keeps_it():
    block = make_exif()
    block.get_ifd(EXIF)[NOTE] = b"n" * 40_000
    written = Photo.open(encode_image("jpeg", exif=block.tobytes())).encode()
    with Image.open(io.BytesIO(written)) as image:
        assert image.getexif().get_ifd(EXIF)[NOTE] == b"n" * 40_000


@pytest.mark.parametrize("target", ["jpeg", "tiff"])
def test_encode_big_endian_exif_is_kept(target):
    values = struct.pack(">HHHI4sHHIII", 2, MAKE, 2, 4, b"Abc\0", EXPOSURE, 5, 1, 38, 0)
    block = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + values + struct.pack(">II", 1, 250)
    written = Photo.open(encode_image("jpeg", exif=block)).encode(target)
    with Image.open(io.BytesIO(written)) as image:
        assert image.getexif()[MAKE] == "Abc"


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_encode_without_metadata_writes_none(exiftool, target):
    photo = Photo.open(encode_image("jpeg"))
    assert photo.metadata.exif is None
    groups = {name.split(":")[0] for name in exiftool.tags(photo.encode(target))}
    assert groups.isdisjoint({"ExifIFD", "GPS", "IPTC", "Photoshop", "PNG-pHYs"})
    assert not any(group.startswith("XMP") for group in groups)
    assert "IFD0" not in groups or target == "tiff"


@pytest.mark.parametrize("target", ["webp", "avif"])
def test_encode_iptc_unsupported_by_format_warns(target):
    photo = with_blocks(photoshop=wrap_iptc(RECORDS))
    with pytest.warns(UserWarning, match=f"image: IPTC .*{target}") as caught:
        written = photo.encode(target)
    assert caught[0].filename == __file__
    assert Photo.open(written).metadata.photoshop is None


def with_blocks(**blocks: bytes) -> Photo:
    photo = Photo.open(encode_image("jpeg"))
    return replace(photo, metadata=replace(photo.metadata, **blocks))


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff"])
@pytest.mark.parametrize("blocks", [{"photoshop": wrap_iptc(RECORDS)}, {"iptc": RECORDS}])
def test_encode_iptc_is_kept(exiftool, blocks, target):
    written = with_blocks(**blocks).encode(target)
    assert exiftool.tags(written)["IPTC:Caption-Abstract"] == ["hello"]
    again = Photo.open(written)
    for other in ("jpeg", "png", "tiff"):
        assert exiftool.tags(again.encode(other))["IPTC:Caption-Abstract"] == ["hello"]


def test_encode_several_losses_gives_one_warning():
    data = encode_image("jpeg", comment=b"by hand")
    photo = Photo.open(data[:2] + b"\xff\xe3\0\x08Meta\0\0" + data[2:])
    photo = replace(photo, metadata=replace(photo.metadata, iptc=RECORDS))
    names = r"JPEG segment APP3 \(Meta\), the comment and IPTC"
    with pytest.warns(UserWarning, match=f"{names} cannot be kept in webp") as caught:
        photo.encode("webp")
    assert len(caught) == 1


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_encode_long_xmp_is_kept(exiftool, target):
    xmp = Photo.open(encode_image("jpeg", xmp=PACKET % b"")).metadata.xmp
    assert xmp == PACKET % b""
    photo = with_blocks(xmp=PACKET % (b"y" * 200_000))
    tags = exiftool.tags(photo.encode(target))
    assert tags["XMP-dc:Source"] == ["y" * 200_000]
    assert Photo.open(Photo.open(photo.encode(target)).encode("png")).metadata.xmp.count(b"y") > 2e5


PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>%s</dc:source></rdf:Description>'
    b"</rdf:RDF></x:xmpmeta>"
)


def test_long_xmp_that_is_no_xml_is_left_out_of_jpeg_with_warning():
    photo = with_blocks(xmp=b"x" * 70_000)
    assert Photo.open(photo.encode("png")).metadata.xmp == b"x" * 70_000
    with pytest.warns(UserWarning, match="XMP cannot be kept in jpeg"):
        assert Photo.open(photo.encode("jpeg")).metadata.xmp is None


OTHERS = b"8BIM\x04\x0a\x03abc\0\0\0\x01\x01\0" + b"8BIM\x03\xed\0\0\0\0\0\x02ok"


def test_unwrap_iptc_skips_other_photoshop_resources():
    block = wrap_iptc(b"records")
    assert unwrap_iptc(OTHERS + block) == b"records"
    assert unwrap_iptc(OTHERS) is None
    assert all(unwrap_iptc(block[:size]) is None for size in range(len(block) - 1))


def test_photoshop_with_iptc_adds_records_once():
    both = photoshop_with_iptc(Blocks(photoshop=OTHERS, iptc=b"records"))
    assert both == OTHERS + wrap_iptc(b"records")
    assert photoshop_with_iptc(Blocks(photoshop=both, iptc=b"others")) == both
    assert photoshop_with_iptc(Blocks()) is None


def test_drop_resources_drops_thumbnails_and_keeps_damaged_end():
    thumbnail = b"8BIM\x04\x0c\0\0\0\0\0\x05jpeg.\0"
    assert drop_resources(thumbnail + OTHERS + thumbnail, THUMBNAIL_RESOURCES) == OTHERS
    for size in range(1, len(OTHERS)):
        assert drop_resources(OTHERS[:size], (0x0404,)) == OTHERS[:size]


def test_without_blocks_keeps_properties_of_pixels():
    metadata = SourceMetadata(exif=b"a", xmp=b"b", native=((b"c", b"d"),), format="jpeg", grey=True)
    assert vars(without_blocks(metadata)) == vars(SourceMetadata(format="jpeg", grey=True))


@pytest.mark.parametrize("text", ["by hand", "Grüße", "Наталья"])
def test_encode_comment_is_converted(exiftool, text):
    jpeg = Photo.open(encode_image("jpeg", comment=text.encode()))
    png = jpeg.encode("png")
    assert exiftool.tags(png)["PNG:Comment"] == [text]
    with Image.open(io.BytesIO(Photo.open(png).encode("jpeg"))) as image:
        assert image.info["comment"] == text.encode()


def test_encode_comment_in_latin_1_is_converted(exiftool):
    photo = Photo.open(encode_image("jpeg", comment="Grüße".encode("latin-1")))
    assert exiftool.tags(photo.encode("png"))["PNG:Comment"] == ["Grüße"]


def test_encode_comment_too_long_for_jpeg_warns():
    png = Photo.open(encode_image("jpeg", comment=b"x")).encode("png")
    photo = Photo.open(png)
    long = ((b"tEXt", b"Comment\0" + b"x" * 65_534),)
    photo = replace(photo, metadata=replace(photo.metadata, native=long))
    with pytest.warns(UserWarning, match="a text such as title or comment cannot be kept in jpeg"):
        photo.encode("jpeg")
