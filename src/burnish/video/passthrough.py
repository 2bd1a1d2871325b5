"""Streams that are copied packet by packet: audio, subtitles, covers, attachments and data."""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import VideoError, warn
from burnish.video.formats import CODECS, Container
from burnish.video.probe import Video, is_cover, open_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

# Streams whose loss is an error, and their names in messages. Other streams are dropped.
_ESSENTIAL = {"audio": "sound", "subtitle": "subtitles"}
# Prefixes of metadata keys that describe the source's bytes, and are wrong for a copy.
_STALE = ("encoder", "bps", "duration", "number_of_frames", "number_of_bytes", "_statistics")

# Matroska stores covers as attachments: codec -> default file name and MIME type.
_COVER_ATTACHMENTS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# MP4 stores empty subtitles in gaps. Its writer adds them itself.
_EMPTY_SUBTITLE = b"\0\0"


def check_passthrough(video: Video, container: Container, output_name: str) -> None:
    """Check that the output format supports all streams besides the video stream.

    Parameters
    ----------
    output_name : the output, for error messages

    Raises
    ------
    VideoError : it does not support the audio or subtitles

    Warns
    -----
    UserWarning : it does not support another stream, which is dropped
    """
    with open_video(video.path) as (source, video_stream):
        copied = passthrough_streams(video, source, video_stream, container)
        copied_indices = {stream.index for stream in copied}
        for stream in source.streams:
            if stream.index in copied_indices | {video_stream.index}:
                continue
            if _regenerated(source, stream):
                continue
            name = f"{_ESSENTIAL.get(stream.type, stream.type)} ({stream.name or 'unknown'})"
            if stream.type in _ESSENTIAL:
                raise VideoError(
                    output_name,
                    f"{container.name} does not support the video's {name}",
                    "choose an output name in .mkv (--format mkv), which supports nearly all",
                )
            label = "the cover" if stream.type == "video" else f"a stream of {name}"
            warn(f"{video.path}: {label} is dropped, because {container.name} does not support it")


def passthrough_streams(
    video: Video, source: "InputContainer", video_stream: "Stream", container: Container
) -> "list[Stream]":
    """Return the streams besides the video stream that an output format supports."""
    return [
        stream
        for stream in source.streams
        if stream.index != video_stream.index
        and not _regenerated(source, stream)
        and _can_store(container, stream, video.path)
    ]


def add_stream(output: Any, stream: "Stream", path: Path) -> "Stream | None":
    """Add a copy of a stream to an output.

    Parameters
    ----------
    path : the video that has the stream

    Returns
    -------
    The stream to write packets to; None if the file header holds all of it
    """
    if stream.type == "video" and output.format.name.startswith("matroska"):
        name, mime_type = _COVER_ATTACHMENTS.get(stream.name or "", _COVER_ATTACHMENTS["mjpeg"])
        tags = stream.metadata
        [cover] = _first_packet(path, stream.index)
        output.add_attachment(
            tags.get("filename", name), tags.get("mimetype", mime_type), bytes(cover)
        )
        return None
    # With opaque=True, PyAV copies a cover and does not look for an encoder.
    opaque = {"opaque": True} if stream.type == "video" else {}
    copy: Stream = output.add_stream_from_template(stream, **opaque)
    copy.metadata.update(clean_metadata(stream.metadata))
    copy.disposition = stream.disposition
    return None if stream.type == "attachment" else copy


def timed_packets(
    source: "InputContainer", streams: "list[Stream]"
) -> "Iterator[tuple[float, Packet[Any]]]":
    """Yield the packets of streams and their times in seconds, in the order of the file."""
    time = 0.0
    for packet in source.demux(*streams):
        # At the end of a stream, PyAV yields an empty packet.
        if packet.dts is None and packet.pts is None and not packet.size:
            continue
        if packet.stream.name == "mov_text" and bytes(packet) == _EMPTY_SUBTITLE:
            continue
        ticks = packet.pts if packet.dts is None else packet.dts
        if ticks is not None:
            time = float(ticks * packet.time_base)
        yield time, packet


def clean_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return a stream's metadata without keys that describe its bytes."""
    return {k: v for k, v in metadata.items() if not k.lower().startswith(_STALE)}


def _regenerated(source: "InputContainer", stream: "Stream") -> bool:
    """Return whether MP4's writer generates a data stream from chapters or a timecode."""
    if stream.type != "data":
        return False
    chapters = len(source.chapters())
    return (
        stream.name == "bin_data" and stream.frames == chapters > 0
    ) or "timecode" in stream.metadata


def _can_store(container: Container, stream: "Stream", path: Path) -> bool:
    """Return whether an output format supports a stream, by writing a tiny file in memory."""
    import av

    if stream.type not in ("audio", "subtitle", "data", "attachment", "video"):
        return False
    if stream.type == "video" and not is_cover(stream):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
            if stream.type in ("audio", "subtitle"):
                add_stream(trial, stream, path)
                trial.start_encoding()
                return True
            # Other streams need a video beside them, and some fail only when the file is closed.
            codec = CODECS[container.codecs[0]].encoder
            video_stream: Any = trial.add_stream(codec, rate=25, width=64, height=64)
            copy = add_stream(trial, stream, path)
            trial.mux(video_stream.encode(av.VideoFrame(64, 64, "yuv420p")))
            trial.mux(video_stream.encode(None))
            if copy is not None:
                for packet in _first_packet(path, stream.index):
                    packet.stream = copy
                    trial.mux_one(packet)
            trial.close()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _first_packet(path: Path, index: int) -> "list[Packet[Any]]":
    """Return a list of a stream's first packet, empty if it has none."""
    with open_video(path) as (source, _):
        return [packet for packet in islice(source.demux(source.streams[index]), 1) if packet.size]
