"""Listing: what is in photos, as records, as COCO's JSON and as masks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from burnish.detection.instances import Instances
from burnish.detection.objects_file import to_coco
from burnish.errors import OutputError
from burnish.files import atomic_write, check_absent, make_folder
from burnish.photo import Photo
from burnish.regions.edges import Edges
from burnish.regions.maskfile import save_mask
from burnish.regions.refine import full_resolution
from burnish.regions.region import ObjectSource, Region
from burnish.regions.select import mask_area, select_objects


@dataclass(frozen=True, eq=False)
class PhotoDetections:
    """The objects of a photo that are meant.

    Parameters
    ----------
    numbers : the place of each in the list of all that was found, from 1
    instances : they, with masks as edits use them
    """

    source: Path
    photo: Photo
    numbers: tuple[int, ...]
    instances: Instances

    def records(self) -> list[dict[str, Any]]:
        """Return a record for each object: number, class, score, % of the picture, box in px."""
        whole = self.instances.size[0] * self.instances.size[1]
        return [
            {
                "photo": str(self.source),
                "number": number,
                "class": self.instances.labels[index],
                "score": round(float(self.instances.scores[index]), 4),
                "area": round(100 * mask_area(self.instances, index) / whole, 3),
                "box": [int(edge) for edge in self.instances.boxes[index]],
            }
            for index, number in enumerate(self.numbers)
        ]


def detect(source: Path, object_source: ObjectSource, region: Region) -> PhotoDetections:
    """Read a photo and find the objects in it that are meant by a region.

    Raises
    ------
    PhotoError : it cannot be read, or a click or number means nothing
    """
    photo = Photo.open(source)
    found = object_source.find(photo.pixels, source)
    indices = select_objects(region.selection, found, str(source))
    shown = full_resolution(found, indices, photo.pixels, region.edges or Edges())
    return PhotoDetections(source, photo, tuple(index + 1 for index in indices), shown)


def write_coco(photos: Sequence[PhotoDetections], target: Path, *, overwrite: bool) -> None:
    """Write the objects of photos as COCO's JSON.

    Raises
    ------
    OutputError : the file exists, cannot be written, or two photos have one name
    """
    found = {one.source.name: one.instances for one in photos}
    if len(found) < len(photos):
        raise OutputError(
            str(target),
            expected="photos of different names, by which the file tells them apart",
            got="two of one name",
            remedy="write their folders apart",
        )
    make_folder(target.parent)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(json.dumps(to_coco(found)).encode() + b"\n")


def mask_paths(detections: PhotoDetections, folder: Path) -> list[Path]:
    """Return where each object's mask goes: PHOTO.EXT.NUMBER.CLASS.png."""
    return [
        folder / f"{detections.source.name}.{number}.{_safe_name(label)}.png"
        for number, label in zip(detections.numbers, detections.instances.labels, strict=True)
    ]


def write_masks(detections: PhotoDetections, folder: Path, *, overwrite: bool) -> list[Path]:
    """Write each object's mask as a grey picture of the photo's size, and return their files.

    Raises
    ------
    OutputError : one exists; then none is written
    """
    paths = mask_paths(detections, folder)
    for path in paths:
        check_absent(path, overwrite=overwrite)
    for index, path in enumerate(paths):
        save_mask(detections.instances.mask(index), path, overwrite=overwrite)
    return paths


def write_annotated(detections: PhotoDetections, target: Path, *, overwrite: bool) -> None:
    """Write the photo with its objects outlined and numbered.

    Raises
    ------
    OutputError : the file exists, or cannot be written
    """
    from burnish.editing.annotate import annotate

    drawn = annotate(detections.photo.pixels, detections.instances, detections.numbers)
    # A drawing is no photo any more: what is on it is sRGB, opaque and in colour.
    plain = Photo(np.asarray(drawn, np.float32))
    origin = replace(plain.metadata, resolution=detections.photo.metadata.resolution)
    make_folder(target.parent)
    replace(plain, metadata=origin).save(target, overwrite=overwrite)


def _safe_name(label: str) -> str:
    """Return a class as part of a file's name: whatever a file of instances may call it."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in label)
    return kept[:60] or "object"
