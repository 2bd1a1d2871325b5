"""Compose: cut-outs over photos, written as photos and a COCO file whose outlines are exact."""

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from burnish.detection import rle
from burnish.detection.resize import resize
from burnish.detection.training.cut_outs import CutOut, Scene, copy_paste
from burnish.errors import OutputError, UsageError
from burnish.files import atomic_write, make_folder
from burnish.photo import Photo

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
    on_progress: Callable[[], None] = lambda: None,
) -> Path:
    """Write composites and `instances.json` into a new folder, and return the file's path.

    Parameters
    ----------
    background_dir : a folder of photos; a part of one is drawn for each composite
    count : how many composites
    size : their width and height, px
    max_objects : how many cut-outs are pasted into one, at most

    Raises
    ------
    OutputError : the folder is there already and not empty, or cannot be written to
    UsageError : see `background_photos`
    """
    photos = background_photos(background_dir)
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise OutputError(
            str(output_dir),
            expected="a new folder",
            got="one that is in use",
            remedy="choose another",
        )
    make_folder(output_dir)
    classes = sorted({cut_out.label for cut_out in cut_outs})
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(1, count + 1):
        random = np.random.default_rng((seed, index))
        pixels = _random_crop(Photo.open(photos[index % len(photos)]).pixels, size, random)
        scene = Scene(pixels, (), ())
        for _ in range(random.integers(1, max_objects + 1)):
            scene = copy_paste(scene, cut_outs[int(random.integers(len(cut_outs)))], random)
        name = f"{index:05}.png"
        Photo(scene.pixels).save(output_dir / name)
        images.append({"id": index, "file_name": name, "width": size[0], "height": size[1]})
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": classes.index(label) + 1,
                    "segmentation": {"size": [size[1], size[0]], "counts": rle.encode(mask)},
                    "iscrowd": 0,
                }
            )
        on_progress()
    categories = [{"id": index, "name": name} for index, name in enumerate(classes, 1)]
    target = output_dir / "instances.json"
    content = BytesIO(
        json.dumps(
            {"images": images, "annotations": annotations, "categories": categories}
        ).encode()
    )
    with atomic_write(target) as file:
        file.write(content.getbuffer())
    return target


def _random_crop(
    pixels: "np.ndarray[Any, np.dtype[np.float32]]",
    size: tuple[int, int],
    random: np.random.Generator,
) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Cut a part of the size's shape out of a photo, half of it or more, and bring it to size."""
    height, width = pixels.shape[:2]
    scale = min(width / size[0], height / size[1]) * random.uniform(0.5, 1)
    w, h = min(width, max(1, round(size[0] * scale))), min(height, max(1, round(size[1] * scale)))
    top, left = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
    return resize(pixels[top : top + h, left : left + w], size)


def background_photos(folder: Path) -> list[Path]:
    """Return the photos of a folder, in order.

    Raises
    ------
    UsageError : there is no such folder, or no photo in it
    """
    try:
        photos = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise UsageError(
            str(folder),
            expected="a folder of photos",
            got=(error.strerror or str(error)).lower(),
            remedy="check the path",
        ) from error
    if not photos:
        raise UsageError(str(folder), expected="photos", got="none", remedy="choose another folder")
    return photos
