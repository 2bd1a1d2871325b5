"""Small valid files in the official layouts of the collections."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

# From XYZ under D65 to linear sRGB, for a camera with the primaries of sRGB.
XYZ_TO_SRGB = [
    [3.2404542, -1.5371385, -0.4985314],
    [-0.9692660, 1.8760108, 0.0415560],
    [0.0556434, -0.2040259, 1.0572252],
]
# From linear RGB to XYZ under D50, as the standards print them.
SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
PROPHOTO_TO_XYZ = np.array(
    [[0.7976749, 0.1351917, 0.0313534], [0.2880402, 0.7118741, 0.0000857], [0, 0, 0.8252100]]
)
BLACK, WHITE = 512, 16383
# The sensor's red, green and blue for white.
NEUTRAL = np.array([0.5, 1.0, 0.8])


def encode(linear: np.ndarray) -> np.ndarray:
    """Apply the curve of sRGB."""
    linear = np.asarray(linear, float)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def decode(encoded: np.ndarray) -> np.ndarray:
    """Invert the curve of sRGB."""
    encoded = np.asarray(encoded, float)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def to_rationals(values) -> list[int]:
    return [part for value in np.ravel(values) for part in (round(value * 10000), 10000)]


def mosaic(linear: np.ndarray) -> np.ndarray:
    """Return the codes of an RGGB sensor for linear sRGB light, H x W x 3."""
    response = linear * NEUTRAL
    codes = response[:, :, 1].copy()
    codes[0::2, 0::2] = response[0::2, 0::2, 0]
    codes[1::2, 1::2] = response[1::2, 1::2, 2]
    return np.rint(BLACK + codes * (WHITE - BLACK)).astype(np.uint16)


def lossless_jpeg(codes: np.ndarray) -> bytes:
    """Compress like Adobe's DNG files: differences of neighbours as Huffman codes.

    Each difference is written as its length, 0 to 16 bits, in five bits, and then its value.
    """
    height, width = codes.shape
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    head = b"\xff\xd8\xff\xc4" + struct.pack(">H", 2 + len(table)) + table
    head += b"\xff\xc3" + struct.pack(">HBHHBBBB", 11, 14, height, width, 1, 0, 0x11, 0)
    head += b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 0, 0, 1, 0, 0)
    left = np.roll(codes.astype(int), 1, axis=1)
    left[1:, 0], left[0, 0] = codes[:-1, 0], 1 << 13
    bits = []
    for difference in (codes.astype(int) - left).ravel():
        length = int(abs(difference)).bit_length()
        bits.append(f"{length:05b}")
        if length:
            value = difference if difference > 0 else difference + (1 << length) - 1
            bits.append(f"{value:0{length}b}")
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    body = int(stream, 2).to_bytes(len(stream) // 8)
    return head + body.replace(b"\xff", b"\xff\0") + b"\xff\xd9"


def write_dng(path: Path, linear: np.ndarray, *, orientation=1, crop=None, compressed=False):
    """Write linear sRGB light, H x W x 3 in [0, 1], as a raw file.

    crop : left, top, width, height; as DefaultCropOrigin and DefaultCropSize
    """
    codes = mosaic(linear)
    data = lossless_jpeg(codes) if compressed else codes.tobytes()
    height, width = codes.shape
    tags = [
        (254, "I", [0]),  # NewSubfileType: full-resolution image
        (256, "I", [width]),
        (257, "I", [height]),
        (258, "H", [16]),
        (259, "H", [7 if compressed else 1]),
        (262, "H", [32803]),  # PhotometricInterpretation: colour filter array
        (271, "s", [b"Test\0"]),
        (272, "s", [b"Camera\0"]),
        (273, "I", [0]),  # StripOffsets: set by `pack_tiff`
        (274, "H", [orientation]),
        (277, "H", [1]),
        (278, "I", [height]),
        (279, "I", [len(data)]),
        (33421, "H", [2, 2]),  # CFARepeatPatternDim
        (33422, "B", [0, 1, 1, 2]),  # CFAPattern: R G / G B
        (50706, "B", [1, 4, 0, 0]),  # DNGVersion
        (50707, "B", [1, 1, 0, 0]),  # DNGBackwardVersion
        (50708, "s", [b"Test Camera\0"]),  # UniqueCameraModel
        (50714, "I", [BLACK]),
        (50717, "I", [WHITE]),
        (50721, "i", to_rationals(XYZ_TO_SRGB)),  # ColorMatrix1
        (50728, "I", to_rationals(NEUTRAL)),  # AsShotNeutral
        (50778, "H", [21]),  # CalibrationIlluminant1: D65
    ]
    if crop:
        tags += [(50719, "I", crop[:2]), (50720, "I", crop[2:])]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack_tiff(data, tags))


def pack_tiff(data: bytes, tags: list) -> bytes:
    """Return a TIFF file of one list of tags (number, kind, values) and the data."""
    tail_offset = 8 + 2 + 12 * len(tags) + 4
    heads, tail = [], b""
    for tag, kind, values in sorted(tags):
        value = values[0] if kind == "s" else struct.pack(f"<{len(values)}{kind}", *values)
        rational = tag in (50721, 50728)
        count = len(value) if kind == "s" else len(values) // (2 if rational else 1)
        number = {"B": 1, "s": 2, "H": 3, "I": 5 if rational else 4, "i": 10}[kind]
        if len(value) > 4:
            offset = tail_offset + len(tail)
            tail += value + bytes(len(value) % 2)
            value = struct.pack("<I", offset)
        heads.append(struct.pack("<HHI", tag, number, count) + value.ljust(4, b"\0"))
    strip = struct.pack("<HHI", 273, 4, 1)
    heads = [
        strip + struct.pack("<I", tail_offset + len(tail)) if head.startswith(strip) else head
        for head in heads
    ]
    first = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return first + b"".join(heads) + bytes(4) + tail + data


def prophoto_profile() -> bytes:
    """Return the profile of ProPhoto RGB, with a gamma of 1.8."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)}
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0"
    tags[b"wtpt"] = b"XYZ " + bytes(4) + to_fixed_point([0.9642, 1, 0.8249])
    for index, name in enumerate("rgb"):
        tags[f"{name}XYZ".encode()] = b"XYZ " + bytes(4) + to_fixed_point(PROPHOTO_TO_XYZ[:, index])
        tags[f"{name}TRC".encode()] = (
            b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256)) + bytes(2)
        )
    signatures = (b"", b"\2\x40\0\0", b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head = struct.pack(">4s4s4s4s4s12x4s28x", *signatures) + to_fixed_point([0.9642, 1, 0.8249])
    table, body = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    profile = head.ljust(124, b"\0") + table + body
    return struct.pack(">I", len(profile) + 4) + profile


def to_fixed_point(values) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))


