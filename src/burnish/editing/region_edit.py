"""RegionEditing: an edit that is made of a region, over photos, films and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from burnish.editing.edit import Edit, FrameEdit, Progress, SampleFrames
from burnish.editing.history import record_edit
from burnish.editing.masked import MaskWriter, check_video, compute_mask, photos_only, unchanged
from burnish.editing.region_record import describe_region, region_fingerprint
from burnish.errors import PhotoError, UsageError, warn
from burnish.files import digest
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.photo.colour import channel_count
from burnish.photo.source_metadata import SourceMetadata
from burnish.regions.blend import blend
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.region import Region
from burnish.regions.video_region import VideoRegion
from burnish.types import Mask, Pixels

if TYPE_CHECKING:
    from burnish.regions.edits.edit import Shown


def region_edit(
    edit: RegionEdit,
    params: Mapping[str, Value],
    region: Region,
    mask_writer: MaskWriter | None = None,
    *,
    strip_metadata: bool | None = None,
) -> Edit:
    """Return the edit that one of `burnish.regions.edits.table` makes of a region.

    Parameters
    ----------
    params : parameter values by name or keyword
    mask_writer : keeps the masks too
    strip_metadata : leave the photo's metadata out; None does as the edit does by itself

    Raises
    ------
    UsageError : an unknown parameter, or a value outside its range
    PhotoError : a picture given as a parameter cannot be read; when it is run also what
        `Region.of` raises, and where nothing is found and all else would go
    MissingLibraryError : a library that it needs is not installed
    """
    values = edit.resolve_params(params)
    shown = edit.prepare(values) if edit.function else None
    work = _RegionEditor(
        edit,
        shown,
        region,
        mask_writer,
        edit.strips_metadata if strip_metadata is None else strip_metadata,
    )

    def identity() -> str:
        files = [values[param.name] for param in edit.params if isinstance(param, FileParam)]
        contents = [digest(Path(str(file))) for file in files if file is not None]
        return "\n".join([region_fingerprint(region), *contents])

    step = record_edit(edit.name, values, edit.params)
    step = step.model_copy(update={"slow": False, "where": describe_region(region)})
    device = getattr(region.object_source, "default_device", "cpu")
    return Edit(
        edit.name,
        work.run,
        device,
        (step,),
        prepare_video=work.prepare_video,
        stateful=region.object_source is not None,
        fingerprint=identity,
        apply_to_photo=work.apply_to_photo,
    )


@dataclass(frozen=True)
class _RegionEditor:
    """What is done to arrays, photos and films."""

    edit: RegionEdit
    function: "Shown | None"
    region: Region
    mask_writer: MaskWriter | None
    strip_metadata: bool

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        mask = self.region.compute_mask(pixels)
        self._check_not_empty(mask, "picture")
        return self._blend(pixels, mask) if mask.any() else pixels

    def apply_to_photo(self, photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        where = str(source or "picture")
        mask = compute_mask(self.region, photo, source, self.mask_writer)
        self._check_not_empty(mask, where)
        if self.strip_metadata:
            photo = _without_metadata(photo)
        if not mask.any():
            return unchanged(photo, self.region, source)
        if self.function is None:
            return _with_alpha(photo, mask)
        result = photo.with_pixels(self._blend(photo.pixels, mask))
        return (
            result
            if self.edit.keeps_out_of_gamut
            else _with_new_colours(result, self._applied_mask(mask), where)
        )

    def prepare_video(self, samples: SampleFrames) -> FrameEdit:
        check_video(self.region, self.mask_writer)
        if self.function is None:
            raise photos_only(self.edit.name)
        if self.strip_metadata:
            warn("the metadata of a film is kept; remove it by other means")
        state = VideoRegion(self.region)

        def frame(pixels: Pixels, number: int, seconds: float) -> Pixels:
            mask = state.compute_mask(pixels, number)
            # Where nothing is found, all of a picture is around it.
            return self._blend(pixels, mask) if self.edit.applies_outside or mask.any() else pixels

        return frame

    def _applied_mask(self, mask: Mask) -> Mask:
        """Return where the edit shows."""
        return 1 - mask if self.edit.applies_outside else mask

    def _blend(self, pixels: Pixels, mask: Mask) -> Pixels:
        if self.function is None:
            raise UsageError(
                self.edit.name,
                expected="a picture with room for transparency: a file's path or bytes",
                got="an array or a PIL image",
                remedy="give its mask as alpha yourself, or write a file first",
            )
        return blend(pixels, self.function(pixels, mask), self._applied_mask(mask))

    def _check_not_empty(self, mask: Mask, where: str) -> None:
        """Refuse to do away with a whole photo."""
        if self.edit.applies_outside and not mask.any():
            raise PhotoError(
                where,
                expected="a region to keep",
                got="none, as nothing is found",
                remedy="choose other objects, or lower --min-score",
            )


def _without_metadata(photo: Photo) -> Photo:
    """Leave out all that may tell of the photo what its pixels no longer do."""
    bare = SourceMetadata()
    return replace(
        photo,
        metadata=replace(
            photo.metadata, exif=bare.exif, xmp=bare.xmp, iptc=bare.iptc, texts=bare.texts
        ),
    )


def _with_new_colours(photo: Photo, where: Mask, name: str) -> Photo:
    """Let go of what lay beyond sRGB, and of grey, where pixels are no longer the photo's own."""
    origin = photo.metadata
    if origin.out_of_gamut is not None:
        origin = replace(origin, out_of_gamut=origin.out_of_gamut * (1 - where)[..., None])
    coloured = origin.grey and bool((np.ptp(photo.pixels, axis=2) > 0).any())
    if coloured and origin.profile is not None and channel_count(origin.profile) == 1:
        raise PhotoError(
            name,
            expected="grey for a grey photo with a profile of its own",
            got="colours",
            remedy="choose a grey, or convert the photo to sRGB first",
        )
    return replace(photo, metadata=replace(origin, grey=origin.grey and not coloured))


def _with_alpha(photo: Photo, mask: Mask) -> Photo:
    """Make all outside transparent, and leave no colour there."""
    alpha = mask if photo.alpha is None else mask * photo.alpha
    seen = (mask > 0)[..., None]
    kept = replace(photo, pixels=np.where(seen, photo.pixels, np.float32(0)), alpha=alpha)
    if kept.metadata.out_of_gamut is None:
        return kept
    return replace(
        kept, metadata=replace(kept.metadata, out_of_gamut=kept.metadata.out_of_gamut * seen)
    )
