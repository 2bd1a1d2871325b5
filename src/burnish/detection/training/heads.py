"""The second stage of Mask R-CNN: proposals to classes, boxes and masks; on torchvision's parts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.roi_heads import (
    RoIHeads,
    fastrcnn_loss,
    project_masks_on_boxes,
)
from torchvision.ops import clip_boxes_to_image, nms, remove_small_boxes

from burnish.detection.training.edge_loss import edge_loss
from burnish.detection.training.mask_iou import MaskIoUHead, mask_iou

Size = tuple[int, int]
Features = dict[str, Tensor]
Target = dict[str, Tensor]


class Detections(NamedTuple):
    """What was found in one picture, the most certain first.

    ``boxes`` (N, 4) px, ``labels`` (N,) from 1, ``scores`` (N,), ``masks`` (N, 28, 28) in [0, 1],
    and ``proposal_indices`` (N,), which proposal each was refined from.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor
    proposal_indices: Tensor


class DetectionHeads(RoIHeads):
    """torchvision's heads, under the same names, and what this project adds to them.

    ``mask_iou_head``, where there is one, predicts the masks' quality, which multiplies the scores.
    ``edge_loss_weight`` is the weight of the edge agreement loss.
    """

    mask_iou_head: MaskIoUHead | None
    edge_loss_weight: float

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.configure(None)

    def configure(self, mask_iou_head: MaskIoUHead | None, edge_loss_weight: float = 0.0) -> None:
        """Set what torchvision's heads do not have."""
        self.mask_iou_head, self.edge_loss_weight = mask_iou_head, edge_loss_weight

    def losses(
        self, features: Features, proposals: list[Tensor], size: Size, targets: list[Target]
    ) -> dict[str, Tensor]:
        """Return the losses of a batch, by name.

        Parameters
        ----------
        size : height and width of the padded pictures, px
        targets : ``boxes`` (N, 4) px, ``labels`` (N,) from 1, ``masks`` (N, H, W)
        """
        sizes = [size] * len(targets)
        proposals, matches, labels, deltas = self.select_training_samples(proposals, targets)
        hidden = self.box_head(self.box_roi_pool(features, proposals, sizes))
        classes, boxes = self.box_predictor(hidden)
        class_loss, box_loss = fastrcnn_loss(classes, boxes, labels, deltas)
        losses = {"class": class_loss, "box": box_loss}
        positives = [torch.where(label > 0)[0] for label in labels]
        return losses | self._mask_losses(
            features,
            [boxes[hit] for boxes, hit in zip(proposals, positives, strict=True)],
            [match[hit] for match, hit in zip(matches, positives, strict=True)],
            sizes,
            targets,
        )

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
        class_logits = logits[torch.arange(len(labels)), labels]
        if not len(class_logits):
            # Still a function of the weights, so that there is a gradient, of zero.
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
            losses["quality"] = F.mse_loss(
                predicted_iou[torch.arange(len(labels)), labels], true_iou
            )
        return losses

    def detect(
        self, features: Features, proposals: Tensor, size: Size, padded_size: Size
    ) -> Detections:
        """Find objects in one picture.

        Parameters
        ----------
        proposals : (P, 4), px
        size, padded_size : height and width of the picture, without and with its padding, px
        """
        hidden = self.box_head(self.box_roi_pool(features, [proposals], [padded_size]))
        logits, deltas = self.box_predictor(hidden)
        boxes, labels, scores, proposal_indices = self._filter_detections(
            logits, deltas, proposals, size
        )
        pooled = self.mask_roi_pool(features, [boxes], [padded_size])
        mask_logits = self.mask_predictor(self.mask_head(pooled))
        index = torch.arange(labels.shape[0], device=labels.device)
        masks = mask_logits[index, labels].sigmoid()
        if self.mask_iou_head is not None:
            scores = scores * self.mask_iou_head(pooled, masks)[index, labels]
            scores, order = scores.sort(descending=True)
            boxes, labels, masks, proposal_indices = (
                x[order] for x in (boxes, labels, masks, proposal_indices)
            )
        return Detections(boxes, labels, scores, masks, proposal_indices)

    def _filter_detections(
        self, logits: Tensor, deltas: Tensor, proposals: Tensor, size: Size
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode, drop what is unlikely or empty, and suppress what overlaps a better one."""
        count = logits.shape[-1]
        boxes = clip_boxes_to_image(self.box_coder.decode(deltas, [proposals]), size)
        boxes = boxes[:, 1:].reshape(-1, 4)
        scores = F.softmax(logits, -1)[:, 1:].reshape(-1)
        labels = torch.arange(1, count, device=logits.device).repeat(logits.shape[0])
        proposal_indices = torch.arange(logits.shape[0], device=logits.device)
        proposal_indices = proposal_indices[:, None].expand(-1, count - 1).reshape(-1)
        above_threshold = torch.where(scores > self.score_thresh)[0]
        boxes, labels, scores, proposal_indices = _select_all(
            above_threshold, boxes, labels, scores, proposal_indices
        )
        not_empty = remove_small_boxes(boxes, 1e-2)
        boxes, labels, scores, proposal_indices = _select_all(
            not_empty, boxes, labels, scores, proposal_indices
        )
        best = batched_nms(boxes, scores, labels, self.nms_thresh, size)[: self.detections_per_img]
        filtered: tuple[Tensor, Tensor, Tensor, Tensor] = _select_all(
            best, boxes, labels, scores, proposal_indices
        )
        return filtered


def batched_nms(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, size: Size
) -> Tensor:
    """Return which boxes to keep, the best first, each group by itself.

    As torchvision's `batched_nms`, but with no choice in it that an exported graph would have to
    hold: groups are moved apart by more than the picture's size, within which all boxes lie.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [0, 0, 4, 3]])
    >>> batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1]), 0.5, (4, 4))
    tensor([0, 2])
    """
    offsets = groups.to(boxes) * (size[0] + size[1] + 1)
    indices: Tensor = nms(boxes + offsets[:, None], scores, iou_threshold)
    return indices


def _select_all(index: Tensor, *values: Tensor) -> Any:
    parts: Sequence[Tensor] = [value[index] for value in values]
    return tuple(parts)
