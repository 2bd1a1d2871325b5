"""Cut-outs: images of single objects with alpha, pasted into photos to train on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyvips

from burnish.detection.coco_writer import CocoWriter
from burnish.detection.detect import resize
from burnish.detection.instances import MASK_THRESHOLD, mask_box
from burnish.errors import OutputError, UsageError
from burnish.files import atomic_write, make_folder
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.training.pairs import find_photos
from burnish.types import BoolMask, Pixels

_SUFFIXES = (".png", ".webp", ".tif", ".tiff", ".avif")
# Cut-outs are reduced to this longer side, px. No training image is larger.
_MAX_SIDE = 400
# Maximum number of cut-outs that are pasted into an image.
_MAX_PASTED = 5
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
    labels: tuple[str, ...] = ()
    masks: tuple[BoolMask, ...] = ()


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
        problem = "holds no images with alpha (.png, .webp)"
        raise UsageError(str(folder), problem, "give a folder of cut-outs")
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


def paste_some(scene: Scene, cut_outs: Sequence[CutOut], random: np.random.Generator) -> Scene:
    """Paste one to five random cut-outs into a scene; see `copy_paste`."""
    for _ in range(random.integers(1, _MAX_PASTED + 1)):
        scene = copy_paste(scene, cut_outs[int(random.integers(len(cut_outs)))], random)
    return scene


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
    target_side = min(height, width) * 2 ** random.uniform(-3.2, -0.15)
    cut_out = _scale(cut_out, min(target_side / max(cut_out.alpha.shape), 1.33))
    if random.random() < 0.5:
        cut_out = CutOut(cut_out.label, cut_out.pixels[:, ::-1], cut_out.alpha[:, ::-1])
    cut_out = _rotate(cut_out, random.normal(0, 8))
    h, w = cut_out.alpha.shape
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
    alpha = _vary_edge(cut_out.alpha, random)[visible]
    colours = cut_out.pixels[visible] * random.uniform(0.75, 1.2) * random.uniform(0.93, 1.07, 3)
    pixels = scene.pixels.copy()
    background = pixels[rows, columns]
    pixels[rows, columns] = (background + alpha[..., None] * (colours - background)).clip(0, 1)
    covered = np.zeros((height, width), bool)
    covered[rows, columns] = cut_out.alpha[visible] > MASK_THRESHOLD
    return _occlude(replace(scene, pixels=pixels), covered, cut_out.label)


def _occlude(scene: Scene, covered: BoolMask, label: str) -> Scene:
    """Add an object that covers some pixels, and take these from all other objects."""
    labels, masks = [], []
    for other_label, mask in zip(scene.labels, scene.masks, strict=True):
        visible = mask & ~covered
        if visible.sum() > max(_MIN_VISIBLE * mask.sum(), 8):
            labels.append(other_label)
            masks.append(visible)
    if covered.sum() > 32:
        labels.append(label)
        masks.append(covered)
    return Scene(scene.pixels, tuple(labels), tuple(masks))


def _vary_edge(alpha: Pixels, random: np.random.Generator) -> Pixels:
    """Return alpha unchanged, with a harder edge, or with a softer edge, at random."""
    mode = random.integers(3)
    if mode == 0:
        return alpha
    if mode == 1:
        hard: Pixels = ((alpha - 0.5) * 4 + 0.5).clip(0, 1)
        return hard
    image = pyvips.Image.new_from_array(np.ascontiguousarray(alpha))
    soft: Pixels = image.gaussblur(random.uniform(0.6, 1.5)).numpy()
    return np.minimum(soft, 1)


def _scale(cut_out: CutOut, factor: float) -> CutOut:
    height, width = cut_out.alpha.shape
    size = max(2, round(width * factor)), max(2, round(height * factor))
    return _from_rgba(cut_out.label, resize(_to_rgba(cut_out), size))


def _rotate(cut_out: CutOut, degrees: float) -> CutOut:
    image = pyvips.Image.new_from_array(_to_rgba(cut_out))
    rotated = image.rotate(degrees, background=[0, 0, 0, 0])
    return _from_rgba(cut_out.label, rotated.numpy().clip(0, 1))


def _to_rgba(cut_out: CutOut) -> Pixels:
    """Return colours premultiplied with alpha, and alpha, so that both can be resampled."""
    alpha = cut_out.alpha[..., None]
    return np.ascontiguousarray(np.concatenate([cut_out.pixels * alpha, alpha], 2), np.float32)


def _from_rgba(label: str, rgba: Pixels) -> CutOut:
    alpha = rgba[..., 3]
    pixels: Pixels = (rgba[..., :3] / np.maximum(alpha, 1e-3)[..., None]).clip(0, 1)
    return CutOut(label, pixels, alpha)


def synthesize_dataset(
    cut_outs: Sequence[CutOut],
    background_dir: Path,
    output_dir: Path,
    *,
    count: int,
    size: tuple[int, int],
    seed: int = 0,
    progress: Progress = SILENT,
) -> Path:
    """Write composites and `instances.json` into a new folder, and return the file's path.

    Parameters
    ----------
    background_dir : a folder of photos; each composite uses a random part of one
    count : number of composites
    size : width and height of the composites, px

    Raises
    ------
    OutputError : the folder exists and is not empty, or cannot be written to
    UsageError : there is no photo in `background_dir`
    """
    photos = find_photos(background_dir)
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise OutputError(str(output_dir), "exists already and is not empty", "choose a new folder")
    make_folder(output_dir)
    progress.start("writing composites", count)
    writer = CocoWriter(sorted({cut_out.label for cut_out in cut_outs}))
    for index in range(1, count + 1):
        random = np.random.default_rng((seed, index))
        background = _random_part(Photo.open(photos[index % len(photos)]).pixels, size, random)
        scene = paste_some(Scene(background), cut_outs, random)
        name = f"{index:05}.png"
        Photo(scene.pixels).save(output_dir / name)
        writer.add_image(name, size)
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            writer.add_object(label, mask)
        progress.advance()
    target = output_dir / "instances.json"
    with atomic_write(target) as file:
        file.write(json.dumps(writer.to_json()).encode())
    return target


def _random_part(pixels: Pixels, size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """Return a random part of a photo, resized to a width and height.

    The part has the aspect ratio of `size`, and at least half of the photo's width or height.
    """
    height, width = pixels.shape[:2]
    scale = min(width / size[0], height / size[1]) * random.uniform(0.5, 1)
    w, h = min(width, max(1, round(size[0] * scale))), min(height, max(1, round(size[1] * scale)))
    top, left = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
    return resize(pixels[top : top + h, left : left + w], size)
