"""Read the card and the graph of a model file, and run it without burnish."""

import json

import numpy as np
import onnx
import onnxruntime

from burnish.runtime.model_registry import find_model


def main() -> None:
    """Print the card and the operators of a bundled model, and its output's shape."""
    path = find_model("l0-smoothing")
    model = onnx.load(path)
    card = json.loads({entry.key: entry.value for entry in model.metadata_props}["burnish.card"])
    print(f"{card['title']}, {card['network']}: {card['macs_per_pixel']} multiply-adds per pixel")
    print("operators:", sorted({node.op_type for node in model.graph.node}))

    session = onnxruntime.InferenceSession(path)
    image = np.random.default_rng(0).random((1, 3, 48, 64), dtype=np.float32)
    sliders = [param["value"] for param in card["params"] if param["slider"]]  # the defaults
    params = np.array(sliders, np.float32).reshape(1, -1, 1, 1)
    # The start network alone computes the result of a small image, and does not read the guide.
    inputs = {"image": image, "guide": image, "params": params}
    (output,) = session.run(["start"], inputs)
    print("ONNX Runtime:", output.shape, output.dtype)


if __name__ == "__main__":
    main()
