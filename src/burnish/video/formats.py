"""The video files that burnish reads and writes, by extension, and the codecs it encodes with."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from burnish.errors import UsageError, VideoError


@dataclass(frozen=True)
class Codec:
    """A video codec and its encoder, by FFmpeg's names.

    Parameters
    ----------
    crf : lowest, default and highest quality number, lower is better; None for a lossless codec
    options : settings of the encoder
    writes_captions : whether the encoder writes closed captions that are attached to frames
    even_size : whether width and height must be divisible by the chroma subsampling
    aliases : other common names
    """

    name: str
    encoder: str
    crf: tuple[int, int, int] | None = None
    options: dict[str, str] = field(default_factory=dict)
    writes_captions: bool = False
    even_size: bool = False
    aliases: tuple[str, ...] = ()


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
        # Without log-level=none, x265 prints to standard error.
        {"preset": "medium", "x265-params": "log-level=none", "a53cc": "1"},
        writes_captions=True,
        even_size=True,
        aliases=("h265", "x265"),
    ),
    "av1": Codec("av1", "libsvtav1", (1, 24, 63), {"preset": "8"}, aliases=("svtav1",)),
    # With b=0, libvpx uses constant quality; otherwise crf only limits a default bit rate.
    "vp9": Codec("vp9", "libvpx-vp9", (0, 24, 63), {"b": "0", "row-mt": "1", "cpu-used": "4"}),
    "ffv1": Codec("ffv1", "ffv1", None, {"level": "3", "slicecrc": "1", "g": "1"}),
    "prores": Codec("prores", "prores_ks", None, {"vendor": "apl0"}),
}
_BY_NAME = {
    name: codec for codec in CODECS.values() for name in (codec.name, codec.encoder, *codec.aliases)
}


@dataclass(frozen=True)
class Container:
    """A video file format.

    Parameters
    ----------
    name : canonical name, lower case
    extensions : file extensions, lower case with the dot; the first is used for outputs
    muxer : FFmpeg's name of the writer; empty if burnish only reads the format
    codecs : names of the codecs that it supports; the first replaces a codec that is not supported
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
    "mts": Container("mts", (".mts", ".m2ts", ".ts")),
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
    """The options for encoding videos.

    Parameters
    ----------
    codec : a key of `CODECS`, an encoder's name or an alias [default: that of the input]
    crf : the encoder's quality number, lower is better [default: that of the codec]
    """

    codec: str | None = None
    crf: int | None = None


SAME_AS_SOURCE = EncodingOptions()


def has_video_extension(path: Path) -> bool:
    """Return whether a visible file has the extension of a video.

    Examples
    --------
    >>> has_video_extension(Path("trip/a.MOV")), has_video_extension(Path("a.jpg"))
    (True, False)
    """
    return path.suffix.lower() in _BY_EXTENSION and not path.name.startswith(".")


def can_edit_videos() -> bool:
    """Return whether PyAV, which reads and writes videos, is installed."""
    return find_spec("av") is not None


def is_container(name: str) -> bool:
    """Return whether a format's name or extension is that of a video format."""
    return name.lower() in CONTAINERS or f".{name.lower().lstrip('.')}" in _BY_EXTENSION


def writable_container(name: str, output_name: str) -> Container:
    """Return the video format of a name or extension, if burnish writes it.

    Raises
    ------
    VideoError : the format is unknown, or burnish only reads it

    Examples
    --------
    >>> writable_container(".M4V", "a.m4v").name
    'mp4'
    >>> writable_container("avi", "a.avi")
    Traceback (most recent call last):
    burnish.errors.VideoError: a.avi: burnish does not write 'avi' videos, but mp4, mov, mkv, ...
    """
    key = name.lower()
    container = CONTAINERS.get(key) or _BY_EXTENSION.get(f".{key.lstrip('.')}")
    if container is None or not container.muxer:
        problem = f"burnish does not write {name!r} videos, but {', '.join(WRITABLE)}"
        remedy = "choose --format mkv, which supports nearly everything, or an output name in .mkv"
        raise VideoError(output_name, problem, remedy)
    return container


def codec_by_name(name: str) -> Codec:
    """Return a codec by its name, its encoder's name or an alias.

    Raises
    ------
    UsageError : no codec has that name

    Examples
    --------
    >>> codec_by_name("H265").encoder
    'libx265'
    """
    if (codec := _BY_NAME.get(name.lower())) is None:
        problem = f"expected {', '.join(CODECS)}, got {name!r}"
        raise UsageError(f"--codec {name}", problem, "leave it out for that of the input")
    return codec


def check_encoding_options(
    options: EncodingOptions, container: Container, output_name: str
) -> None:
    """Check the codec and quality for an output format, before the video is read.

    Raises
    ------
    UsageError : the codec is unknown, the format does not support it, or the quality number is
        out of range
    """
    if options.codec is None:
        # The codec depends on the video, so the number must be in the range of one of the codecs.
        ranges = [codec.crf for name in container.codecs if (codec := CODECS[name]).crf]
        crf = options.crf
        if crf is not None and not any(low <= crf <= high for low, _, high in ranges):
            lowest, highest = min(low for low, _, _ in ranges), max(high for _, _, high in ranges)
            problem = f"expected {lowest} to {highest} in {container.name}"
            raise UsageError(f"--crf {crf}", problem, "leave it out for the default")
        return
    codec = codec_by_name(options.codec)
    if codec.name not in container.codecs:
        alternatives = [c.name for c in CONTAINERS.values() if codec.name in c.codecs]
        problem = f"expected {', '.join(container.codecs)} in {output_name}"
        remedy = f"choose one of them, or --format {' or '.join(alternatives)}"
        raise UsageError(f"--codec {options.codec}", problem, remedy)
    check_crf(options.crf, codec)


def check_crf(crf: int | None, codec: Codec) -> None:
    """Check that a quality number is in a codec's range.

    Raises
    ------
    UsageError : it is out of range, or the codec is lossless and has no quality number
    """
    if crf is None:
        return
    if codec.crf is None:
        raise UsageError(f"--crf {crf}", f"{codec.name} has no quality number", "leave it out")
    low, default, high = codec.crf
    if not low <= crf <= high:
        problem = f"expected {low} to {high} for {codec.name}"
        raise UsageError(f"--crf {crf}", problem, f"leave it out for {default}")
