"""COCO: photos with outlined objects, as the widespread JSON format tells of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.detection import rle
from burnish.errors import BurnishError, PhotoError, UsageError
from burnish.photo import Photo
from burnish.types import BoolMask


@dataclass(frozen=True)
class Annotation:
    """An object in a photo.

    Parameters
    ----------
    label : the name of its category
    is_crowd : it stands for many that nobody has told apart
    segmentation : polygons, each a list x, y, x, y … px, or a record of run lengths
    size : the photo's width and height, px
    """

    label: str
    is_crowd: bool
    segmentation: Any
    size: tuple[int, int]

    def mask(self) -> BoolMask:
        """Return which pixels it covers: (H, W)."""
        width, height = self.size
        if isinstance(self.segmentation, dict):
            return rle.decode(self.segmentation["counts"], height, width)
        # Polygons are filled by the rules of COCO's own programs, which an extra brings.
        from faster_coco_eval.core import mask as theirs

        filled = theirs.merge(theirs.frPyObjects(self.segmentation, height, width))
        mask: BoolMask = theirs.decode(filled).astype(bool)
        return mask


@dataclass(frozen=True)
class AnnotatedImage:
    """A photo and what is outlined in it; `size` is its width and height, px."""

    path: Path
    size: tuple[int, int]
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True)
class CocoDataset:
    """Photos with outlined objects, and the names of all categories."""

    source: Path
    images: tuple[AnnotatedImage, ...]
    categories: tuple[str, ...]


def read_dataset(source: str | Path, image_dir: str | Path) -> CocoDataset:
    """Read a COCO file of instances; all of it is checked, and every photo is there.

    Parameters
    ----------
    source : the JSON file
    image_dir : the folder of the photos

    Raises
    ------
    UsageError : the file is none, or something in it is wrong; the first fault is named
    PhotoError : a photo is missing, broken, or of another size than the file says
    """
    path, folder = Path(source), Path(image_dir)
    data = _load_json(path)
    categories = {
        _get_int(entry, "id", path): _get_text(entry, "name", path)
        for entry in _get_records(data, "categories", path)
    }
    image_entries: dict[int, tuple[str, tuple[int, int]]] = {}
    for entry in _get_records(data, "images", path):
        size = _get_int(entry, "width", path), _get_int(entry, "height", path)
        if min(size) < 1:
            raise _format_error(path, f"image {entry.get('id')}", "a width and a height", f"{size}")
        image_entries[_get_int(entry, "id", path)] = (_get_text(entry, "file_name", path), size)
    annotations: dict[int, list[Annotation]] = {key: [] for key in image_entries}
    for entry in _get_records(data, "annotations", path):
        key = _get_int(entry, "image_id", path)
        if key not in image_entries:
            raise _format_error(path, _entry_name(entry), "the id of an image", f"image_id {key}")
        annotations[key].append(_parse_annotation(entry, image_entries[key][1], categories, path))
    dataset_images = tuple(
        AnnotatedImage(_photo_path(folder, name, size), size, tuple(annotations[key]))
        for key, (name, size) in image_entries.items()
    )
    if not dataset_images:
        raise _format_error(path, "images", "at least one", "none")
    return CocoDataset(path, dataset_images, tuple(categories.values()))


def _parse_annotation(
    entry: dict[str, Any], size: tuple[int, int], categories: dict[int, str], path: Path
) -> Annotation:
    category = _get_int(entry, "category_id", path)
    if category not in categories:
        raise _format_error(path, _entry_name(entry), "a known category", f"category_id {category}")
    segmentation = entry.get("segmentation")
    annotation = Annotation(categories[category], bool(entry.get("iscrowd")), segmentation, size)
    if isinstance(segmentation, dict):
        width, height = size
        if segmentation.get("size") != [height, width]:
            got = f"run lengths of size {segmentation.get('size')}"
            raise _format_error(
                path, _entry_name(entry), f"the image's height and width, {height}, {width}", got
            )
        try:
            annotation.mask()
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise _format_error(
                path, _entry_name(entry), "run lengths of the image", str(error)
            ) from error
        return annotation
    if not isinstance(segmentation, list) or not segmentation:
        raise _format_error(
            path, _entry_name(entry), "polygons or run lengths", "an empty segmentation"
        )
    for polygon in segmentation:
        if not _is_polygon(polygon):
            got = f"a polygon of {len(polygon) if isinstance(polygon, list) else 0} numbers"
            raise _format_error(path, _entry_name(entry), "polygons of at least 3 points x, y", got)
    return annotation


def _is_polygon(polygon: Any) -> bool:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return False
    return all(isinstance(value, int | float) and abs(value) < 10**6 for value in polygon)


def _photo_path(folder: Path, name: str, size: tuple[int, int]) -> Path:
    path = folder / name
    if not path.is_file():
        raise PhotoError(
            str(path),
            expected="a photo that the COCO file names",
            got="no such file",
            remedy="give the folder of its photos with --images",
        )
    actual_size = Photo.size_of(path)
    if actual_size != size:
        raise PhotoError(
            str(path),
            expected=f"{size[0]} x {size[1]} px, as the COCO file says",
            got=f"{actual_size[0]} x {actual_size[1]} px",
            remedy="give the photos that were outlined",
        )
    return path


def _load_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(
            str(path),
            expected="a COCO file",
            got=(error.strerror or str(error)).lower(),
            remedy="check the path",
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            str(path), expected="JSON", got=str(error)[:200], remedy="give a COCO file of instances"
        ) from error
    if not isinstance(data, dict):
        raise _format_error(path, "the file", "a record", type(data).__name__)
    return data


def _get_records(data: dict[str, Any], field: str, path: Path) -> Iterator[dict[str, Any]]:
    entries = data.get(field)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _format_error(
            path, field, "a list of records", "none" if entries is None else "others"
        )
    yield from entries


def _get_int(entry: dict[str, Any], field: str, path: Path) -> int:
    value = entry.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _format_error(
            path, _entry_name(entry), f"a whole number as {field}", repr(value)[:80]
        )
    return value


def _get_text(entry: dict[str, Any], field: str, path: Path) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise _format_error(path, _entry_name(entry), f"a text as {field}", repr(value)[:80])
    return value


def _entry_name(entry: dict[str, Any]) -> str:
    return f"the entry with id {str(entry.get('id'))[:40]}"


def _format_error(path: Path, field: str, expected: str, got: str) -> BurnishError:
    return UsageError(f"{path}, {field}", expected=expected, got=got, remedy="correct the file")
