"""Metadata of a JPEG file: the segments (ITU-T T.81) that do not belong to its pixels."""

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from burnish.photo.container import Bytes
from burnish.photo.exif import PREFIX as EXIF_PREFIX
from burnish.photo.exif import fit_exif
from burnish.photo.metadata import (
    THUMBNAIL_RESOURCES,
    Blocks,
    SourceMetadata,
    drop_resources,
    photoshop_with_iptc,
)
from burnish.photo.trailing import GAIN_MAP, describe_trailing
from burnish.photo.xmp import (
    BrokenXmpError,
    extension_id,
    has_gain_map,
    merge_extension,
    remove_extension_id,
    split_packet,
)

APP0, APP1, APP2, APP13, APP14, COM = b"\xe0", b"\xe1", b"\xe2", b"\xed", b"\xee", b"\xfe"
START_OF_SCAN = 0xDA
_EOI, _SOI = 0xD9, 0xD8
# Markers with a segment that may come between and behind the scans.
_BETWEEN_SCANS = {0xC4, 0xDA, 0xDB, 0xDC, 0xDD}
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_SEARCH_BYTES = 1 << 20

# Largest content of a segment.
MAX_SEGMENT = 65_533
_EXIF = b"Exif\0"
XMP_NAME, EXTENDED_XMP_NAME = (
    b"http://ns.adobe.com/xap/1.0/\0",
    b"http://ns.adobe.com/xmp/extension/\0",
)
_EXTENDED_XMP_CHUNK = 65_400
MAX_XMP_BYTES = 65_502
PHOTOSHOP_NAME, _PROFILE, _JFIF, _ADOBE = b"Photoshop 3.0\0", b"ICC_PROFILE\0", b"JFIF\0", b"Adobe"
MAX_EXIF_BYTES = MAX_SEGMENT - 6
MULTI_PICTURE_NAME, _ISO_GAIN_MAP = b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0"
_BOXES = b"JP"

# Marker and beginning of segments about the pixels that are replaced -> their name; an empty name
# for previews and for what belongs to the encoding.
_FALSE_AFTER_EDIT = {
    (APP0, b"JFXX\0"): "",
    (b"\xe3", b"\xff\xd8\xff"): "",
    (b"\xe4", b"\xff\xd8\xff"): "",
    (b"\xe4", b"SCALADO\0"): "",
    (b"\xe8", b"SPIFF\0"): "",
    (b"\xeb", b"HDR_RI "): GAIN_MAP,
    (APP2, _ISO_GAIN_MAP): GAIN_MAP,
}


@dataclass
class _Reader:
    """Collects what the segments of a file hold."""

    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    extensions: dict[bytes, dict[int, bytes]] = field(default_factory=dict)
    photoshop: list[bytes] = field(default_factory=list)
    native: list[tuple[bytes, bytes]] = field(default_factory=list)
    multi_picture: bytes | None = None
    credentials: set[bytes] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)

    def add(self, kind: bytes, content: bytes) -> None:
        starts = content.startswith
        if kind == APP1 and starts(_EXIF):
            self.exif.append(content[6:])
        elif kind == APP1 and starts(XMP_NAME):
            self.xmp.append(content[len(XMP_NAME) :])
        elif kind == APP1 and starts(EXTENDED_XMP_NAME):
            self._add_extension(content[len(EXTENDED_XMP_NAME) :])
        elif kind == APP13 and starts(PHOTOSHOP_NAME):
            self.photoshop.append(content[len(PHOTOSHOP_NAME) :])
        elif kind == APP2 and starts(MULTI_PICTURE_NAME):
            self.multi_picture = content[len(MULTI_PICTURE_NAME) :]
        elif kind == APP0 and starts(_JFIF):
            # The thumbnail at the end is left out.
            self.native.append((kind, content[:12].ljust(12, b"\0") + b"\0\0"))
        elif kind == b"\xeb" and starts(_BOXES):
            self._add_box(content)
        elif kind != APP2 or not starts(_PROFILE):
            name = next(
                (
                    name
                    for (marker, start), name in _FALSE_AFTER_EDIT.items()
                    if marker == kind and starts(start)
                ),
                None,
            )
            if name is None:
                self.native.append((kind, content))
            else:
                self.dropped.append(name)

    def _add_extension(self, content: bytes) -> None:
        offset = int.from_bytes(content[36:40], "big")
        self.extensions.setdefault(content[:32].upper(), {})[offset] = content[40:]

    def _add_box(self, content: bytes) -> None:
        """Keep boxes of JUMBF, but neither Content Credentials nor JPEG XT's data for pixels."""
        instance, box = content[2:4], content[12:16]
        if b"c2pa" in content[:100]:
            self.credentials.add(instance)
        if instance in self.credentials:
            self.dropped.append("Content Credentials (C2PA)")
        elif box == b"jumb":
            self.native.append((b"\xeb", content))
        else:
            self.dropped.append("the data for a high dynamic range")


