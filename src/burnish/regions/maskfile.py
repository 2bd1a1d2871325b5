"""Mask files: any grey picture, or a picture's transparency, as a mask; and masks written."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.errors import PhotoError, UsageError
from burnish.files import make_folder
from burnish.photo import Photo
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.photo.source_metadata import SourceMetadata
from burnish.types import Mask

# A grey JPEG may be off by this much.
_GREY_TOLERANCE = 3 / 255


@dataclass(frozen=True)
class MaskFile:
    """A mask for a photo, or a folder with a mask for each of several, called like the photo."""

    path: Path

    def read(self, size: tuple[int, int], source: Path | None = None) -> Mask:
        """Return the mask of the photo `source`: (H, W) float32, 0 to 1.

        Parameters
        ----------
        size : the photo's width and height, px

        Raises
        ------
        PhotoError : no mask, none of its size, or a picture with colours and no transparency
        """
        file = self._path_for(source)
        photo = Photo.open(file)
        if photo.size != size:
            raise PhotoError(
                str(file),
                expected=f"a mask of its photo's size, {size[0]} x {size[1]}",
                got=f"{photo.size[0]} x {photo.size[1]}",
                remedy="make it from the photo itself, turned upright",
            )
        if photo.alpha is not None and photo.alpha.min() < 1:
            return photo.alpha
        if float((photo.pixels.max(axis=2) - photo.pixels.min(axis=2)).max()) > _GREY_TOLERANCE:
            raise PhotoError(
                str(file),
                expected="a mask: a grey picture, or one with transparency",
                got="a picture with colours",
                remedy="white means wholly inside, black outside",
            )
        grey: Mask = photo.pixels[..., 1]
        return grey

    def _path_for(self, source: Path | None) -> Path:
        if not self.path.is_dir():
            return self.path
        stem = source.stem if source else ""
        files = sorted(
            file
            for file in self.path.iterdir()
            if file.stem == stem and file.suffix.lower() in READABLE_EXTENSIONS
        )
        if len(files) == 1:
            return files[0]
        raise PhotoError(
            str(source or "picture"),
            expected=f"one mask in {self.path} that is called like it",
            got=" and ".join(file.name for file in files) or "none",
            remedy=f"such as {stem or 'photo'}.png",
        )


def open_mask_file(path: str | Path) -> MaskFile:
    """Return a mask file that is there.

    Raises
    ------
    UsageError : it is not

    Examples
    --------
    >>> open_mask_file("no/such.png")
    Traceback (most recent call last):
    burnish.errors.UsageError: mask: expected a picture or a folder of them, got no/such.png, \
which is not there; check the path
    """
    file = Path(path)
    if not file.exists():
        raise UsageError(
            "mask",
            expected="a picture or a folder of them",
            got=f"{path}, which is not there",
            remedy="check the path",
        )
    return MaskFile(file)


def save_mask(
    mask: NDArray[np.floating] | NDArray[np.bool_], path: Path, *, overwrite: bool
) -> None:
    """Write a mask as a grey picture, white inside, 8 bits.

    Raises
    ------
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    PhotoError : an extension of no format that burnish writes
    """
    make_folder(path.parent)
    grey = np.repeat(mask.astype(np.float32)[..., None], 3, axis=2)
    Photo(grey, metadata=SourceMetadata(grey=True)).save(path, overwrite=overwrite)
