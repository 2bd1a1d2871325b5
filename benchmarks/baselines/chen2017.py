"""Load the published weights of Chen, Xu and Koltun (2017) into a CAN.

The published networks work on BGR. The channels are reversed here, so that input and output are
RGB. They normalise by the statistics of each image.
"""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.errors import ModelError
from burnish.networks.can import CAN, CAN24_DILATIONS, CAN32_DILATIONS, AdaptiveNormConv


def load(path: str | Path) -> CAN:
    """Return the CAN whose TensorFlow variables are in an .npz file.

    Parameters
    ----------
    path : an archive of arrays named ``scope/variable``, with kernels as H x W x in x out

    Raises
    ------
    ModelError : the file is not an archive, or its variables are not those of a CAN
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[np.float32]] = dict(archive)
        return _network(arrays)
    except (OSError, ValueError, KeyError, RuntimeError, BadZipFile) as error:
        raise ModelError(
            str(path),
            f"not an .npz archive with the variables of a CAN ({type(error).__name__}: {error})",
            "export the checkpoint with the original names of its variables",
        ) from error


def _network(arrays: dict[str, NDArray[np.float32]]) -> CAN:
    scopes = sorted({_number(name) for name in arrays if name.endswith("/w0")})
    width = arrays["g_conv1/weights"].shape[3]
    dilations = {len(d): d for d in (CAN24_DILATIONS, CAN32_DILATIONS)}[len(scopes)]
    network = CAN(width, dilations)
    with torch.no_grad():
        for layer, scope in zip(network.norm_convs, scopes, strict=True):
            _fill(layer, {name: arrays[f"g_conv{scope}/{name}"] for name in _VARIABLES})
        network.to_rgb.weight.copy_(_kernel(arrays["g_conv_last/weights"]).flip(0))
        bias = torch.from_numpy(arrays["g_conv_last/biases"])
        network.to_rgb.bias.copy_(bias.flip(0))  # type: ignore[union-attr]
        first = network.norm_convs[0].weight
        first.copy_(first.flip(1))
    return network.set_norm_mode("instance").eval()


_VARIABLES = ("weights", "w0", "w1", "BatchNorm/beta")


def _number(variable: str) -> int:
    return int(variable.partition("/")[0].removeprefix("g_conv"))


def _fill(layer: AdaptiveNormConv, arrays: dict[str, NDArray[np.float32]]) -> None:
    layer.weight.copy_(_kernel(arrays["weights"]))
    layer.w0.copy_(torch.from_numpy(arrays["w0"]))
    layer.w1.copy_(torch.from_numpy(arrays["w1"]))
    layer.bias.copy_(torch.from_numpy(arrays["w1"] * arrays["BatchNorm/beta"]))


def _kernel(weights: NDArray[np.float32]) -> Tensor:
    """Convert TensorFlow's H x W x in x out to out x in x H x W."""
    return torch.from_numpy(np.ascontiguousarray(weights.transpose(3, 2, 0, 1)))
