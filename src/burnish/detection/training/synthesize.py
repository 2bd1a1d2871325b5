"""Write a synthetic COCO dataset: cut-outs over photos, with exact masks."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from burnish.detection.coco import CocoWriter
from burnish.detection.resize import resize
from burnish.detection.training.cut_outs import CutOut, Scene, copy_paste
from burnish.errors import OutputError, UsageError, read_error
from burnish.files import atomic_write, make_folder
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.types import Pixels

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


def synthesize_dataset(
    cut_outs: Sequence[CutOut],
    background_dir: Path,
    output_dir: Path,
    *,
    count: int,
    size: tuple[int, int] = (480, 320),
    max_objects: int = 5,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Path:
    """Write composites and `instances.json` into a new folder, and return the file's path.

    Parameters
    ----------
    background_dir : a folder of photos; each composite uses a random part of one
    count : number of composites
    size : width and height of the composites, px
    max_objects : maximum number of cut-outs in a composite

    Raises
    ------
    OutputError : the folder exists and is not empty, or cannot be written to
    UsageError : see `background_photos`
    """
    photos = background_photos(background_dir)
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise OutputError(str(output_dir), "exists already and is not empty", "choose a new folder")
    make_folder(output_dir)
    progress.start("writing composites", count)
    writer = CocoWriter(sorted({cut_out.label for cut_out in cut_outs}))
    for index in range(1, count + 1):
        random = np.random.default_rng((seed, index))
        pixels = _random_crop(Photo.open(photos[index % len(photos)]).pixels, size, random)
        scene = Scene(pixels, (), ())
        for _ in range(random.integers(1, max_objects + 1)):
            scene = copy_paste(scene, cut_outs[int(random.integers(len(cut_outs)))], random)
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


def _random_crop(pixels: Pixels, size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """Return a random part of a photo, resized to a width and height.

    The part has the aspect ratio of `size`, and at least half of the photo's width or height.
    """
    height, width = pixels.shape[:2]
    scale = min(width / size[0], height / size[1]) * random.uniform(0.5, 1)
    w, h = min(width, max(1, round(size[0] * scale))), min(height, max(1, round(size[1] * scale)))
    top, left = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
    return resize(pixels[top : top + h, left : left + w], size)


def background_photos(folder: Path) -> list[Path]:
    """Return the photos of a folder, sorted by name.

    Raises
    ------
    UsageError : the folder cannot be read, or holds no photo
    """
    try:
        photos = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise read_error(folder, error, UsageError) from error
    if not photos:
        raise UsageError(str(folder), "the folder holds no photos", "choose another folder")
    return photos
