"""Read and write COCO's JSON of object instances.

One reader and one writer serve training, evaluation and editing, so that a file gives the same
masks everywhere. Polygons are filled and run lengths decoded by COCO's own rules, with
faster-coco-eval, whose masks equal those of pycocotools.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    Tag,
    ValidationError,
)

import burnish
from burnish.detection.instances import MASK_THRESHOLD, Instances, mask_box
from burnish.errors import PhotoError, UsageError, read_error
from burnish.modelfile.card import Text, first_error
from burnish.photo import Photo
from burnish.types import BoolMask, Pixels


def _check_pairs(polygon: list[float]) -> list[float]:
    if len(polygon) % 2:
        raise ValueError("a polygon has an odd number of coordinates")
    return polygon


_Coordinate = Annotated[float, Field(gt=-(10**6), lt=10**6, allow_inf_nan=False)]
_Polygon = Annotated[list[_Coordinate], Field(min_length=6), AfterValidator(_check_pairs)]


class RunLengths(BaseModel):
    """A mask as run lengths, column by column; `size` is its height and width."""

    size: tuple[int, int]
    counts: str | list[NonNegativeInt]


Segmentation = Annotated[
    Annotated[list[_Polygon], Field(min_length=1), Tag("polygons")]
    | Annotated[RunLengths, Tag("run lengths")],
    Discriminator(lambda value: "run lengths" if isinstance(value, dict) else "polygons"),
]


class _Category(BaseModel):
    id: int
    name: Text


class _Image(BaseModel):
    id: int
    file_name: Text
    width: PositiveInt
    height: PositiveInt


class _Annotation(BaseModel):
    image_id: int
    category_id: int
    segmentation: Segmentation
    iscrowd: int = 0
    score: float = Field(default=1.0, allow_inf_nan=False)


class _File(BaseModel):
    categories: list[_Category]
    images: list[_Image] = Field(min_length=1)
    annotations: list[_Annotation]


@dataclass(frozen=True)
class Annotation:
    """An object in an image.

    Parameters
    ----------
    label : the name of its category
    segmentation : polygons, each a list x, y, x, y … in px, or run lengths
    size : the image's width and height, px
    is_crowd : whether it stands for many objects that were not annotated one by one
    score : the detector's confidence, 0 to 1; 1 in a file without scores
    """

    label: str
    segmentation: Any
    size: tuple[int, int]
    is_crowd: bool = False
    score: float = 1.0

    def mask(self) -> BoolMask:
        """Return the pixels that the object covers: (H, W) bool; see `decode_mask`."""
        return decode_mask(self.segmentation, self.size)


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and the objects in it.

    `path` is the image's file name, with its folder after `read_dataset`; `size` is its width and
    height, px.
    """

    path: Path
    size: tuple[int, int]
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True)
class CocoDataset:
    """The content of a COCO file: annotated images, and the names of all categories."""

    source: Path
    images: tuple[AnnotatedImage, ...]
    categories: tuple[str, ...]


