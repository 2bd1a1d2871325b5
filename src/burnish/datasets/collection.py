"""A public collection of photos on disk."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, reason, warn

# Returns the key of a photo for its name with or without extension, or None for a name that is not
# of the collection. Keys are unique in a collection.
KeyFunction = Callable[[str], str | None]


@dataclass(frozen=True)
class SourcePhoto:
    """One photo of a collection.

    Parameters
    ----------
    name : file name without extension
    key : identifies the photo within the collection
    photo : a camera's raw file, or an image
    edits : versions of the photo by experts, by the expert's letter
    """

    name: str
    key: str
    photo: Path
    edits: dict[str, Path]


@dataclass(frozen=True)
class Collection:
    """The photos of a collection that are on disk.

    Parameters
    ----------
    name : name on the command line
    sources : the photos, sorted by key
    key : function from a name to a photo's key
    is_test : whether the photo with a key is in the test split by default
    split_rule : description of `is_test`
    """

    name: str
    sources: tuple[SourcePhoto, ...]
    key: KeyFunction
    is_test: Callable[[str], bool]
    split_rule: str


def list_files(folder: str | Path) -> list[Path]:
    """Return all files below a folder, sorted, without hidden ones.

    Raises
    ------
    UsageError : there is no such folder
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(str(folder), "there is no such folder", "check the path")
    return sorted(path for path in root.rglob("*") if path.name[0] != "." and path.is_file())


def index_by_key(files: Iterable[Path], key: KeyFunction) -> dict[str, Path]:
    """Return the files by the keys of their photos.

    Raises
    ------
    UsageError : two files have the same key

    Warns
    -----
    UserWarning : files without a key are ignored

    Examples
    --------
    >>> index_by_key([Path("1.dng"), Path("2.dng")], key=lambda name: name[0])["2"].name
    '2.dng'
    """
    files_by_key: dict[str, Path] = {}
    unrecognised = []
    for path in files:
        photo_key = key(path.name)
        if photo_key is None:
            unrecognised.append(path.name)
        elif photo_key in files_by_key:
            problem = f"it is of the same photo as {files_by_key[photo_key]}"
            raise UsageError(str(path), problem, "move one of them away")
        else:
            files_by_key[photo_key] = path
    if unrecognised:
        warn(f"ignored, since the collection has no such names: {abbreviate(unrecognised)}")
    return files_by_key


def read_names(file: Path, key: KeyFunction) -> dict[str, str]:
    """Read a list of photos: one name a line, or the column File of a .csv file.

    Returns
    -------
    the names by key

    Raises
    ------
    UsageError : the list cannot be read, is empty, or has a name that is not of the collection
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() == ".csv":
            names = [row["File"] for row in csv.DictReader(text.splitlines())]
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(str(file), f"cannot be read: {reason(error)}", "check the path") from error
    except KeyError as error:
        remedy = "give the official .csv file"
        raise UsageError(str(file), "it has no column File", remedy) from error
    if not names:
        raise UsageError(str(file), "the list is empty", "list one photo a line")
    keys = {name: key(name) for name in names}
    if invalid := [name for name, photo_key in keys.items() if photo_key is None]:
        problem = f"the collection has no such photos: {abbreviate(invalid)}"
        raise UsageError(str(file), problem, "list one photo a line, with or without extension")
    return {photo_key: name for name, photo_key in keys.items() if photo_key is not None}


def warn_missing(lists: Sequence[Path], key: KeyFunction, available: Iterable[str]) -> None:
    """Compare the collection's own lists with the photos on disk.

    Warns
    -----
    UserWarning : photos of the lists are missing
    """
    listed: dict[str, str] = {}
    for file in lists:
        listed |= read_names(file, key)
    missing = [listed[photo_key] for photo_key in sorted(listed.keys() - set(available))]
    if missing:
        warn(
            f"{len(missing)} of the {len(listed)} photos in {abbreviate([f.name for f in lists])} "
            f"are missing: {abbreviate(missing)}"
        )


def abbreviate(names: Sequence[str], limit: int = 3) -> str:
    """Return the first names and the number of the others.

    Examples
    --------
    >>> abbreviate(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
