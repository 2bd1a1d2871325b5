"""The file formats that burnish reads and writes, and the capabilities of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from burnish.errors import PhotoError, UsageError, join_or


@dataclass(frozen=True)
class Format:
    """A file format.

    Parameters
    ----------
    name : canonical name, lower case
    extensions : file name extensions, lower case with the dot, the usual one first
    codec : prefix of libvips' load and save operations
    depths : bits a channel that can be written, ascending; empty if burnish only reads the format
    alpha : whether it supports transparency
    lossy : whether it is written with a quality
    max_side : longest side that libvips writes, px
    written_as : name of the format of results, if burnish only reads this one
    """

    name: str
    extensions: tuple[str, ...]
    codec: str
    depths: tuple[int, ...]
    alpha: bool = True
    lossy: bool = False
    max_side: int = 10_000_000
    written_as: str = ""


_RAW_NAMES = (
    "dng nef nrw cr2 cr3 crw arw srf sr2 raf orf rw2 rwl pef srw x3f 3fr fff iiq mef mos mrw erf "
    "dcr kdc"
)
_RAW_EXTENSIONS = tuple(f".{name}" for name in _RAW_NAMES.split())

# AVIF stores 16-bit images as 12 bits, its maximum.
FORMATS = {
    "jpeg": Format(
        "jpeg",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        "jpeg",
        (8,),
        alpha=False,
        lossy=True,
        max_side=65_500,
    ),
    "png": Format("png", (".png",), "png", (8, 16)),
    "tiff": Format("tiff", (".tif", ".tiff"), "tiff", (8, 16, 32)),
    "webp": Format("webp", (".webp",), "webp", (8,), lossy=True, max_side=16_383),
    "avif": Format("avif", (".avif",), "heif", (8, 16), lossy=True, max_side=16_384),
    "heic": Format("heic", (".heic", ".heif"), "heif", (), written_as="jpeg"),
    "gif": Format("gif", (".gif",), "gif", (), written_as="png"),
    # Cameras' raw files, developed by LibRaw.
    "raw": Format("raw", _RAW_EXTENSIONS, "", (), alpha=False, written_as="tiff"),
}
# All bit depths a channel; 32 is float.
DEPTHS = (8, 16, 32)
# Formats to convert a photo to; a camera's raw file is not one of them.
READABLE = tuple(name for name in FORMATS if name != "raw")
WRITABLE = ", ".join(name for name, format in FORMATS.items() if format.depths)

_BY_EXTENSION = {ext: format for format in FORMATS.values() for ext in format.extensions}
# Used to find photos in a folder, in which raw files are searched separately. The format of a file
# is detected from its content.
READABLE_EXTENSIONS = frozenset(_BY_EXTENSION) - frozenset(_RAW_EXTENSIONS)
# Beginnings of raw files that are not TIFF files: Fujifilm, Olympus, Panasonic, Sigma, Minolta.
_RAW_SIGNATURES = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")

# Major brands of ISO media files. 'mif1' and 'msf1' allow any codec, which is nearly always HEVC.
SEQUENCE_BRANDS = (b"avis", b"msf1", b"hevc", b"hevx")
_BRANDS = {b"avif": "avif", b"avis": "avif"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "heic"
)


def sniff(data: bytes) -> Format | None:
    """Return a file's format from its first bytes, or None if burnish does not read it.

    Examples
    --------
    >>> sniff(b"GIF89a...").name, sniff(b"<svg/>")
    ('gif', None)
    """
    if data[:3] == b"\xff\xd8\xff":
        return FORMATS["jpeg"]
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return FORMATS["png"]
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return FORMATS["tiff"]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return FORMATS["webp"]
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        return FORMATS[_BRANDS[data[8:12]]]
    if data[:4] == b"GIF8":
        return FORMATS["gif"]
    if data.startswith(_RAW_SIGNATURES) or data[4:12] == b"ftypcrx " or data[6:14] == b"HEAPCCDR":
        return FORMATS["raw"]
    return None


def has_raw_extension(path: Path) -> bool:
    """Return whether a file has the extension of a camera's raw file.

    Examples
    --------
    >>> has_raw_extension(Path("a.NEF")), has_raw_extension(Path("a.jpg"))
    (True, False)
    """
    return path.suffix.lower() in _RAW_EXTENSIONS


def can_develop_raw() -> bool:
    """Return whether rawpy, which develops raw files, is installed."""
    return find_spec("rawpy") is not None


def result_format(format: Format) -> Format:
    """Return the default format of results: the same one, or its replacement."""
    return FORMATS[format.written_as or format.name]


def replaced_format(path: Path) -> Format | None:
    """Return a file's format by its extension, if burnish does not write it.

    Examples
    --------
    >>> replaced_format(Path("a.HEIC")).written_as, replaced_format(Path("a.jpg"))
    ('jpeg', None)
    """
    format = _BY_EXTENSION.get(path.suffix.lower())
    return format if format and format.written_as else None


def writable_format(name: str, where: str) -> Format:
    """Return the format with this name or extension.

    Raises
    ------
    PhotoError : an unknown format, or one that burnish only reads

    Examples
    --------
    >>> writable_format("jpg", "a.png").name, writable_format(".TIFF", "a.png").name
    ('jpeg', 'tiff')
    """
    key = name.lower()
    format = FORMATS.get(key) or _BY_EXTENSION.get(f".{key.lstrip('.')}")
    if format is None or not format.depths:
        remedy = suggest_formats(format for format in FORMATS.values() if format.depths)
        raise PhotoError(where, f"burnish writes {WRITABLE}, not {name!r}", remedy)
    return format


def output_format(source: str, name: str | None, where: str = "format") -> Format:
    """Return the format for the result of a photo.

    Parameters
    ----------
    source : name of the photo's format
    name : as for `writable_format` [default: see `result_format`]

    Raises
    ------
    PhotoError : as in `writable_format`
    """
    return writable_format(name, where) if name else result_format(FORMATS[source])


def check_writable(target: Path, depth: int | None = None) -> None:
    """Check that an output can be written, before any work is done for it.

    Properties of the photo, such as transparency, are checked when it is written.

    Parameters
    ----------
    depth : bits a channel; None if the photo and the format decide

    Raises
    ------
    PhotoError : burnish does not write the extension's format, or the format lacks the depth
    UsageError : no format has the depth

    Examples
    --------
    >>> check_writable(Path("a.png"), 16)
    >>> check_writable(Path("a.jpg"), 16)
    Traceback (most recent call last):
    burnish.errors.PhotoError: a.jpg: expected 8 bits a channel in jpeg, got 16; ...
    """
    check_depth(writable_format(target.suffix, str(target)), depth, str(target))


def check_depth(format: Format, depth: int | None, where: str) -> None:
    """Check that a format has a depth; raises as `check_writable`."""
    check_known_depth(depth)
    if depth is None or depth in format.depths:
        return
    others = [other for other in FORMATS.values() if depth in other.depths]
    raise PhotoError(
        where,
        expected=f"{' or '.join(map(str, format.depths))} bits a channel in {format.name}",
        got=f"{depth}",
        remedy=f"choose another depth, or {suggest_formats(others)}",
    )


def check_known_depth(depth: int | None) -> None:
    """Check that at least one format has a depth.

    Raises
    ------
    UsageError : the depth is not 8, 16 or 32
    """
    if depth is not None and depth not in DEPTHS:
        raise UsageError(
            "depth",
            expected="8, 16 or 32 bits a channel",
            got=f"{depth}",
            remedy="choose one of them",
        )


def suggest_formats(formats: Iterable[Format]) -> str:
    """Return a remedy that names other formats.

    Examples
    --------
    >>> suggest_formats([FORMATS["png"], FORMATS["tiff"]])
    'choose the format png or tiff'
    """
    return f"choose the format {join_or([format.name for format in formats])}"
