"""Train and export a detector: Mask R-CNN, built from torchvision's modules."""
