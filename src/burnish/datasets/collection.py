"""A public collection of photos as it lies on somebody's disk, whichever one it is."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, warn

# Returns what tells a photo from the others, from its name with or without extension; None where
# the name is none of the collection's.
KeyFunction = Callable[[str], str | None]


@dataclass(frozen=True)
class SourcePhoto:
    """One photo of a collection.

    Parameters
    ----------
    name : the file's name without extension
    key : what tells it from the others
    photo : a camera's raw file, or a finished picture
    edits : an expert's letter -> that expert's version of it
    """

    name: str
    key: str
    photo: Path
    edits: dict[str, Path]


@dataclass(frozen=True)
class Collection:
    """What was found of a collection.

    Parameters
    ----------
    name : what it is called on the command line
    sources : its photos, sorted by key
    key : from a name to a photo's key
    is_test : whether the photo of a key is tested on where nobody says otherwise
    split_rule : that rule in words
    """

    name: str
    sources: tuple[SourcePhoto, ...]
    key: KeyFunction
    is_test: Callable[[str], bool]
    split_rule: str


def list_files(folder: str | Path) -> list[Path]:
    """Return all files below a folder, sorted; hidden ones are none of a collection's.

    Raises
    ------
    UsageError : no such folder
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(
            str(folder),
            expected="the folder that the collection lies in",
            got="a file" if root.exists() else "no such folder",
            remedy="check the path",
        )
    return sorted(path for path in root.rglob("*") if path.name[0] != "." and path.is_file())


def index_by_key(files: Iterable[Path], key: KeyFunction) -> dict[str, Path]:
    """Return the files by their photos' keys; foreign ones are left out, and that is said.

    Raises
    ------
    UsageError : two files of the same photo

    Warns
    -----
    UserWarning : a file of the right kind whose name is none of the collection's

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
            raise UsageError(
                str(path),
                expected="one file of each photo",
                got=f"another of the same photo, {files_by_key[photo_key]}",
                remedy="move one of them away",
            )
        else:
            files_by_key[photo_key] = path
    if unrecognised:
        warn(f"left out, as their names are none of the collection's: {abbreviate(unrecognised)}")
    return files_by_key


def read_names(file: Path, key: KeyFunction) -> dict[str, str]:
    """Read a list of photos: one name a line, or the column File of a .csv.

    Returns
    -------
    key -> name as it stands in the list

    Raises
    ------
    UsageError : the list cannot be read, is empty, or names something else
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() == ".csv":
            names = [row["File"] for row in csv.DictReader(text.splitlines())]
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise _list_error(file, str(error), "check the path") from error
    except KeyError as error:
        raise _list_error(file, "a .csv without a column File", "give the official one") from error
    keys = {name: key(name) for name in names}
    invalid = [name for name, own in keys.items() if own is None]
    if invalid or not keys:
        got = f"{abbreviate(invalid)} in it" if invalid else "an empty file"
        raise _list_error(file, got, "name one photo a line, with or without extension")
    return {own: name for name, own in keys.items() if own is not None}


def warn_missing(lists: Sequence[Path], key: KeyFunction, available: Iterable[str]) -> None:
    """Say which photos the collection's own lists name and the disk does not hold.

    Warns
    -----
    UserWarning : some are missing; part of a collection is as good as any folder of photos
    """
    listed: dict[str, str] = {}
    for file in lists:
        listed |= read_names(file, key)
    missing = [listed[own] for own in sorted(listed.keys() - set(available))]
    if missing:
        warn(
            f"{len(missing)} of the {len(listed)} photos that {abbreviate([f.name for f in lists])} "
            f"name are not there: {abbreviate(missing)}"
        )


def abbreviate(names: Sequence[str], limit: int = 3) -> str:
    """Name the first of many.

    Examples
    --------
    >>> abbreviate(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _list_error(file: Path, got: str, remedy: str) -> UsageError:
    return UsageError(
        str(file), expected="a list of the collection's photos", got=got, remedy=remedy
    )
