"""Every test function asserts something, and no file of tests is empty."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def asserts(function: ast.FunctionDef, helpers: set[str]) -> bool:
    """Return whether a function asserts, itself or through one of the helpers."""
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


def test_every_test_asserts():
    offenders = []
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        tests = [f for f in functions if f.name.startswith("test")]
        helpers = {f.name for f in functions if f not in tests and asserts(f, set())}
        if not tests:
            offenders.append(f"{path.name}: no test")
        offenders += [f"{path.name}: {f.name}" for f in tests if not asserts(f, helpers)]
    assert offenders == []
