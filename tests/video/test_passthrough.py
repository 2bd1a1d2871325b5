"""What is in a film is in the result: read by PyAV itself, and by ffprobe where it is installed."""

import io
import json
import subprocess
import warnings
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from burnish.editing.video_file import edit_video
from burnish.errors import VideoError
from burnish.video.formats import EncodingOptions

LOSSLESS = {"codec": "ffv1"}


def compare(before, after):
    """The largest difference of samples in brightness and in colour."""
    assert len(before.frames) == len(after.frames)
    apart = [
        [int(np.abs(a - b).max()) for a, b in zip(one, other, strict=True)]
        for one, other in zip(before.frames, after.frames, strict=True)
    ]
    return np.max(apart, axis=0)


@pytest.mark.parametrize("size", [(96, 64), (95, 63), (6, 2)])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
def test_an_edit_that_changes_nothing_gives_nearly_the_same_samples(
    clip, seen, unchanged, tmp_path, size, format
):
    film = clip("a.mkv", codec="ffv1", format=format, size=size, frames=4)
    edit_video(unchanged(), film, tmp_path / "b.mkv")
    before, after = seen(film), seen(tmp_path / "b.mkv")
    luma, *chroma = compare(before, after)
    assert luma == 0
    assert max(chroma, default=0) <= (4 if "10" in format else 1)
    assert after.context["pix_fmt"] == format


@pytest.mark.parametrize("range", [1, 2])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9, 2])
def test_colours_are_tagged_as_they_were_and_converted_by_their_own(
    clip, seen, unchanged, tmp_path, matrix, range
):
    film = clip("a.mp4", colours=(1, 6, matrix, range), frames=3, options={"crf": "0"})
    told = []
    edit = unchanged(lambda pixels, progress=None: told.append(pixels) or pixels)
    edit_video(edit, film, tmp_path / "b.mp4", encoding_options=EncodingOptions(crf=0))
    before, after = seen(film), seen(tmp_path / "b.mp4")
    assert after.context == before.context
    assert after.context["colorspace"] == matrix
    luma, *chroma = compare(before, after)
    assert luma == 0
    assert max(chroma) <= 1
    # The middle of a frame, by the definition; an untagged film this small is BT.601.
    red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(matrix, (0.299, 0.114))
    y, u, v = (float(plane[n, n]) for plane, n in zip(before.frames[0], (32, 16, 16), strict=True))
    rows = slice(15, 17)  # an even row lies three quarters from one sample, a quarter from another
    u, v = (plane[rows, 16] @ [0.25, 0.75] for plane in before.frames[0][1:])
    y = y / 255 if range == 2 else (y - 16) / 219
    u, v = ((c - 128) / (255 if range == 2 else 224) for c in (u, v))
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    wanted = [r, (y - red * r - blue * b) / (1 - red - blue), b]
    assert told[0][32, 32] == pytest.approx(np.clip(wanted, 0, 1), abs=1e-5)


def test_full_range_said_by_the_format_alone_stays(clip, seen, unchanged, tmp_path):
    film = clip("a.mkv", codec="mjpeg", format="yuvj420p", frames=3)
    edit_video(unchanged(), film, tmp_path / "b.mkv", encoding_options=EncodingOptions("ffv1"))
    before, after = seen(film), seen(tmp_path / "b.mkv")
    assert after.context["color_range"] == 2
    luma, *chroma = compare(before, after)
    # What JPEG made may lie outside what RGB can show, here by rounding only.
    assert luma <= 1
    assert max(chroma) <= 2


VARIABLE = [0, 3, 4, 40, 41, 42, 300, 301, 302, 1000, 1001, 1500, 1503, 1504, 1505, 1999, 2000]


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
def test_time_stamps_are_the_films_own(clip, seen, unchanged, tmp_path, name, codec):
    if (name == "webm" and "26" in codec) or (name == "mov" and "26" not in codec):
        pytest.skip(f"{name} does not hold {codec}")
    base = Fraction(1, 1000)
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    film = clip(
        f"a.{name}",
        codec=codec,
        stamps=[100 + stamp for stamp in VARIABLE],
        time_base=base,
        frames=len(VARIABLE),
        options=options,
    )
    edit_video(unchanged(), film, tmp_path / f"b.{name}")
    before, after = seen(film), seen(tmp_path / f"b.{name}")
    assert len(before.stamps) == len(VARIABLE)
    assert after.stamps == before.stamps
    assert after.context["codec"] == before.context["codec"]


