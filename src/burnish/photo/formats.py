"""The file formats burnish reads and writes, and what each can hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import PhotoError, UsageError


@dataclass(frozen=True)
class Format:
    """One file format.

    Parameters
    ----------
    name : canonical name, lower case
    extensions : the file names' ends, lower case with the dot, the usual one first
    codec : how libvips calls what reads and writes it; nothing else is ever called
    depths : bits a channel that can be written, ascending; empty where burnish only reads it
    alpha : whether it holds transparency
    lossy : whether a quality is chosen when writing
    max_side : the longest side that libvips writes, px
    """

    name: str
    extensions: tuple[str, ...]
    codec: str
    depths: tuple[int, ...]
    alpha: bool = True
    lossy: bool = False
    max_side: int = 10_000_000


# AVIF holds 16-bit pictures as 12 bits, the most it has.
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
    "heic": Format("heic", (".heic", ".heif"), "heif", ()),
    "gif": Format("gif", (".gif",), "gif", ()),
}
# Bits a channel that there are at all; 32 is float.
DEPTHS = (8, 16, 32)
READABLE = ", ".join(FORMATS)
WRITABLE = ", ".join(name for name, format in FORMATS.items() if format.depths)

_BY_EXTENSION = {ext: format for format in FORMATS.values() for ext in format.extensions}
# By which photos are found in a folder. Whether a file is a photo, its content decides.
READABLE_EXTENSIONS = frozenset(_BY_EXTENSION)

# The first brand of an ISO media file. 'mif1' and 'msf1' are any codec; HEVC is by far the usual.
SEQUENCE_BRANDS = (b"avis", b"msf1", b"hevc", b"hevx")
_BRANDS = {b"avif": "avif", b"avis": "avif"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "heic"
)


def sniff(data: bytes) -> Format | None:
    """Tell a picture's format from its first bytes; None where it is none that burnish reads.

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
    return None


def writable_format(name: str, where: str) -> Format:
    """Return the format called `name`, by its name or an extension, that burnish can write.

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
        raise PhotoError(
            where,
            expected=f"a format that burnish writes ({WRITABLE})",
            got=repr(name),
            remedy=suggest_formats(format for format in FORMATS.values() if format.depths),
        )
    return format


def check_writable(target: Path, depth: int | None = None) -> None:
    """Refuse an output that cannot be written, before any work is done for it.

    What depends on the photo, such as transparency, only shows when it is written.

    Parameters
    ----------
    depth : bits a channel; None leaves them to the photo and the format

    Raises
    ------
    PhotoError : an extension of no format that burnish writes, or a depth that the format lacks
    UsageError : a depth that no format has

    Examples
    --------
    >>> check_writable(Path("a.png"), 16)
    >>> check_writable(Path("a.jpg"), 16)
    Traceback (most recent call last):
    burnish.errors.PhotoError: a.jpg: expected 8 bits a channel in jpeg, got 16; ...
    """
    check_depth(writable_format(target.suffix, str(target)), depth, str(target))


def check_depth(format: Format, depth: int | None, where: str) -> None:
    """Refuse a depth that the format cannot hold; the errors are those of `check_writable`."""
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
    """Refuse a depth that no format holds.

    Raises
    ------
    UsageError : it is none of 8, 16 and 32
    """
    if depth is not None and depth not in DEPTHS:
        raise UsageError(
            "depth",
            expected="8, 16 or 32 bits a channel",
            got=f"{depth}",
            remedy="choose one of them",
        )


def suggest_formats(formats: Iterable[Format]) -> str:
    """Say how another format is chosen, wherever burnish is used from.

    Examples
    --------
    >>> suggest_formats([FORMATS["png"], FORMATS["tiff"]])
    'name the output .png or .tif (in Python also format="png" or "tiff")'
    """
    choices = tuple(formats)
    names = _join_or([f'"{format.name}"' for format in choices])
    return (
        f"name the output {_join_or([format.extensions[0] for format in choices])} "
        f"(in Python also format={names})"
    )


def _join_or(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
