"""Read COCO's JSON of object instances.

One reader serves training, evaluation and editing, so that a file gives the same masks
everywhere. Polygons are filled and run lengths decoded by COCO's own rules, with
faster-coco-eval, whose masks equal those of pycocotools.
"""

import math
from dataclasses import dataclass, replace
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
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from burnish.errors import PhotoError, UsageError, read_error
from burnish.files import is_file
from burnish.modelfile.base_card import Text, first_error
from burnish.photo import Photo
from burnish.types import BoolMask


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


@dataclass(frozen=True)
class _Invalid:
    """Stands for a value that cannot be used."""

    problem: str


def _keep_problem(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        return _Invalid(first_error(error))


def _check_area(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError("a box has no area")
    return box


# Left, top, width, height, px.
_Box = Annotated[
    tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate], AfterValidator(_check_area)
]


class _Annotation(BaseModel):
    """One of the two, outline or box, may be invalid; see `Annotation.cover`."""

    image_id: int
    category_id: int
    segmentation: Annotated[Segmentation, WrapValidator(_keep_problem)] | _Invalid = _Invalid(
        "is missing"
    )
    bbox: Annotated[_Box, WrapValidator(_keep_problem)] | _Invalid = _Invalid("is missing")
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
    segmentation : polygons, each a list x, y, x, y … in px, or run lengths; None if it is invalid
    size : the image's width and height, px
    is_crowd : whether it stands for many objects that were not annotated one by one
    score : the detector's confidence, 0 to 1; 1 in a file without scores
    box : left, top, width, height, px; None if it is invalid
    problem : why the segmentation is invalid
    """

    label: str
    segmentation: Any
    size: tuple[int, int]
    is_crowd: bool = False
    score: float = 1.0
    box: tuple[float, float, float, float] | None = None
    problem: str = ""

    def mask(self) -> BoolMask:
        """Return the pixels inside the outline: (H, W) bool; see `decode_mask`.

        Raises
        ------
        ValueError : the segmentation is invalid
        """
        if self.segmentation is None:
            raise ValueError(self.problem)
        return decode_mask(self.segmentation, self.size)

    def cover(self) -> tuple[BoolMask, bool]:
        """Return the pixels of the object, (H, W) bool, and whether they are those of its box.

        The box is used if the outline is invalid or encloses at most one pixel.

        Raises
        ------
        ValueError : neither the outline nor the box covers a pixel
        """
        try:
            mask = self.mask()
        except ValueError:
            mask = np.zeros(self.size[::-1], bool)
        box_mask = self._box_mask()
        if mask.sum() <= 1 and box_mask.any():
            return box_mask, not np.array_equal(mask, box_mask)
        if not mask.any():
            raise ValueError("neither its outline nor its box covers a pixel")
        return mask, False

    def _box_mask(self) -> BoolMask:
        """Return the pixels that the box touches: (H, W) bool."""
        mask = np.zeros(self.size[::-1], bool)
        if self.box is not None:
            left, top, width, height = self.box
            rows = slice(max(0, math.floor(top)), max(0, math.ceil(top + height)))
            columns = slice(max(0, math.floor(left)), max(0, math.ceil(left + width)))
            mask[rows, columns] = True
        return mask


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
    """The content of a COCO file: annotated images, and the names of all categories.

    `orphans` are the image ids of annotations whose image the file does not list.
    """

    source: Path
    images: tuple[AnnotatedImage, ...]
    categories: tuple[str, ...]
    orphans: tuple[int, ...] = ()


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


def read(source: str | Path) -> CocoDataset:
    """Read a COCO file of instances. The photos are not opened, and outlines may be invalid.

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
    orphans = []
    for number, entry in enumerate(content.annotations):
        if entry.category_id not in names:
            problem = f"annotations.{number} has category_id {entry.category_id}"
            raise invalid_file(path, f"{problem}, which is none of its categories")
        if entry.image_id not in sizes:
            orphans.append(entry.image_id)
            continue
        outline, box = entry.segmentation, entry.bbox
        annotations[entry.image_id].append(
            Annotation(
                names[entry.category_id],
                None if isinstance(outline, _Invalid) else outline,
                sizes[entry.image_id],
                bool(entry.iscrowd),
                entry.score,
                None if isinstance(box, _Invalid) else box,
                f"annotations.{number}.segmentation: {outline.problem}"
                if isinstance(outline, _Invalid)
                else "",
            )
        )
    images = tuple(
        AnnotatedImage(Path(image.file_name), sizes[image.id], tuple(annotations[image.id]))
        for image in content.images
    )
    return CocoDataset(path, images, tuple(names.values()), tuple(orphans))


def read_dataset(source: str | Path, image_dir: str | Path) -> CocoDataset:
    """Read a COCO file with its photos, and check photos, outlines and image ids too.

    Raises
    ------
    UsageError : the file cannot be read, or is not valid; the first error is named
    PhotoError : a photo is missing, cannot be read, or has another size than the file states
    """
    dataset = read(source)
    if dataset.orphans:
        problem = f"an annotation has image_id {dataset.orphans[0]}, which is none of its images"
        raise invalid_file(dataset.source, problem)
    images = []
    for image in dataset.images:
        path = Path(image_dir) / image.path
        if not is_file(path):
            remedy = "give the folder of the photos with --images"
            raise PhotoError(str(path), f"{source} names this photo, but it does not exist", remedy)
        check_size(path, Photo.size_of(path), image, dataset.source)
        image_masks(dataset.source, image)
        images.append(replace(image, path=path))
    return replace(dataset, images=tuple(images))


def image_masks(source: Path, image: AnnotatedImage) -> list[BoolMask]:
    """Return the masks of an image; raise a UsageError if an outline is invalid."""
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
