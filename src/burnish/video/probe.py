"""Film: what a film is, found out before any work is done on it; what would be lost is refused."""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import FilmError, missing_library, warn
from burnish.video.pixel_format import Layout, layout_of
from burnish.video.yuv import SHARES, UNSAID, Conversion, usual_matrix

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Transfer characteristics of H.273 whose values are not what a standard screen is sent.
_TRANSFERS = {8: "linear light", 16: "HDR (PQ)", 18: "HDR (HLG)"}
_PROGRESSIVE = (0, 1)  # field orders of FFmpeg: not said, and one picture a frame
_FULL = 2
# How Matroska says how long a stream is.
_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")

# What a frame may carry that PyAV cannot write into a new film.
_LOST = {
    "SPHERICAL": "the projection of a spherical film",
    "STEREO3D": "the arrangement of a film for two eyes",
    "ICC_PROFILE": "a colour profile",
}


@dataclass(frozen=True)
class Colours:
    """What a film says of its colours, as numbers of H.273; 2 is not said, of the range 0."""

    primaries: int
    transfer: int
    matrix: int
    range: int


@dataclass(frozen=True)
class Film:
    """A film's pictures.

    Parameters
    ----------
    path : where it lies
    codec, profile : what its pictures are encoded with
    width, height : as stored, px
    layout : of a decoded frame, once its samples are in planes
    format : of a frame as it is decoded
    colours : what it says of them
    conversion : what follows for its samples
    aspect : of a pixel, width to height; None where nothing is said
    turn : quarter turns, against the clock, that bring a frame upright, perhaps mirrored
    lie : the display matrix that says so, or None
    captions : whether closed captions come with its first frame
    time_base : the unit of its time stamps, s
    rate : frames a second, on average
    steady : whether they come at that rate, as far as shows without reading them all
    start : of the pictures, s
    seconds : how long it is, if it is known
    promised : how long the stream of pictures says that it is, s, if it does
    frames : about how many there are, 0 where it is not known
    """

    path: Path
    codec: str
    profile: str | None
    width: int
    height: int
    layout: Layout
    format: str
    colours: Colours
    conversion: Conversion
    aspect: Fraction | None
    turn: int
    lie: tuple[int, ...] | None
    captions: bool
    time_base: Fraction
    rate: Fraction
    steady: bool
    start: float
    seconds: float | None
    promised: float | None
    frames: int


@contextmanager
def opened(path: Path) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open a film and find its one stream of pictures.

    Raises
    ------
    FilmError : it cannot be read, now or while it is open, or has none or several
    MissingLibraryError : PyAV is not installed
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise missing_library(error).at(str(path)) from error
    try:
        # Old containers time some frames only by those around them.
        with av.open(str(path), "r", options={"fflags": "+genpts"}) as container:
            yield container, _pictures(container, path)
    except av.error.FFmpegError as error:
        raise unreadable(path, error) from error


def look(path: Path) -> Film:
    """Find out what a film is.

    Raises
    ------
    FilmError : it cannot be read, or has what burnish would lose: several streams of pictures,
        transparency, fields instead of frames, more than standard range, an unusual layout
    MissingLibraryError : PyAV is not installed

    Warns
    -----
    UserWarning : something beside the pictures that cannot be kept
    """
    with opened(path) as (container, stream):
        first = next(container.decode(stream), None)
        if first is None:
            raise _refused(path, "a film with frames", "one without")
        return _film(path, container, stream, first)


def unreadable(path: Path, error: Exception) -> FilmError:
    """Return what to tell a person about a film that FFmpeg gave up on."""
    reason = getattr(error, "strerror", None) or str(error)
    return FilmError(
        str(path),
        expected="a film that can be read",
        got=f"'{reason.lower()}'",
        remedy="check that it plays; a damaged one may be mended with: ffmpeg -i IN -c copy OUT",
    )


def check_frame(film: Film, frame: "VideoFrame") -> None:
    """See that a frame is like the film's first.

    Raises
    ------
    FilmError : of another size or format, or made of two fields
    """
    if (frame.width, frame.height, frame.format.name) != (film.width, film.height, film.format):
        raise _refused(
            film.path,
            f"frames of {film.width} x {film.height} {film.format} throughout",
            f"{frame.width} x {frame.height} {frame.format.name} at {_clock(frame)}",
            "cut it there, and edit the parts",
        )
    if frame.interlaced_frame:
        raise _interlaced(film.path)


