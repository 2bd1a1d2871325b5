"""The pictures of the page: each operator's effect on a part of the sample photo."""

from pathlib import Path

import numpy as np
import pyvips

from burnish.files import make_folder
from burnish.operators.operator import SAMPLES
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.types import Pixels

SAMPLE_PHOTO = SAMPLES / "coffee.jpg"
# The part of the sample photo, px, and its reduction.
_ROWS, _COLUMNS, _REDUCTION = slice(20, 380), slice(60, 540), 3
_HAZE, _HAZE_SHARE = np.array([0.86, 0.89, 0.92], np.float32), np.float32(0.6)
# Operators with a result that is easier to see with these values.
_VALUES: dict[str, dict[str, float]] = {
    "local-laplacian": {"detail": 4},
    "l0-smoothing": {"lambda": 0.05},
    "multiscale-tone": {"fine": 2, "medium": 2},
}
_QUALITY = 82


def write_pictures(folder: Path, operators: list[str]) -> None:
    """Write a picture of each operator: the sample photo on the left, the result on the right."""
    make_folder(folder)
    photo = Photo.open(SAMPLE_PHOTO).pixels[_ROWS, _COLUMNS]
    for name in operators:
        before = np.ascontiguousarray(photo)
        if name.endswith("dehazing"):
            before = before * (1 - _HAZE_SHARE) + _HAZE * _HAZE_SHARE
        after = Model.open(name)(before, _VALUES.get(name, {}))
        half = before.shape[1] // 2
        picture = np.concatenate([before[:, :half], after[:, half:]], axis=1)
        (folder / f"{name}.jpg").write_bytes(_reduced_jpeg(picture))


def _reduced_jpeg(pixels: Pixels) -> bytes:
    codes = np.rint(pixels * 255).astype(np.uint8)
    image = pyvips.Operation.call("shrink", pyvips.Image.new_from_array(codes), *[_REDUCTION] * 2)
    data: bytes = pyvips.Operation.call("jpegsave_buffer", image, Q=_QUALITY, keep=0)
    return data


def srgb_profile() -> bytes:
    """Return libvips' profile of sRGB, to which all colours are converted."""
    profile: bytes = pyvips.Operation.call("profile_load", "srgb")
    return profile
