"""Run lengths against pycocotools, and what no file may do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from burnish.regions import rle

# pycocotools asks numpy for copies in a way that newer ones deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MASKS = arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(MASKS)
def test_as_pycocotools_does(mask):
    theirs = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    packed = theirs.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert rle.pack(rle.encode(mask)) == packed
    ours = {"size": list(mask.shape), "counts": packed.encode()}
    np.testing.assert_array_equal(theirs.decode(ours), mask)


@given(MASKS)
def test_there_and_back(mask):
    runs = rle.unpack(rle.pack(rle.encode(mask)))
    np.testing.assert_array_equal(rle.decode(runs, mask.shape[::-1]), mask)


def test_long_runs():
    theirs = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    mask = np.zeros((3000, 2000), bool)
    mask[100:2900, 900] = True
    packed = rle.pack(rle.encode(mask))
    assert packed == theirs.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    np.testing.assert_array_equal(rle.decode(rle.unpack(packed), (2000, 3000)), mask)


@pytest.mark.parametrize("text", ["P", "a\x7f", "é", "P" * 1000 + "0", "\x00"])
def test_text_that_no_mask_packs_to(text):
    with pytest.raises(rle.BrokenRleError):
        rle.unpack(text)


@pytest.mark.parametrize("runs", [[5], [3, 2], [-1, 7], [6, -6, 6], [2**40]])
def test_runs_that_make_no_mask(runs):
    with pytest.raises(rle.BrokenRleError, match="do not add up to 3 x 2"):
        rle.decode(runs, (3, 2))
