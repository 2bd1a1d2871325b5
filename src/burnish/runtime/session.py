"""Sessions: a model with its context on an engine and a device, created on first use and cached.

The context, parameter values and thumbnail, is the same for every tile. For large images it is
bound to the graph as constants before the session is created. The engine then computes the
context's layers once, and folds scales and shifts into convolutions.
"""

import ctypes
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from burnish.errors import ModelError, PrecisionError, missing_library
from burnish.modelfile.card import PARAMS, THUMBNAIL, Card, Precision
from burnish.modelfile.reader import ModelFile
from burnish.params import Value, resolve_params
from burnish.runtime.engines import DEFAULT_ENGINE, ENGINES, check_options
from burnish.runtime.tiles import pack, unpack
from burnish.types import Pixels

if TYPE_CHECKING:
    from onnx import ModelProto

Array = NDArray[np.float32]
# Context tensors by the names of the graph's inputs.
Context = dict[str, Array]
# Runs a graph on its inputs by name, and passes the output to a function. The engine may overwrite
# the output afterwards.
Infer = Callable[[Mapping[str, Array], Callable[[Array], None]], None]

T = TypeVar("T")

# A session holds little more than its weights, and eight allow switching between models.
_MAX_SESSIONS = 8
# Engines have no exception class for exhausted memory, neither on the CPU nor on CUDA.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|bad allocation|failed to allocate|can't allocate|out of memory"
    r"|CUDNN_STATUS_ALLOC_FAILED",
    re.I,
)


class SessionCache(Generic[T]):
    """The sessions of an engine that were used last, for all threads of a process.

    A forked process does not inherit the threads of a session. It creates sessions of its own, and
    never destroys those of its parent, because that would wait for their threads forever.

    Parameters
    ----------
    size : the number of sessions to keep
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._sessions: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._start_anew)

    def get(self, key: Hashable, create: Callable[[], T]) -> T:
        """Return the session with this key, creating it if it is not cached."""
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = create()
                if len(self._sessions) > self._size:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(key)
            return self._sessions[key]

    def __iter__(self) -> Iterator[Hashable]:
        """Return an iterator over the keys."""
        return iter(list(self._sessions))

    def _start_anew(self) -> None:
        for session in self._sessions.values():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))  # it now lives to the exit
        self._sessions = OrderedDict()
        self._lock = Lock()  # another thread of the parent may have held it


_sessions: "SessionCache[Session]" = SessionCache(_MAX_SESSIONS)


@dataclass(frozen=True)
class Session:
    """A model, ready to run on tiles.

    Parameters
    ----------
    name : of the model, for messages
    device : "cpu" or "cuda:N", never "auto"
    block_sizes : sides of the blocks that the graph's image and output are packed in, px; a guide
        is packed like the image
    """

    name: str
    device: str
    block_sizes: tuple[int, int]
    _infer: Infer

    def pack(self, pixels: Pixels, size: tuple[int, int], out: Array | None = None) -> Array:
        """Return the graph's input for the pixels of a tile; see `burnish.runtime.tiles.pack`.

        Raises
        ------
        MemoryError : there is too little memory
        ModelError : the size is not a multiple of the blocks
        """
        with self._errors(size):
            return pack(pixels, size, self.block_sizes[0], out)

    def run(
        self,
        inputs: Mapping[str, Array],
        size: tuple[int, int],
        out: Pixels,
        core_offset: tuple[int, int] = (0, 0),
    ) -> None:
        """Run the model on a tile, and write a part of its output.

        Parameters
        ----------
        inputs : by name: the image and, for a model that takes one, the guide, both from `pack`;
            for a model that takes them, `coords`, (1, rows of blocks, columns of blocks, 2); and
            the context, unless it is bound to the graph
        size : height and width of the tile, px; multiples of the model's `size_multiple`
        out : (height, width, 3), receives a part of the output
        core_offset : row and column of the output where that part begins, multiples of
            `size_multiple`

        Raises
        ------
        MemoryError : the device is out of memory
        ModelError : the engine failed for another reason
        """
        output_block = self.block_sizes[1]
        packed_size = tuple(side // output_block for side in size)

        def write_output(planes: Array) -> None:
            if planes.shape != (1, out.shape[2] * output_block**2, *packed_size):
                raise ValueError(f"the output has the shape {planes.shape}")
            unpack(planes, output_block, out, *core_offset)

        with self._errors(size):
            self._infer(inputs, write_output)

    @contextmanager
    def _errors(self, size: tuple[int, int]) -> Iterator[None]:
        """Raise the errors that `run` states for a tile's size."""
        try:
            yield
        except Exception as error:  # The exceptions of engines share no base class.
            problem = f"the model fails at {size[1]} x {size[0]} px"
            remedy = "get the file from its author again, or choose another --engine"
            raise engine_error(error, self.name, problem, remedy) from error


