"""From photos to a network and its model file: data, split, log, interruption, sliders."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import burnish.training
from burnish.errors import UsageError
from burnish.files import digest
from burnish.modelfile.reader import read_model
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_operator
from burnish.runtime.model import Model
from burnish.runtime.resize import area_resize
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.pipeline import train_network
from burnish.training.request import TrainingRequest, validate_request
from burnish.training.trainer import Checkpoint

VALUES = {"lambda": 0.02, "kappa": 2.0}


def test_slider_params_have_the_ranges_of_the_config_in_the_operators_order():
    sliders = {"kappa": (1.5, 3.0), "lambda": (0.03, 0.1)}
    config = TrainConfig("l0-smoothing", "fast", VALUES, steps=1, sliders=sliders)
    first, second = replace(config, params=VALUES | {"lambda": 0.05}).slider_params
    assert (first.name, first.low, first.high) == ("lambda", 0.03, 0.1)
    assert (second.name, second.low, second.high) == ("kappa", 1.5, 3.0)
    assert first.scale == OPERATORS["l0-smoothing"].params[0].scale


def test_slider_range_may_exclude_the_operators_default_but_not_the_value(photo_folder, tmp_path):
    """0.02 is the operator's default, and 0.1 the value asked for."""
    request = validate_request(
        "l0-smoothing",
        photos=photo_folder,
        params={"lambda": 0.1},
        sliders=["lambda=0.05:0.2"],
        output=tmp_path / "x.onnx",
        steps=1,
    )
    (param,) = request.config.slider_params
    assert (param.low, param.default, param.high) == (0.05, 0.1, 0.2)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("l0-smoothing", False), ("local-laplacian", True), ("nonlocal-dehazing", True)],
)
def test_global_context_defaults_to_operators_that_need_it(
    photo_folder, tmp_path, operator, expected
):
    def global_context(**options):
        output = tmp_path / "x.onnx"
        request = validate_request(operator, photos=photo_folder, output=output, steps=1, **options)
        return request.config.global_context

    assert global_context() is expected
    assert global_context(global_context=True)
    assert not global_context(network="can24")


@pytest.mark.slow
def test_trained_model_has_its_slider_and_global_context(photo_folder, tmp_path):
    Image.new("RGB", (40, 10)).save(photo_folder / "smaller than a crop.png")
    trained = burnish.training.train(
        "l0-smoothing",
        photos=photo_folder,
        sliders=["lambda=0.005:0.1"],
        guided=False,
        global_context=True,
        output=tmp_path / "turns.onnx",
        run_dir=tmp_path / "run",
        steps=4,
        slider_samples=2,
        batch=2,
        crop=16,
        short_sides=(),
        ema_decay=0.5,
    )
    model = Model.open(trained.path, device="cpu", threads=1)
    (slider,) = model.card.sliders
    assert (slider.name, slider.low, slider.value, slider.high) == ("lambda", 0.005, 0.02, 0.1)
    assert model.card.thumbnail_size == 64
    assert [param.name for param in model.card.params] == ["lambda", "kappa"]
    assert model.card.metrics[-1].photos.endswith(", sliders at random")
    assert model.card.metrics[0].photos.startswith("1 from 'фото'")
    assert model.card.training["photos"] == "5 from 'фото', 0.0022 megapixels"
    assert len(model.card.metrics) == len(trained.validation) == 2
    pixels = np.random.default_rng(0).random((20, 33, 3), dtype=np.float32)
    assert np.abs(model(pixels, {"lambda": 0.1}) - model(pixels)).max() > 0
    with pytest.raises(UsageError) as caught:
        model(pixels, {"lambda": 0.2})
    assert caught.value.where == "lambda"


def make_config(**changes):
    fields = {"operator": "l0-smoothing", "network": "can24", "steps": 12}
    return TrainConfig(**fields | {"batch": 2, "crop": 16, "short_sides": ()} | changes)


def train(config, photos, run_dir, *, validation=None, callbacks=None):
    request = TrainingRequest(
        config=config,
        photos=photos,
        validation=validation,
        output=run_dir / "x.onnx",
        run_dir=run_dir,
        overwrite=False,
        licence="unstated",
        save_every=60.0,
    )
    return train_network(request, callbacks or TrainCallbacks())


def photo_count(data):
    return len({pair.digest for pair in data.train if min(pair.size) >= make_config().crop})


