"""How torch operations become ONNX ones where the exporter's own way would not do."""

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import opset18 as op


def _pixel_unshuffle(image: Any, downscale_factor: int) -> Any:
    """Space to depth of each channel, one after another: torch's channel order.

    The exporter's own reshape and transpose in six dimensions computes its sizes while running:
    slower, and nobody can tell the memory it needs from the graph. All channels at once come in
    another order; to put them right by one Gather is as fast, but OpenVINO (2026.4 at least) fuses
    that into the convolution behind it the wrong way round, and says nothing.
    """
    planes = []
    for channel in range(image.shape[1]):
        index: Any = op.Constant(value_ints=[channel])
        planes.append(op.SpaceToDepth(op.Gather(image, index, axis=1), blocksize=downscale_factor))
    return op.Concat(*planes, axis=1)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.pixel_unshuffle.default: _pixel_unshuffle,
}
