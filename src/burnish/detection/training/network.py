"""Mask R-CNN as one module, on torchvision's parts."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image, remove_small_boxes

from burnish.detection.training.heads import DetectionHeads, Detections, Size, Target, batched_nms

# Images are padded to a multiple of this, the largest stride of a backbone, px.
SIZE_MULTIPLE = 32


class Proposals(NamedTuple):
    """The output of the first stage: all anchors, and the best of them, refined.

    ``anchors`` (A, 4) in px, ``proposals`` (P, 4) in px, ``objectness`` (P,) in [0, 1].
    """

    anchors: Tensor
    proposals: Tensor
    objectness: Tensor


class TracingRPN(RegionProposalNetwork):
    """torchvision's region proposal network, which also returns anchors and objectness."""

    def forward_traced(self, padded: Tensor, size: Size, features: dict[str, Tensor]) -> Proposals:
        """Propose regions of one image.

        Parameters
        ----------
        padded : (1, 3, H, W), the image with its padding
        size : height and width without the padding, px
        """
        objectness, deltas = self.head(list(features.values()))
        anchors = self.anchor_generator(ImageList(padded, [size]), list(features.values()))
        counts = [level.shape[1] * level.shape[2] * level.shape[3] for level in objectness]
        flat, flat_deltas = concat_box_prediction_layers(objectness, deltas)
        decoded = self.box_coder.decode(flat_deltas, anchors).view(-1, 4)
        best = self._get_top_n_idx(flat.view(1, -1), counts)[0]
        levels = torch.cat([torch.full((n,), level) for level, n in enumerate(counts)])[best]
        boxes = clip_boxes_to_image(decoded[best], size)
        scores = flat.view(-1)[best].sigmoid()
        not_empty = remove_small_boxes(boxes, self.min_size)
        boxes, scores, levels = boxes[not_empty], scores[not_empty], levels[not_empty]
        indices = batched_nms(boxes, scores, levels, self.nms_thresh, size)[: self.post_nms_top_n()]
        return Proposals(anchors[0], boxes[indices], scores[indices])


class MaskRCNNModule(nn.Module):
    """Mask R-CNN: a backbone with a feature pyramid, region proposals, and heads.

    He, Gkioxari, Dollár, Girshick: Mask R-CNN, ICCV 2017, doi:10.1109/ICCV.2017.322.
    The parameters have torchvision's names, so that weights of its detectors can be loaded.

    Parameters
    ----------
    mean, std : of the RGB values that the backbone was trained on, for values from 0 to 1
    """

    def __init__(
        self,
        backbone: nn.Module,
        rpn: TracingRPN,
        roi_heads: DetectionHeads,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.backbone, self.rpn, self.roi_heads = backbone, rpn, roi_heads
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Sequence[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """Return the losses of a batch, by name.

        Parameters
        ----------
        images : (3, H, W) each, in [0, 1]; their sizes may differ
        targets : ``boxes`` (N, 4) in px, ``labels`` (N,) from 1, ``masks`` (N, H, W)
        """
        height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
        height, width = (-(-length // SIZE_MULTIPLE) * SIZE_MULTIPLE for length in (height, width))
        batch = torch.stack([_pad(self._normalise(image), height, width) for image in images])
        features = self.backbone(batch)
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        proposals, rpn_losses = self.rpn(ImageList(batch, sizes), features, targets)
        losses = {
            "objectness": rpn_losses["loss_objectness"],
            "proposal": rpn_losses["loss_rpn_box_reg"],
        }
        return losses | self.roi_heads.losses(features, proposals, (height, width), targets)

    def detect(self, image: Tensor) -> tuple[Detections, Proposals]:
        """Find objects in one image, (3, H, W) in [0, 1]. Boxes are in its pixels."""
        height, width = image.shape[-2], image.shape[-1]
        below, right = (-height) % SIZE_MULTIPLE, (-width) % SIZE_MULTIPLE
        padded = F.pad(self._normalise(image)[None], (0, right, 0, below))
        features = self.backbone(padded)
        size = height, width
        proposals = self.rpn.forward_traced(padded, size, features)
        padded_size = padded.shape[-2], padded.shape[-1]
        detections = self.roi_heads.detect(features, proposals.proposals, size, padded_size)
        return detections, proposals

    def _normalise(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def _pad(image: Tensor, height: int, width: int) -> Tensor:
    """Pad an image with zeros at the bottom and on the right."""
    return F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1]))


def fuse_batchnorm(network: nn.Module) -> None:
    """Fuse each batch normalisation into the convolution before it, in place.

    All layers must be in evaluation mode. The activation of timm's `BatchNormAct2d` is kept.

    Examples
    --------
    >>> layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    >>> fuse_batchnorm(layers)
    >>> layers
    Sequential(
      (0): Conv2d(1, 2, kernel_size=(1, 1), stride=(1, 1))
      (1): Identity()
    )
    """
    for module in network.modules():
        layers = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(layers):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, getattr(norm, "act", nn.Identity()))
