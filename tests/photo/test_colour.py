"""Colour profiles: conversion to sRGB is correct, and the round trip is lossless."""

import io
import struct
import warnings

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from burnish.photo import Photo, colour
from burnish.photo.colour import parse_lut_profile, parse_matrix_profile

# x, y of red, green and blue; white is D65 but for ProPhoto's D50.
PRIMARIES = {
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "p3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "adobe": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "prophoto": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
}
# Rounded to 1/256, as profiles store them.
GAMMA = {"srgb": 563 / 256, "p3": 563 / 256, "adobe": 563 / 256, "prophoto": 461 / 256}
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
WIDE = ["p3", "adobe", "prophoto"]


def to_xyz(name: str) -> np.ndarray:
    """Return the matrix from linear RGB to XYZ under D50, computed from the primaries."""
    white = np.array([0.3457, 0.3585] if name == "prophoto" else [0.3127, 0.3290])
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in (*PRIMARIES[name], white)]).T
    matrix = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    cones = BRADFORD @ D50 / (BRADFORD @ columns[:, 3])
    return np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ matrix


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Build a version 2 display profile."""
    fixed = (round(v * 65536) for v in D50)
    signatures = (b"", b"\2\x40\0\0", b"mntr", space, b"XYZ ", b"acsp")
    header = struct.pack(">4s4s4s4s4s12x4s28x3i", *signatures, *fixed).ljust(124, b"\0")
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text" + bytes(4) + b"none\0", **tags}
    table, body = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    profile = header + table + body
    return struct.pack(">I", len(profile) + 4) + profile


def curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def xyz(vector: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in vector))


def rgb_profile(name: str) -> bytes:
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, to_xyz(name).T), strict=True))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(GAMMA[name]))
    return icc(b"RGB ", {b"wtpt": xyz(D50), **columns, **curves})


def parametric(kind: int, *parameters: float) -> bytes:
    fixed = (round(p * 65536) for p in parameters)
    return b"para" + bytes(4) + struct.pack(f">HH{len(parameters)}i", kind, 0, *fixed)


def grey_profile(gamma: float) -> bytes:
    return icc(b"GRAY", {b"wtpt": xyz(D50), b"kTRC": curve(gamma)})


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    high = 1.055 * np.clip(linear, 0.003, None) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, high)


def tiff(values: np.ndarray, profile: bytes | None) -> bytes:
    with io.BytesIO() as file:
        rgb = values.ndim == 3
        options = {"photometric": "rgb" if rgb else "minisblack", "planarconfig": "contig"}
        extra = ["unassalpha"] if rgb and values.shape[2] == 4 else None
        tifffile.imwrite(file, values, **options, iccprofile=profile, extrasamples=extra)
        return file.getvalue()


def read_tiff(data: bytes) -> np.ndarray:
    return tifffile.imread(io.BytesIO(data))


def random_colours(dtype: type, size: int = 40) -> np.ndarray:
    """Return random colours, half of them at the edge of the gamut."""
    rng = np.random.default_rng(0)
    values = rng.random((size, size, 3))
    values[: size // 2] = np.clip(values[: size // 2] * 3 - 1, 0, 1)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_round_trip_wide_gamut_is_exact(name, dtype):
    values = random_colours(dtype)
    photo = Photo.open(tiff(values, rgb_profile(name)))
    assert photo.metadata.profile == rgb_profile(name)
    back = read_tiff(photo.with_pixels(photo.pixels).encode())
    if dtype == np.float32:
        np.testing.assert_allclose(back, values, rtol=0, atol=2e-7)
    else:
        np.testing.assert_array_equal(back, values)


@given(st.sampled_from(WIDE), st.integers(1, 5), st.integers(1, 5), st.integers(0, 999))
@settings(deadline=None, max_examples=25)
def test_round_trip_wide_gamut_with_alpha_is_exact(name, height, width, seed):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    photo = Photo.open(tiff(values, rgb_profile(name)))
    np.testing.assert_array_equal(read_tiff(photo.encode()), values)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_open_wide_gamut_equals_formula(name, dtype):
    values = random_colours(dtype, 100)
    linear = (values / np.iinfo(dtype).max) ** GAMMA[name]
    srgb = linear @ np.linalg.solve(to_xyz("srgb"), to_xyz(name)).T
    inside = ((srgb > 0.001) & (srgb < 0.999)).all(axis=-1)
    assert inside.mean() > 0.1
    difference = np.abs(Photo.open(tiff(values, rgb_profile(name))).pixels - srgb_encode(srgb))
    assert difference[inside].max() * 255 < 0.6
    assert difference[inside].mean() * 255 < 0.03


@pytest.mark.parametrize("name", WIDE)
def test_edit_wide_gamut_is_stored_in_profile(name):
    photo = Photo.open(tiff(random_colours(np.uint16), rgb_profile(name)))
    grey = photo.with_pixels(np.full_like(photo.pixels, 0.5))
    in_gamut = Photo.open(tiff(np.full((4, 4, 3), 30000, np.uint16), rgb_profile(name)))
    edited = Photo.open(in_gamut.with_pixels(np.full_like(in_gamut.pixels, 0.25)).encode())
    np.testing.assert_allclose(edited.pixels, 0.25, atol=1 / 255)
    # Out-of-gamut differences are added again, so an edit of saturated colours is softened.
    assert np.abs(Photo.open(grey.encode()).pixels - photo.pixels).mean() > 0.1


def test_open_out_of_gamut_colour_keeps_difference():
    photo = Photo.open(tiff(np.array([[[0, 255, 0]]], np.uint8), rgb_profile("prophoto")))
    assert photo.pixels.min() >= 0
    assert photo.pixels.max() <= 1
    assert np.abs(photo.metadata.out_of_gamut).max() > 0.1


def test_open_display_p3_equals_littlecms():
    profile = pyvips.Operation.call("profile_load", "p3")
    values = random_colours(np.uint8, 100)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    relative = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(
        source, ImageCms.createProfile("sRGB"), "RGB", "RGB", renderingIntent=relative
    )
    expected = np.asarray(ImageCms.applyTransform(Image.fromarray(values), transform)) / 255
    assert np.abs(Photo.open(tiff(values, profile)).pixels - expected).max() * 255 < 1.5


CURVES = {
    "none": (b"curv" + bytes(8), lambda x: x),
    "gamma": (curve(1.5), lambda x: x**1.5),
    "table": (
        b"curv" + bytes(4) + struct.pack(">I3H", 3, 0, 20000, 65535) + bytes(2),
        lambda x: np.interp(x, [0, 0.5, 1], [0, 20000 / 65535, 1]),
    ),
    "power": (parametric(0, 1.5), lambda x: x**1.5),
    "cut power": (parametric(1, 2, 1.25, -0.25), lambda x: np.maximum(1.25 * x - 0.25, 0) ** 2),
    "raised": (parametric(2, 2, 0.75, 0, 0.4375), lambda x: (0.75 * x) ** 2 + 0.4375),
    "line": (
        parametric(3, 2, 1, 0, 0.25, 0.25),
        lambda x: np.where(x < 0.25, 0.25 * x, x**2),
    ),
    "all": (
        parametric(4, 2, 0.75, 0.25, 0.25, 0.5, 0, 0.125),
        lambda x: np.where(x < 0.5, 0.25 * x + 0.125, (0.75 * x + 0.25) ** 2),
    ),
}


@pytest.mark.parametrize("kind", CURVES)
def test_parse_curve_type_equals_formula(kind):
    tag, expected = CURVES[kind]
    profile = parse_matrix_profile(icc(b"GRAY", {b"kTRC": tag}))
    x = np.linspace(0, 1, 301, dtype=np.float32)[:, None]
    srgb = profile.to_srgb(x)
    np.testing.assert_allclose(srgb, srgb_encode(expected(x)).repeat(3, 1), atol=3e-4)
    np.testing.assert_allclose(profile.to_srgb(profile.from_srgb(srgb)), srgb, atol=3e-4)


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans())
@settings(deadline=None, max_examples=60)
def test_parse_damaged_profile_converts_or_returns_none(offset, garbage, truncate):
    profile = bytearray(rgb_profile("p3"))
    offset %= len(profile)
    profile[offset : offset + len(garbage)] = garbage
    damaged = parse_matrix_profile(bytes(profile[:offset] if truncate else profile))
    values = np.random.default_rng(0).random((9, 3), np.float32)
    if damaged is not None:
        srgb = damaged.to_srgb(values)
        device = damaged.from_srgb(srgb)
        for array in (srgb, device):
            assert 0 <= array.min() <= array.max() <= 1


def test_parse_lookup_tables_returns_none():
    tags = {b"A2B0": b"mft2" + bytes(60), b"wtpt": xyz(D50)}
    assert parse_matrix_profile(icc(b"RGB ", tags)) is None


@pytest.mark.parametrize("name", ["srgb", "p3", "adobe"])
def test_matrix_and_lut_conversion_agree(name):
    values = random_colours(np.float32).reshape(-1, 3)
    matrix, lut = parse_matrix_profile(rgb_profile(name)), parse_lut_profile(rgb_profile(name))
    np.testing.assert_allclose(matrix.to_srgb(values), lut.to_srgb(values), atol=2 / 255)
    difference = np.abs(matrix.from_srgb(values) - lut.from_srgb(values))
    assert difference.mean() * 255 < 0.1


def test_round_trip_through_libvips_is_exact(monkeypatch):
    converter = parse_lut_profile(rgb_profile("adobe"))
    monkeypatch.setattr(colour, "_converter", lambda profile: converter)
    values = random_colours(np.uint16)
    photo = Photo.open(tiff(values, rgb_profile("adobe") + b"by libvips"))
    assert photo.metadata.out_of_gamut is not None
    np.testing.assert_array_equal(read_tiff(photo.encode()), values)


SRGB = {
    "lcms": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "libvips": pyvips.Operation.call("profile_load", "srgb"),
}


@pytest.mark.parametrize("library", SRGB)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_open_srgb_profile_keeps_codes(library, dtype):
    values = random_colours(dtype)
    photo = Photo.open(tiff(values, SRGB[library]))
    scale = 1 if dtype == np.float32 else np.iinfo(dtype).max
    np.testing.assert_array_equal(photo.pixels, (values / scale).astype(np.float32))
    assert photo.metadata.out_of_gamut is None
    assert photo.metadata.profile == SRGB[library]
    with Image.open(io.BytesIO(photo.encode("png"))) as image:
        assert image.info["icc_profile"] == SRGB[library]


@pytest.mark.parametrize("name", PRIMARIES)
def test_is_srgb_other_profile_is_false(name):
    # "srgb" has a plain gamma here, and is the nearest to sRGB of all.
    assert not colour.is_srgb(rgb_profile(name))


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
def test_encode_embeds_profile(format):
    profile = rgb_profile("adobe")
    photo = Photo.open(tiff(random_colours(np.uint8), profile))
    written = photo.encode(format)
    assert Photo.open(written).metadata.profile == profile
    with Image.open(io.BytesIO(written)) as image:
        assert image.info["icc_profile"] == profile


def test_open_without_profile_is_srgb_and_embeds_none():
    values = random_colours(np.uint8)
    photo = Photo.open(tiff(values, None))
    assert photo.metadata.profile is None
    np.testing.assert_array_equal(photo.pixels, (values / 255).astype(np.float32))
    with Image.open(io.BytesIO(photo.encode("png"))) as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_open_grey_profile_equals_formula(dtype):
    top = np.iinfo(dtype).max
    values = np.linspace(0, top, 64).astype(dtype).reshape(8, 8)
    photo = Photo.open(tiff(values, grey_profile(1.8)))
    expected = srgb_encode((values / top) ** 1.8)
    np.testing.assert_allclose(photo.pixels, expected[..., None].repeat(3, 2), atol=0.1 / 255)
    np.testing.assert_array_equal(read_tiff(photo.encode()), values)
    half = Photo.open(photo.with_pixels(photo.pixels * 0 + 0.5).encode("png"))
    assert half.metadata.grey
    np.testing.assert_allclose(half.pixels, 0.5, atol=1 / 255)


def test_open_grey_with_rgb_profile_round_trips():
    values = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    photo = Photo.open(tiff(values, rgb_profile("adobe")))
    assert photo.pixels.shape == (8, 8, 3)
    np.testing.assert_array_equal(read_tiff(photo.encode()), values)


CMYK = pyvips.Operation.call("profile_load", "cmyk")


@pytest.mark.parametrize(
    "profile",
    [b"rubbish" * 50, rgb_profile("p3")[:300], grey_profile(2.2), CMYK],
    ids=["rubbish", "truncated", "grey", "cmyk"],
)
def test_open_unusable_profile_warns_and_drops_it(profile):
    values = random_colours(np.uint8)
    with pytest.warns(UserWarning, match="image: .*profile") as caught:
        photo = Photo.open(tiff(values, profile))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert photo.metadata.profile is None
    np.testing.assert_array_equal(read_tiff(photo.encode()), values)


def test_open_usable_profile_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photo = Photo.open(tiff(random_colours(np.uint8), rgb_profile("p3")))
    assert photo.metadata.profile is not None


@pytest.mark.parametrize("name", ["p3", "prophoto"])
@pytest.mark.parametrize("parse", [parse_matrix_profile, parse_lut_profile])
def test_conversion_of_part_equals_part_of_conversion(name, parse):
    profile = parse(rgb_profile(name))
    values = random_colours(np.float32, 61).reshape(-1, 3)
    whole = profile.to_srgb(values), profile.from_srgb(values)
    for count in (1, 7, 64, 1000):
        part = values[100 : 100 + count]
        np.testing.assert_array_equal(profile.to_srgb(part), whole[0][100 : 100 + count])
        np.testing.assert_array_equal(profile.from_srgb(part), whole[1][100 : 100 + count])
