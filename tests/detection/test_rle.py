"""Run lengths against pycocotools, and what broken ones meet."""

import numpy as np
import pytest

from burnish.detection import rle

MASKS = {
    "nothing": np.zeros((5, 7), bool),
    "all": np.ones((5, 7), bool),
    "first pixel": np.eye(1, 12, dtype=bool).reshape(3, 4),
    "last pixel": np.eye(1, 12, 11, dtype=bool).reshape(3, 4),
    "noise": np.random.default_rng(0).random((37, 61)) < 0.4,
    "long runs": np.pad(np.ones((300, 20), bool), ((40, 500), (30, 70))),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_as_pycocotools_does(mask):
    theirs = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    text = theirs.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert rle.encode(mask) == text
    np.testing.assert_array_equal(rle.decode(text, *mask.shape), mask)


def test_plain_counts():
    np.testing.assert_array_equal(
        rle.decode([3, 2, 1], 2, 3), np.array([[0, 0, 1], [0, 1, 0]], bool)
    )


@pytest.mark.parametrize(
    "counts",
    [[3, 2], [7], [-1, 7], [2**62, 2**62, 2**63 - 1], "31", "a\x7f", "o", "ooooooooooooooooooooo"],
    ids=repr,
)
def test_broken_ones_are_refused(counts):
    with pytest.raises((ValueError, OverflowError)):
        rle.decode(counts, 2, 3)
