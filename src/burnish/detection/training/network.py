"""Mask R-CNN as one module, built from torchvision's modules.

He, Gkioxari, Dollár, Girshick: Mask R-CNN, ICCV 2017, doi:10.1109/ICCV.2017.322.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image, nms, remove_small_boxes

from burnish.detection.instances import MASK_THRESHOLD

# Height and width, px.
Size = tuple[int, int]
# Feature maps by level.
Features = dict[str, Tensor]
# The objects in an image: boxes (N, 4) in px, labels (N,) from 1, and masks (N, H, W).
Target = dict[str, Tensor]

# Images are padded to a multiple of this, the largest stride of a backbone, px.
SIZE_MULTIPLE = 32

_SOBEL = torch.tensor(
    [[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]], [[[1, 2, 1], [0, 0, 0], [-1, -2, -1]]]]
)


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
        """Propose regions of one image, padded to (1, 3, H, W); `size` excludes the padding."""
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


class Detections(NamedTuple):
    """The objects in an image, sorted by descending score.

    ``boxes`` (N, 4) in px, ``labels`` (N,) from 1, ``scores`` (N,), ``masks`` (N, 28, 28) in
    [0, 1], and ``proposal_indices`` (N,), the proposal from which each was refined.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor
    proposal_indices: Tensor


