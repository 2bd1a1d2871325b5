import inspect
import sys

import numpy as np
import pytest

from burnish.errors import MissingLibraryError, OperatorError, PhotoError, UsageError
from burnish.operators import operator as operator_module
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.operators.threads import cpu_count, thread_count
from burnish.params import ColourParam, FileParam
from burnish.photo import Photo

GREY = np.full((6, 8, 3), 0.5, np.float32)

CUBE = "LUT_3D_SIZE 2\n" + "".join(
    f"{red} {green} {blue}\n" for blue in (0, 1) for green in (0, 1) for red in (0, 1)
)


@pytest.fixture
def given(tmp_path):
    """What an operator cannot do without."""
    lut = tmp_path / "identity.cube"
    lut.write_text(CUBE)
    return lambda operator: {"lut": str(lut)} if operator.name == "look" else {}


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_table_and_function_agree_on_parameters_and_defaults(operator):
    keywords = list(inspect.signature(operator.load_function()).parameters.values())[1:]
    described = {param.keyword: param.default for param in operator.params}
    found = {k.name: None if k.default is k.empty else k.default for k in keywords}
    assert {name: found.pop(name) for name in described} == described
    # What else there is belongs to the definition, and has a default.
    assert None not in found.values()


PICTURES = {
    "1 x 1": np.full((1, 1, 3), 0.3, np.float32),
    "3 x 5": np.random.default_rng(0).random((3, 5, 3), np.float32),
    "1 x 9": np.random.default_rng(1).random((1, 9, 3), np.float32),
    "odd": np.random.default_rng(2).random((41, 27, 3), np.float32),
    "black": np.zeros((20, 24, 3), np.float32),
    "white": np.ones((20, 24, 3), np.float32),
    "grey": np.repeat(np.random.default_rng(3).random((20, 24, 1), np.float32), 3, axis=2),
}


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize("picture", PICTURES)
def test_gives_a_picture_of_the_same_size(operator, picture, given):
    rgb = PICTURES[picture]
    result = operator.run(rgb, **given(operator))
    assert result.shape == rgb.shape
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_gives_the_same_twice_and_on_one_thread(operator, given, monkeypatch):
    rgb = PICTURES["odd"]
    first = operator.run(rgb, **given(operator))
    np.testing.assert_array_equal(operator.run(rgb, **given(operator)), first)
    monkeypatch.setenv("BURNISH_THREADS", "1")
    np.testing.assert_allclose(operator.run(rgb, **given(operator)), first, atol=1e-5)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_extremes_of_every_range_give_a_picture(operator, given):
    rgb = PICTURES["odd"]
    for param in operator.params:
        if isinstance(param, ColourParam):
            values = ["#000000", "#ffffff", "#e8eef2"]
        elif isinstance(param, FileParam):
            continue
        else:
            values = [param.low, param.high]
        for value in values:
            result = operator.run(rgb, **given(operator), **{param.argument_name: value})
            assert np.isfinite(result).all()


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        (np.full((4, 4, 3), np.nan), "values that are not finite"),
        (np.full((4, 4), 0.5), r"an array of shape \(4, 4\)"),
        (np.full((4, 4, 4), 0.5), r"an array of shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3)), r"an array of shape \(0, 4, 3\)"),
        (np.full((4, 4, 3), 255.0), "values from 255 to 255"),
    ],
)
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_what_is_no_picture_is_refused(operator, picture, complaint, given):
    with pytest.raises(UsageError, match=f"expected RGB of shape .*got {complaint}"):
        operator.run(picture, **given(operator))


def test_one_name_means_one_kind_of_parameter():
    kinds = {}
    for operator in OPERATORS.values():
        for param in operator.params:
            assert kinds.setdefault(param.name, type(param)) is type(param)


def test_keys_are_names():
    assert all(name == operator.name for name, operator in OPERATORS.items())


def test_a_colour_and_a_photo_arrive_as_arrays(tmp_path):
    path = tmp_path / "reference.png"
    Photo(GREY).save(path)

    def remember(rgb, airlight, reference):
        seen.append((airlight, reference))
        return rgb

    seen = []
    params = (
        ColourParam("airlight", "is the haze", default_text="estimated"),
        FileParam("reference", "shows the style", kind="photo", default_text="none"),
    )
    operator = Operator("own", "own", remember, params=params)
    operator.run(GREY, airlight="#ff8000", reference=path)
    operator.run(GREY)
    np.testing.assert_allclose(seen[0][0], [1, 128 / 255, 0])
    np.testing.assert_allclose(seen[0][1], GREY, atol=1 / 255)
    assert seen[1] == (None, None)


