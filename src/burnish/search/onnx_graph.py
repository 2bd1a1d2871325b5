"""The graph of a candidate in ONNX, with random weights, for measurements of its speed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from burnish.export.onnx_export import OPSET
from burnish.modelfile.card import GUIDE, INPUT, OUTPUT
from burnish.networks.network import COLOURS
from burnish.search.graph import Operation, operations
from burnish.search.space import Candidate

_IR_VERSION = 10
_SLOPE = 0.1


def to_onnx(candidate: Candidate) -> ModelProto:
    """Return the graph that an export of the candidate would have, with random weights."""
    return _Writer(candidate).model()


class _Writer:
    """Writes the nodes of each operation."""

    def __init__(self, candidate: Candidate) -> None:
        self.arguments = candidate.arguments
        self.cell: int = self.arguments["factor"]
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.inputs: list[str] = []
        self._random = np.random.default_rng(0)
        graph = operations(candidate)
        names: list[str] = []
        for operation in graph:
            sources = [names[index] for index, _ in operation.inputs]
            names.append(self._write(operation, sources, f"x{len(names)}"))

    def model(self) -> ModelProto:
        """Return the model."""
        shape: list[str | int | None] = ["batch", COLOURS, "height", "width"]
        inputs, (output,) = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
            for names in (self.inputs, [OUTPUT])
        )
        graph = helper.make_graph(self.nodes, "candidate", inputs, [output], self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _write(self, operation: Operation, sources: Sequence[str], name: str) -> str:
        kind = operation.kind
        if kind in ("image", "guide"):
            return self._blocks(INPUT if kind == "image" else GUIDE)
        if kind == "join":
            return self._node("Concat", sources, name, axis=1)
        if kind == "output":
            return self._output(sources, name)
        if kind == "enlarge":
            scales = self._weight(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
            inputs = [*sources, "", scales]
            attributes = {"mode": "nearest", "nearest_mode": "floor"}
            return self._node(
                "Resize", inputs, name, coordinate_transformation_mode="asymmetric", **attributes
            )
        before = f"{name}.before" if operation.activated else name
        if kind == "add":
            self._node("Add", sources, before)
        else:
            self._conv(operation, sources, before)
        if not operation.activated:
            return name
        if self.arguments["activation"] == "relu":
            return self._node("Relu", [before], name)
        return self._node("LeakyRelu", [before], name, alpha=_SLOPE)

    def _blocks(self, image: str) -> str:
        """Write the nodes that turn blocks of an image into channels, as an export does."""
        self.inputs.append(image)
        planes = []
        for channel in range(COLOURS):
            index = self._weight(f"{image}.{channel}", np.array([channel], np.int64))
            plane = self._node("Gather", [image, index], f"{image}.plane{channel}", axis=1)
            name = f"{image}.blocks{channel}"
            planes.append(self._node("SpaceToDepth", [plane], name, blocksize=self.cell))
        return self._node("Concat", planes, f"{image}.blocks", axis=1)

    def _conv(self, operation: Operation, sources: Sequence[str], name: str) -> None:
        side, inputs = operation.kernel, operation.channels_in // operation.groups
        shape = (operation.channels_out, inputs, side, side)
        kernel = self._random.normal(0, (inputs * side**2) ** -0.5, shape).astype(np.float32)
        weights = [
            self._weight(f"weight of {name}", kernel),
            self._weight(f"bias of {name}", np.zeros(operation.channels_out, np.float32)),
        ]
        self._node(
            "Conv",
            [*sources, *weights],
            name,
            pads=[side // 2 * operation.dilation] * 4,
            dilations=[operation.dilation] * 2,
            strides=[operation.stride] * 2,
            group=operation.groups,
        )

    def _output(self, sources: Sequence[str], name: str) -> str:
        """Write the nodes that apply gains and offset, as `UNet.forward` does."""
        tail, *images = sources
        base, offset = images[-1], tail
        if self.arguments["gain"]:
            parts = [f"{name}.part{index}" for index in range(1 + len(images))]
            count = len(parts)
            self.nodes.append(helper.make_node("Split", [tail], parts, axis=1, num_outputs=count))
            first, offset, *more = parts
            for index, (image, gain) in enumerate(zip(images, [first, *more], strict=True)):
                product = self._node("Mul", [image, gain], f"{name}.product{index}")
                base = self._node("Add", [base, product], f"{name}.sum{index}")
        total = self._node("Add", [base, offset], f"{name}.total")
        return self._node("DepthToSpace", [total], OUTPUT, blocksize=self.cell, mode="CRD")

    def _weight(self, name: str, value: "np.typing.NDArray[np.generic]") -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output
