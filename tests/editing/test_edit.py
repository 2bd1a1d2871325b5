"""What a model may be asked for, and the operator that its card names."""

import hashlib

import numpy as np
import pytest

from burnish.editing.edit import _check_fixed_param, reference_function
from burnish.errors import UsageError
from burnish.modelfile.card import Card, FixedParam
from burnish.operators.registry import OPERATORS
from burnish.params import ColourParam, FileParam
from burnish.training.pipeline import _fixed_param


def card(operator, *choices):
    return Card(
        name="own",
        operator=operator,
        title="own",
        paper=None,
        params=(),
        fixed_params=choices,
        network="can24",
        halo=128,
        size_multiple=1,
        macs_per_pixel=1,
        peak_activations_per_pixel=1,
        parameter_count=1,
        metrics=(),
        training={},
        licence="MIT",
        burnish_version="0.1.0",
    )


HAZE = FixedParam(name="airlight", effect="is the haze", value="#e8eef2")
GREY = np.full((24, 32, 3), 0.5, np.float32)


def test_a_colour_has_to_be_the_one_that_was_learnt():
    model = card("dark-channel-guided", HAZE)
    _check_fixed_param(model, HAZE, None)
    _check_fixed_param(model, HAZE, "#e8eef2")
    with pytest.raises(UsageError, match="airlight: expected #e8eef2, which model own was trained"):
        _check_fixed_param(model, HAZE, "#ffffff")


def test_a_file_is_known_by_its_content(tmp_path):
    path, other = tmp_path / "late.cube", tmp_path / "other.cube"
    path.write_text("a")
    other.write_text("b")
    choice = _fixed_param(FileParam("lut", "holds the look", kind="cube"), str(path))
    assert choice.value == "late.cube"
    assert choice.sha256 == hashlib.sha256(b"a").hexdigest()
    model = card("look", choice)
    _check_fixed_param(model, choice, path.rename(tmp_path / "renamed.cube"))
    for wrong in (other, tmp_path / "none.cube"):
        with pytest.raises(UsageError, match=r"lut: expected late\.cube, which model own"):
            _check_fixed_param(model, choice, wrong)


def test_what_was_not_given_is_so_on_the_card():
    param = ColourParam("airlight", "is the haze", default_text="estimated")
    assert _fixed_param(param, None) == FixedParam(
        name="airlight", effect="is the haze", value=None
    )


def test_the_reference_has_the_colour_of_the_card():
    run = reference_function(card("dark-channel-guided", HAZE), {})
    expected = OPERATORS["dark-channel-guided"].run(GREY, airlight="#e8eef2")
    np.testing.assert_array_equal(run(GREY), expected)


def test_a_reference_that_had_a_file_says_how_to_run_it():
    choice = FixedParam(name="lut", effect="holds the look", value="x.cube", sha256="0" * 64)
    with pytest.raises(UsageError, match="burnish apply --slow look --lut FILE"):
        reference_function(card("look", choice), {})
