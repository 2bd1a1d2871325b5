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

from burnish.errors import VideoError, missing_library, warn
from burnish.video.pixel_format import PixelFormat, planar_format
from burnish.video.yuv import LUMA_COEFFICIENTS, UNSPECIFIED, YuvConversion, default_matrix

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Transfer characteristics of H.273 whose values are not what a standard screen is sent.
_UNSUPPORTED_TRANSFERS = {8: "linear light", 16: "HDR (PQ)", 18: "HDR (HLG)"}
_PROGRESSIVE = (0, 1)  # field orders of FFmpeg: not said, and one picture a frame
_FULL_RANGE = 2
# How Matroska says how long a stream is.
_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")

# What a frame may carry that PyAV cannot write into a new film.
_UNSUPPORTED_SIDE_DATA = {
    "SPHERICAL": "the projection of a spherical film",
    "STEREO3D": "the arrangement of a film for two eyes",
    "ICC_PROFILE": "a colour profile",
}


@dataclass(frozen=True)
class ColourTags:
    """What a film says of its colours, as numbers of H.273; 2 is not said, of the range 0."""

    primaries: int
    transfer: int
    matrix: int
    range: int


@dataclass(frozen=True)
class Video:
    """A film's pictures.

    Parameters
    ----------
    path : where it lies
    codec, profile : what its pictures are encoded with
    width, height : as stored, px
    pixel_format : of a decoded frame, once its samples are in planes
    source_format : of a frame as it is decoded
    colour_tags : what it says of them
    conversion : what follows for its samples
    pixel_aspect : of a pixel, width to height; None where nothing is said
    rotation : quarter turns, against the clock, that bring a frame upright, perhaps mirrored
    display_matrix : the display matrix that says so, or None
    has_captions : whether closed captions come with its first frame
    time_base : the unit of its time stamps, s
    rate : frames a second, on average
    constant_rate : whether they come at that rate, as far as shows without reading them all
    start_time : of the pictures, s
    duration : how long it is, if it is known
    declared_duration : how long the stream of pictures says that it is, s, if it does
    frame_count : about how many there are, 0 where it is not known
    """

    path: Path
    codec: str
    profile: str | None
    width: int
    height: int
    pixel_format: PixelFormat
    source_format: str
    colour_tags: ColourTags
    conversion: YuvConversion
    pixel_aspect: Fraction | None
    rotation: int
    display_matrix: tuple[int, ...] | None
    has_captions: bool
    time_base: Fraction
    rate: Fraction
    constant_rate: bool
    start_time: float
    duration: float | None
    declared_duration: float | None
    frame_count: int


@contextmanager
def open_video(path: Path) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open a film and find its one stream of pictures.

    Raises
    ------
    VideoError : it cannot be read, now or while it is open, or has none or several
    MissingLibraryError : PyAV is not installed
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise missing_library(error).with_context(str(path)) from error
    try:
        # Old containers time some frames only by those around them.
        with av.open(str(path), "r", options={"fflags": "+genpts"}) as container:
            yield container, _video_stream(container, path)
    except av.error.FFmpegError as error:
        raise decode_error(path, error) from error


def probe(path: Path) -> Video:
    """Find out what a film is.

    Raises
    ------
    VideoError : it cannot be read, or has what burnish would lose: several streams of pictures,
        transparency, fields instead of frames, more than standard range, an unusual layout
    MissingLibraryError : PyAV is not installed

    Warns
    -----
    UserWarning : something beside the pictures that cannot be kept
    """
    with open_video(path) as (container, stream):
        first_frame = next(container.decode(stream), None)
        if first_frame is None:
            raise _error(path, "a film with frames", "one without")
        return _describe(path, container, stream, first_frame)


def decode_error(path: Path, error: Exception) -> VideoError:
    """Return what to tell a person about a film that FFmpeg gave up on."""
    reason = getattr(error, "strerror", None) or str(error)
    return VideoError(
        str(path),
        expected="a film that can be read",
        got=f"'{reason.lower()}'",
        remedy="check that it plays; a damaged one may be mended with: ffmpeg -i IN -c copy OUT",
    )


def check_frame(video: Video, frame: "VideoFrame") -> None:
    """See that a frame is like the film's first.

    Raises
    ------
    VideoError : of another size or format, or made of two fields
    """
    if (frame.width, frame.height, frame.format.name) != (
        video.width,
        video.height,
        video.source_format,
    ):
        raise _error(
            video.path,
            f"frames of {video.width} x {video.height} {video.source_format} throughout",
            f"{frame.width} x {frame.height} {frame.format.name} at {_timestamp(frame)}",
            "cut it there, and edit the parts",
        )
    if frame.interlaced_frame:
        raise _interlaced_error(video.path)


