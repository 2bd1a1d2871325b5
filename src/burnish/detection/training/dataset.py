"""Examples: pictures with outlined objects, changed at random, as a network learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.detection.coco import CocoSet, Picture
from burnish.detection.resize import fit, fitting_size
from burnish.detection.training.config import Settings
from burnish.detection.training.cut_outs import CutOut, Scene, paste
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.types import BoolMask, Pixels

Places = NDArray[np.int64]
# Smaller than this, px, an object is not told from its neighbours.
_SMALLEST = 3
# What lies outside the photo: grey, in the middle of all colours.
_OUTSIDE = 0.5


@dataclass(frozen=True, eq=False)
class _Kept:
    """A photo at hand, as 8 bits, and its objects: labels from 1 and masks."""

    pixels: NDArray[np.uint8]
    labels: tuple[str, ...]
    masks: tuple[NDArray[np.bool_], ...]


class Examples:
    """Photos to learn from, all in memory at the size that they are learnt at.

    Parameters
    ----------
    sets : photos with outlined objects
    backgrounds : photos in which there is nothing to find
    cut_outs : objects to paste into them

    Raises
    ------
    UsageError : no photo has any object of the classes, and there are no cut-outs
    """

    def __init__(
        self,
        settings: Settings,
        sets: Sequence[CocoSet],
        backgrounds: Sequence[Path] = (),
        cut_outs: Sequence[CutOut] = (),
    ) -> None:
        self.settings = settings
        self.cut_outs = cut_outs
        self.kept = [self._outlined(picture) for each in sets for picture in each.pictures]
        self.kept += [_Kept(self._small(path), (), ()) for path in backgrounds]
        if not cut_outs and not any(kept.labels for kept in self.kept):
            raise UsageError(
                str(sets[0].source) if sets else "no COCO file",
                expected=f"objects of the classes {', '.join(settings.classes)}",
                got="none",
                remedy="choose other --class names, or give --rest",
            )

    def batch(self, step: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """Return the pictures and truths of a step; they follow from seed and step alone."""
        random = np.random.default_rng((self.settings.seed, step))
        pairs = [self._example(random, step, place) for place in range(self.settings.batch)]
        return [image for image, _ in pairs], [target for _, target in pairs]

    def _example(
        self, random: np.random.Generator, step: int, place: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        # Every photo once before any comes again.
        index = step * self.settings.batch + place
        order = np.random.default_rng((self.settings.seed, 7, index // len(self.kept)))
        kept = self.kept[order.permutation(len(self.kept))[index % len(self.kept)]]
        scene = Scene(kept.pixels.astype(np.float32) / 255, kept.labels, kept.masks)
        if self.settings.augment:
            scene = _cropped(scene, self.settings.canvas, random)
        if self.cut_outs and random.random() < self.settings.paste:
            for _ in range(random.integers(1, self.settings.most_pasted + 1)):
                scene = paste(
                    scene, self.cut_outs[int(random.integers(len(self.cut_outs)))], random
                )
        if self.settings.augment:
            scene = Scene(_lit(scene.pixels, random), scene.labels, scene.masks)
        return self._tensors(scene)

    def _tensors(self, scene: Scene) -> tuple[Tensor, dict[str, Tensor]]:
        boxes, labels, masks = [], [], []
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            if min(len(rows), len(columns)) < _SMALLEST:
                continue
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            labels.append(self.settings.classes.index(label) + 1)
            masks.append(mask)
        height, width = scene.pixels.shape[:2]
        stacked = np.stack(masks) if masks else np.zeros((0, height, width), bool)
        image = torch.from_numpy(np.ascontiguousarray(scene.pixels.transpose(2, 0, 1)))
        return image, {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "masks": torch.from_numpy(stacked.astype(np.uint8)),
        }

    def _outlined(self, picture: Picture) -> _Kept:
        pixels = self._small(picture.path)
        height, width = pixels.shape[:2]
        labels, masks = [], []
        for found in picture.objects:
            label = found.label if found.label in self.settings.classes else self.settings.rest
            if found.crowd or label is None:
                continue
            labels.append(label)
            size = width, height
            masks.append(_nearest(found.mask(), size, np.arange(height), np.arange(width)))
        return _Kept(pixels, tuple(labels), tuple(masks))

    def _small(self, path: Path) -> NDArray[np.uint8]:
        pixels = Photo.open(path).pixels
        # As a detector sees it: the canvas is its shorter side, and half as much again its longer.
        side = self.settings.canvas
        size = fitting_size((pixels.shape[1], pixels.shape[0]), side, side * 3 // 2)
        return (fit(pixels, size) * 255).round().astype(np.uint8)


def _cropped(scene: Scene, side: int, random: np.random.Generator) -> Scene:
    """Scale by 0.6 to 1.6, mirror, and cut a square out; what lies beyond the photo is grey."""
    height, width = scene.pixels.shape[:2]
    by = 2 ** random.uniform(-0.75, 0.7)
    size = max(8, round(width * by)), max(8, round(height * by))
    left = int(random.integers(min(0, size[0] - side), max(0, size[0] - side) + 1))
    top = int(random.integers(min(0, size[1] - side), max(0, size[1] - side) + 1))
    flip = random.random() < 0.5
    # Where in the scaled photo each pixel of the square lies.
    rows, columns = np.arange(side) + top, np.arange(side) + left
    columns = columns[::-1] if flip else columns
    beyond = _beyond(rows, size[1])[:, None] | _beyond(columns, size[0])
    pixels = fit(scene.pixels, size)[rows.clip(0, size[1] - 1)][:, columns.clip(0, size[0] - 1)]
    pixels[beyond] = _OUTSIDE
    labels, masks = [], []
    for label, mask in zip(scene.labels, scene.masks, strict=True):
        scaled = _nearest(mask, size, rows, columns)
        moved = scaled & ~beyond
        # A sliver at the border is no example of the object.
        if moved.sum() > 0.15 * mask.sum() * by**2:
            labels.append(label)
            masks.append(moved)
    return Scene(pixels, tuple(labels), tuple(masks))


def _beyond(places: Places, length: int) -> BoolMask:
    return (places < 0) | (places >= length)


def _nearest(mask: BoolMask, size: tuple[int, int], rows: Places, columns: Places) -> BoolMask:
    """Return a mask at some rows and columns of what it would be at another size."""
    height, width = mask.shape
    down = ((rows + 0.5) * height / size[1]).astype(int).clip(0, height - 1)
    across = ((columns + 0.5) * width / size[0]).astype(int).clip(0, width - 1)
    moved: BoolMask = mask[down][:, across]
    return moved


def _lit(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Change exposure, contrast, saturation and tint a little, and add noise."""
    grey = pixels.mean(2, keepdims=True)
    result = grey + (pixels - grey) * np.float32(random.uniform(0.6, 1.3))
    contrast, tint = random.uniform(0.8, 1.2), random.uniform(0.93, 1.07, 3)
    shift = random.uniform(-0.1, 0.1) + 0.5 - 0.5 * contrast
    result = result * (contrast * tint).astype(np.float32) + (shift * tint).astype(np.float32)
    noise = random.standard_normal(pixels.shape, dtype=np.float32)
    result += noise * np.float32(random.uniform(0, 0.03))
    lit: Pixels = result.clip(0, 1)
    return lit
