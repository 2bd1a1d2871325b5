"""8-bit integer arithmetic: QuantizeLinear and DequantizeLinear are inserted into a graph.

A model file holds float32 weights, and its card the ranges of the features. Where a graph runs in
int8, each kernel is rounded with one scale for each channel, once the context is folded into it,
and the features are rounded to 256 steps of their range. Engines differ in what they fuse with a
convolution, so that the nodes are inserted anew for each. The image, the guide, and what a network
computes from its gains and offsets stay float32.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.card import GUIDE, INPUT, Ranges
from burnish.modelfile.graph_rules import attributes
from burnish.runtime.onnx_runtime import fold_constants

Float = NDArray[np.float32]
# The steps of features, and the largest value of a kernel.
STEPS = 255
KERNEL_MAX = 127
_MIDDLE = np.uint8(128)
_MAX_BIAS = np.float32(2**30)

# Their output has the range of their input.
_LAYOUT_OPS = frozenset(["DepthToSpace", "Gather", "Identity", "MaxPool", "Resize", "SpaceToDepth"])

_ACTIVATIONS = ("LeakyRelu", "Relu")
# Besides convolutions, these run on integers.
_INTEGER_OPS = frozenset([*_ACTIVATIONS, "Add", "Concat", "MaxPool", "Resize"])


def quantise_graph(model: ModelProto, ranges: Ranges, engine: str) -> ModelProto:
    """Return a graph that an engine runs in int8, with the context folded into its kernels.

    Parameters
    ----------
    model : a graph without `params` and `thumbnail`; they are bound
    ranges : see `burnish.modelfile.card.Card`. A convolution whose input has no range stays float32
    engine : of `burnish.runtime.engines`

    Raises
    ------
    ModelError : a range does not fit the graph
    """
    folded = fold_constants(model)
    subtract_guide(folded)
    _Quantiser(folded, ranges, rounds_all=engine != "openvino").run()
    return folded


def feature_grid(low: Float, high: Float) -> tuple[Float, NDArray[np.uint8]]:
    """Return the scale and the zero point of features within a range, which contains zero.

    Examples
    --------
    >>> feature_grid(np.float32([-1]), np.float32([1.55]))
    (array([0.01], dtype=float32), array([100], dtype=uint8))
    """
    scale = np.maximum((high - low) / np.float32(STEPS), np.finfo(np.float32).tiny)
    return scale, np.rint(-low / scale).clip(0, STEPS).astype(np.uint8)


def kernel_scale(kernel: Float) -> Float:
    """Return the scale of each output channel of a kernel, (out, in, h, w) -> (out,)."""
    largest = np.abs(kernel).reshape(len(kernel), -1).max(1)
    scale: Float = np.maximum(largest / np.float32(KERNEL_MAX), np.finfo(np.float32).tiny)
    return scale


def subtract_guide(model: ModelProto) -> None:
    """Compute image * a + guide * b as (image - guide) * a + guide * (a + b). In place.

    Both gains come from one convolution, and often nearly cancel. Where the guide is close to the
    image, an error of their rounding then has little effect.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    splits = [node for node in graph.node if node.op_type == "Split"]

    def sums(node: NodeProto) -> set[str]:
        """Return the sums that a product is a term of."""
        names = set(node.output)
        for other in graph.node:
            if other.op_type == "Add" and not names.isdisjoint(other.input):
                names.update(other.output)
        return names

    for split in splits:
        conv = producers.get(split.input[0])
        products = {
            source: (node, index)
            for node in graph.node
            if node.op_type == "Mul"
            for gain, image in (node.input, reversed(node.input))
            if gain in split.output and (source := _source(image, producers)) is not None
            for index in [list(split.output).index(gain)]
        }
        if conv is None or conv.op_type != "Conv" or products.keys() != {INPUT, GUIDE}:
            continue
        (image_node, image_index), (guide_node, guide_index) = products[INPUT], products[GUIDE]
        if sums(image_node).isdisjoint(sums(guide_node)):
            continue
        for name in conv.input[1:]:
            tensor = constants[name]
            parts = np.split(numpy_helper.to_array(tensor).copy(), len(split.output))
            parts[guide_index] = parts[guide_index] + parts[image_index]
            tensor.CopyFrom(numpy_helper.from_array(np.concatenate(parts), name))
        image = next(name for name in image_node.input if name not in split.output)
        guide = next(name for name in guide_node.input if name not in split.output)
        difference = f"{image}-{guide}"
        image_node.input[:] = [difference if name == image else name for name in image_node.input]
        position = list(graph.node).index(image_node)
        graph.node.insert(position, helper.make_node("Sub", [image, guide], [difference]))


