"""Parameters that a model accepts, and the operator that its card names."""

import hashlib

import numpy as np
import pytest

import burnish
from burnish.editing.card_params import slider_params
from burnish.errors import UsageError
from burnish.evaluation.compare import reference_function
from burnish.modelfile.card import Card, FixedParam
from burnish.operators.registry import OPERATORS
from burnish.params import ColourParam, FileParam
from burnish.training.pipeline import _fixed_param


def make_card(operator, *fixed_params):
    return Card(
        name="own",
        operator=operator,
        title="own",
        paper=None,
        params=(),
        fixed_params=fixed_params,
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


def test_slider_params_accepts_only_the_colour_of_the_card():
    card = make_card("dark-channel-guided", HAZE)
    for accepted in (None, "#e8eef2"):
        assert slider_params(card, {"airlight": accepted}) == {}
    with pytest.raises(UsageError, match=r"^airlight: .*#e8eef2"):
        slider_params(card, {"airlight": "#ffffff"})


def test_slider_params_accepts_a_file_by_its_content(tmp_path):
    path, other = tmp_path / "late.cube", tmp_path / "other.cube"
    path.write_text("a")
    other.write_text("b")
    fixed = _fixed_param(FileParam("lut", "is the lookup table", kind="cube"), str(path))
    assert fixed.value == "late.cube"
    assert fixed.sha256 == hashlib.sha256(b"a").hexdigest()
    card = make_card("lut", fixed)
    assert slider_params(card, {"lut": str(path.rename(tmp_path / "renamed.cube"))}) == {}
    for wrong in (other, tmp_path / "none.cube"):
        with pytest.raises(UsageError, match=r"^lut: .*late\.cube"):
            slider_params(card, {"lut": str(wrong)})


def test_fixed_param_of_default_has_no_value():
    param = ColourParam("airlight", "is the haze", default_text="estimated")
    assert _fixed_param(param, None) == FixedParam(
        name="airlight", effect="is the haze", value=None
    )


def test_reference_function_uses_the_colour_of_the_card():
    reference = reference_function(make_card("dark-channel-guided", HAZE), {})
    expected = OPERATORS["dark-channel-guided"].run(GREY, airlight="#e8eef2")
    np.testing.assert_array_equal(reference(GREY), expected)


def test_reference_function_of_operator_with_file_shows_its_command():
    fixed = FixedParam(name="lut", effect="is the lookup table", value="x.cube", sha256="0" * 64)
    with pytest.raises(UsageError, match="burnish apply --slow lut --lut FILE"):
        reference_function(make_card("lut", fixed), {})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dark-channel-dehazing", {"omega": 0}),
        ("local-laplacian", {"detail": 1}),
        ("multiscale-tone", {"fine": 0, "medium": 0, "coarse": 0}),
    ],
)
@pytest.mark.parametrize("slow", [False, True])
def test_edit_that_is_switched_off_returns_the_photo(name, values, slow, make_image):
    image = make_image(3)
    np.testing.assert_array_equal(burnish.apply(image, name, slow=slow, **values), image)
    almost = dict.fromkeys(values, 1.5 if name != "dark-channel-dehazing" else 0.5)
    assert (burnish.apply(image, name, slow=slow, **almost) != image).any()
