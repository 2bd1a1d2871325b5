import json
import sys
from dataclasses import replace

import pytest
from PIL import Image

from burnish.errors import MissingLibraryError, UsageError
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
        {"start_fraction": 1.0},
        {"guide_size": 31},
        {"guide_ratio": 1.0},
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


def test_guided_training_is_divided_between_the_start_network_and_the_network():
    config = TrainConfig("l0-smoothing", "fast", steps=10, guided=True, start_fraction=0.3)
    assert (config.start_config.steps, config.guided_config.steps) == (3, 7)
    assert (config.start_config.guided, config.guided_config.guided) == (False, True)
    crops = [replace(config, crop=crop).start_config.crop for crop in (64, 128, 256)]
    assert crops == [64, 128, 128]
    timed = replace(config, steps=None, budget=60.0)
    assert (timed.start_config.budget, timed.guided_config.budget) == pytest.approx((18, 42))


@pytest.mark.parametrize(
    ("fields", "has_start"),
    [
        ({"guided": False}, False),
        ({"start": "l0-smoothing 0123456789ab", "start_fraction": 0.0}, True),
        ({"start_fraction": 0.0}, False),
    ],
)
def test_network_has_the_whole_training_if_no_start_network_is_trained(fields, has_start):
    config = TrainConfig(
        **{"operator": "l0-smoothing", "network": "fast", "steps": 10, "guided": True} | fields
    )
    assert config.has_start is has_start
    assert config.guided_config == config


def request(tmp_path, photos, **options):
    output = tmp_path / "x.onnx"
    return validate_request("tv-l1", photos=photos, output=output, steps=1, **options)


def test_networks_are_guided_if_they_can_be(tmp_path, photo_folder):
    assert request(tmp_path, photo_folder).config.guided
    assert not request(tmp_path, photo_folder, guided=False).config.guided
    assert not request(tmp_path, photo_folder, network="can24").config.guided
    with pytest.raises(UsageError, match="guide"):
        request(tmp_path, photo_folder, network="can24", guided=True)


def test_pairs_need_a_start_network(tmp_path):
    for side in ("before", "after"):
        (tmp_path / "files" / side).mkdir(parents=True)
        Image.new("RGB", (30, 20)).save(tmp_path / "files" / side / "a.png")
    spec, output = f"pairs:{tmp_path / 'files'}", tmp_path / "x.onnx"
    assert validate_request(spec, output=output, steps=1).config.has_start
    with pytest.raises(UsageError) as caught:
        validate_request(spec, output=output, steps=1, start_fraction=0.0)
    assert caught.value.where == "--start-fraction"


def test_request_without_tensorboard_names_what_to_install(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as if it were not installed
    options = {"photos": photo_folder, "output": tmp_path / "x.onnx", "tensorboard": True}
    with pytest.raises(MissingLibraryError, match="pip install tensorboard"):
        validate_request("l0-smoothing", **options)
