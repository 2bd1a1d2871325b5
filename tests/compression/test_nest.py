"""Networks of other qualities, added to the file of a trained one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from burnish.compression.grow import grow, sort_by_importance
from burnish.export.onnx_export import export
from burnish.modelfile.card import CardParam
from burnish.modelfile.reader import read_card
from burnish.networks.registry import NETWORKS, NETWORKS_BY_QUALITY, NetworkSpec
from burnish.params import Param
from burnish.runtime.model import Model
from burnish.training.sampler import Batch

pytestmark = pytest.mark.usefixtures("single_process")

SHAPES = {"tinier": (2, 3), "tiny": (4, 6)}


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    defaults = {"batch": 2, "crop": 32, "short_sides": ()}
    for name, widths in SHAPES.items():
        shape = {"widths": widths, "down": (1, 1), "up": (1,)}
        spec = NetworkSpec("for tests", "unet:UNet", shape, is_unet=True, train_defaults=defaults)
        monkeypatch.setitem(NETWORKS, name, spec)
    monkeypatch.setitem(NETWORKS_BY_QUALITY, "preview", "tinier")
    monkeypatch.setitem(NETWORKS_BY_QUALITY, "standard", "tiny")


@pytest.fixture
def operator(tmp_path):
    script = tmp_path / "own.py"
    script.write_text("def darken(rgb, amount: float = 0.5):\n    return rgb * (1 - amount)\n")
    return f"python:{script}:darken"


def test_command_adds_a_preview(
    burnish, operator, photo_folder, tmp_path, random_network, make_card
):
    network, _ = random_network(names=(), global_context=False)
    amount = Param("amount", "darkens", default=0.5, low=0.0, high=1.0)
    params = [CardParam.from_param(amount, 0.5, slider=False)]
    card = make_card(network, operator="python:darken", params=params)
    card = card.model_copy(update={"network": "tiny"})
    model = export(network, card, tmp_path / "tiny.onnx")
    output = tmp_path / "nested.onnx"
    arguments = ["compress", model, "--operator", operator, "--photos", photo_folder]
    arguments += ["--run-dir", tmp_path / "run", "-o", output, "--steps", 2]
    code, out, err = burnish(*arguments, "--nest", "preview")
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()][:2] == ["preview", "standard"]
    card = read_card(output)
    assert card.qualities == ["preview", "standard"]
    assert card.capacities[0].metrics
    assert card.training["nesting"]["steps"] == 2
    pixels = np.full((40, 56, 3), 0.5, np.float32)
    assert Model.open(output, quality="preview").card.network == "tinier"
    assert np.isfinite(Model.open(output, quality="preview")(pixels)).all()

    code, _, err = burnish(*arguments, "--nest", "good", "--overwrite")
    assert (code, "expected preview or best, got 'good'" in err) == (2, True)
    again = [arguments[0], output, *arguments[2:-4], "-o", tmp_path / "again.onnx", "--steps", 2]
    code, _, err = burnish(*again, "--nest", "preview")
    assert (code, "networks of several qualities" in err) == (2, True)
    searched = tmp_path / "searched.onnx"
    export(
        network,
        card.model_copy(update={"network": "unet2-4.6-11-1-relu", "capacities": ()}),
        searched,
    )
    arguments[1:2], arguments[-3] = [searched], tmp_path / "other.onnx"
    code, _, err = burnish(*arguments, "--nest", "preview")
    assert (code, "cannot grow from its network" in err) == (2, True)


@pytest.mark.parametrize("guided", [True, False], ids=["guided", "global context"])
def test_a_larger_network_begins_as_the_trained_one(random_network, random_context, guided):
    """Without further layers it computes the same, at any values of its inputs."""
    arguments = {"guided": guided, "global_context": not guided}
    base, _ = random_network(seed=5, **arguments)
    wider, _ = random_network(seed=6, widths=(5, 8), **arguments)
    narrower, _ = random_network(seed=7, widths=(3, 4), **arguments)
    grow(wider, base)
    grow(narrower, base)
    side = base.size_multiple
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1 + guided, 1, 3, 2 * side, 3 * side, generator=generator)
    others = SimpleNamespace(
        num_sliders=base.num_sliders,
        thumbnail_size=base.thumbnail_size,
        context_inputs=[name for name in base.context_inputs if name != "guide"],
    )
    inputs = [*images, *random_context(others)]
    with torch.no_grad():
        torch.testing.assert_close(wider(*inputs), base(*inputs), rtol=0, atol=1e-5)
    assert torch.equal(narrower.down[1][0].weight, base.down[1][0].weight[:4, :4])
    assert torch.equal(narrower.down[1][0].bias, base.down[1][0].bias[:4])


def test_sorted_channels_compute_the_same(random_network):
    network, _ = random_network(names=(), global_context=False)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(image)
    sort_by_importance(network, [Batch(image, image)])
    with torch.no_grad():
        torch.testing.assert_close(network(image), before)
