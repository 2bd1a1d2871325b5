"""The films that burnish reads and writes, told by their names, and the codecs it encodes with."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from burnish.errors import UsageError, VideoError


@dataclass(frozen=True)
class Codec:
    """A codec, and what encodes it.

    Parameters
    ----------
    name : what FFmpeg calls it
    encoder : what FFmpeg calls the encoder
    crf : lowest, usual and highest quality number, lower being better; None where there is none
    options : how the encoder is set
    writes_captions : whether it writes closed captions that come with frames
    even_size : whether it wants a size that chroma of half the size divides
    aliases : other names that people know it by
    """

    name: str
    encoder: str
    crf: tuple[int, int, int] | None = None
    options: dict[str, str] = field(default_factory=dict)
    writes_captions: bool = False
    even_size: bool = False
    aliases: tuple[str, ...] = ()


# x265 and SVT-AV1 otherwise write to standard error by themselves.
CODECS = {
    "h264": Codec(
        "h264",
        "libx264",
        (0, 18, 51),
        {"preset": "medium"},
        writes_captions=True,
        even_size=True,
        aliases=("x264", "avc"),
    ),
    "hevc": Codec(
        "hevc",
        "libx265",
        (0, 20, 51),
        {"preset": "medium", "x265-params": "log-level=none", "a53cc": "1"},
        writes_captions=True,
        even_size=True,
        aliases=("h265", "x265"),
    ),
    "av1": Codec("av1", "libsvtav1", (1, 24, 63), {"preset": "8"}, aliases=("svtav1",)),
    # Without `b` its crf is a bound on a bit rate that nobody chose.
    "vp9": Codec("vp9", "libvpx-vp9", (0, 24, 63), {"b": "0", "row-mt": "1", "cpu-used": "4"}),
    "ffv1": Codec("ffv1", "ffv1", None, {"level": "3", "slicecrc": "1", "g": "1"}),
    "prores": Codec("prores", "prores_ks", None, {"vendor": "apl0"}),
}
_BY_NAME = {
    name: codec for codec in CODECS.values() for name in (codec.name, codec.encoder, *codec.aliases)
}


@dataclass(frozen=True)
class Container:
    """A kind of film file.

    Parameters
    ----------
    name : canonical name, lower case
    extensions : the file names' ends, lower case with the dot, the usual one first
    muxer : what FFmpeg calls its writer; empty where burnish only reads it
    codecs : names of the codecs that it holds, the one first that serves where the film's own
        cannot be written
    """

    name: str
    extensions: tuple[str, ...]
    muxer: str = ""
    codecs: tuple[str, ...] = ()


CONTAINERS = {
    "mp4": Container("mp4", (".mp4", ".m4v"), "mp4", ("h264", "hevc", "av1", "vp9")),
    "mov": Container("mov", (".mov",), "mov", ("h264", "hevc", "prores")),
    "mkv": Container("mkv", (".mkv",), "matroska", ("h264", *(n for n in CODECS if n != "h264"))),
    "webm": Container("webm", (".webm",), "webm", ("av1", "vp9")),
    "avi": Container("avi", (".avi",)),
    "mts": Container("mts", (".mts", ".m2ts")),
    "mpeg": Container("mpeg", (".mpg", ".mpeg")),
    "wmv": Container("wmv", (".wmv",)),
    "flv": Container("flv", (".flv",)),
    "3gp": Container("3gp", (".3gp",)),
    "ogv": Container("ogv", (".ogv",)),
}
WRITABLE = tuple(name for name, container in CONTAINERS.items() if container.muxer)
_BY_EXTENSION = {ext: c for c in CONTAINERS.values() for ext in c.extensions}


@dataclass(frozen=True)
class EncodingOptions:
    """How films are to be encoded; what is None follows from the film.

    Parameters
    ----------
    codec : a name of `CODECS`, of its encoder, or another that people know it by
    crf : the encoder's quality number, lower being better
    """

    codec: str | None = None
    crf: int | None = None


# As the film was, as far as that can be.
SAME_AS_SOURCE = EncodingOptions()


def has_video_extension(path: Path) -> bool:
    """Tell whether a file's name is a film's; whether it is one, its content decides.

    Examples
    --------
    >>> has_video_extension(Path("trip/a.MOV")), has_video_extension(Path("a.jpg"))
    (True, False)
    """
    return path.suffix.lower() in _BY_EXTENSION and not path.name.startswith(".")


def can_edit_videos() -> bool:
    """Tell whether the library that reads and writes films is installed."""
    return find_spec("av") is not None


def is_container(name: str) -> bool:
    """Tell whether a format's name is a kind of film."""
    return name.lower() in CONTAINERS or f".{name.lower().lstrip('.')}" in _BY_EXTENSION


