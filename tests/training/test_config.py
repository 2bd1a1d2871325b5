import json

import pytest

from burnish.errors import UsageError
from burnish.training.config import TrainConfig, parse_budget
from burnish.training.request import validate_request


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("90s", 90), ("1h30m", 5400), ("0.5h", 1800), ("2m5s", 125)],
)
def test_parse_budget(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "30 m", "-5m", "1d", "0m", "5m!", "m5"])
def test_parse_budget_of_another_text_raises(text):
    with pytest.raises(UsageError) as caught:
        parse_budget(text)
    assert caught.value.where == "--budget"


def test_config_as_json_has_all_fields_with_lists_for_tuples():
    config = TrainConfig(
        "l0-smoothing",
        "fast",
        {"lambda": 0.02},
        sliders={"lambda": (0.01, 0.1)},
        slider_samples=4,
        budget=60,
        short_sides=(240,),
    )
    values = config.to_json()
    assert json.loads(json.dumps(values)) == values
    assert values["sliders"] == {"lambda": [0.01, 0.1]}
    assert TrainConfig(**values | {"sliders": config.sliders, "short_sides": (240,)}) == config


@pytest.mark.parametrize(
    "fields",
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
def test_config_with_values_out_of_range_raises(fields):
    with pytest.raises(UsageError):
        TrainConfig(**{"operator": "l0-smoothing", "network": "can24", "steps": 1} | fields)


@pytest.mark.parametrize("network", ["fast", "best"])
def test_request_with_a_crop_that_does_not_fit_the_network_raises(tmp_path, network):
    with pytest.raises(UsageError) as caught:
        validate_request(
            "l0-smoothing", photos=tmp_path, output=tmp_path / "x.onnx", network=network, crop=100
        )
    assert (caught.value.where, caught.value.remedy) == ("--crop", "choose 112")