def test_a_steady_rate_that_is_no_whole_number_stays_exact(clip, seen, unchanged, tmp_path):
    film = clip("a.mp4", frames=30, stamps=list(range(30)), time_base=Fraction(1001, 30000))
    edit_video(unchanged(), film, tmp_path / "b.mp4")
    assert seen(tmp_path / "b.mp4").stamps == [n * Fraction(1001, 30000) for n in range(30)]


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("mp4", "libx264", "aac"),
        ("mov", "libx264", "pcm_s16le"),
        ("mkv", "libx264", "pcm_s24le"),
        ("mkv", "libx264", "libopus"),
        ("webm", "libvpx-vp9", "libopus"),
    ],
)
def test_sound_is_the_same_packets_at_the_same_times(
    clip, seen, unchanged, tmp_path, name, codec, sound
):
    film = clip(f"a.{name}", codec=codec, sound=sound, frames=30)
    edit_video(unchanged(), film, tmp_path / f"b.{name}")
    before, after = seen(film), seen(tmp_path / f"b.{name}")
    assert len(before.packets[1]) > 10
    assert after.packets == before.packets
    assert after.stamps == before.stamps


def test_a_film_without_sound_has_none_afterwards(clip, seen, unchanged, tmp_path):
    edit_video(unchanged(), clip("a.mp4"), tmp_path / "b.mp4")
    assert [kind for kind, *_ in seen(tmp_path / "b.mp4").streams] == ["video"]


@pytest.mark.parametrize(("name", "kind"), [("mkv", "subrip"), ("mp4", "mov_text")])
def test_subtitles_and_their_language_are_kept(clip, seen, unchanged, tmp_path, name, kind):
    film = clip(f"a.{name}", subtitles=kind, sound="aac", frames=30)
    edit_video(unchanged(), film, tmp_path / f"b.{name}")
    before, after = seen(film), seen(tmp_path / f"b.{name}")
    assert [s[:2] for s in after.streams] == [s[:2] for s in before.streams]
    [text] = [told for kind, _, told in after.streams if kind == "subtitle"]
    assert text["language"] == "deu"
    assert after.packets == before.packets
    assert b"Hallo" in b"".join(data for _, data in after.packets[1 if name == "mkv" else 2]) or (
        b"Hallo" in b"".join(data for _, data in after.packets[2 if name == "mkv" else 1])
    )


def test_chapters_are_kept(clip, seen, unchanged, tmp_path):
    chapters = [
        {
            "id": 1,
            "start": 0,
            "end": 300,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": "A"},
        },
        {
            "id": 2,
            "start": 300,
            "end": 800,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": "B"},
        },
    ]
    for name in ("mkv", "mp4"):
        film = clip(f"a.{name}", chapters=chapters)
        edit_video(unchanged(), film, tmp_path / f"b.{name}")
        before, after = seen(film), seen(tmp_path / f"b.{name}")
        assert [chapter["metadata"]["title"] for chapter in after.chapters] == ["A", "B"]
        assert after.chapters == before.chapters


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv"])
def test_metadata_is_kept(clip, seen, unchanged, tmp_path, name):
    told = {
        "title": "Im Garten",
        "comment": "zwei\nZeilen",
        "creation_time": "2026-05-01T12:00:00Z",
    }
    film = clip(f"a.{name}", metadata=told, stream_metadata={"language": "eng"})
    edit_video(unchanged(), film, tmp_path / f"b.{name}")
    before, after = seen(film), seen(tmp_path / f"b.{name}")
    for side in (before, after):
        assert {key.lower(): value for key, value in side.metadata.items()}["title"] == "Im Garten"
        assert side.streams[0][2]["language"] == "eng"
    drop = {"encoder"}
    assert {k: v for k, v in after.metadata.items() if k.lower() not in drop} == {
        k: v for k, v in before.metadata.items() if k.lower() not in drop
    }


def test_metadata_that_the_plain_form_does_not_hold_is_kept_in_the_other(
    clip, seen, unchanged, tmp_path
):
    key = "com.apple.quicktime.location.ISO6709"
    film = clip("a.mov", metadata={"title": "x"})
    import av

    with (
        av.open(str(film)) as source,
        av.open(
            str(tmp_path / "c.mov"), "w", container_options={"movflags": "use_metadata_tags"}
        ) as copy,
    ):
        copy.metadata.update({"title": "x", key: "+48.1+011.5/"})
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    edit_video(unchanged(), tmp_path / "c.mov", tmp_path / "b.mov")
    assert seen(tmp_path / "b.mov").metadata[key] == "+48.1+011.5/"
    assert seen(tmp_path / "b.mov").metadata["title"] == "x"


