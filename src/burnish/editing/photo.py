"""Edit one photo or video: a path, bytes, a PIL image or an array. The output is of the same kind.

Edits that work on tiles read them from a photo's codes, and write the output's codes. A photo that
is too large for memory is decoded into a temporary file next to the output, and the output's codes
go to a second one. The output is the same, byte for byte.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from burnish.editing.combined_edit import load_edits, mix, mix_photos
from burnish.editing.edit import Edit
from burnish.editing.history import metadata_with_history
from burnish.editing.options import DEFAULT_OPTIONS, OutputOptions, WriteOptions
from burnish.editing.plan import output_path
from burnish.errors import BurnishError, UsageError
from burnish.files import (
    check_absent,
    check_disk_space,
    is_file,
    make_folder,
    temporary_file,
)
from burnish.params import Value
from burnish.photo import Photo, header
from burnish.photo.formats import output_format, writable_format
from burnish.photo.metadata import SourceMetadata
from burnish.photo.stored_photo import (
    MemoryImage,
    NewImage,
    RawTiff,
    StoredPhoto,
    decode_to_disk,
    new_memory_image,
)
from burnish.photo.write import DTYPES, bits_per_channel, check_format, to_codes
from burnish.progress import Progress
from burnish.runtime.engines import AUTO
from burnish.types import OnProgress, Pixels, ReadRegion, Rectangle
from burnish.video.formats import EncodingOptions, has_video_extension

if TYPE_CHECKING:
    from PIL.Image import Image

    from burnish.regions.region import RegionLike

    ImageLike = TypeVar("ImageLike", bound=str | Path | bytes | Image | NDArray[Any])


def apply(
    image: "ImageLike",
    operator: str | Path | Sequence[str | Path],
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    strength: float = 1,
    slow: bool = False,
    guide: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = AUTO,
    precision: str = AUTO,
    quality: str | None = None,
    codec: str | None = None,
    crf: int | None = None,
    only: "RegionLike | None" = None,
    exclude: str | Sequence[str] | None = None,
    on_progress: OnProgress | None = None,
    **params: Value,
) -> "ImageLike":
    """Apply an operator's network, or a region edit, to a photo or to the frames of a video.

    Parameters
    ----------
    image : path of a photo or video, bytes of an image file, PIL image, or array of shape (H, W)
        or (H, W, C): grey, RGB, or either with alpha last; uint8, uint16 or floats in [0, 1];
        sRGB-encoded
    operator : an operator such as "l0-smoothing", the path of a model file, a list of several,
        which are applied in order, or a region edit such as "splash"
    output : the output file or folder, for a path only [default: `photo.OPERATOR.jpg` next to it]
    overwrite : replace existing files
    strength : share of the result, from 0 to 1, in the mixture with the image
    slow : run the reference operator
    guide : "operator" or "network": the source of a guided network's first, small result
        [default: the operator, if its libraries are installed; for videos the network]
    device : "auto", "cpu", "cuda" or "cuda:N". A device other than "auto" must be available
    threads : number of CPU threads, at most one for each core [default: one for each core]
    engine : "onnxruntime", "openvino", or "auto" for the quicker one
    precision : arithmetic of the network: "fp32", "bf16", "int8", or "auto" for the quickest one
        that keeps the quality of an output with 8 bits a channel; other outputs have fp32
    quality : which network of a model file with several: "preview", "standard" or "best"
        [default: "standard"]
    codec, crf : encoding of a video [default: that of the input]
    only : edit a region only: classes of objects such as "person", a mask of shape (H, W), bool
        or floats in [0, 1], or `burnish.regions.options.RegionOptions`
    exclude : classes of objects that the edit leaves out, instead of `only`
    on_progress : called with the fraction done, up to 1
    params : the operator's parameters, such as ``lambda_=0.02``; of several operators that have
        the same one, such as ``tv_l1_lambda=0.5``

    Returns
    -------
    The edited image, of the same kind as `image`: for a path the path of the output, for bytes a
    file of the same format, for a PIL image the same mode, for an array the same shape and dtype

    Raises
    ------
    UsageError : a kind, shape, name or value that burnish does not accept
    PhotoError, VideoError : the photo or video cannot be read or written
    MissingLibraryError : `image` is a video, and PyAV is not installed
    ModelError, DeviceError : the network or the device is not available
    OutputError : the output exists, or is all black

    Examples
    --------
    >>> grey = np.full((40, 60), 128, np.uint8)
    >>> result = apply(grey, "l0-smoothing")
    >>> result.shape, result.dtype
    ((40, 60), dtype('uint8'))
    """
    from burnish.editing.in_memory import apply_in_memory
    from burnish.regions.registry import EDITS

    region_edit = EDITS.get(operator) if isinstance(operator, str) else None
    if region_edit is None:
        edit = load_edits(
            operator,
            params,
            slow=slow,
            guide=guide,
            device=device,
            threads=threads,
            engine=engine,
            precision=precision,
            quality=quality,
        )
    elif guide is not None:
        raise UsageError("guide", f"the edit {operator} takes no guide", "leave it out")
    elif quality is not None:
        raise UsageError("quality", f"the edit {operator} has no qualities", "leave it out")
    if region_edit is not None or only is not None or exclude is not None:
        from burnish.editing.region_edit import MaskedEdit, edit_region
        from burnish.regions.region import open_region

        region = open_region(
            only,
            exclude=exclude,
            defaults=region_edit.region_defaults if region_edit else None,
            device=device,
            threads=threads,
        )
        edit = (
            edit_region(region_edit, params, region, strength=strength)
            if region_edit
            else MaskedEdit(edit, region)
        )
    if region_edit is None:
        edit = mix(edit, strength)
    if isinstance(image, str | Path):
        options = OutputOptions(output, overwrite=overwrite, encoding=EncodingOptions(codec, crf))
        target = output_path(Path(image), edit.name, options)
        apply_to_file(edit, Path(image), target, options, on_progress)
        return cast("ImageLike", str(target) if isinstance(image, str) else target)
    for name, value in (("output", output), ("codec", codec), ("crf", crf)):
        if value is not None:
            kind = type(image).__name__
            raise UsageError(name, f"it needs a path as the image, not {kind}", "leave it out")
    return cast("ImageLike", apply_in_memory(edit, image, on_progress))


def apply_to_file(
    edit: Edit,
    source: Path,
    target: Path,
    write: WriteOptions,
    on_progress: OnProgress | None = None,
) -> None:
    """Read `source`, edit it and write `target`, which stays unchanged if anything fails.

    Raises
    ------
    OutputError : the target exists, its folder cannot be created, or the output is all black
    PhotoError, VideoError : the source cannot be read, or the target's format cannot hold it
    """
    if has_video_extension(source):
        from burnish.editing.video_file import edit_video

        edit_video(edit, source, target, write, progress=_FractionDone(on_progress))
        return
    check_absent(target, overwrite=write.overwrite)
    if needs_out_of_core(edit, source):
        edit_out_of_core(edit, source, target, write, on_progress)
        return
    photo = open_for_edit(edit, source)
    edited, _, _ = edit_for_target(edit, photo, source, target, write, on_progress)
    make_folder(target.parent)
    edited.save(target, **write.for_photos)


class _FractionDone(Progress):
    """Passes the progress of a video to a function, as the fraction done."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._done, self._total = 0.0, 0.0

    def start(self, task: str, total: float | None = None) -> None:
        self._done, self._total = 0.0, total or 0.0

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        if self._on_progress is not None and self._total:
            self._on_progress(min(self._done / self._total, 1.0))


