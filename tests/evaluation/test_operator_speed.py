"""The time of operators and networks, measured and remembered."""

import numpy as np

from burnish.evaluation.operator_speed import (
    OperatorSpeed,
    measure_speeds,
    read_speeds,
    save_speeds,
)

SPEEDS = [OperatorSpeed("tv-l1", 3.0, 1.0, "operator"), OperatorSpeed("l0-smoothing", 1, 2, None)]


def test_measured_speeds_are_those_of_the_operator_and_its_network(make_image):
    models = ["rudin-osher-fatemi", "rudin-osher-fatemi-best"]
    [speed] = measure_speeds(make_image(1) / np.float32(255), models)
    assert (speed.operator, speed.guide) == ("rudin-osher-fatemi", "operator")
    assert 0 < speed.operator_seconds < 60
    assert 0 < speed.network_seconds < 60


def test_operator_is_as_fast_if_it_takes_no_longer():
    assert [speed.as_fast for speed in SPEEDS] == [False, True]
    assert OperatorSpeed("tv-l1", 1.2, 1.0, None).as_fast


def test_speeds_are_remembered_until_the_version_changes(cache, monkeypatch):
    assert read_speeds() == {}
    save_speeds(SPEEDS)
    save_speeds(SPEEDS)
    assert list(read_speeds().values()) == SPEEDS
    file = cache / "operator-speed.json"
    for content in ("", "[]", '{"burnish": 1}', file.read_text().replace("seconds", "minutes")):
        text = file.read_text()
        file.write_text(content)
        assert read_speeds() == {}
        file.write_text(text)
    monkeypatch.setattr("burnish.__version__", "9.9")
    assert read_speeds() == {}


def test_list_of_operators_shows_those_that_are_as_fast(burnish, cache):
    assert "as fast" not in burnish("operators", "list")[1]
    save_speeds(SPEEDS)
    [line] = [line for line in burnish("operators", "list")[1].splitlines() if "as fast" in line]
    assert line.startswith("l0-smoothing")


def test_list_of_operators_for_a_use(burnish):
    code, out, _ = burnish("operators", "list", "--for", "haze")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names == ["dark-channel-dehazing", "nonlocal-dehazing", "dark-channel-guided"]
    assert burnish("operators", "list", "--for", "dogs") == (
        2,
        "",
        "burnish: --for dogs: no operator has this use; leave it out\n",
    )
