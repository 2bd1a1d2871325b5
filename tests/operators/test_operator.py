"""Properties that all operators share, and the checks of their inputs and outputs."""

import inspect
import sys

import numpy as np
import pytest

from burnish.errors import MissingLibraryError, OperatorError, PhotoError, UsageError
from burnish.operators import cpu_count, luminance, thread_count
from burnish.operators import operator as operator_module
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.params import ColourParam, FileParam
from burnish.photo import Photo

GREY = np.full((6, 8, 3), 0.5, np.float32)

IDENTITY_CUBE = "LUT_3D_SIZE 2\n" + "".join(
    f"{red} {green} {blue}\n" for blue in (0, 1) for green in (0, 1) for red in (0, 1)
)

IMAGES = {
    "1 x 1": np.full((1, 1, 3), 0.3, np.float32),
    "3 x 5": np.random.default_rng(0).random((3, 5, 3), np.float32),
    "1 x 9": np.random.default_rng(1).random((1, 9, 3), np.float32),
    "odd": np.random.default_rng(2).random((41, 27, 3), np.float32),
    "black": np.zeros((20, 24, 3), np.float32),
    "white": np.ones((20, 24, 3), np.float32),
    "grey": np.repeat(np.random.default_rng(3).random((20, 24, 1), np.float32), 3, axis=2),
}

each_operator = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


@pytest.fixture
def required_params(tmp_path):
    """A function from an operator to the values of its required parameters."""
    lut = tmp_path / "identity.cube"
    lut.write_text(IDENTITY_CUBE)
    return lambda operator: {"lut": str(lut)} if operator.name == "lut" else {}


def test_registry_keys_are_operator_names():
    assert all(name == operator.name for name, operator in OPERATORS.items())


@each_operator
def test_paper_has_a_doi(operator):
    assert operator.paper is None or operator.paper.doi.startswith("10.")


@each_operator
def test_params_match_function_signature(operator):
    arguments = list(inspect.signature(operator.load_function()).parameters.values())[1:]
    defaults = {a.name: None if a.default is a.empty else a.default for a in arguments}
    params = {param.argument_name: param.default for param in operator.params}
    assert {name: defaults.pop(name) for name in params} == params
    # Arguments that are not parameters belong to the definition and have a default.
    assert None not in defaults.values()


def test_params_of_one_name_are_of_one_kind():
    kinds = {}
    for operator in OPERATORS.values():
        for param in operator.params:
            assert kinds.setdefault(param.name, type(param)) is type(param)


@each_operator
@pytest.mark.parametrize("name", IMAGES)
def test_run_returns_an_image_of_the_same_size(operator, name, required_params):
    rgb = IMAGES[name]
    output = operator.run(rgb, **required_params(operator))
    assert output.shape == rgb.shape
    assert output.dtype == np.float32
    assert output.min() >= 0
    assert output.max() <= 1


@each_operator
def test_run_is_repeatable_and_independent_of_threads(operator, required_params, monkeypatch):
    rgb = IMAGES["odd"]
    first = operator.run(rgb, **required_params(operator))
    np.testing.assert_array_equal(operator.run(rgb, **required_params(operator)), first)
    monkeypatch.setenv("BURNISH_THREADS", "1")
    np.testing.assert_allclose(operator.run(rgb, **required_params(operator)), first, atol=1e-5)


@each_operator
def test_run_at_the_ends_of_every_range_is_finite(operator, required_params):
    for param in operator.params:
        if isinstance(param, FileParam):
            continue
        colours = ["#000000", "#ffffff", "#e8eef2"]
        values = colours if isinstance(param, ColourParam) else [param.low, param.high]
        for value in values:
            params = required_params(operator) | {param.argument_name: value}
            assert np.isfinite(operator.run(IMAGES["odd"], **params)).all()


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.full((4, 4), 0.5), r"shape \(4, 4\)"),
        (np.full((4, 4, 4), 0.5), r"shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3)), r"shape \(0, 4, 3\)"),
        (np.full((4, 4, 3), 255.0), "255 to 255"),
    ],
)
def test_run_on_an_invalid_image_raises(image, problem):
    with pytest.raises(UsageError, match=problem):
        OPERATORS["l0-smoothing"].run(image)


def test_run_with_a_value_outside_its_range_raises():
    with pytest.raises(UsageError, match=r"lambda: .*0.002 to 0.2"):
        OPERATORS["l0-smoothing"].run(GREY, lambda_=3)


def test_run_with_an_unknown_parameter_raises():
    with pytest.raises(UsageError, match=r"sigma.*lambda, kappa"):
        OPERATORS["l0-smoothing"].run(GREY, sigma=3)


def test_run_passes_colours_and_photos_as_arrays(tmp_path):
    path = tmp_path / "reference.png"
    Photo(GREY).save(path)
    calls = []

    def record_call(rgb, airlight, reference):
        calls.append((airlight, reference))
        return rgb

    params = (
        ColourParam("airlight", "is the haze", default_text="estimated"),
        FileParam("reference", "shows the style", kind="photo", default_text="none"),
    )
    operator = Operator("own", "own", record_call, params=params)
    operator.run(GREY, airlight="#ff8000", reference=path)
    operator.run(GREY)
    np.testing.assert_allclose(calls[0][0], [1, 128 / 255, 0])
    np.testing.assert_allclose(calls[0][1], GREY, atol=1 / 255)
    assert calls[1] == (None, None)


