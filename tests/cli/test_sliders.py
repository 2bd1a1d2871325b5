"""Sliders on the command line: what is refused before the work, and that they turn."""

import json

import numpy as np
import pytest
from PIL import Image

from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model


def read(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(np.float32) / 255


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--slider", "radius"], "--slider: expected one of lambda, kappa, got 'radius'"),
        (["--slider", "lambda=0.01:0.9"], "expected lambda=LOW:HIGH within 0.002 to 0.2"),
        (["--slider", "lambda=0.1:0.01"], "give two numbers, the lower one first"),
        (["--slider", "lambda=0.1:0.1"], "give two numbers, the lower one first"),
        (["--slider", "lambda=weak:strong"], "got 'lambda=weak:strong'"),
        (["--slider", "lambda=0.01"], "got 'lambda=0.01'"),
        (["--slider", "lambda="], "got 'lambda='"),
        (["--slider", "lambda=0.05:0.1"], "--slider lambda: expected a range around 0.02"),
        (
            ["--slider", "lambda=0.01:0.1", "--lambda", "0.2"],
            "expected a range around 0.2, what holds where nothing is said, got 0.01 to 0.1",
        ),
        (["--slider", "lambda", "--network", "can24"], "for sliders or a thumbnail, got can24"),
        (["--thumbnail", "--network", "can32"], "for sliders or a thumbnail, got can32"),
    ],
)
def test_slider_that_cannot_be_learnt_is_refused_first(
    burnish, photos, tmp_path, monkeypatch, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    order = ["train", "l0-smoothing", "--photos", photos, "--steps", "1", "-o", "new/x.onnx"]
    code, out, err = burnish(*order, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("burnish: ")
    assert err.count("\n") == 1
    assert complaint in err
    assert not (tmp_path / "new").exists()


def test_an_operator_of_ones_own_has_no_slider(burnish, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def negative(rgb):\n    return 1 - rgb\n")
    spec = f"python:{tmp_path / 'mine.py'}:negative"
    code, _, err = burnish("train", spec, "--photos", photos, "--slider", "strength")
    assert code == 2
    assert "expected none, as there is nothing to turn, got 'strength'" in err


def test_apply_turns_the_sliders(burnish, photos, slider_model, tmp_path):
    results = []
    for value in ("0.003", "0.15"):
        target = tmp_path / f"{value}.png"
        done = burnish("apply", slider_model, photos / "1.png", "--lambda", value, "-o", target)
        assert done[0] == 0, done[2]
        results.append(read(target))
        expected = Model.open(slider_model)(read(photos / "1.png"), {"lambda": float(value)})
        np.testing.assert_allclose(results[-1], expected, atol=0.5 / 255 + 1e-5)
    assert np.abs(results[0] - results[1]).max() > 2 / 255


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--lambda", "0.3"], "lambda: expected 0.002 to 0.2, got 0.3"),
        (["--sigma", "3"], "got sigma"),
        (["--engine", "abacus"], "engine: expected onnxruntime or openvino, got 'abacus'"),
    ],
)
def test_apply_refuses_what_the_model_has_not_learnt(
    burnish, photos, slider_model, arguments, complaint
):
    code, out, err = burnish("apply", slider_model, photos / "1.png", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


def test_compare_sets_operator_and_network_alike(burnish, photos, slider_model, tmp_path):
    found = []
    for value in (0.003, 0.15):
        target = tmp_path / f"{value}.png"
        code, out, err = burnish(
            "compare", slider_model, photos / "1.png", "--lambda", value, "-o", target, "--json"
        )
        assert code == 0, err
        found.append(json.loads(out))
        sheet, photo = read(target), read(photos / "1.png")
        slow = OPERATORS["l0-smoothing"].run(photo, lambda_=value)
        fast = Model.open(slider_model)(photo, {"lambda": value})
        for index, picture in enumerate((photo, slow, fast)):
            place = slice(index * (56 + 8), index * (56 + 8) + 56)
            np.testing.assert_allclose(sheet[:40, place], picture, atol=0.5 / 255 + 1e-5)
        error = np.mean((fast.astype(np.float64) - slow) ** 2)
        assert found[-1]["psnr"] == pytest.approx(-10 * np.log10(error), abs=0.01)
    assert found[0]["untouched_psnr"] > found[1]["untouched_psnr"] + 1


def test_compare_refuses_a_value_that_was_not_learnt(burnish, photos):
    code, out, err = burnish("compare", "l0-smoothing", photos / "1.png", "--kappa", "3")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "which model l0-smoothing was trained at" in err
    assert sorted(path.name for path in photos.iterdir()) == [f"{i}.png" for i in range(6)]
