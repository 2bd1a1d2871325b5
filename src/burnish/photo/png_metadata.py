"""Metadata of a PNG file: the chunks that do not belong to its pixels."""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from burnish.photo import colour
from burnish.photo.container import Bytes, png_chunks
from burnish.photo.exif import PREFIX as EXIF_PREFIX
from burnish.photo.metadata import Blocks, SourceMetadata, photoshop_with_iptc, whole_xmp
from burnish.photo.trailing import GAIN_MAP, describe_trailing
from burnish.photo.xmp import has_gain_map

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEYWORD = b"XML:com.adobe.xmp"
# Older programs keep blocks as text: a name, the size and hexadecimal digits.
_RAW_PROFILE = b"Raw profile type "
_MAX_RAW_PROFILE_BYTES = 1 << 26
_XMP_SEGMENT, _PHOTOSHOP = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_COMMENT = b"Comment\0"
_ORIENTATION_TEXT = b"exif:Orientation\0"
# Chunks of the encoding; iDOT is Apple's index of it.
_ENCODING = (b"IHDR", b"PLTE", b"tRNS", b"hIST", b"IDAT", b"IEND", b"iDOT")
# Chunks about the colours, which the profile or the pixels of another format express.
_COLOUR = (b"sRGB", b"gAMA", b"cHRM", b"cICP", b"iCCP", b"sBIT", b"bKGD", b"pHYs")
# Content's size, by the number of the pixels' channels.
_SIZES = {b"sBIT": {1: 1, 2: 2, 3: 3, 4: 4}, b"bKGD": {1: 2, 2: 2, 3: 6, 4: 6}}
_FALSE_AFTER_EDIT = {
    b"caBX": "Content Credentials (C2PA)",
    b"dSIG": "the digital signature",
    b"gdAT": GAIN_MAP,
    b"gmAP": GAIN_MAP,
}
# Bytes of the signature and the first chunk, IHDR.
_HEADER_BYTES = 33
_DEPTH_OFFSET, _COLOUR_TYPE_OFFSET = 24, 25
_PALETTE = 3


