"""Write the gallery: every operator and its network on the same photos.

python docs/gallery/generate.py            # all operators
python docs/gallery/generate.py lut        # some operators

The output is NAME.jpg for each operator, before-after/NAME.jpg and sliders/NAME.jpg for each
operator with a network, late-summer.cube, and README.md.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from burnish.editing.annotate import GLYPH_HEIGHT, render_text
from burnish.editing.card_params import operator_params
from burnish.editing.edit import NetworkEdit
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
# px: the side of the crops that show slider ends, and the gap between them.
CROP = 128
CROP_GAP = 4
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
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write into")
    options = parser.parse_args()
    folder, names = options.output, options.operators
    for subfolder in ("before-after", "sliders"):
        (folder / subfolder).mkdir(parents=True, exist_ok=True)
    LUT.write_text(late_summer())
    photos = [Photo.open(path).pixels for path in PHOTOS]
    for name in names:
        rows = [photos]
        if name in BUNDLED:
            model = Model.open(name)
            values = operator_params(model.card, {})
            rows.append([OPERATORS[name].run(photo, **values) for photo in photos])
            edit = NetworkEdit(model, {})
            rows.append([edit.run(photo) for photo in photos])
            before_after(name, edit, folder)
            Photo(slider_sheet(name, model)).save(
                folder / "sliders" / f"{name}.jpg", quality=75, overwrite=True
            )
        else:
            rows.append(
                [OPERATORS[name].run(photo, **REQUIRED_PARAMS.get(name, {})) for photo in photos]
            )
        Photo(sheet(rows)).save(folder / f"{name}.jpg", quality=85, overwrite=True)
        print(name, flush=True)
    (folder / "README.md").write_text(page())


def before_after(name: str, edit: NetworkEdit, folder: Path) -> None:
    """Write a photo and the network's output for it, side by side with captions."""
    if name not in BEFORE_AFTER:
        return
    photo = Photo.open(HERE / "photos" / f"{BEFORE_AFTER[name]}.jpg").pixels
    pair = side_by_side([(photo, "before"), (edit.run(photo), f"after: {name}")])
    pair.save(folder / "before-after" / f"{name}.jpg", quality=85, overwrite=True)


def crops() -> list[tuple[Pixels, list[tuple[int, int]]]]:
    """Return photos, each with the tops and the lefts of its crops.

    They show a face, saturated colours, a night, haze and texture.
    """
    astronaut, night = (
        np.ascontiguousarray(codes, np.float32) / 255
        for codes in (skimage.data.astronaut(), skimage.data.rocket())
    )
    palace, cat = (Photo.open(HERE / "photos" / f"{name}.jpg").pixels for name in ("palace", "cat"))
    return [
        (astronaut, [(50, 160), (230, 30)]),
        (night, [(299, 200)]),
        (palace, [(30, 60)]),
        (cat, [(60, 110)]),
    ]


def slider_sheet(name: str, model: Model) -> Pixels:
    """Return crops of the operator's and the network's output, side by side.

    The first row has the crops of the photos. Each further row has a setting: the defaults, and
    the ends of each slider.
    """
    settings: list[dict[str, Any]] = [{}]
    settings += [
        {param.name: end} for param in model.card.sliders for end in (param.low, param.high)
    ]
    networks = network_names(model)
    rows: list[tuple[str, list[list[Pixels]]]] = []
    for setting in settings:
        values = operator_params(model.card, setting)
        edits = [NetworkEdit(model, setting, guide=guide) for guide in networks.values()]
        outputs = []
        for photo, corners in crops():
            images = [OPERATORS[name].run(photo, **values), *(edit.run(photo) for edit in edits)]
            outputs += [[crop(image, corner) for image in images] for corner in corners]
        title = " ".join(f"{slider} {value:g}" for slider, value in setting.items()) or "defaults"
        rows.append((f"{title}: operator, {', '.join(networks)}", outputs))
    white = np.ones((CROP, CROP, 3), np.float32)
    unedited = [
        [crop(photo, corner), *([white] * len(networks))]
        for photo, corners in crops()
        for corner in corners
    ]
    return stack([("unedited", unedited), *rows])


def network_names(model: Model) -> dict[str, str | None]:
    """Return the guides of a network by captions."""
    if model.card.guide is None:
        return {"network": None}
    guides = ["operator", "network"] if model.card.guide.start else ["operator"]
    return {f"network guided by {guide}": guide for guide in guides}


def crop(image: Pixels, corner: tuple[int, int]) -> Pixels:
    """Return a part of an image, without a change of size."""
    top, left = corner
    return image[top : top + CROP, left : left + CROP]


def stack(rows: list[tuple[str, list[list[Pixels]]]]) -> Pixels:
    """Arrange rows of groups of crops on a white sheet, each row under its caption."""
    count = len(rows[0][1][0])
    group_width = count * (CROP + CROP_GAP) + GAP
    caption_height = 2 * GLYPH_HEIGHT + GAP
    height = caption_height + CROP + GAP
    canvas = np.ones((len(rows) * height, len(rows[0][1]) * group_width, 3), np.float32)
    for y, (caption, groups) in enumerate(rows):
        glyphs = np.kron(render_text(caption), np.ones((2, 2), np.float32))[..., None]
        canvas[y * height : y * height + len(glyphs), : glyphs.shape[1]] -= glyphs
        top = y * height + caption_height
        for x, group in enumerate(groups):
            for index, image in enumerate(group):
                left = x * group_width + index * (CROP + CROP_GAP)
                canvas[top : top + CROP, left : left + CROP] = image
    return canvas


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
        "Chelsea the cat by Stéfan van der Walt and a coffee by Rachel Michetti (both CC0). "
        "Slider ends also show the astronaut Eileen Collins by NASA and a rocket by SpaceX (both "
        "public domain).",
    ]
    return "\n\n".join([*parts, *(section(operator) for operator in OPERATORS.values())]) + "\n"


def section(operator: Operator) -> str:
    """Return the section of an operator."""
    required = REQUIRED_PARAMS.get(operator.name, {})
    options = " ".join(f"--{name} {path.name}" for name, path in required.items())
    slow = "" if operator.name in BUNDLED else "--slow "
    command = f"burnish apply {slow}{operator.name} photo.jpg {options}".strip()
    images = "photo, operator and network" if operator.name in BUNDLED else "before and after"
    text = (
        f"## {operator.title}\n\n{operator.summary}. `{command}`\n\n"
        f"![{operator.title}: three photos, {images}]({operator.name}.jpg)"
    )
    if (HERE / "sliders" / f"{operator.name}.jpg").exists():
        text += (
            "\n\nThe same at the defaults and at the ends of each slider, as crops at full "
            f"resolution:\n\n![{operator.title}: slider ends, operator beside network]"
            f"(sliders/{operator.name}.jpg)"
        )
    return text


if __name__ == "__main__":
    main()
