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
RAW_EXTENSIONS = (".dng", ".nef")
# What LibRaw prints on stderr where data are damaged, also where it does not give up for it.
DAMAGE_MESSAGES = ("data corrupted at", "Unexpected end of file")
# Bits of LibRaw's `flip`.
MIRRORED, UPSIDE_DOWN, TRANSPOSED = 1, 2, 4


def is_raw(path: Path) -> bool:
    """Tell by its name whether a file is one to be developed."""
    return path.suffix.lower() in RAW_EXTENSIONS


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

    messages: list[str] = []
    try:
        with _capture_damage_messages(messages), rawpy.imread(str(path)) as raw:
            sizes = raw.sizes  # before `postprocess`, which forgets how the picture lies
            codes = raw.postprocess(
                use_camera_wb=True, gamma=SRGB_CURVE, output_bps=16, user_flip=0
            )
    except rawpy.LibRawError as error:
        raise _raw_error(path, _error_text(error)) from error
    if messages:  # it went on, with garbage for pixels
        raise _raw_error(path, messages[0].removeprefix(f"{path}: "))
    pixels: NDArray[np.float32] = np.divide(
        apply_flip(apply_crop(codes, sizes), sizes.flip), FULL_SCALE, dtype=np.float32
    )
    return pixels


def apply_crop(codes: NDArray[Any], sizes: "ImageSizes") -> NDArray[Any]:
    """Cut to the crop that the file asks for, if it asks."""
    if not sizes.crop_width or not sizes.crop_height:
        return codes
    # Where pixels are not square, LibRaw has stretched the picture already.
    scale_y, scale_x = codes.shape[0] / sizes.height, codes.shape[1] / sizes.width
    top = max(0, sizes.crop_top_margin - sizes.top_margin)
    left = max(0, sizes.crop_left_margin - sizes.left_margin)
    rows = slice(round(top * scale_y), round((top + sizes.crop_height) * scale_y))
    columns = slice(round(left * scale_x), round((left + sizes.crop_width) * scale_x))
    return codes[rows, columns]


def apply_flip(codes: NDArray[Any], flip: int) -> NDArray[Any]:
    """Turn a picture as LibRaw's `flip` says.

    Examples
    --------
    >>> apply_flip(np.array([[1, 2], [3, 4]]), 6).tolist()  # a quarter turn clockwise
    [[3, 1], [4, 2]]
    """
    if flip & UPSIDE_DOWN:
        codes = codes[::-1]
    if flip & MIRRORED:
        codes = codes[:, ::-1]
    return codes.swapaxes(0, 1) if flip & TRANSPOSED else codes


@contextmanager
def _capture_damage_messages(messages: list[str]) -> Iterator[None]:
    """Gather what LibRaw prints on stderr about damage, and pass on the rest.

    The stream is the whole process's, so this is for a process that does one photo at a time.
    """
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if any(sign in line for sign in DAMAGE_MESSAGES):
                    messages.append(line)
                else:
                    os.write(2, f"{line}\n".encode())


def _error_text(error: Exception) -> str:
    """Return LibRaw's own words, which rawpy hands on as bytes."""
    text = error.args[0] if error.args else ""
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _raw_error(path: Path, got: str) -> PhotoError:
    return PhotoError(
        str(path),
        expected="a camera's raw file that LibRaw can develop",
        got=got.lower() or "one that it cannot",
        remedy="download it again",
    )
