"""Cut-outs: pictures of single objects with alpha, pasted into photos as training material."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from burnish.detection.resize import fit
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.types import BoolMask, Pixels

# Larger ones are brought down: no picture that is learnt from is larger.
_LARGEST = 400
# An object that is hidden more than this is no example of itself any more.
_VISIBLE = 0.1


@dataclass(frozen=True, eq=False)
class CutOut:
    """An object without its surroundings: (h, w, 3) colours and (h, w) alpha, both in [0, 1]."""

    label: str
    pixels: Pixels
    alpha: Pixels


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo, (H, W, 3) in [0, 1], and the objects in it: labels, and which pixels each covers."""

    pixels: Pixels
    labels: tuple[str, ...]
    masks: tuple[BoolMask, ...]


def read_cut_outs(folder: str | Path, classes: Sequence[str], rest: str | None) -> list[CutOut]:
    """Read all pictures with alpha in a folder and below, in the order of their names.

    One that lies in a folder called as a class is of that class, others are of class `rest`.

    Raises
    ------
    UsageError : there is none, or one belongs to no class
    """
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
    found = [_read(path, classes, rest, Path(folder)) for path in paths]
    cut_outs = [cut_out for cut_out in found if cut_out is not None]
    if not cut_outs:
        raise UsageError(
            str(folder),
            expected="pictures of objects with alpha (.png, .webp)",
            got="none",
            remedy="give a folder of cut-outs",
        )
    return cut_outs


_SUFFIXES = (".png", ".webp", ".tif", ".tiff", ".avif")


def _read(path: Path, classes: Sequence[str], rest: str | None, folder: Path) -> CutOut | None:
    photo = Photo.open(path)
    if photo.alpha is None or not (photo.alpha > 0.5).any():
        return None
    named = [part for part in path.relative_to(folder).parts[:-1] if part in classes]
    label = named[-1] if named else rest
    if label is None:
        raise UsageError(
            str(path),
            expected=f"a folder called as one of the classes {', '.join(classes)}",
            got=str(path.parent.relative_to(folder)),
            remedy="sort the cut-outs into such folders, or give --rest",
        )
    rows, columns = (np.flatnonzero((photo.alpha > 0.02).any(axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return _scaled(
        CutOut(label, photo.pixels[part], photo.alpha[part]),
        min(1.0, _LARGEST / max(len(rows), len(columns))),
    )


def paste(scene: Scene, cut_out: CutOut, random: np.random.Generator) -> Scene:
    """Put a cut-out somewhere into a scene, in front of all else.

    Its size, place, tilt, light and the softness of its edge are drawn; it is never enlarged by
    more than a third. What it hides of other objects is no longer theirs, and objects of which too
    little is left are no longer told of.

    Notes
    -----
    Dwibedi, Misra, Hebert: Cut, Paste and Learn, ICCV 2017, doi:10.1109/ICCV.2017.146: several
    ways of blending, so that edges alone do not give an object away. Ghiasi et al.: Simple
    Copy-Paste is a Strong Data Augmentation, CVPR 2021, doi:10.1109/CVPR46437.2021.00294: places
    at random are enough.
    """
    height, width = scene.pixels.shape[:2]
    own = max(cut_out.alpha.shape)
    wanted = min(height, width) * 2 ** random.uniform(-3.2, -0.15)
    moved = _scaled(cut_out, min(wanted / own, 1.33))
    if random.random() < 0.5:
        moved = CutOut(moved.label, moved.pixels[:, ::-1], moved.alpha[:, ::-1])
    moved = _tilted(moved, random.normal(0, 8))
    h, w = moved.alpha.shape
    top = int(random.integers(-h // 4, max(height - 3 * h // 4, -h // 4 + 1)))
    left = int(random.integers(-w // 4, max(width - 3 * w // 4, -w // 4 + 1)))
    rows = slice(max(top, 0), min(top + h, height))
    columns = slice(max(left, 0), min(left + w, width))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return scene
    inside = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    alpha = _softened(moved.alpha, random)[inside]
    colours = moved.pixels[inside] * random.uniform(0.75, 1.2) * random.uniform(0.93, 1.07, 3)
    pixels = scene.pixels.copy()
    behind = pixels[rows, columns]
    pixels[rows, columns] = (behind + alpha[..., None] * (colours - behind)).clip(0, 1)
    covered = np.zeros((height, width), bool)
    covered[rows, columns] = moved.alpha[inside] > 0.5
    return _behind(Scene(pixels, scene.labels, scene.masks), covered, moved.label)


def _behind(scene: Scene, covered: BoolMask, label: str) -> Scene:
    left = [mask & ~covered for mask in scene.masks]
    kept = [
        index
        for index, (before, after) in enumerate(zip(scene.masks, left, strict=True))
        if after.sum() > max(_VISIBLE * before.sum(), 8)
    ]
    labels = [scene.labels[index] for index in kept]
    masks = [left[index] for index in kept]
    if covered.sum() > 32:
        labels, masks = [*labels, label], [*masks, covered]
    return Scene(scene.pixels, tuple(labels), tuple(masks))


def _softened(alpha: Pixels, random: np.random.Generator) -> Pixels:
    """Blend as it is, with a harder edge, or with a softer one."""
    way = random.integers(3)
    if way == 0:
        return alpha
    if way == 1:
        hard: Pixels = ((alpha - 0.5) * 4 + 0.5).clip(0, 1)
        return hard
    image = pyvips.Image.new_from_memory(
        np.ascontiguousarray(alpha).data, alpha.shape[1], alpha.shape[0], 1, "float"
    )
    soft = np.frombuffer(image.gaussblur(random.uniform(0.6, 1.5)).write_to_memory(), np.float32)
    return np.minimum(soft.reshape(alpha.shape), 1)


def _scaled(cut_out: CutOut, by: float) -> CutOut:
    height, width = cut_out.alpha.shape
    size = max(2, round(width * by)), max(2, round(height * by))
    return _from_four(cut_out.label, fit(_as_four(cut_out), size))


def _tilted(cut_out: CutOut, degrees: float) -> CutOut:
    four = _as_four(cut_out)
    image = pyvips.Image.new_from_memory(four.data, four.shape[1], four.shape[0], 4, "float")
    turned = image.rotate(degrees, background=[0, 0, 0, 0])
    shape = turned.height, turned.width, 4
    return _from_four(
        cut_out.label, np.frombuffer(turned.write_to_memory(), np.float32).reshape(shape).clip(0, 1)
    )


def _as_four(cut_out: CutOut) -> Pixels:
    """Return colours weighted with alpha, and alpha: what may be averaged."""
    alpha = cut_out.alpha[..., None]
    return np.ascontiguousarray(np.concatenate([cut_out.pixels * alpha, alpha], 2), np.float32)


def _from_four(label: str, four: Pixels) -> CutOut:
    alpha = four[..., 3]
    pixels: Pixels = (four[..., :3] / np.maximum(alpha, 1e-3)[..., None]).clip(0, 1)
    return CutOut(label, pixels, alpha)
