"""Keywords, titles and captions in XMP: the properties of Dublin Core.

A packet keeps every byte when keywords are added. The result is parsed and compared with what it
has to be before anything is written.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from burnish.photo.xmp import (
    RDF,
    BrokenXmpError,
    get_xmp_property,
    insert_description,
    parse_xmp,
    set_xmp_property,
)

_DC = "http://purl.org/dc/elements/1.1/"
_SUBJECT = f"{{{_DC}}}subject"
_ITEM = f"{{{RDF}}}li"
_DC_PREFIX = re.compile(rb"""xmlns:([\w.-]+)\s*=\s*["']""" + re.escape(_DC.encode()) + rb"""["']""")
# burnish's property with the keywords that it added, as a JSON list.
_SUGGESTED = "SuggestedKeywords"


def read_keywords(xmp: bytes | None) -> list[str]:
    """Return the keywords of a packet; none if it is broken.

    Examples
    --------
    >>> read_keywords(add_keywords(None, ["beach", "Strand & Meer"]))
    ['beach', 'Strand & Meer']
    """
    return _read_texts(xmp, "subject")


def read_captions(xmp: bytes | None) -> list[str]:
    """Return title and description of a packet, in all of its languages."""
    return [text for name in ("title", "description") for text in _read_texts(xmp, name)]


def add_keywords(xmp: bytes | None, keywords: Sequence[str]) -> bytes:
    """Return the packet with further keywords at the end of its list.

    Parameters
    ----------
    xmp : a packet, or None for a new one
    keywords : texts that the packet does not have yet

    Raises
    ------
    BrokenXmpError : the packet is not XMP in UTF-8, or has its keywords in an unusual form
    """
    allowed = [keyword for keyword in keywords if _is_xml(keyword)]
    if len(allowed) < len(keywords):
        raise BrokenXmpError("a keyword has a control character")
    if xmp is not None and parse_xmp(xmp) is None:
        raise BrokenXmpError("the packet is not XML in UTF-8")
    before = read_keywords(xmp)
    updated = None if xmp is None else _insert_items(xmp, keywords)
    if updated is None and before:
        # A second property of that name would not be valid.
        raise BrokenXmpError("its keywords have an unusual form")
    if updated is None:
        properties = f"<dc:subject><rdf:Bag>{_items('rdf', keywords)}</rdf:Bag></dc:subject>"
        updated = insert_description(xmp, f' xmlns:dc="{_DC}">{properties}</rdf:Description>')
    if read_keywords(updated) != [*before, *keywords] or _others(updated) != _others(xmp):
        raise BrokenXmpError("its keywords have an unusual form")
    return updated


def read_suggested(xmp: bytes | None) -> list[str]:
    """Return the keywords that burnish added, and that are marked as suggested."""
    import json

    try:
        keywords = json.loads(get_xmp_property(xmp, _SUGGESTED) or "[]")
    except ValueError:
        return []
    return [keyword for keyword in keywords if isinstance(keyword, str)]


def mark_suggested(xmp: bytes, keywords: Sequence[str]) -> bytes:
    """Return the packet with further keywords marked as suggested.

    Examples
    --------
    >>> read_suggested(mark_suggested(add_keywords(None, ["beach"]), ["beach"]))
    ['beach']
    """
    import json

    marked = list(dict.fromkeys([*read_suggested(xmp), *keywords]))
    return set_xmp_property(xmp, _SUGGESTED, json.dumps(marked, ensure_ascii=False))


def _read_texts(xmp: bytes | None, name: str) -> list[str]:
    root = None if xmp is None else parse_xmp(xmp)
    if root is None:
        return []
    texts: list[str | None] = []
    key = f"{{{_DC}}}{name}"
    for description in root.iter(f"{{{RDF}}}Description"):
        texts.append(description.get(key))
        for element in description.findall(key):
            texts += [item.text for item in element.iter(_ITEM)]
            texts += [element.text] if not len(element) else []
    stripped = [text.strip() for text in texts if text]
    return list(dict.fromkeys(filter(None, stripped)))


def _items(prefix: str, keywords: Sequence[str]) -> str:
    return "".join(f"<{prefix}:li>{escape(keyword)}</{prefix}:li>" for keyword in keywords)


def _insert_items(packet: bytes, keywords: Sequence[str]) -> bytes | None:
    """Put items at the end of the list of keywords; return None if there is no list."""
    for prefix in set(_DC_PREFIX.findall(packet)):
        name = re.escape(prefix) + rb":subject"
        match = re.search(
            rb"<" + name + rb"(?:\s[^<>]*)?>\s*<(\w+):(Bag|Seq|Alt)(?:\s[^<>]*?)?"
            rb"(?P<empty>/>|>(?:(?!</\1:\2).)*?(?P<end>\s*</\1:\2\s*>))",
            packet,
            re.DOTALL,
        )
        if match is None:
            continue
        added = _items(match[1].decode(), keywords).encode()
        if match["empty"] == b"/>":
            list_name = match[1] + b":" + match[2]
            added = b">" + added + b"</" + list_name + b">"
            return packet[: match.start("empty")] + added + packet[match.end("empty") :]
        return packet[: match.start("end")] + added + packet[match.start("end") :]
    return None


def _others(xmp: bytes | None) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Return all elements of a packet with texts and attributes, without the list of keywords."""
    root = None if xmp is None else parse_xmp(xmp)
    if root is None:
        return []
    subjects = {id(inner) for element in root.iter(_SUBJECT) for inner in element.iter()}
    elements = [
        (element.tag, (element.text or "").strip(), tuple(sorted(element.attrib.items())))
        for element in root.iter()
        if id(element) not in subjects
    ]
    # A description that holds only keywords, and the frame of a new packet, say nothing more.
    frame = (f"{{{RDF}}}RDF", "{adobe:ns:meta/}xmpmeta")
    about = f"{{{RDF}}}about"
    return sorted(
        element
        for element in elements
        if element[0] not in frame
        and not (
            element[0] == f"{{{RDF}}}Description"
            and not element[1]
            and all(name == about for name, _ in element[2])
        )
    )


def _is_xml(text: str) -> bool:
    """Return whether XML 1.0 can contain a text."""
    try:
        return ElementTree.fromstring(f"<a>{escape(text)}</a>").text == text
    except (ElementTree.ParseError, UnicodeEncodeError):
        return False
