"""Model files made with onnx alone: blurs whose output is known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.modelfile.card import Card

WriteModel = Callable[..., Path]


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Return a function that writes a model: the mean over a square, times a gain."""

    def write_model(
        name: str = "blur",
        *,
        halo: int = 1,
        gain: float = 1,
        channels: int = 3,
        stated_halo: int = 0,
    ) -> Path:
        side = 2 * halo + 1
        spread = np.zeros((channels, 3, 1, 1), np.float32)
        spread[np.arange(channels), np.arange(channels) % 3] = 1
        mean = np.zeros((3, channels, side, side), np.float32)
        mean[np.arange(3), np.arange(3)] = gain / side**2
        image, result = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
            for name in ("image", "result")
        )
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["image", "spread"], ["wide"]),
                helper.make_node("Conv", ["wide", "mean"], ["result"], pads=[halo] * 4),
            ],
            name,
            [image],
            [result],
            [numpy_helper.from_array(spread, "spread"), numpy_helper.from_array(mean, "mean")],
        )
        card = Card(
            name=name,
            operator="python:blur:blur",
            title="Blur",
            paper=None,
            params=(),
            network="blur",
            halo=stated_halo or halo,
            size_multiple=1,
            macs_per_pixel=3 * channels * (side**2 + 1),
            peak_activations_per_pixel=channels + 3,
            parameter_count=0,
            metrics=(),
            training={},
            licence="MIT",
            burnish_version="0.1.0",
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        model.metadata_props.add(key=Card.metadata_key, value=card.model_dump_json())
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path)
        return path

    return write_model
