"""The demonstration: the sample photo through a shipped network, and a before | after picture."""

from pathlib import Path

from burnish.editing.edit import load_edit
from burnish.editing.photo import apply_to_file
from burnish.evaluation.compare import side_by_side
from burnish.files import check_absent
from burnish.photo import Photo

SAMPLE = Path(__file__).parent.parent / "samples" / "coffee.jpg"
OPERATOR = "l0-smoothing"


def demonstrate(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the edited sample and a before | after picture into `folder`; return their paths.

    Raises
    ------
    OutputError : one of them exists and `overwrite` is not set
    """
    edited = folder / f"{SAMPLE.stem}.{OPERATOR}.jpg"
    sheet = folder / f"{SAMPLE.stem}.before-after.png"
    for target in (edited, sheet):
        check_absent(target, overwrite=overwrite)
    apply_to_file(load_edit(OPERATOR, {}), SAMPLE, edited, overwrite=overwrite)
    before, after = Photo.open(SAMPLE).pixels, Photo.open(edited).pixels
    side_by_side([(before, "before"), (after, "after")]).save(sheet, overwrite=overwrite)
    return [edited, sheet]
