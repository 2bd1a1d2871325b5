"""Find objects: detectors, detector files, COCO annotations and tracking."""
