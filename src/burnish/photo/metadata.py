"""Properties of a file other than its pixels: format, depth, profile, EXIF, IPTC and XMP.

- EXIF: libvips reads and writes the block in every format but TIFF, which keeps EXIF's entries
  among its own.
- IPTC: the records are bare in TIFF, and wrapped in a Photoshop block in JPEG. This package keeps
  them wrapped, together with Photoshop's other resources.
- XMP (ISO 16684-1): the packet of another program is kept byte for byte. burnish adds an
  rdf:Description of its own.
"""

import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Literal
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from burnish.photo.container import Bytes
from burnish.photo.tiff_tags import (
    EXIF,
    GPS,
    BrokenTagsError,
    Entry,
    TiffLayout,
    insert_entries,
    pack_ifd,
    parse_header,
    read_entries,
)
from burnish.types import Pixels

Depth = Literal[8, 16, 32]


@dataclass(frozen=True, eq=False)
class SourceMetadata:
    """Format, depth, profile and metadata of a file. The defaults are for images made in memory.

    Parameters
    ----------
    format : "jpeg", "png", "tiff", "webp", "avif", "heic" or "gif"
    depth : bits a channel: 8 or 16 (integers), or 32 (float)
    grey : one colour channel in the file, and again when it is written
    profile : the embedded ICC profile if burnish can use it; None means sRGB
    out_of_gamut : H x W x channels of the profile: the file's own values minus those that the sRGB
        pixels convert back to, added again when writing; None if sRGB holds all colours
    texts : text chunks of a PNG (title, author, copyright, ...): type and content
    exif, xmp, iptc : metadata blocks, unchanged except for orientation and thumbnail
    resolution : horizontal and vertical, pixels per millimetre [default: 72 an inch]
    subsampling : chroma subsampling of a JPEG, such as "4:2:0"
    lossless : a lossless WebP
    """

    format: str = "png"
    depth: Depth = 8
    grey: bool = False
    profile: bytes | None = field(default=None, repr=False)
    out_of_gamut: Pixels | None = field(default=None, repr=False)
    texts: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    resolution: tuple[float, float] = (72 / 25.4, 72 / 25.4)
    subsampling: str | None = None
    lossless: bool = False


_EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
# Tags of an image file's first IFD that describe the photo and not the storage of its pixels:
# description, make, model, software, date, artist, ratings, copyright, Windows' texts, sub-IFDs.
_PHOTO_TAGS = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298}
_PHOTO_TAGS |= {*range(0x9C9B, 0x9CA0), EXIF, GPS}


def reset_exif_orientation(exif: bytes) -> bytes:
    """Set an EXIF block's orientation to 1 (upright) and unlink its thumbnail.

    No byte is moved, so that offsets in maker notes stay valid.

    Raises
    ------
    BrokenTagsError : the block is damaged
    """
    block = bytearray(exif.removeprefix(_EXIF_PREFIX))
    layout, offset = parse_header(block)
    order = layout.order
    try:
        (count,) = struct.unpack_from(f"{order}H", block, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", block, entry)
            if tag == _ORIENTATION:
                struct.pack_into(f"{order}I" if kind == 4 else f"{order}H", block, entry + 8, 1)
        struct.pack_into(f"{order}I", block, offset + 2 + 12 * count, 0)
    except struct.error as error:
        raise BrokenTagsError(str(error)) from error
    return _EXIF_PREFIX + bytes(block)


def read_tiff_exif(tiff: Bytes) -> bytes | None:
    """Return an EXIF block of a TIFF's entries about the photo, or None if it has none.

    Raises
    ------
    BrokenTagsError : the file's entries are damaged
    """
    entries = [entry for entry in read_entries(tiff) if entry.tag in _PHOTO_TAGS]
    if not entries:
        return None
    layout = TiffLayout(parse_header(tiff)[0].order)
    return _EXIF_PREFIX + layout.header_bytes(8) + pack_ifd(entries, layout, 8)


def write_tiff_exif(file: BinaryIO, exif: bytes) -> None:
    """Replace a TIFF's entries about the photo by those of an EXIF block.

    Parameters
    ----------
    file : as for `burnish.photo.tiff_tags.insert_entries`

    Raises
    ------
    BrokenTagsError : the block is damaged, or the file would exceed its size limit
    """
    block = exif.removeprefix(_EXIF_PREFIX)
    entries = [entry for entry in read_entries(block) if entry.tag in _PHOTO_TAGS]
    insert_entries(file, entries, parse_header(block)[0].order)


_PHOTOSHOP_PREFIX = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_IPTC_TAG, _UNDEFINED = 0x83BB, 7


def wrap_iptc(records: bytes) -> bytes:
    """Wrap bare IPTC records in a Photoshop block.

    Examples
    --------
    >>> unwrap_iptc(wrap_iptc(b"records"))
    b'records'
    """
    padding = b"\0" * (len(records) % 2)
    head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(records))
    return _PHOTOSHOP_PREFIX + head + records + padding