def test_run_with_a_file_that_is_not_a_photo_raises(tmp_path):
    path = tmp_path / "reference.jpg"
    path.write_text("not a photo")
    with pytest.raises(PhotoError, match="reference"):
        OPERATORS["photographic-style"].run(GREY, reference=path)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda rgb: rgb[:-1], "same size"),
        (lambda rgb: rgb.mean(axis=2), "three channels"),
        (lambda rgb: np.dstack([rgb, rgb[..., :1]]), "three channels"),
        (lambda rgb: rgb.transpose(2, 0, 1), r"\(height, width, 3\)"),
        (lambda rgb: None, "returns None.*return the edited image"),
        (lambda rgb: rgb * np.nan, "NaN"),
        (lambda rgb: (rgb * 255).astype(np.uint8), "uint8.*/ 255"),
        (lambda rgb: rgb * 255, r"from 127\.5 to 127\.5.*divide"),
        (lambda rgb: rgb * 65535.0, "divide"),
        (lambda rgb: rgb * 100 - 128, "divide"),
        (lambda rgb: 1 / 0, "ZeroDivisionError"),
        (lambda rgb: sys.exit(3), "SystemExit"),
    ],
)
def test_run_raises_if_the_function_fails_or_returns_no_image(function, problem):
    with pytest.raises(OperatorError, match=problem):
        Operator("own", "own", function).run(GREY)


def test_large_overshoot_in_a_small_area_is_clipped():
    def sharpen(rgb):
        result = rgb.copy()
        result[0, 0] = -9.2
        return result

    output = Operator("own", "own", sharpen).run(GREY)
    assert output[0, 0].max() == 0
    np.testing.assert_array_equal(output[1:], GREY[1:])


def test_run_clips_the_output_and_protects_the_input():
    def triple_in_place(rgb):
        rgb *= 3
        return rgb

    rgb = GREY.copy()
    output = Operator("own", "own", triple_in_place).run(rgb)
    assert output.max() == 1
    np.testing.assert_array_equal(rgb, GREY)


def test_load_function_without_a_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "burnish.operators.l0_smoothing", raising=False)
    with pytest.raises(MissingLibraryError, match=r"scipy.*extra 'operators'"):
        OPERATORS["l0-smoothing"].load_function()


def test_load_function_with_a_library_of_no_extra_raises_import_error():
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        Operator("own", "own", "no_such_library:filter").load_function()


def test_thread_count_follows_the_environment(monkeypatch):
    monkeypatch.setenv("BURNISH_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.delenv("BURNISH_THREADS")
    assert thread_count() == cpu_count() >= 1
    monkeypatch.setenv("BURNISH_THREADS", "many")
    with pytest.raises(UsageError, match=r"BURNISH_THREADS.*many"):
        OPERATORS["l0-smoothing"].run(GREY)


def test_luminance_is_that_of_rec_601():
    np.testing.assert_allclose(luminance(np.eye(3)[None]), [[0.299, 0.587, 0.114]])


def test_fingerprint_depends_on_values_and_identity():
    l0 = OPERATORS["l0-smoothing"]
    fingerprints = {
        l0.fingerprint(l0.resolve_params({})),
        l0.fingerprint(l0.resolve_params({"lambda": 0.03})),
        Operator("own", "own", np.sqrt, identity="a").fingerprint({}),
        Operator("own", "own", np.sqrt, identity="b").fingerprint({}),
    }
    assert len(fingerprints) == 4
    default = l0.fingerprint(l0.resolve_params({}))
    assert default == l0.fingerprint(l0.resolve_params({"lambda_": 0.02}))


def test_fingerprint_depends_on_file_content_and_not_name(tmp_path):
    lut = OPERATORS["lut"]
    first, second = tmp_path / "first.cube", tmp_path / "second.cube"
    first.write_text(IDENTITY_CUBE)
    second.write_text(IDENTITY_CUBE)
    fingerprint = lut.fingerprint(lut.resolve_params({"lut": first}))
    assert lut.fingerprint(lut.resolve_params({"lut": second})) == fingerprint
    second.write_text(IDENTITY_CUBE.replace("1 1 1", "1 1 0.5"))
    assert lut.fingerprint(lut.resolve_params({"lut": second})) != fingerprint


def test_fingerprint_depends_on_the_default_sample(tmp_path, monkeypatch):
    style = OPERATORS["photographic-style"]
    before = style.fingerprint(style.resolve_params({}))
    monkeypatch.setattr(operator_module, "SAMPLES", tmp_path)
    (tmp_path / "style-reference.jpg").write_bytes(b"another")
    assert style.fingerprint(style.resolve_params({})) != before


def test_fingerprint_depends_on_imported_operator_modules():
    rtv = OPERATORS["relative-total-variation"]
    sources = {path.name for path in operator_module._source_files(rtv.function.partition(":")[0])}
    assert {"relative_total_variation.py", "wls_solver.py", "multigrid.py"} <= sources
