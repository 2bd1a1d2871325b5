"""Run one network on an image in tiles, whose outputs together equal that for the whole image."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self

import numpy as np

from burnish.errors import ModelError, OutputError, UsageError
from burnish.modelfile.card import COORDS, GUIDE, INPUT, Precision
from burnish.modelfile.reader import ModelFile
from burnish.params import Value
from burnish.prefetch import prefetch
from burnish.runtime.session import Array, Context, Session, context_tensors, get_session
from burnish.runtime.tiles import Tile, TileGrid, plan_tiles
from burnish.types import OnProgress, Pixels, ReadRegion, Rectangle, WriteRegion

# A pixel of a tile needs its activations as float32, its input, that of the next tile, and its
# output. ONNX Runtime needs more for activations, since it rounds channels up to blocks of 16.
# CAN24 (48 activations) on 4 megapixels peaked at 66 values per pixel on a CPU with AVX-512, a
# factor of 1.38. Two U-Nets had 1.2 and 1.4. If memory runs out nevertheless, tiles are halved.
_ACTIVATION_OVERHEAD = 1.4
_IO_VALUES = 3 * 3
# A guide is enlarged, and then packed; and so is that of the next tile.
_GUIDE_VALUES = 3 * 3
# For images with more pixels, the context is bound to the graph. A new session takes 9 ms and saves
# time: on one core 3 ms at 256 x 256 px, 6 at 384 x 384 and 12 at 512 x 512
# (benchmarks/slider_values.py).
_BIND_PIXELS = 2**17
# Rows that are read at a time.
_STRIP_ROWS = 64


@dataclass(frozen=True)
class ImageAccess:
    """An image that is read, and its output that is written, by rectangles.

    Parameters
    ----------
    size : height and width, px
    read : returns a rectangle of the image
    allocate : returns memory for a rectangle of the output
    write : receives a rectangle of the output, in the memory that `allocate` returned
    """

    size: tuple[int, int]
    read: ReadRegion
    allocate: ReadRegion
    write: WriteRegion

    @classmethod
    def in_memory(cls, pixels: Pixels, output: Pixels) -> Self:
        """Return the access to an image and an output in memory."""
        return cls(
            pixels.shape[:2],
            lambda rectangle: pixels[rectangle.slices],
            lambda rectangle: output[rectangle.slices],
            lambda rectangle, tile_output: None,  # The tile was written into `output`.
        )

    @property
    def whole(self) -> Rectangle:
        """The rectangle of the whole image."""
        return Rectangle(0, self.size[0], 0, self.size[1])

    def write_all(self, pixels: Pixels) -> None:
        """Write the whole output."""
        output = self.allocate(self.whole)
        output[...] = pixels
        self.write(self.whole, output)

    def mean(self) -> float:
        """Return the mean of all values of the image."""
        height, width = self.size
        total = 0.0
        for top in range(0, height, _STRIP_ROWS):
            rows = Rectangle(top, min(top + _STRIP_ROWS, height), 0, width)
            total += float(self.read(rows).sum(dtype=np.float64))
        return total / (3 * self.whole.area)

    def resized(self, size: tuple[int, int]) -> Pixels:
        """Return the whole image, resized by area to a height and width."""
        from burnish.runtime.resize import area_resize_regions

        return area_resize_regions(self.read, self.size, size)


class TiledNetwork:
    """A network on a device.

    Parameters
    ----------
    file : the network and its card
    device, threads, engine, precision : see `burnish.runtime.model.Model.open`
    """

    def __init__(
        self,
        file: ModelFile,
        device: str,
        threads: int | None,
        engine: str,
        precision: Precision,
    ) -> None:
        self.card = file.card
        self._file = file
        self._session_options = (device, threads, engine, precision)
        self._threads = threads
        # The kernels of a graph in int8 are rounded after the context is folded into them.
        self._always_binds = precision == "int8"

    @property
    def device(self) -> str:
        """The device that the network runs on; a session is created to find it.

        Raises
        ------
        BurnishError : as in `burnish.runtime.model.Model.open`
        """
        if not self._always_binds:
            return self.session().device
        side = self.card.thumbnail_size
        grey = np.full((side, side, 3), 0.5, np.float32) if side else None
        return self.session(context_tensors(self.card, {}, grey)).device

    def session(self, context: Context | None = None) -> Session:
        """Return a session, with the context bound to the graph if it is given.

        Raises
        ------
        BurnishError : as in `burnish.runtime.model.Model.open`
        """
        try:
            return get_session(self._file, *self._session_options, context)
        except MemoryError as error:
            problem = "there is too little memory to load the model"
            raise ModelError(self.card.name, problem, "close other programs") from error

    def min_memory(self, size: tuple[int, int]) -> int:
        """Return the bytes that the smallest tile of an image needs."""
        return self._grid(size).min_pixels * self.bytes_per_pixel

    @property
    def bytes_per_pixel(self) -> int:
        """The bytes that a pixel of a tile needs."""
        values = _ACTIVATION_OVERHEAD * self.card.peak_activations_per_pixel + _IO_VALUES
        return ceil(4 * (values + (_GUIDE_VALUES if self.card.guide else 0)))

    def run(
        self,
        image: ImageAccess,
        params: Mapping[str, Value],
        memory: int,
        on_progress: OnProgress | None,
        *,
        thumbnail: Pixels | None = None,
        coarse: Pixels | None = None,
    ) -> bool:
        """Run the network on an image.

        Parameters
        ----------
        memory : bytes for a tile, at least `min_memory`
        thumbnail : of the image, if the network takes one
        coarse : the result of the level below, if the network is guided

        Returns
        -------
        True if any value of the output is not zero

        Raises
        ------
        OutputError : the output is not finite
        MemoryError : there is too little memory for the smallest tile
        """
        grid = self._grid(image.size)
        context = context_tensors(self.card, params, thumbnail)
        if image.whole.area > _BIND_PIXELS or self._always_binds:
            session, context = self.session(context), {}
        else:
            session = self.session()
        max_pixels = memory // self.bytes_per_pixel
        finished_rows, any_nonzero = 0, False
        while finished_rows < grid.padded_height:
            tiles = plan_tiles(grid, max_pixels, finished_rows)
            inputs = self._read_tiles(session, image, grid, tiles, coarse)
            if len(tiles) > 1 and self._threads != 1:
                inputs = prefetch(inputs)
            try:
                for tile, tensors in zip(tiles, inputs, strict=True):
                    core = grid.clip(tile.core)
                    output = image.allocate(core)
                    self._run_tile(session, tile, {**tensors, **context}, output)
                    image.write(core, output)
                    any_nonzero = any_nonzero or bool(output.any())
                    if tile.core.right == grid.padded_width:
                        finished_rows = tile.core.bottom
                    if on_progress is not None:
                        on_progress(_fraction_done(tile, grid))
            except MemoryError:
                # The remaining rows are planned again, in smaller tiles.
                if max_pixels <= grid.min_pixels:
                    raise
                # Halving a limit above the image's size would give the same tile again.
                max_pixels = min(max_pixels, grid.padded_height * grid.padded_width) // 2
                max_pixels = max(max_pixels, grid.min_pixels)
            finally:
                inputs.close()
        return any_nonzero

    def _grid(self, size: tuple[int, int]) -> TileGrid:
        return TileGrid(*size, self.card.halo, self.card.size_multiple)

    def _read_tiles(
        self,
        session: Session,
        image: ImageAccess,
        grid: TileGrid,
        tiles: Sequence[Tile],
        coarse: Pixels | None,
    ) -> Generator[dict[str, Array]]:
        """Yield the inputs of each tile. They are valid until the next but one is read."""
        # While the network runs on one tile, the inputs of the next are read. Memory is used again,
        # since fresh pages from the system take time.
        largest = 3 * max(tile.padded.area for tile in tiles)
        image_buffers = np.empty((2, largest), np.float32)
        guide_buffers = np.empty((3, largest if coarse is not None else 0), np.float32)
        for index, tile in enumerate(tiles):
            source, size, inputs = grid.clip(tile.padded), tile.padded.size, {}
            inputs[INPUT] = session.pack(image.read(source), size, image_buffers[index % 2])
            if coarse is not None:
                from burnish.runtime.resize import bilinear_region

                enlarged = guide_buffers[2, : 3 * source.area]
                guide = bilinear_region(coarse, source, image.size, enlarged)
                inputs[GUIDE] = session.pack(guide, size, guide_buffers[index % 2])
            if self.card.coords:
                from burnish.runtime.thumbnail import normalised_coords

                coords = normalised_coords(tile.padded, image.size, grid.size_multiple)
                inputs[COORDS] = coords[np.newaxis]
            yield inputs

    def _run_tile(
        self, session: Session, tile: Tile, inputs: Mapping[str, Array], out: Pixels
    ) -> None:
        """Write the output for a tile's core to `out`, clipped to [0, 1]."""
        session.run(inputs, tile.padded.size, out, tile.core_offset)
        if not np.isfinite(out).all():
            rows = f"rows {tile.core.top} to {tile.core.bottom}"
            problem = f"the output has NaN or infinite values in {rows}"
            raise output_error(self.card.name, problem, session.device)
        np.clip(out, 0, 1, out=out)


