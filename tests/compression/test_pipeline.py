"""From a model file to a faster one: the steps, their undoing, the card, errors and resuming."""

import json
from dataclasses import replace

import pytest
import torch

from burnish.compression import pipeline
from burnish.compression.latency import LatencyTable
from burnish.compression.measure import Bench, Figures
from burnish.compression.request import validate_request
from burnish.compression.steps import slower, too_costly, unreached
from burnish.errors import UsageError
from burnish.export.onnx_export import export
from burnish.export.weights import fold
from burnish.modelfile.card import CardParam
from burnish.modelfile.reader import read_card
from burnish.networks.can import CAN
from burnish.networks.registry import NETWORKS, NetworkSpec
from burnish.params import Param
from burnish.runtime.model import Model

pytestmark = pytest.mark.usefixtures("single_process")

OPERATOR = """
def darken(rgb, amount: float = 0.5):
    return rgb * (1 - amount)
"""
FIGURES = Figures(100.0, None, 1.0, 0.5, 1000, 2000, psnr=40.0, original_psnr=None)


@pytest.fixture
def operator(tmp_path):
    script = tmp_path / "own.py"
    script.write_text(OPERATOR)
    return f"python:{script}:darken"


SHAPE = {"width": 16, "dilations": (1, 2, 1)}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, make_card):
    """A tiny network that darkens, and has channels that do nothing."""
    network = fold(CAN(**SHAPE).set_norm_mode("frozen").eval())
    with torch.no_grad():
        for layer in network.layers:  # the exporter leaves out biases of zero
            layer.bias[8:] = 0.1 * torch.rand(8)
        network.to_rgb.bias.copy_(torch.tensor([1e-3, 0.0, -1e-3]))
        network.to_rgb.weight.zero_()
        network.to_rgb.weight[:, :3, 0, 0] = 0.5 * torch.eye(3)
    amount = Param("amount", "darkens", default=0.5, low=0.0, high=1.0)
    card = make_card(
        network,
        operator="python:darken",
        licence="CC0",
        params=[CardParam.from_param(amount, 0.5, slider=False)],
        training={"photos": "two"},
    ).model_copy(update={"network": "tiny"})
    return export(network, card, tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture
def model(tiny_model, monkeypatch):
    defaults = {"batch": 2, "crop": 32, "short_sides": ()}
    spec = NetworkSpec("for tests", "can:CAN", SHAPE, train_defaults=defaults)
    monkeypatch.setitem(NETWORKS, "tiny", spec)
    return tiny_model


@pytest.fixture(autouse=True)
def times_by_multiply_adds(monkeypatch):
    """Times depend on the network alone, whatever else the machine does."""

    def seconds(self, model):
        factors = {"fp32": 1.0, "int8": 0.45}
        models = model, self.original
        return tuple(factors[m.precision] * m.card.macs_per_pixel / 1e6 for m in models)

    def measure(self, narrow, wide, kernel, dilation, separable):
        weights = narrow * (kernel**2 + wide) if separable else narrow * wide * kernel**2
        return weights / 1e3

    monkeypatch.setattr(Bench, "seconds", seconds)
    monkeypatch.setattr(LatencyTable, "_measure", measure)


@pytest.fixture
def compress(burnish, model, operator, photo_folder, tmp_path):
    """Run the command on the tiny model."""

    def run(*arguments, photos=photo_folder):
        common = ["compress", model, "--operator", operator, "--photos", photos]
        common += ["--run-dir", tmp_path / "run", "-o", tmp_path / "out.onnx", "--steps", 4]
        return burnish(*common, *arguments)

    return run


def test_command_writes_a_faster_network_with_its_record(compress, model, tmp_path, make_image):
    code, out, err = compress("--speed", "2x", "--no-int8")
    assert code == 0, err
    rows = [line.split()[0] for line in out.splitlines() if "x" in line]
    assert {"original", "prune", "distil", "from"} <= set(rows)
    card = read_card(tmp_path / "out.onnx")
    original = read_card(model)
    assert card.macs_per_pixel * 1.9 < original.macs_per_pixel
    assert card.licence == "CC0"
    assert card.training["photos"] == "two"
    record = card.training["compression"]
    assert record["target"] == "--speed 2x"
    assert [step["name"] for step in record["steps"]][:2] == ["original", "prune to 2x"]
    assert record["steps"][1]["speed"] >= 2
    assert card.metrics
    pixels = make_image(9).astype("float32") / 255
    outputs = [Model.open(path)(pixels) for path in (model, tmp_path / "out.onnx")]
    assert abs(outputs[0] - outputs[1]).mean() < 0.02
    # It resumes: nothing is computed again, and the result is the same.
    first = (tmp_path / "out.onnx").read_bytes()
    code, _, err = compress("--speed", "2x", "--no-int8", "--overwrite")
    assert code == 0, err
    assert (tmp_path / "out.onnx").read_bytes() == first
    code, _, err = compress("--speed", "3x", "--no-int8", "--overwrite")
    assert (code, "another compression, with a different speed" in err) == (2, True)
    # A compressed model is not compressed again.
    code, _, err = compress_again(tmp_path)
    assert (code, "compressed already" in err) == (2, True)


def test_further_methods_are_steps_of_the_pipeline(compress, tmp_path):
    methods = ("--separable", "--teach", "features", "--teach", "affinities")
    code, _, err = compress("--speed", "2x", "--no-int8", "--no-compare-scratch", *methods)
    assert code == 0, err
    record = read_card(tmp_path / "out.onnx").training["compression"]
    names = [step["name"] for step in record["steps"]]
    assert names == ["original", "prune to 2x", "distil"]
    code, _, err = compress("--teach", "everything")
    assert (code, "choose among result, features, affinities" in err) == (2, True)


def test_network_for_integers_is_kept_if_it_reaches_the_speed_alone(compress, tmp_path):
    code, out, err = compress("--speed", "2x", "--no-compare-scratch")
    assert code == 0, err
    assert "run it with --precision int8" in out
    card = read_card(tmp_path / "out.onnx")
    assert card.ranges
    record = card.training["compression"]
    assert record["precision"] == "int8"
    names = [(step["name"], step["kept"]) for step in record["steps"]]
    assert names == [("original", True), ("int8 alone", False), ("int8", True)]


def compress_again(folder):
    with pytest.raises(UsageError) as error:
        validate_request(folder / "out.onnx", photos=folder)
    return error.value.exit_code, "", str(error.value)


def test_steps_are_undone_if_they_cost_too_much(compress, tmp_path, monkeypatch):
    def score(self, model, pair):
        return (40.0 if model.card.network == "tiny" else 39.5), 99.0

    monkeypatch.setattr(pipeline, "SPEEDS", (2.0,))
    monkeypatch.setattr(Bench, "_score", score)
    code, out, err = compress("--loss", "0.1dB", "--no-int8", "--no-compare-scratch", "--json")
    steps = json.loads(out)["steps"]
    assert [(step["name"], step["kept"]) for step in steps] == [
        ("original", True),
        ("prune to 2x", False),
        ("distil", False),
    ]
    assert [step["reason"] for step in steps[1:]] == ["costs 0.50 dB, more than 0.1"] * 2
    assert (code, "out of reach" in err) == (1, True)
    assert not (tmp_path / "out.onnx").exists()


def test_target_out_of_reach_is_reported_and_written_only_on_request(compress, tmp_path):
    arguments = ("--speed", "500x", "--no-int8", "--no-compare-scratch")
    code, out, err = compress(*arguments)
    assert code == 1
    assert "times as fast, not 500 times" in err
    assert len(err.strip().splitlines()[-1]) < 300
    assert "prune to 500x" in out
    assert not (tmp_path / "out.onnx").exists()
    code, _, err = compress(*arguments, "--nearest")
    assert code == 0, err
    assert (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--speed", "fast"], "--speed: 'fast' is not a number above 0"),
        (["--speed", "0.5x"], "--speed: 0.5x is no gain"),
        (["--loss", "-1dB"], "--loss"),
        (["--engine", "none"], "--engine"),
        (["--time", "9m"], "--steps: it cannot be combined with --time"),
        (["-o", "out.txt"], "does not end in .onnx"),
    ],
)
def test_wrong_options_are_reported_in_one_line(compress, arguments, problem):
    code, _, err = compress(*arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert problem in err


def test_wrong_models_and_photos_are_reported_in_one_line(
    burnish, compress, model, operator, tmp_path, photo_folder
):
    single = tmp_path / "single"
    single.mkdir()
    (single / "0.png").write_bytes((photo_folder / "0.png").read_bytes())
    code, _, err = compress(photos=single)
    assert (code, "fewer than 2 different photos" in err) == (2, True)
    code, _, err = burnish("compress", model, "--photos", photo_folder)
    assert (code, "name the operator with --operator" in err) == (2, True)
    code, _, err = burnish("compress", model, "--photos", photo_folder, "--operator", "tv-l1")
    assert (code, "imitates python:darken, not tv-l1" in err) == (2, True)
    code, _, err = burnish("compress", model, "--operator", operator)
    assert (code, "--photos" in err) == (2, True)


def test_verdicts_on_steps():
    faster = replace(FIGURES, speed=2.0, psnr=39.8)
    assert slower(FIGURES, faster) == ""
    assert slower(faster, FIGURES) == "not faster: 0.50 times the speed before"
    assert slower(FIGURES, replace(FIGURES, speed=1.01)) != ""
    assert too_costly(FIGURES, faster, None) == ""
    assert too_costly(FIGURES, faster, 0.3) == ""
    assert too_costly(FIGURES, faster, 0.1) == "costs 0.20 dB, more than 0.1"
    assert unreached(FIGURES, faster, 2.0, 0.3) == ""
    assert unreached(FIGURES, faster, 1.5, None) == ""
    assert unreached(FIGURES, faster, 3.0, 0.1) == (
        "2.00 times as fast, not 3 times and costs 0.20 dB, more than 0.1"
    )
    assert unreached(FIGURES, FIGURES, None, 0.1) == "no step made it faster"