def needs_out_of_core(edit: Edit, source: Path) -> bool:
    """Return whether a photo is edited on disk: if it is large and the edit works on tiles.

    Raises
    ------
    PhotoError : as in `Photo.open`
    """
    # Devices and pipes can be read only once.
    if not edit.tiled_stages or not is_file(source):
        return False
    width, height = header.image_size(source)
    return width * height > header.STREAMING_THRESHOLD


def scratch_bytes(edit: Edit, source: Path, depth: int | None = None) -> int:
    """Return the size of the temporary files for editing a photo; 0 if it is edited in memory."""
    try:
        if not needs_out_of_core(edit, source):
            return 0
        with header.open_header(source) as photo_header:
            image = photo_header.image
            stored_bits = header.SAMPLE_TYPES[image.format][0]
            bytes_per_pixel = image.bands * (stored_bits + (depth or stored_bits)) // 8
            bytes_per_pixel += 12 * (len(edit.tiled_stages) - 1)
            return int(image.width * image.height * bytes_per_pixel)
    except BurnishError:  # the run reports it when it comes to this photo
        return 0


def for_photo(
    edit: Edit,
    metadata: SourceMetadata,
    format: str | None = None,
    depth: int | None = None,
    where: str = "format",
) -> Edit:
    """Return an edit for the output of a photo, whose depth decides on the precision.

    Parameters
    ----------
    format, depth : see `Photo.encode`
    where : the output, for messages

    Raises
    ------
    PhotoError : burnish does not write the format
    """
    return edit.for_output(_bits(metadata, format, depth, where))


def _bits(metadata: SourceMetadata, format: str | None, depth: int | None, where: str) -> int:
    return bits_per_channel(metadata, output_format(metadata.format, format, where), depth)


