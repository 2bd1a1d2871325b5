"""The gallery shows every operator, and its page is what its generator makes."""

import importlib.util
from pathlib import Path

from burnish.operators.registry import OPERATORS

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"


def generator():
    spec = importlib.util.spec_from_file_location("gallery", GALLERY / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_operator_has_a_picture_and_no_picture_is_left_over():
    assert {path.stem for path in GALLERY.glob("*.jpg")} == set(OPERATORS)


def test_page_and_look_are_current():
    assert (GALLERY / "README.md").read_text() == generator().page()
    assert (GALLERY / "late-summer.cube").read_text() == generator().late_summer()
