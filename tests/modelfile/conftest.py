"""A valid model file made with onnx alone, so that each test can break one thing in it."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.card import Card
from burnish.modelfile.reader import parse_model

Graph = onnx.GraphProto
FREE_SHAPE: Sequence[str | int] = ("batch", 3, "height", "width")


@pytest.fixture
def card() -> Card:
    return Card(
        name="soft",
        operator="python:soft:soften",
        title="Softening",
        paper={"title": "On softening", "doi": "10.1000/182"},
        params=[
            {
                "name": "lambda",
                "effect": "softens more",
                "value": 0.1,
                "low": 0.01,
                "high": 1,
                "default": 0.1,
                "scale": "log",
            }
        ],
        network="can24",
        halo=1,
        size_multiple=1,
        macs_per_pixel=81,
        peak_activations_per_pixel=3,
        parameter_count=84,
        metrics=[
            {
                "photos": "eight photos from a window",
                "count": 8,
                "megapixels_mean": 1.5,
                "mse_mean": 1e-4,
                "psnr_mean": 40.5,
                "psnr_worst": 36,
                "ssim_mean": 0.98,
                "ssim_worst": 0.95,
                "identity_psnr_mean": 30,
                "cast_mean": 1.4,
                "cast_worst": 3.2,
                "grain_mean": 0.6,
                "guide": "operator",
                "params": {"lambda": 0.2},
            }
        ],
        training={"steps": 100, "photos": {"folder": "photos", "count": 20}},
        licence="MIT",
        burnish_version="0.1.0",
    )


@pytest.fixture
def graph() -> Graph:
    """One 3x3 convolution from three channels to three."""
    weight = np.random.default_rng(0).normal(0, 0.1, (3, 3, 3, 3)).astype(np.float32)
    return helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["result"], pads=[1, 1, 1, 1])],
        "soft",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, FREE_SHAPE)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, FREE_SHAPE)],
        [numpy_helper.from_array(weight, "weight")],
    )


@pytest.fixture
def model_bytes(card: Card) -> Callable[..., bytes]:
    """Return a function from a graph to the bytes of a model file."""

    def model_bytes(
        graph: Graph, card_text: str | None = card.model_dump_json(), opset: int = 18
    ) -> bytes:
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
        )
        if card_text is not None:
            model.metadata_props.add(key=Card.metadata_key, value=card_text)
        return model.SerializeToString()

    return model_bytes


@pytest.fixture
def rejection() -> Callable[[bytes], str]:
    """Return a function from the bytes of an invalid file to the message, which is one line."""

    def rejection(data: bytes) -> str:
        with pytest.raises(ModelError) as caught:
            parse_model(data, "soft.onnx")
        assert caught.value.where == "soft.onnx"
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return rejection