def _film(
    path: Path, container: "InputContainer", stream: "VideoStream", first: "VideoFrame"
) -> Film:
    context = stream.codec_context
    layout = _layout(path, stream, first)
    if context.field_order not in _PROGRESSIVE or first.interlaced_frame:
        raise _interlaced(path)
    colours = _colours(path, first)
    told = {data.type.name: bytes(data) for data in _side_data(first)}
    if "DOVI_METADATA" in told or "DOVI_RPU_BUFFER" in told:
        raise _refused(path, "a film of standard range", "Dolby Vision", _TO_STANDARD)
    for name, what in _LOST.items():
        if name in told:
            warn(f"{path}: {what} is left out")
    lie = struct.unpack("=9i", told["DISPLAYMATRIX"]) if "DISPLAYMATRIX" in told else None
    seconds = _seconds(container, stream)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    if stream.time_base is None or not 0 < rate <= 1000:
        raise _refused(path, "a film whose frames are timed", f"{rate} frames a second")
    return Film(
        path=path,
        codec=context.codec.canonical_name,
        profile=stream.profile,
        width=first.width,
        height=first.height,
        layout=layout,
        format=first.format.name,
        colours=colours,
        conversion=_conversion(path, layout, colours, first),
        aspect=stream.sample_aspect_ratio or None,
        turn=quarter_turns(lie) if lie else 0,
        lie=lie,
        captions="A53_CC" in told,
        time_base=stream.time_base,
        rate=rate,
        steady=stream.average_rate == stream.base_rate,
        start=float((stream.start_time or 0) * stream.time_base),
        seconds=seconds,
        promised=_promised(stream, seconds),
        frames=stream.frames or round((seconds or 0) * rate),
    )


def _promised(stream: "VideoStream", seconds: float | None) -> float | None:
    """Return how long a stream says that it is, s; Matroska has a tag for it."""
    if stream.duration is not None:
        return seconds
    told = _DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if told is None:
        return None
    hours, minutes, rest = (float(number) for number in told.groups())
    return 3600 * hours + 60 * minutes + rest


def _pictures(container: "InputContainer", path: Path) -> "VideoStream":
    """Return the stream of pictures; a cover is none."""
    streams = [s for s in container.streams.video if not is_cover(s)]
    if len(streams) != 1:
        got = f"{len(streams)} streams of them" if streams else "none"
        raise _refused(
            path,
            "a film with pictures, one stream of them",
            got,
            "choose one with: ffmpeg -i IN -map 0:v:0 -map 0:a? -c copy OUT"
            if streams
            else "name a film",
        )
    stream = streams[0]
    if stream.codec_context is None:
        raise _refused(path, "pictures that PyAV decodes", "a codec that it has not")
    stream.thread_type = "AUTO"
    return stream


def quarter_turns(lie: tuple[int, ...]) -> int:
    """Return the quarter turns, against the clock, that a display matrix asks for.

    Mirroring is left out, since a mirrored picture is as upright; other angles are none.

    Examples
    --------
    >>> quarter_turns((0, 65536, 0, -65536, 0, 0, 0, 0, 2**30))
    3
    """
    a, b, _, c, d = lie[:5]
    if a * d < b * c:  # mirrored from left to right after all else
        a = -a
    turns = -math.atan2(b, a) / (math.pi / 2)
    return round(turns) % 4 if abs(turns - round(turns)) < 0.01 else 0


def is_cover(stream: Any) -> bool:
    """Tell whether a stream of pictures is one picture that stands for the film."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _layout(path: Path, stream: "VideoStream", first: "VideoFrame") -> Layout:
    name = first.format.name
    alpha = any(part.is_alpha for part in first.format.components)
    if alpha or stream.metadata.get("alpha_mode", "0") != "0":
        raise _refused(
            path,
            "a film without transparency",
            f"one with ({name})",
            "lay it over a colour first",
        )
    layout = layout_of(name)
    if layout is None:
        raise _refused(
            path,
            "frames of 4:2:0, 4:2:2, 4:4:0, 4:4:4, grey or RGB",
            name,
            "convert it first: ffmpeg -i IN -pix_fmt yuv422p OUT",
        )
    return layout


def _colours(path: Path, first: "VideoFrame") -> Colours:
    colours = Colours(first.color_primaries, first.color_trc, first.colorspace, first.color_range)
    if colours.transfer in _TRANSFERS:
        got = _TRANSFERS[colours.transfer]
        raise _refused(path, "a film of standard range", got, _TO_STANDARD)
    return colours


def _conversion(path: Path, layout: Layout, colours: Colours, first: "VideoFrame") -> Conversion:
    matrix = colours.matrix
    if layout.kind != "yuv" or matrix == UNSAID:
        matrix = usual_matrix(first.width, first.height)
    if matrix not in SHARES:
        raise _refused(
            path,
            "the colour matrix of BT.601, BT.709, BT.2020, FCC or SMPTE 240M",
            f"number {matrix} of H.273",
            "convert it first: ffmpeg -i IN -vf scale=out_color_matrix=bt709 OUT",
        )
    full = colours.range == _FULL or first.format.name.startswith("yuvj")
    return Conversion(layout, matrix, full)


def _seconds(container: "InputContainer", stream: "VideoStream") -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _side_data(frame: "VideoFrame") -> list[Any]:
    return list(frame.side_data)


def _clock(frame: "VideoFrame") -> str:
    return "an unknown time" if frame.pts is None else f"{frame.time:.2f} s"


_TO_STANDARD = "convert it to standard range first"


def _interlaced(path: Path) -> FilmError:
    return _refused(
        path,
        "one picture a frame",
        "two fields (interlaced)",
        "deinterlace it first: ffmpeg -i IN -vf bwdif OUT",
    )


def _refused(path: Path, expected: str, got: str, remedy: str = "name another film") -> FilmError:
    return FilmError(str(path), expected=expected, got=got, remedy=remedy)
