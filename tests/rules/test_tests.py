"""A test that cannot fail is none: every test function asserts something."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("test_*.py"))


def asserting(function: ast.FunctionDef, helpers: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            if last.startswith("assert_") or last in helpers:
                return True
            if name in ("pytest.raises", "pytest.warns", "pytest.fail"):
                return True
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(TESTS)))
def test_every_test_asserts(path):
    functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    helpers = {f.name for f in functions if not f.name.startswith("test") and asserting(f, set())}
    tests = [f for f in functions if f.name.startswith("test")]
    assert tests, "a file of tests without any"
    assert [f.name for f in tests if not asserting(f, helpers)] == []
