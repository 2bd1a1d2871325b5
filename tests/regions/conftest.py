import numpy as np
import pytest

from burnish.regions.instances import Instances


@pytest.fixture(scope="session")
def astronaut():
    """A photo of a person, 128 x 128, and a mask of her drawn by hand: an ellipse and a trunk."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    pixels = (data.astronaut()[::4, ::4] / np.float32(255)).astype(np.float32)
    y, x = np.mgrid[:128, :128]
    head = ((x - 56) / 19) ** 2 + ((y - 24) / 21) ** 2 < 1
    trunk = (abs(x - 50) < 20 + (y - 40) * 0.35) & (y > 44)
    return pixels, head | trunk


@pytest.fixture
def three():
    """A cat, a large dog around it, and another cat: masks in full, a value a pixel, 40 x 30."""
    boxes = np.array([[10, 8, 16, 14], [4, 4, 28, 26], [30, 2, 36, 10]], np.float32)
    masks = tuple(
        np.ones((int(b - t), int(r - left)), np.float32) for left, t, r, b in boxes.tolist()
    )
    scores = np.array([0.9, 0.8, 0.4], np.float32)
    return Instances((40, 30), boxes, ("cat", "dog", "cat"), scores, masks)


class Fixed:
    """Finds the same in every picture."""

    name, sha256 = "fixed", None
    classes = ("cat", "dog", "person")

    def __init__(self, found):
        self.found = found

    def find(self, pixels, source=None):
        return self.found


@pytest.fixture
def fixed():
    return Fixed
