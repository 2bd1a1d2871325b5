"""The command line as a person meets it: what it prints, writes and ends with."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from burnish.evaluation.demo import SAMPLE
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_operator
from burnish.runtime.engines import ENGINES
from burnish.runtime.model_registry import model_names

APPLY_SCHEMA = Path(__file__).parents[2] / "docs" / "apply.schema.json"


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_version(burnish):
    import burnish as package

    assert burnish("--version") == (0, f"burnish {package.__version__}\n", "")


def test_interrupted_before_its_commands_are_loaded_it_ends_like_any_other():
    code = """
import sys

class Interrupts:
    def find_spec(self, name, *more):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
from burnish.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "burnish: interrupted\n")
    [command] = entry_points(group="console_scripts", name="burnish")
    assert command.value == "burnish.__main__:main"


@pytest.mark.parametrize(
    "arguments", [["polish"], ["apply"], ["apply", "l0-smoothing", "--glow"], ["models", "sho"]]
)
def test_wrong_usage(burnish, arguments):
    code, out, err = burnish(*arguments)
    assert (code, out) == (2, "")
    assert "Usage" in err


def test_apply_writes_beside_the_photo(burnish, tmp_path):
    # A real photo: the smallest that the network was trained on are larger than our drawn ones.
    shutil.copy(SAMPLE, tmp_path / "a.jpg")
    code, out, _ = burnish("apply", "l0-smoothing", tmp_path / "a.jpg")
    assert code == 0
    assert "a.l0-smoothing.jpg" in out
    result = read(tmp_path / "a.l0-smoothing.jpg").astype(np.float32) / 255
    photo = read(tmp_path / "a.jpg").astype(np.float32) / 255
    smooth = find_operator("l0-smoothing").run(photo)
    assert np.mean((result - smooth) ** 2) < np.mean((photo - smooth) ** 2) / 2


def test_apply_slow_is_the_operator(burnish, photos):
    assert burnish("apply", "--slow", "l0-smoothing", photos / "1.png", "--lambda", "0.1")[0] == 0
    result = read(photos / "1.l0-smoothing.png").astype(np.float32) / 255
    photo = read(photos / "1.png").astype(np.float32) / 255
    expected = find_operator("l0-smoothing").run(photo, lambda_=0.1)
    np.testing.assert_allclose(result, expected, atol=0.5 / 255 + 1e-6)


def test_an_operator_of_ones_own_works_from_day_one(burnish, photos, tmp_path):
    (tmp_path / "mine.py").write_text("def negative(rgb):\n    return 1 - rgb\n")
    spec = f"python:{tmp_path / 'mine.py'}:negative"
    assert burnish("apply", "--slow", spec, photos / "1.png")[0] == 0
    result = read(photos / "1.negative.png")
    np.testing.assert_array_equal(result, 255 - read(photos / "1.png"))
    code, _, err = burnish("apply", spec, photos / "2.png")
    assert code == 2
    assert "add --slow to run it as it is, or learn it: burnish train" in err


def test_nothing_is_overwritten(burnish, photos):
    target = photos / "1.l0-smoothing.png"
    target.write_bytes(b"precious")
    code, _, err = burnish("apply", "l0-smoothing", photos / "1.png")
    assert code == 1
    assert err.count("\n") == 1
    assert "use --overwrite" in err
    assert target.read_bytes() == b"precious"
    assert burnish("apply", "l0-smoothing", photos / "1.png", "--skip-existing")[0] == 0
    assert target.read_bytes() == b"precious"
    assert burnish("apply", "l0-smoothing", photos / "1.png", "--overwrite")[0] == 0
    assert read(target).shape == (40, 56, 3)


def test_a_bad_photo_does_not_stop_the_rest(burnish, photos, tmp_path):
    broken = photos / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 half")
    out = tmp_path / "out"
    code, _, err = burnish(
        "apply", "l0-smoothing", photos / "0.png", broken, photos / "gone.png", photos / "1.png",
        "-o", out,
    )  # fmt: skip
    assert code == 1
    complaints = [line for line in err.splitlines() if line.startswith("burnish: ")]
    assert len(complaints) == 2
    assert "2 of 4 photos done, 2 failed" in err
    assert sorted(p.name for p in out.iterdir()) == ["0.l0-smoothing.png", "1.l0-smoothing.png"]


