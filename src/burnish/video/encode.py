"""Encoding: the same codec, format and tags as the film's, unless others are asked for."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burnish.errors import VideoError, warn
from burnish.video.formats import (
    CODECS,
    Codec,
    Container,
    EncodingOptions,
    check_crf,
    check_encoding_options,
    codec_by_name,
)
from burnish.video.pixel_format import planar_format
from burnish.video.probe import Video

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

# PyAV's names of ProRes' profiles -> the encoder's.
_PRORES_PROFILES = {
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


def choose_encoding(
    video: Video, encoding_options: EncodingOptions, container: Container, output_name: str
) -> Encoding:
    """Return how a film is to be encoded, and see that nothing is lost by it.

    Parameters
    ----------
    output_name : the output, for messages

    Raises
    ------
    UsageError : see `check_encoding_options`
    VideoError : the codec does not hold the film's depth or chroma, or is not in this PyAV

    Warns
    -----
    UserWarning : another codec than the film's is taken, or captions are left out
    """
    check_encoding_options(encoding_options, container, output_name)
    name = video.codec if video.codec in container.codecs else container.codecs[0]
    codec = codec_by_name(encoding_options.codec) if encoding_options.codec else CODECS[name]
    if name != video.codec and not encoding_options.codec:
        warn(
            f"{video.path}: encoded as {name}, since burnish does not write {video.codec} into "
            f"{container.name}; --codec chooses another"
        )
    if video.has_captions and not codec.writes_captions:
        warn(
            f"{video.path}: its closed captions are left out, which {codec.encoder} does not write"
        )
    check_crf(encoding_options.crf, codec)
    _check_codec(video, codec, container, output_name)
    encoder_options = dict(codec.options)
    if codec.crf:
        encoder_options["crf"] = str(
            codec.crf[1] if encoding_options.crf is None else encoding_options.crf
        )
    if codec.name == "h264" and video.constant_rate:
        # Otherwise it tells players that frames may come at any tick of the time base.
        encoder_options["x264-params"] = "force-cfr=1"
    if codec.name == "prores":
        full_chroma = video.pixel_format.chroma_subsampling_x == 1
        encoder_options["profile"] = _PRORES_PROFILES.get(
            video.profile or "", "4444" if full_chroma else "hq"
        )
    return Encoding(codec, encoder_options, video.pixel_format.format)


def configure(context: Any, video: Video, encoding: Encoding) -> None:
    """Set an encoder, or the stream that has it, before it is opened."""
    context.width, context.height = video.width, video.height
    context.pix_fmt = encoding.format
    context.time_base = video.time_base
    context.framerate = video.rate
    context.sample_aspect_ratio = video.pixel_aspect or 0
    context.color_primaries = video.colour_tags.primaries
    context.color_trc = video.colour_tags.transfer
    context.colorspace = video.colour_tags.matrix
    # Some formats said it by their name alone.
    full_range = video.conversion.full_range and video.pixel_format.kind == "yuv"
    context.color_range = 2 if full_range else video.colour_tags.range
    context.options = dict(encoding.options)
    context.thread_count = 0


class Encoder:
    """An encoder for one stretch of a film, which can be decoded by itself."""

    def __init__(self, video: Video, encoding: Encoding) -> None:
        from av.codec.context import CodecContext, Flags

        # SVT-AV1 tells standard error of itself, and listens to nothing else.
        os.environ.setdefault("SVT_LOG", "1")
        self._video = video
        self._context: CodecContext = CodecContext.create(encoding.codec.encoder, "w")
        configure(self._context, video, encoding)
        # Parameter sets go to the head of the file, where containers want them.
        self._context.flags |= Flags.global_header

    @property
    def extradata(self) -> bytes:
        """What it wants at the head of the file."""
        return self._context.extradata or b""

    def encode(self, frame: "VideoFrame | None") -> "list[Packet[Any]]":
        """Take a frame, None for the end, and give what is encoded by now.

        Raises
        ------
        VideoError : the encoder fails
        """
        from av.error import FFmpegError

        if frame is not None:
            frame.time_base = self._video.time_base
        try:
            return self._context.encode(frame)  # type: ignore[attr-defined, no-any-return]
        except FFmpegError as error:
            raise VideoError(
                str(self._video.path),
                expected=f"that {self._context.name} takes its frames",
                got=f"'{error}'",
                remedy="choose another --codec",
            ) from error


def _check_codec(video: Video, codec: Codec, container: Container, output_name: str) -> None:
    if codec.even_size and (
        video.width % video.pixel_format.chroma_subsampling_x
        or video.height % video.pixel_format.chroma_subsampling_y
    ):
        raise VideoError(
            output_name,
            expected=f"an even width and height for {codec.encoder}",
            got=f"{video.width} x {video.height}",
            remedy="choose --codec ffv1 (in .mkv), vp9 or av1",
        )
    if video.pixel_format.format in _planar_formats(codec):
        return
    others = [
        name
        for name in container.codecs
        if video.pixel_format.format in _planar_formats(CODECS[name])
    ]
    remedy = f"choose --codec {' or '.join(others)}" if others else "name the output .mkv"
    raise VideoError(
        output_name,
        expected=f"a codec that holds {video.pixel_format.format}, as {video.path.name} is",
        got=codec.encoder,
        remedy=remedy if others or container.name != "mkv" else "convert the film first",
    )


def _planar_formats(codec: Codec) -> set[str]:
    """Return the formats in planes that an encoder takes, none where this PyAV lacks it."""
    from av.codec import Codec as Library
    from av.codec.codec import UnknownCodecError

    try:
        names = [format.name for format in Library(codec.encoder, "w").video_formats or ()]
    except UnknownCodecError:
        return set()
    return {name for name in names if (layout := planar_format(name)) and layout.format == name}
