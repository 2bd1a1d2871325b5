"""A table holds the operator's output for every colour; other operators are rejected."""

import numpy as np
import pytest

from burnish.editing.cube import write_cube
from burnish.errors import OutputError, UsageError
from burnish.operators.registry import OPERATORS


@pytest.fixture
def operator_of(tmp_path):
    """Writes a user-defined operator: `operator_of("return rgb ** 2")`."""

    def operator_of(body):
        path = tmp_path / "own.py"
        path.write_text(f"import numpy as np\ndef own(rgb):\n    {body}\n")
        return f"python:{path}:own"

    return operator_of


def read_table(path):
    """Read a table by the specification: red varies fastest; indices are blue, green, red."""
    title, size, *colours = path.read_text().splitlines()
    assert title == 'TITLE "own"'
    side = int(size.removeprefix("LUT_3D_SIZE "))
    return np.array([line.split() for line in colours], float).reshape(side, side, side, 3)


def test_write_cube_stores_each_colour_at_its_place(operator_of, tmp_path):
    cube = write_cube(operator_of("return rgb ** 2"), tmp_path / "x.cube", size=17)
    table = read_table(cube.path)
    for blue, green, red in np.random.default_rng(0).integers(0, 17, (50, 3)):
        expected = (np.array([red, green, blue]) / 16) ** 2
        np.testing.assert_allclose(table[blue, green, red], expected, atol=1e-6)


def test_write_cube_keeps_the_order_of_channels(operator_of, tmp_path):
    cube = write_cube(operator_of("return rgb[..., ::-1]"), tmp_path / "x.cube", size=2)
    np.testing.assert_allclose(read_table(cube.path)[0, 0, 1], [0, 0, 1])
    assert cube.error < 1e-6


def test_write_cube_reports_the_interpolation_error(operator_of, tmp_path):
    square = operator_of("return rgb ** 2")
    coarse = write_cube(square, tmp_path / "a.cube", size=5)
    # A parabola is at most a quarter of the squared step above its chord.
    assert coarse.error == pytest.approx((1 / 4) ** 2 / 4, rel=0.02)
    assert write_cube(square, tmp_path / "b.cube", size=9).error < coarse.error / 3


def test_write_cube_of_lut_gives_the_same_table(operator_of, tmp_path):
    spec = operator_of("return 1 - 0.8 * rgb[..., ::-1]")
    first = write_cube(spec, tmp_path / "a.cube", size=9).path
    second = write_cube("lut", tmp_path / "b.cube", size=9, params={"lut": str(first)}).path
    colours = np.random.default_rng(0).random((8, 8, 3), np.float32)
    apply_lut = OPERATORS["lut"].load_function()
    np.testing.assert_allclose(apply_lut(colours, second), apply_lut(colours, first), atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        "return np.roll(rgb, 1, axis=0)",
        "return rgb / 2 + rgb.mean() / 2",
        "return np.sort(rgb, axis=1)",
        # The output depends on the number of colours in the image.
        "return rgb * (len(np.unique(rgb)) / 99) if rgb.size < 9000 else rgb",
    ],
)
def test_write_cube_of_operator_with_neighbourhood_raises(operator_of, tmp_path, body):
    with pytest.raises(UsageError, match=r"^operator own: "):
        write_cube(operator_of(body), tmp_path / "x.cube", size=17)
    assert not (tmp_path / "x.cube").exists()


@pytest.mark.parametrize("name", ["l0-smoothing", "photographic-style", "bilateral"])
def test_write_cube_of_bundled_operator_with_neighbourhood_raises(name, tmp_path):
    with pytest.raises(UsageError):
        write_cube(name, tmp_path / "x.cube", size=9)


@pytest.mark.parametrize(
    ("name", "size", "where"),
    [("x.txt", 33, "x.txt"), ("x.cube", 1, "--size"), ("x.cube", 500, "--size")],
)
def test_write_cube_with_wrong_name_or_size_raises(tmp_path, name, size, where):
    with pytest.raises(UsageError, match=f"{where}: "):
        write_cube("lut", tmp_path / name, size=size)


def test_write_cube_replaces_a_file_only_with_overwrite(operator_of, tmp_path):
    target = tmp_path / "x.cube"
    target.write_text("precious")
    with pytest.raises(OutputError):
        write_cube(operator_of("return rgb"), target, size=2)
    assert target.read_text() == "precious"
    assert write_cube(operator_of("return rgb"), target, size=2, overwrite=True).size == 2
