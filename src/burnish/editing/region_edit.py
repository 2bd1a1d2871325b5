"""RegionEditing: an edit that is made of a region, over photos, films and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from burnish.editing.edit import Edit, FrameEdit, Progress, Samples
from burnish.editing.history import made
from burnish.editing.masked import MaskKeeper, check_film, for_photos, mask_of, untouched
from burnish.editing.region_record import identity_of, where_of
from burnish.errors import PhotoError, UsageError, warn
from burnish.files import digest
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.photo.colour import channels
from burnish.photo.source_metadata import Origin
from burnish.regions.blend import blend
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.region import Region
from burnish.regions.video_region import FilmRegion
from burnish.types import Mask, Pixels

if TYPE_CHECKING:
    from burnish.regions.edits.edit import Shown


def region_edit(
    edit: RegionEdit,
    given: Mapping[str, Value],
    region: Region,
    keeper: MaskKeeper | None = None,
    *,
    forget: bool | None = None,
) -> Edit:
    """Return the edit that one of `burnish.regions.edits.table` makes of a region.

    Parameters
    ----------
    given : parameter values by name or keyword
    keeper : keeps the masks too
    forget : leave the photo's metadata out; None does as the edit does by itself

    Raises
    ------
    UsageError : an unknown parameter, or a value outside its range
    PhotoError : a picture given as a parameter cannot be read; when it is run also what
        `Region.of` raises, and where nothing is found and all else would go
    MissingLibraryError : a library that it needs is not installed
    """
    values = edit.settle(given)
    shown = edit.prepared(values) if edit.call else None
    work = _Work(edit, shown, region, keeper, edit.forgets if forget is None else forget)

    def identity() -> str:
        files = [values[param.name] for param in edit.params if isinstance(param, FileParam)]
        contents = [digest(Path(str(file))) for file in files if file is not None]
        return "\n".join([identity_of(region), *contents])

    step = made(edit.name, values, edit.params)
    step = step.model_copy(update={"slow": False, "where": where_of(region)})
    device = getattr(region.finder, "device", "cpu")
    return Edit(
        edit.name,
        work.run,
        device,
        (step,),
        film=work.film,
        remembers=region.finder is not None,
        identity=identity,
        change=work.change,
    )


@dataclass(frozen=True)
class _Work:
    """What is done to arrays, photos and films."""

    edit: RegionEdit
    shown: "Shown | None"
    region: Region
    keeper: MaskKeeper | None
    forget: bool

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        mask = self.region.of(pixels)
        self._check_something(mask, "picture")
        return self._show(pixels, mask) if mask.any() else pixels

    def change(self, photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        where = str(source or "picture")
        mask = mask_of(self.region, photo, source, self.keeper)
        self._check_something(mask, where)
        if self.forget:
            photo = _forgotten(photo)
        if not mask.any():
            return untouched(photo, self.region, source)
        if self.shown is None:
            return _cut_out(photo, mask)
        result = photo.with_pixels(self._show(photo.pixels, mask))
        return result if self.edit.keeps else _replaced(result, self._where(mask), where)

    def film(self, samples: Samples) -> FrameEdit:
        check_film(self.region, self.keeper)
        if self.shown is None:
            raise for_photos(self.edit.name)
        if self.forget:
            warn("the metadata of a film is kept; remove it by other means")
        state = FilmRegion(self.region)

        def frame(pixels: Pixels, number: int, seconds: float) -> Pixels:
            mask = state.of(pixels, number)
            # Where nothing is found, all of a picture is around it.
            return self._show(pixels, mask) if self.edit.outside or mask.any() else pixels

        return frame

    def _where(self, mask: Mask) -> Mask:
        """Return where the edit shows."""
        return 1 - mask if self.edit.outside else mask

    def _show(self, pixels: Pixels, mask: Mask) -> Pixels:
        if self.shown is None:
            raise UsageError(
                self.edit.name,
                expected="a picture with room for transparency: a file's path or bytes",
                got="an array or a PIL image",
                remedy="give its mask as alpha yourself, or write a file first",
            )
        return blend(pixels, self.shown(pixels, mask), self._where(mask))

    def _check_something(self, mask: Mask, where: str) -> None:
        """Refuse to do away with a whole photo."""
        if self.edit.outside and not mask.any():
            raise PhotoError(
                where,
                expected="a region to keep",
                got="none, as nothing is found",
                remedy="choose other objects, or lower --min-score",
            )


def _forgotten(photo: Photo) -> Photo:
    """Leave out all that may tell of the photo what its pixels no longer do."""
    bare = Origin()
    return replace(
        photo,
        origin=replace(
            photo.origin, exif=bare.exif, xmp=bare.xmp, iptc=bare.iptc, texts=bare.texts
        ),
    )


def _replaced(photo: Photo, where: Mask, name: str) -> Photo:
    """Let go of what lay beyond sRGB, and of grey, where pixels are no longer the photo's own."""
    origin = photo.origin
    if origin.beyond is not None:
        origin = replace(origin, beyond=origin.beyond * (1 - where)[..., None])
    coloured = origin.grey and bool((np.ptp(photo.pixels, axis=2) > 0).any())
    if coloured and origin.profile is not None and channels(origin.profile) == 1:
        raise PhotoError(
            name,
            expected="grey for a grey photo with a profile of its own",
            got="colours",
            remedy="choose a grey, or convert the photo to sRGB first",
        )
    return replace(photo, origin=replace(origin, grey=origin.grey and not coloured))


def _cut_out(photo: Photo, mask: Mask) -> Photo:
    """Make all outside transparent, and leave no colour there."""
    alpha = mask if photo.alpha is None else mask * photo.alpha
    seen = (mask > 0)[..., None]
    kept = replace(photo, pixels=np.where(seen, photo.pixels, np.float32(0)), alpha=alpha)
    if kept.origin.beyond is None:
        return kept
    return replace(kept, origin=replace(kept.origin, beyond=kept.origin.beyond * seen))
