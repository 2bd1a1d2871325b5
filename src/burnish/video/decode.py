"""Decoding of a video: its frames as upright RGB images, in order or sampled over the video."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from burnish.errors import VideoError
from burnish.types import Pixels, Plane
from burnish.video.probe import (
    CutOffError,
    Video,
    check_frame,
    decode_all,
    open_video,
    read_packets,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

# Number of frames for the mean thumbnail of a video. A mean over 16 frames hardly depends on their
# choice. Decoding one may need all frames since the last key frame.
SAMPLE_COUNT = 16


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame in the video's planar format. Times are in the video's time base."""

    frame: "VideoFrame"
    pts: int
    duration: int


def decode_frames(
    video: Video, skip: int = 0, on_cut: Callable[[], None] = lambda: None
) -> Iterator[tuple[DecodedFrame, Pixels]]:
    """Yield the frames of a video and their pixels, in presentation order.

    Shape: pixels (H, W, 3) float32, upright. Range: [0, 1]

    Parameters
    ----------
    skip : number of frames to drop at the start. They are decoded nevertheless, because an index
        may be wrong, and the frames after them must not depend on `skip`
    on_cut : called after the last frame if the file ends within a packet

    Raises
    ------
    VideoError : the video cannot be read to its end, or a frame differs in size or format
    """
    from av.video.reformatter import VideoReformatter

    default_duration = round(1 / (video.rate * video.time_base))
    reformatter = VideoReformatter()
    previous_pts: int | None = None
    with open_video(video.path) as (container, stream):
        # AVI stores no presentation times. FFmpeg guesses them, and in the wrong order for frames
        # that depend on later ones; like FFmpeg's own programs, this takes the decoding times.
        is_avi = container.format.name == "avi"
        for number, frame in enumerate(_until_cut(decode_all(container, stream), on_cut)):
            check_frame(video, frame)
            pts = frame.dts if is_avi else frame.pts
            if pts is None and is_avi and previous_pts is not None:
                pts = previous_pts + default_duration
            if pts is None or (previous_pts is not None and pts <= previous_pts):
                times = f"{pts} after {previous_pts} at frame {number}"
                remedy = "rewrite them first: ffmpeg -fflags +genpts -i IN -c copy OUT"
                raise VideoError(str(video.path), f"time stamps do not increase: {times}", remedy)
            previous_pts = frame.pts = pts
            if number >= skip:
                planar = to_planar(video, frame, reformatter)
                duration = frame.duration or default_duration
                yield DecodedFrame(planar, pts, duration), _to_pixels(video, planar)


def _until_cut(
    frames: "Iterator[VideoFrame]", on_cut: Callable[[], None]
) -> "Iterator[VideoFrame]":
    try:
        yield from frames
    except CutOffError:
        on_cut()


def sample_frames(video: Video, count: int = SAMPLE_COUNT) -> Iterator[Pixels]:
    """Yield frames that are spread evenly over a video, or all frames if there are fewer.

    Raises
    ------
    VideoError : as in `decode_frames`
    """
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    sampled_pts: set[int | None] = set()
    with open_video(video.path) as (container, stream):
        duration = video.duration
        if duration is None:
            duration = _scan_duration(container, stream)
        for index in range(count):
            time = video.start_time + duration * (index + 0.5) / count
            frame = _seek(container, stream, int(time / video.time_base))
            if frame is None or frame.pts in sampled_pts:
                continue
            sampled_pts.add(frame.pts)
            check_frame(video, frame)
            yield _to_pixels(video, to_planar(video, frame, reformatter))
    if not sampled_pts:
        remedy = "rewrite its index first: ffmpeg -i IN -c copy OUT"
        raise VideoError(str(video.path), "seeking finds no frames", remedy)


def replace_pixels(video: Video, decoded: DecodedFrame, pixels: Pixels) -> "VideoFrame":
    """Return a frame with new pixels, (H, W, 3) in [0, 1], upright, and all other properties.

    The frame is changed in place, unless the decoder still needs it.
    """
    from av.video.frame import PictureType

    stored_pixels = np.rot90(pixels, -video.rotation)
    frame = decoded.frame
    frame.make_writable()
    new_planes = video.conversion.to_planes(stored_pixels)
    for plane, new_plane in zip(plane_arrays(frame), new_planes, strict=True):
        plane[...] = new_plane
    # The encoder decides anew which frames are key frames.
    frame.pict_type = PictureType.NONE
    return frame


def to_planar(video: Video, frame: "VideoFrame", reformatter: "VideoReformatter") -> "VideoFrame":
    """Return a frame in the video's planar format, with the same samples."""
    name = video.pixel_format.name
    if video.source_format == name:
        return frame
    if video.source_format.startswith("yuvj"):
        # FFmpeg would otherwise convert the full range of yuvj formats to limited range.
        full = {"src_color_range": "JPEG", "dst_color_range": "JPEG"}
        return reformatter.reformat(frame, format=name, **full)  # type: ignore[arg-type]
    return reformatter.reformat(frame, format=name)


def plane_arrays(frame: "VideoFrame") -> list[Plane]:
    """Return a planar frame's planes as arrays that share its memory."""
    arrays = []
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else np.uint16)
    for plane in frame.planes:
        samples = np.frombuffer(plane, dtype)  # type: ignore[call-overload]
        stride = plane.line_size // dtype.itemsize
        rows = samples[: stride * plane.height].reshape(plane.height, stride)
        arrays.append(rows[:, : plane.width])
    return arrays


def _to_pixels(video: Video, planar: "VideoFrame") -> Pixels:
    """Convert a planar frame to RGB, upright."""
    pixels = video.conversion.to_pixels(plane_arrays(planar))
    return np.ascontiguousarray(np.rot90(pixels, video.rotation)) if video.rotation else pixels


def _seek(container: "InputContainer", stream: "VideoStream", pts: int) -> "VideoFrame | None":
    """Return the frame that is shown at a time, or the first frame after it."""
    container.seek(pts, stream=stream, backward=True)
    shown = None
    for frame in _until_cut(decode_all(container, stream), lambda: None):
        if shown is not None and frame.pts is not None and frame.pts > pts:
            break
        shown = frame
    return shown


def _scan_duration(container: "InputContainer", stream: "VideoStream") -> float:
    """Return the time of the last frame. This reads the video to its end without decoding it."""
    last_pts = 0
    with suppress(CutOffError):
        for packet in read_packets(container, stream):
            last_pts = max(last_pts, packet.pts or 0)
    assert stream.time_base is not None
    return float((last_pts - (stream.start_time or 0)) * stream.time_base)
