"""Write the gallery: every operator on the same three photos, and the network that learnt it.

python docs/gallery/generate.py            # all of them
python docs/gallery/generate.py look       # some

Writes NAME.jpg for each operator, late-summer.cube, and README.md, which shows them.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.editing.edit import operator_params
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.runtime import model_registry as shelf
from burnish.runtime.model import Model

HERE = Path(__file__).parent
PHOTOS = [HERE / "photos" / f"{name}.jpg" for name in ("palace", "cat", "coffee")]
LOOK = HERE / "late-summer.cube"
# What an operator cannot do without.
GIVEN: dict[str, dict[str, Any]] = {"look": {"lut": LOOK}}
GAP = 8
SHIPPED = shelf.model_names()

Pixels = NDArray[np.float32]


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", default=list(OPERATORS))
    names = parser.parse_args().operators
    LOOK.write_text(late_summer())
    photos = [Photo.open(path).pixels for path in PHOTOS]
    for name in names:
        rows = [photos]
        if name in SHIPPED:
            model = Model.open(name)
            values = operator_params(model.card, {})
            rows.append([OPERATORS[name].run(photo, **values) for photo in photos])
            rows.append([model(photo) for photo in photos])
        else:
            rows.append([OPERATORS[name].run(photo, **GIVEN.get(name, {})) for photo in photos])
        Photo(sheet(rows)).save(HERE / f"{name}.jpg", quality=85, overwrite=True)
        print(name)
    (HERE / "README.md").write_text(page())


def sheet(rows: list[list[Pixels]]) -> Pixels:
    """Put pictures of one size beside and below each other, on white."""
    height, width = rows[0][0].shape[:2]
    down, right = len(rows), len(rows[0])
    canvas = np.ones((down * (height + GAP) - GAP, right * (width + GAP) - GAP, 3), np.float32)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + GAP), x * (width + GAP)
            canvas[top : top + height, left : left + width] = picture
    return canvas


def late_summer(size: int = 9) -> str:
    """Return a look of our own as a .cube file: warm lights, teal shadows, a gentle S-curve."""
    axis = np.linspace(0, 1, size)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    rgb = np.stack([red, green, blue], axis=-1)
    rgb = rgb + 0.35 * (rgb * rgb * (3 - 2 * rgb) - rgb)
    luma = (rgb @ [0.2126, 0.7152, 0.0722])[..., None]
    rgb = luma + 0.9 * (rgb - luma)
    rgb += luma * [0.05, 0.015, -0.06] + (1 - luma) * [-0.02, 0.015, 0.03]
    lines = ['TITLE "Late summer"', f"LUT_3D_SIZE {size}"]
    lines += [" ".join(f"{v:.5f}" for v in entry) for entry in np.clip(rgb, 0, 1).reshape(-1, 3)]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return README.md: a heading, a command and a picture for every operator."""
    parts = [
        "<!-- Made by generate.py: edit that. -->",
        "# Gallery",
        "Every operator at 100 % in the files: above the photo, below it the operator, and last, "
        "where a network ships, what the network makes of it. Parameters are the operators' "
        "defaults; pencil drawing is as its network learnt it, without texture. "
        "`python docs/gallery/generate.py` makes it.",
        "The photos: a palace by Daniel Büchele "
        "([flickr](https://www.flickr.com/photos/danielbuechele/6061409035), "
        "[CC BY 2.0](https://creativecommons.org/licenses/by/2.0/), scaled down and cropped), "
        "Chelsea the cat by Stéfan van der Walt and a coffee by Rachel Michetti (both CC0).",
    ]
    return "\n\n".join([*parts, *(section(operator) for operator in OPERATORS.values())]) + "\n"


def section(operator: Operator) -> str:
    """Return an operator's part of the page."""
    given = " ".join(f"--{name} {path.name}" for name, path in GIVEN.get(operator.name, {}).items())
    slow = "" if operator.name in SHIPPED else "--slow "
    command = f"burnish apply {slow}{operator.name} photo.jpg {given}".strip()
    shown = "photo, operator and network" if operator.name in SHIPPED else "before and after"
    return (
        f"## {operator.title}\n\n{operator.summary}. `{command}`\n\n"
        f"![{operator.title}: three photos, {shown}]({operator.name}.jpg)"
    )


if __name__ == "__main__":
    main()
