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
from burnish.files import check_free, make_folder, writing
from burnish.photo import Photo
from burnish.regions.edges import Edges
from burnish.regions.maskfile import save_mask
from burnish.regions.refine import in_full
from burnish.regions.region import Finder, Region
from burnish.regions.select import area, chosen


@dataclass(frozen=True, eq=False)
class Listed:
    """The objects of a photo that are meant.

    Parameters
    ----------
    numbers : the place of each in the list of all that was found, from 1
    found : they, with masks as edits use them
    """

    source: Path
    photo: Photo
    numbers: tuple[int, ...]
    found: Instances

    def records(self) -> list[dict[str, Any]]:
        """Return a record for each object: number, class, score, % of the picture, box in px."""
        whole = self.found.size[0] * self.found.size[1]
        return [
            {
                "photo": str(self.source),
                "number": number,
                "class": self.found.labels[index],
                "score": round(float(self.found.scores[index]), 4),
                "area": round(100 * area(self.found, index) / whole, 3),
                "box": [int(edge) for edge in self.found.boxes[index]],
            }
            for index, number in enumerate(self.numbers)
        ]


def listed(source: Path, finder: Finder, region: Region) -> Listed:
    """Read a photo and find the objects in it that are meant by a region.

    Raises
    ------
    PhotoError : it cannot be read, or a click or number means nothing
    """
    photo = Photo.open(source)
    found = finder.find(photo.pixels, source)
    indices = chosen(region.selection, found, str(source))
    shown = in_full(found, indices, photo.pixels, region.edges or Edges())
    return Listed(source, photo, tuple(index + 1 for index in indices), shown)


def write_coco(all_listed: Sequence[Listed], target: Path, *, overwrite: bool) -> None:
    """Write the objects of photos as COCO's JSON.

    Raises
    ------
    OutputError : the file exists, cannot be written, or two photos have one name
    """
    found = {one.source.name: one.found for one in all_listed}
    if len(found) < len(all_listed):
        raise OutputError(
            str(target),
            expected="photos of different names, by which the file tells them apart",
            got="two of one name",
            remedy="write their folders apart",
        )
    make_folder(target.parent)
    with writing(target, overwrite=overwrite) as file:
        file.write(json.dumps(to_coco(found)).encode() + b"\n")


def mask_paths(one: Listed, folder: Path) -> list[Path]:
    """Return where each object's mask goes: PHOTO.EXT.NUMBER.CLASS.png."""
    return [
        folder / f"{one.source.name}.{number}.{_plain(label)}.png"
        for number, label in zip(one.numbers, one.found.labels, strict=True)
    ]


def write_masks(one: Listed, folder: Path, *, overwrite: bool) -> list[Path]:
    """Write each object's mask as a grey picture of the photo's size, and return their files.

    Raises
    ------
    OutputError : one exists; then none is written
    """
    paths = mask_paths(one, folder)
    for path in paths:
        check_free(path, overwrite=overwrite)
    for index, path in enumerate(paths):
        save_mask(one.found.mask(index), path, overwrite=overwrite)
    return paths


def write_numbered(one: Listed, target: Path, *, overwrite: bool) -> None:
    """Write the photo with its objects outlined and numbered.

    Raises
    ------
    OutputError : the file exists, or cannot be written
    """
    from burnish.editing.annotate import numbered

    drawn = numbered(one.photo.pixels, one.found, one.numbers)
    # A drawing is no photo any more: what is on it is sRGB, opaque and in colour.
    plain = Photo(np.asarray(drawn, np.float32))
    origin = replace(plain.origin, resolution=one.photo.origin.resolution)
    make_folder(target.parent)
    replace(plain, origin=origin).save(target, overwrite=overwrite)


def _plain(label: str) -> str:
    """Return a class as part of a file's name: whatever a file of instances may call it."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in label)
    return kept[:60] or "object"
