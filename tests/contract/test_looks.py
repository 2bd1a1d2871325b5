"""Artefacts of every bundled model on constant images and linear gradients, where they show most.

Bounds are in 8-bit codes, and hold away from the border of the image, with each guide.
"""

from itertools import product

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from burnish.editing.edit import load_edit
from burnish.modelfile.quality import PREVIEW, STANDARD
from burnish.operators.paper import PAPER_OPERATORS
from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model
from burnish.runtime.model_registry import model_names

# A guided network's first level is 256 px, or a half of the image.
SIDE, BORDER = 480, 16
COLOURS = {
    "black": (0, 0, 0),
    "white": (1, 1, 1),
    "grey": (0.5, 0.5, 0.5),
    "skin": (0.85, 0.65, 0.55),
    "sky": (0.45, 0.65, 0.9),
    "red": (0.9, 0.1, 0.1),
}
GRADIENTS = [((0.1, 0.1, 0.1), (0.9, 0.9, 0.9)), ((0.3, 0.5, 0.8), (0.7, 0.8, 0.95))]

# Upper bounds of the checkerboard, the grain and the colour shift. Operators that increase contrast
# increase their networks' errors too. docs/results.md lists the bounds that are visible.
BOUNDS = {
    "dark-channel-dehazing": (1.5, 6, None),
    "local-laplacian": (2.5, 3, 6),
    "multiscale-tone": (1.5, 2, 8),
    "nonlocal-dehazing": (6, 4, None),
    "pencil-drawing": (4.5, 3, None),
    "photographic-style": (2.5, 3, None),
}
DEFAULT_BOUNDS = (1, 2, 6)
PREVIEW_FACTOR = 2.5
# The preview of this operator leaves a pattern on saturated red.
PREVIEW_BOUNDS = {"multiscale-tone": (6.5, 5, 20)}


def bounds(edit):
    own = BOUNDS.get(edit.name, DEFAULT_BOUNDS)
    if edit.history[0].quality != PREVIEW:
        return own
    return PREVIEW_BOUNDS.get(edit.name, [bound and PREVIEW_FACTOR * bound for bound in own])


def gradient(colours) -> np.ndarray:
    first, last = np.array(colours)
    x = np.linspace(0, 1, SIDE)[np.newaxis, :, np.newaxis]
    return np.broadcast_to(first + (last - first) * x, (SIDE, SIDE, 3)).astype(np.float32)


def constant(colour) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.float32)


IMAGES = [constant(colour) for colour in COLOURS.values()]
IMAGES += [gradient(colours) for colours in GRADIENTS]


@pytest.fixture(
    scope="module",
    params=[
        *((name, None, STANDARD) for name in model_names()),
        *product(PAPER_OPERATORS, ["network"], [STANDARD, PREVIEW]),
    ],
    ids=lambda values: "-".join(filter(None, values)),
)
def edit(request):
    """Each bundled network with each of its guides, and those for videos, at the defaults."""
    name, guide, quality = request.param
    return load_edit(name, {}, guide=guide, device="cpu", quality=quality)


@pytest.fixture(scope="module")
def outputs(edit):
    """The outputs of a model for the images, in 8-bit codes."""
    return [255 * edit.run(image) for image in IMAGES]


def test_output_has_no_checkerboard(edit, outputs):
    """The high-pass filtered output does not repeat with the cells of a level, 2 to 16 pixels."""
    for output in outputs:
        detail = output - uniform_filter(output, (17, 17, 0))
        inside = detail[BORDER:-BORDER, BORDER:-BORDER].astype(float)
        for cell in (2, 4, 8, 16):
            count = len(inside) // cell
            cells = inside[: count * cell, : count * cell].reshape(count, cell, count, cell, 3)
            pattern = cells.mean(axis=(0, 2))
            assert np.ptp(pattern, axis=(0, 1)).max() < bounds(edit)[0], cell


def test_output_of_a_constant_image_has_no_grain(edit, outputs):
    for colour, output in zip(COLOURS, outputs, strict=False):
        inside = output[BORDER:-BORDER, BORDER:-BORDER]
        detail = inside - uniform_filter(inside, (17, 17, 0))
        assert np.abs(detail).max() < bounds(edit)[1], colour


def test_output_of_a_constant_image_has_the_operator_s_mean(edit, outputs):
    operator = OPERATORS[Model.open(edit.name).card.operator]
    if operator.uses_global_statistics:
        pytest.skip("the operator uses global statistics, which a constant image does not have")
    for colour, output in zip(COLOURS, outputs, strict=False):
        target = 255 * operator.run(constant(COLOURS[colour])[:64, :64]).mean(axis=(0, 1))
        shift = output[BORDER:-BORDER, BORDER:-BORDER].mean(axis=(0, 1)) - target
        assert np.abs(shift).max() < bounds(edit)[2], colour
