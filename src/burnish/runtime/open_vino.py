"""OpenVINO, an engine for the CPU; comes with the extra of its name."""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from burnish.errors import DeviceError, ModelError
from burnish.modelfile.card import INPUT, PLACES
from burnish.runtime.layout import cut_spread, lay_out

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
    _block: int

    def run(
        self,
        image: NDArray[np.float32],
        out: NDArray[np.float32],
        corner: tuple[int, int] = (0, 0),
        places: NDArray[np.float32] | None = None,
    ) -> None:
        """Run the model; see `burnish.runtime.session.Session`."""
        given = {INPUT: image} | ({} if places is None else {PLACES: places})
        try:
            # A compiled model has one request and one result, and one caller at a time.
            with self._turn:
                outputs: Any = self._model(given, share_outputs=True)
                lay_out(outputs[0], self._block, out, *corner)
        except Exception as error:  # OpenVINO raises RuntimeError for everything
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
                raise MemoryError(str(error)) from error
            raise ModelError(
                self.name,
                expected=f"a result for {image.shape[3]} x {image.shape[2]} px",
                got=_reason(error),
                remedy="choose another --engine, or export the model anew",
            ) from error


def start(model: ModelProto, name: str, device: str, threads: int | None) -> OpenVinoSession:
    """Start a session, changing the graph as suits it; `name` is the model's, for messages.

    See `burnish.runtime.session`.
    """
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
    block = cut_spread(model)
    try:
        compiled = openvino.Core().compile_model(_bounded(model), "CPU", settings)
    except Exception as error:
        raise ModelError(
            name,
            expected="a model that ONNX Runtime folds and OpenVINO takes",
            got=_reason(error),
            remedy="choose another --engine, or update openvino",
        ) from error
    return OpenVinoSession("cpu", name, compiled, Lock(), block)


def _bounded(model: ModelProto) -> Any:
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
        _fold(model, path)
        frontend = FrontEndManager().load_by_framework("onnx")
        loaded = frontend.load(str(path))
        for place in loaded.get_inputs():
            for name in bounds.keys() & set(place.get_names()):
                loaded.set_partial_shape(place, bounds[name])
        return frontend.convert(loaded)


def _fold(model: ModelProto, path: Path) -> None:
    """Write the graph with what holds for the picture worked out and folded into convolutions.

    ONNX Runtime does so whenever it takes a graph; what OpenVINO (2026.4 at least) is given it
    multiplies and adds, layer by layer, for every tile.
    """
    import onnxruntime

    settings: Any = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    # Beyond the basic ones there are operators of its own.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
