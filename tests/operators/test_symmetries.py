"""Symmetries that operators state, on photos and noise, at defaults and at the ends of ranges."""

import numpy as np
import pytest

from burnish.operators.operator import SAMPLES, Operator
from burnish.operators.registry import OPERATORS
from burnish.params import ColourParam, Param
from burnish.photo import Photo

# A tenth of an 8-bit step.
TOLERANCE = 0.1 / 255

CROPS = {
    "coffee.jpg": (slice(110, 190), slice(130, 230)),
    "style-reference.jpg": (slice(60, 130), slice(60, 150)),
}
TRANSFORMS = {
    "channel permutation": lambda image: np.ascontiguousarray(image[..., [2, 0, 1]]),
    "inversion": lambda image: 1 - image,
}
STATED = [
    pytest.param(operator, symmetry, id=f"{operator.name}, {symmetry}")
    for operator in OPERATORS.values()
    for symmetry in sorted(operator.symmetries)
]


@pytest.fixture(scope="module")
def images():
    """Parts of two photos, and noise, in double precision."""
    photos = [Photo.open(SAMPLES / name).pixels[crop] for name, crop in CROPS.items()]
    noise = np.random.default_rng(0).random((40, 48, 3))
    return [*(photo.astype(np.float64) for photo in photos), noise]


def settings(operator):
    """Yield arguments: the defaults, and each parameter at the ends of its range."""
    yield {}
    for param in operator.params:
        if isinstance(param, Param):
            for end in (param.low, param.high):
                yield {param.argument_name: int(end) if param.integer else end}


@pytest.mark.parametrize(("operator", "symmetry"), STATED)
def test_operator_commutes_with_its_symmetries(operator, symmetry, images):
    function, transform = operator.load_function(), TRANSFORMS[symmetry]
    for image in images:
        for arguments in settings(operator):
            np.testing.assert_allclose(
                function(transform(image), **arguments),
                transform(function(image, **arguments)),
                rtol=0,
                atol=TOLERANCE,
                err_msg=str(arguments),
            )


def test_run_commutes_on_average(images):
    # Rounding to single precision changes a few decisions of L0 smoothing whether there is an edge.
    operator = OPERATORS["l0-smoothing"]
    for transform in TRANSFORMS.values():
        for image in images:
            difference = operator.run(transform(image)) - transform(operator.run(image))
            assert np.abs(difference).mean() < TOLERANCE


def test_a_colour_that_is_set_leaves_no_symmetries():
    haze = ColourParam("airlight", "is the haze", default_text="estimated")
    symmetries = frozenset({"channel permutation"})
    operator = Operator("own", "own", np.sqrt, params=(haze,), symmetries=symmetries)
    assert operator.symmetries_at({"airlight": None}) == symmetries
    assert operator.symmetries_at({"airlight": "#80ff00"}) == frozenset()
