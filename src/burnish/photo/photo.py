"""The one image type: float32 sRGB pixels, and all that travels beside them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from burnish.errors import PhotoError
from burnish.files import atomic_write, check_absent
from burnish.photo import header, read, write
from burnish.photo.formats import writable_format
from burnish.photo.source_metadata import SourceMetadata


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture in memory.

    Parameters
    ----------
    pixels : H x W x 3, RGB, sRGB-encoded; kept as float32, clipped to [0, 1], read-only
    alpha : H x W, 0 is transparent; kept likewise; None where the picture has none
    metadata : depth, format, profile, metadata: what the picture takes along to its next file

    Raises
    ------
    PhotoError : pixels or alpha of another shape, of integers, or not finite

    Examples
    --------
    >>> photo = Photo(np.full((2, 3, 3), 0.5))
    >>> again = Photo.open(photo.encode("png"))
    >>> again.size, again.origin.depth, (again.pixels[0, 0] * 255).tolist()
    ((3, 2), 8, [128.0, 128.0, 128.0])
    """

    pixels: NDArray[np.float32]
    alpha: NDArray[np.float32] | None = None
    metadata: SourceMetadata = field(default_factory=SourceMetadata)

    def __post_init__(self) -> None:
        pixels = _checked(self.pixels, "H x W x 3", "pixels")
        object.__setattr__(self, "pixels", pixels)
        if self.alpha is not None:
            alpha = _checked(self.alpha, "{} x {}".format(*pixels.shape), "alpha")
            object.__setattr__(self, "alpha", alpha)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @classmethod
    def open(cls, source: str | Path | bytes, *, max_pixels: int = header.MAX_PIXELS) -> "Photo":
        """Read a picture file: JPEG, PNG, TIFF, WebP, AVIF, GIF, and HEIC where libvips has it.

        It is turned upright, and converted to sRGB with its embedded profile (no profile means
        sRGB); an sRGB picture keeps its exact code values. The content, not the name, decides the
        format. Grey becomes three equal channels.

        Refused in words are files of several pages or frames, CMYK and other inks, camera raw
        files, and floats outside [0, 1].

        Parameters
        ----------
        source : a path, or a file's content
        max_pixels : a picture that claims more is refused before it is decoded

        Raises
        ------
        PhotoError : no picture, a broken one, or one that burnish does not take

        Warns
        -----
        UserWarning : a colour profile or EXIF block that cannot be used, or an HDR gain map, is
            left out
        """
        return cls(*read.read(source, max_pixels))

    @staticmethod
    def size_of(
        source: str | Path | bytes, *, max_pixels: int = header.MAX_PIXELS
    ) -> tuple[int, int]:
        """Return the width and height that `open` would give, without decoding the picture.

        Of a file only the header is read, so that thousands of photos are planned in seconds. A
        picture that is damaged farther on does not show here.

        Raises
        ------
        PhotoError : as `open` raises it

        Examples
        --------
        >>> Photo.size_of(Photo(np.full((2, 3, 3), 0.5)).encode("png"))
        (3, 2)
        """
        return header.image_size(source, max_pixels)

    def with_pixels(self, pixels: ArrayLike) -> "Photo":
        """Return the same photo with new pixels of the same size, clipped to [0, 1].

        Raises
        ------
        PhotoError : another shape, integers, or not finite

        Examples
        --------
        >>> photo = Photo(np.full((1, 1, 3), 0.5))
        >>> photo.with_pixels(photo.pixels * 3).pixels.tolist()
        [[[1.0, 1.0, 1.0]]]
        >>> photo.with_pixels(np.full((1, 1, 3), np.nan))
        Traceback (most recent call last):
        burnish.errors.PhotoError: pixels: expected finite numbers, got others; check its maker
        """
        array = np.asarray(pixels)
        if array.shape != self.pixels.shape:
            raise PhotoError(
                "pixels",
                expected=_shape_text(self.pixels),
                got=_shape_text(array),
                remedy="keep the photo's size",
            )
        return replace(self, pixels=array)

    def encode(
        self, format: str | None = None, *, quality: int | None = None, depth: int | None = None
    ) -> bytes:
        """Return the photo as a file's content.

        The embedded profile is converted back to and embedded again, and colours that sRGB cannot
        hold return as they were. Metadata is kept as far as the format holds it.

        Parameters
        ----------
        format : jpeg, png, tiff, webp or avif; the source's own where nothing is said
        quality : 1 to 100, 95 where nothing is said, for JPEG, WebP and AVIF; the other formats are
            lossless and have none. A WebP that was lossless stays so unless a quality is given.
        depth : 8, 16 or 32 (float) bits a channel; where nothing is said the source's, or the most
            below it that the format holds (JPEG and WebP 8; AVIF stores 16 as 12)

        Raises
        ------
        PhotoError : the format cannot hold the photo: alpha into JPEG, a depth that it lacks
        UsageError : a depth that no format has, or a quality outside 1 to 100

        Warns
        -----
        UserWarning : the format cannot hold some of the metadata
        """
        name = self.metadata.format if format is None else format
        return write.encode(
            self.pixels, self.alpha, self.metadata, name, quality=quality, depth=depth
        )

    def save(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        quality: int | None = None,
        depth: int | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write the photo to a file, whole or not at all, and return its path.

        The arguments are those of `encode`, but the format is that of the file's extension.

        Raises
        ------
        OutputError : the file exists and `overwrite` is not set, or it cannot be written
        PhotoError : the format cannot hold the photo: alpha into JPEG, a depth that it lacks
        UsageError : a depth that no format has, or a quality outside 1 to 100
        """
        target = Path(path)
        check_absent(target, overwrite=overwrite)
        target_format = writable_format(format or target.suffix, str(target))
        if target.suffix.lower() not in target_format.extensions:
            raise PhotoError(
                str(target),
                expected=f"a name that ends like {target_format.name}",
                got=repr(target.suffix),
                remedy=f"end it in {target_format.extensions[0]}",
            )
        data = write.encode(
            self.pixels,
            self.alpha,
            self.metadata,
            target_format.name,
            quality=quality,
            depth=depth,
            where=str(target),
        )
        with atomic_write(target, overwrite=overwrite) as file:
            file.write(data)
        return target


def _checked(values: ArrayLike, shape: str, name: str) -> NDArray[np.float32]:
    """Check and freeze: float32, finite, in [0, 1], contiguous, read-only."""
    array = np.asarray(values)
    has_shape = (
        array.ndim == 3 and array.shape[2] == 3 if name == "pixels" else _shape_text(array) == shape
    )
    if not has_shape or array.size == 0:
        raise PhotoError(
            name, expected=shape, got=_shape_text(array), remedy="check the array's shape"
        )
    if array.dtype.kind != "f":
        raise PhotoError(
            name,
            expected="floats from 0 to 1",
            got=f"{array.dtype}",
            remedy="divide by the type's largest value first",
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PhotoError(name, expected="finite numbers", got="others", remedy="check its maker")
    if low < 0 or high > 1:
        array = np.clip(array, 0, 1)
    # What the reader made is frozen already and taken as it is; of anything else a copy is kept.
    if array.flags.writeable or not array.flags.c_contiguous or array.dtype != np.float32:
        array = np.array(array, np.float32, order="C")
    array.flags.writeable = False
    return array


def _shape_text(array: NDArray[np.generic]) -> str:
    return " x ".join(map(str, array.shape)) or "a single number"
