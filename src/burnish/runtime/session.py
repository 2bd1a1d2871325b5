"""A session: a model on an engine and a device, ready to run on tiles."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.errors import ModelError
from burnish.modelfile.card import COORDS, INPUT
from burnish.runtime.pixel_layout import pack, unpack
from burnish.types import Pixels

Array = NDArray[np.float32]
# Runs a graph on its inputs by name, and passes the output to a function. The engine may overwrite
# the output afterwards.
Infer = Callable[[Mapping[str, Array], Callable[[Array], None]], None]

# Engines have no exception class for exhausted memory, neither on the CPU nor on CUDA.
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
    name : of the model, for messages
    device : "cpu" or "cuda:N", never "auto"
    block_sizes : sides of the blocks that the graph's input and output are packed in, px
    """

    name: str
    device: str
    block_sizes: tuple[int, int]
    _infer: Infer

    def run(
        self,
        pixels: Pixels,
        size: tuple[int, int],
        out: Pixels,
        core_offset: tuple[int, int] = (0, 0),
        coords: Array | None = None,
    ) -> None:
        """Run the model on a tile, and write a part of its output.

        Parameters
        ----------
        pixels : (rows, columns, 3), the part of the tile inside the image; see `pack`
        size : height and width of the tile, px; multiples of the model's `size_multiple`
        out : (height, width, 3), receives a part of the output
        core_offset : row and column of the output where that part begins, multiples of
            `size_multiple`
        coords : (1, rows of blocks, columns of blocks, 2), for a model that takes them

        Raises
        ------
        MemoryError : the device is out of memory
        ModelError : the engine failed for another reason
        """
        input_block, output_block = self.block_sizes
        packed_size = tuple(side // output_block for side in size)

        def write_output(planes: Array) -> None:
            if planes.shape != (1, out.shape[2] * output_block**2, *packed_size):
                raise ValueError(f"the output has the shape {planes.shape}")
            unpack(planes, output_block, out, *core_offset)

        try:
            inputs = {INPUT: pack(pixels, size, input_block)}
            if coords is not None:
                inputs[COORDS] = coords
            self._infer(inputs, write_output)
        except Exception as error:  # The exceptions of engines share no base class.
            problem = f"the model fails at {size[1]} x {size[0]} px"
            remedy = "get the file again from its maker, or choose another --engine"
            raise engine_error(error, self.name, problem, remedy) from error


def engine_error(
    error: Exception, name: str, problem: str, remedy: str
) -> MemoryError | ModelError:
    """Return MemoryError if an engine's error says that memory is exhausted, else ModelError."""
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return MemoryError(f"{name}: {error_text(error)}")
    return ModelError(name, f"{problem}: {error_text(error)}", remedy)


def error_text(error: Exception) -> str:
    """Return the beginning of an engine's error message."""
    return str(error).strip()[:200] or type(error).__name__
