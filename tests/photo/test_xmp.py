"""XMP of other programs keeps every byte, and ours is found again whoever wrote it since."""

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
# What XML 1.0 can hold.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]))


@given(TEXT)
def test_any_text_comes_back(text):
    assert get_property(set_property(None, "Made", text), "Made") == text
    assert get_property(set_property(THEIRS, "Made", text), "Made") == text


def test_the_packet_of_another_program_is_kept_byte_for_byte():
    once = set_property(THEIRS, "Made", "one")
    assert re.sub(rb"\s*<rdf:Description[^<]*burnish[^<]*/>", b"", once) == THEIRS
    assert b'rdf:about="uuid:1" xmlns:rdf' in once
    twice = set_property(once, "Made", "two")
    assert get_property(twice, "Made") == "two"
    assert len(twice) == len(once)


def test_it_is_found_where_another_program_made_an_element_of_it():
    packet = THEIRS.replace(
        b"</rdf:RDF>",
        b'<rdf:Description xmlns:b="urn:burnish:xmp#"><b:Made>so</b:Made></rdf:Description>'
        b"</rdf:RDF>",
    )
    assert get_property(packet, "Made") == "so"


@pytest.mark.parametrize("packet", [b"", b"<x/>", b"<rdf:RDF>", b"\xff\xfe<\0", b"</rdf:RDF>"])
def test_a_broken_packet_is_told(packet):
    assert get_property(packet, "Made") is None
    if packet:
        with pytest.raises(BrokenXmpError):
            set_property(packet, "Made", "x")


def test_a_packet_in_another_encoding_is_told():
    with pytest.raises(BrokenXmpError):
        set_property(THEIRS.decode().encode("utf-16"), "Made", "x")


def test_it_is_well_formed():
    root = ElementTree.fromstring(set_property(None, "Made", "'<&>\""))
    assert root.tag == "{adobe:ns:meta/}xmpmeta"


def test_exiftool_reads_it_and_passes_it_on(tmp_path):
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    from burnish.photo import Photo

    source, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    image = Image.fromarray(np.full((8, 8, 3), 90, np.uint8))
    image.save(source, xmp=set_property(None, "Made", '["so"]'))
    image.save(other)
    read = subprocess.run(["exiftool", "-s3", "-XMP:Made", source], capture_output=True, text=True)
    assert read.stdout.strip() == '["so"]'
    copy = ["exiftool", "-q", "-tagsFromFile", source, "-XMP", other]
    subprocess.run(copy, check=True, capture_output=True)
    assert get_property(Photo.open(source).metadata.xmp, "Made") == '["so"]'


@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_what_another_program_wrote_beside_ours_is_kept(quote):
    compact = (
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
        b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about=''"
        b" xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:burnish='urn:burnish:xmp#'"
        b" xmp:Rating='5' burnish:Made='one' xmp:Label='Red'/></rdf:RDF></x:xmpmeta>"
    ).replace(b"'", quote)
    changed = set_property(compact, "Made", "two")
    assert get_property(changed, "Made") == "two"
    assert changed.count(b"Made") == 1
    without = compact.replace(b" burnish:Made='one'".replace(b"'", quote), b"")
    assert re.sub(rb"\s*<rdf:Description[^<]*Made[^<]*/>", b"", changed) == without


def test_one_that_another_program_made_an_element_of_gives_way():
    packet = THEIRS.replace(
        b"</rdf:RDF>",
        b"<rdf:Description xmlns:b='urn:burnish:xmp#'><b:Made>so</b:Made></rdf:Description>"
        b"</rdf:RDF>",
    )
    changed = set_property(packet, "Made", "otherwise")
    assert get_property(changed, "Made") == "otherwise"
    assert b"<b:Made>" not in changed
    assert b'dc:title="Sommer"' in changed
