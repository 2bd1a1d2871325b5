"""The engines that run graphs. Importing this module loads none of them, nor NumPy."""

import re

from burnish.errors import UsageError

# Engine -> the module with its `create_session`.
ENGINES = {
    "onnxruntime": "burnish.runtime.onnx_runtime",
    "openvino": "burnish.runtime.openvino",
}
DEFAULT_ENGINE = "onnxruntime"

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")
_MAX_THREADS = 1024


def check_options(device: str, threads: int | None, engine: str) -> None:
    """Check the options of a session; `Model.open` describes them.

    Raises
    ------
    UsageError : an option has an invalid value
    """
    if not _DEVICE.fullmatch(device):
        problem = f"{device!r} is not auto, cpu, cuda or cuda:N"
        raise UsageError("device", problem, "leave it out for auto")
    if threads is not None and not 1 <= threads <= _MAX_THREADS:
        problem = f"expected 1 to {_MAX_THREADS}, got {threads}"
        raise UsageError("threads", problem, "leave it out for all cores")
    if engine not in ENGINES:
        problem = f"expected {' or '.join(ENGINES)}, got {engine!r}"
        raise UsageError("engine", problem, f"leave it out for {DEFAULT_ENGINE}")
