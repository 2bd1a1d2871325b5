"""Edits that are applied inside a region."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from burnish.editing.combined_edit import mix
from burnish.editing.edit import Edit, FrameEdit, SampleFrames
from burnish.editing.history import EditRecord, record_edit
from burnish.editing.region_record import describe_region
from burnish.errors import OutputError, PhotoError, UsageError, VideoError, warn
from burnish.files import check_not_input, digest
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.photo.colour import channel_count
from burnish.photo.metadata import without_blocks
from burnish.regions.masks import MaskFile, save_mask
from burnish.regions.objects import Missed, find_missed, nothing_found
from burnish.regions.options import photos_only
from burnish.regions.region import Region, VideoRegion, blend
from burnish.regions.registry import RegionEdit
from burnish.types import Mask, OnProgress, Pixels

# The remedy for an empty region.
_REMEDY = "choose other objects, or lower --min-score"


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

    Errors of `Region.compute_mask` are raised when the edit runs. If nothing is selected, a warning
    is given.
    """

    # Whether the result of the edit is shown outside of the region instead of inside.
    _applies_outside = False

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
        self._current_video: VideoRegion | None = None

    def _compute_mask(self, photo: Photo, source: Path | None) -> Mask:
        """Return the mask of a photo's region, and write it if there is a writer."""
        mask = self._checked_mask(photo.pixels, source)
        if self._mask_writer is not None:
            file = self._region.mask
            self._mask_writer.write(mask, source, [file.path] if isinstance(file, MaskFile) else [])
        return mask

    def _checked_mask(self, pixels: Pixels, source: Path | None = None) -> Mask:
        """Return the mask of an image's region.

        Raises
        ------
        PhotoError : the edit would replace the whole image, since the region is empty

        Warns
        -----
        UserWarning : nothing is selected, or the region is empty
        """
        region, name = self._region, str(source or "photo")
        instances = region.find(pixels, source)
        mask = region.mask_from_instances(instances, pixels, source)
        is_found = not region.is_selection_empty(mask)
        if is_found and mask.any():
            return mask
        missed = find_missed(region.options, instances) if instances is not None else ()
        problem = self._empty_problem(missed, is_found=is_found)
        if self._applies_outside and not mask.any():
            raise PhotoError(name, f"{problem}, so nothing of the photo would be kept", _REMEDY)
        is_edited = bool(mask.any()) != self._applies_outside
        warn(f"{name}: {problem}; the {'whole photo is' if is_edited else 'photo is not'} edited")
        return mask

    def end_video(self, source: Path) -> None:
        """Check that the region was not empty in all frames of a video; see `Edit.end_video`."""
        video_region, region = self._current_video, self._region
        if video_region is None or not video_region.is_empty:
            return
        problem = self._empty_problem(video_region.missed)
        if self._applies_outside and not region.is_inverted:
            raise VideoError(
                str(source), f"{problem}, so nothing of the video would be kept", _REMEDY
            )
        is_edited = region.is_inverted != self._applies_outside
        frames = "all frames are edited as a whole" if is_edited else "no frame is edited"
        warn(f"{source}: {problem}; {frames}")

    def _empty_problem(self, missed: Missed, *, is_found: bool = False) -> str:
        if self._region.object_source is None or is_found:
            return "the region is empty"
        return nothing_found(self._region.options, missed)

    def _video_region(self) -> VideoRegion:
        """Return the region over the frames of a video.

        Raises
        ------
        UsageError : masks are to be written, or the region depends on the names of photos
        """
        mask, source = self._region.mask, self._region.object_source
        if self._mask_writer is not None:
            raise photos_only("--save-mask")
        if isinstance(mask, MaskFile) and mask.path.is_dir():
            raise photos_only("a folder of masks")
        if source is not None and source.sha256 is None:
            raise photos_only("a file of objects")
        self._current_video = VideoRegion(self._region)
        return self._current_video


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
        mask = self._checked_mask(pixels)
        return blend(pixels, self._edit.run(pixels, on_progress), mask) if mask.any() else pixels

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit the region of a photo, and write its mask."""
        mask = self._compute_mask(photo, source)
        if not mask.any():
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

    def for_output(self, bits: int | None, *, video: bool = False) -> Edit:
        """Return the other edit for an output, in the same region."""
        edit = self._edit.for_output(bits, video=video)
        return MaskedEdit(edit, self._region, self._mask_writer)

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
        self._applies_outside = edit.applies_outside
        self._function = edit.prepare(values) if edit.function else None
        self._strip_metadata = edit.strips_metadata if strip_metadata is None else strip_metadata
        files = [values[param.name] for param in edit.params if isinstance(param, FileParam)]
        self._files = [Path(str(file)) for file in files if file is not None]

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit the region of an image."""
        mask = self._checked_mask(pixels)
        return self._blend(pixels, mask) if mask.any() else pixels

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit the region of a photo, and write its mask."""
        name = str(source or "photo")
        mask = self._compute_mask(photo, source)
        if self._strip_metadata:
            photo = _without_metadata(photo)
        if not mask.any():
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
            raise photos_only(self._edit.name)
        if self._strip_metadata:
            warn("the metadata of a video is kept; remove it by other means")

        def edit_frame(pixels: Pixels, index: int, seconds: float) -> Pixels:
            mask = video_region.compute_mask(pixels, index)
            # With an empty mask, an edit outside the region applies to the whole frame.
            return self._blend(pixels, mask) if self._applies_outside or mask.any() else pixels

        return edit_frame

    def fingerprint(self) -> str:
        """Return the fingerprints of the region and of files among the parameters."""
        return "\n".join([_region_fingerprint(self._region), *map(digest, self._files)])

    def _edit_mask(self, mask: Mask) -> Mask:
        return 1 - mask if self._applies_outside else mask

    def _blend(self, pixels: Pixels, mask: Mask) -> Pixels:
        if self._function is None:
            raise UsageError(
                self._edit.name,
                "an array or a PIL image has no transparency to write to",
                "pass a file's path or bytes, or use the mask as alpha",
            )
        return blend(pixels, self._function(pixels, mask), self._edit_mask(mask))


def edit_region(
    edit: RegionEdit,
    params: Mapping[str, Value],
    region: Region,
    mask_writer: MaskWriter | None = None,
    *,
    strength: Value = 1,
    strip_metadata: bool | None = None,
) -> Edit:
    """Return a `RegionEditor`, or the mixture of its output and the photo.

    Raises
    ------
    UsageError : the edit is never mixed with the photo, or the strength is not from 0 to 1
    """
    editor = RegionEditor(edit, params, region, mask_writer, strip_metadata=strip_metadata)
    if strength != 1 and not edit.has_strength:
        raise UsageError("strength", f"{edit.name} is not mixed with the photo", "leave it out")
    return mix(editor, strength)


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


def _region_fingerprint(region: Region) -> str:
    """Return a text that identifies the content of a region's mask; a record has only its name."""
    if isinstance(region.mask, MaskFile):
        return digest(region.mask.path) if region.mask.path.is_file() else ""
    return "" if region.mask is None else sha256(region.mask.tobytes()).hexdigest()
