"""The detectors that can be built: torchvision's full one, and a light one."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from burnish.detection.training.efficientnet_lite import MEAN, STD, TAP_CHANNELS, Lite0
from burnish.detection.training.heads import Heads
from burnish.detection.training.mask_iou import MaskScore
from burnish.detection.training.network import MaskNetwork, Proposer


@dataclass(frozen=True)
class Layout:
    """A kind of detector.

    Parameters
    ----------
    shorter, longer : a picture is brought to this shorter side, px, unless its longer side would
        exceed the other
    build : number of classes -> an untrained network
    """

    name: str
    shorter: int
    longer: int
    build: Callable[[int], MaskNetwork]


class Pyramid(nn.Module):
    """A backbone and a feature pyramid on it, with one more level for large objects."""

    def __init__(self, body: nn.Module, taken: list[int], channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(taken, channels, LastLevelMaxPool())

    def forward(self, image: Tensor) -> "OrderedDict[str, Tensor]":
        """Return maps by name: "0", "1", "2" and "pool"."""
        maps: OrderedDict[str, Tensor] = self.fpn(self.body(image))
        return maps


# Of the light detector: channels of pyramid and heads, and width of the box head.
_CHANNELS = 96
_HIDDEN = 384
_ANCHORS = ((16, 24), (40, 60), (90, 130), (180, 260))
_RATIOS = (0.5, 1.0, 2.0)


def light(classes: int, *, mask_score: bool = False, edges: float = 0.0) -> MaskNetwork:
    """Build the light detector: EfficientNet-Lite0, few channels, few proposals.

    Parameters
    ----------
    classes : how many, the background not counted
    mask_score : whether a head tells how well each mask fits
    edges : weight of the edge agreement loss in training
    """
    anchors = AnchorGenerator(_ANCHORS, (_RATIOS,) * len(_ANCHORS))
    rpn = Proposer(
        anchors,
        RPNHead(_CHANNELS, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=128,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 500, "testing": 300},
        post_nms_top_n={"training": 300, "testing": 120},
        nms_thresh=0.7,
    )
    heads = Heads(
        _pool(7),
        TwoMLPHead(_CHANNELS * 7 * 7, _HIDDEN),
        FastRCNNPredictor(_HIDDEN, classes + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=64,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=50,
        mask_roi_pool=_pool(14),
        mask_head=MaskRCNNHeads(_CHANNELS, [_CHANNELS] * 3, 1),
        mask_predictor=MaskRCNNPredictor(_CHANNELS, _CHANNELS, classes + 1),
    )
    # Masks begin undecided: the backbone's large features would decide at random.
    nn.init.normal_(heads.mask_predictor.mask_fcn_logits.weight, std=1e-3)
    heads.add(MaskScore(_CHANNELS, classes + 1) if mask_score else None, edges)
    body = Pyramid(Lite0(), TAP_CHANNELS, _CHANNELS)
    return MaskNetwork(body, rpn, heads, MEAN, STD)


def _pool(side: int) -> MultiScaleRoIAlign:
    # Objects of half the usual size lie on the middle level: the pictures are small.
    return MultiScaleRoIAlign(["0", "1", "2"], side, 2, canonical_scale=112)


def full(classes: int) -> MaskNetwork:
    """Build torchvision's maskrcnn_resnet50_fpn_v2, its parts under the same names.

    Parameters
    ----------
    classes : how many, the background not counted
    """
    theirs = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=classes + 1)
    # The very modules of torchvision, with this project's methods.
    rpn: Any = theirs.rpn
    rpn.__class__ = Proposer
    heads: Any = theirs.roi_heads
    heads.__class__ = Heads
    heads.add(None)
    return MaskNetwork(
        theirs.backbone, rpn, heads, theirs.transform.image_mean, theirs.transform.image_std
    )


LAYOUTS = {
    "light": Layout("light", 320, 480, light),
    "full": Layout("full", 800, 1333, full),
}
