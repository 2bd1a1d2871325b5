"""Rounding of a network's kernels and features in PyTorch, as its graph in int8 rounds them.

The torch functions that a network calls are replaced: those on features round as
`burnish.runtime.quantisation` does for ONNX Runtime. Gradients pass through the rounding, and the
ranges of the features are trained too (learned step sizes, Esser et al. 2020,
https://doi.org/10.48550/arXiv.1902.08153).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from burnish.networks.network import Network
from burnish.runtime.quantisation import KERNEL_MAX, STEPS

_LEAST_RANGE = 1e-6
# Ranges are trained so many times as fast as biases, since they need no precision.
_RATE = 100.0

OnFeatures = Callable[[int, Tensor, float], None]


class FeatureRanges(nn.Module):
    """The lowest and the highest value of each rounded tensor, in the order of the network.

    A bound is its first value times the exponential of a trained number, so that bounds of any size
    are trained at the same rate.

    Parameters
    ----------
    ranges : the bounds of each tensor, (2, 1), or (2, groups), see `round_features`
    """

    def __init__(self, ranges: Iterable[Tensor]) -> None:
        super().__init__()
        firsts = []
        for bounds in ranges:
            low, high = bounds
            firsts.append(torch.stack([low.clamp_max(-_LEAST_RANGE), high.clamp_min(_LEAST_RANGE)]))
        for index, bounds in enumerate(firsts):
            self.register_buffer(f"first_{index}", bounds)
        self.changes = nn.ParameterList(torch.zeros_like(bounds) for bounds in firsts)

    def __len__(self) -> int:
        return len(self.changes)

    def __getitem__(self, index: int) -> Tensor:
        """Return the bounds of a tensor."""
        bounds: Tensor = self.get_buffer(f"first_{index}") * (_RATE * self.changes[index]).exp()
        return bounds

    def to_card(self) -> list[tuple[tuple[float, float], ...]]:
        """Return the ranges as a card has them, see `burnish.modelfile.card.Ranges`."""
        return [
            tuple((float(f"{low:.6g}"), float(f"{high:.6g}")) for low, high in bounds.T.tolist())
            for bounds in (self[index].detach() for index in range(len(self)))
        ]


@dataclass(frozen=True)
class _Features:
    """Facts about a tensor of features.

    Attributes
    ----------
    kind : "image" is rounded for convolutions only, "output" is that of a convolution or a sum and
        is rounded before it is used, "rounded" is rounded
    bounds : of an image, or of rounded features if they are known
    tail : for the output of a guided network's last convolution: the input, kernel and bias, with
        gains and shifts folded in, and further arguments
    """

    kind: Literal["image", "output", "rounded"]
    bounds: Tensor | None = None
    tail: tuple[Any, ...] = ()


class FakeQuantisation(TorchFunctionMode):
    """A context in which a network rounds its kernels and features.

    Parameters
    ----------
    network : its image and its guide are marked while it runs, until `close` is called
    ranges : of the features. Without them nothing is rounded
    on_features : receives the features that are rounded, before that, with their position and the
        slope below zero of the LeakyReLU that follows, or 1
    """

    def __init__(
        self,
        network: Network,
        ranges: FeatureRanges | None = None,
        on_features: OnFeatures = lambda index, features, slope: None,
    ) -> None:
        super().__init__()
        self._ranges = ranges
        self._on_features = on_features
        self._index = 0
        self._in_tail = False
        self._num_images = 1 + network.guided
        self._hooks = [
            network.register_forward_pre_hook(self._begin),
            network.register_forward_hook(self._end),
        ]
        if getattr(network, "guide_gain", False):
            tail = network.get_submodule("tail")
            self._hooks.append(tail.register_forward_pre_hook(self._begin_tail))

    def close(self) -> None:
        """Stop marking the images of the network."""
        for hook in self._hooks:
            hook.remove()

    def _begin(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._index, self._in_tail = 0, False
        for image in inputs[: self._num_images]:
            _mark(image, _Features("image", torch.tensor([[0.0], [1.0]])))

    def _end(self, network: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        for image in inputs[: self._num_images]:
            _mark(image, None)

    def _begin_tail(self, tail: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._in_tail = True

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "").strip("_")
        replacement = getattr(self, f"_on_{name}", None)
        first = args[0] if args else None
        operands = first if isinstance(first, list) else args
        if replacement is None or not any(map(_features, operands)):
            return func(*args, **(kwargs or {}))
        return replacement(func, *args, **(kwargs or {}))

    def _on_pixel_unshuffle(self, func: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
        return _mark(func(x, *args), _features(x))

    def _on_cat(self, func: Callable[..., Tensor], tensors: list[Tensor], dim: int) -> Tensor:
        features = list(map(_features, tensors))
        return _mark(func(tensors, dim=dim), features[0] if all(features) else None)

    def _on_conv2d(
        self, func: Callable[..., Tensor], x: Tensor, kernel: Tensor, bias: Tensor, *args: Any
    ) -> Tensor:
        features = _features(x)
        if features and features.kind == "image" and features.bounds is not None:
            x = round_features(x, features.bounds) if self._ranges else x
        x = self._rounded(x)
        if self._in_tail:  # It is computed when its gains and shifts are known.
            self._in_tail = False
            output = x.new_zeros(()).expand(len(x), len(kernel), *x.shape[2:])
            return _mark(output, _Features("output", tail=(x, kernel, bias, *args)))
        kernel = round_kernel(kernel) if self._ranges else kernel
        return _mark(func(x, kernel, bias, *args), _Features("output"))

    def _on_mul(self, func: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
        features = _features(a)
        if features is None or features.kind != "output" or not _is_per_channel(b):
            return func(a, b)
        if not features.tail:
            return _mark(func(a, b), features)
        x, kernel, bias, *args = features.tail
        gains = b.reshape(-1)
        tail = x, kernel * gains[:, None, None, None], bias * gains, *args
        return _mark(a.view_as(a), replace(features, tail=tail))

    def _on_add(self, func: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
        features = _features(a)
        if features is not None and features.kind == "output" and _is_per_channel(b):
            if not features.tail:
                return _mark(func(a, b), features)
            x, kernel, bias, *args = features.tail
            tail = x, kernel, bias + b.reshape(-1), *args
            return _mark(a.view_as(a), replace(features, tail=tail))
        kinds = [f.kind if f else None for f in map(_features, (a, b))]
        if "output" not in kinds and kinds != ["rounded", "rounded"]:
            return func(a, b)  # of an image and the network's result
        return _mark(func(self._rounded(a), self._rounded(b)), _Features("output"))

    def _on_leaky_relu(
        self, func: Callable[..., Tensor], x: Tensor, *, negative_slope: float, **kwargs: Any
    ) -> Tensor:
        x = self._rounded(x, negative_slope)
        output, features = func(x, negative_slope, **kwargs), _features(x)
        if features is None or features.bounds is None:
            return _mark(output, features)
        low, high = features.bounds
        bounds = torch.stack([negative_slope * low.amin(), high.amax()])[:, None]
        return _mark(round_features(output, bounds), _Features("rounded", bounds))

    def _on_relu(self, func: Callable[..., Tensor], x: Tensor, **kwargs: Any) -> Tensor:
        return self._on_leaky_relu(F.leaky_relu, x, negative_slope=0.0)

    def _on_interpolate(self, func: Callable[..., Tensor], x: Tensor, **kwargs: Any) -> Tensor:
        x = self._rounded(x)
        return _mark(func(x, **kwargs), _features(x))

    def _on_chunk(
        self, func: Callable[..., tuple[Tensor, ...]], x: Tensor, chunks: int, dim: int
    ) -> tuple[Tensor, ...]:
        return func(self._rounded(x), chunks, dim=dim)

    def _rounded(self, x: Tensor, slope: float = 1.0) -> Tensor:
        """Return the output of a convolution or a sum rounded, and other tensors as they are."""
        features = _features(x)
        if features is None or features.kind != "output":
            return x
        index, self._index = self._index, self._index + 1
        if features.tail:
            return self._rounded_tail(index, *features.tail)
        self._on_features(index, x, slope)
        if self._ranges is None:
            return _mark(x.view_as(x), _Features("rounded"))
        bounds = self._ranges[index]
        return _mark(round_features(x, bounds), _Features("rounded", bounds))

    def _rounded_tail(
        self, index: int, x: Tensor, kernel: Tensor, bias: Tensor, *args: Any
    ) -> Tensor:
        """Return the gains and offsets of a guided network.

        The first gain and the sum of both are rounded; see `subtract_guide`.
        """
        kernel, bias = _add_gains(kernel), _add_gains(bias)
        kernel = round_kernel(kernel) if self._ranges else kernel
        y = torch.conv2d(x, kernel, bias, *args)
        self._on_features(index, y, 1.0)
        if self._ranges:
            y = round_features(y, self._ranges[index])
        gain, offset, total = y.chunk(3, dim=1)
        return torch.cat([gain, offset, total - gain], dim=1)


def _features(tensor: Any) -> _Features | None:
    return getattr(tensor, "burnish_features", None)


def _mark(tensor: Tensor, features: _Features | None) -> Tensor:
    """Attach what is known of a tensor to it."""
    tensor.burnish_features = features  # type: ignore[attr-defined]
    return tensor


def _is_per_channel(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.ndim == 4 and tensor.shape[2:] == (1, 1)


def _add_gains(weight: Tensor) -> Tensor:
    """Replace the weight of the guide's gain by that of the sum of both gains."""
    gain, offset, guide_gain = weight.chunk(3)
    return torch.cat([gain, offset, gain + guide_gain])


