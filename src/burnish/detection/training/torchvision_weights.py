"""torchvision's full Mask R-CNN with weights that somebody has: to a detector's file."""

from pathlib import Path
from typing import Any

import torch
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

import burnish
from burnish.detection.card import build_card
from burnish.detection.training.detectors import DETECTORS, resnet50_mask_rcnn
from burnish.detection.training.export import export
from burnish.detection.training.network import MaskRCNNModule
from burnish.errors import ModelError, UsageError
from burnish.files import check_absent

# torchvision's names of COCO's 91 numbers; the first is the background, and some mean nothing.
_CATEGORIES: list[str] = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"]
_UNUSED = "N/A"


def export_resnet50(
    weights: Path | None, output: Path, *, download: bool = False, overwrite: bool = False
) -> Path:
    """Write a detector's file of torchvision's weights, and return its path.

    Parameters
    ----------
    weights : a state dictionary of maskrcnn_resnet50_fpn_v2, with COCO's classes
    download : fetch torchvision's own instead

    Raises
    ------
    UsageError : neither or both of `weights` and `download`
    ModelError : the weights cannot be had, or are others
    OutputError : the output is in the way
    """
    if (weights is None) != download:
        raise UsageError(
            "WEIGHTS, --download",
            expected="a file of weights, or --download",
            got="neither" if weights is None else "both",
            remedy="give one of the two",
        )
    check_absent(output, overwrite=overwrite)
    network = resnet50_mask_rcnn(len(_CATEGORIES) - 1)
    load_weights(network, weights)
    spec = DETECTORS["full"]
    card = build_card(
        name="full",
        title="Mask R-CNN of torchvision (maskrcnn_resnet50_fpn_v2)",
        network="full",
        classes=class_names(),
        min_size=spec.min_size,
        max_size=spec.max_size,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        metrics=(),
        training={"weights": weights.name if weights else "COCO_V1 of torchvision"},
        description="The 80 categories of COCO. Not measured here.",
        licence="as that of the weights",
        burnish_version=burnish.__version__,
    )
    return export(network, card, output, overwrite=overwrite)


def class_names() -> tuple[str, ...]:
    """Return the 90 classes; those that COCO does not use are told apart by their number.

    Examples
    --------
    >>> class_names()[:2], class_names()[11]
    (('person', 'bicycle'), 'unused 12')
    """
    return tuple(
        f"unused {number}" if name == _UNUSED else name
        for number, name in enumerate(_CATEGORIES[1:], 1)
    )


def load_weights(network: MaskRCNNModule, weights: Path | None) -> None:
    """Load weights into the full network: from a file, or torchvision's own from the network.

    Raises
    ------
    ModelError : they cannot be had, or are those of another network
    """
    source = str(weights or "torchvision's weights")
    try:
        state: dict[str, Any] = (
            torch.load(weights, weights_only=True, map_location="cpu")
            if weights
            else dict(MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.get_state_dict(check_hash=True))
        )
        network.load_state_dict(state)
    except Exception as error:  # torch raises a dozen kinds for a file that is not its own
        raise ModelError(
            source,
            expected="a state dictionary of torchvision's maskrcnn_resnet50_fpn_v2",
            got=f"{type(error).__name__}: {str(error)[:160]}",
            remedy="give torchvision's own weights, MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
        ) from error
