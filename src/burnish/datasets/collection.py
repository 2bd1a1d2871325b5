"""Public photo collections on disk: MIT-Adobe FiveK and RAISE, in their official layouts.

FiveK: 5,000 raw photos, each retouched by five experts. Bychkovsky, Paris, Chan, Durand: Learning
Photographic Global Tonal Adjustment with a Database of Input/Output Image Pairs. CVPR 2011.
https://data.csail.mit.edu/graphics/fivek/

    fivek_dataset/                              the content of fivek_dataset.tar
        filesAdobe.txt  filesAdobeMIT.txt       the photos' names, by licence
        raw_photos/HQa1to700/photos/a0001-jmac_DSC1459.dng
    tiff16_a/a0001-jmac_DSC1459.tif             16 bits, ProPhoto RGB; also tiff16_b to tiff16_e

RAISE: 8,156 raw photos from three Nikon cameras. Dang-Nguyen, Pasquini, Conotter, Boato: RAISE: A
Raw Images Dataset for Digital Image Forensics. MMSys 2015. https://doi.org/10.1145/2713168.2713194

    RAISE_all.csv  RAISE_1k.csv ...             one row a photo, with its name in the column File
    r000da54ft.NEF                              or r000da54ft.TIF

Only the names matter: DNG and NEF files may be anywhere below the folder, for example as downloaded
one by one, and the TIFFs of FiveK in any folders tiff16_a to tiff16_e.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, reason, warn

EXPERTS = "ABCDE"
TIFF_EXTENSIONS = (".tif", ".tiff")
# FiveK identifies photos by number. Published test lists contain bare numbers.
_FIVEK_NAME = re.compile(r"a?(\d{1,4})(-.+)?")
_FIVEK_LISTS = re.compile(r"filesadobe(mit)?\.txt", re.IGNORECASE)
_RAISE_NAME = re.compile(r"(r[0-9a-f]{8}t)(\.\w+)?", re.IGNORECASE)
_RAISE_LISTS = re.compile(r"raise_\w+\.csv", re.IGNORECASE)

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


def find_fivek(folder: Path, experts: str = "") -> Collection:
    """Find the photos of FiveK below a folder, and the versions of some experts, A to E.

    Raises
    ------
    UsageError : the folder does not exist or has no photos of FiveK, there is no such expert, or a
        photo has two files

    Warns
    -----
    UserWarning : photos of the official lists are missing
    """
    files = _list_files(folder)
    photos = _index_by_key(files, fivek_key, (".dng",))
    if not photos:
        raise UsageError(
            str(folder),
            "it contains no DNG files of MIT-Adobe FiveK, such as a0001-jmac_DSC1459.dng",
            "give the folder that fivek_dataset.tar was unpacked to",
        )
    _check_lists(files, _FIVEK_LISTS, fivek_key, photos)
    edits = {expert: _find_edits(files, expert, folder) for expert in experts}
    sources = tuple(
        SourcePhoto(path.stem, key, path, {e: edits[e][key] for e in edits if key in edits[e]})
        for key, path in sorted(photos.items())
    )
    return Collection("fivek", sources, fivek_key, is_fivek_test, "photos of an even number")


def fivek_key(name: str) -> str | None:
    """Return the number of a photo, with four digits, from its name or the bare number.

    Examples
    --------
    >>> fivek_key("a0001-jmac_DSC1459.dng"), fivek_key("1"), fivek_key("holiday.dng")
    ('0001', '0001', None)
    """
    match = _FIVEK_NAME.fullmatch(name)
    return match[1].zfill(4) if match else None


def is_fivek_test(key: str) -> bool:
    """Return whether a photo is in the test split: the half of the photos with even numbers.

    The paper uses 2,500 photos for training and 2,500 for testing, but did not publish the split.
    """
    return int(key) % 2 == 0


def _find_edits(files: Sequence[Path], expert: str, folder: Path) -> dict[str, Path]:
    if expert not in EXPERTS:
        remedy = f"choose from {', '.join(EXPERTS)}"
        raise UsageError("--expert", f"there is no expert {expert!r}", remedy)
    name = f"tiff16_{expert.lower()}"
    edits = _index_by_key(
        [path for path in files if path.parent.name.lower() == name], fivek_key, TIFF_EXTENSIONS
    )
    if not edits:
        raise UsageError(
            str(folder),
            f"it contains no folder {name} with the TIFF files of expert {expert}",
            f"download them from https://data.csail.mit.edu/graphics/fivek/img/{name}/",
        )
    return edits


def find_raise(folder: Path) -> Collection:
    """Find the photos of RAISE below a folder; a photo's NEF file is preferred to its TIFF.

    Raises
    ------
    UsageError : the folder does not exist or has no photos of RAISE, or a photo has two files

    Warns
    -----
    UserWarning : photos of a list in the folder are missing, or are available as TIFF only, which
        is not developed by LibRaw
    """
    files = _list_files(folder)
    tiffs = _index_by_key(files, raise_key, TIFF_EXTENSIONS)
    raw = _index_by_key(files, raise_key, (".nef",))
    photos = tiffs | raw
    if not photos:
        raise UsageError(
            str(folder),
            "it contains no NEF or TIF files of RAISE, such as r000da54ft.NEF",
            "give the folder that they were downloaded to",
        )
    if raw and (tiff_only := sorted(tiffs.keys() - raw.keys())):
        warn(f"available as TIFF only, and used as such: {abbreviate(tiff_only)}")
    _check_lists(files, _RAISE_LISTS, raise_key, photos)
    sources = tuple(SourcePhoto(path.stem, key, path, {}) for key, path in sorted(photos.items()))
    rule = "half of the photos, by their names"
    return Collection("raise", sources, raise_key, is_raise_test, rule)


def raise_key(name: str) -> str | None:
    """Return a photo's name in lower case, without extension.

    Examples
    --------
    >>> raise_key("r000da54ft.NEF"), raise_key("r000da54ft"), raise_key("holiday.NEF")
    ('r000da54ft', 'r000da54ft', None)
    """
    match = _RAISE_NAME.fullmatch(name)
    return match[1].lower() if match else None


def is_raise_test(key: str) -> bool:
    """Return whether a photo is in the test split: about half, chosen by a hash of the name.

    RAISE itself has no split.

    Examples
    --------
    >>> is_raise_test("r000da54ft"), is_raise_test("r00000000t")
    (False, True)
    """
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 0


def read_names(file: Path, key: KeyFunction) -> dict[str, str]:
    """Return the names in a list of photos by their keys.

    A list has one name a line, or is a .csv file with a column File.

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


