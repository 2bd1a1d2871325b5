"""The objects in photos: as records, as COCO JSON, as mask files and as annotated photos."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from burnish.detection.coco_writer import to_coco
from burnish.detection.instances import Instances
from burnish.editing.annotate import annotate
from burnish.files import atomic_write, check_absent, make_folder
from burnish.photo import Photo
from burnish.regions.masks import full_resolution, save_mask
from burnish.regions.objects import (
    Missed,
    ObjectSource,
    find_missed,
    mask_area,
    select_objects,
)
from burnish.regions.options import RegionOptions


@dataclass(frozen=True, eq=False)
class PhotoDetections:
    """The selected objects of a photo.

    Parameters
    ----------
    source : the photo's file
    photo : the photo
    numbers : position of each object in the list of all objects, from 1
    instances : the objects, with masks at the photo's resolution
    missed : the objects that only their scores leave out
    """

    source: Path
    photo: Photo
    numbers: tuple[int, ...]
    instances: Instances
    missed: Missed = ()

    def records(self) -> list[dict[str, Any]]:
        """Return a record per object; its area is in % of the photo, its box in px."""
        size = self.instances.size
        return [
            {
                "photo": str(self.source),
                "number": number,
                "class": self.instances.labels[index],
                "score": round(float(self.instances.scores[index]), 4),
                "area": round(100 * mask_area(self.instances, index) / (size[0] * size[1]), 3),
                "box": [int(edge) for edge in self.instances.boxes[index]],
            }
            for index, number in enumerate(self.numbers)
        ]


def detect(source: Path, object_source: ObjectSource, options: RegionOptions) -> PhotoDetections:
    """Read a photo and return the objects in it that region options select.

    Raises
    ------
    PhotoError : the photo cannot be read, or a click or number selects nothing
    """
    photo = Photo.open(source)
    instances = object_source.find(photo.pixels, source)
    indices = select_objects(options, instances, str(source))
    refined = full_resolution(instances, indices, photo.pixels, options)
    numbers = tuple(index + 1 for index in indices)
    return PhotoDetections(source, photo, numbers, refined, find_missed(options, instances))


def write_coco(photos: Sequence[PhotoDetections], target: Path, *, overwrite: bool) -> None:
    """Write the objects of photos as COCO JSON. Photos are named by the path from their folder.

    Raises
    ------
    OutputError : the file exists or cannot be written
    """
    folders = [photo.source.absolute().parent for photo in photos]
    common_folder = os.path.commonpath(folders) if folders else ""
    instances_by_name = {
        photo.source.absolute().relative_to(common_folder).as_posix(): photo.instances
        for photo in photos
    }
    make_folder(target.parent)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(json.dumps(to_coco(instances_by_name)).encode() + b"\n")


def write_masks(detections: PhotoDetections, folder: Path, *, overwrite: bool) -> None:
    """Write the mask of each object as a grey image, PHOTO.EXT.NUMBER.CLASS.png.

    Raises
    ------
    OutputError : one of the files exists; in this case none is written
    """
    labels = map(_safe_name, detections.instances.labels)
    paths = [
        folder / f"{detections.source.name}.{number}.{label}.png"
        for number, label in zip(detections.numbers, labels, strict=True)
    ]
    for path in paths:
        check_absent(path, overwrite=overwrite)
    for index, path in enumerate(paths):
        save_mask(detections.instances.mask(index), path, overwrite=overwrite)


def write_annotated(detections: PhotoDetections, target: Path, *, overwrite: bool) -> None:
    """Write the photo with its objects outlined and numbered.

    Raises
    ------
    OutputError : the file exists, or cannot be written
    """
    annotated = annotate(detections.photo.pixels, detections.instances, detections.numbers)
    # Only the resolution is kept: the annotated image is opaque, in colour and in sRGB.
    image = Photo(np.asarray(annotated, np.float32))
    metadata = replace(image.metadata, resolution=detections.photo.metadata.resolution)
    make_folder(target.parent)
    replace(image, metadata=metadata).save(target, overwrite=overwrite)


def _safe_name(label: str) -> str:
    """Return a class name as part of a file name; a COCO file may contain any text as a class."""
    return "".join(letter if letter.isalnum() else "-" for letter in label)[:60] or "object"
