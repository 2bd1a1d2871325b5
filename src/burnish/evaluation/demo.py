"""The demonstration: a sample photo, edited by a bundled network."""

from pathlib import Path

from burnish.editing.edit import load_edit
from burnish.editing.options import WriteOptions
from burnish.editing.photo import apply_to_file
from burnish.evaluation.compare import side_by_side
from burnish.files import check_absent
from burnish.photo import Photo

SAMPLE = Path(__file__).parent.parent / "samples" / "coffee.jpg"
OPERATOR = "l0-smoothing"


def demonstrate(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the edited sample and a before | after image into `folder`; return their paths.

    Raises
    ------
    OutputError : one of them exists and `overwrite` is not set
    """
    target = folder / f"{SAMPLE.stem}.{OPERATOR}.jpg"
    sheet = folder / f"{SAMPLE.stem}.before-after.png"
    for path in (target, sheet):
        check_absent(path, overwrite=overwrite)
    apply_to_file(load_edit(OPERATOR, {}), SAMPLE, target, WriteOptions(overwrite=overwrite))
    before, after = Photo.open(SAMPLE).pixels, Photo.open(target).pixels
    side_by_side([(before, "before"), (after, "after")]).save(sheet, overwrite=overwrite)
    return [target, sheet]
