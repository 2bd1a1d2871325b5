"""Edits of arrays, PIL images and the bytes of photos."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.editing.edit import Edit
from burnish.editing.photo import edit_photo, for_photo
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.types import OnProgress

# The modes whose arrays are grey or RGB, with alpha last. A palette has no room for new colours.
_PIL_MODES = ("L", "LA", "RGB", "RGBA", "I;16")


def apply_in_memory(edit: Edit, image: Any, on_progress: OnProgress | None) -> Any:
    """Edit an image that is no file; `burnish.apply` describes the kinds and the errors."""
    if isinstance(image, bytes):
        photo = Photo.open(image)
        edit = for_photo(edit, photo.metadata)
        return edit_photo(edit, photo, on_progress=on_progress).encode()
    if isinstance(image, np.ndarray):
        return _apply_to_array(edit, image, on_progress)
    if type(image).__module__.startswith("PIL."):
        return _apply_to_pil(edit, image, on_progress)
    problem = f"expected a path, bytes, a PIL image or an array, got {type(image).__name__}"
    raise UsageError("image", problem, "convert it to one of these")


def _apply_to_array(
    edit: Edit, array: NDArray[Any], on_progress: OnProgress | None
) -> NDArray[Any]:
    channels = array[..., None] if array.ndim == 2 else array
    if channels.ndim != 3 or channels.shape[2] not in (1, 2, 3, 4) or 0 in channels.shape:
        raise _array_error(f"shape {array.shape}")
    if array.dtype in (np.uint8, np.uint16):
        max_value = float(np.iinfo(array.dtype).max)
    elif array.dtype.kind == "f":
        max_value = 1.0
    else:
        raise _array_error(f"dtype {array.dtype}")
    colour_count = channels.shape[2] - (channels.shape[2] in (2, 4))
    rgb = channels[..., :colour_count].astype(np.float32) / np.float32(max_value)
    if not (np.isfinite(rgb).all() and rgb.min() >= 0 and rgb.max() <= 1):
        raise _array_error("values outside [0, 1]")
    rgb = np.ascontiguousarray(np.broadcast_to(rgb, (*rgb.shape[:2], 3)))
    bits = 8 * array.dtype.itemsize if max_value > 1 else 32
    output = edit.for_output(bits).run(rgb, on_progress)
    if colour_count == 1:
        output = output.mean(axis=2, keepdims=True)
    if max_value > 1:
        output = np.rint(output * max_value)
    edited = channels.copy()
    edited[..., :colour_count] = output.astype(array.dtype)
    return edited.reshape(array.shape)


def _array_error(got: str) -> UsageError:
    accepted = "an array (H, W) or (H, W, 1 to 4) of uint8, uint16 or floats in [0, 1]"
    return UsageError("image", f"expected {accepted}, got {got}", "convert it first")


def _apply_to_pil(edit: Edit, image: Any, on_progress: OnProgress | None) -> Any:
    from PIL import Image

    if image.mode not in _PIL_MODES:
        problem = f"expected a PIL image of mode {', '.join(_PIL_MODES)}, got mode {image.mode}"
        raise UsageError("image", problem, "convert it first: image.convert('RGB')")
    if "transparency" in image.info:
        # After the edit, other pixels would have the colour that means "transparent".
        problem = "one of its colours means transparent"
        raise UsageError("image", problem, "convert it first: image.convert('RGBA')")
    output = Image.fromarray(_apply_to_array(edit, np.asarray(image), on_progress))
    output.info = dict(image.info)
    return output
