"""Learning a detector: Mask R-CNN on torchvision's parts, its training and its export."""
