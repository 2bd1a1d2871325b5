"""Write the gallery: every operator and its network on the same three photos.

python docs/gallery/generate.py            # all operators
python docs/gallery/generate.py lut        # some operators

The output is NAME.jpg for each operator, before-after/NAME.jpg for each operator with a network,
late-summer.cube, and README.md.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from burnish.editing.edit import operator_params
from burnish.evaluation.compare import side_by_side
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.runtime.model_registry import model_names
from burnish.types import Pixels

HERE = Path(__file__).parent
PHOTOS = [HERE / "photos" / f"{name}.jpg" for name in ("palace", "cat", "coffee")]
LUT = HERE / "late-summer.cube"
# Values of required parameters.
REQUIRED_PARAMS: dict[str, dict[str, Any]] = {"lut": {"lut": LUT}}
GAP = 8
BUNDLED = model_names()
# The photo that shows best what a network does, for the page for photographers.
BEFORE_AFTER = {
    "l0-smoothing": "coffee",
    "rudin-osher-fatemi": "cat",
    "tv-l1": "cat",
    "relative-total-variation": "coffee",
    "multiscale-tone": "palace",
    "local-laplacian": "palace",
    "dark-channel-dehazing": "palace",
    "nonlocal-dehazing": "palace",
    "photographic-style": "palace",
    "pencil-drawing": "cat",
}


def main() -> None:
    """Write the images of the given operators, and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", default=list(OPERATORS))
    names = parser.parse_args().operators
    LUT.write_text(late_summer())
    photos = [Photo.open(path).pixels for path in PHOTOS]
    for name in names:
        rows = [photos]
        if name in BUNDLED:
            model = Model.open(name)
            values = operator_params(model.card, {})
            rows.append([OPERATORS[name].run(photo, **values) for photo in photos])
            rows.append([model(photo) for photo in photos])
            before_after(name, model)
        else:
            rows.append(
                [OPERATORS[name].run(photo, **REQUIRED_PARAMS.get(name, {})) for photo in photos]
            )
        Photo(sheet(rows)).save(HERE / f"{name}.jpg", quality=85, overwrite=True)
        print(name)
    (HERE / "README.md").write_text(page())


def before_after(name: str, model: Model) -> None:
    """Write a photo and the network's output for it, side by side with captions."""
    if name not in BEFORE_AFTER:
        return
    photo = Photo.open(HERE / "photos" / f"{BEFORE_AFTER[name]}.jpg").pixels
    pair = side_by_side([(photo, "before"), (model(photo), f"after: {name}")])
    pair.save(HERE / "before-after" / f"{name}.jpg", quality=85, overwrite=True)


def sheet(rows: list[list[Pixels]]) -> Pixels:
    """Arrange rows of images of one size on a white sheet."""
    height, width = rows[0][0].shape[:2]
    down, right = len(rows), len(rows[0])
    canvas = np.ones((down * (height + GAP) - GAP, right * (width + GAP) - GAP, 3), np.float32)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            top, left = y * (height + GAP), x * (width + GAP)
            canvas[top : top + height, left : left + width] = image
    return canvas


def late_summer(size: int = 9) -> str:
    """Return the .cube file of a LUT with warm lights, teal shadows and a gentle S-curve."""
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
    """Return README.md, with a heading, a command and an image for every operator."""
    parts = [
        "<!-- Made by generate.py: edit that. -->",
        "# Gallery",
        "Every operator with default parameters, at full resolution: first the photo, then the "
        "output of the operator, and last the output of its network, if burnish comes with one. "
        "Pencil drawing is without texture, like its network's training data. "
        "`python docs/gallery/generate.py` writes this page.",
        "The photos: a palace by Daniel Büchele "
        "([flickr](https://www.flickr.com/photos/danielbuechele/6061409035), "
        "[CC BY 2.0](https://creativecommons.org/licenses/by/2.0/), scaled down and cropped), "
        "Chelsea the cat by Stéfan van der Walt and a coffee by Rachel Michetti (both CC0).",
    ]
    return "\n\n".join([*parts, *(section(operator) for operator in OPERATORS.values())]) + "\n"


def section(operator: Operator) -> str:
    """Return the section of an operator."""
    required = REQUIRED_PARAMS.get(operator.name, {})
    options = " ".join(f"--{name} {path.name}" for name, path in required.items())
    slow = "" if operator.name in BUNDLED else "--slow "
    command = f"burnish apply {slow}{operator.name} photo.jpg {options}".strip()
    images = "photo, operator and network" if operator.name in BUNDLED else "before and after"
    return (
        f"## {operator.title}\n\n{operator.summary}. `{command}`\n\n"
        f"![{operator.title}: three photos, {images}]({operator.name}.jpg)"
    )


if __name__ == "__main__":
    main()
