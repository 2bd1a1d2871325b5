"""How torch operations become ONNX ones where the exporter's own way would not do."""

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import opset18 as op


def _pixel_unshuffle(image: Any, downscale_factor: int) -> Any:
    """Space to depth, then torch's channel order.

    The exporter's own reshape and transpose in six dimensions computes its sizes while running:
    slower, and nobody can tell the memory it needs from the graph.
    """
    blocks, channels = downscale_factor**2, image.shape[1]
    # ONNX counts channels within a place in the block, torch places within a channel.
    order = [place * channels + channel for channel in range(channels) for place in range(blocks)]
    deep: Any = op.SpaceToDepth(image, blocksize=downscale_factor)
    channel_order: Any = op.Constant(value_ints=order)
    return op.Gather(deep, channel_order, axis=1)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.pixel_unshuffle.default: _pixel_unshuffle,
}
