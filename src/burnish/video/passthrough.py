"""Beside the pictures: sound, subtitles, covers, attachments and data, copied packet for packet."""

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

# What a person would miss at once; for these the output has to be one that holds them.
_ESSENTIAL = {"audio": "sound", "subtitle": "subtitles"}
# Said of a stream by whoever wrote the file, and no longer true of a copy.
_STALE = ("encoder", "bps", "duration", "number_of_frames", "number_of_bytes", "_statistics")

# Matroska has covers as attachments: codec -> what it is called, and its kind.
_COVER_ATTACHMENTS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# MP4 has subtitles without words between those with, which its writer adds by itself.
_EMPTY_SUBTITLE = b"\0\0"


def check_passthrough(video: Video, container: Container, output_name: str) -> None:
    """See that what lies beside the pictures can be kept.

    Parameters
    ----------
    output_name : the output, for messages

    Raises
    ------
    VideoError : sound or subtitles that the output's container does not hold

    Warns
    -----
    UserWarning : anything else that it does not hold
    """
    with open_video(video.path) as (source, video_stream):
        copied_indices = {
            stream.index for stream in passthrough_streams(video, source, video_stream, container)
        }
        for stream in source.streams:
            if stream.index in copied_indices | {video_stream.index} or _regenerated(
                source, stream
            ):
                continue
            description = f"{_ESSENTIAL.get(stream.type, stream.type)} ({stream.name or 'unknown'})"
            if stream.type in _ESSENTIAL:
                raise VideoError(
                    output_name,
                    expected=f"a container that holds the film's {description}",
                    got=container.name,
                    remedy="name the output .mkv (--format mkv), which holds nearly everything",
                )
            label = "the cover" if stream.type == "video" else f"a stream of {description}"
            warn(f"{video.path}: {label} is left out, which {container.name} does not hold here")


def passthrough_streams(
    video: Video, source: "InputContainer", video_stream: "Stream", container: Container
) -> "list[Stream]":
    """Return the streams beside the pictures that a container holds."""
    return [
        stream
        for stream in source.streams
        if stream.index != video_stream.index
        and not _regenerated(source, stream)
        and _can_store(container, stream, video.path)
    ]


def add_stream(output: Any, stream: "Stream", path: Path) -> "Stream | None":
    """Add a stream like this one to an output.

    Parameters
    ----------
    path : of the film that it is of

    Returns
    -------
    The stream that packets go to; None where all of it is in the head of the file
    """
    if stream.type == "video" and output.format.name.startswith("matroska"):
        name, mime_type = _COVER_ATTACHMENTS.get(stream.name or "", _COVER_ATTACHMENTS["mjpeg"])
        tags = stream.metadata
        [cover] = _first_packet(path, stream.index)
        output.add_attachment(
            tags.get("filename", name), tags.get("mimetype", mime_type), bytes(cover)
        )
        return None
    # A cover has to be said to be copied: PyAV would look for what encodes it.
    opaque = {"opaque": True} if stream.type == "video" else {}
    copy: Stream = output.add_stream_from_template(stream, **opaque)
    copy.metadata.update(clean_metadata(stream.metadata))
    copy.disposition = stream.disposition
    return None if stream.type == "attachment" else copy


def timed_packets(
    source: "InputContainer", streams: "list[Stream]"
) -> "Iterator[tuple[float, Packet[Any]]]":
    """Give the packets of streams in the order of the file, each with its time, s."""
    time = 0.0
    for packet in source.demux(*streams):
        # At the end there is one without content for each stream.
        if packet.dts is None and packet.pts is None and not packet.size:
            continue
        if packet.stream.name == "mov_text" and bytes(packet) == _EMPTY_SUBTITLE:
            continue
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is not None:
            time = float(stamp * packet.time_base)
        yield time, packet


def clean_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return a stream's metadata without what was said about its bytes."""
    return {k: v for k, v in metadata.items() if not k.lower().startswith(_STALE)}


def _regenerated(source: "InputContainer", stream: "Stream") -> bool:
    """Tell whether a stream only repeats what else is kept, from which MP4's writer makes it."""
    if stream.type != "data":
        return False
    chapters = len(source.chapters())
    return (
        stream.name == "bin_data" and stream.frames == chapters > 0
    ) or "timecode" in stream.metadata


def _can_store(container: Container, stream: "Stream", path: Path) -> bool:
    """Try whether a container takes a stream, by writing the least of a film in memory."""
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
            # No container is of these alone, and some are only refused at the very end.
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
    """Return a stream's first packet."""
    with open_video(path) as (source, _):
        return [packet for packet in islice(source.demux(source.streams[index]), 1) if packet.size]
