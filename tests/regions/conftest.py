"""Drawn photos with outlined objects, what is found in them, and an untrained detector's file."""

import json

import numpy as np
import pytest

from burnish.photo import Photo
from burnish.regions import rle
from burnish.regions.instances import Instances

SIDE = 128


def drawn(index, side=SIDE):
    """A photo of a slope and a little noise with a disc and a box, and their masks."""
    random = np.random.default_rng(index)
    y, x = np.mgrid[:side, :side]
    pixels = np.stack([x, y, x + y], 2) / (4 * side) + 0.3
    pixels += 0.02 * random.standard_normal(pixels.shape)
    masks = []
    for place in range(2):
        half = int(random.integers(14, 24))
        across = int(random.integers(half, side // 2 - half + 1)) + place * side // 2
        down = int(random.integers(half, side - half))
        if (index + place) % 2 == 0:
            mask = (x - across) ** 2 + (y - down) ** 2 < half**2
            pixels[mask] = random.uniform(0.5, 1, 3)
            masks.append(("disc", mask))
        else:
            mask = (abs(x - across) < half) & (abs(y - down) < 0.7 * half)
            pixels[mask] = random.uniform(0, 0.4, 3)
            masks.append(("box", mask))
    return pixels.clip(0, 1).astype(np.float32), masks


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A folder of four drawn photos and `instances.json`."""
    folder = tmp_path_factory.mktemp("shapes")
    images, annotations = [], []
    for index in range(1, 5):
        pixels, masks = drawn(index)
        Photo(pixels).save(folder / f"{index}.png")
        images.append({"id": index, "file_name": f"{index}.png", "width": SIDE, "height": SIDE})
        for label, mask in masks:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": 1 + (label == "box"),
                    "segmentation": {"size": [SIDE, SIDE], "counts": rle.encode(mask)},
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "disc"}, {"id": 2, "name": "box"}]
    record = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def untrained():
    """A light network that looks at small pictures and has learnt nothing."""
    import torch

    pytest.importorskip("torchvision", reason="torchvision is not installed")
    from burnish.regions.learning.layouts import light

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = light(2, mask_score=True).train()
        # With statistics of real signals: without, all signals vanish, and all scores are equal.
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        with torch.no_grad():
            network.backbone(torch.rand(4, 3, 96, 96))
        return network.eval()


@pytest.fixture(scope="session")
def detector_card():
    """Makes a detector's card."""
    from burnish.regions.card import DetectorCard

    def detector_card(**changes):
        fields = {"name": "shapes", "title": "Discs and boxes", "network": "light"}
        fields |= {"classes": ("disc", "box"), "shorter": 96, "longer": 144, "parameters": 1}
        fields |= {"measured": (), "training": {}, "abilities": "Shapes.", "licence": "MIT"}
        return DetectorCard(**fields | {"burnish_version": "0.1.0"} | changes)

    return detector_card


@pytest.fixture(scope="session")
def detector_file(untrained, detector_card, tmp_path_factory):
    """The untrained network as a detector's file; what it finds means nothing."""
    from burnish.regions.learning.export import export

    target = tmp_path_factory.mktemp("detector") / "shapes.onnx"
    return export(untrained, detector_card(), target, half=True)


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
