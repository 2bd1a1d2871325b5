"""Time stamps of muxed packets, and the containers' support of codecs."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.video.formats import CODECS, CONTAINERS
from burnish.video.mux import dts_from_pts, durations

av = pytest.importorskip("av", reason="PyAV is not installed")


@st.composite
def decoding_orders(draw):
    """Presentation times in an order that moves none of them far."""
    times = sorted(draw(st.sets(st.integers(-50, 1000), min_size=1, max_size=30)))
    keys = [index + draw(st.integers(-3, 3)) for index in range(len(times))]
    return [time for _, time in sorted(zip(keys, times, strict=True))]


@given(decoding_orders())
def test_dts_from_pts_increases_and_never_exceeds_pts(pts):
    dts = dts_from_pts(pts)
    assert all(a < b for a, b in pairwise(dts))
    assert all(decoding <= shown for decoding, shown in zip(dts, pts, strict=True))


@given(st.lists(st.integers(0, 1000), unique=True, min_size=1).map(sorted))
def test_dts_from_pts_without_reordering_equals_pts(pts):
    assert dts_from_pts(pts) == pts


def test_dts_from_pts_equals_the_output_of_x264():
    # The output of x264 for two reordered frames at a constant rate.
    pts = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    assert dts_from_pts(pts) == [-2, -1, 0, 1, 2, 3, 4, 5, 6]


@given(decoding_orders(), st.integers(1, 100))
def test_durations_sum_to_the_whole(pts, last_duration):
    assert sum(durations(pts, last_duration)) == max(pts) + last_duration - min(pts)


def test_encoders_of_all_codecs_are_available():
    for codec in CODECS.values():
        assert av.Codec(codec.encoder, "w").canonical_name == codec.name


def test_muxers_support_the_codecs_of_their_containers(tmp_path):
    for container in CONTAINERS.values():
        if container.muxer:
            with av.open(str(tmp_path / container.name), "w", format=container.muxer) as output:
                encoders = {CODECS[name].encoder for name in container.codecs}
                assert encoders <= output.supported_codecs, container.name
