"""Muxing: the encoded segments and the copied streams are written to one file."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import VideoError
from burnish.video.encode import Encoding, configure
from burnish.video.formats import Container
from burnish.video.passthrough import (
    add_stream,
    clean_metadata,
    passthrough_streams,
    timed_packets,
)
from burnish.video.probe import Video, open_video
from burnish.video.segment_store import SegmentStore

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

# Metadata keys that MP4 and MOV store in a form that all players read. Other keys need another
# form, for all of the metadata.
PLAIN_KEYS = {
    "mp4": {
        *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre"),
        *("copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"),
        *("network", "keywords", "creation_time"),
    },
    "mov": {
        *("title", "artist", "album", "comment", "genre", "copyright", "make", "model"),
        "creation_time",
    },
}
# Metadata keys that describe the source's container.
_CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder"}


def mux(
    video: Video,
    encoding: Encoding,
    store: SegmentStore,
    path: Path,
    container: Container,
    with_history: Callable[[dict[str, str]], dict[str, str]],
) -> None:
    """Write the finished segments and all other streams of the source to one file.

    Parameters
    ----------
    path : the output, with any extension
    with_history : adds the history of edits to the metadata

    Raises
    ------
    VideoError : the output format does not support the streams, or the disk is full
    """
    import av

    with open_video(video.path) as source:
        tags = source[0].metadata.items()
        metadata = with_history({k: v for k, v in tags if k.lower() not in _CONTAINER_KEYS})
        options = _options(container, metadata)
        try:
            with av.open(
                str(path), "w", format=container.muxer, container_options=options
            ) as output:
                output.metadata.update(metadata)
                _write_packets(video, encoding, store, source, output, container)
        except (ValueError, av.error.FFmpegError) as error:
            raise VideoError(
                str(video.path),
                f"{container.name} cannot be written: {error}",
                "free some disk space, or choose --format mkv",
            ) from error


def _write_packets(
    video: Video,
    encoding: Encoding,
    store: SegmentStore,
    source: "tuple[InputContainer, Stream]",
    output: "OutputContainer",
    container: Container,
) -> None:
    copied_streams = passthrough_streams(video, *source, container)
    output_streams: dict[int, Stream] = {}
    video_stream: Any = None
    for stream in source[0].streams:  # keeps the order of the source
        if stream.index == source[1].index:
            video_stream = _add_video_stream(video, encoding, stream, output, container)
        elif stream in copied_streams:
            copy = add_stream(output, stream, video.path)
            if copy is not None:
                output_streams[stream.index] = copy
    output.set_chapters(source[0].chapters())
    output.start_encoding()
    if bytes(video_stream.codec_context.extradata or b"") != store.segments[0].extradata:
        raise ValueError("the encoder's header differs from that of the segments")

    def passthrough_packets() -> "Iterator[tuple[float, int, Packet[Any]]]":
        streams = [stream for stream in copied_streams if stream.index in output_streams]
        packets = timed_packets(source[0], streams) if streams else ()
        for number, (time, packet) in enumerate(packets):
            packet.stream = output_streams[packet.stream.index]
            yield time, number, packet

    packets = heapq.merge(
        _video_packets(video, store, video_stream), passthrough_packets(), key=lambda item: item[0]
    )
    for _, _, packet in packets:
        output.mux_one(packet)


def _add_video_stream(
    video: Video,
    encoding: Encoding,
    stream: "Stream",
    output: "OutputContainer",
    container: Container,
) -> Any:
    """Add the encoded video stream, with the metadata of the source's."""
    video_stream: Any = output.add_stream(encoding.codec.encoder, rate=video.rate)
    configure(video_stream.codec_context, video, encoding)
    video_stream.time_base = video.time_base
    if encoding.codec.name == "hevc" and container.name in ("mp4", "mov"):
        video_stream.codec_context.codec_tag = "hvc1"  # Apple's players require it
    if video.display_matrix:
        video_stream.set_display_matrix(video.display_matrix)
    video_stream.metadata.update(clean_metadata(stream.metadata))
    video_stream.disposition = stream.disposition
    return video_stream


def _video_packets(
    video: Video, store: SegmentStore, stream: "Stream"
) -> "Iterator[tuple[float, int, Packet[Any]]]":
    from av.packet import Packet

    pts = [packet.pts for segment in store.segments for packet in segment.packets]
    dts = dts_from_pts(pts)
    frame_durations = durations(pts, store.segments[-1].last_duration)
    for number, (stored, data) in enumerate(store.read_packets()):
        packet: Packet[Any] = Packet(data)
        packet.stream = stream
        packet.time_base = video.time_base
        packet.pts, packet.dts = stored.pts, dts[number]
        packet.duration = frame_durations[number]
        packet.is_keyframe = stored.is_keyframe
        yield float(dts[number] * video.time_base), number, packet


def dts_from_pts(pts: Sequence[int]) -> list[int]:
    """Return increasing decoding time stamps, none of them after the presentation time stamp.

    Each segment was encoded independently, so its own decoding times overlap the end of the segment
    before. For the whole video, decoding times are the presentation times in increasing order,
    delayed by the largest number of frames that a packet is ahead of its place in that order.

    Parameters
    ----------
    pts : presentation time stamps in decoding order, all different

    Examples
    --------
    >>> dts_from_pts([0, 3, 1, 2, 7])
    [-1, 0, 1, 2, 3]
    """
    ordered = sorted(pts)
    rank = {value: index for index, value in enumerate(ordered)}
    delay = max((index - rank[value] for index, value in enumerate(pts)), default=0)
    lead = ordered[delay] - ordered[0] if delay else 0
    return [
        ordered[index - delay] if index >= delay else ordered[index] - lead
        for index in range(len(ordered))
    ]


def durations(pts: Sequence[int], last_duration: int) -> list[int]:
    """Return the duration of each frame, which ends when the next frame is shown.

    Parameters
    ----------
    pts : presentation time stamps in any order
    last_duration : duration of the last frame

    Examples
    --------
    >>> durations([0, 3, 1, 2, 7], 5)
    [1, 4, 1, 1, 5]
    """
    duration_of = {value: following - value for value, following in pairwise(sorted(pts))}
    return [duration_of.get(value, last_duration) for value in pts]


def _options(container: Container, metadata: dict[str, str]) -> dict[str, str]:
    # Time stamps must not be shifted, not even those of sound that begins before the first frame.
    options = {"avoid_negative_ts": "disabled"}
    if container.name in PLAIN_KEYS:
        plain = metadata.keys() <= PLAIN_KEYS[container.name]
        options["movflags"] = "+faststart" if plain else "+faststart+use_metadata_tags"
    return options
