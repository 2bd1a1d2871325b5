"""Keywords in files: ExifTool reads what burnish writes and the reverse, and all else stays."""

import json
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from burnish.errors import PhotoError
from burnish.photo import iptc, xmp_keywords
from burnish.photo.keywords import add_keywords, keyword_key, read_texts
from burnish.photo.xmp import BrokenXmpError, get_xmp_property, set_xmp_property

SCRIPTS = ["beach", "Straße & Meer", "日本", "тест", "مدينة", "<b>"]
IN_PLACE = ["jpg", "png", "tif", "webp"]
KEYWORD = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=40)


def make_photo(path, **options):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (8, 12, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def run_exiftool(*arguments):
    command = ["exiftool", "-charset", "filename=utf8", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def read_tags(path, *tags):
    """Return ExifTool's tags of a file, without those about the file itself."""
    (record,) = json.loads(run_exiftool("-json", "-a", "-G1", "-struct", *tags, path))
    return {
        name: value
        for name, value in record.items()
        if name.partition(":")[0] not in ("System", "SourceFile", "ExifTool")
    }


def as_list(value):
    return value if isinstance(value, list) else [str(value)]


@pytest.mark.parametrize("extension", IN_PLACE)
def test_exiftool_reads_the_keywords(extension, tmp_path):
    path = make_photo(tmp_path / f"photo.{extension}")
    before = np.asarray(Image.open(path))
    assert add_keywords(path, SCRIPTS) == tuple(SCRIPTS)
    tags = read_tags(path, "-Subject", "-Keywords", "-SuggestedKeywords")
    assert tags["XMP-dc:Subject"] == SCRIPTS
    assert json.loads(tags["XMP-burnish:SuggestedKeywords"]) == SCRIPTS
    if extension in ("jpg", "tif"):
        assert tags["IPTC:Keywords"] == SCRIPTS
    np.testing.assert_array_equal(np.asarray(Image.open(path)), before)
    assert read_texts(path).keywords == read_texts(path).suggested == tuple(SCRIPTS)
    # The second time there is nothing to add.
    content = path.read_bytes()
    assert add_keywords(path, ["BEACH", "日本"]) == ()
    assert path.read_bytes() == content


@pytest.mark.parametrize("extension", IN_PLACE)
def test_what_exiftool_wrote_stays(extension, tmp_path):
    path = make_photo(tmp_path / f"photo.{extension}")
    run_exiftool(
        "-q",
        "-overwrite_original",
        *("-XMP-dc:Subject=old", "-XMP-dc:Title=A title", "-XMP-xmp:Rating=4"),
        *("-XMP-lr:HierarchicalSubject=a|b", "-EXIF:Artist=me"),
        *(["-IPTC:Keywords=old", "-IPTC:City=Ulm"] if extension in ("jpg", "tif") else []),
        path,
    )
    before = read_tags(path)
    add_keywords(path, ["new"])
    after = read_tags(path)
    added = {"XMP-burnish:SuggestedKeywords": '["new"]'}
    for name in ("XMP-dc:Subject", "IPTC:Keywords"):
        if name in before:
            assert as_list(after.pop(name)) == [*as_list(before.pop(name)), "new"]
    # Positions and sizes of the blocks in a file, and IPTC's digest, which ExifTool computes.
    positions = ("IFD0:StripOffsets", "File:CurrentIPTCDigest", "Photoshop:IPTCDigest")
    unchanged = {name: value for name, value in before.items() if name not in positions}
    assert {n: v for n, v in after.items() if n not in positions} == unchanged | added


def test_bytes_outside_of_the_two_segments_stay(tmp_path):
    path = make_photo(tmp_path / "photo.jpg", comment=b"a comment", dpi=(72, 72))
    path.write_bytes(path.read_bytes() + b"trailing bytes")
    before = path.read_bytes()
    add_keywords(path, ["beach"])
    after = path.read_bytes()
    start = next(i for i in range(len(before)) if before[i] != after[i])
    assert after.endswith(before[start:])


def test_exiftools_long_xmp_stays(tmp_path):
    path = make_photo(tmp_path / "photo.jpg")
    run_exiftool("-q", "-overwrite_original", f"-XMP-dc:Description={'long ' * 20_000}", path)
    add_keywords(path, ["beach"])
    tags = read_tags(path, "-XMP:all", "-Warning")
    assert tags["XMP-dc:Subject"] in ("beach", ["beach"])
    assert tags["XMP-dc:Description"] == ("long " * 20_000)
    assert "ExifTool:Warning" not in tags


def test_pages_of_a_tiff_stay(tmp_path):
    path = tmp_path / "photo.tif"
    pages = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    from burnish.photo.in_place import Changes, change_blocks

    changes = Changes(lambda xmp: xmp_keywords.add_keywords(xmp, ["sea"]), lambda records: records)
    path.write_bytes(change_blocks(path.read_bytes(), "tiff", changes))
    with Image.open(path) as image:
        colours = []
        for page in range(image.n_frames):
            image.seek(page)
            colours.append(image.getpixel((0, 0)))
    assert colours == [(255, 0, 0), (0, 0, 255)]


def test_raw_and_other_formats_get_a_sidecar(tmp_path):
    path = make_photo(tmp_path / "photo.gif")
    content = path.read_bytes()
    assert add_keywords(path, ["日本"]) == ("日本",)
    assert path.read_bytes() == content
    assert read_tags(tmp_path / "photo.xmp", "-Subject")["XMP-dc:Subject"] in ("日本", ["日本"])
    assert read_texts(path).keywords == ("日本",)
    assert add_keywords(path, ["日本", "sea"]) == ("sea",)
    assert read_texts(path).keywords == ("日本", "sea")


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF",
        "<a>é</a>".encode("utf-16"),
        b"not XML",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&undefined;</a>",
    ],
)
def test_broken_xmp_is_named_and_kept(packet, tmp_path):
    path = make_photo(tmp_path / "photo.jpg", xmp=packet)
    content = path.read_bytes()
    with pytest.raises(PhotoError, match=r"photo\.jpg: no keyword can be added: .*; repair"):
        add_keywords(path, ["beach"])
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["photo.jpg"]


