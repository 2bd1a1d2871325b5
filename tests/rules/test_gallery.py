"""The gallery shows every operator, and its files equal the output of its generator."""

import importlib.util
from pathlib import Path

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


def test_gallery_page_is_current(generator):
    assert (GALLERY / "README.md").read_text() == generator.page()


def test_gallery_lut_is_current(generator):
    assert (GALLERY / "late-summer.cube").read_text() == generator.late_summer()
