"""Write COCO's JSON of object instances."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import burnish
from burnish.detection.instances import MASK_THRESHOLD, Instances, mask_box
from burnish.types import BoolMask


def encode_mask(mask: BoolMask) -> dict[str, Any]:
    """Return a mask's compressed run lengths, as COCO's JSON has them.

    Examples
    --------
    >>> encode_mask(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': '13'}
    """
    from faster_coco_eval.core import mask as coco_mask

    counts: bytes = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return {"size": [*mask.shape], "counts": counts.decode()}


class CocoWriter:
    """Builds the content of a COCO file.

    Ids count from 1. Those of categories follow the given order, those of images the order in which
    they are added.
    """

    def __init__(self, categories: Sequence[str]) -> None:
        self.category_ids = {name: number for number, name in enumerate(categories, 1)}
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add_image(self, file_name: str, size: tuple[int, int]) -> None:
        """Add an image of a width and height in px. The next objects belong to it."""
        entry = {"id": len(self.images) + 1, "file_name": file_name}
        self.images.append(entry | {"width": size[0], "height": size[1]})

    def add_object(
        self,
        label: str,
        mask: BoolMask,
        *,
        is_crowd: bool = False,
        score: float | None = None,
        box: NDArray[np.floating] | None = None,
    ) -> None:
        """Add an object with its mask, (H, W), to the latest image. Its box encloses the mask.

        Parameters
        ----------
        box : left, top, right, bottom, px, of an object without any pixel
        """
        left, top, right, bottom = mask_box(mask)
        if right == left and box is not None:
            left, top, right, bottom = map(int, box)
        entry = {
            "id": len(self.annotations) + 1,
            "image_id": len(self.images),
            "category_id": self.category_ids[label],
            "segmentation": encode_mask(mask),
            "area": int(mask.sum()),
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": int(is_crowd),
        }
        self.annotations.append(entry if score is None else entry | {"score": round(score, 5)})

    def to_json(self) -> dict[str, Any]:
        """Return the file's content, ready for `json.dump`."""
        return {
            "info": {"description": f"written by burnish {burnish.__version__}"},
            "images": self.images,
            "categories": [{"id": id, "name": name} for name, id in self.category_ids.items()],
            "annotations": self.annotations,
        }


def to_coco(
    instances_by_name: Mapping[str, Instances], classes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the instances of several images, with their scores, as the content of a COCO file.

    Parameters
    ----------
    instances_by_name : an image's file name -> its instances
    classes : names that get the ids from 1, in order; other labels follow, sorted

    Examples
    --------
    >>> boxes = np.array([[1, 0, 3, 2]], np.float32)
    >>> cat = Instances((4, 3), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> annotation = to_coco({"a.jpg": cat})["annotations"][0]
    >>> annotation["bbox"], annotation["area"], annotation["segmentation"]
    ([1, 0, 2, 2], 4, {'size': [3, 4], 'counts': '32103'})
    """
    labels = {label for instances in instances_by_name.values() for label in instances.labels}
    writer = CocoWriter([*classes, *sorted(labels - {*classes})])
    for name, instances in instances_by_name.items():
        writer.add_image(name, instances.size)
        for index, label in enumerate(instances.labels):
            mask = instances.mask(index) >= MASK_THRESHOLD
            score, box = float(instances.scores[index]), instances.boxes[index]
            writer.add_object(label, mask, score=score, box=box)
    return writer.to_json()
