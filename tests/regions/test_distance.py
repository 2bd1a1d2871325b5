"""Depth, grown, shrunk and feathered masks against SciPy's exact distance, and what must hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from burnish.regions import distance
from burnish.regions.distance import dilate, distance_transform, erode, feather

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
RADII = st.sampled_from([0, 0.5, 1, 1.5, 2, 3.7, 9, 40])


@pytest.fixture(params=[8, 256])
def tile(request, monkeypatch):
    monkeypatch.setattr(distance, "_TILE", request.param)


@pytest.mark.parametrize("share", [0.6, 0.95, 0.999])
@pytest.mark.parametrize("limit", [1, 2.5, 7, 100])
def test_depth_is_scipy_s_distance_up_to_its_limit(tile, share, limit):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    mask = np.random.default_rng(0).random((53, 61)) < share
    mask[20, 20] = False
    theirs = ndimage.distance_transform_edt(mask)
    near = theirs <= limit
    ours = distance_transform(mask, limit)
    np.testing.assert_allclose(ours[near], theirs[near], rtol=1e-6)
    assert (ours[~near] > limit).all()


@given(MASKS, RADII)
def test_grown_adds_discs(mask, radius):
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    expected = mask.copy()
    for row, column in np.argwhere(mask):
        expected |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    np.testing.assert_array_equal(dilate(mask, radius), expected)


@given(MASKS, RADII)
def test_shrunk_is_grown_of_the_rest(mask, radius):
    np.testing.assert_array_equal(erode(mask, radius), ~dilate(~mask, radius))


@given(MASKS, RADII)
def test_grown_then_shrunk_loses_nothing_and_is_final(mask, radius):
    closed = erode(dilate(mask, radius), radius)
    assert (closed >= mask).all()
    np.testing.assert_array_equal(erode(dilate(closed, radius), radius), closed)


@given(MASKS, RADII)
def test_a_feather_lies_inside(mask, width):
    soft = feather(mask, width)
    assert soft.dtype == np.float32
    np.testing.assert_array_equal(soft > 0, mask)
    assert soft.max(initial=0) <= 1
    np.testing.assert_array_equal(soft[erode(mask, width + 1)], 1)


@given(MASKS, RADII)
def test_a_wider_feather_is_softer(mask, width):
    assert (feather(mask, width + 1) <= feather(mask, width)).all()


def test_an_object_has_no_edge_at_the_picture_s_border():
    np.testing.assert_array_equal(feather(np.ones((5, 6), bool), 3), 1)