def decode_mask(segmentation: list[list[float]] | RunLengths, size: tuple[int, int]) -> BoolMask:
    """Return the mask of run lengths or of joined polygons: (H, W) bool.

    Parameters
    ----------
    size : the image's width and height, px

    Raises
    ------
    ValueError : the run lengths are malformed or belong to an image of another size

    Examples
    --------
    >>> decode_mask([[1, 0, 3, 0, 3, 2, 1, 2]], (4, 3)).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    # The import takes 0.1 s.
    from faster_coco_eval.core import mask as coco_mask

    width, height = size
    try:
        if isinstance(segmentation, RunLengths):
            if segmentation.size != (height, width):
                raise ValueError(
                    f"its run lengths are for {segmentation.size}, not {height, width}"
                )
            runs: Any = segmentation.model_dump()
            if isinstance(segmentation.counts, list):
                runs = coco_mask.frPyObjects(runs, height, width)
        else:
            runs = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        mask: BoolMask = coco_mask.decode(runs).astype(bool)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return mask


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


def read(source: str | Path) -> CocoDataset:
    """Read a COCO file of instances. The photos are not opened.

    Raises
    ------
    UsageError : the file cannot be read, or is not valid; the first error is named
    """
    path = Path(source)
    try:
        content = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise read_error(path, error, UsageError) from error
    except ValidationError as error:
        raise invalid_file(path, first_error(error)) from error
    names = {category.id: category.name for category in content.categories}
    sizes = {image.id: (image.width, image.height) for image in content.images}
    annotations: dict[int, list[Annotation]] = {key: [] for key in sizes}
    for number, entry in enumerate(content.annotations):
        if entry.image_id not in sizes:
            raise invalid_file(path, f"annotations.{number} has image_id {entry.image_id}")
        if entry.category_id not in names:
            raise invalid_file(path, f"annotations.{number} has category_id {entry.category_id}")
        label, size = names[entry.category_id], sizes[entry.image_id]
        annotations[entry.image_id].append(
            Annotation(label, entry.segmentation, size, bool(entry.iscrowd), entry.score)
        )
    images = tuple(
        AnnotatedImage(Path(image.file_name), sizes[image.id], tuple(annotations[image.id]))
        for image in content.images
    )
    return CocoDataset(path, images, tuple(names.values()))


def read_dataset(source: str | Path, image_dir: str | Path) -> CocoDataset:
    """Read a COCO file with its photos, and check photos and masks too.

    Raises
    ------
    UsageError : the file cannot be read, or is not valid; the first error is named
    PhotoError : a photo is missing, cannot be read, or has another size than the file states
    """
    dataset = read(source)
    images = []
    for image in dataset.images:
        path = Path(image_dir) / image.path
        if not path.is_file():
            remedy = "give the folder of the photos with --images"
            raise PhotoError(str(path), f"{source} names this photo, but it does not exist", remedy)
        check_size(path, Photo.size_of(path), image, dataset.source)
        image_masks(dataset.source, image)
        images.append(replace(image, path=path))
    return replace(dataset, images=tuple(images))


def image_masks(source: Path, image: AnnotatedImage) -> list[BoolMask]:
    """Return the masks of an image; raise a UsageError if run lengths are malformed."""
    try:
        return [annotation.mask() for annotation in image.annotations]
    except ValueError as error:
        problem = f"an annotation of {image.path.name} is malformed: {error}"
        raise invalid_file(source, problem) from error


def check_size(path: Path, size: tuple[int, int], image: AnnotatedImage, source: Path) -> None:
    """Raise a PhotoError if a photo's width and height are not those that a COCO file states."""
    if size != image.size:
        stated = f"{source} states {image.size[0]} x {image.size[1]}"
        problem = f"the photo is {size[0]} x {size[1]} px, but {stated}"
        raise PhotoError(str(path), problem, "give the photo that was annotated")


def invalid_file(path: Path, problem: str) -> UsageError:
    """Return the error for an invalid file."""
    return UsageError(
        str(path),
        f"not a valid COCO file of instances: {problem}",
        "`burnish regions list PHOTO --coco FILE` writes a valid one",
    )


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
        self, label: str, mask: BoolMask, *, is_crowd: bool = False, score: float | None = None
    ) -> None:
        """Add an object with its mask, (H, W), to the latest image. Its box encloses the mask."""
        left, top, right, bottom = mask_box(mask)
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
            writer.add_object(label, mask, score=float(instances.scores[index]))
    return writer.to_json()


@dataclass(frozen=True)
class ObjectsFile:
    """The objects of photos, as a COCO file lists them: a source of objects without a detector.

    Parameters
    ----------
    images : a photo's file name -> its annotations
    """

    path: Path
    classes: tuple[str, ...]
    images: Mapping[str, AnnotatedImage] = field(repr=False)
    sha256: None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @classmethod
    def open(cls, path: str | Path) -> "ObjectsFile":
        """Read a COCO file.

        Raises
        ------
        UsageError : the file cannot be read, is not valid, or gives two photos the same name
        """
        dataset = read(path)
        counts = Counter(image.path.name for image in dataset.images)
        name, count = counts.most_common(1)[0]
        if count > 1:
            raise invalid_file(dataset.source, f"{count} images are called {name}")
        images = {image.path.name: image for image in dataset.images}
        return cls(dataset.source, dataset.categories, images)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Return the instances of the photo with the name of `source`, in any folder.

        Raises
        ------
        PhotoError : the file does not list the photo, or lists it with another size
        UsageError : an annotation has malformed run lengths
        """
        name = source.name if source else "an image without a name"
        if name not in self.images:
            problem = f"{self.path} lists {len(self.images)} photos, but not {name}"
            remedy = "choose a file that lists it, or use a detector"
            raise PhotoError(str(source or "image"), problem, remedy)
        image = self.images[name]
        check_size(source or self.path, pixels.shape[1::-1], image, self.path)
        masks = image_masks(self.path, image)
        objects = [
            (annotation.score, annotation.label, mask, mask_box(mask))
            for annotation, mask in zip(image.annotations, masks, strict=True)
            if mask.any()
        ]
        objects.sort(key=lambda entry: -entry[0])
        return Instances(
            image.size,
            np.array([box for *_, box in objects], np.float32).reshape(-1, 4),
            tuple(label for _, label, *_ in objects),
            np.array([score for score, *_ in objects], np.float32),
            tuple(
                mask[top:bottom, left:right].astype(np.float32)
                for *_, mask, (left, top, right, bottom) in objects
            ),
        )
