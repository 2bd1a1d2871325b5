"""HEIC photos: written by pillow-heif, with libheif's encoder, and read like other photos."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from burnish.errors import MissingLibraryError, PhotoError
from burnish.photo import Photo

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")

WIDTH, HEIGHT = 64, 48
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'


def gradient(channels=3) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] / [[[HEIGHT - 1]], [[WIDTH - 1]]]
    return np.stack([rows, columns, 1 - rows, columns], axis=2)[:, :, :channels]


def encode(values, mode, others=(), **options) -> bytes:
    deep = mode.endswith(";16")
    codes = [np.rint(v * (65535 if deep else 255)) for v in (values, *others)]
    codes = [c.astype(np.uint16 if deep else np.uint8) for c in codes]
    file = pillow_heif.HeifFile()
    for code in codes:
        file.add_frombytes(mode, (code.shape[1], code.shape[0]), code.tobytes())
    with io.BytesIO() as output:
        file.save(output, quality=-1, chroma=444, **options)
        return output.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "RGB;16", "RGBA;16"])
def test_pixels_of_every_mode(mode):
    values = gradient(4 if "A" in mode else 3)
    if mode == "L":
        values = np.repeat(values[:, :, :1], 3, axis=2)
    data = encode(values if mode != "L" else values[:, :, 0], mode)
    photo = Photo.open(data)
    assert photo.size == Photo.size_of(data) == (WIDTH, HEIGHT)
    # YCbCr of 8 bits is about one code off.
    np.testing.assert_allclose(photo.pixels, values[:, :, :3], atol=0.012)
    assert (photo.alpha is not None) == ("A" in mode)
    if photo.alpha is not None:
        np.testing.assert_allclose(photo.alpha, values[:, :, 3], atol=0.005)
    assert photo.metadata.depth == (16 if mode.endswith(";16") else 8)


def test_white_of_10_bits_is_white():
    assert Photo.open(encode(np.ones((HEIGHT, WIDTH, 3)), "RGB;16")).pixels.min() == 1


def test_rotated_photo_is_upright_once(tmp_path):
    """Phones store the rotation as a property of the image, and repeat it in EXIF."""
    pillow_heif.register_heif_opener()
    codes = np.rint(gradient() * 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Phone"
    path = tmp_path / "a.heic"
    Image.fromarray(codes).save(path, quality=-1, chroma=444, exif=exif.tobytes(), xmp=XMP)
    photo = Photo.open(path)
    assert photo.size == Photo.size_of(path) == (HEIGHT, WIDTH)
    np.testing.assert_allclose(photo.pixels, np.rot90(gradient(), -1), atol=0.012)
    result = tmp_path / "a.jpg"
    photo.save(result)
    with Image.open(result) as image:
        assert image.size == (HEIGHT, WIDTH)
        assert image.getexif()[0x010F] == "Phone"
        assert image.getexif().get(0x0112, 1) == 1
    assert XMP in photo.metadata.xmp


def test_profile_is_kept():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(gradient(), "RGB", icc_profile=profile, icc_profile_type="prof")
    assert Photo.open(data).metadata.profile == profile


def test_main_image_is_read_and_others_are_said():
    data = encode(gradient(), "RGB", [1 - gradient()], primary_index=1)
    with pytest.warns(UserWarning, match="without 1 more"):
        photo = Photo.open(data)
    np.testing.assert_allclose(photo.pixels, 1 - gradient(), atol=0.012)


def test_result_is_a_jpeg():
    assert Photo.open(Photo.open(encode(gradient(), "RGB")).encode()).metadata.format == "jpeg"


def test_half_a_file_is_rejected():
    data = encode(gradient(), "RGB")
    for size in (len(data) // 2, len(data) - 50):
        with pytest.raises(PhotoError, match="heic file is broken"):
            Photo.open(data[:size])


def test_missing_library_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    path.write_bytes(encode(gradient(), "RGB"))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingLibraryError, match=r"a.heic: .*pillow_heif .* extra 'heif'"):
        Photo.open(path)
