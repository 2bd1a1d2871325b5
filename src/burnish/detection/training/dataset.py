"""Annotated photos as augmented training batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.detection.coco import AnnotatedImage, CocoDataset
from burnish.detection.detect import fitted_size, resize
from burnish.detection.instances import mask_box
from burnish.detection.training.config import DetectorTrainConfig
from burnish.detection.training.cut_outs import CutOut, Scene, paste_some
from burnish.detection.training.network import Target
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.types import BoolMask, Pixels

Coords = NDArray[np.int64]

# Objects with a smaller width or height, px, are left out.
_MIN_OBJECT_SIDE = 3
# The colour of pixels outside the photo: medium grey.
_FILL_VALUE = 0.5
# An object of which less than this fraction remains after cropping is left out.
_MIN_VISIBLE = 0.15


@dataclass(frozen=True, eq=False)
class _CachedImage:
    """A resized photo, as 8 bits, with its objects: labels and masks."""

    pixels: NDArray[np.uint8]
    labels: tuple[str, ...]
    masks: tuple[BoolMask, ...]


class DetectionDataset:
    """Training images, kept in memory.

    Parameters
    ----------
    backgrounds : photos without any object of the classes
    cut_outs : objects to paste into the photos

    Raises
    ------
    UsageError : no photo has an object of the classes, and there are no cut-outs
    """

    def __init__(
        self,
        config: DetectorTrainConfig,
        datasets: Sequence[CocoDataset],
        backgrounds: Sequence[Path] = (),
        cut_outs: Sequence[CutOut] = (),
    ) -> None:
        self.config = config
        self.cut_outs = cut_outs
        self.images = [
            self._load_annotated(image) for dataset in datasets for image in dataset.images
        ]
        self.images += [_CachedImage(self._load_resized(path), (), ()) for path in backgrounds]
        if not cut_outs and not any(image.labels for image in self.images):
            raise UsageError(
                ", ".join(str(dataset.source) for dataset in datasets),
                f"there are no objects of the classes {', '.join(config.classes)}",
                "choose other names for --class, or give --other-class",
            )

    def batch(self, step: int) -> tuple[list[Tensor], list[Target]]:
        """Return the images, (3, H, W) in [0, 1], and targets of a step.

        They are determined by the seed and the step.
        """
        random = np.random.default_rng((self.config.seed, step))
        samples = [self._sample(random, step, index) for index in range(self.config.batch_size)]
        return [image for image, _ in samples], [target for _, target in samples]

    def _sample(
        self, random: np.random.Generator, step: int, position: int
    ) -> tuple[Tensor, Target]:
        # Each epoch has a random order of all photos.
        epoch, index = divmod(step * self.config.batch_size + position, len(self.images))
        order = np.random.default_rng((self.config.seed, 7, epoch)).permutation(len(self.images))
        image = self.images[order[index]]
        scene = Scene(image.pixels.astype(np.float32) / 255, image.labels, image.masks)
        if self.config.augment:
            scene = _random_crop(scene, self.config.image_size, random)
        if self.cut_outs and random.random() < self.config.copy_paste_prob:
            scene = paste_some(scene, self.cut_outs, random)
        if self.config.augment:
            scene = replace(scene, pixels=_colour_jitter(scene.pixels, random))
        return self._to_tensors(scene)

    def _to_tensors(self, scene: Scene) -> tuple[Tensor, Target]:
        boxes, labels, masks = [], [], []
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            left, top, right, bottom = mask_box(mask)
            if min(right - left, bottom - top) < _MIN_OBJECT_SIDE:
                continue
            boxes.append([left, top, right, bottom])
            labels.append(self.config.classes.index(label) + 1)
            masks.append(mask)
        height, width = scene.pixels.shape[:2]
        stacked = np.stack(masks) if masks else np.zeros((0, height, width), bool)
        image = torch.from_numpy(np.ascontiguousarray(scene.pixels.transpose(2, 0, 1)))
        return image, {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "masks": torch.from_numpy(stacked.astype(np.uint8)),
        }

    def _load_annotated(self, image: AnnotatedImage) -> _CachedImage:
        pixels = self._load_resized(image.path)
        height, width = pixels.shape[:2]
        labels, masks = [], []
        for annotation in image.annotations:
            is_named = annotation.label in self.config.classes
            label = annotation.label if is_named else self.config.other_class
            if annotation.is_crowd or label is None:
                continue
            labels.append(label)
            rows, columns = np.arange(height), np.arange(width)
            masks.append(_resize_nearest(annotation.mask(), (width, height), rows, columns))
        return _CachedImage(pixels, tuple(labels), tuple(masks))

    def _load_resized(self, path: Path) -> NDArray[np.uint8]:
        pixels = Photo.open(path).pixels
        size = fitted_size(pixels.shape[1::-1], self.config.image_size, self.config.max_size)
        return (resize(pixels, size) * 255).round().astype(np.uint8)


def _random_crop(scene: Scene, side: int, random: np.random.Generator) -> Scene:
    """Scale a scene by 0.6 to 1.6, crop a square, and mirror it half of the time.

    Pixels of the square outside the photo become grey.
    """
    height, width = scene.pixels.shape[:2]
    scale = 2 ** random.uniform(-0.75, 0.7)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    left = int(random.integers(min(0, size[0] - side), max(0, size[0] - side) + 1))
    top = int(random.integers(min(0, size[1] - side), max(0, size[1] - side) + 1))
    flip = random.random() < 0.5
    # Row and column in the scaled photo of each pixel of the square.
    rows, columns = np.arange(side) + top, np.arange(side) + left
    columns = columns[::-1] if flip else columns
    nearest_rows, nearest_columns = rows.clip(0, size[1] - 1), columns.clip(0, size[0] - 1)
    is_outside = (nearest_rows != rows)[:, None] | (nearest_columns != columns)
    pixels = resize(scene.pixels, size)[nearest_rows][:, nearest_columns]
    pixels[is_outside] = _FILL_VALUE
    labels, masks = [], []
    for label, mask in zip(scene.labels, scene.masks, strict=True):
        cropped = _resize_nearest(mask, size, rows, columns) & ~is_outside
        if cropped.sum() > _MIN_VISIBLE * mask.sum() * scale**2:
            labels.append(label)
            masks.append(cropped)
    return Scene(pixels, tuple(labels), tuple(masks))


def _resize_nearest(
    mask: BoolMask, size: tuple[int, int], rows: Coords, columns: Coords
) -> BoolMask:
    """Resize a mask to a width and height, and return some of its rows and columns."""
    height, width = mask.shape
    source_rows = ((rows + 0.5) * height / size[1]).astype(int).clip(0, height - 1)
    source_columns = ((columns + 0.5) * width / size[0]).astype(int).clip(0, width - 1)
    resized: BoolMask = mask[source_rows][:, source_columns]
    return resized


def _colour_jitter(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Change brightness, contrast, saturation and tint a little, and add noise."""
    grey = pixels.mean(2, keepdims=True)
    jittered = grey + (pixels - grey) * np.float32(random.uniform(0.6, 1.3))
    contrast, tint = random.uniform(0.8, 1.2), random.uniform(0.93, 1.07, 3)
    shift = random.uniform(-0.1, 0.1) + 0.5 - 0.5 * contrast
    jittered = jittered * (contrast * tint).astype(np.float32) + (shift * tint).astype(np.float32)
    noise = random.standard_normal(pixels.shape, dtype=np.float32)
    jittered += noise * np.float32(random.uniform(0, 0.03))
    clipped: Pixels = jittered.clip(0, 1)
    return clipped
