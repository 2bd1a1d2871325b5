"""Mask scoring: a small head that tells how well a mask fits, so that its score can say so."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskIoUHead(nn.Module):
    """Predicts each mask's intersection over union with the truth.

    Shape: features (N, C, 14, 14), masks (N, 28, 28) in [0, 1] -> (N, classes)

    Notes
    -----
    Huang, Huang, Gong, Huang, Wang: Mask Scoring R-CNN, CVPR 2019, doi:10.1109/CVPR.2019.00657.
    Theirs has four convolutions and three wide layers; here are two convolutions and a mean over
    the places, for a light detector.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels + 1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        """Predict; masks are brought to the features' size by their maximum, as in the paper."""
        resized_masks = F.max_pool2d(masks[:, None], 2)
        hidden = F.relu(self.conv1(torch.cat([features, resized_masks], 1)))
        hidden = F.relu(self.conv2(hidden)).mean((2, 3))
        result: Tensor = torch.sigmoid(self.fc(hidden))
        return result


def mask_iou(predicted: Tensor, true: Tensor, boxes: Tensor, areas: Tensor) -> Tensor:
    """Return the intersection over union of masks in their boxes with whole true objects.

    Parts of an object outside the box count as missed.

    Shape: predicted, true (N, 28, 28) in [0, 1]; boxes (N, 4) px; areas (N,) px² of the whole
    objects -> (N,)

    Examples
    --------
    >>> mask, box = torch.ones(1, 28, 28), torch.tensor([[0.0, 0, 10, 10]])
    >>> mask_iou(mask, mask, box, torch.tensor([200.0])).item()
    0.5
    """
    predicted_mask, true_mask = (predicted >= 0.5).float(), (true >= 0.5).float()
    width, height = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).unbind(1)
    cell_area = width * height / (predicted.shape[1] * predicted.shape[2])
    intersection = (predicted_mask * true_mask).sum((1, 2)) * cell_area
    true_area = torch.maximum(areas, true_mask.sum((1, 2)) * cell_area)
    return intersection / (predicted_mask.sum((1, 2)) * cell_area + true_area - intersection).clamp(
        min=1e-6
    )
