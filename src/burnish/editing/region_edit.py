"""Edits that need a region, applied to images, photos and videos."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from burnish.editing.edit import Edit, FrameEdit, OnProgress, SampleFrames
from burnish.editing.history import record_edit
from burnish.editing.masked import MaskWriter, check_video, compute_mask, photos_only, unchanged
from burnish.editing.region_record import describe_region, region_fingerprint
from burnish.errors import PhotoError, UsageError, warn
from burnish.files import digest
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.photo.colour import channel_count
from burnish.photo.metadata import SourceMetadata
from burnish.regions.region import Region, blend
from burnish.regions.registry import RegionEdit
from burnish.regions.video_region import VideoRegion
from burnish.types import Mask, Pixels


class RegionEditor(Edit):
    """Applies one of the edits of `burnish.regions.registry` to a region.

    Parameters
    ----------
    edit : the edit
    params : parameter values by name or argument name
    region : the region
    mask_writer : writes the masks of photos, if given
    strip_metadata : leave out the photo's metadata [default: as the edit does]

    Raises
    ------
    UsageError : an unknown parameter, or a value outside its range
    PhotoError : an image given as a parameter cannot be read
    MissingLibraryError : a library that the edit needs is not installed

    Notes
    -----
    Errors of `Region.compute_mask` are raised when the edit runs. If the region is empty, edits
    outside of it raise PhotoError, since they would replace the whole photo.
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
        record = record_edit(edit.name, values, edit.params).model_copy(
            update={"slow": False, "region": describe_region(region)}
        )
        super().__init__(edit.name, getattr(region.object_source, "device", "cpu"), [record])
        self.stateful = region.object_source is not None
        self._edit = edit
        self._function = edit.prepare(values) if edit.function else None
        self._region = region
        self._mask_writer = mask_writer
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
        mask = compute_mask(self._region, photo, source, self._mask_writer)
        self._check_not_empty(mask, name)
        if self._strip_metadata:
            photo = _without_metadata(photo)
        if not mask.any():
            return unchanged(photo, self._region, source)
        if self._function is None:
            return _with_alpha(photo, mask)
        edited = photo.with_pixels(self._blend(photo.pixels, mask))
        if self._edit.keeps_out_of_gamut:
            return edited
        return _with_new_colours(edited, self._edit_mask(mask), name)

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for the frames of one video."""
        check_video(self._region, self._mask_writer)
        if self._function is None:
            raise photos_only(self._edit.name)
        if self._strip_metadata:
            warn("the metadata of a video is kept; remove it by other means")
        video_region = VideoRegion(self._region)

        def edit_frame(pixels: Pixels, index: int, seconds: float) -> Pixels:
            mask = video_region.compute_mask(pixels, index)
            # With an empty mask, an edit outside the region applies to the whole frame.
            return self._blend(pixels, mask) if self._edit.applies_outside or mask.any() else pixels

        return edit_frame

    def fingerprint(self) -> str:
        """Return the fingerprints of the region and of files among the parameters."""
        return "\n".join([region_fingerprint(self._region), *map(digest, self._files)])

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
    empty = SourceMetadata()
    metadata = replace(
        photo.metadata, exif=empty.exif, xmp=empty.xmp, iptc=empty.iptc, texts=empty.texts
    )
    return replace(photo, metadata=metadata)


def _with_new_colours(photo: Photo, mask: Mask, name: str) -> Photo:
    """Update the metadata of a photo whose pixels were replaced inside a mask.

    Its colours outside sRGB are dropped there, and a grey photo with colours is no longer grey.
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
