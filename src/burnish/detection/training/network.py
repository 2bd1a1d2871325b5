"""Mask R-CNN as one module: pictures in, losses or what was found out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image, remove_small_boxes

from burnish.detection.training.heads import DetectionHeads, Detections, Size, Target, batched_nms

# All strides of the feature maps divide it.
SIZE_MULTIPLE = 32


class Proposals(NamedTuple):
    """What the first stage makes of a picture: all anchors, and the best of them, refined.

    ``anchors`` (A, 4) px, ``proposals`` (P, 4) px, ``objectness`` (P,) in [0, 1].
    """

    anchors: Tensor
    proposals: Tensor
    objectness: Tensor


class TracingRPN(RegionProposalNetwork):
    """torchvision's region proposal network, which also tells how it came to its proposals."""

    def forward_traced(self, padded: Tensor, size: Size, features: dict[str, Tensor]) -> Proposals:
        """Propose regions of one picture, (1, 3, H, W), whose height and width is `size`."""
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
    """Mask R-CNN: a pyramid of features, proposals, and heads.

    He, Gkioxari, Dollár, Girshick: Mask R-CNN, ICCV 2017, doi:10.1109/ICCV.2017.322.
    Its parts are called as torchvision calls them, so that weights of its detectors fit.

    Parameters
    ----------
    mean, std : of the colours that the backbone has learnt on, for values from 0 to 1
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
        images : (3, H, W) each, in [0, 1]; of any sizes
        targets : ``boxes`` (N, 4) px, ``labels`` (N,) from 1, ``masks`` (N, H, W)
        """
        height, width = (max(image.shape[side] for image in images) for side in (1, 2))
        height, width = (-(-length // SIZE_MULTIPLE) * SIZE_MULTIPLE for length in (height, width))
        batch = torch.stack([_pad(self._normalise(i), height, width) for i in images])
        features = self.backbone(batch)
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        proposals, rpn_losses = self.rpn(ImageList(batch, sizes), features, targets)
        losses = {
            "objectness": rpn_losses["loss_objectness"],
            "proposal": rpn_losses["loss_rpn_box_reg"],
        }
        return losses | self.roi_heads.losses(features, proposals, (height, width), targets)

    def detect(self, image: Tensor) -> tuple[Detections, Proposals]:
        """Find objects in one picture, (3, H, W) in [0, 1]; boxes in its pixels."""
        height, width = image.shape[-2], image.shape[-1]
        below, right = (-height) % SIZE_MULTIPLE, (-width) % SIZE_MULTIPLE
        padded = F.pad(self._normalise(image)[None], (0, right, 0, below))
        features = self.backbone(padded)
        proposals = self.rpn.forward_traced(padded, (height, width), features)
        padded_size = padded.shape[-2], padded.shape[-1]
        detections = self.roi_heads.detect(
            features, proposals.proposals, (height, width), padded_size
        )
        return detections, proposals

    def _normalise(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def _pad(image: Tensor, height: int, width: int) -> Tensor:
    return F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1]))