def test_train_network_returns_the_network_and_writes_log_and_previews(photo_folder, tmp_path):
    tasks, previews = [], []

    class RecordingCallbacks(TrainCallbacks):
        def start(self, task, total=None):
            tasks.append((task, total))

        def on_validation(self, step, psnr, preview):
            previews.append(preview.is_file())

    trainer, start, data = train(
        make_config(), photo_folder, tmp_path / "run", callbacks=RecordingCallbacks()
    )
    assert tasks[0] == ("computing pairs", 6 + 1)  # the photos and a synthetic image
    assert previews
    assert all(previews)
    assert (trainer.step, start, len(data.validation)) == (12, None, 1)
    assert photo_count(data) == 5
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved == make_config().to_json()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 12
    assert [line["step"] for line in log] == [*range(1, 13)]
    validated = [line["validation_psnr"] for line in log if line["validation_psnr"] is not None]
    assert len(validated) == len(previews) == 10  # once for each tenth of the training
    assert all(0 < score < 60 for score in validated)
    assert (tmp_path / "run" / "curve.png").is_file()


def test_resume_after_a_photo_changed_raises(photo_folder, tmp_path):
    train(make_config(), photo_folder, tmp_path / "run")
    (photo_folder / "2.png").write_bytes((photo_folder / "1.png").read_bytes())
    with pytest.raises(UsageError, match="training data"):
        train(make_config(), photo_folder, tmp_path / "run")


def test_validation_photos_are_not_trained_on(photo_folder, tmp_path):
    """They are among the training photos under other names."""
    folder = tmp_path / "validation"
    folder.mkdir()
    for name in ("1.png", "4.png"):
        (folder / f"copy {name}").write_bytes((photo_folder / name).read_bytes())
    *_, data = train(make_config(steps=1), photo_folder, tmp_path / "run", validation=folder)
    assert len(data.validation) == 2
    assert photo_count(data) == 4


def test_validation_on_all_training_photos_raises(photo_folder, tmp_path):
    with pytest.raises(UsageError, match="training photos"):
        train(make_config(), photo_folder, tmp_path / "run", validation=photo_folder)


def test_copies_of_one_photo_are_too_few_photos(photo_folder, tmp_path):
    for path in sorted(photo_folder.glob("*.png"))[1:]:
        path.write_bytes((photo_folder / "0.png").read_bytes())
    with pytest.raises(UsageError, match="2 different photos"):
        train(make_config(), photo_folder, tmp_path / "run")


@pytest.mark.filterwarnings("ignore:left out")
def test_truncated_photo_is_neither_trained_nor_validated_on(photo_folder, tmp_path):
    files = sorted(photo_folder.iterdir())
    *_, data_before = train(make_config(steps=2), photo_folder, tmp_path / "whole")
    truncated = next(file for file in files if digest(file) == data_before.validation[0].digest)
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    *_, data = train(make_config(steps=2), photo_folder, tmp_path / "truncated")
    assert photo_count(data) == len(files) - 2
    assert len(data.validation) == 1
    assert data.validation[0].digest in {digest(file) for file in files if file != truncated}


def test_photos_too_small_for_ssim_are_not_validated_on(photo_folder, tmp_path):
    for seed in range(12):
        Image.fromarray(np.full((10, 40, 3), 20 * seed, np.uint8)).save(
            photo_folder / f"s{seed}.png"
        )
    *_, data = train(make_config(), photo_folder, tmp_path / "run")
    assert {pair.size for pair in data.validation} <= {(40, 56), (56, 40)}
    assert photo_count(data) == 5


@pytest.fixture
def blur(tmp_path):
    """The address of an operator, a mean over 3 x 3 pixels."""
    script = tmp_path / "filters.py"
    script.write_text(
        "from scipy.ndimage import uniform_filter\n\n"
        "def blur(rgb):\n    return uniform_filter(rgb, (3, 3, 1))\n"
    )
    return f"python:{script}:blur"


@pytest.fixture
def large_photos(tmp_path, make_image):
    """A folder of five photos of 72 x 96 pixels."""
    folder = tmp_path / "large"
    folder.mkdir()
    for seed in range(5):
        Image.fromarray(make_image(seed, 72, 96)).save(folder / f"{seed}.png")
    return folder


def train_guided(operator, photos, folder, **options):
    fields = {"photos": photos, "output": folder / "guided.onnx", "run_dir": folder / "run"}
    fields |= {"steps": 40, "start_fraction": 0.25, "guide_size": 32, "batch": 2, "crop": 32}
    fields |= {"short_sides": (), "ema_decay": 0.5, "synthetic_fraction": 0.0}
    return burnish.training.train(operator, **fields | options)


