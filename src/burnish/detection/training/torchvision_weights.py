"""Export torchvision's Mask R-CNN with weights of one's own or torchvision's."""

from pathlib import Path
from typing import Any

import torch
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

import burnish
from burnish.detection.card import DetectorCard
from burnish.detection.training.detectors import RESNET50_SIZES, resnet50_mask_rcnn
from burnish.detection.training.export import export
from burnish.detection.training.network import MaskRCNNModule
from burnish.errors import ModelError, UsageError
from burnish.files import check_absent

# torchvision's names of COCO's 91 category ids. The first is the background; some are not in use.
_CATEGORIES: list[str] = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"]
_UNUSED = "N/A"


def export_resnet50(
    weights: Path | None, output: Path, *, download: bool = False, overwrite: bool = False
) -> Path:
    """Write the file of a detector with torchvision's weights, and return its path.

    Parameters
    ----------
    weights : a state dict of maskrcnn_resnet50_fpn_v2, for COCO's categories
    download : download torchvision's own weights instead

    Raises
    ------
    UsageError : neither or both of `weights` and `download` are given
    ModelError : the weights cannot be read or downloaded, or belong to another network
    OutputError : the output exists and `overwrite` is not set
    """
    if (weights is None) != download:
        raise UsageError(
            "WEIGHTS, --download",
            "neither is given" if weights is None else "both are given",
            "give either a file of weights or --download",
        )
    check_absent(output, overwrite=overwrite)
    network = resnet50_mask_rcnn(len(_CATEGORIES) - 1)
    load_weights(network, weights)
    min_size, max_size = RESNET50_SIZES
    card = DetectorCard.build(
        name="full",
        title="Mask R-CNN of torchvision (maskrcnn_resnet50_fpn_v2)",
        network="full",
        classes=class_names(),
        min_size=min_size,
        max_size=max_size,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        metrics=(),
        training={"weights": weights.name if weights else "COCO_V1 of torchvision"},
        description="The 80 categories of COCO. Not measured here.",
        licence="as that of the weights",
        burnish_version=burnish.__version__,
    )
    return export(network, card, output, overwrite=overwrite)


def class_names() -> tuple[str, ...]:
    """Return the names of the 90 classes. Those that COCO does not use are numbered.

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
    """Load weights into the network, from a file or, if it is None, from torchvision's server.

    Raises
    ------
    ModelError : the weights cannot be read or downloaded, or belong to another network
    """
    try:
        state: dict[str, Any] = (
            torch.load(weights, weights_only=True, map_location="cpu")
            if weights
            else dict(MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.get_state_dict(check_hash=True))
        )
        network.load_state_dict(state)
    except Exception as error:  # torch raises many types for a file of another kind
        raise ModelError(
            str(weights or "torchvision's weights"),
            "they are not a state dict of torchvision's maskrcnn_resnet50_fpn_v2 "
            f"({type(error).__name__}: {str(error)[:160]})",
            "give torchvision's own weights, MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
        ) from error
