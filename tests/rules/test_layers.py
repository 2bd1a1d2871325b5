"""Imports go one way: a module imports only from its own stage and earlier ones."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "burnish"
STAGES = (
    "errors",
    "types",
    "progress",
    "prefetch",
    "storage",
    "cluster",
    "process_pool",
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
    "compression",
    "search",
    "datasets",
    "detection",
    "regions",
    "video",
    "editing",
    "keywords",
    "evaluation",
    "page",
    "serve",
    "cli",
)
# Applying a model needs no torch: only these stages import it.
TORCH = {
    *("networks", "export", "training", "compression", "search"),
    *("detection/training", "keywords/training"),
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50


def modules() -> Iterator[tuple[Path, str, ast.Module]]:
    """Yield each module's path below the package, its text and its syntax tree."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        yield path.relative_to(SOURCE), text, ast.parse(text)


def imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def stage_index(parts: tuple[str, ...]) -> int:
    """Return the position of a module among the stages; the package itself comes last."""
    return len(STAGES) if parts[0] in ("__init__", "__main__") else STAGES.index(parts[0])


def test_imports_go_one_way():
    offenders = []
    for path, _, tree in modules():
        own_stage = stage_index(path.with_suffix("").parts)
        for name in imported_names(tree):
            package, *parts = name.split(".")
            if package != "burnish" or not parts or parts[0] == "__version__":
                continue
            if parts[0] not in STAGES or stage_index(tuple(parts)) > own_stage:
                offenders.append(f"{path} imports {name}")
    assert offenders == []


def test_torch_is_imported_only_where_networks_are_trained():
    offenders = [
        f"{path} imports {name}"
        for path, _, tree in modules()
        if not {path.parts[0], str(path.parent)} & TORCH
        for name in imported_names(tree)
        if name.partition(".")[0] == "torch"
    ]
    assert offenders == []


def test_every_folder_is_a_stage():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    assert folders - {"__pycache__", "models", "samples"} <= set(STAGES)


def test_files_are_small():
    assert [
        str(path) for path, text, _ in modules() if len(text.splitlines()) > MAX_FILE_LINES
    ] == []


def test_functions_are_small():
    offenders = []
    for path, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and body[-1].end_lineno - body[0].lineno >= MAX_FUNCTION_LINES:
                    offenders.append(f"{path}: {node.name}")
    assert offenders == []
