"""RAISE: 8,156 raw photos of three Nikon cameras, meant for image forensics.

Dang-Nguyen, Pasquini, Conotter, Boato: RAISE: A Raw Images Dataset for Digital Image Forensics.
MMSys 2015. https://doi.org/10.1145/2713168.2713194, http://loki.disi.unitn.it/RAISE/

    RAISE_all.csv  RAISE_1k.csv ...     one row a photo; the columns File, NEF and TIFF hold its
                                        name and two addresses
    r000da54ft.NEF                      or r000da54ft.TIF; whoever downloads chooses the folders

The site gives out lists and not an archive, so files may lie anywhere below the folder. Of a photo
that is there as NEF and as TIFF the NEF is taken.
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
    """Find the photos.

    Raises
    ------
    UsageError : no such folder, no RAISE in it, or a photo that is there twice

    Warns
    -----
    UserWarning : photos that a list in the folder names are missing, or some are only there as
        TIFF, which LibRaw had no hand in
    """
    files = list_files(folder)
    finished = index_by_key(
        (path for path in files if path.suffix.lower() in TIFF_EXTENSIONS), photo_key
    )
    raw = index_by_key((path for path in files if path.suffix.lower() == ".nef"), photo_key)
    photos = finished | raw
    if not photos:
        raise UsageError(
            str(folder),
            expected="RAISE, NEF or TIF files such as r000da54ft.NEF",
            got="none",
            remedy="give the folder that they were downloaded to",
        )
    if raw and (tiff_only := sorted(finished.keys() - raw.keys())):
        warn(f"there only as TIFF, and taken as they are: {abbreviate(tiff_only)}")
    warn_missing([path for path in files if _LIST_FILE.fullmatch(path.name)], photo_key, photos)
    sources = (SourcePhoto(path.stem, own, path, {}) for own, path in sorted(photos.items()))
    return Collection(
        "raise", tuple(sources), photo_key, is_test, "half of the photos, by their names"
    )


def photo_key(name: str) -> str | None:
    """Return a photo's name in small letters, without extension.

    Examples
    --------
    >>> photo_key("r000da54ft.NEF"), photo_key("r000da54ft"), photo_key("holiday.NEF")
    ('r000da54ft', 'r000da54ft', None)
    """
    match = _NAME.fullmatch(name)
    return match[1].lower() if match else None


def is_test(key: str) -> bool:
    """Tell whether a photo is tested on: about half are, by the name alone.

    So it stays where it is when more photos are downloaded. RAISE has no split of its own.

    Examples
    --------
    >>> is_test("r000da54ft"), is_test("r00000000t")
    (False, True)
    """
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 0
