"""Join: the finished stretches and all that lies beside them, as one film."""

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import VideoError
from burnish.video.encode import Encoding, configure
from burnish.video.formats import Container
from burnish.video.passthrough import add_stream, clean_metadata, passthrough_streams, timed_packets
from burnish.video.probe import Video, open_video
from burnish.video.segment_store import SegmentStore
from burnish.video.timestamps import dts_from_pts, durations

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

# What MP4 and MOV hold in the form that all players read. Another key needs another form.
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
# What a container says of itself; the new one says its own.
_CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder"}


def mux(
    video: Video,
    encoding: Encoding,
    store: SegmentStore,
    path: Path,
    container: Container,
    with_history: Callable[[dict[str, str]], dict[str, str]],
) -> None:
    """Write a film from its finished stretches, with all that lay beside its pictures.

    Parameters
    ----------
    path : a file, whatever its name
    with_history : adds the history of edits to the metadata

    Raises
    ------
    VideoError : the container does not take it all after all
    """
    import av

    with open_video(video.path) as source:
        metadata = with_history(_metadata(source[0]))
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
                expected=f"a film that {container.name} holds, and room for it",
                got=f"'{error}'",
                remedy="make room, or choose --format mkv",
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
    for stream in source[0].streams:  # in the order that they had
        if stream.index == source[1].index:
            video_stream = _add_video_stream(video, encoding, stream, output, container)
        elif stream in copied_streams:
            copy = add_stream(output, stream, video.path)
            if copy is not None:
                output_streams[stream.index] = copy
    output.set_chapters(source[0].chapters())
    output.start_encoding()
    if bytes(video_stream.codec_context.extradata or b"") != store.segments[0].extradata:
        raise ValueError("the encoder begins otherwise than for the stretches")

    def passthrough_packets() -> "Iterator[tuple[float, int, Packet[Any]]]":
        copied = [stream for stream in copied_streams if stream.index in output_streams]
        for number, (time, packet) in enumerate(timed_packets(source[0], copied) if copied else ()):
            packet.stream = output_streams[packet.stream.index]
            yield time, number, packet

    for _, _, packet in heapq.merge(
        _video_packets(video, store, video_stream), passthrough_packets(), key=lambda p: p[0]
    ):
        output.mux_one(packet)


def _add_video_stream(
    video: Video, encoding: Encoding, stream: "Stream", output: "OutputContainer", holder: Container
) -> Any:
    """Add the stream of the new pictures, with what the old one said of itself."""
    video_stream: Any = output.add_stream(encoding.codec.encoder, rate=video.rate)
    configure(video_stream.codec_context, video, encoding)
    video_stream.time_base = video.time_base
    if encoding.codec.name == "hevc" and holder.name in ("mp4", "mov"):
        video_stream.codec_context.codec_tag = "hvc1"  # without it Apple's players refuse
    if video.display_matrix:
        video_stream.set_display_matrix(video.display_matrix)
    video_stream.metadata.update(clean_metadata(stream.metadata))
    video_stream.disposition = stream.disposition
    return video_stream


def _video_packets(
    video: Video, store: SegmentStore, stream: "Stream"
) -> "Iterator[tuple[float, int, Packet[Any]]]":
    from av.packet import Packet

    pts = [stored.pts for stretch in store.segments for stored in stretch.packets]
    dts = dts_from_pts(pts)
    frame_durations = durations(pts, store.segments[-1].last_duration)
    for number, (kept, data) in enumerate(store.read_packets()):
        packet: Packet[Any] = Packet(data)
        packet.stream = stream
        packet.time_base = video.time_base
        packet.pts, packet.dts = kept.pts, dts[number]
        packet.duration = frame_durations[number]
        packet.is_keyframe = kept.is_keyframe
        yield float(dts[number] * video.time_base), number, packet


def _metadata(source: "InputContainer") -> dict[str, str]:
    return {k: v for k, v in source.metadata.items() if k.lower() not in _CONTAINER_KEYS}


def _options(container: Container, metadata: dict[str, str]) -> dict[str, str]:
    # Time stamps stay as they are, also those of sound that begins before the pictures.
    options = {"avoid_negative_ts": "disabled"}
    if container.name in PLAIN_KEYS:
        plain = metadata.keys() <= PLAIN_KEYS[container.name]
        options["movflags"] = "+faststart" if plain else "+faststart+use_metadata_tags"
    return options
