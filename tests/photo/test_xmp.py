"""XMP of other programs keeps every byte, but for claims about what an edited file has not."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from burnish.photo import Photo
from burnish.photo.xmp import (
    BrokenXmpError,
    extension_id,
    get_xmp_property,
    merge_extension,
    remove_claims,
    reset_xmp_orientation,
    set_xmp_property,
    split_packet,
)

OTHER_XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="Sommer"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
# Text that XML 1.0 can contain.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<tiff:Orientation>8</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b"tiff:Orientation = '3'", b"tiff:Orientation = '1'"),
        (b"tiff:Orientation='1'", b"tiff:Orientation='1'"),
        (b"no tiff:Orientation 6", b"no tiff:Orientation 6"),
    ],
)
def test_reset_xmp_orientation_replaces_only_the_value(before, after):
    assert reset_xmp_orientation(before) == after


@given(TEXT)
def test_get_xmp_property_returns_any_text(text):
    assert get_xmp_property(set_xmp_property(None, "History", text), "History") == text
    assert get_xmp_property(set_xmp_property(OTHER_XMP, "History", text), "History") == text


def test_set_xmp_property_keeps_other_packet_byte_for_byte():
    first = set_xmp_property(OTHER_XMP, "History", "one")
    assert re.sub(rb"\s*<rdf:Description[^<]*burnish[^<]*/>", b"", first) == OTHER_XMP
    assert b'rdf:about="uuid:1" xmlns:rdf' in first
    second = set_xmp_property(first, "History", "two")
    assert get_xmp_property(second, "History") == "two"
    assert len(second) == len(first)


def test_get_xmp_property_reads_element():
    packet = OTHER_XMP.replace(
        b"</rdf:RDF>",
        b'<rdf:Description xmlns:b="urn:burnish:xmp#"><b:History>so</b:History></rdf:Description>'
        b"</rdf:RDF>",
    )
    assert get_xmp_property(packet, "History") == "so"


@pytest.mark.parametrize("packet", [b"", b"<x/>", b"<rdf:RDF>", b"\xff\xfe<\0", b"</rdf:RDF>"])
def test_broken_packet_raises_or_returns_none(packet):
    assert get_xmp_property(packet, "History") is None
    if packet:
        with pytest.raises(BrokenXmpError):
            set_xmp_property(packet, "History", "x")


def test_set_xmp_property_in_utf_16_raises():
    with pytest.raises(BrokenXmpError):
        set_xmp_property(OTHER_XMP.decode().encode("utf-16"), "History", "x")


def test_set_xmp_property_makes_well_formed_packet():
    root = ElementTree.fromstring(set_xmp_property(None, "History", "'<&>\""))
    assert root.tag == "{adobe:ns:meta/}xmpmeta"


def test_exiftool_reads_and_copies_property(exiftool, tmp_path):
    source, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    image = Image.fromarray(np.full((8, 8, 3), 90, np.uint8))
    image.save(source, xmp=set_xmp_property(None, "History", '["so"]'))
    image.save(other)
    assert exiftool.tags(source.read_bytes())["XMP-burnish:History"] == ['["so"]']
    copied = exiftool.edit(other.read_bytes(), "-tagsFromFile", str(source), "-XMP")
    assert get_xmp_property(Photo.open(copied).metadata.xmp, "History") == '["so"]'


@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_set_xmp_property_keeps_attributes_next_to_it(quote):
    compact = (
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
        b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about=''"
        b" xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:burnish='urn:burnish:xmp#'"
        b" xmp:Rating='5' burnish:History='one' xmp:Label='Red'/></rdf:RDF></x:xmpmeta>"
    ).replace(b"'", quote)
    changed = set_xmp_property(compact, "History", "two")
    assert get_xmp_property(changed, "History") == "two"
    assert changed.count(b"History") == 1
    without = compact.replace(b" burnish:History='one'".replace(b"'", quote), b"")
    assert re.sub(rb"\s*<rdf:Description[^<]*History[^<]*/>", b"", changed) == without


def test_set_xmp_property_replaces_element():
    packet = OTHER_XMP.replace(
        b"</rdf:RDF>",
        b"<rdf:Description xmlns:b='urn:burnish:xmp#'><b:History>so</b:History></rdf:Description>"
        b"</rdf:RDF>",
    )
    changed = set_xmp_property(packet, "History", "otherwise")
    assert get_xmp_property(changed, "History") == "otherwise"
    assert b"<b:History>" not in changed
    assert b'dc:title="Sommer"' in changed


def packet(attributes: str, content: str = "") -> bytes:
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">'
        f'<rdf:Description rdf:about=""{attributes}>{content}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


HDR = ' xmlns:{0}="http://ns.adobe.com/hdr-gain-map/1.0/"'
CAMERA = ' xmlns:{0}="http://ns.google.com/photos/1.0/camera/"'
CONTAINER = ' xmlns:C="http://ns.google.com/photos/1.0/container/"'
ITEMS = "<C:Directory><rdf:Seq><rdf:li a='b'><C:Item/></rdf:li></rdf:Seq></C:Directory>"
RATING = ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"'


@pytest.mark.parametrize(
    ("attributes", "content", "kept_attributes", "kept_content"),
    [
        (HDR.format("hdrgm") + RATING + ' hdrgm:Version="1.0"', "", RATING, ""),
        (HDR.format("g") + RATING, "<g:Version>1.0</g:Version>", RATING, ""),
        (RATING + CONTAINER, "<a/>" + ITEMS + "<b/>", RATING, "<a/><b/>"),
        (
            CAMERA.format("GCamera") + " GCamera:MicroVideo='1'\n GCamera:MicroVideoOffset='9'",
            "",
            "",
            "",
        ),
        (
            CAMERA.format("Camera") + ' Camera:MotionPhoto="1" Camera:Other="2"',
            "<Camera:MotionPhotoVersion>1</Camera:MotionPhotoVersion>",
            CAMERA.format("Camera") + ' Camera:Other="2"',
            "",
        ),
        (RATING + HDR.format("o"), "<o:GainMapMax/><o:Gamma a='b'/>", RATING, ""),
        (RATING, "<hdrgm:Text>of another namespace</hdrgm:Text>", RATING, None),
    ],
)
def test_remove_claims_keeps_all_else(attributes, content, kept_attributes, kept_content):
    expected = packet(kept_attributes, content if kept_content is None else kept_content)
    assert remove_claims(packet(attributes, content)) == expected


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_remove_claims_of_damaged_packet_ends(tail):
    start = packet(HDR.format("g"), "<g:Version>" * 20)
    assert remove_claims(start[: -len(tail)] + tail) is not None
    assert remove_claims(tail) == tail


def test_remove_claims_takes_linear_time():
    # Without an end tag, each of the 50,000 start tags could search the rest of the packet.
    damaged = packet(HDR.format("g"), "<g:Version>" * 50_000).replace(b"</", b"<")
    assert len(remove_claims(damaged + b" " * 500_000)) > 500_000


def test_split_packet_is_merged_again():
    long = packet(RATING, f"<a:b xmlns:a='urn:a'>{'x' * 9000}</a:b>")
    with_history = set_xmp_property(long, "History", "edited")
    short, extension = split_packet(with_history, 2000)
    assert len(short) <= 2000
    assert get_xmp_property(short, "History") == "edited"
    assert extension == long
    assert len(extension_id(short)) == 32
    merged = merge_extension(short, extension)
    assert extension_id(merged) is None
    assert get_xmp_property(merged, "History") == "edited"
    assert b'xmp:Rating="5"' in merged
    assert b"x" * 9000 in merged


def test_split_packet_uses_padding_first():
    padded = OTHER_XMP.replace(b"\n<?xpacket end", b" " * 3000 + b"\n<?xpacket end")
    assert split_packet(padded, 5000) == (padded, None)
    assert split_packet(padded, 1000) == (OTHER_XMP, None)
    with pytest.raises(BrokenXmpError):
        split_packet(b"x" * 5000, 1000)


def test_merge_extension_that_is_broken_returns_none():
    assert merge_extension(OTHER_XMP, b"<rdf:RDF><rdf:Description></rdf:RDF>") is None
    assert merge_extension(OTHER_XMP, b"") is None
