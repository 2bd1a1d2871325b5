"""What shows on flat areas and even slopes, where an eye forgives nothing, for every shipped model.

Bounds are in steps of 8 bits. They hold inside, away from the picture's border.
"""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model
from burnish.runtime.model_registry import model_names

SIDE, BORDER = 192, 16
COLOURS = {
    "black": (0, 0, 0),
    "white": (1, 1, 1),
    "grey": (0.5, 0.5, 0.5),
    "skin": (0.85, 0.65, 0.55),
    "sky": (0.45, 0.65, 0.9),
    "red": (0.9, 0.1, 0.1),
}
SLOPES = [((0.1, 0.1, 0.1), (0.9, 0.9, 0.9)), ((0.3, 0.5, 0.8), (0.7, 0.8, 0.95))]

# The most that may repeat, stand out as grain, and shift. What strengthens contrast strengthens
# its network's errors too; where a bound is above what an eye passes over, docs/results.md says so.
BOUNDS = {
    "dark-channel-dehazing": (1.5, 4, None),
    "local-laplacian": (2.5, 3, 6),
    "multiscale-tone": (1.5, 2, 8),
    "nonlocal-dehazing": (6, 4, None),
    "pencil-drawing": (1.5, 2, None),
    "photographic-style": (2.5, 2, None),
}
OF_SMOOTHERS = (1, 2, 6)

shipped = pytest.mark.parametrize("name", model_names())


def bounds(name):
    return BOUNDS.get(name, OF_SMOOTHERS)


def slope(ends) -> np.ndarray:
    first, last = np.array(ends)
    across = np.linspace(0, 1, SIDE)[np.newaxis, :, np.newaxis]
    return np.broadcast_to(first + (last - first) * across, (SIDE, SIDE, 3)).astype(np.float32)


def flat(colour) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.float32)


PICTURES = [flat(colour) for colour in COLOURS.values()] + [slope(ends) for ends in SLOPES]


@pytest.fixture(scope="module")
def results():
    """Every model's results for the pictures, in steps of 8 bits."""
    return {
        name: [255.0 * model(picture) for picture in PICTURES]
        for name, model in ((name, Model.open(name, device="cpu")) for name in model_names())
    }


@shipped
def test_no_chequerboard(name, results):
    """What repeats with the cells of a level, 2 to 16 pixels, once all that is smooth is gone."""
    for result in results[name]:
        fine = result - uniform_filter(result, (17, 17, 0))
        inside = fine[BORDER:-BORDER, BORDER:-BORDER].astype(float)
        for cell in (2, 4, 8, 16):
            count = len(inside) // cell
            cells = inside[: count * cell, : count * cell].reshape(count, cell, count, cell, 3)
            pattern = cells.mean(axis=(0, 2))
            assert np.ptp(pattern, axis=(0, 1)).max() < bounds(name)[0], cell


@shipped
def test_flat_stays_flat(name, results):
    """No grain or rim appears in an area of one colour."""
    for colour, result in zip(COLOURS, results[name], strict=False):
        inside = result[BORDER:-BORDER, BORDER:-BORDER]
        fine = inside - uniform_filter(inside, (17, 17, 0))
        assert np.abs(fine).max() < bounds(name)[1], colour


@shipped
def test_colours_of_flat_areas_do_not_shift(name, results):
    """The mean of a flat area is the operator's, where the operator works locally."""
    operator = OPERATORS[Model.open(name).card.operator]
    if operator.uses_global_statistics:
        pytest.skip("what this operator makes of a flat picture is by chance")
    for colour, result in zip(COLOURS, results[name], strict=False):
        target = 255 * operator.run(flat(COLOURS[colour]))
        shift = (result - target)[BORDER:-BORDER, BORDER:-BORDER].mean(axis=(0, 1))
        assert np.abs(shift).max() < bounds(name)[2], colour
