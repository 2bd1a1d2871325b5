"""ONNX Runtime's sessions: one for each model, device and number of threads."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from burnish.errors import DeviceError, ModelError, UsageError
from burnish.modelfile.card import INPUT, OUTPUT
from burnish.modelfile.read import ModelFile

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

# A session holds the weights and little more; eight are enough to go back and forth between models.
_KEPT = 8

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")

# How ONNX Runtime says that memory is out, on the CPU and on CUDA; it has no class for it.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|bad allocation|failed to allocate|out of memory|CUDNN_STATUS_ALLOC_FAILED", re.I
)


@dataclass(frozen=True)
class Session:
    """A model, ready to run on a device.

    ``device`` is where it runs: ``cpu`` or ``cuda:N``, never ``auto``.
    """

    device: str
    name: str
    _engine: "InferenceSession"
    _options: "RunOptions"

    def run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model.

        Shape: (N, 3, H, W) -> same; H and W are multiples of the model's.

        Raises
        ------
        MemoryError : the device has not enough
        ModelError : ONNX Runtime stopped for another reason
        """
        try:
            result: NDArray[np.float32] = self._engine.run([OUTPUT], {INPUT: image}, self._options)[
                0
            ]
        except Exception as error:  # ONNX Runtime's classes share no base of their own.
            if _OUT_OF_MEMORY.search(str(error)):
                raise MemoryError(str(error)) from error
            raise ModelError(
                self.name,
                expected=f"a result for {image.shape[3]} x {image.shape[2]} px",
                got=_reason(error),
                remedy="get or export the model anew",
            ) from error
        return result


_sessions: OrderedDict[tuple[str, str, int | None], Session] = OrderedDict()
_lock = Lock()


def session(file: ModelFile, device: str = "auto", threads: int | None = None) -> Session:
    """Return a session, the same one for the same model, device and threads.

    Parameters
    ----------
    device : "auto" (CUDA where ONNX Runtime has it and it works, else the CPU), "cpu", "cuda" or
        "cuda:N". A device asked for by name is that device or an error
    threads : how many CPU threads work on one picture; None leaves it to ONNX Runtime

    Raises
    ------
    UsageError : `device` or `threads` is nothing of the above
    DeviceError : the device cannot be had
    ModelError : ONNX Runtime does not take the model
    """
    _check(device, threads)
    key = (file.sha256, device, threads)
    with _lock:
        if key not in _sessions:
            _sessions[key] = _start(file, device, threads)
            if len(_sessions) > _KEPT:
                _sessions.popitem(last=False)
        _sessions.move_to_end(key)
        return _sessions[key]


def _check(device: str, threads: int | None) -> None:
    if not _DEVICE.fullmatch(device):
        raise UsageError(
            "device",
            expected="auto, cpu, cuda or cuda:N",
            got=repr(device),
            remedy="leave it out for auto",
        )
    if threads is not None and not 1 <= threads <= 1024:
        raise UsageError(
            "threads",
            expected="1 to 1024",
            got=f"{threads}",
            remedy="leave it out for all cores",
        )


def _start(file: ModelFile, device: str, threads: int | None) -> Session:
    # 100 ms to import: only who runs a model pays.
    import onnxruntime

    offered = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device.startswith("cuda") and not offered:
        raise _unavailable(device, "an ONNX Runtime without CUDA")
    if device == "cpu" or not offered:
        return _on_cpu(file, threads)
    try:
        return _on_cuda(file, device, threads)
    except DeviceError:
        if device != "auto":
            raise
        # A CUDA build on a machine without a card is common. `Session.device` tells.
        return _on_cpu(file, threads)


def _on_cpu(file: ModelFile, threads: int | None) -> Session:
    try:
        engine = _engine(file, threads, "CPUExecutionProvider", {})
    except Exception as error:
        raise ModelError(
            file.card.name,
            expected="a model that ONNX Runtime takes",
            got=_reason(error),
            remedy="update onnxruntime, or export the model anew",
        ) from error
    return Session("cpu", file.card.name, engine, _run_options("cpu:0"))


def _on_cuda(file: ModelFile, device: str, threads: int | None) -> Session:
    number = device.partition(":")[2] or "0"
    # TF32 keeps 10 bits of each number, fewer than a 16-bit picture has. Looking for the very best
    # algorithm at each new tile size takes longer than the tile.
    options = {"device_id": number, "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    try:
        engine = _engine(file, threads, "CUDAExecutionProvider", options)
    except Exception as error:
        raise _unavailable(device, _reason(error)) from error
    if engine.get_providers()[0] != "CUDAExecutionProvider":
        raise _unavailable(device, f"only {', '.join(engine.get_providers())}")
    return Session(f"cuda:{number}", file.card.name, engine, _run_options(f"gpu:{number}"))


def _engine(
    file: ModelFile, threads: int | None, provider: str, options: dict[str, str]
) -> "InferenceSession":
    import onnxruntime

    settings: Any = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # What goes wrong is raised, and said once, in words.
    # Patterns are kept for each tile size, and a picture has several.
    settings.enable_mem_pattern = False
    if threads is not None:
        settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        file.graph,
        settings,
        providers=[(provider, options)],
        enable_fallback=0,  # By default another device is taken in silence.
    )


def _run_options(arena: str) -> "RunOptions":
    import onnxruntime

    options: Any = onnxruntime.RunOptions()
    options.log_severity_level = 4
    # Memory goes back after each tile, but for a block; the arena would keep it all. With no arena
    # the C library's heap breaks into pieces: 32 tiles of CAN24 within 64 MiB grew to 450 MiB.
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
    return options


def _unavailable(device: str, got: str) -> DeviceError:
    return DeviceError(
        f"device {device}",
        expected="an NVIDIA card and an ONNX Runtime that uses it",
        got=got,
        remedy="choose cpu, or install onnxruntime-gpu and its CUDA",
    )


def _reason(error: Exception) -> str:
    return str(error).strip()[:200] or type(error).__name__
