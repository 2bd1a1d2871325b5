"""What `burnish regions train` was told, checked and made an order."""

from pathlib import Path
from typing import Any

from burnish.detection import coco
from burnish.detection.card import CocoMetrics
from burnish.detection.training.config import DetectorTrainConfig
from burnish.detection.training.job import (
    DetectorRequest,
    DetectorTrainCallbacks,
    annotated_classes,
    run_request,
)
from burnish.errors import UsageError
from burnish.training.config import parse_budget

DatasetPaths = tuple[tuple[Path, Path], ...]


def train_detector(
    *,
    datasets: DatasetPaths,
    validation: DatasetPaths,
    classes: tuple[str, ...],
    other_class: str | None,
    budget: str | None,
    steps: int | None,
    run_dir: Path | None,
    output: Path,
    callbacks: DetectorTrainCallbacks,
    config_fields: dict[str, Any],
    request_fields: dict[str, Any],
) -> tuple[Path, tuple[CocoMetrics, ...]]:
    """Learn a detector as a person has asked for it.

    Parameters
    ----------
    classes : by default all categories of which there is an object
    config_fields, request_fields : more fields of the settings and of the order

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
    available = annotated_classes([coco.read_dataset(*pair) for pair in datasets])
    for name in classes:
        if name not in available:
            raise UsageError(
                f"--class {name}",
                expected="a category of which the COCO files have objects",
                got="none of it",
                remedy=f"there are {', '.join(available[:20])}",
            )
    selected = classes or (() if other_class else available)
    config = DetectorTrainConfig(
        tuple(dict.fromkeys([*selected, *([other_class] if other_class else [])])),
        other_class,
        steps=steps,
        budget=None if steps else parse_budget(budget or "30m"),
        **config_fields,
    )
    request = DetectorRequest(
        datasets,
        validation,
        run_dir=run_dir or Path("runs") / output.stem,
        output=output,
        **request_fields,
    )
    return run_request(config, request, callbacks)
