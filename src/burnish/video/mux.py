"""Muxing: the encoded segments are written to one file, with copies of all other streams.

Audio, subtitles, covers, attachments and data are copied packet by packet.
"""

import heapq
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import VideoError, warn
from burnish.video.encode import Encoding, configure
from burnish.video.formats import CODECS, Container
from burnish.video.probe import CutOffError, Video, is_cover, open_video, read_packets
from burnish.video.segment_store import SegmentStore

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

# Metadata keys that MP4 and MOV store in a form that all players read. If there is any other key,
# all of the metadata is stored in another form.
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
# Streams whose loss is an error, and their names in messages. Other streams are dropped.
_ESSENTIAL = {"audio": "sound", "subtitle": "subtitles"}
# Remedies for streams that even Matroska does not support.
_CONVERSIONS = {
    "audio": "convert the sound first: ffmpeg -i IN -map 0 -c copy -c:a flac OUT.mkv",
    "subtitle": "convert the subtitles first: ffmpeg -i IN -map 0 -c copy -c:s srt OUT.mkv",
}
# Prefixes of metadata keys that describe the source's bytes, and are wrong for a copy.
_STALE = ("encoder", "bps", "duration", "number_of_frames", "number_of_bytes", "_statistics")

# Matroska stores covers as attachments: codec -> default file name and MIME type.
_COVER_ATTACHMENTS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# FFmpeg's writer that passes packets on to other writers.
_TEE = "tee"
# MP4 stores empty subtitles in gaps. Its writer adds them itself.
_EMPTY_SUBTITLE = b"\0\0"


def check_passthrough(video: Video, container: Container, output_name: str) -> None:
    """Check that the output format supports all streams besides the video stream.

    Raises
    ------
    VideoError : it does not support the audio or subtitles

    Warns
    -----
    UserWarning : it does not support another stream, which is dropped
    """
    with open_video(video.path) as (source, video_stream):
        copied = _passthrough_streams(video, source, video_stream, container)
        indices = {stream.index for stream in (*copied, video_stream)}
        for stream in source.streams:
            if stream.index in indices or _is_generated(source, stream):
                continue
            name = f"{_ESSENTIAL.get(stream.type, stream.type)} ({stream.name or 'unknown'})"
            if stream.type in _ESSENTIAL and not _first_packet(video.path, stream.index):
                warn(f"{video.path}: its {name} is dropped, because there is none in the file")
                continue
            if stream.type in _ESSENTIAL:
                problem = f"{container.name} does not support the video's {name}"
                remedy = "choose an output name in .mkv (--format mkv), which supports nearly all"
                if container.name == "mkv":
                    remedy = _CONVERSIONS[stream.type]
                raise VideoError(output_name, problem, remedy)
            label = "the cover" if stream.type == "video" else f"a stream of {name}"
            warn(f"{video.path}: {label} is dropped, because {container.name} does not support it")


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
        muxer, url = container.muxer, str(path)
        if any(_needs_tee(container, stream, video.path) for stream in source[0].streams):
            muxer, url = _TEE, _tee_url(container, url)
            if source[0].chapters():
                warn(f"{video.path}: chapters are dropped, which PyAV cannot write with this sound")
        try:
            with av.open(url, "w", format=muxer, container_options=options) as output:
                output.metadata.update(metadata)
                _write_packets(video, encoding, store, source, output, container)
        except (ValueError, av.error.FFmpegError) as error:
            problem = f"{container.name} cannot be written: {error}"
            remedy = "free some disk space, or choose --format mkv"
            raise VideoError(str(video.path), problem, remedy) from error


def _write_packets(
    video: Video,
    encoding: Encoding,
    store: SegmentStore,
    source: "tuple[InputContainer, Stream]",
    output: "OutputContainer",
    container: Container,
) -> None:
    copied_streams = _passthrough_streams(video, *source, container)
    output_streams: dict[int, Stream] = {}
    video_stream: Any = None
    for stream in source[0].streams:  # keeps the order of the source
        if stream.index == source[1].index:
            video_stream = _add_video_stream(video, encoding, stream, output, container.name)
        elif stream in copied_streams:
            copy = _add_stream(output, stream, video.path)
            if copy is not None:
                output_streams[stream.index] = copy
    output.set_chapters(source[0].chapters())
    output.start_encoding()
    if bytes(video_stream.codec_context.extradata or b"") != store.segments[0].extradata:
        raise ValueError("the encoder's header differs from that of the segments")

    def passthrough_packets() -> "Iterator[tuple[float, int, Packet[Any]]]":
        streams = [stream for stream in copied_streams if stream.index in output_streams]
        packets = _timed_packets(source[0], streams) if streams else ()
        for number, (time, packet) in enumerate(packets):
            packet.stream = output_streams[packet.stream.index]
            yield time, number, packet

    packets = heapq.merge(
        _video_packets(video, store, video_stream), passthrough_packets(), key=lambda item: item[0]
    )
    for _, _, packet in packets:
        output.mux_one(packet)


