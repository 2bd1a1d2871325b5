"""The output of an edit has all that PyAV and ffprobe read in the source."""

import io
import json
import subprocess
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

import burnish
from burnish.editing.history import read_history
from burnish.editing.options import WriteOptions
from burnish.editing.video_file import edit_video
from burnish.errors import VideoError
from burnish.video.formats import EncodingOptions
from burnish.video.mux import PLAIN_KEYS


@pytest.fixture
def copy_video(function_edit, tmp_path):
    """Applies an edit that changes nothing: `copy_video(source, "b.mp4", codec="vp9")`."""

    def copy_video(source, target, function=lambda pixels: pixels, **encoding):
        write = WriteOptions(encoding=EncodingOptions(**encoding))
        edit_video(function_edit(function), source, tmp_path / target, write)
        return tmp_path / target

    return copy_video


def max_differences(before, after):
    """The largest difference of samples in each plane, over all frames."""
    assert len(before.frames) == len(after.frames)
    differences = [
        [int(np.abs(a - b).max()) for a, b in zip(first, second, strict=True)]
        for first, second in zip(before.frames, after.frames, strict=True)
    ]
    return np.max(differences, axis=0)


@pytest.mark.parametrize(
    ("format", "size"),
    [
        ("yuv420p", (64, 48)),
        ("yuv420p", (63, 47)),
        ("yuv420p", (6, 2)),
        ("yuv422p", (63, 47)),
        ("yuv444p", (6, 2)),
        ("yuv420p10le", (63, 47)),
        ("gray", (63, 47)),
    ],
)
def test_edit_video_without_changes_keeps_luma_and_almost_keeps_chroma(
    make_video, read_video, copy_video, format, size
):
    video = make_video("a.mkv", codec="ffv1", format=format, size=size, frames=4)
    before, after = read_video(video), read_video(copy_video(video, "b.mkv"))
    luma, *chroma = max_differences(before, after)
    assert luma == 0
    assert max(chroma, default=0) <= (4 if "10" in format else 1)
    assert after.properties["pix_fmt"] == format


@pytest.mark.parametrize(
    ("matrix", "colour_range"), [(1, 1), (5, 2), (6, 1), (9, 2), (2, 1), (2, 2)]
)
def test_edit_video_uses_and_keeps_the_colour_tags(
    make_video, read_video, copy_video, matrix, colour_range
):
    video = make_video(
        "a.mp4", colours=(1, 6, matrix, colour_range), frames=3, options={"crf": "0"}
    )
    images = []
    target = copy_video(video, "b.mp4", lambda pixels: images.append(pixels) or pixels, crf=0)
    before, after = read_video(video), read_video(target)
    assert after.properties == before.properties
    assert after.properties["colorspace"] == matrix
    luma, *chroma = max_differences(before, after)
    assert luma == 0
    assert max(chroma) <= 1
    # One pixel by the definition. An untagged video of this size is BT.601.
    kr, kb = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(matrix, (0.299, 0.114))
    y = before.frames[0][0][32, 32]
    # The row is three quarters from one chroma sample and one quarter from the other.
    u, v = (plane[15:17, 16] @ [0.25, 0.75] for plane in before.frames[0][1:])
    y = y / 255 if colour_range == 2 else (y - 16) / 219
    u, v = ((c - 128) / (255 if colour_range == 2 else 224) for c in (u, v))
    r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    expected = [r, (y - kr * r - kb * b) / (1 - kr - kb), b]
    assert images[0][32, 32] == pytest.approx(np.clip(expected, 0, 1), abs=1e-5)


def test_edit_video_with_full_range_format_keeps_full_range(make_video, read_video, copy_video):
    video = make_video("a.mkv", codec="mjpeg", format="yuvj420p", frames=3)
    before, after = read_video(video), read_video(copy_video(video, "b.mkv", codec="ffv1"))
    assert after.properties["color_range"] == 2
    luma, *chroma = max_differences(before, after)
    # JPEG's rounding produces a few samples outside the range of RGB.
    assert luma <= 1
    assert max(chroma) <= 2


