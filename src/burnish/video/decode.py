"""Frames: a film's frames with their pixels upright, and samples from all over it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from burnish.errors import VideoError
from burnish.types import Pixels, Plane
from burnish.video.probe import Video, check_frame, open_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream


# A mean over so many moments hardly depends on which; each costs decoding up to a group of frames.
SAMPLE_COUNT = 16


@dataclass(frozen=True)
class DecodedFrame:
    """A frame that was decoded.

    Parameters
    ----------
    frame : its samples in planes, with all that goes with them
    pts : its time, in the film's time base
    duration : how long it shows, in the same
    """

    frame: "VideoFrame"
    pts: int
    duration: int


def decode_frames(video: Video, skip: int = 0) -> Iterator[tuple[DecodedFrame, Pixels]]:
    """Decode a film's frames, in the order they are shown.

    Shape: pixels (H, W, 3) float32, turned upright. Range: [0, 1]

    Parameters
    ----------
    skip : leave out so many at the start. They are decoded all the same: a film is not always cut
        where its index says, and the frames that follow have to be those that would have come

    Raises
    ------
    VideoError : the film cannot be read to its end, or a frame is not like the others
    """
    from av.video.reformatter import VideoReformatter

    default_duration = round(1 / (video.rate * video.time_base))
    reformatter = VideoReformatter()
    previous_pts: int | None = None
    with open_video(video.path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            check_frame(video, frame)
            if frame.pts is None or (previous_pts is not None and frame.pts <= previous_pts):
                raise VideoError(
                    str(video.path),
                    expected="frames with rising time stamps",
                    got=f"{frame.pts} after {previous_pts} at frame {number}",
                    remedy="write them anew first: ffmpeg -fflags +genpts -i IN -c copy OUT",
                )
            previous_pts = frame.pts
            if number >= skip:
                planar = to_planes(video, frame, reformatter)
                pixels = apply_rotation(video, video.conversion.to_pixels(plane_arrays(planar)))
                yield DecodedFrame(planar, frame.pts, frame.duration or default_duration), pixels


def sample_frames(video: Video, count: int = SAMPLE_COUNT) -> Iterator[Pixels]:
    """Give the pixels of frames that lie evenly over a film, fewer where it has fewer.

    Raises
    ------
    VideoError : see `decode_frames`
    """
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    seen_pts: set[int | None] = set()
    with open_video(video.path) as (container, stream):
        duration = (
            video.duration if video.duration is not None else _scan_duration(container, stream)
        )
        for number in range(count):
            time = video.start_time + duration * (number + 0.5) / count
            frame = _seek(container, stream, int(time / video.time_base))
            if frame is None or frame.pts in seen_pts:
                continue
            seen_pts.add(frame.pts)
            check_frame(video, frame)
            planar = to_planes(video, frame, reformatter)
            yield apply_rotation(video, video.conversion.to_pixels(plane_arrays(planar)))
    if not seen_pts:
        raise VideoError(
            str(video.path),
            expected="frames all over the film",
            got="none at any moment that was looked at",
            remedy="write its index anew first: ffmpeg -i IN -c copy OUT",
        )


def replace_pixels(video: Video, decoded: DecodedFrame, pixels: Pixels) -> "VideoFrame":
    """Give a frame other pixels, as they are stored; all else of it stays.

    Returns
    -------
    VideoFrame : the same, or a copy where the decoder still needs it
    """
    from av.video.frame import PictureType

    stored_pixels = np.rot90(pixels, -video.rotation)
    frame = decoded.frame
    frame.make_writable()
    for plane, new_plane in zip(
        plane_arrays(frame), video.conversion.to_planes(stored_pixels), strict=True
    ):
        plane[...] = new_plane
    # The encoder decides anew which frames stand by themselves.
    frame.pict_type = PictureType.NONE
    return frame


def to_planes(video: Video, frame: "VideoFrame", reformatter: "VideoReformatter") -> "VideoFrame":
    """Return a frame in the film's layout: its samples as they are, in planes."""
    if video.source_format == video.pixel_format.format:
        return frame
    if video.source_format.startswith("yuvj"):
        # The name says full range, and FFmpeg would make that narrow for one that does not.
        full = {"src_color_range": "JPEG", "dst_color_range": "JPEG"}
        return reformatter.reformat(frame, format=video.pixel_format.format, **full)  # type: ignore[arg-type]
    return reformatter.reformat(frame, format=video.pixel_format.format)


def plane_arrays(frame: "VideoFrame") -> list[Plane]:
    """Return a planar frame's planes as arrays; they share the frame's memory."""
    views = []
    for plane in frame.planes:
        kind = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else np.uint16)
        whole = np.frombuffer(plane, kind)  # type: ignore[call-overload]
        stride = plane.line_size // kind.itemsize
        views.append(whole[: stride * plane.height].reshape(plane.height, stride)[:, : plane.width])
    return views


def apply_rotation(video: Video, pixels: Pixels) -> Pixels:
    """Turn pixels as the film says they are to be seen."""
    return np.ascontiguousarray(np.rot90(pixels, video.rotation)) if video.rotation else pixels


def _seek(container: "InputContainer", stream: "VideoStream", pts: int) -> "VideoFrame | None":
    """Return the frame that shows at a moment; the first one after it where none does."""
    container.seek(pts, stream=stream, backward=True)
    shown = None
    for frame in container.decode(stream):
        if shown is not None and frame.pts is not None and frame.pts > pts:
            break
        shown = frame
    return shown


def _scan_duration(container: "InputContainer", stream: "VideoStream") -> float:
    """Return the time of the last frame, by reading the film to its end without decoding it."""
    last_pts = 0
    for packet in container.demux(stream):
        last_pts = max(last_pts, packet.pts or 0)
    assert stream.time_base is not None
    return float((last_pts - (stream.start_time or 0)) * stream.time_base)
