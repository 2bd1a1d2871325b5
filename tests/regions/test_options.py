"""Region options: ranges, conflicts, defaults, and the parsing of command line values."""

import pytest

from burnish.errors import UsageError
from burnish.regions.options import RegionOptions, parse_box, parse_classes, parse_clicks


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"min_score": 1.1}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"min_area": 101}, "min_area"),
        ({"max_area": -1}, "max_area"),
        ({"threshold": 0}, "threshold"),
        ({"margin": -1}, "margin"),
        ({"grow": -1}, "grow"),
        ({"shrink": 1001}, "shrink"),
        ({"feather": -1}, "feather"),
        ({"box": (4, 0, 4, 9)}, "box"),
        ({"only": ("cat",), "exclude": ("dog",)}, "--only, --exclude"),
        ({"exclude": ("cat",), "invert": True}, "--exclude, --invert"),
        ({"detector": "light", "objects": "a.json"}, "--detector, --objects"),
    ],
)
def test_region_options_invalid_value_raises_usage_error(values, where):
    with pytest.raises(UsageError) as raised:
        RegionOptions(**values)
    assert raised.value.where == where


@pytest.mark.parametrize(
    ("values", "selects_objects", "changes_edges"),
    [
        ({}, False, False),
        ({"mask": "m.png"}, False, False),
        ({"box": (0, 0, 1, 1), "invert": True}, False, False),
        ({"feather": 0}, False, True),
        ({"refine": False}, False, True),
        ({"only": ("cat",)}, True, False),
        ({"exclude": ("cat",)}, True, False),
        ({"min_score": 0}, True, False),
        ({"max_area": 100}, True, False),
        ({"clicks": ((0, 0),)}, True, False),
        ({"detector": "light"}, True, False),
    ],
)
def test_region_options_tell_which_kinds_are_given(values, selects_objects, changes_edges):
    options = RegionOptions(**values)
    assert (options.selects_objects, options.changes_edges) == (selects_objects, changes_edges)


def test_value_returns_the_default_if_an_option_is_not_given():
    options = RegionOptions(min_score=0, feather=3)
    names = ("min_score", "max_area", "threshold", "feather", "refine", "only")
    assert [options.value(name) for name in names] == [0, 100, 0.5, 3, None, ()]


def test_with_defaults_keeps_given_values():
    defaults = {"only": ("person",), "feather": 2, "refine": False, "grow": 4}
    filled = RegionOptions(feather=0, refine=True).with_defaults(defaults)
    assert filled == RegionOptions(only=("person",), feather=0, refine=True, grow=4)
    excluding = RegionOptions(exclude=("dog",)).with_defaults(defaults)
    assert (excluding.only, excluding.exclude) == ((), ("dog",))


def test_parse_functions_read_command_line_values():
    assert parse_classes(["cat, dog", "cow"]) == ("cat", "dog", "cow")
    assert parse_clicks(["3,4.5", "0,0"]) == ((3, 4.5), (0, 0))
    assert parse_box("1,2,3.5,4") == (1, 2, 3.5, 4)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_classes, [","]),
        (parse_clicks, ["3"]),
        (parse_clicks, ["3,nan"]),
        (parse_clicks, ["3,4,5"]),
        (parse_box, "1,2,3"),
        (parse_box, "1,2,3,x"),
        (parse_box, "1,2,3,1e10"),
    ],
)
def test_parse_functions_invalid_text_raises_usage_error(parse, text):
    with pytest.raises(UsageError):
        parse(text)
