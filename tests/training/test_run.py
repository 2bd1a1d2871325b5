"""A training from photos to a network: data, split, log, and interruption of the command."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from burnish.errors import UsageError
from burnish.files import digest
from burnish.training.callbacks import TrainCallbacks
from burnish.training.checkpoint import Checkpoint
from burnish.training.config import TrainConfig
from burnish.training.run import train_network


def make_config(**changes):
    fields = {"operator": "l0-smoothing", "network": "can24", "steps": 12}
    return TrainConfig(**fields | {"batch": 2, "crop": 16, "short_sides": ()} | changes)


def test_train_network_returns_the_network_and_writes_log_and_previews(photos, tmp_path):
    tasks, previews = [], []

    class Recorder(TrainCallbacks):
        def start(self, task, total=None):
            tasks.append((task, total))

        def on_validation(self, step, psnr, preview):
            previews.append(preview.is_file())

    result = train_network(make_config(), photos, None, tmp_path / "run", Recorder())
    assert tasks[0] == ("computing pairs", 6 + 1)  # the photos and a synthetic image
    assert previews
    assert all(previews)
    assert (result.steps, len(result.validation)) == (12, 1)
    assert result.trained_on.startswith("5 from 'фото', 0.0022 megapixels")
    assert result.validation_source == photos
    saved = (tmp_path / "run" / "config.json").read_text()
    assert TrainConfig.from_json(saved) == make_config()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 12
    assert all(0 < line["validation_psnr"] < 60 for line in log)


def test_resume_after_a_photo_changed_raises(photos, tmp_path):
    train_network(make_config(), photos, None, tmp_path / "run")
    (photos / "2.png").write_bytes((photos / "1.png").read_bytes())
    with pytest.raises(UsageError, match="training data"):
        train_network(make_config(), photos, None, tmp_path / "run")


def test_validation_photos_are_not_trained_on(photos, tmp_path):
    """They are among the training photos under other names."""
    folder = tmp_path / "validation"
    folder.mkdir()
    for name in ("1.png", "4.png"):
        (folder / f"copy {name}").write_bytes((photos / name).read_bytes())
    result = train_network(make_config(steps=1), photos, folder, tmp_path / "run")
    assert len(result.validation) == 2
    assert result.validation_source == folder
    assert result.trained_on.startswith("4 from 'фото'")


def test_validation_on_all_training_photos_raises(photos, tmp_path):
    with pytest.raises(UsageError, match="training photos"):
        train_network(make_config(), photos, photos, tmp_path / "run")


def test_copies_of_one_photo_are_too_few_photos(photos, tmp_path):
    for path in sorted(photos.glob("*.png"))[1:]:
        path.write_bytes((photos / "0.png").read_bytes())
    with pytest.raises(UsageError, match="2 different photos"):
        train_network(make_config(), photos, None, tmp_path / "run")


@pytest.mark.filterwarnings("ignore:left out")
def test_truncated_photo_is_neither_trained_nor_validated_on(photos, tmp_path):
    files = sorted(photos.iterdir())
    whole = train_network(make_config(steps=2), photos, None, tmp_path / "whole")
    truncated = next(file for file in files if digest(file) == whole.validation[0].digest)
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    result = train_network(make_config(steps=2), photos, None, tmp_path / "truncated")
    assert result.trained_on.startswith(f"{len(files) - 2} from")
    assert len(result.validation) == 1
    assert result.validation[0].digest in {digest(file) for file in files if file != truncated}


def test_photos_too_small_for_ssim_are_not_validated_on(photos, tmp_path):
    for seed in range(12):
        Image.fromarray(np.full((10, 40, 3), 20 * seed, np.uint8)).save(photos / f"s{seed}.png")
    result = train_network(make_config(), photos, None, tmp_path / "run")
    assert {pair.size for pair in result.validation} <= {(40, 56), (56, 40)}
    assert result.trained_on.startswith("5 from")


COMMAND = [
    *("train", "l0-smoothing", "--batch", "1", "--crop", "16", "-o", "out.onnx"),
    *("--run-dir", "run", "--photos"),
]


@pytest.mark.slow
def test_killed_command_resumes(photos, tmp_path):
    options = ["--steps", "60", "--save-every", "0"]
    command = [sys.executable, "-m", "burnish", *COMMAND, str(photos), *options]
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
def test_two_processes_write_one_model(photos, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "burnish", *COMMAND, str(photos), "--steps", "6"]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("dB mean") == 1
    assert (tmp_path / "out.onnx").is_file()


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)
