"""The log of a training: its lines, its picture and its warning."""

import importlib.util
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from burnish.training import StepInfo
from burnish.training.log import TrainingLog, draw_curve


def info(step, loss=0.01):
    return StepInfo(step, step / 10, 2.0 * step, loss, {"mse": loss})


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_lines_have_the_loss_and_the_score_of_the_validation(tmp_path):
    log = TrainingLog(tmp_path)
    log.add(info(1))
    log.add(info(2, 0.001), 25.0)
    log.close()
    assert lines(tmp_path) == [
        {
            **{"step": 1, "progress": 0.1, "seconds": 2.0, "loss": 0.01},
            **{"loss_terms": {"mse": 0.01}, "psnr": 20.0, "validation_psnr": None},
        },
        {
            **{"step": 2, "progress": 0.2, "seconds": 4.0, "loss": 0.001},
            **{"loss_terms": {"mse": 0.001}, "psnr": 30.0, "validation_psnr": 25.0},
        },
    ]
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (800, 600)


def test_resumed_log_loses_the_lines_after_the_checkpoint(tmp_path):
    first = TrainingLog(tmp_path)
    for step in (1, 2, 3):
        first.add(info(step))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 1, "los')  # a killed run
    resumed = TrainingLog(tmp_path, step=2)
    resumed.add(info(3, 0.5))
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [
        *((1, 0.01), (2, 0.01), (3, 0.5)),
    ]


def test_curve_shows_the_scores():
    """A score that differs changes the picture, in the lower half alone."""
    records = [vars(info(step)) | {"psnr": 20.0, "validation_psnr": 21.0} for step in (1, 2, 3)]
    pictures = []
    for score in (21.0, 21.5):
        records[1]["validation_psnr"] = score
        with Image.open(BytesIO(draw_curve(records))) as picture:
            pictures.append(np.asarray(picture.convert("L"), np.int16))
    rows = np.flatnonzero(np.abs(pictures[0] - pictures[1]).max(axis=1))
    assert rows.min() > 250


def test_curve_of_a_loss_of_zero_is_drawn():
    """A log scale has no zero."""
    record = vars(info(1, 0.0)) | {"psnr": 120.0, "validation_psnr": 120.0}
    assert draw_curve([record]).startswith(b"\x89PNG")


def test_falling_validation_is_warned_of(tmp_path):
    log = TrainingLog(tmp_path)
    for step, score in enumerate((20.0, 24.0, 23.6)):
        log.add(info(step), score)
    log.close()
    log.add(info(3), 23.4)
    with pytest.warns(UserWarning, match=r"from 24\.00 dB at step 1 to 23\.40 dB"):
        log.close()


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_the_same_values(tmp_path):
    log = TrainingLog(tmp_path, tensorboard=True)
    log.add(info(1))
    log.add(info(2, 0.001), 25.0)
    log.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    values = {
        name: [(event.step, round(event.value, 6)) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    assert values == {
        "loss": [(1, 0.01), (2, 0.001)],
        "loss/mse": [(1, 0.01), (2, 0.001)],
        "psnr": [(1, 20.0), (2, 30.0)],
        "validation_psnr": [(2, 25.0)],
    }
