"""A table holds what its operator does to every colour; what does more is refused."""

import numpy as np
import pytest

from burnish.editing.cube import write_cube
from burnish.errors import OperatorError, OutputError, UsageError
from burnish.operators.registry import OPERATORS


@pytest.fixture
def own(tmp_path):
    """Writes an operator of one's own: `own("return rgb ** 2")`."""

    def own(body):
        path = tmp_path / "own.py"
        path.write_text(f"import numpy as np\ndef own(rgb):\n    {body}\n")
        return f"python:{path}:own"

    return own


def read(path):
    """Read a table as the format says: red fastest; (size, size, size, 3) by blue, green, red."""
    title, size, *colours = path.read_text().splitlines()
    assert title == 'TITLE "own"'
    side = int(size.removeprefix("LUT_3D_SIZE "))
    return np.array([line.split() for line in colours], float).reshape(side, side, side, 3)


def test_every_colour_is_where_it_belongs(own, tmp_path):
    made = write_cube(own("return rgb ** 2"), tmp_path / "x.cube", size=17)
    table = read(made.path)
    for blue, green, red in np.random.default_rng(0).integers(0, 17, (50, 3)):
        expected = (np.array([red, green, blue]) / 16) ** 2
        np.testing.assert_allclose(table[blue, green, red], expected, atol=1e-6)


def test_channels_are_not_mixed_up(own, tmp_path):
    made = write_cube(own("return rgb[..., ::-1]"), tmp_path / "x.cube", size=2)
    np.testing.assert_allclose(read(made.path)[0, 0, 1], [0, 0, 1])
    assert made.error < 1e-6


def test_the_error_is_what_is_lost_between_colours(own, tmp_path):
    coarse = write_cube(own("return rgb ** 2"), tmp_path / "a.cube", size=5)
    # A parabola is at most a quarter of the step squared above its chord.
    assert coarse.error == pytest.approx((1 / 4) ** 2 / 4, rel=0.02)
    assert write_cube(own("return rgb ** 2"), tmp_path / "b.cube", size=9).error < coarse.error / 3


def test_look_gives_its_own_table_back(own, tmp_path):
    first = write_cube(own("return 1 - 0.8 * rgb[..., ::-1]"), tmp_path / "a.cube", size=9).path
    second = write_cube("look", tmp_path / "b.cube", size=9, params={"lut": str(first)}).path
    colours = np.random.default_rng(0).random((8, 8, 3), np.float32)
    look = OPERATORS["look"].load_function()
    np.testing.assert_allclose(look(colours, second), look(colours, first), atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        "return np.roll(rgb, 1, axis=0)",
        "return rgb / 2 + rgb.mean() / 2",
        "return rgb / rgb.max()",
        "return np.sort(rgb, axis=1)",
    ],
)
def test_what_looks_around_is_refused(own, tmp_path, body):
    if "max" in body:
        # The lattice always has white, but only white decides: as a map of colours this is one.
        body = "return rgb * (len(np.unique(rgb)) / 99)" + " if rgb.size < 9000 else rgb"
    with pytest.raises(OperatorError, match="expected one that gives each colour a colour"):
        write_cube(own(body), tmp_path / "x.cube", size=17)
    assert not (tmp_path / "x.cube").exists()


@pytest.mark.parametrize("name", ["l0-smoothing", "photographic-style", "bilateral"])
def test_the_operators_that_look_around(name, tmp_path):
    with pytest.raises(OperatorError):
        write_cube(name, tmp_path / "x.cube", size=9)


@pytest.mark.parametrize(
    ("name", "size", "complaint"),
    [("x.txt", 33, "ends in .cube"), ("x.cube", 1, "--size"), ("x.cube", 500, "--size")],
)
def test_bad_orders(tmp_path, name, size, complaint):
    with pytest.raises(UsageError, match=complaint):
        write_cube("look", tmp_path / name, size=size)


def test_nothing_is_overwritten(own, tmp_path):
    target = tmp_path / "x.cube"
    target.write_text("precious")
    with pytest.raises(OutputError):
        write_cube(own("return rgb"), target, size=2)
    assert target.read_text() == "precious"
    assert write_cube(own("return rgb"), target, size=2, overwrite=True).size == 2