def writable_container(name: str, output_name: str) -> Container:
    """Return the kind of film called `name`, by its name or an extension, that burnish writes.

    Raises
    ------
    VideoError : an unknown kind, or one that burnish only reads

    Examples
    --------
    >>> writable_container(".M4V", "a.m4v").name
    'mp4'
    >>> writable_container("avi", "a.avi")
    Traceback (most recent call last):
    burnish.errors.VideoError: a.avi: expected a film that burnish writes (mp4, mov, mkv, webm), ...
    """
    key = name.lower()
    container = CONTAINERS.get(key) or _BY_EXTENSION.get(f".{key.lstrip('.')}")
    if container is None or not container.muxer:
        raise VideoError(
            output_name,
            expected=f"a film that burnish writes ({', '.join(WRITABLE)})",
            got=repr(name),
            remedy="choose --format mkv, which holds nearly everything, or name the output .mkv",
        )
    return container


def codec_by_name(name: str) -> Codec:
    """Return the codec of a name.

    Raises
    ------
    UsageError : there is none of that name

    Examples
    --------
    >>> codec_by_name("H265").encoder
    'libx265'
    """
    if (codec := _BY_NAME.get(name.lower())) is None:
        raise UsageError(
            f"--codec {name}",
            expected=", ".join(CODECS),
            got=repr(name),
            remedy="leave it out for the film's own",
        )
    return codec


def check_encoding_options(
    options: EncodingOptions, container: Container, output_name: str
) -> None:
    """See that what is asked for can be, as far as it shows without the film.

    Raises
    ------
    UsageError : no such codec, one that the container does not hold, or a number that it has not
    """
    if options.codec is None:
        _check_crf_range(options.crf, container)
        return
    codec = codec_by_name(options.codec)
    if codec.name not in container.codecs:
        alternatives = [c.name for c in CONTAINERS.values() if codec.name in c.codecs]
        raise UsageError(
            f"--codec {options.codec}",
            expected=f"{', '.join(container.codecs)} in {output_name}",
            got=options.codec,
            remedy=f"choose one of them, or --format {' or '.join(alternatives)}",
        )
    check_crf(options.crf, codec)


def _check_crf_range(crf: int | None, container: Container) -> None:
    """See that a codec of the container has this quality number; which it will be, films tell."""
    ranges = [codec.crf for name in container.codecs if (codec := CODECS[name]).crf]
    if crf is None or any(low <= crf <= high for low, _, high in ranges):
        return
    lowest, highest = min(low for low, _, _ in ranges), max(high for _, _, high in ranges)
    raise UsageError(
        f"--crf {crf}",
        expected=f"{lowest} to {highest} in {container.name}",
        got=f"{crf}",
        remedy="leave it out for what is usual",
    )


def check_crf(crf: int | None, codec: Codec) -> None:
    """See that a codec has this quality number.

    Raises
    ------
    UsageError : it is outside the codec's range, or the codec has none
    """
    if crf is None or (codec.crf and codec.crf[0] <= crf <= codec.crf[2]):
        return
    low, default, high = codec.crf or (0, 0, 0)
    raise UsageError(
        f"--crf {crf}",
        expected=f"{low} to {high} for {codec.name}" if codec.crf else f"none for {codec.name}",
        got=f"{crf}",
        remedy=f"leave it out for {default}" if codec.crf else "leave it out",
    )
