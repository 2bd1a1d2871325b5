"""The precision of a network's arithmetic, which follows from the depth of the output."""

import json
from importlib.util import find_spec

import numpy as np
import onnx
import pytest

import burnish
from burnish.editing.combined_edit import load_edits, mix
from burnish.editing.edit import load_edit
from burnish.editing.history import read_history
from burnish.editing.replay import replay
from burnish.modelfile.card import Measurement
from burnish.modelfile.reader import read_card
from burnish.photo import Photo
from burnish.runtime.engine_choice import EngineChoice
from burnish.runtime.model import Model
from burnish.runtime.session import load_engine

pytestmark = pytest.mark.skipif(
    find_spec("openvino") is None or "bf16" not in load_engine("openvino").precisions(),
    reason="this machine has no bfloat16, or no OpenVINO",
)


@pytest.fixture
def path(write_model, engine_times, monkeypatch):
    """A model file whose scores allow bf16, which is quicker on this machine."""
    engine_times[EngineChoice("openvino", "bf16")] = 0.5
    engines = ["onnxruntime", "openvino"]
    monkeypatch.setattr("burnish.runtime.engine_choice.installed_engines", lambda: engines)
    row = Measurement(
        photos="ten",
        count=10,
        megapixels_mean=1,
        mse_mean=1e-4,
        psnr_mean=40,
        psnr_worst=30,
        ssim_mean=0.9,
        ssim_worst=0.8,
        identity_psnr_mean=20,
    )
    path = write_model()
    card = read_card(path)
    rows = (row, row.model_copy(update={"precision": "bf16"}))
    model = onnx.load(path)
    del model.metadata_props[:]
    text = card.model_copy(update={"metrics": rows}).model_dump_json()
    model.metadata_props.add(key=card.metadata_key, value=text)
    onnx.save(model, path)
    return path


@pytest.fixture
def codes(make_image):
    return make_image(1)


def run(path, precision, codes, max_value=255):
    """Return the output of a model in a precision, in codes."""
    pixels = codes.astype(np.float32) / np.float32(max_value)
    output = Model.open(path, precision=precision)(pixels)
    return np.rint(output * max_value).astype(codes.dtype)


def test_8_bits_of_memory_have_the_quick_precision_and_others_fp32(path, codes):
    quick, exact = run(path, "bf16", codes), run(path, "fp32", codes)
    assert 0 < np.abs(quick.astype(int) - exact).max() <= 3
    np.testing.assert_array_equal(burnish.apply(codes, path), quick)
    np.testing.assert_array_equal(burnish.apply(codes, path, precision="fp32"), exact)
    deep = codes.astype(np.uint16) * 257
    np.testing.assert_array_equal(burnish.apply(deep, path), run(path, "fp32", deep, 65535))
    floats = codes / np.float32(255)
    np.testing.assert_array_equal(burnish.apply(floats, path), Model.open(path)(floats))
    encoded = burnish.apply(Photo(floats).encode("png"), path)
    np.testing.assert_array_equal(np.rint(Photo.open(encoded).pixels * 255), quick)


@pytest.mark.parametrize(
    ("source_depth", "options", "expected"),
    [
        (8, [], ("openvino", "bf16")),
        (16, [], ("onnxruntime", "fp32")),
        (8, ["--depth", "16"], ("onnxruntime", "fp32")),
        (16, ["--depth", "8"], ("openvino", "bf16")),
        (16, ["--format", "jpeg"], ("openvino", "bf16")),
        (8, ["--engine", "onnxruntime"], ("onnxruntime", "fp32")),
        (16, ["--precision", "bf16"], ("openvino", "bf16")),
        (8, ["--precision", "fp32", "--engine", "openvino"], ("openvino", "fp32")),
    ],
)
def test_precision_is_printed_and_recorded(
    path, codes, tmp_path, burnish, source_depth, options, expected
):
    Photo(codes / np.float32(255)).save(tmp_path / "a.png", depth=source_depth)
    folder = f"{tmp_path / 'out'}/"
    code, out, _ = burnish("apply", path, tmp_path / "a.png", "-o", folder, *options)
    assert code == 0
    assert f"({' '.join(expected)})" in out
    [target] = (tmp_path / "out").iterdir()
    [record] = read_history(target)
    assert (record.engine, record.precision) == expected
    arguments = [path, tmp_path / "a.png", "-o", folder, "--overwrite", "--json", *options]
    [step] = json.loads(burnish("apply", *arguments)[1])["history"]
    assert (step["engine"], step["precision"]) == expected


def test_precision_of_a_planned_photo_is_not_known(path, codes, tmp_path, burnish):
    Photo(codes / np.float32(255)).save(tmp_path / "a.png")
    _, out, _ = burnish("apply", path, tmp_path / "a.png", "--dry-run", "--json")
    assert json.loads(out)["history"][0]["precision"] is None


def test_combined_edits_pass_the_depth_on(path):
    edit = mix(load_edits([path, path], {}), 0.5)
    for bits, precision in ((8, "bf16"), (10, "fp32"), (None, None)):
        history = edit.for_output(bits, video=True).history
        assert [record.precision for record in history] == [precision] * 2
        assert [record.strength for record in history] == [0.5] * 2


def test_replay_repeats_the_recorded_precision(path):
    history = load_edit(path, {}, precision="bf16").history
    assert replay(history, models=[path]).history[0].precision == "bf16"
    assert replay(history, models=[path], precision="fp32").history[0].precision == "fp32"
    exact = load_edit(path, {}, precision="fp32").history
    assert replay(exact, models=[path]).for_output(8).history[0].precision == "fp32"


def test_replay_without_the_recorded_precision_warns(path):
    history = load_edit(path, {}, precision="bf16").history
    with pytest.warns(UserWarning, match=r"blur ran in bf16 before, and runs in fp32 now: "):
        edit = replay(history, models=[path], engine="onnxruntime")
    assert edit.history[0].precision == "fp32"
