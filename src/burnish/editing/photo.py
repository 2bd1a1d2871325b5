"""Apply to one photo or film: a path, bytes, a PIL image or an array in, the same kind out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from burnish.editing.edit import Edit, Progress, load_edit
from burnish.editing.history import add_history
from burnish.editing.masked import RegionLike, masked_edit, to_region
from burnish.editing.out_of_core import edit_out_of_core, needs_out_of_core
from burnish.editing.plan import OutputOptions, output_path
from burnish.editing.region_edit import region_edit
from burnish.editing.video_file import edit_video
from burnish.errors import UsageError
from burnish.files import check_absent, make_folder
from burnish.params import Value
from burnish.photo import Photo
from burnish.regions.edits.table import EDITS
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.video.formats import SAME_AS_SOURCE, EncodingOptions, has_video_extension

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = TypeVar("Picture", bound=str | Path | bytes | Image | NDArray[Any])


def apply(
    image: "Picture",
    operator: str | Path,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    slow: bool = False,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
    codec: str | None = None,
    crf: int | None = None,
    only: RegionLike | None = None,
    **params: Value,
) -> "Picture":
    """Apply an operator's network, or an edit of regions, to a picture, or to a film by its path.

    Parameters
    ----------
    image : path of a picture or film, bytes of a picture file, PIL image, or array of shape (H, W)
        or (H, W, C): grey, RGB, or either with alpha last; uint8, uint16 or floating in [0, 1];
        sRGB-encoded
    operator : an operator's name such as "l0-smoothing", the path of a model file, or an edit of
        regions such as "splash"
    output, overwrite : for a path only: where the result goes (default: `photo.OPERATOR.jpg`
        beside it), and whether it may replace a file
    slow : run the slow operator itself
    device : "auto", "cpu", "cuda" or "cuda:N"; one asked for by name is used or fails
    threads : CPU threads, by default one a core
    engine : "onnxruntime" or "openvino"
    codec, crf : for a film only: how it is encoded, by default as it was
    only : where it shows: a class of objects such as "person" or several, a mask of the picture's
        size (bool, or floats in [0, 1]), or a `burnish.regions.region.Region`
    params : the operator's parameters, e.g. ``lambda_=0.02``

    Returns
    -------
    The same kind: for a path the path of the result, for bytes a file of the same format, for a
    PIL image one of the same mode, for an array one of the same shape and dtype

    Raises
    ------
    UsageError : a kind, shape, name or value that burnish does not take
    PhotoError, VideoError : the picture or film cannot be read or written
    MissingLibraryError : a film, and no library for films
    ModelError, DeviceError : the network or the device cannot be had
    OutputError : the result exists, or is not sane

    Examples
    --------
    >>> grey = np.full((40, 60), 128, np.uint8)
    >>> result = apply(grey, "l0-smoothing")
    >>> result.shape, result.dtype
    ((40, 60), dtype('uint8'))
    """
    edit = _make_edit(operator, params, only, slow, device, threads, engine)
    if isinstance(image, str | Path):
        source, encoding_options = Path(image), EncodingOptions(codec, crf)
        target = output_path(
            source,
            edit.name,
            OutputOptions(output, overwrite=overwrite, encoding_options=encoding_options),
        )
        path = apply_to_file(
            edit, source, target, overwrite=overwrite, encoding_options=encoding_options
        )
        return cast("Picture", str(path) if isinstance(image, str) else path)
    for name, value in (("output", output), ("codec", codec), ("crf", crf)):
        if value is not None:
            raise UsageError(
                name, expected="a path as image", got=type(image).__name__, remedy="leave it out"
            )
    return cast("Picture", _apply_in_memory(edit, image))


def _make_edit(
    operator: str | Path,
    params: dict[str, Value],
    only: RegionLike | None,
    slow: bool,
    device: str,
    threads: int | None,
    engine: str,
) -> Edit:
    """Choose the edit, and the region that it shows in."""
    region_edit_spec = EDITS.get(operator) if isinstance(operator, str) else None
    if region_edit_spec is None:
        edit = load_edit(operator, params, slow=slow, device=device, threads=threads, engine=engine)
        if only is None:
            return edit
        return masked_edit(edit, to_region(only, device=device, threads=threads))
    if only is None:
        only = region_edit_spec.selection_defaults.get("classes")
    if only is None:
        raise UsageError(
            "only",
            expected=f"a region, which {operator} needs",
            got="none",
            remedy='such as only="person", or a mask',
        )
    region = to_region(
        only,
        region_edit_spec.selection_defaults,
        region_edit_spec.edge_defaults,
        device=device,
        threads=threads,
    )
    return region_edit(region_edit_spec, params, region)


def _apply_in_memory(edit: Edit, image: Any) -> Any:
    if isinstance(image, bytes):
        return edit_photo(edit, Photo.open(image)).encode()
    if isinstance(image, np.ndarray):
        return _apply_to_array(edit, image)
    if type(image).__module__.startswith("PIL."):
        return _apply_to_pil(edit, image)
    raise UsageError(
        "image",
        expected="a path, bytes, a PIL image or an array",
        got=type(image).__name__,
        remedy="convert it to one of these",
    )


def apply_to_file(
    edit: Edit,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    quality: int | None = None,
    depth: int | None = None,
    encoding_options: EncodingOptions = SAME_AS_SOURCE,
    progress: Progress | None = None,
) -> Path:
    """Read `source`, edit it and write `target`, which stays as it was if anything fails.

    Parameters
    ----------
    quality, depth : of a photo; see `Photo.save`
    encoding_options : of a film
    progress : told the share done, from 0 to 1, by an edit that knows it

    Raises
    ------
    OutputError : the target exists, its folder cannot be had, or the result is not sane
    PhotoError, VideoError : it cannot be read, or the target's format cannot hold it
    """
    if has_video_extension(source):

        def on_frame(done: int, total: int) -> None:
            if progress is not None and total:
                progress(done / total)

        edit_video(
            edit,
            source,
            target,
            overwrite=overwrite,
            encoding_options=encoding_options,
            on_frame=on_frame,
        )
        return target
    check_absent(target, overwrite=overwrite)
    if needs_out_of_core(edit, source):
        edit_out_of_core(
            edit,
            source,
            target,
            overwrite=overwrite,
            quality=quality,
            depth=depth,
            progress=progress,
        )
        return target
    edited_photo = edit_photo(edit, Photo.open(source), progress, source)
    make_folder(target.parent)
    return edited_photo.save(target, quality=quality, depth=depth, overwrite=overwrite)


def edit_photo(
    edit: Edit, photo: Photo, progress: Progress | None = None, source: Path | None = None
) -> Photo:
    """Return the photo edited, with the edit in its XMP; `source` is its file, if it has one."""
    return add_history(edit.edit_photo(photo, source, progress), edit.history)


def _apply_to_array(edit: Edit, array: NDArray[Any]) -> NDArray[Any]:
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[2] not in (1, 2, 3, 4) or 0 in planes.shape:
        raise _array_error(f"shape {array.shape}")
    if array.dtype in (np.uint8, np.uint16):
        max_value = float(np.iinfo(array.dtype).max)
    elif array.dtype.kind == "f":
        max_value = 1.0
    else:
        raise _array_error(f"dtype {array.dtype}")
    colour_channels = planes.shape[2] - (planes.shape[2] in (2, 4))
    rgb = planes[..., :colour_channels].astype(np.float32) / np.float32(max_value)
    if not (np.isfinite(rgb).all() and rgb.min() >= 0 and rgb.max() <= 1):
        raise _array_error("values outside [0, 1]")
    output = edit.run(np.ascontiguousarray(np.broadcast_to(rgb, (*rgb.shape[:2], 3))))
    if colour_channels == 1:
        output = output.mean(axis=2, keepdims=True)
    if max_value > 1:
        output = np.rint(output * max_value)
    edited_array = planes.copy()
    edited_array[..., :colour_channels] = output.astype(array.dtype)
    return edited_array.reshape(array.shape)


def _array_error(got: str) -> UsageError:
    return UsageError(
        "image",
        expected="an array (H, W) or (H, W, 1 to 4) of uint8, uint16 or floats in [0, 1]",
        got=got,
        remedy="convert it first",
    )


def _apply_to_pil(edit: Edit, image: Any) -> Any:
    from PIL import Image

    if image.mode not in _PIL_MODES or "transparency" in image.info:
        # A colour that stands for 'transparent' would mean other pixels afterwards.
        transparency_note = " with a transparent colour" if "transparency" in image.info else ""
        raise UsageError(
            "image",
            expected=f"a PIL image of mode {', '.join(_PIL_MODES)}",
            got=f"mode {image.mode}{transparency_note}",
            remedy=f"convert it first: image.convert('{'RGBA' if transparency_note else 'RGB'}')",
        )
    result = Image.fromarray(_apply_to_array(edit, np.asarray(image)))
    result.info = dict(image.info)
    return result


# Those whose arrays are grey or RGB, with alpha last. A palette has no room for new colours.
_PIL_MODES = ("L", "LA", "RGB", "RGBA", "I;16")
