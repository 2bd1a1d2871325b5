"""What `burnish regions train` was told, checked and made an order."""

from pathlib import Path
from typing import Any

from burnish.detection import coco
from burnish.detection.card import Measurement
from burnish.detection.training.config import Settings
from burnish.detection.training.job import Order, Watch, classes_of, learn
from burnish.errors import UsageError
from burnish.training.config import parse_budget

Pairs = tuple[tuple[Path, Path], ...]


def train_detector(
    *,
    sets: Pairs,
    held_out: Pairs,
    classes: tuple[str, ...],
    rest: str | None,
    budget: str | None,
    steps: int | None,
    run: Path | None,
    output: Path,
    watch: Watch,
    chosen: dict[str, Any],
    ordered: dict[str, Any],
) -> tuple[Path, tuple[Measurement, ...]]:
    """Learn a detector as a person has asked for it.

    Parameters
    ----------
    classes : by default all categories of which there is an object
    chosen, ordered : more fields of the settings and of the order

    Raises
    ------
    UsageError : both budget and steps are given, or a class is not in the files
    BurnishError : as `order.learn` raises it
    """
    if budget is not None and steps is not None:
        raise UsageError(
            "--budget, --steps", expected="one of them", got="both", remedy="leave one out"
        )
    if output.suffix.lower() != ".onnx":
        raise UsageError(
            "--output", expected="a name that ends with .onnx", got=output.name, remedy="rename it"
        )
    there = classes_of([coco.read(*pair) for pair in sets])
    for name in classes:
        if name not in there:
            raise UsageError(
                f"--class {name}",
                expected="a category of which the COCO files have objects",
                got="none of it",
                remedy=f"there are {', '.join(there[:20])}",
            )
    wanted = classes or (() if rest else there)
    settings = Settings(
        tuple(dict.fromkeys([*wanted, *([rest] if rest else [])])),
        rest,
        steps=steps,
        budget=None if steps else parse_budget(budget or "30m"),
        **chosen,
    )
    order = Order(sets, held_out, run=run or Path("runs") / output.stem, output=output, **ordered)
    return learn(settings, order, watch)
