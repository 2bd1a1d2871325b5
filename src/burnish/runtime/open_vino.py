"""OpenVINO, an engine for the CPU; comes with the extra of its name."""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from burnish.errors import DeviceError, ModelError
from burnish.modelfile.card import INPUT, PLACES

if TYPE_CHECKING:
    from openvino import CompiledModel  # type: ignore[import-untyped]

# Rows or columns of a tile. Much more, and sizes in bytes would not fit into 63 bits.
MOST = 2**16
_OUT_OF_MEMORY = re.compile(r"bad_alloc|failed to allocate|out of memory|can't allocate", re.I)


@dataclass(frozen=True)
class OpenVinoSession:
    """A model in OpenVINO; see `burnish.runtime.session.Session`."""

    device: str
    name: str
    _model: "CompiledModel"
    _turn: Lock

    def run(
        self, image: NDArray[np.float32], places: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Run the model; see `burnish.runtime.session.Session`."""
        given = {INPUT: image} | ({} if places is None else {PLACES: places})
        try:
            with self._turn:  # a compiled model has one request, and one caller at a time
                outputs: Any = self._model(given, share_outputs=False)
            result: NDArray[np.float32] = outputs[0]
        except Exception as error:  # OpenVINO raises RuntimeError for everything
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
                raise MemoryError(str(error)) from error
            raise ModelError(
                self.name,
                expected=f"a result for {image.shape[3]} x {image.shape[2]} px",
                got=_reason(error),
                remedy="choose another --engine, or export the model anew",
            ) from error
        return result


def start(graph: bytes, name: str, device: str, threads: int | None) -> OpenVinoSession:
    """Start a session; `name` is the model's, for messages. See `burnish.runtime.session`."""
    import openvino

    if device not in ("auto", "cpu"):
        raise DeviceError(
            f"device {device}",
            expected="cpu, where the engine openvino runs",
            got=device,
            remedy="leave --device out, or choose another --engine",
        )
    # Left to itself it computes in bfloat16 where the processor can: 8 bits of each number.
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        model = openvino.Core().compile_model(_bounded(graph), "CPU", settings)
    except Exception as error:
        raise ModelError(
            name,
            expected="a model that OpenVINO takes",
            got=_reason(error),
            remedy="choose another --engine, or update openvino",
        ) from error
    return OpenVinoSession("cpu", name, model, Lock())


def _bounded(graph: bytes) -> Any:
    """Read a graph, for pictures of at most so many rows and columns.

    Without bounds OpenVINO (2026.4 at least) takes the largest integer for them; where cells are
    enlarged that overflows, and it says that shapes are inconsistent. It reads all of a graph that
    comes from memory before bounds can be set; one in a file it reads afterwards.
    """
    from openvino import Dimension, PartialShape
    from openvino.frontend import FrontEndManager  # type: ignore[import-untyped]

    side, one = Dimension(1, MOST), Dimension(1)
    bounds = {
        INPUT: PartialShape([one, Dimension(3), side, side]),
        PLACES: PartialShape([one, side, side, Dimension(2)]),
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(graph)
        frontend = FrontEndManager().load_by_framework("onnx")
        model = frontend.load(str(path))
        for place in model.get_inputs():
            for name in bounds.keys() & set(place.get_names()):
                model.set_partial_shape(place, bounds[name])
        return frontend.convert(model)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