def _describe(
    path: Path, container: "InputContainer", stream: "VideoStream", first_frame: "VideoFrame"
) -> Video:
    context = stream.codec_context
    pixel_format = _pixel_format(path, stream, first_frame)
    if context.field_order not in _PROGRESSIVE or first_frame.interlaced_frame:
        raise _interlaced_error(path)
    colour_tags = _colour_tags(path, first_frame)
    side_data = {data.type.name: bytes(data) for data in _side_data(first_frame)}
    if "DOVI_METADATA" in side_data or "DOVI_RPU_BUFFER" in side_data:
        raise _error(path, "a film of standard range", "Dolby Vision", _CONVERT_REMEDY)
    for name, content in _UNSUPPORTED_SIDE_DATA.items():
        if name in side_data:
            warn(f"{path}: {content} is left out")
    display_matrix = (
        struct.unpack("=9i", side_data["DISPLAYMATRIX"]) if "DISPLAYMATRIX" in side_data else None
    )
    duration = _duration(container, stream)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    if stream.time_base is None or not 0 < rate <= 1000:
        raise _error(path, "a film whose frames are timed", f"{rate} frames a second")
    return Video(
        path=path,
        codec=context.codec.canonical_name,
        profile=stream.profile,
        width=first_frame.width,
        height=first_frame.height,
        pixel_format=pixel_format,
        source_format=first_frame.format.name,
        colour_tags=colour_tags,
        conversion=_conversion(path, pixel_format, colour_tags, first_frame),
        pixel_aspect=stream.sample_aspect_ratio or None,
        rotation=quarter_turns(display_matrix) if display_matrix else 0,
        display_matrix=display_matrix,
        has_captions="A53_CC" in side_data,
        time_base=stream.time_base,
        rate=rate,
        constant_rate=stream.average_rate == stream.base_rate,
        start_time=float((stream.start_time or 0) * stream.time_base),
        duration=duration,
        declared_duration=_declared_duration(stream, duration),
        frame_count=stream.frames or round((duration or 0) * rate),
    )


def _declared_duration(stream: "VideoStream", duration: float | None) -> float | None:
    """Return how long a stream says that it is, s; Matroska has a tag for it."""
    if stream.duration is not None:
        return duration
    match = _DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if match is None:
        return None
    hours, minutes, rest = (float(number) for number in match.groups())
    return 3600 * hours + 60 * minutes + rest


def _video_stream(container: "InputContainer", path: Path) -> "VideoStream":
    """Return the stream of pictures; a cover is none."""
    streams = [s for s in container.streams.video if not is_cover(s)]
    if len(streams) != 1:
        got = f"{len(streams)} streams of them" if streams else "none"
        raise _error(
            path,
            "a film with pictures, one stream of them",
            got,
            "choose one with: ffmpeg -i IN -map 0:v:0 -map 0:a? -c copy OUT"
            if streams
            else "name a film",
        )
    stream = streams[0]
    if stream.codec_context is None:
        raise _error(path, "pictures that PyAV decodes", "a codec that it has not")
    stream.thread_type = "AUTO"
    return stream


def quarter_turns(display_matrix: tuple[int, ...]) -> int:
    """Return the quarter turns, against the clock, that a display matrix asks for.

    Mirroring is left out, since a mirrored picture is as upright; other angles are none.

    Examples
    --------
    >>> quarter_turns((0, 65536, 0, -65536, 0, 0, 0, 0, 2**30))
    3
    """
    a, b, _, c, d = display_matrix[:5]
    if a * d < b * c:  # mirrored from left to right after all else
        a = -a
    turns = -math.atan2(b, a) / (math.pi / 2)
    return round(turns) % 4 if abs(turns - round(turns)) < 0.01 else 0


def is_cover(stream: Any) -> bool:
    """Tell whether a stream of pictures is one picture that stands for the film."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _pixel_format(path: Path, stream: "VideoStream", first_frame: "VideoFrame") -> PixelFormat:
    name = first_frame.format.name
    alpha = any(part.is_alpha for part in first_frame.format.components)
    if alpha or stream.metadata.get("alpha_mode", "0") != "0":
        raise _error(
            path,
            "a film without transparency",
            f"one with ({name})",
            "lay it over a colour first",
        )
    pixel_format = planar_format(name)
    if pixel_format is None:
        raise _error(
            path,
            "frames of 4:2:0, 4:2:2, 4:4:0, 4:4:4, grey or RGB",
            name,
            "convert it first: ffmpeg -i IN -pix_fmt yuv422p OUT",
        )
    return pixel_format


def _colour_tags(path: Path, first_frame: "VideoFrame") -> ColourTags:
    colour_tags = ColourTags(
        first_frame.color_primaries,
        first_frame.color_trc,
        first_frame.colorspace,
        first_frame.color_range,
    )
    if colour_tags.transfer in _UNSUPPORTED_TRANSFERS:
        got = _UNSUPPORTED_TRANSFERS[colour_tags.transfer]
        raise _error(path, "a film of standard range", got, _CONVERT_REMEDY)
    return colour_tags


def _conversion(
    path: Path, pixel_format: PixelFormat, colour_tags: ColourTags, first_frame: "VideoFrame"
) -> YuvConversion:
    matrix = colour_tags.matrix
    if pixel_format.kind != "yuv" or matrix == UNSPECIFIED:
        matrix = default_matrix(first_frame.width, first_frame.height)
    if matrix not in LUMA_COEFFICIENTS:
        raise _error(
            path,
            "the colour matrix of BT.601, BT.709, BT.2020, FCC or SMPTE 240M",
            f"number {matrix} of H.273",
            "convert it first: ffmpeg -i IN -vf scale=out_color_matrix=bt709 OUT",
        )
    full_range = colour_tags.range == _FULL_RANGE or first_frame.format.name.startswith("yuvj")
    return YuvConversion(pixel_format, matrix, full_range)


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _side_data(frame: "VideoFrame") -> list[Any]:
    return list(frame.side_data)


def _timestamp(frame: "VideoFrame") -> str:
    return "an unknown time" if frame.pts is None else f"{frame.time:.2f} s"


_CONVERT_REMEDY = "convert it to standard range first"


def _interlaced_error(path: Path) -> VideoError:
    return _error(
        path,
        "one picture a frame",
        "two fields (interlaced)",
        "deinterlace it first: ffmpeg -i IN -vf bwdif OUT",
    )


def _error(path: Path, expected: str, got: str, remedy: str = "name another film") -> VideoError:
    return VideoError(str(path), expected=expected, got=got, remedy=remedy)
