"""The two detectors: a light one, and torchvision's with a ResNet-50."""

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from burnish.detection.training.efficientnet_lite import (
    FEATURE_CHANNELS,
    MEAN,
    STD,
    EfficientNetLite0,
)
from burnish.detection.training.heads import DetectionHeads, MaskIoUHead
from burnish.detection.training.network import MaskRCNNModule, TracingRPN


class BackboneWithFPN(nn.Module):
    """A backbone and a feature pyramid, with one more level for large objects.

    Parameters
    ----------
    body : returns feature maps by name
    in_channels : channels of these maps
    out_channels : channels of the pyramid
    """

    def __init__(self, body: nn.Module, in_channels: list[int], out_channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(in_channels, out_channels, LastLevelMaxPool())

    def forward(self, image: Tensor) -> "OrderedDict[str, Tensor]":
        """Return the pyramid's maps by name: "0", "1", "2" and "pool"."""
        maps: OrderedDict[str, Tensor] = self.fpn(self.body(image))
        return maps


# torchvision's min_size and max_size of its Mask R-CNN: shorter side, and maximum longer side, px.
RESNET50_SIZES = (800, 1333)

# The light detector: channels of the pyramid and of the mask head, and width of the box head.
_FPN_CHANNELS = 96
_BOX_HEAD_DIM = 384
_ANCHOR_SIZES = ((16, 24), (40, 60), (90, 130), (180, 260))
_ASPECT_RATIOS = (0.5, 1.0, 2.0)


def lite_mask_rcnn(
    classes: int, *, mask_iou_head: bool = False, edge_loss_weight: float = 0.0
) -> MaskRCNNModule:
    """Build the light detector, with EfficientNet-Lite0, few channels and few proposals.

    Parameters
    ----------
    classes : number of classes without the background
    mask_iou_head : add a head that predicts the IoU of each mask
    edge_loss_weight : weight of the edge agreement loss in training
    """
    anchors = AnchorGenerator(_ANCHOR_SIZES, (_ASPECT_RATIOS,) * len(_ANCHOR_SIZES))
    rpn = TracingRPN(
        anchors,
        RPNHead(_FPN_CHANNELS, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=128,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 500, "testing": 300},
        post_nms_top_n={"training": 300, "testing": 120},
        nms_thresh=0.7,
    )
    heads = DetectionHeads(
        _roi_align(7),
        TwoMLPHead(_FPN_CHANNELS * 7 * 7, _BOX_HEAD_DIM),
        FastRCNNPredictor(_BOX_HEAD_DIM, classes + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=64,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=50,
        mask_roi_pool=_roi_align(14),
        mask_head=MaskRCNNHeads(_FPN_CHANNELS, [_FPN_CHANNELS] * 3, 1),
        mask_predictor=MaskRCNNPredictor(_FPN_CHANNELS, _FPN_CHANNELS, classes + 1),
    )
    # Masks start near 0.5. With the default initialisation, the backbone's large features would
    # make them extreme.
    nn.init.normal_(heads.mask_predictor.mask_fcn_logits.weight, std=1e-3)
    heads.configure(
        MaskIoUHead(_FPN_CHANNELS, classes + 1) if mask_iou_head else None, edge_loss_weight
    )
    backbone = BackboneWithFPN(EfficientNetLite0(), FEATURE_CHANNELS, _FPN_CHANNELS)
    return MaskRCNNModule(backbone, rpn, heads, MEAN, STD)


def _roi_align(side: int) -> MultiScaleRoIAlign:
    # Objects of 112 px use the middle level, instead of the usual 224 px, as images are small.
    return MultiScaleRoIAlign(["0", "1", "2"], side, 2, canonical_scale=112)


def resnet50_mask_rcnn(classes: int) -> MaskRCNNModule:
    """Build torchvision's maskrcnn_resnet50_fpn_v2, with the same parameter names.

    Parameters
    ----------
    classes : number of classes without the background
    """
    torchvision_model = maskrcnn_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=classes + 1
    )
    # torchvision's own modules, with the methods of our subclasses.
    rpn: Any = torchvision_model.rpn
    rpn.__class__ = TracingRPN
    heads: Any = torchvision_model.roi_heads
    heads.__class__ = DetectionHeads
    heads.configure(None)
    return MaskRCNNModule(
        torchvision_model.backbone,
        rpn,
        heads,
        torchvision_model.transform.image_mean,
        torchvision_model.transform.image_std,
    )
