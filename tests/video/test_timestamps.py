"""Decoding times: rising, never after a frame is shown, as late as they can be."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from burnish.video.timestamps import dts_from_pts, durations


@st.composite
def shuffled(draw):
    """Time stamps in an order that puts none far from its place."""
    stamps = sorted(draw(st.sets(st.integers(-50, 1000), min_size=1, max_size=30)))
    keys = [n + draw(st.integers(-3, 3)) for n in range(len(stamps))]
    return [stamp for _, stamp in sorted(zip(keys, stamps, strict=True))]


@given(shuffled())
def test_times_rise_and_come_before_frames_are_shown(stamps):
    times = dts_from_pts(stamps)
    assert all(a < b for a, b in pairwise(times))
    assert all(time <= stamp for time, stamp in zip(times, stamps, strict=True))


@given(st.lists(st.integers(0, 1000), unique=True, min_size=1).map(sorted))
def test_frames_in_order_are_decoded_when_they_are_shown(stamps):
    assert dts_from_pts(stamps) == stamps


def test_they_are_those_of_one_encoder_that_ran_through():
    # What x264 gives for two frames out of order at a steady rate.
    shown = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    assert dts_from_pts(shown) == [-2, -1, 0, 1, 2, 3, 4, 5, 6]


@given(shuffled(), st.integers(1, 100))
def test_lengths_fill_the_film(stamps, last):
    assert sum(durations(stamps, last)) == max(stamps) + last - min(stamps)
