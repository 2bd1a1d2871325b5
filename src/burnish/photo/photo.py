"""The image type: float32 sRGB pixels with alpha and the metadata of the source file."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from burnish.errors import PhotoError
from burnish.files import atomic_write, check_absent
from burnish.photo import header, read, write
from burnish.photo.formats import FORMATS, result_format, writable_format
from burnish.photo.metadata import SourceMetadata
from burnish.types import Pixels


@dataclass(frozen=True, eq=False)
class Photo:
    """An image in memory.

    Parameters
    ----------
    pixels : H x W x 3, RGB, sRGB-encoded; stored as float32, clipped to [0, 1], read-only
    alpha : H x W, 0 is transparent; stored likewise; None if the image has none
    metadata : format, depth, profile and metadata of the source file, used again when writing

    Raises
    ------
    PhotoError : pixels or alpha of another shape, of integers, or not finite

    Examples
    --------
    >>> photo = Photo(np.full((2, 3, 3), 0.5))
    >>> reopened = Photo.open(photo.encode("png"))
    >>> reopened.size, reopened.metadata.depth, (reopened.pixels[0, 0] * 255).tolist()
    ((3, 2), 8, [128.0, 128.0, 128.0])
    """

    pixels: Pixels
    alpha: Pixels | None = None
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
        """Read an image file: JPEG, PNG, TIFF, WebP, AVIF, GIF, HEIC or a camera's raw file.

        HEIC needs the extra 'heif', and raw files, which LibRaw develops to 16 bits, the extra
        'raw'.

        The image is rotated upright and converted to sRGB with its embedded profile; without a
        profile it is taken as sRGB. An sRGB image keeps its exact code values. The format is
        detected from the content, not from the name. Grey becomes three equal channels.

        Files of several pages or frames, CMYK and other inks, high dynamic range, and floats far
        outside [0, 1] are rejected. Smaller copies of a TIFF's image do not count as pages.

        Parameters
        ----------
        source : a path, or the content of a file
        max_pixels : an image that declares more pixels is rejected before it is decoded

        Raises
        ------
        PhotoError : not an image, a damaged one, or one that burnish does not accept
        MissingLibraryError : the library for HEIC or raw files is not installed

        Warns
        -----
        UserWarning : a colour profile that cannot be used, or something that the edited photo
            would not match, such as an HDR gain map, a video behind the image or a signature, is
            left out; the file breaks rules of its format; or floats are clipped
        """
        return cls(*read.read(source, max_pixels))

    @staticmethod
    def size_of(
        source: str | Path | bytes, *, max_pixels: int = header.MAX_PIXELS
    ) -> tuple[int, int]:
        """Return the width and height of the photo that `open` returns, without decoding it.

        Only the header of a file is read, so damage farther on is not noticed.

        Raises
        ------
        PhotoError : as for `open`

        Examples
        --------
        >>> Photo.size_of(Photo(np.full((2, 3, 3), 0.5)).encode("png"))
        (3, 2)
        """
        return header.image_size(source, max_pixels)

    def with_pixels(self, pixels: ArrayLike) -> "Photo":
        """Return the photo with new pixels of the same size, clipped to [0, 1].

        Raises
        ------
        PhotoError : pixels of another shape, of integers, or not finite

        Examples
        --------
        >>> photo = Photo(np.full((1, 1, 3), 0.5))
        >>> photo.with_pixels(photo.pixels * 3).pixels.tolist()
        [[[1.0, 1.0, 1.0]]]
        >>> photo.with_pixels(np.full((1, 1, 3), np.nan))
        Traceback (most recent call last):
        burnish.errors.PhotoError: pixels: some values are not finite; check their source
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
        """Return the photo as the content of a file.

        The pixels are converted back to the embedded profile, which is embedded again, and
        out-of-gamut colours are restored. Metadata is kept byte for byte, as far as the format
        supports it.

        Parameters
        ----------
        format : "jpeg", "png", "tiff", "webp" or "avif" [default: the source's; for HEIC "jpeg",
            for GIF "png", for a raw file "tiff"]
        quality : 1 to 100, for JPEG, WebP and AVIF [default: 95]. Other formats are lossless and
            ignore it. A lossless WebP stays lossless unless a quality is given.
        depth : 8, 16 or 32 (float) bits a channel [default: the source's, or the format's next
            lower one]. JPEG and WebP have 8; AVIF stores 16 as 12.

        Raises
        ------
        PhotoError : the format cannot store the photo: alpha in JPEG, or a depth that it lacks
        UsageError : a depth that no format has, or a quality outside 1 to 100

        Warns
        -----
        UserWarning : the format cannot store some of the metadata
        """
        name = format or result_format(FORMATS[self.metadata.format]).name
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
        """Write the photo to a file atomically, and return its path.

        The arguments are those of `encode`, but the default format is that of the extension.

        Raises
        ------
        OutputError : the file exists and `overwrite` is not set, or it cannot be written
        PhotoError : the format cannot store the photo: alpha in JPEG, or a depth that it lacks
        UsageError : a depth that no format has, or a quality outside 1 to 100
        """
        target = Path(path)
        check_absent(target, overwrite=overwrite)
        target_format = writable_format(format or target.suffix, str(target))
        if target.suffix.lower() not in target_format.extensions:
            raise PhotoError(
                str(target),
                f"the extension {target.suffix!r} does not fit {target_format.name}",
                f"use the extension {target_format.extensions[0]}",
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


def _checked(values: ArrayLike, shape: str, name: str) -> Pixels:
    """Return a float32, finite, contiguous, read-only array in [0, 1]."""
    array = np.asarray(values)
    if name == "pixels":
        has_shape = array.ndim == 3 and array.shape[2] == 3
    else:
        has_shape = _shape_text(array) == shape
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
        raise PhotoError(name, "some values are not finite", "check their source")
    if low < 0 or high > 1:
        array = np.clip(array, 0, 1)
    # Arrays from `read` are read-only already and are not copied.
    if array.flags.writeable or not array.flags.c_contiguous or array.dtype != np.float32:
        array = np.array(array, np.float32, order="C")
    array.flags.writeable = False
    return array


def _shape_text(array: NDArray[np.generic]) -> str:
    return " x ".join(map(str, array.shape)) or "a single number"
