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

from burnish.detection.training.edge_loss import edge_agreement
from burnish.detection.training.mask_iou import MaskScore, mask_overlap

Size = tuple[int, int]
Features = dict[str, Tensor]
Target = dict[str, Tensor]


class Found(NamedTuple):
    """What was found in one picture, the most certain first.

    ``boxes`` (N, 4) px, ``labels`` (N,) from 1, ``scores`` (N,), ``masks`` (N, 28, 28) in [0, 1],
    and ``chosen`` (N,), which proposal each was refined from.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor
    chosen: Tensor


class Heads(RoIHeads):
    """torchvision's heads, under the same names, and what this project adds to them.

    ``mask_score``, where there is one, predicts the masks' quality, which multiplies the scores.
    ``edges`` is the weight of the edge agreement loss.
    """

    mask_score: MaskScore | None
    edges: float

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.add(None)

    def add(self, mask_score: MaskScore | None, edges: float = 0.0) -> None:
        """Set what torchvision's heads do not have."""
        self.mask_score, self.edges = mask_score, edges

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
        of_class, of_box = fastrcnn_loss(classes, boxes, labels, deltas)
        losses = {"class": of_class, "box": of_box}
        hits = [torch.where(label > 0)[0] for label in labels]
        return losses | self._mask_losses(
            features,
            [boxes[hit] for boxes, hit in zip(proposals, hits, strict=True)],
            [match[hit] for match, hit in zip(matches, hits, strict=True)],
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
        own = logits[torch.arange(len(labels)), labels]
        if not len(own):
            # Still a function of the weights, so that there is a gradient, of zero.
            return {"mask": logits.sum() * 0}
        side = logits.shape[-1]
        true = torch.cat(
            [
                project_masks_on_boxes(target["masks"], box, match, side)
                for target, box, match in zip(targets, boxes, matches, strict=True)
            ]
        )
        losses = {"mask": F.binary_cross_entropy_with_logits(own, true)}
        probable = own.sigmoid()
        if self.edges:
            losses["edges"] = self.edges * edge_agreement(probable, true)
        if self.mask_score is not None:
            areas = torch.cat(
                [t["masks"].sum((1, 2))[m] for t, m in zip(targets, matches, strict=True)]
            )
            quality = mask_overlap(probable.detach(), true, torch.cat(boxes), areas.to(true))
            said = self.mask_score(pooled.detach(), probable.detach())
            losses["quality"] = F.mse_loss(said[torch.arange(len(labels)), labels], quality)
        return losses

    def find(self, features: Features, proposals: Tensor, size: Size, padded: Size) -> Found:
        """Find objects in one picture.

        Parameters
        ----------
        proposals : (P, 4), px
        size, padded : height and width of the picture, without and with its padding, px
        """
        hidden = self.box_head(self.box_roi_pool(features, [proposals], [padded]))
        logits, deltas = self.box_predictor(hidden)
        boxes, labels, scores, chosen = self._settle(logits, deltas, proposals, size)
        pooled = self.mask_roi_pool(features, [boxes], [padded])
        shapes = self.mask_predictor(self.mask_head(pooled))
        index = torch.arange(labels.shape[0], device=labels.device)
        masks = shapes[index, labels].sigmoid()
        if self.mask_score is not None:
            scores = scores * self.mask_score(pooled, masks)[index, labels]
            scores, order = scores.sort(descending=True)
            boxes, labels, masks, chosen = (x[order] for x in (boxes, labels, masks, chosen))
        return Found(boxes, labels, scores, masks, chosen)

    def _settle(
        self, logits: Tensor, deltas: Tensor, proposals: Tensor, size: Size
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode, drop what is unlikely or empty, and suppress what overlaps a better one."""
        count = logits.shape[-1]
        boxes = clip_boxes_to_image(self.box_coder.decode(deltas, [proposals]), size)
        boxes = boxes[:, 1:].reshape(-1, 4)
        scores = F.softmax(logits, -1)[:, 1:].reshape(-1)
        labels = torch.arange(1, count, device=logits.device).repeat(logits.shape[0])
        chosen = torch.arange(logits.shape[0], device=logits.device)
        chosen = chosen[:, None].expand(-1, count - 1).reshape(-1)
        likely = torch.where(scores > self.score_thresh)[0]
        boxes, labels, scores, chosen = _taken(likely, boxes, labels, scores, chosen)
        real = remove_small_boxes(boxes, 1e-2)
        boxes, labels, scores, chosen = _taken(real, boxes, labels, scores, chosen)
        best = suppress(boxes, scores, labels, self.nms_thresh, size)[: self.detections_per_img]
        kept: tuple[Tensor, Tensor, Tensor, Tensor] = _taken(best, boxes, labels, scores, chosen)
        return kept


def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float, size: Size) -> Tensor:
    """Return which boxes to keep, the best first, each group by itself.

    As torchvision's `batched_nms`, but with no choice in it that an exported graph would have to
    hold: groups are moved apart by more than the picture's size, within which all boxes lie.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [0, 0, 4, 3]])
    >>> suppress(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1]), 0.5, (4, 4))
    tensor([0, 2])
    """
    apart = groups.to(boxes) * (size[0] + size[1] + 1)
    kept: Tensor = nms(boxes + apart[:, None], scores, overlap)
    return kept


def _taken(index: Tensor, *values: Tensor) -> Any:
    parts: Sequence[Tensor] = [value[index] for value in values]
    return tuple(parts)
