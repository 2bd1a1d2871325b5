"""ONNX Runtime, the default engine, on the CPU or on CUDA."""

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import onnxruntime
from onnx import ModelProto
from onnxruntime import InferenceSession

from burnish.errors import DeviceError
from burnish.modelfile.card import Precision
from burnish.runtime.engines import usable_threads
from burnish.runtime.graph_optimisations import (
    keep_nchwc,
    strip_depth_to_space,
    strip_space_to_depth,
)
from burnish.runtime.session import Array, Session, engine_error, error_text, precision_error

# Size of the first block of the shared arena. It takes memory only as it is written to.
_ARENA_BYTES = 2**30


def precisions() -> tuple[Precision, ...]:
    """Return the precisions on the CPU; ONNX Runtime has no convolutions in bfloat16 there."""
    return "fp32", "int8"


def create_session(
    model: ModelProto, name: str, device: str, threads: int | None, precision: Precision = "fp32"
) -> Session:
    """Create a session of a model, which is optimised in place. Messages name it by `name`.

    A graph for int8 has its rounding in it.

    Raises
    ------
    DeviceError : the device or the precision is not available
    ModelError : the engine rejects the graph
    """
    if precision not in precisions():
        problem = "ONNX Runtime has no such arithmetic on the CPU"
        remedy = "install the extra 'openvino', or leave the precision out"
        raise precision_error(precision, problem, remedy)
    block_sizes = strip_space_to_depth(model), strip_depth_to_space(model)
    if device == "cpu" or not has_cuda():
        keep_nchwc(model)
    session, actual_device = create_inference_session(
        model.SerializeToString(), name, device, threads
    )
    arena = "cpu:0" if actual_device == "cpu" else actual_device.replace("cuda", "gpu")
    options: Any = onnxruntime.RunOptions()
    options.log_severity_level = 4
    # After each tile, the arena frees all but its first block.
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)

    def infer(inputs: Mapping[str, Array], on_output: Callable[[Array], None]) -> None:
        on_output(session.run(None, inputs, options)[0])

    return Session(name, actual_device, block_sizes, infer)


def create_inference_session(
    graph: bytes, name: str, device: str, threads: int | None
) -> tuple[InferenceSession, str]:
    """Return a session of ONNX Runtime itself, and its device, "cpu" or "cuda:N".

    Raises
    ------
    ModelError : ONNX Runtime rejects the graph
    DeviceError : the device is not "auto", and not available
    """
    if device.startswith("cuda") and not has_cuda():
        raise _device_error(device, "this ONNX Runtime has no CUDA")
    if device != "cpu" and has_cuda():
        try:
            return _cuda_session(graph, device, threads)
        except DeviceError:
            # A CUDA build on a machine without a GPU is common. `Session.device` shows the device.
            if device != "auto":
                raise
    try:
        return _inference_session(graph, threads, "CPUExecutionProvider", {}), "cpu"
    except Exception as error:
        problem, remedy = "ONNX Runtime rejects the model", "update onnxruntime"
        raise engine_error(error, name, problem, remedy) from error


def fold_constants(model: ModelProto) -> ModelProto:
    """Return a graph as `write_folded` writes it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "graph.onnx")
        write_folded(model, path)
        return onnx.load(path)


def write_folded(model: ModelProto, path: Path) -> None:
    """Write a graph with what does not depend on the image computed, and folded into kernels.

    ONNX Runtime does this whenever it loads a graph.
    """
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Higher levels insert operators of ONNX Runtime's own.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def has_cuda() -> bool:
    """Return whether this ONNX Runtime is built for CUDA; the machine may have no GPU for it."""
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _cuda_session(graph: bytes, device: str, threads: int | None) -> tuple[InferenceSession, str]:
    number = device.partition(":")[2] or "0"
    # TF32 has a mantissa of 10 bits, which is less than a 16-bit photo needs. An exhaustive search
    # for algorithms at each new tile size takes longer than the tile itself.
    options = {"device_id": number, "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    try:
        session = _inference_session(graph, threads, "CUDAExecutionProvider", options)
    except Exception as error:
        raise _device_error(device, error_text(error)) from error
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise _device_error(device, f"ONNX Runtime uses {', '.join(session.get_providers())}")
    return session, f"cuda:{number}"


def _inference_session(
    graph: bytes, threads: int | None, provider: str, provider_options: dict[str, str]
) -> InferenceSession:
    _share_arena()
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # Errors are raised; the log would repeat them on stderr.
    # Memory patterns are stored for each tile size, and an image has several.
    options.enable_mem_pattern = False
    if threads is not None:
        options.intra_op_num_threads = usable_threads(threads)
    # Threads that spin between layers and levels take the cores from the code that reads, packs and
    # writes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights live as long as the session. In the arena they would fragment it.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return InferenceSession(
        graph,
        options,
        providers=[(provider, provider_options)],
        enable_fallback=0,  # The default falls back to another device without an error.
    )


@cache
def _share_arena() -> None:
    """Allocate the CPU memory of all sessions of this process from one arena.

    The memory of one tile is reused for the next, of any size and model. Fresh pages from the
    system would add a fifth or more to the time. A single large block does not fragment, since all
    of it is free between two runs.
    """
    kind, memory_type = onnxruntime.OrtAllocatorType, onnxruntime.OrtMemType
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind.ORT_ARENA_ALLOCATOR, 0, memory_type.DEFAULT)
    # Strategy 0, doubling, never frees the first block.
    arena = onnxruntime.OrtArenaCfg(
        {"initial_chunk_size_bytes": _ARENA_BYTES, "arena_extend_strategy": 0}
    )
    onnxruntime.create_and_register_allocator(memory, arena)


def _device_error(device: str, problem: str) -> DeviceError:
    remedy = "choose cpu, or install onnxruntime-gpu with its CUDA for an NVIDIA GPU"
    return DeviceError(f"device {device}", problem, remedy)


def _exit_without_destructors() -> None:
    """End a forked process without ONNX Runtime's destructors.

    Since version 1.32, they wait for threads that were started by the import, even in a process
    that has none of them.
    """
    libc = ctypes.CDLL(None)
    libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)  # with the status of the exit


if sys.platform == "linux":
    os.register_at_fork(after_in_child=_exit_without_destructors)