def test_keyword_with_control_character_is_an_error(tmp_path):
    path = make_photo(tmp_path / "photo.jpg")
    with pytest.raises(PhotoError, match="control character"):
        add_keywords(path, ["a\x07b"])


def test_a_link_stays_one(tmp_path):
    path = make_photo(tmp_path / "photo.jpg")
    link = tmp_path / "link.jpg"
    link.symlink_to(path)
    add_keywords(link, ["beach"])
    assert link.is_symlink()
    assert read_texts(path).keywords == ("beach",)


@given(st.lists(KEYWORD, min_size=1, max_size=4, unique_by=keyword_key))
@settings(max_examples=50)
def test_any_keyword_comes_back_from_xmp(keywords):
    words = [word.strip() for word in keywords if word.strip()]
    packet = xmp_keywords.add_keywords(None, words)
    more = xmp_keywords.add_keywords(packet, ["one more"])
    expected = list(dict.fromkeys(words))
    assert xmp_keywords.read_keywords(packet) == expected
    assert xmp_keywords.read_keywords(more) == [*expected, "one more"]


@pytest.mark.parametrize(
    "subject",
    [
        "<d:subject><r:Bag><r:li>old</r:li></r:Bag></d:subject>",
        "<d:subject><r:Seq>\n <r:li>old</r:li>\n</r:Seq></d:subject>",
        "<d:subject><r:Bag/></d:subject>",
        "",
    ],
)
def test_other_prefixes_and_lists(subject):
    packet = (
        '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:d="http://purl.org/dc/elements/1.1/">'
        f'<r:Description r:about="">{subject}<d:creator>me</d:creator></r:Description></r:RDF>'
    ).encode()
    updated = xmp_keywords.add_keywords(packet, ["rdf:li"])
    old = ["old"] if "old" in subject else []
    assert xmp_keywords.read_keywords(updated) == [*old, "rdf:li"]
    assert b"<d:creator>me</d:creator>" in updated


def test_keywords_as_plain_text_are_an_error():
    packet = (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        b' dc:subject="one"/></rdf:RDF>'
    )
    assert xmp_keywords.read_keywords(packet) == ["one"]
    with pytest.raises(BrokenXmpError, match="unusual"):
        xmp_keywords.add_keywords(packet, ["two"])


def test_history_and_marks_do_not_replace_each_other():
    packet = set_xmp_property(None, "History", "edits")
    packet = xmp_keywords.mark_suggested(packet, ["sea"])
    packet = set_xmp_property(packet, "History", "more edits")
    assert get_xmp_property(packet, "History") == "more edits"
    assert xmp_keywords.read_suggested(packet) == ["sea"]


def test_iptc_keeps_the_character_set_of_other_texts(tmp_path):
    latin = iptc._pack(2, iptc.CAPTION, "Zürich".encode("latin-1"))
    records, refused = iptc.add_keywords(latin, ["été", "日本", "x" * 65])
    assert iptc.read_texts(records, iptc.KEYWORDS) == ["été"]
    assert iptc.read_texts(records, iptc.CAPTION) == ["Zürich"]
    assert refused == ["日本", "x" * 65]


def test_keyword_that_iptc_cannot_hold_is_reported(tmp_path):
    path = make_photo(tmp_path / "photo.jpg")
    with pytest.warns(UserWarning, match="IPTC cannot hold x+; XMP has it"):
        add_keywords(path, ["x" * 65])
    assert read_texts(path).keywords == ("x" * 65,)


def test_captions_are_read(tmp_path):
    path = make_photo(tmp_path / "photo.jpg")
    arguments = ["-XMP-dc:Title=A title", "-IPTC:Caption-Abstract=By the sea"]
    run_exiftool("-q", "-overwrite_original", *arguments, path)
    assert read_texts(path).captions == ("A title", "By the sea")


def test_further_pictures_stay_in_place(tmp_path):
    """Their positions count from the index of a multi-picture file, which precedes the XMP here."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    path = tmp_path / "photo.jpg"
    frames[0].save(path, format="MPO", save_all=True, append_images=frames[1:])
    data = path.read_bytes()
    content = b"http://ns.adobe.com/xap/1.0/\0" + xmp_keywords.add_keywords(None, ["old"])
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    base, second = data.index(b"MPF\0") + 4, data.index(b"\xff\xd8\xff", 4)
    order = "<" if data[base : base + 2] == b"II" else ">"
    end = base - 6 + int.from_bytes(data[base - 6 : base - 4], "big")
    index = data[:end].replace(
        struct.pack(f"{order}I", second - base),
        struct.pack(f"{order}I", second - base + len(segment)),
    )
    path.write_bytes(index + segment + data[end:])
    before = run_exiftool("-b", "-MPImage2", path)
    assert before.startswith(b"\xff\xd8\xff")
    add_keywords(path, [f"keyword {number}" for number in range(9)])
    assert read_texts(path).keywords[:2] == ("old", "keyword 0")
    assert run_exiftool("-b", "-MPImage2", path) == before
