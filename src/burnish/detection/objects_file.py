"""Objects files: instances as COCO's JSON, written, and read again in place of a detector."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import burnish
from burnish.detection import rle
from burnish.detection.instances import Instances
from burnish.detection.polygon import fill_polygon
from burnish.errors import PhotoError, UsageError
from burnish.types import Pixels

# From here on a pixel belongs to an object.
MASK_THRESHOLD = 0.5


def to_coco(
    instances_by_name: Mapping[str, Instances], classes: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe the instances of several pictures as COCO's JSON, masks as packed run lengths.

    Parameters
    ----------
    instances_by_name : a picture's file name -> what is in it
    classes : names that get the ids from 1, in order; names beside them follow

    Returns
    -------
    dict with "images", "categories" and "annotations"; boxes are left, top, width, height, px, as
    tight as the mask; "score" is the detector's

    Examples
    --------
    >>> boxes = np.array([[1, 0, 3, 2]], np.float32)
    >>> one = Instances((4, 3), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> written = to_coco({"a.jpg": one})["annotations"][0]
    >>> written["bbox"], written["area"], written["segmentation"]
    ([1, 0, 2, 2], 4, {'size': [3, 4], 'counts': '32103'})
    """
    names = [*classes]
    names += sorted(
        {label for one in instances_by_name.values() for label in one.labels} - {*names}
    )
    ids = {name: number for number, name in enumerate(names, 1)}
    images = []
    annotations: list[dict[str, Any]] = []
    for number, (name, one) in enumerate(instances_by_name.items(), 1):
        width, height = one.size
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for index in range(len(one)):
            about = {"id": len(annotations) + 1, "image_id": number}
            about["category_id"] = ids[one.labels[index]]
            annotations.append(about | _annotation(one, index))
    return {
        "info": {"description": f"written by burnish {burnish.__version__}"},
        "images": images,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": annotations,
    }


def _annotation(instances: Instances, index: int) -> dict[str, Any]:
    mask = instances.mask(index) >= MASK_THRESHOLD
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [0, 0, 0, 0]
    if rows.size:
        left, top = int(columns[0]), int(rows[0])
        box = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
    return {
        "segmentation": {"size": [*mask.shape], "counts": rle.encode(mask)},
        "area": int(mask.sum()),
        "bbox": box,
        "iscrowd": 0,
        "score": round(float(instances.scores[index]), 5),
    }


@dataclass(frozen=True)
class ObjectsFile:
    """A file of instances, in place of a detector.

    Parameters
    ----------
    path : for messages
    classes : the names of its categories
    images : a picture's file name -> its width, height and annotations
    """

    path: Path
    classes: tuple[str, ...]
    images: Mapping[str, tuple[int, int, tuple[Mapping[str, Any], ...]]] = field(repr=False)
    category_names: Mapping[int, str] = field(repr=False)
    sha256: None = None

    @property
    def name(self) -> str:
        """How the file is called."""
        return self.path.name

    @classmethod
    def open(cls, path: str | Path) -> "ObjectsFile":
        """Read a file of COCO's JSON: run lengths, packed or plain, and polygons.

        Raises
        ------
        UsageError : it cannot be read, or is no such file
        """
        file = Path(path)
        try:
            content = json.loads(file.read_bytes())
            category_names = {int(one["id"]): str(one["name"]) for one in content["categories"]}
            annotations: dict[int, list[Mapping[str, Any]]] = {}
            for annotation in content["annotations"]:
                annotations.setdefault(int(annotation["image_id"]), []).append(annotation)
            name_counts = Counter(Path(str(one["file_name"])).name for one in content["images"])
            if duplicates := [name for name, times in name_counts.items() if times > 1]:
                raise ValueError(
                    f"{duplicates[0]!r} is the name of {name_counts[duplicates[0]]} pictures"
                )
            images = {
                Path(str(one["file_name"])).name: (
                    int(one["width"]),
                    int(one["height"]),
                    tuple(annotations.get(int(one["id"]), ())),
                )
                for one in content["images"]
            }
        except OSError as error:
            raise _invalid_file(file, error.strerror or str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _invalid_file(file, f"another ({type(error).__name__}: {error})") from error
        return cls(file, tuple(category_names.values()), images, category_names)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Return the instances of the picture called `source`, whatever its folder.

        Raises
        ------
        PhotoError : the file does not speak of the picture, has it in another size, or is broken
        """
        name = source.name if source else "a picture without a name"
        if name not in self.images:
            raise PhotoError(
                str(source or "picture"),
                expected=f"one of the {len(self.images)} pictures in {self.path}",
                got=name,
                remedy="name a file that speaks of it, or use a detector",
            )
        width, height, annotations = self.images[name]
        if pixels.shape[:2] != (height, width):
            raise PhotoError(
                str(source),
                expected=f"{width} x {height}, as {self.path} says",
                got=f"{pixels.shape[1]} x {pixels.shape[0]}",
                remedy="take the picture that was marked",
            )
        try:
            objects = list(self._read_annotations(annotations, (width, height)))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise _invalid_file(self.path, f"a broken annotation of {name} ({error})") from error
        objects.sort(key=lambda part: -part[0])
        return Instances(
            (width, height),
            np.array([part[1] for part in objects], np.float32).reshape(-1, 4),
            tuple(part[2] for part in objects),
            np.array([part[0] for part in objects], np.float32),
            tuple(part[3] for part in objects),
        )

    def _read_annotations(
        self, annotations: Sequence[Mapping[str, Any]], size: tuple[int, int]
    ) -> Iterator[tuple[float, list[int], str, NDArray[np.float32]]]:
        """Give score, box, class and mask of each annotation that has a mask with pixels in it."""
        for annotation in annotations:
            mask = _mask(annotation["segmentation"], size)
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if not rows.size:
                continue
            left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            box = [int(left), int(top), int(right), int(bottom)]
            part = mask[top:bottom, left:right].astype(np.float32)
            name = self.category_names[int(annotation["category_id"])]
            yield float(annotation.get("score", 1)), box, name, part


def _mask(segmentation: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    if isinstance(segmentation, list):
        return fill_polygon([np.array(ring, float).reshape(-1, 2) for ring in segmentation], size)
    return rle.decode(segmentation["counts"], size[1], size[0])


def _invalid_file(path: Path, problem: str) -> UsageError:
    return UsageError(
        str(path),
        expected="a file of instances in COCO's JSON (images, categories, annotations)",
        got=problem.lower() if problem.startswith("No ") else problem,
        remedy="`burnish regions list PHOTO --coco FILE` writes one",
    )
