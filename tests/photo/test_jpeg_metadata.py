"""Segments of a JPEG: all are carried, or a warning names them. exiftool makes and reads them."""

import hashlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from burnish.photo import Photo
from burnish.photo.xmp import set_xmp_property

SIZE = 24, 16
CODES = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
XMP_HEADER, EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"


def encode_image(mode: str = "RGB", **options: object) -> bytes:
    with io.BytesIO() as out:
        Image.fromarray(CODES).convert(mode).save(out, "JPEG", **options)
        return out.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def insert(jpeg: bytes, *segments: bytes) -> bytes:
    """Insert segments behind JFIF's."""
    end = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:end] + b"".join(segments) + jpeg[end:]


def segments_of(jpeg: bytes) -> list[tuple[int, bytes]]:
    """Return all segments before the first scan."""
    found, position = [], 2
    while jpeg[position + 1] != 0xDA:
        size = int.from_bytes(jpeg[position + 2 : position + 4], "big")
        found.append((jpeg[position + 1], jpeg[position + 4 : position + 2 + size]))
        position += 2 + size
    return found


CARRIED = {
    "comment": segment(0xFE, "Grüße".encode()) + segment(0xFE, b"another"),
    "FLIR": segment(0xE1, b"FLIR\0\1\0\0" + bytes(9)) + segment(0xE1, b"FLIR\0\1\1\0" + b"more"),
    "stereo": segment(0xE3, b"_JPSJPS_" + bytes(16)),
    "Ricoh": segment(0xE5, b"RMETA\0" + bytes(9)),
    "GoPro": segment(0xE6, b"GoPro\0" + bytes(9)),
    "JUMBF": segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumd" + bytes(16)),
    "PictureInfo": segment(0xEC, b"[picture info]\r\nCOLORMODE=1\r\n"),
    "Ducky": segment(0xEC, b"Ducky\0\1\0\4\0\0\0\x3c\0\0"),
    "old Photoshop": segment(0xED, b"Adobe_CM\0\2" + bytes(4)),
    "quality": segment(0xEF, b"Q 80"),
    "unknown": segment(0xE9, b"\0\1\2") + segment(0xE2, b"FPXR\0" + bytes(9)),
}


@pytest.mark.parametrize("name", CARRIED)
def test_segments_are_carried(difference, name):
    source = insert(encode_image(), CARRIED[name])
    written = Photo.open(source).encode()
    assert CARRIED[name] in written
    assert difference(source, written) == {}


