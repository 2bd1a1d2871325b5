"""Model: run a model file on an image of any size, within a memory budget."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Self

import numpy as np

from burnish.errors import ModelError, OutputError, UsageError
from burnish.metrics import MIN_VISIBLE_MEAN
from burnish.modelfile.reader import ModelFile, read_model
from burnish.params import Value
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.model_registry import find_model
from burnish.runtime.session import Session, context_tensors, get_session
from burnish.runtime.tiles import Tile, TileGrid, plan_tiles
from burnish.types import Pixels, Rectangle

DEFAULT_MEMORY = 2**30

# A pixel of a tile needs its activations as float32, its input and its output. ONNX Runtime needs
# more for activations, since it rounds channels up to blocks of 16. CAN24 (48 activations) on 4
# megapixels peaked at 66 values per pixel on a CPU with AVX-512, a factor of 1.38. Two U-Nets had
# 1.2 and 1.4. If memory runs out nevertheless, tiles are halved.
_ACTIVATION_OVERHEAD = 1.4
_IO_VALUES = 2 * 3

_STRIP_ROWS = 64

# Receives the fraction done, from 0 to 1.
OnProgress = Callable[[float], None]
# Returns the pixels of a rectangle of an image, (rows, columns, 3), or memory for them.
ReadRegion = Callable[[Rectangle], Pixels]
# Receives the pixels of a rectangle of the output, (rows, columns, 3).
WriteRegion = Callable[[Rectangle, Pixels], None]


class Model:
    """A model file on a device.

    Attributes
    ----------
    card : the model's description
    sha256 : of the model file, hexadecimal
    device : "cpu" or "cuda:N"
    engine : "onnxruntime" or "openvino"

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
        self.card = file.card
        self.sha256 = file.sha256
        self.engine = engine
        # A session is created now, so that a missing device or engine fails here and not at the
        # first image.
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
        """Open a model by its name or file. The contents of unchanged files are cached.

        Parameters
        ----------
        device : "auto" (CUDA if the engine has it and it works, else the CPU), "cpu", "cuda" or
            "cuda:N". A device other than "auto" is used, or an error is raised
        threads : number of CPU threads for one image [default: the engine's choice]
        engine : "onnxruntime" or "openvino"

        Raises
        ------
        ModelError : there is no such model, its file is not valid, or the engine rejects it
        DeviceError : the device is not available
        MissingLibraryError : the engine is not installed
        UsageError : `device`, `threads` or `engine` has an invalid value
        """
        path = find_model(name_or_path).resolve()
        stat = path.stat()
        return cls(_read_cached(path, stat.st_mtime_ns, stat.st_size), device, threads, engine)

    def __call__(
        self,
        pixels: Pixels,
        params: Mapping[str, Value] | None = None,
        *,
        memory: int = DEFAULT_MEMORY,
        on_progress: OnProgress | None = None,
        thumbnail: Pixels | None = None,
    ) -> Pixels:
        """Run the model on an image, in tiles if it exceeds `memory`. The output is the same.

        Shape: (H, W, 3) float32 -> the same. Range: RGB in [0, 1], sRGB-encoded, both ways.

        Parameters
        ----------
        params : values of the model's sliders by name or keyword [default: the card's]
        memory : bytes for a tile, in addition to the image and the output
        on_progress : called with the fraction done, up to 1, after each tile
        thumbnail : (S, S, 3) float32, where S is the card's `thumbnail_size`; a model without a
            thumbnail ignores it. One thumbnail for all frames of a video prevents flicker
            [default: that of the image]

        Raises
        ------
        UsageError : `pixels` or `thumbnail` has another shape, type or range, `params` has an
            unknown name or an invalid value, or `memory` is too little for the smallest tile
        OutputError : the output is not finite, or black although the image is not
        ModelError : the model fails, or the machine has too little memory for the smallest tile
        """
        _check_pixels(pixels)
        height, width = pixels.shape[:2]
        try:
            output = np.empty_like(pixels, order="C")
        except MemoryError as error:
            extra = f", and {12 * height * width // 2**20} MiB for the output"
            raise self._out_of_memory(self.min_memory(height, width), extra) from error
        self._process_tiles(
            lambda rectangle: pixels[rectangle.slices],
            lambda rectangle: output[rectangle.slices],
            lambda rectangle, tile_output: None,  # The tile was written into `output`.
            (height, width),
            params,
            memory,
            on_progress,
            thumbnail,
        )
        return output

    def process_tiles(
        self,
        read_region: ReadRegion,
        write_region: WriteRegion,
        size: tuple[int, int],
        params: Mapping[str, Value] | None = None,
        *,
        memory: int = DEFAULT_MEMORY,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Run the model on an image that is read and written in parts, and not held in memory.

        The output equals that of `__call__` bit for bit. The other parameters and errors are those
        of `__call__`.

        Parameters
        ----------
        read_region : returns a rectangle of the image, (rows, columns, 3) float32 in [0, 1].
            Rectangles overlap and may be read several times
        write_region : receives a rectangle of the output. Together they cover the image. If memory
            runs out, some pixels are written again as part of smaller rectangles
        size : height and width of the image, px

        Examples
        --------
        >>> pixels = np.zeros((48, 64, 3), np.float32)
        >>> output = np.empty_like(pixels)
        >>> def write(rectangle, tile_output):
        ...     output[rectangle.slices] = tile_output
        >>> model = Model.open("l0-smoothing")
        >>> model.process_tiles(lambda rectangle: pixels[rectangle.slices], write, (48, 64))
        >>> bool((output == model(pixels)).all())
        True
        """

        def read_checked(rectangle: Rectangle) -> Pixels:
            pixels = read_region(rectangle)
            _check_pixels(pixels)
            return pixels

        def allocate(rectangle: Rectangle) -> Pixels:
            return np.empty((*rectangle.size, 3), np.float32)

        self._process_tiles(read_checked, allocate, write_region, size, params, memory, on_progress)

    def min_memory(self, height: int, width: int) -> int:
        """Return the smallest `memory` for an image of this size, in bytes.

        Examples
        --------
        >>> Model.open("l0-smoothing").min_memory(6000, 9000) < 2**26
        True
        """
        return self._tile_grid(height, width).min_pixels * self._bytes_per_pixel

    def _session(self, params: Mapping[str, Value], thumbnail: Pixels | None) -> Session:
        context = context_tensors(self.card, params, thumbnail)
        try:
            return get_session(self._file, *self._session_options, context)
        except MemoryError as error:
            problem = "there is too little memory to load the model"
            raise ModelError(self.card.name, problem, "close other programs") from error

    def _tile_grid(self, height: int, width: int) -> TileGrid:
        return TileGrid(height, width, self.card.halo, self.card.size_multiple)

    @property
    def _bytes_per_pixel(self) -> int:
        return ceil(4 * (_ACTIVATION_OVERHEAD * self.card.peak_activations_per_pixel + _IO_VALUES))

    def _process_tiles(
        self,
        read_region: ReadRegion,
        allocate: ReadRegion,
        write_region: WriteRegion,
        size: tuple[int, int],
        params: Mapping[str, Value] | None,
        memory: int,
        on_progress: OnProgress | None,
        thumbnail: Pixels | None = None,
    ) -> None:
        grid = self._tile_grid(*size)
        session = self._session(params or {}, self._thumbnail(read_region, grid, thumbnail))
        min_memory = self.min_memory(*size)
        if memory < min_memory:
            needed = f"{ceil(min_memory / 2**20)} MiB for {self.card.name}"
            problem = f"expected at least {needed}, got {memory / 2**20:.1f} MiB"
            raise UsageError("memory", problem, "allow more")
        max_pixels = memory // self._bytes_per_pixel
        finished_rows, any_nonzero = 0, False
        while finished_rows < grid.padded_height:
            try:
                for tile in plan_tiles(grid, max_pixels, finished_rows):
                    core = grid.clip(tile.core)
                    output = allocate(core)
                    self._run_tile(session, read_region, grid, tile, output)
                    write_region(core, output)
                    any_nonzero = any_nonzero or bool(output.any())
                    if tile.core.right == grid.padded_width:
                        finished_rows = tile.core.bottom
                    if on_progress is not None:
                        on_progress(_fraction_done(tile, grid))
            except MemoryError as error:
                # The remaining rows are planned again, in smaller tiles.
                if max_pixels <= grid.min_pixels:
                    raise self._out_of_memory(min_memory) from error
                # Halving a limit above the image's size would give the same tile again.
                max_pixels = min(max_pixels, grid.padded_height * grid.padded_width) // 2
                max_pixels = max(max_pixels, grid.min_pixels)
        if not any_nonzero:
            self._check_black(read_region, grid)

    def _thumbnail(
        self, read_region: ReadRegion, grid: TileGrid, thumbnail: Pixels | None
    ) -> Pixels | None:
        """Return the thumbnail of a model that takes one: that of the caller, or of the image."""
        side = self.card.thumbnail_size
        if not side:
            return None
        if thumbnail is None:
            from burnish.runtime.resize import area_resize_rows

            def read_rows(top: int, bottom: int) -> Pixels:
                return read_region(Rectangle(top, bottom, 0, grid.width))

            return area_resize_rows(read_rows, grid.height, grid.width, (side, side))
        if thumbnail.shape != (side, side, 3) or thumbnail.dtype != np.float32:
            problem = f"its shape is {thumbnail.shape} and its type {thumbnail.dtype}"
            remedy = f"make it with burnish.runtime.resize.area_resize(pixels, ({side}, {side}))"
            raise UsageError("thumbnail", problem, remedy)
        return thumbnail

    def _run_tile(
        self, session: Session, read_region: ReadRegion, grid: TileGrid, tile: Tile, out: Pixels
    ) -> None:
        """Write the output for a tile's core to `out`, clipped to [0, 1]."""
        pixels = read_region(grid.clip(tile.padded))
        coords = None
        if self.card.coords:
            from burnish.runtime.thumbnail import normalised_coords

            size = grid.height, grid.width
            coords = normalised_coords(tile.padded, size, grid.size_multiple)[np.newaxis]
        session.run(pixels, tile.padded.size, out, tile.core_offset, coords)
        if not np.isfinite(out).all():
            rows = f"rows {tile.core.top} to {tile.core.bottom}"
            raise self._output_error(f"the output has NaN or infinite values in {rows}")
        np.clip(out, 0, 1, out=out)

    def _check_black(self, read_region: ReadRegion, grid: TileGrid) -> None:
        """Raise OutputError for a black output, unless the image is black as well."""
        total = 0.0
        for top in range(0, grid.height, _STRIP_ROWS):
            rows = Rectangle(top, min(top + _STRIP_ROWS, grid.height), 0, grid.width)
            total += float(read_region(rows).sum(dtype=np.float64))
        if total / (3 * grid.height * grid.width) > MIN_VISIBLE_MEAN:
            raise self._output_error("the output is all black")

    def _output_error(self, problem: str) -> OutputError:
        remedy = "run it on the cpu, and report the model if that does not help"
        return OutputError(self.card.name, f"{problem}, on {self.device}", remedy)

    def _out_of_memory(self, min_memory: int, extra: str = "") -> ModelError:
        needed = f"{ceil(min_memory / 2**20)} MiB on {self.device}{extra}"
        problem = f"there is too little free memory; it needs {needed}"
        return ModelError(self.card.name, problem, "close other programs")


@lru_cache(maxsize=8)
def _read_cached(path: Path, modified: int, size: int) -> ModelFile:
    # The time and the size are part of the key, so that a changed file is read again.
    return read_model(path)


def _fraction_done(tile: Tile, grid: TileGrid) -> float:
    core = tile.core
    above = core.top * grid.padded_width
    left = (core.bottom - core.top) * core.right
    return (above + left) / (grid.padded_height * grid.padded_width)


def _check_pixels(pixels: Pixels) -> None:
    remedy = "scale to [0, 1] and convert with .astype(np.float32)"
    if not isinstance(pixels, np.ndarray):
        got = type(pixels).__name__
    elif pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        got = f"shape {pixels.shape}"
        remedy = "pass one RGB image, channels last"
    elif pixels.dtype != np.float32:
        got = f"{pixels.dtype}"
    elif not (pixels.min() >= 0 and pixels.max() <= 1):  # True for NaN as well.
        got = f"values from {pixels.min():g} to {pixels.max():g}"
    else:
        return
    raise UsageError("pixels", f"expected H x W x 3 float32 in [0, 1], got {got}", remedy)
