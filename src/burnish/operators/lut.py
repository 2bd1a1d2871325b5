"""A colour look from a .cube file, such as photo and film programs write, by OpenColorIO."""

import re
from functools import lru_cache
from os import PathLike
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import PyOpenColorIO as OCIO  # noqa: N814 what its own manual calls it
from numpy.typing import NDArray

from burnish.errors import UsageError


def look(rgb: NDArray[np.float32], lut: str | PathLike[str]) -> NDArray[np.float32]:
    r"""Give a photo the colours of a look, whatever program the look was made in.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in single precision
    lut : a .cube file: a table of colours (3-D), three curves (1-D), or curves and then a table

    Returns
    -------
    ndarray of shape (H, W, 3); leaves [0, 1] where the look does

    Raises
    ------
    UsageError : `lut` is missing, or no sound .cube file

    Notes
    -----
    The look is applied to the values as they are, sRGB-encoded: take one that was made for
    Rec. 709 or sRGB, not one for a camera's logarithmic film.

    Tables are interpolated in tetrahedra, which keeps greys grey, and curves linearly. Beyond
    the file's domain its end holds. A pixel's result depends on that pixel alone.

    The format is Adobe's (2013), with what DaVinci Resolve adds to it: LUT_1D_INPUT_RANGE,
    LUT_3D_INPUT_RANGE, and both tables in one file.

    References
    ----------
    Adobe Systems: Cube LUT Specification, version 1.0, 2013.

    OpenColorIO: https://opencolorio.org

    Examples
    --------
    >>> table = "LUT_3D_SIZE 2\n0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 0\n1 0 0\n0 1 0\n1 1 0"
    >>> _ = Path("without-blue.cube").write_text(table)
    >>> look(np.full((1, 1, 3), 0.5), "without-blue.cube")
    array([[[0.5, 0.5, 0. ]]], dtype=float32)
    """
    path = Path(lut)
    try:
        # The content, because a file may change while a long run goes on.
        processor = _processor(path, path.read_bytes())
    except OSError as error:
        raise _lut_error(path, error.strerror or str(error)) from error
    result = np.array(rgb, dtype=np.float32, order="C")
    processor.applyRGB(result)
    return result


# A row of the table that holds more than numbers: OpenColorIO would take 0 for nan and for 0,5.
_INVALID_ROW = re.compile(rb"(?im)^[ \t]*(?:[-+]?(?:nan|inf)|[-+.\d].*[^-+.\de \t\r\n]).*$")


@lru_cache(maxsize=2)
def _processor(path: Path, content: bytes) -> Any:
    if path.suffix.lower() != ".cube":
        raise _lut_error(path, f"a file named *{path.suffix}")
    # OpenColorIO would go on giving what a file of this name held before.
    OCIO.ClearAllCaches()
    absolute_path = str(path.resolve())
    transform = OCIO.FileTransform(absolute_path, interpolation=OCIO.INTERP_BEST)
    try:
        processor = OCIO.Config.CreateRaw().getProcessor(transform).getDefaultCPUProcessor()
    except OCIO.Exception as error:
        raise _lut_error(path, _reason(str(error), absolute_path)) from error
    except UnicodeDecodeError as error:  # it quotes a line that is no text
        raise _lut_error(path, "a file that is not text") from error
    if invalid_row := _INVALID_ROW.search(content):
        raise _lut_error(path, f"a row {invalid_row[0].decode(errors='replace').strip()!r}")
    return processor


def _reason(message: str, where: str) -> str:
    """Return the complaint of the reader that came furthest into the file; two try it."""
    start = re.escape(f"({where}).")
    complaints: list[str] = re.findall(rf"{start}\s*(.*?)\.?\s*(?:'resolve_cube'|$)", message)

    def line(complaint: str) -> int:
        number = re.match(r"At line \((\d+)\)", complaint)
        return int(number[1]) if number else 1 << 62

    if complaints:
        return max(complaints, key=line)
    return message.rpartition("error: ")[2].strip(". ")


def _lut_error(path: Path, got: str) -> UsageError:
    return UsageError(
        f"look {path}",
        expected="a .cube file, 1-D or 3-D",
        got=shorten(got, 160),
        remedy="export the look as .cube again, or choose another file",
    )
