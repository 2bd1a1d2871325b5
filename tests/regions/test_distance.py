"""The distance transform against SciPy's, and dilation, erosion and feathering by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from burnish.regions import distance
from burnish.regions.distance import dilate, distance_transform, erode, feather

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
RADII = st.sampled_from([0, 0.5, 1, 1.5, 2, 3.7, 9, 40])


@pytest.mark.parametrize("tile_side", [8, 256])
@pytest.mark.parametrize("density", [0.6, 0.95, 0.999])
@pytest.mark.parametrize("limit", [1, 2.5, 7, 100])
def test_distance_transform_equals_scipy_up_to_its_limit(monkeypatch, tile_side, density, limit):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    monkeypatch.setattr(distance, "_TILE", tile_side)
    mask = np.random.default_rng(0).random((53, 61)) < density
    mask[20, 20] = False
    expected = ndimage.distance_transform_edt(mask)
    near = expected <= limit
    distances = distance_transform(mask, limit)
    np.testing.assert_allclose(distances[near], expected[near], rtol=1e-6)
    assert (distances[~near] > limit).all()


@given(MASKS, RADII)
def test_dilate_adds_discs(mask, radius):
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    expected = mask.copy()
    for row, column in np.argwhere(mask):
        expected |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    np.testing.assert_array_equal(dilate(mask, radius), expected)


@given(MASKS, RADII)
def test_erode_is_dilation_of_the_complement(mask, radius):
    np.testing.assert_array_equal(erode(mask, radius), ~dilate(~mask, radius))


@given(MASKS, RADII)
def test_closing_keeps_the_mask_and_is_idempotent(mask, radius):
    closed = erode(dilate(mask, radius), radius)
    assert (closed >= mask).all()
    np.testing.assert_array_equal(erode(dilate(closed, radius), radius), closed)


@given(MASKS, RADII)
def test_feather_lies_inside_the_mask(mask, width):
    soft = feather(mask, width)
    assert soft.dtype == np.float32
    np.testing.assert_array_equal(soft > 0, mask)
    assert soft.max(initial=0) <= 1
    np.testing.assert_array_equal(soft[erode(mask, width + 1)], 1)


@given(MASKS, RADII)
def test_feather_with_a_larger_width_is_softer(mask, width):
    assert (feather(mask, width + 1) <= feather(mask, width)).all()


def test_feather_leaves_the_border_of_the_image_sharp():
    np.testing.assert_array_equal(feather(np.ones((5, 6), bool), 3), 1)
