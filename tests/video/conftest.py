"""Fixtures that write small videos with PyAV and read their content."""

import shutil
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av", reason="PyAV is not installed")

RATE = 25


def waves(number, height, width):
    """A moving image without sharp edges, (height, width, 3) floats in [0.1, 0.9]."""
    y, x = np.mgrid[:height, :width]
    sums = [np.sin(x / 11 + number / 5 + c) + np.cos(y / 9 - number / 7 + 2 * c) for c in range(3)]
    return 0.5 + 0.2 * np.stack(sums, axis=2)


def audio_frames(seconds, rate):
    time = np.arange(int(rate * seconds)) / rate
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", layout="stereo")
    frame.sample_rate, frame.pts = rate, 0
    fifo = av.AudioFifo()
    fifo.write(frame)
    return fifo.read_many(960, partial=True)


@dataclass
class VideoSpec:
    """The properties of a video to make."""

    codec: str = "libx264"
    format: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    frames: int = 8
    pts: list[int] | None = None
    time_base: Fraction = Fraction(1, RATE)
    options: dict[str, str] = field(default_factory=dict)
    sound: str | None = None
    colours: tuple[int, int, int, int] | None = None
    aspect: Fraction | None = None
    rotation: int | None = None
    flip: dict[str, bool] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: list[dict] = field(default_factory=list)
    subtitles: str | None = None
    attachment: bytes | None = None
    stream_metadata: dict[str, str] = field(default_factory=dict)
    videos: int = 1
    still: bool = False
    container: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if self.codec == "libx265":
            self.options = {"x265-params": "log-level=none", **self.options}


def encoder_frame(spec, number):
    """A frame that is filled plane by plane, so that its samples are known."""
    width, height = spec.size
    frame = av.VideoFrame(width, height, spec.format)
    bits = frame.format.components[0].bits
    dtype = np.uint8 if bits <= 8 else np.uint16
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=False):
        samples = np.frombuffer(plane, dtype)
        rows = samples[: plane.height * plane.line_size // dtype().itemsize]
        rows = rows.reshape(plane.height, -1)
        channels = 1 if plane.width == rows.shape[1] or plane.width <= width else 3
        values = waves(0 if spec.still else number, plane.height, plane.width)[..., channel]
        # Low contrast, and lower in chroma, so that RGB can represent all of it.
        values = 0.5 + (values - 0.5) / (2 if channel == 1 else 6)
        rows[:, : plane.width * channels] = np.rint(values * (2**bits - 1))
    return frame


def write_video(path, spec):
    with av.open(str(path), "w", container_options=spec.container) as output:
        output.metadata.update(spec.metadata)
        streams = [add_video_stream(output, spec) for _ in range(spec.videos)]
        sound = output.add_stream(spec.sound, rate=48000) if spec.sound else None
        text = output.add_mux_stream(spec.subtitles) if spec.subtitles else None
        if spec.attachment is not None:
            output.add_attachment("font.ttf", "font/ttf", spec.attachment)
        if spec.chapters:
            output.set_chapters(spec.chapters)
        if text is not None:
            write_subtitles(output, text, spec.subtitles)
        for number in range(spec.frames):
            for stream in streams:
                frame = encoder_frame(spec, number)
                frame.pts = spec.pts[number] if spec.pts else number
                frame.time_base = spec.time_base
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
        if sound:
            for frame in audio_frames(spec.frames / RATE, 48000):
                output.mux(sound.encode(frame))
            output.mux(sound.encode(None))
    return path


def write_subtitles(output, stream, codec):
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "deu"
    output.start_encoding()
    for number, text in enumerate((b"Hallo", "Grüße".encode())):
        data = len(text).to_bytes(2, "big") + text if codec == "mov_text" else text
        packet = av.Packet(data)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = 100 + 400 * number
        packet.duration = 300
        output.mux(packet)


def add_video_stream(output, spec):
    stream = output.add_stream(spec.codec, rate=RATE, options=spec.options)
    stream.width, stream.height = spec.size
    stream.pix_fmt = spec.format
    context = stream.codec_context
    context.time_base = stream.time_base = spec.time_base
    if spec.colours:
        context.color_primaries, context.color_trc, context.colorspace = spec.colours[:3]
        context.color_range = spec.colours[3]
    if spec.aspect:
        context.sample_aspect_ratio = spec.aspect
    if spec.rotation is not None:
        stream.set_display_rotation(spec.rotation, **spec.flip)
    stream.metadata.update(spec.stream_metadata)
    return stream


@pytest.fixture
def make_video(tmp_path):
    """Makes a video: `make_video("a.mp4", sound="aac")`."""
    return lambda name, **spec: write_video(tmp_path / name, VideoSpec(**spec))


@dataclass
class VideoContent:
    """The content of a video. `packets` are those of all other streams, by stream index."""

    times: list[Fraction]
    frames: list[list[np.ndarray]]
    packets: dict[int, list[tuple]]
    metadata: dict[str, str]
    chapters: list[dict]
    properties: dict[str, object]
    rotation: int
    streams: list[tuple[str, str | None, dict]]


PROPERTIES = ("color_primaries", "color_trc", "colorspace", "color_range", "pix_fmt")


@pytest.fixture
def read_video():
    """Reads the content of a video with PyAV."""

    def read(path):
        with av.open(str(path)) as source:
            stream = source.streams.video[0]
            index = stream.index
            properties = {name: getattr(stream.codec_context, name) for name in PROPERTIES}
            properties["codec"] = stream.codec_context.codec.canonical_name
            properties["aspect"] = stream.sample_aspect_ratio
            frames = list(source.decode(stream))
            content = VideoContent(
                times=[frame.pts * frame.time_base for frame in frames],
                frames=[plane_samples(frame) for frame in frames],
                packets={},
                metadata=dict(source.metadata),
                chapters=source.chapters(),
                properties=properties,
                rotation=frames[0].rotation % 360 if frames else 0,
                streams=[(s.type, s.name, dict(s.metadata)) for s in source.streams],
            )
        with av.open(str(path)) as source:
            for packet in source.demux():
                if packet.size and packet.stream.index != index:
                    time = None if packet.pts is None else packet.pts * packet.time_base
                    content.packets.setdefault(packet.stream.index, []).append(
                        (time, bytes(packet))
                    )
        return content

    return read


def plane_samples(frame):
    dtype = np.uint8 if frame.format.components[0].bits <= 8 else np.uint16
    return [
        np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width].astype(int)
        for plane in frame.planes
    ]


@pytest.fixture
def ffprobe():
    if not (program := shutil.which("ffprobe")):
        pytest.skip("ffprobe is not installed")
    return program