def unwrap_iptc(block: bytes) -> bytes | None:
    """Return the IPTC records in a Photoshop block, or None if it has none or is damaged."""
    offset = len(_PHOTOSHOP_PREFIX)
    while block[offset : offset + 4] == b"8BIM" and offset + 7 <= len(block):
        (resource,) = struct.unpack_from(">H", block, offset + 4)
        # A Pascal string, padded to an even length, precedes the size.
        offset += 6 + (block[offset + 6] + 2) // 2 * 2
        size = int.from_bytes(block[offset : offset + 4], "big")
        content = block[offset + 4 : offset + 4 + size]
        if resource == _IPTC_RESOURCE:
            return content if content and len(content) == size else None
        offset += 4 + (size + 1) // 2 * 2
    return None


def read_tiff_iptc(tiff: Bytes) -> bytes | None:
    """Return a TIFF's IPTC records, wrapped, or None if it has none.

    Raises
    ------
    BrokenTagsError : the file's entries are damaged
    """
    values = (entry.value for entry in read_entries(tiff) if entry.tag == _IPTC_TAG)
    records = next(filter(None, values), None)
    return wrap_iptc(records) if records else None


def write_tiff_iptc(file: BinaryIO, block: bytes) -> None:
    """Write a Photoshop block's IPTC records into a TIFF.

    Parameters
    ----------
    file : as for `burnish.photo.tiff_tags.insert_entries`

    Raises
    ------
    BrokenTagsError : the file would exceed its size limit
    """
    records = unwrap_iptc(block)
    if records:
        insert_entries(file, [Entry(_IPTC_TAG, _UNDEFINED, len(records), records)], "<")


_NAMESPACE = "urn:burnish:xmp#"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_EMPTY_PACKET = b"""\
<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
# White space from its first character on. Without the lookbehind, the search would start again at
# each character of a long run.
_SPACE = rb"(?<!\s)\s*"
_VALUE = rb"""\s*=\s*(?:"[^"<]*"|'[^'<]*')"""
# An rdf:Description that contains only burnish's properties.
_OWN_DESCRIPTION = re.compile(
    _SPACE + rb"<rdf:Description(?=[^<>]*urn:burnish:xmp#)"
    rb"(?:\s+(?:rdf:about|xmlns:\w+|burnish:\w+)" + _VALUE + rb")*\s*/>"
)
_OWN_PREFIX = re.compile(rb"""xmlns:(\w+)\s*=\s*["']urn:burnish:xmp#["']""")
_RDF_END = re.compile(_SPACE + rb"</(\w+):RDF>")
_ABOUT = re.compile(rb"""\brdf:about\s*=\s*("[^"<]*"|'[^'<]*')""")


class BrokenXmpError(ValueError):
    """The packet is not XMP in UTF-8, so that no property can be added."""


def reset_xmp_orientation(xmp: bytes) -> bytes:
    """Set the orientation that XMP repeats from EXIF to 1 (upright).

    Examples
    --------
    >>> reset_xmp_orientation(b'tiff:Orientation="6"')
    b'tiff:Orientation="1"'
    """
    return re.sub(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))[2-8]""", rb"\g<1>1", xmp)


def set_xmp_property(xmp: bytes | None, name: str, value: str) -> bytes:
    """Return the packet with a property of burnish's, which replaces an earlier one.

    Parameters
    ----------
    xmp : a packet, or None for a new one
    name : an XML name
    value : any text

    Raises
    ------
    BrokenXmpError : not XMP, or in an encoding other than UTF-8

    Examples
    --------
    >>> get_xmp_property(set_xmp_property(None, "History", 'by "us" & <you>'), "History")
    'by "us" & <you>'
    """
    packet = _remove_xmp_property(xmp or _EMPTY_PACKET, name.encode())
    end = _RDF_END.search(packet)
    if end is None:
        raise BrokenXmpError("the RDF has no end tag")
    # All descriptions in a packet have the same subject.
    about = _ABOUT.search(packet)
    subject = about[1].decode("utf-8", "replace") if about else '""'
    description = (
        f"\n  <rdf:Description rdf:about={subject} xmlns:rdf={quoteattr(_RDF)} "
        f"xmlns:burnish={quoteattr(_NAMESPACE)} burnish:{name}={quoteattr(value)}/>"
    )
    updated = packet[: end.start()] + description.encode() + packet[end.start() :]
    if get_xmp_property(updated, name) != value:
        raise BrokenXmpError("the packet is not XML in UTF-8")
    return updated


def _remove_xmp_property(packet: bytes, name: bytes) -> bytes:
    """Remove a property of burnish's, and keep the text of other programs next to it."""
    packet = _OWN_DESCRIPTION.sub(b"", packet)
    for prefix in set(_OWN_PREFIX.findall(packet)):
        key = prefix + b":" + name
        attribute = rb"(<\w+:\w+(?:\s[^<>]*?)?)\s" + key + _VALUE
        element = _SPACE + rb"<" + key + rb"(?:\s[^<>]*)?>[^<]*</" + key + rb"\s*>"
        packet = re.sub(element, b"", re.sub(attribute, rb"\1", packet))
    return packet


def get_xmp_property(xmp: bytes | None, name: str) -> str | None:
    """Return a property of burnish's, or None if the packet lacks it or is broken.

    The property may be an attribute, or an element if another program rewrote the packet.
    """
    if xmp is None:
        return None
    try:
        root = ElementTree.fromstring(xmp.strip(b"\0 \n\r\t"))
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    key = f"{{{_NAMESPACE}}}{name}"
    for description in root.iter(f"{{{_RDF}}}Description"):
        value = description.get(key, description.findtext(key))
        if value is not None:
            return value
    return None
