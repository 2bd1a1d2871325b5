"""Regional: edits that show in a region only, and edits that are made of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.editing.edit import Edit, FrameEdit, Progress, SampleFrames
from burnish.editing.region_record import describe_region, region_fingerprint
from burnish.errors import OutputError, UsageError, warn
from burnish.files import check_not_input
from burnish.photo import Photo
from burnish.regions.blend import blend
from burnish.regions.edges import Edges
from burnish.regions.maskfile import MaskFile, save_mask
from burnish.regions.region import Region
from burnish.regions.select import Selection
from burnish.regions.video_region import VideoRegion
from burnish.types import Mask, Pixels


@dataclass(frozen=True)
class MaskWriter:
    """Writes the masks that edits were shown through.

    Parameters
    ----------
    path : a file, or with `folder` a folder for files called PHOTO.EXT.mask.png
    overwrite : whether files may be replaced; never those of the same run
    """

    path: Path
    folder: bool = False
    overwrite: bool = False
    _written: set[Path] = field(default_factory=set, repr=False)

    def write(self, mask: Mask, source: Path | None, inputs: Sequence[Path] = ()) -> None:
        """Write the mask of a photo, but never over the photo or one of `inputs`.

        Raises
        ------
        OutputError : its file exists, is another photo's of this run, or cannot be written
        """
        name = source.name if source else "photo"
        path = self.path / f"{name}.mask.png" if self.folder else self.path
        if path in self._written:
            raise OutputError(
                str(path),
                expected="a file for the mask of each photo",
                got=f"one for another photo called {name} too",
                remedy="run their folders apart with different --save-mask",
            )
        check_not_input(path, [*inputs, *([source] if source else [])])
        self._written.add(path)
        save_mask(mask, path, overwrite=self.overwrite)


# What an edit is to be shown in, as Python says it.
RegionLike = str | Sequence[str] | Region | NDArray[np.floating] | NDArray[np.bool_]


def to_region(
    only: RegionLike,
    selection: Mapping[str, Any] | None = None,
    edges: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
) -> Region:
    """Return the region that is meant.

    Parameters
    ----------
    only : a class or several, found by the detector that ships; a mask, (H, W) bool or floats in
        [0, 1]; or a region as it is
    selection, edges : defaults of `Selection` and `Edges` for classes

    Raises
    ------
    UsageError : something else, or a class that the detector does not know
    ModelError, DeviceError : the detector cannot be had
    """
    if isinstance(only, Region):
        return only
    if isinstance(only, np.ndarray):
        return Region(mask=only)
    classes = (only,) if isinstance(only, str) else tuple(only)
    if not classes or not all(isinstance(name, str) for name in classes):
        raise UsageError(
            "only",
            expected="names of classes, a mask or a region",
            got=repr(only)[:80],
            remedy='such as only="person"',
        )
    from burnish.regions.object_sources import open_detector

    chosen = Selection(**{**(selection or {}), "classes": classes})
    finder = open_detector(device=device, threads=threads)
    return Region(chosen, Edges(**edges) if edges else None, finder)


def masked_edit(edit: Edit, region: Region, mask_writer: MaskWriter | None = None) -> Edit:
    """Return an edit that shows in a region only.

    It runs over the whole picture, so that its pixels in the region's core are those of the whole
    edit; outside the region they are the photo's.

    Parameters
    ----------
    mask_writer : keeps the masks too

    Notes
    -----
    What `Region.of` raises comes when it is run.
    """

    def show(pixels: Pixels, mask: Mask, progress: Progress | None) -> Pixels:
        return blend(pixels, edit.run(pixels, progress), mask)

    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        mask = region.compute_mask(pixels)
        return show(pixels, mask, progress) if mask.any() else pixels

    def change(photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        mask = compute_mask(region, photo, source, mask_writer)
        if not mask.any():
            return unchanged(photo, region, source)
        if edit.apply_to_photo is None:
            return photo.with_pixels(show(photo.pixels, mask, progress))
        whole = edit.apply_to_photo(photo, source, progress)
        return whole.with_pixels(blend(photo.pixels, whole.pixels, mask))

    def film(samples: SampleFrames) -> FrameEdit:
        check_video(region, mask_writer)
        state, frames = VideoRegion(region), edit.frame_edit(samples)

        def frame(pixels: Pixels, number: int, seconds: float) -> Pixels:
            # What an edit remembers from frame to frame goes on also where nothing is shown.
            after = frames(pixels, number, seconds)
            return blend(pixels, after, state.compute_mask(pixels, number))

        return frame

    def identity() -> str:
        return f"{edit.fingerprint()}\n{region_fingerprint(region)}"

    where = describe_region(region)
    steps = tuple(step.model_copy(update={"where": where}) for step in edit.history)
    return Edit(
        edit.name,
        run,
        edit.device,
        steps,
        prepare_video=film,
        stateful=edit.stateful or region.object_source is not None,
        fingerprint=identity,
        apply_to_photo=change,
    )


def compute_mask(
    region: Region, photo: Photo, source: Path | None, mask_writer: MaskWriter | None
) -> Mask:
    """Work out a photo's region, and keep its mask."""
    mask = region.compute_mask(photo.pixels, source)
    if mask_writer is not None:
        drawn = [region.mask.path] if isinstance(region.mask, MaskFile) else []
        mask_writer.write(mask, source, drawn)
    return mask


def unchanged(photo: Photo, region: Region, source: Path | None) -> Photo:
    """Return the photo, and say that there is nothing in it to edit."""
    classes = " or ".join(region.selection.classes) or "object"
    what = f"no {classes} is found" if region.object_source else "the region is empty"
    warn(f"{source or 'picture'}: {what}, so the photo stays as it is")
    return photo


def check_video(region: Region, mask_writer: MaskWriter | None) -> None:
    """Refuse what the region of a film cannot be.

    Raises
    ------
    UsageError : masks are to be kept, or the region is told by the names of photos
    """
    got = {
        "--save-mask": mask_writer is not None,
        "a folder of masks": isinstance(region.mask, MaskFile) and region.mask.path.is_dir(),
        "a file of objects": region.object_source is not None
        and region.object_source.sha256 is None,
    }
    if any(got.values()):
        raise photos_only(next(what for what, is_so in got.items() if is_so))


def photos_only(option: str) -> UsageError:
    """Return what to say of something that only photos can have."""
    return UsageError(
        "a film",
        expected="an edit of moving pictures, by a detector or one mask",
        got=option,
        remedy="leave it out",
    )
