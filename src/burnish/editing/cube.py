"""A .cube file of an operator that is nothing but a map of colours, for other programs to use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.errors import OperatorError, UsageError
from burnish.files import atomic_write, check_absent, make_folder
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_runnable_operator
from burnish.params import Value
from burnish.types import Pixels

DEFAULT_SIZE = 33
# What programs read; a table of 256 has 50 million numbers.
SIZES = range(2, 130)
# Results of one colour that differ by less are the same: a twentieth of a 16-bit code's step.
_TOLERANCE = 1e-6
# Colours that the table is judged by.
_TEST_SIDE = 64


@dataclass(frozen=True)
class Cube:
    """A written table.

    Parameters
    ----------
    path : where it is
    size : colours along each side
    error : the largest difference, 0 to 1, between the table, interpolated as OpenColorIO does, and
        the operator, on 4,096 random colours
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
    """Write the colours that an operator makes of every colour as a three-dimensional table.

    Parameters
    ----------
    operator : a name, or an operator of one's own
    target : ends in .cube
    params : the operator's, by name or keyword
    size : colours along each side; other programs commonly take 17, 33 or 65

    Raises
    ------
    UsageError : an unknown operator or parameter, a size out of range, or another file name
    OperatorError : the operator does more than map colours: a pixel's result depends on others
    OutputError : the target exists and `overwrite` is not set

    Notes
    -----
    Adobe Systems: Cube LUT Specification, version 1.0, 2013. Values are sRGB-encoded, both ways.
    """
    if size not in SIZES:
        raise UsageError(
            "--size",
            expected=f"{SIZES[0]} to {SIZES[-1]} colours a side",
            got=f"{size}",
            remedy=f"{DEFAULT_SIZE} is usual",
        )
    if target.suffix.lower() != ".cube":
        raise UsageError(
            str(target), expected="a name that ends in .cube", got="another", remedy="end it so"
        )
    check_absent(target, overwrite=overwrite)
    reference = find_runnable_operator(operator)
    values = reference.resolve_params(params or {})

    def run(pixels: Pixels) -> Pixels:
        output: Pixels = reference.run(pixels, **values)
        return output

    table = _sample_table(run, size, reference.name)
    # Red runs fastest, as the format has it.
    numbers = "\n".join("{:.7g} {:.7g} {:.7g}".format(*colour) for colour in table)
    text = f'TITLE "{reference.name}"\nLUT_3D_SIZE {size}\n{numbers}\n'
    make_folder(target.parent)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(text.encode())
    return Cube(target, size, _interpolation_error(run, target))


def _sample_table(run: Callable[[Pixels], Pixels], size: int, name: str) -> Pixels:
    """Run the operator on every colour, in an order that has no meaning to it; (size^3, 3)."""
    levels = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")
    colours = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    random = np.random.default_rng(0)
    results = []
    # The same colours among other neighbours, and then among fewer: only their own count.
    for fraction in (1.0, 1.0, 0.5):
        indices = random.permutation(len(colours))[: round(len(colours) * fraction / size) * size]
        outputs = run(colours[indices].reshape(-1, size, 3)).reshape(-1, 3)
        result = np.full_like(colours, np.nan)
        result[indices] = outputs
        results.append(result)
    first, *repeats = results
    if any(np.nanmax(np.abs(first - other)) > _TOLERANCE for other in repeats):
        raise OperatorError(
            f"operator {name}",
            expected="one that gives each colour a colour, whatever is around it",
            got="one that looks at more than a pixel",
            remedy="no table can hold it; learn a network instead: burnish train",
        )
    return first


def _interpolation_error(run: Callable[[Pixels], Pixels], table: Path) -> float:
    lut = OPERATORS["look"].load_function()
    colours = np.random.default_rng(1).random((_TEST_SIDE, _TEST_SIDE, 3), np.float32)
    return float(np.abs(lut(colours, table) - run(colours)).max())
