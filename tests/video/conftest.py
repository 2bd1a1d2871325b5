"""Small films, made by PyAV where a test asks for them, and what a test reads off a film."""

import shutil
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest

from burnish.editing.edit import Edit

av = pytest.importorskip("av", reason="PyAV is not installed")

RATE = 25


def picture(number, height, width):
    """A frame that moves, (height, width, 3) float in [0.1, 0.9], with no sharp edges."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 11 + number / 5 + c) + np.cos(y / 9 - number / 7 + 2 * c) for c in range(3)]
    return 0.5 + 0.2 * np.stack(waves, axis=2)


def sound_frames(seconds, rate):
    time = np.arange(int(rate * seconds)) / rate
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", layout="stereo")
    frame.sample_rate, frame.pts = rate, 0
    fifo = av.AudioFifo()
    fifo.write(frame)
    return fifo.read_many(960, partial=True)


@dataclass
class Clip:
    """How a film is made; its frames are planes of random-free waves unless `draw` says else."""

    codec: str = "libx264"
    format: str = "yuv420p"
    size: tuple[int, int] = (96, 64)
    frames: int = 20
    stamps: list[int] | None = None
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


def yuv(clip, number):
    """A frame of the clip, filled plane by plane so that its samples are known."""
    width, height = clip.size
    frame = av.VideoFrame(width, height, clip.format)
    bits = frame.format.components[0].bits
    kind = np.uint8 if bits <= 8 else np.uint16
    for plane, colour in zip(frame.planes, (1, 2, 0), strict=False):
        whole = np.frombuffer(plane, kind)
        rows = whole[: plane.height * plane.line_size // kind().itemsize].reshape(plane.height, -1)
        channels = 1 if plane.width == rows.shape[1] or plane.width <= width else 3
        waves = picture(0 if clip.still else number, plane.height, plane.width)[..., colour]
        # Little contrast, less in colour, so that all of it can be shown.
        waves = 0.5 + (waves - 0.5) / (2 if colour == 1 else 6)
        rows[:, : plane.width * channels] = np.rint(waves * (2**bits - 1))
    return frame


def make(path, clip):
    with av.open(str(path), "w", container_options=clip.container) as film:
        film.metadata.update(clip.metadata)
        videos = [add_video(film, clip) for _ in range(clip.videos)]
        sound = film.add_stream(clip.sound, rate=48000) if clip.sound else None
        text = film.add_mux_stream(clip.subtitles) if clip.subtitles else None
        if text is not None:
            text.time_base = Fraction(1, 1000)
            text.metadata["language"] = "deu"
        if clip.attachment is not None:
            film.add_attachment("font.ttf", "font/ttf", clip.attachment)
        if clip.chapters:
            film.set_chapters(clip.chapters)
        if text is not None:
            film.start_encoding()
            for number, words in enumerate((b"Hallo", "Grüße".encode())):
                packet = av.Packet(
                    len(words).to_bytes(2, "big") + words if clip.subtitles == "mov_text" else words
                )
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = 100 + 400 * number
                packet.duration = 300
                film.mux(packet)
        for number in range(clip.frames):
            for video in videos:
                frame = yuv(clip, number)
                frame.pts = clip.stamps[number] if clip.stamps else number
                frame.time_base = clip.time_base
                film.mux(video.encode(frame))
        for video in videos:
            film.mux(video.encode(None))
        if sound:
            for frame in sound_frames(clip.frames / RATE, 48000):
                film.mux(sound.encode(frame))
            film.mux(sound.encode(None))
    return path


def add_video(film, clip):
    video = film.add_stream(clip.codec, rate=RATE, options=clip.options)
    video.width, video.height = clip.size
    video.pix_fmt = clip.format
    video.codec_context.time_base = video.time_base = clip.time_base
    if clip.colours:
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace = clip.colours[:3]
        context.color_range = clip.colours[3]
    if clip.aspect:
        video.codec_context.sample_aspect_ratio = clip.aspect
    if clip.rotation is not None:
        video.set_display_rotation(clip.rotation, **clip.flip)
    video.metadata.update(clip.stream_metadata)
    return video


@pytest.fixture
def clip(tmp_path):
    """Makes a film: `clip("a.mp4", sound="aac")`."""
    return lambda name, **how: make(tmp_path / name, Clip(**how))


@dataclass
class Seen:
    """What a film holds."""

    stamps: list[Fraction]
    frames: list[list[np.ndarray]]
    packets: dict[int, list[tuple]]
    metadata: dict[str, str]
    chapters: list[dict]
    context: dict[str, object]
    rotation: int
    streams: list[tuple[str, str | None, dict]]


def see(path):
    with av.open(str(path)) as film:
        video = film.streams.video[0]
        index = video.index
        context = video.codec_context
        told = {
            name: getattr(context, name)
            for name in ("color_primaries", "color_trc", "colorspace", "color_range", "pix_fmt")
        }
        told |= {"codec": context.codec.canonical_name, "aspect": video.sample_aspect_ratio}
        frames = list(film.decode(video))
        seen = Seen(
            [frame.pts * frame.time_base for frame in frames],
            [samples(frame) for frame in frames],
            {},
            dict(film.metadata),
            film.chapters(),
            told,
            frames[0].rotation % 360 if frames else 0,
            [(stream.type, stream.name, dict(stream.metadata)) for stream in film.streams],
        )
    with av.open(str(path)) as film:
        for packet in film.demux():
            if packet.size and packet.stream.index != index:
                time = None if packet.pts is None else packet.pts * packet.time_base
                seen.packets.setdefault(packet.stream.index, []).append((time, bytes(packet)))
    return seen


def samples(frame):
    kind = np.uint8 if frame.format.components[0].bits <= 8 else np.uint16
    return [
        np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].astype(int)
        for plane in frame.planes
    ]


@pytest.fixture
def seen():
    return see


def same(run=lambda pixels, progress=None: pixels, **more):
    return Edit("same", run, "cpu", (), **more)


@pytest.fixture
def unchanged():
    """Makes an edit that does what `run` does, by default nothing."""
    return same


@pytest.fixture
def ffprobe():
    if not (program := shutil.which("ffprobe")):
        pytest.skip("ffprobe is not installed")
    return program
