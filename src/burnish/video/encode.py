"""Encoding of a video, by default with the codec, format and tags of its source."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burnish.errors import VideoError, warn
from burnish.types import Pixels
from burnish.video.decode import DecodedFrame, replace_pixels
from burnish.video.formats import (
    CODECS,
    Codec,
    Container,
    EncodingOptions,
    check_crf,
    check_encoding_options,
    codec_by_name,
)
from burnish.video.probe import Video
from burnish.video.segment_store import SegmentStore, SegmentWriter, store_error
from burnish.video.yuv import planar_format

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

# Duration of a segment in seconds. A run that is killed loses at most this much.
SEGMENT_SECONDS = 5.0

# PyAV's names of the profiles of ProRes -> the encoder's names.
_PRORES_PROFILES = {n: n.lower() for n in ("Proxy", "LT", "Standard", "HQ", "4444")}
_PRORES_PROFILES["XQ"] = "4444xq"


@dataclass(frozen=True)
class Encoding:
    """The encoding of one video.

    Parameters
    ----------
    options : FFmpeg's options for the encoder
    format : FFmpeg's name of the pixel format
    """

    codec: Codec
    options: dict[str, str]
    format: str

    @property
    def bits(self) -> int:
        """The depth of a channel."""
        pixel_format = planar_format(self.format)
        assert pixel_format is not None  # `choose_encoding` chooses no other
        return pixel_format.bits


def choose_encoding(
    video: Video, encoding_options: EncodingOptions, container: Container, output_name: str
) -> Encoding:
    """Return the encoding of a video, and check that it preserves bit depth, chroma and size.

    Raises
    ------
    UsageError : as in `check_encoding_options`
    VideoError : the codec does not support the video's pixel format or size, or this PyAV does not
        have the codec

    Warns
    -----
    UserWarning : the codec differs from the source's, or closed captions are dropped
    """
    check_encoding_options(encoding_options, container, output_name)
    name = video.codec if video.codec in container.codecs else container.codecs[0]
    codec = codec_by_name(encoding_options.codec) if encoding_options.codec else CODECS[name]
    if name != video.codec and not encoding_options.codec:
        warn(
            f"{video.path}: encoded as {name}, because burnish does not write {video.codec} to "
            f"{container.name}; --codec chooses another codec"
        )
    if video.has_captions and not codec.writes_captions:
        warn(f"{video.path}: closed captions are dropped, which {codec.encoder} does not write")
    check_crf(encoding_options.crf, codec)
    _check_codec(video, codec, container, output_name)
    options = dict(codec.options)
    if codec.crf:
        crf = codec.crf[1] if encoding_options.crf is None else encoding_options.crf
        options["crf"] = str(crf)
    if codec.name == "h264" and video.constant_rate:
        # Otherwise x264 signals a variable frame rate.
        options["x264-params"] = "force-cfr=1"
    if codec.name == "prores":
        default = "4444" if video.pixel_format.chroma_subsampling_x == 1 else "hq"
        options["profile"] = _PRORES_PROFILES.get(video.profile or "", default)
    return Encoding(codec, options, video.pixel_format.name)


def configure(context: Any, video: Video, encoding: Encoding) -> None:
    """Set up an encoder's context before it is opened."""
    context.width, context.height = video.width, video.height
    context.pix_fmt = encoding.format
    context.time_base = video.time_base
    context.framerate = video.rate
    context.sample_aspect_ratio = video.pixel_aspect or 0
    context.color_primaries = video.colour_tags.primaries
    context.color_trc = video.colour_tags.transfer
    context.colorspace = video.colour_tags.matrix
    # The names of yuvj formats imply full range; the names of planar formats do not.
    full_range = video.conversion.full_range and video.pixel_format.kind == "yuv"
    context.color_range = 2 if full_range else video.colour_tags.range
    context.options = dict(encoding.options)
    context.thread_count = 0


