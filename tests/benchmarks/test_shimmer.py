"""Shimmer of edits whose outputs are known, and of a guided network."""

from itertools import pairwise

import numpy as np
import pytest
import shimmer

SHIFT = (3, 2)


@pytest.fixture
def frames(make_image):
    return shimmer.pan(make_image(1, 90, 110) / np.float32(255), 4, SHIFT)


def test_pan_shows_the_same_pixels_in_neighbouring_frames(frames):
    assert {frame.shape for frame in frames} == {(81, 104, 3)}
    for first, second in pairwise(frames):
        np.testing.assert_array_equal(first[3:, 2:], second[:-3, :-2])


def test_edit_of_single_pixels_does_not_shimmer(frames, function_edit):
    assert shimmer.shimmer(function_edit(np.sqrt), frames, SHIFT) == 0


def test_shimmer_is_the_mean_difference_in_codes(frames, function_edit):
    calls = []

    def flicker(pixels):
        calls.append(pixels)
        return pixels + np.float32(len(calls) % 2 * 3 / 255)

    value = shimmer.shimmer(function_edit(flicker), frames, SHIFT)
    assert value == pytest.approx(3, abs=1e-3)


def test_all_guides_and_the_operator_are_measured(guided_model, frames):
    rows = {
        name: shimmer.shimmer(edit, frames, SHIFT) for name, edit in shimmer.edits(guided_model)
    }
    assert list(rows) == ["guide: network", "guide: operator", "operator"]
    assert all(value > 0 for value in rows.values())
    assert [name for name, _ in shimmer.edits("l0-smoothing")][-1] == "operator"
