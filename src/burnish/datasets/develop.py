"""Develop a camera's raw file to sRGB with LibRaw.

The settings are LibRaw's defaults (AHD demosaicing, brightened until 1 % of the pixels are white,
highlights clipped), with the camera's white balance, and with sRGB's curve instead of BT.709's.
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

# Gamma, and slope near black, of sRGB's curve.
SRGB_CURVE = (2.4, 12.92)
FULL_SCALE = 65535
RAW_EXTENSIONS = (".dng", ".nef")
# Messages that LibRaw prints to stderr for damaged data, even if it raises no error.
DAMAGE_MESSAGES = ("data corrupted at", "Unexpected end of file")
# Bits of LibRaw's `flip`.
MIRRORED, UPSIDE_DOWN, TRANSPOSED = 1, 2, 4


def is_raw(path: Path) -> bool:
    """Return whether the name is that of a raw file."""
    return path.suffix.lower() in RAW_EXTENSIONS


def develop(path: Path) -> NDArray[np.float32]:
    """Develop a raw file.

    The image is rotated upright and cropped to the DNG's DefaultCrop. LibRaw does not crop by
    itself. For FiveK's a0001 it keeps 16 pixels more at the sides, with which an expert's version
    would not be aligned. LibRaw moves the crop to the grid of the colour filter, by at most one
    pixel.

    Returns
    -------
    ndarray of shape (H, W, 3), float32, sRGB-encoded, in [0, 1]

    Raises
    ------
    PhotoError : the file is not a raw file, or is damaged
    """
    import rawpy

    messages: list[str] = []
    try:
        with _capture_damage_messages(messages), rawpy.imread(str(path)) as raw:
            sizes = raw.sizes  # before `postprocess`, which resets the orientation
            codes = raw.postprocess(
                use_camera_wb=True, gamma=SRGB_CURVE, output_bps=16, user_flip=0
            )
    except rawpy.LibRawError as error:
        raise _raw_error(path, _error_text(error)) from error
    if messages:  # LibRaw raised no error, but the pixels are damaged
        raise _raw_error(path, messages[0].removeprefix(f"{path}: "))
    pixels: NDArray[np.float32] = np.divide(
        apply_flip(apply_crop(codes, sizes), sizes.flip), FULL_SCALE, dtype=np.float32
    )
    return pixels


def apply_crop(codes: NDArray[Any], sizes: "ImageSizes") -> NDArray[Any]:
    """Crop the image to the file's DefaultCrop, if it has one."""
    if not sizes.crop_width or not sizes.crop_height:
        return codes
    # LibRaw has already resampled an image with non-square pixels.
    scale_y, scale_x = codes.shape[0] / sizes.height, codes.shape[1] / sizes.width
    top = max(0, sizes.crop_top_margin - sizes.top_margin)
    left = max(0, sizes.crop_left_margin - sizes.left_margin)
    rows = slice(round(top * scale_y), round((top + sizes.crop_height) * scale_y))
    columns = slice(round(left * scale_x), round((left + sizes.crop_width) * scale_x))
    return codes[rows, columns]


def apply_flip(codes: NDArray[Any], flip: int) -> NDArray[Any]:
    """Rotate and mirror an image according to LibRaw's `flip`.

    Examples
    --------
    >>> apply_flip(np.array([[1, 2], [3, 4]]), 6).tolist()  # 90 degrees clockwise
    [[3, 1], [4, 2]]
    """
    if flip & UPSIDE_DOWN:
        codes = codes[::-1]
    if flip & MIRRORED:
        codes = codes[:, ::-1]
    return codes.swapaxes(0, 1) if flip & TRANSPOSED else codes


@contextmanager
def _capture_damage_messages(messages: list[str]) -> Iterator[None]:
    """Collect LibRaw's messages about damage on stderr, and print the others.

    stderr belongs to the process, so only one photo may be developed in a process at a time.
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
                if any(message in line for message in DAMAGE_MESSAGES):
                    messages.append(line)
                else:
                    os.write(2, f"{line}\n".encode())


def _error_text(error: Exception) -> str:
    """Return LibRaw's message, which rawpy passes on as bytes."""
    text = error.args[0] if error.args else ""
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _raw_error(path: Path, message: str) -> PhotoError:
    problem = f"LibRaw cannot develop the file: {message.lower() or 'unknown error'}"
    return PhotoError(str(path), problem, "download it again")
