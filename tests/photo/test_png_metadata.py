"""Chunks of a PNG: metadata is found wherever programs put it, and kept."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from burnish.photo import Photo
from burnish.photo.metadata import wrap_iptc
from burnish.photo.png_metadata import pack_chunks

SIZE = 24, 16
CODES = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
EXIF = b"II*\0\x08\0\0\0\2\0\x0f\1\2\0\4\0\0\0Abc\0\x12\1\3\0\1\0\0\0\6\0\0\0" + bytes(4)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc:title="Sommer"/></x:xmpmeta>'
RESOURCES = wrap_iptc(b"\x1c\x02\x78\x00\x05hello")


def encode_image(mode: str = "RGB", **options: object) -> bytes:
    with io.BytesIO() as out:
        Image.fromarray(CODES).convert(mode).save(out, "PNG", **options)
        return out.getvalue()


def insert(png: bytes, *chunks: tuple[bytes, bytes], late: bool = False) -> bytes:
    """Insert chunks before or behind the pixels."""
    position = len(png) - 12 if late else 33
    return png[:position] + pack_chunks(chunks) + png[position:]


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    found, position = [], 8
    while position < len(png):
        size = int.from_bytes(png[position : position + 4], "big")
        found.append((png[position + 4 : position + 8], png[position + 8 : position + 8 + size]))
        position += 12 + size
    return found


def raw_profile(name: bytes, block: bytes, kind: bytes = b"zTXt") -> tuple[bytes, bytes]:
    """Return a text chunk as ImageMagick writes it."""
    text = b"\n%b\n%8d\n%b\n" % (name, len(block), block.hex().encode())
    keyword = b"Raw profile type " + name + b"\0"
    return kind, keyword + (b"\0" + zlib.compress(text) if kind == b"zTXt" else text)


EXIF_CHUNKS = {
    "eXIf": (b"eXIf", EXIF),
    "eXIf with a prefix": (b"eXIf", b"Exif\0\0" + EXIF),
    "exif": raw_profile(b"exif", b"Exif\0\0" + EXIF),
    "APP1": raw_profile(b"APP1", b"Exif\0\0" + EXIF),
    "plain text": raw_profile(b"exif", b"Exif\0\0" + EXIF, b"tEXt"),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", EXIF_CHUNKS)
def test_exif_is_found_and_its_orientation_applied(exiftool, name, late):
    source = insert(encode_image(), EXIF_CHUNKS[name], late=late)
    photo = Photo.open(source)
    assert Photo.size_of(source) == photo.size == SIZE[::-1]
    with Image.open(io.BytesIO(source)) as image:
        image.load()
        upright = np.asarray(ImageOps.exif_transpose(image))
    if name not in ("eXIf with a prefix", "APP1"):  # which Pillow does not read
        np.testing.assert_array_equal(np.rint(photo.pixels * 255), upright)
    for target in ("png", "jpeg"):
        tags = exiftool.tags(photo.encode(target))
        assert tags["IFD0:Make"] == ["Abc"]
        assert tags["IFD0:Orientation"] == ["Horizontal (normal)"]
        assert Photo.open(photo.encode(target)).size == photo.size


XMP_CHUNKS = {
    "iTXt": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "compressed": (b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0x\0" + zlib.compress(XMP)),
    "xmp": raw_profile(b"xmp", XMP),
    "APP1": raw_profile(b"APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", XMP_CHUNKS)
def test_xmp_is_found(name, late):
    photo = Photo.open(insert(encode_image(), XMP_CHUNKS[name], late=late))
    expected = XMP.replace(b'"6"', b'"1"')
    assert photo.metadata.xmp == expected
    assert dict(chunks_of(photo.encode()))[b"iTXt"].endswith(expected)


@pytest.mark.parametrize("name", [b"iptc", b"8bim"])
@pytest.mark.parametrize("block", [RESOURCES, b"Photoshop 3.0\0" + RESOURCES, RESOURCES[12:]])
def test_iptc_is_found_and_kept(exiftool, name, block):
    chunk = raw_profile(name, block)
    photo = Photo.open(insert(encode_image(), chunk, late=True))
    assert chunk in chunks_of(photo.encode())
    assert exiftool.tags(photo.encode("jpeg"))["IPTC:Caption-Abstract"] == ["hello"]


CARRIED = [
    (b"tIME", bytes([7, 228, 1, 2, 3, 4, 5])),
    (b"pHYs", struct.pack(">IIB", 3, 2, 0)),
    (b"sBIT", b"\5\6\5"),
    (b"bKGD", b"\0\1\0\2\0\3"),
    (b"oFFs", struct.pack(">iiB", 1, 2, 0)),
    (b"tEXt", b"Title\0Cup"),
    (b"zTXt", b"Comment\0\0" + zlib.compress(b"a long one")),
    (b"iTXt", "Copyright\0\0\0\0\0© Наталья".encode()),
    (b"prVt", b"a program's own"),
    (b"tEXt", b"Raw profile type generic\0\nnot hexadecimal"),
]


@pytest.mark.parametrize("late", [False, True])
def test_other_chunks_are_carried(difference, late):
    source = insert(encode_image(), *CARRIED, late=late)
    written = Photo.open(source).encode()
    assert [chunk for chunk in chunks_of(written) if chunk in CARRIED] == CARRIED
    assert difference(source, written) == {}


def test_colours_are_carried_and_stay_declared():
    declared = [(b"gAMA", struct.pack(">I", 100_000)), (b"cHRM", struct.pack(">8I", *range(8)))]
    source = insert(encode_image(), *declared)
    with pytest.warns(UserWarning, match="declares colours other than sRGB"):
        photo = Photo.open(source)
    assert [chunk for chunk in chunks_of(photo.encode()) if chunk in declared] == declared


def test_chunks_of_another_encoding_are_dropped():
    grey = Photo.open(insert(encode_image("P"), (b"bKGD", b"\1"), (b"sBIT", b"\5\5\5")))
    assert {kind for kind, _ in chunks_of(grey.encode())} == {b"IHDR", b"IDAT", b"IEND"}
    colour = Photo.open(insert(encode_image(), (b"bKGD", bytes(6))))
    assert b"bKGD" not in dict(chunks_of(colour.encode(depth=16)))


@pytest.mark.parametrize("kind", [b"caBX", b"dSIG", b"gdAT"])
def test_chunks_that_an_edit_makes_false_are_dropped_with_warning(kind):
    with pytest.warns(UserWarning, match=r"C2PA|signature|gain map"):
        photo = Photo.open(insert(encode_image(), (kind, b"content")))
    assert kind not in dict(chunks_of(photo.encode()))


def test_profile_keeps_its_name():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    chunk = (b"iCCP", b"my display\0\0" + zlib.compress(profile))
    assert chunk in chunks_of(Photo.open(insert(encode_image(), chunk)).encode())
    assert b"iCCP" in dict(chunks_of(Photo.open(encode_image(icc_profile=profile)).encode()))


def test_without_metadata_no_chunk_is_added():
    assert [kind for kind, _ in chunks_of(Photo.open(encode_image()).encode())] == [
        b"IHDR",
        b"IDAT",
        b"IEND",
    ]


@pytest.mark.parametrize("end", range(1, 60, 6))
def test_chunk_that_is_cut_off_is_left_out(end):
    source = insert(encode_image(), (b"eXIf", EXIF), (b"tEXt", b"Title\0Cup"), late=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photo = Photo.open(source[:-end])
    assert photo.metadata.exif in (None, Photo.open(source).metadata.exif)


def test_damaged_texts_are_kept():
    damaged = [
        (b"zTXt", b"Raw profile type exif\0\0not compressed"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n 99\n00"),
        (b"tEXt", b"Raw profile type exif"),
    ]
    photo = Photo.open(insert(encode_image(), *damaged))
    assert [chunk for chunk in chunks_of(photo.encode()) if chunk in damaged] == damaged
    with pytest.warns(UserWarning, match="damaged XMP"):
        Photo.open(insert(encode_image(), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0broken")))


def test_text_of_imagemagick_about_the_orientation_is_reset():
    info = PngImagePlugin.PngInfo()
    info.add_text("exif:Orientation", "6")
    written = Photo.open(encode_image(pnginfo=info)).encode()
    assert (b"tEXt", b"exif:Orientation\x001") in chunks_of(written)
