"""A camera's raw file to sRGB pixels, as LibRaw develops it.

What LibRaw does unless told otherwise (demosaicing by AHD, brightened until one pixel in a hundred
is white, highlights clipped), with the white balance that the camera chose, and encoded with sRGB's
curve rather than BT.709's.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from burnish.errors import PhotoError

if TYPE_CHECKING:
    from rawpy import ImageSizes

# The exponent's inverse, and the slope near black, of sRGB's curve.
SRGB_CURVE = (2.4, 12.92)
FULL_SCALE = 65535
RAW = (".dng", ".nef")
# What LibRaw prints on stderr where data are damaged, also where it does not give up for it.
DAMAGE = ("data corrupted at", "Unexpected end of file")
# Bits of LibRaw's `flip`.
MIRRORED, UPSIDE_DOWN, TRANSPOSED = 1, 2, 4


def is_raw(path: Path) -> bool:
    """Tell by its name whether a file is one to be developed."""
    return path.suffix.lower() in RAW


def develop(path: Path) -> NDArray[np.float32]:
    """Develop a raw file.

    It is turned upright and cropped as its maker asks (a DNG's DefaultCrop). LibRaw by itself keeps
    what lies around the crop, 16 pixels at the sides of FiveK's a0001, so that an expert's version
    would not lie on it; and it moves the crop to the colour filter's grid, by one pixel at most.

    Returns
    -------
    H x W x 3, sRGB-encoded, in [0, 1]

    Raises
    ------
    PhotoError : no raw file, or a damaged one
    """
    import rawpy

    printed: list[str] = []
    try:
        with _listening(printed), rawpy.imread(str(path)) as raw:
            sizes = raw.sizes  # before `postprocess`, which forgets how the picture lies
            codes = raw.postprocess(
                use_camera_wb=True, gamma=SRGB_CURVE, output_bps=16, user_flip=0
            )
    except rawpy.LibRawError as error:
        raise _damaged(path, _words(error)) from error
    if printed:  # it went on, with garbage for pixels
        raise _damaged(path, printed[0].removeprefix(f"{path}: "))
    pixels: NDArray[np.float32] = np.divide(
        upright(cropped(codes, sizes), sizes.flip), FULL_SCALE, dtype=np.float32
    )
    return pixels


def cropped(codes: NDArray[Any], sizes: "ImageSizes") -> NDArray[Any]:
    """Cut to the crop that the file asks for, if it asks."""
    if not sizes.crop_width or not sizes.crop_height:
        return codes
    # Where pixels are not square, LibRaw has stretched the picture already.
    down, across = codes.shape[0] / sizes.height, codes.shape[1] / sizes.width
    top = max(0, sizes.crop_top_margin - sizes.top_margin)
    left = max(0, sizes.crop_left_margin - sizes.left_margin)
    rows = slice(round(top * down), round((top + sizes.crop_height) * down))
    columns = slice(round(left * across), round((left + sizes.crop_width) * across))
    return codes[rows, columns]


def upright(codes: NDArray[Any], flip: int) -> NDArray[Any]:
    """Turn a picture as LibRaw's `flip` says.

    Examples
    --------
    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()  # a quarter turn clockwise
    [[3, 1], [4, 2]]
    """
    if flip & UPSIDE_DOWN:
        codes = codes[::-1]
    if flip & MIRRORED:
        codes = codes[:, ::-1]
    return codes.swapaxes(0, 1) if flip & TRANSPOSED else codes


@contextmanager
def _listening(printed: list[str]) -> Iterator[None]:
    """Gather what LibRaw prints on stderr about damage, and pass on the rest.

    The stream is the whole process's, so this is for a process that does one photo at a time.
    """
    with tempfile.TemporaryFile() as heard:
        stderr = os.dup(2)
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            heard.seek(0)
            for line in heard.read().decode(errors="replace").splitlines():
                if any(sign in line for sign in DAMAGE):
                    printed.append(line)
                else:
                    os.write(2, f"{line}\n".encode())


def _words(error: Exception) -> str:
    """Return LibRaw's own words, which rawpy hands on as bytes."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _damaged(path: Path, got: str) -> PhotoError:
    return PhotoError(
        str(path),
        expected="a camera's raw file that LibRaw can develop",
        got=got.lower() or "one that it cannot",
        remedy="download it again",
    )
