"""The keywords and texts of photos: read from XMP, IPTC and sidecar files, and added to them."""

import struct
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import PhotoError, read_error, warn, write_error
from burnish.files import atomic_write, is_file
from burnish.photo import iptc, xmp_keywords
from burnish.photo.blocks import read_blocks
from burnish.photo.formats import has_raw_extension, sniff
from burnish.photo.header import ImageHeader, open_header
from burnish.photo.in_place import FORMATS_IN_PLACE, Changes, change_blocks
from burnish.photo.jpeg_metadata import START_OF_SCAN, jpeg_segments, read_jpeg
from burnish.photo.metadata import Blocks, unwrap_iptc, whole_xmp
from burnish.photo.tiff_tags import BrokenTagsError
from burnish.photo.xmp import BrokenXmpError, parse_xmp

# No sidecar is as large. Programs write a few kilobytes.
_MAX_SIDECAR_BYTES = 1 << 24
_CAPTIONS = (iptc.TITLE, iptc.HEADLINE, iptc.CAPTION)
_DAMAGED = (ValueError, IndexError, struct.error, StopIteration)


@dataclass(frozen=True)
class PhotoTexts:
    """The words in the metadata of a photo.

    Parameters
    ----------
    keywords : in the file's order, each once; see `keyword_key`
    suggested : those among them that burnish added
    captions : titles, headlines and captions
    """

    keywords: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