@pytest.mark.slow
def test_trained_guided_model_has_a_start_network_and_scores_for_both_guides(
    blur, large_photos, tmp_path
):
    trained = train_guided(blur, large_photos, tmp_path)
    model = Model.open(trained.path, device="cpu", threads=1)
    guide = model.card.guide
    assert (guide.size, guide.max_ratio, guide.start.network) == (32, 4.5, "fast")
    assert [entry.guide for entry in model.card.metrics] == ["operator", "network"]
    assert [result.guide for result in trained.validation] == ["operator", "network"]
    checkpoints = [Checkpoint.load(tmp_path / "run" / name) for name in CHECKPOINTS]
    assert [checkpoint.step for checkpoint in checkpoints] == [10, 30]
    assert model.card.training["steps"] == 30
    pixels = np.random.default_rng(0).random((50, 60, 3), dtype=np.float32)
    size = model.first_level(50, 60)
    first_level = find_operator(blur).run(area_resize(pixels, size))
    outputs = [model(pixels), model(pixels, guide=first_level)]
    assert [output.shape for output in outputs] == [pixels.shape] * 2
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01


CHECKPOINTS = ("start/checkpoint.pt", "checkpoint.pt")


@pytest.mark.slow
def test_start_network_of_a_model_is_used_again(blur, large_photos, tmp_path):
    """The graph of the start network is the same in both files."""
    first = train_guided(blur, large_photos, tmp_path, steps=6, start_fraction=0.5)
    second = train_guided(
        blur, large_photos, tmp_path / "second", steps=2, start=first.path, start_fraction=0.0
    )
    files = [read_model(trained.path) for trained in (first, second)]
    inputs = {"image": np.random.default_rng(0).random((1, 3, 32, 48), dtype=np.float32)}
    outputs = [onnxruntime.InferenceSession(f.start.graph).run(None, inputs) for f in files]
    np.testing.assert_array_equal(*outputs)
    run_dir = tmp_path / "second" / "run"
    assert not (run_dir / "start").exists()
    start = Checkpoint.load(run_dir / "checkpoint.pt").config["start"]
    assert start == f"guided-start {files[0].start.sha256[:12]}"
    assert list((run_dir / f"start-outputs {start}").iterdir())


@pytest.mark.slow
def test_guided_model_without_a_start_network_needs_the_operator(blur, large_photos, tmp_path):
    trained = train_guided(blur, large_photos, tmp_path, steps=2, start_fraction=0.0)
    assert read_model(trained.path).start is None
    assert [result.guide for result in trained.validation] == ["operator"]
    assert not (tmp_path / "run" / "start").exists()


def test_start_outputs_are_written_once_and_sampled(large_photos, tmp_path):
    """A resumed training changes neither the start network nor its outputs."""
    config = make_config(network="fast", guided=True, steps=4, guide_size=32, crop=32)
    trainer, start, _ = train(config, large_photos, tmp_path / "run")
    assert trainer.sampler.start_outputs == tmp_path / "run" / "start-outputs"
    files = sorted(trainer.sampler.start_outputs.iterdir())
    assert files
    times = [file.stat().st_mtime_ns for file in files]
    _, resumed, _ = train(config, large_photos, tmp_path / "run")
    assert [file.stat().st_mtime_ns for file in files] == times
    for name, value in start.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_symmetries_are_those_at_the_values_of_the_training(photo_folder, tmp_path):
    """With a colour of haze, dehazing does not commute with permutations of the channels."""
    for airlight, expected in ((None, {"channel permutation"}), ("#c0d0e0", set())):
        params = OPERATORS["dark-channel-guided"].resolve_params({"airlight": airlight})
        config = make_config(operator="dark-channel-guided", params=params, steps=1)
        trainer, *_ = train(config, photo_folder, tmp_path / f"run {airlight}")
        assert trainer.sampler.symmetries == expected


COMMAND = [
    *("train", "l0-smoothing", "--batch", "1", "--crop", "16", "-o", "out.onnx"),
    *("--run-dir", "run", "--photos"),
]


@pytest.mark.slow
def test_killed_command_resumes(photo_folder, tmp_path):
    options = ["--steps", "60", "--no-guided", "--save-every", "0"]
    command = [sys.executable, "-m", "burnish", *COMMAND, str(photo_folder), *options]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    wait_for(lambda: checkpoint.exists() and Checkpoint.load(checkpoint).step >= 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= Checkpoint.load(checkpoint).step < 60
    resumed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert Checkpoint.load(checkpoint).step == 60
    assert "dB mean" in resumed.stdout


@pytest.mark.slow
def test_two_processes_write_one_model(photo_folder, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "burnish", *COMMAND, str(photo_folder), "--steps", "6"]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("out.onnx") == 1
    assert read_model(tmp_path / "out.onnx").start is not None


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)