VARIABLE_PTS = [100, 103, 104, 140, 400, 401, 1100, 1600, 1603, 2099]


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("mov", "libx265"),
        ("mkv", "libvpx-vp9"),
        ("webm", "libsvtav1"),
        ("mp4", "libsvtav1"),
        ("mkv", "libx264"),
    ],
)
def test_edit_video_with_variable_rate_keeps_time_stamps_and_codec(
    make_video, read_video, copy_video, container, codec
):
    video = make_video(
        f"a.{container}",
        codec=codec,
        pts=VARIABLE_PTS,
        time_base=Fraction(1, 1000),
        frames=len(VARIABLE_PTS),
    )
    before, after = read_video(video), read_video(copy_video(video, f"b.{container}"))
    assert len(before.times) == len(VARIABLE_PTS)
    assert after.times == before.times
    assert after.properties["codec"] == before.properties["codec"]


def test_edit_video_with_fractional_rate_keeps_exact_times(make_video, read_video, copy_video):
    base = Fraction(1001, 30000)
    video = make_video("a.mp4", pts=list(range(8)), time_base=base)
    assert read_video(copy_video(video, "b.mp4")).times == [n * base for n in range(8)]


@pytest.mark.parametrize(
    ("container", "codec", "sound"),
    [
        ("mp4", "libx264", "aac"),
        ("mov", "libx264", "pcm_s16le"),
        ("mkv", "libx264", "pcm_s24le"),
        ("mkv", "libx264", "libopus"),
        ("webm", "libvpx-vp9", "libopus"),
    ],
)
def test_edit_video_copies_sound_packets(
    make_video, read_video, copy_video, container, codec, sound
):
    video = make_video(f"a.{container}", codec=codec, sound=sound, frames=12)
    before, after = read_video(video), read_video(copy_video(video, f"b.{container}"))
    assert len(before.packets[1]) > 10
    assert after.packets == before.packets
    assert after.times == before.times


def test_edit_video_without_sound_adds_no_stream(make_video, read_video, copy_video):
    streams = read_video(copy_video(make_video("a.mp4"), "b.mp4")).streams
    assert [kind for kind, *_ in streams] == ["video"]


@pytest.mark.parametrize(("container", "codec"), [("mkv", "subrip"), ("mp4", "mov_text")])
def test_edit_video_copies_subtitles_and_their_language(
    make_video, read_video, copy_video, container, codec
):
    video = make_video(f"a.{container}", subtitles=codec, sound="aac", frames=25)
    before, after = read_video(video), read_video(copy_video(video, f"b.{container}"))
    assert [s[:2] for s in after.streams] == [s[:2] for s in before.streams]
    [index] = [index for index, (kind, *_) in enumerate(after.streams) if kind == "subtitle"]
    assert after.streams[index][2]["language"] == "deu"
    assert after.packets == before.packets
    assert b"Hallo" in b"".join(data for _, data in after.packets[index])


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_edit_video_keeps_chapters(make_video, read_video, copy_video, container):
    chapters = [
        {"id": 1, "start": 0, "end": 100, "metadata": {"title": "A"}},
        {"id": 2, "start": 100, "end": 320, "metadata": {"title": "B"}},
    ]
    chapters = [{**chapter, "time_base": Fraction(1, 1000)} for chapter in chapters]
    video = make_video(f"a.{container}", chapters=chapters)
    before, after = read_video(video), read_video(copy_video(video, f"b.{container}"))
    assert [chapter["metadata"]["title"] for chapter in after.chapters] == ["A", "B"]
    assert after.chapters == before.chapters


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_edit_video_keeps_metadata(make_video, read_video, copy_video, container):
    metadata = {
        "title": "Im Garten",
        "comment": "zwei\nZeilen",
        "creation_time": "2026-05-01T12:00:00Z",
    }
    video = make_video(f"a.{container}", metadata=metadata, stream_metadata={"language": "eng"})
    contents = [read_video(video), read_video(copy_video(video, f"b.{container}"))]
    before, after = (
        {key.lower(): value for key, value in content.metadata.items() if key.lower() != "encoder"}
        for content in contents
    )
    assert after == before
    assert after["title"] == "Im Garten"
    assert [content.streams[0][2]["language"] for content in contents] == ["eng", "eng"]


def test_edit_video_keeps_metadata_keys_beyond_the_plain_ones(
    make_video, read_video, copy_video, tmp_path
):
    metadata = {"title": "x", "com.apple.quicktime.location.ISO6709": "+48.1+011.5/"}
    video = tmp_path / "c.mov"
    options = {"movflags": "use_metadata_tags"}
    with (
        av.open(str(make_video("a.mov"))) as source,
        av.open(str(video), "w", container_options=options) as output,
    ):
        output.metadata.update(metadata)
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    assert metadata.items() <= read_video(copy_video(video, "b.mov")).metadata.items()