class MaskIoUHead(nn.Module):
    """Predicts the intersection over union of each mask with the true object.

    Shape: features (N, C, 14, 14), masks (N, 28, 28) in [0, 1] -> (N, classes)

    Notes
    -----
    Huang, Huang, Gong, Huang, Wang: Mask Scoring R-CNN, CVPR 2019, doi:10.1109/CVPR.2019.00657.
    This head is lighter than the paper's: two convolutions, global average pooling and one fully
    connected layer.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels + 1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        """Predict IoUs. Masks are max-pooled to the size of the features, as in the paper."""
        pooled_masks = F.max_pool2d(masks[:, None], 2)
        hidden = F.relu(self.conv1(torch.cat([features, pooled_masks], 1)))
        hidden = F.relu(self.conv2(hidden)).mean((2, 3))
        ious: Tensor = torch.sigmoid(self.fc(hidden))
        return ious


class DetectionHeads(RoIHeads):
    """torchvision's RoI heads, with the same parameter names. Two attributes must be set.

    Attributes
    ----------
    mask_iou_head : predicts the IoU of masks, by which scores are multiplied; or None
    edge_loss_weight : weight of the edge agreement loss; 0 disables it
    """

    mask_iou_head: MaskIoUHead | None
    edge_loss_weight: float

    def losses(
        self, features: Features, proposals: list[Tensor], size: Size, targets: list[Target]
    ) -> dict[str, Tensor]:
        """Return the losses of a batch of padded images of one size, by name.

        Parameters
        ----------
        proposals : (P, 4) for each image, px
        """
        sizes = [size] * len(targets)
        proposals, matches, labels, deltas = self.select_training_samples(proposals, targets)
        hidden = self.box_head(self.box_roi_pool(features, proposals, sizes))
        class_logits, predicted_deltas = self.box_predictor(hidden)
        class_loss, box_loss = fastrcnn_loss(class_logits, predicted_deltas, labels, deltas)
        positives = [torch.where(label > 0)[0] for label in labels]
        mask_losses = self._mask_losses(
            features,
            [boxes[positive] for boxes, positive in zip(proposals, positives, strict=True)],
            [match[positive] for match, positive in zip(matches, positives, strict=True)],
            sizes,
            targets,
        )
        return {"class": class_loss, "box": box_loss} | mask_losses

    def _mask_losses(
        self,
        features: Features,
        boxes: list[Tensor],
        matches: list[Tensor],
        sizes: list[Size],
        targets: list[Target],
    ) -> dict[str, Tensor]:
        pooled = self.mask_roi_pool(features, boxes, sizes)
        logits = self.mask_predictor(self.mask_head(pooled))
        labels = torch.cat([t["labels"][m] for t, m in zip(targets, matches, strict=True)])
        indices = torch.arange(len(labels))
        class_logits = logits[indices, labels]
        if not len(class_logits):
            # Zero, but connected to the weights, so that every parameter has a gradient.
            return {"mask": logits.sum() * 0}
        side = logits.shape[-1]
        true = torch.cat(
            [
                project_masks_on_boxes(target["masks"], box, match, side)
                for target, box, match in zip(targets, boxes, matches, strict=True)
            ]
        )
        losses = {"mask": F.binary_cross_entropy_with_logits(class_logits, true)}
        probabilities = class_logits.sigmoid()
        if self.edge_loss_weight:
            losses["edges"] = self.edge_loss_weight * edge_loss(probabilities, true)
        if self.mask_iou_head is not None:
            areas = torch.cat(
                [t["masks"].sum((1, 2))[m] for t, m in zip(targets, matches, strict=True)]
            )
            true_iou = mask_iou(probabilities.detach(), true, torch.cat(boxes), areas.to(true))
            predicted_iou = self.mask_iou_head(pooled.detach(), probabilities.detach())
            losses["mask_iou"] = F.mse_loss(predicted_iou[indices, labels], true_iou)
        return losses

    def detect(
        self, features: Features, proposals: Tensor, size: Size, padded_size: Size
    ) -> Detections:
        """Find objects in one image among proposals, (P, 4) in px.

        Parameters
        ----------
        size, padded_size : height and width of the image without and with its padding, px
        """
        hidden = self.box_head(self.box_roi_pool(features, [proposals], [padded_size]))
        logits, deltas = self.box_predictor(hidden)
        boxes, labels, scores, proposal_indices = self._filter(logits, deltas, proposals, size)
        pooled = self.mask_roi_pool(features, [boxes], [padded_size])
        mask_logits = self.mask_predictor(self.mask_head(pooled))
        indices = torch.arange(labels.shape[0], device=labels.device)
        masks = mask_logits[indices, labels].sigmoid()
        if self.mask_iou_head is not None:
            scores = scores * self.mask_iou_head(pooled, masks)[indices, labels]
            scores, order = scores.sort(descending=True)
            boxes, labels, masks = boxes[order], labels[order], masks[order]
            proposal_indices = proposal_indices[order]
        return Detections(boxes, labels, scores, masks, proposal_indices)

    def _filter(
        self, logits: Tensor, deltas: Tensor, proposals: Tensor, size: Size
    ) -> tuple[Tensor, ...]:
        """Return the boxes, labels, scores and proposal indices of the best detections."""
        count = logits.shape[-1]
        boxes = clip_boxes_to_image(self.box_coder.decode(deltas, [proposals]), size)
        boxes = boxes[:, 1:].reshape(-1, 4)
        scores = F.softmax(logits, -1)[:, 1:].reshape(-1)
        labels = torch.arange(1, count, device=logits.device).repeat(logits.shape[0])
        proposal_indices = torch.arange(logits.shape[0], device=logits.device)
        proposal_indices = proposal_indices[:, None].expand(-1, count - 1).reshape(-1)
        detections: tuple[Tensor, ...] = (boxes, labels, scores, proposal_indices)
        detections = _select(detections, torch.where(scores > self.score_thresh)[0])
        detections = _select(detections, remove_small_boxes(detections[0], 1e-2))
        boxes, labels, scores, _ = detections
        best = batched_nms(boxes, scores, labels, self.nms_thresh, size)
        return _select(detections, best[: self.detections_per_img])


def _select(values: tuple[Tensor, ...], indices: Tensor) -> tuple[Tensor, ...]:
    return tuple(value[indices] for value in values)


def batched_nms(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, size: Size
) -> Tensor:
    """Return the indices of the boxes that remain after non-maximum suppression in each group.

    They are sorted by descending score. Unlike torchvision's function of this name, this one can be
    exported: it always moves the groups apart by more than the image, within which all boxes lie.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [0, 0, 4, 3]])
    >>> batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1]), 0.5, (4, 4))
    tensor([0, 2])
    """
    offsets = groups.to(boxes) * (size[0] + size[1] + 1)
    indices: Tensor = nms(boxes + offsets[:, None], scores, iou_threshold)
    return indices


def mask_iou(predicted: Tensor, true: Tensor, boxes: Tensor, areas: Tensor) -> Tensor:
    """Return the intersection over union of masks, each within a box, with whole objects.

    Parts of an object outside the box count as missed.

    Shape: predicted, true (N, 28, 28) in [0, 1]; boxes (N, 4) in px; areas (N,) of the whole
    objects in px² -> (N,)

    Examples
    --------
    >>> mask, box = torch.ones(1, 28, 28), torch.tensor([[0.0, 0, 10, 10]])
    >>> mask_iou(mask, mask, box, torch.tensor([200.0])).item()
    0.5
    """
    predicted_mask, true_mask = ((mask >= MASK_THRESHOLD).float() for mask in (predicted, true))
    width, height = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).unbind(1)
    cell_area = width * height / (predicted.shape[1] * predicted.shape[2])
    intersection = (predicted_mask * true_mask).sum((1, 2)) * cell_area
    true_area = torch.maximum(areas, true_mask.sum((1, 2)) * cell_area)
    union = predicted_mask.sum((1, 2)) * cell_area + true_area - intersection
    return intersection / union.clamp(min=1e-6)


def edge_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Return the mean squared difference of the Sobel derivatives of two sets of masks.

    The border of the masks is left out.

    Shape: (N, h, w) and (N, h, w), both in [0, 1] -> ()

    Notes
    -----
    The default of Zimmermann, Siems: Faster Training of Mask R-CNN by Focusing on Instance
    Boundaries, 2018, arXiv:1809.07069.

    Examples
    --------
    >>> step = torch.zeros(1, 5, 5)
    >>> step[:, :, 3:] = 1
    >>> edge_loss(step, step).item(), edge_loss(step, torch.zeros(1, 5, 5)).item()
    (0.0, 5.333333492279053)
    """
    filters = _SOBEL.to(predicted)
    predicted_edges, true_edges = (F.conv2d(mask[:, None], filters) for mask in (predicted, true))
    return F.mse_loss(predicted_edges, true_edges)


class MaskRCNNModule(nn.Module):
    """Mask R-CNN: a backbone with a feature pyramid, region proposals, and heads.

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
        """Return the losses of a batch of images, (3, H, W) in [0, 1] and of any size, by name."""
        height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
        height, width = (-(-length // SIZE_MULTIPLE) * SIZE_MULTIPLE for length in (height, width))
        padded = [
            F.pad(self._normalise(image), (0, width - image.shape[2], 0, height - image.shape[1]))
            for image in images
        ]
        batch = torch.stack(padded)
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