def read_jpeg(jpeg: Bytes) -> tuple[Blocks, list[str]]:
    """Return a JPEG's metadata, and the names of what cannot be kept."""
    reader = _Reader()
    end = len(jpeg)
    for marker, content in jpeg_segments(jpeg):
        if 0xE0 <= marker <= 0xEF or marker == COM[0]:
            reader.add(bytes([marker]), bytes(jpeg[content]))
        elif marker == _EOI:
            end = content.start
    dropped = list(reader.dropped)
    exif = _join_exif(reader, dropped)
    xmp, extension = _join_xmp(reader, dropped)
    if has_gain_map(xmp):
        dropped.append(GAIN_MAP)
    photoshop = drop_resources(b"".join(reader.photoshop), THUMBNAIL_RESOURCES) or None
    dropped += describe_trailing(jpeg, end, reader.multi_picture, gain_map=GAIN_MAP in dropped)
    blocks = Blocks(
        exif=exif,
        xmp=xmp,
        extended_xmp=extension,
        photoshop=photoshop,
        native=tuple(reader.native),
    )
    return blocks, dropped


def read_jpeg_exif(jpeg: Bytes) -> bytes | None:
    """Return a JPEG's first EXIF block, unchanged, or None if it has none."""
    for marker, content in jpeg_segments(jpeg):
        if marker == APP1[0] and jpeg[content][:5] == _EXIF:
            return bytes(jpeg[content][6:])
        if marker == START_OF_SCAN:
            break
    return None


def chroma_subsampling(jpeg: Bytes) -> str | None:
    """Return a JPEG's chroma subsampling, such as "4:2:2", from its frame header, or None.

    libvips distinguishes only 4:2:0 and 4:4:4.
    """
    for marker, content in jpeg_segments(jpeg):
        # The markers of frame headers, without DHT, JPG and DAC, whose codes lie among them.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            names = {0x11: "4:4:4", 0x21: "4:2:2", 0x22: "4:2:0", 0x12: "4:4:0", 0x41: "4:1:1"}
            frame = jpeg[content]
            return names.get(frame[7]) if len(frame) > 7 and frame[5] == 3 else None
    return None


def jpeg_segments(jpeg: Bytes) -> Iterator[tuple[int, slice]]:
    """Yield marker and content's position of each segment, up to the end of the first image.

    Bytes between segments are skipped, as decoders do. The end marker has an empty content.
    """
    position, in_scans = 2, False
    while (found := _next_marker(jpeg, position)) is not None:
        marker, position = found
        if marker == _EOI:
            yield marker, slice(position, position)
            return
        if marker == _SOI or (in_scans and marker not in _BETWEEN_SCANS):
            continue
        size = int.from_bytes(jpeg[position : position + 2], "big")
        if size >= 2 and position + size <= len(jpeg):
            yield marker, slice(position + 2, position + size)
            position += size
        in_scans = in_scans or marker == START_OF_SCAN


def _next_marker(jpeg: Bytes, position: int) -> tuple[int, int] | None:
    """Return the next marker, and the position behind it."""
    while position < len(jpeg):
        # Most markers follow one another; only scans need a long search.
        for size in (64, _SEARCH_BYTES):
            if match := _MARKER.search(jpeg[position : position + size]):
                return match[1][0], position + match.end()
        # A marker may begin in the last byte.
        position += max(1, len(jpeg[position : position + _SEARCH_BYTES]) - 1)
    return None


def _join_exif(reader: _Reader, dropped: list[str]) -> bytes | None:
    """Join a block that is split over segments, which later ones continue without a header."""
    block = b""
    for part in reader.exif:
        if block and part[:2] in (b"II", b"MM"):
            dropped.append("a second EXIF block")
        else:
            block += part
    return block or None


def _join_xmp(reader: _Reader, dropped: list[str]) -> tuple[bytes | None, bytes | None]:
    """Return the packet, and the extended XMP that it refers to if it is complete."""
    if len(reader.xmp) > 1:
        dropped.append("a second XMP packet")
    if not reader.xmp:
        return None, None
    xmp = reader.xmp[0]
    identifier = extension_id(xmp)
    if identifier is None:
        return xmp, None
    chunks = reader.extensions.get(identifier.upper(), {})
    extension = b""
    for offset, chunk in sorted(chunks.items()):
        if offset != len(extension):
            break
        extension += chunk
    if extension and hashlib.md5(extension, usedforsecurity=False).digest().hex() == (
        identifier.decode().lower()
    ):
        return xmp, extension
    if chunks:
        dropped.append("incomplete extended XMP")
    return remove_extension_id(xmp), None


