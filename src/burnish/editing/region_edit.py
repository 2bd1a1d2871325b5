"""Edits that are applied inside a region, and the region in the history of an edited file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from burnish.editing.edit import Edit, FrameEdit, SampleFrames
from burnish.editing.history import EditRecord, RegionRecord, record_edit
from burnish.errors import OutputError, PhotoError, UsageError, warn
from burnish.files import check_not_input, digest
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.photo.colour import channel_count
from burnish.photo.metadata import without_blocks
from burnish.regions.masks import MaskFile, save_mask
from burnish.regions.objects import ObjectSource, bundled_detector
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region, VideoRegion, blend
from burnish.regions.registry import RegionEdit
from burnish.types import Mask, OnProgress, Pixels


@dataclass(frozen=True)
class MaskWriter:
    """Writes the masks of edited photos.

    Parameters
    ----------
    path : a file, or with `folder` a folder for files named PHOTO.EXT.mask.png
    overwrite : replace existing files, but never those of the same run
    """

    path: Path
    folder: bool = False
    overwrite: bool = False
    _written: set[Path] = field(default_factory=set, repr=False)

    def write(self, mask: Mask, source: Path | None, inputs: Sequence[Path] = ()) -> None:
        """Write the mask of a photo, but never over the photo or one of `inputs`.

        Raises
        ------
        OutputError : the file exists, was written for another photo, or cannot be written
        """
        name = source.name if source else "photo"
        path = self.path / f"{name}.mask.png" if self.folder else self.path
        if path in self._written:
            raise OutputError(
                str(path),
                f"this is already the mask of another photo named {name}",
                "edit their folders separately, each with its own --save-mask",
            )
        check_not_input(path, [*inputs, *([source] if source else [])])
        self._written.add(path)
        save_mask(mask, path, overwrite=self.overwrite)


class _EditInRegion(Edit):
    """Base of edits inside a region.

    Errors of `Region.compute_mask` are raised when the edit runs.
    """

    def __init__(
        self,
        name: str,
        device: str,
        history: Sequence[EditRecord],
        region: Region,
        mask_writer: MaskWriter | None,
    ) -> None:
        record = describe_region(region)
        history = [step.model_copy(update={"region": record}) for step in history]
        super().__init__(name, device, history)
        self.stateful = region.object_source is not None
        self._region = region
        self._mask_writer = mask_writer

    def _compute_mask(self, photo: Photo, source: Path | None) -> Mask:
        """Return the mask of a photo's region, and write it if there is a writer."""
        mask = self._region.compute_mask(photo.pixels, source)
        if self._mask_writer is not None:
            file = self._region.mask
            self._mask_writer.write(mask, source, [file.path] if isinstance(file, MaskFile) else [])
        return mask

    def _warn_empty(self, source: Path | None) -> None:
        classes = " or ".join(self._region.options.classes) or "object"
        problem = f"no {classes} found" if self._region.object_source else "the region is empty"
        warn(f"{source or 'photo'}: {problem}; the photo is not edited")

    def _video_region(self) -> VideoRegion:
        """Return the region over the frames of a video.

        Raises
        ------
        UsageError : masks are to be written, or the region depends on the names of photos
        """
        mask, source = self._region.mask, self._region.object_source
        if self._mask_writer is not None:
            raise _photos_only("--save-mask")
        if isinstance(mask, MaskFile) and mask.path.is_dir():
            raise _photos_only("a folder of masks")
        if source is not None and source.sha256 is None:
            raise _photos_only("a file of objects")
        return VideoRegion(self._region)


def _photos_only(feature: str) -> UsageError:
    return UsageError(feature, "it applies to photos only, not to videos", "leave it out")


