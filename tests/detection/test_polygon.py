"""Filled polygons against the definition, pixel by pixel, and near pycocotools."""

import numpy as np
import pytest

from burnish.detection.polygon import fill_polygon

# pycocotools asks numpy for copies in a way that newer ones deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def by_brute_force(ring, size):
    """Count how often a ray to the right from each pixel's middle meets the ring."""
    whole = np.zeros(size[::-1], bool)
    for row, column in np.ndindex(whole.shape):
        x, y = column + 0.5, row + 0.5
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if (y1 <= y) != (y2 <= y) and x1 + (y - y1) * (x2 - x1) / (y2 - y1) > x:
                whole[row, column] ^= True
    return whole


@pytest.mark.parametrize("seed", range(8))
def test_any_ring(seed):
    ring = np.random.default_rng(seed).uniform(-8, 40, (7, 2))
    np.testing.assert_array_equal(fill_polygon([ring], (30, 25)), by_brute_force(ring, (30, 25)))


def test_near_pycocotools():
    theirs = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([50 + 35 * np.cos(angle), 45 + 30 * np.sin(angle)], axis=1)
    [packed] = theirs.frPyObjects([ring.ravel().tolist()], 90, 100)
    ours, other = fill_polygon([ring], (100, 90)), theirs.decode(packed) > 0
    # Theirs rounds the border to whole pixels, of which it has some 200.
    assert (ours ^ other).sum() < 60
    assert (ours & other).sum() / (ours | other).sum() > 0.98


def test_several_rings_join_and_lines_are_empty():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
    assert fill_polygon([square, square + 2], (4, 4)).sum() == 8
    assert not fill_polygon([square[:2]], (4, 4)).any()
    assert not fill_polygon([], (4, 4)).any()
