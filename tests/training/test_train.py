"""The loop as a whole: it learns, resumes exactly, survives a kill, and works in processes."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from burnish.errors import ModelError, UsageError
from burnish.files import digest
from burnish.networks.can import CAN
from burnish.training.checkpoint import Checkpoint
from burnish.training.config import TrainConfig
from burnish.training.pairs import Pair
from burnish.training.sampler import CropSampler
from burnish.training.train import TrainCallbacks, train
from burnish.training.trainer import Trainer

TINY = {"batch": 2, "crop": 16, "short_sides": ()}


def settings(**changes):
    return TrainConfig(
        **{"operator": "l0-smoothing", "network": "can24", "steps": 12} | TINY | changes
    )


@pytest.fixture
def stored(tmp_path):
    """An operator that a network of two layers can learn: a darker, redder picture."""
    pairs = []
    for index in range(3):
        before = np.random.default_rng(index).random((32, 32, 3))
        after = 0.6 * before + [0.2, 0.0, 0.1]
        path = tmp_path / f"{index}.npy"
        np.save(path, np.rint(65535 * np.stack([before, after])).astype(np.uint16))
        pairs.append(Pair(f"{index}.png", path))
    return pairs


def training(stored, folder, **changes):
    torch.manual_seed(0)
    wanted = settings(**changes)
    batches = CropSampler(stored, batch=wanted.batch, crop=wanted.crop, seed=wanted.seed)
    folder.mkdir(exist_ok=True)
    return Trainer(wanted, CAN(width=8, dilations=(1, 1)), batches, folder)


def weights(one):
    return one.averaged().state_dict()


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=0, atol=0)


def test_it_learns(stored, tmp_path):
    run = training(stored, tmp_path / "run", steps=400, batch=4, peak_rate=1e-2, averaging=0.9)
    run.run()
    before, after = stored[0].read()
    planes = torch.from_numpy(before).permute(2, 0, 1)[None]
    with torch.inference_mode():
        result = run.ema_network()(planes)[0].permute(1, 2, 0).numpy()
    untouched = np.mean((before - after) ** 2)
    assert np.mean((result - after) ** 2) < untouched / 3


def test_resumed_equals_uninterrupted_bit_for_bit(stored, tmp_path, one_thread):
    whole = training(stored, tmp_path / "whole")
    whole.run()
    first = training(stored, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        first.run(interrupt_at(5), save_every=0)
    second = training(stored, tmp_path / "parts")
    assert second.step == 4  # what was saved last, before the interruption
    second.run()
    assert_equal(weights(whole), weights(second))


def interrupt_at(step):
    def listen(moment):
        if moment.step == step:
            raise KeyboardInterrupt

    return listen


def test_other_settings_are_not_resumed(stored, tmp_path):
    training(stored, tmp_path / "run").run()
    with pytest.raises(UsageError, match=r"got another one \(it differs in batch, seed\)"):
        training(stored, tmp_path / "run", seed=1, batch=3)


def test_other_photos_are_not_resumed(photos, tmp_path):
    train(settings(), photos, None, tmp_path / "run")
    (photos / "2.png").write_bytes((photos / "1.png").read_bytes())
    with pytest.raises(UsageError, match="differs in photos, operator or processes"):
        train(settings(), photos, None, tmp_path / "run")


def test_a_broken_checkpoint_is_said_to_be_one(stored, tmp_path):
    training(stored, tmp_path / "run").run()
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="expected a checkpoint"):
        training(stored, tmp_path / "run")


def test_a_checkpoint_that_holds_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    torch.save({"step": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="expected a checkpoint"):
        Checkpoint.load(tmp_path / "checkpoint.pt")


def test_a_loss_that_is_not_finite_stops_the_training(stored, tmp_path):
    run = training(stored, tmp_path / "run")
    with torch.no_grad():
        run.network.colours.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="expected a finite loss, got nan"):
        run.run()


def test_statistics_freeze_for_good(stored, tmp_path):
    seen = []
    run = training(stored, tmp_path / "run", freeze_at=0.5)
    run.run(lambda moment: seen.append(run.network.normalised[0].normal.running_mean.clone()))
    changes = [not torch.equal(a, b) for a, b in itertools.pairwise(seen)]
    assert changes == [True] * 5 + [False] * 6


def test_a_budget_ends_the_training(stored, tmp_path):
    run = training(stored, tmp_path / "run", steps=None, budget=0.5)
    run.run()
    assert run.progress == 1
    assert run.step > 3
    assert run.seconds >= 0.5


def test_photos_to_network_and_report(photos, tmp_path):
    heard = []

    class Ears(TrainCallbacks):
        def begin(self, task, total):
            heard.append((task, total))

        def look(self, step, psnr, picture):
            heard.append(("look", picture.is_file()))

    result = train(settings(), photos, None, tmp_path / "run", Ears())
    assert heard[0] == ("making pairs", 6 + 1)  # photos, and a drawn picture
    assert ("look", True) in heard
    assert (result.steps, len(result.validation)) == (12, 1)
    assert result.trained_on.startswith("5 from 'фото', 0.0022 megapixels")
    assert result.validation_source == photos
    saved = (tmp_path / "run" / "settings.json").read_text()
    assert TrainConfig.from_json(saved) == settings()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 12
    assert all(0 < line["held_out_psnr"] < 60 for line in log)


def test_held_out_photos_are_never_trained_on(photos, tmp_path):
    # The same photos under other names: none of them is left to train on.
    with pytest.raises(UsageError, match="and others to train on, got all of them"):
        train(settings(), photos, photos, tmp_path / "run")


def test_a_copy_of_a_photo_is_the_same_photo(photos, tmp_path):
    for path in sorted(photos.glob("*.png"))[1:]:
        path.write_bytes((photos / "0.png").read_bytes())
    with pytest.raises(UsageError, match=r"at least 2 different photos.* got 1"):
        train(settings(), photos, None, tmp_path / "run")


@pytest.mark.filterwarnings("ignore:left out")
def test_photos_that_break_off_are_neither_learnt_nor_judged(photos, tmp_path):
    files = sorted(photos.iterdir())
    whole = train(settings(steps=2), photos, None, tmp_path / "whole")
    judged = next(file for file in files if digest(file) == whole.validation[0].digest)
    judged.write_bytes(judged.read_bytes()[:-1000])  # another file, and not to be read to its end
    found = train(settings(steps=2), photos, None, tmp_path / "broken")
    assert found.trained_on.startswith(f"{len(files) - 2} from")
    assert len(found.validation) == 1
    assert found.validation[0].digest in {digest(file) for file in files if file != judged}


def test_photos_too_small_to_be_judged_are_not_held_out(photos, tmp_path):
    for seed in range(12):
        Image.fromarray(np.full((10, 40, 3), 20 * seed, np.uint8)).save(photos / f"s{seed}.png")
    result = train(settings(), photos, None, tmp_path / "run")
    assert {pair.size for pair in result.validation} <= {(40, 56), (56, 40)}
    assert result.trained_on.startswith("5 from")


COMMAND = [
    *("train", "l0-smoothing", "--batch", "1", "--crop", "16", "-o", "out.onnx"),
    *("--run-folder", "run", "--photos"),
]


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed(photos, tmp_path):
    command = [
        sys.executable,
        "-m",
        "burnish",
        *COMMAND,
        str(photos),
        "--steps",
        "60",
        "--save-every",
        "0",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    wait_for(lambda: checkpoint.exists() and Checkpoint.load(checkpoint).step >= 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stopped_at = Checkpoint.load(checkpoint).step
    assert 3 <= stopped_at < 60
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Checkpoint.load(checkpoint).step == 60
    assert "dB mean" in done.stdout


@pytest.mark.slow
def test_two_processes_train_one_network(photos, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "burnish", *COMMAND, str(photos), "--steps", "6"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dB mean") == 1
    assert (tmp_path / "out.onnx").is_file()


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
