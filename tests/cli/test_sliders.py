"""Sliders on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model
from burnish.training.request import validate_request


def read(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(np.float32) / 255


@pytest.mark.parametrize(
    ("arguments", "where", "word"),
    [
        (["--slider", "radius"], "--slider", "lambda, kappa"),
        (["--slider", "lambda=0.01:0.9"], "--slider", "0.002 to 0.2"),
        (["--slider", "lambda=0.1:0.01"], "--slider", "lambda=0.1:0.01"),
        (["--slider", "lambda=0.1:0.1"], "--slider", "lambda=0.1:0.1"),
        (["--slider", "lambda=weak:strong"], "--slider", "lambda=weak:strong"),
        (["--slider", "lambda=0.01"], "--slider", "lambda=0.01"),
        (["--slider", "lambda="], "--slider", "lambda="),
        (["--slider", "lambda=0.05:0.1"], "--slider lambda", "0.02"),
        (["--slider", "lambda=0.01:0.1", "--lambda", "0.2"], "--slider lambda", "0.2"),
        (["--slider", "lambda", "--network", "can24"], "--network", "can24"),
        (["--global-context", "--network", "can32"], "--network", "can32"),
    ],
)
def test_slider_that_cannot_be_trained_is_rejected_first(
    burnish, photo_folder, tmp_path, monkeypatch, arguments, where, word
):
    monkeypatch.chdir(tmp_path)
    train = ["train", "l0-smoothing", "--photos", photo_folder, "--steps", "1", "-o", "new/x.onnx"]
    code, out, err = burnish(*train, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"burnish: {where}")
    assert word in err
    assert not (tmp_path / "new").exists()


def test_slider_of_a_python_function_is_rejected(burnish, photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def negative(rgb):\n    return 1 - rgb\n")
    spec = f"python:{tmp_path / 'mine.py'}:negative"
    code, _, err = burnish("train", spec, "--photos", photo_folder, "--slider", "strength")
    assert (code, err.count("\n")) == (2, 1)
    assert "strength" in err


@pytest.fixture
def glow(tmp_path, monkeypatch):
    """The address of a function with parameters, two of them named like options of commands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "from typing import Annotated\n\n"
        "def glow(rgb, *, gain=0.0, amount: Annotated[float, (0, 1)] = 0.5,\n"
        "         strength=1.0, seed=7):\n"
        "    return rgb + strength * amount * (1 - rgb) + gain * (seed - 7)\n"
    )
    return "python:own.py:glow"


def test_apply_sets_the_parameters_of_a_function(burnish, photo_folder, glow):
    apply = ["apply", "--slow", glow, photo_folder / "1.png", "--overwrite", "-o", "x.png"]
    photo = read(photo_folder / "1.png")
    for arguments, amount in (
        ([], 0.5),
        (["--amount", "0.25"], 0.25),
        (["--amount", "0.5", "--glow.strength", "0.5"], 0.25),
        (["--amount", "1", "--strength", "0.25"], 0.25),  # of any edit
        (["--seed", "8", "--gain", "0"], 0.5),
    ):
        code, _, err = burnish(*apply, *arguments)
        assert code == 0, err
        expected = photo + amount * (1 - photo)
        np.testing.assert_allclose(read(Path("x.png")), expected, atol=0.51 / 255)
    code, _, err = burnish(*apply, "--amount", "3")
    assert (code, err) == (2, err)
    assert err.startswith("burnish: --amount: expected 0 to 1, got 3")


def test_help_lists_the_parameters_of_a_function(burnish, glow):
    text = burnish("apply", "--slow", glow, "--help")[1]
    assert all(f"  --{name} NUMBER" in text for name in ("amount", "gain", "glow.strength", "seed"))
    text = burnish("train", glow, "--help")[1]
    assert all(f"  --{name} NUMBER" in text for name in ("amount", "strength", "glow.seed"))


@pytest.mark.parametrize(
    ("arguments", "where", "word"),
    [
        (["--slider", "gain"], "--slider gain", "gain=LOW:HIGH"),
        (["--slider", "gain=0:inf"], "--slider", "not a range"),
        (["--slider", "amount=0:2"], "--slider", "0 to 1"),
        (["--slider", "other"], "--slider", "gain, amount, strength"),
        (["--amount", "2"], "--amount", "0 to 1"),
    ],
)
def test_slider_of_a_function_needs_a_range(burnish, photo_folder, glow, arguments, where, word):
    code, _, err = burnish("train", glow, "--photos", photo_folder, "--steps", "1", *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"burnish: {where}: ")
    assert word in err


