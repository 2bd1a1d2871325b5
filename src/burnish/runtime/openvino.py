"""OpenVINO, an optional engine for the CPU, from the extra `openvino`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from onnx import ModelProto

from burnish.errors import DeviceError
from burnish.modelfile.card import COORDS, GUIDE, INPUT, Precision
from burnish.runtime.engines import PRECISIONS, usable_threads
from burnish.runtime.graph_optimisations import strip_depth_to_space, strip_space_to_depth
from burnish.runtime.onnx_runtime import write_folded
from burnish.runtime.session import Array, Session, engine_error, precision_error

# Largest number of rows or columns of an input. With more, sizes in bytes overflow 63 bits.
_MAX_SIDE = 2**16


# Precision -> the name in OpenVINO's list of what a processor can do, and that of the arithmetic of
# everything that is not rounded to integers.
_CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "int8": "INT8"}
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


def precisions() -> tuple[Precision, ...]:
    """Return the precisions of OpenVINO on this processor."""
    import openvino  # type: ignore[import-untyped]

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name in PRECISIONS if _CAPABILITIES[name] in capabilities)


def create_session(
    model: ModelProto, name: str, device: str, threads: int | None, precision: Precision = "fp32"
) -> Session:
    """Create a session of a model; see `burnish.runtime.onnx_runtime.create_session`."""
    import openvino

    if device not in ("auto", "cpu"):
        problem = "the engine openvino runs on the cpu only"
        remedy = "leave --device out, or choose another --engine"
        raise DeviceError(f"device {device}", problem, remedy)
    if precision not in precisions():  # OpenVINO would compute in float32 without a word
        raise precision_error(precision, "this processor has no such arithmetic")
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        # A thread that is pinned to a core waits while another program uses it.
        "ENABLE_CPU_PINNING": False,
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = usable_threads(threads)
    block_sizes = strip_space_to_depth(model), strip_depth_to_space(model)
    try:
        bounded_model = _with_bounded_sizes(model, block_sizes[0])
        compiled_model = openvino.Core().compile_model(bounded_model, "CPU", settings)
        request = compiled_model.create_infer_request()
    except Exception as error:
        problem = "ONNX Runtime or OpenVINO rejects the model"
        remedy = "choose another --engine, or update openvino"
        raise engine_error(error, name, problem, remedy) from error
    lock = Lock()

    def infer(inputs: Mapping[str, Array], on_output: Callable[[Array], None]) -> None:
        # A request has one output buffer, so only one thread may use it. A synchronous request
        # (OpenVINO 2026.4) that runs out of memory raises no error and leaves the previous output.
        with lock:
            request.start_async(dict(inputs), share_inputs=True)
            request.wait()
            on_output(request.get_output_tensor().data)

    return Session(name, "cpu", block_sizes, infer)


def _with_bounded_sizes(model: ModelProto, block: int) -> Any:
    """Convert a graph for OpenVINO, with at most `_MAX_SIDE` rows and columns.

    Without bounds OpenVINO (2026.4) assumes the largest integer, which overflows in a Resize, and
    reports inconsistent shapes. The graph goes through a file, because a graph from memory is
    converted before bounds can be set. The context is folded into the graph, because OpenVINO
    (2026.4) would multiply and add it in each layer and for every tile.
    """
    from openvino import Dimension, PartialShape
    from openvino.frontend import FrontEndManager  # type: ignore[import-untyped]

    side, one = Dimension(1, _MAX_SIDE), Dimension(1)
    image_shape = PartialShape([one, Dimension(3 * block**2), side, side])
    bounds = {
        INPUT: image_shape,
        GUIDE: image_shape,
        COORDS: PartialShape([one, side, side, Dimension(2)]),
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        write_folded(model, path)
        frontend = FrontEndManager().load_by_framework("onnx")
        input_model = frontend.load(str(path))
        for place in input_model.get_inputs():
            for name in bounds.keys() & set(place.get_names()):
                input_model.set_partial_shape(place, bounds[name])
        return frontend.convert(input_model)
