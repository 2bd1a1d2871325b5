"""LUTs against interpolation by loops, and invalid .cube files."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from burnish.errors import UsageError
from burnish.operators.lut import apply_lut

PHOTO = np.random.default_rng(0).random((9, 11, 3)).astype(np.float32)


def table_rows(values):
    return "".join(f"{r:.9f} {g:.9f} {b:.9f}\n" for r, g, b in np.reshape(values, (-1, 3)))


def write_cube(path, table=None, curves=None, header=""):
    """Write a .cube file; `table` is indexed [red, green, blue], `curves` [position]."""
    text = header
    if curves is not None:
        text += f"LUT_1D_SIZE {len(curves)}\n"
    if table is not None:
        text += f"LUT_3D_SIZE {len(table)}\n"
    if curves is not None:
        text += table_rows(curves)
    if table is not None:
        text += table_rows(np.transpose(table, (2, 1, 0, 3)))  # red varies fastest in the file
    path.write_text(text)
    return path


def identity_table(size):
    """Return the table of the identity."""
    return np.stack(np.meshgrid(*[np.linspace(0, 1, size)] * 3, indexing="ij"), axis=3)


def interpolate_tetrahedral(table, rgb):
    """Interpolate along the path of descending remainders from the lower to the upper corner."""
    result = np.empty(rgb.shape)
    for pixel in np.ndindex(rgb.shape[:2]):
        position = np.clip(rgb[pixel].astype(np.float64), 0, 1) * (len(table) - 1)
        corner = np.minimum(position.astype(int), len(table) - 2)
        remainders = position - corner
        value = table[tuple(corner)].copy()
        for axis in np.argsort(-remainders):
            before = table[tuple(corner)]
            corner[axis] += 1
            value += remainders[axis] * (table[tuple(corner)] - before)
        result[pixel] = value
    return result


def apply_curves(curves, rgb):
    positions = np.linspace(0, 1, len(curves))
    channels = [np.interp(rgb[..., c], positions, curves[:, c]) for c in range(3)]
    return np.stack(channels, axis=2)


@pytest.mark.parametrize("size", [2, 5, 17])
def test_apply_lut_of_table_interpolates_in_tetrahedra(tmp_path, size):
    table = np.random.default_rng(size).random((size, size, size, 3))
    result = apply_lut(PHOTO, write_cube(tmp_path / "a.cube", table))
    np.testing.assert_allclose(result, interpolate_tetrahedral(table, PHOTO), atol=2e-6)
    linear = RegularGridInterpolator([np.linspace(0, 1, size)] * 3, table)(PHOTO)
    assert np.abs(result - linear).max() > 0.05


def test_apply_lut_of_curves_interpolates_linearly(tmp_path):
    curves = np.sort(np.random.default_rng(1).random((33, 3)), axis=0)
    result = apply_lut(PHOTO, write_cube(tmp_path / "a.cube", curves=curves))
    np.testing.assert_allclose(result, apply_curves(curves, PHOTO), atol=2e-6)


def test_apply_lut_of_curves_and_table_applies_both(tmp_path):
    random = np.random.default_rng(2)
    curves, table = np.sort(random.random((9, 3)), axis=0), random.random((4, 4, 4, 3))
    result = apply_lut(PHOTO, write_cube(tmp_path / "a.cube", table, curves))
    np.testing.assert_allclose(
        result, interpolate_tetrahedral(table, apply_curves(curves, PHOTO)), atol=1e-5
    )


@pytest.mark.parametrize("size", [2, 33])
def test_apply_lut_of_identity_changes_nothing(tmp_path, size):
    path = write_cube(
        tmp_path / "a.cube", identity_table(size), header='TITLE "None, nan"\n# 0 0 nan\n'
    )
    np.testing.assert_allclose(apply_lut(PHOTO, path), PHOTO, atol=1e-6)


def test_apply_lut_scales_by_domain(tmp_path):
    low, high = np.array([0.2, 0.0, 0.1]), np.array([0.8, 0.5, 1.0])
    header = "DOMAIN_MIN {} {} {}\nDOMAIN_MAX {} {} {}\n".format(*low, *high)
    table = np.random.default_rng(3).random((5, 5, 5, 3))
    expected = interpolate_tetrahedral(table, (PHOTO - low) / (high - low))
    result = apply_lut(PHOTO, write_cube(tmp_path / "a.cube", table, header=header))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_apply_lut_keeps_greys(tmp_path):
    greys = np.repeat(np.random.default_rng(4).random((4, 5, 1)), 3, axis=2)
    table = np.random.default_rng(5).random((5, 5, 5, 3))
    diagonal = np.arange(5)
    table[diagonal, diagonal, diagonal] = np.linspace(0, 1, 5)[:, None] ** 2
    result = apply_lut(greys, write_cube(tmp_path / "a.cube", table))
    np.testing.assert_allclose(result, result[..., :1] * np.ones(3), atol=1e-6)


def test_apply_lut_reads_a_changed_file_again(tmp_path):
    path = tmp_path / "a.cube"
    np.testing.assert_allclose(
        apply_lut(PHOTO, write_cube(path, identity_table(2))), PHOTO, atol=1e-6
    )
    np.testing.assert_allclose(
        apply_lut(PHOTO, write_cube(path, 1 - identity_table(2))), 1 - PHOTO, atol=1e-6
    )


def test_apply_lut_may_leave_range(tmp_path):
    result = apply_lut(PHOTO, write_cube(tmp_path / "a.CUBE", 3 * identity_table(2) - 1))
    np.testing.assert_allclose(result, 3 * PHOTO - 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5)])
def test_apply_lut_keeps_shape_and_input(tmp_path, shape):
    rgb = np.random.default_rng(6).random((*shape, 3)).astype(np.float32)
    before = rgb.copy()
    rgb.setflags(write=False)
    result = apply_lut(rgb[::-1], write_cube(tmp_path / "ä b.cube", 1 - identity_table(3)))
    np.testing.assert_allclose(result, 1 - before[::-1], atol=1e-6)
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "unspecified"),
        (b"\xff\xd8\xff\xe0JFIF\xff\xfe", "not text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not text"),
        (table_rows(identity_table(2)).encode(), "unspecified"),
        (b"LUT_3D_SIZE 2\n" + table_rows(identity_table(2)).encode()[:-40], "Found 7, expected 8"),
        (b"LUT_3D_SIZE 2\n" + table_rows(identity_table(2)).encode()[:-12], "Malformed"),
        (b"LUT_3D_SIZE 3\n" + table_rows(identity_table(2)).encode(), "Found 8, expected 27"),
        (
            b"LUT_3D_SIZE 2\n" + table_rows(identity_table(2)).encode() + b"0 0 0\n",
            "Found 9, expected 8",
        ),
        (b"LUT_1D_SIZE 4\n0 0 0\n1 1 1\n", "Found 2, expected 4"),
        (b"LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0 1\n" + 7 * b"0 0 0\n", "Found 7, expected 8"),
        (b"LUT_3D_SIZE 1\n0 0 0\n", "between 2 and 129"),
        (b"LUT_3D_SIZE 2\n" + 8 * b"red green blue\n", "red green blue"),
        (b"LUT_3D_SIZE 2\n" + 7 * b"0 0 0\n" + b"0 0 nan\n", "0 0 nan"),
        (b"LUT_3D_SIZE 2\n" + 7 * b"0 0 0\n" + b"-inf 0 0\n", "-inf 0 0"),
        (b"LUT_3D_SIZE 2\n" + 8 * b"0,5 0,5 0,5\n", "0,5 0,5 0,5"),
        (
            b"DOMAIN_MIN 1 1 1\nDOMAIN_MAX 1 1 1\nLUT_3D_SIZE 2\n"
            + table_rows(identity_table(2)).encode(),
            "must not be equal",
        ),
    ],
)
def test_apply_lut_of_invalid_cube_raises(tmp_path, content, got):
    path = tmp_path / "a (1).cube"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        apply_lut(PHOTO, path)
    assert got in caught.value.problem
    assert "cube)" not in caught.value.problem
    assert str(path) in caught.value.where
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["missing.cube", "folder.cube", "photo.jpg"])
def test_apply_lut_of_missing_file_raises(tmp_path, name):
    (tmp_path / "folder.cube").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        apply_lut(PHOTO, tmp_path / name)