def edit_photo(
    edit: Edit, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
) -> Photo:
    """Return the edited photo, with the edit added to the history in its XMP."""
    edited = edit.edit_photo(photo, source, on_progress)
    return replace(
        edited,
        metadata=metadata_with_history(edited.metadata, edit.history, str(source or "photo")),
    )


def open_for_edit(edit: Edit, source: Path) -> Photo | StoredPhoto:
    """Read a photo into memory, as codes if the edit works on tiles and their conversion is cheap.

    Raises
    ------
    PhotoError : as in `Photo.open`
    """
    if not edit.tiled_stages:
        return Photo.open(source)
    photo = StoredPhoto.open(source)
    return photo if photo.is_srgb else photo.to_photo()


def edit_for_target(
    edit: Edit,
    photo: Photo | StoredPhoto,
    source: Path,
    target: Path,
    write: WriteOptions = DEFAULT_OPTIONS,
    on_progress: OnProgress | None = None,
) -> tuple[Photo | StoredPhoto, Edit, bool]:
    """Edit a photo in memory for an output file, which is not written.

    Returns
    -------
    The edited photo, the edit in the precision for its depth, and whether it has changed the pixels

    Raises
    ------
    BurnishError : as in `apply_to_file`
    """
    bits = _bits(photo.metadata, target.suffix, write.depth, str(target))
    edit = edit.for_output(bits)
    if isinstance(photo, Photo):
        edited = edit_photo(edit, photo, source, on_progress)
        return edited, edit, edited.pixels is not photo.pixels
    codes = _run_stages(edit, photo, source, bits, new_memory_image, on_progress)
    return codes, edit, not edit.is_off


def edit_out_of_core(
    edit: Edit,
    source: Path,
    target: Path,
    write: WriteOptions = DEFAULT_OPTIONS,
    on_progress: OnProgress | None = None,
) -> tuple[tuple[int, int], Edit]:
    """Edit a photo on disk; the target stays unchanged if anything fails.

    Returns
    -------
    The width and height of the photo, in pixels, and the edit in the precision for its depth

    Raises
    ------
    BurnishError : as in `apply_to_file`
    """
    check_absent(target, overwrite=write.overwrite)
    file_format = writable_format(target.suffix, str(target))
    with header.open_header(source) as photo_header:
        size, alpha = photo_header.size, photo_header.image.bands in (2, 4)
    check_format(size, file_format, write.quality, write.depth, str(target), alpha=alpha)
    needed_bytes = scratch_bytes(edit, source, write.depth)
    check_disk_space(target.parent, needed_bytes, f"the temporary files of {source}")
    make_folder(target.parent)
    with decode_to_disk(source, target.parent) as photo, ExitStack() as files:

        def new_image(height: int, width: int, bands: int, dtype: np.dtype[Any]) -> RawTiff:
            file = files.enter_context(temporary_file(target.parent))
            return RawTiff(file, height, width, bands, dtype)

        bits = bits_per_channel(photo.metadata, file_format, write.depth)
        edit = edit.for_output(bits)
        edited = _run_stages(edit, photo, source, bits, new_image, on_progress)
        edited.save(target, **write.for_photos)
    return size, edit


def _run_stages(
    edit: Edit,
    photo: StoredPhoto,
    source: Path,
    bits: int,
    new_image: NewImage,
    on_progress: OnProgress | None,
) -> StoredPhoto:
    """Run an edit's stages, and return the photo with the output's codes and the history."""
    size = photo.codes.height, photo.codes.width
    count = len(edit.tiled_stages)
    read: ReadRegion = photo.read_pixels

    def report(index: int, fraction: float) -> None:
        if on_progress is not None:
            on_progress((index + fraction) / count)

    def write_codes(output: RawTiff | MemoryImage, rectangle: Rectangle, pixels: Pixels) -> None:
        if edit.tiled_share == 1:
            output.write(rectangle, photo.to_codes(rectangle, pixels, bits))
            return
        before = photo.read_part(rectangle)
        mixed = mix_photos(before, before.with_pixels(pixels), edit.tiled_share)
        output.write(rectangle, to_codes(mixed.pixels, mixed.alpha, mixed.metadata, bits))

    for index, stage in enumerate(edit.tiled_stages):
        last = index == count - 1
        # Values between two networks are not rounded.
        bands, dtype = (photo.codes.bands, DTYPES[bits]) if last else (3, np.float32)
        output = new_image(*size, bands, np.dtype(dtype))
        write = partial(write_codes, output) if last else output.write
        stage(read, write, size, partial(report, index))
        read = output.read
    metadata = metadata_with_history(photo.metadata, edit.history, str(source))
    return replace(photo, codes=output, metadata=metadata)
