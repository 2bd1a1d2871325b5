"""Read and write mask files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.errors import PhotoError, UsageError
from burnish.files import make_folder
from burnish.photo import Photo
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.photo.metadata import SourceMetadata
from burnish.types import BoolMask, Mask

# Largest difference between the channels of an image that counts as grey, as JPEG is not exact.
_GREY_TOLERANCE = 3 / 255


@dataclass(frozen=True)
class MaskFile:
    """A mask file, or a folder that holds one mask per photo, with the photo's name.

    Raises
    ------
    UsageError : the path does not exist

    Examples
    --------
    >>> MaskFile(Path("no/such.png"))
    Traceback (most recent call last):
    burnish.errors.UsageError: mask: no/such.png does not exist; check the path
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise UsageError("mask", f"{self.path} does not exist", "check the path")

    def read(self, size: tuple[int, int], source: Path | None = None) -> Mask:
        """Return the mask of a photo: (H, W) float32 in [0, 1].

        A file with transparency is a mask by its alpha channel, any other by its grey values.

        Parameters
        ----------
        size : the photo's width and height, px
        source : the photo's file, whose name selects the mask in a folder

        Raises
        ------
        PhotoError : no mask, a mask of another size, or an image with colours and no transparency
        """
        file = self._path_for(source)
        photo = Photo.open(file)
        if photo.size != size:
            raise PhotoError(
                str(file),
                expected=f"a mask of the photo's size, {size[0]} x {size[1]}",
                got=f"{photo.size[0]} x {photo.size[1]}",
                remedy="make the mask from the photo, in its upright orientation",
            )
        if photo.alpha is not None and photo.alpha.min() < 1:
            return photo.alpha
        if float((photo.pixels.max(axis=2) - photo.pixels.min(axis=2)).max()) > _GREY_TOLERANCE:
            raise PhotoError(
                str(file),
                "a mask is grey or has transparency, but this image is in colour",
                "use white for inside and black for outside",
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
            str(source or "image"),
            expected=f"one mask of that name in {self.path}",
            got=" and ".join(file.name for file in files) or "none",
            remedy=f"name it like the photo, such as {stem or 'photo'}.png",
        )


def save_mask(mask: NDArray[np.floating] | BoolMask, path: Path, *, overwrite: bool) -> None:
    """Write a mask as an 8-bit grey image, white inside.

    Raises
    ------
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    PhotoError : burnish does not write the format of the extension
    """
    make_folder(path.parent)
    grey = np.repeat(mask.astype(np.float32)[..., None], 3, axis=2)
    Photo(grey, metadata=SourceMetadata(grey=True)).save(path, overwrite=overwrite)
