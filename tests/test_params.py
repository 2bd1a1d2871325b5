"""Parameters: names, ranges, defaults, and values that are rejected."""

import math
from dataclasses import replace

import numpy as np
import pytest

from burnish.errors import UsageError
from burnish.params import ColourParam, FileParam, Param, resolve_params

LAMBDA = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
RADIUS = Param("radius", "blurs wider", default=3, low=1, high=9, unit="px")


def test_argument_name_and_option_derive_from_name():
    assert (LAMBDA.argument_name, LAMBDA.option) == ("lambda_", "--lambda")
    assert (RADIUS.argument_name, RADIUS.option, RADIUS.range) == (
        "radius",
        "--radius",
        "1 to 9 px",
    )


@pytest.mark.parametrize("value", [0.002, 0.02, 0.2])
def test_check_range_includes_its_ends(value):
    assert LAMBDA.check(value) == value


def test_at_size_multiplies_by_a_power_of_the_size():
    assert LAMBDA.at_size(0.02, 0.25) == 0.02
    assert replace(LAMBDA, size_power=-1).at_size(0.02, 0.25) == 0.08
    assert RADIUS.at_size(2, 0.25) == 0.5
    assert replace(RADIUS, size_power=0).at_size(2, 0.25) == 2
    assert replace(RADIUS, size_power=0.5).at_size(2, 0.25) == 1


def test_at_size_of_a_whole_number_is_at_least_one():
    patch = replace(RADIUS, integer=True)
    assert [patch.at_size(value, 0.4) for value in (1, 6, 9)] == [1, 2, 4]
    assert replace(patch, low=0, size_power=0).at_size(0, 0.4) == 0


@pytest.mark.parametrize("value", [0.0019, 0.21, -1, math.nan, math.inf, "wide", None])
def test_check_outside_range_raises(value):
    with pytest.raises(UsageError, match=r"lambda: .* 0\.002 to 0\.2"):
        LAMBDA.check(value)


def test_check_text_that_spells_a_number_raises():
    with pytest.raises(UsageError, match=r"'0\.1'; give a number"):
        LAMBDA.check("0.1")


def test_check_accepts_numpy_numbers():
    for value in (0.002, 0.125, 0.2):
        assert LAMBDA.check(np.float32(value)) == LAMBDA.check(np.float64(value)) == value
    count = Param("n", "does more", default=1, low=1, high=5, integer=True)
    assert count.check(np.int64(3)) == 3


def test_resolve_params_takes_names_argument_names_and_defaults():
    assert resolve_params([LAMBDA, RADIUS], {"lambda_": 0.1}, "x") == {"lambda": 0.1, "radius": 3}
    assert resolve_params([LAMBDA, RADIUS], {"lambda": 0.1, "radius": None}, "x")["radius"] == 3


def test_resolve_params_unknown_name_raises():
    with pytest.raises(UsageError, match=r"blur: .* sigma; .* radius"):
        resolve_params([RADIUS], {"sigma": 1}, "blur")


def test_resolve_params_without_parameters_raises_for_any_name():
    with pytest.raises(UsageError, match=r"median: .* sigma; leave it out"):
        resolve_params([], {"sigma": 1}, "median")


@pytest.mark.parametrize("changes", [{"default": 10}, {"low": 0, "scale": "log"}])
def test_param_with_inconsistent_fields_raises_value_error(changes):
    fields = {"name": "radius", "effect": "blurs", "default": 3, "low": 1, "high": 9}
    with pytest.raises(ValueError, match="radius"):
        Param(**fields | changes)


def test_check_integer_param_rejects_fractions():
    steps = Param("steps", "takes longer", default=4, low=1, high=9, integer=True)
    assert steps.check(5) == 5.0
    with pytest.raises(UsageError, match=r"whole number, 1 to 9, got 2\.5"):
        steps.check(2.5)


AIRLIGHT = ColourParam("airlight", "is the colour of the haze", default_text="estimated")
REFERENCE = FileParam("reference", "shows the style", kind="photo", default_text="the sample")
LUT = FileParam("lut", "holds the look", kind="cube")


def test_check_colour_returns_lower_case_or_none():
    assert AIRLIGHT.check("#E8eEf2") == "#e8eef2"
    assert resolve_params([AIRLIGHT], {}, "dehazing") == {"airlight": None}


@pytest.mark.parametrize("value", ["white", "#fff", "#12345g", "#1234567", 0.5])
def test_check_not_a_colour_raises(value):
    with pytest.raises(UsageError, match=r"airlight: .*#rrggbb"):
        AIRLIGHT.check(value)


def test_check_missing_file_raises(tmp_path):
    path = tmp_path / "look.cube"
    path.write_text("x")
    assert LUT.check(path) == LUT.check(str(path)) == str(path)
    with pytest.raises(UsageError, match=r"lut: .*no\.cube"):
        LUT.check(tmp_path / "no.cube")
    with pytest.raises(UsageError, match="no file"):
        LUT.check(tmp_path)


def test_resolve_params_without_file_takes_default_or_raises():
    assert resolve_params([REFERENCE], {}, "style") == {"reference": None}
    with pytest.raises(UsageError, match=r"lut: .* --lut"):
        resolve_params([LUT], {}, "look")
