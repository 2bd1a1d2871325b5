import json

import pytest

from burnish.errors import UsageError
from burnish.training.config import TrainConfig, parse_budget
from burnish.training.request import validate_request


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("90s", 90), ("1h30m", 5400), ("0.5h", 1800), ("2m5s", 125)],
)
def test_budget(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "30 m", "-5m", "1d", "0m", "5m!", "m5"])
def test_budget_that_is_none(text):
    with pytest.raises(UsageError, match="--budget: expected a length of time such as 30m"):
        parse_budget(text)


def test_round_trip_through_json():
    settings = TrainConfig("l0-smoothing", "can24", {"lambda": 0.02}, budget=60, short_sides=(240,))
    assert TrainConfig.from_json(json.dumps(settings.to_json())) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": None},
        {"steps": 5, "budget": 5.0},
        {"steps": 0},
        {"batch": 0},
        {"max_lr": float("nan")},
        {"warmup_fraction": 1.0},
        {"ema_decay": -0.1},
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(UsageError, match="see `burnish train --help`"):
        TrainConfig(**{"operator": "l0-smoothing", "network": "can24", "steps": 1} | wrong)


def test_an_unknown_setting_is_an_error():
    with pytest.raises(TypeError, match="colour"):
        TrainConfig("l0-smoothing", "can24", steps=1, colour="red")


@pytest.mark.parametrize("network", ["fast", "best"])
def test_crops_that_the_network_cannot_take_are_refused_at_once(tmp_path, network):
    with pytest.raises(UsageError, match=f"--crop: expected a multiple of .* as {network} cuts"):
        validate_request(
            "l0-smoothing", photos=tmp_path, output=tmp_path / "x.onnx", network=network, crop=100
        )