def test_json_is_one_object_a_photo(burnish, photos):
    code, out, err = burnish(
        "apply", "l0-smoothing", photos / "0.png", photos / "gone.png", "--json", "-q"
    )
    assert code == 1
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["status"], second["status"]) == ("done", "failed")
    assert first["device"] == "cpu"
    assert first["megapixels"] == 40 * 56 / 1e6
    [step] = first["steps"]
    assert (step["operator"], step["params"]["lambda"]) == ("l0-smoothing", 0.02)
    assert len(step["model"]) == 64
    schema = json.loads(APPLY_SCHEMA.read_text())
    for record in (first, second):
        jsonschema.validate(record, schema)
    assert second["output"] is None
    assert second["reason"] in err


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["no-such-model", "{}"], 3, "no-such-model: expected the name of a model"),
        (["l0-smothing", "{}"], 3, "did you mean l0-smoothing?"),
        (["kuwahara", "{}"], 3, "--slow runs it, burnish train kuwahara learns one"),
        (["l0-smoothing", "{}", "--kappa", "3"], 2, "which model l0-smoothing was trained at"),
        (["l0-smoothing", "{}", "--slow", "--lambda", "9"], 2, "lambda: expected 0.002 to 0.2"),
        (["l0-smoothing", "{}", "--device", "cuda:7"], 3, "cuda:7"),
        (["l0-smoothing", "{}", "--device", "gpu"], 2, "gpu"),
        (["l0-smoothing", "{}", "-o", "{}"], 2, "expected an output that is no input"),
        (["l0-smoothing", "{}", "{}"], 2, "expected a result of its own"),
        (["l0-smoothing", "{}", "--format", "bmp"], 2, "expected a format that burnish writes"),
        (["l0-smoothing", "{}", "--depth", "7"], 2, "expected 8, 16 or 32 bits a channel, got 7"),
    ],
)
def test_one_line_and_the_right_exit_code(burnish, photos, arguments, code, complaint):
    photo = str(photos / "1.png")
    got, out, err = burnish("apply", *(a.format(photo) for a in arguments))
    assert (got, out) == (code, "")
    assert err.startswith("burnish: ")
    assert err.count("\n") == 1
    assert complaint in err
    assert sorted(p.name for p in photos.iterdir()) == [f"{i}.png" for i in range(6)]


def test_compare(burnish, photos, tmp_path):
    target = tmp_path / "sheet.png"
    code, out, _ = burnish("compare", "l0-smoothing", photos / "1.png", "-o", target, "--json")
    assert code == 0
    found = json.loads(out)
    assert 10 < found["untouched_psnr"] < 60
    assert 10 < found["psnr"] < 60
    assert found["slow_seconds"] > 0
    sheet = read(target)
    assert sheet.shape[1] == 3 * 56 + 2 * 8
    np.testing.assert_array_equal(sheet[:40, :56], read(photos / "1.png"))
    assert burnish("compare", "l0-smoothing", photos / "1.png", "-o", target)[0] == 1


