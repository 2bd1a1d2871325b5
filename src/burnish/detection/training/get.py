"""Download torchvision's Mask R-CNN, and make it the default detector."""

import re
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import torch.hub
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

from burnish.detection import detector_file
from burnish.detection.training.export import export_resnet50
from burnish.errors import ModelError, read_error
from burnish.files import digest, make_folder

URL = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.url
# Seconds after which a server that does not answer counts as unreachable.
_TIMEOUT = 30


def get_full(weights: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write the detector `full` into the cache, and return its file.

    Parameters
    ----------
    weights : the file of `URL` [default: it is downloaded, and removed afterwards]

    Raises
    ------
    ModelError : the weights cannot be downloaded or read, or are not those of `URL`
    OutputError : the detector is there and `overwrite` is not set, or it cannot be written
    """
    folder = detector_file.downloaded_folder()
    make_folder(folder)
    target = folder / f"{detector_file.DOWNLOADED}.onnx"
    if weights is not None:
        _check_digest(weights)
        return export_resnet50(weights, target, overwrite=overwrite)
    with TemporaryDirectory(dir=folder) as temporary:
        download = Path(temporary) / Path(urlsplit(URL).path).name
        _download(download)
        return export_resnet50(download, target, overwrite=overwrite)


def _expected_digest() -> str:
    """Return the beginning of the SHA-256 of the weights, which the address contains."""
    match = re.search(r"-([0-9a-f]{8,})\.", URL)
    return match[1] if match else ""


def _check_digest(weights: Path) -> None:
    try:
        found = digest(weights)
    except OSError as error:
        raise read_error(f"--weights {weights}", error, ModelError) from error
    if not found.startswith(_expected_digest()):
        raise ModelError(
            f"--weights {weights}",
            f"its SHA-256 begins with {found[:8]}, not with {_expected_digest()}",
            f"give the file from {URL}; others are for `burnish regions export`",
        )


def _download(target: Path) -> None:
    """Download the weights and check them.

    Raises
    ------
    ModelError : the server cannot be reached, or the file is damaged
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        torch.hub.download_url_to_file(
            URL, str(target), _expected_digest(), progress=sys.stderr.isatty()
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            URL,
            f"it cannot be downloaded ({' '.join(str(error).split())[:160]})",
            "download it in another way, and run `burnish regions get full --weights FILE`",
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
