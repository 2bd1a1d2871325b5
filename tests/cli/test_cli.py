"""The command line from end to end: outputs, messages and exit codes."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from burnish.cli.options import param_help
from burnish.evaluation.doctor import SAMPLE
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_operator
from burnish.runtime.engines import ENGINES, PRECISIONS
from burnish.runtime.model_registry import model_names

APPLY_SCHEMA = Path(__file__).parents[2] / "docs" / "apply.schema.json"


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_version_option_prints_the_version(burnish):
    import burnish as package

    assert burnish("--version") == (0, f"burnish {package.__version__}\n", "")


def test_ctrl_c_while_modules_load_exits_with_130():
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
    ("arguments", "message"),
    [
        (["polish"], "polish"),
        (["models", "sho"], "did you mean 'show'"),
        (["--glow"], "--glow"),
        (["apply"], "apply: OPERATOR is missing; see `"),
        (["apply", "l0-smoothing"], "PHOTO is missing"),
        (["regions", "train"], "--coco is missing"),
        (["apply", "l0-smoothing", "x.jpg", "--overwrit"], "did you mean --overwrite?"),
        (["apply", "l0-smoothing", "x.jpg", "-o"], "-o: a value is missing"),
        (["apply", "l0-smoothing", "x.jpg", "--quality", "0"], "--quality: expected 1 to 100, "
         "or preview, standard or best, got '0'"),
        (["apply", "l0-smoothing", "x.jpg", "--threads", "two"], "a whole number, 1 or more, got "
         "two"),
        (["apply", "l0-smoothing", "x.jpg", "--lambda", "x"], "--lambda: expected a number, got x"),
        (["apply", "l0-smoothing", "x.jpg", "--min-score", "2"], "--min-score: expected 0 to 1"),
        (["regions", "pixelate", "x.jpg", "--size", "99"], "--size: expected 0.1 to 50"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(burnish, arguments, message):
    code, out, err = burnish(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("burnish: ")
    assert message in err


def test_apply_writes_next_to_the_photo(burnish, tmp_path):
    # A real photo, since the synthetic ones are smaller than those of the training.
    shutil.copy(SAMPLE, tmp_path / "a.jpg")
    code, out, _ = burnish("apply", "l0-smoothing", tmp_path / "a.jpg")
    assert code == 0
    assert "a.l0-smoothing.jpg" in out
    result = read(tmp_path / "a.l0-smoothing.jpg").astype(np.float32) / 255
    photo = read(tmp_path / "a.jpg").astype(np.float32) / 255
    smooth = find_operator("l0-smoothing").run(photo)
    assert np.mean((result - smooth) ** 2) < np.mean((photo - smooth) ** 2) / 2


def test_apply_slow_runs_the_reference_operator(burnish, photo_folder):
    assert (
        burnish("apply", "--slow", "l0-smoothing", photo_folder / "1.png", "--lambda", "0.1")[0]
        == 0
    )
    result = read(photo_folder / "1.l0-smoothing.png").astype(np.float32) / 255
    photo = read(photo_folder / "1.png").astype(np.float32) / 255
    expected = find_operator("l0-smoothing").run(photo, lambda_=0.1)
    np.testing.assert_allclose(result, expected, atol=0.5 / 255 + 1e-6)


def test_apply_slow_runs_a_python_function(burnish, photo_folder, tmp_path):
    (tmp_path / "mine.py").write_text("def negative(rgb):\n    return 1 - rgb\n")
    spec = f"python:{tmp_path / 'mine.py'}:negative"
    assert burnish("apply", "--slow", spec, photo_folder / "1.png")[0] == 0
    result = read(photo_folder / "1.negative.png")
    np.testing.assert_array_equal(result, 255 - read(photo_folder / "1.png"))
    code, _, err = burnish("apply", spec, photo_folder / "2.png")
    assert code == 2
    assert "--slow" in err
    assert "burnish train" in err


def test_apply_overwrites_only_with_the_option(burnish, photo_folder):
    target = photo_folder / "1.l0-smoothing.png"
    target.write_bytes(b"precious")
    code, _, err = burnish("apply", "l0-smoothing", photo_folder / "1.png")
    assert code == 1
    assert err.count("\n") == 1
    assert "--overwrite" in err
    assert target.read_bytes() == b"precious"
    assert burnish("apply", "l0-smoothing", photo_folder / "1.png", "--skip-existing")[0] == 0
    assert target.read_bytes() == b"precious"
    assert burnish("apply", "l0-smoothing", photo_folder / "1.png", "--overwrite")[0] == 0
    assert read(target).shape == (40, 56, 3)


def test_bad_photo_does_not_stop_the_others(burnish, photo_folder, tmp_path):
    broken = photo_folder / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 half")
    out = tmp_path / "out"
    code, _, err = burnish(
        "apply", "l0-smoothing", photo_folder / "0.png", broken, photo_folder / "gone.png",
        photo_folder / "1.png", "-o", out,
    )  # fmt: skip
    assert code == 1
    assert sum(line.startswith("burnish: ") for line in err.splitlines()) == 2
    assert "2 of 4 photos done, 2 failed" in err
    assert sorted(p.name for p in out.iterdir()) == ["0.l0-smoothing.png", "1.l0-smoothing.png"]


def test_json_prints_one_object_per_photo(burnish, photo_folder):
    code, out, err = burnish(
        "apply", "l0-smoothing", photo_folder / "0.png", photo_folder / "gone.png", "--json", "-q"
    )
    assert code == 1
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["status"], second["status"]) == ("done", "failed")
    assert first["device"] == "cpu"
    assert first["megapixels"] == 40 * 56 / 1e6
    [step] = first["history"]
    assert (step["operator"], step["params"]["lambda"]) == ("l0-smoothing", 0.02)
    assert len(step["model"]) == 64
    schema = json.loads(APPLY_SCHEMA.read_text())
    for record in (first, second):
        jsonschema.validate(record, schema)
    assert second["output"] is None
    assert second["reason"] in err


@pytest.mark.parametrize(
    ("arguments", "code", "where", "word"),
    [
        (["no-such-model", "{}"], 2, "no-such-model", "burnish operators list"),
        (["dehaze", "{}"], 2, "dehaze", "dark-channel-dehazing"),
        (["inpaint", "{}"], 2, "inpaint", "burnish regions remove"),
        (["tv-l1", "l0-smoothing", "{}"], 2, "l0-smoothing", "tv-l1,l0-smoothing"),
        (["l0-smothing", "{}"], 2, "l0-smothing", "l0-smoothing?"),
        (["kuwahara", "{}"], 3, "kuwahara", "burnish train kuwahara"),
        (["splash", "{}"], 2, "splash", "burnish regions splash"),
        (["{}", "l0-smoothing"], 2, "", "burnish apply OPERATOR"),
        (["--slow", "splash", "{}"], 2, "splash", "burnish regions splash"),
        (["pencil-drawing", "{}", "--length", "30"], 2, "--length", "--photos FOLDER --length 30"),
        (["dark-channel-dehazing", "{}", "--airlight", "#ffffff"], 2, "--airlight", "default"),
        (["l0-smoothing", "{}", "--kappa", "3"], 2, "--kappa", "trained"),
        (["l0-smoothing", "{}", "--slow", "--lambda", "9"], 2, "--lambda", "0.002 to 0.2"),
        (["l0-smoothing", "{}", "--device", "cuda:7"], 3, "", "cuda:7"),
        (["l0-smoothing", "{}", "--device", "gpu"], 2, "", "gpu"),
        (["l0-smoothing", "{}", "-o", "{}"], 2, "", "input"),
        (["l0-smoothing", "{}", "{}"], 2, "", "1.png"),
        (["l0-smoothing", "{}", "--format", "bmp"], 2, "", "bmp"),
        (["l0-smoothing", "{}", "--depth", "7"], 2, "", "8, 16 or 32"),
    ],
)
def test_error_is_one_line_with_its_exit_code(burnish, photo_folder, arguments, code, where, word):
    photo = str(photo_folder / "1.png")
    actual, out, err = burnish("apply", *(a.format(photo) for a in arguments))
    assert (actual, out, err.count("\n")) == (code, "", 1)
    assert err.startswith(f"burnish: {where}")
    assert word in err
    assert sorted(p.name for p in photo_folder.iterdir()) == [f"{i}.png" for i in range(6)]


def test_rejected_training_makes_no_folder(burnish, photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, _ = burnish(
        "train", "l0-smoothing", "--photos", photo_folder, "--budget", "soon", "-o", "new/x.onnx"
    )
    assert code == 2
    assert not (tmp_path / "new").exists()


def test_demo_writes_a_photo_and_a_comparison(burnish, tmp_path):
    code, out, _ = burnish("demo", "-o", tmp_path)
    assert code == 0
    written = [tmp_path / "coffee.l0-smoothing.jpg", tmp_path / "coffee.before-after.png"]
    assert out.split() == [str(path) for path in written]
    assert read(written[0]).shape == (400, 600, 3)
    assert burnish("demo", "-o", tmp_path)[0] == 1


@pytest.fixture
def two_models(monkeypatch):
    """Names of two models; `burnish doctor` finds no others."""
    names = model_names()[:2]
    monkeypatch.setattr("burnish.evaluation.doctor.model_names", lambda: names)
    return names


def test_doctor_bench_times_every_model_on_every_engine(burnish, two_models, monkeypatch):
    monkeypatch.setattr("burnish.evaluation.doctor.BENCH_SIDE", 200)
    code, out, _ = burnish("doctor", "--bench", "--threads", "1", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    operators = [row for row in rows if "operator" in row]
    rows = [row for row in rows if "model" in row]
    assert {row["operator"] for row in operators} <= set(two_models)
    times = [row[f"{kind}_seconds"] for row in operators for kind in ("operator", "network")]
    assert min(times) > 0
    assert {row["model"] for row in rows} == set(two_models)
    assert "onnxruntime" in {row["engine"] for row in rows} <= set(ENGINES)
    assert "fp32" in {row["precision"] for row in rows} <= set(PRECISIONS)
    assert all(0 < row["minimum"] <= row["median"] <= row["maximum"] for row in rows)


def test_doctor_passes_its_self_test(burnish, two_models):
    code, out, _ = burnish("doctor", "--json")
    assert code == 0
    record = json.loads(out)
    assert "CPUExecutionProvider" in record["providers"]
    assert "fp32" in record["engines"]["onnxruntime"].split()
    default = record["default"]
    assert default["16-bit outputs and floats"] == "onnxruntime fp32"
    assert default["8-bit outputs"].startswith("onnxruntime fp32 for dark-channel-dehazing, ")
    assert record["device"] == "cpu" or record["device"].startswith("cuda")
    assert record["packages"]["onnxruntime"]
    assert len(record["self_test"]) == 1 + len(two_models)
    assert not any(check["failure"] for check in record["self_test"])
    assert "ok" in burnish("doctor")[1]


def test_models_list_and_show_the_cards(burnish, slider_model):
    assert "l0-smoothing" in burnish("models", "list")[1]
    card = json.loads(burnish("models", "show", "l0-smoothing", "--json")[1])
    assert card["operator"] == "l0-smoothing"
    assert json.loads(burnish("models", "list", "--json")[1])["l0-smoothing"] == card
    shown = burnish("models", "show", "l0-smoothing")[1]
    assert "10.1145/2070781.2024208" in shown
    assert "lambda: slider; 0.002 to 0.2, default 0.02" in shown
    assert "kappa: fixed at 2" in shown
    assert "peak_activations_per_pixel  " in shown
    assert re.search("^guide +none$", burnish("models", "show", slider_model)[1], re.MULTILINE)


def test_models_show_describes_the_guide_and_the_start_network(burnish, guided_model):
    code, shown, _ = burnish("models", "show", guided_model)
    assert code == 0
    assert "guide                       the output of the operator or of the start network" in shown
    assert "start network: fast, " in shown
    assert "thumbnail of 64 px" in shown


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_list_and_show_the_parameters(burnish, name):
    assert name in burnish("operators", "list")[1]
    shown = burnish("operators", "show", name)[1]
    record = json.loads(burnish("operators", "show", name, "--json")[1])
    assert record in json.loads(burnish("operators", "list", "--json")[1])
    for param in OPERATORS[name].params:
        assert f"{param.option} " in shown
        assert param_help(param) in shown


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["l0-smoothing"], "--photos"),
        (["l0-smoothing", "--photos", "{}", "--budget", "soon"], "--budget"),
        (["l0-smoothing", "--photos", "{}", "--network", "gan"], "can24"),
        (["l0-smoothing", "--photos", "{}", "--lambda", "3"], "0.002 to 0.2"),
        (["l0-smoothing", "--photos", "{}/nowhere", "--steps", "1"], "nowhere"),
        (["l1-smoothing", "--photos", "{}"], "l0-smoothing?"),
        (["l0-smoothing", "--photos", "{}", "-o", "x.bin"], ".onnx"),
        (["l0-smoothing", "--photos", "{}", "--licence", " "], "--licence"),
        (["pairs:{}", "--photos", "{}"], "before/"),
        (["l0-smoothing", "--photos", "{}", "--device", "gpu"], "auto, cpu, cuda or cuda:N"),
    ],
)
def test_train_checks_its_arguments_first(
    burnish, photo_folder, tmp_path, monkeypatch, arguments, word
):
    monkeypatch.chdir(tmp_path)
    code, _, err = burnish("train", *(a.format(photo_folder) for a in arguments))
    assert code == 2
    assert word in err
    assert err.splitlines()[-1].startswith("burnish: ")


@pytest.fixture
def pair_folder(photo_folder, tmp_path):
    """A folder of pairs: photos before, and their negatives after."""
    folder = tmp_path / "pairs"
    for side in ("before", "after"):
        (folder / side).mkdir(parents=True)
    for path in photo_folder.glob("*.png"):
        pixels = read(path)
        Image.fromarray(pixels).save(folder / "before" / path.name)
        Image.fromarray(255 - pixels).save(folder / "after" / path.name)
    return folder


@pytest.mark.parametrize("option", ["--photos", "--lambda"])
def test_train_on_pairs_rejects_other_sources(burnish, pair_folder, photo_folder, option):
    value = "0.1" if option == "--lambda" else photo_folder
    code, _, err = burnish("train", f"pairs:{pair_folder}", option, value)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"burnish: {option}: ")


def test_validation_of_pairs_needs_pairs(burnish, pair_folder, photo_folder):
    code, _, err = burnish("train", f"pairs:{pair_folder}", "--validation", photo_folder)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"burnish: --validation {photo_folder}: the folder has no before/")


@pytest.mark.slow
def test_train_on_pairs_writes_a_model(burnish, pair_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = ["train", f"pairs:{pair_folder}", "--steps", "2", "--crop", "32"]
    code, _, err = burnish(*train, "-o", "x.onnx")
    assert code == 0, err
    card = json.loads(burnish("models", "show", "x.onnx", "--json")[1])
    assert (card["operator"], card["metrics"][0]["count"]) == ("pairs:pairs", 1)
    assert card["training"]["photos"].startswith("5 from 'pairs'")
    for side in ("before", "after"):
        (tmp_path / "others" / side).mkdir(parents=True)
        path = pair_folder / side / "5.png"
        path.rename(tmp_path / "others" / side / "5.png")
    code, _, err = burnish(*train, "--validation", "others", "-o", "y.onnx")
    assert code == 0, err
    card = json.loads(burnish("models", "show", "y.onnx", "--json")[1])
    assert card["metrics"][0]["photos"].startswith("1 from 'others'")
    assert card["training"]["photos"].startswith("5 from 'pairs'")


@pytest.mark.slow
def test_trained_model_can_be_applied(burnish, photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def darker(rgb):\n    return rgb / 2\n")
    code, out, err = burnish(
        "train", "python:mine.py:darker", "--photos", photo_folder, "--steps", "30", "--crop", "32",
        "--network", "can24", "--licence", "mine", "-o", "darker.onnx",
    )  # fmt: skip
    assert code == 0, err
    assert "dB mean" in out
    card = json.loads(burnish("models", "show", "darker.onnx", "--json")[1])
    assert (card["operator"], card["licence"]) == ("python:darker", "mine")
    assert (card["halo"], card["macs_per_pixel"]) == (128, 37008)
    assert card["metrics"][0]["count"] == 1
    assert burnish("apply", "darker.onnx", photo_folder / "1.png", "-o", "x.png")[0] == 0
    assert read("x.png").shape == (40, 56, 3)
    code, _, err = burnish(
        "train", "python:mine.py:darker", "--photos", photo_folder, "-o", "darker.onnx"
    )
    assert code == 1
    assert "--overwrite" in err


@pytest.mark.parametrize(("name", "operator"), [("tv-l1", "tv-l1"), ("sketch", "pencil-drawing")])
def test_operator_in_the_place_of_a_command_leads_to_apply(burnish, name, operator):
    code, out, err = burnish(name, "photo.jpg")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"burnish: {name}: there is no such command; ")
    assert f"burnish apply {operator} PHOTO" in err
