"""Decoding of HEIC photos, which are compressed with HEVC, by pillow-heif.

libvips reads their headers and metadata, but its wheels have no decoder for HEVC.
"""

import numpy as np
import pyvips

from burnish.errors import PhotoError, missing_library, warn

# Modes of pillow-heif that end in this have 16 bits a channel.
_DEEP = ";16"


def decode_hevc(where: str, data: bytes, bands: int) -> pyvips.Image:
    """Return the primary image of a HEIC file: upright, with 3 or 4 bands of 8 or 16 bits.

    Parameters
    ----------
    bands : 3, or 4 with alpha

    Raises
    ------
    PhotoError : the file is damaged
    MissingLibraryError : pillow-heif is not installed

    Warns
    -----
    UserWarning : the file has several images
    """
    try:
        import pillow_heif
    except ModuleNotFoundError as error:
        raise missing_library(error).with_context(where) from error
    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        codes = np.asarray(file)
    except (EOFError, OSError, RuntimeError, SyntaxError, ValueError) as error:
        problem = f"the heic file is broken or unsupported ({error})"
        raise PhotoError(where, problem, "open it elsewhere and save it again") from error
    if len(file) > 1:
        warn(f"{where}: only the main image is read, without {len(file) - 1} more")
    if file.mode.endswith(_DEEP):
        # pillow-heif shifts the 10 or 12 bits of a sample up; this makes white white.
        codes = codes | (codes >> file.info["bit_depth"])
    if codes.ndim == 2:
        codes = codes[:, :, None]
    if codes.shape[2] < 3:  # libvips declares grey as RGB
        codes = np.concatenate([np.repeat(codes[:, :, :1], 3, axis=2), codes[:, :, 1:]], axis=2)
    codes = np.ascontiguousarray(codes[:, :, :bands])
    height, width = codes.shape[:2]
    kind = "ushort" if file.mode.endswith(_DEEP) else "uchar"
    return pyvips.Image.new_from_memory(codes.data, width, height, bands, kind)
