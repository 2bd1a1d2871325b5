"""Colour lookup tables (LUTs) from .cube files, applied by OpenColorIO."""

import re
from functools import lru_cache
from os import PathLike
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import PyOpenColorIO as OCIO  # noqa: N814 the name in its manual
from numpy.typing import NDArray

from burnish.errors import UsageError, reason


def apply_lut(rgb: NDArray[np.float32], lut: str | PathLike[str]) -> NDArray[np.float32]:
    r"""Apply the lookup table of a .cube file, as written by photo and video programs.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in single precision
    lut : a .cube file with a 3-D table, three 1-D curves, or curves followed by a table

    Returns
    -------
    ndarray of shape (H, W, 3); leaves [0, 1] where the table does

    Raises
    ------
    UsageError : `lut` cannot be read, or is not a valid .cube file

    Notes
    -----
    The table is applied to the sRGB-encoded values. It should therefore be made for Rec. 709 or
    sRGB, and not for the logarithmic encoding of a camera.

    Tables are interpolated in tetrahedra, which keeps greys grey, and curves linearly. Values
    outside the file's domain are clipped to it. The format is Adobe's (2013) with the additions of
    DaVinci Resolve: LUT_1D_INPUT_RANGE, LUT_3D_INPUT_RANGE, and both tables in one file.

    References
    ----------
    Adobe Systems: Cube LUT Specification, version 1.0, 2013.

    Examples
    --------
    >>> table = "LUT_3D_SIZE 2\n0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 0\n1 0 0\n0 1 0\n1 1 0"
    >>> _ = Path("without-blue.cube").write_text(table)
    >>> apply_lut(np.full((1, 1, 3), 0.5), "without-blue.cube")
    array([[[0.5, 0.5, 0. ]]], dtype=float32)
    """
    path = Path(lut)
    try:
        # The content is a cache key, because a file may change during a long run.
        processor = _processor(path, path.read_bytes())
    except OSError as error:
        raise _lut_error(path, f"cannot be read: {reason(error)}") from error
    output = np.array(rgb, dtype=np.float32, order="C")
    processor.applyRGB(output)
    return output


# A table row with something other than numbers. OpenColorIO would read nan and 0,5 as 0.
_INVALID_ROW = re.compile(rb"(?im)^[ \t]*(?:[-+]?(?:nan|inf)|[-+.\d].*[^-+.\de \t\r\n]).*$")


@lru_cache(maxsize=2)
def _processor(path: Path, content: bytes) -> Any:
    if path.suffix.lower() != ".cube":
        raise _lut_error(path, "not a .cube file")
    # OpenColorIO caches by file name, and would miss a change of the file.
    OCIO.ClearAllCaches()
    absolute_path = str(path.resolve())
    transform = OCIO.FileTransform(absolute_path, interpolation=OCIO.INTERP_BEST)
    try:
        processor = OCIO.Config.CreateRaw().getProcessor(transform).getDefaultCPUProcessor()
    except OCIO.Exception as error:
        raise _lut_error(path, _problem(str(error), absolute_path)) from error
    except UnicodeDecodeError as error:  # OpenColorIO quotes a line that is not text
        raise _lut_error(path, "the file is not text") from error
    if row := _INVALID_ROW.search(content):
        raise _lut_error(path, f"invalid row {row[0].decode(errors='replace').strip()!r}")
    return processor


def _problem(message: str, absolute_path: str) -> str:
    """Return the error of the one of OpenColorIO's two .cube readers that read more lines."""
    start = re.escape(f"({absolute_path}).")
    problems: list[str] = re.findall(rf"{start}\s*(.*?)\.?\s*(?:'resolve_cube'|$)", message)

    def line_number(problem: str) -> int:
        number = re.match(r"At line \((\d+)\)", problem)
        return int(number[1]) if number else 1 << 62

    if problems:
        return max(problems, key=line_number)
    return message.rpartition("error: ")[2].strip(". ")


def _lut_error(path: Path, problem: str) -> UsageError:
    remedy = "export the LUT as .cube again, or choose another file"
    return UsageError(f"lut {path}", shorten(problem, 160), remedy)