def write_edit(path: Path, encoded: np.ndarray, *, profile=True):
    """Write sRGB-encoded colours, H x W x 3, as an expert's version in 16-bit ProPhoto RGB."""
    xyz = decode(encoded) @ SRGB_TO_XYZ.T
    wide = np.clip(xyz @ np.linalg.inv(PROPHOTO_TO_XYZ).T, 0, 1) ** (1 / 1.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    icc = prophoto_profile() if profile else None
    tifffile.imwrite(
        path, np.rint(wide * 65535).astype(np.uint16), photometric="rgb", iccprofile=icc,
        metadata=None,
    )  # fmt: skip


def draw_scene(seed: int, height: int = 48, width: int = 72) -> np.ndarray:
    """Return linear light with a slope, a box of random colour, and a white corner."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 0.1 + 0.3 * np.stack([x / width, y / height, (x + y) / (height + width)], axis=2)
    light[8:24, 8:32] = random.uniform(0.05, 0.4, 3)
    light[-8:, -12:] = 0.5
    return light


NAMES = [
    "a0001-jmac_DSC1459",
    "a0002-dgw_005",
    "a0701-kme_372",
    "a1400-WP_CRW_3959",
    "a4201-IMG 2787",
    "a5000-kme_204",
]
FOLDERS = ["HQa1to700"] * 2 + ["HQa701to1400"] * 2 + ["HQa4201to5000"] * 2


@pytest.fixture
def fivek_folder(tmp_path) -> Path:
    """Six photos in FiveK's layout, two experts, and the lists of both licences."""
    root = tmp_path / "fivek_dataset"
    for seed, (name, folder) in enumerate(zip(NAMES, FOLDERS, strict=True)):
        light = draw_scene(seed)
        write_dng(root / "raw_photos" / folder / "photos" / f"{name}.dng", light)
        for expert, gain in (("a", 1.2), ("c", 0.8)):
            edit = np.clip(encode(light * gain), 0, 1)
            # Lightroom exports a few pixels less than the raw file has.
            write_edit(root / f"tiff16_{expert}" / f"{name}.tif", edit[:-1, 1:-1])
    (root / "filesAdobe.txt").write_text("\n".join(NAMES[:2]) + "\n")
    (root / "filesAdobeMIT.txt").write_text("\n".join(NAMES[2:]) + "\n")
    (root / "raw_photos" / "HQa1to700" / "photos" / "._a0001-jmac_DSC1459.dng").write_bytes(b"mac")
    return root


@pytest.fixture
def raise_folder(tmp_path) -> Path:
    """Four photos of RAISE and its list.

    LibRaw detects formats by content, so DNG files with the name .NEF are sufficient.
    """
    root = tmp_path / "RAISE"
    names = ["r000da54ft", "r001d260dt", "r00000000t", "r1882b6e6t"]
    for seed, name in enumerate(names):
        write_dng(root / "NEF" / f"{name}.NEF", draw_scene(seed))
    table = io.StringIO("File,NEF,TIFF,Device\n")
    table.seek(0, io.SEEK_END)
    for name in names:
        table.write(f"{name},http://host/NEF/{name}.NEF,http://host/TIFF/{name}.TIF,Nikon D7000\n")
    (root / "RAISE_all.csv").write_text(table.getvalue())
    return root


@pytest.fixture
def writer():
    """The functions that draw scenes and write raw files and experts' versions."""
    return DatasetWriter


class DatasetWriter:
    names = NAMES
    encode = staticmethod(encode)
    draw_scene = staticmethod(draw_scene)
    write_dng = staticmethod(write_dng)
    write_edit = staticmethod(write_edit)
