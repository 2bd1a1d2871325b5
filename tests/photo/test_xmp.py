"""XMP: packets of other programs keep every byte, and burnish's property survives rewriting."""

import re
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from burnish.photo.xmp import BrokenXmpError, get_property, set_property

THEIRS = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="Sommer"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
# Text that XML 1.0 can contain.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]))


@given(TEXT)
def test_get_property_returns_any_text(text):
    assert get_property(set_property(None, "History", text), "History") == text
    assert get_property(set_property(THEIRS, "History", text), "History") == text


def test_set_property_keeps_other_packet_byte_for_byte():
    once = set_property(THEIRS, "History", "one")
    assert re.sub(rb"\s*<rdf:Description[^<]*burnish[^<]*/>", b"", once) == THEIRS
    assert b'rdf:about="uuid:1" xmlns:rdf' in once
    twice = set_property(once, "History", "two")
    assert get_property(twice, "History") == "two"
    assert len(twice) == len(once)


def test_get_property_reads_element():
    packet = THEIRS.replace(
        b"</rdf:RDF>",
        b'<rdf:Description xmlns:b="urn:burnish:xmp#"><b:History>so</b:History></rdf:Description>'
        b"</rdf:RDF>",
    )
    assert get_property(packet, "History") == "so"


@pytest.mark.parametrize("packet", [b"", b"<x/>", b"<rdf:RDF>", b"\xff\xfe<\0", b"</rdf:RDF>"])
def test_broken_packet_raises_or_returns_none(packet):
    assert get_property(packet, "History") is None
    if packet:
        with pytest.raises(BrokenXmpError):
            set_property(packet, "History", "x")


def test_set_property_in_utf_16_raises():
    with pytest.raises(BrokenXmpError):
        set_property(THEIRS.decode().encode("utf-16"), "History", "x")


def test_set_property_makes_well_formed_packet():
    root = ElementTree.fromstring(set_property(None, "History", "'<&>\""))
    assert root.tag == "{adobe:ns:meta/}xmpmeta"


def test_exiftool_reads_and_copies_property(tmp_path):
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    from burnish.photo import Photo

    source, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    image = Image.fromarray(np.full((8, 8, 3), 90, np.uint8))
    image.save(source, xmp=set_property(None, "History", '["so"]'))
    image.save(other)
    read = subprocess.run(
        ["exiftool", "-s3", "-XMP:History", source], capture_output=True, text=True
    )
    assert read.stdout.strip() == '["so"]'
    copy = ["exiftool", "-q", "-tagsFromFile", source, "-XMP", other]
    subprocess.run(copy, check=True, capture_output=True)
    assert get_property(Photo.open(other).metadata.xmp, "History") == '["so"]'


@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_set_property_keeps_attributes_next_to_it(quote):
    compact = (
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
        b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about=''"
        b" xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:burnish='urn:burnish:xmp#'"
        b" xmp:Rating='5' burnish:History='one' xmp:Label='Red'/></rdf:RDF></x:xmpmeta>"
    ).replace(b"'", quote)
    changed = set_property(compact, "History", "two")
    assert get_property(changed, "History") == "two"
    assert changed.count(b"History") == 1
    without = compact.replace(b" burnish:History='one'".replace(b"'", quote), b"")
    assert re.sub(rb"\s*<rdf:Description[^<]*History[^<]*/>", b"", changed) == without


def test_set_property_replaces_element():
    packet = THEIRS.replace(
        b"</rdf:RDF>",
        b"<rdf:Description xmlns:b='urn:burnish:xmp#'><b:History>so</b:History></rdf:Description>"
        b"</rdf:RDF>",
    )
    changed = set_property(packet, "History", "otherwise")
    assert get_property(changed, "History") == "otherwise"
    assert b"<b:History>" not in changed
    assert b'dc:title="Sommer"' in changed