def warn_missing(listed: dict[str, str], available: Set[str], lists: str) -> None:
    """Warn if photos of `lists`, names by key, are not among the available keys."""
    if missing := [listed[key] for key in sorted(listed.keys() - available)]:
        count = f"{len(missing)} of the {len(listed)} photos"
        warn(f"{count} in {lists} are missing: {abbreviate(missing)}")


def abbreviate(names: Sequence[str]) -> str:
    """Return the first three names and the number of the others.

    Examples
    --------
    >>> abbreviate(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _list_files(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted, without hidden ones."""
    if not folder.is_dir():
        raise UsageError(str(folder), "there is no such folder", "check the path")
    return sorted(path for path in folder.rglob("*") if path.name[0] != "." and path.is_file())


def _index_by_key(
    files: Iterable[Path], key: KeyFunction, extensions: Sequence[str]
) -> dict[str, Path]:
    """Return the files with these extensions by the keys of their photos.

    Files without a key are ignored with a warning. Two files with the same key are an error.
    """
    files_by_key: dict[str, Path] = {}
    unrecognised = []
    for path in files:
        if path.suffix.lower() not in extensions:
            continue
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


def _check_lists(
    files: Iterable[Path], list_name: re.Pattern[str], key: KeyFunction, photos: dict[str, Path]
) -> None:
    """Warn if photos are missing that are in the collection's own lists among the files."""
    lists = [path for path in files if list_name.fullmatch(path.name)]
    listed: dict[str, str] = {}
    for file in lists:
        listed |= read_names(file, key)
    warn_missing(listed, photos.keys(), abbreviate([file.name for file in lists]))