def test_what_the_plain_form_is_said_to_hold_it_holds(tmp_path):
    import av

    from burnish.video.mux import PLAIN_KEYS

    for name, keys in PLAIN_KEYS.items():
        wanted = {
            key: "2026-05-01T12:00:00.000000Z" if "time" in key else f"of {key}" for key in keys
        }
        with av.open(str(tmp_path / f"a.{name}"), "w") as film:
            film.metadata.update(wanted)
            video = film.add_stream("libx264", rate=25, width=16, height=16, pix_fmt="yuv420p")
            film.mux(video.encode(av.VideoFrame(16, 16, "yuv420p")))
            film.mux(video.encode(None))
        with av.open(str(tmp_path / f"a.{name}")) as film:
            assert {key: film.metadata.get(key) for key in wanted} == wanted


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_kept_and_the_edit_sees_frames_upright(
    clip, seen, unchanged, tmp_path, rotation
):
    film = clip("a.mp4", rotation=rotation, frames=3, options={"crf": "0"})
    lying = clip("c.mp4", frames=3, options={"crf": "0"})
    sizes, first = [], {}

    def watch(name):
        def run(pixels, progress=None):
            sizes.append(pixels.shape)
            first.setdefault(name, pixels)
            return pixels

        return unchanged(run)

    edit_video(watch("upright"), film, tmp_path / "b.mp4", encoding_options=EncodingOptions(crf=0))
    edit_video(watch("lying"), lying, tmp_path / "d.mp4")
    assert (first["upright"] == np.rot90(first["lying"], rotation // 90)).all()
    before, after = seen(film), seen(tmp_path / "b.mp4")
    assert before.rotation == after.rotation == rotation
    assert compare(before, after)[0] == 0


@pytest.mark.parametrize("flip", [{}, {"hflip": True}, {"vflip": True}])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_lie_as_ffmpeg_turns_them(clip, unchanged, tmp_path, ffprobe, rotation, flip):
    film = clip("a.mp4", rotation=rotation, flip=flip, frames=1, options={"crf": "0"})
    told = []
    edit_video(unchanged(lambda p, progress=None: told.append(p) or p), film, tmp_path / "b.mp4")

    def shown(path):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray"]
        raw = subprocess.run([*command, "-"], capture_output=True, check=True).stdout
        return np.frombuffer(raw, np.uint8).reshape(told[0].shape[:2]) / 255

    theirs = shown(film)
    luma = told[0] @ [0.299, 0.587, 0.114]
    # What is mirrored is as upright for an operator.
    seen = theirs[:, ::-1] if flip else theirs
    assert np.corrcoef(seen.ravel(), luma.ravel())[0, 1] > 0.99
    assert np.corrcoef(shown(tmp_path / "b.mp4").ravel(), theirs.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", ["mp4", "mkv"])
def test_the_shape_of_pixels_is_kept(clip, seen, unchanged, tmp_path, name):
    film = clip(f"a.{name}", aspect=Fraction(16, 11))
    edit_video(unchanged(), film, tmp_path / f"b.{name}")
    assert seen(film).context["aspect"] == Fraction(16, 11)
    assert seen(tmp_path / f"b.{name}").context["aspect"] == Fraction(16, 11)


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
def test_depth_is_kept(clip, seen, unchanged, tmp_path, codec, format):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    film = clip("a.mkv", codec=codec, format=format, frames=4, options=options)
    edit_video(unchanged(), film, tmp_path / "b.mkv")
    after = seen(tmp_path / "b.mkv")
    assert after.context["pix_fmt"] == format
    bits = av_bits(format)
    # More values than 8 bits have: it did not go through them.
    assert len(np.unique(after.frames[0][0] % 2 ** (bits - 8))) > 1
    before = seen(film)
    error = np.mean([(a[0] - b[0]) ** 2 for a, b in zip(before.frames, after.frames, strict=True)])
    assert 10 * np.log10((2**bits - 1) ** 2 / error) > 40


def av_bits(format):
    import av

    return av.VideoFormat(format).components[0].bits


def test_an_attachment_is_kept(clip, unchanged, tmp_path):
    import av

    film = clip("a.mkv", attachment=b"a font" * 100, sound="aac")
    edit_video(unchanged(), film, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as after:
        [attached] = after.streams.attachments
        assert (attached.name, attached.mimetype) == ("font.ttf", "font/ttf")
        assert attached.data == b"a font" * 100


def test_a_timecode_is_kept(clip, seen, unchanged, tmp_path):
    film = clip("a.mov", stream_metadata={"timecode": "01:02:03:04"})
    assert [kind for kind, *_ in seen(film).streams] == ["video", "data"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edit_video(unchanged(), film, tmp_path / "b.mov")
    after = seen(tmp_path / "b.mov")
    assert [kind for kind, *_ in after.streams] == ["video", "data"]
    assert after.streams[0][2]["timecode"] == "01:02:03:04"


def test_ffprobe_finds_the_same(clip, unchanged, tmp_path, ffprobe):
    film = clip("a.mp4", sound="aac", colours=(1, 1, 1, 1), rotation=90, aspect=Fraction(4, 3))
    edit_video(unchanged(), film, tmp_path / "b.mp4")

    def probe(path):
        command = [
            ffprobe,
            "-v",
            "error",
            "-of",
            "json",
            "-show_streams",
            "-show_packets",
            str(path),
        ]
        told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        keys = ("codec_name", "width", "height", "sample_aspect_ratio", "pix_fmt", "color_range")
        keys += ("color_space", "color_transfer", "color_primaries", "r_frame_rate", "channels")
        keys += ("avg_frame_rate", "time_base", "start_pts", "duration", "nb_frames", "profile")
        streams = [{key: s.get(key) for key in keys} for s in told["streams"]]
        times = sorted((p["stream_index"], p["pts"], p["duration"]) for p in told["packets"])
        return streams, times, told["streams"][0]["side_data_list"][0]["rotation"]

    assert probe(tmp_path / "b.mp4") == probe(film)


def test_one_container_becomes_another(clip, seen, unchanged, tmp_path):
    film = clip("a.mp4", sound="aac", frames=12)
    edit_video(unchanged(), film, tmp_path / "b.mkv")
    before, after = seen(film), seen(tmp_path / "b.mkv")
    assert after.stamps == before.stamps  # 40 ms, which Matroska's whole ms hold
    assert [data for _, data in after.packets[1]] == [data for _, data in before.packets[1]]


def test_a_codec_that_the_container_does_not_hold_becomes_its_usual_one(
    clip, seen, unchanged, tmp_path
):
    film = clip("a.mkv", codec="ffv1", frames=6)
    edit_video(unchanged(), film, tmp_path / "b.webm", encoding_options=EncodingOptions("vp9", 40))
    with pytest.warns(UserWarning, match="encoded as h264, since burnish does not write ffv1"):
        edit_video(unchanged(), film, tmp_path / "c.mp4")
    assert seen(tmp_path / "b.webm").context["codec"] == "vp9"
    assert seen(tmp_path / "c.mp4").context["codec"] == "h264"


def test_apples_players_take_hevc(clip, unchanged, tmp_path):
    import av

    film = clip("a.mp4", codec="libx265", options={"x265-params": "log-level=none"})
    edit_video(unchanged(), film, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as after:
        assert after.streams.video[0].codec_context.codec_tag == "hvc1"


def test_a_film_says_how_it_was_made_and_can_be_edited_twice(clip, seen, tmp_path):
    import burnish
    from burnish.editing.history import read_video_history

    film = clip("a.mp4", metadata={"comment": "mine"}, frames=3)
    once = burnish.apply(str(film), "l0-smoothing")
    assert once == str(tmp_path / "a.l0-smoothing.mp4")
    twice = burnish.apply(once, "tv-l1", output=tmp_path / "twice.mkv")
    assert [step.operator for step in read_video_history(tmp_path / "twice.mkv")] == [
        *("l0-smoothing", "tv-l1")
    ]
    told = {k.lower(): v for k, v in seen(twice).metadata.items()}
    assert told["comment"].splitlines()[0] == "mine"


def jpeg():
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(file, "JPEG")
    return file.getvalue()


def with_more(film, to, *, cover=False, data=None):
    """The same film with a cover, or a stream of data of that codec."""
    import av

    plain = {"mpegts_m2ts_mode": "0"} if data else {}
    with av.open(str(film)) as source, av.open(str(to), "w", container_options=plain) as copy:
        streams = {s.index: copy.add_stream_from_template(s) for s in source.streams}
        more = copy.add_data_stream(data) if data else None
        picture = copy.add_stream("mjpeg", rate=1) if cover and "mp4" in copy.format.name else None
        if cover and picture is None:
            copy.add_attachment("cover.jpg", "image/jpeg", jpeg())
        if picture is not None:
            picture.width = picture.height = 32
            picture.pix_fmt = "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)
        if more is not None:
            packet = av.Packet(b"some data")
            packet.stream, packet.time_base = more, Fraction(1, 1000)
            packet.pts = packet.dts = 0
            copy.mux(packet)
        if picture is not None:
            copy.mux(picture.encode(av.VideoFrame(32, 32, "yuvj420p")))
            copy.mux(picture.encode(None))
    return to


@pytest.mark.parametrize("name", ["mp4", "mkv"])
def test_a_cover_is_kept_and_is_no_second_film(clip, seen, unchanged, tmp_path, name):
    film = with_more(clip(f"c.{name}", sound="aac"), tmp_path / f"a.{name}", cover=True)
    edit_video(unchanged(), film, tmp_path / f"b.{name}")
    before, after = seen(film), seen(tmp_path / f"b.{name}")
    assert len(before.streams) == 3
    assert sorted(kind for kind, *_ in after.streams) == sorted(kind for kind, *_ in before.streams)
    [one] = [p for index, p in before.packets.items() if before.streams[index][0] == "video"]
    [other] = [p for index, p in after.packets.items() if after.streams[index][0] == "video"]
    assert one[0][1] == other[0][1]


def test_data_that_a_container_does_not_hold_is_left_out_and_said(clip, seen, unchanged, tmp_path):
    film = with_more(clip("a.mp4"), tmp_path / "a.m2ts", data="klv")
    with pytest.warns(UserWarning, match=r"a stream of data \(klv\) is left out"):
        edit_video(unchanged(), film, tmp_path / "b.mp4")
    assert [kind for kind, *_ in seen(tmp_path / "b.mp4").streams] == ["video"]


def test_what_ffmpeg_made_is_kept_to_the_sample(seen, unchanged, tmp_path, ffprobe):
    """Sound that begins before the pictures, to be cut by the player; frames out of order."""
    film = tmp_path / "a.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=128x96:rate=30000/1001"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-t", "3"]
    command += ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "3", "-c:a", "aac", str(film)]
    subprocess.run(command, check=True)
    edit_video(unchanged(), film, tmp_path / "b.mp4")
    before, after = seen(film), seen(tmp_path / "b.mp4")
    assert before.packets[1][0][0] < 0
    assert after.packets == before.packets
    assert after.stamps == before.stamps

    def heard(path):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-vn", "-f", "s16le", "-"]
        return subprocess.run(command, capture_output=True, check=True).stdout

    assert heard(tmp_path / "b.mp4") == heard(film)


def test_an_odd_size_goes_where_it_can(clip, seen, unchanged, tmp_path):
    film = clip("a.mkv", codec="ffv1", size=(95, 63), frames=3)
    edit_video(unchanged(), film, tmp_path / "b.webm", encoding_options=EncodingOptions("vp9"))
    assert seen(tmp_path / "b.webm").frames[0][0].shape == (63, 95)
    with pytest.raises(VideoError, match="expected an even width and height for libx264") as caught:
        edit_video(unchanged(), film, tmp_path / "c.mp4", encoding_options=EncodingOptions("h264"))
    assert caught.value.got == "95 x 63"


def captions(text):
    """Closed captions as a unit of supplemental information (ATSC A/53, ITU-T T.35) of H.264."""
    pairs = text.encode() + b" " * (len(text) % 2)
    triples = b"".join(b"\xfc" + pairs[n : n + 2] for n in range(0, len(pairs), 2))
    data = b"\xb5\x00\x31GA94\x03" + bytes([0xC0 | len(triples) // 3, 0xFF]) + triples + b"\xff"
    unit = b"\x06\x04" + bytes([len(data)]) + data + b"\x80"
    return len(unit).to_bytes(4, "big") + unit


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_closed_captions_inside_the_pictures_are_kept(clip, unchanged, tmp_path, codec):
    import av

    plain = clip("c.mp4", frames=6, options={"bf": "0"})
    film = tmp_path / "a.mp4"
    with av.open(str(plain)) as source, av.open(str(film), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            new = av.Packet(captions(f"frame {number}") + bytes(packet))
            new.stream, new.time_base = stream, packet.time_base
            new.pts, new.dts, new.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
            copy.mux(new)
    edit_video(unchanged(), film, tmp_path / "b.mp4", encoding_options=EncodingOptions(codec))

    def read(path):
        with av.open(str(path)) as film:
            return [
                bytes(data)
                for frame in film.decode(video=0)
                for data in frame.side_data
                if data.type.name == "A53_CC"
            ]

    assert len(read(film)) == 6
    assert b"3" in read(film)[3]
    assert read(tmp_path / "b.mp4") == read(film)
    with pytest.warns(UserWarning, match="closed captions are left out, which libsvtav1"):
        edit_video(unchanged(), film, tmp_path / "d.mp4", encoding_options=EncodingOptions("av1"))