def rounded_tensors(model: ModelProto) -> list[str]:
    """Return the tensors of a graph with a folded context that need ranges, in order.

    These are the outputs of convolutions and the sums of features, up to the gains and offsets.
    """
    names, features = [], {INPUT, GUIDE}
    result = model.graph.output[0].name
    producers = {name: node for node in model.graph.node for name in node.output}
    outputs: set[str] = set()
    for node in model.graph.node:
        known = [name in features for name in node.input[: 2 if node.op_type == "Add" else 1]]
        is_sum = node.op_type == "Add" and (
            (all(known) and not any(_source(name, producers) for name in node.input))
            or not outputs.isdisjoint(node.input)
        )
        output = node.output[0]
        if (is_sum or (node.op_type == "Conv" and all(known))) and output != result:
            names.append(output)
            outputs.add(output)
            features.add(output)
        elif node.op_type in (*_ACTIVATIONS, "Concat", *_LAYOUT_OPS) and all(known):
            features.add(output)
    return names


def _behind_activation(node: NodeProto, bounds: Float) -> Float:
    """Return the bounds of the output of an activation, which has one range."""
    slope = np.float32(0 if node.op_type == "Relu" else attributes(node).get("alpha", 0.01))
    return np.array([[slope * bounds[0].min()], [bounds[1].max()]], np.float32)


def _operand_count(node: NodeProto) -> int:
    """Return the number of inputs that are features."""
    return {"Add": 2, "Concat": len(node.input)}.get(node.op_type, 1)


def _copy(node: NodeProto, inputs: Iterable[str], output: str) -> NodeProto:
    """Return a node with the same attributes, and other inputs and another output."""
    copied = NodeProto()
    copied.CopyFrom(node)
    copied.name = output
    copied.input[:], copied.output[:] = inputs, [output]
    return copied


def _source(name: str, producers: Mapping[str, NodeProto]) -> str | None:
    """Return the image or the guide if a tensor consists of its pixels, else None."""
    if name in (INPUT, GUIDE):
        return name
    node = producers.get(name)
    if node is None or node.op_type not in ("Gather", "SpaceToDepth", "Concat"):
        return None
    inputs = node.input if node.op_type == "Concat" else node.input[:1]
    sources = {_source(name, producers) for name in inputs}
    return sources.pop() if len(sources) == 1 else None