@dataclass
class _Reader:
    """Collects what the chunks of a file hold."""

    exif: bytes | None = None
    raw_exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    iptc: bytes | None = None
    native: list[tuple[bytes, bytes]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def add(self, kind: bytes, content: bytes) -> None:
        if kind == b"eXIf":
            self.exif = content.removeprefix(EXIF_PREFIX)
        elif kind in _FALSE_AFTER_EDIT:
            self.dropped.append(_FALSE_AFTER_EDIT[kind])
        elif kind == b"iTXt" and content.startswith(XMP_KEYWORD + b"\0"):
            self.xmp = _decode_text(kind, content)
            self.dropped += ["damaged XMP"] if self.xmp is None else []
        elif kind not in _TEXTS or not self._add_raw_profile(kind, content):
            if kind == b"tEXt" and content.startswith(_ORIENTATION_TEXT):
                content = _ORIENTATION_TEXT + b"1"
            self.native.append((kind, content))

    def _add_raw_profile(self, kind: bytes, content: bytes) -> bool:
        """Read a block that is kept as text. Return whether the text can be dropped for it."""
        if not content.startswith(_RAW_PROFILE):
            return False
        name = content.partition(b"\0")[0].removeprefix(_RAW_PROFILE).lower()
        block = _decode_raw_profile(kind, content)
        if block is None:
            return False
        if name in (b"exif", b"app1") and block.startswith(EXIF_PREFIX):
            self.raw_exif = block.removeprefix(EXIF_PREFIX)
        elif name == b"xmp" or block.startswith(_XMP_SEGMENT):
            self.xmp = self.xmp or block.removeprefix(_XMP_SEGMENT)
        elif name in (b"iptc", b"8bim"):
            # The text is kept, too, for the same format.
            block = block.removeprefix(_PHOTOSHOP)
            if block.startswith(b"8BIM"):
                self.photoshop = self.photoshop or block
            else:
                self.iptc = self.iptc or block
            return False
        else:
            return False
        return True


def read_png(png: Bytes) -> tuple[Blocks, list[str]]:
    """Return a PNG's metadata, and the names of what cannot be kept."""
    reader = _Reader()
    end = len(png)
    fits_pixels = png[_DEPTH_OFFSET] >= 8 and png[_COLOUR_TYPE_OFFSET] != _PALETTE
    for kind, content in png_chunks(png):
        if kind == b"IEND":
            end = content.stop + 4
            break
        is_pixel_value = kind in _SIZES and not fits_pixels
        if kind not in _ENCODING and not is_pixel_value and content.stop + 4 <= len(png):
            reader.add(kind, bytes(png[content]))
    dropped = list(reader.dropped)
    if has_gain_map(reader.xmp):
        dropped.append(GAIN_MAP)
    dropped += describe_trailing(png, end, gain_map=GAIN_MAP in dropped)
    blocks = Blocks(
        exif=reader.exif or reader.raw_exif,
        xmp=reader.xmp,
        photoshop=reader.photoshop,
        iptc=reader.iptc,
        native=tuple(reader.native),
    )
    return blocks, dropped


def read_png_exif(png: Bytes) -> bytes | None:
    """Return a PNG's EXIF block, unchanged, wherever it is; or None if it has none."""
    reader = _Reader()
    for kind, content in png_chunks(png):
        if kind == b"eXIf" or kind in _TEXTS:
            reader.add(kind, bytes(png[content]))
    return reader.exif or reader.raw_exif


def _decode_text(kind: bytes, content: bytes) -> bytes | None:
    """Return the text of a chunk, or None if it is damaged."""
    text = content.partition(b"\0")[2]
    compressed = kind == b"zTXt"
    if kind == b"iTXt":
        compressed = text[:1] == b"\1"
        # Language and translated keyword come first.
        text = text[:2] + text[2:].partition(b"\0")[2].partition(b"\0")[2]
        text = text[1:]
    if kind != b"tEXt":
        text = text[1:]
    if not compressed:
        return text
    try:
        return zlib.decompressobj().decompress(text, _MAX_RAW_PROFILE_BYTES)
    except zlib.error:
        return None


def _decode_raw_profile(kind: bytes, content: bytes) -> bytes | None:
    lines = (_decode_text(kind, content) or b"").strip().split(b"\n", 2)
    try:
        size = int(lines[1])
        block = bytes.fromhex(lines[2].decode("ascii"))
    except (IndexError, ValueError):
        return None
    return block if len(block) == size else None


def pack_metadata(metadata: SourceMetadata, bands: int, bits: int) -> tuple[bytes, list[str]]:
    """Return a PNG's chunks of metadata, and the names of what they cannot hold."""
    dropped: list[str] = []
    chunks = [
        (kind, content)
        for kind, content in metadata.native
        if kind not in _SIZES or (len(content) == _SIZES[kind][bands] and bits == metadata.depth)
        if kind != b"iCCP" or metadata.profile
    ]
    kinds = {kind for kind, _ in chunks}
    # Profiles come before all chunks for which the order matters.
    if metadata.profile and b"iCCP" not in kinds:
        if colour.channel_count(metadata.profile) == (1 if bands < 3 else 3):
            compressed = zlib.compress(metadata.profile)
            chunks.insert(0, (b"iCCP", b"ICC profile\0\0" + compressed))
        else:
            dropped.append("the colour profile")
    has_own_exif = metadata.format == "png" and metadata.exif is not None
    if metadata.resolution and b"pHYs" not in kinds and not has_own_exif:
        per_metre = (min(round(value * 1000), 2**31 - 1) for value in metadata.resolution)
        chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    xmp, xmp_dropped = whole_xmp(metadata)
    dropped += xmp_dropped
    if xmp:
        chunks.append(xmp_chunk(xmp))
    photoshop = photoshop_with_iptc(metadata)
    if photoshop and metadata.format != "png":
        chunks.append((b"zTXt", _raw_profile(b"iptc", photoshop)))
    return pack_chunks(chunks), dropped


def xmp_chunk(xmp: bytes) -> tuple[bytes, bytes]:
    """Return the type and the content of the chunk with a packet."""
    return b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + xmp


def _raw_profile(name: bytes, block: bytes) -> bytes:
    """Return the content of a compressed text chunk with a block of metadata."""
    digits = block.hex().encode()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    text = b"\n" + b"\n".join([name, str(len(block)).encode().rjust(8), *lines]) + b"\n"
    return _RAW_PROFILE + name + b"\0\0" + zlib.compress(text)


def pack_chunks(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode PNG chunks, given as pairs of type and content."""
    packed = []
    for kind, content in items:
        crc = zlib.crc32(content, zlib.crc32(kind))
        packed += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", crc)]
    return b"".join(packed)


def replace_head(head: bytes, chunks: bytes) -> tuple[int, bytes]:
    """Replace all chunks before the pixels but the first one, which describes these.

    Parameters
    ----------
    head : beginning of the file

    Returns
    -------
    size : bytes of the file to replace
    head : the bytes to replace them with
    """
    first_pixels = next(content.start - 8 for kind, content in png_chunks(head) if kind == b"IDAT")
    return first_pixels, head[:_HEADER_BYTES] + chunks


def pack_comment(comment: bytes) -> tuple[bytes, bytes]:
    """Return a text chunk with a comment in UTF-8, or else in Latin-1."""
    if comment.isascii():
        return b"tEXt", _COMMENT + comment
    try:
        text = comment.decode()
    except UnicodeDecodeError:
        text = comment.decode("latin-1")
    return b"iTXt", _COMMENT + bytes(4) + text.encode()


def read_comment(kind: bytes, content: bytes) -> bytes | None:
    """Return the text of a chunk with a comment in UTF-8, or None if it is another chunk."""
    if kind not in _TEXTS or not content.startswith(_COMMENT):
        return None
    text = _decode_text(kind, content)
    return text if text is None or kind == b"iTXt" else text.decode("latin-1").encode()


def name_chunk(kind: bytes, content: bytes) -> str:
    """Return a chunk's name for messages; an empty one if other formats express it elsewhere."""
    if kind in _TEXTS:
        # The blocks of metadata that are kept as text are written in another way.
        return "" if content.startswith(_RAW_PROFILE) else "a text such as title or comment"
    return "" if kind in _COLOUR else f"PNG chunk {kind.decode('ascii', 'replace')}"