@pytest.mark.parametrize("container", PLAIN_KEYS)
def test_plain_keys_are_stored_in_the_plain_form(tmp_path, container):
    path = str(tmp_path / f"a.{container}")
    expected = {
        key: "2026-05-01T12:00:00.000000Z" if "time" in key else f"of {key}"
        for key in PLAIN_KEYS[container]
    }
    with av.open(path, "w") as output:
        output.metadata.update(expected)
        stream = output.add_stream("libx264", rate=25, width=16, height=16, pix_fmt="yuv420p")
        output.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        output.mux(stream.encode(None))
    with av.open(path) as source:
        assert {key: source.metadata.get(key) for key in expected} == expected


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_edit_video_with_rotation_edits_upright_frames_and_keeps_it(
    make_video, read_video, copy_video, rotation
):
    images = {}
    options = {"crf": "0"}
    rotated = make_video("a.mp4", rotation=rotation, frames=2, options=options)
    stored = make_video("c.mp4", frames=2, options=options)
    target = copy_video(rotated, "b.mp4", lambda p: images.setdefault("upright", p), crf=0)
    copy_video(stored, "d.mp4", lambda p: images.setdefault("stored", p))
    assert (images["upright"] == np.rot90(images["stored"], rotation // 90)).all()
    before, after = read_video(rotated), read_video(target)
    assert before.rotation == after.rotation == rotation
    assert (after.frames[0][0] == before.frames[0][0]).all()


@pytest.mark.parametrize(
    ("rotation", "flip"),
    [
        (0, {"hflip": True}),
        (90, {}),
        (90, {"vflip": True}),
        (180, {}),
        (180, {"hflip": True}),
        (270, {"hflip": True}),
    ],
)
def test_edit_video_turns_frames_as_ffmpeg_does(make_video, copy_video, ffprobe, rotation, flip):
    video = make_video("a.mp4", rotation=rotation, flip=flip, frames=1, options={"crf": "0"})
    images = []
    target = copy_video(video, "b.mp4", lambda pixels: images.append(pixels) or pixels)

    def ffmpeg_image(path):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray"]
        raw = subprocess.run([*command, "-"], capture_output=True, check=True).stdout
        return np.frombuffer(raw, np.uint8).reshape(images[0].shape[:2]) / 255

    source_image = ffmpeg_image(video)
    luma = images[0] @ [0.299, 0.587, 0.114]
    # The edit gets upright frames, but not mirrored ones.
    expected = source_image[:, ::-1] if flip else source_image
    assert np.corrcoef(expected.ravel(), luma.ravel())[0, 1] > 0.99
    assert np.corrcoef(ffmpeg_image(target).ravel(), source_image.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_edit_video_keeps_the_pixel_aspect(make_video, read_video, copy_video, container):
    video = make_video(f"a.{container}", aspect=Fraction(16, 11))
    assert read_video(video).properties["aspect"] == Fraction(16, 11)
    assert read_video(copy_video(video, f"b.{container}")).properties["aspect"] == Fraction(16, 11)


@pytest.mark.parametrize(
    ("codec", "format"),
    [
        ("libx264", "yuv420p10le"),
        ("libx265", "yuv422p10le"),
        ("libsvtav1", "yuv420p10le"),
        ("prores_ks", "yuv422p10le"),
        ("libx265", "yuv420p12le"),
    ],
)
def test_edit_video_keeps_the_bit_depth(make_video, read_video, copy_video, codec, format):
    video = make_video("a.mkv", codec=codec, format=format, frames=2)
    before, after = read_video(video), read_video(copy_video(video, "b.mkv"))
    assert after.properties["pix_fmt"] == format
    bits = av.VideoFormat(format).components[0].bits
    # Samples that were rounded to 8 bits would all have the same low bits.
    assert len(np.unique(after.frames[0][0] % 2 ** (bits - 8))) > 1
    error = np.mean([(a[0] - b[0]) ** 2 for a, b in zip(before.frames, after.frames, strict=True)])
    assert 10 * np.log10((2**bits - 1) ** 2 / error) > 40


def test_edit_video_copies_an_attachment(make_video, copy_video):
    video = make_video("a.mkv", attachment=b"a font" * 100, sound="aac")
    with av.open(str(copy_video(video, "b.mkv"))) as output:
        [attachment] = output.streams.attachments
        assert (attachment.name, attachment.mimetype) == ("font.ttf", "font/ttf")
        assert attachment.data == b"a font" * 100


def test_edit_video_keeps_a_timecode(make_video, read_video, copy_video):
    video = make_video("a.mov", stream_metadata={"timecode": "01:02:03:04"})
    assert [kind for kind, *_ in read_video(video).streams] == ["video", "data"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = read_video(copy_video(video, "b.mov"))
    assert [kind for kind, *_ in after.streams] == ["video", "data"]
    assert after.streams[0][2]["timecode"] == "01:02:03:04"


def test_edit_video_keeps_all_that_ffprobe_reports(make_video, copy_video, ffprobe):
    video = make_video(
        "a.mp4", sound="aac", colours=(1, 1, 1, 1), rotation=90, aspect=Fraction(4, 3)
    )
    keys = ("codec_name", "width", "height", "sample_aspect_ratio", "pix_fmt", "color_range")
    keys += ("color_space", "color_transfer", "color_primaries", "r_frame_rate", "channels")
    keys += ("avg_frame_rate", "time_base", "start_pts", "duration", "nb_frames", "profile")

    def report(path):
        command = [ffprobe, "-v", "error", "-of", "json", "-show_streams", "-show_packets"]
        process = subprocess.run([*command, str(path)], capture_output=True, check=True)
        fields = json.loads(process.stdout)
        streams = [{key: s.get(key) for key in keys} for s in fields["streams"]]
        times = sorted((p["stream_index"], p["pts"], p["duration"]) for p in fields["packets"])
        return streams, times, fields["streams"][0]["side_data_list"][0]["rotation"]

    assert report(copy_video(video, "b.mp4")) == report(video)


def test_edit_video_to_another_container_keeps_times_and_sound(make_video, read_video, copy_video):
    video = make_video("a.mp4", sound="aac")
    before, after = read_video(video), read_video(copy_video(video, "b.mkv"))
    # Matroska stores milliseconds, and frames are 40 ms apart.
    assert after.times == before.times
    assert [data for _, data in after.packets[1]] == [data for _, data in before.packets[1]]


def test_edit_video_with_unsupported_codec_uses_the_first_one_of_the_container(
    make_video, read_video, copy_video
):
    video = make_video("a.mkv", codec="ffv1", frames=4)
    webm = copy_video(video, "b.webm", codec="vp9", crf=40)
    with pytest.warns(UserWarning, match="encoded as h264.*ffv1"):
        mp4 = copy_video(video, "c.mp4")
    assert read_video(webm).properties["codec"] == "vp9"
    assert read_video(mp4).properties["codec"] == "h264"


def test_edit_video_tags_hevc_for_apple_players(make_video, copy_video):
    video = make_video("a.mp4", codec="libx265", frames=2)
    with av.open(str(copy_video(video, "b.mp4"))) as output:
        assert output.streams.video[0].codec_context.codec_tag == "hvc1"


def test_apply_to_video_twice_adds_to_its_history(make_video, read_video, tmp_path):
    video = make_video("a.mp4", metadata={"comment": "mine"}, frames=3)
    once = burnish.apply(str(video), "l0-smoothing")
    assert once == str(tmp_path / "a.l0-smoothing.mp4")
    twice = burnish.apply(once, "tv-l1", output=tmp_path / "twice.mkv")
    history = read_history(tmp_path / "twice.mkv")
    assert [record.operator for record in history] == ["l0-smoothing", "tv-l1"]
    metadata = {key.lower(): value for key, value in read_video(twice).metadata.items()}
    assert metadata["comment"].splitlines()[0] == "mine"


def add_streams(video, target, *, cover=False, data=None):
    """Copy a video, and add a cover, or a data stream of that codec."""
    options = {"mpegts_m2ts_mode": "0"} if data else {}
    with av.open(str(video)) as source, av.open(str(target), "w", container_options=options) as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        data_stream = out.add_data_stream(data) if data else None
        cover_stream = None
        if cover and "mp4" in out.format.name:
            cover_stream = out.add_stream("mjpeg", rate=1)
            cover_stream.width = cover_stream.height = 32
            cover_stream.pix_fmt = "yuvj420p"
            cover_stream.disposition = av.stream.Disposition.attached_pic
        elif cover:
            file = io.BytesIO()
            Image.new("RGB", (32, 32), "teal").save(file, "JPEG")
            out.add_attachment("cover.jpg", "image/jpeg", file.getvalue())
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
        if data_stream is not None:
            packet = av.Packet(b"some data")
            packet.stream, packet.time_base = data_stream, Fraction(1, 1000)
            packet.pts = packet.dts = 0
            out.mux(packet)
        if cover_stream is not None:
            out.mux(cover_stream.encode(av.VideoFrame(32, 32, "yuvj420p")))
            out.mux(cover_stream.encode(None))
    return target


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_edit_video_copies_a_cover(make_video, read_video, copy_video, tmp_path, container):
    plain = make_video(f"c.{container}", sound="aac")
    video = add_streams(plain, tmp_path / f"a.{container}", cover=True)
    before, after = read_video(video), read_video(copy_video(video, f"b.{container}"))
    assert len(before.streams) == 3
    assert sorted(s[0] for s in after.streams) == sorted(s[0] for s in before.streams)
    [source_cover], [cover] = (
        [
            packets[0][1]
            for index, packets in content.packets.items()
            if content.streams[index][0] == "video"
        ]
        for content in (before, after)
    )
    assert cover == source_cover


def test_edit_video_with_unsupported_data_warns_and_drops_it(
    make_video, read_video, copy_video, tmp_path
):
    video = add_streams(make_video("a.mp4"), tmp_path / "a.m2ts", data="klv")
    with pytest.warns(UserWarning, match=r"a stream of data \(klv\) is dropped"):
        target = copy_video(video, "b.mp4")
    assert [kind for kind, *_ in read_video(target).streams] == ["video"]


def test_edit_video_written_by_ffmpeg_keeps_decoded_sound(
    read_video, copy_video, tmp_path, ffprobe
):
    """The sound begins before the first frame and is cut by the player; frames are reordered."""
    video = tmp_path / "a.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30000/1001"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-t", "1"]
    command += ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "3", "-c:a", "aac", str(video)]
    subprocess.run(command, check=True)
    target = copy_video(video, "b.mp4")
    before, after = read_video(video), read_video(target)
    assert before.packets[1][0][0] < 0
    assert after.packets == before.packets
    assert after.times == before.times

    def decoded_sound(path):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-vn", "-f", "s16le", "-"]
        return subprocess.run(command, capture_output=True, check=True).stdout

    assert decoded_sound(target) == decoded_sound(video)


def test_edit_video_of_odd_size_needs_a_codec_that_supports_it(make_video, read_video, copy_video):
    video = make_video("a.mkv", codec="ffv1", size=(63, 47), frames=3)
    target = copy_video(video, "b.webm", codec="vp9")
    assert read_video(target).frames[0][0].shape == (47, 63)
    with pytest.raises(VideoError, match=r"libx264 .* even .* 63 x 47"):
        copy_video(video, "c.mp4", codec="h264")


def caption_unit(text):
    """Closed captions as an H.264 unit of supplemental information (ATSC A/53, ITU-T T.35)."""
    pairs = text.encode() + b" " * (len(text) % 2)
    triples = b"".join(b"\xfc" + pairs[n : n + 2] for n in range(0, len(pairs), 2))
    data = b"\xb5\x00\x31GA94\x03" + bytes([0xC0 | len(triples) // 3, 0xFF]) + triples + b"\xff"
    unit = b"\x06\x04" + bytes([len(data)]) + data + b"\x80"
    return len(unit).to_bytes(4, "big") + unit


def captions(path):
    with av.open(str(path)) as source:
        return [
            bytes(data)
            for frame in source.decode(video=0)
            for data in frame.side_data
            if data.type.name == "A53_CC"
        ]


@pytest.fixture
def captioned_video(make_video, tmp_path):
    """An H.264 video of six frames, each with closed captions."""
    video = tmp_path / "a.mp4"
    plain = make_video("c.mp4", frames=6, options={"bf": "0"})
    with av.open(str(plain)) as source, av.open(str(video), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            new = av.Packet(caption_unit(f"frame {number}") + bytes(packet))
            new.stream, new.time_base = stream, packet.time_base
            new.pts, new.dts, new.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
            output.mux(new)
    return video


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_edit_video_keeps_closed_captions(captioned_video, copy_video, codec):
    expected = captions(captioned_video)
    assert len(expected) == 6
    assert b"3" in expected[3]
    assert captions(copy_video(captioned_video, "b.mp4", codec=codec)) == expected


def test_edit_video_to_codec_without_captions_warns(captioned_video, copy_video):
    with pytest.warns(UserWarning, match="closed captions are dropped"):
        copy_video(captioned_video, "b.mp4", codec="av1")
