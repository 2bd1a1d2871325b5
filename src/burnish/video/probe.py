"""The properties of a video, read before any work on it, and checked against data loss."""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import VideoError, missing_library, reason, warn
from burnish.video.yuv import (
    LUMA_COEFFICIENTS,
    UNSPECIFIED,
    PixelFormat,
    YuvConversion,
    default_matrix,
    planar_format,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Transfer characteristics of H.273 that are not those of a standard screen.
_UNSUPPORTED_TRANSFERS = {8: "linear light", 16: "HDR (PQ)", 18: "HDR (HLG)"}
# FFmpeg's field orders for "unknown" and "progressive".
_PROGRESSIVE = (0, 1)
_FULL_RANGE = 2
# Matroska's tag for the duration of a stream.
_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")

# Side data of frames that PyAV cannot write.
_UNSUPPORTED_SIDE_DATA = {
    "SPHERICAL": "the projection of a spherical video",
    "STEREO3D": "the layout of a stereoscopic video",
    "ICC_PROFILE": "a colour profile",
}
_CONVERT_REMEDY = "convert it to standard dynamic range"


@dataclass(frozen=True)
class ColourTags:
    """The colour tags of a video, as numbers of H.273. Unspecified is 2, and 0 for `range`."""

    primaries: int
    transfer: int
    matrix: int
    range: int


@dataclass(frozen=True)
class Video:
    """A video file and its only video stream.

    Parameters
    ----------
    width, height : size of stored frames, in pixels
    pixel_format : the planar format of frames
    source_format : FFmpeg's name of the decoder's pixel format
    conversion : the conversion of frames to RGB, which follows from the tags
    pixel_aspect : width / height of a pixel; None if unspecified
    rotation : counter-clockwise quarter turns that make frames upright, apart from mirroring
    display_matrix : the rotation and mirroring as a matrix of nine numbers; None if unspecified
    has_captions : whether the first frame has closed captions
    time_base : the unit of time stamps, in seconds
    rate : mean number of frames per second
    constant_rate : whether frames have a constant rate, according to the header
    start_time : time of the first frame, in seconds
    duration : in seconds, if known
    declared_duration : duration of the video stream according to the header, in seconds, if present
    frame_count : approximate number of frames; 0 if unknown
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


class CutOffError(ValueError):
    """A file ends within a packet, as after a crash of the camera or an interrupted copy."""


@contextmanager
def open_video(path: Path) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open a video and find its video stream.

    Raises
    ------
    VideoError : the video cannot be read, now or within the context, or it does not have exactly
        one video stream
    MissingLibraryError : PyAV is not installed
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise missing_library(error).with_context(str(path)) from error
    try:
        # Some old containers do not store the time stamps of all frames; genpts computes them.
        with av.open(str(path), "r", options={"fflags": "+genpts"}) as container:
            yield container, _video_stream(container, path)
    except av.error.FFmpegError as error:
        remedy = "check that it plays, or try to repair it: ffmpeg -i IN -c copy OUT"
        raise VideoError(str(path), f"the video cannot be read: {reason(error)}", remedy) from error


def probe(path: Path) -> Video:
    """Read the properties of a video.

    Raises
    ------
    VideoError : it cannot be read; or it has several video streams, transparency, interlaced
        frames, a dynamic range other than standard, or a pixel format that is not supported
    MissingLibraryError : PyAV is not installed

    Warns
    -----
    UserWarning : side data of frames is dropped
    """
    with open_video(path) as (container, stream):
        first_frame = next(container.decode(stream), None)
        if first_frame is None:
            raise VideoError(str(path), "the video has no frames", "choose another video")
        return _describe(path, container, stream, first_frame)


def read_packets(container: "InputContainer", *streams: Any) -> "Iterator[Packet[Any]]":
    """Yield the packets of streams up to the end of the file.

    Raises
    ------
    CutOffError : the file ends within a packet
    """
    import av

    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.InvalidDataError, av.error.EOFError) as error:
            raise CutOffError from error
        if packet is None:
            return
        # At the end of a stream, PyAV yields an empty packet.
        if packet.size or packet.dts is not None or packet.pts is not None:
            yield packet


def decode_all(container: "InputContainer", stream: "VideoStream") -> "Iterator[VideoFrame]":
    """Yield the frames of a video, in presentation order.

    If the file ends within a packet, all frames before it are yielded first.

    Raises
    ------
    CutOffError : the file ends within a packet
    FFmpegError : the file is damaged elsewhere
    """
    import av

    packets = (packet for packet in read_packets(container, stream) if packet.size)
    try:
        packet = next(packets, None)
        while packet is not None:
            # A packet at a cut may be marked, may give an error, or a frame with missing parts.
            try:
                frames = stream.decode(packet)
            except av.error.InvalidDataError as error:
                if next(packets, None) is not None:
                    raise
                raise CutOffError from error
            is_corrupt = packet.is_corrupt or any(frame.is_corrupt for frame in frames)
            following = next(packets, None) if is_corrupt else None
            if is_corrupt and following is None:
                yield from (frame for frame in frames if not frame.is_corrupt)
                raise CutOffError
            yield from frames
            packet = following or next(packets, None)
    except CutOffError:
        yield from (frame for frame in stream.decode(None) if not frame.is_corrupt)
        raise
    for frame in stream.decode(None):
        if frame.is_corrupt:
            raise CutOffError
        yield frame


def check_frame(video: Video, frame: "VideoFrame") -> None:
    """Check that a frame is like the first one.

    Raises
    ------
    VideoError : its size or format differs, or it is interlaced
    """
    properties = (frame.width, frame.height, frame.format.name)
    if properties != (video.width, video.height, video.source_format):
        time = "an unknown time" if frame.pts is None else f"{frame.time:.2f} s"
        raise VideoError(
            str(video.path),
            f"frames change from {video.width} x {video.height} {video.source_format} to "
            f"{frame.width} x {frame.height} {frame.format.name} at {time}",
            "cut the video there, and edit the parts",
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
    entries: list[Any] = list(first_frame.side_data)
    side_data = {entry.type.name: bytes(entry) for entry in entries}
    if "DOVI_METADATA" in side_data or "DOVI_RPU_BUFFER" in side_data:
        raise VideoError(str(path), "Dolby Vision is not supported", _CONVERT_REMEDY)
    for name, description in _UNSUPPORTED_SIDE_DATA.items():
        if name in side_data:
            warn(f"{path}: {description} is dropped")
    matrix = side_data.get("DISPLAYMATRIX")
    display_matrix = struct.unpack("=9i", matrix) if matrix else None
    duration = _duration(container, stream)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    if stream.time_base is None or not 0 < rate <= 1000:
        problem = f"a frame rate of {rate} per second is not supported"
        raise VideoError(str(path), problem, "choose another video")
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


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _declared_duration(stream: "VideoStream", duration: float | None) -> float | None:
    """Return the duration in the header of the video stream; in Matroska it is a tag."""
    if stream.duration is not None:
        return duration
    match = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
    if match is None:
        return None
    hours, minutes, seconds = (float(number) for number in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _video_stream(container: "InputContainer", path: Path) -> "VideoStream":
    """Return the video stream. Covers do not count."""
    streams = [s for s in container.streams.video if not is_cover(s)]
    if not streams:
        raise VideoError(str(path), "the file has no video stream", "choose a video")
    if len(streams) > 1:
        problem = f"the file has {len(streams)} video streams, and only one is supported"
        remedy = "extract one: ffmpeg -i IN -map 0:v:0 -map 0:a? -c copy OUT"
        raise VideoError(str(path), problem, remedy)
    [stream] = streams
    if stream.codec_context is None:
        raise VideoError(str(path), "PyAV does not support its codec", "convert it first")
    # With threads for frames, a decoder reports an error of a packet later, and drops the frames
    # that wait for it.
    stream.thread_type = "SLICE"
    return stream


def quarter_turns(display_matrix: tuple[int, ...]) -> int:
    """Return the counter-clockwise quarter turns of a display matrix.

    Mirroring is ignored, because a mirrored image is upright as well. Other angles count as 0.

    Examples
    --------
    >>> quarter_turns((0, 65536, 0, -65536, 0, 0, 0, 0, 2**30))
    3
    """
    a, b, _, c, d = display_matrix[:5]
    if a * d < b * c:  # the matrix ends with a horizontal flip
        a = -a
    turns = -math.atan2(b, a) / (math.pi / 2)
    return round(turns) % 4 if abs(turns - round(turns)) < 0.01 else 0


def is_cover(stream: Any) -> bool:
    """Return whether a video stream is a cover image."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _pixel_format(path: Path, stream: "VideoStream", first_frame: "VideoFrame") -> PixelFormat:
    name = first_frame.format.name
    has_alpha = any(component.is_alpha for component in first_frame.format.components)
    if has_alpha or stream.metadata.get("alpha_mode", "0") != "0":
        problem = f"transparency is not supported ({name})"
        raise VideoError(str(path), problem, "lay it over a colour first")
    pixel_format = planar_format(name)
    if pixel_format is None:
        problem = f"expected frames of 4:2:0, 4:2:2, 4:4:0, 4:4:4, grey or RGB, got {name}"
        remedy = "convert it first: ffmpeg -i IN -pix_fmt yuv422p OUT"
        raise VideoError(str(path), problem, remedy)
    return pixel_format


def _colour_tags(path: Path, frame: "VideoFrame") -> ColourTags:
    if frame.color_trc in _UNSUPPORTED_TRANSFERS:
        problem = f"{_UNSUPPORTED_TRANSFERS[frame.color_trc]} is not supported"
        raise VideoError(str(path), problem, _CONVERT_REMEDY)
    return ColourTags(frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)


def _conversion(
    path: Path, pixel_format: PixelFormat, colour_tags: ColourTags, first_frame: "VideoFrame"
) -> YuvConversion:
    matrix = colour_tags.matrix
    if pixel_format.kind != "yuv" or matrix == UNSPECIFIED:
        matrix = default_matrix(first_frame.width, first_frame.height)
    if matrix not in LUMA_COEFFICIENTS:
        problem = f"its colour matrix, number {matrix} of H.273, is not supported"
        remedy = "convert it first: ffmpeg -i IN -vf scale=out_color_matrix=bt709 OUT"
        raise VideoError(str(path), problem, remedy)
    full_range = colour_tags.range == _FULL_RANGE or first_frame.format.name.startswith("yuvj")
    return YuvConversion(pixel_format, matrix, full_range)


def _interlaced_error(path: Path) -> VideoError:
    remedy = "deinterlace it first: ffmpeg -i IN -vf bwdif OUT"
    return VideoError(str(path), "it is interlaced", remedy)
