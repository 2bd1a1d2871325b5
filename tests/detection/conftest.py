import json

import numpy as np
import pytest

from burnish.detection import coco
from burnish.detection.coco_writer import CocoWriter
from burnish.photo import Photo

SIDE = 128


def synthetic_photo(seed):
    """Return a noisy gradient with a disc and a box, (128, 128, 3), and their labels and masks."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([x, y, x + y], 2) / (4 * SIDE) + 0.3
    pixels += 0.02 * random.standard_normal(pixels.shape)
    objects = []
    for index in range(2):
        radius = int(random.integers(14, 24))
        centre_x = int(random.integers(radius, SIDE // 2 - radius + 1)) + index * SIDE // 2
        centre_y = int(random.integers(radius, SIDE - radius))
        if (seed + index) % 2 == 0:
            mask = (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2
            pixels[mask] = random.uniform(0.5, 1, 3)
            objects.append(("disc", mask))
        else:
            mask = (abs(x - centre_x) < radius) & (abs(y - centre_y) < 0.7 * radius)
            pixels[mask] = random.uniform(0, 0.4, 3)
            objects.append(("box", mask))
    return pixels.clip(0, 1).astype(np.float32), objects


@pytest.fixture(scope="session")
def shapes_dir(tmp_path_factory):
    """A folder of four synthetic photos and `instances.json`."""
    folder = tmp_path_factory.mktemp("shapes")
    writer = CocoWriter(["disc", "box"])
    for number in range(1, 5):
        pixels, objects = synthetic_photo(number)
        Photo(pixels).save(folder / f"{number}.png")
        writer.add_image(f"{number}.png", (SIDE, SIDE))
        for label, mask in objects:
            writer.add_object(label, mask)
    (folder / "instances.json").write_text(json.dumps(writer.to_json()))
    return folder


@pytest.fixture(scope="session")
def shapes(shapes_dir):
    """The dataset of four synthetic photos, each with a disc and a box."""
    return coco.read_dataset(shapes_dir / "instances.json", shapes_dir)
