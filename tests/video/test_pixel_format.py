"""Layouts agree with what FFmpeg says of each pixel format."""

import pytest

from burnish.video.formats import CODECS, CONTAINERS
from burnish.video.pixel_format import planar_format

av = pytest.importorskip("av", reason="PyAV is not installed")

PLANAR = [
    *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuvj420p", "yuvj422p", "yuvj444p"),
    *("yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv444p16le", "yuv420p9le"),
    *("gray", "gray10le", "gray12le", "gbrp", "gbrp10le", "gbrp12le", "gbrp16le"),
]


@pytest.mark.parametrize("name", PLANAR)
def test_a_layout_is_what_ffmpeg_says(name):
    layout = planar_format(name)
    theirs = av.VideoFormat(name, 64, 32)
    assert layout.bits == theirs.components[0].bits
    assert len(theirs.components) == (1 if layout.kind == "gray" else 3)
    assert (layout.kind == "gbr") == theirs.is_rgb
    assert all(part.plane == n for n, part in enumerate(theirs.components)) or theirs.is_rgb
    if layout.kind == "yuv":
        assert 64 // layout.chroma_subsampling_x == theirs.chroma_width()
        assert 32 // layout.chroma_subsampling_y == theirs.chroma_height()


@pytest.mark.parametrize("name", ["nv12", "nv21", "p010le", "yuyv422", "rgb24", "bgr0", "rgb48le"])
def test_what_is_brought_into_planes_has_the_same_depth_and_chroma(name):
    layout = planar_format(name)
    theirs, planar = av.VideoFormat(name, 64, 32), av.VideoFormat(layout.format, 64, 32)
    assert layout.bits == theirs.components[0].bits == planar.components[0].bits
    if not theirs.is_rgb:
        assert theirs.chroma_width() == planar.chroma_width()
        assert theirs.chroma_height() == planar.chroma_height()


@pytest.mark.parametrize(
    "name", ["yuva420p", "gbrap", "rgba", "pal8", "yuv411p", "yuv410p", "gray10be"]
)
def test_what_would_lose_something_is_none(name):
    assert planar_format(name) is None


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_codecs_are_there(codec):
    assert av.Codec(codec.encoder, "w").canonical_name == codec.name


@pytest.mark.parametrize(
    "container", [c for c in CONTAINERS.values() if c.muxer], ids=lambda container: container.name
)
def test_containers_hold_what_they_are_said_to(container, tmp_path):
    with av.open(str(tmp_path / "a"), "w", format=container.muxer) as film:
        assert {CODECS[name].encoder for name in container.codecs} <= film.supported_codecs
