"""OpenVINO, an optional engine for the CPU, from the extra `openvino`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import onnxruntime
from onnx import ModelProto

from burnish.errors import DeviceError
from burnish.modelfile.card import COORDS, GUIDE, INPUT
from burnish.runtime.graph_optimisations import strip_depth_to_space, strip_space_to_depth
from burnish.runtime.session import Array, Session, engine_error

# Largest number of rows or columns of an input. With more, sizes in bytes overflow 63 bits.
_MAX_SIDE = 2**16


def create_session(model: ModelProto, name: str, device: str, threads: int | None) -> Session:
    """Create a session of a model, which is optimised in place. Messages name it by `name`."""
    import openvino  # type: ignore[import-untyped]

    if device not in ("auto", "cpu"):
        problem = "the engine openvino runs on the cpu only"
        remedy = "leave --device out, or choose another --engine"
        raise DeviceError(f"device {device}", problem, remedy)
    # The default precision is bfloat16 on processors that have it: a mantissa of 8 bits.
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
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
    converted before bounds can be set.
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
        _fold_constants(model, path)
        frontend = FrontEndManager().load_by_framework("onnx")
        input_model = frontend.load(str(path))
        for place in input_model.get_inputs():
            for name in bounds.keys() & set(place.get_names()):
                input_model.set_partial_shape(place, bounds[name])
        return frontend.convert(input_model)


def _fold_constants(model: ModelProto, path: Path) -> None:
    """Write the graph with the context computed and folded into convolutions.

    ONNX Runtime does this whenever it loads a graph. OpenVINO (2026.4) would multiply and add the
    context in each layer and for every tile.
    """
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Higher levels insert operators of ONNX Runtime's own.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
