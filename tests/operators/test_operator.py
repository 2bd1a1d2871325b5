import inspect
import sys

import numpy as np
import pytest

from burnish.errors import MissingLibraryError, OperatorError, UsageError
from burnish.operators.operator import Operator, cores, threads
from burnish.operators.table import OPERATORS

GREY = np.full((6, 8, 3), 0.5, np.float32)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_table_and_function_agree_on_parameters_and_defaults(operator):
    keywords = list(inspect.signature(operator.function()).parameters.values())[1:]
    described = {param.keyword: param.default for param in operator.params}
    assert {keyword.name: keyword.default for keyword in keywords} == described


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (40, 24, 3)])
def test_gives_a_picture_of_the_same_size(operator, shape):
    rgb = np.random.default_rng(0).random(shape, np.float32)
    result = operator.run(rgb)
    assert result.shape == shape
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_paper_has_a_doi(operator):
    assert operator.paper.doi.startswith("10.")


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
        Operator(name="own", title="own", call=function).run(GREY)


def test_result_is_clipped_and_input_is_safe():
    def careless(rgb):
        rgb *= 3  # writes into what it was given
        return rgb

    rgb = GREY.copy()
    result = Operator(name="own", title="own", call=careless).run(rgb)
    assert result.max() == 1
    np.testing.assert_array_equal(rgb, GREY)


def test_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "burnish.operators.l0_smoothing", raising=False)
    with pytest.raises(MissingLibraryError, match=r"library scipy.*its extra 'operators'"):
        OPERATORS["l0-smoothing"].function()


def test_a_library_of_no_extra_is_a_bug_and_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        Operator(name="own", title="own", call="no_such_library:filter").function()


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("BURNISH_THREADS", "3")
    assert threads() == 3
    monkeypatch.delenv("BURNISH_THREADS")
    assert threads() == cores() >= 1
    monkeypatch.setenv("BURNISH_THREADS", "many")
    with pytest.raises(UsageError, match="BURNISH_THREADS: expected a number above 0, got 'many'"):
        OPERATORS["l0-smoothing"].run(GREY)


def test_fingerprint_follows_values_and_identity():
    l0 = OPERATORS["l0-smoothing"]
    prints = {
        l0.fingerprint(l0.settle({})),
        l0.fingerprint(l0.settle({"lambda": 0.03})),
        Operator("own", "own", np.sqrt, identity="a").fingerprint({}),
        Operator("own", "own", np.sqrt, identity="b").fingerprint({}),
    }
    assert len(prints) == 4
    assert l0.fingerprint(l0.settle({})) == l0.fingerprint(l0.settle({"lambda_": 0.02}))
