"""Operators on a smaller copy of a photo, what they measure on the whole photo, and off values."""

import numpy as np
import pytest

from burnish.errors import OperatorError, UsageError
from burnish.operators.operator import SAMPLES, Operator, to_argument
from burnish.operators.registry import OPERATORS
from burnish.params import Param
from burnish.photo import Photo

MEASURING = [name for name, operator in OPERATORS.items() if operator.measure_function]
SWITCHES = {
    name: {p.name: p.off for p in operator.params if isinstance(p, Param) and p.off is not None}
    for name, operator in OPERATORS.items()
}
CAN_BE_OFF = [name for name, values in SWITCHES.items() if values]


@pytest.fixture(scope="module")
def photo():
    return Photo.open(SAMPLES / "coffee.jpg").pixels[110:190, 130:230].copy()


@pytest.mark.parametrize("name", ["rudin-osher-fatemi", "tv-l1"])
def test_run_small_of_total_variation_is_the_enlarged_minimiser(name):
    # If pixels are repeated k times, so is the minimiser of an energy whose data term weighs 1 / k
    # as much. In one dimension, this holds exactly.
    operator = OPERATORS[name]
    row = np.repeat([0.2, 0.4, 0.2, 0.5, 0.2, 0.9], [6, 1, 6, 2, 6, 8])
    small = np.broadcast_to(row[None, :, None], (4, row.size, 3)).astype(np.float32)
    expected = operator.run(small.repeat(3, axis=0).repeat(3, axis=1))[::3, ::3]
    np.testing.assert_allclose(operator.run_small(small, 1 / 3), expected, atol=3e-3)
    assert np.abs(operator.run(small) - expected).max() > 0.01


def test_run_small_passes_values_outside_the_range_and_whole_numbers():
    calls = []

    def record_call(rgb, radius, patch, strength):
        calls.append((radius, patch, strength))
        return rgb

    params = (
        Param("radius", "blurs wider", 4, low=2, high=9, unit="px"),
        Param("patch", "compares more", 3, low=3, high=9, unit="px", integer=True),
        Param("strength", "does more", 1, low=0, high=2),
    )
    operator = Operator("own", "own", record_call, params=params)
    image = np.full((4, 5, 3), 0.5, np.float32)
    operator.run_small(image, 0.125)
    operator.run_small(image, 0.5, patch=9, radius=8, strength=2)
    operator.run(image)
    assert calls == [(0.5, 1, 1), (4, 4, 2), (4, 3, 1)]
    with pytest.raises(UsageError, match="radius"):
        operator.run_small(image, 0.125, radius=1)


@pytest.mark.parametrize("name", MEASURING)
def test_measured_arguments_do_not_change_the_photo_s_result(name, photo):
    operator = OPERATORS[name]
    measured = operator.measure(photo)
    np.testing.assert_allclose(
        operator.run_small(photo, 1.0, measured), operator.run(photo), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "params"), [*((name, {}) for name in MEASURING), ("nonlocal-dehazing", {"gamma": 2.2})]
)
def test_a_part_of_a_photo_gets_the_airlight_of_the_whole(name, params, photo):
    operator = OPERATORS[name]
    measured = operator.measure(photo, **params)
    codes = np.rint(255 * measured["airlight"]).astype(int)
    airlight = "#" + "".join(f"{code:02x}" for code in codes)
    np.testing.assert_allclose(measured["airlight"], codes / 255, atol=1e-6)  # a colour of the JPEG
    part = photo[:40, :48]
    assert not np.allclose(operator.measure(part, **params)["airlight"], measured["airlight"])
    np.testing.assert_allclose(
        operator.run_small(part, 1.0, measured, **params),
        operator.run(part, airlight=airlight, **params),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", MEASURING)
def test_measured_airlight_is_the_given_colour_and_never_black(name, photo):
    measure = OPERATORS[name].measure
    np.testing.assert_allclose(
        measure(photo, airlight="#ff8000")["airlight"], np.divide([255, 128, 1], 255), atol=1e-6
    )
    np.testing.assert_allclose(measure(np.zeros((9, 9, 3)))["airlight"], 1 / 255)


def test_measure_without_a_function_returns_nothing(photo):
    assert OPERATORS["l0-smoothing"].measure(photo) == {}
    with pytest.raises(UsageError, match="lambda"):
        OPERATORS["l0-smoothing"].measure(photo, lambda_=9)


def test_measure_that_fails_raises():
    operator = Operator("own", "own", np.sqrt, measure_function="math:sqrt")
    with pytest.raises(OperatorError, match="own: it failed with TypeError"):
        operator.measure(np.zeros((3, 4, 3)))


def test_these_operators_can_be_off():
    assert set(CAN_BE_OFF) == {
        *("multiscale-tone", "local-laplacian", "local-contrast", "multi-scale-retinex"),
        *("dark-channel-dehazing", "dark-channel-guided"),
    }


@pytest.mark.parametrize("name", CAN_BE_OFF)
def test_operator_that_is_off_changes_nothing(name, photo):
    operator = OPERATORS[name]
    values = operator.resolve_params(SWITCHES[name])
    arguments = {p.argument_name: to_argument(p, values[p.name]) for p in operator.params}
    noise = np.random.default_rng(0).random((30, 41, 3), np.float32)
    for image in (photo, noise):
        result = operator.load_function()(image, **arguments)
        np.testing.assert_allclose(result, image, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(operator.run(image, **SWITCHES[name]), image)
        np.testing.assert_array_equal(operator.run_small(image, 0.5, **SWITCHES[name]), image)


@pytest.mark.parametrize("name", CAN_BE_OFF)
def test_operator_is_not_off_if_one_parameter_is_on(name):
    operator = OPERATORS[name]
    assert operator.is_off(operator.resolve_params(SWITCHES[name]))
    for param in SWITCHES[name]:
        value = 0.5 if param != "clip-limit" else 2
        assert not operator.is_off(operator.resolve_params(SWITCHES[name] | {param: value}))


def test_off_values_lie_in_the_range():
    for name in CAN_BE_OFF:
        assert OPERATORS[name].resolve_params(SWITCHES[name]).items() >= SWITCHES[name].items()


def test_operator_without_off_values_is_never_off():
    operator = OPERATORS["l0-smoothing"]
    assert not operator.is_off(operator.resolve_params({}))
