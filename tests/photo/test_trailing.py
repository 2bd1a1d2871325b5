"""What follows the first image is left out with one warning, and the result does not claim it."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from burnish.photo import Photo
from burnish.photo.trailing import describe_trailing

CODES = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
VIDEO = struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + struct.pack(">I", 16) + b"mdatfilm" * 2
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def encode_image(format: str = "JPEG", **options: object) -> bytes:
    with io.BytesIO() as out:
        Image.fromarray(CODES).save(out, format, **options)
        return out.getvalue()


def packet(*properties: str) -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description'
        f' rdf:about="" {" ".join(properties)} xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmp:Rating="3"/></rdf:RDF></x:xmpmeta>'
    ).encode()


HDR = packet('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"', 'hdrgm:Version="1.0"')
CAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
MOTION = packet(CAMERA, 'GCamera:MotionPhoto="1"', 'GCamera:MotionPhotoVersion="1"')
MICRO = packet(CAMERA, 'GCamera:MicroVideo="1"', f'GCamera:MicroVideoOffset="{len(VIDEO)}"')
APPLE = packet('xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/"', 'HDRGainMap:Version="1"')
ISO = b"\xff\xe2\0\x22urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"


def multi_picture(*types: int) -> bytes:
    """Return the index of a multi-picture file, with the types of its images."""
    table = b"".join(struct.pack("<III4x", kind, 9, 9) for kind in (0x030000, *types))
    entries = struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    entries += struct.pack("<HHII", 0xB001, 4, 1, 1 + len(types))
    entries += struct.pack("<HHII", 0xB002, 7, len(table), 50)
    content = b"MPF\0II*\0\x08\0\0\0" + struct.pack("<H", 3) + entries + bytes(4) + table
    return struct.pack(">HH", 0xFFE2, len(content) + 2) + content


def insert(jpeg: bytes, segment: bytes) -> bytes:
    return jpeg[:2] + segment + jpeg[2:]


def samsung(name: bytes, content: bytes) -> bytes:
    block = struct.pack("<HHI", 0, 0xA30, len(name)) + name + content
    directory = b"SEFH" + struct.pack("<IIHHII", 106, 1, 0, 0xA30, len(block), len(block))
    return block + directory + struct.pack("<I", len(directory)) + b"SEFT"


PLAIN = encode_image()
SECOND = encode_image(quality=50)
FILES = {
    "Android": (encode_image(xmp=HDR) + encode_image(xmp=HDR), "the HDR gain map"),
    "Android, indexed": (
        insert(encode_image(xmp=HDR), multi_picture(0)) + encode_image(xmp=HDR),
        "the HDR gain map",
    ),
    "ISO": (insert(PLAIN, ISO) + insert(SECOND, ISO), "the HDR gain map"),
    "Apple": (insert(PLAIN, multi_picture(0)) + encode_image(xmp=APPLE), "the HDR gain map"),
    "XMP alone": (encode_image(xmp=HDR), "the HDR gain map"),
    "MPO": (insert(PLAIN, multi_picture(0)) + SECOND, "a further image"),
    "stereo": (
        insert(PLAIN, multi_picture(0x020002)) + SECOND,
        "the second view of a stereo image",
    ),
    "camera": (insert(PLAIN, multi_picture(0x010001, 0x010002)) + SECOND * 2, "2 previews"),
    "burst": (insert(PLAIN, multi_picture(0, 0, 0)) + SECOND * 3, "3 further images"),
    "no index": (PLAIN + SECOND, "a further image"),
    "motion photo": (encode_image(xmp=MOTION) + VIDEO, "the video of the motion photo"),
    "micro video": (encode_image(xmp=MICRO) + VIDEO, "the video of the motion photo"),
    "gain map and video": (
        encode_image(xmp=HDR) + encode_image(xmp=HDR) + VIDEO,
        "the HDR gain map and the video of the motion photo",
    ),
    "Samsung": (
        PLAIN + samsung(b"Image_UTC_Data", b"1612345678901"),
        r"Samsung's trailer \(Image_UTC_Data\)",
    ),
    "Samsung, video": (
        PLAIN + samsung(b"MotionPhoto_Data", VIDEO),
        r"the video of the motion photo and Samsung's trailer \(MotionPhoto_Data\)",
    ),
    "other": (PLAIN + b"a stranger's notes", "18 bytes behind the image"),
    "progressive": (encode_image(progressive=True) + VIDEO, "the video of the motion photo"),
    "PNG": (encode_image("PNG") + VIDEO, "the video of the motion photo"),
}


@pytest.mark.parametrize("name", FILES)
def test_one_warning_names_what_is_left_out(exiftool, name):
    source, names = FILES[name]
    with pytest.warns(UserWarning, match=f"image: {names} cannot be kept") as caught:
        photo = Photo.open(source)
    assert len(caught) == 1
    written = photo.encode()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Photo.open(written)  # nothing is claimed any more
    tags = exiftool.tags(written)
    groups = ("XMP-hdrgm", "XMP-GCamera", "MPF", "MPImage", "Samsung", "Trailer")
    assert [tag for tag in tags if tag.startswith(groups)] == []
    assert tags.get("XMP-xmp:Rating") == exiftool.tags(source).get("XMP-xmp:Rating")


@pytest.mark.parametrize("padding", [b"\0" * 5000, b"\xff" * 9, b"\r\n"])
def test_padding_behind_the_image_is_no_loss(padding):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Photo.open(PLAIN + padding).metadata.native == Photo.open(PLAIN).metadata.native


def test_multi_picture_index_without_images_is_dropped_silently():
    source = insert(PLAIN, multi_picture(0))
    assert Photo.open(source).encode() == Photo.open(PLAIN).encode()


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_damaged_trailer_is_named(size):
    trailer = samsung(b"MotionPhoto_Data", b"video")
    assert describe_trailing(trailer[size:], 0)
    assert describe_trailing(trailer[: len(trailer) - size], 0)
    assert describe_trailing(b"x" + trailer[-8:], 0) == ["Samsung's trailer"]
    index = multi_picture(0)[8:]
    assert describe_trailing(b"\0x", 0, index[:size]) in (
        ["2 bytes behind the image"],
        ["a further image"],
    )
