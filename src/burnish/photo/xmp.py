"""XMP packets: reset the orientation, and read and set properties of burnish's own.

The packet of another program is kept byte for byte. burnish adds an rdf:Description of its own.
XMP is ISO 16684-1.
"""

import re
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

NAMESPACE = "urn:burnish:xmp#"
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
_PREFIX = re.compile(rb"""xmlns:(\w+)\s*=\s*["']urn:burnish:xmp#["']""")
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


def set_property(xmp: bytes | None, name: str, value: str) -> bytes:
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
    >>> get_property(set_property(None, "History", 'by "us" & <you>'), "History")
    'by "us" & <you>'
    """
    packet = _remove_property(xmp or _EMPTY_PACKET, name.encode())
    end = _RDF_END.search(packet)
    if end is None:
        raise BrokenXmpError("the RDF has no end tag")
    # All descriptions in a packet have the same subject.
    about = _ABOUT.search(packet)
    subject = about[1].decode("utf-8", "replace") if about else '""'
    description = (
        f"\n  <rdf:Description rdf:about={subject} xmlns:rdf={quoteattr(_RDF)} "
        f"xmlns:burnish={quoteattr(NAMESPACE)} burnish:{name}={quoteattr(value)}/>"
    )
    updated = packet[: end.start()] + description.encode() + packet[end.start() :]
    if get_property(updated, name) != value:
        raise BrokenXmpError("the packet is not XML in UTF-8")
    return updated


def _remove_property(packet: bytes, name: bytes) -> bytes:
    """Remove a property of burnish's, and keep the text of other programs next to it."""
    packet = _OWN_DESCRIPTION.sub(b"", packet)
    for prefix in set(_PREFIX.findall(packet)):
        key = prefix + b":" + name
        attribute = rb"(<\w+:\w+(?:\s[^<>]*?)?)\s" + key + _VALUE
        element = _SPACE + rb"<" + key + rb"(?:\s[^<>]*)?>[^<]*</" + key + rb"\s*>"
        packet = re.sub(element, b"", re.sub(attribute, rb"\1", packet))
    return packet


def get_property(xmp: bytes | None, name: str) -> str | None:
    """Return a property of burnish's, or None if the packet lacks it or is broken.

    The property may be an attribute, or an element if another program rewrote the packet.
    """
    if xmp is None:
        return None
    try:
        root = ElementTree.fromstring(xmp.strip(b"\0 \n\r\t"))
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    key = f"{{{NAMESPACE}}}{name}"
    for description in root.iter(f"{{{_RDF}}}Description"):
        value = description.get(key, description.findtext(key))
        if value is not None:
            return value
    return None