def round_kernel(kernel: Tensor) -> Tensor:
    """Round a kernel to integers with one scale for each output channel."""
    scale = kernel.detach().abs().flatten(1).amax(1).clamp_min(torch.finfo().tiny) / KERNEL_MAX
    zero = torch.zeros(len(scale), dtype=torch.int32, device=kernel.device)
    rounded: Tensor = torch.fake_quantize_per_channel_affine(
        kernel, scale, zero, 0, -KERNEL_MAX, KERNEL_MAX
    )
    return rounded


def round_features(x: Tensor, bounds: Tensor) -> Tensor:
    """Round features to the steps of a range, (2, 1), or of one for each of several groups.

    The groups are of equal numbers of channels that follow each other.
    """
    if bounds.shape[1] > 1:
        bounds = bounds.repeat_interleave(x.shape[1] // bounds.shape[1], dim=1)
    low, high = bounds
    scale = (high - low) / STEPS
    zero = -low / scale
    factor = (x.numel() * STEPS) ** -0.5
    rounded: Tensor
    if len(scale) == 1:
        rounded = torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero, 0, STEPS, factor)
    else:
        rounded = torch._fake_quantize_learnable_per_channel_affine(
            x, scale, zero, 1, 0, STEPS, factor
        )
    return rounded