def test_a_reference_that_is_no_photo_is_refused(tmp_path):
    path = tmp_path / "reference.jpg"
    path.write_text("no photo")
    with pytest.raises(PhotoError, match="reference"):
        OPERATORS["photographic-style"].run(GREY, reference=path)


def test_fingerprint_follows_a_file_and_not_its_name(tmp_path):
    look = OPERATORS["look"]
    one, two = tmp_path / "one.cube", tmp_path / "two.cube"
    one.write_text(CUBE)
    two.write_text(CUBE)
    same = look.fingerprint(look.resolve_params({"lut": one}))
    assert look.fingerprint(look.resolve_params({"lut": two})) == same
    two.write_text(CUBE.replace("1 1 1", "1 1 0.5"))
    assert look.fingerprint(look.resolve_params({"lut": two})) != same


def test_fingerprint_follows_what_the_operator_imports():
    rtv = OPERATORS["relative-total-variation"]
    sources = {path.name for path in operator_module._source_files(rtv.function.partition(":")[0])}
    assert {"relative_total_variation.py", "five_point.py", "multigrid.py"} <= sources


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_paper_has_a_doi(operator):
    assert operator.paper is None or operator.paper.doi.startswith("10.")


def test_value_outside_its_range_is_refused():
    with pytest.raises(UsageError, match=r"lambda: expected 0.002 to 0.2, got 3"):
        OPERATORS["l0-smoothing"].run(GREY, lambda_=3)


def test_unknown_parameter_is_refused():
    with pytest.raises(UsageError, match="among lambda, kappa, got sigma"):
        OPERATORS["l0-smoothing"].run(GREY, sigma=3)


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (lambda rgb: rgb[:-1], "shape"),
        (lambda rgb: rgb * np.nan, "not finite"),
        (lambda rgb: (rgb * 255).astype(np.uint8), "uint8"),
        (lambda rgb: 1 / 0, "ZeroDivisionError"),
        (lambda rgb: sys.exit(3), "SystemExit"),
    ],
)
def test_result_that_is_no_picture_is_refused(function, complaint):
    with pytest.raises(OperatorError, match=complaint):
        Operator(name="own", title="own", function=function).run(GREY)


def test_result_is_clipped_and_input_is_safe():
    def careless(rgb):
        rgb *= 3  # writes into what it was given
        return rgb

    rgb = GREY.copy()
    result = Operator(name="own", title="own", function=careless).run(rgb)
    assert result.max() == 1
    np.testing.assert_array_equal(rgb, GREY)


def test_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "burnish.operators.l0_smoothing", raising=False)
    with pytest.raises(MissingLibraryError, match=r"library scipy.*its extra 'operators'"):
        OPERATORS["l0-smoothing"].load_function()


def test_a_library_of_no_extra_is_a_bug_and_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        Operator(name="own", title="own", function="no_such_library:filter").load_function()


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("BURNISH_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.delenv("BURNISH_THREADS")
    assert thread_count() == cpu_count() >= 1
    monkeypatch.setenv("BURNISH_THREADS", "many")
    with pytest.raises(UsageError, match="BURNISH_THREADS: expected a number above 0, got 'many'"):
        OPERATORS["l0-smoothing"].run(GREY)


def test_fingerprint_follows_values_and_identity():
    l0 = OPERATORS["l0-smoothing"]
    prints = {
        l0.fingerprint(l0.resolve_params({})),
        l0.fingerprint(l0.resolve_params({"lambda": 0.03})),
        Operator("own", "own", np.sqrt, identity="a").fingerprint({}),
        Operator("own", "own", np.sqrt, identity="b").fingerprint({}),
    }
    assert len(prints) == 4
    assert l0.fingerprint(l0.resolve_params({})) == l0.fingerprint(
        l0.resolve_params({"lambda_": 0.02})
    )


def test_fingerprint_follows_the_photo_that_ships(tmp_path, monkeypatch):
    style = OPERATORS["photographic-style"]
    before = style.fingerprint(style.resolve_params({}))
    monkeypatch.setattr(operator_module, "SAMPLES", tmp_path)
    (tmp_path / "style-reference.jpg").write_bytes(b"another")
    assert style.fingerprint(style.resolve_params({})) != before
