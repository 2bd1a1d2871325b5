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
class Outlined:
    """An object in a photo.

    Parameters
    ----------
    label : the name of its category
    crowd : it stands for many that nobody has told apart
    outline : polygons, each a list x, y, x, y … px, or a record of run lengths
    size : the photo's width and height, px
    """

    label: str
    crowd: bool
    outline: Any
    size: tuple[int, int]

    def mask(self) -> BoolMask:
        """Return which pixels it covers: (H, W)."""
        width, height = self.size
        if isinstance(self.outline, dict):
            return rle.decode(self.outline["counts"], height, width)
        # Polygons are filled by the rules of COCO's own programs, which an extra brings.
        from faster_coco_eval.core import mask as theirs

        filled = theirs.merge(theirs.frPyObjects(self.outline, height, width))
        mask: BoolMask = theirs.decode(filled).astype(bool)
        return mask


@dataclass(frozen=True)
class Picture:
    """A photo and what is outlined in it; `size` is its width and height, px."""

    path: Path
    size: tuple[int, int]
    objects: tuple[Outlined, ...]


@dataclass(frozen=True)
class CocoSet:
    """Photos with outlined objects, and the names of all categories."""

    source: Path
    pictures: tuple[Picture, ...]
    categories: tuple[str, ...]


def read(source: str | Path, images: str | Path) -> CocoSet:
    """Read a COCO file of instances; all of it is checked, and every photo is there.

    Parameters
    ----------
    source : the JSON file
    images : the folder of the photos

    Raises
    ------
    UsageError : the file is none, or something in it is wrong; the first fault is named
    PhotoError : a photo is missing, broken, or of another size than the file says
    """
    path, folder = Path(source), Path(images)
    data = _loaded(path)
    categories = {
        _whole(entry, "id", path): _text(entry, "name", path)
        for entry in _list(data, "categories", path)
    }
    pictures: dict[int, tuple[str, tuple[int, int]]] = {}
    for entry in _list(data, "images", path):
        size = _whole(entry, "width", path), _whole(entry, "height", path)
        if min(size) < 1:
            raise _wrong(path, f"image {entry.get('id')}", "a width and a height", f"{size}")
        pictures[_whole(entry, "id", path)] = (_text(entry, "file_name", path), size)
    objects: dict[int, list[Outlined]] = {key: [] for key in pictures}
    for entry in _list(data, "annotations", path):
        key = _whole(entry, "image_id", path)
        if key not in pictures:
            raise _wrong(path, _name(entry), "the id of an image", f"image_id {key}")
        objects[key].append(_outlined(entry, pictures[key][1], categories, path))
    found = tuple(
        Picture(_photo(folder, name, size), size, tuple(objects[key]))
        for key, (name, size) in pictures.items()
    )
    if not found:
        raise _wrong(path, "images", "at least one", "none")
    return CocoSet(path, found, tuple(categories.values()))


def _outlined(
    entry: dict[str, Any], size: tuple[int, int], categories: dict[int, str], path: Path
) -> Outlined:
    category = _whole(entry, "category_id", path)
    if category not in categories:
        raise _wrong(path, _name(entry), "a known category", f"category_id {category}")
    outline = entry.get("segmentation")
    found = Outlined(categories[category], bool(entry.get("iscrowd")), outline, size)
    if isinstance(outline, dict):
        width, height = size
        if outline.get("size") != [height, width]:
            got = f"run lengths of size {outline.get('size')}"
            raise _wrong(
                path, _name(entry), f"the image's height and width, {height}, {width}", got
            )
        try:
            found.mask()
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise _wrong(path, _name(entry), "run lengths of the image", str(error)) from error
        return found
    if not isinstance(outline, list) or not outline:
        raise _wrong(path, _name(entry), "polygons or run lengths", "an empty segmentation")
    for polygon in outline:
        if not _is_polygon(polygon):
            got = f"a polygon of {len(polygon) if isinstance(polygon, list) else 0} numbers"
            raise _wrong(path, _name(entry), "polygons of at least 3 points x, y", got)
    return found


def _is_polygon(polygon: Any) -> bool:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return False
    return all(isinstance(value, int | float) and abs(value) < 10**6 for value in polygon)


def _photo(folder: Path, name: str, size: tuple[int, int]) -> Path:
    path = folder / name
    if not path.is_file():
        raise PhotoError(
            str(path),
            expected="a photo that the COCO file names",
            got="no such file",
            remedy="give the folder of its photos with --images",
        )
    there = Photo.size_of(path)
    if there != size:
        raise PhotoError(
            str(path),
            expected=f"{size[0]} x {size[1]} px, as the COCO file says",
            got=f"{there[0]} x {there[1]} px",
            remedy="give the photos that were outlined",
        )
    return path


def _loaded(path: Path) -> dict[str, Any]:
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
        raise _wrong(path, "the file", "a record", type(data).__name__)
    return data


def _list(data: dict[str, Any], field: str, path: Path) -> Iterator[dict[str, Any]]:
    entries = data.get(field)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong(path, field, "a list of records", "none" if entries is None else "others")
    yield from entries


def _whole(entry: dict[str, Any], field: str, path: Path) -> int:
    value = entry.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(path, _name(entry), f"a whole number as {field}", repr(value)[:80])
    return value


def _text(entry: dict[str, Any], field: str, path: Path) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise _wrong(path, _name(entry), f"a text as {field}", repr(value)[:80])
    return value


def _name(entry: dict[str, Any]) -> str:
    return f"the entry with id {str(entry.get('id'))[:40]}"


def _wrong(path: Path, what: str, expected: str, got: str) -> BurnishError:
    return UsageError(f"{path}, {what}", expected=expected, got=got, remedy="correct the file")
