"""Join: the finished stretches and all that lies beside them, as one film."""

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import FilmError
from burnish.video.encode import Encoding, configure
from burnish.video.formats import Container
from burnish.video.passthrough import add, fresh, kept_streams, packets
from burnish.video.probe import Film, opened
from burnish.video.segment_store import Scratch
from burnish.video.timestamps import decoding_times, lengths

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

# What MP4 and MOV hold in the form that all players read. Another key needs another form.
PLAIN = {
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
_OWN = {"major_brand", "minor_version", "compatible_brands", "encoder"}


def join(
    film: Film,
    encoding: Encoding,
    scratch: Scratch,
    into: Path,
    container: Container,
    with_history: Callable[[dict[str, str]], dict[str, str]],
) -> None:
    """Write a film from its finished stretches, with all that lay beside its pictures.

    Parameters
    ----------
    into : a file, whatever its name
    with_history : adds the history of edits to the metadata

    Raises
    ------
    FilmError : the container does not take it all after all
    """
    import av

    with opened(film.path) as source:
        metadata = with_history(_metadata(source[0]))
        options = _options(container, metadata)
        try:
            with av.open(
                str(into), "w", format=container.muxer, container_options=options
            ) as output:
                output.metadata.update(metadata)
                _fill(film, encoding, scratch, source, output, container)
        except (ValueError, av.error.FFmpegError) as error:
            raise FilmError(
                str(film.path),
                expected=f"a film that {container.name} holds, and room for it",
                got=f"'{error}'",
                remedy="make room, or choose --format mkv",
            ) from error


def _fill(
    film: Film,
    encoding: Encoding,
    scratch: Scratch,
    source: "tuple[InputContainer, Stream]",
    output: "OutputContainer",
    container: Container,
) -> None:
    kept = kept_streams(film, *source, container)
    made: dict[int, Stream] = {}
    ours: Any = None
    for stream in source[0].streams:  # in the order that they had
        if stream.index == source[1].index:
            ours = _pictures(film, encoding, stream, output, container)
        elif stream in kept:
            copy = add(output, stream, film.path)
            if copy is not None:
                made[stream.index] = copy
    output.set_chapters(source[0].chapters())
    output.start_encoding()
    if bytes(ours.codec_context.extradata or b"") != scratch.stretches[0].header:
        raise ValueError("the encoder begins otherwise than for the stretches")

    def beside() -> "Iterator[tuple[float, int, Packet[Any]]]":
        copied = [stream for stream in kept if stream.index in made]
        for number, (time, packet) in enumerate(packets(source[0], copied) if copied else ()):
            packet.stream = made[packet.stream.index]
            yield time, number, packet

    for _, _, packet in heapq.merge(_encoded(film, scratch, ours), beside(), key=lambda p: p[0]):
        output.mux_one(packet)


def _pictures(
    film: Film, encoding: Encoding, stream: "Stream", output: "OutputContainer", holder: Container
) -> Any:
    """Add the stream of the new pictures, with what the old one said of itself."""
    pictures: Any = output.add_stream(encoding.codec.encoder, rate=film.rate)
    configure(pictures.codec_context, film, encoding)
    pictures.time_base = film.time_base
    if encoding.codec.name == "hevc" and holder.name in ("mp4", "mov"):
        pictures.codec_context.codec_tag = "hvc1"  # without it Apple's players refuse
    if film.lie:
        pictures.set_display_matrix(film.lie)
    pictures.metadata.update(fresh(stream.metadata))
    pictures.disposition = stream.disposition
    return pictures


def _encoded(
    film: Film, scratch: Scratch, stream: "Stream"
) -> "Iterator[tuple[float, int, Packet[Any]]]":
    from av.packet import Packet

    stamps = [kept.stamp for stretch in scratch.stretches for kept in stretch.packets]
    times = decoding_times(stamps)
    shown = lengths(stamps, scratch.stretches[-1].length)
    for number, (kept, data) in enumerate(scratch.contents()):
        packet: Packet[Any] = Packet(data)
        packet.stream = stream
        packet.time_base = film.time_base
        packet.pts, packet.dts = kept.stamp, times[number]
        packet.duration = shown[number]
        packet.is_keyframe = kept.key
        yield float(times[number] * film.time_base), number, packet


def _metadata(source: "InputContainer") -> dict[str, str]:
    return {k: v for k, v in source.metadata.items() if k.lower() not in _OWN}


def _options(container: Container, metadata: dict[str, str]) -> dict[str, str]:
    # Time stamps stay as they are, also those of sound that begins before the pictures.
    options = {"avoid_negative_ts": "disabled"}
    if container.name in PLAIN:
        plain = metadata.keys() <= PLAIN[container.name]
        options["movflags"] = "+faststart" if plain else "+faststart+use_metadata_tags"
    return options
