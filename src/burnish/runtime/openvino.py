"""OpenVINO, an engine for the CPU; comes with the extra of its name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from onnx import ModelProto

from burnish.errors import DeviceError
from burnish.modelfile.card import COORDS, INPUT
from burnish.runtime.session import Array, Session, engine_error
from burnish.runtime.strip_pixel_shuffle import strip_depth_to_space, strip_space_to_depth

# Rows or columns of what a graph takes. Much more, and sizes in bytes would not fit into 63 bits.
MAX_SIDE = 2**16


def create_session(model: ModelProto, name: str, device: str, threads: int | None) -> Session:
    """Start a session, changing the graph as suits it; `name` is the model's, for messages.

    See `burnish.runtime.session_cache`.
    """
    import openvino  # type: ignore[import-untyped]

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
    block_sizes = strip_space_to_depth(model), strip_depth_to_space(model)
    try:
        compiled = openvino.Core().compile_model(
            _with_bounded_sizes(model, block_sizes[0]), "CPU", settings
        )
        request = compiled.create_infer_request()
    except Exception as error:
        expected = "a model that ONNX Runtime folds and OpenVINO takes"
        remedy = "choose another --engine, or update openvino"
        raise engine_error(error, name, expected, remedy) from error
    lock = Lock()

    def infer(inputs: Mapping[str, Array], on_output: Callable[[Array], None]) -> None:
        # A request has one result, and one caller at a time. Run at once on one thread, a request
        # that has no memory (2026.4 at least) says nothing, and leaves the result of before.
        with lock:
            request.start_async(dict(inputs), share_inputs=True)
            request.wait()
            on_output(request.get_output_tensor().data)

    return Session(name, "cpu", block_sizes, infer)


def _with_bounded_sizes(model: ModelProto, block: int) -> Any:
    """Read a graph, whose image comes in blocks, for tiles of at most so many rows and columns.

    Without bounds OpenVINO (2026.4 at least) takes the largest integer for them; where cells are
    enlarged that overflows, and it says that shapes are inconsistent. It reads all of a graph that
    comes from memory before bounds can be set; one in a file it reads afterwards.
    """
    from openvino import Dimension, PartialShape
    from openvino.frontend import FrontEndManager  # type: ignore[import-untyped]

    side, one = Dimension(1, MAX_SIDE), Dimension(1)
    bounds = {
        INPUT: PartialShape([one, Dimension(3 * block**2), side, side]),
        COORDS: PartialShape([one, side, side, Dimension(2)]),
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        _fold_constants(model, path)
        frontend = FrontEndManager().load_by_framework("onnx")
        loaded = frontend.load(str(path))
        for place in loaded.get_inputs():
            for name in bounds.keys() & set(place.get_names()):
                loaded.set_partial_shape(place, bounds[name])
        return frontend.convert(loaded)


def _fold_constants(model: ModelProto, path: Path) -> None:
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
