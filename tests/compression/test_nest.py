"""From a trained network, or from none, to a model file with networks of several qualities."""

import numpy as np
import pytest
import torch

from burnish.compression.nest import sort_by_importance
from burnish.export.onnx_export import export
from burnish.modelfile.card import CardParam
from burnish.modelfile.reader import read_card
from burnish.networks.registry import NESTED, NETWORKS, NetworkSpec
from burnish.params import Param
from burnish.runtime.model import Model
from burnish.training.pipeline import train_and_export
from burnish.training.request import validate_request
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
    monkeypatch.setitem(NESTED, "preview", "tinier")
    monkeypatch.setitem(NESTED, "standard", "tiny")
    monkeypatch.delitem(NESTED, "best")


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
    code, _, err = burnish("compress", output, "--operator", operator, "--photos", photo_folder)
    assert (code, "networks of several qualities" in err) == (2, True)
    searched = tmp_path / "searched.onnx"
    export(
        network,
        card.model_copy(update={"network": "unet2-4.6-11-1-relu", "capacities": ()}),
        searched,
    )
    arguments[1:2], arguments[-3] = [searched], tmp_path / "other.onnx"
    code, _, err = burnish(*arguments, "--nest", "preview")
    assert (code, "cannot be nested" in err) == (2, True)


def test_networks_of_all_qualities_are_trained_from_random_weights(
    operator, photo_folder, tmp_path
):
    request = validate_request(
        operator,
        photos=photo_folder,
        network="nested",
        guided=False,
        output=tmp_path / "own.onnx",
        run_dir=tmp_path / "run",
        steps=2,
        batch=2,
        crop=32,
        short_sides=(),
    )
    model = train_and_export(request)
    card = read_card(model.path)
    assert (card.network, card.capacities[0].network) == ("tiny", "tinier")
    assert card.metrics
    assert card.capacities[0].metrics


def test_sorted_channels_compute_the_same(random_network):
    network, _ = random_network(names=(), global_context=False)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(image)
    sort_by_importance(network, [Batch(image, image)])
    with torch.no_grad():
        torch.testing.assert_close(network(image), before)
