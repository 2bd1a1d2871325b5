"""Export of an operator that maps each colour independently, as a .cube lookup table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.errors import UsageError
from burnish.files import atomic_write, check_absent, make_folder
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_runnable_operator
from burnish.params import Value
from burnish.types import Pixels

DEFAULT_SIZE = 33
# Sizes that other programs read. A table of size 256 would have 50 million numbers.
SIZES = range(2, 130)
# Largest difference between outputs that count as equal: a twentieth of a step of 16 bits.
_TOLERANCE = 1e-6
# The error is measured on the square of this number of random colours.
_TEST_SIDE = 64


@dataclass(frozen=True)
class Cube:
    """A written table of `size` colours along each side.

    `error` is the largest difference, from 0 to 1, between the operator and the table as
    interpolated by OpenColorIO, on 4,096 random colours.
    """

    path: Path
    size: int
    error: float


def write_cube(
    operator: str,
    target: Path,
    *,
    params: Mapping[str, Value] | None = None,
    size: int = DEFAULT_SIZE,
    overwrite: bool = False,
) -> Cube:
    """Write the outputs of an operator for a grid of colours as a three-dimensional table.

    Parameters
    ----------
    operator : an operator's name, or a user-defined operator
    target : the output file, with the extension .cube
    size : number of colours along each side; programs commonly use 17, 33 or 65

    Raises
    ------
    UsageError : an unknown operator or parameter, a size out of range, another extension, or an
        operator whose output for a pixel depends on other pixels
    OutputError : the target exists and `overwrite` is not set

    Notes
    -----
    Adobe Systems: Cube LUT Specification, version 1.0, 2013. Inputs and outputs are sRGB-encoded.
    """
    if size not in SIZES:
        problem = f"expected {SIZES[0]} to {SIZES[-1]}, got {size}"
        raise UsageError("--size", problem, f"leave it out for {DEFAULT_SIZE}")
    if target.suffix.lower() != ".cube":
        raise UsageError(str(target), "its extension is not .cube", "choose another -o")
    check_absent(target, overwrite=overwrite)
    reference = find_runnable_operator(operator)
    values = reference.resolve_params(params or {})

    def run(pixels: Pixels) -> Pixels:
        output: Pixels = reference.run(pixels, **values)
        return output

    table = _sample_table(run, size, reference.name)
    # In the format, red varies fastest.
    numbers = "\n".join("{:.7g} {:.7g} {:.7g}".format(*colour) for colour in table)
    text = f'TITLE "{reference.name}"\nLUT_3D_SIZE {size}\n{numbers}\n'
    make_folder(target.parent)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(text.encode())
    colours = np.random.default_rng(1).random((_TEST_SIDE, _TEST_SIDE, 3), np.float32)
    interpolated = OPERATORS["lut"].load_function()(colours, target)
    return Cube(target, size, error=float(np.abs(interpolated - run(colours)).max()))


def _sample_table(run: Callable[[Pixels], Pixels], size: int, name: str) -> Pixels:
    """Return the operator's output for all colours of the grid, (size^3, 3), red varying fastest.

    The colours are shuffled, so that an operator that depends on neighbouring pixels is detected.
    """
    levels = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")
    colours = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    random = np.random.default_rng(0)
    tables = []
    # Two orders of all colours, and one of half of them.
    for fraction in (1.0, 1.0, 0.5):
        indices = random.permutation(len(colours))[: round(len(colours) * fraction / size) * size]
        table = np.full_like(colours, np.nan)
        table[indices] = run(colours[indices].reshape(-1, size, 3)).reshape(-1, 3)
        tables.append(table)
    first, *repeats = tables
    if any(np.nanmax(np.abs(first - other)) > _TOLERANCE for other in repeats):
        problem = "its output for a pixel depends on other pixels, so a table cannot represent it"
        raise UsageError(f"operator {name}", problem, "train a network instead: burnish train")
    return first