def normalise_keyword(text: str) -> str:
    """Return a keyword in Unicode's composed form, without surplus white space.

    Examples
    --------
    >>> normalise_keyword(" e\u0301te\u0301   2024 ")
    'été 2024'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def keyword_key(text: str) -> str:
    """Return what equal keywords share: case, and the form of letters, do not matter.

    Examples
    --------
    >>> keyword_key("STRASSE") == keyword_key("Straße"), keyword_key("Dog") == keyword_key("dogs")
    (True, False)
    """
    return unicodedata.normalize("NFC", normalise_keyword(text).casefold())


def distinct_keywords(texts: Iterable[str]) -> tuple[str, ...]:
    """Return keywords without empty ones and repetitions; the first spelling stays.

    Examples
    --------
    >>> distinct_keywords(["Sea", " ", "sea", "Dog"])
    ('Sea', 'Dog')
    """
    by_key: dict[str, str] = {}
    for text in texts:
        by_key.setdefault(keyword_key(text), normalise_keyword(text))
    return tuple(keyword for keyword in by_key.values() if keyword)


def read_texts(path: Path) -> PhotoTexts:
    """Return the keywords and captions of a photo, those in a sidecar file included.

    Only the metadata are read. Metadata that are damaged count as absent.

    Raises
    ------
    PhotoError : not a photo, or it cannot be read
    """
    blocks = Blocks()
    if not has_raw_extension(path):
        with open_header(path) as header:
            blocks = _read_blocks(header)
    elif not is_file(path):
        raise PhotoError(str(path), "no such file", "check the path")
    packets = [whole_xmp(blocks)[0]]
    sidecar = find_sidecar(path)
    packets += [] if sidecar is None else [_read_sidecar(sidecar)]
    records = blocks.iptc or unwrap_iptc(blocks.photoshop or b"") or b""
    keywords, captions, suggested = [], [], []
    for packet in packets:
        keywords += xmp_keywords.read_keywords(packet)
        captions += xmp_keywords.read_captions(packet)
        suggested += xmp_keywords.read_suggested(packet)
    keywords += iptc.read_texts(records, iptc.KEYWORDS)
    captions += [text for number in _CAPTIONS for text in iptc.read_texts(records, number)]
    return PhotoTexts(
        distinct_keywords(keywords),
        distinct_keywords(suggested),
        tuple(dict.fromkeys(map(normalise_keyword, captions))),
    )


def _read_blocks(header: ImageHeader) -> Blocks:
    if header.format.name != "jpeg":
        return read_blocks(header.image, header.data, header.format, header.size)[0]
    # A library is read faster without the scans. The segments with words precede them.
    segments = jpeg_segments(header.data)
    end = next((content.start for marker, content in segments if marker == START_OF_SCAN), None)
    return read_jpeg(bytes(header.data[:end]))[0]


def add_keywords(path: Path, keywords: Sequence[str]) -> tuple[str, ...]:
    """Add suggested keywords to a photo's file, and return those that it did not have.

    They are added to XMP (dc:subject), where burnish marks them as suggested, and to IPTC. All
    other bytes of the file are kept. A photo in a format whose files burnish does not change in
    place, such as a raw file, gets a sidecar file instead.

    Raises
    ------
    PhotoError : the file cannot be read, or its XMP is broken; it stays as it is
    OutputError : the file cannot be written

    Warns
    -----
    UserWarning : a keyword is in XMP only, since IPTC cannot hold it
    """
    new = tuple(_missing(distinct_keywords(keywords), read_texts(path).keywords))
    if not new:
        return ()
    # A link stays one: the file that it points to is changed.
    target = path.resolve()
    try:
        data = target.read_bytes()
    except OSError as error:
        raise read_error(path, error) from error
    format = sniff(data[:32])
    in_place = format is not None and format.name in FORMATS_IN_PLACE
    try:
        if in_place and not has_raw_extension(path):
            assert format is not None
            changed, refused = _with_keywords(data, format.name, new)
        else:
            (target, changed), refused = _with_sidecar(path, new), []
    except BrokenXmpError as error:
        problem = f"no keyword can be added: {error}"
        raise PhotoError(str(path), problem, "repair its XMP with the program that wrote it") from (
            error
        )
    except (*_DAMAGED, BrokenTagsError) as error:
        problem = f"no keyword can be added: the file is damaged ({error})"
        raise PhotoError(str(path), problem, "open it elsewhere and save it again") from error
    _write(target, changed)
    if refused:
        warn(f"{path}: IPTC cannot hold {', '.join(refused)}; XMP has it")
    return new


def _with_keywords(data: bytes, name: str, keywords: Sequence[str]) -> tuple[bytes, list[str]]:
    """Return the bytes of a file with further keywords, and those that IPTC cannot hold."""
    refused: list[str] = []

    def change_xmp(packet: bytes | None) -> bytes:
        # A keyword may be in IPTC only, or in another packet, so it can be here already.
        missing = _missing(keywords, xmp_keywords.read_keywords(packet))
        return xmp_keywords.mark_suggested(xmp_keywords.add_keywords(packet, missing), keywords)

    def change_iptc(records: bytes) -> bytes:
        missing = _missing(keywords, iptc.read_texts(records, iptc.KEYWORDS))
        records, refused[:] = iptc.add_keywords(records, missing)
        return records

    return change_blocks(data, name, Changes(change_xmp, change_iptc)), refused


def _missing(keywords: Iterable[str], present: Iterable[str]) -> list[str]:
    """Return the keywords that are not among those present."""
    keys = set(map(keyword_key, present))
    return [word for word in keywords if keyword_key(word) not in keys]


def find_sidecar(path: Path) -> Path | None:
    """Return the file beside a photo with its XMP: PHOTO.EXT.xmp or PHOTO.xmp, or None."""
    names = (f"{path.name}{ending}" for ending in (".xmp", ".XMP"))
    beside = [path.with_name(name) for name in names]
    beside += [path.with_suffix(ending) for ending in (".xmp", ".XMP")]
    return next((file for file in beside if file != path and is_file(file)), None)


def _read_sidecar(sidecar: Path) -> bytes:
    try:
        if sidecar.stat().st_size > _MAX_SIDECAR_BYTES:
            raise PhotoError(str(sidecar), "no sidecar file is as large", "check the file")
        return sidecar.read_bytes()
    except OSError as error:
        raise read_error(sidecar, error) from error


def _with_sidecar(path: Path, keywords: Sequence[str]) -> tuple[Path, bytes]:
    sidecar = find_sidecar(path)
    packet = None if sidecar is None else _read_sidecar(sidecar)
    if packet is not None and parse_xmp(packet) is None:
        raise BrokenXmpError(f"the sidecar {sidecar} is not XML in UTF-8")
    changed = xmp_keywords.mark_suggested(xmp_keywords.add_keywords(packet, keywords), keywords)
    return (sidecar or path.with_suffix(".xmp")).resolve(), changed


def _write(target: Path, data: bytes) -> None:
    try:
        with atomic_write(target, overwrite=True) as file:
            file.write(data)
    except OSError as error:
        raise write_error(target, error) from error
