import math

import numpy as np
import pytest

from burnish.errors import UsageError
from burnish.params import ColourParam, FileParam, Param, resolve_params

LAMBDA = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
RADIUS = Param("radius", "blurs wider", default=3, low=1, high=9, unit="px")


def test_names_derive_from_the_name():
    assert (LAMBDA.argument_name, LAMBDA.option) == ("lambda_", "--lambda")
    assert (RADIUS.argument_name, RADIUS.option, RADIUS.range) == (
        "radius",
        "--radius",
        "1 to 9 px",
    )


@pytest.mark.parametrize("value", [0.002, 0.02, 0.2])
def test_range_includes_its_ends(value):
    assert LAMBDA.check(value) == value


@pytest.mark.parametrize("value", [0.0019, 0.21, -1, math.nan, math.inf, "wide", None])
def test_outside_the_range_is_refused(value):
    with pytest.raises(UsageError, match=r"lambda: expected 0.002 to 0.2, got"):
        LAMBDA.check(value)


def test_text_is_no_number_also_where_it_spells_one():
    with pytest.raises(UsageError, match=r"got '0\.1', which is no number"):
        LAMBDA.check("0.1")


def test_numbers_of_numpy_are_numbers():
    for value in (0.002, 0.125, 0.2):
        assert LAMBDA.check(np.float32(value)) == LAMBDA.check(np.float64(value)) == value
    whole = Param("n", "does more", default=1, low=1, high=5, integer=True)
    assert whole.check(np.int64(3)) == 3


def test_settle_takes_names_keywords_and_defaults():
    assert resolve_params([LAMBDA, RADIUS], {"lambda_": 0.1}, "x") == {"lambda": 0.1, "radius": 3}
    assert resolve_params([LAMBDA, RADIUS], {"lambda": 0.1, "radius": None}, "x")["radius"] == 3


def test_settle_refuses_an_unknown_name():
    with pytest.raises(UsageError, match="parameters among radius, got sigma; leave it out"):
        resolve_params([RADIUS], {"sigma": 1}, "blur")


def test_settle_where_there_are_no_parameters():
    with pytest.raises(UsageError, match="own: expected no parameters, got sigma; leave it out"):
        resolve_params([], {"sigma": 1}, "own")


@pytest.mark.parametrize("wrong", [{"default": 10}, {"low": 0, "scale": "log"}])
def test_a_param_that_contradicts_itself_is_a_programming_error(wrong):
    good = {"name": "radius", "effect": "blurs", "default": 3, "low": 1, "high": 9}
    with pytest.raises(ValueError, match="radius"):
        Param(**good | wrong)


def test_a_whole_number_is_whole():
    steps = Param("steps", "takes longer", default=4, low=1, high=9, integer=True)
    assert steps.check(5) == 5.0
    with pytest.raises(UsageError, match=r"steps: expected a whole number, 1 to 9, got 2\.5"):
        steps.check(2.5)


AIRLIGHT = ColourParam("airlight", "is the colour of the haze", default_text="estimated")
REFERENCE = FileParam("reference", "shows the style", kind="photo", default_text="one that ships")
LUT = FileParam("lut", "holds the look", kind="cube")


def test_a_colour_is_kept_in_lower_case_and_may_be_left_open():
    assert AIRLIGHT.check("#E8eEf2") == "#e8eef2"
    assert resolve_params([AIRLIGHT], {}, "dehazing") == {"airlight": None}


@pytest.mark.parametrize("value", ["white", "#fff", "#12345g", "#1234567", 0.5])
def test_what_is_no_colour_is_refused(value):
    with pytest.raises(UsageError, match="airlight: expected a colour as #rrggbb, got"):
        AIRLIGHT.check(value)


def test_a_file_has_to_be_there(tmp_path):
    path = tmp_path / "look.cube"
    path.write_text("x")
    assert LUT.check(path) == LUT.check(str(path)) == str(path)
    with pytest.raises(UsageError, match=r"lut: expected a \.cube file, got .*no\.cube, which"):
        LUT.check(tmp_path / "no.cube")
    with pytest.raises(UsageError, match=r"got .*, which is no file; name another"):
        LUT.check(tmp_path)


def test_a_file_has_to_be_given_unless_something_else_holds():
    assert resolve_params([REFERENCE], {}, "style") == {"reference": None}
    with pytest.raises(UsageError, match=r"lut: expected a \.cube file, got none; name one"):
        resolve_params([LUT], {}, "look")
