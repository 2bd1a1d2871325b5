"""The parameters of a user's function, from its arguments."""

import math
from typing import Annotated

import numpy as np
import pytest

from burnish.errors import UsageError
from burnish.operators.function_params import function_params
from burnish.operators.user_defined import find_operator

GREY = np.full((6, 8, 3), 0.25, np.float32)


def params_of(function):
    return function_params(function, "python:own.py:own")


def test_numbers_among_the_defaults_become_parameters():
    def own(image, amount=0.5, /, level=2, *, gain: float = 1, fast=True, name="x", k=None, **more):
        return image

    params = params_of(own)
    assert {name: (p.default, p.integer) for name, p in params.items()} == {
        "level": (2, True),
        "gain": (1, False),
    }
    assert params["gain"].range == "a number"
    assert params["level"].range == "a whole number"
    for value in (math.inf, math.nan):
        with pytest.raises(UsageError, match="a number"):
            params["gain"].check(value)
    assert params["gain"].check(-1e6) == -1e6


class Bounds:
    ge, le = 0.0, 1.0


class Field:  # as pydantic's, which keeps the bounds in its metadata
    metadata = (Bounds(),)


class Option:  # as Typer's
    min, max = 0, 1


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[float, (0, 1)],
        Annotated[float, [0, 1]],
        Annotated[float, 0, 1],
        Annotated[float, Bounds()],
        Annotated[float, Field()],
        Annotated[float, Option()],
        "Annotated[float, (0, 1)]",  # as with postponed annotations
    ],
    ids=["tuple", "list", "numbers", "bounds", "pydantic", "typer", "text"],
)
def test_range_is_that_of_the_annotation(annotation):
    def own(image: "NotDefined", amount=0.5):  # noqa: F821
        return image

    own.__annotations__["amount"] = annotation
    (param,) = params_of(own).values()
    assert (param.low, param.high, param.integer) == (0, 1, False)


def test_annotation_gives_unit_scale_and_effect():
    def own(image, sigma: Annotated[float, (0.5, 8), "px", "log", "blurs more"] = 2):
        return image

    (param,) = params_of(own).values()
    assert (param.unit, param.scale, param.effect) == ("px", "log", "blurs more")
    assert param.at_size(2, 0.5) == 1


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def own(image, amount): ...", "amount has no default"),
        ("def own(image, amount: Annotated[float, (0, 1)] = 2): ...", "amount is not valid"),
        ("def own(image, amount: Annotated[float, (1, 0)] = 0.5): ...", "amount is not valid"),
        ("def own(image, amount: Annotated[int, (0, 9)] = 0.5): ...", "amount is not valid"),
        ("def own(image, s: Annotated[float, (0, 9), 'log'] = 1): ...", "s is not valid"),
        ("def own(image, amount=float('inf')): ...", "amount is not valid"),
    ],
)
def test_argument_that_cannot_be_a_parameter_raises(source, problem):
    exec(source, names := {"Annotated": Annotated})
    with pytest.raises(UsageError, match=problem):
        params_of(names["own"])


@pytest.mark.parametrize("function", [np.sqrt, min, lambda: None, dict, str.lower])
def test_function_without_numbers_has_no_parameters(function):
    assert params_of(function) == {}


def test_values_reach_arguments_of_any_spelling(tmp_path):
    script = tmp_path / "own.py"
    script.write_text(
        "from __future__ import annotations\n"
        "def own(rgb, *, lambda_=0.0, Amount=1.0, max_value=9, σ=0.5):\n"
        "    assert isinstance(max_value, int) and σ == 0.5\n"
        "    return rgb * Amount + lambda_\n"
    )
    operator = find_operator(f"python:{script}:own")
    assert [param.name for param in operator.params] == ["lambda", "amount", "max_value"]
    np.testing.assert_allclose(operator.run(GREY), 0.25)
    output = operator.run(GREY, **{"lambda": 0.1, "amount": 2, "max_value": 3})
    np.testing.assert_allclose(output, 0.6, rtol=1e-6)
    fingerprints = {operator.fingerprint({"amount": value}) for value in (1.0, 2.0)}
    assert len(fingerprints) == 2
