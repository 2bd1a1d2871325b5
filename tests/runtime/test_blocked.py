"""A convolution by one keeps the layout, and every bit of the result."""

import json
import platform
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto

from burnish.modelfile.read import read
from burnish.photo.places import places
from burnish.photo.rectangle import Rectangle
from burnish.runtime import blocked
from burnish.runtime.blocked import keep_blocked
from burnish.runtime.context import build_in, context
from burnish.runtime.shelf import find

on_x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere the graph stays"
)
HEIGHT, WIDTH = 96, 128


def graph_of(path: Path | str) -> ModelProto:
    file = read(find(path))
    side = file.card.thumbnail
    small = np.random.default_rng(1).random((side, side, 3), dtype=np.float32)
    return build_in(file.graph, context(file.card, {}, small))


def given_to(model: ModelProto) -> dict[str, np.ndarray]:
    image = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    at = places(Rectangle(0, HEIGHT, 0, WIDTH), (HEIGHT, WIDTH), 16)[np.newaxis]
    taken = {end.name for end in model.graph.input}
    return {name: value for name, value in {"image": image, "places": at}.items() if name in taken}


def run(model: ModelProto, profile: Path | None = None) -> tuple[np.ndarray, list[str]]:
    """Return ONNX Runtime's result, and the operators that it ran where it writes a profile."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = profile is not None
    options.profile_file_prefix = str(profile)
    engine = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (result,) = engine.run(None, given_to(model))
    if profile is None:
        return result, []
    events = json.loads(Path(engine.end_profiling()).read_text())
    return result, [
        event["args"]["op_name"] for event in events if event["name"].endswith("kernel_time")
    ]


@on_x86
@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("l0-smoothing", 0),
        (
            "local-laplacian",
            1,
        ),  # where the survey comes in, at a sixteenth: a thousandth of the time
        ("rudin-osher-fatemi-best", 0),
    ],
)
def test_rectifiers_stay_in_the_blocks_and_no_bit_changes(
    name: str, alone: int, tmp_path: Path
) -> None:
    model = graph_of(name)
    before, operators = run(model, tmp_path / "before")
    if "ReorderInput" not in operators:
        pytest.skip("ONNX Runtime has no blocks on this processor")
    assert operators.count("LeakyRelu") == 3 + alone
    keep_blocked(model)
    after, operators = run(model, tmp_path / "after")
    assert operators.count("LeakyRelu") == alone
    np.testing.assert_array_equal(after, before)


def test_rectifiers_elsewhere_stay_as_they_are() -> None:
    model = graph_of("l0-smoothing")
    before = [node.op_type for node in model.graph.node]
    keep_blocked(model)
    after = [node.op_type for node in model.graph.node]
    # One for each level that the U climbs; the others follow convolutions.
    assert after.count("Conv") - before.count("Conv") == (3 if blocked._HAS_BLOCKS else 0)
    assert after.count("LeakyRelu") == before.count("LeakyRelu")


def test_elsewhere_than_on_x86_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "_HAS_BLOCKS", False)
    model = graph_of("l0-smoothing")
    before = model.SerializeToString(deterministic=True)
    keep_blocked(model)
    assert model.SerializeToString(deterministic=True) == before
