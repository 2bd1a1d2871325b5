"""Cut-outs: images of single objects with alpha, pasted into photos to train on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from burnish.detection.instances import MASK_THRESHOLD, mask_box
from burnish.detection.resize import resize
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.types import BoolMask, Pixels

_SUFFIXES = (".png", ".webp", ".tif", ".tiff", ".avif")
# Cut-outs are reduced to this longer side, px. No training image is larger.
_MAX_SIDE = 400
# An object of which less than this fraction remains visible is dropped from the annotations.
_MIN_VISIBLE = 0.1


@dataclass(frozen=True, eq=False)
class CutOut:
    """An object without its background: pixels (h, w, 3) and alpha (h, w), both in [0, 1]."""

    label: str
    pixels: Pixels
    alpha: Pixels


@dataclass(frozen=True, eq=False)
class Scene:
    """An image, (H, W, 3) in [0, 1], and its objects: labels, and masks (H, W)."""

    pixels: Pixels
    labels: tuple[str, ...]
    masks: tuple[BoolMask, ...]


def read_cut_outs(
    folder: str | Path, classes: Sequence[str], other_class: str | None
) -> list[CutOut]:
    """Read all images with alpha in a folder and its subfolders, sorted by path.

    A cut-out in a folder that has the name of a class belongs to that class.

    Parameters
    ----------
    other_class : the class of all other cut-outs, if there is one

    Raises
    ------
    UsageError : there is no image with alpha, or one belongs to no class
    """
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
    loaded = [_read_cut_out(path, classes, other_class, Path(folder)) for path in paths]
    cut_outs = [cut_out for cut_out in loaded if cut_out is not None]
    if not cut_outs:
        raise UsageError(
            str(folder), "holds no images with alpha (.png, .webp)", "give a folder of cut-outs"
        )
    return cut_outs


def _read_cut_out(
    path: Path, classes: Sequence[str], other_class: str | None, folder: Path
) -> CutOut | None:
    photo = Photo.open(path)
    if photo.alpha is None or not (photo.alpha > MASK_THRESHOLD).any():
        return None
    folders = path.relative_to(folder).parts[:-1]
    label = next((name for name in reversed(folders) if name in classes), other_class)
    if label is None:
        raise UsageError(
            str(path),
            f"its folder has the name of none of the classes {', '.join(classes)}",
            "sort the cut-outs into folders with the names of classes, or give --other-class",
        )
    left, top, right, bottom = mask_box(photo.alpha > 0.02)
    crop = slice(top, bottom), slice(left, right)
    factor = min(1.0, _MAX_SIDE / max(right - left, bottom - top))
    return _scale(CutOut(label, photo.pixels[crop], photo.alpha[crop]), factor)


def copy_paste(scene: Scene, cut_out: CutOut, random: np.random.Generator) -> Scene:
    """Paste a cut-out into a scene, in front of everything else.

    Size, position, rotation, brightness, tint and edge softness are random. A cut-out is enlarged
    by a third at most. Masks of other objects lose the pixels that it covers, and objects that are
    almost hidden are removed from the scene's objects.

    Notes
    -----
    Dwibedi, Misra, Hebert: Cut, Paste and Learn, ICCV 2017, doi:10.1109/ICCV.2017.146: blending
    varies, so that a network does not learn to detect pasted edges. Ghiasi et al.: Simple
    Copy-Paste is a Strong Data Augmentation, CVPR 2021, doi:10.1109/CVPR46437.2021.00294: random
    positions suffice.
    """
    height, width = scene.pixels.shape[:2]
    longest_side = max(cut_out.alpha.shape)
    target_side = min(height, width) * 2 ** random.uniform(-3.2, -0.15)
    transformed = _scale(cut_out, min(target_side / longest_side, 1.33))
    if random.random() < 0.5:
        transformed = CutOut(
            transformed.label, transformed.pixels[:, ::-1], transformed.alpha[:, ::-1]
        )
    transformed = _rotate(transformed, random.normal(0, 8))
    h, w = transformed.alpha.shape
    top = int(random.integers(-h // 4, max(height - 3 * h // 4, -h // 4 + 1)))
    left = int(random.integers(-w // 4, max(width - 3 * w // 4, -w // 4 + 1)))
    rows = slice(max(top, 0), min(top + h, height))
    columns = slice(max(left, 0), min(left + w, width))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return scene
    visible = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    alpha = _vary_edge(transformed.alpha, random)[visible]
    colours = (
        transformed.pixels[visible] * random.uniform(0.75, 1.2) * random.uniform(0.93, 1.07, 3)
    )
    pixels = scene.pixels.copy()
    background = pixels[rows, columns]
    pixels[rows, columns] = (background + alpha[..., None] * (colours - background)).clip(0, 1)
    covered = np.zeros((height, width), bool)
    covered[rows, columns] = transformed.alpha[visible] > MASK_THRESHOLD
    return _occlude(Scene(pixels, scene.labels, scene.masks), covered, transformed.label)


def _occlude(scene: Scene, covered: BoolMask, label: str) -> Scene:
    """Add an object that covers some pixels, and take these from all other objects."""
    visible_masks = [mask & ~covered for mask in scene.masks]
    indices = [
        index
        for index, (before, after) in enumerate(zip(scene.masks, visible_masks, strict=True))
        if after.sum() > max(_MIN_VISIBLE * before.sum(), 8)
    ]
    labels = [scene.labels[index] for index in indices]
    masks = [visible_masks[index] for index in indices]
    if covered.sum() > 32:
        labels, masks = [*labels, label], [*masks, covered]
    return Scene(scene.pixels, tuple(labels), tuple(masks))


def _vary_edge(alpha: Pixels, random: np.random.Generator) -> Pixels:
    """Return alpha unchanged, with a harder edge, or with a softer edge, at random."""
    mode = random.integers(3)
    if mode == 0:
        return alpha
    if mode == 1:
        hard: Pixels = ((alpha - 0.5) * 4 + 0.5).clip(0, 1)
        return hard
    image = pyvips.Image.new_from_memory(
        np.ascontiguousarray(alpha).data, alpha.shape[1], alpha.shape[0], 1, "float"
    )
    soft = np.frombuffer(image.gaussblur(random.uniform(0.6, 1.5)).write_to_memory(), np.float32)
    return np.minimum(soft.reshape(alpha.shape), 1)


def _scale(cut_out: CutOut, factor: float) -> CutOut:
    height, width = cut_out.alpha.shape
    size = max(2, round(width * factor)), max(2, round(height * factor))
    return _from_rgba(cut_out.label, resize(_to_rgba(cut_out), size))


def _rotate(cut_out: CutOut, degrees: float) -> CutOut:
    rgba = _to_rgba(cut_out)
    image = pyvips.Image.new_from_memory(rgba.data, rgba.shape[1], rgba.shape[0], 4, "float")
    rotated = image.rotate(degrees, background=[0, 0, 0, 0])
    shape = rotated.height, rotated.width, 4
    return _from_rgba(
        cut_out.label,
        np.frombuffer(rotated.write_to_memory(), np.float32).reshape(shape).clip(0, 1),
    )


def _to_rgba(cut_out: CutOut) -> Pixels:
    """Return colours premultiplied with alpha, and alpha, so that both can be resampled."""
    alpha = cut_out.alpha[..., None]
    return np.ascontiguousarray(np.concatenate([cut_out.pixels * alpha, alpha], 2), np.float32)


def _from_rgba(label: str, rgba: Pixels) -> CutOut:
    alpha = rgba[..., 3]
    pixels: Pixels = (rgba[..., :3] / np.maximum(alpha, 1e-3)[..., None]).clip(0, 1)
    return CutOut(label, pixels, alpha)
