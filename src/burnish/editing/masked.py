"""Edits that are applied inside a region only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.editing.edit import Edit, FrameEdit, OnProgress, SampleFrames
from burnish.editing.region_record import describe_region, region_fingerprint
from burnish.errors import OutputError, UsageError, warn
from burnish.files import check_not_input
from burnish.photo import Photo
from burnish.regions.maskfile import MaskFile, save_mask
from burnish.regions.region import Region, blend
from burnish.regions.video_region import VideoRegion
from burnish.types import Mask, Pixels


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
                f"is already the mask of another photo named {name}",
                "edit their folders separately, each with its own --save-mask",
            )
        check_not_input(path, [*inputs, *([source] if source else [])])
        self._written.add(path)
        save_mask(mask, path, overwrite=self.overwrite)


class MaskedEdit(Edit):
    """Applies another edit inside a region only.

    The other edit runs on the whole image, so that pixels in the region's core equal those of the
    whole edit. Pixels outside the region stay unchanged.

    Parameters
    ----------
    mask_writer : writes the masks of photos, if given

    Notes
    -----
    Errors of `Region.compute_mask` are raised when the edit runs.
    """

    def __init__(self, edit: Edit, region: Region, mask_writer: MaskWriter | None = None) -> None:
        record = describe_region(region)
        history = [step.model_copy(update={"region": record}) for step in edit.history]
        super().__init__(edit.name, edit.device, history)
        self.stateful = edit.stateful or region.object_source is not None
        self._edit = edit
        self._region = region
        self._mask_writer = mask_writer

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit the region of an image."""
        mask = self._region.compute_mask(pixels)
        return blend(pixels, self._edit.run(pixels, on_progress), mask) if mask.any() else pixels

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit the region of a photo, and write its mask."""
        mask = compute_mask(self._region, photo, source, self._mask_writer)
        if not mask.any():
            return unchanged(photo, self._region, source)
        edited = self._edit.edit_photo(photo, source, on_progress)
        return edited.with_pixels(blend(photo.pixels, edited.pixels, mask))

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for the frames of one video."""
        check_video(self._region, self._mask_writer)
        video_region, edit = VideoRegion(self._region), self._edit.frame_edit(samples)

        def edit_frame(pixels: Pixels, index: int, seconds: float) -> Pixels:
            # A stateful edit must see every frame, also those with an empty mask.
            edited = edit(pixels, index, seconds)
            return blend(pixels, edited, video_region.compute_mask(pixels, index))

        return edit_frame

    def fingerprint(self) -> str:
        """Return the fingerprints of the other edit and of the region."""
        return f"{self._edit.fingerprint()}\n{region_fingerprint(self._region)}"


def compute_mask(
    region: Region, photo: Photo, source: Path | None, mask_writer: MaskWriter | None
) -> Mask:
    """Return the mask of a photo's region, and write it if there is a writer."""
    mask = region.compute_mask(photo.pixels, source)
    if mask_writer is not None:
        inputs = [region.mask.path] if isinstance(region.mask, MaskFile) else []
        mask_writer.write(mask, source, inputs)
    return mask


def unchanged(photo: Photo, region: Region, source: Path | None) -> Photo:
    """Return the photo, and warn that its region is empty."""
    classes = " or ".join(region.options.classes) or "object"
    problem = f"no {classes} found" if region.object_source else "the region is empty"
    warn(f"{source or 'photo'}: {problem}; the photo is not edited")
    return photo


def check_video(region: Region, mask_writer: MaskWriter | None) -> None:
    """Check that a region can be used for a video.

    Raises
    ------
    UsageError : masks are to be written, or the region depends on the names of photos
    """
    if mask_writer is not None:
        raise photos_only("--save-mask")
    if isinstance(region.mask, MaskFile) and region.mask.path.is_dir():
        raise photos_only("a folder of masks")
    if region.object_source is not None and region.object_source.sha256 is None:
        raise photos_only("a file of objects")


def photos_only(feature: str) -> UsageError:
    """Return the error for a feature that videos do not have."""
    return UsageError(feature, "applies to photos only, not to videos", "leave it out")
