"""XMP packets (ISO 16684-1).

The packet of another program keeps every byte, but for properties that an edit makes false. burnish
adds an rdf:Description of its own.
"""

import hashlib
import re
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

_NAMESPACE = "urn:burnish:xmp#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NOTE = b"http://ns.adobe.com/xmp/note/"

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
_RDF_START = re.compile(rb"<(\w+):RDF(?:\s[^<>]*)?>")
_RDF_END = re.compile(_SPACE + rb"</(\w+):RDF>")
_ABOUT = re.compile(rb"""\brdf:about\s*=\s*("[^"<]*"|'[^'<]*')""")
_WRAPPER = re.compile(_SPACE + rb"<\?xpacket[^<>]*\?>\s*")
_EXTENSION_ID = re.compile(rb"""HasExtendedXMP(?:\s*=\s*["']|\s*>)\s*([0-9A-Fa-f]{32})""")

# Namespace -> beginnings of the names of properties that claim something behind the image: a gain
# map, a video, or further images. An edited file has none of these.
_GAIN_MAP = b"http://ns.adobe.com/hdr-gain-map/1.0/"
_CLAIMS = {
    _GAIN_MAP: b"",
    b"http://ns.apple.com/HDRGainMap/1.0/": b"",
    b"http://ns.google.com/photos/1.0/camera/": b"MotionPhoto|MicroVideo",
    b"http://ns.google.com/photos/1.0/container/": b"Directory",
    b"http://ns.google.com/photos/dd/1.0/device/": b"Container",
    b"http://ns.oplus.com/photos/1.0/camera/": b"MotionPhoto|VideoLength|OLivePhoto",
}


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


def remove_claims(xmp: bytes) -> bytes:
    """Remove the properties that claim a gain map, a video or images behind the image.

    Examples
    --------
    >>> remove_claims(
    ...     b'<a xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" b:c="d"/>'
    ... )
    b'<a b:c="d"/>'
    """
    for namespace, names in _CLAIMS.items():
        xmp = _remove_properties(xmp, namespace, names)
    return xmp


def has_gain_map(xmp: bytes | None) -> bool:
    """Return whether a packet claims a gain map for high dynamic range."""
    return xmp is not None and (b"hdrgm:" in xmp or _GAIN_MAP in xmp)


def extension_id(xmp: bytes) -> bytes | None:
    """Return the identifier of the extended XMP that a JPEG's packet refers to, or None."""
    match = _EXTENSION_ID.search(xmp)
    return match[1] if match else None


def remove_extension_id(xmp: bytes) -> bytes:
    """Remove the reference to extended XMP."""
    return _remove_properties(xmp, _NOTE, b"HasExtendedXMP")


def merge_extension(xmp: bytes, extension: bytes) -> bytes | None:
    """Return the packet with the properties of its extended XMP, or None if one of them is broken.

    JPEG alone splits XMP, because its segments hold 64 KB.
    """
    xmp = remove_extension_id(xmp)
    end, inner_start = _RDF_END.search(xmp), _RDF_START.search(extension)
    inner_ends = list(_RDF_END.finditer(extension))
    if end is None or inner_start is None or not inner_ends:
        return None
    inner = extension[inner_start.end() : inner_ends[-1].start()]
    merged = xmp[: end.start()] + inner + xmp[end.start() :]
    return merged if parse_xmp(merged) is not None else None


def split_packet(xmp: bytes, limit: int) -> tuple[bytes, bytes | None]:
    """Return a packet of at most `limit` bytes, and extended XMP with all that does not fit.

    Raises
    ------
    BrokenXmpError : not XMP in UTF-8, so that it cannot be split
    """
    if len(xmp) <= limit:
        return xmp, None
    # Programs pad packets with white space, so that others can add properties in place.
    padding = re.compile(rb"(?<!\s)\s{2,}(?=<\?xpacket end)")
    if len(compact := padding.sub(b"\n", xmp)) <= limit:
        return compact, None
    own = b"".join(_OWN_DESCRIPTION.findall(xmp))
    if len(own) > limit // 2:
        own = b""
    extension = _WRAPPER.sub(b"", _OWN_DESCRIPTION.sub(b"", xmp) if own else xmp)
    if _RDF_END.search(extension) is None or parse_xmp(extension) is None:
        raise BrokenXmpError("the packet is too long and is not XML in UTF-8")
    identifier = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    reference = (
        f'\n  <rdf:Description rdf:about={_subject(xmp)} xmlns:xmpNote="{_NOTE.decode()}" '
        f'xmpNote:HasExtendedXMP="{identifier}"/>'
    )
    return _insert(_EMPTY_PACKET, reference.encode() + own), extension


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
    packet = _remove_own_property(xmp or _EMPTY_PACKET, name.encode())
    content = f" xmlns:burnish={quoteattr(_NAMESPACE)} burnish:{name}={quoteattr(value)}/>"
    updated = insert_description(packet, content)
    if get_xmp_property(updated, name) != value:
        raise BrokenXmpError("the packet is not XML in UTF-8")
    return updated