def test_sliders_of_a_function_are_those_of_the_request(photo_folder, glow):
    request = validate_request(
        glow,
        photos=photo_folder,
        steps=1,
        params={"seed": 3},
        sliders=["amount", "gain=-1:2"],
    )
    sliders = {p.name: (p.low, p.default, p.high) for p in request.config.slider_params}
    assert sliders == {"amount": (0, 0.5, 1), "gain": (-1, 0, 2)}
    assert request.config.params == {"amount": 0.5, "gain": 0, "strength": 1, "seed": 3}


@pytest.mark.slow
def test_network_of_a_function_is_evaluated_at_the_values_of_its_sliders(
    burnish, photo_folder, glow
):
    train = ["train", glow, "--photos", photo_folder, "--slider", "amount", "--slider", "gain=0:1"]
    options = ["--steps", "4", "--no-guided", "--batch", "1", "--crop", "16", "-o", "x.onnx"]
    code, _, err = burnish(*train, *options, "--glow.seed", "7")
    assert code == 0, err
    params = json.loads(burnish("models", "show", "x.onnx", "--json")[1])["params"]
    assert [(p["name"], p["slider"], p["low"], p["high"]) for p in params] == [
        ("gain", True, 0, 1),
        ("amount", True, 0, 1),
        ("strength", False, 1, 1),
        ("seed", False, 7, 7),
    ]
    evaluate = ["evaluate", "x.onnx", "--operator", glow, "--photos", photo_folder, "--json"]
    (table,) = json.loads(burnish(*evaluate, "--amount", "0")[1])
    assert table["scores"][0]["report"]["mean"]["mse"] == 0  # glow does nothing there
    tables = json.loads(burnish(*evaluate, "--sliders")[1])
    assert [t["params"] for t in tables[::5]] == [{}, {"amount": 0}]
    assert [t["scores"][0]["report"]["mean"]["mse"] > 0 for t in tables[::5]] == [True, False]


def test_apply_sets_the_sliders_of_a_model(burnish, photo_folder, slider_model, tmp_path):
    outputs = []
    for value in ("0.003", "0.15"):
        target = tmp_path / f"{value}.png"
        code, _, err = burnish(
            "apply", slider_model, photo_folder / "1.png", "--lambda", value, "-o", target
        )
        assert code == 0, err
        outputs.append(read(target))
        expected = Model.open(slider_model)(read(photo_folder / "1.png"), {"lambda": float(value)})
        np.testing.assert_allclose(outputs[-1], expected, atol=0.5 / 255 + 1e-5)
    assert np.abs(outputs[0] - outputs[1]).max() > 2 / 255


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--lambda", "0.3"], "0.002 to 0.2"),
        (["--sigma", "3"], "--sigma"),
        (["--engine", "abacus"], "abacus"),
    ],
)
def test_apply_rejects_a_value_that_the_model_was_not_trained_at(
    burnish, photo_folder, slider_model, arguments, word
):
    code, out, err = burnish("apply", slider_model, photo_folder / "1.png", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert word in err


def test_compare_sets_the_parameters_of_operator_and_network(
    burnish, photo_folder, slider_model, tmp_path
):
    records = []
    for value in (0.003, 0.15):
        target = tmp_path / f"{value}.png"
        code, out, err = burnish(
            "compare",
            slider_model,
            photo_folder / "1.png",
            "--lambda",
            value,
            "-o",
            target,
            "--json",
        )
        assert code == 0, err
        records.append(json.loads(out))
        sheet, photo = read(target), read(photo_folder / "1.png")
        slow = OPERATORS["l0-smoothing"].run(photo, lambda_=value)
        fast = Model.open(slider_model)(photo, {"lambda": value})
        for index, image in enumerate((photo, slow, fast)):
            columns = slice(index * (56 + 8), index * (56 + 8) + 56)
            np.testing.assert_allclose(sheet[:40, columns], image, atol=0.5 / 255 + 1e-5)
        error = np.mean((fast.astype(np.float64) - slow) ** 2)
        assert records[-1]["psnr"] == pytest.approx(-10 * np.log10(error), abs=0.01)
    assert records[0]["identity_psnr"] > records[1]["identity_psnr"] + 1


def test_compare_rejects_a_value_that_the_model_was_not_trained_at(burnish, photo_folder):
    code, out, err = burnish("compare", "l0-smoothing", photo_folder / "1.png", "--kappa", "3")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("burnish: --kappa")
    assert sorted(path.name for path in photo_folder.iterdir()) == [f"{i}.png" for i in range(6)]
