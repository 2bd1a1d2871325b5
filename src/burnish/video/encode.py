"""Encoding: the same codec, format and tags as the film's, unless others are asked for."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burnish.errors import FilmError, warn
from burnish.video.formats import (
    CODECS,
    Codec,
    Coding,
    Container,
    check_coding,
    check_crf,
    codec_called,
)
from burnish.video.pixel_format import layout_of
from burnish.video.probe import Film

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

# PyAV's names of ProRes' profiles -> the encoder's.
_PRORES = {
    "Proxy": "proxy",
    "LT": "lt",
    "Standard": "standard",
    "HQ": "hq",
    "4444": "4444",
    "XQ": "4444xq",
}


@dataclass(frozen=True)
class Encoding:
    """How a film is encoded.

    Parameters
    ----------
    codec : a codec that the container holds
    options : the encoder's, all text
    format : of the frames that it takes, in planes
    """

    codec: Codec
    options: dict[str, str]
    format: str


def settle(film: Film, coding: Coding, container: Container, where: str) -> Encoding:
    """Return how a film is to be encoded, and see that nothing is lost by it.

    Parameters
    ----------
    where : the output, for messages

    Raises
    ------
    UsageError : see `check_coding`
    FilmError : the codec does not hold the film's depth or chroma, or is not in this PyAV

    Warns
    -----
    UserWarning : another codec than the film's is taken, or captions are left out
    """
    check_coding(coding, container, where)
    name = film.codec if film.codec in container.codecs else container.codecs[0]
    codec = codec_called(coding.codec) if coding.codec else CODECS[name]
    if name != film.codec and not coding.codec:
        warn(
            f"{film.path}: encoded as {name}, since burnish does not write {film.codec} into "
            f"{container.name}; --codec chooses another"
        )
    if film.captions and not codec.captions:
        warn(f"{film.path}: its closed captions are left out, which {codec.encoder} does not write")
    check_crf(coding.crf, codec)
    _check_held(film, codec, container, where)
    options = dict(codec.options)
    if codec.crf:
        options["crf"] = str(codec.crf[1] if coding.crf is None else coding.crf)
    if codec.name == "h264" and film.steady:
        # Otherwise it tells players that frames may come at any tick of the time base.
        options["x264-params"] = "force-cfr=1"
    if codec.name == "prores":
        wide = film.layout.across == 1
        options["profile"] = _PRORES.get(film.profile or "", "4444" if wide else "hq")
    return Encoding(codec, options, film.layout.format)


def configure(context: Any, film: Film, encoding: Encoding) -> None:
    """Set an encoder, or the stream that has it, before it is opened."""
    context.width, context.height = film.width, film.height
    context.pix_fmt = encoding.format
    context.time_base = film.time_base
    context.framerate = film.rate
    context.sample_aspect_ratio = film.aspect or 0
    context.color_primaries = film.colours.primaries
    context.color_trc = film.colours.transfer
    context.colorspace = film.colours.matrix
    # Some formats said it by their name alone.
    full = film.conversion.full and film.layout.kind == "yuv"
    context.color_range = 2 if full else film.colours.range
    context.options = dict(encoding.options)
    context.thread_count = 0


class Encoder:
    """An encoder for one stretch of a film, which can be decoded by itself."""

    def __init__(self, film: Film, encoding: Encoding) -> None:
        from av.codec.context import CodecContext, Flags

        # SVT-AV1 tells standard error of itself, and listens to nothing else.
        os.environ.setdefault("SVT_LOG", "1")
        self._film = film
        self._context: CodecContext = CodecContext.create(encoding.codec.encoder, "w")
        configure(self._context, film, encoding)
        # Parameter sets go to the head of the file, where containers want them.
        self._context.flags |= Flags.global_header

    @property
    def header(self) -> bytes:
        """What it wants at the head of the file."""
        return self._context.extradata or b""

    def encode(self, frame: "VideoFrame | None") -> "list[Packet[Any]]":
        """Take a frame, None for the end, and give what is encoded by now.

        Raises
        ------
        FilmError : the encoder fails
        """
        from av.error import FFmpegError

        if frame is not None:
            frame.time_base = self._film.time_base
        try:
            return self._context.encode(frame)  # type: ignore[attr-defined, no-any-return]
        except FFmpegError as error:
            raise FilmError(
                str(self._film.path),
                expected=f"that {self._context.name} takes its frames",
                got=f"'{error}'",
                remedy="choose another --codec",
            ) from error


def _check_held(film: Film, codec: Codec, container: Container, where: str) -> None:
    if codec.even and (film.width % film.layout.across or film.height % film.layout.down):
        raise FilmError(
            where,
            expected=f"an even width and height for {codec.encoder}",
            got=f"{film.width} x {film.height}",
            remedy="choose --codec ffv1 (in .mkv), vp9 or av1",
        )
    if film.layout.format in _formats(codec):
        return
    others = [name for name in container.codecs if film.layout.format in _formats(CODECS[name])]
    remedy = f"choose --codec {' or '.join(others)}" if others else "name the output .mkv"
    raise FilmError(
        where,
        expected=f"a codec that holds {film.layout.format}, as {film.path.name} is",
        got=codec.encoder,
        remedy=remedy if others or container.name != "mkv" else "convert the film first",
    )


def _formats(codec: Codec) -> set[str]:
    """Return the formats in planes that an encoder takes, none where this PyAV lacks it."""
    from av.codec import Codec as Library
    from av.codec.codec import UnknownCodecError

    try:
        names = [format.name for format in Library(codec.encoder, "w").video_formats or ()]
    except UnknownCodecError:
        return set()
    return {name for name in names if (layout := layout_of(name)) and layout.format == name}
