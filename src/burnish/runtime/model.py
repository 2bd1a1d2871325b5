"""Model: run a model file on an array of any size, within a memory budget."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from burnish.errors import ModelError, OutputError, UsageError
from burnish.metrics import VISIBLE
from burnish.modelfile.card import Card
from burnish.modelfile.reader import ModelFile, read
from burnish.params import Value
from burnish.photo.rectangle import Rectangle
from burnish.runtime import model_registry as shelf
from burnish.runtime import tiles
from burnish.runtime.area_resize import shrink_rows
from burnish.runtime.conditioning import context
from burnish.runtime.coords import places
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.session import Session
from burnish.runtime.session_cache import session

DEFAULT_MEMORY = 2**30

# A pixel of a source needs its activations as float32, the tile that goes in, the result that comes
# out, and what ONNX Runtime adds: channels filled up to blocks of 16. CAN24 (48 activations) on a
# 4-megapixel picture peaked at 66 values a pixel, the input apart, on a CPU with AVX-512: 1.38. Two
# U-shaped networks came to 1.2 and 1.4. Where it is too much after all, tiles are halved.
_OVERHEAD = 1.4
_ENDS = 2 * 3

# Rows summed up at a time.
_ROWS = 64

Progress = Callable[[float], None]
# Returns a part of a picture, or room for one, and takes a part of a result: (rows, columns, 3)
# float32.
Take = Callable[[Rectangle], NDArray[np.float32]]
Put = Callable[[Rectangle, NDArray[np.float32]], None]


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
        self._how = (device, threads, engine)
        self.card: Card = file.card
        self.sha256 = file.sha256
        self.engine = engine
        # What cannot be had is missed now rather than at the first picture.
        side = self.card.thumbnail
        self.device = self._start({}, np.zeros((side, side, 3), np.float32)).device

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
        path = shelf.find(name_or_path).resolve()
        state = path.stat()
        return cls(_read(path, state.st_mtime_ns, state.st_size), device, threads, engine)

    def __call__(
        self,
        pixels: NDArray[np.float32],
        params: Mapping[str, Value] | None = None,
        *,
        memory: int = DEFAULT_MEMORY,
        progress: Progress | None = None,
        thumbnail: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Run the model on a picture, in tiles where the budget asks for it: the result is one.

        Shape: (H, W, 3) float32 -> the same. Range: RGB in [0, 1], sRGB-encoded, both ways.

        Parameters
        ----------
        params : values of the model's sliders by name or keyword; the card's serve for the rest
        memory : bytes for the work on a tile, beside the picture and its result
        progress : told the fraction done, up to 1, after each tile
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
            raise self._starved(self._frame(height, width), beside) from error

        def take(part: Rectangle) -> NDArray[np.float32]:
            return pixels[part.inside]

        def room(part: Rectangle) -> NDArray[np.float32]:
            return result[part.inside]

        def put(part: Rectangle, made: NDArray[np.float32]) -> None:
            pass  # it is there already

        self._over(take, room, put, (height, width), params, memory, progress, thumbnail)
        return result

    def over(
        self,
        source: Take,
        into: Put,
        size: tuple[int, int],
        params: Mapping[str, Value] | None = None,
        *,
        memory: int = DEFAULT_MEMORY,
        progress: Progress | None = None,
    ) -> None:
        """Run the model on a picture that is in no array: parts are taken, results are given.

        The result is the call's, bit for bit. The picture's size costs no memory.

        Parameters
        ----------
        source : returns a part of the picture, (rows, columns, 3) float32 in [0, 1]; asked for
            parts that overlap, and for some of them twice
        into : given a part of the result, of the same kind; all of them cover the picture. Where
            memory runs out, some come again in other parts. Both run in this thread
        size : height and width of the picture, px
        params, memory, progress : as in the call

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

        def checked(part: Rectangle) -> NDArray[np.float32]:
            pixels = source(part)
            _check_pixels(pixels)
            return pixels

        def room(part: Rectangle) -> NDArray[np.float32]:
            return np.empty((*part.size, 3), np.float32)

        self._over(checked, room, into, size, params, memory, progress)

    def smallest_memory(self, height: int, width: int) -> int:
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
        return self._frame(height, width).smallest * self._bytes_per_pixel

    def _start(self, params: Mapping[str, Value], thumbnail: NDArray[np.float32] | None) -> Session:
        try:
            return session(self._file, *self._how, context(self.card, params, thumbnail))
        except MemoryError as error:
            raise ModelError(
                self.card.name,
                expected="enough free memory to start it",
                got="less",
                remedy="close other programs",
            ) from error

    def _frame(self, height: int, width: int) -> tiles.Frame:
        return tiles.Frame(height, width, self.card.halo, self.card.multiple)

    @property
    def _bytes_per_pixel(self) -> int:
        return ceil(4 * (_OVERHEAD * self.card.activations_per_pixel + _ENDS))

    def _mebibytes(self, frame: tiles.Frame) -> int:
        return ceil(frame.smallest * self._bytes_per_pixel / 2**20)

    def _over(
        self,
        source: Take,
        room: Take,
        into: Put,
        size: tuple[int, int],
        params: Mapping[str, Value] | None,
        memory: int,
        progress: Progress | None,
        thumbnail: NDArray[np.float32] | None = None,
    ) -> None:
        frame = self._frame(*size)
        started = self._start(params or {}, self._thumbnail(source, frame, thumbnail))
        limit = memory // self._bytes_per_pixel
        if limit < frame.smallest:
            raise UsageError(
                "memory",
                expected=f"at least {self._mebibytes(frame)} MiB for {self.card.name}",
                got=f"{memory / 2**20:.1f} MiB",
                remedy="allow more",
            )
        top, lit = 0, False
        while top < frame.full_height:
            try:
                for tile in tiles.plan(frame, limit, top):
                    inside = tiles.within(frame, tile.interior)
                    made = room(inside)
                    self._run(started, source, frame, tile, made)
                    into(inside, made)
                    lit = lit or bool(made.any())
                    top = _done(tile, frame, top)
                    if progress is not None:
                        progress(_fraction(tile, frame))
            except MemoryError as error:
                # Rows that are finished stay; the others are planned anew, in smaller tiles.
                limit = self._halved(limit, frame, error)
        if not lit:
            self._check_black(source, frame)

    def _thumbnail(
        self, source: Take, frame: tiles.Frame, given: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        side = self.card.thumbnail
        if not side:
            return None
        if given is not None:
            _check_thumbnail(given, side)
            return given

        def rows(top: int, bottom: int) -> NDArray[np.float32]:
            return source(Rectangle(top, bottom, 0, frame.width))

        return shrink_rows(rows, frame.height, frame.width, side)

    def _run(
        self,
        started: Session,
        source: Take,
        frame: tiles.Frame,
        tile: tiles.Tile,
        out: NDArray[np.float32],
    ) -> None:
        """Write what the model makes of a tile's interior, clipped to [0, 1]."""
        pixels = source(tiles.within(frame, tile.source))
        where = None
        if self.card.places:
            size = frame.height, frame.width
            where = places(tile.source, size, frame.multiple)[np.newaxis]
        started.run(pixels, tile.source.size, out, tiles.corner(tile), where)
        if not np.isfinite(out).all():
            raise OutputError(
                self.card.name,
                expected="a finite result",
                got=f"values that are no numbers, in rows {tile.interior.top} to"
                f" {tile.interior.bottom}, on {self.device}",
                remedy="run it on the cpu, and report the model if that does not help",
            )
        np.clip(out, 0, 1, out=out)

    def _halved(self, limit: int, frame: tiles.Frame, error: MemoryError) -> int:
        if limit <= frame.smallest:
            raise self._starved(frame) from error
        # Not from a limit that the picture does not reach: that would try the same tile again.
        return max(min(limit, frame.full_height * frame.full_width) // 2, frame.smallest)

    def _starved(self, frame: tiles.Frame, beside: str = "") -> ModelError:
        return ModelError(
            self.card.name,
            expected=f"{self._mebibytes(frame)} MiB of free memory on {self.device}{beside}",
            got="less",
            remedy="close other programs",
        )

    def _check_black(self, source: Take, frame: tiles.Frame) -> None:
        """Refuse a result that is black, unless the picture is black as well."""
        total = 0.0
        for top in range(0, frame.height, _ROWS):
            rows = Rectangle(top, min(top + _ROWS, frame.height), 0, frame.width)
            total += float(source(rows).sum(dtype=np.float64))
        if total / (3 * frame.height * frame.width) > VISIBLE:
            raise OutputError(
                self.card.name,
                expected="a picture",
                got=f"all black, on {self.device}",
                remedy="run it on the cpu, and report the model if that does not help",
            )


@lru_cache(maxsize=8)
def _read(path: Path, modified: int, size: int) -> ModelFile:
    # `modified` and `size` are in the key so that a file written anew is read anew.
    return read(path)


def _done(tile: tiles.Tile, frame: tiles.Frame, top: int) -> int:
    """Return the row down to which all is finished: a row of tiles ends at the right border."""
    return tile.interior.bottom if tile.interior.right == frame.full_width else top


def _fraction(tile: tiles.Tile, frame: tiles.Frame) -> float:
    inside = tile.interior
    above = inside.top * frame.full_width
    left = (inside.bottom - inside.top) * inside.right
    return (above + left) / (frame.full_height * frame.full_width)


def _check_thumbnail(given: NDArray[np.float32], side: int) -> None:
    if given.shape != (side, side, 3) or given.dtype != np.float32:
        raise UsageError(
            "thumbnail",
            expected=f"shape {(side, side, 3)}, float32",
            got=f"shape {given.shape}, {given.dtype}",
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