DROPPED = {
    r"Content Credentials \(C2PA\)": [
        segment(0xEB, b"JP\0\1\0\0\0\1\0\0\1\0jumb\0\0\0\x26jumdc2pa" + bytes(30)),
        segment(0xEB, b"JP\0\1\0\0\0\2\0\0\1\0jumb" + bytes(30)),
    ],
    "the HDR gain map": [segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")],
    "a high dynamic range": [segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x10RESI" + bytes(9))],
}


@pytest.mark.parametrize("name", DROPPED)
def test_segments_that_an_edit_makes_false_are_dropped_with_warning(name):
    source = insert(encode_image(), *DROPPED[name])
    with pytest.warns(UserWarning, match=f"image: .*{name} cannot be kept") as caught:
        photo = Photo.open(source)
    assert len(caught) == 1
    assert segments_of(photo.encode()) == segments_of(Photo.open(encode_image()).encode())


def test_thumbnails_are_dropped():
    thumbnail = b"JFIF\0\1\2\0\0\1\0\1\1\1\x09\x09\x09"
    plain = encode_image()
    jfif = plain[2 : 4 + int.from_bytes(plain[4:6], "big")]
    others = segment(0xE0, b"JFXX\0\x13\1\1") + segment(0xE4, b"\xff\xd8\xff a preview")
    source = plain.replace(jfif, segment(0xE0, thumbnail) + others)
    assert segments_of(Photo.open(source).encode())[0] == (0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0")
    assert b"preview" not in Photo.open(source).encode()


@pytest.mark.parametrize(("mode", "transform"), [("RGB", 1), ("RGB", 0), ("L", 0), ("L", 1)])
def test_adobe_segment_is_kept_if_true(mode, transform):
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    fits = transform == (1 if mode == "RGB" else 0)
    written = Photo.open(insert(encode_image(mode), adobe)).encode()
    assert (adobe in written) == fits
    with Image.open(io.BytesIO(written)) as image:
        assert image.mode == mode


def test_orientation_in_a_jpeg_with_exif_before_jfif(exiftool):
    exif = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0" + bytes(4)
    plain = encode_image()
    source = plain[:2] + segment(0xE1, exif) + plain[2:]
    photo = Photo.open(source)
    assert photo.size == SIZE[::-1]
    assert exiftool.tags(photo.encode())["IFD0:Orientation"] == ["Horizontal (normal)"]


def test_photoshop_block_of_several_segments_is_whole(exiftool, difference):
    source = exiftool.edit(
        encode_image(), "-IPTC:Keywords=lake", "-IPTC:Keywords=sea", "-Photoshop:URL=http://a.b"
    )
    start = source.index(b"Photoshop 3.0\0")
    size = int.from_bytes(source[start - 2 : start], "big") - 2
    resources = source[start + 14 : start + size]
    path = b"8BIM\x07\xd0\0\0" + struct.pack(">I", 80_000) + bytes(80_000)
    parts = [(path + resources)[at : at + 60_000] for at in range(0, 90_000, 60_000)]
    whole = b"".join(segment(0xED, b"Photoshop 3.0\0" + part) for part in parts)
    source = source.replace(source[start - 4 : start + size], whole)
    assert exiftool.tags(source)["IPTC:Keywords"] == ["['lake', 'sea']"]
    for _ in range(2):
        written = Photo.open(source).encode()
        assert difference(source, written) == {}
        source = written


def extended_xmp(value: bytes) -> tuple[bytes, bytes]:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        b'syntax-ns#"><rdf:Description rdf:about="" xmlns:%b="%b" %b/></rdf:RDF></x:xmpmeta>'
    )
    depth = b"http://ns.google.com/photos/1.0/depthmap/"
    note = b"http://ns.adobe.com/xmp/note/"
    extension = packet % (b"GDepth", depth, b'GDepth:Data="%b"' % value)
    identifier = hashlib.md5(extension).hexdigest().upper().encode()
    return packet % (b"xmpNote", note, b'xmpNote:HasExtendedXMP="%b"' % identifier), extension


def with_extended_xmp(main: bytes, extension: bytes, keep: int = 10) -> bytes:
    identifier = main.partition(b'XMP="')[2][:32]
    starts = range(0, len(extension), 30_000)
    chunks = [
        segment(
            0xE1,
            EXTENSION
            + identifier
            + struct.pack(">II", len(extension), start)
            + extension[start : start + 30_000],
        )
        for start in starts
    ]
    # In the wrong order.
    return insert(encode_image(), segment(0xE1, XMP_HEADER + main), *reversed(chunks[:keep]))


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp"])
def test_extended_xmp_is_kept_with_history(exiftool, target):
    main, extension = extended_xmp(b"QUJD" * 20_000)
    photo = Photo.open(with_extended_xmp(main, extension))
    assert photo.metadata.extended_xmp == extension
    object.__setattr__(photo.metadata, "xmp", set_xmp_property(main, "History", "edited"))
    tags = exiftool.tags(photo.encode(target))
    assert tags["XMP-burnish:History"] == ["edited"]
    assert len(tags["XMP-GDepth:DepthImage"][0]) == 60_000
    assert ("XMP-xmpNote:HasExtendedXMP" in tags) == (target == "jpeg")


def test_incomplete_extended_xmp_is_dropped_with_warning():
    source = with_extended_xmp(*extended_xmp(b"QUJD" * 20_000), keep=2)
    with pytest.warns(UserWarning, match="incomplete extended XMP"):
        photo = Photo.open(source)
    assert photo.metadata.extended_xmp is None
    assert b"HasExtendedXMP" not in photo.metadata.xmp


def test_long_xmp_beside_extended_xmp_is_joined_and_split_again(exiftool):
    main, extension = extended_xmp(b"QUJD" * 20_000)
    photo = Photo.open(with_extended_xmp(main, extension))
    object.__setattr__(photo.metadata, "xmp", set_xmp_property(main, "History", "y" * 70_000))
    assert exiftool.tags(photo.encode())["XMP-burnish:History"] == ["y" * 70_000]
    description = (
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="'
        + b"y" * 70_000
        + b'"/></rdf:RDF>'
    )
    object.__setattr__(photo.metadata, "xmp", main.replace(b"</rdf:RDF>", description))
    tags = exiftool.tags(photo.encode())
    assert tags["XMP-dc:Source"] == ["y" * 70_000]
    assert len(tags["XMP-GDepth:DepthImage"][0]) == 60_000


def test_profile_in_several_segments_is_kept(exiftool):
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.ljust(150_000, b"\0")
    profile[:4] = struct.pack(">I", len(profile))
    source = encode_image(icc_profile=bytes(profile))
    written = Photo.open(source).encode()
    with Image.open(io.BytesIO(written)) as image:
        assert image.info["icc_profile"] == profile


def test_progressive_jpeg_with_comment_between_segments():
    source = encode_image(progressive=True, comment=b"hello")
    assert (0xFE, b"hello") in segments_of(Photo.open(source).encode())
    assert Photo.open(source + bytes(10)).metadata.native == Photo.open(source).metadata.native


def test_second_exif_and_second_packet_are_named():
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"
    twice = [segment(0xE1, exif), segment(0xE1, XMP_HEADER + b"<x/>")] * 2
    with pytest.warns(UserWarning, match="a second EXIF block and a second XMP packet"):
        Photo.open(insert(encode_image(), *twice))


def test_exif_of_several_segments_is_kept(difference, exiftool):
    block = b"II*\0\x08\0\0\0\1\0\x86\x92\x07\0" + struct.pack("<II", 100_000, 26) + bytes(4)
    block += b"ASCII\0\0\0".ljust(100_000, b"x")
    parts = [block[at : at + 65_000] for at in range(0, len(block), 65_000)]
    source = insert(encode_image(), *(segment(0xE1, b"Exif\0\0" + part) for part in parts))
    written = Photo.open(source).encode()
    assert Photo.open(written).metadata.exif == block
    assert difference(source, written) == {}
