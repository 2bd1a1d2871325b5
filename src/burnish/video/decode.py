"""Frames: a film's frames with their pixels upright, and samples from all over it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from burnish.errors import FilmError
from burnish.types import Pixels, Plane
from burnish.video.probe import Film, check_frame, opened

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream


# A mean over so many moments hardly depends on which; each costs decoding up to a group of frames.
SAMPLES = 16


@dataclass(frozen=True)
class Taken:
    """A frame that was decoded.

    Parameters
    ----------
    frame : its samples in planes, with all that goes with them
    stamp : its time, in the film's time base
    length : how long it shows, in the same
    """

    frame: "VideoFrame"
    stamp: int
    length: int


def taken(film: Film, skip: int = 0) -> Iterator[tuple[Taken, Pixels]]:
    """Decode a film's frames, in the order they are shown.

    Shape: pixels (H, W, 3) float32, turned upright. Range: [0, 1]

    Parameters
    ----------
    skip : leave out so many at the start. They are decoded all the same: a film is not always cut
        where its index says, and the frames that follow have to be those that would have come

    Raises
    ------
    FilmError : the film cannot be read to its end, or a frame is not like the others
    """
    from av.video.reformatter import VideoReformatter

    usual = round(1 / (film.rate * film.time_base))
    reformatter = VideoReformatter()
    before: int | None = None
    with opened(film.path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            check_frame(film, frame)
            if frame.pts is None or (before is not None and frame.pts <= before):
                raise FilmError(
                    str(film.path),
                    expected="frames with rising time stamps",
                    got=f"{frame.pts} after {before} at frame {number}",
                    remedy="write them anew first: ffmpeg -fflags +genpts -i IN -c copy OUT",
                )
            before = frame.pts
            if number >= skip:
                planar = in_planes(film, frame, reformatter)
                pixels = upright(film, film.conversion.to_pixels(planes(planar)))
                yield Taken(planar, frame.pts, frame.duration or usual), pixels


def samples(film: Film, count: int = SAMPLES) -> Iterator[Pixels]:
    """Give the pixels of frames that lie evenly over a film, fewer where it has fewer.

    Raises
    ------
    FilmError : see `taken`
    """
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    seen: set[int | None] = set()
    with opened(film.path) as (container, stream):
        length = film.seconds if film.seconds is not None else _measured(container, stream)
        for number in range(count):
            moment = film.start + length * (number + 0.5) / count
            frame = _at(container, stream, int(moment / film.time_base))
            if frame is None or frame.pts in seen:
                continue
            seen.add(frame.pts)
            check_frame(film, frame)
            planar = in_planes(film, frame, reformatter)
            yield upright(film, film.conversion.to_pixels(planes(planar)))
    if not seen:
        raise FilmError(
            str(film.path),
            expected="frames all over the film",
            got="none at any moment that was looked at",
            remedy="write its index anew first: ffmpeg -i IN -c copy OUT",
        )


def put(film: Film, into: Taken, pixels: Pixels) -> "VideoFrame":
    """Give a frame other pixels, as they are stored; all else of it stays.

    Returns
    -------
    VideoFrame : the same, or a copy where the decoder still needs it
    """
    from av.video.frame import PictureType

    lying = np.rot90(pixels, -film.turn)
    frame = into.frame
    frame.make_writable()
    for plane, new in zip(planes(frame), film.conversion.to_planes(lying), strict=True):
        plane[...] = new
    # The encoder decides anew which frames stand by themselves.
    frame.pict_type = PictureType.NONE
    return frame


def in_planes(film: Film, frame: "VideoFrame", reformatter: "VideoReformatter") -> "VideoFrame":
    """Return a frame in the film's layout: its samples as they are, in planes."""
    if film.format == film.layout.format:
        return frame
    if film.format.startswith("yuvj"):
        # The name says full range, and FFmpeg would make that narrow for one that does not.
        full = {"src_color_range": "JPEG", "dst_color_range": "JPEG"}
        return reformatter.reformat(frame, format=film.layout.format, **full)  # type: ignore[arg-type]
    return reformatter.reformat(frame, format=film.layout.format)


def planes(frame: "VideoFrame") -> list[Plane]:
    """Return a planar frame's planes as arrays; they share the frame's memory."""
    views = []
    for plane in frame.planes:
        kind = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else np.uint16)
        whole = np.frombuffer(plane, kind)  # type: ignore[call-overload]
        stride = plane.line_size // kind.itemsize
        views.append(whole[: stride * plane.height].reshape(plane.height, stride)[:, : plane.width])
    return views


def upright(film: Film, pixels: Pixels) -> Pixels:
    """Turn pixels as the film says they are to be seen."""
    return np.ascontiguousarray(np.rot90(pixels, film.turn)) if film.turn else pixels


def _at(container: "InputContainer", stream: "VideoStream", stamp: int) -> "VideoFrame | None":
    """Return the frame that shows at a moment; the first one after it where none does."""
    container.seek(stamp, stream=stream, backward=True)
    shown = None
    for frame in container.decode(stream):
        if shown is not None and frame.pts is not None and frame.pts > stamp:
            break
        shown = frame
    return shown


def _measured(container: "InputContainer", stream: "VideoStream") -> float:
    """Return the time of the last frame, by reading the film to its end without decoding it."""
    last = 0
    for packet in container.demux(stream):
        last = max(last, packet.pts or 0)
    assert stream.time_base is not None
    return float((last - (stream.start_time or 0)) * stream.time_base)
