"""A photo edited in the page equals one that the command edits, metadata included."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

import burnish
from burnish.evaluation.doctor import SAMPLE
from burnish.photo.blocks import get_field, read_blocks
from burnish.photo.header import open_image, read_bytes

pytestmark = pytest.mark.browser

XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"
 xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a &amp; b"/></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
P3 = pyvips.Operation.call("profile_load", "p3")


def sample_pixels(height=150, width=221):
    """Return a part of the sample photo with odd sides, uint8."""
    return np.asarray(Image.open(SAMPLE).convert("RGB"))[60 : 60 + height, 100 : 100 + width]


def _exif(orientation=1):
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def _jpeg(path, pixels, **options):
    options = {"quality": 92, "subsampling": 0} | options
    Image.fromarray(pixels).save(path, **options)


def _sixteen_bit(pixels):
    noise = np.random.default_rng(7).integers(0, 256, pixels.shape)
    return pixels.astype(np.uint16) * 256 + noise.astype(np.uint16)


def _vips(path, codes, profile=None, **options):
    image = pyvips.Image.new_from_array(codes)
    kind = "rgb16" if codes.dtype == np.uint16 else "srgb"
    image = image.copy(interpretation=kind if codes.ndim == 3 else "b-w")
    if profile is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    image.write_to_file(str(path), **options)


def _alpha(pixels):
    ramp = np.linspace(0, 255, pixels.shape[1]).astype(np.uint8)
    return np.dstack([pixels, np.tile(ramp, (len(pixels), 1))])


def _text_png(path, pixels):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "coffee")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Image.fromarray(pixels).save(path, pnginfo=info, dpi=(300, 300), exif=_exif(3))


# Name of the file -> a function that writes it.
KINDS = {
    "orientation6.jpg": lambda p, x: _jpeg(p, x, exif=_exif(6), xmp=XMP, comment=b"mine"),
    "orientation5.jpg": lambda p, x: _jpeg(p, x, exif=_exif(5), subsampling=2),
    "p3.jpg": lambda p, x: _jpeg(p, x, icc_profile=P3, exif=_exif(8), dpi=(300, 300)),
    "without-end.jpg": lambda p, x: p.write_bytes(_jpeg(p, x) or p.read_bytes()[:-2]),
    "grey.jpg": lambda p, x: _jpeg(p, x[..., 1], exif=_exif(2)),
    "alpha.png": lambda p, x: Image.fromarray(_alpha(x)).save(p),
    "texts.png": _text_png,
    "palette.png": lambda p, x: Image.fromarray(x).quantize(64).save(p),
    "p3-16-bit.png": lambda p, x: _vips(p, _sixteen_bit(x), P3),
    "grey-16-bit.png": lambda p, x: _vips(p, _sixteen_bit(x)[..., 0]),
    "eight-bit.tif": lambda p, x: _vips(p, x, P3, compression="deflate"),
    "sixteen-bit.tif": lambda p, x: _vips(p, _sixteen_bit(x), compression="lzw"),
    "lossless.webp": lambda p, x: Image.fromarray(x).save(p, lossless=True, exif=_exif(4), xmp=XMP),
}


def write(kind: str, folder: Path) -> Path:
    path = folder / kind
    KINDS[kind](path, sample_pixels())
    return path


SETTINGS = {
    "orientation6.jpg": ("l0-smoothing", {"lambda": 0.05}),
    "p3.jpg": ("local-laplacian", {"detail": 2}),
    "grey.jpg": ("multiscale-tone", {"fine": 2}),
    "alpha.png": ("pencil-drawing", {}),
    "texts.png": ("dark-channel-dehazing", {"omega": 0.5}),
    "p3-16-bit.png": ("relative-total-variation", {"sigma": 2}),
    "sixteen-bit.tif": ("photographic-style", {}),
    "lossless.webp": ("nonlocal-dehazing", {}),
}


def codes(path):
    image = pyvips.Image.new_from_file(str(path))
    return image.numpy().astype(int), image.format


def metadata(path):
    """Return the blocks of a file and its profile."""
    header = open_image(*read_bytes(path))
    blocks, _ = read_blocks(header.image, header.data, header.format, header.size)
    return vars(blocks) | {"profile": get_field(header.image, "icc-profile-data")}


@pytest.mark.parametrize("kind", KINDS)
def test_page_gives_the_photo_of_the_command(kind, shared_tab, tmp_path):
    photo = write(kind, tmp_path)
    operator, values = SETTINGS.get(kind, ("tv-l1", {}))
    options = "".join(f" --{name} {value}" for name, value in values.items())
    tab = shared_tab
    tab.open(photo)
    tab.command(f"burnish apply {operator} {photo.name} --guide network{options}")
    (tmp_path / "page").mkdir()
    saved = tab.save(tmp_path / "page")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*the end marker is missing")
        expected = burnish.apply(photo, operator, guide="network", precision="fp32", **values)
    assert saved.name == expected.name
    (page, page_format), (command, command_format) = codes(saved), codes(expected)
    assert page_format == command_format
    assert page.shape == command.shape
    # JPEG makes several codes of one.
    most = {".jpg": 6}.get(saved.suffix, 2 if page_format == "ushort" else 1)
    assert np.abs(page - command).max() <= most
    if page_format == "uchar":
        assert np.count_nonzero(page != command) <= 1e-3 * page.size
    ours, theirs = metadata(saved), metadata(expected)
    if saved.suffix == ".tif":  # the page keeps what libvips keeps
        assert ours["xmp"] == theirs["xmp"]
    else:
        assert ours == theirs
