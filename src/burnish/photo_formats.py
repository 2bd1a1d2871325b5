"""The file formats burnish reads and writes, and what each can hold."""

from dataclasses import dataclass

from burnish.errors import PhotoError


@dataclass(frozen=True)
class Format:
    """One file format.

    Parameters
    ----------
    name : canonical name, lower case
    extensions : the file names' ends, lower case with the dot, the usual one first
    loader : the only libvips operation that is ever called to read it
    depths : bits a channel that can be written, ascending; empty where burnish only reads it
    alpha : whether it holds transparency
    lossy : whether a quality is chosen when writing
    """

    name: str
    extensions: tuple[str, ...]
    loader: str
    depths: tuple[int, ...]
    alpha: bool = True
    lossy: bool = False


# AVIF holds 16-bit pictures as 12 bits, the most it has.
FORMATS = {
    "jpeg": Format(
        "jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), "jpegload_buffer", (8,), alpha=False, lossy=True
    ),
    "png": Format("png", (".png",), "pngload_buffer", (8, 16)),
    "tiff": Format("tiff", (".tif", ".tiff"), "tiffload_buffer", (8, 16, 32)),
    "webp": Format("webp", (".webp",), "webpload_buffer", (8,), lossy=True),
    "avif": Format("avif", (".avif",), "heifload_buffer", (8, 16), lossy=True),
    "heic": Format("heic", (".heic", ".heif"), "heifload_buffer", ()),
    "gif": Format("gif", (".gif",), "gifload_buffer", ()),
}
READABLE = ", ".join(FORMATS)
WRITABLE = ", ".join(name for name, format in FORMATS.items() if format.depths)

_BY_EXTENSION = {ext: format for format in FORMATS.values() for ext in format.extensions}
# The first brand of an ISO media file. 'mif1' and 'msf1' are any codec; HEVC is by far the usual.
SEQUENCES = (b"avis", b"msf1", b"hevc", b"hevx")
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


def writable(name: str, where: str) -> Format:
    """Return the format called `name`, by its name or an extension, that burnish can write.

    Raises
    ------
    PhotoError : an unknown format, or one that burnish only reads

    Examples
    --------
    >>> writable("jpg", "a.png").name, writable(".TIFF", "a.png").name
    ('jpeg', 'tiff')
    """
    key = name.lower()
    format = FORMATS.get(key) or _BY_EXTENSION.get(f".{key.lstrip('.')}")
    if format is None or not format.depths:
        raise PhotoError(
            where,
            expected=f"a format that burnish writes ({WRITABLE})",
            got=repr(name),
            remedy="choose one of them by the file's extension or the format option",
        )
    return format
