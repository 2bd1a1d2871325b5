import os
import sys
from dataclasses import asdict

import hypothesis
import numpy as np
import pytest
from PIL import Image

from burnish.cli.app import main

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


@pytest.fixture
def one_thread():
    """On several threads torch sums some gradients in an order of chance: equal up to rounding."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


@pytest.fixture(scope="session")
def card_of():
    """Makes the card of a network, with its sliders and the operator that it is said to learn."""
    from burnish.modelfile.card import Card, CardParam

    def card_of(network, sliders=(), operator="python:none:none", **changes):
        fields = {name: getattr(network, name) for name in NETWORK_FIELDS}
        params = [CardParam(value=p.default, slider=True, **asdict(p)) for p in sliders]
        fields |= {"name": "lively", "operator": operator, "title": "Nothing in particular"}
        fields |= {"paper": None, "params": params, "network": "fast", "measured": ()}
        fields |= {"training": {}, "licence": "MIT", "burnish_version": "0.1.0"}
        fields["places"] = bool(network.thumbnail)
        fields["parameters"] = sum(p.numel() for p in network.parameters())
        return Card(**fields | changes)

    return card_of


NETWORK_FIELDS = (
    *("halo", "multiple", "macs_per_pixel"),
    *("activations_per_pixel", "thumbnail"),
)


@pytest.fixture(scope="session")
def lively():
    """Makes an untrained network whose every number counts; sliders are l0-smoothing's."""
    import torch

    from burnish.networks.unet import UNet
    from burnish.operators.table import OPERATORS

    def lively(sliders=("lambda", "kappa"), thumbnail=True, seed=0, **shape):
        taken = [p for p in OPERATORS["l0-smoothing"].params if p.name in sliders]
        wanted = {"widths": (4, 6), "down": (1, 1), "up": (1,)} | shape
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = UNet(**wanted, sliders=taken, thumbnail=thumbnail)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        return network.eval(), taken

    return lively


@pytest.fixture(scope="session")
def slider_model(lively, card_of, tmp_path_factory):
    """A model file that takes lambda, kappa and a thumbnail; its operator is l0-smoothing."""
    from burnish.modelfile.write import export

    network, sliders = lively()
    card = card_of(network, sliders, "l0-smoothing")
    return export(network, card, tmp_path_factory.mktemp("models") / "lively.onnx")


@pytest.fixture
def burnish(monkeypatch, capfd):
    """Run the command line in this process; returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["burnish", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return code, said.out, said.err

    return run