def insert_description(xmp: bytes | None, content: str) -> bytes:
    """Return the packet with a further rdf:Description at its end.

    Parameters
    ----------
    xmp : a packet, or None for a new one
    content : the rest of the element, behind the attributes rdf:about and xmlns:rdf

    Raises
    ------
    BrokenXmpError : the packet has no end of its RDF
    """
    packet = xmp or _EMPTY_PACKET
    if _RDF_END.search(packet) is None:
        raise BrokenXmpError("the RDF has no end tag")
    start = f"\n  <rdf:Description rdf:about={_subject(packet)} xmlns:rdf={quoteattr(RDF)}"
    return _insert(packet, (start + content).encode())


def get_xmp_property(xmp: bytes | None, name: str) -> str | None:
    """Return a property of burnish's, or None if the packet lacks it or is broken.

    The property may be an attribute, or an element if another program rewrote the packet.
    """
    root = None if xmp is None else parse_xmp(xmp)
    if root is None:
        return None
    key = f"{{{_NAMESPACE}}}{name}"
    for description in root.iter(f"{{{RDF}}}Description"):
        value = description.get(key, description.findtext(key))
        if value is not None:
            return value
    return None


def parse_xmp(xmp: bytes) -> ElementTree.Element | None:
    """Return the root of a packet, or None if it is not XML in a known encoding."""
    try:
        return ElementTree.fromstring(xmp.strip(b"\0 \n\r\t"))
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def _subject(packet: bytes) -> str:
    """Return the quoted subject, which is the same for all descriptions in a packet."""
    about = _ABOUT.search(packet)
    return about[1].decode("utf-8", "replace") if about else '""'


def _insert(packet: bytes, description: bytes) -> bytes:
    end = _RDF_END.search(packet)
    assert end is not None
    return packet[: end.start()] + description + packet[end.start() :]


def _remove_own_property(packet: bytes, name: bytes) -> bytes:
    """Remove a property of burnish's, and keep all other properties next to it."""
    key = rb"\sburnish:" + name + _VALUE

    def without_property(match: re.Match[bytes]) -> bytes:
        rest = re.sub(key, b"", match[0])
        return rest if re.search(rb"\sburnish:\w+\s*=", rest) else b""

    packet = _OWN_DESCRIPTION.sub(without_property, packet)
    for prefix in set(_OWN_PREFIX.findall(packet)):
        key = prefix + b":" + name
        attribute = rb"(<\w+:\w+(?:\s[^<>]*?)?)\s" + key + _VALUE
        element = _SPACE + rb"<" + key + rb"(?:\s[^<>]*)?>[^<]*</" + key + rb"\s*>"
        packet = re.sub(element, b"", re.sub(attribute, rb"\1", packet))
    return packet


def _remove_properties(packet: bytes, namespace: bytes, names: bytes) -> bytes:
    """Remove properties with their values, and the declaration of a namespace without others.

    Parameters
    ----------
    names : beginnings of the names, as alternatives of a regular expression
    """
    declaration = rb"""(?<!\s)\s+xmlns:([\w.-]+)\s*=\s*["']""" + re.escape(namespace) + rb"""["']"""
    for prefix in set(re.findall(declaration, packet)):
        name = re.escape(prefix) + rb":(?:" + names + rb")[\w.-]*"
        packet = re.sub(rb"(?<!\s)\s+" + name + _VALUE, b"", packet)
        packet = _remove_elements(packet, re.compile(_SPACE + rb"<(" + name + rb")(?=[\s/>])"))
        if prefix + b":" not in packet.replace(namespace, b""):
            packet = re.sub(declaration.replace(rb"([\w.-]+)", re.escape(prefix)), b"", packet)
    return packet


def _remove_elements(packet: bytes, start: re.Pattern[bytes]) -> bytes:
    kept, position = [], 0
    while match := start.search(packet, position):
        opening = packet.find(b">", match.end()) + 1
        end = opening
        if opening and packet[opening - 2 : opening - 1] != b"/":
            closing = packet.find(b"</" + match[1], opening)
            end = packet.find(b">", closing) + 1 if closing >= 0 else 0
        if not end:
            break
        kept.append(packet[position : match.start()])
        position = end
    return b"".join(kept) + packet[position:]
