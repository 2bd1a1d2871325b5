import os

import hypothesis
import numpy as np
import pytest
from PIL import Image

# What lands is judged by examples that are the same each time; people's runs look for new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Every test has a cache of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("BURNISH_CACHE", str(folder))
    return folder


def draw(seed: int, height: int = 40, width: int = 56) -> np.ndarray:
    """Something photo-like: a slope, a few boxes and a little noise, uint8 RGB."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = 90 + np.stack([x, y, x + y], axis=2) * 60 / (height + width)
    for _ in range(5):
        top, left = random.integers(height - 8), random.integers(width - 8)
        box = slice(top, top + random.integers(4, 20)), slice(left, left + random.integers(4, 20))
        pixels[box] = random.integers(0, 256, 3)
    pixels += 4 * random.standard_normal(pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path):
    """A folder of six small photos, one of them upright."""
    folder = tmp_path / "фото"  # names are not always ASCII
    folder.mkdir()
    for seed in range(6):
        pixels = draw(seed)
        Image.fromarray(pixels if seed else pixels.transpose(1, 0, 2)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def picture():
    """Draws a picture from a seed: `picture(3)` is (40, 56, 3) uint8."""
    return draw