class Encoder:
    """An encoder for one segment of a video, which can be decoded independently."""

    def __init__(self, video: Video, encoding: Encoding) -> None:
        from av.codec.context import CodecContext, Flags

        # SVT-AV1 otherwise prints to standard error.
        os.environ.setdefault("SVT_LOG", "1")
        self._video = video
        self._context: CodecContext = CodecContext.create(encoding.codec.encoder, "w")
        configure(self._context, video, encoding)
        # Containers store parameter sets in the file header.
        self._context.flags |= Flags.global_header

    @property
    def extradata(self) -> bytes:
        """The encoder's data for the file header."""
        return self._context.extradata or b""

    def encode(self, frame: "VideoFrame | None") -> "list[Packet[Any]]":
        """Encode a frame, or with None flush the encoder; return the packets that are ready.

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
            problem = f"{self._context.name} cannot encode a frame: {error}"
            raise VideoError(str(self._video.path), problem, "choose another --codec") from error


@dataclass
class _OpenSegment:
    """The segment that is being encoded."""

    encoder: Encoder
    writer: SegmentWriter
    first_pts: int
    last_duration: int = 0
    frame_count: int = 0

    def encode(self, frame: "VideoFrame | None") -> None:
        for packet in self.encoder.encode(frame):
            self.writer.add(packet)


class SegmentEncoder:
    """Encodes frames into segments of a store. Their boundaries follow from time stamps alone."""

    def __init__(self, video: Video, encoding: Encoding, store: SegmentStore) -> None:
        self._video = video
        self._encoding = encoding
        self._store = store
        self._segment: _OpenSegment | None = None

    def add(self, frame: DecodedFrame, pixels: Pixels) -> None:
        """Encode a frame with new pixels.

        Raises
        ------
        VideoError : the encoder fails
        OutputError : the disk is full, or the folder is not writable
        """
        segment = self._segment
        if segment and (frame.pts - segment.first_pts) * self._video.time_base >= SEGMENT_SECONDS:
            self.finish()
        try:
            if self._segment is None:
                encoder = Encoder(self._video, self._encoding)
                self._segment = _OpenSegment(encoder, self._store.new_segment(), frame.pts)
            self._segment.encode(replace_pixels(self._video, frame, pixels))
        except OSError as error:
            raise store_error(self._store.folder, error) from error
        self._segment.frame_count += 1
        self._segment.last_duration = frame.duration

    def finish(self) -> None:
        """Finish the current segment, if there is one; the errors are those of `add`."""
        segment = self._segment
        if segment is None:
            return
        try:
            segment.encode(None)
            if segment.writer.count != segment.frame_count:
                problem = f"{segment.frame_count} frames gave {segment.writer.count} packets"
                remedy = "choose another --codec, and report this"
                raise VideoError(str(self._video.path), problem, remedy)
            segment.writer.finish(segment.last_duration, segment.encoder.extradata)
        except OSError as error:
            raise store_error(self._store.folder, error) from error
        self._segment = None

    def discard(self) -> None:
        """Discard the current segment, if there is one."""
        if self._segment is not None:
            self._segment.writer.discard()


def _check_codec(video: Video, codec: Codec, container: Container, output_name: str) -> None:
    """Check that a codec supports the size and the pixel format of a video."""
    pixel_format = video.pixel_format
    if codec.even_size and (
        video.width % pixel_format.chroma_subsampling_x
        or video.height % pixel_format.chroma_subsampling_y
    ):
        size = f"{video.width} x {video.height}"
        problem = f"{codec.encoder} needs an even width and height, not {size}"
        raise VideoError(output_name, problem, "choose --codec ffv1 (in .mkv), vp9 or av1")
    if pixel_format.name in _planar_formats(codec):
        return
    alternatives = [
        name for name in container.codecs if pixel_format.name in _planar_formats(CODECS[name])
    ]
    if alternatives:
        remedy = f"choose --codec {' or '.join(alternatives)}"
    elif container.name != "mkv":
        remedy = "choose an output name in .mkv"
    else:
        remedy = "convert the video first"
    problem = f"{codec.encoder} does not support {pixel_format.name}, the video's pixel format"
    raise VideoError(output_name, problem, remedy)


def _planar_formats(codec: Codec) -> set[str]:
    """Return the planar formats that an encoder supports; none if this PyAV does not have it."""
    from av.codec import Codec as AvCodec
    from av.codec.codec import UnknownCodecError

    try:
        names = [format.name for format in AvCodec(codec.encoder, "w").video_formats or ()]
    except UnknownCodecError:
        return set()
    return {name for name in names if (planar := planar_format(name)) and planar.name == name}