def _add_video_stream(
    video: Video, encoding: Encoding, stream: "Stream", output: "OutputContainer", name: str
) -> Any:
    """Add the encoded video stream, with the metadata of the source's, to a container `name`."""
    from av.codec.context import Flags

    video_stream: Any = output.add_stream(encoding.codec.encoder, rate=video.rate)
    configure(video_stream.codec_context, video, encoding)
    # Also for a writer that does not ask for it, as the tee.
    video_stream.codec_context.flags |= Flags.global_header
    video_stream.time_base = video.time_base
    if encoding.codec.name == "hevc" and name in ("mp4", "mov"):
        video_stream.codec_context.codec_tag = "hvc1"  # Apple's players require it
    if video.display_matrix:
        video_stream.set_display_matrix(video.display_matrix)
    video_stream.metadata.update(_clean_metadata(stream.metadata))
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

    The encoder's decoding times are not used, because those of a segment overlap the end of the
    segment before. The returned times are the presentation times in increasing order, delayed by
    the largest number of frames that a packet is ahead of its place in that order.

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


def _passthrough_streams(
    video: Video, source: "InputContainer", video_stream: "Stream", container: Container
) -> "list[Stream]":
    """Return the streams besides the video stream that an output format supports."""
    return [
        stream
        for stream in source.streams
        if stream.index != video_stream.index
        and not _is_generated(source, stream)
        and (_can_store(container, stream, video.path) or _needs_tee(container, stream, video.path))
    ]


def _add_stream(output: Any, stream: "Stream", path: Path) -> "Stream | None":
    """Add a copy of a stream of the video at `path` to an output.

    Returns the stream to write packets to; None if the file header holds all of it.
    """
    if stream.type == "video" and output.format.name.startswith(("matroska", _TEE)):
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
    copy.metadata.update(_clean_metadata(stream.metadata))
    copy.disposition = stream.disposition
    return None if stream.type == "attachment" else copy


def _timed_packets(
    source: "InputContainer", streams: "list[Stream]"
) -> "Iterator[tuple[float, Packet[Any]]]":
    """Yield the packets of streams and their times in seconds, in the order of the file."""
    time = 0.0
    for packet in _whole_packets(source, streams):
        if packet.stream.name == "mov_text" and bytes(packet) == _EMPTY_SUBTITLE:
            continue
        ticks = packet.pts if packet.dts is None else packet.dts
        if ticks is not None:
            time = float(ticks * packet.time_base)
        yield time, packet


def _whole_packets(source: "InputContainer", streams: "list[Stream]") -> "Iterator[Packet[Any]]":
    """Yield the packets of streams; a file that is cut off ends with the last whole packet."""
    with suppress(CutOffError):
        previous = None
        is_corrupt = False
        for packet in read_packets(source, *streams):
            if previous is not None:
                is_corrupt = previous.is_corrupt
                yield previous
            previous = packet
        # The rest of a sound in a transport stream comes after marked packets, and has no mark.
        if previous is not None and not (previous.is_corrupt or is_corrupt):
            yield previous


def _clean_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return a stream's metadata without keys that describe its bytes."""
    return {k: v for k, v in metadata.items() if not k.lower().startswith(_STALE)}


def _is_generated(source: "InputContainer", stream: "Stream") -> bool:
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
                _add_stream(trial, stream, path)
                trial.start_encoding()
                return True
            # Other streams need a video beside them, and some fail only when the file is closed.
            codec = CODECS[container.codecs[0]].encoder
            video_stream: Any = trial.add_stream(codec, rate=25, width=64, height=64)
            copy = _add_stream(trial, stream, path)
            trial.mux(video_stream.encode(av.VideoFrame(64, 64, "yuv420p")))
            trial.mux(video_stream.encode(None))
            if copy is not None:
                _mux_first_packet(trial, copy, path, stream.index)
            trial.close()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _needs_tee(container: Container, stream: "Stream", path: Path) -> bool:
    """Return whether Matroska holds a sound that PyAV refuses to add to it.

    Matroska stores the codecs of AVI and WMV under their names there. PyAV asks FFmpeg for a list
    that leaves these out, and accepts all codecs for FFmpeg's tee, which passes packets on.
    """
    import av

    if container.name != "mkv" or stream.type != "audio" or _can_store(container, stream, path):
        return False
    try:
        with av.open(_tee_url(container, os.devnull), "w", format=_TEE) as trial:
            copy = _add_stream(trial, stream, path)
            trial.start_encoding()
            _mux_first_packet(trial, copy, path, stream.index)
            trial.close()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _tee_url(container: Container, path: str) -> str:
    """Return the name of an output for FFmpeg's tee, in which some characters are escaped."""
    escaped = re.sub(r"([\\'|\[\]:\s])", r"\\\1", path)
    return f"[f={container.muxer}:avoid_negative_ts=disabled]{escaped}"


def _mux_first_packet(output: "OutputContainer", copy: Any, path: Path, index: int) -> None:
    """Write the first packet of a file's stream to the copy of that stream, if it has one."""
    for packet in _first_packet(path, index):
        packet.stream = copy
        output.mux_one(packet)


def _first_packet(path: Path, index: int) -> "list[Packet[Any]]":
    """Return a list of a stream's first packet, empty if it has none."""
    with open_video(path) as (source, _), suppress(CutOffError):
        packets = read_packets(source, source.streams[index])
        return [packet for packet in islice(packets, 1) if packet.size]
    return []
