import numpy as np
import pytest

from burnish.training.pairs import Pair


@pytest.fixture(autouse=True)
def own_process(single_process):
    """Every test here computes pairs in its own process, unless it says how many there are."""


@pytest.fixture
def write_pair(tmp_path):
    """Write a pair file: `write_pair("a", before, after, values)`, images in [0, 1]."""

    def write_pair(digest, before, after, values=None, name=""):
        path = tmp_path / f"{digest}-{len(list(tmp_path.glob('*.npy')))}.npy"
        np.save(path, np.rint(65535 * np.stack([before, after])).astype(np.uint16))
        return Pair(digest, path, values or {}, name)

    return write_pair
