"""Imports go one way: a module may import only from its own stage and earlier ones."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "burnish"

STAGES = (
    "errors",
    "types",
    "progress",
    "params",
    "files",
    "metrics",
    "photo",
    "operators",
    "modelfile",
    "runtime",
    "networks",
    "export",
    "training",
    "datasets",
    "detection",
    "regions",
    "video",
    "editing",
    "evaluation",
    "cli",
)
# Applying a model needs no torch: only these stages may import it.
TORCH = {"networks", "export", "training", "detection/training"}
MODULES = sorted(SOURCE.rglob("*.py"))


def stage(parts: tuple[str, ...]) -> int | None:
    """The place of a module on the road; None for the package itself."""
    if not parts or parts[0] in ("__init__", "__main__"):
        return None
    return STAGES.index(parts[0])


def parts_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(SOURCE).with_suffix("").parts


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_one_way(path):
    own = stage(parts_of(path))
    if own is None:
        own = len(STAGES)
    for name in imports(path):
        parts = tuple(name.split("."))
        if parts[0] == "burnish" and len(parts) > 1 and parts[1] != "__version__":
            theirs = stage(parts[1:])
            assert theirs is not None, f"{path} imports the package through its front door"
            assert theirs <= own, f"{path} imports {name}, which comes later"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_torch_stays_where_networks_are_made(path):
    relative = path.relative_to(SOURCE)
    if {relative.parts[0], str(relative), str(relative.parent)} & TORCH:
        return
    assert not {n for n in imports(path) if n.partition(".")[0] == "torch"}


def test_every_folder_is_a_stage():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders - {"models", "samples"} <= set(STAGES)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 50, f"{node.name} has {lines} lines"