def get_session(
    file: ModelFile,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
    precision: Precision = "fp32",
    context: Context | None = None,
) -> Session:
    """Return the session of a model, creating it if it is not cached.

    `burnish.runtime.model.Model.open` describes the options and the errors.

    Parameters
    ----------
    precision : for "int8", the context is bound. A model without ranges runs in float32 then
    context : all of the graph's inputs beside `image`, `guide` and `coords`, to bind them
        [default: none; they are passed to `Session.run`]
    """
    check_options(device, threads, engine, precision)
    tensors = context or {}
    fingerprint = sha256(b"".join(tensor.tobytes() for tensor in tensors.values())).digest()

    def create() -> Session:
        module = load_engine(engine)
        model = bind_constants(file.graph, tensors)
        if precision == "int8" and file.card.ranges:
            from burnish.runtime.quantisation import quantise_graph

            model = quantise_graph(model, file.card.ranges, engine)
        session: Session = module.create_session(model, file.card.name, device, threads, precision)
        return session

    key = (file.sha256, fingerprint, device, threads, engine, precision)
    return _sessions.get(key, create)


def load_engine(engine: str) -> ModuleType:
    """Import the library of an engine, and return the module of burnish that uses it.

    Raises
    ------
    MissingLibraryError : the engine is not installed
    """
    try:
        import_module(engine)
        return import_module(ENGINES[engine])
    except ModuleNotFoundError as error:
        raise missing_library(error).with_context(f"engine {engine}") from error


def context_tensors(card: Card, params: Mapping[str, Value], thumbnail: Pixels | None) -> Context:
    """Return the inputs of a model's graph beside `image`, `guide` and `coords`.

    Parameters
    ----------
    params : values of sliders, by name or keyword [default: the card's]
    thumbnail : (S, S, 3) of the whole image; ignored if the model takes none

    Raises
    ------
    UsageError : a slider is unknown, or its value is outside its range
    """
    values = resolve_params([param.as_param() for param in card.sliders], params, card.name)
    tensors: Context = {}
    if PARAMS in card.context_shapes:
        tensors[PARAMS] = np.array(list(values.values()), np.float32).reshape(1, -1, 1, 1)
    if thumbnail is not None and THUMBNAIL in card.context_shapes:
        tensors[THUMBNAIL] = np.ascontiguousarray(thumbnail.transpose(2, 0, 1))[np.newaxis]
    return tensors


def bind_constants(graph: bytes, tensors: Context) -> "ModelProto":
    """Return a graph with some of its inputs turned into constants."""
    # Importing onnx takes 130 ms.
    from onnx import ModelProto, numpy_helper

    model: ModelProto = ModelProto.FromString(graph)
    for value in list(model.graph.input):
        if value.name in tensors:
            model.graph.input.remove(value)
            model.graph.initializer.append(numpy_helper.from_array(tensors[value.name], value.name))
    return model


def precision_error(precision: str, problem: str, remedy: str = "") -> PrecisionError:
    """Return the error to raise for a precision that is not available."""
    remedy = remedy or "leave the precision out for the quickest one that keeps the quality"
    return PrecisionError(f"precision {precision}", problem, remedy)


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
