"""A small library whose keywords are colours, and a tiny backbone."""

import numpy as np
import pytest
from PIL import Image

from burnish.photo.xmp_keywords import add_keywords as add_xmp_keywords

COLOURS = {"Rot": (255, 0, 0), "vert": (0, 255, 0), "青い": (0, 0, 255)}


def _write_photo(path, keywords=(), seed=0):
    """Write a photo of 16 x 16 px with a patch in the colour of each keyword."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 60, (16, 16, 3)).astype(np.uint8)
    places = random.permutation(4)
    for place, keyword in zip(places, keywords, strict=False):
        top, left = divmod(int(place), 2)
        pixels[8 * top : 8 * top + 8, 8 * left : 8 * left + 8] = COLOURS.get(keyword, (90, 90, 90))
    xmp = add_xmp_keywords(None, list(keywords)) if keywords else b""
    Image.fromarray(pixels).save(path, quality=95, xmp=xmp)
    return path


@pytest.fixture(scope="session")
def library_folder(tmp_path_factory):
    """40 photos with up to three keywords, and four without any."""
    folder = tmp_path_factory.mktemp("library")
    random = np.random.default_rng(0)
    names = list(COLOURS)
    for index in range(40):
        present = [name for name in names if random.random() < 0.45] or [names[index % 3]]
        _write_photo(folder / f"photo{index:02}.jpg", present, seed=index)
    for index in range(4):
        _write_photo(folder / f"plain{index}.jpg", seed=100 + index)
    return folder


@pytest.fixture(scope="session")
def tiny_backbone():
    """A network with the outputs of `Backbone`: the colours of the photo and of its quarters."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("timm", reason="timm is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")

    class Colours(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Buffer(torch.ones(1))

        def forward(self, image):
            maps = torch.nn.functional.avg_pool2d(image * self.scale, 8)
            pooled = torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], dim=1)
            return pooled, maps.flatten(2).transpose(1, 2)

    return Colours().eval()


@pytest.fixture
def write_photo():
    """The function that writes a photo with patches in the colours of keywords."""
    return _write_photo
