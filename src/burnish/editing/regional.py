"""Regional: edits that show in a region only, and edits that are made of one."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.editing.edit import Edit, FrameEdit, Pixels, Progress, Samples
from burnish.editing.made import made
from burnish.editing.where import identity_of, where_of
from burnish.errors import OutputError, PhotoError, UsageError
from burnish.files import digest
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.photo.origin import Origin
from burnish.regions.blend import blend
from burnish.regions.edges import Edges
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.film import FilmRegion
from burnish.regions.maskfile import MaskFile, save_mask
from burnish.regions.region import Region
from burnish.regions.select import Selection

Mask = NDArray[np.float32]


@dataclass(frozen=True)
class MaskKeeper:
    """Writes the masks that edits were shown through.

    Parameters
    ----------
    path : a file, or with `folder` a folder for files called PHOTO.EXT.mask.png
    overwrite : whether files may be replaced; never those of the same run
    """

    path: Path
    folder: bool = False
    overwrite: bool = False
    _kept: set[Path] = field(default_factory=set, repr=False)

    def keep(self, mask: Mask, source: Path | None) -> None:
        """Write the mask of a photo.

        Raises
        ------
        OutputError : its file exists, is another photo's of this run, or cannot be written
        """
        name = source.name if source else "photo"
        path = self.path / f"{name}.mask.png" if self.folder else self.path
        if path in self._kept:
            raise OutputError(
                str(path),
                expected="a file for the mask of each photo",
                got=f"one for another photo called {name} too",
                remedy="run their folders apart with different --save-mask",
            )
        self._kept.add(path)
        save_mask(mask, path, overwrite=self.overwrite)


# What an edit is to be shown in, as Python says it.
Only = str | Sequence[str] | Region | NDArray[np.floating] | NDArray[np.bool_]


def as_region(
    only: Only,
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
    from burnish.regions.finders import detector

    chosen = Selection(**{**(selection or {}), "classes": classes})
    finder = detector(device=device, threads=threads)
    return Region(chosen, Edges(**edges) if edges else None, finder)


def within(edit: Edit, region: Region, keeper: MaskKeeper | None = None) -> Edit:
    """Return an edit that shows in a region only.

    It runs over the whole picture, so that its pixels in the region's core are those of the whole
    edit; outside the region they are the photo's.

    Parameters
    ----------
    keeper : keeps the masks too

    Raises, when it is run
    ----------------------
    PhotoError, MissingLibraryError : see `Region.of`
    """

    def show(pixels: Pixels, mask: Mask, progress: Progress | None) -> Pixels:
        return blend(pixels, edit.run(pixels, progress), mask)

    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        mask = region.of(pixels)
        return show(pixels, mask, progress) if mask.any() else pixels

    def change(photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        mask = _mask(region, photo, source, keeper)
        if not mask.any():
            return _untouched(photo, region, source)
        if edit.change is None:
            return photo.with_pixels(show(photo.pixels, mask, progress))
        whole = edit.change(photo, source, progress)
        return whole.with_pixels(blend(photo.pixels, whole.pixels, mask))

    def film(samples: Samples) -> FrameEdit:
        _check_film(region, keeper)
        state, frames = FilmRegion(region), edit.on_film(samples)

        def frame(pixels: Pixels, number: int, seconds: float) -> Pixels:
            # What an edit remembers from frame to frame goes on also where nothing is shown.
            after = frames(pixels, number, seconds)
            return blend(pixels, after, state.of(pixels, number))

        return frame

    def identity() -> str:
        return f"{edit.identity()}\n{identity_of(region)}"

    where = where_of(region)
    steps = tuple(step.model_copy(update={"where": where}) for step in edit.made)
    return Edit(
        edit.name,
        run,
        edit.device,
        steps,
        film=film,
        remembers=edit.remembers or region.finder is not None,
        identity=identity,
        change=change,
    )


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
    PhotoError : a picture given as a parameter cannot be read
    MissingLibraryError : a library that it needs is not installed

    Raises, when it is run
    ----------------------
    PhotoError, MissingLibraryError : see `Region.of`; nothing to keep where all else would go
    """
    values = edit.settle(given)
    shown = edit.prepared(values) if edit.call else None

    def show(pixels: Pixels, mask: Mask) -> Pixels:
        if shown is None:
            raise _no_room(edit)
        where = 1 - mask if edit.outside else mask
        return blend(pixels, shown(pixels, mask), where)

    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        mask = region.of(pixels)
        _check_something(edit, mask, "picture")
        return show(pixels, mask) if mask.any() else pixels

    def change(photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        mask = _mask(region, photo, source, keeper)
        _check_something(edit, mask, str(source or "picture"))
        if edit.forgets if forget is None else forget:
            photo = _forgotten(photo)
        if not mask.any():
            return _untouched(photo, region, source)
        if not edit.call:
            return _cut_out(photo, mask)
        result = photo.with_pixels(show(photo.pixels, mask))
        return (
            result
            if edit.keeps
            else _replaced(result, 1 - mask if edit.outside else mask, str(source or "picture"))
        )

    def film(samples: Samples) -> FrameEdit:
        _check_film(region, keeper, edit, forget)
        return _through(FilmRegion(region), show, always=edit.outside)

    step = made(edit.name, values, edit.params)
    return Edit(
        edit.name,
        run,
        getattr(region.finder, "device", "cpu"),
        (step.model_copy(update={"slow": False, "where": where_of(region)}),),
        film=film,
        remembers=region.finder is not None,
        identity=lambda: "\n".join([identity_of(region), *_contents(edit, values)]),
        change=change,
    )


def _through(
    region: FilmRegion, show: Callable[[Pixels, Mask], Pixels], *, always: bool
) -> FrameEdit:
    """Show an edit in a film's pictures; `always` where all of one without objects is meant."""

    def frame(pixels: Pixels, number: int, seconds: float) -> Pixels:
        mask = region.of(pixels, number)
        return show(pixels, mask) if always or mask.any() else pixels

    return frame


def _contents(edit: RegionEdit, values: Mapping[str, Value]) -> list[str]:
    """Tell the files among an edit's values by their content."""
    files = [values[param.name] for param in edit.params if isinstance(param, FileParam)]
    return [digest(Path(str(file))) for file in files if file is not None]


def _mask(region: Region, photo: Photo, source: Path | None, keeper: MaskKeeper | None) -> Mask:
    """Work out a photo's region, and keep its mask."""
    mask = region.of(photo.pixels, source)
    if keeper is not None:
        keeper.keep(mask, source)
    return mask


def _untouched(photo: Photo, region: Region, source: Path | None) -> Photo:
    """Return the photo, and say that there is nothing in it to edit."""
    classes = " or ".join(region.selection.classes) or "object"
    what = f"no {classes} is found" if region.finder else "the region is empty"
    warnings.warn(f"{source or 'picture'}: {what}, so the photo stays as it is", stacklevel=4)
    return photo


def _no_room(edit: RegionEdit) -> UsageError:
    return UsageError(
        edit.name,
        expected="a picture with room for transparency: a file's path or bytes",
        got="an array or a PIL image",
        remedy="give its mask as alpha yourself, or write a file first",
    )


def _check_something(edit: RegionEdit, mask: Mask, where: str) -> None:
    """Refuse to do away with a whole photo."""
    if edit.outside and not mask.any():
        raise PhotoError(
            where,
            expected="a region to keep",
            got="none, as nothing is found",
            remedy="choose other objects, or lower --min-score",
        )


def _check_film(
    region: Region,
    keeper: MaskKeeper | None,
    edit: RegionEdit | None = None,
    forget: bool | None = None,
) -> None:
    """Refuse what a film cannot have, and say what is kept of it."""
    got = {
        "--save-mask": keeper is not None,
        "cut-out": edit is not None and not edit.call,
        "a folder of masks": isinstance(region.mask, MaskFile) and region.mask.path.is_dir(),
        "a file of objects": region.finder is not None and region.finder.sha256 is None,
    }
    if any(got.values()):
        raise UsageError(
            "a film",
            expected="an edit of moving pictures, by a detector or one mask",
            got=next(what for what, is_so in got.items() if is_so),
            remedy="leave it out",
        )
    if edit is not None and edit.forgets and forget is None:
        warnings.warn("the metadata of a film is kept; remove it by other means", stacklevel=4)


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
    if coloured and origin.profile is not None and _one_channel(origin.profile):
        raise PhotoError(
            name,
            expected="grey for a grey photo with a profile of its own",
            got="colours",
            remedy="choose a grey, or convert the photo to sRGB first",
        )
    return replace(photo, origin=replace(origin, grey=origin.grey and not coloured))


def _one_channel(profile: bytes) -> bool:
    from burnish.photo.colour import channels

    return channels(profile) == 1


def _cut_out(photo: Photo, mask: Mask) -> Photo:
    """Make all outside transparent, and leave no colour there."""
    alpha = mask if photo.alpha is None else mask * photo.alpha
    seen = (mask > 0)[..., None]
    kept = replace(photo, pixels=np.where(seen, photo.pixels, np.float32(0)), alpha=alpha)
    if kept.origin.beyond is None:
        return kept
    return replace(kept, origin=replace(kept.origin, beyond=kept.origin.beyond * seen))
