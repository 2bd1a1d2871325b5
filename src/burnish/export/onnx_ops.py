"""Translations of torch operations to ONNX that replace the exporter's own."""

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import opset18 as op


def _pixel_unshuffle(image: Any, downscale_factor: int) -> Any:
    """Translate to one SpaceToDepth for each channel, concatenated in torch's channel order.

    The exporter's own translation computes its sizes at run time, which is slower and hides the
    memory that it needs. One SpaceToDepth of all channels with a Gather that reorders them would be
    as fast, but OpenVINO (at least 2026.4) fuses that Gather into the next convolution wrongly.
    """
    planes = []
    for channel in range(image.shape[1]):
        index: Any = op.Constant(value_ints=[channel])
        planes.append(op.SpaceToDepth(op.Gather(image, index, axis=1), blocksize=downscale_factor))
    return op.Concat(*planes, axis=1)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.pixel_unshuffle.default: _pixel_unshuffle,
}