class _Quantiser:
    """Inserts the nodes into a graph whose context is folded, in place.

    Parameters
    ----------
    ranges : see `quantise_graph`
    rounds_all : round the output of every operator on features, not only the input of convolutions.
        ONNX Runtime runs an operator on integers only if its output is rounded too. OpenVINO
        computes the operators after a convolution from its exact output, in the same kernel
    """

    def __init__(self, model: ModelProto, ranges: Ranges, rounds_all: bool) -> None:
        self._graph = model.graph
        self._ranges = {name: np.array(pairs, np.float32).T for name, pairs in ranges.items()}
        self._rounds_all = rounds_all
        self._constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in self._graph.initializer
        }
        # Lowest and highest value of float32 tensors, (2, 1) or (2, channels).
        self._bounds = dict.fromkeys((INPUT, GUIDE), np.array([[0], [1]], np.float32))
        # float32 tensor -> the rounded one that its readers take instead
        self._rounded: dict[str, str] = {}
        self._nodes: list[NodeProto] = []

    def run(self) -> None:
        """Replace the nodes of the graph."""
        graph = self._graph
        if self._rounds_all:
            self._split_convolutions()
        producers = {name: node for node in graph.node for name in node.output}
        for node in list(graph.node):
            bounds = self._output_bounds(node)
            if bounds is not None:
                self._bounds[node.output[0]] = bounds
            if self._is_integer(node):
                if node.op_type == "Conv":
                    self._round_kernel(node)
                for index in range(_operand_count(node)):
                    node.input[index] = self._round(node.input[index])
                self._nodes.append(node)
                if self._rounds_all and bounds is not None:
                    self._round(node.output[0])
            else:
                node.input[:] = [
                    name if _source(name, producers) else self._rounded.get(name, name)
                    for name in node.input
                ]
                self._nodes.append(node)
        del graph.node[:]
        graph.node.extend(self._nodes)
        used = {name for node in graph.node for name in node.input}
        tensors = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(tensors)

    def _split_convolutions(self) -> None:
        """Split convolutions whose channels have several ranges, if an activation follows.

        Each part has one range, and so has the joined output of the activations.
        """
        graph = self._graph
        readers = {name: node for node in graph.node for name in node.input}
        for conv in [node for node in graph.node if node.op_type == "Conv"]:
            name, bounds = conv.output[0], self._ranges.get(conv.output[0])
            activation = readers.get(name)
            if bounds is None or activation is None or activation.op_type not in _ACTIVATIONS:
                continue
            count = bounds.shape[1]
            if count == 1 or conv.input[1] not in self._constants:
                continue
            weights = [
                np.split(self._constants[weight], self._group_count(name, conv))
                for weight in conv.input[1:]
            ]
            output = activation.output[0]
            self._ranges[output] = _behind_activation(activation, bounds)
            nodes = []
            for index in range(count):
                part = f"{name}.{index}"
                inputs = [f"{part}.weight{number}" for number in range(len(weights))]
                for weight, arrays in zip(inputs, weights, strict=True):
                    self._constants[weight] = arrays[index]
                self._ranges[part] = bounds[:, index : index + 1]
                self._ranges[f"{output}.{index}"] = self._ranges[output]
                nodes += [_copy(conv, [conv.input[0], *inputs], part)]
                nodes += [_copy(activation, [part], f"{output}.{index}")]
            parts = [f"{output}.{index}" for index in range(count)]
            nodes.append(helper.make_node("Concat", parts, [output], axis=1))
            del self._ranges[name]
            position = list(graph.node).index(conv)
            graph.node.remove(conv)
            graph.node.remove(activation)
            for node in reversed(nodes):
                graph.node.insert(position, node)

    def _group_count(self, name: str, conv: NodeProto) -> int:
        """Return the number of ranges of a convolution's output, a divisor of its channels."""
        count = int(self._ranges[name].shape[1])
        channels = len(self._constants[conv.input[1]])
        if channels % count:
            problem = f"{name} has {channels} channels, and {count} ranges"
            raise ModelError("ranges", problem, "get the file from its author again")
        return count

    def _is_integer(self, node: NodeProto) -> bool:
        """Return whether an operator runs on integers."""
        names = node.input[: _operand_count(node)]
        bounds = [self._bounds.get(name) for name in names]
        if any(part is None or part.shape[1] > 1 for part in bounds):
            return False
        if node.op_type == "Conv":
            return node.input[1] in self._constants
        if not self._rounds_all or node.output[0] not in self._bounds:
            return False
        is_feature = any(name in self._rounded for name in names)
        return is_feature and node.op_type in _INTEGER_OPS

    def _output_bounds(self, node: NodeProto) -> Float | None:
        """Return the bounds of a node's first output; None if they are not known."""
        if node.op_type in ("Add", "Conv") or node.output[0] in self._ranges:
            return self._ranges.get(node.output[0])
        bounds = [self._bounds.get(name) for name in node.input]
        if bounds[0] is None:
            return None
        if node.op_type in _ACTIVATIONS:
            return _behind_activation(node, bounds[0])
        if node.op_type == "Concat":
            is_same = all(p is not None and np.array_equal(p, bounds[0]) for p in bounds[1:])
            return bounds[0] if is_same else None
        return bounds[0] if node.op_type in _LAYOUT_OPS else None

    def _round(self, name: str) -> str:
        """Add the nodes that round a tensor, unless it has some; return the rounded tensor."""
        if name not in self._rounded:
            scale, zero = feature_grid(*self._bounds[name])
            is_single = len(scale) == 1
            if is_single:
                grid = self._add(f"{name}.scale", scale[0]), self._add(f"{name}.zero", zero[0])
                output_grid = grid
            else:  # see `_round_kernel`
                grid = self._add(f"{name}.one", np.float32(1)), self._add(f"{name}.middle", _MIDDLE)
                output_grid = self._add(f"{name}.scale", scale), self._add(f"{name}.zero", zero)
            integers, floats = f"{name}.uint8", f"{name}.rounded"
            self._nodes += [
                helper.make_node("QuantizeLinear", [name, *grid], [integers]),
                helper.make_node("DequantizeLinear", [integers, *output_grid], [floats], axis=1),
            ]
            self._rounded[name] = floats
        return self._rounded[name]

    def _round_kernel(self, node: NodeProto) -> None:
        """Round the kernel of a convolution, and for integer output also its bias."""
        name = node.output[0]
        kernel = self._constants[node.input[1]]
        channels = len(kernel)
        has_bias = len(node.input) > 2
        bias = self._constants[node.input[2]] if has_bias else np.zeros(channels, np.float32)
        bounds = self._bounds.get(name)
        if self._rounds_all and bounds is not None and bounds.shape[1] > 1:
            # The output has one scale, so that those of the channels become part of the kernel.
            groups = self._group_count(name, node)
            bounds = self._bounds[name] = bounds.repeat(channels // groups, axis=1)
            scale, zero = feature_grid(*bounds)
            kernel = kernel / scale[:, None, None, None]
            bias = bias / scale + (zero.astype(np.float32) - _MIDDLE)
        input_scale = feature_grid(*self._bounds[node.input[0]])[0][0]
        # The bias has to fit into 32 bits.
        scale = np.maximum(kernel_scale(kernel), np.abs(bias) / input_scale / _MAX_BIAS)
        integers = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
        node.input[1] = self._dequantise(f"{name}.kernel", integers, scale)
        if self._rounds_all:
            scale = scale * input_scale
            integers = np.rint(bias / scale).astype(np.int32)
            del node.input[2:]
            node.input.append(self._dequantise(f"{name}.bias", integers, scale))

    def _dequantise(self, name: str, integers: NDArray[np.signedinteger[Any]], scale: Float) -> str:
        """Add a weight in integers, and the node that multiplies it with its scales."""
        zero = np.zeros(len(scale), integers.dtype)
        inputs = [
            self._add(f"{name}.{suffix}", value)
            for suffix, value in (("integers", integers), ("scale", scale), ("zero", zero))
        ]
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [name], axis=0))
        return name

    def _add(self, name: str, value: ArrayLike) -> str:
        """Add a constant to the graph; return its name."""
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name