class MaskedEdit(_EditInRegion):
    """Applies another edit inside a region only.

    The other edit runs on the whole image, so that pixels in the region's core equal those
    without a region. Pixels outside the region stay unchanged.
    """

    def __init__(self, edit: Edit, region: Region, mask_writer: MaskWriter | None = None) -> None:
        super().__init__(edit.name, edit.device, edit.history, region, mask_writer)
        self.stateful = self.stateful or edit.stateful
        self._edit = edit

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit the region of an image."""
        mask = self._region.compute_mask(pixels)
        return blend(pixels, self._edit.run(pixels, on_progress), mask) if mask.any() else pixels

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit the region of a photo, and write its mask."""
        mask = self._compute_mask(photo, source)
        if not mask.any():
            self._warn_empty(source)
            return photo
        edited = self._edit.edit_photo(photo, source, on_progress)
        return edited.with_pixels(blend(photo.pixels, edited.pixels, mask))

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for the frames of one video."""
        video_region, edit = self._video_region(), self._edit.frame_edit(samples)

        def edit_frame(pixels: Pixels, index: int, seconds: float) -> Pixels:
            # A stateful edit must see every frame, also those with an empty mask.
            edited = edit(pixels, index, seconds)
            return blend(pixels, edited, video_region.compute_mask(pixels, index))

        return edit_frame

    def for_video(self) -> Edit:
        """Return the other edit for videos, in the same region."""
        return MaskedEdit(self._edit.for_video(), self._region, self._mask_writer)

    def fingerprint(self) -> str:
        """Return the fingerprints of the other edit and of the region."""
        return f"{self._edit.fingerprint()}\n{_region_fingerprint(self._region)}"


class RegionEditor(_EditInRegion):
    """Applies one of the edits of `burnish.regions.registry` to a region.

    Parameters
    ----------
    params : parameter values by name or argument name
    strip_metadata : leave out the photo's metadata [default: as the edit does]

    Raises
    ------
    UsageError : an unknown parameter, or a value outside its range
    PhotoError : an image given as a parameter cannot be read
    MissingLibraryError : a library that the edit needs is not installed

    Notes
    -----
    If the region is empty, edits outside of it raise PhotoError, since they would replace the whole
    photo.
    """

    def __init__(
        self,
        edit: RegionEdit,
        params: Mapping[str, Value],
        region: Region,
        mask_writer: MaskWriter | None = None,
        *,
        strip_metadata: bool | None = None,
    ) -> None:
        values = edit.resolve_params(params)
        record = record_edit(edit.name, values, edit.params).model_copy(update={"slow": False})
        device = getattr(region.object_source, "device", "cpu")
        super().__init__(edit.name, device, [record], region, mask_writer)
        self._edit = edit
        self._function = edit.prepare(values) if edit.function else None
        self._strip_metadata = edit.strips_metadata if strip_metadata is None else strip_metadata
        files = [values[param.name] for param in edit.params if isinstance(param, FileParam)]
        self._files = [Path(str(file)) for file in files if file is not None]

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit the region of an image."""
        mask = self._region.compute_mask(pixels)
        self._check_not_empty(mask, "image")
        return self._blend(pixels, mask) if mask.any() else pixels

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit the region of a photo, and write its mask."""
        name = str(source or "photo")
        mask = self._compute_mask(photo, source)
        self._check_not_empty(mask, name)
        if self._strip_metadata:
            photo = _without_metadata(photo)
        if not mask.any():
            self._warn_empty(source)
            return photo
        if self._function is None:
            return _with_alpha(photo, mask)
        edited = photo.with_pixels(self._blend(photo.pixels, mask))
        if self._edit.keeps_out_of_gamut:
            return edited
        return _with_new_colours(edited, self._edit_mask(mask), name)

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for the frames of one video."""
        video_region = self._video_region()
        if self._function is None:
            raise _photos_only(self._edit.name)
        if self._strip_metadata:
            warn("the metadata of a video is kept; remove it by other means")

        def edit_frame(pixels: Pixels, index: int, seconds: float) -> Pixels:
            mask = video_region.compute_mask(pixels, index)
            # With an empty mask, an edit outside the region applies to the whole frame.
            return self._blend(pixels, mask) if self._edit.applies_outside or mask.any() else pixels

        return edit_frame

    def fingerprint(self) -> str:
        """Return the fingerprints of the region and of files among the parameters."""
        return "\n".join([_region_fingerprint(self._region), *map(digest, self._files)])

    def _edit_mask(self, mask: Mask) -> Mask:
        return 1 - mask if self._edit.applies_outside else mask

    def _blend(self, pixels: Pixels, mask: Mask) -> Pixels:
        if self._function is None:
            raise UsageError(
                self._edit.name,
                "an array or a PIL image has no transparency to write to",
                "pass a file's path or bytes, or use the mask as alpha",
            )
        return blend(pixels, self._function(pixels, mask), self._edit_mask(mask))

    def _check_not_empty(self, mask: Mask, name: str) -> None:
        if self._edit.applies_outside and not mask.any():
            raise PhotoError(
                name,
                "the region is empty, so nothing of the photo would be kept",
                "choose other objects, or lower --min-score",
            )


