"""The gallery shows every operator, and its files equal the output of its generator."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from burnish.operators.registry import OPERATORS

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("gallery", GALLERY / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gallery_has_a_picture_of_every_operator(generator):
    assert {path.stem for path in GALLERY.glob("*.jpg")} == set(OPERATORS)
    pairs = {path.stem for path in (GALLERY / "before-after").glob("*.jpg")}
    assert pairs == set(generator.BEFORE_AFTER)
    sliders = {path.stem for path in (GALLERY / "sliders").glob("*.jpg")}
    assert sliders == set(generator.BUNDLED) & set(OPERATORS)


def test_gallery_page_is_current(generator):
    assert (GALLERY / "README.md").read_text() == generator.page()


def test_gallery_lut_is_current(generator):
    assert (GALLERY / "late-summer.cube").read_text() == generator.late_summer()


def test_stack_arranges_crops_in_rows_and_groups(generator):
    side, gap = generator.CROP, generator.CROP_GAP
    shades = np.linspace(0, 0.9, 8).reshape(2, 2, 2)
    crops = [
        [[np.full((side, side, 3), shade) for shade in group] for group in row] for row in shades
    ]
    sheet = generator.stack([("first", crops[0]), ("second", crops[1])])
    height, width = sheet.shape[0] // 2, sheet.shape[1] // 2
    bottom, middle = height - generator.GAP - 1, side // 2
    for row in range(2):
        for group in range(2):
            for index in range(2):
                left = group * width + index * (side + gap)
                pixel = sheet[row * height + bottom, left + middle]
                np.testing.assert_allclose(pixel, shades[row, group, index], atol=1e-6)
    assert (sheet[bottom, side : side + gap] == 1).all()
