"""MIT-Adobe FiveK: 5,000 raw photos, each retouched by five experts.

Bychkovsky, Paris, Chan, Durand: Learning Photographic Global Tonal Adjustment with a Database of
Input/Output Image Pairs. CVPR 2011. https://data.csail.mit.edu/graphics/fivek/

    fivek_dataset/                              what fivek_dataset.tar unpacks to
        filesAdobe.txt  filesAdobeMIT.txt       the photos' names, under either licence
        raw_photos/HQa1to700/photos/a0001-jmac_DSC1459.dng
        ...        HQa4201to5000/photos/
    tiff16_a/a0001-jmac_DSC1459.tif             16 bits, ProPhoto RGB; from the site, img/tiff16_a/
    ...
    tiff16_e/

Only names are relied on: the DNG files may lie anywhere below the folder, also as the site's single
downloads img/dng/a0001-jmac_DSC1459.dng, and the TIFFs in folders called tiff16_a to tiff16_e.
"""

import re
from pathlib import Path

from burnish.datasets.collection import (
    Collection,
    SourcePhoto,
    index_by_key,
    list_files,
    warn_missing,
)
from burnish.errors import UsageError

EXPERTS = "ABCDE"
LIST_FILES = ("filesadobe.txt", "filesadobemit.txt")
TIFF_EXTENSIONS = (".tif", ".tiff")
# A photo is known by its number; lists of others' splits hold it bare.
_NAME = re.compile(r"a?(\d{1,4})(-.+)?")


def find(folder: str | Path, experts: str = "") -> Collection:
    """Find the photos, and the experts' versions of them.

    Parameters
    ----------
    experts : letters of EXPERTS

    Raises
    ------
    UsageError : no such folder, no FiveK in it, no such expert, or a photo that is there twice

    Warns
    -----
    UserWarning : photos that the official lists name are missing
    """
    files = list_files(folder)
    raw = index_by_key((path for path in files if path.suffix.lower() == ".dng"), photo_key)
    if not raw:
        raise UsageError(
            str(folder),
            expected="MIT-Adobe FiveK, DNG files such as a0001-jmac_DSC1459.dng",
            got="none",
            remedy="give the folder that fivek_dataset.tar was unpacked to",
        )
    warn_missing([path for path in files if path.name.lower() in LIST_FILES], photo_key, raw)
    edits = {expert: _find_edits(files, expert, folder) for expert in experts}
    sources = (
        SourcePhoto(
            name=path.stem,
            key=own,
            photo=path,
            edits={expert: found[own] for expert, found in edits.items() if own in found},
        )
        for own, path in sorted(raw.items())
    )
    return Collection("fivek", tuple(sources), photo_key, is_test, "photos of an even number")


def photo_key(name: str) -> str | None:
    """Return a photo's number of four digits, from its name or from the bare number.

    Examples
    --------
    >>> photo_key("a0001-jmac_DSC1459.dng"), photo_key("1"), photo_key("holiday.dng")
    ('0001', '0001', None)
    """
    match = _NAME.fullmatch(name)
    return match[1].zfill(4) if match else None


def is_test(key: str) -> bool:
    """Tell whether a photo is tested on: those of an even number are, exactly half.

    The paper says 2,500 to learn from and 2,500 to test on; which ones was never published.

    Examples
    --------
    >>> sum(is_test(f"{number:04d}") for number in range(1, 5001))
    2500
    """
    return int(key) % 2 == 0


def _find_edits(files: list[Path], expert: str, folder: str | Path) -> dict[str, Path]:
    if expert not in EXPERTS:
        raise UsageError(
            "--expert",
            expected=f"one of {', '.join(EXPERTS)}",
            got=repr(expert),
            remedy="choose one; may be given several times",
        )
    name = f"tiff16_{expert.lower()}"
    found = index_by_key(
        (
            path
            for path in files
            if path.parent.name.lower() == name and path.suffix.lower() in TIFF_EXTENSIONS
        ),
        photo_key,
    )
    if not found:
        raise UsageError(
            str(folder),
            expected=f"expert {expert}'s TIFF files in a folder {name}",
            got="none",
            remedy=f"fetch them from https://data.csail.mit.edu/graphics/fivek/img/{name}/",
        )
    return found