def test_compare_with_a_folder_is_one_line(burnish, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = burnish("compare", "l0-smoothing", ".")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_a_refused_order_makes_no_folder(burnish, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, _ = burnish(
        "train", "l0-smoothing", "--photos", photos, "--budget", "soon", "-o", "new/x.onnx"
    )
    assert code == 2
    assert not (tmp_path / "new").exists()


def test_demo(burnish, tmp_path):
    code, out, _ = burnish("demo", "-o", tmp_path)
    assert code == 0
    written = [tmp_path / "coffee.l0-smoothing.jpg", tmp_path / "coffee.before-after.png"]
    assert out.split() == [str(path) for path in written]
    assert read(written[0]).shape == (400, 600, 3)
    assert burnish("demo", "-o", tmp_path)[0] == 1


def test_doctor_times_every_model_on_every_engine(burnish):
    code, out, _ = burnish("doctor", "--bench", "--threads", "1", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {row["model"] for row in rows} == set(model_names())
    assert "onnxruntime" in {row["engine"] for row in rows} <= set(ENGINES)
    assert all(0 < row["least"] <= row["median"] <= row["most"] for row in rows)


def test_doctor(burnish):
    code, out, _ = burnish("doctor", "--json")
    assert code == 0
    found = json.loads(out)
    assert "CPUExecutionProvider" in found["engine"]
    assert found["device"] == "cpu" or found["device"].startswith("cuda")
    assert found["packages"]["onnxruntime"]
    assert len(found["self_test"]) == 1 + len(found["models"])
    assert not any(check["complaint"] for check in found["self_test"])
    assert "ok" in burnish("doctor")[1]


def test_models(burnish):
    assert "l0-smoothing" in burnish("models", "list")[1]
    card = json.loads(burnish("models", "show", "l0-smoothing", "--json")[1])
    assert card["operator"] == "l0-smoothing"
    assert json.loads(burnish("models", "list", "--json")[1])["l0-smoothing"] == card
    assert "10.1145/2070781.2024208" in burnish("models", "show", "l0-smoothing")[1]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(burnish, name):
    assert name in burnish("operators", "list")[1]
    shown = burnish("operators", "show", name)[1]
    record = json.loads(burnish("operators", "show", name, "--json")[1])
    assert record in json.loads(burnish("operators", "list", "--json")[1])
    for param in OPERATORS[name].params:
        assert f"{param.option} " in shown
        assert param.range in shown


def test_every_parameter_of_every_operator_is_an_option(burnish):
    help_text = " ".join(burnish("apply", "--help")[1].split())
    for operator in OPERATORS.values():
        for param in operator.params:
            assert f" {param.option} " in help_text
            assert operator.name in help_text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["l0-smoothing"], "expected a folder of photos, got none"),
        (["l0-smoothing", "--photos", "{}", "--budget", "soon"], "--budget"),
        (
            ["l0-smoothing", "--photos", "{}", "--network", "gan"],
            "one of fast, best, guided, grid, can24, can32",
        ),
        (["l0-smoothing", "--photos", "{}", "--lambda", "3"], "expected 0.002 to 0.2"),
        (["l0-smoothing", "--photos", "{}/nowhere", "--steps", "1"], "no such folder"),
        (["l1-smoothing", "--photos", "{}"], "did you mean l0-smoothing"),
        (["l0-smoothing", "--photos", "{}", "-o", "x.bin"], "a name that ends in .onnx"),
        (["l0-smoothing", "--photos", "{}", "--licence", " "], "--licence: expected words"),
        (["pairs:{}", "--photos", "{}"], "expected a folder with before/ and after/"),
    ],
)
def test_train_checks_before_it_works(burnish, photos, tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    code, _, err = burnish("train", *(a.format(photos) for a in arguments))
    assert code == 2
    assert complaint in err
    assert err.splitlines()[-1].startswith("burnish: ")


@pytest.fixture
def before_and_after(photos, tmp_path):
    """Pairs whose 'after' is the negative."""
    folder = tmp_path / "pairs"
    for side in ("before", "after"):
        (folder / side).mkdir(parents=True)
    for path in photos.glob("*.png"):
        pixels = read(path)
        Image.fromarray(pixels).save(folder / "before" / path.name)
        Image.fromarray(255 - pixels).save(folder / "after" / path.name)
    return folder


@pytest.mark.parametrize("option", ["--photos", "--held-out", "--lambda"])
def test_pairs_are_what_they_are(burnish, before_and_after, photos, option):
    value = "0.1" if option == "--lambda" else photos
    code, _, err = burnish("train", f"pairs:{before_and_after}", option, value)
    assert code == 2
    assert f"{option.removeprefix('--') if option == '--lambda' else option}: expected none" in err


@pytest.mark.slow
def test_train_from_pairs(burnish, before_and_after, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = burnish(
        "train", f"pairs:{before_and_after}", "--steps", "2", "--crop", "32", "-o", "x.onnx"
    )
    assert code == 0, err
    card = json.loads(burnish("models", "show", "x.onnx", "--json")[1])
    assert (card["operator"], card["metrics"][0]["count"]) == ("pairs:pairs", 1)
    assert card["training"]["photos"].startswith("5 from 'pairs'")


@pytest.mark.slow
def test_train_then_apply(burnish, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def darker(rgb):\n    return rgb / 2\n")
    code, out, err = burnish(
        "train", "python:mine.py:darker", "--photos", photos, "--steps", "30", "--crop", "32",
        "--network", "can24", "--licence", "mine", "-o", "darker.onnx",
    )  # fmt: skip
    assert code == 0, err
    assert "dB mean" in out
    card = json.loads(burnish("models", "show", "darker.onnx", "--json")[1])
    assert (card["operator"], card["licence"]) == ("python:darker", "mine")
    assert (card["halo"], card["macs_per_pixel"]) == (128, 37008)
    assert card["metrics"][0]["count"] == 1
    assert burnish("apply", "darker.onnx", photos / "1.png", "-o", "x.png")[0] == 0
    assert read("x.png").shape == (40, 56, 3)
    code, _, err = burnish(
        "train", "python:mine.py:darker", "--photos", photos, "-o", "darker.onnx"
    )
    assert code == 1
    assert "use --overwrite" in err
