"""MIT-Adobe FiveK: 5,000 raw photos, each retouched by five experts.

Bychkovsky, Paris, Chan, Durand: Learning Photographic Global Tonal Adjustment with a Database of
Input/Output Image Pairs. CVPR 2011. https://data.csail.mit.edu/graphics/fivek/

    fivek_dataset/                              the content of fivek_dataset.tar
        filesAdobe.txt  filesAdobeMIT.txt       the photos' names, by licence
        raw_photos/HQa1to700/photos/a0001-jmac_DSC1459.dng
        ...        HQa4201to5000/photos/
    tiff16_a/a0001-jmac_DSC1459.tif             16 bits, ProPhoto RGB; from the site, img/tiff16_a/
    ...
    tiff16_e/

Only the names matter. The DNG files may be anywhere below the folder, for example as downloaded
from the site one by one (img/dng/a0001-jmac_DSC1459.dng), and the TIFFs in folders tiff16_a to
tiff16_e.
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
# Photos are identified by number. Published test lists contain bare numbers.
_NAME = re.compile(r"a?(\d{1,4})(-.+)?")


def find(folder: str | Path, experts: str = "") -> Collection:
    """Find the photos below a folder, and the experts' versions of them.

    Parameters
    ----------
    experts : letters of EXPERTS

    Raises
    ------
    UsageError : the folder does not exist or has no photos of FiveK, there is no such expert, or a
        photo has two files

    Warns
    -----
    UserWarning : photos of the official lists are missing
    """
    files = list_files(folder)
    raw = index_by_key((path for path in files if path.suffix.lower() == ".dng"), photo_key)
    if not raw:
        raise UsageError(
            str(folder),
            "it contains no DNG files of MIT-Adobe FiveK, such as a0001-jmac_DSC1459.dng",
            "give the folder that fivek_dataset.tar was unpacked to",
        )
    warn_missing([path for path in files if path.name.lower() in LIST_FILES], photo_key, raw)
    edits = {expert: _find_edits(files, expert, folder) for expert in experts}
    sources = (
        SourcePhoto(
            name=path.stem,
            key=key,
            photo=path,
            edits={expert: files[key] for expert, files in edits.items() if key in files},
        )
        for key, path in sorted(raw.items())
    )
    return Collection("fivek", tuple(sources), photo_key, is_test, "photos of an even number")


def photo_key(name: str) -> str | None:
    """Return the number of a photo, with four digits, from its name or the bare number.

    Examples
    --------
    >>> photo_key("a0001-jmac_DSC1459.dng"), photo_key("1"), photo_key("holiday.dng")
    ('0001', '0001', None)
    """
    match = _NAME.fullmatch(name)
    return match[1].zfill(4) if match else None


def is_test(key: str) -> bool:
    """Return whether a photo is in the test split: those of even number are, exactly half.

    The paper uses 2,500 photos for training and 2,500 for testing, but did not publish the split.

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
            remedy="choose one of them",
        )
    name = f"tiff16_{expert.lower()}"
    edits = index_by_key(
        (
            path
            for path in files
            if path.parent.name.lower() == name and path.suffix.lower() in TIFF_EXTENSIONS
        ),
        photo_key,
    )
    if not edits:
        raise UsageError(
            str(folder),
            f"it contains no folder {name} with the TIFF files of expert {expert}",
            f"download them from https://data.csail.mit.edu/graphics/fivek/img/{name}/",
        )
    return edits
