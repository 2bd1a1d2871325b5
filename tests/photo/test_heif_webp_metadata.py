"""Blocks of AVIF and WebP: put beside the pixels that libvips has written, and named."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from burnish.photo import Photo
from burnish.photo.heif_metadata import describe_boxes, replace_exif
from burnish.photo.metadata import SourceMetadata

EXIF = b"MM\0*\0\0\0\x08\0\1\1\x0f\0\2\0\0\0\4Abc\0" + bytes(4)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="3"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
PIXELS = np.random.default_rng(0).random((16, 24, 3), np.float32)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


@pytest.mark.parametrize("format", ["avif", "webp"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize("blocks", [{}, {"exif": EXIF}, {"xmp": XMP}, {"exif": EXIF, "xmp": XMP}])
def test_blocks_are_kept_beside_alpha_and_profile(exiftool, format, alpha, profile, blocks):
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if profile else None
    metadata = SourceMetadata(profile=icc, **blocks)
    photo = Photo(PIXELS, PIXELS[:, :, 0] if alpha else None, metadata)
    written = photo.encode(format)
    reopened = Photo.open(written)
    assert {name: getattr(reopened.metadata, name) for name in blocks} == blocks
    assert reopened.metadata.profile == icc
    tags = exiftool.tags(written)
    assert tags.get("IFD0:Make") == (["Abc"] if "exif" in blocks else None)
    assert tags.get("XMP-xmp:Rating") == (["3"] if "xmp" in blocks else None)
    with Image.open(io.BytesIO(written)) as image:  # another decoder
        image.load()
        assert image.mode == ("RGBA" if alpha else "RGB")
        assert dict(image.getexif()) == ({0x010F: "Abc"} if "exif" in blocks else {})
        assert np.abs(np.asarray(image)[:, :, :3] / 255 - photo.pixels).mean() < 0.3


def test_lossless_webp_keeps_exif():
    photo = Photo(PIXELS, metadata=SourceMetadata(format="webp", exif=EXIF, lossless=True))
    reopened = Photo.open(photo.encode())
    assert reopened.metadata.lossless
    assert reopened.metadata.exif == EXIF
    np.testing.assert_array_equal(reopened.pixels, np.rint(PIXELS * 255) / np.float32(255))


def test_unknown_chunk_of_webp_is_named():
    webp = Photo(PIXELS).encode("webp") + b"C2PA\4\0\0\0some"
    webp = webp[:4] + struct.pack("<I", len(webp) - 8) + webp[8:]
    with pytest.warns(UserWarning, match="WebP chunk C2PA cannot be kept"):
        assert Photo.open(webp).size == (24, 16)


BOXES = {
    "the video of the motion photo": box(b"mpvd", b"film"),
    "Samsung's trailer": box(b"sefd", b"data"),
    r"Content Credentials \(C2PA\)": box(
        b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(9)
    ),
}


@pytest.mark.parametrize("name", BOXES)
def test_boxes_behind_the_image_are_named(name):
    avif = Photo(PIXELS).encode("avif")
    with pytest.warns(UserWarning, match=f"image: {name} cannot be kept") as caught:
        Photo.open(avif + BOXES[name])
    assert len(caught) == 1
    assert describe_boxes(avif) == []


def test_gain_map_and_depth_in_the_table_of_items_are_named():
    auxiliary = b"auxC\0\0\0\0urn:com:apple:photo:2020:aux:hdrgainmap\0"
    table = bytes(4) + box(b"iprp", box(b"ipco", auxiliary + b"urn:mpeg:hevc:2015:auxid:2\0"))
    assert describe_boxes(box(b"meta", table)) == ["the HDR gain map", "the depth map"]


@pytest.mark.parametrize("size", range(0, 300, 37))
def test_damaged_boxes_end(size):
    avif = Photo(PIXELS, metadata=SourceMetadata(exif=EXIF)).encode("avif")
    assert describe_boxes(avif[:size]) == []
    with pytest.raises(ValueError, match=r"no|unusual"):
        replace_exif(io.BytesIO(avif[:size]), EXIF)
