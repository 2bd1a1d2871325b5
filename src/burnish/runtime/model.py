"""Model: run a model file on an array of any size, within a memory budget."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from burnish.errors import ModelError, OutputError, UsageError
from burnish.metrics import MIN_VISIBLE_MEAN
from burnish.modelfile.card import Card
from burnish.modelfile.reader import ModelFile, read_model
from burnish.params import Value
from burnish.photo.rectangle import Rectangle
from burnish.runtime import model_registry as shelf
from burnish.runtime import tiles
from burnish.runtime.area_resize import area_resize_rows
from burnish.runtime.conditioning import context_tensors
from burnish.runtime.coords import normalised_coords
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.session import Session
from burnish.runtime.session_cache import get_session

DEFAULT_MEMORY = 2**30

# A pixel of a source needs its activations as float32, the tile that goes in, the result that comes
# out, and what ONNX Runtime adds: channels filled up to blocks of 16. CAN24 (48 activations) on a
# 4-megapixel picture peaked at 66 values a pixel, the input apart, on a CPU with AVX-512: 1.38. Two
# U-shaped networks came to 1.2 and 1.4. Where it is too much after all, tiles are halved.
_ACTIVATION_OVERHEAD = 1.4
_IO_VALUES = 2 * 3

# Rows summed up at a time.
_STRIP_ROWS = 64

Progress = Callable[[float], None]
# Returns a part of a picture, or room for one, and takes a part of a result: (rows, columns, 3)
# float32.
ReadRegion = Callable[[Rectangle], NDArray[np.float32]]
WriteRegion = Callable[[Rectangle, NDArray[np.float32]], None]


class Model:
    """A model file on a device.

    Attributes
    ----------
    card : what the model says about itself
    sha256 : of the model file, hexadecimal
    device : where it runs, "cpu" or "cuda:N"
    engine : what runs it, "onnxruntime" or "openvino"

    Examples
    --------
    >>> import numpy as np
    >>> model = Model.open("l0-smoothing")
    >>> model(np.zeros((480, 640, 3), np.float32)).shape
    (480, 640, 3)
    """

    def __init__(
        self,
        file: ModelFile,
        device: str = "auto",
        threads: int | None = None,
        engine: str = DEFAULT_ENGINE,
    ) -> None:
        self._file = file
        self._session_options = (device, threads, engine)
        self.card: Card = file.card
        self.sha256 = file.sha256
        self.engine = engine
        # What cannot be had is missed now rather than at the first picture.
        side = self.card.thumbnail_size
        self.device = self._session({}, np.zeros((side, side, 3), np.float32)).device

    @classmethod
    def open(
        cls,
        name_or_path: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        engine: str = DEFAULT_ENGINE,
    ) -> Self:
        """Open a model by its name or file; a file that has not changed is read once.

        Parameters
        ----------
        device : "auto", "cpu", "cuda" or "cuda:N"; one asked for by name is that one or an error
        threads : CPU threads for one picture; None leaves it to the engine
        engine : "onnxruntime" or "openvino"

        Raises
        ------
        ModelError : there is no such model, or its file is not to be trusted
        DeviceError : the device cannot be had
        MissingLibraryError : the engine is not installed
        UsageError : `device`, `threads` or `engine` is none
        """
        path = shelf.find_model(name_or_path).resolve()
        state = path.stat()
        return cls(_read_cached(path, state.st_mtime_ns, state.st_size), device, threads, engine)

    def __call__(
        self,
        pixels: NDArray[np.float32],
        params: Mapping[str, Value] | None = None,
        *,
        memory: int = DEFAULT_MEMORY,
        on_progress: Progress | None = None,
        thumbnail: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Run the model on a picture, in tiles where the budget asks for it: the result is one.

        Shape: (H, W, 3) float32 -> the same. Range: RGB in [0, 1], sRGB-encoded, both ways.

        Parameters
        ----------
        params : values of the model's sliders by name or keyword; the card's serve for the rest
        memory : bytes for the work on a tile, beside the picture and its result
        on_progress : told the fraction done, up to 1, after each tile
        thumbnail : (S, S, 3) of the whole picture, S being the card's; None has it made. With one
            for all frames of a film, what a model decides by it does not flicker. A model that
            takes none leaves it

        Raises
        ------
        UsageError : `pixels` or `thumbnail` is no such array, `params` has a name or value that the
            model does not take, or `memory` is too little for the smallest tile
        OutputError : the result is not finite, or black where the picture is not
        ModelError : the model fails, or the machine has too little memory for the smallest tile
        """
        _check_pixels(pixels)
        height, width = pixels.shape[:2]
        try:
            result = np.empty_like(pixels, order="C")
        except MemoryError as error:
            beside = f", and {12 * height * width // 2**20} MiB for the result"
            raise self._out_of_memory(self._tile_grid(height, width), beside) from error

        def read_region(part: Rectangle) -> NDArray[np.float32]:
            return pixels[part.slices]

        def allocate(part: Rectangle) -> NDArray[np.float32]:
            return result[part.slices]

        def write_region(part: Rectangle, made: NDArray[np.float32]) -> None:
            pass  # it is there already

        self._process_tiles(
            read_region,
            allocate,
            write_region,
            (height, width),
            params,
            memory,
            on_progress,
            thumbnail,
        )
        return result

    def process_tiles(
        self,
        read_region: ReadRegion,
        write_region: WriteRegion,
        size: tuple[int, int],
        params: Mapping[str, Value] | None = None,
        *,
        memory: int = DEFAULT_MEMORY,
        on_progress: Progress | None = None,
    ) -> None:
        """Run the model on a picture that is in no array: parts are taken, results are given.

        The result is the call's, bit for bit. The picture's size costs no memory.

        Parameters
        ----------
        read_region : returns a part of the picture, (rows, columns, 3) float32 in [0, 1]; asked for
            parts that overlap, and for some of them twice
        write_region : given a part of the result, of the same kind; all of them cover the picture. Where
            memory runs out, some come again in other parts. Both run in this thread
        size : height and width of the picture, px
        params, memory, on_progress : as in the call

        Raises
        ------
        UsageError, OutputError, ModelError : as in the call

        Examples
        --------
        >>> pixels = np.zeros((48, 64, 3), np.float32)
        >>> result = np.empty_like(pixels)
        >>> def give(part, values):
        ...     result[part.inside] = values
        >>> model = Model.open("l0-smoothing")
        >>> model.over(lambda part: pixels[part.inside], give, (48, 64))
        >>> bool((result == model(pixels)).all())
        True
        """

        def read_checked(part: Rectangle) -> NDArray[np.float32]:
            pixels = read_region(part)
            _check_pixels(pixels)
            return pixels

        def allocate(part: Rectangle) -> NDArray[np.float32]:
            return np.empty((*part.size, 3), np.float32)

        self._process_tiles(read_checked, allocate, write_region, size, params, memory, on_progress)

    def min_memory(self, height: int, width: int) -> int:
        """Return the smallest budget that a picture of this size can be run within.

        Parameters
        ----------
        height, width : of the picture, px

        Returns
        -------
        bytes, for the work on a tile; see `memory` of the call

        Examples
        --------
        >>> Model.open("l0-smoothing").smallest_memory(6000, 9000) < 2**26
        True
        """
        return self._tile_grid(height, width).min_pixels * self._bytes_per_pixel

    def _session(
        self, params: Mapping[str, Value], thumbnail: NDArray[np.float32] | None
    ) -> Session:
        try:
            return get_session(
                self._file, *self._session_options, context_tensors(self.card, params, thumbnail)
            )
        except MemoryError as error:
            raise ModelError(
                self.card.name,
                expected="enough free memory to start it",
                got="less",
                remedy="close other programs",
            ) from error

    def _tile_grid(self, height: int, width: int) -> tiles.TileGrid:
        return tiles.TileGrid(height, width, self.card.halo, self.card.size_multiple)

    @property
    def _bytes_per_pixel(self) -> int:
        return ceil(4 * (_ACTIVATION_OVERHEAD * self.card.peak_activations_per_pixel + _IO_VALUES))

    def _min_mebibytes(self, grid: tiles.TileGrid) -> int:
        return ceil(grid.min_pixels * self._bytes_per_pixel / 2**20)

    def _process_tiles(
        self,
        read_region: ReadRegion,
        allocate: ReadRegion,
        write_region: WriteRegion,
        size: tuple[int, int],
        params: Mapping[str, Value] | None,
        memory: int,
        on_progress: Progress | None,
        thumbnail: NDArray[np.float32] | None = None,
    ) -> None:
        grid = self._tile_grid(*size)
        session = self._session(params or {}, self._thumbnail(read_region, grid, thumbnail))
        max_pixels = memory // self._bytes_per_pixel
        if max_pixels < grid.min_pixels:
            raise UsageError(
                "memory",
                expected=f"at least {self._min_mebibytes(grid)} MiB for {self.card.name}",
                got=f"{memory / 2**20:.1f} MiB",
                remedy="allow more",
            )
        top, any_nonzero = 0, False
        while top < grid.padded_height:
            try:
                for tile in tiles.plan_tiles(grid, max_pixels, top):
                    inside = tiles.clip_to_image(grid, tile.core)
                    output = allocate(inside)
                    self._run_tile(session, read_region, grid, tile, output)
                    write_region(inside, output)
                    any_nonzero = any_nonzero or bool(output.any())
                    top = _finished_rows(tile, grid, top)
                    if on_progress is not None:
                        on_progress(_progress_fraction(tile, grid))
            except MemoryError as error:
                # Rows that are finished stay; the others are planned anew, in smaller tiles.
                max_pixels = self._halve_limit(max_pixels, grid, error)
        if not any_nonzero:
            self._check_black(read_region, grid)

    def _thumbnail(
        self, read_region: ReadRegion, grid: tiles.TileGrid, given: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        side = self.card.thumbnail_size
        if not side:
            return None
        if given is not None:
            _check_thumbnail(given, side)
            return given

        def rows(top: int, bottom: int) -> NDArray[np.float32]:
            return read_region(Rectangle(top, bottom, 0, grid.width))

        return area_resize_rows(rows, grid.height, grid.width, side)

    def _run_tile(
        self,
        session: Session,
        read_region: ReadRegion,
        grid: tiles.TileGrid,
        tile: tiles.Tile,
        out: NDArray[np.float32],
    ) -> None:
        """Write what the model makes of a tile's interior, clipped to [0, 1]."""
        pixels = read_region(tiles.clip_to_image(grid, tile.padded))
        coords = None
        if self.card.coords:
            size = grid.height, grid.width
            coords = normalised_coords(tile.padded, size, grid.size_multiple)[np.newaxis]
        session.run(pixels, tile.padded.size, out, tiles.core_offset(tile), coords)
        if not np.isfinite(out).all():
            raise OutputError(
                self.card.name,
                expected="a finite result",
                got=f"values that are no numbers, in rows {tile.core.top} to"
                f" {tile.core.bottom}, on {self.device}",
                remedy="run it on the cpu, and report the model if that does not help",
            )
        np.clip(out, 0, 1, out=out)

    def _halve_limit(self, max_pixels: int, grid: tiles.TileGrid, error: MemoryError) -> int:
        if max_pixels <= grid.min_pixels:
            raise self._out_of_memory(grid) from error
        # Not from a limit that the picture does not reach: that would try the same tile again.
        return max(min(max_pixels, grid.padded_height * grid.padded_width) // 2, grid.min_pixels)

    def _out_of_memory(self, grid: tiles.TileGrid, beside: str = "") -> ModelError:
        return ModelError(
            self.card.name,
            expected=f"{self._min_mebibytes(grid)} MiB of free memory on {self.device}{beside}",
            got="less",
            remedy="close other programs",
        )

    def _check_black(self, read_region: ReadRegion, grid: tiles.TileGrid) -> None:
        """Refuse a result that is black, unless the picture is black as well."""
        total = 0.0
        for top in range(0, grid.height, _STRIP_ROWS):
            rows = Rectangle(top, min(top + _STRIP_ROWS, grid.height), 0, grid.width)
            total += float(read_region(rows).sum(dtype=np.float64))
        if total / (3 * grid.height * grid.width) > MIN_VISIBLE_MEAN:
            raise OutputError(
                self.card.name,
                expected="a picture",
                got=f"all black, on {self.device}",
                remedy="run it on the cpu, and report the model if that does not help",
            )


@lru_cache(maxsize=8)
def _read_cached(path: Path, modified: int, size: int) -> ModelFile:
    # `modified` and `size` are in the key so that a file written anew is read anew.
    return read_model(path)


def _finished_rows(tile: tiles.Tile, grid: tiles.TileGrid, top: int) -> int:
    """Return the row down to which all is finished: a row of tiles ends at the right border."""
    return tile.core.bottom if tile.core.right == grid.padded_width else top


def _progress_fraction(tile: tiles.Tile, grid: tiles.TileGrid) -> float:
    inside = tile.core
    above = inside.top * grid.padded_width
    left = (inside.bottom - inside.top) * inside.right
    return (above + left) / (grid.padded_height * grid.padded_width)


def _check_thumbnail(thumbnail: NDArray[np.float32], side: int) -> None:
    if thumbnail.shape != (side, side, 3) or thumbnail.dtype != np.float32:
        raise UsageError(
            "thumbnail",
            expected=f"shape {(side, side, 3)}, float32",
            got=f"shape {thumbnail.shape}, {thumbnail.dtype}",
            remedy=f"make it with burnish.runtime.area_resize.shrink(pixels, {side})",
        )


def _check_pixels(pixels: NDArray[np.float32]) -> None:
    expected = "pixels of H x W x 3, float32, in [0, 1]"
    remedy = "scale to [0, 1] and convert with .astype(np.float32)"
    if not isinstance(pixels, np.ndarray):
        got = type(pixels).__name__
    elif pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        got = f"shape {pixels.shape}"
        remedy = "give one RGB picture, channels last"
    elif pixels.dtype != np.float32:
        got = f"{pixels.dtype}"
    elif not (pixels.min() >= 0 and pixels.max() <= 1):  # Also where a value is no number.
        got = f"values from {pixels.min():g} to {pixels.max():g}"
    else:
        return
    raise UsageError("pixels", expected=expected, got=got, remedy=remedy)
