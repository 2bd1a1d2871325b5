"""RAISE: 8,156 raw photos from three Nikon cameras, published for image forensics.

Dang-Nguyen, Pasquini, Conotter, Boato: RAISE: A Raw Images Dataset for Digital Image Forensics.
MMSys 2015. https://doi.org/10.1145/2713168.2713194, http://loki.disi.unitn.it/RAISE/

    RAISE_all.csv  RAISE_1k.csv ...     one row a photo; the columns File, NEF and TIFF contain its
                                        name and two addresses
    r000da54ft.NEF                      or r000da54ft.TIF, in any folder

The site offers lists of addresses and no archive, so files may be anywhere below the folder. If a
photo exists as NEF and as TIFF, the NEF is used.
"""

import hashlib
import re
from pathlib import Path

from burnish.datasets.collection import (
    Collection,
    SourcePhoto,
    abbreviate,
    index_by_key,
    list_files,
    warn_missing,
)
from burnish.errors import UsageError, warn

TIFF_EXTENSIONS = (".tif", ".tiff")
_NAME = re.compile(r"(r[0-9a-f]{8}t)(\.\w+)?", re.IGNORECASE)
_LIST_FILE = re.compile(r"raise_\w+\.csv", re.IGNORECASE)


def find(folder: str | Path) -> Collection:
    """Find the photos below a folder.

    Raises
    ------
    UsageError : the folder does not exist or has no photos of RAISE, or a photo has two files

    Warns
    -----
    UserWarning : photos of a list in the folder are missing, or are available as TIFF only, which
        is not developed by LibRaw
    """
    files = list_files(folder)
    tiffs = index_by_key(
        (path for path in files if path.suffix.lower() in TIFF_EXTENSIONS), photo_key
    )
    raw = index_by_key((path for path in files if path.suffix.lower() == ".nef"), photo_key)
    photos = tiffs | raw
    if not photos:
        raise UsageError(
            str(folder),
            "it contains no NEF or TIF files of RAISE, such as r000da54ft.NEF",
            "give the folder that they were downloaded to",
        )
    if raw and (tiff_only := sorted(tiffs.keys() - raw.keys())):
        warn(f"available as TIFF only, and used as such: {abbreviate(tiff_only)}")
    warn_missing([path for path in files if _LIST_FILE.fullmatch(path.name)], photo_key, photos)
    sources = (SourcePhoto(path.stem, key, path, {}) for key, path in sorted(photos.items()))
    return Collection(
        "raise", tuple(sources), photo_key, is_test, "half of the photos, by their names"
    )


def photo_key(name: str) -> str | None:
    """Return a photo's name in lower case, without extension.

    Examples
    --------
    >>> photo_key("r000da54ft.NEF"), photo_key("r000da54ft"), photo_key("holiday.NEF")
    ('r000da54ft', 'r000da54ft', None)
    """
    match = _NAME.fullmatch(name)
    return match[1].lower() if match else None


def is_test(key: str) -> bool:
    """Return whether a photo is in the test split: about half are, chosen by a hash of the name.

    The split of a photo does not change if more photos are downloaded. RAISE itself has no split.

    Examples
    --------
    >>> is_test("r000da54ft"), is_test("r00000000t")
    (False, True)
    """
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 0