def _without_metadata(photo: Photo) -> Photo:
    """Return the photo without metadata that may show or describe its former content."""
    return replace(photo, metadata=without_blocks(photo.metadata))


def _with_new_colours(photo: Photo, mask: Mask, name: str) -> Photo:
    """Update the metadata of a photo whose pixels were replaced inside a mask.

    Inside the mask, colours outside sRGB are dropped. A grey photo with colours becomes a colour
    photo.
    """
    metadata = photo.metadata
    if metadata.out_of_gamut is not None:
        out_of_gamut = metadata.out_of_gamut * (1 - mask)[..., None]
        metadata = replace(metadata, out_of_gamut=out_of_gamut)
    coloured = metadata.grey and bool((np.ptp(photo.pixels, axis=2) > 0).any())
    if coloured and metadata.profile is not None and channel_count(metadata.profile) == 1:
        raise PhotoError(
            name,
            "the embedded grey profile has no colours",
            "choose a grey, or convert the photo to sRGB first",
        )
    return replace(photo, metadata=replace(metadata, grey=metadata.grey and not coloured))


def _with_alpha(photo: Photo, mask: Mask) -> Photo:
    """Make everything outside a mask transparent, and set its colour to black."""
    alpha = mask if photo.alpha is None else mask * photo.alpha
    visible = (mask > 0)[..., None]
    metadata = photo.metadata
    if metadata.out_of_gamut is not None:
        metadata = replace(metadata, out_of_gamut=metadata.out_of_gamut * visible)
    pixels = np.where(visible, photo.pixels, np.float32(0))
    return replace(photo, pixels=pixels, alpha=alpha, metadata=metadata)


def describe_region(region: Region) -> RegionRecord:
    """Return the record of a region."""
    options, source = region.options, region.object_source
    values = {f.name: getattr(options, f.name) for f in fields(RegionOptions)}
    if source is not None:
        # All values, so that the record does not depend on this version's defaults.
        values = {name: options.value(name) for name in values}
    values |= {"detector": None, "objects": None, "mask": None}
    if source is not None:
        values["objects" if source.sha256 is None else "detector"] = source.name
    if region.mask is not None:
        values["mask"] = region.mask.path.name if isinstance(region.mask, MaskFile) else "an array"
    return RegionRecord(**values, sha256=source.sha256 if source else None)


def _region_fingerprint(region: Region) -> str:
    """Return a text that identifies the content of a region's mask; a record has only its name."""
    if isinstance(region.mask, MaskFile):
        return digest(region.mask.path) if region.mask.path.is_file() else ""
    return "" if region.mask is None else sha256(region.mask.tobytes()).hexdigest()


def restore_region(
    record: RegionRecord,
    *,
    object_source: ObjectSource | None = None,
    mask: str | Path | None = None,
) -> Region:
    """Return the region of a record.

    Parameters
    ----------
    object_source, mask : source of the objects and mask to use instead of the recorded ones

    Raises
    ------
    UsageError : the record has a mask or a file of objects, and none is given
    ModelError : the recorded detector is not a bundled one
    """
    for option, file, replacement in (
        ("--mask", record.mask, mask),
        ("--objects", record.objects, object_source),
    ):
        if file is not None and replacement is None:
            raise UsageError(
                option,
                f"the edit used {file.name}, and a photo keeps no more than its name",
                "name the file with this option",
            )
    if record.detector is None and record.objects is None:
        object_source = None
    elif object_source is None:
        object_source = bundled_detector(str(record.detector), record.sha256)
    values = {f.name: getattr(record, f.name) for f in fields(RegionOptions)}
    options = replace(RegionOptions(**values), detector=None, objects=None, mask=None)
    mask_file = MaskFile(Path(mask)) if record.mask is not None and mask is not None else None
    return Region(options, object_source, mask_file)
