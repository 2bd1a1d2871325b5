"""Examples: pictures with outlined objects, changed at random, as a network learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.detection.coco import AnnotatedImage, CocoDataset
from burnish.detection.resize import fitted_size, resize
from burnish.detection.training.config import DetectorTrainConfig
from burnish.detection.training.cut_outs import CutOut, Scene, copy_paste
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.types import BoolMask, Pixels

Places = NDArray[np.int64]
# Smaller than this, px, an object is not told from its neighbours.
_MIN_OBJECT_SIDE = 3
# What lies outside the photo: grey, in the middle of all colours.
_FILL_VALUE = 0.5


@dataclass(frozen=True, eq=False)
class _CachedImage:
    """A photo at hand, as 8 bits, and its objects: labels from 1 and masks."""

    pixels: NDArray[np.uint8]
    labels: tuple[str, ...]
    masks: tuple[NDArray[np.bool_], ...]


class DetectionDataset:
    """Photos to learn from, all in memory at the size that they are learnt at.

    Parameters
    ----------
    datasets : photos with outlined objects
    backgrounds : photos in which there is nothing to find
    cut_outs : objects to paste into them

    Raises
    ------
    UsageError : no photo has any object of the classes, and there are no cut-outs
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
            self._load_annotated(picture) for each in datasets for picture in each.images
        ]
        self.images += [_CachedImage(self._load_resized(path), (), ()) for path in backgrounds]
        if not cut_outs and not any(kept.labels for kept in self.images):
            raise UsageError(
                str(datasets[0].source) if datasets else "no COCO file",
                expected=f"objects of the classes {', '.join(config.classes)}",
                got="none",
                remedy="choose other --class names, or give --rest",
            )

    def batch(self, step: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """Return the pictures and truths of a step; they follow from seed and step alone."""
        random = np.random.default_rng((self.config.seed, step))
        pairs = [self._sample(random, step, place) for place in range(self.config.batch_size)]
        return [image for image, _ in pairs], [target for _, target in pairs]

    def _sample(
        self, random: np.random.Generator, step: int, position: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        # Every photo once before any comes again.
        index = step * self.config.batch_size + position
        order = np.random.default_rng((self.config.seed, 7, index // len(self.images)))
        image = self.images[order.permutation(len(self.images))[index % len(self.images)]]
        scene = Scene(image.pixels.astype(np.float32) / 255, image.labels, image.masks)
        if self.config.augment:
            scene = _random_crop(scene, self.config.image_size, random)
        if self.cut_outs and random.random() < self.config.copy_paste_prob:
            for _ in range(random.integers(1, self.config.max_pasted + 1)):
                scene = copy_paste(
                    scene, self.cut_outs[int(random.integers(len(self.cut_outs)))], random
                )
        if self.config.augment:
            scene = Scene(_colour_jitter(scene.pixels, random), scene.labels, scene.masks)
        return self._to_tensors(scene)

    def _to_tensors(self, scene: Scene) -> tuple[Tensor, dict[str, Tensor]]:
        boxes, labels, masks = [], [], []
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            if min(len(rows), len(columns)) < _MIN_OBJECT_SIDE:
                continue
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
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

    def _load_annotated(self, annotated_image: AnnotatedImage) -> _CachedImage:
        pixels = self._load_resized(annotated_image.path)
        height, width = pixels.shape[:2]
        labels, masks = [], []
        for found in annotated_image.annotations:
            label = found.label if found.label in self.config.classes else self.config.other_class
            if found.is_crowd or label is None:
                continue
            labels.append(label)
            size = width, height
            masks.append(_resize_nearest(found.mask(), size, np.arange(height), np.arange(width)))
        return _CachedImage(pixels, tuple(labels), tuple(masks))

    def _load_resized(self, path: Path) -> NDArray[np.uint8]:
        pixels = Photo.open(path).pixels
        # As a detector sees it: the canvas is its shorter side, and half as much again its longer.
        side = self.config.image_size
        size = fitted_size((pixels.shape[1], pixels.shape[0]), side, side * 3 // 2)
        return (resize(pixels, size) * 255).round().astype(np.uint8)


def _random_crop(scene: Scene, side: int, random: np.random.Generator) -> Scene:
    """Scale by 0.6 to 1.6, mirror, and cut a square out; what lies beyond the photo is grey."""
    height, width = scene.pixels.shape[:2]
    scale = 2 ** random.uniform(-0.75, 0.7)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    left = int(random.integers(min(0, size[0] - side), max(0, size[0] - side) + 1))
    top = int(random.integers(min(0, size[1] - side), max(0, size[1] - side) + 1))
    flip = random.random() < 0.5
    # Where in the scaled photo each pixel of the square lies.
    rows, columns = np.arange(side) + top, np.arange(side) + left
    columns = columns[::-1] if flip else columns
    is_outside = _out_of_range(rows, size[1])[:, None] | _out_of_range(columns, size[0])
    pixels = resize(scene.pixels, size)[rows.clip(0, size[1] - 1)][:, columns.clip(0, size[0] - 1)]
    pixels[is_outside] = _FILL_VALUE
    labels, masks = [], []
    for label, mask in zip(scene.labels, scene.masks, strict=True):
        scaled = _resize_nearest(mask, size, rows, columns)
        cropped = scaled & ~is_outside
        # A sliver at the border is no example of the object.
        if cropped.sum() > 0.15 * mask.sum() * scale**2:
            labels.append(label)
            masks.append(cropped)
    return Scene(pixels, tuple(labels), tuple(masks))


def _out_of_range(coords: Places, length: int) -> BoolMask:
    return (coords < 0) | (coords >= length)


def _resize_nearest(
    mask: BoolMask, size: tuple[int, int], rows: Places, columns: Places
) -> BoolMask:
    """Return a mask at some rows and columns of what it would be at another size."""
    height, width = mask.shape
    source_rows = ((rows + 0.5) * height / size[1]).astype(int).clip(0, height - 1)
    source_columns = ((columns + 0.5) * width / size[0]).astype(int).clip(0, width - 1)
    resized: BoolMask = mask[source_rows][:, source_columns]
    return resized


def _colour_jitter(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Change exposure, contrast, saturation and tint a little, and add noise."""
    grey = pixels.mean(2, keepdims=True)
    result = grey + (pixels - grey) * np.float32(random.uniform(0.6, 1.3))
    contrast, tint = random.uniform(0.8, 1.2), random.uniform(0.93, 1.07, 3)
    shift = random.uniform(-0.1, 0.1) + 0.5 - 0.5 * contrast
    result = result * (contrast * tint).astype(np.float32) + (shift * tint).astype(np.float32)
    noise = random.standard_normal(pixels.shape, dtype=np.float32)
    result += noise * np.float32(random.uniform(0, 0.03))
    jittered: Pixels = result.clip(0, 1)
    return jittered
