"""ONNX Runtime, the default engine: on the CPU, or on CUDA."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from onnx import ModelProto

from burnish.errors import DeviceError
from burnish.runtime.nchwc import keep_nchwc
from burnish.runtime.session import Array, Session, engine_error, error_text
from burnish.runtime.strip_pixel_shuffle import strip_depth_to_space, strip_space_to_depth

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

# What the arena of all sessions begins with; no more of it is memory than has been written to.
_ARENA_BYTES = 2**30


def create_session(model: ModelProto, name: str, device: str, threads: int | None) -> Session:
    """Start a session, changing the graph as suits it; `name` is the model's, for messages.

    See `burnish.runtime.session_cache`.
    """
    block_sizes = strip_space_to_depth(model), strip_depth_to_space(model)
    if device == "cpu" or not _has_cuda():
        keep_nchwc(model)
    engine, actual_device = create_inference_session(
        model.SerializeToString(), name, device, threads
    )
    options = _run_options(
        "cpu:0" if actual_device == "cpu" else actual_device.replace("cuda", "gpu")
    )

    def infer(inputs: Mapping[str, Array], on_output: Callable[[Array], None]) -> None:
        on_output(engine.run(None, inputs, options)[0])

    return Session(name, actual_device, block_sizes, infer)


def create_inference_session(
    graph: bytes, name: str, device: str, threads: int | None
) -> tuple["InferenceSession", str]:
    """Have ONNX Runtime take a graph; return its own session, and the device that it runs on.

    Raises
    ------
    ModelError : ONNX Runtime does not take it
    DeviceError : the device was asked for by name and cannot be had
    """
    has_cuda = _has_cuda()
    if device.startswith("cuda") and not has_cuda:
        raise _device_error(device, "an ONNX Runtime without CUDA")
    if device == "cpu" or not has_cuda:
        return _cpu_session(graph, name, threads)
    try:
        return _cuda_session(graph, device, threads)
    except DeviceError:
        if device != "auto":
            raise
        # A CUDA build on a machine without a card is common. `Session.device` tells.
        return _cpu_session(graph, name, threads)


def _has_cuda() -> bool:
    # 100 ms to import: only who runs a model pays.
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _cpu_session(graph: bytes, name: str, threads: int | None) -> tuple["InferenceSession", str]:
    try:
        return _inference_session(graph, threads, "CPUExecutionProvider", {}), "cpu"
    except Exception as error:
        remedy = "update onnxruntime, or export the model anew"
        raise engine_error(error, name, "a model that ONNX Runtime takes", remedy) from error


def _cuda_session(graph: bytes, device: str, threads: int | None) -> tuple["InferenceSession", str]:
    number = device.partition(":")[2] or "0"
    # TF32 keeps 10 bits of each number, fewer than a 16-bit picture has. Looking for the very best
    # algorithm at each new tile size takes longer than the tile.
    options = {"device_id": number, "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    try:
        engine = _inference_session(graph, threads, "CUDAExecutionProvider", options)
    except Exception as error:
        raise _device_error(device, error_text(error)) from error
    if engine.get_providers()[0] != "CUDAExecutionProvider":
        raise _device_error(device, f"only {', '.join(engine.get_providers())}")
    return engine, f"cuda:{number}"


def _inference_session(
    graph: bytes, threads: int | None, provider: str, options: dict[str, str]
) -> "InferenceSession":
    import onnxruntime

    settings: Any = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # What goes wrong is raised, and said once, in words.
    # Patterns are kept for each tile size, and a picture has several.
    settings.enable_mem_pattern = False
    if threads is not None:
        settings.intra_op_num_threads = threads
    _share_arena()
    settings.add_session_config_entry("session.use_env_allocators", "1")
    # Weights stay as long as their session does: they would cut the arena into pieces.
    settings.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return onnxruntime.InferenceSession(
        graph,
        settings,
        providers=[(provider, options)],
        enable_fallback=0,  # By default another device is taken in silence.
    )


@cache
def _share_arena() -> None:
    """Have all sessions of this process take their memory on the CPU from one arena.

    What a tile needed serves the next one, of any size and model: pages that come fresh from the
    system cost a fifth and more of the time. With one large block nothing breaks into pieces:
    between two runs all of it is free.
    """
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu",
        onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        0,
        onnxruntime.OrtMemType.DEFAULT,
    )
    # Doubling, the strategy whose first block is never given back.
    arena = onnxruntime.OrtArenaCfg(
        {"initial_chunk_size_bytes": _ARENA_BYTES, "arena_extend_strategy": 0}
    )
    onnxruntime.create_and_register_allocator(memory, arena)


def _run_options(arena: str) -> "RunOptions":
    import onnxruntime

    options: Any = onnxruntime.RunOptions()
    options.log_severity_level = 4
    # What was taken beyond the arena's first block goes back after each tile.
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
    return options


def _device_error(device: str, got: str) -> DeviceError:
    return DeviceError(
        f"device {device}",
        expected="an NVIDIA card and an ONNX Runtime that uses it",
        got=got,
        remedy="choose cpu, or install onnxruntime-gpu and its CUDA",
    )