def pack_metadata(metadata: SourceMetadata, channels: int) -> tuple[bytes, list[str]]:
    """Return a JPEG's segments of metadata, and the names of what they cannot hold.

    Parameters
    ----------
    channels : 1 (grey) or 3
    """
    native = metadata.native
    dropped: list[str] = []
    exif = metadata.exif
    if metadata.format != "jpeg" and exif is not None:
        exif, dropped = fit_exif(exif, MAX_EXIF_BYTES)
    jfif = [part for part in native if part[0] == APP0 and part[1].startswith(_JFIF)]
    if not jfif and (metadata.format != "jpeg" or (metadata.resolution and not exif)):
        jfif = [(APP0, _jfif(metadata.resolution))]
    segments = jfif[:1]
    for position in range(0, len(exif or b""), MAX_EXIF_BYTES):
        segments.append((APP1, EXIF_PREFIX + (exif or b"")[position : position + MAX_EXIF_BYTES]))
    try:
        segments += xmp_segments(metadata.xmp, metadata.extended_xmp)
    except BrokenXmpError:
        dropped.append("XMP")
    photoshop = photoshop_with_iptc(metadata)
    segments += _split(APP13, PHOTOSHOP_NAME, photoshop or b"")
    segments += [part for part in native if part not in jfif and _fits_encoding(part, channels)]
    if metadata.profile:
        segments += _profile_segments(metadata.profile)
    return pack_segments(segments), dropped


def pack_segments(segments: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return segments, each a marker and a content, as the bytes of a file."""
    return b"".join(
        b"\xff" + kind + struct.pack(">H", len(content) + 2) + content for kind, content in segments
    )


def replace_head(head: bytes, segments: bytes) -> tuple[int, bytes]:
    """Insert segments behind the marker at the beginning of a file.

    Returns
    -------
    size : bytes of the file to replace
    head : the bytes to replace them with
    """
    return 2, head[:2] + segments


def _jfif(resolution: tuple[float, float] | None) -> bytes:
    """Return the content of a JFIF segment; without a resolution, pixels are square."""
    dpi = [min(round(value * 25.4), 65535) for value in resolution or ()]
    return _JFIF + struct.pack(">BBBHHBB", 1, 2, bool(dpi), *(dpi or (1, 1)), 0, 0)


def _fits_encoding(part: tuple[bytes, bytes], channels: int) -> bool:
    """Return whether a segment is true for a JPEG in grey or YCbCr."""
    kind, content = part
    is_adobe = kind == APP14 and content.startswith(_ADOBE)
    return not is_adobe or content[11:12] == (b"\1" if channels == 3 else b"\0")


def xmp_segments(xmp: bytes | None, extension: bytes | None) -> list[tuple[bytes, bytes]]:
    """Return the segments of a packet and of its extension, as pairs of marker and content.

    Raises
    ------
    BrokenXmpError : the packet is too long for a segment, and cannot be split
    """
    if xmp is None:
        return []
    if len(xmp) > MAX_XMP_BYTES and extension is not None:
        xmp, extension = merge_extension(xmp, extension) or xmp, None
    packet, split = split_packet(xmp, MAX_XMP_BYTES)
    extension = split or extension
    segments = [(APP1, XMP_NAME + packet)]
    identifier = extension_id(packet)
    if extension and identifier:
        for offset in range(0, len(extension), _EXTENDED_XMP_CHUNK):
            head = EXTENDED_XMP_NAME + identifier + struct.pack(">II", len(extension), offset)
            segments.append((APP1, head + extension[offset : offset + _EXTENDED_XMP_CHUNK]))
    return segments


def _profile_segments(profile: bytes) -> list[tuple[bytes, bytes]]:
    size = MAX_SEGMENT - len(_PROFILE) - 2
    parts = [profile[start : start + size] for start in range(0, len(profile), size)]
    return [
        (APP2, _PROFILE + bytes([index, len(parts)]) + part)
        for index, part in enumerate(parts[:255], 1)
    ]


def _split(kind: bytes, prefix: bytes, content: bytes) -> list[tuple[bytes, bytes]]:
    size = MAX_SEGMENT - len(prefix)
    return [
        (kind, prefix + content[start : start + size]) for start in range(0, len(content), size)
    ]


def name_segment(kind: bytes, content: bytes) -> str:
    """Return a segment's name for messages; an empty one if it belongs to the encoding."""
    if kind == COM:
        return "the comment"
    start = content[:20].split(b"\0")[0]
    if (kind, start) in ((APP0, b"JFIF"), (APP14, b"Adobe")) or content.startswith(_ADOBE):
        return ""
    name = start.decode("ascii", "replace")
    label = f" ({name})" if name.isprintable() and name.isascii() and len(name) > 2 else ""
    return f"JPEG segment APP{kind[0] - APP0[0]}{label}"