def check_pixels(name: str, pixels: Pixels) -> None:
    """Check that an array is an image.

    Raises
    ------
    UsageError : its type, shape or range is another; `name` is that of the argument
    """
    remedy = "scale to [0, 1] and convert with .astype(np.float32)"
    if not isinstance(pixels, np.ndarray):
        got = type(pixels).__name__
    elif pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        got = f"shape {pixels.shape}"
        remedy = "pass RGB, channels last"
    elif pixels.dtype != np.float32:
        got = f"{pixels.dtype}"
    elif not (pixels.min() >= 0 and pixels.max() <= 1):  # True for NaN as well.
        got = f"values from {pixels.min():g} to {pixels.max():g}"
    else:
        return
    raise UsageError(name, f"expected H x W x 3 float32 in [0, 1], got {got}", remedy)


def checked_thumbnail(image: ImageAccess, side: int, thumbnail: Pixels | None) -> Pixels | None:
    """Return the thumbnail for a model: the given one, or that of the image.

    Parameters
    ----------
    side : of the thumbnail, px; 0 for a model that takes none

    Raises
    ------
    UsageError : the given one has another shape or type
    """
    if not side:
        return None
    if thumbnail is None:
        return image.resized((side, side))
    if thumbnail.shape != (side, side, 3) or thumbnail.dtype != np.float32:
        problem = f"its shape is {thumbnail.shape} and its type {thumbnail.dtype}"
        remedy = f"make it with burnish.runtime.resize.area_resize(pixels, ({side}, {side}))"
        raise UsageError("thumbnail", problem, remedy)
    return thumbnail


def output_error(name: str, problem: str, device: str) -> OutputError:
    """Return the error to raise for an output that no network should give."""
    remedy = "run it on the cpu, and report the model if that does not help"
    return OutputError(name, f"{problem}, on {device}", remedy)


def _fraction_done(tile: Tile, grid: TileGrid) -> float:
    core = tile.core
    above = core.top * grid.padded_width
    left = (core.bottom - core.top) * core.right
    return (above + left) / (grid.padded_height * grid.padded_width)
