"""A session: a model with what holds for a picture, ready to run on an engine and a device."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.errors import ModelError
from burnish.modelfile.card import COORDS, INPUT
from burnish.runtime.pixel_layout import pack, unpack

Array = NDArray[np.float32]
# Runs a graph on its inputs by name, and hands its result over; the result may be gone afterwards.
Infer = Callable[[Mapping[str, Array], Callable[[Array], None]], None]

# How engines say that memory is out, on the CPU and on CUDA; they have no class for it.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|bad allocation|failed to allocate|can't allocate|out of memory"
    r"|CUDNN_STATUS_ALLOC_FAILED",
    re.I,
)


@dataclass(frozen=True)
class Session:
    """A model, ready to run.

    Parameters
    ----------
    name : the model's, for messages
    device : where it runs: "cpu" or "cuda:N", never "auto"
    block_sizes : sides of the squares that the graph's image and its result are laid out in, px
    """

    name: str
    device: str
    block_sizes: tuple[int, int]
    _infer: Infer

    def run(
        self,
        pixels: Array,
        size: tuple[int, int],
        out: Array,
        core_offset: tuple[int, int] = (0, 0),
        coords: Array | None = None,
    ) -> None:
        """Run the model on a source, and write a part of its result.

        Parameters
        ----------
        pixels : (rows, columns, 3), what of the source lies in the picture; see `pack`
        size : height and width of the source, px; multiples of the model's
        out : (height, width, 3), takes the part
        core_offset : row and column where the part begins, multiples of the model's
        coords : (1, H / multiple, W / multiple, 2), for a model that takes them

        Raises
        ------
        MemoryError : the device has not enough
        ModelError : the engine stopped for another reason
        """
        input_block, output_block = self.block_sizes
        sides = tuple(side // output_block for side in size)

        def write_output(planes: Array) -> None:
            if planes.shape != (1, out.shape[2] * output_block**2, *sides):
                raise ValueError(f"one of shape {planes.shape}")
            unpack(planes, output_block, out, *core_offset)

        try:
            inputs = {INPUT: pack(pixels, size, input_block)}
            self._infer(inputs if coords is None else inputs | {COORDS: coords}, write_output)
        except Exception as error:  # engines' classes share no base of their own
            expected = f"a result for {size[1]} x {size[0]} px"
            remedy = "get or export the model anew, or choose another --engine"
            raise engine_error(error, self.name, expected, remedy) from error


def engine_error(
    error: Exception, where: str, expected: str, remedy: str
) -> MemoryError | ModelError:
    """Return what an engine's error means: that memory is out, or that it does not take a model."""
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return MemoryError(f"{where}: {error_text(error)}")
    return ModelError(where, expected=expected, got=error_text(error), remedy=remedy)


def error_text(error: Exception) -> str:
    """Return the beginning of what an engine says of an error."""
    return str(error).strip()[:200] or type(error).__name__
